/* Segments of the log, as far as retention has to know of them.
 *
 * When the log enters a new segment, the one before is complete: where each queue that grew in it
 * stands then is written down once. To cut that segment is to move just these queues there, without
 * looking at any index. A queue that did not grow in a segment costs nothing. */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SEGMENTS_CAPACITY_MIN = 16, SEGMENT_ROW_OVERHEAD = 64 };

static void segment_add(struct machine *machine);
static void segment_complete(struct machine *machine, struct segment *segment);

static uint64_t first_number(const struct machine *machine)
{
    return machine->meta.log_first / SEGMENT_SIZE;
}

static struct segment *newest(const struct machine *machine)
{
    ASSERT(machine->segment_count > 0);
    return &machine->segments[machine->segment_count - 1];
}

static void mark_dirty(struct machine *machine, struct segment *segment)
{
    if (!segment->dirty) {
        segment->dirty = true;
        machine->dirty_size += SEGMENT_ROW_OVERHEAD;
    }
}

void segments_enter(struct machine *machine)
{
    ASSERT(machine->entry_position >= machine->meta.log_first);
    uint64_t number = machine->entry_position / SEGMENT_SIZE;
    if (machine->segment_count > 0 && machine_segment_newest(machine) == number) {
        return;
    }
    if (machine->segment_count > 0) {
        segment_complete(machine, newest(machine));
    }
    while (machine->segment_count == 0 || machine_segment_newest(machine) < number) {
        segment_add(machine); // Segments without an entry for the machine get a row, too.
    }
}

static void segment_add(struct machine *machine)
{
    if (machine->segment_count == machine->segment_capacity) {
        machine->segment_capacity =
            machine->segment_capacity == 0 ? SEGMENTS_CAPACITY_MIN : machine->segment_capacity * 2;
        machine->segments =
            mem_realloc(machine->segments, machine->segment_capacity * sizeof *machine->segments);
    }
    struct segment *segment = &machine->segments[machine->segment_count++];
    *segment = (struct segment){
        .row = {.first_ms = machine->meta.clock_ms,
                .last_ms = machine->meta.clock_ms,
                .last_index = machine->meta.applied_index},
    };
    mark_dirty(machine, segment);
}

void segments_leave(struct machine *machine)
{
    struct segment *segment = newest(machine);
    segment->row.last_ms = machine->meta.clock_ms;
    segment->row.last_index = machine->entry_index;
    mark_dirty(machine, segment);
}

static int end_compare(const void *left, const void *right)
{
    const struct queue_end *a = left;
    const struct queue_end *b = right;
    if (a->topic_id != b->topic_id) {
        return a->topic_id < b->topic_id ? -1 : 1;
    }
    return a->queue_id < b->queue_id ? -1 : a->queue_id > b->queue_id;
}

/* Write down where the queues that grew in it stand, in an order that does not depend on how this
 * replica came to know of them. */
static void segment_complete(struct machine *machine, struct segment *segment)
{
    size_t count = 0;
    size_t capacity = 0;
    struct queue_end *ends = NULL;
    for (struct list *node; (node = list_pop(&machine->queues_touched)) != NULL;) {
        const struct queue *queue = CONTAINER_OF(node, struct queue, touched);
        if (count == capacity) {
            capacity = capacity == 0 ? 64 : capacity * 2;
            ends = mem_realloc(ends, capacity * sizeof *ends);
        }
        ends[count++] = (struct queue_end){queue->topic->id, queue->id, queue->offset_next};
    }
    if (count == 0) {
        return;
    }
    qsort(ends, count, sizeof *ends, end_compare);
    segment->row.ends_count = (uint32_t)count;
    segment->ends = mem_alloc(count * QUEUE_END_SIZE);
    for (size_t i = 0; i < count; i++) {
        queue_end_encode(&ends[i], segment->ends + i * QUEUE_END_SIZE);
    }
    free(ends);
    mark_dirty(machine, segment);
    machine->dirty_size += count * QUEUE_END_SIZE;
}

struct segment *segment_at(const struct machine *machine, uint64_t position)
{
    uint64_t number = position / SEGMENT_SIZE;
    uint64_t first = first_number(machine);
    return number < first || number - first >= machine->segment_count
               ? NULL
               : &machine->segments[number - first];
}

void segment_refer(struct machine *machine, uint64_t body, uint64_t from)
{
    struct segment *segment = segment_at(machine, body);
    ASSERT(segment != NULL); // What is yet to become visible is never cut.
    if (segment != newest(machine)) {
        ASSERT(from > segment->row.referred_from);
        segment->row.referred_from = from;
        mark_dirty(machine, segment);
    }
}

