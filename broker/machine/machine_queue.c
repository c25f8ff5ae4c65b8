/* Queues: which message has which offset.
 *
 * A queue's index is a sequence of chunks of up to CHUNK_ENTRIES_MAX packed entries. New entries go
 * into the last chunk in memory; a checkpoint writes each changed chunk as one value under its
 * first offset. Once written it is only a cached copy, and the least recently used of these are
 * given up, so memory depends neither on the backlog nor on the number of queues. A queue whose
 * last chunk was given up begins a new one: apply never has to read. */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum chunk_state { CHUNK_DIRTY, CHUNK_WRITING, CHUNK_CLEAN };

struct chunk {
    struct list link; /* In the machine's list of its state. */
    enum chunk_state state;
    struct queue *queue;
    int64_t first; /* Offset of the first entry. */
    uint32_t count;
    uint32_t capacity;
    uint8_t *entries;
};

/* Chunks of a queue that are in memory, by first offset. */
struct queue_chunks {
    struct chunk **items;
    uint32_t count;
    uint32_t capacity;
};

enum { CHUNK_ENTRIES_MIN = 8, HASH_READ_ENTRIES = 256 };

static struct chunk *chunk_new(struct queue *queue, int64_t first, uint32_t capacity);
static void chunk_free(struct machine *machine, struct chunk *chunk);
static void chunk_mark_dirty(struct machine *machine, struct chunk *chunk);
static void chunk_mark_clean(struct machine *machine, struct chunk *chunk);
static struct chunk *chunk_find(struct machine *machine, const struct queue *queue, int64_t offset);
static enum status chunk_load(struct machine *machine, struct queue *queue, int64_t offset,
                              struct chunk **out);
static void clean_evict(struct machine *machine);

static size_t chunk_size(const struct chunk *chunk)
{
    return sizeof *chunk + (size_t)chunk->capacity * INDEX_ENTRY_SIZE;
}

static int64_t chunk_end(const struct chunk *chunk)
{
    return chunk->first + chunk->count;
}

int64_t queue_append(struct machine *machine, struct queue *queue, const struct index_entry *entry)
{
    struct queue_chunks *chunks = queue->chunks;
    struct chunk *chunk = chunks == NULL ? NULL : chunks->items[chunks->count - 1];
    if (chunk == NULL || chunk_end(chunk) != queue->offset_next ||
        chunk->count == CHUNK_ENTRIES_MAX) {
        // A busy queue's chunks fill up: spare it the growing.
        bool busy = chunk != NULL && chunk->count == CHUNK_ENTRIES_MAX;
        chunk = chunk_new(queue, queue->offset_next, busy ? CHUNK_ENTRIES_MAX : CHUNK_ENTRIES_MIN);
        chunk->state = CHUNK_DIRTY;
        list_append(&machine->chunks_dirty, &chunk->link);
        machine->dirty_size += INDEX_KEY_OVERHEAD;
    } else if (chunk->state != CHUNK_DIRTY) {
        chunk_mark_dirty(machine, chunk);
    }
    if (chunk->count == chunk->capacity) {
        chunk->capacity *= 2;
        chunk->entries = mem_realloc(chunk->entries, (size_t)chunk->capacity * INDEX_ENTRY_SIZE);
    }
    index_entry_encode(entry, chunk->entries + (size_t)chunk->count * INDEX_ENTRY_SIZE);
    chunk->count++;
    machine->dirty_size += INDEX_ENTRY_SIZE;
    queue_mark_dirty(machine, queue);
    if (!list_linked(&queue->touched)) {
        queue->grew_segment = machine->entry_position / SEGMENT_SIZE;
        list_append(&machine->queues_touched, &queue->touched);
    }
    queue_report(machine, queue);
    queue->grown_size += entry->size;
    return queue->offset_next++;
}

void queue_report(struct machine *machine, struct queue *queue)
{
    if (!list_linked(&queue->grown)) {
        queue->grown_first = queue->offset_next;
        queue->grown_size = 0;
        list_append(&machine->queues_grown, &queue->grown);
    }
}

void queues_report_grown(struct machine *machine)
{
    for (struct list *node; (node = list_pop(&machine->queues_grown)) != NULL;) {
        const struct queue *queue = CONTAINER_OF(node, struct queue, grown);
        if (machine->events.on_queue_grown != NULL) {
            machine->events.on_queue_grown(machine->events.context, queue, queue->grown_first);
        }
    }
}

void queue_init(struct queue *queue, struct topic *topic, int32_t id)
{
    *queue = (struct queue){.topic = topic, .id = id};
}

