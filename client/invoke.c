#include "client/invoke.h"

#include "common/remoting/codes.h"

enum { PAUSE_MS = 50 };

/* A call and the thread that waits for it. */
struct call {
    struct task task;
    struct raftmq_client *client;
    bool to_nameserver;
    uint32_t first; /* Of the nameservers that are asked in turn, */
    uint32_t tried; /* and how many were before this one. */
    struct host host;
    struct command *request;
    uint64_t timeout_ms;
    struct reply *reply;
    enum status status;
    uv_sem_t done;
};

/* A question for the address of a broker. */
struct lookup {
    struct task task;
    struct raftmq_client *client;
    struct slice topic;
    struct slice broker;
    bool refresh;
    uint64_t deadline_ms; /* Monotonic. */
    struct route_waiter waiter;
    struct alarm alarm; /* The end of the pause, then the deadline. */
    enum status status;
    struct host host;
    uv_sem_t done;
};

static void run_call(struct task *task);
static void on_end(void *context, enum status status, const struct command *response);
static enum status find_host(struct raftmq_client *client, struct slice topic, struct slice broker,
                             bool refresh, uint64_t deadline_ms, struct host *host);
static void run_lookup(struct task *task);
static void on_pause_over(struct alarm *alarm);
static void on_deadline(struct alarm *alarm);
static void on_route(struct route_waiter *waiter, enum status status, struct known_route *route);
static void end_lookup(struct lookup *lookup, enum status status);

void reply_close(struct reply *reply)
{
    buf_close(&reply->bytes);
}

static struct slice keep_slice(struct buf *bytes, struct slice slice)
{
    buf_put_slice(bytes, slice);
    return slice_of(bytes->data + bytes->size - slice.size, slice.size);
}

/* Copy an answer with all that it borrows. */
static void reply_keep(struct reply *reply, const struct command *answer)
{
    struct buf *bytes = &reply->bytes;
    struct command *kept = &reply->command;
    size_t size = answer->remark.size + answer->body.size;
    for (uint32_t i = 0; i < answer->field_count; i++) {
        size += answer->fields[i].name.size + answer->fields[i].value.size;
    }
    buf_clear(bytes);
    buf_reserve(bytes, size + 1); // It must not move from here on, nor be nowhere.
    *kept = *answer;
    kept->remark = keep_slice(bytes, answer->remark);
    for (uint32_t i = 0; i < answer->field_count; i++) {
        kept->fields[i].name = keep_slice(bytes, answer->fields[i].name);
        kept->fields[i].value = keep_slice(bytes, answer->fields[i].value);
    }
    kept->body = keep_slice(bytes, answer->body);
}

static enum status run_and_wait(struct call *call)
{
    call->task.run = run_call;
    ASSERT(uv_sem_init(&call->done, 0) == 0);
    tasks_post(&call->client->tasks, &call->task);
    uv_sem_wait(&call->done);
    uv_sem_destroy(&call->done);
    return call->status;
}

static uint32_t nameserver_of(const struct call *call)
{
    return (call->first + call->tried) % call->client->routes.nameserver_count;
}

static void run_call(struct task *task)
{
    struct call *call = CONTAINER_OF(task, struct call, task);
    struct raftmq_client *client = call->client;
    enum status status;
    if (call->to_nameserver) {
        call->first = call->tried == 0 ? client->routes.nameserver : call->first;
        status = routes_call_nameserver(&client->routes, nameserver_of(call), call->request,
                                        call->timeout_ms, on_end, call);
    } else {
        status = connections_call(&client->connections, call->host, call->request, call->timeout_ms,
                                  on_end, call);
    }
    if (status != STATUS_PENDING) {
        on_end(call, status, NULL);
    }
}

/* The answer dies when this returns: the waiting thread gets a copy. */
static void on_end(void *context, enum status status, const struct command *response)
{
    struct call *call = context;
    call->status = status;
    if (status == STATUS_OK) {
        reply_keep(call->reply, response);
    } else if (call->to_nameserver) {
        routes_nameserver_failed(&call->client->routes, nameserver_of(call));
    }
    uv_sem_post(&call->done);
}

static uint64_t timeout_of(const struct raftmq_client *client, uint64_t timeout_ms)
{
    return timeout_ms == 0 ? client->options.timeout_ms : timeout_ms;
}

enum raftmq_status invoke_host(struct raftmq_client *client, struct host host,
                               struct command *request, uint64_t timeout_ms, struct reply *reply,
                               struct raftmq_error *error)
{
    struct call call = {
        .client = client,
        .host = host,
        .request = request,
        .timeout_ms = timeout_of(client, timeout_ms),
        .reply = reply,
    };
    enum raftmq_status status = error_of_status(error, run_and_wait(&call));
    if (status == RAFTMQ_OK && error != NULL) {
        error->code = reply->command.code;
    }
    return status;
}

enum raftmq_status invoke_nameserver(struct raftmq_client *client, struct command *request,
                                     uint64_t timeout_ms, struct reply *reply,
                                     struct raftmq_error *error)
{
    enum status status = STATUS_CONNECT_FAILED;
    struct call call = {
        .client = client,
        .to_nameserver = true,
        .request = request,
        .timeout_ms = timeout_of(client, timeout_ms),
        .reply = reply,
    };
    for (; call.tried < client->routes.nameserver_count && status != STATUS_OK; call.tried++) {
        status = run_and_wait(&call);
    }
    return error_of_status(error, status);
}

