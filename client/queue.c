/* One queue that is ours: find where to begin, pull, tell the broker how far we are.
 *
 *   take ─► ask offset ──► (none stored: by consume-from) ─► pull ─► deliver ─┐
 *              ▲ later                                        ▲ ◄─────────────┘ */
#include "client/consumer.h"
#include "client/expression.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum {
    HOLD_MS = 15000,         /* The broker may wait for messages, */
    PULL_TIMEOUT_MS = 30000, /* but not longer than this, with the way to and fro. */
    CALL_TIMEOUT_MS = 5000,
    ERROR_PAUSE_MS = 500,
    FULL_PAUSE_MS = 50,
    QUEUE_SIZE_MAX = 64 * 1024 * 1024, /* Bytes of bodies held for one queue. */
};

/* PullSysFlag */
enum { PULL_COMMIT = 1, PULL_SUSPEND = 2, PULL_SUBSCRIPTION = 4 };

static void locate(struct consumed_queue *queue);
static void on_stored_offset(void *context, enum status status, const struct command *response);
static void locate_locally(struct consumed_queue *queue);
static void locate_new(struct consumed_queue *queue);
static void on_edge(void *context, enum status status, const struct command *response);
static void pull(struct consumed_queue *queue);
static void take_note(struct consumed_queue *queue);
static void on_noted(void *context, enum status status, const struct command *response);
static void rewind_to(struct consumed_queue *queue, int64_t offset);
static void on_pulled(void *context, enum status status, const struct command *response);
static void deliver_all(struct consumed_queue *queue, struct slice body);
static void go_on(struct consumed_queue *queue);
static void on_again(struct alarm *alarm);
static void failed(struct consumed_queue *queue, enum status status,
                   const struct command *response);
static void on_offset_told(void *context, enum status status, const struct command *response);

void queue_take(struct raftmq_consumer *consumer, const struct consumer_topic *topic,
                struct slice broker, int32_t queue_id)
{
    struct consumed_queue *queue = mem_zalloc(sizeof *queue);
    queue->consumer = consumer;
    queue->topic = topic;
    queue->queue_id = queue_id;
    queue->stored_offset = -1;
    queue->storing_offset = -1;
    queue->again.ring = on_again;
    (void)name_set(&queue->broker, broker); // Names of routes fit.
    list_init(&queue->deliveries);
    list_init(&queue->stale);
    list_append(&consumer->queues, &queue->in_consumer);
    if (lock_held(queue)) {
        go_on(queue);
    } else {
        alarms_set(&consumer->client->alarms, &consumer->locks, 0);
    }
}

bool queue_host(const struct consumed_queue *queue, struct host *host)
{
    const struct routes *routes = &queue->consumer->client->routes;
    struct slice broker = name_slice(&queue->broker);
    for (int64_t id = 0; id < BROKER_ADDRESSES_MAX; id++) {
        if (routes_host(routes, broker, id, host)) {
            return true;
        }
    }
    return false;
}

/* A request about this queue. Its numbers, also those added to it, are in scratch, which the caller
 * closes. */
static void begin_request(const struct consumed_queue *queue, int32_t code, struct buf *scratch,
                          struct command *request)
{
    buf_reserve(scratch, 256);
    command_init_request(request, code, 0);
    command_add(request, "consumerGroup", name_slice(&queue->consumer->group));
    command_add(request, "topic", name_slice(&queue->topic->topic));
    command_add_i64(request, "queueId", queue->queue_id, scratch);
    command_add(request, "bname", name_slice(&queue->broker));
}

static enum status call(struct consumed_queue *queue, struct command *request, uint64_t timeout_ms,
                        rpc_cb *cb, void *context)
{
    struct host host;
    if (!queue_host(queue, &host)) {
        return STATUS_CONNECT_FAILED;
    }
    return connections_call(&queue->consumer->client->connections, host, request, timeout_ms, cb,
                            context);
}

