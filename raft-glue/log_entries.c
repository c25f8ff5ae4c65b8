#include "raft-glue/log_entries.h"

#include "common/base/buf.h"
#include "common/base/check.h"
#include "raft-glue/log_pack.h"

#include <stdlib.h>
#include <string.h>

static void chunk_free(struct log_chunk *chunk)
{
    free(chunk->places);
    log_pack_free(chunk->pack);
}

void log_entries_init(struct log_entries *entries, uint64_t first_index)
{
    *entries = (struct log_entries){.first_index = first_index, .next_index = first_index};
}

void log_entries_close(struct log_entries *entries)
{
    for (size_t i = 0; i < entries->chunk_count; i++) {
        chunk_free(&entries->chunks[i]);
    }
    free(entries->chunks);
    free(entries->runs);
    *entries = (struct log_entries){0};
}

/* Which of the chunks an index lies in, if it does. */
static size_t chunk_of(const struct log_entries *entries, uint64_t index)
{
    return (size_t)(index / LOG_CHUNK_ENTRIES - entries->first_index / LOG_CHUNK_ENTRIES);
}

static uint64_t chunk_start(const struct log_entries *entries, size_t chunk)
{
    return (entries->first_index / LOG_CHUNK_ENTRIES + chunk) * LOG_CHUNK_ENTRIES;
}

/* First index of a chunk whose place is known: what was removed from the front still is, if it was
 * packed. */
static uint64_t chunk_first(const struct log_entries *entries, size_t chunk)
{
    uint64_t start = chunk_start(entries, chunk);
    if (entries->chunks[chunk].pack != NULL) {
        return start + LOG_CHUNK_ENTRIES - log_pack_count(entries->chunks[chunk].pack);
    }
    return start > entries->first_index ? start : entries->first_index;
}

static struct log_place place_at(const struct log_entries *entries, uint64_t index)
{
    size_t at = chunk_of(entries, index);
    const struct log_chunk *chunk = &entries->chunks[at];
    return chunk->pack == NULL
               ? chunk->places[index % LOG_CHUNK_ENTRIES]
               : log_pack_get(chunk->pack, (size_t)(index - chunk_first(entries, at)));
}

static void add_chunk(struct log_entries *entries)
{
    if (entries->chunk_count == entries->chunk_capacity) {
        size_t capacity = entries->chunk_capacity == 0 ? 16 : 2 * entries->chunk_capacity;
        entries->chunks = mem_realloc(entries->chunks, capacity * sizeof *entries->chunks);
        entries->chunk_capacity = capacity;
    }
    entries->chunks[entries->chunk_count++] =
        (struct log_chunk){.places = mem_alloc(LOG_CHUNK_ENTRIES * sizeof(struct log_place))};
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
    size_t chunk = chunk_of(entries, index);
    if (chunk == entries->chunk_count) {
        add_chunk(entries);
    }
    ASSERT(entries->chunks[chunk].pack == NULL);
    add_run(entries, index, entry->term);
    entries->chunks[chunk].places[index % LOG_CHUNK_ENTRIES] = (struct log_place){
        .position_and_type = entry->position | (uint64_t)entry->type << LOG_PLACE_TYPE_SHIFT,
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
    struct log_place place = place_at(entries, index);
    *entry = (struct log_entry){
        .position = log_place_position(&place),
        .term = term_of(entries, index),
        .payload_size = place.payload_size,
        .header_crc = place.header_crc,
        .type = log_place_type(&place),
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
        keep = chunk_of(entries, index - 1) + 1;
    }
    ASSERT(chunk_of(entries, index) >= entries->packed_count);
    while (entries->chunk_count > keep) {
        chunk_free(&entries->chunks[--entries->chunk_count]);
    }
}

void log_entries_remove_prefix(struct log_entries *entries, uint64_t index)
{
    ASSERT(index <= entries->next_index);
    if (index <= entries->first_index) {
        return;
    }
    size_t drop = chunk_of(entries, index);
    drop = drop < entries->chunk_count ? drop : entries->chunk_count;
    for (size_t i = 0; i < drop; i++) {
        chunk_free(&entries->chunks[i]);
    }
    entries->chunk_count -= drop;
    entries->packed_count -= drop < entries->packed_count ? drop : entries->packed_count;
    if (drop > 0) {
        memmove(entries->chunks, entries->chunks + drop,
                entries->chunk_count * sizeof *entries->chunks);
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

static void pack_chunk(struct log_entries *entries, size_t at)
{
    struct log_chunk *chunk = &entries->chunks[at];
    size_t first = (size_t)(chunk_first(entries, at) - chunk_start(entries, at));
    chunk->pack = log_pack_new(chunk->places + first, LOG_CHUNK_ENTRIES - first);
    free(chunk->places);
    chunk->places = NULL;
}

void log_entries_pack(struct log_entries *entries, uint64_t index, size_t chunks)
{
    ASSERT(index <= entries->next_index);
    for (; chunks > 0 && entries->packed_count < entries->chunk_count; chunks--) {
        if (index < entries->first_index || chunk_of(entries, index) <= entries->packed_count) {
            return;
        }
        pack_chunk(entries, entries->packed_count++);
    }
}

/* The last index in a chunk whose frame begins at or before position; the first one does. */
static uint64_t find_in(const struct log_entries *entries, size_t chunk, uint64_t position)
{
    uint64_t first = chunk_first(entries, chunk);
    if (entries->chunks[chunk].pack != NULL) {
        return first + log_pack_find(entries->chunks[chunk].pack, position);
    }
    uint64_t most = LOG_CHUNK_ENTRIES - first % LOG_CHUNK_ENTRIES;
    uint64_t known = entries->next_index - first;
    uint64_t low = first;
    uint64_t high = first + (most < known ? most : known);
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        struct log_place place = place_at(entries, middle);
        if (log_place_position(&place) <= position) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t log_entries_find(const struct log_entries *entries, uint64_t position)
{
    size_t low = 0;
    size_t high = entries->first_index < entries->next_index ? entries->chunk_count : 0;
    while (low < high) { // Chunks below low begin at or before the position.
        size_t middle = low + (high - low) / 2;
        struct log_place place = place_at(entries, chunk_first(entries, middle));
        if (log_place_position(&place) <= position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    uint64_t index = low == 0 ? 0 : find_in(entries, low - 1, position);
    return index < entries->first_index ? 0 : index;
}
