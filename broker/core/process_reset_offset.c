/* INVOKE_BROKER_TO_RESET_OFFSET (222): where a group goes on in a topic, by time or by offset.
 *
 * The offsets change in the log, whether consumers run or not. Those that run learn it from their
 * next pull, which is answered with 21, and until then cannot commit (machine_offset.c).
 * Source: AdminBrokerProcessor.resetOffset with useServerSideResetOffset. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "broker/core/several.h"
#include "common/remoting/body_stats.h"

#include <inttypes.h>
#include <stdlib.h>

enum { QUEUE_ALL = -1, OFFSET_UNSET = -1 };

struct reset_header {
    struct slice group;
    struct slice topic;
    int64_t time_ms;
    int32_t queue_id;
    int64_t offset;
};

/* A request until all its operations have results. */
struct reset_call {
    struct several several;
    struct name topic;
    size_t count;
    struct queue_offset offsets[];
};

static enum status header_decode(const struct command *command, struct reset_header *header)
{
    *header = (struct reset_header){.queue_id = QUEUE_ALL, .offset = OFFSET_UNSET};
    enum status status = command_text(command, "group", GROUP_NAME_MAX, &header->group);
    if (status == STATUS_OK) {
        status = command_text(command, "topic", TOPIC_NAME_DERIVED_MAX, &header->topic);
    }
    if (status == STATUS_OK) {
        status = command_i64(command, "timestamp", true, &header->time_ms);
    }
    if (status == STATUS_OK) {
        status = command_i32(command, "queueId", false, &header->queue_id);
    }
    return status == STATUS_OK ? command_i64(command, "offset", false, &header->offset) : status;
}

/* With an offset: that one, as long as it is in the queue; else the first message of that time. */
static enum status target(struct broker *broker, const struct reset_header *header,
                          const struct queue *queue, int64_t *offset)
{
    if (header->offset != OFFSET_UNSET) {
        *offset = header->offset;
        return *offset >= queue->offset_first && *offset <= queue->offset_next
                   ? STATUS_OK
                   : STATUS_INVALID_ARGUMENT;
    }
    if (header->time_ms < 0) {
        *offset = queue->offset_next;
        return STATUS_OK;
    }
    return machine_queue_find_time(broker->machine, queue, (uint64_t)header->time_ms, false,
                                   offset);
}

static enum status targets(struct broker *broker, struct request *request,
                           const struct reset_header *header, const struct topic *topic,
                           struct reset_call *call)
{
    for (int32_t id = 0; id < topic->read_queue_count; id++) {
        if (header->queue_id != QUEUE_ALL && header->queue_id != id) {
            continue;
        }
        const struct queue *queue = machine_queue_find(broker->machine, header->topic, id);
        struct queue_offset *to = &call->offsets[call->count++];
        to->queue = (struct queue_name){
            .topic = name_slice(&call->topic),
            .broker = name_slice(&broker->group->name),
            .queue_id = id,
        };
        enum status status = target(broker, header, queue, &to->offset);
        if (status == STATUS_INVALID_ARGUMENT) {
            return request_fail(request, status,
                                "offset %" PRId64 " is not within [%" PRId64 ", %" PRId64
                                "] of queue %d",
                                header->offset, queue->offset_first, queue->offset_next, id);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static void on_all_reset(struct broker *broker, struct several *several, enum status status)
{
    struct reset_call *call = CONTAINER_OF(several, struct reset_call, several);
    if (status != STATUS_OK) {
        broker_reply_status(broker, &several->to, status, NULL);
    } else {
        struct command response;
        struct buf body = {0};
        reply_init(&response, &several->to, 0);
        offset_table_encode(call->offsets, call->count, &body);
        response.body = buf_slice(&body);
        broker_reply(broker, &several->to, &response);
        buf_close(&body);
    }
    free(call);
}

static void propose(struct broker *broker, struct reset_call *call, struct slice group)
{
    struct operation_offsets *offsets = mem_alloc(sizeof *offsets);
    enum status status = STATUS_OK;
    for (size_t at = 0; at < call->count; at += offsets->count) {
        size_t left = call->count - at;
        struct buf *entry;
        offsets->count = (uint32_t)(left < OFFSETS_MAX ? left : OFFSETS_MAX);
        size_t size = 64 + offsets->count * (32 + group.size + call->topic.size);
        status = proposer_begin(&broker->proposer, size, &entry);
        if (status != STATUS_OK) {
            break;
        }
        for (uint32_t i = 0; i < offsets->count; i++) {
            offsets->commits[i] = (struct offset_commit){
                .group = group,
                .topic = name_slice(&call->topic),
                .queue_id = call->offsets[at + i].queue.queue_id,
                .offset = call->offsets[at + i].offset,
                .reset = true,
            };
        }
        entry_put_offsets(entry, offsets);
        const struct waiter waiter = several_waiter(&call->several);
        proposer_add(&broker->proposer, &waiter);
    }
    free(offsets);
    several_proposed(broker, &call->several, status);
}

enum status process_reset_offset(struct broker *broker, struct request *request)
{
    struct reset_header header;
    enum status status = header_decode(request->command, &header);
    if (status != STATUS_OK) {
        return request_fail(request, status, "a reset needs group, topic and timestamp");
    }
    const struct topic *topic = machine_topic_find(broker->machine, header.topic);
    if (topic == NULL) {
        return request_fail(request, STATUS_TOPIC_UNKNOWN, "topic %.*s does not exist on %s",
                            SLICE_ARGS(header.topic), broker->group->name.text);
    }
    if (machine_group_find(broker->machine, header.group) == NULL) {
        return request_fail(request, STATUS_GROUP_UNKNOWN, "consumer group %.*s does not exist",
                            SLICE_ARGS(header.group));
    }
    if (header.queue_id < QUEUE_ALL || header.queue_id >= topic->read_queue_count) {
        return request_fail(request, STATUS_QUEUE_INVALID,
                            "queue id %d is not within the %d read queues of topic %s",
                            header.queue_id, topic->read_queue_count, topic->name.text);
    }
    size_t count = (size_t)topic->read_queue_count;
    struct reset_call *call = mem_zalloc(sizeof *call + count * sizeof call->offsets[0]);
    several_begin(&call->several, &request->to, on_all_reset);
    call->topic = topic->name;
    status = targets(broker, request, &header, topic, call);
    if (status != STATUS_OK) {
        free(call);
        return status;
    }
    propose(broker, call, header.group);
    return STATUS_PENDING;
}