enum status segment_ends_read(struct machine *machine, uint64_t number, struct buf *out)
{
    const struct segment *segment = segment_at(machine, number * SEGMENT_SIZE);
    ASSERT(segment != NULL);
    size_t size = (size_t)segment->row.ends_count * QUEUE_END_SIZE;
    size_t begin = out->size;
    if (segment->ends != NULL || size == 0) {
        buf_put(out, segment->ends, size);
        return STATUS_OK;
    }
    struct key from = key_ends(number, 0);
    struct key to = key_ends(number + 1, 0);
    struct kv_iterator *iterator = kv_iterate(machine->kv, key_slice(&from), key_slice(&to));
    struct slice key;
    struct slice value;
    while (out->size - begin <= size && kv_iterator_next(iterator, &key, &value)) {
        buf_put_slice(out, value);
    }
    enum status status = kv_iterator_close(iterator);
    return status == STATUS_OK && out->size - begin != size ? machine_note_damage(machine) : status;
}

void segments_forget_ends(struct machine *machine, uint64_t position)
{
    struct key from = key_ends(machine->meta.cut_position / SEGMENT_SIZE, 0);
    struct key to = key_ends(position / SEGMENT_SIZE, 0);
    kv_batch_delete_range(machine->deletes, key_slice(&from), key_slice(&to));
    for (uint64_t at = machine->meta.cut_position; at < position; at += SEGMENT_SIZE) {
        struct segment *segment = segment_at(machine, at);
        free(segment->ends);
        segment->ends = NULL;
        segment->row.ends_count = 0;
        mark_dirty(machine, segment);
    }
}

void segments_drop(struct machine *machine, uint64_t log_first)
{
    size_t count = (size_t)(log_first / SEGMENT_SIZE - first_number(machine));
    ASSERT(count < machine->segment_count || count == 0);
    if (count == 0) {
        return;
    }
    struct key from = key_segment(first_number(machine));
    struct key to = key_segment(log_first / SEGMENT_SIZE);
    kv_batch_delete_range(machine->deletes, key_slice(&from), key_slice(&to));
    machine->segment_count -= count;
    memmove(machine->segments, machine->segments + count,
            machine->segment_count * sizeof *machine->segments);
    machine->meta.log_first = log_first;
}

enum status segment_load(struct machine *machine, struct slice key, struct slice value)
{
    uint64_t number;
    struct segment_row row;
    if (!key_id_parse(key, &number) || segment_row_decode(value, &row) != STATUS_OK ||
        number != first_number(machine) + machine->segment_count) {
        return STATUS_CORRUPT;
    }
    segment_add(machine);
    struct segment *segment = newest(machine);
    segment->row = row;
    segment->dirty = false;
    return STATUS_OK;
}

static void ends_checkpoint(const struct segment *segment, uint64_t number, struct kv_batch *batch)
{
    const uint8_t *at = segment->ends;
    uint32_t part = 0;
    for (uint32_t left = segment->row.ends_count; left > 0; part++) {
        uint32_t count = left < ENDS_PER_ROW ? left : ENDS_PER_ROW;
        struct key key = key_ends(number, part);
        kv_batch_put(batch, key_slice(&key), slice_of(at, (size_t)count * QUEUE_END_SIZE));
        at += (size_t)count * QUEUE_END_SIZE;
        left -= count;
    }
}

void segments_checkpoint(struct machine *machine, struct kv_batch *batch)
{
    struct buf value = {0};
    for (size_t i = 0; i < machine->segment_count; i++) {
        struct segment *segment = &machine->segments[i];
        uint64_t number = first_number(machine) + i;
        if (segment->dirty) {
            struct key key = key_segment(number);
            buf_clear(&value);
            segment_row_encode(&segment->row, &value);
            kv_batch_put(batch, key_slice(&key), buf_slice(&value));
            segment->dirty = false;
        }
        if (segment->ends != NULL) {
            ends_checkpoint(segment, number, batch);
            segment->ends_writing = true;
        }
    }
    buf_close(&value);
}

void segments_checkpoint_written(struct machine *machine)
{
    for (size_t i = 0; i < machine->segment_count; i++) {
        struct segment *segment = &machine->segments[i];
        if (segment->ends_writing) {
            segment->ends_writing = false;
            free(segment->ends);
            segment->ends = NULL;
        }
    }
}

enum status segments_hash(struct machine *machine, uint64_t *hash)
{
    struct buf value = {0};
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < machine->segment_count; i++) {
        uint64_t number = first_number(machine) + i;
        struct key key = key_segment(number);
        buf_clear(&value);
        segment_row_encode(&machine->segments[i].row, &value);
        status = segment_ends_read(machine, number, &value);
        *hash += machine_item_hash(KEY_SEGMENT, key_slice(&key), buf_slice(&value));
    }
    buf_close(&value);
    return status;
}

void segments_close(struct machine *machine)
{
    for (size_t i = 0; i < machine->segment_count; i++) {
        free(machine->segments[i].ends);
    }
    free(machine->segments);
}

/* --- Reading ------------------------------------------------------------------------------ */

uint64_t machine_segment_newest(const struct machine *machine)
{
    return first_number(machine) + (machine->segment_count == 0 ? 0 : machine->segment_count - 1);
}

bool machine_segment_find(const struct machine *machine, uint64_t number,
                          struct machine_segment *segment)
{
    const struct segment *found = segment_at(machine, number * SEGMENT_SIZE);
    if (found != NULL) {
        *segment = (struct machine_segment){found->row.first_ms, found->row.last_ms};
    }
    return found != NULL;
}
