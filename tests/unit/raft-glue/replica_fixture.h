/* One real replica on a simulated disk and a virtual clock, with a test in place of the others. */
#ifndef TESTS_UNIT_RAFT_GLUE_REPLICA_FIXTURE_H
#define TESTS_UNIT_RAFT_GLUE_REPLICA_FIXTURE_H

#include "raft-glue/replica_internal.h"
#include "raft-glue/segment_file.h"
#include "tests/sim/sim_disk.h"

enum {
    FIXTURE_E = 100,
    FIXTURE_H = 20,
    FIXTURE_SENT_MAX = 256,
    FIXTURE_APPLIED_MAX = 32768,
    FIXTURE_SEGMENT = 1024 * 1024
};

struct fixture {
    struct sim_disk *disk;
    struct replica_storage storage;
    struct replica *replica;
    struct clock clock;
    uint64_t now;
    struct replica_voter voters[5];
    size_t voter_count;
    size_t bootstrap_count; /* How many of them are voters in entry 1. */
    enum replica_origin origin;
    struct term_vote_state origin_state;
    uint64_t machine_index; /* What the machine's store contains at the next start. */
    uint32_t start_entries; /* Most that C-Raft is told of then; 0: as many as usual. */
    struct replica_outbound sent[FIXTURE_SENT_MAX];
    size_t sent_count;
    uint64_t applied[FIXTURE_APPLIED_MAX]; /* Indexes. */
    size_t applied_count;
    unsigned own_applied;
    unsigned dropped;
    enum status dropped_why;
    struct replica_state state;
};

/* An entry to receive. */
struct fixture_entry {
    uint64_t term;
    uint8_t type;
    struct slice payload;
};

/* A command of that term. */
struct fixture_entry fixture_command(uint64_t term);
/* RequestVote of `from`, whose log ends with an entry of that index and term. */
struct raft_message fixture_vote_request(uint64_t from, uint64_t term, uint64_t last,
                                         uint64_t last_term);

/* Replica 1 of `voters`, on an empty disk; of `members` addresses. */
void fixture_open(struct fixture *f, size_t voters, size_t members);
/* The same, but it has lost its disk, or is to join. */
void fixture_open_empty(struct fixture *f, size_t voters, const struct term_vote_state *state);
void fixture_close(struct fixture *f);
/* Stop as by a crash, and start again from disk. */
void fixture_restart(struct fixture *f);

/* Run disk jobs until there are none. */
void fixture_write(struct fixture *f);
/* Let time pass, firing timers when due; disk jobs run if `write`. */
void fixture_pass(struct fixture *f, uint64_t ms, bool write);

void fixture_receive(struct fixture *f, uint64_t from, struct raft_message message);
/* AppendEntries of the leader `from`. */
void fixture_append(struct fixture *f, uint64_t from, uint64_t term, uint64_t prev,
                    uint64_t prev_term, uint64_t commit, const struct fixture_entry *entries,
                    unsigned count);
void fixture_append_result(struct fixture *f, uint64_t from, uint64_t last);
/* Win an election with the votes of 2, 3 ... */
void fixture_elect(struct fixture *f);
enum status fixture_propose(struct fixture *f, size_t size);

/* The replica's own term. */
uint64_t fixture_term(const struct fixture *f);
/* The last message of that type that was sent, NULL if none. */
const struct replica_outbound *fixture_sent(const struct fixture *f, enum raft_message_type type);

/* The payload of a CHANGE: member i has role roles[i], -1 for none. Valid until the next one. */
struct slice fixture_membership(const struct fixture *f, const int *roles, size_t count);

#endif
