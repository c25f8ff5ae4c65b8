/* PULL_MESSAGE (11), LITE_PULL_MESSAGE (361).
 *
 * Served by any replica from what it has applied, which is committed. Checks are in RocketMQ's
 * order. Source: PullMessageProcessor, PullMessageRequestHeader, PullSysFlag. */
#include "broker/core/auto_create.h"
#include "broker/core/broker.h"
#include "broker/core/offset_commit.h"
#include "broker/core/processors.h"
#include "broker/core/suggestion.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum {
    PULL_COMMIT_OFFSET = 1,
    PULL_SUSPEND = 2,
    PULL_SUBSCRIPTION = 4,
};

struct pull_header {
    struct slice group;
    struct slice topic;
    int32_t queue_id;
    int64_t offset;
    int32_t messages_max;
    int32_t sys_flag;
    int64_t commit_offset;
    int64_t suspend_ms;
    struct slice expression;
    int64_t expression_version;
    struct slice expression_type;
    int32_t bytes_max;
};

static enum status header_decode(const struct command *command, struct pull_header *header)
{
    *header = (struct pull_header){0};
    const struct {
        const char *name;
        bool required;
        int64_t *value;
    } longs[] = {
        {"queueOffset", true, &header->offset},
        {"commitOffset", false, &header->commit_offset},
        {"suspendTimeoutMillis", false, &header->suspend_ms},
        {"subVersion", false, &header->expression_version},
    };
    const struct {
        const char *name;
        bool required;
        int32_t *value;
    } ints[] = {
        {"queueId", true, &header->queue_id},
        {"maxMsgNums", true, &header->messages_max},
        {"sysFlag", true, &header->sys_flag},
        {"maxMsgBytes", false, &header->bytes_max},
    };
    enum status status = command_text(command, "consumerGroup", GROUP_NAME_MAX, &header->group);
    if (status == STATUS_OK) {
        status = command_text(command, "topic", TOPIC_NAME_DERIVED_MAX, &header->topic);
    }
    for (size_t i = 0; status == STATUS_OK && i < sizeof longs / sizeof longs[0]; i++) {
        status = command_i64(command, longs[i].name, longs[i].required, longs[i].value);
    }
    for (size_t i = 0; status == STATUS_OK && i < sizeof ints / sizeof ints[0]; i++) {
        status = command_i32(command, ints[i].name, ints[i].required, ints[i].value);
    }
    command_find(command, "subscription", &header->expression);
    command_find(command, "expressionType", &header->expression_type);
    return status;
}

static enum status check_topic(struct broker *broker, struct request *request,
                               const struct pull_header *header, struct pull *pull)
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
    if (header->queue_id < 0 || header->queue_id >= topic->read_queue_count) {
        return request_fail(request, STATUS_QUEUE_INVALID,
                            "queue id %d is not within the %d read queues of topic %s",
                            header->queue_id, topic->read_queue_count, topic->name.text);
    }
    pull->topic_sys_flag = topic->sys_flag;
    return STATUS_OK;
}

/* The filter comes with the request, or was announced by a heartbeat. */
static enum status find_filter(struct broker *broker, struct request *request,
                               const struct pull_header *header, const struct group_spec *group,
                               struct pull *pull)
{
    if ((header->sys_flag & PULL_SUBSCRIPTION) != 0) {
        struct sql_trouble trouble;
        enum status status = message_filter_new(&broker->channels.filters, header->expression_type,
                                                header->expression, &pull->filter, &trouble);
        return status == STATUS_OK ? STATUS_OK : request_fail(request, status, "%s", trouble.text);
    }
    struct client_group *members =
        channels_group(&broker->channels, MEMBER_CONSUMER, header->group);
    if (members == NULL) {
        return request_fail(request, STATUS_SUBSCRIPTION_UNKNOWN,
                            "consumer group %.*s has sent no heartbeat here yet",
                            SLICE_ARGS(header->group));
    }
    enum { BROADCASTING = 0 };
    if (members->message_model == BROADCASTING && !group->consume_broadcast_enable) {
        return request_fail(request, STATUS_NO_PERMISSION, "consumer group %.*s may not broadcast",
                            SLICE_ARGS(header->group));
    }
    struct subscription *subscription = client_group_subscription(members, header->topic);
    if (subscription == NULL) {
        return request_fail(request, STATUS_SUBSCRIPTION_UNKNOWN,
                            "consumer group %.*s does not subscribe to %.*s",
                            SLICE_ARGS(header->group), SLICE_ARGS(header->topic));
    }
    if (subscription->version < header->expression_version) {
        return STATUS_SUBSCRIPTION_STALE;
    }
    if (subscription->filter == NULL) {
        return request_fail(
            request, subscription->tags ? STATUS_SUBSCRIPTION_MALFORMED : STATUS_FILTER_UNKNOWN,
            "the subscription of %.*s to %.*s: %s", SLICE_ARGS(header->group),
            SLICE_ARGS(header->topic), subscription->trouble.text);
    }
    pull->filter = message_filter_hold(subscription->filter);
    return STATUS_OK;
}

/* How long it may be parked. The replica that relayed it waits for a bounded time. */
static int64_t wait_max(const struct broker *broker, const struct request *request)
{
    enum { SUSPEND_MAX_MS = 120000 };
    const struct settings *settings = broker->settings;
    if (request->channel->via != NULL) {
        return (int64_t)settings->hold_ms;
    }
    bool sent_here = settings->slave_read && !broker_leads(broker);
    return sent_here ? FOLLOWER_HOLD_MS : SUSPEND_MAX_MS;
}

