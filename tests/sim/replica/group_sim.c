/* What happens to a group: chance acts, then all is healed and looked at. */
#include "tests/sim/replica/group_sim_internal.h"

#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "common/base/list.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Saying what happens ---- */

uint64_t group_mix(uint64_t a, uint64_t b)
{
    struct random random = {a * UINT64_C(0x9E3779B97F4A7C15) ^ b};
    return random_next(&random);
}

void group_trace(struct sim *sim, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t kept = (size_t)size < sizeof line ? (size_t)size : sizeof line - 1;
    sim->result->trace_hash =
        group_mix(sim->result->trace_hash, group_mix(sim->now, crc32c(0, line, kept)));
    if (sim->options.trace) {
        printf("%8" PRIu64 "  %s\n", sim->now, line);
    }
}

void group_violation(struct sim *sim, const char *format, ...)
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

uint64_t group_chance(struct sim *sim, uint64_t bound)
{
    return random_below(&sim->random, bound);
}

/* ---- Events ---- */

struct event *group_event(struct sim *sim, enum event_kind kind, const struct node *to, uint64_t at)
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

static void run_event(struct sim *sim, struct event *event)
{
    struct node *node = &sim->nodes[event->to];
    if (!node->up || event->life != node->life) {
        return;
    }
    sim->result->events++;
    switch (event->kind) {
    case EVENT_MESSAGE:
        network_deliver(sim, event);
        break;
    case EVENT_DISK:
        node->disk_busy = false;
        replica_disk_run(&node->job);
        group_trace(sim, "node %" PRIu64 " wrote", node->id);
        replica_disk_done(node->replica, &node->job);
        break;
    case EVENT_LOAD:
        node->load_busy = false;
        sim->result->loads++;
        log_load_run(&node->load);
        replica_load_done(node->replica, &node->load);
        break;
    case EVENT_TIMER:
        node_tick(node);
        break;
    }
    node_pump(node);
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
    return count == 0 ? NULL : candidates[group_chance(sim, count)];
}

static struct sim_proposal *propose(struct sim *sim, struct node *node)
{
    size_t size = 8 + (size_t)group_chance(sim, group_chance(sim, 4) == 0 ? PAYLOAD_MAX : 64);
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
    group_trace(sim, "node %" PRIu64 " proposes %" PRIu64 ": %s", node->id, proposal->id,
                status_name(status));
    node_pump(node);
    return proposal;
}

static void on_transferred(void *context, enum status status)
{
    struct sim *sim = context;
    sim->result->transfers += status == STATUS_OK;
    group_trace(sim, "transfer ended: %s", status_name(status));
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
    unsigned other = (unsigned)group_chance(sim, sim->count);
    static const int roles[] = {RAFT_STANDBY, RAFT_VOTER, RAFT_VOTER};
    int role = roles[group_chance(sim, 3)];
    bool remove = role == RAFT_STANDBY && group_chance(sim, 3) == 0;
    unsigned voters = replica_voter_count(leader->replica);
    if (role == RAFT_STANDBY && voters <= 3) {
        return;
    }
    enum status status = replica_change(leader->replica, other + 1,
                                        remove ? NULL : sim->voters[other].address, role);
    sim->result->changes += status == STATUS_OK;
    group_trace(sim, "node %" PRIu64 " changes %u to %d: %s", leader->id, other + 1,
                remove ? -1 : role, status_name(status));
    node_pump(leader);
}

static void act(struct sim *sim)
{
    uint64_t what = group_chance(sim, 1000);
    struct node *node = pick(sim, what < 700);
    if (what < 600) {
        unsigned count = group_chance(sim, 4) == 0 ? 1 + (unsigned)group_chance(sim, 12) : 1;
        while (node != NULL && count-- > 0) {
            propose(sim, node);
        }
    } else if (what < 640 && node != NULL) {
        replica_transfer(node->replica,
                         group_chance(sim, 2) == 0 ? 0 : 1 + group_chance(sim, sim->count),
                         on_transferred, sim);
        node_pump(node);
    } else if (what < 700 && node != NULL && sim->options.changes) {
        change_membership(sim, node);
    } else if (what < 740 && node != NULL) {
        node_crash(sim, node);
    } else if (what < 840) {
        unsigned which = (unsigned)group_chance(sim, sim->count);
        if (!sim->nodes[which].up) {
            node_start(sim, &sim->nodes[which]);
        }
    } else if (what < 870) {
        network_partition(sim);
    } else if (what < 930) {
        network_heal(sim);
    } else if (what < 960) {
        network_break(sim, (unsigned)group_chance(sim, sim->count),
                      (unsigned)group_chance(sim, sim->count));
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
    sim->count = sim->options.changes ? 5 : 3 + 2 * (unsigned)group_chance(sim, 2);
    for (unsigned i = 0; i < sim->count; i++) {
        struct node *node = &sim->nodes[i];
        sim->voters[i].id = i + 1;
        snprintf(sim->voters[i].address, sizeof sim->voters[i].address, "10.0.0.%u:1", i + 1);
        *node = (struct node){.sim = sim, .number = i, .id = i + 1};
        node->offset_ms = 1000 + group_chance(sim, 1000000);
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
    network_heal(sim);
    start_all(sim);
    if (!sim->options.changes && group_chance(sim, 2) == 0) {
        // Any bare majority must do.
        for (unsigned down = (sim->count - 1) / 2; down > 0; down--) {
            node_crash(sim, pick(sim, false));
        }
    }
    group_trace(sim, "healed");
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
                node_pump(leader);
            }
        }
        done = last != NULL && last->end == PROPOSAL_APPLIED && all_applied(sim, last->index);
    }
    if (!done) {
        group_violation(sim, "no progress after healing");
    }
}

static void check_proposals(struct sim *sim)
{
    for (size_t i = 0; i < sim->proposal_count; i++) {
        const struct sim_proposal *proposal = sim->proposals[i];
        if (proposal->end == PROPOSAL_APPLIED && proposal->index == 0) {
            group_violation(sim, "proposal %zu was acknowledged, but is nowhere", i);
        }
        if (proposal->end == PROPOSAL_WAITS) {
            group_violation(sim, "proposal %zu never ended", i);
        }
    }
}

void sim_run(const struct sim_options *options, struct sim_result *result)
{
    struct sim *sim = mem_zalloc(sizeof *sim);
    *result = (struct sim_result){0};
    sim->options = *options;
    sim->result = result;
    sim->random.state = group_mix(options->seed, 1);
    make_nodes(sim);
    start_all(sim);
    for (unsigned i = 0; i < options->actions; i++) {
        run_until(sim, sim->now + 1 + group_chance(sim, 20));
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
