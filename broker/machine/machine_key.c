/* The key index: which messages of a topic have a key.
 *
 * A key costs one small entry per message, so entries are never rows of their own. They gather in
 * memory; a checkpoint spreads them over KEY_BUCKETS buckets by hash and writes each bucket's part
 * as one value (a run). A bucket's runs lie side by side, newest first: a search walks them back in
 * time, which is cheap for the recent past and linear in the number of checkpoints beyond it.
 *
 * What retention cut is skipped from then on; its runs leave the store a few buckets at a time. */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    KEY_BUCKET_BITS = 12,
    KEY_BUCKETS = 1 << KEY_BUCKET_BITS,
    RUN_CAPACITY_MIN = 256,
    RUN_CAPACITY_KEPT = 32 * 1024, /* A buffer larger than that is not kept for the next run. */
    TRIM_BUCKETS = 256,            /* Whose old runs one checkpoint deletes. */
    /* Of runs in the store, one step of a search: a millisecond or so, if they are in memory. */
    STEP_RUNS_MAX = LIMITS_PICK(1024, 4),
};

static bool search_add(struct key_search *search, const struct key_entry *entry);
static bool search_run(struct key_search *search, const struct key_run *run);
static enum status search_store(struct machine *machine, struct key_search *search);
static void keys_trim(struct machine *machine, struct kv_batch *batch);

static uint16_t bucket_of(uint64_t hash)
{
    return (uint16_t)(hash >> (64 - KEY_BUCKET_BITS));
}

uint64_t message_key_hash(uint64_t topic_hash, struct slice key)
{
    return XXH3_64bits_withSeed(key.data, key.size, topic_hash);
}

void key_add(struct machine *machine, uint64_t hash, const struct index_entry *entry)
{
    struct key_run *run = &machine->keys;
    if (run->count == run->capacity) {
        run->capacity = run->capacity == 0 ? RUN_CAPACITY_MIN : run->capacity * 2;
        run->entries = mem_realloc(run->entries, run->capacity * sizeof *run->entries);
    }
    run->entries[run->count++] = (struct key_entry){
        .hash = hash,
        .position = entry->position,
        .body_position = entry->body_position,
        .store_time_ms = entry->store_time_ms,
        .size = entry->size,
        .crc = entry->crc,
    };
    machine->dirty_size += KEY_ENTRY_SIZE;
}

void keys_freeze(struct machine *machine, struct kv_batch *batch)
{
    ASSERT(machine->keys_frozen.count == 0);
    keys_trim(machine, batch);
    struct key_run spare = machine->keys_frozen;
    machine->keys_frozen = machine->keys;
    machine->keys_frozen_applied = machine->meta.applied_index;
    machine->keys_frozen_ms = machine->meta.clock_ms;
    machine->keys = spare;
}

void keys_fill(const struct machine *machine, struct kv_batch *batch)
{
    const struct key_run *run = &machine->keys_frozen;
    // Counting sort by bucket; within a bucket the order stays that of the log.
    uint32_t *ends = mem_zalloc((KEY_BUCKETS + 1) * sizeof *ends);
    for (size_t i = 0; i < run->count; i++) {
        ends[bucket_of(run->entries[i].hash) + 1]++;
    }
    for (size_t i = 0; i < KEY_BUCKETS; i++) {
        ends[i + 1] += ends[i];
    }
    uint8_t *sorted = mem_alloc(run->count * KEY_ENTRY_SIZE);
    for (size_t i = 0; i < run->count; i++) {
        uint32_t at = ends[bucket_of(run->entries[i].hash)]++;
        key_entry_encode(&run->entries[i], sorted + (size_t)at * KEY_ENTRY_SIZE);
    }
    uint32_t begin = 0;
    for (uint16_t bucket = 0; bucket < KEY_BUCKETS; bucket++) {
        uint32_t end = ends[bucket]; // The sort moved each begin to its end.
        if (end > begin) {
            struct key key = key_run(bucket, machine->keys_frozen_ms, machine->keys_frozen_applied);
            kv_batch_put(batch, key_slice(&key),
                         slice_of(sorted + (size_t)begin * KEY_ENTRY_SIZE,
                                  (size_t)(end - begin) * KEY_ENTRY_SIZE));
        }
        begin = end;
    }
    free(sorted);
    free(ends);
}

