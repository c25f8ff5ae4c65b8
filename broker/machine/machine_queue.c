/* Queues: which message has which offset, and how far each goes. Their index:
 * machine_queue_index.c. */
#include "broker/machine/machine_internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { HASH_READ_ENTRIES = 256 };

int64_t queue_append(struct machine *machine, struct queue *queue, const struct index_entry *entry)
{
    queue_index_append(machine, queue, entry);
    queue_mark_dirty(machine, queue);
    if (!list_linked(&queue->touched)) {
        queue->grew_segment = machine->entry_position / SEGMENT_SIZE;
        list_append(&machine->queues_touched, &queue->touched);
    }
    queue_report(machine, queue);
    queue->grown_count++;
    queue->grown_size += entry->size;
    return queue->offset_next++;
}

void queue_report(struct machine *machine, struct queue *queue)
{
    if (!list_linked(&queue->grown)) {
        queue->grown_count = 0;
        queue->grown_size = 0;
        list_append(&machine->queues_grown, &queue->grown);
    }
}

void queues_report_grown(struct machine *machine)
{
    for (struct list *node; (node = list_pop(&machine->queues_grown)) != NULL;) {
        const struct queue *queue = CONTAINER_OF(node, struct queue, grown);
        if (machine->events.on_queue_grown != NULL) {
            machine->events.on_queue_grown(machine->events.context, queue,
                                           queue->offset_next - queue->grown_count);
        }
    }
}

void queue_init(struct queue *queue, struct topic *topic, int32_t id)
{
    *queue = (struct queue){.topic = topic, .id = id, .chunk_first = -1};
}

void queue_mark_dirty(struct machine *machine, struct queue *queue)
{
    if (!list_linked(&queue->dirty)) {
        list_append(&machine->queues_dirty, &queue->dirty);
        machine->queues_dirty_count++;
        machine->dirty_size += QUEUE_ROW_OVERHEAD;
    }
}

void queue_moved(struct machine *machine, struct queue *queue, struct queue *from)
{
    ASSERT(!list_linked(&from->grown));
    bool dirty = list_linked(&from->dirty);
    bool touched = list_linked(&from->touched);
    list_remove(&from->dirty);
    list_remove(&from->touched);
    *queue = *from;
    if (dirty) {
        list_append(&machine->queues_dirty, &queue->dirty);
    }
    if (touched) {
        list_append(&machine->queues_touched, &queue->touched);
    }
    queue_index_moved(queue);
}

void queue_close(struct machine *machine, struct queue *queue)
{
    list_remove(&queue->dirty);
    list_remove(&queue->grown);
    list_remove(&queue->touched);
    queue_index_close(machine, queue);
}

void queue_cut(struct machine *machine, struct queue *queue, int64_t offset_first)
{
    ASSERT(offset_first >= queue->offset_first && offset_first <= queue->offset_next);
    int64_t before = queue->offset_first;
    queue->offset_first = offset_first;
    popped_cut(machine, queue, offset_first);
    queue_mark_dirty(machine, queue);
    queue_index_cut(machine, queue, before);
}

enum status queue_load(struct machine *machine, struct slice key, struct slice value)
{
    uint64_t topic_id;
    int32_t queue_id;
    struct queue_row row;
    struct topic *topic =
        key_queue_parse(key, &topic_id, &queue_id) ? topic_by_id(machine, topic_id) : NULL;
    if (topic == NULL || queue_id < 0 || (uint32_t)queue_id >= topic->queue_count ||
        queue_row_decode(value, &row) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    struct queue *queue = &topic->queues[queue_id];
    queue->offset_first = row.offset_first;
    queue->offset_next = row.offset_next;
    queue->grew_segment = row.grew_segment;
    if (row.offset_next > 0 && row.grew_segment == machine_segment_newest(machine)) {
        list_append(&machine->queues_touched, &queue->touched);
    }
    return STATUS_OK;
}

void queues_checkpoint(struct machine *machine, struct kv_batch *batch)
{
    struct buf value = {0};
    for (struct list *node; (node = list_pop(&machine->queues_dirty)) != NULL;) {
        const struct queue *queue = CONTAINER_OF(node, struct queue, dirty);
        struct queue_row row = {queue->offset_first, queue->offset_next, queue->grew_segment};
        struct key key = key_queue(queue->topic->id, queue->id);
        buf_clear(&value);
        queue_row_encode(&row, &value);
        kv_batch_put(batch, key_slice(&key), buf_slice(&value));
    }
    buf_close(&value);
}

enum status queue_hash(struct machine *machine, const struct queue *queue, uint64_t *sum)
{
    struct key key = key_queue(queue->topic->id, queue->id);
    enum status status = STATUS_OK;
    uint64_t hash = 0;
    struct buf packed = {0};
    struct index_entry entries[HASH_READ_ENTRIES];
    buf_put_le64(&packed, (uint64_t)queue->offset_first);
    buf_put_le64(&packed, (uint64_t)queue->offset_next);
    buf_put_le64(&packed, queue->grew_segment);
    for (int64_t offset = queue->offset_first; offset < queue->offset_next;) {
        uint32_t count = 0;
        status = machine_queue_read(machine, queue, offset, HASH_READ_ENTRIES, entries, &count);
        if (status != STATUS_OK) {
            break;
        }
        ASSERT(count > 0);
        for (uint32_t i = 0; i < count; i++) {
            index_entry_encode(&entries[i], buf_extend(&packed, INDEX_ENTRY_SIZE));
        }
        hash = XXH3_64bits_withSeed(packed.data, packed.size, hash);
        buf_clear(&packed);
        offset += count;
    }
    buf_put_le64(&packed, hash);
    *sum += machine_item_hash(KEY_QUEUE, key_slice(&key), buf_slice(&packed));
    buf_close(&packed);
    return status;
}

const struct queue *machine_queue_find(const struct machine *machine, struct slice topic_name,
                                       int32_t queue_id)
{
    const struct topic *topic = topic_find(machine, topic_name);
    if (topic == NULL || queue_id < 0 || (uint32_t)queue_id >= topic->queue_count) {
        return NULL;
    }
    return &topic->queues[queue_id];
}
