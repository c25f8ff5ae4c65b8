/* What must be known of the log's part that was cut: the entry before its beginning, and the
 * membership as of there.
 *
 * Stored in the twin file "base" before the first byte of that part goes. Blocking; one thread at a
 * time.
 *
 *   at  size  field          (little-endian)
 *    0     8  index          some entry not before the one that precedes the log's first
 *    8     8  term           of it
 *   16     8  change_index   of the last change of membership at or below index
 *   24     4  size
 *   28        that entry's payload, zeros behind it */
#ifndef RAFT_GLUE_REPLICA_BASE_H
#define RAFT_GLUE_REPLICA_BASE_H

#include "raft-glue/twin_file.h"

enum {
    /* A membership of MEMBERS_MAX servers takes 312 bytes. */
    REPLICA_BASE_CHANGE_MAX = 512,
    REPLICA_BASE_RECORD_SIZE = 28 + REPLICA_BASE_CHANGE_MAX,
};

struct replica_base {
    uint64_t index; /* 0: the log was never cut. */
    uint64_t term;
    uint64_t change_index;
    uint32_t change_size;
    uint8_t change[REPLICA_BASE_CHANGE_MAX];
};

struct replica_base_file {
    struct directory directory; /* Borrowed. */
    struct twin_file twin;
    bool exists;
};

static inline struct slice replica_base_change(const struct replica_base *base)
{
    return slice_of(base->change, base->change_size);
}

void replica_base_encode(const struct replica_base *base, uint8_t to[REPLICA_BASE_RECORD_SIZE]);
/* Errors: STATUS_CORRUPT. */
WARN_UNUSED enum status replica_base_decode(const uint8_t record[REPLICA_BASE_RECORD_SIZE],
                                            struct replica_base *base);

/* Read what was stored; base->index is 0 if nothing ever was.
 * Errors (nothing is open): STATUS_CORRUPT (storing makes the files anew), STATUS_IO. */
WARN_UNUSED enum status replica_base_open(struct replica_base_file *file,
                                          const struct directory *directory,
                                          struct replica_base *base);

/* Durable when it returns OK. Errors: STATUS_IO, STATUS_DISK_FULL (the one before still counts). */
WARN_UNUSED enum status replica_base_store(struct replica_base_file *file,
                                           const struct replica_base *base);

/* Accepts a zeroed object. */
void replica_base_close(struct replica_base_file *file);

#endif
