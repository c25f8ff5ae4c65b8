#include "tests/sim/sim_cluster.h"

#include "common/base/crc32c.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/random.h"
#include "raft-glue/replica.h"
#include "tests/sim/sim_disk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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

static uint64_t mix(uint64_t a, uint64_t b)
{
    struct random random = {a * UINT64_C(0x9E3779B97F4A7C15) ^ b};
    return random_next(&random);
}

static void trace(struct sim *sim, const char *format, ...) PRINTF_LIKE(2, 3);

/* Every trace line is hashed, printed or not: two runs of a seed must agree on all of them. */
static void trace(struct sim *sim, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t kept = (size_t)size < sizeof line ? (size_t)size : sizeof line - 1;
    sim->result->trace_hash = mix(sim->result->trace_hash, mix(sim->now, crc32c(0, line, kept)));
    if (sim->options.trace) {
        printf("%8" PRIu64 "  %s\n", sim->now, line);
    }
}

static void violation(struct sim *sim, const char *format, ...) PRINTF_LIKE(2, 3);

static void violation(struct sim *sim, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "seed %" PRIu64 " at %" PRIu64 " ms: ", sim->options.seed, sim->now);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nreplay: sim_replica --seed %" PRIu64 "%s --trace\n", sim->options.seed,
            sim->options.changes ? " --changes" : "");
    va_end(args);
    fflush(NULL);
    abort();
}

static uint64_t chance(struct sim *sim, uint64_t bound)
{
    return random_below(&sim->random, bound);
}

static struct event *event_new(struct sim *sim, enum event_kind kind, const struct node *to,
                               uint64_t at)
{
    struct event *event = mem_zalloc(sizeof *event);
    event->kind = kind;
    event->to = to->number;
    event->life = to->life;
    heap_put(&sim->events, &event->node, at, ++sim->tie);
    return event;
}

static void event_free(struct event *event)
{
    block_release(event->body);
    free(event);
}

/* ---- The machine ---- */

static struct committed *committed_at(struct sim *sim, uint64_t index)
{
    if (index >= sim->committed_count) {
        size_t count = (size_t)index + 256;
        sim->committed = mem_realloc(sim->committed, count * sizeof *sim->committed);
        memset(sim->committed + sim->committed_count, 0,
               (count - sim->committed_count) * sizeof *sim->committed);
        sim->committed_count = count;
    }
    return &sim->committed[index];
}

static void on_apply(void *context, const struct replica_entry *entry, void *proposal)
{
    struct node *node = context;
    struct sim *sim = node->sim;
    if (entry->index <= node->applied) {
        violation(sim, "node %" PRIu64 " applies %" PRIu64 " again", node->id, entry->index);
    }
    uint64_t hash = mix(mix(entry->index, entry->position),
                        crc32c(0, entry->payload.data, entry->payload.size));
    node->applied = entry->index;
    node->chain = mix(node->chain, hash);
    struct committed *committed = committed_at(sim, entry->index);
    if (committed->term == 0) {
        *committed = (struct committed){.term = entry->term, .hash = hash, .chain = node->chain};
        sim->result->committed++;
    } else if (committed->term != entry->term || committed->hash != hash ||
               committed->chain != node->chain) {
        violation(sim, "node %" PRIu64 " applies another entry %" PRIu64 " than others did",
                  node->id, entry->index);
    }
    uint64_t number = le64_get(entry->payload.data);
    if (number >= sim->proposal_count) {
        violation(sim, "entry %" PRIu64 " was never proposed", entry->index);
    }
    struct sim_proposal *owner = sim->proposals[number];
    if (owner->index != 0 && owner->index != entry->index) {
        violation(sim, "proposal %" PRIu64 " is in the log twice", number);
    }
    if (owner->end == PROPOSAL_REFUSED) {
        violation(sim, "proposal %" PRIu64 " was refused, but is committed", number);
    }
    owner->index = entry->index;
    if (proposal != NULL) {
        struct sim_proposal *mine = proposal;
        if (mine != owner || mine->end != PROPOSAL_WAITS) {
            violation(sim, "proposal %" PRIu64 " ends twice, or as another one", number);
        }
        mine->end = PROPOSAL_APPLIED;
        sim->result->acknowledged++;
    }
    if (chance(sim, 8) == 0 && node->replica != NULL) {
        node->stored_applied = node->applied;
        node->stored_chain = node->chain;
        replica_machine_durable(node->replica, node->applied);
    }
}

