/* Copying a replica's data over a FETCH connection: requests one way, answers the other. Pure.
 *
 * OPEN asks what there is, IMAGE for the next piece of the machine's state, ENTRIES for committed
 * entries from some index on, as frames of the log. One request at a time. OPEN says which entry
 * the copy must reach: who has that committed gives it, leader or not. 0: a leader's copy is
 * wanted.
 *
 *   request                          answer                   (little-endian)
 *   at  size  field                  at  size  field
 *    0     4  magic "RMQg"            0     4  magic "RMQd"
 *    4     4  crc of [8, 32)          4     4  crc of [8, 64)
 *    8     4  type                    8     4  type
 *   12     4  0                      12     4  status         enum status; not OK: no body
 *   16     8  index    OPEN, ENTRIES 16     4  body_size
 *   24     8  0                      20     4  body_crc
 *                                    24     8  first_index    OPEN: of the log; ENTRIES: of these
 *                                    32     4  count          ENTRIES
 *                                    36     4  end            IMAGE: 1 with the last piece
 *                                    40     8  last_index     OPEN: of the log; ENTRIES: committed
 *                                    48     8  term           OPEN: it leads in it; 0: in none
 *                                    56     8  applied        OPEN: index that the image is of
 *
 * The body of OPEN is u64, the position where the log begins, and if it was cut, the record of
 * replica_base.h as of the entry before its first. */
#ifndef RAFT_GLUE_FETCH_WIRE_H
#define RAFT_GLUE_FETCH_WIRE_H

#include "common/base/limits.h"
#include "raft-glue/replica_base.h"

enum {
    FETCH_REQUEST_SIZE = 32,
    FETCH_ANSWER_SIZE = 64,
    FETCH_BODY_TARGET = LIMITS_PICK(2048, 32) * 1024,
    FETCH_BODY_MAX = FETCH_BODY_TARGET + ENTRY_SIZE_MAX + 1024,
};

enum fetch_type { FETCH_OPEN = 1, FETCH_IMAGE = 2, FETCH_ENTRIES = 3 };

struct fetch_request {
    enum fetch_type type;
    uint64_t index;
};

struct fetch_answer {
    enum fetch_type type;
    enum status status;
    uint32_t body_size;
    uint32_t body_crc;
    uint64_t first_index;
    uint32_t count;
    bool end;
    uint64_t last_index;
    uint64_t term;
    uint64_t applied;
};

void fetch_request_encode(const struct fetch_request *request, uint8_t to[FETCH_REQUEST_SIZE]);
/* Errors: STATUS_MALFORMED. */
WARN_UNUSED enum status fetch_request_decode(struct slice bytes, struct fetch_request *request);

void fetch_answer_encode(const struct fetch_answer *answer, uint8_t to[FETCH_ANSWER_SIZE]);
/* Errors: STATUS_MALFORMED  also for a body over its bound. */
WARN_UNUSED enum status fetch_answer_decode(struct slice bytes, struct fetch_answer *answer);

#endif
