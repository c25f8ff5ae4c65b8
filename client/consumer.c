#include "client/consumer.h"

#include "client/expression.h"
#include "client/heartbeat.h"
#include "client/invoke.h"
#include "client/subscriptions.h"
#include "common/remoting/body_stats.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum {
    PULL_MESSAGES_DEFAULT = 32,
    PULL_MESSAGES_MAX = 1024,
    QUEUE_MESSAGES_DEFAULT = 1000,
    REDELIVER_DEFAULT_MS = 1000,
    RETRIES_DEFAULT = 16, /* Of a broadcasting consumer; for others the broker has it. */
    RETRY_LEVEL_MAX = 18,
    SUBSCRIPTIONS_MAX = HEARTBEAT_SUBSCRIPTIONS_MAX - 1,
};

static enum raftmq_status check(const struct raftmq_consumer_options *options,
                                struct raftmq_error *error);
static enum raftmq_status ask_about_expressions(struct raftmq_client *client,
                                                const struct raftmq_consumer_options *options,
                                                struct raftmq_error *error);
static void copy_topics(struct raftmq_consumer *consumer,
                        const struct raftmq_consumer_options *options);
static void consumer_free(struct raftmq_consumer *consumer);
static void start(void *argument);
static void on_persist(struct alarm *alarm);
static void begin_close(void *argument);
static void store_last(struct raftmq_consumer *consumer);
static void on_last_stored(void *context, enum status status, const struct command *response);
static void finish_close(struct raftmq_consumer *consumer);

enum raftmq_status raftmq_consumer_new(struct raftmq_client *client,
                                       const struct raftmq_consumer_options *options,
                                       struct raftmq_consumer **out, struct raftmq_error *error)
{
    enum raftmq_status status = check(options, error);
    if (status == RAFTMQ_OK) {
        status = ask_about_expressions(client, options, error);
    }
    if (status != RAFTMQ_OK) {
        return status;
    }
    struct raftmq_consumer *consumer = mem_zalloc(sizeof *consumer);
    consumer->client = client;
    consumer->options = *options;
    consumer->listener = options->listener;
    consumer->context = options->context;
    consumer->version = (int64_t)clock_wall_ms(client->clock);
    (void)name_set(&consumer->group, slice_text(options->group));
    if (options->pull_messages_max == 0) {
        consumer->options.pull_messages_max = PULL_MESSAGES_DEFAULT;
    }
    if (options->queue_messages_max == 0) {
        consumer->options.queue_messages_max = QUEUE_MESSAGES_DEFAULT;
    }
    if (options->redeliver_ms == 0) {
        consumer->options.redeliver_ms = REDELIVER_DEFAULT_MS;
    }
    if (options->retries_max == 0 && options->broadcasting) {
        consumer->options.retries_max = RETRIES_DEFAULT;
    }
    atomic_init(&consumer->stopping, false);
    list_init(&consumer->queues);
    list_init(&consumer->rounds);
    list_init(&consumer->leaving);
    list_init(&consumer->lock_calls);
    consumer->locks.ring = locks_on_alarm;
    consumer->rebalance.ring = rebalance_on_alarm;
    consumer->persist.ring = on_persist;
    copy_topics(consumer, options);
    if (options->broadcasting) {
        status = broadcast_open(&consumer->broadcast, options->offsets_directory, &consumer->group,
                                error);
        if (status != RAFTMQ_OK) {
            consumer_free(consumer);
            return status;
        }
    }
    tasks_run_anywhere(&client->tasks, start, consumer);
    if (!list_linked(&consumer->in_client)) {
        consumer_free(consumer);
        return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                         "this client has a consumer of that group already");
    }
    *out = consumer;
    return error_none(error);
}

