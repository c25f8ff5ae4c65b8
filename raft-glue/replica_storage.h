/* What a replica keeps on disk: its log and its term and vote, opened together and judged together.
 *
 * Everything here blocks; it runs before the replica starts. */
#ifndef RAFT_GLUE_REPLICA_STORAGE_H
#define RAFT_GLUE_REPLICA_STORAGE_H

#include "raft-glue/replica_configuration.h"
#include "raft-glue/segment_log.h"
#include "raft-glue/term_vote.h"

struct replica_storage {
    struct segment_log *log;
    struct term_vote term_vote;
    struct term_vote_state state; /* As of opening. */
};

struct replica_storage_options {
    struct segment_log_options log;
    uint64_t replica; /* Our id. */
    const struct raft_configuration
        *bootstrap; /* Entry 1 of a new log: the same on every replica. */
};

/* Open, recover, and begin a new log with its first entry.
 *
 * Errors (nothing is open; *error is a sentence for the operator, to be freed):
 *   STATUS_CORRUPT  damaged where it was synced, or not the files of this replica and group
 *   STATUS_IO, STATUS_DISK_FULL */
WARN_UNUSED enum status replica_storage_open(struct replica_storage *storage,
                                             const struct replica_storage_options *options,
                                             char **error);

/* Accepts a zeroed object. */
void replica_storage_close(struct replica_storage *storage);

/* Identity of a broker group: what its files and its peers are compared with. */
uint64_t replica_group_identity(struct slice cluster, struct slice group);

#endif
