#include "tests/sim/cluster/sim_run.h"

#include "tests/sim/cluster/sim_atlas.h"
#include "tests/sim/cluster/sim_audit.h"
#include "tests/sim/cluster/sim_bank.h"
#include "tests/sim/cluster/sim_faults.h"
#include "tests/sim/cluster/sim_members.h"
#include "tests/sim/cluster/sim_order.h"
#include "tests/sim/cluster/sim_watch.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    LOOK_US = 100 * SIM_MS,
    REST_MAX_US = 180 * SIM_SECOND, /* After healing; a stalled disk may take 30 s of it. */
    READ_MAX_US = 120 * SIM_SECOND,
    STOP_MAX_US = 60 * SIM_SECOND,
};

static void chaos(const struct sim_plan *plan)
{
    uint64_t end = sim_now_us() + plan->chaos_us;
    uint64_t next =
        sim_now_us() + 1500 * SIM_MS * plan->scale; // A cluster that works is worth breaking.
    while (next < end) {
        sim_run_until(next);
        next = sim_faults_strike();
    }
    sim_run_until(end);
}

/* Look now and then until it holds. */
static void wait_for(bool (*holds)(const char **why), uint64_t scale, uint64_t most_us,
                     const char *checker)
{
    const char *why = "";
    uint64_t end = sim_now_us() + most_us * scale;
    while (!holds(&why)) {
        if (sim_now_us() >= end) {
            sim_violation(checker, "%" PRIu64 " s later: %s", most_us * scale / SIM_SECOND, why);
        }
        sim_run_until(sim_now_us() + LOOK_US * scale);
    }
}

static bool hushed(const char **why)
{
    *why = "a client's call never ends";
    return sim_clients_hushed();
}

static bool read_done(const char **why)
{
    *why = "not everything could be read";
    return sim_audit_read_done();
}

static bool clients_gone(const char **why)
{
    *why = "a client does not close";
    return sim_clients_gone();
}

static bool nodes_gone(const char **why)
{
    *why = "a node does not stop";
    for (size_t i = 0; i < sim_node_count(); i++) {
        if (sim_node_up(i)) {
            return false;
        }
    }
    return true;
}

static void stop_all(uint64_t scale)
{
    sim_clients_stop();
    wait_for(clients_gone, scale, STOP_MAX_US, "orderly end");
    for (size_t i = 0; i < sim_node_count(); i++) {
        sim_node_want(i, false);
        sim_node_stop(i);
    }
    wait_for(nodes_gone, scale, STOP_MAX_US, "orderly end");
}

static void collect(struct sim_result *result)
{
    result->trace_hash = sim_trace_hash();
    result->simulated_us = sim_now_us();
    result->events = sim_event_count();
    result->deaths = *sim_nodes_deaths();
    result->added = sim_members_added();
    result->promoted = sim_members_promoted();
    result->removed = sim_members_removed();
    result->copies = sim_watch_copies();
    result->stores_set_aside = sim_watch_stores_set_aside();
    result->laggards = sim_watch_laggards();
    result->readers_sent = sim_watch_readers_sent();
    result->readers_kept = sim_watch_readers_kept();
    result->ledger = *ledger_counts();
    result->clients = *sim_client_counts();
    result->in_order = order_consumed();
    for (size_t i = 0; i < sim_host_count(); i++) {
        result->processes += sim_host_at(i)->starts;
    }
    for (int i = 0; i < SIM_FAULTS; i++) {
        result->faults[i] = sim_faults_counts()[i];
        result->faults_total += result->faults[i];
    }
}

void sim_run(const struct sim_run_options *options, struct sim_result *result)
{
    char replay[128];
    struct sim_plan plan;
    snprintf(replay, sizeof replay, "sim_cluster --seed %" PRIu64 "%s --trace", options->seed,
             options->glacial ? " --glacial" : "");
    if (options->chaos_ms > 0) {
        snprintf(replay, sizeof replay,
                 "sim_cluster --seed %" PRIu64 "%s --chaos-ms %" PRIu64 " --trace", options->seed,
                 options->glacial ? " --glacial" : "", options->chaos_ms);
    }
    *result = (struct sim_result){0};
    sim_world_open(&(struct sim_world_options){options->seed, options->trace, replay});
    sim_plan_draw(&plan, options->chaos_ms, options->glacial);
    sim_plan_print(&plan);
    sim_network_open(&plan.network);
    sim_watch_open(plan.cache_size);
    ledger_open(plan.check_max);
    bank_open();
    order_open();
    atlas_open();
    sim_members_open(&plan);
    sim_nodes_open(&plan);
    sim_clients_open(&plan);
    sim_faults_open(&plan);

    chaos(&plan);
    sim_clients_hush();
    sim_faults_heal();
    wait_for(hushed, plan.scale, REST_MAX_US, "progress");
    wait_for(order_done, plan.scale, REST_MAX_US, "progress");
    wait_for(sim_audit_at_rest, plan.scale, REST_MAX_US, "progress");
    sim_audit_state();
    sim_audit_read_begin();
    wait_for(read_done, plan.scale, READ_MAX_US, "readable");
    stop_all(plan.scale);
    collect(result);

    sim_faults_close();
    sim_clients_close();
    sim_nodes_close();
    sim_audit_close();
    bank_close();
    ledger_close();
    sim_network_close();
    sim_hosts_free();
    sim_world_close();
}
