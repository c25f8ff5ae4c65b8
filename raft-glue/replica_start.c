/* Starting: what is on disk is judged and told to C-Raft. */
#include "raft-glue/replica_internal.h"

#include <inttypes.h>
#include <stdlib.h>

struct raft_configuration replica_bootstrap(const struct replica_voter *voters, size_t count)
{
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    for (size_t i = 0; i < count; i++) {
        if (raft_configuration_add(&configuration, voters[i].id, voters[i].address, RAFT_VOTER) !=
            0) {
            FATAL("member %" PRIu64 " (%s) repeats an id or address; correct the configuration",
                  voters[i].id, voters[i].address);
        }
    }
    return configuration;
}

/* RAFT_START wants an entry for each index; of the payloads it reads only those of CHANGE. */
static struct raft_entry *start_entries(struct replica *replica, uint64_t first, unsigned *count)
{
    static uint8_t no_batch;
    uint64_t last = segment_log_last_index(replica->log);
    *count = (unsigned)(last + 1 - first);
    struct raft_entry *entries = mem_zalloc((*count + 1) * sizeof *entries);
    for (uint64_t i = first; i <= last; i++) {
        struct log_entry entry;
        ASSERT(segment_log_entry(replica->log, i, &entry));
        struct raft_entry *out = &entries[i - first];
        out->term = entry.term;
        out->type = (enum raft_entry_type)entry.type;
        out->batch = &no_batch;
        if (entry.type == LOG_FRAME_CHANGE) {
            uint64_t at = 0;
            struct slice change = segment_log_change(replica->log, i, &at);
            ASSERT(at == i);
            out->buf.base = (void *)(uintptr_t)change.data;
            out->buf.len = change.size;
        }
    }
    return entries;
}

/* C-Raft's view of a log that was cut, and of what is known to be committed, is a snapshot: as of
 * the machine's durable state, at least as of the log's base. 0: there is none. */
static uint64_t start_snapshot(struct replica *replica, struct raft_snapshot_metadata *metadata)
{
    uint64_t index = replica->options.storage->base.index;
    if (replica->machine_durable > index) {
        index = replica->machine_durable;
    }
    if (index == 0) {
        return 0;
    }
    uint64_t at = 0;
    struct slice change = replica_storage_change(replica->options.storage, index, &at);
    *metadata = (struct raft_snapshot_metadata){
        .index = index,
        .term = segment_log_term(replica->log, index),
        .configuration = configuration_decode(change),
        .configuration_index = at,
    };
    return index;
}

/* Where C-Raft's trail begins: behind the base, though a crash may have left segments below it; and
 * its memory for a start is bounded. A follower that lags further is filled from a snapshot. */
static uint64_t start_index(const struct replica *replica, uint64_t snapshot)
{
    uint64_t first = segment_log_first_index(replica->log);
    uint64_t base = replica->options.storage->base.index;
    first = first > base ? first : base + 1;
    uint64_t most = replica->options.start_entries;
    most = most != 0 ? most : START_ENTRIES_MAX;
    return snapshot > first + most ? snapshot - most : first;
}

static void start_raft(struct replica *replica, const struct term_vote_state *state)
{
    struct raft_snapshot_metadata metadata = {0};
    uint64_t snapshot = start_snapshot(replica, &metadata);
    uint64_t first = start_index(replica, snapshot);
    unsigned count = 0;
    struct raft_entry *entries = start_entries(replica, first, &count);
    struct raft_event event = {.type = RAFT_START};
    event.start.term = state->term;
    event.start.voted_for = state->voted_for;
    event.start.metadata = snapshot == 0 ? NULL : &metadata;
    event.start.start_index = first;
    event.start.entries = entries;
    event.start.n_entries = count;
    replica->floor = first - 1;
    replica->snapshot_index = snapshot;
    replica->snapshot_term = metadata.term;
    replica->reported = segment_log_last_index(replica->log);
    // Entry 1 counts as committed from the start.
    replica->conf_scan = snapshot > 0 ? snapshot : (count > 0 ? 1 : 0);
    replica_step(replica, &event);
    free(entries);
}

