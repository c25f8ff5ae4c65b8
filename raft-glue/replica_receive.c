/* What a message goes through before C-Raft sees it. */
#include "raft-glue/replica_internal.h"

#include <stdlib.h>

/* The part of an AppendEntries that is still to be fed. */
struct append_in {
    uint64_t term;
    uint64_t commit;
    uint64_t prev_index;
    uint64_t prev_term;
    unsigned count;
    const struct wire_entry *entries;
    struct block *body;
    uint64_t from;
    uint8_t version;
};

static void step_receive(struct replica *replica, struct raft_message *message, uint64_t from)
{
    message->server_id = from;
    message->server_address = replica_address(replica, from);
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = message;
    replica_step(replica, &event);
}

/* R7: an answer that means nothing to a leader of our term and deposes an older one. */
static void answer_stale(struct replica *replica, uint64_t from)
{
    struct raft_message answer = {.type = RAFT_APPEND_ENTRIES_RESULT, .server_id = from};
    answer.append_entries_result = (struct raft_append_entries_result){
        .version = 2,
        .term = raft_current_term(&replica->raft),
        .features = 1,
    };
    replica_queue_message(replica, &answer);
}

/* R13: C-Raft knows no terms at or below its floor but that of the snapshot. */
static void reanchor(const struct replica *replica, struct append_in *in)
{
    uint64_t snapshot = replica->snapshot_index;
    if (replica->floor == 0 || in->prev_index > replica->floor || in->prev_index == snapshot) {
        return;
    }
    uint64_t skip = snapshot - in->prev_index;
    skip = skip < in->count ? skip : in->count;
    in->entries += skip;
    in->count -= (unsigned)skip;
    in->prev_index = snapshot;
    in->prev_term = replica->snapshot_term;
}

static bool new_change(const struct replica *replica, const struct wire_entry *entry)
{
    return entry->frame.type == LOG_FRAME_CHANGE &&
           segment_log_term(replica->log, entry->frame.index) != entry->frame.term;
}

/* R4: C-Raft remembers one unsettled CHANGE. That a later one follows in a leader's log means that
 * the older one is committed. */
static void settle_change(struct replica *replica, const struct append_in *in)
{
    uint64_t older = replica->raft.configuration_uncommitted_index;
    if (older == 0 || older > in->prev_index ||
        segment_log_term(replica->log, in->prev_index) != in->prev_term) {
        return;
    }
    uint64_t at = 0;
    struct slice change = replica_storage_change(replica->options.storage, older, &at);
    ASSERT(at == older);
    struct raft_event event = {.type = RAFT_CONFIGURATION};
    event.configuration.index = older;
    event.configuration.conf = configuration_decode(change);
    replica_step(replica, &event);
}

/* Feed the first `count` entries as a message of their own. C-Raft reads only the payloads of
 * CHANGE; so the batch is a dummy, and the frames stay in the received block. */
static void feed_part(struct replica *replica, const struct append_in *in, unsigned count)
{
    struct raft_entry *entries = NULL;
    if (count > 0) {
        void *dummy = raft_malloc(1);
        if (dummy == NULL) {
            FATAL("out of memory; restart this node");
        }
        entries = mem_zalloc(count * sizeof *entries);
        for (unsigned i = 0; i < count; i++) {
            const struct wire_entry *entry = &in->entries[i];
            entries[i] = (struct raft_entry){
                .term = entry->frame.term,
                .type = (enum raft_entry_type)entry->frame.type,
                .buf = {.base = (void *)(uintptr_t)entry->payload.data, .len = entry->payload.size},
                .batch = dummy,
            };
        }
    }
    uint64_t last = in->prev_index + count;
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES};
    message.append_entries = (struct raft_append_entries){
        .version = in->version,
        .term = in->term,
        .prev_log_index = in->prev_index,
        .prev_log_term = in->prev_term,
        .leader_commit = in->commit < last ? in->commit : last, // R12
        .entries = entries,
        .n_entries = count,
    };
    replica->given = (struct step_entries){
        .entries = entries, .count = count, .block = in->body, .wire = in->entries};
    step_receive(replica, &message, in->from);
    replica->given = (struct step_entries){0};
    free(entries);
}