static void set_bounds(const struct broker *broker, const struct request *request,
                       const struct pull_header *header, struct pull *pull)
{
    const struct settings *settings = broker->settings;
    uint32_t asked = header->messages_max > 0 ? (uint32_t)header->messages_max : 1;
    uint32_t bytes = header->bytes_max > 0 ? (uint32_t)header->bytes_max : UINT32_MAX;
    pull->messages_max = asked < settings->pull_messages_max ? asked : settings->pull_messages_max;
    pull->bytes_max = bytes < settings->pull_bytes_max ? bytes : settings->pull_bytes_max;
    pull->suspend = (header->sys_flag & PULL_SUSPEND) != 0 && header->suspend_ms > 0;
    if (pull->suspend) {
        enum { SHORT_POLLING_MS = 1000 };
        int64_t max = wait_max(broker, request);
        int64_t wait = settings->long_polling ? header->suspend_ms : SHORT_POLLING_MS;
        wait = wait < max ? wait : max;
        pull->deadline_ms = clock_monotonic_ms(broker->ports->clock) + (uint64_t)wait;
    }
}

/* It has pulled where its group was put: the group is not held there any more. It is served once
 * that is in the log, or a leader that does not know of it would throw its next pull back. */
static void on_released(struct broker *broker, const struct waiter *waiter,
                        const struct operation *operation, const struct operation_result *result)
{
    struct pull *pull = waiter->context;
    (void)operation;
    if (result->status == STATUS_OK) {
        pulls_serve_soon(&broker->pulls, pull);
    } else {
        broker_reply_status(broker, &pull->to, result->status, NULL);
        message_filter_release(pull->filter);
    }
    free(pull);
}

/* Takes the pull if it is to wait for this (STATUS_PENDING). STATUS_OK: nothing is held here. */
static enum status take_note(struct broker *broker, const struct pull *pull)
{
    int64_t target;
    if (!machine_offset_held(broker->machine, name_slice(&pull->group), name_slice(&pull->topic),
                             pull->queue_id, &target) ||
        target != pull->offset) {
        return STATUS_OK;
    }
    const struct offset_commit commit = {
        .group = name_slice(&pull->group),
        .topic = name_slice(&pull->topic),
        .queue_id = pull->queue_id,
        .offset = target,
    };
    struct pull *kept = mem_alloc(sizeof *kept);
    *kept = *pull;
    const struct waiter waiter = {.done = on_released, .to = pull->to, .context = kept};
    enum status status = offset_commit_propose(broker, &commit, &waiter);
    if (status != STATUS_PENDING) {
        free(kept);
    }
    return status;
}

/* What the pull says of how far its group is; the next one, or the periodic commit, repeats it. */
static void commit_offset(struct broker *broker, const struct pull_header *header)
{
    const struct offset_commit commit = {
        .group = header->group,
        .topic = header->topic,
        .queue_id = header->queue_id,
        .offset = header->commit_offset,
    };
    if ((header->sys_flag & PULL_COMMIT_OFFSET) == 0 || commit.offset < 0) {
        return;
    }
    enum status status = offset_commit_propose(broker, &commit, NULL);
    (void)status;
}

enum status process_pull(struct broker *broker, struct request *request)
{
    struct pull_header header;
    struct pull pull = {.to = request->to};
    enum status status = header_decode(request->command, &header);
    if (status != STATUS_OK || !name_set(&pull.group, header.group) ||
        !name_set(&pull.topic, header.topic)) {
        return request_fail(request, STATUS_FIELD_MISSING,
                            "a pull needs consumerGroup, topic, queueId, queueOffset, maxMsgNums "
                            "and sysFlag");
    }
    struct group_spec fallback;
    const struct group_spec *group = auto_create_group(broker, header.group, &fallback);
    if (group == NULL) {
        return request_fail(request, STATUS_GROUP_UNKNOWN, "consumer group %.*s does not exist",
                            SLICE_ARGS(header.group));
    }
    if (!group->consume_enable) {
        return request_fail(request, STATUS_NO_PERMISSION, "consumer group %.*s may not consume",
                            SLICE_ARGS(header.group));
    }
    pull.group_sys_flag = group->sys_flag;
    pull.may_leave = group->broker_id_when_slow != LEADER_BROKER_ID;
    pull.brings_filter = (header.sys_flag & PULL_SUBSCRIPTION) != 0;
    pull.queue_id = header.queue_id;
    pull.offset = header.offset;
    set_bounds(broker, request, &header, &pull);
    status = check_topic(broker, request, &header, &pull);
    if (status == STATUS_OK) {
        status = find_filter(broker, request, &header, group, &pull);
    }
    if ((status == STATUS_SUBSCRIPTION_UNKNOWN || status == STATUS_SUBSCRIPTION_STALE) &&
        pulls_send_home(&broker->pulls, &pull)) {
        return STATUS_PENDING; // This follower has restarted: its client was sent here before.
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = take_note(broker, &pull);
    if (status == STATUS_OK) {
        commit_offset(broker, &header);
        pulls_serve(&broker->pulls, &pull);
    } else if (status != STATUS_PENDING) {
        message_filter_release(pull.filter);
        return status;
    }
    return STATUS_PENDING;
}
