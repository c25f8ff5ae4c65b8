#include "tests/sim/cluster/sim_members.h"

#include "broker/core/broker.h"
#include "raft-glue/replica_host.h"
#include "tests/sim/cluster/sim_nodes.h"
#include "tests/sim/os/sim_process.h"

#include <stdio.h>

static struct {
    const struct sim_plan *plan;
    bool added[SIM_NODES_MAX][SIM_GROUPS_MAX];   /* Or there from the beginning. */
    bool removed[SIM_NODES_MAX][SIM_GROUPS_MAX]; /* Asked for, at some time. */
    bool stale[SIM_NODES_MAX][SIM_GROUPS_MAX];   /* Holds data of a member that it may have been. */
    uint64_t counts[MEMBER_REMOVE + 1];
} members;

void sim_members_open(const struct sim_plan *plan)
{
    memset(&members, 0, sizeof members);
    members.plan = plan;
    for (size_t i = 0; i < plan->nodes; i++) {
        for (size_t j = 0; j < plan->groups; j++) {
            members.added[i][j] = members.stale[i][j] = true;
        }
    }
}

uint64_t sim_members_added(void)
{
    return members.counts[MEMBER_ADD];
}

uint64_t sim_members_promoted(void)
{
    return members.counts[MEMBER_PROMOTE];
}

uint64_t sim_members_removed(void)
{
    return members.counts[MEMBER_REMOVE];
}

/* ---- What there is ---- */

static enum replica_member_role role_in(const struct replica_view *view, size_t node)
{
    for (size_t i = 0; i < view->member_count; i++) {
        if (view->members[i].id == node + 1) {
            return view->members[i].role;
        }
    }
    return REPLICA_MEMBER_STRANGER;
}

bool sim_is_member(size_t node, size_t group)
{
    struct replica_view view;
    int leader = sim_group_leader(group);
    return leader >= 0 && sim_node_view((size_t)leader, group, &view) &&
           role_in(&view, node) != REPLICA_MEMBER_STRANGER;
}

/* Is this membership certain: committed, and is nobody away who could know of another one? */
static bool is_settled(size_t group, const struct replica_view *leader)
{
    struct replica_view view;
    for (size_t i = 0; i < sim_node_count(); i++) {
        bool member = role_in(leader, i) != REPLICA_MEMBER_STRANGER;
        if (member &&
            (!sim_node_view(i, group, &view) || view.change_index != leader->change_index)) {
            return false;
        }
    }
    return !leader->change_pending;
}

/* ---- Steps ---- */

static bool ask(size_t leader, size_t group, size_t node, enum member_action action)
{
    const struct member_ports *ports = &sim_node_broker(leader, group)->ports->members;
    const char *why = NULL;
    sim_process_switch(sim_node_host(leader)->process);
    enum status status = ports->change(ports->context, node + 1, action, &why);
    sim_process_switch(NULL);
    sim_trace(sim_node_host(node)->name, "change of membership", action, status);
    if (status != STATUS_OK) {
        return false;
    }
    members.counts[action]++;
    members.added[node][group] |= action == MEMBER_ADD;
    members.stale[node][group] |= action == MEMBER_ADD;
    members.removed[node][group] |= action == MEMBER_REMOVE;
    return true;
}

/* An id comes back only with an empty disk. */
static bool empty(size_t node, size_t group)
{
    char path[SIM_PATH_MAX];
    struct sim_host *host = sim_node_host(node);
    sim_node_rest(node, 1 + sim_draw(SIM_FAULT, SIM_SECOND));
    if (host->process != NULL) {
        sim_process_kill(host->process, SIM_KILL);
    }
    snprintf(path, sizeof path, "/data/%s", sim_group_name(group));
    sim_host_remove(host, path);
    sim_trace(host->name, "comes back empty", group, 0);
    members.stale[node][group] = false;
    return true;
}

static bool let_in(size_t leader, size_t group, const struct replica_view *view)
{
    for (size_t i = 0; i < sim_node_count(); i++) {
        if (role_in(view, i) == REPLICA_MEMBER_STANDBY) {
            bool regret = sim_one_in(SIM_FAULT, 8);
            return ask(leader, group, i, regret ? MEMBER_REMOVE : MEMBER_PROMOTE);
        }
    }
    for (size_t i = 0; i < sim_node_count(); i++) {
        if (role_in(view, i) != REPLICA_MEMBER_STRANGER) {
            continue;
        }
        if (members.stale[i][group]) {
            return is_settled(group, view) && empty(i, group);
        }
        sim_node_want(i, true);
        return ask(leader, group, i, MEMBER_ADD);
    }
    return false;
}

bool sim_members_change(void)
{
    size_t group = (size_t)sim_draw(SIM_FAULT, members.plan->groups);
    int leader = sim_group_leader(group);
    struct replica_view view;
    size_t voters = 0;
    if (members.plan->spares == 0 || leader < 0 ||
        sim_node_host((size_t)leader)->process->paused_until_us > sim_now_us() ||
        !sim_node_view((size_t)leader, group, &view)) {
        return false;
    }
    for (size_t i = 0; i < sim_node_count(); i++) {
        voters += role_in(&view, i) == REPLICA_MEMBER_VOTER;
    }
    if (voters <= members.plan->nodes) {
        return let_in((size_t)leader, group, &view);
    }
    size_t node = (size_t)sim_draw(SIM_FAULT, sim_node_count());
    return role_in(&view, node) == REPLICA_MEMBER_VOTER &&
           ask((size_t)leader, group, node, MEMBER_REMOVE);
}

/* ---- The end ---- */

void sim_members_audit(void)
{
    for (size_t i = 0; i < sim_node_count(); i++) {
        for (size_t j = 0; j < members.plan->groups; j++) {
            bool member = sim_is_member(i, j);
            // That one was added may be forgotten with the leader that took it on.
            if (member ? !members.added[i][j] : i < members.plan->nodes && !members.removed[i][j]) {
                sim_violation("membership", "%s is %s of %s, which nobody asked for",
                              sim_node_host(i)->name, member ? "a member" : "no member",
                              sim_group_name(j));
            }
        }
    }
}
