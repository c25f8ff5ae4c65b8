/* Queue locks of orderly consumers (41, 42).
 *
 * Leases in the log: a new leader honours them. Taken anew by their holder every 20 s; who asks is
 * told which of the queues it holds now.
 * Source: AdminBrokerProcessor, RebalanceLockManager, RebalanceImpl. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "broker/core/several.h"
#include "common/remoting/body_lock.h"
#include "common/remoting/names.h"

#include <stdlib.h>

/* A request until all its operations have results. */
struct lock_call {
    struct several several;
    enum lock_action action;
    struct body body; /* Holds the texts of request. */
    struct lock_request request;
    struct queue_name *locked; /* Those taken so far. */
    size_t locked_count;
};

static void on_all_locked(struct broker *broker, struct several *several, enum status status)
{
    struct lock_call *call = CONTAINER_OF(several, struct lock_call, several);
    if (status != STATUS_OK) {
        broker_reply_status(broker, &several->to, status, NULL);
    } else {
        struct command response;
        struct buf body = {0};
        reply_init(&response, &several->to, 0);
        if (call->action == LOCK_TAKE) {
            lock_response_encode(call->locked, call->locked_count, &body);
            response.body = buf_slice(&body);
        }
        broker_reply(broker, &several->to, &response);
        buf_close(&body);
    }
    body_close(&call->body);
    free(call->locked);
    free(call);
}

static void on_locked(struct broker *broker, const struct waiter *waiter,
                      const struct operation *operation, const struct operation_result *result)
{
    struct lock_call *call = waiter->context;
    (void)operation;
    const struct queue_name *queues = call->request.queues + waiter->number;
    for (uint32_t i = 0; i < LOCK_PLACES_MAX && result->locked >> i != 0; i++) {
        if ((result->locked >> i & 1) != 0) {
            call->locked[call->locked_count++] = queues[i];
        }
    }
    several_result(broker, &call->several, result->status);
}

/* Propose for the queues from *first on, and move it to the first of the next operation. */
static enum status propose_some(struct broker *broker, struct lock_call *call, size_t *first)
{
    const struct lock_request *request = &call->request;
    struct operation_lock lock = {
        .action = call->action,
        .group = request->group,
        .client = request->client_id,
        .lease_ms = broker->settings->lock_lease_ms,
    };
    size_t size = 64 + request->group.size + request->client_id.size;
    while (lock.count < LOCK_PLACES_MAX && *first + lock.count < request->queue_count) {
        const struct queue_name *queue = &request->queues[*first + lock.count];
        // A name that no topic has must not reach the log; none is locked under it.
        bool possible = queue->topic.size <= TOPIC_NAME_DERIVED_MAX;
        lock.places[lock.count].topic = possible ? queue->topic : slice_of(NULL, 0);
        lock.places[lock.count].queue_id = queue->queue_id;
        size += 16 + queue->topic.size;
        lock.count++;
    }
    struct buf *entry;
    enum status status = proposer_begin(&broker->proposer, size, &entry);
    if (status != STATUS_OK) {
        return status;
    }
    entry_put_lock(entry, &lock);
    const struct waiter waiter = {.done = on_locked, .context = call, .number = *first};
    several_expect(&call->several);
    proposer_add(&broker->proposer, &waiter);
    *first += lock.count;
    return STATUS_OK;
}

static enum status process(struct broker *broker, struct request *request, enum lock_action action)
{
    struct body body = {0};
    struct lock_request decoded;
    enum status status = lock_request_decode(request->command->body, &body, &decoded);
    if (status != STATUS_OK) {
        return request_fail(request, status, "the body is no LockBatchRequestBody");
    }
    if (!group_name_valid(decoded.group)) {
        status = request_fail(request, STATUS_GROUP_INVALID, "%.*s is no name of a group",
                              SLICE_ARGS(decoded.group));
    } else if (decoded.client_id.size == 0 || decoded.client_id.size > CLIENT_ID_MAX) {
        status = request_fail(request, STATUS_INVALID_ARGUMENT, "clientId must have 1 to %d bytes",
                              CLIENT_ID_MAX);
    }
    if (status != STATUS_OK) {
        body_close(&body);
        return status;
    }
    struct lock_call *call = mem_alloc(sizeof *call);
    *call = (struct lock_call){
        .action = action,
        .body = body,
        .request = decoded,
        .locked = mem_alloc((decoded.queue_count + 1) * sizeof *call->locked),
    };
    several_begin(&call->several, &request->to, on_all_locked);
    status = STATUS_OK;
    for (size_t at = 0; at < decoded.queue_count && status == STATUS_OK;) {
        status = propose_some(broker, call, &at);
    }
    several_proposed(broker, &call->several, status);
    return STATUS_PENDING;
}

enum status process_lock_queues(struct broker *broker, struct request *request)
{
    return process(broker, request, LOCK_TAKE);
}

enum status process_unlock_queues(struct broker *broker, struct request *request)
{
    return process(broker, request, LOCK_RELEASE);
}

void queue_locks_extend(struct broker *broker)
{
    struct buf *entry;
    if (!machine_has_locks(broker->machine) ||
        proposer_begin(&broker->proposer, 64, &entry) != STATUS_OK) {
        return;
    }
    const struct operation_lock lock = {
        .action = LOCK_EXTEND,
        .lease_ms = broker->settings->lock_lease_ms,
        .since_ms = machine_clock_ms(broker->machine),
    };
    entry_put_lock(entry, &lock);
    proposer_add(&broker->proposer, &(struct waiter){0});
}
