/* A send's way: route, queue, attempt, and what the answer means for the next one.
 *
 *   start ─► route known? ──no──► wait for it (and for that of the template topic)
 *              │yes                       │
 *              ▼                          ▼
 *           attempt ◄──── pause ◄──── again? ──no──► end
 *              └──────── answer ────────► ▲
 *
 * The alarm rings when a pause is over, or when a route was waited for until the deadline. */
#include "client/outgoing.h"
#include "client/producer.h"
#include "common/base/decimal.h"
#include "common/remoting/codes.h"
#include "common/remoting/extension.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum { PAUSE_FIRST_MS = 20, PAUSE_MAX_MS = 200 };

/* What an answer, or the lack of one, means. */
enum verdict { VERDICT_DONE, VERDICT_FREE, VERDICT_COUNTED, VERDICT_FAIL };

static void attempt(struct send *send);
static void on_route(struct route_waiter *waiter, enum status status, struct known_route *route);
static bool choose_queue(struct send *send, struct known_route *route, struct host *host);
static size_t publish_queues(const struct send *send, const struct known_route *route, size_t i);
static void transmit(struct send *send, struct host host);
static void on_answer(void *context, enum status status, const struct command *response);
static enum verdict judge_failure(enum status status);
static enum verdict judge_code(int32_t code);
static bool read_result(struct send *send, const struct command *response);
static void read_hint(struct send *send, const struct command *response);
static void try_again(struct send *send, enum verdict verdict);
static void on_alarm(struct alarm *alarm);

static uint64_t now_of(const struct send *send)
{
    return uv_now(&send->producer->client->loop);
}

void send_start(struct task *task)
{
    struct send *send = CONTAINER_OF(task, struct send, task);
    struct raftmq_producer *producer = send->producer;
    list_append(&producer->sends, &send->in_producer);
    send->waiter.done = on_route;
    send->alarm.ring = on_alarm;
    send->deadline_ms = now_of(send) + send->timeout_ms;
    error_set(&send->error, RAFTMQ_NO_ROUTE, "no nameserver answered in time");
    if (producer->closing) {
        error_of_status(&send->error, STATUS_CANCELED);
        send_end(send);
        return;
    }
    attempt(send);
}

/* An attempt that surely stored nothing says nothing of an earlier one whose answer was lost. */
static void tell_of_loss(struct send *send)
{
    const struct raftmq_error last = send->error;
    if (send->lost != STATUS_OK &&
        (last.status == RAFTMQ_REFUSED || last.status == RAFTMQ_CONNECT_FAILED ||
         last.status == RAFTMQ_NO_ROUTE || last.status == RAFTMQ_OVERLOADED)) {
        enum raftmq_status status = error_of_status(&send->error, send->lost);
        error_set(&send->error, status, "%s; tried again: %s", status_text(send->lost),
                  last.remark);
        send->error.code = last.code;
    }
}

void send_end(struct send *send)
{
    struct raftmq_producer *producer = send->producer;
    tell_of_loss(send);
    list_remove(&send->in_producer);
    routes_forget(&send->waiter);
    alarms_cancel(&producer->client->alarms, &send->alarm);
    client_release_send(producer->client);
    send->done(send);
    producer_finish_if_idle(producer);
}

void send_free(struct send *send)
{
    buf_close(&send->body);
    buf_close(&send->properties);
    buf_close(&send->scratch);
    free(send);
}

static void attempt(struct send *send)
{
    struct routes *routes = &send->producer->client->routes;
    struct slice topic = send->default_topic ? slice_text(TOPIC_DEFAULT) : name_slice(&send->topic);
    if (now_of(send) >= send->deadline_ms) {
        send_end(send);
        return;
    }
    if (send->hinted) {
        send->hinted = false;
        transmit(send, send->hint);
        return;
    }
    struct known_route *route = routes_find(routes, topic);
    struct host host;
    if (route == NULL) {
        alarms_set(&send->producer->client->alarms, &send->alarm, send->deadline_ms - now_of(send));
        routes_get(routes, topic, &send->waiter);
    } else if (choose_queue(send, route, &host)) {
        transmit(send, host);
    } else {
        error_set(&send->error, RAFTMQ_NO_ROUTE, "no broker of the topic has a leader");
        routes_refresh(routes, topic);
        try_again(send, VERDICT_FREE);
    }
}