static bool among(int32_t code, const int32_t *codes)
{
    for (; codes != NULL && *codes != -1; codes++) {
        if (*codes == code) {
            return true;
        }
    }
    return code == RESPONSE_SUCCESS;
}

enum raftmq_status invoke_broker(struct raftmq_client *client, struct slice topic,
                                 struct slice broker, struct command *request, uint64_t timeout_ms,
                                 const int32_t *codes_ok, struct reply *reply,
                                 struct raftmq_error *error)
{
    uint64_t deadline_ms = clock_monotonic_ms(client->clock) + timeout_of(client, timeout_ms);
    enum raftmq_status status = error_of_status(error, STATUS_TIMED_OUT);
    for (bool refresh = false;; refresh = true) {
        struct host host;
        enum status found = find_host(client, topic, broker, refresh, deadline_ms, &host);
        uint64_t now_ms = clock_monotonic_ms(client->clock);
        if (found == STATUS_TIMED_OUT || (found == STATUS_OK && now_ms >= deadline_ms)) {
            return status; // What was said last.
        }
        if (found == STATUS_OK) {
            status = invoke_host(client, host, request, deadline_ms - now_ms, reply, error);
            if (status == RAFTMQ_OK && among(reply->command.code, codes_ok)) {
                return RAFTMQ_OK;
            }
            if (status == RAFTMQ_OK) {
                status = error_of_response(error, &reply->command);
            }
            if (status == RAFTMQ_REFUSED && reply->command.code != RESPONSE_SERVICE_NOT_AVAILABLE) {
                return status;
            }
        } else {
            status = error_of_status(error, found);
        }
        // No leader, not where it was, or busy with what we sent: it costs nothing to look again.
        bool again = status == RAFTMQ_REFUSED || status == RAFTMQ_CONNECT_FAILED ||
                     (status == RAFTMQ_OVERLOADED && found == STATUS_OK) ||
                     (status == RAFTMQ_NO_ROUTE && found == STATUS_NOT_FOUND);
        if (!again || clock_monotonic_ms(client->clock) + PAUSE_MS >= deadline_ms) {
            return status;
        }
    }
}

/* Errors: as of routes_get(), STATUS_NOT_FOUND if the broker has no leader, STATUS_TIMED_OUT if the
 * deadline came first. */
static enum status find_host(struct raftmq_client *client, struct slice topic, struct slice broker,
                             bool refresh, uint64_t deadline_ms, struct host *host)
{
    struct lookup lookup = {
        .task.run = run_lookup,
        .client = client,
        .topic = topic,
        .broker = broker,
        .refresh = refresh,
        .deadline_ms = deadline_ms,
        .waiter.done = on_route,
    };
    ASSERT(uv_sem_init(&lookup.done, 0) == 0);
    tasks_post(&client->tasks, &lookup.task);
    uv_sem_wait(&lookup.done);
    uv_sem_destroy(&lookup.done);
    *host = lookup.host;
    return lookup.status;
}

static void run_lookup(struct task *task)
{
    struct lookup *lookup = CONTAINER_OF(task, struct lookup, task);
    if (lookup->refresh) {
        lookup->alarm.ring = on_pause_over;
        routes_refresh(&lookup->client->routes, lookup->topic);
        alarms_set(&lookup->client->alarms, &lookup->alarm, PAUSE_MS);
    } else {
        on_pause_over(&lookup->alarm);
    }
}

static void on_pause_over(struct alarm *alarm)
{
    struct lookup *lookup = CONTAINER_OF(alarm, struct lookup, alarm);
    struct raftmq_client *client = lookup->client;
    uint64_t now_ms = clock_monotonic_ms(client->clock);
    lookup->alarm.ring = on_deadline;
    alarms_set(&client->alarms, &lookup->alarm,
               lookup->deadline_ms > now_ms ? lookup->deadline_ms - now_ms : 0);
    routes_get(&client->routes, lookup->topic, &lookup->waiter);
}

static void on_deadline(struct alarm *alarm)
{
    struct lookup *lookup = CONTAINER_OF(alarm, struct lookup, alarm);
    routes_forget(&lookup->waiter);
    end_lookup(lookup, STATUS_TIMED_OUT);
}

static void on_route(struct route_waiter *waiter, enum status status, struct known_route *route)
{
    struct lookup *lookup = CONTAINER_OF(waiter, struct lookup, waiter);
    (void)route;
    if (status == STATUS_OK &&
        !routes_host(&lookup->client->routes, lookup->broker, 0, &lookup->host)) {
        status = STATUS_NOT_FOUND;
    }
    end_lookup(lookup, status);
}

static void end_lookup(struct lookup *lookup, enum status status)
{
    alarms_cancel(&lookup->client->alarms, &lookup->alarm);
    lookup->status = status;
    uv_sem_post(&lookup->done); // The waiting thread has it from here on.
}
