/* Locks of the queues of orderly consumers: leases that brokers give to one client at a time.
 *
 *   not held ──granted──► held ──granted again──► held (renewed every 20 s)
 *      ▲                    │
 *      └── refused, or 30 s without a word from the broker
 *
 * Whenever a lock was not held for a moment, another member may have been at work: the queue is
 * begun anew where the broker says. A queue that we give up stays locked until its listener has
 * returned and its offset is stored. Source: RebalanceImpl, ConsumeMessageOrderlyService. */
#include "client/consumer.h"
#include "common/remoting/body_lock.h"
#include "common/remoting/codes.h"

#include <stdlib.h>

enum {
    RENEW_MS = 20000, /* At most; as often as shares are looked at. */
    VALID_MS = 30000, /* Half of what the broker's lease lasts, counted from our asking. */
    RETRY_MS = 500,   /* As long as a queue of ours is not locked. */
    CALL_TIMEOUT_MS = 3000,
};

/* One request under way, about all queues of one broker. */
struct lock_call {
    struct list in_consumer;
    struct raftmq_consumer *consumer;
    struct name broker;
    uint64_t asked_ms;
};

static bool asked(const struct raftmq_consumer *consumer, const struct name *broker);
static bool ask(struct raftmq_consumer *consumer, const struct consumed_queue *first);
static void on_answer(void *context, enum status status, const struct command *response);
static void judge(struct lock_call *call, struct list *queues, const struct queue_name *granted,
                  size_t count);
static void take(struct consumed_queue *queue, uint64_t asked_ms);
static void lose(struct consumed_queue *queue);
static void on_last_offset(void *context, enum status status, const struct command *response);
static void finish_leaving(struct consumed_queue *queue);

static uint64_t now_of(const struct raftmq_consumer *consumer)
{
    return clock_monotonic_ms(consumer->client->clock);
}

bool lock_held(const struct consumed_queue *queue)
{
    return !consumer_locks(queue->consumer) ||
           atomic_load(&queue->lock_until_ms) > now_of(queue->consumer);
}

static struct queue_name name_of(const struct consumed_queue *queue)
{
    return (struct queue_name){name_slice(&queue->topic->topic), name_slice(&queue->broker),
                               queue->queue_id};
}

void locks_on_alarm(struct alarm *alarm)
{
    struct raftmq_consumer *consumer = CONTAINER_OF(alarm, struct raftmq_consumer, locks);
    struct raftmq_client *client = consumer->client;
    struct list *const lists[] = {&consumer->queues, &consumer->leaving};
    uint64_t next_ms =
        client->options.rebalance_ms < RENEW_MS ? client->options.rebalance_ms : RENEW_MS;
    for (size_t i = 0; i < 2; i++) {
        LIST_FOREACH(at, lists[i])
        {
            struct consumed_queue *queue = CONTAINER_OF(at, struct consumed_queue, in_consumer);
            if (!asked(consumer, &queue->broker) && !ask(consumer, queue)) {
                next_ms = RETRY_MS;
            }
        }
    }
    alarms_set(&client->alarms, alarm, next_ms);
}

static bool asked(const struct raftmq_consumer *consumer, const struct name *broker)
{
    LIST_FOREACH(at, &consumer->lock_calls)
    {
        const struct lock_call *call = CONTAINER_OF(at, struct lock_call, in_consumer);
        if (slice_equals(name_slice(&call->broker), name_slice(broker))) {
            return true;
        }
    }
    return false;
}

/* Append the queues of a broker, and note that they were asked about. */
static size_t gather(struct list *queues, const struct name *broker, struct queue_name *names)
{
    size_t count = 0;
    LIST_FOREACH(at, queues)
    {
        struct consumed_queue *queue = CONTAINER_OF(at, struct consumed_queue, in_consumer);
        if (slice_equals(name_slice(&queue->broker), name_slice(broker))) {
            if (names != NULL) {
                names[count] = name_of(queue);
                queue->lock_asked = true;
            }
            count++;
        }
    }
    return count;
}

/* Ask for the locks of all queues of one broker. */
static bool ask(struct raftmq_consumer *consumer, const struct consumed_queue *first)
{
    struct host host;
    if (!queue_host(first, &host)) {
        routes_refresh(&consumer->client->routes, name_slice(&first->topic->topic));
        return false;
    }
    const struct name *broker = &first->broker;
    size_t count =
        gather(&consumer->queues, broker, NULL) + gather(&consumer->leaving, broker, NULL);
    struct queue_name *names = mem_alloc(count * sizeof *names);
    size_t ours = gather(&consumer->queues, broker, names);
    (void)gather(&consumer->leaving, broker, names + ours);
    const struct lock_request request = {
        .group = name_slice(&consumer->group),
        .client_id = name_slice(&consumer->client->id),
        .queue_count = count,
        .queues = names,
    };
    struct lock_call *call = mem_zalloc(sizeof *call);
    struct command command;
    struct buf body = {0};
    call->consumer = consumer;
    call->broker = *broker;
    call->asked_ms = now_of(consumer);
    lock_request_encode(&request, &body);
    command_init_request(&command, REQUEST_LOCK_BATCH_MQ, 0);
    command.body = buf_slice(&body);
    list_append(&consumer->lock_calls, &call->in_consumer);
    bool sent = connections_call(&consumer->client->connections, host, &command, CALL_TIMEOUT_MS,
                                 on_answer, call) == STATUS_PENDING;
    if (!sent) {
        list_remove(&call->in_consumer);
        free(call);
    }
    buf_close(&body);
    free(names);
    return sent;
}

