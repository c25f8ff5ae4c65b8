/* A broker group without sockets under a script (fuzz_broker.c): who is connected, what was asked,
 * what was answered, and what must hold after every step. */
#ifndef TESTS_FUZZ_BROKER_WORLD_H
#define TESTS_FUZZ_BROKER_WORLD_H

#include "tests/support/broker_harness.h"

enum {
    WORLD_REPLICAS = 2,
    WORLD_PIPES = 6, /* The even ones at the leader, the odd ones at the follower. */
    WORLD_ASKED_MAX = 512,
    WORLD_HALVES_MAX = 32,
    WORLD_ACKED_MAX = 256,
};

struct asked {
    struct harness_pipe *pipe; /* NULL once that is closed. */
    int32_t code;
    bool must_answer; /* A well-formed two-way request of a known kind. */
    bool send;        /* A single message: its answer is an acknowledgement. */
    uint8_t answers;
};

struct half_known {
    int64_t position;
    int64_t offset;
};

/* A message that a producer was told is stored. */
struct acked {
    uint64_t topic_id; /* Of the topic as it was then. */
    struct name topic;
    int32_t queue_id;
    int64_t offset;
    int32_t marker; /* The first bytes of its body. */
};

struct world {
    struct harness *harness;
    struct harness_pipe *pipes[WORLD_PIPES];
    size_t committed; /* Entries when the replicas were last compared. */
    int32_t asked_count;
    struct asked asked[WORLD_ASKED_MAX];
    size_t half_count;
    struct half_known halves[WORLD_HALVES_MAX];
    size_t acked_count;
    struct acked acked[WORLD_ACKED_MAX];
};

void world_open(struct world *world);
/* Let everything end that has an end, check it all, and close. */
void world_close(struct world *world);

/* Connect (again) or disconnect a client. */
void world_toggle_pipe(struct world *world, size_t number);

/* Hand a request to a broker over a pipe (if it is connected). The opaque is given here. Copies. */
void world_ask(struct world *world, size_t pipe, struct command *command, bool must_answer,
               bool send);

/* Commit, take all answers in, and check what must hold at any time. */
void world_settle(struct world *world);

#endif
