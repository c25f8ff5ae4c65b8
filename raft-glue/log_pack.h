/* Where entries of the log are that never change any more: 3 or 4 bytes for each instead of 16.
 * Pure memory.
 *
 * What is given up is the checksum of the frame's header, and that a place is found at once: up to
 * 31 others are walked over. */
#ifndef RAFT_GLUE_LOG_PACK_H
#define RAFT_GLUE_LOG_PACK_H

#include <stddef.h>
#include <stdint.h>

/* Of one entry. The type is in the highest byte: positions never reach 2^56. */
struct log_place {
    uint64_t position_and_type;
    uint32_t payload_size;
    uint32_t header_crc; /* 0 in a pack. */
};

enum { LOG_PLACE_TYPE_SHIFT = 56 };

static inline uint64_t log_place_position(const struct log_place *place)
{
    return place->position_and_type & ((UINT64_C(1) << LOG_PLACE_TYPE_SHIFT) - 1);
}

static inline uint8_t log_place_type(const struct log_place *place)
{
    return (uint8_t)(place->position_and_type >> LOG_PLACE_TYPE_SHIFT);
}

struct log_pack;

/* Pack places of entries that follow each other; count > 0. Copies. */
struct log_pack *log_pack_new(const struct log_place *places, size_t count);
void log_pack_free(struct log_pack *pack); /* Accepts NULL. */

size_t log_pack_count(const struct log_pack *pack);

/* The place number `at`, below count. */
struct log_place log_pack_get(const struct log_pack *pack, size_t at);

/* Which place is the last one that begins at or before position; the first one begins there. */
size_t log_pack_find(const struct log_pack *pack, uint64_t position);

#endif