static void on_drop(void *context, void *proposal, enum status why)
{
    struct node *node = context;
    struct sim *sim = node->sim;
    struct sim_proposal *mine = proposal;
    if (mine->end != PROPOSAL_WAITS) {
        violation(sim, "proposal %" PRIu64 " ends twice", mine->id);
    }
    if (node->dying || why == STATUS_UNKNOWN_OUTCOME) {
        mine->end = PROPOSAL_UNKNOWN;
        sim->result->unknown++;
        return;
    }
    if (mine->index != 0) {
        violation(sim, "proposal %" PRIu64 " is refused, but is committed", mine->id);
    }
    mine->end = PROPOSAL_REFUSED;
    sim->result->refused++;
}

static void on_state(void *context, const struct replica_state *state)
{
    struct node *node = context;
    struct sim *sim = node->sim;
    node->state = *state;
    trace(sim, "node %" PRIu64 " role %d term %" PRIu64 " leader %" PRIu64, node->id,
          (int)state->role, state->term, state->leader_id);
    if (state->role != REPLICA_ELECTED && state->role != REPLICA_LEADER) {
        return;
    }
    if (state->term >= TERMS_MAX) {
        violation(sim, "too many terms");
    }
    uint64_t *leader = &sim->leader_of[state->term];
    if (*leader != 0 && *leader != node->id) {
        violation(sim, "term %" PRIu64 " has two leaders: %" PRIu64 " and %" PRIu64, state->term,
                  *leader, node->id);
    }
    sim->result->elections += *leader == 0;
    *leader = node->id;
}

/* ---- Network ---- */

static struct node *node_of(struct sim *sim, uint64_t id)
{
    return &sim->nodes[id - 1];
}

/* The frames of an AppendEntries as one body, from memory or from disk; NULL: cannot be had. */
static struct block *gather(struct node *node, const struct raft_append_entries *append,
                            uint64_t *position)
{
    struct segment_log *log = node->storage.log;
    struct log_entry entry;
    if (!segment_log_entry(log, append->prev_log_index + 1, &entry)) {
        return NULL;
    }
    *position = entry.position;
    struct buf bytes = {0};
    for (unsigned i = 0; i < append->n_entries; i++) {
        struct log_record *record = segment_log_cached(log, append->prev_log_index + 1 + i);
        if (record == NULL) {
            buf_close(&bytes);
            struct log_load load;
            if (segment_log_load_begin(log, append->prev_log_index + 1,
                                       append->prev_log_index + append->n_entries, WIRE_BODY_MAX,
                                       &load) != STATUS_OK) {
                return NULL;
            }
            log_load_run(&load);
            struct block *block = NULL;
            if (load.status == STATUS_OK && load.count == append->n_entries) {
                block = block_hold(load.block);
            }
            segment_log_load_end(log, &load);
            node->sim->result->loads++;
            return block;
        }
        size_t size = log_frame_size(record->payload_size);
        uint8_t *to = buf_extend(&bytes, size);
        memset(to, 0, size);
        memcpy(to, record->header, LOG_FRAME_HEADER_SIZE);
        memcpy(to + LOG_FRAME_HEADER_SIZE, record->payload, record->payload_size);
    }
    size_t size = bytes.size;
    return block_take(buf_take(&bytes), size);
}

