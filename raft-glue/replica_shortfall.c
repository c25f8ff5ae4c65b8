/* A member that lost what it had acknowledged to the leader of this term.
 *
 * A log's last second is vouched for by nothing but the log: damage there looks like a torn tail at
 * the next start, and is cut (segment_log.h). C-Raft's leader never goes back below what a member
 * has acknowledged in its term, so it would send such a member nothing for ever. The leader of the
 * next term asks anew. */
#include "raft-glue/replica_internal.h"

#include <inttypes.h>

void replica_judge_rejection(struct replica *replica, uint64_t from,
                             const struct raft_append_entries_result *result)
{
    // Answers come in order, so none is older than what it contradicts (R2).
    uint64_t term = raft_current_term(&replica->raft);
    if (result->rejected == 0 || result->term != term ||
        result->last_log_index >= replica_match_index(replica, from)) {
        return;
    }
    replica_member(replica, from)->short_term = term;
    if (replica->shortfall.term != term) {
        log_warn(replica->options.log, "a member has lost what it had acknowledged",
                 "member=%" PRIu64 " last=%llu acknowledged=%" PRIu64
                 "; leadership moves, so that it is sent again",
                 from, result->last_log_index, replica_match_index(replica, from));
        replica->shortfall = (struct replica_shortfall){.term = term, .member = from};
    }
}

static void on_handed_over(void *context, enum status status)
{
    (void)context;
    (void)status; // Who still leads, and nothing is under way, was not relieved.
}

/* What a message of a later term does. We may well be elected in that. */
static void step_down(struct replica *replica, uint64_t member)
{
    struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES_RESULT,
        .server_id = member,
        .server_address = replica_address(replica, member),
        .append_entries_result = {.version = 2, .term = raft_current_term(&replica->raft) + 1},
    };
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = &message;
    replica_step(replica, &event);
}

void replica_settle_shortfall(struct replica *replica)
{
    struct replica_shortfall *shortfall = &replica->shortfall;
    if (shortfall->term == 0 || replica->shut || replica->transfer.phase != TRANSFER_NONE) {
        return;
    }
    if (!replica_leads_term(replica, shortfall->term)) {
        *shortfall = (struct replica_shortfall){0};
    } else if (!shortfall->asked) {
        shortfall->asked = true;
        replica_transfer(replica, 0, on_handed_over, replica);
    } else {
        step_down(replica, shortfall->member);
    }
}
