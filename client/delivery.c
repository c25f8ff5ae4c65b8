/* One message on its way through the listener. A message that the listener wants again is given
 * back to the broker, which delivers it later to any member of the group; a broker that does not
 * take messages back leaves it to us: it stays here and is tried again, ever slower. What an
 * orderly consumer wants again always stays, and all behind it waits. */
#include "client/consumer.h"
#include "common/remoting/codes.h"

#include <stdlib.h>

enum {
    REDELIVER_MAX_MS = 60000,
    SEND_BACK_TIMEOUT_MS = 5000,
    LEVEL_DEAD_LETTER = -1, /* Instead of the level of a delay. */
};

static void run(struct job *job);
static void done(struct job *job);
static void end(struct delivery *delivery);
static void again(struct delivery *delivery);
static bool give_back(struct delivery *delivery, int32_t level);
static void on_given_back(void *context, enum status status, const struct command *response);
static void go_on(struct consumed_queue *queue);
static void keep(struct delivery *delivery);
static void on_again(struct alarm *alarm);

void delivery_begin(struct consumed_queue *queue, struct received *received)
{
    struct delivery *delivery = mem_zalloc(sizeof *delivery);
    delivery->queue = queue;
    delivery->received = *received;
    delivery->job.run = run;
    delivery->job.done = done;
    delivery->again.ring = on_again;
    list_append(&queue->deliveries, &delivery->in_queue);
    queue->delivery_count++;
    queue->delivery_size += received->message.body_size;
    if (queue->consumer->options.orderly) {
        queue_serve(queue);
    } else {
        delivery_hand_over(delivery);
    }
}

void delivery_hand_over(struct delivery *delivery)
{
    struct raftmq_consumer *consumer = delivery->queue->consumer;
    delivery->running = true;
    delivery->queue->running_count++;
    consumer->jobs_running++;
    workers_post(&consumer->client->workers, &delivery->job);
}

/* On a worker. */
static void run(struct job *job)
{
    struct delivery *delivery = CONTAINER_OF(job, struct delivery, job);
    struct raftmq_consumer *consumer = delivery->queue->consumer;
    // It may have waited for a worker, and much may have happened meanwhile.
    delivery->skipped = atomic_load(&consumer->stopping) || atomic_load(&delivery->stale) ||
                        !lock_held(delivery->queue);
    delivery->verdict = RAFTMQ_CONSUME_LATER;
    if (!delivery->skipped) {
        delivery->verdict = consumer->listener(consumer->context, &delivery->received.message);
    }
}

static void done(struct job *job)
{
    struct delivery *delivery = CONTAINER_OF(job, struct delivery, job);
    struct consumed_queue *queue = delivery->queue;
    struct raftmq_consumer *consumer = queue->consumer;
    delivery->running = false;
    queue->running_count--;
    bool stale = atomic_load(&delivery->stale);
    // Of a dropped queue: another member gets it, from the offset that was told.
    bool elsewhere = queue->dropped && !consumer_locks(consumer);
    if (delivery->verdict == RAFTMQ_CONSUMED || stale || elsewhere) {
        end(delivery);
    } else if (queue->dropped) { // Its offset is told after this.
        int64_t offset = delivery->received.message.queue_offset;
        end(delivery);
        queue->next_offset = offset;
    } else if (!consumer->closing && !delivery->skipped) {
        again(delivery);
    } // What was skipped waits for the lock, or for the end.
    queue_delivery_done(queue, stale);
    consumer->jobs_running--;
    consumer_finish_if_idle(consumer);
}

static void end(struct delivery *delivery)
{
    struct consumed_queue *queue = delivery->queue;
    list_remove(&delivery->in_queue);
    queue->delivery_count--;
    queue->delivery_size -= delivery->received.message.body_size;
    received_close(&delivery->received);
    free(delivery);
}

void delivery_forget(struct delivery *delivery)
{
    struct raftmq_client *client = delivery->queue->consumer->client;
    alarms_cancel(&client->alarms, &delivery->again);
    rpc_cancel(client->rpc, delivery); // on_given_back() leaves it alone then.
    end(delivery);
}

