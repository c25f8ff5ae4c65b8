/* What a replica keeps on disk: its log, its term and vote, and the base of a log that was cut,
 * opened together and judged together.
 *
 * Everything here blocks; it runs before the replica starts. */
#ifndef RAFT_GLUE_REPLICA_STORAGE_H
#define RAFT_GLUE_REPLICA_STORAGE_H

#include "raft-glue/replica_base.h"
#include "raft-glue/replica_configuration.h"
#include "raft-glue/replica_origin.h"
#include "raft-glue/segment_log.h"
#include "raft-glue/term_vote.h"

struct replica_storage {
    struct segment_log *log;
    struct term_vote term_vote;
    struct term_vote_state state; /* As of opening. */
    struct replica_base_file base_file;
    struct replica_base base;
};

struct replica_storage_options {
    struct segment_log_options log;
    uint64_t replica; /* Our id. */
    enum replica_origin origin;
    struct term_vote_state origin_state;        /* EMPTY: what to begin with. */
    const struct raft_configuration *bootstrap; /* Entry 1: the same on every replica. */
};

/* What a directory holds, at a first look. */
enum replica_contents {
    REPLICA_BLANK,    /* Neither a log nor a vote that can be read. */
    REPLICA_VOTE,     /* A vote, but no log. */
    REPLICA_VOTE_LOG, /* Both, or a log alone. */
};

/* Errors: STATUS_IO. */
WARN_UNUSED enum status replica_storage_look(const struct directory *directory, uint64_t group,
                                             uint64_t replica, enum replica_contents *contents,
                                             struct term_vote_state *state);

/* Open, recover, and begin a new log with its first entry.
 *
 * Errors (nothing is open; *error is a sentence for the operator, to be freed):
 *   STATUS_CORRUPT  damaged where it was synced
 *   STATUS_REFUSED  not the files of this replica and group
 *   STATUS_IO, STATUS_DISK_FULL */
WARN_UNUSED enum status replica_storage_open(struct replica_storage *storage,
                                             const struct replica_storage_options *options,
                                             char **error);

/* Accepts a zeroed object. */
void replica_storage_close(struct replica_storage *storage);

/* The membership in the last CHANGE entry at or below index, and which entry that is; also where
 * that entry was cut. Empty and 0 in a log that has none yet. Borrowed until the log changes. */
struct slice replica_storage_change(const struct replica_storage *storage, uint64_t index,
                                    uint64_t *at);

/* Identity of a broker group: what its files and its peers are compared with. */
uint64_t replica_group_identity(struct slice cluster, struct slice group);

#endif
