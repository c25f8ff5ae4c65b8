/* Handing leadership over, and changes of the membership: both need a leader that knows what its
 * followers have. */
#include "raft-glue/replica_internal.h"

#include <inttypes.h>
#include <stdlib.h>

static void finish(struct replica *replica, enum status status)
{
    struct replica_transfer transfer = replica->transfer;
    replica->transfer = (struct replica_transfer){0};
    log_info(replica->options.log, "leadership transfer ended", "target=%" PRIu64 " status=%s",
             transfer.target, status_name(status));
    transfer.done(transfer.context, status);
}

/* The other voter that has most of the log, among those that answer, and of several the one that
 * was heard last: another may have stopped since. 0: none. */
static uint64_t best_target(const struct replica *replica)
{
    const struct replica_member_state *best = NULL;
    uint64_t best_match = 0;
    for (size_t i = 0; i < replica->member_count; i++) {
        const struct replica_member_state *member = &replica->members[i];
        const struct raft_server *server =
            configuration_find(&replica->raft.configuration, member->voter.id);
        bool answers = member->result_ms != 0 &&
                       replica->now_ms < member->result_ms + replica->options.election_timeout_ms;
        bool lacking = member->short_term == raft_current_term(&replica->raft);
        if (server == NULL || server->role != RAFT_VOTER ||
            member->voter.id == replica->options.id || !answers || lacking) {
            continue;
        }
        uint64_t match = replica_match_index(replica, member->voter.id);
        if (best == NULL || match > best_match ||
            (match == best_match && member->result_ms > best->result_ms)) {
            best = member;
            best_match = match;
        }
    }
    return best == NULL ? 0 : best->voter.id;
}

void replica_transfer(struct replica *replica, uint64_t target_id,
                      void (*done)(void *context, enum status status), void *context)
{
    enum status refused = STATUS_OK;
    const struct raft_server *server = configuration_find(&replica->raft.configuration, target_id);
    if (replica->shut || replica->reopening || replica_raft_state(replica) != RAFT_LEADER) {
        refused = STATUS_NOT_LEADER;
    } else if (replica->transfer.phase != TRANSFER_NONE) {
        refused = STATUS_BUSY;
    } else if (configuration_voters(&replica->raft.configuration) < 2 ||
               (target_id != 0 && (server == NULL || server->role != RAFT_VOTER ||
                                   target_id == replica->options.id))) {
        refused = STATUS_INVALID_ARGUMENT;
    }
    if (refused != STATUS_OK) {
        done(context, refused);
        return;
    }
    bool outermost = !replica->busy;
    if (outermost) {
        replica_enter(replica);
    }
    replica->transfer = (struct replica_transfer){
        .phase = TRANSFER_WAITING,
        .target = target_id,
        .deadline_ms = replica->now_ms + 2 * (uint64_t)replica->options.election_timeout_ms,
        .done = done,
        .context = context,
    };
    log_info(replica->options.log, "leadership transfer begins", "target=%" PRIu64, target_id);
    if (outermost) {
        replica_leave(replica);
    }
}

/* Section 12 of the decision: TimeoutNow to a target that lacks anything is lost, and is sent only
 * once. So proposals stop, the target catches up, and only then C-Raft is told. */
static void start_when_caught_up(struct replica *replica)
{
    struct replica_transfer *transfer = &replica->transfer;
    uint64_t target = transfer->target != 0 ? transfer->target : best_target(replica);
    if (target == 0 || !list_empty(&replica->submissions) ||
        replica_match_index(replica, target) != segment_log_last_index(replica->log)) {
        return;
    }
    struct raft_event event = {.type = RAFT_TRANSFER};
    event.transfer.server_id = target;
    transfer->target = target;
    if (replica_step(replica, &event) == 0) {
        transfer->phase = TRANSFER_STARTED;
        // C-Raft gives up after one election timeout; this is for a leader that is lost to nobody.
        transfer->deadline_ms = replica->now_ms + 2 * replica->options.election_timeout_ms;
    } else {
        finish(replica, STATUS_TIMED_OUT);
    }
}

