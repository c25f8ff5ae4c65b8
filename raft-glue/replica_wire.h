/* Messages between replicas as bytes. Pure.
 *
 * A message is a header of 64 bytes; AppendEntries is followed by its entries as frames of the log
 * (log_frame.h), byte for byte as the sender has them.
 *
 *   at  size  field         (little-endian)
 *    0     4  magic         "RMQm"
 *    4     4  crc           CRC-32C of bytes [8, 64)
 *    8     4  body_size     bytes of frames behind the header
 *   12     1  type          1 AppendEntries, 2 its result, 3 RequestVote, 4 its result,
 *                           5 InstallSnapshot: carries none, says that a copy is to be fetched,
 *                           6 TimeoutNow
 *   13     1  version       of the type's fields, as C-Raft counts them
 *   14     2  flags         1 pre-vote, 2 disrupt leader, 4 vote granted
 *   16     8  term
 *   24     8  index         1: prev_log_index, 2: rejected, 3: last_log_index, 5, 6: last index
 *   32     8  index_term    1: prev_log_term, 3: last_log_term, 5, 6: last term
 *   40     8  other         1: leader_commit, 2: last_log_index, 3: candidate_id
 *   48     8  position      of the first frame; 0 if there is none
 *   56     4  count         entries
 *   60     2  features      of results
 *   62     2  capacity      of results */
#ifndef RAFT_GLUE_REPLICA_WIRE_H
#define RAFT_GLUE_REPLICA_WIRE_H

#include "common/base/limits.h"
#include "raft-glue/block.h"
#include "raft-glue/log_frame.h"

#include <raft.h>

enum {
    WIRE_HEADER_SIZE = 64,
    /* Entries under way to one follower (C-Raft's max_inflight_entries), so also in one message. */
    WIRE_ENTRIES_MAX = LIMITS_PICK(128, 12),
    /* AppendEntries are split so that their frames stay below this, but for a single large one. */
    WIRE_BODY_TARGET = LIMITS_PICK(1024, 24) * 1024,
    WIRE_BODY_MAX = WIRE_BODY_TARGET + ENTRY_SIZE_MAX,
};

struct wire_header {
    struct raft_message message; /* Without addresses and entries. */
    uint64_t position;
    size_t body_size;
};

void wire_header_encode(const struct wire_header *header, uint8_t to[WIRE_HEADER_SIZE]);

/* Errors: STATUS_MALFORMED  too short, damaged, unknown, or beyond a bound. */
WARN_UNUSED enum status wire_header_decode(struct slice bytes, struct wire_header *header);

/* A received AppendEntries' entry. */
struct wire_entry {
    struct log_frame frame;
    struct slice payload; /* In the message's body. */
};

/* Take a body apart. entries has room for header->message.append_entries.n_entries.
 *
 * Errors: STATUS_MALFORMED  the frames are damaged, do not follow one another, or do not fill the
 *                           body exactly. */
WARN_UNUSED enum status wire_entries_decode(const struct wire_header *header, struct slice body,
                                            uint32_t seed, struct wire_entry *entries);

#endif
