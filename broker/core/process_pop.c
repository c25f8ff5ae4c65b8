/* POP_MESSAGE (200050), PEEK_MESSAGE (200052), NOTIFICATION (200054), POLLING_INFO (200055).
 *
 * Served by the leader: what is popped is invisible to others as soon as it is committed. Checks
 * are in RocketMQ's order. Source: PopMessageProcessor, PeekMessageProcessor,
 * NotificationProcessor, PollingInfoProcessor and the request headers named like the codes. */
#include "broker/core/auto_create.h"
#include "broker/core/broker.h"
#include "broker/core/pop_look.h"
#include "broker/core/processors.h"
#include "common/remoting/names.h"

enum {
    INIT_MAX = 1, /* ConsumeInitMode */
    POLL_MAX_MS = 120000,
};

/* What a request has besides group, topic and queue. */
enum { HAS_MAX = 1, HAS_INVISIBLE = 2, HAS_INIT = 4, HAS_POLL = 8 };

struct pop_header {
    struct slice group;
    struct slice topic;
    int32_t queue_id;
    int32_t messages_max;
    int64_t invisible_ms;
    int64_t poll_ms;
    int32_t init_mode;
    struct slice expression_type;
    struct slice expression;
    bool order;
};

static enum status header_decode(const struct command *command, uint32_t has,
                                 struct pop_header *header)
{
    *header = (struct pop_header){0};
    const struct {
        uint32_t of;
        const char *name;
        int32_t *value;
    } ints[] = {
        {0, "queueId", &header->queue_id},
        {HAS_MAX, "maxMsgNums", &header->messages_max},
        {HAS_INIT, "initMode", &header->init_mode},
    };
    const struct {
        uint32_t of;
        const char *name;
        int64_t *value;
    } longs[] = {
        {HAS_INVISIBLE, "invisibleTime", &header->invisible_ms},
        {HAS_POLL, "pollTime", &header->poll_ms},
    };
    enum status status = command_text(command, "consumerGroup", GROUP_NAME_MAX, &header->group);
    if (status == STATUS_OK) {
        status = command_text(command, "topic", TOPIC_NAME_DERIVED_MAX, &header->topic);
    }
    for (size_t i = 0; status == STATUS_OK && i < sizeof ints / sizeof ints[0]; i++) {
        if ((has & ints[i].of) == ints[i].of) {
            status = command_i32(command, ints[i].name, true, ints[i].value);
        }
    }
    for (size_t i = 0; status == STATUS_OK && i < sizeof longs / sizeof longs[0]; i++) {
        if ((has & longs[i].of) == longs[i].of) {
            status = command_i64(command, longs[i].name, true, longs[i].value);
        }
    }
    command_find(command, "expType", &header->expression_type);
    command_find(command, "exp", &header->expression);
    return status == STATUS_OK ? command_bool(command, "order", &header->order) : status;
}

static enum status check_numbers(struct request *request, uint32_t has,
                                 const struct pop_header *header)
{
    if ((has & HAS_MAX) != 0 &&
        (header->messages_max < 1 || header->messages_max > POP_OFFSETS_MAX)) {
        return request_fail(request, STATUS_INVALID_ARGUMENT, "maxMsgNums must be 1 to %d",
                            POP_OFFSETS_MAX);
    }
    if ((has & HAS_INVISIBLE) != 0 && header->invisible_ms < 1) {
        return request_fail(request, STATUS_INVALID_ARGUMENT, "invisibleTime must be positive");
    }
    if (header->order) {
        return request_fail(request, STATUS_NOT_SUPPORTED,
                            "popping in order is not supported: use orderly pulling");
    }
    return STATUS_OK;
}

static enum status check_topic(struct broker *broker, struct request *request,
                               const struct pop_header *header)
{
    const struct topic *topic = machine_topic_find(broker->machine, header->topic);
    if (topic == NULL) {
        return request_fail(request, STATUS_TOPIC_UNKNOWN, "topic %.*s does not exist on %s",
                            SLICE_ARGS(header->topic), broker->group->name.text);
    }
    if ((topic->perm & PERM_READ) == 0) {
        return request_fail(request, STATUS_NO_PERMISSION, "topic %s is not readable",
                            topic->name.text);
    }
    if (header->queue_id >= topic->read_queue_count) {
        return request_fail(request, STATUS_QUEUE_INVALID,
                            "queue id %d is not within the %d read queues of topic %s",
                            header->queue_id, topic->read_queue_count, topic->name.text);
    }
    return STATUS_OK;
}

