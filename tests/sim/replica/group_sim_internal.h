/* Inside of the simulated group, shared by its files: group_sim.c acts, group_nodes.c runs nodes,
 * group_network.c carries messages, group_oracle.c knows what must not happen. */
#ifndef TESTS_SIM_REPLICA_GROUP_SIM_INTERNAL_H
#define TESTS_SIM_REPLICA_GROUP_SIM_INTERNAL_H

#include "common/base/heap.h"
#include "common/base/random.h"
#include "raft-glue/replica.h"
#include "tests/sim/replica/group_sim.h"
#include "tests/sim/sim_disk.h"

enum {
    NODES_MAX = 5,
    ELECTION_MS = 100,
    HEARTBEAT_MS = 15,
    SEGMENT_BYTES = 32 * 1024,
    CACHE_BYTES = 6 * 1024,
    PAYLOAD_MAX = 3000,
    TERMS_MAX = 100000,
    HEAL_MS = 60000,
    GROUP = 7777,
};

enum event_kind { EVENT_MESSAGE, EVENT_DISK, EVENT_LOAD, EVENT_TIMER };

struct event {
    struct heap_node node;
    enum event_kind kind;
    unsigned to;
    uint64_t life; // Of the receiver: events for an earlier life are void.
    // Message:
    unsigned from;
    uint64_t link; // Connection it travels on.
    uint8_t header[WIRE_HEADER_SIZE];
    struct block *body;
};

enum proposal_end { PROPOSAL_WAITS, PROPOSAL_APPLIED, PROPOSAL_REFUSED, PROPOSAL_UNKNOWN };

struct sim_proposal {
    uint64_t id;
    enum proposal_end end;
    uint64_t index; // Where it was applied, on whatever replica.
};

struct sim;

struct node {
    struct sim *sim;
    unsigned number;
    uint64_t id;
    bool up;
    bool dying; // What the machine is told now is told to nobody.
    uint64_t life;
    uint64_t offset_ms;
    struct clock clock;
    struct sim_disk *disk;
    struct replica_storage storage;
    struct replica *replica;
    bool disk_busy;
    struct replica_disk_job job;
    bool load_busy;
    struct log_load load;
    uint64_t timer_at;
    uint64_t applied;
    uint64_t chain; // Hash of all applied entries.
    uint64_t stored_applied;
    uint64_t stored_chain;
    struct replica_state state;
};

struct committed {
    uint64_t term; // 0: not seen (not a command, or not applied yet).
    uint64_t hash;
    uint64_t chain;
};

struct sim {
    struct sim_options options;
    struct sim_result *result;
    struct random random;
    uint64_t now;
    uint64_t tie;
    struct heap events;
    unsigned count;
    struct node nodes[NODES_MAX];
    bool cut[NODES_MAX][NODES_MAX];
    uint64_t links[NODES_MAX][NODES_MAX];
    uint64_t last_at[NODES_MAX][NODES_MAX];
    struct replica_voter voters[NODES_MAX];
    struct committed *committed;
    size_t committed_count;
    struct sim_proposal **proposals;
    size_t proposal_count;
    uint64_t leader_of[TERMS_MAX];
    bool calm; // Healing: no more delays than usual.
};

uint64_t group_mix(uint64_t a, uint64_t b);
/* Every line is hashed, printed or not: two runs of a seed must agree on all of them. */
void group_trace(struct sim *sim, const char *format, ...) PRINTF_LIKE(2, 3);
/* A promise is broken: say where, and end. */
void group_violation(struct sim *sim, const char *format, ...) PRINTF_LIKE(2, 3);
/* Below bound. */
uint64_t group_chance(struct sim *sim, uint64_t bound);
struct event *group_event(struct sim *sim, enum event_kind kind, const struct node *to,
                          uint64_t at);

/* The machine of a node, which compares what it is told with what others were. */
struct replica_machine oracle_machine(struct node *node);

/* Schedule what a node wants to do next. */
void node_pump(struct node *node);
/* Its timer fires. */
void node_tick(struct node *node);
void node_start(struct sim *sim, struct node *node);
void node_stop(struct node *node);
/* Power off, perhaps in the middle of a write, perhaps again while recovering. */
void node_crash(struct sim *sim, struct node *node);

/* A replica's way out; context is its node. */
void network_send(void *context, const struct replica_outbound *outbound);
void network_deliver(struct sim *sim, struct event *event);
/* A connection breaks: what was on its way is lost, what comes later travels on a new one. */
void network_break(struct sim *sim, unsigned from, unsigned to);
void network_partition(struct sim *sim);
void network_heal(struct sim *sim);

#endif
