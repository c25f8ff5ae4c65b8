/* The first words on a connection between replicas. Pure.
 *
 * Whoever connects says who it is, whom it means and what it wants; the other side answers. After
 * a yes, a LINK carries messages (replica_wire.h) from the one to the other only, and a FETCH
 * carries requests for a copy of the data (fetch_wire.h). A PROBE is answered with what the
 * other side is (replica_probe.h), and the connection ends.
 *
 *   hello                            answer                  (little-endian)
 *   at  size  field                  at  size  field
 *    0     4  magic "RMQh"            0     4  magic "RMQa"
 *    4     4  crc of [8, size)        4     4  crc of [8, 16)
 *    8     2  version 2               8     2  version 2
 *   10     2  size                   10     2  answer
 *   12     2  kind                   12     4  0
 *   14     2  flags       1: the sender wants no leadership
 *   16     8  sender
 *   24     8  receiver
 *   32     8  members     hash of the sorted ids that the sender was configured with
 *   40     8  identity    of the sender's disk (replica_identity.h)
 *   48     8  change      index of the newest change of membership that the sender knows; 0: none
 *   56     6  raft host   of the sender: u32 address, u16 port
 *   62     6  client host of the sender
 *   68     1  cluster's size
 *   69     1  group's size
 *   70        cluster, group */
#ifndef RAFT_GLUE_REPLICA_HELLO_H
#define RAFT_GLUE_REPLICA_HELLO_H

#include "common/base/buf.h"
#include "common/base/name.h"
#include "common/base/status.h"
#include "common/remoting/message.h"

#include <stdbool.h>

enum {
    HELLO_SIZE_MIN = 70,
    HELLO_SIZE_MAX = HELLO_SIZE_MIN + 2 * NAME_MAX_SIZE,
    HELLO_ANSWER_SIZE = 16,
    HELLO_VERSION = 2,
};

enum hello_kind { HELLO_LINK = 0, HELLO_PROBE = 1, HELLO_FETCH = 2 };

enum hello_answer {
    HELLO_WELCOME = 0,
    HELLO_OTHER_VERSION = 1,
    HELLO_OTHER_CLUSTER = 2,
    HELLO_OTHER_GROUP = 3,
    HELLO_OTHER_RECEIVER = 4, /* You mean somebody else. */
    HELLO_UNKNOWN_SENDER = 5,
    HELLO_OTHER_MEMBERS = 6, /* Of a group that is about to begin. */
    HELLO_REMOVED = 7,       /* If you were a member by what you know, you are no more. */
    HELLO_NOT_READY = 8,     /* We have no data yet, or are about to stop. */
    HELLO_NOT_LEADER = 9,    /* Said by versions in which only a leader gave copies. */
    HELLO_BUSY = 10,         /* It gives as many copies as it may. */
};

struct hello {
    uint16_t version;
    enum hello_kind kind;
    bool draining;
    uint64_t sender;
    uint64_t receiver;
    uint64_t members;
    uint64_t identity;
    uint64_t change;
    struct host raft_host;
    struct host client_host;
    struct slice cluster;
    struct slice group;
};

/* For logs; static text. */
const char *hello_answer_text(enum hello_answer answer);

/* Hash of member ids in their order. */
uint64_t hello_members_hash(const uint64_t *ids, size_t count);

void hello_encode(const struct hello *hello, struct buf *out);

/* Decode a hello at the start of bytes. Borrows from bytes. *size is what it takes. A hello of
 * another version decodes to its version alone.
 *
 * Errors: STATUS_PENDING (more bytes are needed), STATUS_MALFORMED (this is no hello). */
WARN_UNUSED enum status hello_decode(struct slice bytes, struct hello *hello, size_t *size);

void hello_answer_encode(enum hello_answer answer, uint8_t to[HELLO_ANSWER_SIZE]);
/* Errors: STATUS_MALFORMED. */
WARN_UNUSED enum status hello_answer_decode(struct slice bytes, enum hello_answer *answer);

#endif
