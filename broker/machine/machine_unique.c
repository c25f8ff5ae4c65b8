/* Messages recognised when they are sent again: the last ones of topics that have a window for it.
 *
 * A producer that got no answer sends the same message, with the same UNIQ_KEY, once more. Within
 * the topic's window it is answered with what became of the first one and not stored again. What is
 * remembered is numbered in the log's order and forgotten in that order, by the log's clock or when
 * there are too many, so all replicas agree about it. */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SECOND_MS = 1000 };

static struct unique *entry_at(const struct machine *machine, uint64_t number)
{
    return &machine->unique_ring[number & (machine->unique_capacity - 1)];
}

static void hash_of(const struct topic *topic, struct slice key, uint8_t hash[UNIQUE_HASH_SIZE])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(key.data, key.size, topic->id));
    memcpy(hash, canonical.digest, UNIQUE_HASH_SIZE);
}

static struct slice key_of(const struct unique *unique)
{
    return slice_of(unique->hash, sizeof unique->hash);
}

const struct unique *unique_find(const struct machine *machine, const struct topic *topic,
                                 struct slice key)
{
    uint8_t hash[UNIQUE_HASH_SIZE];
    if (topic->unique_window_s == 0 || key.size == 0) {
        return NULL;
    }
    hash_of(topic, key, hash);
    struct map_node *node = map_find(&machine->unique_keys, slice_of(hash, sizeof hash));
    const struct unique *unique = node == NULL ? NULL : CONTAINER_OF(node, struct unique, node);
    return unique == NULL || unique->until_ms <= machine->meta.clock_ms ? NULL : unique;
}

/* ---- What is remembered: a ring of entries by number, a power of two of them ---- */

/* Entries move, so the map is made anew. */
static void grow(struct machine *machine)
{
    const struct meta_row *meta = &machine->meta;
    uint64_t capacity = machine->unique_capacity == 0 ? 256 : 2 * machine->unique_capacity;
    struct unique *ring = mem_zalloc(capacity * sizeof *ring);
    for (uint64_t number = meta->unique_first; number < meta->unique_next; number++) {
        ring[number & (capacity - 1)] = *entry_at(machine, number);
    }
    map_close(&machine->unique_keys);
    free(machine->unique_ring);
    machine->unique_ring = ring;
    machine->unique_capacity = capacity;
    for (uint64_t number = meta->unique_first; number < meta->unique_next; number++) {
        struct unique *unique = entry_at(machine, number);
        unique->node = (struct map_node){0};
        if (unique->newest) {
            map_put(&machine->unique_keys, &unique->node, key_of(unique));
        }
    }
}

static void forget_oldest(struct machine *machine)
{
    struct unique *unique = entry_at(machine, machine->meta.unique_first++);
    if (unique->newest) {
        map_remove(&machine->unique_keys, &unique->node);
    }
}

/* As the next one; an older one of the same key, whose window is over, no longer counts. */
static void append(struct machine *machine, const struct unique_row *row)
{
    struct meta_row *meta = &machine->meta;
    if (meta->unique_next - meta->unique_first == machine->unique_capacity) {
        grow(machine);
    }
    struct unique *unique = entry_at(machine, meta->unique_next++);
    *unique = (struct unique){
        .newest = true,
        .queue_id = row->queue_id,
        .queue_offset = row->queue_offset,
        .position = row->position,
        .until_ms = row->until_ms,
    };
    memcpy(unique->hash, row->hash, sizeof unique->hash);
    struct map_node *older = map_find(&machine->unique_keys, key_of(unique));
    if (older != NULL) {
        CONTAINER_OF(older, struct unique, node)->newest = false;
        map_remove(&machine->unique_keys, older);
    }
    map_put(&machine->unique_keys, &unique->node, key_of(unique));
}

void unique_add(struct machine *machine, const struct topic *topic, struct slice key,
                const struct operation_result *result)
{
    const struct meta_row *meta = &machine->meta;
    if (topic->unique_window_s == 0 || key.size == 0) {
        return;
    }
    if (meta->unique_next - meta->unique_first == UNIQUES_MAX) {
        forget_oldest(machine);
    }
    struct unique_row row = {
        .queue_id = result->message.queue_id,
        .queue_offset = result->message.queue_offset,
        .position = result->message.position,
        .until_ms = meta->clock_ms + (uint64_t)topic->unique_window_s * SECOND_MS,
    };
    hash_of(topic, key, row.hash);
    append(machine, &row);
    machine->dirty_size += UNIQUE_ROW_SIZE;
}

void unique_answer(struct machine *machine, const struct unique *unique,
                   struct operation_result *result)
{
    machine->meta.counters.message_duplicates++;
    result->status = STATUS_OK;
    result->message.queue_offset = unique->queue_offset;
    result->message.position = unique->position;
    result->message.queue_id = unique->queue_id;
    result->message.duplicate = true;
}