/* R3: each new CHANGE is the first entry of a message of its own. */
static void feed(struct replica *replica, struct append_in *in)
{
    do {
        unsigned part = in->count > 0 ? 1 : 0;
        while (part < in->count && !new_change(replica, &in->entries[part])) {
            part++;
        }
        if (part > 0 && new_change(replica, &in->entries[0])) {
            settle_change(replica, in);
        }
        feed_part(replica, in, part);
        bool rejected = replica->rejected;
        replica_deliver_configurations(replica);
        if (rejected || part == 0) {
            return;
        }
        in->prev_index += part;
        in->prev_term = in->entries[part - 1].frame.term;
        in->entries += part;
        in->count -= part;
    } while (in->count > 0);
}

static void receive_append(struct replica *replica, const struct replica_inbound *inbound)
{
    const struct raft_append_entries *append = &inbound->header.message.append_entries;
    if (append->term < raft_current_term(&replica->raft)) {
        answer_stale(replica, inbound->from);
        return;
    }
    struct append_in in = {
        .term = append->term,
        .commit = append->leader_commit,
        .prev_index = append->prev_log_index,
        .prev_term = append->prev_log_term,
        .count = append->n_entries,
        .entries = inbound->entries,
        .body = inbound->body,
        .from = inbound->from,
        .version = append->version,
    };
    reanchor(replica, &in);
    feed(replica, &in);
}

static void receive_append_result(struct replica *replica, const struct replica_inbound *inbound)
{
    struct raft_message message = inbound->header.message;
    if (message.append_entries_result.term == raft_current_term(&replica->raft) &&
        replica_raft_state(replica) == RAFT_LEADER) {
        replica_member(replica, inbound->from)->result_ms = replica->now_ms;
        replica_judge_rejection(replica, inbound->from, &message.append_entries_result);
    }
    step_receive(replica, &message, inbound->from);
}

/* R19: voters vote whatever their own view of the membership is; C-Raft asks its latest one. */
static void receive_vote_request(struct replica *replica, const struct replica_inbound *inbound)
{
    struct raft_message message = inbound->header.message;
    struct raft_server *self =
        configuration_find(&replica->raft.configuration, replica->options.id);
    if (self == NULL || self->role == RAFT_VOTER) {
        step_receive(replica, &message, inbound->from);
        return;
    }
    uint64_t heard = 0;
    for (size_t i = 0; i < replica->member_count; i++) {
        uint64_t at = replica->members[i].contact_ms;
        if (replica->members[i].voter.id != inbound->from && at > heard) {
            heard = at;
        }
    }
    if (replica->now_ms >= heard + replica->options.election_timeout_ms) {
        message.request_vote.disrupt_leader = true; // A non-voter never forgets its leader.
    }
    int role = self->role;
    self->role = RAFT_VOTER;
    step_receive(replica, &message, inbound->from);
    configuration_find(&replica->raft.configuration, replica->options.id)->role = role;
}

static void receive(struct replica *replica, const struct replica_inbound *inbound)
{
    struct raft_message message = inbound->header.message;
    switch (message.type) {
    case RAFT_APPEND_ENTRIES:
        receive_append(replica, inbound);
        return;
    case RAFT_APPEND_ENTRIES_RESULT:
        receive_append_result(replica, inbound);
        return;
    case RAFT_REQUEST_VOTE:
        if (!replica_abstains(replica)) {
            receive_vote_request(replica, inbound);
        }
        return;
    case RAFT_REQUEST_VOTE_RESULT:
        if (replica_raft_state(replica) == RAFT_CANDIDATE) { // R8
            step_receive(replica, &message, inbound->from);
        }
        return;
    case RAFT_TIMEOUT_NOW:
        // R6: a lone voter would elect itself in its old term.
        if (!replica_abstains(replica) &&
            !configuration_lone_voter(&replica->raft.configuration, replica->options.id)) {
            step_receive(replica, &message, inbound->from);
        }
        return;
    case RAFT_INSTALL_SNAPSHOT:
        // R14-R16: C-Raft never installs one. The host gets a copy beside what we have, and starts
        // a new replica on it.
        if (message.install_snapshot.term < raft_current_term(&replica->raft)) {
            answer_stale(replica, inbound->from); // R7
        } else {
            replica->offered_index = message.install_snapshot.last_index;
            replica->offered_term = message.install_snapshot.last_term;
        }
        return;
    }
}

void replica_receive(struct replica *replica, const struct replica_inbound *inbound)
{
    struct replica_member_state *member = replica_member(replica, inbound->from);
    if (replica->reopening || replica->shut || member == NULL ||
        inbound->from == replica->options.id) {
        return; // Losing a message is always allowed.
    }
    replica_enter(replica);
    receive(replica, inbound);
    member->contact_ms = replica->now_ms;
    replica_leave(replica);
}
