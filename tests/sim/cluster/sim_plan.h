/* What a seed draws before anything runs: the cluster's shape, its settings, which faults there are
 * and how often. Swarm testing: most seeds lack most faults, so that each can show what others
 * hide.
 */
#ifndef TESTS_SIM_CLUSTER_SIM_PLAN_H
#define TESTS_SIM_CLUSTER_SIM_PLAN_H

#include "tests/sim/os/sim_socket.h"

/* What can befall a cluster. To add a kind (a lost disk, a change of membership): here, in
 * sim_fault_kinds.c, and nowhere else. */
#define SIM_FAULT_TABLE(X)                                                                         \
    X(KILL_NODE, "node killed")                                                                    \
    X(POWER_NODE, "node lost power")                                                               \
    X(POWER_ALL, "all nodes lost power")                                                           \
    X(KILL_LEADER, "leader killed")                                                                \
    X(SYNC_KILL, "node killed within a sync")                                                      \
    X(SYNC_POWER, "node lost power within a sync")                                                 \
    X(PAUSE_NODE, "node paused")                                                                   \
    X(STOP_NODE, "node stopped in order")                                                          \
    X(TRANSFER, "leadership transferred")                                                          \
    X(PARTITION, "cluster partitioned")                                                            \
    X(ONE_WAY, "one direction cut")                                                                \
    X(BREAK, "connections broken")                                                                 \
    X(SLOW_PEER, "peer slowed")                                                                    \
    X(SLOW_DISK, "disk slowed")                                                                    \
    X(STALL_DISK, "disk stalled")                                                                  \
    X(FAIL_DISK, "disk errors")                                                                    \
    X(FULL_DISK, "disk full")                                                                      \
    X(LOSE_DISK, "disk lost")                                                                      \
    X(FLIP_BITS, "bits flipped")                                                                   \
    X(MEMBERS, "membership changed")                                                               \
    X(DRAIN, "node drained")                                                                       \
    X(CLOCK_JUMP, "wall clock jumped")                                                             \
    X(CLOCK_DRIFT, "clock drifts")                                                                 \
    X(CLOCK_FREEZE, "wall clock frozen")                                                           \
    X(KILL_CLIENT, "client killed")                                                                \
    X(PAUSE_CLIENT, "client paused")                                                               \
    X(KILL_NAMESERVER, "nameserver killed")

enum sim_fault {
#define SIM_FAULT_ENUM(name, text) SIM_FAULT_##name,
    SIM_FAULT_TABLE(SIM_FAULT_ENUM)
#undef SIM_FAULT_ENUM
        SIM_FAULTS
};

struct sim_plan {
    uint32_t nodes;  /* Those that the groups begin with. */
    uint32_t spares; /* Nodes that can be added. */
    uint32_t groups;
    uint32_t nameservers;
    uint32_t plain_clients;
    uint32_t bank_clients;
    uint32_t race_clients;
    uint32_t consumers;
    uint32_t orderly_consumers;
    bool by_sql;             /* They subscribe by SQL92. */
    bool recognises;         /* Topics get and lose windows in which a UNIQ_KEY is recognised. */
    uint32_t poppers;        /* 0 in most seeds. */
    uint64_t slave_read_lag; /* Bytes by which a consumer lags far; 0: followers get none. */
    uint32_t threads;        /* Of each client. */
    uint32_t queues;
    uint32_t think_us; /* A client's thread rests up to twice that between two calls. */

    uint32_t election_ms;
    uint32_t heartbeat_ms;
    uint32_t transaction_timeout_ms;
    uint32_t check_interval_ms;
    uint32_t check_max;
    uint32_t register_ms;
    uint32_t leader_wait_ms;
    uint32_t balance_ms; /* 0: leaders stay. */
    uint32_t checkpoint_ms;
    uint32_t body_max;     /* Bytes of a message. */
    uint64_t retention_ms; /* 0: no limit by age. */
    uint64_t log_size_max; /* Bytes; 0: no limit by size. */
    size_t cache_size;
    uint64_t sync_us;
    uint64_t reserve_size;
    struct sim_network_options network;

    uint64_t scale; /* All times but those of disks and network are so much longer. */
    uint64_t chaos_us;
    uint64_t fault_every_us;      /* On average. */
    uint32_t weights[SIM_FAULTS]; /* 0: this seed does not have it. */
    uint64_t trouble_us;          /* How long most troubles last. */
    uint32_t relapse_of;          /* One restart in so many is cut short by a power cut; 0: none. */
    bool bare_majority;           /* Heal no more than that. */
};

/* Draw it. `chaos_ms` 0: drawn too. `glacial`: on a time scale on which a run takes an hour. */
void sim_plan_draw(struct sim_plan *plan, uint64_t chaos_ms, bool glacial);
void sim_plan_print(const struct sim_plan *plan);
const char *sim_fault_name(enum sim_fault fault);

#endif