void replica_transfer_advance(struct replica *replica)
{
    struct replica_transfer *transfer = &replica->transfer;
    if (transfer->phase == TRANSFER_NONE) {
        return;
    }
    if (replica_raft_state(replica) != RAFT_LEADER) {
        uint64_t leader = replica_state(replica).leader_id;
        if (leader != 0) {
            finish(replica, STATUS_OK);
        } else if (replica->now_ms >= transfer->deadline_ms) {
            finish(replica, STATUS_NOT_LEADER);
        }
        return;
    }
    if (transfer->phase == TRANSFER_WAITING) {
        start_when_caught_up(replica);
    } else if (raft_transferee(&replica->raft) == 0) {
        finish(replica, STATUS_TIMED_OUT);
        return;
    }
    // Once begun, it is C-Raft that ends it, with its next tick: until then it takes no proposals.
    if (transfer->phase == TRANSFER_WAITING && replica->now_ms >= transfer->deadline_ms) {
        finish(replica, STATUS_TIMED_OUT);
    }
}

/* ---- Membership ---- */

/* R5: is the newest committed entry of our own term? */
static bool own_term_committed(const struct replica *replica)
{
    return segment_log_term(replica->log, replica->commit) == raft_current_term(&replica->raft);
}

/* R17: the current membership with one server changed, all others in their order. */
static struct raft_configuration changed(const struct replica *replica, uint64_t id,
                                         const char *address, int role)
{
    const struct raft_configuration *now = &replica->raft.configuration;
    struct raft_configuration next;
    raft_configuration_init(&next);
    bool found = false;
    int result = 0;
    for (unsigned i = 0; i < now->n && result == 0; i++) {
        const struct raft_server *server = &now->servers[i];
        bool same = server->id == id;
        found = found || same;
        if (!same || address != NULL) {
            result = raft_configuration_add(&next, server->id, server->address,
                                            same ? role : server->role);
        }
    }
    if (!found && address != NULL && result == 0) {
        result = raft_configuration_add(&next, id, address, role);
    }
    if (result != 0) {
        raft_configuration_close(&next); // The address is another server's.
        raft_configuration_init(&next);
    }
    return next;
}

static enum status submit_change(struct replica *replica, uint64_t id, const char *address,
                                 int role)
{
    struct raft_configuration next = changed(replica, id, address, role);
    enum status status = STATUS_INVALID_ARGUMENT;
    bool fits = next.n > 0 && next.n <= MEMBERS_MAX && configuration_voters(&next) > 0;
    if (fits) {
        struct raft_buffer encoded = configuration_encode(&next);
        ASSERT(encoded.len <= REPLICA_BASE_CHANGE_MAX);
        uint8_t *payload = mem_alloc(encoded.len);
        memcpy(payload, encoded.base, encoded.len);
        uint64_t index = 0;
        int result = replica_submit_entry(replica, LOG_FRAME_CHANGE, payload, encoded.len, &index);
        raft_free(encoded.base);
        status = result == 0 ? STATUS_OK : STATUS_BUSY;
    }
    raft_configuration_close(&next);
    return status;
}

enum status replica_change(struct replica *replica, uint64_t id, const char *address, int role)
{
    if (replica->shut || replica->reopening || replica_raft_state(replica) != RAFT_LEADER) {
        return STATUS_NOT_LEADER;
    }
    const struct raft_server *server = configuration_find(&replica->raft.configuration, id);
    bool nothing = server == NULL ? address == NULL : address != NULL && server->role == role;
    if (id == 0 || id == replica->options.id || nothing || role == RAFT_SPARE) {
        return STATUS_INVALID_ARGUMENT; // R20: a leader transfers first. R18: standby, not spare.
    }
    if (replica->busy || replica->transfer.phase != TRANSFER_NONE ||
        replica->raft.configuration_uncommitted_index != 0) {
        return STATUS_BUSY;
    }
    replica_enter(replica);
    enum status status = STATUS_BUSY;
    if (own_term_committed(replica)) {
        status = submit_change(replica, id, address, role);
    } else if (replica->commit == segment_log_last_index(replica->log)) {
        replica_propose_barrier(replica);
    }
    replica_leave(replica);
    return status;
}