/* The listener wants it later, or never. */
static void again(struct delivery *delivery)
{
    struct consumed_queue *queue = delivery->queue;
    const struct raftmq_consumer_options *options = &queue->consumer->options;
    bool here = options->orderly || options->broadcasting; // The broker does not count.
    bool spent = here && options->retries_max > 0 &&
                 delivery->received.message.reconsume_times >= (int32_t)options->retries_max;
    bool give_up = spent || delivery->verdict == RAFTMQ_CONSUME_GIVE_UP;
    queue->suspended = options->orderly;
    if (options->broadcasting) {
        if (give_up) {
            log_warn(&queue->consumer->client->log, "a message is given up",
                     "group=%s topic=%s id=%s", queue->consumer->group.text,
                     delivery->received.message.topic, delivery->received.message.message_id);
            queue->suspended = false;
            end(delivery);
        } else {
            keep(delivery);
        }
        return;
    }
    bool asks = give_up || (!options->orderly && !queue->keeps_failures);
    if (!asks || !give_back(delivery, give_up ? LEVEL_DEAD_LETTER : options->retry_level)) {
        keep(delivery);
    }
}

/* CONSUMER_SEND_MSG_BACK; false if it cannot even be asked. */
static bool give_back(struct delivery *delivery, int32_t level)
{
    struct consumed_queue *queue = delivery->queue;
    struct raftmq_consumer *consumer = queue->consumer;
    const struct raftmq_received *message = &delivery->received.message;
    struct host host;
    struct command request;
    struct buf scratch = {0};
    if (!queue_host(queue, &host)) {
        return false;
    }
    buf_reserve(&scratch, 128);
    command_init_request(&request, REQUEST_CONSUMER_SEND_MSG_BACK, 0);
    command_add_i64(&request, "offset", message->physical_offset, &scratch);
    command_add(&request, "group", name_slice(&consumer->group));
    command_add_i64(&request, "delayLevel", level, &scratch);
    if (consumer->options.retries_max > 0) {
        command_add_i64(&request, "maxReconsumeTimes", consumer->options.retries_max, &scratch);
    }
    command_add(&request, "originMsgId", slice_text(message->message_id));
    command_add(&request, "originTopic", slice_text(message->topic));
    command_add(&request, "unitMode", slice_text("false"));
    command_add(&request, "bname", name_slice(&queue->broker));
    enum status status = connections_call(&consumer->client->connections, host, &request,
                                          SEND_BACK_TIMEOUT_MS, on_given_back, delivery);
    buf_close(&scratch);
    return status == STATUS_PENDING;
}

static void on_given_back(void *context, enum status status, const struct command *response)
{
    struct delivery *delivery = context;
    if (status == STATUS_CANCELED) {
        return; // Whoever canceled ends it.
    }
    struct consumed_queue *queue = delivery->queue;
    if (status == STATUS_OK && response->code == RESPONSE_SUCCESS) {
        end(delivery);
        go_on(queue);
        return;
    }
    if (status == STATUS_OK && response->code == RESPONSE_REQUEST_CODE_NOT_SUPPORTED) {
        queue->keeps_failures = true;
    }
    keep(delivery);
}

/* An orderly queue's wait is over. */
static void go_on(struct consumed_queue *queue)
{
    if (queue->consumer->options.orderly) {
        queue->suspended = false;
        queue_serve(queue);
    }
}

uint64_t delivery_pause_ms(const struct raftmq_consumer_options *options, uint32_t failures)
{
    uint32_t doublings = failures < 16 ? failures : 16;
    if (options->orderly || options->redeliver_ms >= REDELIVER_MAX_MS) {
        return options->redeliver_ms; // Only what doubles has a bound.
    }
    uint64_t pause_ms = options->redeliver_ms << doublings;
    return pause_ms > REDELIVER_MAX_MS ? REDELIVER_MAX_MS : pause_ms;
}

/* Deliver it again here, after a pause. */
static void keep(struct delivery *delivery)
{
    struct raftmq_consumer *consumer = delivery->queue->consumer;
    uint64_t pause_ms = delivery_pause_ms(&consumer->options, delivery->failures++);
    delivery->received.message.reconsume_times++;
    delivery->received.message.delivery_attempt++;
    alarms_set(&consumer->client->alarms, &delivery->again, pause_ms);
}

static void on_again(struct alarm *alarm)
{
    struct delivery *delivery = CONTAINER_OF(alarm, struct delivery, again);
    struct consumed_queue *queue = delivery->queue;
    if (queue->consumer->options.orderly) {
        go_on(queue);
    } else if (!queue->consumer->closing) {
        delivery_hand_over(delivery);
    }
}
