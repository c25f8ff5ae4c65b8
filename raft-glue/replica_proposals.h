/* Proposals that wait for their entry, in the order of the log. Pure memory. */
#ifndef RAFT_GLUE_REPLICA_PROPOSALS_H
#define RAFT_GLUE_REPLICA_PROPOSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proposal {
    uint64_t index;
    uint64_t term;
    void *context;
};

/* A queue in a ring; zeroed is empty. */
struct proposals {
    struct proposal *ring;
    size_t capacity; /* 0 or a power of two. */
    size_t first;
    size_t count;
};

/* Accepts a zeroed object. */
void proposals_close(struct proposals *proposals);

/* Indexes rise. */
void proposals_put(struct proposals *proposals, const struct proposal *proposal);

/* Remove and return the oldest, if its index is at most `index`. */
bool proposals_take_until(struct proposals *proposals, uint64_t index, struct proposal *proposal);

/* Remove and return the oldest, if it was proposed before `term`. */
bool proposals_take_before_term(struct proposals *proposals, uint64_t term,
                                struct proposal *proposal);

/* Remove and return the newest, if its index is at least `index`. */
bool proposals_take_from(struct proposals *proposals, uint64_t index, struct proposal *proposal);

#endif