static enum status check_group(struct broker *broker, struct request *request,
                               const struct pop_header *header)
{
    struct group_spec fallback;
    const struct group_spec *group = auto_create_group(broker, header->group, &fallback);
    if (group == NULL) {
        return request_fail(request, STATUS_GROUP_UNKNOWN, "consumer group %.*s does not exist",
                            SLICE_ARGS(header->group));
    }
    if (!group->consume_enable) {
        return request_fail(request, STATUS_NO_PERMISSION, "consumer group %.*s may not consume",
                            SLICE_ARGS(header->group));
    }
    return STATUS_OK;
}

/* One that a follower relays to us is not held for longer than it waits for us. */
static uint64_t deadline_of(const struct broker *broker, const struct request *request,
                            const struct pop_header *header)
{
    if (header->poll_ms <= 0) {
        return 0;
    }
    int64_t wait = header->poll_ms < POLL_MAX_MS ? header->poll_ms : POLL_MAX_MS;
    if (request->channel->via != NULL && wait > (int64_t)broker->settings->hold_ms) {
        wait = (int64_t)broker->settings->hold_ms;
    }
    return clock_monotonic_ms(broker->ports->clock) + (uint64_t)wait;
}

/* Decode and check what all these requests have. `needs` is for people. */
static enum status read_request(struct broker *broker, struct request *request, uint32_t has,
                                const char *needs, struct pop_header *header)
{
    if (header_decode(request->command, has, header) != STATUS_OK) {
        return request_fail(request, STATUS_FIELD_MISSING, "%s", needs);
    }
    enum status status = check_numbers(request, has, header);
    if (status == STATUS_OK) {
        status = check_topic(broker, request, header);
    }
    return status == STATUS_OK ? check_group(broker, request, header) : status;
}

/* The request is well: serve it, now or later. */
static enum status serve(struct broker *broker, struct request *request, enum pop_purpose purpose,
                         const struct pop_header *header)
{
    struct pop pop = {.to = request->to, .purpose = purpose};
    struct sql_trouble trouble;
    struct slice all = slice_text("*");
    enum status status = message_filter_new(&broker->channels.filters, header->expression_type,
                                            header->expression.size == 0 ? all : header->expression,
                                            &pop.filter, &trouble);
    if (status != STATUS_OK) {
        return request_fail(request, status, "%s", trouble.text);
    }
    // They fit: their sizes were checked when they were decoded.
    (void)name_set(&pop.group, header->group);
    (void)name_set(&pop.topic, header->topic);
    uint64_t invisible_ms = (uint64_t)header->invisible_ms;
    pop.queue_id = header->queue_id;
    pop.messages_max = (uint32_t)header->messages_max;
    pop.invisible_ms = invisible_ms < INVISIBLE_MAX_MS ? invisible_ms : INVISIBLE_MAX_MS;
    pop.from_max = header->init_mode == INIT_MAX;
    pop.deadline_ms = deadline_of(broker, request, header);
    pops_serve(&broker->pops, &pop);
    return STATUS_PENDING;
}

enum status process_pop(struct broker *broker, struct request *request)
{
    struct pop_header header;
    enum status status =
        read_request(broker, request, HAS_MAX | HAS_INVISIBLE | HAS_INIT | HAS_POLL,
                     "a pop needs consumerGroup, topic, queueId, maxMsgNums, invisibleTime, "
                     "pollTime and initMode",
                     &header);
    return status == STATUS_OK ? serve(broker, request, POP_TO_TAKE, &header) : status;
}

enum status process_peek(struct broker *broker, struct request *request)
{
    struct pop_header header;
    enum status status =
        read_request(broker, request, HAS_MAX,
                     "a peek needs consumerGroup, topic, queueId and maxMsgNums", &header);
    header.expression = slice_of(NULL, 0); // It has none.
    return status == STATUS_OK ? serve(broker, request, POP_TO_SHOW, &header) : status;
}

enum status process_notification(struct broker *broker, struct request *request)
{
    struct pop_header header;
    enum status status =
        read_request(broker, request, HAS_POLL,
                     "a notification needs consumerGroup, topic, queueId and pollTime", &header);
    header.messages_max = 1; // One is enough to be told.
    return status == STATUS_OK ? serve(broker, request, POP_TO_TELL, &header) : status;
}

enum status process_polling_info(struct broker *broker, struct request *request)
{
    struct pop_header header;
    enum status status =
        read_request(broker, request, 0, "consumerGroup, topic and queueId are required", &header);
    if (status == STATUS_OK) {
        size_t count = pops_waiting(&broker->pops, header.group, header.topic, header.queue_id);
        request_add_i64(request, "pollingNum", (int64_t)count);
    }
    return status;
}