static void on_send(void *context, const struct replica_outbound *outbound)
{
    struct node *node = context;
    struct sim *sim = node->sim;
    struct node *to = node_of(sim, outbound->to);
    struct wire_header header = {.message = outbound->message};
    struct block *body = NULL;
    const struct raft_message *message = &outbound->message;
    if (message->type == RAFT_APPEND_ENTRIES && message->append_entries.n_entries > 0) {
        body = gather(node, &message->append_entries, &header.position);
        if (body == NULL) {
            return;
        }
        header.body_size = body->size;
    }
    if (sim->cut[node->number][to->number] || !to->up || (!sim->calm && chance(sim, 100) < 2)) {
        block_release(body);
        return;
    }
    uint64_t *last = &sim->last_at[node->number][to->number];
    uint64_t at = sim->now + (chance(sim, 20) == 0 ? 10 + chance(sim, 70) : 1 + chance(sim, 8));
    *last = at > *last ? at : *last; // In order.
    struct event *event = event_new(sim, EVENT_MESSAGE, to, *last);
    event->from = node->number;
    event->link = sim->links[node->number][to->number];
    event->body = body;
    wire_header_encode(&header, event->header);
}

static void deliver(struct sim *sim, struct event *event)
{
    struct node *node = &sim->nodes[event->to];
    if (sim->cut[event->from][event->to] || event->link != sim->links[event->from][event->to]) {
        return;
    }
    struct wire_entry entries[WIRE_ENTRIES_MAX];
    struct replica_inbound inbound = {
        .from = sim->nodes[event->from].id, .body = event->body, .entries = entries};
    if (wire_header_decode(slice_of(event->header, WIRE_HEADER_SIZE), &inbound.header) !=
        STATUS_OK) {
        violation(sim, "a message cannot be decoded");
    }
    if (event->body != NULL &&
        wire_entries_decode(&inbound.header, slice_of(event->body->data, event->body->size), GROUP,
                            entries) != STATUS_OK) {
        violation(sim, "entries cannot be decoded");
    }
    trace(sim, "%u -> %u message %d", event->from + 1, event->to + 1,
          (int)inbound.header.message.type);
    replica_receive(node->replica, &inbound);
}

/* A connection breaks: what was on its way is lost, what comes later travels on a new one. */
static void break_link(struct sim *sim, unsigned from, unsigned to)
{
    sim->links[from][to]++;
    sim->last_at[from][to] = 0;
}

static void set_cut(struct sim *sim, unsigned from, unsigned to, bool cut)
{
    if (sim->cut[from][to] != cut) {
        sim->cut[from][to] = cut;
        break_link(sim, from, to);
    }
}

/* ---- Nodes ---- */

static uint64_t node_monotonic_ms(void *context)
{
    struct node *node = context;
    return node->sim->now + node->offset_ms;
}

static uint64_t node_wall_ms(void *context)
{
    struct node *node = context;
    return node->sim->now;
}

/* Schedule what a node wants to do next. */
static void pump(struct node *node)
{
    struct sim *sim = node->sim;
    if (!node->up) {
        return;
    }
    struct log_spare spare;
    if (!node->disk_busy && chance(sim, 2) == 0 &&
        segment_log_spare_begin(node->storage.log, &spare)) {
        segment_log_spare_end(node->storage.log, &spare, log_spare_run(&spare));
    }
    struct log_reserve_job reserve;
    if (chance(sim, 20) == 0 && segment_log_reserve_begin(node->storage.log, &reserve)) {
        segment_log_reserve_end(node->storage.log, log_reserve_run(&reserve));
    }
    struct log_summary_job summary;
    if (chance(sim, 3) == 0 && segment_log_summary_begin(node->storage.log, &summary)) {
        enum status written = log_summary_run(&summary);
        (void)written; // It may be lost as well.
        segment_log_summary_end(node->storage.log, &summary);
    }
    if (!node->disk_busy && replica_disk_take(node->replica, &node->job)) {
        node->disk_busy = true;
        uint64_t delay = chance(sim, 10) == 0 ? chance(sim, 120) : chance(sim, 12);
        event_new(sim, EVENT_DISK, node, sim->now + delay);
    }
    if (!node->load_busy && replica_load_take(node->replica, &node->load)) {
        node->load_busy = true;
        event_new(sim, EVENT_LOAD, node, sim->now + chance(sim, 10));
    }
    uint64_t due = replica_due_ms(node->replica);
    if (due == UINT64_MAX) {
        return;
    }
    due = due > node->offset_ms ? due - node->offset_ms : 0;
    uint64_t late = sim->calm || chance(sim, 4) > 0 ? 0 : chance(sim, 20);
    uint64_t at = (due > sim->now ? due : sim->now) + late;
    if (at < node->timer_at || node->timer_at <= sim->now) {
        node->timer_at = at;
        event_new(sim, EVENT_TIMER, node, at);
    }
}

