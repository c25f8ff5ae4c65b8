/* What each kind of fault does. Clocks and disks are mended, cuts rejoined and so on by reliefs
 * that they leave behind. */
#include "tests/sim/cluster/sim_atlas.h"
#include "tests/sim/cluster/sim_clients.h"
#include "tests/sim/cluster/sim_faults_internal.h"
#include "tests/sim/cluster/sim_members.h"
#include "tests/sim/cluster/sim_nodes.h"

enum {
    STALL_MAX_US = 30 * SIM_SECOND,
    JUMP_MAX_MS = 3600 * 1000,
    // A node's clock stays below the time for which outcomes are remembered (docs/limits.md).
    NODE_JUMP_MAX_MS = 20 * 60 * 1000,
    DRIFT_PPM = 20000,
    SPARE_ROOM = 128 * 1024,
};

/* ---- Whom ---- */

static size_t any_node(void)
{
    return (size_t)sim_draw(SIM_FAULT, sim_node_count());
}

static struct sim_host *any_host(void)
{
    return sim_host_at((size_t)sim_draw(SIM_FAULT, sim_host_count()));
}

/* A node, more often than not one that leads. */
static size_t important_node(void)
{
    int leader = sim_group_leader((size_t)sim_draw(SIM_FAULT, fault_plan()->groups));
    return leader >= 0 && sim_one_in(SIM_FAULT, 2) ? (size_t)leader : any_node();
}

/* ---- Processes ---- */

static bool kill_node(size_t node, enum sim_death how)
{
    struct sim_process *process = sim_node_host(node)->process;
    if (process == NULL) {
        return false;
    }
    sim_node_rest(node, fault_a_while());
    sim_process_kill(process, how);
    return true;
}

/* One of the next syncs is its last. */
static bool doom(size_t node, bool power)
{
    struct sim_disk_faults *disk = &sim_node_host(node)->disk_faults;
    if (!sim_node_up(node)) {
        return false;
    }
    sim_node_rest(node, sim_draw(SIM_FAULT, 200 * SIM_MS));
    disk->deadly_sync = (uint32_t)sim_between(SIM_FAULT, 1, 6);
    disk->deadly_power = power;
    return true;
}

static bool power_all(void)
{
    bool any = false;
    for (size_t i = 0; i < sim_node_count(); i++) {
        any |= kill_node(i, SIM_POWER_CUT);
    }
    return any;
}

static bool kill_leader(void)
{
    int leader = sim_group_leader((size_t)sim_draw(SIM_FAULT, fault_plan()->groups));
    return leader >= 0 && kill_node((size_t)leader, SIM_KILL);
}

static bool pause_host(struct sim_host *host)
{
    if (host->process == NULL) {
        return false;
    }
    sim_process_pause(host->process, sim_now_us() + fault_a_while());
    sim_trace(host->name, "is paused until", host->process->paused_until_us, 0);
    return true;
}

static void on_transferred(void *context, enum status status)
{
    (void)context;
    (void)status; // Either will do.
}

/* From the leader's own loop it would be asked by a request; the effect is the same. */
static bool transfer(void)
{
    size_t group = (size_t)sim_draw(SIM_FAULT, fault_plan()->groups);
    int leader = sim_group_leader(group);
    if (leader < 0 || sim_node_host((size_t)leader)->process->paused_until_us > sim_now_us()) {
        return false;
    }
    struct broker *broker = sim_node_broker((size_t)leader, group);
    struct sim_process *process = sim_node_host((size_t)leader)->process;
    sim_process_switch(process);
    broker->ports->transfer(broker->ports->context, sim_draw(SIM_FAULT, sim_node_count() + 1),
                            on_transferred, NULL);
    sim_process_switch(NULL);
    return true;
}

static bool stop_node(size_t node)
{
    sim_node_rest(node, fault_a_while());
    sim_node_stop(node);
    return sim_node_up(node);
}

static void set_drained(size_t node, bool on)
{
    for (size_t i = 0; i < sim_group_count(); i++) {
        struct broker *broker = sim_node_broker(node, i);
        if (broker != NULL) {
            const struct member_ports *members = &broker->ports->members;
            sim_process_switch(sim_node_host(node)->process);
            broker->draining = on; // As process_drain() does.
            members->drain(members->context, on);
            sim_process_switch(NULL);
        }
    }
}

static void undrain(size_t a, size_t b)
{
    (void)b;
    set_drained(a, false);
}

static bool drain(size_t node)
{
    if (!sim_node_up(node)) {
        return false;
    }
    uint64_t us = fault_a_while();
    sim_trace(sim_node_host(node)->name, "is drained", us, 0);
    set_drained(node, true);
    fault_until(us, undrain, node, 0);
    return true;
}

/* ---- Network ---- */