void uniques_forget(struct machine *machine)
{
    const struct meta_row *meta = &machine->meta;
    for (uint32_t count = 0; count < FORGET_MAX && meta->unique_first < meta->unique_next &&
                             entry_at(machine, meta->unique_first)->until_ms <= meta->clock_ms;
         count++) {
        forget_oldest(machine);
    }
}

void uniques_close(struct machine *machine)
{
    map_close(&machine->unique_keys);
    free(machine->unique_ring);
}

/* ---- The store: rows of UNIQUES_PER_ROW entries by number, as far as they are remembered ---- */

static void row_of(const struct unique *unique, struct unique_row *row)
{
    *row = (struct unique_row){
        .queue_id = unique->queue_id,
        .queue_offset = unique->queue_offset,
        .position = unique->position,
        .until_ms = unique->until_ms,
    };
    memcpy(row->hash, unique->hash, sizeof row->hash);
}

enum status uniques_load(struct machine *machine, struct slice key, struct slice value)
{
    // The head says which there are; they are counted up to that while they come.
    uint64_t row_number;
    struct meta_row *meta = &machine->meta;
    struct loader *loader = machine->loader;
    if (!key_id_parse(key, &row_number) || value.size < UNIQUES_HEADER_SIZE ||
        (value.size - UNIQUES_HEADER_SIZE) % UNIQUE_ROW_SIZE != 0) {
        return STATUS_CORRUPT;
    }
    uint64_t number = le64_get(value.data);
    value = slice_from(value, UNIQUES_HEADER_SIZE);
    for (; value.size > 0; number++, value = slice_from(value, UNIQUE_ROW_SIZE)) {
        struct unique_row row;
        if (number / UNIQUES_PER_ROW != row_number || number >= loader->unique_next) {
            return STATUS_CORRUPT;
        }
        if (number < meta->unique_first) {
            continue; // Forgotten since the row was written.
        }
        if (number != meta->unique_next || unique_row_decode(value.data, &row) != STATUS_OK) {
            return STATUS_CORRUPT;
        }
        append(machine, &row);
    }
    return STATUS_OK;
}

enum status uniques_check(const struct machine *machine)
{
    return machine->meta.unique_next == machine->loader->unique_next ? STATUS_OK : STATUS_CORRUPT;
}

static void row_checkpoint(struct machine *machine, struct kv_batch *batch, uint64_t row_number,
                           struct buf *value)
{
    const struct meta_row *meta = &machine->meta;
    uint64_t number = row_number * UNIQUES_PER_ROW;
    uint64_t end = number + UNIQUES_PER_ROW;
    number = number < meta->unique_first ? meta->unique_first : number;
    end = end > meta->unique_next ? meta->unique_next : end;
    buf_clear(value);
    buf_put_le64(value, number);
    for (; number < end; number++) {
        struct unique_row row;
        row_of(entry_at(machine, number), &row);
        unique_row_encode(&row, buf_extend(value, UNIQUE_ROW_SIZE));
    }
    struct key key = key_uniques(row_number);
    kv_batch_put(batch, key_slice(&key), buf_slice(value));
}

/* Rows from that of the first new entry on; those of which nothing is remembered go. */
void uniques_checkpoint(struct machine *machine, struct kv_batch *batch)
{
    const struct meta_row *meta = &machine->meta;
    uint64_t row_first = meta->unique_first / UNIQUES_PER_ROW;
    if (row_first > machine->unique_row_first) {
        struct key from = key_uniques(machine->unique_row_first);
        struct key to = key_uniques(row_first);
        kv_batch_delete_range(batch, key_slice(&from), key_slice(&to));
        machine->unique_row_first = row_first;
    }
    struct buf value = {0};
    uint64_t number = machine->uniques_written;
    number = number < meta->unique_first ? meta->unique_first : number;
    for (uint64_t row = number / UNIQUES_PER_ROW; number < meta->unique_next; row++) {
        row_checkpoint(machine, batch, row, &value);
        number = (row + 1) * UNIQUES_PER_ROW;
    }
    machine->uniques_written = meta->unique_next;
    buf_close(&value);
}

uint64_t uniques_hash(const struct machine *machine)
{
    uint64_t hash = 0;
    const struct meta_row *meta = &machine->meta;
    for (uint64_t number = meta->unique_first; number < meta->unique_next; number++) {
        uint8_t packed[UNIQUE_ROW_SIZE];
        struct unique_row row;
        row_of(entry_at(machine, number), &row);
        unique_row_encode(&row, packed);
        struct key key = key_uniques(number);
        hash += machine_item_hash(KEY_UNIQUES, key_slice(&key), slice_of(packed, sizeof packed));
    }
    return hash;
}