/* Delete the runs that hold nothing but what is cut: those up to the time and index of the last
 * entry below the cut. A round through all buckets ends before the next one looks at newer cuts;
 * after a start the first round repeats what may have been done already. */
static void keys_trim(struct machine *machine, struct kv_batch *batch)
{
    if (machine->trim_bucket == KEY_BUCKETS) {
        if (machine->trim_index == machine->meta.cut_index) {
            return;
        }
        machine->trim_bucket = 0;
    }
    if (machine->trim_bucket == 0) {
        machine->trim_ms = machine->meta.cut_ms;
        machine->trim_index = machine->meta.cut_index;
    }
    if (machine->trim_index == 0) {
        return; // Never cut.
    }
    for (uint32_t i = 0; i < TRIM_BUCKETS && machine->trim_bucket < KEY_BUCKETS; i++) {
        uint16_t bucket = (uint16_t)machine->trim_bucket++;
        struct key from = key_run(bucket, machine->trim_ms, machine->trim_index);
        struct key to = key_run(bucket, 0, 0);
        kv_batch_delete_range(batch, key_slice(&from), key_slice(&to));
    }
}

void keys_checkpoint_written(struct machine *machine)
{
    struct key_run *run = &machine->keys_frozen;
    run->count = 0;
    if (run->capacity > RUN_CAPACITY_KEPT) {
        free(run->entries);
        *run = (struct key_run){0};
    }
}

/* Only what is not cut: whether a run with older ones is still there differs between replicas. */
static uint64_t entry_hash(const struct machine *machine, const uint8_t packed[KEY_ENTRY_SIZE])
{
    struct key_entry entry;
    key_entry_decode(packed, &entry);
    return entry.position < machine->meta.cut_position
               ? 0
               : machine_item_hash(KEY_RUN, slice_of(NULL, 0), slice_of(packed, KEY_ENTRY_SIZE));
}

enum status keys_hash(struct machine *machine, uint64_t *hash)
{
    uint8_t packed[KEY_ENTRY_SIZE];
    const struct key_run *runs[] = {&machine->keys, &machine->keys_frozen};
    for (size_t r = 0; r < 2; r++) {
        for (size_t i = 0; i < runs[r]->count; i++) {
            key_entry_encode(&runs[r]->entries[i], packed);
            *hash += entry_hash(machine, packed);
        }
    }
    struct key from = key_family_first(KEY_RUN);
    struct key to = key_family_end(KEY_RUN);
    struct kv_iterator *iterator = kv_iterate(machine->kv, key_slice(&from), key_slice(&to));
    struct slice key;
    struct slice value;
    while (kv_iterator_next(iterator, &key, &value)) {
        uint16_t bucket;
        uint64_t time_ms;
        uint64_t applied;
        if (key_run_parse(key, &bucket, &time_ms, &applied) && machine->keys_frozen.count > 0 &&
            applied == machine->keys_frozen_applied) {
            continue; // Written already, but counted from memory.
        }
        for (; value.size >= KEY_ENTRY_SIZE; value = slice_from(value, KEY_ENTRY_SIZE)) {
            *hash += entry_hash(machine, value.data);
        }
    }
    return kv_iterator_close(iterator);
}

void keys_close(struct machine *machine)
{
    free(machine->keys.entries);
    free(machine->keys_frozen.entries);
}

void machine_key_search_begin(const struct machine *machine, struct slice topic_name,
                              struct slice key, struct key_search *search)
{
    const struct topic *topic = topic_find(machine, topic_name);
    search->count = 0;
    search->phase = topic == NULL || key.size == 0 ? KEY_SEARCH_DONE : KEY_SEARCH_MEMORY;
    search->hash = topic == NULL ? 0 : message_key_hash(topic_hash_of(topic), key);
    search->next_time_ms = UINT64_MAX;
    search->next_applied = UINT64_MAX;
}

