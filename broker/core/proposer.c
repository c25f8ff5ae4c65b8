#include "broker/core/proposer.h"

#include "broker/core/broker.h"
#include "broker/core/forwarded_results.h"
#include "common/remoting/extension.h"

#include <stdlib.h>

enum { SPARE_BATCHES_MAX = 8, SPARE_CAPACITY_MAX = 1024 * 1024 };

static struct batch *batch_open(struct proposer *proposer);
static void batch_recycle(struct proposer *proposer, struct batch *batch);
static void batch_end(struct proposer *proposer, struct batch *batch, enum status why);
static bool batch_propose(struct proposer *proposer, struct batch *batch);
static bool batch_forward(struct proposer *proposer, struct batch *batch);
static void end_all(struct proposer *proposer, struct list *batches, enum status why);

void proposer_init(struct proposer *proposer, struct broker *broker)
{
    *proposer = (struct proposer){.broker = broker, .next_opaque = 1};
    list_init(&proposer->ready);
    list_init(&proposer->proposed);
    list_init(&proposer->forwarded);
    list_init(&proposer->spare);
}

void proposer_close(struct proposer *proposer)
{
    end_all(proposer, &proposer->ready, STATUS_SHUTTING_DOWN);
    end_all(proposer, &proposer->forwarded, STATUS_UNKNOWN_OUTCOME);
    ASSERT(list_empty(&proposer->proposed)); // The replica dropped them when it closed.
    while (!list_empty(&proposer->spare)) {
        struct batch *batch = CONTAINER_OF(list_pop(&proposer->spare), struct batch, link);
        buf_close(&batch->entry);
        free(batch->waiters);
        free(batch);
    }
}

enum status proposer_begin(struct proposer *proposer, size_t size, struct buf **entry)
{
    if (broker_leads(proposer->broker) && proposer->broker->log_full) {
        return STATUS_DISK_FULL;
    }
    if (proposer->operation_count >= proposer->broker->settings->inflight_max ||
        proposer->ready_size + size > PROPOSER_READY_MAX) {
        return STATUS_OVERLOADED;
    }
    struct batch *batch = list_empty(&proposer->ready)
                              ? NULL
                              : CONTAINER_OF(proposer->ready.prev, struct batch, link);
    if (batch == NULL ||
        (batch->waiter_count > 0 && batch->entry.size + size > ENTRY_SIZE_TARGET)) {
        batch = batch_open(proposer);
    }
    *entry = &batch->entry;
    return STATUS_OK;
}

void proposer_add(struct proposer *proposer, const struct waiter *waiter)
{
    struct batch *batch = CONTAINER_OF(proposer->ready.prev, struct batch, link);
    if (batch->waiter_count == batch->waiter_capacity) {
        batch->waiter_capacity = batch->waiter_capacity == 0 ? 64 : batch->waiter_capacity * 2;
        batch->waiters =
            mem_realloc(batch->waiters, batch->waiter_capacity * sizeof batch->waiters[0]);
    }
    batch->waiters[batch->waiter_count++] = *waiter;
    proposer->ready_size += batch->entry.size - batch->counted;
    batch->counted = batch->entry.size;
    proposer->operation_count++;
    ASSERT(batch->waiter_count == entry_count(&batch->entry));
}

/* Where a batch is decides whose bytes it counts among. */
static void ready_remove(struct proposer *proposer, struct batch *batch)
{
    list_remove(&batch->link);
    proposer->ready_size -= batch->counted;
}

static void ready_put_back(struct proposer *proposer, struct batch *batch)
{
    list_prepend(&proposer->ready, &batch->link);
    proposer->ready_size += batch->counted;
}

static void forwarded_remove(struct proposer *proposer, struct batch *batch)
{
    list_remove(&batch->link);
    proposer->forwarded_size -= batch->counted;
}

void proposer_turn(struct proposer *proposer)
{
    while (!list_empty(&proposer->ready)) {
        struct batch *batch = CONTAINER_OF(proposer->ready.next, struct batch, link);
        if (batch->waiter_count == 0) {
            ready_remove(proposer, batch);
            batch_recycle(proposer, batch);
            continue;
        }
        struct broker *broker = proposer->broker;
        bool gone =
            broker_leads(broker) ? batch_propose(proposer, batch) : batch_forward(proposer, batch);
        if (!gone) {
            return;
        }
    }
}

