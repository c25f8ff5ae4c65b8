/* The index of a queue: where the message of each offset is.
 *
 * In the store it is a sequence of chunks of up to CHUNK_ENTRIES_MAX packed entries, each one value
 * under its first offset. In memory there are parts of chunks. New entries go into the last part; a
 * checkpoint appends what is new to the chunk in the store, so what it costs depends on what came
 * and not on how long chunks are. A part that is written is only a cached copy, and the least
 * recently used of these are given up: memory depends neither on the backlog nor on the number of
 * queues. Apply never has to read: the queue knows where its last chunk begins. After a restart it
 * does not, and begins a new one. */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

/* While a part is written, another thread reads it: it neither grows nor goes. One that is dropped
 * then waits for that to end. */
enum part_state { PART_DIRTY, PART_WRITING, PART_DROPPED, PART_CLEAN };

struct part {
    struct list link; /* In the machine's list of its state. */
    enum part_state state;
    struct queue *queue;
    int64_t chunk_first; /* Where its chunk begins, */
    int64_t first;       /* and where it does. */
    uint32_t count;
    uint32_t written; /* Entries that a checkpoint has. */
    uint32_t capacity;
    uint8_t *entries;
};

/* What a checkpoint appends to a chunk. */
struct part_write {
    uint64_t topic_id;
    int32_t queue_id;
    int64_t chunk_first;
    uint32_t at; /* Entries that the chunk has by then. */
    uint32_t count;
    const uint8_t *entries; /* Borrowed from the part. */
};

/* Parts of a queue's index that are in memory, by first offset; they do not overlap. */
struct queue_index {
    struct part **items;
    uint32_t count;
    uint32_t capacity;
};

enum { PART_ENTRIES_MIN = 8, PARTS_FROZEN_MIN = 64 };

static size_t part_size(const struct part *part)
{
    return sizeof *part + (size_t)part->capacity * INDEX_ENTRY_SIZE;
}

static int64_t part_end(const struct part *part)
{
    return part->first + part->count;
}

