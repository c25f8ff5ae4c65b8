#include "raft-glue/replica_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct replica_member_state *replica_member(struct replica *replica, uint64_t id)
{
    for (size_t i = 0; i < replica->member_count; i++) {
        if (replica->members[i].voter.id == id) {
            return &replica->members[i];
        }
    }
    return NULL;
}

void replica_learn(struct replica *replica, uint64_t id, const char *address)
{
    struct replica_member_state *member = replica_member(replica, id);
    if (id == 0 || (member != NULL && strcmp(member->voter.address, address) == 0)) {
        return;
    }
    if (member == NULL && replica->member_count < KNOWN_MAX) {
        member = &replica->members[replica->member_count++];
    }
    for (size_t i = 0; i < KNOWN_MAX && member == NULL; i++) {
        uint64_t other = replica->members[i].voter.id;
        if (other != replica->options.id &&
            configuration_find(&replica->raft.configuration, other) == NULL) {
            member = &replica->members[i];
        }
    }
    ASSERT(member != NULL); // The membership alone does not fill the table.
    *member = (struct replica_member_state){.voter = {.id = id}};
    snprintf(member->voter.address, sizeof member->voter.address, "%s", address);
    replica->members_version++;
}

void replica_meet(struct replica *replica, uint64_t id, const char *address)
{
    // Of a member the membership or the configuration says where it is.
    if (replica_member(replica, id) == NULL ||
        configuration_find(&replica->raft.configuration, id) == NULL) {
        replica_learn(replica, id, address);
    }
}

bool replica_abstains(const struct replica *replica)
{
    const struct term_vote_state *vote = &replica->vote;
    if (vote->rejoin_term == 0) {
        return false;
    }
    return segment_log_term(replica->log, replica->reported) <= vote->rejoin_term &&
           (vote->rejoin_index == 0 || replica->reported < vote->rejoin_index);
}

const char *replica_address(struct replica *replica, uint64_t id)
{
    const struct replica_member_state *member = replica_member(replica, id);
    return member == NULL ? "" : member->voter.address;
}

enum raft_state replica_raft_state(const struct replica *replica)
{
    // raft_state() only reads, but does not say so.
    return raft_state((struct raft *)(uintptr_t)&replica->raft);
}

void replica_shut(struct replica *replica)
{
    replica->shut = true;
    replica_drop_all(replica, STATUS_SHUTTING_DOWN);
    if (replica->transfer.phase != TRANSFER_NONE) {
        struct replica_transfer transfer = replica->transfer;
        replica->transfer.phase = TRANSFER_NONE;
        transfer.done(transfer.context, STATUS_NOT_LEADER);
    }
}

void replica_close(struct replica *replica)
{
    if (replica == NULL) {
        return;
    }
    ASSERT(!replica->disk_under_way && !replica->load_under_way);
    replica_shut(replica);
    struct list *node = NULL;
    while ((node = list_pop(&replica->held)) != NULL) {
        free(CONTAINER_OF(node, struct held_message, queue));
    }
    raft_close(&replica->raft, NULL);
    proposals_close(&replica->proposals);
    free(replica);
}

int replica_step(struct replica *replica, struct raft_event *event)
{
    ASSERT(replica->busy && !replica->stepping);
    struct raft_update update;
    memset(&update, 0, sizeof update);
    event->time = replica->now_ms;
    event->capacity = 0;
    replica->stepping = true;
    int result = raft_step(&replica->raft, event, &update);
    replica->stepping = false;
    replica->rejected = false;
    if (result != 0 && event->type != RAFT_SUBMIT && event->type != RAFT_TRANSFER) {
        FATAL("C-Raft cannot handle event %d: %s (%s); restart this node", (int)event->type,
              raft_strerror(result), raft_errmsg(&replica->raft));
    }
    if (result == 0) {
        replica_carry_out(replica, event, &update);
    }
    return result;
}

void replica_enter(struct replica *replica)
{
    ASSERT(!replica->busy);
    replica->busy = true;
    uint64_t now = clock_monotonic_ms(replica->options.ports.clock);
    replica->now_ms = now > replica->now_ms ? now : replica->now_ms;
}

