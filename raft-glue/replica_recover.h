/* The last resort after the loss of a majority: a replica makes itself the only member.
 *
 * Appends a change of membership that nobody has voted for, so whatever the others acknowledged
 * and this replica never got is lost, and what it got and nobody committed is committed. The
 * others must never serve again with the data they have. Blocks; nothing else may have the
 * directory open. */
#ifndef RAFT_GLUE_REPLICA_RECOVER_H
#define RAFT_GLUE_REPLICA_RECOVER_H

#include "raft-glue/replica_storage.h"

struct replica_recover_options {
    struct directory directory; /* Of a replica that has a log. */
    const struct log *log;
    uint64_t group; /* replica_group_identity() */
    uint64_t id;
    const char *address; /* Ours, as memberships have it. */
    uint32_t segment_size;
};

/* Durable when it returns OK; a crash before that leaves the replica as it was, but in a later
 * term. Errors (*error is a sentence to be freed): as replica_storage_open(). */
WARN_UNUSED enum status replica_recover_alone(const struct replica_recover_options *options,
                                              char **error);

#endif
