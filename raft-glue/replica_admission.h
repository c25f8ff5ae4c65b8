/* How a replica with a blank directory begins. Pure; decided before it says anything to anybody.
 *
 * It may be the first start of a new group; or this server is to join a group that exists; or it
 * was a member and lost its disk. The last is the dangerous one: it may have voted, and it may have
 * acknowledged entries that are committed because of that, and remembers neither. So it asks the
 * others what they are:
 *
 *   All others are blank, or some say that this very disk was there, blank, when they began:
 *     BOOTSTRAP, with entry 1. Not if there was data here that was set aside because it was
 *     damaged: that may have happened to all, and what they had between them is for a person to
 *     judge.
 *   A majority of the group's voters agree that this server is no member: JOIN, with nothing.
 *   It is a member, and all other voters have answered: REJOIN, with nothing, in a state of term
 *     and vote that cannot contradict what was promised (struct term_vote_state):
 *       T, the highest term of the others, is at least each term in which this server voted: who
 *       asked for the vote had stored it. If a leader of T has answered, this server takes T with
 *       its vote spent, and holds all that it may have acknowledged when its log reaches what that
 *       leader has now. Else it takes T + 1, and an entry of a later term than T ends its
 *       abstention, because whoever is elected then has everything that is committed. */
#ifndef RAFT_GLUE_REPLICA_ADMISSION_H
#define RAFT_GLUE_REPLICA_ADMISSION_H

#include "raft-glue/replica.h"
#include "raft-glue/replica_identity.h"
#include "raft-glue/replica_probe.h"

enum { ADMISSION_PEERS_MAX = MEMBERS_MAX + 4 };

enum admission_knowledge { ADMISSION_UNKNOWN, ADMISSION_BLANK, ADMISSION_DATA };

struct admission_peer {
    struct replica_voter server;
    bool seed; /* Configured, not learned from a membership. */
    enum admission_knowledge knowledge;
    uint64_t identity;
    bool counted;
    bool leader;
    uint64_t term;
    uint64_t last_index;
};

struct admission {
    uint64_t self;
    bool set_aside;                                   /* This server's data was. */
    struct admission_peer peers[ADMISSION_PEERS_MAX]; /* All but ourselves. */
    size_t peer_count;
    struct replica_base membership; /* The newest one that was heard of; change_index 0: none. */
};

enum admission_verdict {
    ADMISSION_WAIT,
    ADMISSION_BOOTSTRAP,
    ADMISSION_JOIN,
    ADMISSION_REJOIN,
};

struct admission_decision {
    enum admission_verdict verdict;
    struct term_vote_state state; /* JOIN, REJOIN: to begin with. */
    uint64_t missing;             /* WAIT: a member whose answer is needed. */
};

/* Copies voters, which contain ourselves. */
void admission_init(struct admission *admission, uint64_t self, bool set_aside,
                    const struct replica_voter *voters, size_t count);

/* A peer's answer to our PROBE. */
void admission_answer(struct admission *admission, uint64_t from, const struct probe *probe);

void admission_decide(const struct admission *admission, struct admission_decision *decision);

/* After BOOTSTRAP: the disks that were counted, to be stored before the log begins. */
void admission_count(const struct admission *admission, struct replica_identity *identity);

#endif