/* Did the batch leave the ready list? */
static bool batch_propose(struct proposer *proposer, struct batch *batch)
{
    struct broker *broker = proposer->broker;
    const struct broker_ports *ports = broker->ports;
    if (!ports->has_room(ports->context)) {
        return false;
    }
    entry_finish(&batch->entry, broker_now_ms(broker));
    ready_remove(proposer, batch);
    list_append(&proposer->proposed, &batch->link);
    struct buf entry = batch->entry;
    batch->entry = (struct buf){0};
    enum status status = ports->propose(ports->context, entry.data, entry.size, batch);
    if (status != STATUS_OK) {
        // It is in no log and still ours: first in line again, for whoever leads next.
        batch->entry = entry;
        list_remove(&batch->link);
        ready_put_back(proposer, batch);
        return false;
    }
    return true; // The batch itself may have ended within the call.
}

/* Elections take a while: without a pause batches would fly to and fro as fast as the network is.
 */
static bool was_just_refused(const struct proposer *proposer)
{
    uint64_t now = clock_monotonic_ms(proposer->broker->ports->clock);
    return proposer->refused_ms != 0 && now - proposer->refused_ms < PROPOSER_REFUSED_PAUSE_MS;
}

void proposer_on_leader_changed(struct proposer *proposer)
{
    proposer->refused_ms = 0;
}

static bool batch_forward(struct proposer *proposer, struct batch *batch)
{
    struct broker *broker = proposer->broker;
    const struct broker_ports *ports = broker->ports;
    struct buf *out = broker->state.leader_id == 0 ? NULL : ports->leader_out(ports->context);
    if (out == NULL || proposer->forwarded_size >= PROPOSER_FORWARDED_MAX ||
        was_just_refused(proposer)) {
        return false; // Waits for a leader, or for answers; proposer_tick() bounds how long.
    }
    batch->opaque = proposer->next_opaque;
    proposer->next_opaque = proposer->next_opaque == INT32_MAX ? 1 : proposer->next_opaque + 1;
    batch->connection = broker->leader_connection;
    forwarded_batch_encode(batch->opaque, buf_slice(&batch->entry), out);
    ports->leader_flush(ports->context);
    ready_remove(proposer, batch);
    list_append(&proposer->forwarded, &batch->link);
    proposer->forwarded_size += batch->counted;
    broker->counters.forwarded += batch->waiter_count;
    return true;
}

void proposer_tick(struct proposer *proposer)
{
    struct broker *broker = proposer->broker;
    uint64_t now = clock_monotonic_ms(broker->ports->clock);
    LIST_FOREACH(at, &proposer->ready)
    {
        struct batch *batch = CONTAINER_OF(at, struct batch, link);
        bool late = now - batch->opened_ms > broker->settings->hold_ms;
        if (late && !broker_leads(broker)) {
            ready_remove(proposer, batch);
            batch_end(proposer, batch, STATUS_NO_LEADER);
        }
    }
    LIST_FOREACH(at, &proposer->forwarded)
    {
        // The leader answers or its connection breaks; this is for one that does neither.
        struct batch *batch = CONTAINER_OF(at, struct batch, link);
        if (now - batch->opened_ms > 2 * broker->settings->hold_ms) {
            proposer->silent_connection = batch->connection;
            forwarded_remove(proposer, batch);
            batch_end(proposer, batch, STATUS_UNKNOWN_OUTCOME);
        }
    }
}

void proposer_result(struct proposer *proposer, struct batch *batch, uint32_t ordinal,
                     const struct operation *operation, const struct operation_result *result)
{
    ASSERT(ordinal < batch->waiter_count);
    const struct waiter *waiter = &batch->waiters[ordinal];
    proposer->operation_count--;
    if (waiter->done != NULL) {
        waiter->done(proposer->broker, waiter, operation, result);
    }
}

void proposer_applied(struct proposer *proposer, struct batch *batch)
{
    list_remove(&batch->link);
    batch_recycle(proposer, batch);
}

