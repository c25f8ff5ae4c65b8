/* Broker cores in one process without sockets, disk or real time.
 *
 * A harness is a group of replicas that share one log held in memory. The first leads. What they
 * propose waits until harness_commit(); frames that they write to clients, and to the leader, are
 * collected and can be read back as commands. Time stands still unless it is advanced. */
#ifndef TESTS_SUPPORT_BROKER_HARNESS_H
#define TESTS_SUPPORT_BROKER_HARNESS_H

#include "broker/core/broker.h"

enum {
    HARNESS_REPLICAS_MAX = 3,
    HARNESS_SCRATCH_SIZE = 65536,
    HARNESS_SPANS_MAX = 64,
    HARNESS_READS_MAX = 16384,
};

/* The far end of a connection: what the broker wrote to it. */
struct harness_pipe {
    struct harness_replica *replica;
    struct channel *channel;
    struct buf written;
    size_t read; /* Up to where frames were taken out. */
    struct buf scratch;
    bool congested;
};

struct harness_replica {
    unsigned turns_wanted; /* So often was another turn asked for. */
    struct harness *harness;
    struct group_settings group;
    struct settings settings;
    struct broker_ports ports;
    struct log log;
    struct kv *kv;
    struct machine *machine;
    struct broker broker;
    bool room;
    bool fresh;
    bool behind;                        /* Others may have applied more. */
    struct storage_view storage;        /* What the port says, but for log_end. */
    bool peer_ready;                    /* What the members port says, */
    bool unready[HARNESS_REPLICAS_MAX]; /* of followers, too, by place. */
    bool forsaken;                      /* A follower that hears of no leader. */
    uint64_t suspected;                 /* Where a read was not what was written; 0: nowhere. */
    bool draining;                      /* As it was told. */
    uint64_t recovered_at;              /* Where it was told that its log ends. */
    uint64_t changed_member;            /* The last change asked for, */
    enum member_action changed_action;
    enum status change_status;   /* and what it is answered. */
    uint64_t transferred_to;     /* Target of the last transfer that was asked for; 0: none. */
    enum status transfer_status; /* How transfers end. */
    uint32_t registrations;
    const char *route;              /* What a nameserver answers, as JSON; NULL: none answers. */
    size_t applied;                 /* Of harness.entries. */
    struct harness_pipe *to_leader; /* Of a follower. */
    struct harness_pipe *at_leader; /* The leader's end of it. */
};

/* Positions from one on follow each other, beginning at a place in log_bytes. */
struct harness_span {
    uint64_t position;
    size_t at;
};

struct harness_entry {
    uint64_t position;
    struct buf payload;
    struct harness_replica *proposer;
    void *proposal;
};

struct harness {
    struct clock clock;
    uint64_t now_ms; /* Both clocks. */
    size_t replica_count;
    struct harness_replica replicas[HARNESS_REPLICAS_MAX];
    struct harness_entry *entries;
    size_t entry_count;
    size_t entry_capacity;
    size_t committed;
    struct buf log_bytes;
    struct harness_span spans[HARNESS_SPANS_MAX];
    size_t span_count;
    bool block_reads; /* read_now() says BUSY; reads complete in harness_run_reads(). */
    struct position_read *blocked[HARNESS_READS_MAX];
    size_t blocked_count;
};

/* `replicas` members; member 1 leads in term 1 and has its system topics. */
struct harness *harness_new(size_t replicas);
void harness_free(struct harness *harness);

static inline struct harness_replica *harness_leader(struct harness *harness)
{
    return &harness->replicas[0];
}

/* Commit and apply everything proposed, on all replicas, until nothing is left to do. */
void harness_commit(struct harness *harness);
/* Only hand what is open to the replica; nothing is committed. */
void harness_turn(struct harness *harness);
/* Let time pass in steps, committing what it brings. */
void harness_advance(struct harness *harness, uint64_t ms);
void harness_run_reads(struct harness *harness);
/* Only the one that has waited longest. */
void harness_run_read(struct harness *harness);
/* The next entry begins the next segment of the log. */
void harness_next_segment(struct harness *harness);

/* Have a replica's machine begin anew with what a checkpoint keeps of it. */
void harness_reopen(struct harness_replica *replica);

/* A client's connection to a replica. */
struct harness_pipe *harness_connect(struct harness_replica *replica, uint32_t port);
void harness_disconnect(struct harness_pipe *pipe);
void harness_pipe_free(struct harness_pipe *pipe);

/* Send a request with the given fields: name, value, …, NULL. */
void harness_send(struct harness_pipe *pipe, int32_t code, int32_t opaque, int32_t flag,
                  struct slice body, ...);
/* The next frame the broker wrote; false if there is none. Borrows until the next call. */
bool harness_receive(struct harness_pipe *pipe, struct command *command);

/* Follower `replica` gets its connection to the leader. */
void harness_link(struct harness_replica *replica);
/* Carry frames between followers and leader until there are none. */
void harness_exchange(struct harness *harness);

/* The stored message at the start of a response's body. */
void harness_message(struct slice body, struct message *message);

#endif