/* The follower that the broker suggested for pulls; false: pull as everything else is asked. */
static bool follower_host(const struct consumed_queue *queue, struct host *host)
{
    return queue->pull_from != 0 && routes_host(&queue->consumer->client->routes,
                                                name_slice(&queue->broker), queue->pull_from, host);
}

/* Do what comes next. */
static void go_on(struct consumed_queue *queue)
{
    if (queue->dropped || queue->consumer->closing || queue->pulling) {
        return;
    }
    if (!lock_held(queue) || (queue->consumer->options.orderly && !list_empty(&queue->stale))) {
        return; // take() or queue_delivery_done() comes here again.
    }
    if (!queue->located) {
        locate(queue);
    } else if (queue->delivery_count >= queue->consumer->options.queue_messages_max ||
               queue->delivery_size >= QUEUE_SIZE_MAX) {
        alarms_set(&queue->consumer->client->alarms, &queue->again, FULL_PAUSE_MS);
    } else {
        pull(queue);
    }
}

static void on_again(struct alarm *alarm)
{
    go_on(CONTAINER_OF(alarm, struct consumed_queue, again));
}

/* Try the same again after a pause; perhaps the leader has changed. */
static void failed(struct consumed_queue *queue, enum status status, const struct command *response)
{
    struct raftmq_client *client = queue->consumer->client;
    if (status == STATUS_CANCELED) {
        return; // Dropped or closing: whoever did it goes on.
    }
    if (response == NULL || response->code == RESPONSE_SERVICE_NOT_AVAILABLE) {
        routes_refresh(&client->routes, name_slice(&queue->topic->topic));
    }
    if (response != NULL && response->code == RESPONSE_SUBSCRIPTION_PARSE_FAILED &&
        !queue->refusal_told) {
        log_warn(&client->log, "the broker refuses a subscription",
                 "group=%s topic=%s broker=%s why=%.*s", queue->consumer->group.text,
                 queue->topic->topic.text, queue->broker.text, SLICE_ARGS(response->remark));
        queue->refusal_told = true;
    }
    log_debug(&client->log, "a queue has to wait", "topic=%s broker=%s queue=%d error=%s code=%d",
              queue->topic->topic.text, queue->broker.text, queue->queue_id, status_name(status),
              response == NULL ? -1 : response->code);
    alarms_set(&client->alarms, &queue->again, ERROR_PAUSE_MS);
}

static void locate(struct consumed_queue *queue)
{
    if (queue->consumer->options.broadcasting) {
        locate_locally(queue);
        return;
    }
    struct command request;
    struct buf scratch = {0};
    begin_request(queue, REQUEST_QUERY_CONSUMER_OFFSET, &scratch, &request);
    command_add(&request, "setZeroIfNotFound", slice_text("false"));
    enum status status = call(queue, &request, CALL_TIMEOUT_MS, on_stored_offset, queue);
    buf_close(&scratch);
    if (status == STATUS_PENDING) {
        queue->pulling = true;
    } else {
        failed(queue, status, NULL);
    }
}

static void on_stored_offset(void *context, enum status status, const struct command *response)
{
    struct consumed_queue *queue = context;
    queue->pulling = false;
    if (status == STATUS_OK && response->code == RESPONSE_QUERY_NOT_FOUND) {
        locate_new(queue);
    } else if (status == STATUS_OK && response->code == RESPONSE_SUCCESS &&
               command_i64(response, "offset", true, &queue->next_offset) == STATUS_OK) {
        queue->located = true;
        // Apache RocketMQ 4.9 says 0 for "never stored", too; to its resets that is a difference.
        queue->stored_offset = queue->next_offset > 0 ? queue->next_offset : -1;
        go_on(queue);
    } else {
        failed(queue, status, response);
    }
}