static void node_start(struct sim *sim, struct node *node)
{
    struct raft_configuration bootstrap = replica_bootstrap(sim->voters, sim->count);
    struct replica_storage_options storage = {
        .log = {.directory = sim_disk_directory(node->disk),
                .group = GROUP,
                .segment_size = SEGMENT_BYTES,
                .cache_size = CACHE_BYTES,
                .settled_index = node->stored_applied},
        .replica = node->id,
        .bootstrap = &bootstrap,
    };
    char *error = NULL;
    enum status status = replica_storage_open(&node->storage, &storage, &error);
    raft_configuration_close(&bootstrap);
    if (status != STATUS_OK) {
        violation(sim, "node %" PRIu64 " does not recover: %s", node->id, error);
    }
    node->clock =
        (struct clock){.monotonic_ms = node_monotonic_ms, .wall_ms = node_wall_ms, .context = node};
    node->applied = node->stored_applied;
    node->chain = node->stored_chain;
    struct replica_options options = {
        .id = node->id,
        .voters = sim->voters,
        .voter_count = sim->count,
        .election_timeout_ms = ELECTION_MS,
        .heartbeat_timeout_ms = HEARTBEAT_MS,
        .applied_index = node->stored_applied,
        .seed = (unsigned)random_next(&sim->random),
        .storage = &node->storage,
        .machine = {.context = node, .apply = on_apply, .drop = on_drop, .on_state = on_state},
        .ports = {.context = node, .clock = &node->clock, .send = on_send},
    };
    node->life++;
    node->up = true;
    node->timer_at = 0;
    status = replica_start(&options, &node->replica, &error);
    if (status != STATUS_OK) {
        violation(sim, "node %" PRIu64 " does not start: %s", node->id, error);
    }
    trace(sim, "node %" PRIu64 " starts, last %" PRIu64 " applied %" PRIu64, node->id,
          segment_log_last_index(node->storage.log), node->applied);
    pump(node);
}

static void node_stop(struct node *node)
{
    node->dying = true;
    node->up = false;
    if (node->disk_busy) {
        replica_disk_abandon(node->replica, &node->job);
        node->disk_busy = false;
    }
    if (node->load_busy) {
        replica_shut(node->replica);
        replica_load_done(node->replica, &node->load);
        node->load_busy = false;
    }
    replica_close(node->replica);
    node->replica = NULL;
    replica_storage_close(&node->storage);
    node->dying = false;
    node->life++;
    node->state = (struct replica_state){0};
}

