#include "broker/core/queue_start.h"

#include "broker/core/broker.h"

bool queue_is_young(struct broker *broker, const struct queue *queue)
{
    const uint64_t young_bytes = 1024 * 1024 * 1024;
    struct index_entry first;
    struct index_entry last;
    uint32_t count = 0;
    if (queue->offset_first > 0) {
        return false;
    }
    if (queue->offset_next == 0) {
        return true;
    }
    return machine_queue_read(broker->machine, queue, 0, 1, &first, &count) == STATUS_OK &&
           count == 1 &&
           machine_queue_read(broker->machine, queue, queue->offset_next - 1, 1, &last, &count) ==
               STATUS_OK &&
           count == 1 && last.position - first.position < young_bytes;
}