static void on_route(struct route_waiter *waiter, enum status status, struct known_route *route)
{
    struct send *send = CONTAINER_OF(waiter, struct send, waiter);
    (void)route;
    alarms_cancel(&send->producer->client->alarms, &send->alarm);
    if (status == STATUS_OK) {
        attempt(send);
    } else if (status == STATUS_TOPIC_UNKNOWN && !send->default_topic) {
        send->default_topic = true; // As RocketMQ's clients: the broker will make the topic.
        attempt(send);
    } else if (status == STATUS_TOPIC_UNKNOWN) {
        error_set(&send->error, RAFTMQ_NO_ROUTE, "no nameserver knows topic %s", send->topic.text);
        send_end(send);
    } else if (status == STATUS_CANCELED || status == STATUS_LIMIT) {
        error_of_status(&send->error, status);
        send_end(send);
    } else {
        error_set(&send->error, RAFTMQ_NO_ROUTE, "no nameserver answered (%s)",
                  status_name(status));
        try_again(send, VERDICT_FREE);
    }
}

/* Queues of entry i of the route that this send may use. */
static size_t publish_queues(const struct send *send, const struct known_route *route, size_t i)
{
    const struct queue_data *data = &route->route.queues[i];
    struct host host;
    if ((data->perm & PERM_WRITE) == 0 || data->write_queues <= 0 ||
        !routes_host(&send->producer->client->routes, data->broker, 0, &host)) {
        return 0;
    }
    bool few = send->default_topic && data->write_queues > DEFAULT_TOPIC_QUEUES;
    return few ? DEFAULT_TOPIC_QUEUES : (size_t)data->write_queues;
}

/* The next queue in turn, on another broker than the last if there is one; for sharded messages
 * always the same one. False if no queue can be written to. */
static bool choose_queue(struct send *send, struct known_route *route, struct host *host)
{
    const struct topic_route *data = &route->route;
    size_t total = 0;
    size_t elsewhere = 0;
    for (size_t i = 0; i < data->queue_count; i++) {
        size_t count = publish_queues(send, route, i);
        total += count;
        if (!slice_equals(data->queues[i].broker, name_slice(&send->broker))) {
            elsewhere += count;
        }
    }
    if (total == 0) {
        return false;
    }
    bool avoid = !send->sharded && send->broker.size > 0 && elsewhere > 0;
    size_t pick = send->sharded ? send->shard % total : route->turn++ % (avoid ? elsewhere : total);
    for (size_t i = 0; i < data->queue_count; i++) {
        size_t count = publish_queues(send, route, i);
        if (avoid && slice_equals(data->queues[i].broker, name_slice(&send->broker))) {
            continue;
        }
        if (pick < count) {
            send->queue_id = (int32_t)pick;
            return name_set(&send->broker, data->queues[i].broker) &&
                   routes_host(&send->producer->client->routes, data->queues[i].broker, 0, host);
        }
        pick -= count;
    }
    UNREACHABLE();
}

static void transmit(struct send *send, struct host host)
{
    struct raftmq_producer *producer = send->producer;
    struct command request;
    const struct outgoing outgoing = {
        .group = name_slice(&producer->group),
        .topic = name_slice(&send->topic),
        .broker = name_slice(&send->broker),
        .queue_id = send->queue_id,
        .sys_flag = send->sys_flag,
        .flag = send->flag,
        .born_ms = send->born_ms,
        .properties = buf_slice(&send->properties),
        .body = buf_slice(&send->body),
        .batch = send->batch,
    };
    outgoing_request(&outgoing, &send->scratch, &request);
    struct connections *connections = &producer->client->connections;
    uint64_t left_ms = send->deadline_ms - now_of(send);
    enum status status =
        send->oneway ? connections_send(connections, host, &request)
                     : connections_call(connections, host, &request, left_ms, on_answer, send);
    if (status == STATUS_OVERLOADED) { // This connection is busy: the next may be another.
        error_of_status(&send->error, status);
        try_again(send, judge_failure(status));
    } else if (send->oneway) {
        error_none(&send->error);
        send_end(send);
    } else if (status == STATUS_PENDING) {
        send->attempts++;
    } else {
        error_of_status(&send->error, status);
        routes_refresh(&producer->client->routes, name_slice(&send->topic));
        try_again(send, judge_failure(status));
    }
}

static void on_answer(void *context, enum status status, const struct command *response)
{
    struct send *send = context;
    struct raftmq_client *client = send->producer->client;
    enum verdict verdict;
    if (status != STATUS_OK) {
        error_of_status(&send->error, status);
        if (status == STATUS_CONNECTION_LOST || status == STATUS_TIMED_OUT) {
            send->lost = status;
        }
        if (status != STATUS_CANCELED) {
            routes_refresh(&client->routes, name_slice(&send->topic));
        }
        try_again(send, judge_failure(status));
        return;
    }
    verdict = judge_code(response->code);
    if (verdict == VERDICT_DONE) {
        if (!read_result(send, response)) {
            error_set(&send->error, RAFTMQ_MALFORMED, "the answer to a send lacks fields");
        }
        send_end(send);
        return;
    }
    error_of_response(&send->error, response);
    if (response->code == RESPONSE_SERVICE_NOT_AVAILABLE) {
        read_hint(send, response);
        routes_refresh(&client->routes, name_slice(&send->topic));
    }
    try_again(send, verdict);
}