/* Power off, perhaps in the middle of a write, perhaps again while recovering. */
static void node_crash(struct sim *sim, struct node *node)
{
    trace(sim, "node %" PRIu64 " crashes", node->id);
    sim->result->crashes++;
    if (node->disk_busy) {
        sim_disk_die_after(node->disk, chance(sim, 8));
        replica_disk_run(&node->job);
    }
    node_stop(node);
    sim_disk_crash(node->disk);
    for (unsigned i = 0; i < sim->count; i++) {
        break_link(sim, node->number, i);
        break_link(sim, i, node->number);
    }
    if (chance(sim, 4) == 0) {
        struct raft_configuration bootstrap = replica_bootstrap(sim->voters, sim->count);
        struct replica_storage_options options = {
            .log = {.directory = sim_disk_directory(node->disk),
                    .group = GROUP,
                    .segment_size = SEGMENT_BYTES,
                    .cache_size = CACHE_BYTES},
            .replica = node->id,
            .bootstrap = &bootstrap,
        };
        struct replica_storage storage;
        char *error = NULL;
        sim_disk_die_after(node->disk, chance(sim, 6));
        if (replica_storage_open(&storage, &options, &error) == STATUS_OK) {
            replica_storage_close(&storage);
        }
        free(error);
        raft_configuration_close(&bootstrap);
        sim_disk_crash(node->disk);
    }
}

/* ---- Events ---- */

static void run_event(struct sim *sim, struct event *event)
{
    struct node *node = &sim->nodes[event->to];
    if (!node->up || event->life != node->life) {
        return;
    }
    sim->result->events++;
    switch (event->kind) {
    case EVENT_MESSAGE:
        deliver(sim, event);
        break;
    case EVENT_DISK:
        node->disk_busy = false;
        replica_disk_run(&node->job);
        trace(sim, "node %" PRIu64 " wrote", node->id);
        replica_disk_done(node->replica, &node->job);
        break;
    case EVENT_LOAD:
        node->load_busy = false;
        sim->result->loads++;
        log_load_run(&node->load);
        replica_load_done(node->replica, &node->load);
        break;
    case EVENT_TIMER:
        if (node_monotonic_ms(node) >= replica_due_ms(node->replica)) {
            replica_tick(node->replica);
        }
        break;
    }
    pump(node);
}

static void run_until(struct sim *sim, uint64_t until)
{
    for (;;) {
        struct heap_node *first = heap_first(&sim->events);
        if (first == NULL || first->due > until) {
            sim->now = until;
            return;
        }
        heap_remove(&sim->events, first);
        sim->now = first->due > sim->now ? first->due : sim->now;
        struct event *event = CONTAINER_OF(first, struct event, node);
        run_event(sim, event);
        event_free(event);
    }
}

/* ---- Actions ---- */

static struct node *pick(struct sim *sim, bool leader)
{
    struct node *candidates[NODES_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < sim->count; i++) {
        struct node *node = &sim->nodes[i];
        if (node->up && (!leader || node->state.role == REPLICA_LEADER)) {
            candidates[count++] = node;
        }
    }
    return count == 0 ? NULL : candidates[chance(sim, count)];
}

static struct sim_proposal *propose(struct sim *sim, struct node *node)
{
    size_t size = 8 + (size_t)chance(sim, chance(sim, 4) == 0 ? PAYLOAD_MAX : 64);
    uint8_t *payload = mem_zalloc(size);
    struct sim_proposal *proposal = mem_zalloc(sizeof *proposal);
    proposal->id = sim->proposal_count;
    le64_put(payload, proposal->id);
    sim->proposals =
        mem_realloc(sim->proposals, (sim->proposal_count + 1) * sizeof *sim->proposals);
    sim->proposals[sim->proposal_count++] = proposal;
    enum status status = replica_propose(node->replica, payload, size, proposal);
    if (status != STATUS_OK) {
        free(payload);
        proposal->end = PROPOSAL_REFUSED;
        sim->result->refused++;
    }
    trace(sim, "node %" PRIu64 " proposes %" PRIu64 ": %s", node->id, proposal->id,
          status_name(status));
    pump(node);
    return proposal;
}

static void on_transferred(void *context, enum status status)
{
    struct sim *sim = context;
    sim->result->transfers += status == STATUS_OK;
    trace(sim, "transfer ended: %s", status_name(status));
}

