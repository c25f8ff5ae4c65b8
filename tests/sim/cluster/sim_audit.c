#include "tests/sim/cluster/sim_audit.h"

#include "common/store/kv.h"
#include "raft-glue/replica_host.h"
#include "tests/sim/cluster/sim_atlas.h"
#include "tests/sim/cluster/sim_bank.h"
#include "tests/sim/cluster/sim_client.h"
#include "tests/sim/cluster/sim_ledger.h"
#include "tests/sim/cluster/sim_members.h"
#include "tests/sim/cluster/sim_nodes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MEMORY_MAX = 96 * 1024 * 1024 };

/* ---- Rest ---- */

/* Debited transfers whose message is given up (and can be settled by a person), or has become too
 * old before anybody read it, need not arrive. */
static int64_t excused_amount(bool *missing)
{
    int64_t excused = 0;
    *missing = false;
    for (uint64_t id = 0; id < bank_count(); id++) {
        if (bank_state(id) != BANK_DONE || bank_has_arrived(id)) {
            continue;
        }
        bool gone = false;
        for (size_t i = 0; i < ledger_group_count(); i++) {
            LIST_FOREACH(at, &ledger_group_at(i)->order)
            {
                const struct ledger_half *half = CONTAINER_OF(at, struct ledger_half, in_order);
                bool cut = half->state == LEDGER_COMMITTED &&
                           half->referred_from < ledger_group_at(i)->cut_position;
                bool dropped = half->state == LEDGER_ROLLED_BACK && half->referred_from != 0;
                gone |= half->kind == LEDGER_BANK && half->id == id &&
                        (cut || dropped || half->state == LEDGER_EXPIRED);
            }
        }
        *missing |= !gone;
        excused += gone ? bank_amount(id) : 0;
    }
    return excused;
}

/* The oldest transaction that nobody has decided, and what the leader says of it. */
static const char *tell_pending(size_t group, const struct ledger_group *ledger)
{
    static char text[256];
    int leader = sim_group_leader(group);
    struct broker *broker = sim_node_broker((size_t)leader, group);
    LIST_FOREACH(at, &ledger->order)
    {
        const struct ledger_half *half = CONTAINER_OF(at, struct ledger_half, in_order);
        const struct transaction *transaction =
            machine_transaction_find(broker->machine, half->position);
        if (half->state != LEDGER_PENDING || transaction == NULL) {
            continue;
        }
        sim_process_switch(sim_node_host((size_t)leader)->process);
        snprintf(text, sizeof text,
                 "the half of %s at %" PRIu64
                 " of %s is not decided, asked %u times, due in %" PRId64 " ms: %s",
                 half->producer_group.text, half->position, ledger->name.text, half->attempts,
                 (int64_t)(transaction->due.due - broker_now_ms(broker)),
                 checker_reason(&broker->checker, transaction));
        sim_process_switch(NULL);
        return text;
    }
    return "a transaction is not decided";
}

/* A member that is not as it should be. */
static const char *tell_member(size_t node, size_t group)
{
    static char text[256];
    struct replica_view view;
    if (!sim_node_view(node, group, &view)) {
        return "a member is not open";
    }
    snprintf(text, sizeof text,
             "%s of %s lags or does not vote: term %" PRIu64 ", log up to %" PRIu64
             " of term %" PRIu64 ", committed %" PRIu64 "%s",
             sim_node_host(node)->name, sim_group_name(group), view.state.term, view.last_index,
             view.last_term, view.commit_index, view.abstaining ? ", abstains" : "");
    return text;
}

static bool group_at_rest(size_t group, const char **why)
{
    const struct ledger_group *ledger = ledger_group(slice_text(sim_group_name(group)));
    if (sim_group_leader(group) < 0) {
        *why = "a group has no leader";
        return false;
    }
    for (size_t i = 0; i < sim_node_count(); i++) {
        if (!sim_is_member(i, group)) {
            continue;
        }
        const struct broker *broker = sim_node_broker(i, group);
        if (sim_node_up(i) && broker == NULL) {
            *why = "a node is still starting";
            return false;
        }
        if (sim_node_up(i) && !atlas_has(i, group, 0)) {
            *why = tell_member(i, group);
            return false;
        }
        if (broker != NULL && machine_applied_index(broker->machine) != ledger->last_index) {
            *why = tell_member(i, group);
            return false;
        }
    }
    if (ledger->pending > 0) {
        *why = tell_pending(group, ledger);
        return false;
    }
    if (ledger->delayed_waiting > 0) {
        *why = "a delayed message has not fired";
        return false;
    }
    const char *left = sim_clients_pop()
                           ? ledger_pop_left(ledger, slice_text(SIM_POPPERS), slice_text("plain"))
                           : NULL;
    if (left != NULL) {
        *why = left;
        return false;
    }
    return true;
}