void queue_mark_dirty(struct machine *machine, struct queue *queue)
{
    if (!list_linked(&queue->dirty)) {
        list_append(&machine->queues_dirty, &queue->dirty);
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
    for (uint32_t i = 0; queue->chunks != NULL && i < queue->chunks->count; i++) {
        queue->chunks->items[i]->queue = queue;
    }
}

void queue_close(struct machine *machine, struct queue *queue)
{
    list_remove(&queue->dirty);
    list_remove(&queue->grown);
    list_remove(&queue->touched);
    while (queue->chunks != NULL) {
        chunk_free(machine, queue->chunks->items[queue->chunks->count - 1]);
    }
}

void queue_cut(struct machine *machine, struct queue *queue, int64_t offset_first)
{
    ASSERT(offset_first >= queue->offset_first && offset_first <= queue->offset_next);
    int64_t before = queue->offset_first;
    queue->offset_first = offset_first;
    popped_cut(machine, queue, offset_first);
    queue_mark_dirty(machine, queue);
    // A chunk that begins so far below must end below, too, wherever chunks begin; so its key need
    // not be known. Deleting is not worth it for less than a chunk.
    int64_t below = offset_first - CHUNK_ENTRIES_MAX;
    if (offset_first == queue->offset_next) {
        below = offset_first;
    } else if (before / CHUNK_ENTRIES_MAX == offset_first / CHUNK_ENTRIES_MAX || below < 0) {
        return;
    }
    while (queue->chunks != NULL && queue->chunks->items[0]->first <= below) {
        chunk_free(machine, queue->chunks->items[0]);
    }
    struct key from = key_index(queue->topic->id, queue->id, below);
    struct key to = key_index_queue_end(queue->topic->id, queue->id);
    kv_batch_delete_range(machine->deletes, key_slice(&from), key_slice(&to));
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
    for (struct list *node; (node = list_pop(&machine->chunks_dirty)) != NULL;) {
        struct chunk *chunk = CONTAINER_OF(node, struct chunk, link);
        struct key key = key_index(chunk->queue->topic->id, chunk->queue->id, chunk->first);
        kv_batch_put(batch, key_slice(&key),
                     slice_of(chunk->entries, (size_t)chunk->count * INDEX_ENTRY_SIZE));
        chunk->state = CHUNK_WRITING;
        list_append(&machine->chunks_writing, &chunk->link);
    }
}

void queues_checkpoint_written(struct machine *machine)
{
    for (struct list *node; (node = list_pop(&machine->chunks_writing)) != NULL;) {
        chunk_mark_clean(machine, CONTAINER_OF(node, struct chunk, link));
    }
    clean_evict(machine);
}

uint64_t queue_hash(struct machine *machine, const struct queue *queue)
{
    struct key key = key_queue(queue->topic->id, queue->id);
    uint64_t hash = 0;
    struct buf packed = {0};
    struct index_entry entries[HASH_READ_ENTRIES];
    buf_put_le64(&packed, (uint64_t)queue->offset_first);
    buf_put_le64(&packed, (uint64_t)queue->offset_next);
    buf_put_le64(&packed, queue->grew_segment);
    for (int64_t offset = queue->offset_first; offset < queue->offset_next;) {
        uint32_t count = 0;
        enum status status =
            machine_queue_read(machine, queue, offset, HASH_READ_ENTRIES, entries, &count);
        if (status != STATUS_OK || count == 0) {
            FATAL("the index of a queue cannot be read (%s); remove this replica's state directory "
                  "so that it is built again",
                  status_name(status));
        }
        for (uint32_t i = 0; i < count; i++) {
            index_entry_encode(&entries[i], buf_extend(&packed, INDEX_ENTRY_SIZE));
        }
        hash = XXH3_64bits_withSeed(packed.data, packed.size, hash);
        buf_clear(&packed);
        offset += count;
    }
    buf_put_le64(&packed, hash);
    hash = machine_item_hash(KEY_QUEUE, key_slice(&key), buf_slice(&packed));
    buf_close(&packed);
    return hash;
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

enum status machine_queue_read(struct machine *machine, const struct queue *queue, int64_t offset,
                               uint32_t max, struct index_entry *entries, uint32_t *count)
{
    *count = 0;
    if (offset < queue->offset_first) {
        return STATUS_OK;
    }
    while (*count < max && offset < queue->offset_next) {
        struct chunk *chunk = chunk_find(machine, queue, offset);
        if (chunk == NULL) {
            struct queue *own = &queue->topic->queues[queue->id];
            enum status status = chunk_load(machine, own, offset, &chunk);
            if (status != STATUS_OK) {
                return status;
            }
        }
        for (; *count < max && offset < chunk_end(chunk); offset++) {
            index_entry_decode(chunk->entries + (size_t)(offset - chunk->first) * INDEX_ENTRY_SIZE,
                               &entries[*count]);
            *count += 1;
        }
    }
    return STATUS_OK;
}

/* How many chunks in memory begin at or before offset. */
static uint32_t chunks_rank(const struct queue_chunks *chunks, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = chunks->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (chunks->items[middle]->first <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct chunk *chunk_new(struct queue *queue, int64_t first, uint32_t capacity)
{
    struct chunk *chunk = mem_zalloc(sizeof *chunk);
    chunk->queue = queue;
    chunk->first = first;
    chunk->capacity = capacity;
    chunk->entries = mem_alloc((size_t)capacity * INDEX_ENTRY_SIZE);
    if (queue->chunks == NULL) {
        queue->chunks = mem_zalloc(sizeof *queue->chunks);
    }
    struct queue_chunks *chunks = queue->chunks;
    if (chunks->count == chunks->capacity) {
        chunks->capacity = chunks->capacity == 0 ? 2 : chunks->capacity * 2;
        chunks->items = mem_realloc(chunks->items, chunks->capacity * sizeof *chunks->items);
    }
    uint32_t at = chunks_rank(chunks, first);
    memmove(chunks->items + at + 1, chunks->items + at,
            (chunks->count - at) * sizeof *chunks->items);
    chunks->items[at] = chunk;
    chunks->count++;
    return chunk;
}

static void chunk_free(struct machine *machine, struct chunk *chunk)
{
    struct queue_chunks *chunks = chunk->queue->chunks;
    uint32_t at = chunks_rank(chunks, chunk->first) - 1;
    ASSERT(chunks->items[at] == chunk);
    chunks->count--;
    memmove(chunks->items + at, chunks->items + at + 1,
            (chunks->count - at) * sizeof *chunks->items);
    if (chunks->count == 0) {
        free(chunks->items);
        free(chunks);
        chunk->queue->chunks = NULL;
    }
    if (chunk->state == CHUNK_CLEAN) {
        machine->chunks_clean_size -= chunk_size(chunk);
    }
    list_remove(&chunk->link);
    free(chunk->entries);
    free(chunk);
}

static void chunk_mark_dirty(struct machine *machine, struct chunk *chunk)
{
    if (chunk->state == CHUNK_CLEAN) {
        machine->chunks_clean_size -= chunk_size(chunk);
    }
    list_remove(&chunk->link);
    chunk->state = CHUNK_DIRTY;
    list_append(&machine->chunks_dirty, &chunk->link);
    // All of it will be written again.
    machine->dirty_size += INDEX_KEY_OVERHEAD + (size_t)chunk->count * INDEX_ENTRY_SIZE;
}

static void chunk_mark_clean(struct machine *machine, struct chunk *chunk)
{
    chunk->state = CHUNK_CLEAN;
    list_append(&machine->chunks_clean, &chunk->link);
    machine->chunks_clean_size += chunk_size(chunk);
}

static struct chunk *chunk_find(struct machine *machine, const struct queue *queue, int64_t offset)
{
    uint32_t rank = queue->chunks == NULL ? 0 : chunks_rank(queue->chunks, offset);
    if (rank == 0) {
        return NULL;
    }
    struct chunk *chunk = queue->chunks->items[rank - 1];
    if (offset >= chunk_end(chunk)) {
        return NULL;
    }
    if (chunk->state == CHUNK_CLEAN) { // Most recently used now.
        list_remove(&chunk->link);
        list_append(&machine->chunks_clean, &chunk->link);
    }
    return chunk;
}

/* Read the chunk with `offset` back from the store. Keys fall as offsets rise, so the first one
 * from there on is the one that begins at or before it. */
static enum status chunk_load(struct machine *machine, struct queue *queue, int64_t offset,
                              struct chunk **out)
{
    uint64_t topic_id = queue->topic->id;
    struct key from = key_index(topic_id, queue->id, offset);
    struct key to = key_index_queue_end(topic_id, queue->id);
    struct kv_iterator *iterator = kv_iterate(machine->kv, key_slice(&from), key_slice(&to));
    struct slice key;
    struct slice value;
    struct chunk *chunk = NULL;
    if (kv_iterator_next(iterator, &key, &value)) {
        int32_t queue_id;
        int64_t first;
        size_t count = value.size / INDEX_ENTRY_SIZE;
        if (value.size % INDEX_ENTRY_SIZE == 0 && count <= CHUNK_ENTRIES_MAX &&
            key_index_parse(key, &topic_id, &queue_id, &first) && offset < first + (int64_t)count) {
            chunk = chunk_new(queue, first, (uint32_t)count);
            chunk->count = (uint32_t)count;
            memcpy(chunk->entries, value.data, value.size);
            chunk_mark_clean(machine, chunk);
        }
    }
    enum status status = kv_iterator_close(iterator);
    if (chunk == NULL) {
        return status == STATUS_OK ? STATUS_CORRUPT : status;
    }
    *out = chunk;
    clean_evict(machine);
    return STATUS_OK;
}

/* Give up clean chunks beyond the bound, but never the last one: it was asked for just now. */
static void clean_evict(struct machine *machine)
{
    while (machine->chunks_clean_size > CHUNK_CACHE_MAX &&
           machine->chunks_clean.next != machine->chunks_clean.prev) {
        chunk_free(machine, CONTAINER_OF(machine->chunks_clean.next, struct chunk, link));
    }
}