static void partition(struct sim *sim)
{
    uint64_t side = chance(sim, UINT64_C(1) << sim->count);
    unsigned lonely = (unsigned)chance(sim, sim->count);
    uint64_t kind = chance(sim, 3);
    for (unsigned i = 0; i < sim->count; i++) {
        for (unsigned j = 0; j < sim->count; j++) {
            if (i == j) {
                continue;
            }
            bool cut = kind == 0 ? ((side >> i) & 1) != ((side >> j) & 1)
                                 : (kind == 1 ? i == lonely : i == lonely || j == lonely);
            set_cut(sim, i, j, cut);
        }
    }
    trace(sim, "partition kind %" PRIu64, kind);
}

static void heal_network(struct sim *sim)
{
    for (unsigned i = 0; i < sim->count; i++) {
        for (unsigned j = 0; j < sim->count; j++) {
            set_cut(sim, i, j, false);
        }
    }
}

static void start_all(struct sim *sim)
{
    for (unsigned i = 0; i < sim->count; i++) {
        if (!sim->nodes[i].up) {
            node_start(sim, &sim->nodes[i]);
        }
    }
}

/* Demote, remove or promote a member, but keep three voters. */
static void change_membership(struct sim *sim, struct node *leader)
{
    unsigned other = (unsigned)chance(sim, sim->count);
    static const int roles[] = {RAFT_STANDBY, RAFT_VOTER, RAFT_VOTER};
    int role = roles[chance(sim, 3)];
    bool remove = role == RAFT_STANDBY && chance(sim, 3) == 0;
    unsigned voters = replica_voter_count(leader->replica);
    if (role == RAFT_STANDBY && voters <= 3) {
        return;
    }
    enum status status = replica_change(leader->replica, other + 1,
                                        remove ? NULL : sim->voters[other].address, role);
    sim->result->changes += status == STATUS_OK;
    trace(sim, "node %" PRIu64 " changes %u to %d: %s", leader->id, other + 1, remove ? -1 : role,
          status_name(status));
    pump(leader);
}

static void act(struct sim *sim)
{
    uint64_t what = chance(sim, 1000);
    struct node *node = pick(sim, what < 700);
    if (what < 600) {
        unsigned count = chance(sim, 4) == 0 ? 1 + (unsigned)chance(sim, 12) : 1;
        while (node != NULL && count-- > 0) {
            propose(sim, node);
        }
    } else if (what < 640 && node != NULL) {
        replica_transfer(node->replica, chance(sim, 2) == 0 ? 0 : 1 + chance(sim, sim->count),
                         on_transferred, sim);
        pump(node);
    } else if (what < 700 && node != NULL && sim->options.changes) {
        change_membership(sim, node);
    } else if (what < 740 && node != NULL) {
        node_crash(sim, node);
    } else if (what < 840) {
        unsigned which = (unsigned)chance(sim, sim->count);
        if (!sim->nodes[which].up) {
            node_start(sim, &sim->nodes[which]);
        }
    } else if (what < 870) {
        partition(sim);
    } else if (what < 930) {
        heal_network(sim);
    } else if (what < 960) {
        break_link(sim, (unsigned)chance(sim, sim->count), (unsigned)chance(sim, sim->count));
    } else if (what < 970) {
        start_all(sim);
    } else if (what < 973) {
        for (unsigned i = 0; i < sim->count; i++) {
            if (sim->nodes[i].up) {
                node_crash(sim, &sim->nodes[i]);
            }
        }
    } else if (node != NULL) {
        propose(sim, node); // Most likely on a follower: refused.
    }
}

/* ---- A run ---- */