static void rejoin(size_t a, size_t b)
{
    sim_network_cut(sim_host_at(a), sim_host_at(b), false);
}

static void cut(const struct sim_host *from, const struct sim_host *to, uint64_t us)
{
    sim_network_cut(from, to, true);
    sim_trace(from->name, "is cut off from", to->index, us);
    fault_until(us, rejoin, from->index, to->index);
}

/* Two sides that do not hear each other; connections break or fall silent. */
static bool partition(void)
{
    uint64_t side = sim_draw(SIM_FAULT, UINT64_C(1) << sim_host_count());
    uint64_t us = fault_a_while();
    bool nodes_only = sim_one_in(SIM_FAULT, 2);
    for (size_t i = 0; i < sim_host_count(); i++) {
        for (size_t j = 0; j < sim_host_count(); j++) {
            struct sim_host *from = sim_host_at(i);
            struct sim_host *to = sim_host_at(j);
            bool nodes = from->name[0] == 'n' && to->name[0] == 'n';
            if (((side >> i) & 1) != ((side >> j) & 1) && (nodes || !nodes_only)) {
                cut(from, to, us);
                if (i < j && sim_one_in(SIM_FAULT, 2)) {
                    sim_network_break(from, to);
                }
            }
        }
    }
    return true;
}

static bool one_way(void)
{
    struct sim_host *a = sim_one_in(SIM_FAULT, 4) ? any_host() : sim_node_host(important_node());
    bool from_a = sim_one_in(SIM_FAULT, 2);
    uint64_t us = fault_a_while();
    for (size_t i = 0; i < sim_node_count(); i++) {
        struct sim_host *b = sim_node_host(i);
        if (b != a && !sim_one_in(SIM_FAULT, 3)) {
            cut(from_a ? a : b, from_a ? b : a, us);
        }
    }
    return true;
}

static bool break_some(void)
{
    struct sim_host *a = sim_node_host(important_node());
    size_t broken = 0;
    for (size_t i = 0; i < sim_host_count(); i++) {
        if (sim_host_at(i) != a && sim_one_in(SIM_FAULT, 2)) {
            broken += sim_network_break(a, sim_host_at(i));
        }
    }
    return broken > 0;
}

static void speed_up(size_t a, size_t b)
{
    (void)b;
    sim_network_slow(sim_host_at(a), 0);
}

static bool slow_peer(void)
{
    struct sim_host *host = any_host();
    sim_network_slow(host, sim_between(SIM_FAULT, 1 * SIM_MS, 300 * SIM_MS));
    fault_until(fault_a_while(), speed_up, host->index, 0);
    return true;
}

/* ---- Disks ---- */

static void mend_disk(size_t a, size_t b)
{
    struct sim_disk_faults *disk = &sim_host_at(a)->disk_faults;
    (void)b;
    disk->sync_us = fault_plan()->sync_us;
    disk->fail_syncs_of = 0;
    disk->capacity = 0;
    disk->stall_until_us = 0;
}

static bool hurt_disk(enum sim_fault kind)
{
    struct sim_host *host = sim_node_host(important_node());
    struct sim_disk_faults *disk = &host->disk_faults;
    uint64_t us = fault_a_while();
    switch (kind) {
    case SIM_FAULT_SLOW_DISK:
        disk->sync_us = sim_between(SIM_FAULT, 10 * SIM_MS, 500 * SIM_MS);
        break;
    case SIM_FAULT_STALL_DISK:
        disk->stall_until_us = sim_now_us() + sim_draw(SIM_FAULT, STALL_MAX_US);
        break;
    case SIM_FAULT_FAIL_DISK:
        disk->fail_syncs_of = (uint32_t)sim_between(SIM_FAULT, 1, 20);
        break;
    default:
        disk->capacity = sim_host_used(host) + sim_draw(SIM_FAULT, SPARE_ROOM) +
                         (sim_one_in(SIM_FAULT, 2) ? fault_plan()->reserve_size : 0);
    }
    sim_trace(host->name, sim_fault_name(kind), us, 0);
    fault_until(us, mend_disk, host->index, 0);
    return true;
}

/* Somebody who may be: more often than not the one that is hurt already. */
static bool pick_victim(size_t *node)
{
    int hurt = atlas_hurt();
    *node = hurt >= 0 ? (size_t)hurt : important_node();
    return atlas_may_hurt(*node);
}

static bool lose_disk(void)
{
    size_t node;
    if (!pick_victim(&node)) {
        return false;
    }
    kill_node(node, SIM_KILL);
    atlas_lose_disks(node);
    return true;
}

