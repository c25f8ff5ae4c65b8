#include "tests/sim/cluster/sim_plan.h"

#include "common/base/limits.h"

#include <inttypes.h>
#include <stdio.h>

enum { CHECK_MAX_USUAL = 1000, BODY_USUAL = 700 };

static uint32_t between(uint32_t least, uint32_t most)
{
    return (uint32_t)sim_between(SIM_FAULT, least, most);
}

static bool likely(uint32_t percent)
{
    return sim_draw(SIM_FAULT, 100) < percent;
}

const char *sim_fault_name(enum sim_fault fault)
{
    static const char *const names[] = {
#define SIM_FAULT_NAME(name, text) text,
        SIM_FAULT_TABLE(SIM_FAULT_NAME)
#undef SIM_FAULT_NAME
    };
    return names[fault];
}

static void draw_shape(struct sim_plan *plan)
{
    static const uint32_t nodes[] = {3, 3, 3, 3, 4, 5};
    plan->nodes = nodes[sim_draw(SIM_FAULT, 6)];
    plan->spares = likely(35) ? 1 : 0;
    plan->groups = between(1, plan->nodes > 3 ? 2 : 3);
    plan->nameservers = between(1, 3);
    plan->plain_clients = between(1, 2);
    plan->bank_clients = between(1, 3);
    plan->race_clients = between(0, 1);
    plan->consumers = between(1, 2);
    plan->threads = between(1, 4);
    plan->queues = between(1, 4);
    plan->think_us = between(5, 80) * SIM_MS;
}

static void draw_settings(struct sim_plan *plan)
{
    plan->election_ms = between(200, 600);
    plan->heartbeat_ms = plan->election_ms / between(5, 8);
    plan->transaction_timeout_ms = between(100, 1500);
    plan->check_interval_ms = between(200, 2000);
    plan->check_max = likely(85) ? CHECK_MAX_USUAL : between(2, 6);
    plan->register_ms = between(1000, 3000);
    plan->leader_wait_ms = between(100, 1500);
    plan->balance_ms = likely(60) ? between(300, 2000) : 0;
    plan->checkpoint_ms = between(100, 4000);
    plan->cache_size = (size_t)between(4, 128) * 1024;
    plan->sync_us = likely(70) ? between(200, 3000) : between(3000, 20000);
    plan->reserve_size = 512 * 1024;
    plan->network = (struct sim_network_options){
        .delay_us = likely(80) ? between(50, 500) : between(500, 15000),
        .jitter_us = between(20, 2000),
        .spike_of = likely(30) ? between(100, 2000) : 0,
        .window = (size_t)between(16, 512) * 1024,
    };
}

/* A log of which segments go needs messages that fill some. */
static void draw_retention(struct sim_plan *plan)
{
    plan->body_max = BODY_USUAL;
    if (!likely(30)) {
        return;
    }
    plan->body_max = between(BODY_USUAL, MESSAGE_BODY_MAX);
    plan->retention_ms = likely(60) ? between(1000, 8000) : 0;
    plan->log_size_max = likely(60) ? (uint64_t)between(2, 4) * SEGMENT_SIZE : 0;
}

/* Make all that the seed drew last longer. Bounds are those of the settings. */
static void stretch(struct sim_plan *plan)
{
    static const uint32_t minute_ms = 60 * 1000;
    uint32_t scale = between(60, 160);
    plan->scale = scale;
    plan->nodes = 3;
    plan->spares = 0;
    plan->groups = 1;
    plan->nameservers = 1;
    plan->think_us *= 5 * scale; // Time is dear here, work is not wanting.
    plan->election_ms *= 20; // Without a leader clients try again and again, which takes long here.
    plan->heartbeat_ms = plan->election_ms / 4;
    plan->consumers = 1;
    plan->plain_clients = 1;
    plan->transaction_timeout_ms *= scale;
    plan->check_interval_ms *= scale;
    plan->retention_ms *= scale;
    plan->register_ms = minute_ms;
    plan->balance_ms *= scale;
    plan->checkpoint_ms *= scale;
    plan->chaos_us *= scale;
    plan->trouble_us *= scale;
    plan->fault_every_us *= scale / 10;
}

/* Queue locks are leases in the log's time, which is a leader's: with its clock they end early.
 * Nothing that lasts longer than they do may befall their holders, so not on a glacial scale. */