static void on_answer(void *context, enum status status, const struct command *response)
{
    struct lock_call *call = context;
    struct raftmq_consumer *consumer = call->consumer;
    struct body body = {0};
    const struct queue_name *granted;
    size_t count;
    list_remove(&call->in_consumer);
    if (status == STATUS_OK && response->code == RESPONSE_SUCCESS &&
        lock_response_decode(response->body, &body, &granted, &count) == STATUS_OK) {
        judge(call, &consumer->queues, granted, count);
        judge(call, &consumer->leaving, granted, count);
    } else if (status != STATUS_CANCELED) {
        // Our locks may well be held still: they count until their time is over.
        for (size_t i = 0; i < consumer->topic_count; i++) {
            routes_refresh(&consumer->client->routes, name_slice(&consumer->topics[i].topic));
        }
    }
    body_close(&body);
    free(call);
    LIST_FOREACH(at, &consumer->queues)
    {
        if (status != STATUS_CANCELED &&
            !lock_held(CONTAINER_OF(at, struct consumed_queue, in_consumer))) {
            alarms_set(&consumer->client->alarms, &consumer->locks, RETRY_MS);
            break;
        }
    }
}

/* What the answer says of the queues in a list that were asked about. */
static void judge(struct lock_call *call, struct list *queues, const struct queue_name *granted,
                  size_t count)
{
    LIST_FOREACH(at, queues)
    {
        struct consumed_queue *queue = CONTAINER_OF(at, struct consumed_queue, in_consumer);
        bool ours = false;
        if (!queue->lock_asked ||
            !slice_equals(name_slice(&queue->broker), name_slice(&call->broker))) {
            continue;
        }
        queue->lock_asked = false;
        for (size_t i = 0; i < count && !ours; i++) {
            ours = granted[i].queue_id == queue->queue_id &&
                   slice_equals(granted[i].topic, name_slice(&queue->topic->topic)) &&
                   slice_equals(granted[i].broker, name_slice(&queue->broker));
        }
        if (ours) {
            take(queue, call->asked_ms);
        } else {
            lose(queue);
        }
    }
}

/* Did we drop it and get it back, and the listener of before has not returned? */
static bool still_leaving(const struct consumed_queue *queue)
{
    LIST_FOREACH(at, &queue->consumer->leaving)
    {
        const struct consumed_queue *old = CONTAINER_OF(at, struct consumed_queue, in_consumer);
        if (old != queue && old->topic == queue->topic && old->queue_id == queue->queue_id &&
            slice_equals(name_slice(&old->broker), name_slice(&queue->broker))) {
            return true;
        }
    }
    return false;
}

static void take(struct consumed_queue *queue, uint64_t asked_ms)
{
    bool held = lock_held(queue);
    if (!queue->dropped && still_leaving(queue)) {
        return; // Asked for again in a moment.
    }
    atomic_store(&queue->lock_until_ms, asked_ms + VALID_MS);
    if (!held && !queue->dropped) {
        queue_rewind(queue, -1);
    }
}

static void lose(struct consumed_queue *queue)
{
    bool held = atomic_exchange(&queue->lock_until_ms, 0) != 0;
    if (held && !queue->dropped) {
        queue_rewind(queue, -1); // It waits for the lock then.
    }
}

void locks_cancel(struct raftmq_consumer *consumer)
{
    alarms_cancel(&consumer->client->alarms, &consumer->locks);
    while (!list_empty(&consumer->lock_calls)) {
        struct lock_call *call =
            CONTAINER_OF(consumer->lock_calls.next, struct lock_call, in_consumer);
        ASSERT(rpc_cancel(consumer->client->rpc, call) == 1); // on_answer() frees it.
    }
}

void lock_release(struct consumed_queue *queue)
{
    struct raftmq_consumer *consumer = queue->consumer;
    struct host host;
    const struct queue_name name = name_of(queue);
    const struct lock_request request = {
        .group = name_slice(&consumer->group),
        .client_id = name_slice(&consumer->client->id),
        .queue_count = 1,
        .queues = &name,
    };
    if (lock_held(queue) && queue_host(queue, &host)) {
        struct command command;
        struct buf body = {0};
        lock_request_encode(&request, &body);
        command_init_request(&command, REQUEST_UNLOCK_BATCH_MQ, 0);
        command.body = buf_slice(&body);
        // Without an answer: if it is lost, the lease ends by itself.
        connections_send(&consumer->client->connections, host, &command);
        buf_close(&body);
    }
    atomic_store(&queue->lock_until_ms, 0);
}

void lock_leave(struct consumed_queue *queue)
{
    int64_t offset = queue_committed(queue);
    bool news = queue->located && offset != queue->stored_offset && lock_held(queue);
    if (news && queue_tell_offset(queue, offset, on_last_offset, queue) == STATUS_PENDING) {
        queue->consumer->calls_running++; // Unlocked when it is stored: the next one asks for it.
    } else {
        finish_leaving(queue);
    }
}

static void on_last_offset(void *context, enum status status, const struct command *response)
{
    struct consumed_queue *queue = context;
    struct raftmq_consumer *consumer = queue->consumer;
    if (status != STATUS_OK || response->code != RESPONSE_SUCCESS) {
        log_warn(&consumer->client->log, "a last offset was not stored; messages come again",
                 "group=%s error=%s", consumer->group.text, status_name(status));
    }
    finish_leaving(queue);
    consumer->calls_running--;
    consumer_finish_if_idle(consumer);
}

static void finish_leaving(struct consumed_queue *queue)
{
    lock_release(queue);
    list_remove(&queue->in_consumer);
    free(queue);
}
