#include "raft-glue/log_entries.h"

#include "common/base/buf.h"
#include "common/base/check.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_ENTRIES = 4096, TYPE_SHIFT = 56 };

struct place {
    uint64_t position_and_type; // The type in the highest byte: positions never reach 2^56.
    uint32_t payload_size;
    uint32_t header_crc;
};

struct log_entries_chunk {
    struct place places[CHUNK_ENTRIES];
};

void log_entries_init(struct log_entries *entries, uint64_t first_index)
{
    *entries = (struct log_entries){.first_index = first_index, .next_index = first_index};
}

void log_entries_close(struct log_entries *entries)
{
    for (size_t i = 0; i < entries->chunk_count; i++) {
        free(entries->chunks[i]);
    }
    free(entries->chunks);
    free(entries->runs);
    *entries = (struct log_entries){0};
}

static uint64_t chunk_of(uint64_t index)
{
    return index / CHUNK_ENTRIES;
}

static struct place *place_at(const struct log_entries *entries, uint64_t index)
{
    size_t chunk = (size_t)(chunk_of(index) - chunk_of(entries->first_index));
    return &entries->chunks[chunk]->places[index % CHUNK_ENTRIES];
}

static void add_chunk(struct log_entries *entries)
{
    if (entries->chunk_count == entries->chunk_capacity) {
        size_t capacity = entries->chunk_capacity == 0 ? 16 : 2 * entries->chunk_capacity;
        entries->chunks = mem_realloc(entries->chunks, capacity * sizeof(void *));
        entries->chunk_capacity = capacity;
    }
    entries->chunks[entries->chunk_count++] = mem_alloc(sizeof(struct log_entries_chunk));
}

static void add_run(struct log_entries *entries, uint64_t index, uint64_t term)
{
    if (entries->run_count > 0) {
        ASSERT(entries->runs[entries->run_count - 1].term <= term);
        if (entries->runs[entries->run_count - 1].term == term) {
            return;
        }
    }
    if (entries->run_count == entries->run_capacity) {
        size_t capacity = entries->run_capacity == 0 ? 16 : 2 * entries->run_capacity;
        entries->runs = mem_realloc(entries->runs, capacity * sizeof *entries->runs);
        entries->run_capacity = capacity;
    }
    entries->runs[entries->run_count++] = (struct log_term_run){.first_index = index, .term = term};
}

void log_entries_append(struct log_entries *entries, const struct log_entry *entry)
{
    uint64_t index = entries->next_index;
    if (chunk_of(index) - chunk_of(entries->first_index) == entries->chunk_count) {
        add_chunk(entries);
    }
    add_run(entries, index, entry->term);
    *place_at(entries, index) = (struct place){
        .position_and_type = entry->position | (uint64_t)entry->type << TYPE_SHIFT,
        .payload_size = entry->payload_size,
        .header_crc = entry->header_crc,
    };
    entries->next_index = index + 1;
}

/* Term of an entry that is there: the last run that begins at or before it. */
static uint64_t term_of(const struct log_entries *entries, uint64_t index)
{
    size_t low = 0;
    size_t high = entries->run_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (entries->runs[middle].first_index <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return entries->runs[low].term;
}

bool log_entries_get(const struct log_entries *entries, uint64_t index, struct log_entry *entry)
{
    if (index < entries->first_index || index >= entries->next_index) {
        return false;
    }
    const struct place *place = place_at(entries, index);
    *entry = (struct log_entry){
        .position = place->position_and_type & ((UINT64_C(1) << TYPE_SHIFT) - 1),
        .term = term_of(entries, index),
        .payload_size = place->payload_size,
        .header_crc = place->header_crc,
        .type = (uint8_t)(place->position_and_type >> TYPE_SHIFT),
    };
    return true;
}

void log_entries_truncate(struct log_entries *entries, uint64_t index)
{
    ASSERT(index >= entries->first_index);
    if (index >= entries->next_index) {
        return;
    }
    entries->next_index = index;
    while (entries->run_count > 0 && entries->runs[entries->run_count - 1].first_index >= index) {
        entries->run_count--;
    }
    size_t keep = 0;
    if (index > entries->first_index) {
        keep = (size_t)(chunk_of(index - 1) - chunk_of(entries->first_index)) + 1;
    }
    while (entries->chunk_count > keep) {
        free(entries->chunks[--entries->chunk_count]);
    }
}

void log_entries_remove_prefix(struct log_entries *entries, uint64_t index)
{
    ASSERT(index <= entries->next_index);
    if (index <= entries->first_index) {
        return;
    }
    size_t drop = (size_t)(chunk_of(index) - chunk_of(entries->first_index));
    drop = drop < entries->chunk_count ? drop : entries->chunk_count;
    for (size_t i = 0; i < drop; i++) {
        free(entries->chunks[i]);
    }
    entries->chunk_count -= drop;
    if (drop > 0) {
        memmove(entries->chunks, entries->chunks + drop, entries->chunk_count * sizeof(void *));
    }
    size_t runs = 0;
    while (runs + 1 < entries->run_count && entries->runs[runs + 1].first_index <= index) {
        runs++;
    }
    entries->run_count -= runs;
    if (runs > 0) {
        memmove(entries->runs, entries->runs + runs, entries->run_count * sizeof *entries->runs);
    }
    entries->first_index = index;
}

uint64_t log_entries_find(const struct log_entries *entries, uint64_t position)
{
    uint64_t low = entries->first_index;
    uint64_t high = entries->next_index;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        uint64_t at =
            place_at(entries, middle)->position_and_type & ((UINT64_C(1) << TYPE_SHIFT) - 1);
        if (at <= position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == entries->first_index ? 0 : low - 1;
}