/* A broadcasting consumer knows by itself. */
static void locate_locally(struct consumed_queue *queue)
{
    queue->next_offset =
        local_offsets_find(&queue->consumer->broadcast.offsets, name_slice(&queue->topic->topic),
                           name_slice(&queue->broker), queue->queue_id);
    if (queue->next_offset >= 0) {
        queue->located = true;
        go_on(queue);
    } else {
        locate_new(queue);
    }
}

/* The group is new to this queue. Retry topics are read from their start: nobody else will. */
static void locate_new(struct consumed_queue *queue)
{
    bool first = queue->consumer->options.from == RAFTMQ_FROM_FIRST ||
                 topic_is_retry(name_slice(&queue->topic->topic));
    struct command request;
    struct buf scratch = {0};
    begin_request(queue, first ? REQUEST_GET_MIN_OFFSET : REQUEST_GET_MAX_OFFSET, &scratch,
                  &request);
    enum status status = call(queue, &request, CALL_TIMEOUT_MS, on_edge, queue);
    buf_close(&scratch);
    if (status == STATUS_PENDING) {
        queue->pulling = true;
    } else {
        failed(queue, status, NULL);
    }
}

static void on_edge(void *context, enum status status, const struct command *response)
{
    struct consumed_queue *queue = context;
    queue->pulling = false;
    if (status == STATUS_OK && response->code == RESPONSE_SUCCESS &&
        command_i64(response, "offset", true, &queue->next_offset) == STATUS_OK) {
        queue->located = true;
        go_on(queue);
    } else {
        failed(queue, status, response);
    }
}

static void pull(struct consumed_queue *queue)
{
    const struct raftmq_consumer *consumer = queue->consumer;
    struct command request;
    struct buf scratch = {0};
    struct host follower;
    bool elsewhere = follower_host(queue, &follower);
    int64_t committed = queue_committed(queue);
    // A follower of Apache RocketMQ would keep it to itself; the leader is told by queue_store().
    bool commit = committed > 0 && !consumer->options.broadcasting && !elsewhere;
    int32_t flags = PULL_SUSPEND | PULL_SUBSCRIPTION | (commit ? PULL_COMMIT : 0);
    begin_request(queue, REQUEST_PULL_MESSAGE, &scratch, &request);
    command_add_i64(&request, "queueOffset", queue->next_offset, &scratch);
    command_add_i64(&request, "maxMsgNums", consumer->options.pull_messages_max, &scratch);
    command_add_i64(&request, "sysFlag", flags, &scratch);
    command_add_i64(&request, "commitOffset", committed, &scratch);
    command_add_i64(&request, "suspendTimeoutMillis", HOLD_MS, &scratch);
    command_add(&request, "subscription", buf_slice(&queue->topic->expression));
    command_add_i64(&request, "subVersion", consumer->version, &scratch);
    command_add(&request, "expressionType", expression_type_name(queue->topic->type));
    enum status status = elsewhere ? connections_call(&consumer->client->connections, follower,
                                                      &request, PULL_TIMEOUT_MS, on_pulled, queue)
                                   : call(queue, &request, PULL_TIMEOUT_MS, on_pulled, queue);
    buf_close(&scratch);
    if (status == STATUS_PENDING) {
        queue->pulling = true;
    } else {
        queue->pull_from = 0;
        failed(queue, status, NULL);
    }
}

static void on_pulled(void *context, enum status status, const struct command *response)
{
    struct consumed_queue *queue = context;
    int64_t next = 0;
    queue->pulling = false;
    queue->pull_from = 0; // After an error, too.
    if (status != STATUS_OK) {
        failed(queue, status, response);
        return;
    }
    bool understood =
        command_i64(response, "nextBeginOffset", true, &next) == STATUS_OK &&
        command_i64(response, "suggestWhichBrokerId", false, &queue->pull_from) == STATUS_OK;
    switch (understood ? response->code : -1) {
    case RESPONSE_SUCCESS:
        deliver_all(queue, response->body);
        queue->next_offset = next;
        break;
    case RESPONSE_PULL_NOT_FOUND:
    case RESPONSE_PULL_RETRY_IMMEDIATELY:
        queue->next_offset = next > queue->next_offset ? next : queue->next_offset;
        break;
    case RESPONSE_PULL_OFFSET_MOVED:
        log_warn(&queue->consumer->client->log, "a queue's offset was moved by the broker",
                 "topic=%s broker=%s queue=%d from=%lld to=%lld", queue->topic->topic.text,
                 queue->broker.text, queue->queue_id, (long long)queue->next_offset,
                 (long long)next);
        if (next < queue->next_offset) {
            rewind_to(queue, next); // A reset: what was pulled before must not be committed.
        }
        queue->next_offset = next;
        take_note(queue);
        return;
    default:
        queue->pull_from = 0;
        failed(queue, status, response);
        return;
    }
    go_on(queue);
}