static enum raftmq_status check_subscriptions(const struct raftmq_consumer_options *options,
                                              struct raftmq_error *error)
{
    struct name retry; // See copy_topics().
    bool has_retry = !options->broadcasting && topic_retry_of(slice_text(options->group), &retry);
    if (!subscriptions_differ(options->subscriptions, options->subscription_count)) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "a topic is subscribed to twice");
    }
    for (size_t i = 0; i < options->subscription_count; i++) {
        struct slice topic = slice_text(options->subscriptions[i].topic);
        if (!topic_name_valid(topic)) {
            return error_set(error, RAFTMQ_INVALID_ARGUMENT, "a topic name is not valid");
        }
        if (has_retry && slice_equals(topic, name_slice(&retry))) {
            return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                             "the group's retry topic is subscribed to without being asked for");
        }
        if (options->subscriptions[i].type == RAFTMQ_SQL92 &&
            slice_text(options->subscriptions[i].expression).size == 0) {
            return error_set(error, RAFTMQ_INVALID_ARGUMENT, "an SQL92 expression is missing");
        }
    }
    return RAFTMQ_OK;
}

static enum raftmq_status check(const struct raftmq_consumer_options *options,
                                struct raftmq_error *error)
{
    if (!group_name_valid(slice_text(options->group))) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "the group name is not valid");
    }
    if (options->listener == NULL || options->subscription_count == 0 ||
        options->subscription_count > SUBSCRIPTIONS_MAX ||
        options->pull_messages_max > PULL_MESSAGES_MAX) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                         "a consumer needs a listener, 1 to %d subscriptions and pulls of at "
                         "most %d messages",
                         SUBSCRIPTIONS_MAX, PULL_MESSAGES_MAX);
    }
    if (options->broadcasting && options->offsets_directory == NULL) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                         "a broadcasting consumer needs a directory for its offsets");
    }
    if (options->retries_max > INT32_MAX || options->retry_level < 0 ||
        options->retry_level > RETRY_LEVEL_MAX || (options->orderly && options->retry_level != 0)) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                         "the retry level is not 0 to %d (orderly: 0), or there are too many "
                         "retries",
                         RETRY_LEVEL_MAX);
    }
    return check_subscriptions(options, error);
}

/* Ask one broker of the topic whether it takes an SQL92 expression. */
static enum raftmq_status ask_about(struct raftmq_client *client, const char *group,
                                    const struct raftmq_subscription *subscription,
                                    struct raftmq_error *error)
{
    struct raftmq_route *route;
    if (raftmq_topic_route(client, subscription->topic, &route, error) != RAFTMQ_OK) {
        return RAFTMQ_OK;
    }
    enum raftmq_status status = RAFTMQ_OK;
    if (route->queue_count > 0) {
        const struct client_check question = {
            .client_id = name_slice(&client->id),
            .group = slice_text(group),
            .subscription = {.topic = slice_text(subscription->topic),
                             .expression = slice_text(subscription->expression),
                             .expression_type = expression_type_name(subscription->type)},
        };
        struct command request;
        struct reply reply = {0};
        struct buf body = {0};
        client_check_encode(&question, &body);
        command_init_request(&request, REQUEST_CHECK_CLIENT_CONFIG, 0);
        request.body = buf_slice(&body);
        status =
            invoke_broker(client, slice_text(subscription->topic),
                          slice_text(route->queues[0].broker), &request, 0, NULL, &reply, error);
        if (status == RAFTMQ_REFUSED && reply.command.code == RESPONSE_SERVICE_NOT_AVAILABLE) {
            status = RAFTMQ_OK;
        }
        reply_close(&reply);
        buf_close(&body);
    }
    raftmq_route_free(route);
    return status == RAFTMQ_REFUSED ? status : RAFTMQ_OK;
}

static enum raftmq_status ask_about_expressions(struct raftmq_client *client,
                                                const struct raftmq_consumer_options *options,
                                                struct raftmq_error *error)
{
    enum raftmq_status status = RAFTMQ_OK;
    for (size_t i = 0; status == RAFTMQ_OK && i < options->subscription_count; i++) {
        if (options->subscriptions[i].type == RAFTMQ_SQL92) {
            status = ask_about(client, options->group, &options->subscriptions[i], error);
        }
    }
    return status;
}

static void copy_topics(struct raftmq_consumer *consumer,
                        const struct raftmq_consumer_options *options)
{
    consumer->topics = mem_zalloc((options->subscription_count + 1) * sizeof *consumer->topics);
    for (size_t i = 0; i < options->subscription_count; i++) {
        struct consumer_topic *topic = &consumer->topics[consumer->topic_count++];
        const char *expression = options->subscriptions[i].expression;
        topic->type = options->subscriptions[i].type;
        (void)name_set(&topic->topic, slice_text(options->subscriptions[i].topic));
        buf_put_text(&topic->expression,
                     expression == NULL || expression[0] == '\0' ? "*" : expression);
    }
    if (options->broadcasting) {
        return;
    }
    // Messages that a broker takes back come again by this topic.
    struct consumer_topic *retry = &consumer->topics[consumer->topic_count++];
    ASSERT(topic_retry_of(name_slice(&consumer->group), &retry->topic));
    buf_put_text(&retry->expression, "*");
}