/* Tell the machine if its role, term or leader is another one now. */
static void show_state(struct replica *replica)
{
    struct replica_state state = replica_state(replica);
    struct replica_state shown = replica->shown;
    if (state.role == shown.role && state.term == shown.term &&
        state.leader_id == shown.leader_id) {
        return;
    }
    replica->shown = state;
    if (replica->options.machine.on_state != NULL && !replica->shut) {
        replica->options.machine.on_state(replica->options.machine.context, &state);
    }
}

/* R5 and the end of a rejoin want an entry of each leader's own term. C-Raft appends one unless its
 * whole log is committed. */
static bool begin_term(struct replica *replica)
{
    uint64_t term = raft_current_term(&replica->raft);
    if (replica_raft_state(replica) != RAFT_LEADER || replica->begun_term == term ||
        replica->shut || replica->transfer.phase != TRANSFER_NONE) {
        return false;
    }
    replica->begun_term = term;
    if (segment_log_term(replica->log, segment_log_last_index(replica->log)) == term) {
        return false;
    }
    replica_propose_barrier(replica);
    return true;
}

void replica_leave(struct replica *replica)
{
    bool more = true;
    while (more) {
        more = false;
        replica_send_held(replica);
        replica_deliver_configurations(replica);
        more = replica_apply(replica) || more;
        show_state(replica);
        more = begin_term(replica) || more;
        more = replica_submit_queued(replica) || more;
        replica_settle_shortfall(replica);
        replica_transfer_advance(replica);
    }
    replica_compact(replica);
    show_state(replica);
    replica->busy = false;
}

void replica_machine_durable(struct replica *replica, uint64_t index)
{
    // Takes effect after the next event: the machine may tell it from within apply().
    ASSERT(index <= replica->applied);
    if (index > replica->machine_durable) {
        replica->machine_durable = index;
    }
}

static bool lone_voter(const struct replica *replica)
{
    return configuration_lone_voter(&replica->raft.configuration, replica->options.id);
}

/* R6 at run time: persist the next term with our own vote, then open again with it. */
static void begin_reopening(struct replica *replica)
{
    replica->reopening = true;
    replica->vote_wanted++;
}

static void fire_timeout(struct replica *replica)
{
    replica->timeout_fired_ms = replica->now_ms;
    bool due = replica->now_ms >= raft_timeout(&replica->raft);
    if (due && replica_raft_state(replica) == RAFT_FOLLOWER && lone_voter(replica) &&
        replica->reported == segment_log_last_index(replica->log)) {
        begin_reopening(replica);
        return;
    }
    struct raft_event event = {.type = RAFT_TIMEOUT};
    replica_step(replica, &event);
}

/* When RAFT_TIMEOUT is to be fired next. A leader checks its contact to the majority four times an
 * election timeout, so that it steps down before another one is elected. */
static uint64_t timeout_due(const struct replica *replica)
{
    uint64_t due = raft_timeout(&replica->raft);
    if (replica_raft_state(replica) == RAFT_LEADER) {
        uint64_t check = replica->timeout_fired_ms + replica->options.election_timeout_ms / 4;
        due = check < due ? check : due;
    }
    uint64_t soonest = replica->timeout_fired_ms + TIMEOUT_GAP_MS;
    return due > soonest ? due : soonest;
}

uint64_t replica_due_ms(const struct replica *replica)
{
    if (replica->reopening) {
        return UINT64_MAX;
    }
    uint64_t due = replica_abstains(replica) ? UINT64_MAX : timeout_due(replica);
    if (replica->doubt_deadline_ms != 0 && replica->doubt_deadline_ms < due) {
        due = replica->doubt_deadline_ms;
    }
    if (replica->transfer.phase != TRANSFER_NONE && replica->transfer.deadline_ms < due) {
        due = replica->transfer.deadline_ms;
    }
    return due;
}

void replica_tick(struct replica *replica)
{
    if (replica->reopening) {
        return;
    }
    replica_enter(replica);
    if (replica->doubt_deadline_ms != 0 && replica->now_ms >= replica->doubt_deadline_ms) {
        replica->doubt_deadline_ms = 0;
        replica_drop_doubtful(replica);
    }
    if (!replica_abstains(replica) && replica->now_ms >= timeout_due(replica)) {
        fire_timeout(replica);
    }
    replica_leave(replica);
}