static void deliver_all(struct consumed_queue *queue, struct slice body)
{
    struct slice expression = buf_slice(&queue->topic->expression);
    while (body.size > 0) {
        struct received received;
        if (received_decode(&body, name_slice(&queue->broker), &received) != STATUS_OK) {
            log_warn(&queue->consumer->client->log, "a message cannot be read and is skipped",
                     "topic=%s broker=%s queue=%d", queue->topic->topic.text, queue->broker.text,
                     queue->queue_id);
        } else if (expression_passes(queue->topic->type, expression, &received.message)) {
            delivery_begin(queue, &received);
        } else {
            received_close(&received); // The broker compares hashes only.
        }
    }
}

int64_t queue_committed(const struct consumed_queue *queue)
{
    if (list_empty(&queue->deliveries)) {
        return queue->next_offset;
    }
    const struct delivery *first = CONTAINER_OF(queue->deliveries.next, struct delivery, in_queue);
    return first->received.message.queue_offset;
}

enum status queue_tell_offset(struct consumed_queue *queue, int64_t offset, rpc_cb *cb,
                              void *context)
{
    struct command request;
    struct buf scratch = {0};
    // Closing waits for it no longer than for any other call, also if it is under way by then.
    uint64_t timeout_ms = queue->consumer->client->options.timeout_ms;
    if (!queue->consumer->closing && timeout_ms > CALL_TIMEOUT_MS) {
        timeout_ms = CALL_TIMEOUT_MS;
    }
    begin_request(queue, REQUEST_UPDATE_CONSUMER_OFFSET, &scratch, &request);
    command_add_i64(&request, "commitOffset", offset, &scratch);
    enum status status = call(queue, &request, timeout_ms, cb, context);
    buf_close(&scratch);
    return status;
}

void queue_store(struct consumed_queue *queue)
{
    int64_t offset = queue_committed(queue);
    if (!queue->located || queue->storing_offset >= 0 || offset == queue->stored_offset ||
        !lock_held(queue) || queue->consumer->options.broadcasting) {
        return;
    }
    if (queue_tell_offset(queue, offset, on_offset_told, &queue->storing) == STATUS_PENDING) {
        queue->storing_offset = offset;
    }
}

static void on_offset_told(void *context, enum status status, const struct command *response)
{
    struct consumed_queue *queue = CONTAINER_OF(context, struct consumed_queue, storing);
    if (status == STATUS_OK && response->code == RESPONSE_SUCCESS) {
        queue->stored_offset = queue->storing_offset;
    }
    queue->storing_offset = -1; // Otherwise it is told again with the next round.
}