static void consumer_free(struct raftmq_consumer *consumer)
{
    for (size_t i = 0; i < consumer->topic_count; i++) {
        buf_close(&consumer->topics[i].expression);
    }
    free(consumer->topics);
    broadcast_close(&consumer->broadcast);
    free(consumer);
}

static void start(void *argument)
{
    struct raftmq_consumer *consumer = argument;
    struct raftmq_client *client = consumer->client;
    LIST_FOREACH(at, &client->consumers)
    {
        const struct raftmq_consumer *other = CONTAINER_OF(at, struct raftmq_consumer, in_client);
        if (slice_equals(name_slice(&other->group), name_slice(&consumer->group))) {
            return; // Brokers know one member per client and group.
        }
    }
    list_append(&client->consumers, &consumer->in_client);
    heartbeat_all(client);
    alarms_set(&client->alarms, &consumer->rebalance, 0);
    alarms_set(&client->alarms, &consumer->persist, client->options.persist_offsets_ms);
}

void consumer_describe(const struct raftmq_consumer *consumer, struct arena *arena,
                       struct consumer_data *out)
{
    *out = (struct consumer_data){
        .group = name_slice(&consumer->group),
        .consume_type = CONSUME_PASSIVELY,
        .message_model = consumer->options.broadcasting ? MODEL_BROADCASTING : MODEL_CLUSTERING,
        .consume_from =
            consumer->options.from == RAFTMQ_FROM_FIRST ? CONSUME_FROM_FIRST : CONSUME_FROM_LAST,
        .subscription_count = consumer->topic_count,
        .subscriptions = arena_array(arena, consumer->topic_count, sizeof *out->subscriptions),
    };
    for (size_t i = 0; i < consumer->topic_count; i++) {
        out->subscriptions[i] = (struct subscription_data){
            .topic = name_slice(&consumer->topics[i].topic),
            .expression = buf_slice(&consumer->topics[i].expression),
            .expression_type = expression_type_name(consumer->topics[i].type),
            .version = consumer->version,
        };
    }
}

void consumers_on_members_changed(struct raftmq_client *client, struct slice group)
{
    LIST_FOREACH(at, &client->consumers)
    {
        struct raftmq_consumer *consumer = CONTAINER_OF(at, struct raftmq_consumer, in_client);
        if (!consumer->closing && slice_equals(name_slice(&consumer->group), group)) {
            rebalance_anew(consumer);
        }
    }
}

static void reset(struct consumed_queue *queue, const struct queue_offset *offsets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (offsets[i].offset >= 0 && offsets[i].queue.queue_id == queue->queue_id &&
            slice_equals(offsets[i].queue.topic, name_slice(&queue->topic->topic)) &&
            slice_equals(offsets[i].queue.broker, name_slice(&queue->broker))) {
            queue_reset(queue, offsets[i].offset);
        }
    }
}

void consumers_on_reset(struct raftmq_client *client, const struct command *command)
{
    struct slice group;
    struct body body = {0};
    struct queue_offset *offsets;
    size_t count;
    if (!command_find(command, "group", &group) ||
        offset_table_decode(command->body, &body, &offsets, &count) != STATUS_OK) {
        log_warn(&client->log, "a notice of a reset cannot be read", "%s", "");
        return;
    }
    LIST_FOREACH(at, &client->consumers)
    {
        struct raftmq_consumer *consumer = CONTAINER_OF(at, struct raftmq_consumer, in_client);
        if (!consumer->closing && slice_equals(name_slice(&consumer->group), group)) {
            LIST_FOREACH(queue_at, &consumer->queues)
            {
                reset(CONTAINER_OF(queue_at, struct consumed_queue, in_consumer), offsets, count);
            }
        }
    }
    body_close(&body);
}