/* A store that rots is not noticed before it is read: have all of it read. */
static void have_stores_read(size_t node)
{
    for (size_t i = 0; i < ledger_group_count(); i++) {
        const struct broker *broker = sim_node_broker(node, i);
        if (broker != NULL) {
            sim_process_switch(sim_node_host(node)->process);
            (void)machine_hash(broker->machine);
            sim_process_switch(NULL);
        }
    }
}

bool sim_audit_at_rest(const char **why)
{
    bool missing;
    size_t node;
    if (atlas_rots(&node)) {
        have_stores_read(node);
        *why = "a store that rots is not built again";
        return false;
    }
    for (size_t i = 0; i < ledger_group_count(); i++) {
        if (!group_at_rest(i, why)) {
            return false;
        }
    }
    (void)excused_amount(&missing);
    *why = "a transfer has not arrived";
    return !missing;
}

/* ---- State ---- */

static enum ledger_state state_of(const struct transaction *transaction)
{
    switch (transaction->state) {
    case TRANSACTION_PENDING:
        return LEDGER_PENDING;
    case TRANSACTION_COMMITTED:
        return LEDGER_COMMITTED;
    case TRANSACTION_ROLLED_BACK:
        return LEDGER_ROLLED_BACK;
    case TRANSACTION_EXPIRED:
        return LEDGER_EXPIRED;
    }
    UNREACHABLE();
}

static void compare_offsets(const struct ledger_group *group, const char *who,
                            const struct machine *machine)
{
    MAP_FOREACH(node, &group->offsets)
    {
        const struct ledger_offset *mine = CONTAINER_OF(node, struct ledger_offset, by_key);
        int64_t offset = -1;
        (void)machine_offset_find(machine, name_slice(&mine->group), name_slice(&mine->topic),
                                  mine->queue_id, &offset);
        if (offset != mine->offset) {
            sim_violation("consumer offsets",
                          "%s of %s has %s at %" PRId64 " in %s/%d, the log says %" PRId64, who,
                          group->name.text, mine->group.text, offset, mine->topic.text,
                          mine->queue_id, mine->offset);
        }
    }
}

/* At rest nothing waits, so what the machine still has is too much. */
static void compare_delays(const struct ledger_group *group, const char *who,
                           const struct machine *machine)
{
    struct machine_counters counters;
    machine_counters(machine, &counters);
    if (counters.delayed_waiting != group->delayed_waiting) {
        sim_violation("delayed messages", "%" PRIu64 " wait on %s of %s, %" PRIu64 " by the log",
                      counters.delayed_waiting, who, group->name.text, group->delayed_waiting);
    }
    MAP_FOREACH(node, &group->delayed)
    {
        const struct ledger_delayed *mine = CONTAINER_OF(node, struct ledger_delayed, by_position);
        if (machine_delayed_find(machine, mine->position) != NULL) {
            sim_violation("delayed messages", "%s of %s waits with %" PRIu64 ", which has fired",
                          who, group->name.text, mine->position);
        }
    }
}

