/* Offsets by time and by position: a queue's index rises in both. */
#include "broker/machine/machine_internal.h"

/* The first offset whose entry is not below `bound` by position (or by store time). */
static enum status lower_bound(struct machine *machine, const struct queue *queue, bool by_time,
                               uint64_t bound, int64_t *offset)
{
    int64_t low = queue->offset_first;
    int64_t high = queue->offset_next;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        struct index_entry entry;
        uint32_t count;
        enum status status = machine_queue_read(machine, queue, middle, 1, &entry, &count);
        if (status != STATUS_OK) {
            return status;
        }
        if ((by_time ? entry.store_time_ms : entry.position) < bound) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *offset = low;
    return STATUS_OK;
}

enum status machine_queue_find_time(struct machine *machine, const struct queue *queue,
                                    uint64_t time_ms, bool upper, int64_t *offset)
{
    if (!upper) {
        return lower_bound(machine, queue, true, time_ms, offset);
    }
    if (time_ms == UINT64_MAX) {
        *offset = queue->offset_next;
    } else {
        enum status status = lower_bound(machine, queue, true, time_ms + 1, offset);
        if (status != STATUS_OK) {
            return status;
        }
    }
    if (*offset > queue->offset_first) {
        *offset -= 1;
    }
    return STATUS_OK;
}

enum status machine_queue_find_position(struct machine *machine, const struct queue *queue,
                                        uint64_t position, int64_t *offset,
                                        struct index_entry *entry)
{
    enum status status = lower_bound(machine, queue, false, position, offset);
    if (status != STATUS_OK) {
        return status;
    }
    uint32_t count;
    status = machine_queue_read(machine, queue, *offset, 1, entry, &count);
    if (status != STATUS_OK) {
        return status;
    }
    return count == 1 && entry->position == position ? STATUS_OK : STATUS_NOT_FOUND;
}