/* What gets into the store while a search goes on is younger than what it has seen there: it was in
 * memory when that was searched. */
enum status machine_key_search(struct machine *machine, struct key_search *search)
{
    search->cut_position = machine->meta.cut_position;
    if (search->phase == KEY_SEARCH_MEMORY) {
        bool more = search_run(search, &machine->keys) && search_run(search, &machine->keys_frozen);
        search->phase = more ? KEY_SEARCH_STORE : KEY_SEARCH_DONE;
    }
    return search->phase == KEY_SEARCH_STORE ? search_store(machine, search) : STATUS_OK;
}

enum status machine_key_find(struct machine *machine, struct slice topic, struct slice key,
                             struct key_search *search)
{
    enum status status = STATUS_PENDING;
    machine_key_search_begin(machine, topic, key, search);
    while (status == STATUS_PENDING) {
        status = machine_key_search(machine, search);
    }
    return status;
}

/* False when nothing older can matter. Entries come newest first. */
static bool search_add(struct key_search *search, const struct key_entry *entry)
{
    if (entry->store_time_ms < search->begin_ms || entry->position < search->cut_position ||
        search->count == search->max) {
        return false;
    }
    if (entry->hash == search->hash && entry->store_time_ms <= search->end_ms) {
        search->entries[search->count++] = (struct index_entry){
            .position = entry->position,
            .body_position = entry->body_position,
            .size = entry->size,
            .crc = entry->crc,
            .store_time_ms = entry->store_time_ms,
        };
    }
    return true;
}

static bool search_run(struct key_search *search, const struct key_run *run)
{
    for (size_t i = run->count; i-- > 0;) {
        if (!search_add(search, &run->entries[i])) {
            return false;
        }
    }
    return true;
}

static bool search_row(struct key_search *search, struct slice value)
{
    for (size_t i = value.size / KEY_ENTRY_SIZE; i-- > 0;) {
        struct key_entry entry;
        key_entry_decode(value.data + i * KEY_ENTRY_SIZE, &entry);
        if (!search_add(search, &entry)) {
            return false;
        }
    }
    return true;
}

/* A part of it; PENDING: there is more. */
static enum status search_store(struct machine *machine, struct key_search *search)
{
    uint16_t bucket = bucket_of(search->hash);
    struct key from = key_run(bucket, search->next_time_ms, search->next_applied);
    struct key to = key_run(bucket, 0, 0); // Exclusive, but no run has applied index 0.
    struct kv_iterator *iterator = kv_iterate(machine->kv, key_slice(&from), key_slice(&to));
    struct slice key;
    struct slice value;
    enum status status = STATUS_OK;
    uint32_t runs = 0;
    bool more = true;
    while (more && kv_iterator_next(iterator, &key, &value)) {
        uint64_t time_ms;
        uint64_t applied;
        if (!key_run_parse(key, &bucket, &time_ms, &applied) || value.size % KEY_ENTRY_SIZE != 0) {
            status = machine_note_damage(machine);
            break;
        }
        if (runs++ == STEP_RUNS_MAX) {
            search->next_time_ms = time_ms;
            search->next_applied = applied;
            status = STATUS_PENDING;
            break;
        }
        bool frozen = machine->keys_frozen.count > 0 && applied == machine->keys_frozen_applied;
        // No entry of a run is younger than the run; what is frozen was searched in memory.
        more = time_ms >= search->begin_ms && (frozen || search_row(search, value));
    }
    enum status closed = kv_iterator_close(iterator);
    status = closed == STATUS_OK || status == STATUS_CORRUPT ? status : closed;
    search->phase = status == STATUS_PENDING ? KEY_SEARCH_STORE : KEY_SEARCH_DONE;
    return status;
}
