/* RECALL_MESSAGE (370): the sender of a timer message takes it back before it fires.
 *
 * Whether it still can is decided by apply: it is gone, or it fires, never both.
 * Source: RecallMessageProcessor, RecallMessageRequestHeader. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "broker/core/recall_handle.h"
#include "common/remoting/names.h"

#include <stdlib.h>

static void on_recalled(struct broker *broker, const struct waiter *waiter,
                        const struct operation *operation, const struct operation_result *result);

static enum status check(struct broker *broker, struct request *request, struct slice topic,
                         const struct recall_handle *handle)
{
    if (!slice_equals(handle->topic, topic) || topic_is_retry(topic) ||
        !slice_equals(handle->broker, name_slice(&broker->group->name)) ||
        handle->unique_key.size == 0 || handle->unique_key.size > KEY_SIZE_MAX) {
        return request_fail(request, STATUS_RECALL_REFUSED,
                            "the handle is of another topic or another broker");
    }
    if (handle->deliver_ms <= broker_now_ms(broker)) {
        return request_fail(request, STATUS_RECALL_REFUSED, "its time has come already");
    }
    return STATUS_OK;
}

static enum status propose(struct broker *broker, struct request *request, struct slice topic,
                           const struct recall_handle *handle)
{
    struct buf *entry;
    size_t size = 64 + topic.size + handle->unique_key.size;
    enum status status = proposer_begin(&broker->proposer, size, &entry);
    if (status != STATUS_OK) {
        return status;
    }
    entry_put_recall(entry, &(struct operation_recall){.position = handle->position,
                                                       .topic = topic,
                                                       .unique_key = handle->unique_key});
    struct buf *key = mem_zalloc(sizeof *key);
    buf_put_slice(key, handle->unique_key);
    const struct waiter waiter = {.done = on_recalled, .to = request->to, .context = key};
    proposer_add(&broker->proposer, &waiter);
    return STATUS_PENDING;
}

enum status process_recall(struct broker *broker, struct request *request)
{
    struct slice topic;
    struct slice text;
    struct recall_handle handle;
    if (!broker->settings->recall_enabled) {
        return request_fail(request, STATUS_NO_PERMISSION,
                            "recalling messages is switched off (recallMessageEnable)");
    }
    if (command_text(request->command, "topic", TOPIC_NAME_DERIVED_MAX, &topic) != STATUS_OK ||
        command_text(request->command, "recallHandle", RECALL_HANDLE_SIZE_MAX, &text) !=
            STATUS_OK) {
        return request_fail(request, STATUS_FIELD_MISSING,
                            "RECALL_MESSAGE needs topic and recallHandle");
    }
    if (machine_topic_find(broker->machine, topic) == NULL) {
        return STATUS_TOPIC_UNKNOWN;
    }
    struct buf scratch = {0};
    enum status status =
        recall_handle_parse(text, &scratch, &handle)
            ? check(broker, request, topic, &handle)
            : request_fail(request, STATUS_RECALL_REFUSED, "the handle is none of this broker's");
    if (status == STATUS_OK) {
        status = propose(broker, request, topic, &handle);
    }
    buf_close(&scratch);
    return status;
}

static void on_recalled(struct broker *broker, const struct waiter *waiter,
                        const struct operation *operation, const struct operation_result *result)
{
    struct buf *key = waiter->context;
    (void)operation;
    if (result->status == STATUS_OK) {
        struct command response;
        reply_init(&response, &waiter->to, 0);
        command_add(&response, "msgId", buf_slice(key));
        broker_reply(broker, &waiter->to, &response);
    } else {
        // Fired meanwhile, or recalled before.
        broker_reply_status(
            broker, &waiter->to,
            result->status == STATUS_NOT_FOUND ? STATUS_RECALL_REFUSED : result->status, NULL);
    }
    buf_close(key);
    free(key);
}