static enum verdict judge_failure(enum status status)
{
    switch (status) {
    case STATUS_CONNECT_FAILED:
    case STATUS_OVERLOADED:
        return VERDICT_FREE; // Nothing was sent.
    case STATUS_CONNECTION_LOST:
    case STATUS_TIMED_OUT:
        return VERDICT_COUNTED; // It may have been stored.
    default:
        return VERDICT_FAIL;
    }
}

static enum verdict judge_code(int32_t code)
{
    switch (code) {
    case RESPONSE_SUCCESS:
    case RESPONSE_FLUSH_DISK_TIMEOUT:
    case RESPONSE_SLAVE_NOT_AVAILABLE:
    case RESPONSE_FLUSH_SLAVE_TIMEOUT:
        return VERDICT_DONE;
    case RESPONSE_SERVICE_NOT_AVAILABLE:
    case RESPONSE_SYSTEM_BUSY:
    case RESPONSE_FLOW_CONTROL:
    case RESPONSE_GO_AWAY:
        return VERDICT_FREE;
    case RESPONSE_SYSTEM_ERROR:
    case RESPONSE_NO_PERMISSION:
    case RESPONSE_TOPIC_NOT_EXIST:
    case RESPONSE_NO_BUYER_ID:
    case RESPONSE_NOT_IN_CURRENT_UNIT:
        return VERDICT_COUNTED;
    default:
        return VERDICT_FAIL;
    }
}

static void try_again(struct send *send, enum verdict verdict)
{
    struct raftmq_client *client = send->producer->client;
    uint64_t pause_ms = 0;
    if (verdict == VERDICT_COUNTED) {
        send->counted++;
    } else {
        // The first other broker at once; when all refuse, ever slower.
        uint32_t doublings = send->free_retries < 5 ? send->free_retries : 5;
        pause_ms = send->free_retries++ == 0 ? 0 : (uint64_t)PAUSE_FIRST_MS << doublings;
        pause_ms = pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms;
    }
    bool last = verdict == VERDICT_FAIL || send->producer->closing ||
                send->counted >= client->options.send_attempts_max ||
                now_of(send) + pause_ms >= send->deadline_ms;
    if (last) {
        send_end(send);
    } else {
        alarms_set(&client->alarms, &send->alarm, pause_ms);
    }
}

static void on_alarm(struct alarm *alarm)
{
    struct send *send = CONTAINER_OF(alarm, struct send, alarm);
    if (list_linked(&send->waiter.node)) {
        send_end(send);
    } else {
        attempt(send);
    }
}

/* The leader of the same broker group, if the refusing replica knows it: a raftmq extension. */
static void read_hint(struct send *send, const struct command *response)
{
    struct slice text;
    send->hinted = command_find(response, FIELD_LEADER_HINT, &text) &&
                   host_parse(text, &send->hint) == STATUS_OK && send->free_retries < 3;
}

static void copy_text(char *to, size_t size, struct slice from)
{
    size_t count = from.size < size ? from.size : size - 1;
    if (count > 0) {
        memcpy(to, from.data, count);
    }
    to[count] = '\0';
}

static bool read_result(struct send *send, const struct command *response)
{
    struct raftmq_send_result *result = &send->result;
    struct slice offset_id;
    int64_t offset = 0;
    int32_t queue_id = send->queue_id;
    if (command_i64(response, "queueOffset", true, &offset) != STATUS_OK ||
        command_i32(response, "queueId", true, &queue_id) != STATUS_OK ||
        command_text(response, "msgId", FRAME_SIZE_MAX, &offset_id) != STATUS_OK) {
        return false;
    }
    const uint8_t *comma = offset_id.size == 0 ? NULL : memchr(offset_id.data, ',', offset_id.size);
    if (comma != NULL) { // A batch: the first of its ids.
        offset_id.size = (size_t)(comma - offset_id.data);
    }
    result->status = (enum raftmq_send_status)response->code;
    result->queue_id = queue_id;
    result->queue_offset = offset;
    result->attempts = send->attempts;
    copy_text(result->offset_message_id, sizeof result->offset_message_id, offset_id);
    struct slice handle;
    if (command_find(response, "recallHandle", &handle) &&
        handle.size < sizeof result->recall_handle) {
        copy_text(result->recall_handle, sizeof result->recall_handle, handle);
    }
    copy_text(result->broker, sizeof result->broker, name_slice(&send->broker));
    error_none(&send->error);
    return true;
}
