/* Nodes: a real replica on a simulated disk each, started, run and crashed. */
#include "tests/sim/replica/group_sim_internal.h"

#include <inttypes.h>
#include <stdlib.h>

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

void node_pump(struct node *node)
{
    struct sim *sim = node->sim;
    if (!node->up) {
        return;
    }
    struct log_spare spare;
    if (!node->disk_busy && group_chance(sim, 2) == 0 &&
        segment_log_spare_begin(node->storage.log, &spare)) {
        segment_log_spare_end(node->storage.log, &spare, log_spare_run(&spare));
    }
    struct log_reserve_job reserve;
    if (group_chance(sim, 20) == 0 && segment_log_reserve_begin(node->storage.log, &reserve)) {
        segment_log_reserve_end(node->storage.log, log_reserve_run(&reserve));
    }
    struct log_summary_job summary;
    if (group_chance(sim, 3) == 0 && segment_log_summary_begin(node->storage.log, &summary)) {
        enum status written = log_summary_run(&summary);
        (void)written; // It may be lost as well.
        segment_log_summary_end(node->storage.log, &summary);
    }
    if (!node->disk_busy && replica_disk_take(node->replica, &node->job)) {
        node->disk_busy = true;
        uint64_t delay =
            group_chance(sim, 10) == 0 ? group_chance(sim, 120) : group_chance(sim, 12);
        group_event(sim, EVENT_DISK, node, sim->now + delay);
    }
    if (!node->load_busy && replica_load_take(node->replica, &node->load)) {
        node->load_busy = true;
        group_event(sim, EVENT_LOAD, node, sim->now + group_chance(sim, 10));
    }
    uint64_t due = replica_due_ms(node->replica);
    if (due == UINT64_MAX) {
        return;
    }
    due = due > node->offset_ms ? due - node->offset_ms : 0;
    uint64_t late = sim->calm || group_chance(sim, 4) > 0 ? 0 : group_chance(sim, 20);
    uint64_t at = (due > sim->now ? due : sim->now) + late;
    if (at < node->timer_at || node->timer_at <= sim->now) {
        node->timer_at = at;
        group_event(sim, EVENT_TIMER, node, at);
    }
}

void node_tick(struct node *node)
{
    if (node_monotonic_ms(node) >= replica_due_ms(node->replica)) {
        replica_tick(node->replica);
    }
}

void node_start(struct sim *sim, struct node *node)
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
        group_violation(sim, "node %" PRIu64 " does not recover: %s", node->id, error);
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
        .machine = oracle_machine(node),
        .ports = {.context = node, .clock = &node->clock, .send = network_send},
    };
    node->life++;
    node->up = true;
    node->timer_at = 0;
    status = replica_start(&options, &node->replica, &error);
    if (status != STATUS_OK) {
        group_violation(sim, "node %" PRIu64 " does not start: %s", node->id, error);
    }
    group_trace(sim, "node %" PRIu64 " starts, last %" PRIu64 " applied %" PRIu64, node->id,
                segment_log_last_index(node->storage.log), node->applied);
    node_pump(node);
}

void node_stop(struct node *node)
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

void node_crash(struct sim *sim, struct node *node)
{
    group_trace(sim, "node %" PRIu64 " crashes", node->id);
    sim->result->crashes++;
    if (node->disk_busy) {
        sim_disk_die_after(node->disk, group_chance(sim, 8));
        replica_disk_run(&node->job);
    }
    node_stop(node);
    sim_disk_crash(node->disk);
    for (unsigned i = 0; i < sim->count; i++) {
        network_break(sim, node->number, i);
        network_break(sim, i, node->number);
    }
    if (group_chance(sim, 4) == 0) {
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
        sim_disk_die_after(node->disk, group_chance(sim, 6));
        if (replica_storage_open(&storage, &options, &error) == STATUS_OK) {
            replica_storage_close(&storage);
        }
        free(error);
        raft_configuration_close(&bootstrap);
        sim_disk_crash(node->disk);
    }
}
