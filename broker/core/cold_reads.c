#include "broker/core/cold_reads.h"

#include "broker/core/broker.h"

void cold_reads_init(struct cold_reads *reads, struct broker *broker)
{
    *reads = (struct cold_reads){.broker = broker};
    list_init(&reads->waiting);
}

static bool has_room(const struct cold_reads *reads, const struct cold_read *read)
{
    return reads->under_way_count == 0 || reads->under_way_size + read->size <= COLD_READS_SIZE_MAX;
}

static void begin(struct cold_reads *reads, struct cold_read *read)
{
    read->under_way = true;
    reads->under_way_size += read->size;
    reads->under_way_count++;
}

/* The one that has waited longest; NULL. */
static struct cold_read *first(const struct cold_reads *reads)
{
    return list_empty(&reads->waiting) ? NULL
                                       : CONTAINER_OF(reads->waiting.next, struct cold_read, line);
}

static void stop_waiting(struct cold_reads *reads, struct cold_read *read)
{
    list_remove(&read->line);
    reads->waiting_size -= read->held;
}

void cold_reads_close(struct cold_reads *reads)
{
    for (struct cold_read *read; (read = first(reads)) != NULL;) {
        stop_waiting(reads, read);
        read->go_on(read, STATUS_SHUTTING_DOWN);
    }
}

enum status cold_reads_enter(struct cold_reads *reads, struct cold_read *read)
{
    const struct broker *broker = reads->broker;
    if (read->under_way) {
        return STATUS_OK;
    }
    if (list_empty(&reads->waiting) && has_room(reads, read)) {
        begin(reads, read);
        return STATUS_OK;
    }
    if (broker->stopping) {
        return STATUS_SHUTTING_DOWN;
    }
    if (read->hurried || reads->waiting_size + read->held > COLD_READS_WAITING_MAX) {
        return STATUS_OVERLOADED;
    }
    read->since_ms = clock_monotonic_ms(broker->ports->clock);
    reads->waiting_size += read->held;
    list_append(&reads->waiting, &read->line);
    return STATUS_PENDING;
}

void cold_reads_leave(struct cold_reads *reads, struct cold_read *read)
{
    if (read->under_way) {
        read->under_way = false;
        reads->under_way_size -= read->size;
        reads->under_way_count--;
    }
}

bool cold_reads_crowded(const struct cold_reads *reads)
{
    return reads->waiting_size > COLD_READS_WAITING_MAX / 2;
}

void cold_reads_turn(struct cold_reads *reads)
{
    for (struct cold_read *read; (read = first(reads)) != NULL && has_room(reads, read);) {
        stop_waiting(reads, read);
        begin(reads, read);
        read->go_on(read, STATUS_OK);
    }
}

void cold_reads_tick(struct cold_reads *reads, uint64_t now_ms)
{
    for (struct cold_read *read;
         (read = first(reads)) != NULL && now_ms - read->since_ms > COLD_READS_WAIT_MAX_MS;) {
        stop_waiting(reads, read);
        read->go_on(read, STATUS_OVERLOADED);
    }
}