static void draw_order(struct sim_plan *plan)
{
    plan->orderly_consumers = 2;
    plan->weights[SIM_FAULT_CLOCK_JUMP] = 0;
    plan->weights[SIM_FAULT_CLOCK_DRIFT] = 0;
    plan->weights[SIM_FAULT_CLOCK_FREEZE] = 0;
}

void sim_plan_draw(struct sim_plan *plan, uint64_t chaos_ms, bool glacial)
{
    *plan = (struct sim_plan){.scale = 1};
    draw_shape(plan);
    draw_settings(plan);
    draw_retention(plan);
    plan->chaos_us = chaos_ms > 0 ? chaos_ms * SIM_MS : between(6, 24) * (uint64_t)SIM_SECOND;
    plan->fault_every_us = between(150, 2500) * (uint64_t)SIM_MS;
    plan->by_sql =
        plan->fault_every_us / SIM_MS % 4 == 0; // No draw: kept seeds go on as they were.
    plan->recognises = plan->fault_every_us / SIM_MS % 3 == 0;
    if (plan->fault_every_us / SIM_MS % 5 == 2) {
        plan->slave_read_lag = plan->think_us % 2 == 0 ? 1 : 16 * 1024;
    }
    plan->poppers = plan->fault_every_us / SIM_MS % 4 == 1 ? 2 : 0; // Nor here.
    plan->trouble_us = between(100, 4000) * (uint64_t)SIM_MS;
    plan->relapse_of = likely(40) ? between(1, 6) : 0;
    plan->bare_majority = likely(40);
    uint32_t wanted = between(15, 70);
    for (int i = 0; i < SIM_FAULTS; i++) {
        plan->weights[i] = likely(wanted) ? between(1, 10) : 0;
    }
    if (glacial) {
        stretch(plan);
    }
    if (!glacial && plan->fault_every_us / SIM_MS % 6 == 1) {
        draw_order(plan);
    }
    if (plan->spares > 0) {
        // A member that lost its disk and one that was removed are not told apart by the atlas.
        plan->weights[SIM_FAULT_LOSE_DISK] = plan->weights[SIM_FAULT_FLIP_BITS] = 0;
        plan->weights[SIM_FAULT_MEMBERS] = between(5, 30);
    } else {
        plan->weights[SIM_FAULT_MEMBERS] = 0;
    }
}

void sim_plan_print(const struct sim_plan *plan)
{
    sim_tell("plan",
             "%u+%u nodes, %u groups, %u nameservers, %u+%u+%u producers, %u consumers and %u "
             "poppers of %u "
             "threads; election %u ms, heartbeat %u ms, sync %" PRIu64 " us, net %" PRIu64
             "+%" PRIu64 " us; first check %u ms, then each %u ms, %u times; chaos %" PRIu64
             " s, a fault each %" PRIu64 " ms%s",
             plan->nodes, plan->spares, plan->groups, plan->nameservers, plan->plain_clients,
             plan->bank_clients, plan->race_clients, plan->consumers, plan->poppers, plan->threads,
             plan->election_ms, plan->heartbeat_ms, plan->sync_us, plan->network.delay_us,
             plan->network.jitter_us, plan->transaction_timeout_ms, plan->check_interval_ms,
             plan->check_max, plan->chaos_us / SIM_SECOND, plan->fault_every_us / SIM_MS,
             plan->bare_majority ? ", heals a bare majority" : "");
    sim_tell("plan", "bodies of up to %u bytes, kept %" PRIu64 " ms and in %" PRIu64 " bytes%s",
             plan->body_max, plan->retention_ms, plan->log_size_max,
             plan->by_sql ? ", consumed by SQL92" : "");
    if (plan->orderly_consumers > 0) {
        sim_tell("plan", "%u orderly consumers", plan->orderly_consumers);
    }
    if (plan->slave_read_lag > 0) {
        sim_tell("plan", "consumers that lag by %" PRIu64 " bytes read from followers",
                 plan->slave_read_lag);
    }
    if (plan->recognises) {
        sim_tell("plan", "messages sent again are recognised, now and then");
    }
    for (int i = 0; i < SIM_FAULTS; i++) {
        if (plan->weights[i] > 0) {
            sim_tell("plan", "fault of weight %2u: %s", plan->weights[i],
                     sim_fault_name((enum sim_fault)i));
        }
    }
}