void proposer_dropped(struct proposer *proposer, struct batch *batch, enum status why)
{
    list_remove(&batch->link);
    batch_end(proposer, batch, why);
}

/* Tell every waiter that there is no result. */
static void batch_end(struct proposer *proposer, struct batch *batch, enum status why)
{
    const struct operation_result result = {.status = why};
    for (uint32_t i = 0; i < batch->waiter_count; i++) {
        proposer_result(proposer, batch, i, NULL, &result);
    }
    batch_recycle(proposer, batch);
}

static void end_all(struct proposer *proposer, struct list *batches, enum status why)
{
    // A waiter may add operations, so take the list as it is now.
    struct list taken;
    list_init(&taken);
    while (!list_empty(batches)) {
        list_append(&taken, list_pop(batches));
    }
    while (!list_empty(&taken)) {
        batch_end(proposer, CONTAINER_OF(list_pop(&taken), struct batch, link), why);
    }
}

bool proposer_on_answer(struct proposer *proposer, const struct command *answer)
{
    LIST_FOREACH(at, &proposer->forwarded)
    {
        struct batch *batch = CONTAINER_OF(at, struct batch, link);
        if (batch->opaque != answer->opaque) {
            continue;
        }
        forwarded_remove(proposer, batch);
        if (answer->code == 0 && forwarded_results_deliver(proposer, batch, answer->body)) {
            batch_recycle(proposer, batch);
            return true;
        }
        int32_t why = STATUS_UNKNOWN_OUTCOME;
        if (command_i32(answer, FIELD_STATUS, true, &why) == STATUS_OK &&
            (why == STATUS_NOT_LEADER || why == STATUS_NO_LEADER)) {
            // Whom we took for the leader is none: it kept nothing, so the batch may go again.
            ready_put_back(proposer, batch);
            proposer->refused_ms = clock_monotonic_ms(proposer->broker->ports->clock);
        } else {
            batch_end(proposer, batch,
                      why == STATUS_OK ? STATUS_UNKNOWN_OUTCOME : (enum status)why);
        }
        return true;
    }
    return false;
}

void proposer_on_leader_lost(struct proposer *proposer, uint64_t connection, enum status why)
{
    struct list lost;
    list_init(&lost);
    LIST_FOREACH(at, &proposer->forwarded)
    {
        struct batch *batch = CONTAINER_OF(at, struct batch, link);
        if (batch->connection == connection) {
            forwarded_remove(proposer, batch);
            list_append(&lost, at);
        }
    }
    if (why != STATUS_CONNECT_FAILED) {
        end_all(proposer, &lost, STATUS_UNKNOWN_OUTCOME);
    }
    while (!list_empty(&lost)) {
        struct batch *last = CONTAINER_OF(lost.prev, struct batch, link);
        list_remove(&last->link);
        ready_put_back(proposer, last);
    }
}

bool proposer_awaits_leader(const struct proposer *proposer, uint64_t connection)
{
    LIST_FOREACH(at, &proposer->forwarded)
    {
        if (CONTAINER_OF(at, struct batch, link)->connection == connection) {
            return true;
        }
    }
    return false;
}

static struct batch *batch_open(struct proposer *proposer)
{
    struct batch *batch;
    if (list_empty(&proposer->spare)) {
        batch = mem_zalloc(sizeof *batch);
    } else {
        batch = CONTAINER_OF(list_pop(&proposer->spare), struct batch, link);
        proposer->spare_count--;
    }
    batch->waiter_count = 0;
    batch->counted = 0;
    batch->opened_ms = clock_monotonic_ms(proposer->broker->ports->clock);
    buf_clear(&batch->entry);
    entry_begin(&batch->entry);
    list_append(&proposer->ready, &batch->link);
    return batch;
}

static void batch_recycle(struct proposer *proposer, struct batch *batch)
{
    if (proposer->spare_count >= SPARE_BATCHES_MAX) {
        buf_close(&batch->entry);
        free(batch->waiters);
        free(batch);
        return;
    }
    if (batch->entry.capacity > SPARE_CAPACITY_MAX) {
        buf_close(&batch->entry);
    }
    list_append(&proposer->spare, &batch->link);
    proposer->spare_count++;
}
