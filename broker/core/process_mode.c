/* SET_MESSAGE_REQUEST_MODE (401), GET_ALL_MESSAGE_REQUEST_MODE (402): how groups get the messages
 * of topics. Source: QueryAssignmentProcessor, MessageRequestModeManager,
 * MessageRequestModeSerializeWrapper. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "common/remoting/body_pop.h"
#include "common/remoting/names.h"

#include <stdlib.h>

static enum status mode_check(struct broker *broker, struct request *request,
                              const struct mode_request *wanted)
{
    if (topic_is_retry(wanted->topic)) {
        return request_fail(request, STATUS_NO_PERMISSION, "retry topics are always pulled");
    }
    if (machine_topic_find(broker->machine, wanted->topic) == NULL) {
        return request_fail(request, STATUS_TOPIC_UNKNOWN, "topic %.*s does not exist",
                            SLICE_ARGS(wanted->topic));
    }
    if (machine_group_find(broker->machine, wanted->group) == NULL) {
        return request_fail(request, STATUS_GROUP_UNKNOWN, "consumer group %.*s does not exist",
                            SLICE_ARGS(wanted->group));
    }
    return STATUS_OK;
}

enum status process_set_mode(struct broker *broker, struct request *request)
{
    struct body body = {0};
    struct mode_request wanted;
    struct buf *entry;
    enum status status = mode_request_decode(request->command->body, &body, &wanted);
    if (status != STATUS_OK) {
        return request_fail(request, status, "the body is no SetMessageRequestModeRequestBody");
    }
    status = mode_check(broker, request, &wanted);
    if (status == STATUS_OK) {
        size_t size = 64 + wanted.group.size + wanted.topic.size;
        status = proposer_begin(&broker->proposer, size, &entry);
    }
    if (status == STATUS_OK) {
        const struct operation_mode_put put = {
            .group = wanted.group,
            .topic = wanted.topic,
            .mode = wanted.pop ? REQUEST_MODE_POP : REQUEST_MODE_PULL,
            .share_count = wanted.share_count,
        };
        const struct waiter waiter = {.done = reply_with_status, .to = request->to};
        entry_put_mode_put(entry, &put);
        proposer_add(&broker->proposer, &waiter);
        status = STATUS_PENDING;
    }
    body_close(&body);
    return status;
}

/* --- GET_ALL_MESSAGE_REQUEST_MODE --------------------------------------------------------- */

/* By topic, as they are written. */
static int compare_modes(const void *a, const void *b)
{
    const struct mode_request *one = a;
    const struct mode_request *other = b;
    int order = slice_compare(one->topic, other->topic);
    return order != 0 ? order : slice_compare(one->group, other->group);
}

enum status process_all_modes(struct broker *broker, struct request *request)
{
    size_t count = machine_mode_count(broker->machine);
    struct machine_mode_of *of = mem_alloc((count + 1) * sizeof *of);
    struct mode_request *modes = mem_alloc((count + 1) * sizeof *modes);
    machine_modes(broker->machine, of);
    for (size_t i = 0; i < count; i++) {
        modes[i] = (struct mode_request){
            .topic = of[i].topic,
            .group = of[i].group,
            .pop = of[i].mode.mode == REQUEST_MODE_POP,
            .share_count = of[i].mode.share_count,
        };
    }
    qsort(modes, count, sizeof *modes, compare_modes);
    mode_table_encode(modes, count, &request->body);
    free(modes);
    free(of);
    return STATUS_OK;
}