static void on_persist(struct alarm *alarm)
{
    struct raftmq_consumer *consumer = CONTAINER_OF(alarm, struct raftmq_consumer, persist);
    LIST_FOREACH(at, &consumer->queues)
    {
        queue_store(CONTAINER_OF(at, struct consumed_queue, in_consumer));
    }
    if (consumer->options.broadcasting) {
        (void)broadcast_store(consumer);
    }
    alarms_set(&consumer->client->alarms, alarm, consumer->client->options.persist_offsets_ms);
}

struct count_visit {
    const struct raftmq_consumer *consumer;
    size_t count;
};

static void count_queues(void *argument)
{
    struct count_visit *visit = argument;
    LIST_FOREACH(at, &visit->consumer->queues)
    {
        visit->count++;
    }
}

size_t raftmq_consumer_queue_count(const struct raftmq_consumer *consumer)
{
    struct count_visit visit = {consumer, 0};
    tasks_run_anywhere(&consumer->client->tasks, count_queues, &visit);
    return visit.count;
}

void raftmq_consumer_close(struct raftmq_consumer *consumer)
{
    uv_sem_t closed;
    if (consumer == NULL) {
        return;
    }
    ASSERT(uv_sem_init(&closed, 0) == 0);
    consumer->closed = &closed;
    atomic_store(&consumer->stopping, true);
    tasks_run(&consumer->client->tasks, begin_close, consumer);
    uv_sem_wait(&closed);
    uv_sem_destroy(&closed);
    consumer_free(consumer);
}

/* Stop everything but the listeners that run; then the last offsets, then good-bye. */
static void begin_close(void *argument)
{
    struct raftmq_consumer *consumer = argument;
    struct raftmq_client *client = consumer->client;
    consumer->closing = true;
    alarms_cancel(&client->alarms, &consumer->rebalance);
    alarms_cancel(&client->alarms, &consumer->persist);
    rebalance_cancel(consumer);
    LIST_FOREACH(at, &consumer->queues)
    {
        struct consumed_queue *queue = CONTAINER_OF(at, struct consumed_queue, in_consumer);
        alarms_cancel(&client->alarms, &queue->again);
        rpc_cancel(client->rpc, queue);
        rpc_cancel(client->rpc, &queue->storing);
    }
    consumer_finish_if_idle(consumer);
}

void consumer_finish_if_idle(struct raftmq_consumer *consumer)
{
    if (consumer->closing && consumer->jobs_running == 0 && consumer->calls_running == 0) {
        store_last(consumer);
    }
}

static void store_last(struct raftmq_consumer *consumer)
{
    if (consumer->options.broadcasting) {
        if (!broadcast_store(consumer)) { // Else its end comes here again.
            finish_close(consumer);
        }
        return;
    }
    consumer->calls_running = 1; // Keeps it from finishing within the loop.
    LIST_FOREACH(at, &consumer->queues)
    {
        struct consumed_queue *queue = CONTAINER_OF(at, struct consumed_queue, in_consumer);
        int64_t offset = queue_committed(queue);
        if (queue->located && offset != queue->stored_offset && lock_held(queue) &&
            queue_tell_offset(queue, offset, on_last_stored, consumer) == STATUS_PENDING) {
            consumer->calls_running++;
        }
    }
    if (--consumer->calls_running == 0) {
        finish_close(consumer);
    }
}

static void on_last_stored(void *context, enum status status, const struct command *response)
{
    struct raftmq_consumer *consumer = context;
    if (status != STATUS_OK || response->code != RESPONSE_SUCCESS) {
        log_warn(&consumer->client->log, "a last offset was not stored; messages come again",
                 "group=%s error=%s", consumer->group.text, status_name(status));
    }
    if (--consumer->calls_running == 0) {
        finish_close(consumer);
    }
}

static void finish_close(struct raftmq_consumer *consumer)
{
    locks_cancel(consumer);
    LIST_FOREACH(at, &consumer->queues)
    {
        struct consumed_queue *queue = CONTAINER_OF(at, struct consumed_queue, in_consumer);
        queue->located = false; // Its offset is told already.
        queue_drop(queue);
    }
    list_remove(&consumer->in_client);
    heartbeat_leave(consumer->client, (struct slice){0}, name_slice(&consumer->group));
    uv_sem_post(consumer->closed); // The waiting thread frees it.
}
