/* The current term and the vote given in it, durable before anything else of that term happens.
 *
 * Also says whose disk this is: the group's identity and the replica's id, because a replica that
 * starts on another one's files has votes it never gave. Blocking; one thread at a time. */
#ifndef RAFT_GLUE_TERM_VOTE_H
#define RAFT_GLUE_TERM_VOTE_H

#include "raft-glue/twin_file.h"

#include <stdbool.h>

struct term_vote_state {
    uint64_t term;
    uint64_t voted_for; /* 0: nobody. */
    bool empty_origin;  /* Began without entry 1: an empty log is in order. */
    /* A replica that lost what it had acknowledged neither votes nor stands for election before its
     * log holds an entry of a later term than rejoin_term, or reaches rejoin_index: by then it
     * holds again whatever was committed with its help. */
    uint64_t rejoin_term;  /* 0: nothing was lost. */
    uint64_t rejoin_index; /* 0: not known. */
};

struct term_vote {
    struct twin_file twin;
    uint64_t group;
    uint64_t replica;
};

/* Read what was stored. `group` is the identity of cluster and group, `replica` our id.
 *
 * Errors (nothing is open):
 *   STATUS_NOT_FOUND  nothing was ever stored here
 *   STATUS_CORRUPT    no valid record is left
 *   STATUS_REFUSED    the files belong to another group or replica, or to another version
 *   STATUS_IO, STATUS_DISK_FULL */
WARN_UNUSED enum status term_vote_open(struct term_vote *vote, const struct directory *directory,
                                       uint64_t group, uint64_t replica,
                                       struct term_vote_state *state);

/* Make the files anew with this state. Errors: STATUS_IO, STATUS_DISK_FULL. */
WARN_UNUSED enum status term_vote_create(struct term_vote *vote, const struct directory *directory,
                                         uint64_t group, uint64_t replica,
                                         const struct term_vote_state *state);

/* Durable when it returns OK. Errors: STATUS_IO, STATUS_DISK_FULL. */
WARN_UNUSED enum status term_vote_store(struct term_vote *vote,
                                        const struct term_vote_state *state);

/* Accepts a zeroed object. */
void term_vote_close(struct term_vote *vote);

#endif
