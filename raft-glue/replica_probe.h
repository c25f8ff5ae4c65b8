/* What a replica tells another one that asks what it is: the answer to a PROBE. Pure.
 *
 *   at  size  field          (little-endian)
 *    0     4  magic "RMQp"
 *    4     4  crc of [8, size)
 *    8     2  version 1
 *   10     2  size
 *   12     2  answer         enum hello_answer; if not WELCOME, the rest is zero
 *   14     2  flags          1 blank, 2 counted, 4 leader
 *   16     8  identity       of the disk of who answers
 *   24     8  term
 *   32     8  last_index
 *   40     8  leader_id      0: unknown
 *   48     8  change_index
 *   56     2  change_size
 *   58        the membership as of change_index */
#ifndef RAFT_GLUE_REPLICA_PROBE_H
#define RAFT_GLUE_REPLICA_PROBE_H

#include "raft-glue/replica_base.h"
#include "raft-glue/replica_hello.h"

enum {
    PROBE_SIZE_MIN = 58,
    PROBE_SIZE_MAX = PROBE_SIZE_MIN + REPLICA_BASE_CHANGE_MAX,
    PROBE_VERSION = 1,
};

struct probe {
    enum hello_answer answer;
    bool blank;   /* Has no data: never started, or lost all of it. */
    bool counted; /* When this group began, the asker's disk was there and blank. */
    bool leader;  /* Leads, and serves. */
    uint64_t identity;
    uint64_t term;
    uint64_t last_index;
    uint64_t leader_id;
    uint64_t change_index;
    struct slice change; /* Valid if not empty; borrowed. */
};

void probe_encode(const struct probe *probe, struct buf *out);

/* Errors: STATUS_PENDING (more bytes are needed), STATUS_MALFORMED. */
WARN_UNUSED enum status probe_decode(struct slice bytes, struct probe *probe);

#endif
