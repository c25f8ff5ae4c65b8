#include "tests/sim/cluster/sim_faults.h"

#include "tests/sim/cluster/sim_atlas.h"
#include "tests/sim/cluster/sim_faults_internal.h"
#include "tests/sim/cluster/sim_nodes.h"

#include <stdlib.h>

/* The end of a trouble. */
struct relief {
    struct sim_event event;
    struct list link;
    void (*end)(size_t a, size_t b);
    size_t a;
    size_t b;
};

static struct {
    const struct sim_plan *plan;
    struct list reliefs;
    uint64_t counts[SIM_FAULTS];
} faults;

void sim_faults_open(const struct sim_plan *plan)
{
    memset(&faults, 0, sizeof faults);
    faults.plan = plan;
    list_init(&faults.reliefs);
}

const struct sim_plan *fault_plan(void)
{
    return faults.plan;
}

const uint64_t *sim_faults_counts(void)
{
    return faults.counts;
}

/* ---- Reliefs ---- */

static void relieve(struct relief *relief)
{
    list_remove(&relief->link);
    sim_event_cancel(&relief->event);
    relief->end(relief->a, relief->b);
    free(relief);
}

static void on_relief(struct sim_event *event)
{
    relieve(CONTAINER_OF(event, struct relief, event));
}

void fault_until(uint64_t us, void (*end)(size_t a, size_t b), size_t a, size_t b)
{
    struct relief *relief = mem_zalloc(sizeof *relief);
    relief->event.run = on_relief;
    relief->end = end;
    relief->a = a;
    relief->b = b;
    list_append(&faults.reliefs, &relief->link);
    sim_event_set(&relief->event, sim_now_us() + us);
}

uint64_t fault_a_while(void)
{
    return 1 + sim_draw(SIM_FAULT, 2 * faults.plan->trouble_us);
}

void sim_faults_close(void)
{
    while (!list_empty(&faults.reliefs)) {
        struct relief *relief = CONTAINER_OF(list_pop(&faults.reliefs), struct relief, link);
        sim_event_cancel(&relief->event);
        free(relief);
    }
}

/* ---- Striking ---- */

uint64_t sim_faults_strike(void)
{
    uint64_t total = 0;
    for (int i = 0; i < SIM_FAULTS; i++) {
        total += faults.plan->weights[i];
    }
    if (total > 0) {
        uint64_t at = sim_draw(SIM_FAULT, total);
        int kind = 0;
        while (at >= faults.plan->weights[kind]) {
            at -= faults.plan->weights[kind++];
        }
        if (fault_strike((enum sim_fault)kind)) {
            faults.counts[kind]++;
            sim_tell("world", "fault: %s", sim_fault_name((enum sim_fault)kind));
        }
    }
    return sim_now_us() + 1 + sim_draw(SIM_FAULT, 2 * faults.plan->fault_every_us);
}

void sim_faults_heal(void)
{
    while (!list_empty(&faults.reliefs)) {
        relieve(CONTAINER_OF(faults.reliefs.next, struct relief, link));
    }
    for (size_t i = 0; i < sim_host_count(); i++) {
        struct sim_host *host = sim_host_at(i);
        if (host->process != NULL) {
            sim_process_pause(host->process, 0);
        }
        host->disk_faults.deadly_sync = 0;
    }
    sim_nodes_spare();
    // Of groups whose members have changed there may be a bare majority already.
    // Who lost its disk, or will find out that it has, needs all others to be whole again.
    bool bare = faults.plan->bare_majority && atlas_hurt() < 0 && faults.plan->spares == 0;
    size_t down = bare ? (sim_node_count() - 1) / 2 : 0;
    for (size_t i = 0; i < sim_node_count(); i++) {
        sim_node_rest(i, 0);
        sim_node_want(i, sim_node_wanted(i) || i < faults.plan->nodes);
    }
    size_t first = (size_t)sim_draw(SIM_FAULT, sim_node_count());
    for (size_t i = first; down > 0; i = (i + 1) % sim_node_count(), down--) {
        sim_node_want(i, false);
        if (sim_node_host(i)->process != NULL) {
            sim_process_kill(sim_node_host(i)->process, SIM_KILL);
        }
    }
    sim_trace("world", "heals", sim_now_us(), 0);
}
