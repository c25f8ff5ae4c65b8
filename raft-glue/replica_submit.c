/* Proposals: taken, submitted, ended exactly once. */
#include "raft-glue/replica_internal.h"

#include <stdlib.h>

static void drop(struct replica *replica, void *proposal, enum status why)
{
    const struct replica_machine *machine = &replica->options.machine;
    machine->drop(machine->context, proposal, why);
}

/* Bytes of the log, and of what waits to be submitted, that are not committed. */
static uint64_t uncommitted_bytes(const struct replica *replica)
{
    struct log_entry entry;
    uint64_t committed = segment_log_first_position(replica->log);
    if (segment_log_entry(replica->log, replica->commit, &entry)) {
        committed = entry.position;
    }
    return segment_log_end_position(replica->log) - committed + replica->submission_bytes;
}

static enum status may_propose(const struct replica *replica, size_t size)
{
    if (replica->shut) {
        return STATUS_SHUTTING_DOWN;
    }
    struct replica_state state = replica_state(replica);
    if (state.role != REPLICA_LEADER || replica->reopening) {
        bool other = state.leader_id != 0 && state.leader_id != replica->options.id;
        return other ? STATUS_NOT_LEADER : STATUS_NO_LEADER;
    }
    if (replica->transfer.phase != TRANSFER_NONE) {
        return STATUS_NO_LEADER;
    }
    if (replica_uncommitted(replica) + replica->submission_count >= REPLICA_UNCOMMITTED_MAX ||
        uncommitted_bytes(replica) + size > REPLICA_UNCOMMITTED_BYTES_MAX) {
        return STATUS_OVERLOADED;
    }
    return STATUS_OK;
}

enum status replica_propose(struct replica *replica, uint8_t *payload, size_t size, void *proposal)
{
    ASSERT(size <= ENTRY_SIZE_MAX);
    enum status status = may_propose(replica, size);
    if (status != STATUS_OK) {
        return status;
    }
    struct submission *submission = mem_alloc(sizeof *submission);
    *submission = (struct submission){.payload = payload, .size = size, .proposal = proposal};
    list_append(&replica->submissions, &submission->queue);
    replica->submission_count++;
    replica->submission_bytes += size;
    if (!replica->busy) {
        replica_enter(replica);
        replica_leave(replica);
    }
    return STATUS_OK;
}

int replica_submit_entry(struct replica *replica, uint8_t type, uint8_t *payload, size_t size,
                         uint64_t *index)
{
    struct block *block = block_take(payload, size);
    struct raft_entry entry = {
        .term = raft_current_term(&replica->raft),
        .type = (enum raft_entry_type)type,
        .buf = {.base = payload, .len = size},
        .batch = payload,
    };
    struct raft_event event = {.type = RAFT_SUBMIT};
    event.submit.entries = &entry;
    event.submit.n = 1;
    *index = segment_log_last_index(replica->log) + 1;
    if (type == LOG_FRAME_CHANGE) {
        replica->change_index = *index; // R20: synced before it is sent.
    }
    replica->given = (struct step_entries){.entries = &entry, .count = 1, .block = block};
    int result = replica_step(replica, &event);
    replica->given = (struct step_entries){0};
    if (result != 0 && type == LOG_FRAME_CHANGE) {
        replica->change_index = 0;
    }
    block_release(block);
    return result;
}

void replica_propose_barrier(struct replica *replica)
{
    uint8_t *zeros = mem_zalloc(8);
    uint64_t index = 0;
    // A refusal is harmless: the next leadership, or the next try, sees to it.
    (void)replica_submit_entry(replica, LOG_FRAME_BARRIER, zeros, 8, &index);
}

static void submit(struct replica *replica, struct submission *submission)
{
    uint64_t index = 0;
    uint64_t term = raft_current_term(&replica->raft);
    int result = RAFT_NOTLEADER;
    if (replica_raft_state(replica) == RAFT_LEADER && !replica->shut) {
        result = replica_submit_entry(replica, LOG_FRAME_COMMAND, submission->payload,
                                      submission->size, &index);
    } else {
        free(submission->payload);
    }
    if (result == 0) {
        proposals_put(
            &replica->proposals,
            &(struct proposal){.index = index, .term = term, .context = submission->proposal});
    } else {
        drop(replica, submission->proposal,
             replica->shut ? STATUS_SHUTTING_DOWN : STATUS_NOT_LEADER);
    }
}

bool replica_submit_queued(struct replica *replica)
{
    bool any = false;
    struct list *node = NULL;
    while ((node = list_pop(&replica->submissions)) != NULL) {
        struct submission *submission = CONTAINER_OF(node, struct submission, queue);
        replica->submission_count--;
        replica->submission_bytes -= submission->size;
        submit(replica, submission);
        free(submission);
        any = true;
    }
    return any;
}

void *replica_proposal_for(struct replica *replica, uint64_t index, uint64_t term)
{
    struct proposal proposal;
    while (proposals_take_until(&replica->proposals, index, &proposal)) {
        if (proposal.index == index && proposal.term == term) {
            return proposal.context;
        }
        // Another entry was committed in its place.
        drop(replica, proposal.context, STATUS_NOT_LEADER);
    }
    return NULL;
}

void replica_drop_truncated(struct replica *replica, uint64_t index)
{
    // Gone from this log, but some other may still hold it, be elected and commit it.
    struct proposal proposal;
    while (proposals_take_from(&replica->proposals, index, &proposal)) {
        drop(replica, proposal.context, STATUS_UNKNOWN_OUTCOME);
    }
}

void replica_drop_doubtful(struct replica *replica)
{
    bool leads = replica_raft_state(replica) == RAFT_LEADER;
    uint64_t term = leads ? raft_current_term(&replica->raft) : UINT64_MAX;
    struct proposal proposal;
    while (proposals_take_before_term(&replica->proposals, term, &proposal)) {
        drop(replica, proposal.context, STATUS_UNKNOWN_OUTCOME);
    }
}

void replica_drop_all(struct replica *replica, enum status why_queued)
{
    struct proposal proposal;
    while (proposals_take_until(&replica->proposals, UINT64_MAX, &proposal)) {
        drop(replica, proposal.context, STATUS_UNKNOWN_OUTCOME);
    }
    struct list *node = NULL;
    while ((node = list_pop(&replica->submissions)) != NULL) {
        struct submission *submission = CONTAINER_OF(node, struct submission, queue);
        replica->submission_count--;
        replica->submission_bytes -= submission->size;
        free(submission->payload);
        drop(replica, submission->proposal, why_queued);
        free(submission);
    }
}
