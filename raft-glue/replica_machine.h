/* What a replica tells the state machine above it. The replica calls, the machine never calls back
 * into raft_step() from here; proposing from within apply() is allowed (it is queued). */
#ifndef RAFT_GLUE_REPLICA_MACHINE_H
#define RAFT_GLUE_REPLICA_MACHINE_H

#include "common/base/slice.h"
#include "common/base/status.h"

struct replica_entry {
    uint64_t index;
    uint64_t term;
    uint64_t position;    /* Of the payload's first byte in the log: the same on every replica. */
    struct slice payload; /* Borrowed until apply() returns. */
};

enum replica_role {
    REPLICA_FOLLOWER,
    REPLICA_CANDIDATE,
    REPLICA_ELECTED, /* Leader, but not yet sure of everything before its term: may not serve. */
    REPLICA_LEADER,  /* Serving: an entry of its own term (or its whole log) is committed and
                        applied. */
};

struct replica_state {
    enum replica_role role;
    uint64_t term;
    uint64_t leader_id; /* Member id of the leader as far as known; 0 if unknown. */
};

struct replica_machine {
    void *context;
    /* A committed entry, in index order without gaps in COMMAND entries, each once per run. Entries
     * at or below the applied index given at start are not repeated. `proposal` is the context
     * of replica_propose() if this very replica proposed it and still waits, else NULL. */
    void (*apply)(void *context, const struct replica_entry *entry, void *proposal);
    /* A proposal of this replica ends without having been applied here: STATUS_NOT_LEADER and
     * friends (it is in no log), or STATUS_UNKNOWN_OUTCOME (it may still be committed). */
    void (*drop)(void *context, void *proposal, enum status why);
    /* Role, term or known leader changed. */
    void (*on_state)(void *context, const struct replica_state *state);
};

#endif