void queue_drop(struct consumed_queue *queue)
{
    struct raftmq_consumer *consumer = queue->consumer;
    struct raftmq_client *client = consumer->client;
    struct host host;
    int64_t offset = queue_committed(queue);
    if (consumer->options.broadcasting) {
        broadcast_note(queue);
    } else if (!consumer_locks(consumer) && queue->located && offset != queue->stored_offset &&
               queue_host(queue, &host)) {
        // Without waiting for an answer: whoever takes the queue now asks after this arrives.
        struct command request;
        struct buf scratch = {0};
        begin_request(queue, REQUEST_UPDATE_CONSUMER_OFFSET, &scratch, &request);
        command_add_i64(&request, "commitOffset", offset, &scratch);
        connections_send(&client->connections, host, &request);
        buf_close(&scratch);
    }
    queue->dropped = true;
    list_remove(&queue->in_consumer);
    alarms_cancel(&client->alarms, &queue->again);
    rpc_cancel(client->rpc, queue);
    rpc_cancel(client->rpc, &queue->storing);
    queue_forget_waiting(queue);
    if (consumer_locks(consumer)) {
        list_append(&consumer->leaving, &queue->in_consumer);
    }
    queue_delivery_done(queue, false);
}

void queue_forget_waiting(struct consumed_queue *queue)
{
    int64_t first = -1;
    LIST_FOREACH(at, &queue->deliveries)
    {
        struct delivery *delivery = CONTAINER_OF(at, struct delivery, in_queue);
        if (!delivery->running) {
            first = first < 0 ? delivery->received.message.queue_offset : first;
            delivery_forget(delivery);
        }
    }
    queue->next_offset = first < 0 ? queue->next_offset : first;
    queue->suspended = false;
}

/* Say where we are after we were moved, and pull only then: until a reset is noted, raftmq
 * answers each pull elsewhere by moving us again. */
static void take_note(struct consumed_queue *queue)
{
    if (!queue->consumer->options.broadcasting && lock_held(queue) &&
        queue_tell_offset(queue, queue_committed(queue), on_noted, queue) == STATUS_PENDING) {
        queue->pulling = true;
    } else {
        go_on(queue);
    }
}

static void on_noted(void *context, enum status status, const struct command *response)
{
    struct consumed_queue *queue = context;
    (void)response;
    queue->pulling = false;
    if (status != STATUS_CANCELED) {
        go_on(queue); // If it was not noted, we are moved again.
    }
}

void queue_rewind(struct consumed_queue *queue, int64_t offset)
{
    rewind_to(queue, offset);
    go_on(queue);
}

static void rewind_to(struct consumed_queue *queue, int64_t offset)
{
    struct raftmq_client *client = queue->consumer->client;
    alarms_cancel(&client->alarms, &queue->again);
    rpc_cancel(client->rpc, queue);
    rpc_cancel(client->rpc, &queue->storing);
    queue_forget_waiting(queue);
    LIST_FOREACH(at, &queue->deliveries)
    {
        atomic_store(&CONTAINER_OF(at, struct delivery, in_queue)->stale, true);
        list_remove(at);
        list_append(&queue->stale, at);
    }
    queue->located = offset >= 0;
    queue->pull_from = 0; // A follower may not know of a reset yet.
    queue->next_offset = offset >= 0 ? offset : 0;
    queue->stored_offset = -1;
}

void queue_reset(struct consumed_queue *queue, int64_t offset)
{
    queue_rewind(queue, offset);
    if (!queue->consumer->options.broadcasting &&
        queue_tell_offset(queue, offset, on_offset_told, &queue->storing) == STATUS_PENDING) {
        queue->storing_offset = offset;
    }
}

void queue_serve(struct consumed_queue *queue)
{
    if (!queue->dropped && !queue->consumer->closing && !queue->suspended &&
        queue->running_count == 0 && lock_held(queue) && !list_empty(&queue->deliveries)) {
        delivery_hand_over(CONTAINER_OF(queue->deliveries.next, struct delivery, in_queue));
    }
}

void queue_delivery_done(struct consumed_queue *queue, bool stale)
{
    bool orderly = queue->consumer->options.orderly;
    if (queue->dropped && queue->running_count == 0) {
        if (consumer_locks(queue->consumer)) {
            lock_leave(queue);
        } else {
            free(queue);
        }
    } else if (orderly && !queue->dropped) {
        queue_serve(queue);
        if (stale) {
            go_on(queue); // It waited for the listener to return.
        }
    }
}