void replica_open_raft(struct replica *replica, const struct term_vote_state *state)
{
    const struct replica_options *options = &replica->options;
    struct raft *raft = &replica->raft;
    if (raft_init(raft, NULL, NULL, options->id, replica_address(replica, options->id)) != 0) {
        FATAL("out of memory; restart this node");
    }
    raft->tracer = NULL;
    raft_seed(raft, options->seed + (unsigned)replica->vote_wanted);
    raft_set_pre_vote(raft, true);
    raft_set_heartbeat_timeout(raft, options->heartbeat_timeout_ms);
    raft_set_election_timeout(raft, options->election_timeout_ms);
    raft_set_max_inflight_entries(raft, WIRE_ENTRIES_MAX);
    raft_set_capacity_threshold(raft, 0);
    start_raft(replica, state);
}

/* R6: a lone voter elects itself without a new term; so it gets one before it starts. */
static enum status raise_term_of_lone_voter(struct replica *replica, struct term_vote_state *state)
{
    uint64_t at = 0;
    struct slice change = replica_storage_change(replica->options.storage, UINT64_MAX, &at);
    if (at == 0) {
        return STATUS_OK;
    }
    struct raft_configuration configuration = configuration_decode(change);
    bool lone = configuration_lone_voter(&configuration, replica->options.id);
    raft_configuration_close(&configuration);
    if (!lone) {
        return STATUS_OK;
    }
    state->term++;
    state->voted_for = replica->options.id;
    return term_vote_store(&replica->options.storage->term_vote, state);
}

/* Do store, log and options fit together? */
static enum status judge(const struct replica_options *options, char **error)
{
    const struct segment_log *log = options->storage->log;
    uint64_t last = segment_log_last_index(log);
    struct buf text = {0};
    if (options->applied_index > last) {
        buf_printf(&text,
                   "the store contains entry %" PRIu64 ", but the log ends at %" PRIu64
                   ": the log lost what was synced",
                   options->applied_index, last);
    } else if (options->applied_index + 1 < segment_log_first_index(log)) {
        buf_printf(&text,
                   "the store ends at entry %" PRIu64 ", but the log begins at %" PRIu64
                   ": the store lost what was synced",
                   options->applied_index, segment_log_first_index(log));
    } else {
        return STATUS_OK;
    }
    buf_text(&text);
    *error = (char *)buf_take(&text);
    return STATUS_CORRUPT;
}

static struct replica *new_replica(const struct replica_options *options)
{
    struct replica *replica = mem_zalloc(sizeof *replica);
    replica->options = *options;
    replica->options.voters = NULL;
    replica->log = options->storage->log;
    for (size_t i = 0; i < options->voter_count; i++) {
        replica_learn(replica, options->voters[i].id, options->voters[i].address);
    }
    replica->applied = options->applied_index;
    replica->machine_durable = options->applied_index;
    replica->cut.pin = UINT64_MAX;
    replica->vote = options->storage->state;
    list_init(&replica->held);
    list_init(&replica->submissions);
    return replica;
}

enum status replica_start(const struct replica_options *options, struct replica **out, char **error)
{
    ASSERT(options->voter_count >= 1 && options->voter_count <= MEMBERS_MAX);
    *error = NULL;
    enum status status = judge(options, error);
    if (status != STATUS_OK) {
        return status;
    }
    struct replica *replica = new_replica(options);
    status = raise_term_of_lone_voter(replica, &replica->vote);
    if (status != STATUS_OK) {
        *error = mem_copy_text(slice_text("cannot store the term"));
        free(replica);
        return status;
    }
    *out = replica;
    replica_enter(replica);
    struct term_vote_state state = replica->vote;
    replica_open_raft(replica, &state);
    replica->busy = false; // The machine hears of us from the first event on, not from in here.
    return STATUS_OK;
}