/* ---- Disk ---- */

/* On a full disk the log's writes wait; look again now and then. */
static void retry_write(struct replica *replica)
{
    if (segment_log_room(replica->log) != LOG_ROOM_NONE) {
        return;
    }
    uint64_t now = clock_monotonic_ms(replica->options.ports.clock);
    if (now >= replica->write_retry_ms) {
        replica->write_retry_ms = now + WRITE_RETRY_MS;
        segment_log_retry(replica->log);
    }
}

bool replica_disk_take(struct replica *replica, struct replica_disk_job *job)
{
    retry_write(replica);
    bool has_vote = replica->vote_durable < replica->vote_wanted;
    bool has_base = replica->cut.phase == CUT_STORING &&
                    clock_monotonic_ms(replica->options.ports.clock) >= replica->base_retry_ms;
    bool has_write = segment_log_wants_write(replica->log);
    if (replica->disk_under_way || (!has_vote && !has_base && !has_write)) {
        return false;
    }
    struct replica_storage *storage = replica->options.storage;
    replica->vote.term = raft_current_term(&replica->raft);
    replica->vote.voted_for = raft_voted_for(&replica->raft);
    if (replica->reopening) {
        replica->vote.term++;
        replica->vote.voted_for = replica->options.id;
    }
    *job = (struct replica_disk_job){
        .has_vote = has_vote,
        .vote = replica->vote,
        .base = has_base ? &replica->cut.base : NULL,
        .term_vote = &storage->term_vote,
        .base_file = &storage->base_file,
        .vote_sequence = replica->vote_wanted,
    };
    if (has_write) {
        job->write = segment_log_write_begin(replica->log);
    }
    replica->disk_under_way = true;
    return true;
}

void replica_disk_run(struct replica_disk_job *job)
{
    job->status = STATUS_OK;
    if (job->has_vote) {
        job->status = term_vote_store(job->term_vote, &job->vote);
    }
    if (job->status == STATUS_OK && job->base != NULL) {
        job->status = replica_base_store(job->base_file, job->base);
        // Nothing rests on it yet, and what there was before still counts.
        job->base_waits = job->status == STATUS_DISK_FULL;
        job->status = job->base_waits ? STATUS_OK : job->status;
    }
    if (job->status == STATUS_OK && job->write != NULL) {
        job->status = log_write_run(job->write);
    }
}

void replica_disk_check(const struct replica_disk_job *job)
{
    if (job->status != STATUS_OK) {
        FATAL("the log or the term and vote cannot be written (%s); check the disk, then restart "
              "this node",
              status_text(job->status));
    }
}

void replica_disk_abandon(struct replica *replica, struct replica_disk_job *job)
{
    replica->disk_under_way = false;
    if (job->write != NULL) {
        segment_log_write_abandon(replica->log, job->write);
    }
}

/* R10: only what is still in the log, and only forward. */
static void report_durable(struct replica *replica)
{
    uint64_t durable = segment_log_durable_index(replica->log);
    if (durable <= replica->reported) {
        return;
    }
    replica->reported = durable;
    struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES};
    event.persisted_entries.index = durable;
    replica_step(replica, &event);
}

void replica_disk_done(struct replica *replica, struct replica_disk_job *job)
{
    replica_disk_check(job);
    replica_enter(replica);
    replica->disk_under_way = false;
    if (job->has_vote) {
        replica->vote_durable = job->vote_sequence;
    }
    if (job->base_waits) {
        replica->base_retry_ms = replica->now_ms + WRITE_RETRY_MS;
    } else if (job->base != NULL) {
        replica->options.storage->base = *job->base;
        replica->cut.phase = CUT_STORED;
    }
    if (job->write != NULL) {
        segment_log_write_end(replica->log, job->write);
    }
    if (replica->reopening && replica->vote_durable == replica->vote_wanted) {
        replica->reopening = false;
        raft_close(&replica->raft, NULL);
        replica_open_raft(replica, &job->vote);
    } else {
        report_durable(replica);
    }
    replica_leave(replica);
}
