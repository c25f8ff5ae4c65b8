/* Carrying out what raft_step() asks for, in the order that makes it safe. */
#include "raft-glue/replica_internal.h"

#include "common/base/crc32c.h"

#include <inttypes.h>
#include <stdlib.h>

/* R1: the pair goes to the disk queue; messages of this and later updates wait for it. */
static void want_vote(struct replica *replica)
{
    replica->vote_wanted++;
}

/* Forget superseded entries: the log, what was reported of them, and who waits for them. */
static void truncate(struct replica *replica, uint64_t index)
{
    if (index > segment_log_last_index(replica->log)) {
        return;
    }
    if (index <= replica->applied || index <= replica->commit) {
        FATAL("a leader contradicts entry %" PRIu64 ", which is committed; this group's data is "
              "damaged, keep all replicas' files and ask for help",
              index);
    }
    segment_log_truncate(replica->log, index);
    if (replica->reported >= index) {
        replica->reported = index - 1;
    }
    if (replica->change_index >= index) {
        replica->change_index = 0;
    }
    replica_drop_truncated(replica, index);
}

/* Append one entry; received ones must take the place they have on the sender. */
static void append(struct replica *replica, const struct raft_entry *entry, struct block *block,
                   const struct log_frame *received)
{
    struct slice payload = slice_of(entry->buf.base, entry->buf.len);
    uint32_t crc = received != NULL ? received->payload_crc : crc32c(0, payload.data, payload.size);
    if (received != NULL &&
        received->position != segment_log_next_position(replica->log, payload.size)) {
        FATAL("entry %" PRIu64 " lies at position %" PRIu64 " of the leader's log, but would at "
              "%" PRIu64 " of ours; replace this member",
              received->index, received->position,
              segment_log_next_position(replica->log, payload.size));
    }
    segment_log_append(replica->log, entry->term, (uint8_t)entry->type, block, payload, crc);
}

/* C-Raft's own barrier lies inside struct raft: copied, its buffer freed. */
static void append_barrier(struct replica *replica, const struct raft_entry *entry)
{
    struct block *block = block_new(entry->buf.len);
    memcpy(block->data, entry->buf.base, entry->buf.len);
    struct raft_entry copy = *entry;
    copy.buf.base = block->data;
    append(replica, &copy, block, NULL);
    block_release(block);
    raft_free(entry->batch);
}

static void take_entries(struct replica *replica, const struct raft_update *update)
{
    uint64_t index = update->entries.index;
    const struct raft_entry *batch = update->entries.batch;
    const struct step_entries *given = &replica->given;
    if (index == 0 || index > segment_log_last_index(replica->log) + 1) {
        FATAL("C-Raft leaves a gap before entry %" PRIu64 "; restart this node", index);
    }
    truncate(replica, index);
    if (given->entries == NULL) {
        ASSERT(update->entries.n == 1);
        append_barrier(replica, batch);
        return;
    }
    ASSERT(batch >= given->entries && batch + update->entries.n <= given->entries + given->count);
    size_t skipped = (size_t)(batch - given->entries);
    for (unsigned i = 0; i < update->entries.n; i++) {
        const struct wire_entry *wire = given->wire == NULL ? NULL : &given->wire[skipped + i];
        append(replica, &batch[i], given->block, wire == NULL ? NULL : &wire->frame);
    }
    if (given->wire != NULL) {
        raft_free(batch[0].batch); // The dummy of a received part is ours again.
    }
}

static void take_messages(struct replica *replica, const struct raft_update *update)
{
    for (unsigned i = 0; i < update->messages.n; i++) {
        struct raft_message message = update->messages.batch[i];
        if (message.type == RAFT_APPEND_ENTRIES_RESULT &&
            message.append_entries_result.rejected != 0) {
            replica->rejected = true;
        }
        if (message.type == RAFT_REQUEST_VOTE_RESULT && message.request_vote_result.pre_vote &&
            !message.request_vote_result.vote_granted &&
            raft_current_term(&replica->raft) > message.request_vote_result.term) {
            // R9: the asker must learn of the higher term, or it will never be elected.
            message.request_vote_result.term = raft_current_term(&replica->raft);
        }
        replica_queue_message(replica, &message);
    }
}

static void take_state(struct replica *replica, const struct raft_update *update)
{
    if (replica_raft_state(replica) == RAFT_LEADER) {
        bool barrier = (update->flags & RAFT_UPDATE_ENTRIES) != 0;
        replica->serve_first =
            barrier ? update->entries.index : segment_log_last_index(replica->log);
        for (size_t i = 0; i < replica->member_count; i++) {
            replica->members[i].result_ms = 0;
        }
        log_info(replica->options.log, "elected leader",
                 "term=%llu first=%" PRIu64 " commit=%" PRIu64,
                 (unsigned long long)raft_current_term(&replica->raft), replica->serve_first,
                 replica->commit);
        return;
    }
    replica->change_index = 0;
    if (replica->shown.role == REPLICA_LEADER || replica->shown.role == REPLICA_ELECTED) {
        log_info(replica->options.log, "no longer leader", "term=%llu",
                 (unsigned long long)raft_current_term(&replica->raft));
        if (replica->proposals.count > 0 && replica->doubt_deadline_ms == 0) {
            replica->doubt_deadline_ms = replica->now_ms + replica->options.election_timeout_ms;
        }
    }
}

/* Know where the servers of the membership in force are. */
static void learn_members(struct replica *replica)
{
    const struct raft *raft = &replica->raft;
    uint64_t version = raft->configuration_uncommitted_index != 0
                           ? raft->configuration_uncommitted_index
                           : raft->configuration_committed_index;
    if (version == replica->learned_change) {
        return;
    }
    replica->learned_change = version;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        if (replica_member(replica, server->id) == NULL) {
            replica_learn(replica, server->id, server->address);
        }
    }
}

void replica_carry_out(struct replica *replica, const struct raft_event *event,
                       const struct raft_update *update)
{
    if (event->type == RAFT_SUBMIT && !replica->guard_checked) {
        if (update->entries.batch != event->submit.entries) {
            FATAL("this libraft has another ownership contract than 0.22.1; install libraft0 "
                  "0.22.1");
        }
        replica->guard_checked = true;
    }
    if ((update->flags & (RAFT_UPDATE_CURRENT_TERM)) != 0 ||
        (update->flags & (RAFT_UPDATE_VOTED_FOR)) != 0) {
        want_vote(replica);
    }
    if ((update->flags & (RAFT_UPDATE_ENTRIES)) != 0) {
        take_entries(replica, update);
    }
    if ((update->flags & (RAFT_UPDATE_SNAPSHOT)) != 0) {
        FATAL("C-Raft installs a snapshot that was never passed in; restart this node");
    }
    if ((update->flags & (RAFT_UPDATE_STATE)) != 0) {
        take_state(replica, update);
    }
    if ((update->flags & (RAFT_UPDATE_MESSAGES)) != 0) {
        take_messages(replica, update);
    }
    learn_members(replica);
    // R12: never back, whatever it says.
    uint64_t commit = raft_commit_index(&replica->raft);
    if (commit > replica->commit) {
        replica->commit = commit;
        segment_log_settle(replica->log, commit);
    }
}
