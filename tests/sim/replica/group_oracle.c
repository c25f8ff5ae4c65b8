/* What is committed, and how proposals end: a replica that says otherwise breaks a promise. */
#include "tests/sim/replica/group_sim_internal.h"

#include "common/base/bytes.h"
#include "common/base/crc32c.h"

#include <inttypes.h>

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
        group_violation(sim, "node %" PRIu64 " applies %" PRIu64 " again", node->id, entry->index);
    }
    uint64_t hash = group_mix(group_mix(entry->index, entry->position),
                              crc32c(0, entry->payload.data, entry->payload.size));
    node->applied = entry->index;
    node->chain = group_mix(node->chain, hash);
    struct committed *committed = committed_at(sim, entry->index);
    if (committed->term == 0) {
        *committed = (struct committed){.term = entry->term, .hash = hash, .chain = node->chain};
        sim->result->committed++;
    } else if (committed->term != entry->term || committed->hash != hash ||
               committed->chain != node->chain) {
        group_violation(sim, "node %" PRIu64 " applies another entry %" PRIu64 " than others did",
                        node->id, entry->index);
    }
    uint64_t number = le64_get(entry->payload.data);
    if (number >= sim->proposal_count) {
        group_violation(sim, "entry %" PRIu64 " was never proposed", entry->index);
    }
    struct sim_proposal *owner = sim->proposals[number];
    if (owner->index != 0 && owner->index != entry->index) {
        group_violation(sim, "proposal %" PRIu64 " is in the log twice", number);
    }
    if (owner->end == PROPOSAL_REFUSED) {
        group_violation(sim, "proposal %" PRIu64 " was refused, but is committed", number);
    }
    owner->index = entry->index;
    if (proposal != NULL) {
        struct sim_proposal *mine = proposal;
        if (mine != owner || mine->end != PROPOSAL_WAITS) {
            group_violation(sim, "proposal %" PRIu64 " ends twice, or as another one", number);
        }
        mine->end = PROPOSAL_APPLIED;
        sim->result->acknowledged++;
    }
    if (group_chance(sim, 8) == 0 && node->replica != NULL) {
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
        group_violation(sim, "proposal %" PRIu64 " ends twice", mine->id);
    }
    if (node->dying || why == STATUS_UNKNOWN_OUTCOME) {
        mine->end = PROPOSAL_UNKNOWN;
        sim->result->unknown++;
        return;
    }
    if (mine->index != 0) {
        group_violation(sim, "proposal %" PRIu64 " is refused, but is committed", mine->id);
    }
    mine->end = PROPOSAL_REFUSED;
    sim->result->refused++;
}

static void on_state(void *context, const struct replica_state *state)
{
    struct node *node = context;
    struct sim *sim = node->sim;
    node->state = *state;
    group_trace(sim, "node %" PRIu64 " role %d term %" PRIu64 " leader %" PRIu64, node->id,
                (int)state->role, state->term, state->leader_id);
    if (state->role != REPLICA_ELECTED && state->role != REPLICA_LEADER) {
        return;
    }
    if (state->term >= TERMS_MAX) {
        group_violation(sim, "too many terms");
    }
    uint64_t *leader = &sim->leader_of[state->term];
    if (*leader != 0 && *leader != node->id) {
        group_violation(sim, "term %" PRIu64 " has two leaders: %" PRIu64 " and %" PRIu64,
                        state->term, *leader, node->id);
    }
    sim->result->elections += *leader == 0;
    *leader = node->id;
}

struct replica_machine oracle_machine(struct node *node)
{
    return (struct replica_machine){
        .context = node, .apply = on_apply, .drop = on_drop, .on_state = on_state};
}