/* Of a node that runs, or is found damaged when it starts again. */
static bool flip_bits(void)
{
    size_t node;
    if (!pick_victim(&node)) {
        return false;
    }
    if (sim_one_in(SIM_FAULT, 6)) {
        kill_node(node, SIM_KILL);
        atlas_lose_store(node);
        return true;
    }
    if (sim_one_in(SIM_FAULT, 6)) {
        return atlas_rot_store(node);
    }
    bool stopped = sim_one_in(SIM_FAULT, 2);
    return atlas_damage(node) && (!stopped || kill_node(node, SIM_KILL));
}

/* ---- Clocks ---- */

static void mend_clock(size_t a, size_t b)
{
    (void)b;
    sim_host_drift(sim_host_at(a), 1000000);
    if (sim_host_at(a)->clock.wall_frozen) {
        sim_host_freeze(sim_host_at(a), false);
    }
}

static bool hurt_clock(enum sim_fault kind)
{
    struct sim_host *host = sim_one_in(SIM_FAULT, 3) ? any_host() : sim_node_host(important_node());
    uint64_t most = host->name[0] == 'n' ? NODE_JUMP_MAX_MS : JUMP_MAX_MS;
    int64_t jump = (int64_t)sim_draw(SIM_FAULT, sim_one_in(SIM_FAULT, 3) ? most : 5000);
    switch (kind) {
    case SIM_FAULT_CLOCK_JUMP:
        sim_host_jump(host, (sim_one_in(SIM_FAULT, 2) ? jump : -jump) * SIM_MS);
        break;
    case SIM_FAULT_CLOCK_DRIFT:
        sim_host_drift(host,
                       (uint32_t)sim_between(SIM_FAULT, 1000000 - DRIFT_PPM, 1000000 + DRIFT_PPM));
        fault_until(fault_a_while(), mend_clock, host->index, 0);
        break;
    default:
        sim_host_freeze(host, true);
        fault_until(fault_a_while(), mend_clock, host->index, 0);
    }
    sim_trace(host->name, sim_fault_name(kind), (uint64_t)jump, 0);
    return true;
}

/* ---- Striking ---- */

static bool kill_host(struct sim_host *host)
{
    if (host->process == NULL) {
        return false;
    }
    sim_process_kill(host->process, sim_one_in(SIM_FAULT, 3) ? SIM_POWER_CUT : SIM_KILL);
    return true;
}

static struct sim_host *any_client(void)
{
    return sim_client_host((size_t)sim_draw(SIM_FAULT, sim_client_count()));
}

static struct sim_host *any_nameserver(void)
{
    return sim_nameserver_host((size_t)sim_draw(SIM_FAULT, sim_nameserver_count()));
}

bool fault_strike(enum sim_fault kind)
{
    switch (kind) {
    case SIM_FAULT_KILL_NODE:
        return kill_node(any_node(), SIM_KILL);
    case SIM_FAULT_POWER_NODE:
        return kill_node(important_node(), SIM_POWER_CUT);
    case SIM_FAULT_POWER_ALL:
        return power_all();
    case SIM_FAULT_KILL_LEADER:
        return kill_leader();
    case SIM_FAULT_SYNC_KILL:
    case SIM_FAULT_SYNC_POWER:
        return doom(important_node(), kind == SIM_FAULT_SYNC_POWER);
    case SIM_FAULT_PAUSE_NODE:
        return pause_host(sim_node_host(important_node()));
    case SIM_FAULT_STOP_NODE:
        return stop_node(any_node());
    case SIM_FAULT_TRANSFER:
        return transfer();
    case SIM_FAULT_PARTITION:
        return partition();
    case SIM_FAULT_ONE_WAY:
        return one_way();
    case SIM_FAULT_BREAK:
        return break_some();
    case SIM_FAULT_SLOW_PEER:
        return slow_peer();
    case SIM_FAULT_SLOW_DISK:
    case SIM_FAULT_STALL_DISK:
    case SIM_FAULT_FAIL_DISK:
    case SIM_FAULT_FULL_DISK:
        return hurt_disk(kind);
    case SIM_FAULT_LOSE_DISK:
        return lose_disk();
    case SIM_FAULT_FLIP_BITS:
        return flip_bits();
    case SIM_FAULT_MEMBERS:
        return sim_members_change();
    case SIM_FAULT_DRAIN:
        return drain(important_node());
    case SIM_FAULT_CLOCK_JUMP:
    case SIM_FAULT_CLOCK_DRIFT:
    case SIM_FAULT_CLOCK_FREEZE:
        return hurt_clock(kind);
    case SIM_FAULT_KILL_CLIENT:
        return kill_host(any_client());
    case SIM_FAULT_PAUSE_CLIENT:
        return pause_host(any_client());
    case SIM_FAULT_KILL_NAMESERVER:
        return kill_host(any_nameserver());
    case SIM_FAULTS:
        break;
    }
    UNREACHABLE();
}