static void make_nodes(struct sim *sim)
{
    sim->count = sim->options.changes ? 5 : 3 + 2 * (unsigned)chance(sim, 2);
    for (unsigned i = 0; i < sim->count; i++) {
        struct node *node = &sim->nodes[i];
        sim->voters[i].id = i + 1;
        snprintf(sim->voters[i].address, sizeof sim->voters[i].address, "10.0.0.%u:1", i + 1);
        *node = (struct node){.sim = sim, .number = i, .id = i + 1};
        node->offset_ms = 1000 + chance(sim, 1000000);
        node->disk = sim_disk_new(random_next(&sim->random));
    }
}

static bool all_applied(const struct sim *sim, uint64_t index)
{
    for (unsigned i = 0; i < sim->count; i++) {
        // A member that was removed is sent nothing.
        bool member =
            sim->nodes[i].replica != NULL && (!sim->options.changes || sim->nodes[i].applied > 0);
        if (member && sim->nodes[i].applied < index) {
            return false;
        }
    }
    return true;
}

/* With everything up and connected the group must make progress, and all must end up equal. */
static void heal_and_check(struct sim *sim)
{
    sim->calm = true;
    heal_network(sim);
    start_all(sim);
    if (!sim->options.changes && chance(sim, 2) == 0) {
        // Any bare majority must do.
        for (unsigned down = (sim->count - 1) / 2; down > 0; down--) {
            node_crash(sim, pick(sim, false));
        }
    }
    trace(sim, "healed");
    uint64_t end = sim->now + HEAL_MS;
    struct sim_proposal *last = NULL;
    bool done = false;
    while (!done && sim->now < end) {
        run_until(sim, sim->now + 20);
        struct node *leader = pick(sim, true);
        if (leader != NULL &&
            (last == NULL || last->end == PROPOSAL_REFUSED || last->end == PROPOSAL_UNKNOWN)) {
            last = propose(sim, leader);
        }
        if (leader != NULL && sim->options.changes) {
            for (unsigned i = 0; i < sim->count; i++) {
                // Back in, so that each must catch up.
                (void)!replica_change(leader->replica, i + 1, sim->voters[i].address, RAFT_VOTER);
                pump(leader);
            }
        }
        done = last != NULL && last->end == PROPOSAL_APPLIED && all_applied(sim, last->index);
    }
    if (!done) {
        violation(sim, "no progress after healing");
    }
}

static void check_proposals(struct sim *sim)
{
    for (size_t i = 0; i < sim->proposal_count; i++) {
        const struct sim_proposal *proposal = sim->proposals[i];
        if (proposal->end == PROPOSAL_APPLIED && proposal->index == 0) {
            violation(sim, "proposal %zu was acknowledged, but is nowhere", i);
        }
        if (proposal->end == PROPOSAL_WAITS) {
            violation(sim, "proposal %zu never ended", i);
        }
    }
}

void sim_run(const struct sim_options *options, struct sim_result *result)
{
    struct sim *sim = mem_zalloc(sizeof *sim);
    *result = (struct sim_result){0};
    sim->options = *options;
    sim->result = result;
    sim->random.state = mix(options->seed, 1);
    make_nodes(sim);
    start_all(sim);
    for (unsigned i = 0; i < options->actions; i++) {
        run_until(sim, sim->now + 1 + chance(sim, 20));
        act(sim);
    }
    heal_and_check(sim);
    run_until(sim, sim->now + 4 * ELECTION_MS); // Every doubt has ended by then.
    check_proposals(sim);
    for (unsigned i = 0; i < sim->count; i++) {
        if (sim->nodes[i].up) {
            node_stop(&sim->nodes[i]);
        }
        sim_disk_free(sim->nodes[i].disk);
    }
    struct heap_node *rest = NULL;
    while ((rest = heap_first(&sim->events)) != NULL) {
        heap_remove(&sim->events, rest);
        event_free(CONTAINER_OF(rest, struct event, node));
    }
    heap_close(&sim->events);
    for (size_t i = 0; i < sim->proposal_count; i++) {
        free(sim->proposals[i]);
    }
    free(sim->proposals);
    free(sim->committed);
    free(sim);
}