static void compare(const struct ledger_group *group, const char *who, struct machine *machine)
{
    compare_offsets(group, who, machine);
    compare_delays(group, who, machine);
    if (machine_popped_total(machine) != group->popped.count) {
        sim_violation("popped", "%" PRIu64 " wait on %s of %s, %zu by the log",
                      machine_popped_total(machine), who, group->name.text, group->popped.count);
    }
    struct machine_cut cut = machine_cut_done(machine);
    if (cut.position != group->cut_position || cut.log_first != group->log_first) {
        sim_violation("retention",
                      "%s of %s is cut at %" PRIu64 " and %" PRIu64 ", by the log at %" PRIu64
                      " and %" PRIu64,
                      who, group->name.text, cut.position, cut.log_first, group->cut_position,
                      group->log_first);
    }
    LIST_FOREACH(at, &group->order)
    {
        const struct ledger_half *half = CONTAINER_OF(at, struct ledger_half, in_order);
        const struct transaction *transaction = machine_transaction_find(machine, half->position);
        bool open = half->state == LEDGER_PENDING || half->state == LEDGER_EXPIRED;
        if (transaction == NULL && !open) {
            continue; // Outcomes are remembered for a while only.
        }
        if (transaction == NULL || state_of(transaction) != half->state ||
            transaction->attempts != half->attempts ||
            transaction->half_offset != half->half_offset) {
            sim_violation("derived state",
                          "%s of %s has the half at %" PRIu64 " in state %d after %u checks, the "
                          "log says %d after %u",
                          who, group->name.text, half->position,
                          transaction == NULL ? -1 : (int)transaction->state,
                          transaction == NULL ? 0 : transaction->attempts, (int)half->state,
                          half->attempts);
        }
    }
    MAP_FOREACH(node, &group->queues)
    {
        const struct ledger_queue *mine = CONTAINER_OF(node, struct ledger_queue, by_key);
        const struct queue *theirs =
            machine_queue_find(machine, name_slice(&mine->topic), mine->queue_id);
        if (theirs == NULL || theirs->offset_next != (int64_t)mine->count) {
            sim_violation("dense offsets",
                          "%s of %s has %" PRId64 " messages in %s/%d, the log has %zu", who,
                          group->name.text, theirs == NULL ? -1 : theirs->offset_next,
                          mine->topic.text, mine->queue_id, mine->count);
        }
        if (theirs->offset_first != (int64_t)mine->first) {
            sim_violation("retention",
                          "the first message of %s/%d is %" PRId64 " on %s of %s, %zu by the log",
                          mine->topic.text, mine->queue_id, theirs->offset_first, who,
                          group->name.text, mine->first);
        }
    }
}

/* A machine that never saw anything but the log. */
static uint64_t replay(const struct ledger_group *group)
{
    const struct machine_events events = {0};
    struct kv *kv = kv_open_memory();
    struct machine *machine;
    char *error = NULL;
    if (machine_open(kv, &events, &machine, &error) != STATUS_OK) {
        sim_violation("replay", "an empty machine does not open: %s", error);
    }
    for (uint64_t i = 0; i <= group->last_index && i < group->entry_capacity; i++) {
        const struct ledger_entry *entry = &group->entries[i];
        if (entry->term != 0) {
            machine_apply(machine, i, entry->position, slice_of(entry->payload, entry->size));
        }
    }
    compare(group, "a replay", machine);
    uint64_t hash = machine_hash(machine);
    machine_close(machine);
    kv_close(kv);
    return hash;
}

static void audit_group(size_t place)
{
    const struct ledger_group *group = ledger_group(slice_text(sim_group_name(place)));
    uint64_t expected = replay(group);
    for (size_t i = 0; i < sim_node_count(); i++) {
        const struct broker *broker = sim_node_broker(i, place);
        if (broker == NULL || !sim_is_member(i, place)) {
            continue;
        }
        struct sim_process *process = sim_node_host(i)->process;
        // The hash is made of what would be stored: that it is right shows only what is in use.
        compare(group, sim_node_host(i)->name, broker->machine);
        sim_process_switch(process);
        uint64_t hash = machine_hash(broker->machine);
        sim_process_switch(NULL);
        if (hash != expected) {
            sim_violation("derived state",
                          "%s of %s differs from a replay of the log at entry %" PRIu64,
                          sim_node_host(i)->name, group->name.text, group->last_index);
        }
    }
}

void sim_audit_state(void)
{
    bool missing;
    for (size_t i = 0; i < ledger_group_count(); i++) {
        audit_group(i);
    }
    sim_members_audit();
    bank_audit(excused_amount(&missing));
    for (size_t i = 0; i < sim_host_count(); i++) {
        const struct sim_process *process = sim_host_at(i)->process;
        if (process != NULL && process->memory.bytes_most > MEMORY_MAX) {
            sim_violation("memory", "%s held %zu bytes", sim_host_at(i)->name,
                          process->memory.bytes_most);
        }
    }
}
