/* Where each entry of the log is: index to position, size, term and type. Pure memory.
 *
 * 16 bytes an entry in chunks, terms as runs; old chunks packed (log_pack.h), so that a long log
 * costs little. Loop thread only. */
#ifndef RAFT_GLUE_LOG_ENTRIES_H
#define RAFT_GLUE_LOG_ENTRIES_H

#include "common/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_entry {
    uint64_t position; /* Of the frame. */
    uint64_t term;
    uint32_t payload_size;
    uint32_t header_crc; /* 0 of a packed one. */
    uint8_t type;
};

struct log_pack;
struct log_place;

/* Up to LOG_CHUNK_ENTRIES whose indexes have the same quotient. */
struct log_chunk {
    struct log_place *places; /* One for each index; */
    struct log_pack *pack;    /* or those that were known, up to the last one, packed. */
};
enum { LOG_CHUNK_ENTRIES = LIMITS_PICK(512, 32) };

struct log_term_run {
    uint64_t first_index; /* From here up to the next run. */
    uint64_t term;
};

/* Entries [first_index, next_index) are known. */
struct log_entries {
    uint64_t first_index;
    uint64_t next_index;
    struct log_chunk *chunks; /* chunks[0] holds first_index. */
    size_t packed_count;      /* Of them, from the first. */
    size_t chunk_count;
    size_t chunk_capacity;
    struct log_term_run *runs;
    size_t run_count;
    size_t run_capacity;
};

/* Empty, to be continued at first_index. */
void log_entries_init(struct log_entries *entries, uint64_t first_index);
/* Accepts a zeroed object. */
void log_entries_close(struct log_entries *entries);

/* Append the entry next_index. */
void log_entries_append(struct log_entries *entries, const struct log_entry *entry);

/* false if the index is not there. */
bool log_entries_get(const struct log_entries *entries, uint64_t index, struct log_entry *entry);

/* Forget entries from index on, of which none is packed. */
void log_entries_truncate(struct log_entries *entries, uint64_t index);

/* Forget entries below index; memory is given back by whole chunks. */
void log_entries_remove_prefix(struct log_entries *entries, uint64_t index);

/* Pack entries below index, by whole chunks, at most `chunks` of them. */
void log_entries_pack(struct log_entries *entries, uint64_t index, size_t chunks);

/* Index of the last entry whose frame begins at or before position; 0 if there is none. */
uint64_t log_entries_find(const struct log_entries *entries, uint64_t position);

#endif