/* How many parts in memory begin at or before offset. */
static uint32_t parts_rank(const struct queue_index *index, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = index == NULL ? 0 : index->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->items[middle]->first <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Empty, and in no list yet. */
static struct part *part_new(struct queue *queue, int64_t chunk_first, int64_t first,
                             uint32_t capacity)
{
    struct part *part = mem_zalloc(sizeof *part);
    part->queue = queue;
    part->chunk_first = chunk_first;
    part->first = first;
    part->capacity = capacity;
    part->entries = mem_alloc((size_t)capacity * INDEX_ENTRY_SIZE);
    if (queue->index == NULL) {
        queue->index = mem_zalloc(sizeof *queue->index);
    }
    struct queue_index *index = queue->index;
    if (index->count == index->capacity) {
        index->capacity = index->capacity == 0 ? 2 : index->capacity * 2;
        index->items = mem_realloc(index->items, index->capacity * sizeof *index->items);
    }
    uint32_t at = parts_rank(index, first);
    memmove(index->items + at + 1, index->items + at, (index->count - at) * sizeof *index->items);
    index->items[at] = part;
    index->count++;
    return part;
}

static void part_free(struct part *part)
{
    free(part->entries);
    free(part);
}

static void part_drop(struct machine *machine, struct part *part)
{
    struct queue_index *index = part->queue->index;
    uint32_t at = parts_rank(index, part->first) - 1;
    ASSERT(index->items[at] == part);
    index->count--;
    memmove(index->items + at, index->items + at + 1, (index->count - at) * sizeof *index->items);
    if (index->count == 0) {
        free(index->items);
        free(index);
        part->queue->index = NULL;
    }
    if (part->queue->open == part) {
        part->queue->open = NULL;
    }
    if (part->state == PART_WRITING) {
        part->state = PART_DROPPED;
        return;
    }
    if (part->state == PART_CLEAN) {
        machine->parts_clean_size -= part_size(part);
    }
    list_remove(&part->link);
    part_free(part);
}

static void part_mark_dirty(struct machine *machine, struct part *part)
{
    machine->parts_clean_size -= part_size(part);
    list_remove(&part->link);
    part->state = PART_DIRTY;
    list_append(&machine->parts_dirty, &part->link);
    machine->dirty_size += INDEX_KEY_OVERHEAD;
}

static void part_mark_clean(struct machine *machine, struct part *part)
{
    part->state = PART_CLEAN;
    list_append(&machine->parts_clean, &part->link);
    machine->parts_clean_size += part_size(part);
}

static bool chunk_full(const struct queue *queue)
{
    return queue->offset_next == queue->chunk_first + CHUNK_ENTRIES_MAX;
}

/* May what comes next go into this part? */
static bool part_goes_on(const struct part *part, const struct queue *queue)
{
    return part->state != PART_WRITING && part_end(part) == queue->offset_next &&
           part->chunk_first == queue->chunk_first && !chunk_full(queue);
}

/* A part for what comes next, in the last chunk or, if that is full or not known, in a new one. */
static struct part *part_open(struct machine *machine, struct queue *queue)
{
    const struct queue_index *index = queue->index;
    struct part *last = index == NULL ? NULL : index->items[index->count - 1];
    if (last != NULL && part_goes_on(last, queue)) {
        part_mark_dirty(machine, last);
        return last;
    }
    if (queue->chunk_first < 0 || chunk_full(queue)) {
        queue->chunk_first = queue->offset_next;
    }
    // A busy queue's chunks fill up: spare it the growing.
    bool busy = last != NULL && last->count == CHUNK_ENTRIES_MAX;
    struct part *part = part_new(queue, queue->chunk_first, queue->offset_next,
                                 busy ? CHUNK_ENTRIES_MAX : PART_ENTRIES_MIN);
    part->state = PART_DIRTY;
    list_append(&machine->parts_dirty, &part->link);
    machine->dirty_size += INDEX_KEY_OVERHEAD;
    return part;
}

void queue_index_prefetch(const struct queue *queue)
{
    // By what the queue itself knows: to look into the part would be to wait for it.
    __builtin_prefetch(queue->open, 1);
    __builtin_prefetch(queue->open_end, 1);
}

void queue_index_append(struct machine *machine, struct queue *queue,
                        const struct index_entry *entry)
{
    if (queue->open == NULL || chunk_full(queue)) {
        queue->open = part_open(machine, queue);
    }
    struct part *part = queue->open;
    if (part->count == part->capacity) {
        part->capacity *= 2;
        part->entries = mem_realloc(part->entries, (size_t)part->capacity * INDEX_ENTRY_SIZE);
    }
    index_entry_encode(entry, part->entries + (size_t)part->count * INDEX_ENTRY_SIZE);
    part->count++;
    queue->open_end = part->entries + (size_t)part->count * INDEX_ENTRY_SIZE;
    machine->dirty_size += INDEX_ENTRY_SIZE;
}

void queue_index_moved(struct queue *queue)
{
    for (uint32_t i = 0; queue->index != NULL && i < queue->index->count; i++) {
        queue->index->items[i]->queue = queue;
    }
}

/* Free parts of chunks that begin at or before `last`. */
static void forget(struct machine *machine, struct queue *queue, int64_t last)
{
    while (queue->index != NULL && queue->index->items[0]->chunk_first <= last) {
        part_drop(machine, queue->index->items[0]);
    }
}

void queue_index_close(struct machine *machine, struct queue *queue)
{
    forget(machine, queue, INT64_MAX);
}

void queue_index_cut(struct machine *machine, struct queue *queue, int64_t before)
{
    // A chunk that begins so far below must end below, too, wherever chunks begin; so its key need
    // not be known. Deleting is not worth it for less than a chunk.
    int64_t below = queue->offset_first - CHUNK_ENTRIES_MAX;
    if (queue->offset_first == queue->offset_next) {
        below = queue->offset_first;
        queue->chunk_first = -1;
    } else if (before / CHUNK_ENTRIES_MAX == queue->offset_first / CHUNK_ENTRIES_MAX || below < 0) {
        return;
    }
    forget(machine, queue, below);
    struct key from = key_index(queue->topic->id, queue->id, below);
    struct key to = key_index_queue_end(queue->topic->id, queue->id);
    kv_batch_delete_range(machine->deletes, key_slice(&from), key_slice(&to));
}

void queue_indexes_freeze(struct machine *machine)
{
    size_t capacity = 0;
    ASSERT(machine->parts_frozen == NULL);
    for (struct list *node; (node = list_pop(&machine->parts_dirty)) != NULL;) {
        struct part *part = CONTAINER_OF(node, struct part, link);
        if (machine->parts_frozen_count == capacity) {
            capacity = capacity == 0 ? PARTS_FROZEN_MIN : capacity * 2;
            machine->parts_frozen =
                mem_realloc(machine->parts_frozen, capacity * sizeof *machine->parts_frozen);
        }
        machine->parts_frozen[machine->parts_frozen_count++] = (struct part_write){
            .topic_id = part->queue->topic->id,
            .queue_id = part->queue->id,
            .chunk_first = part->chunk_first,
            .at = (uint32_t)(part->first - part->chunk_first) + part->written,
            .count = part->count - part->written,
            .entries = part->entries + (size_t)part->written * INDEX_ENTRY_SIZE,
        };
        part->written = part->count;
        part->state = PART_WRITING;
        part->queue->open = NULL;
        list_append(&machine->parts_writing, &part->link);
    }
}

void queue_indexes_fill(const struct machine *machine, struct kv_batch *batch)
{
    for (size_t i = 0; i < machine->parts_frozen_count; i++) {
        const struct part_write *write = &machine->parts_frozen[i];
        struct key key = key_index(write->topic_id, write->queue_id, write->chunk_first);
        struct slice entries = slice_of(write->entries, (size_t)write->count * INDEX_ENTRY_SIZE);
        if (write->at == 0) {
            kv_batch_put(batch, key_slice(&key), entries);
        } else {
            kv_batch_append(batch, key_slice(&key), (size_t)write->at * INDEX_ENTRY_SIZE, entries);
        }
    }
}

/* Give up clean parts beyond the bound, but never the last one: it was asked for just now. */
static void clean_evict(struct machine *machine)
{
    while (machine->parts_clean_size > PARTS_CLEAN_MAX &&
           machine->parts_clean.next != machine->parts_clean.prev) {
        part_drop(machine, CONTAINER_OF(machine->parts_clean.next, struct part, link));
    }
}

void queue_indexes_written(struct machine *machine)
{
    for (struct list *node; (node = list_pop(&machine->parts_writing)) != NULL;) {
        struct part *part = CONTAINER_OF(node, struct part, link);
        if (part->state == PART_DROPPED) {
            part_free(part);
        } else {
            part_mark_clean(machine, part);
        }
    }
    free(machine->parts_frozen);
    machine->parts_frozen = NULL;
    machine->parts_frozen_count = 0;
    clean_evict(machine);
}

void queue_indexes_close(struct machine *machine)
{
    for (struct list *node; (node = list_pop(&machine->parts_writing)) != NULL;) {
        part_free(CONTAINER_OF(node, struct part, link)); // Of queues that are closed: dropped.
    }
    free(machine->parts_frozen);
}

static struct part *part_find(struct machine *machine, const struct queue *queue, int64_t offset)
{
    uint32_t rank = parts_rank(queue->index, offset);
    if (rank == 0 || offset >= part_end(queue->index->items[rank - 1])) {
        return NULL;
    }
    struct part *part = queue->index->items[rank - 1];
    if (part->state == PART_CLEAN) { // Most recently used now.
        list_remove(&part->link);
        list_append(&machine->parts_clean, &part->link);
    }
    return part;
}

/* Of a chunk in the store, which has `offset`, what no part in memory has. */
static struct part *part_take(struct machine *machine, struct queue *queue, int64_t offset,
                              int64_t chunk_first, struct slice value)
{
    int64_t first = chunk_first;
    int64_t end = chunk_first + (int64_t)(value.size / INDEX_ENTRY_SIZE);
    const struct queue_index *index = queue->index;
    uint32_t rank = parts_rank(index, offset);
    if (rank > 0 && part_end(index->items[rank - 1]) > first) {
        first = part_end(index->items[rank - 1]);
    }
    if (index != NULL && rank < index->count && index->items[rank]->first < end) {
        end = index->items[rank]->first;
    }
    ASSERT(first <= offset && offset < end);
    struct part *part = part_new(queue, chunk_first, first, (uint32_t)(end - first));
    part->count = part->capacity;
    part->written = part->count;
    memcpy(part->entries, value.data + (size_t)(first - chunk_first) * INDEX_ENTRY_SIZE,
           (size_t)part->count * INDEX_ENTRY_SIZE);
    part_mark_clean(machine, part);
    return part;
}

/* Read the chunk with `offset` back from the store. Keys fall as offsets rise, so the first one
 * from there on is the one that begins at or before it. */
static enum status part_load(struct machine *machine, struct queue *queue, int64_t offset,
                             struct part **out)
{
    uint64_t topic_id = queue->topic->id;
    struct key from = key_index(topic_id, queue->id, offset);
    struct key to = key_index_queue_end(topic_id, queue->id);
    struct kv_iterator *iterator = kv_iterate(machine->kv, key_slice(&from), key_slice(&to));
    struct slice key;
    struct slice value;
    *out = NULL;
    if (kv_iterator_next(iterator, &key, &value)) {
        int32_t queue_id;
        int64_t first;
        size_t count = value.size / INDEX_ENTRY_SIZE;
        if (value.size % INDEX_ENTRY_SIZE == 0 && count <= CHUNK_ENTRIES_MAX &&
            key_index_parse(key, &topic_id, &queue_id, &first) && offset < first + (int64_t)count) {
            *out = part_take(machine, queue, offset, first, value);
        }
    }
    enum status status = kv_iterator_close(iterator);
    if (*out == NULL) {
        return status == STATUS_OK ? machine_note_damage(machine) : status;
    }
    clean_evict(machine);
    return STATUS_OK;
}

enum status machine_queue_read(struct machine *machine, const struct queue *queue, int64_t offset,
                               uint32_t max, struct index_entry *entries, uint32_t *count)
{
    *count = 0;
    if (offset < queue->offset_first) {
        return STATUS_OK;
    }
    while (*count < max && offset < queue->offset_next) {
        struct part *part = part_find(machine, queue, offset);
        if (part == NULL) {
            struct queue *own = &queue->topic->queues[queue->id];
            enum status status = part_load(machine, own, offset, &part);
            if (status != STATUS_OK) {
                return status;
            }
        }
        for (; *count < max && offset < part_end(part); offset++) {
            index_entry_decode(part->entries + (size_t)(offset - part->first) * INDEX_ENTRY_SIZE,
                               &entries[*count]);
            *count += 1;
        }
    }
    return STATUS_OK;
}
