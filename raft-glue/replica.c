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

struct replica_member_state *replica_member(struct replica *replica, uint64_t id)
{
    for (size_t i = 0; i < replica->member_count; i++) {
        if (replica->members[i].voter.id == id) {
            return &replica->members[i];
        }
    }
    return NULL;
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

/* RAFT_START wants an entry for each index; of the payloads it reads only those of CHANGE. */
static struct raft_entry *start_entries(struct replica *replica, unsigned *count)
{
    static uint8_t no_batch;
    uint64_t first = segment_log_first_index(replica->log);
    uint64_t last = segment_log_last_index(replica->log);
    *count = (unsigned)(last - first + 1);
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

    unsigned count = 0;
    struct raft_entry *entries = start_entries(replica, &count);
    struct raft_event event = {.type = RAFT_START};
    event.start.term = state->term;
    event.start.voted_for = state->voted_for;
    event.start.start_index = segment_log_first_index(replica->log);
    event.start.entries = entries;
    event.start.n_entries = count;
    replica->floor = event.start.start_index - 1;
    replica->snapshot_index = 0;
    replica->snapshot_term = 0;
    replica->reported = segment_log_last_index(replica->log);
    replica->conf_scan = 1; // Entry 1 counts as committed from the start.
    replica_step(replica, &event);
    free(entries);
}

/* R6: a lone voter elects itself without a new term; so it gets one before it starts. */
static enum status raise_term_of_lone_voter(struct replica *replica, struct term_vote_state *state)
{
    uint64_t at = 0;
    struct raft_configuration configuration =
        configuration_decode(segment_log_change(replica->log, UINT64_MAX, &at));
    bool lone = configuration_lone_voter(&configuration, replica->options.id);
    raft_configuration_close(&configuration);
    if (!lone) {
        return STATUS_OK;
    }
    state->term++;
    state->voted_for = replica->options.id;
    return term_vote_store(&replica->options.storage->term_vote, state);
}

/* A member of the log's newest membership that has no address here; 0: none. */
static uint64_t member_without_address(const struct replica_options *options)
{
    uint64_t at = 0;
    struct raft_configuration configuration =
        configuration_decode(segment_log_change(options->storage->log, UINT64_MAX, &at));
    uint64_t missing = 0;
    for (unsigned i = 0; i < configuration.n; i++) {
        bool known = false;
        for (size_t j = 0; j < options->voter_count; j++) {
            known = known || options->voters[j].id == configuration.servers[i].id;
        }
        missing = known ? missing : configuration.servers[i].id;
    }
    raft_configuration_close(&configuration);
    return missing;
}

/* Do store, log and options fit together? */
static enum status judge(const struct replica_options *options, char **error)
{
    uint64_t last = segment_log_last_index(options->storage->log);
    uint64_t missing = member_without_address(options);
    struct buf text = {0};
    if (options->applied_index > last) {
        buf_printf(&text,
                   "the store contains entry %" PRIu64 ", but the log ends at %" PRIu64
                   ": the log lost what was synced",
                   options->applied_index, last);
    } else if (missing != 0) {
        buf_printf(&text, "the log's membership has member %" PRIu64 ", which is not configured",
                   missing);
    } else {
        return STATUS_OK;
    }
    buf_text(&text);
    *error = (char *)buf_take(&text);
    return STATUS_CORRUPT;
}

enum status replica_start(const struct replica_options *options, struct replica **out, char **error)
{
    ASSERT(options->voter_count >= 1 && options->voter_count <= MEMBERS_MAX);
    *error = NULL;
    enum status status = judge(options, error);
    if (status != STATUS_OK) {
        return status;
    }
    struct replica *replica = mem_zalloc(sizeof *replica);
    replica->options = *options;
    replica->options.voters = NULL;
    replica->log = options->storage->log;
    replica->member_count = options->voter_count;
    for (size_t i = 0; i < options->voter_count; i++) {
        replica->members[i].voter = options->voters[i];
    }
    replica->applied = options->applied_index;
    replica->machine_durable = options->applied_index;
    list_init(&replica->held);
    list_init(&replica->submissions);
    struct term_vote_state state = options->storage->state;
    status = raise_term_of_lone_voter(replica, &state);
    if (status != STATUS_OK) {
        *error = mem_copy_text(slice_text("cannot store the term"));
        free(replica);
        return status;
    }
    *out = replica;
    replica_enter(replica);
    replica_open_raft(replica, &state);
    replica->busy = false; // The machine hears of us from the first event on, not from in here.
    return STATUS_OK;
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

/* A snapshot of ours is only a point from which C-Raft may count: the trail keeps reaching as far
 * back as the log on disk, so that lag never needs an installation. */
static void compact(struct replica *replica)
{
    uint64_t index = replica->machine_durable;
    index = index < replica->applied ? index : replica->applied;
    index = index < replica->conf_scan ? index : replica->conf_scan;
    struct log_entry entry;
    if (index < replica->snapshot_index + COMPACT_EVERY ||
        !segment_log_entry(replica->log, index, &entry)) {
        return;
    }
    uint64_t at = 0;
    struct slice change = segment_log_change(replica->log, index, &at);
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    event.snapshot.metadata.index = index;
    event.snapshot.metadata.term = entry.term;
    event.snapshot.metadata.configuration = configuration_decode(change);
    event.snapshot.metadata.configuration_index = at;
    event.snapshot.trailing = (unsigned)(index - replica->floor);
    replica->snapshot_index = index;
    replica->snapshot_term = entry.term;
    replica_step(replica, &event);
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
        more = replica_submit_queued(replica) || more;
        replica_transfer_advance(replica);
    }
    compact(replica);
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
    uint64_t due = timeout_due(replica);
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
    if (replica->now_ms >= timeout_due(replica)) {
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
    bool has_write = segment_log_wants_write(replica->log);
    if (replica->disk_under_way || (!has_vote && !has_write)) {
        return false;
    }
    *job = (struct replica_disk_job){
        .has_vote = has_vote,
        .vote = {.term = raft_current_term(&replica->raft),
                 .voted_for = raft_voted_for(&replica->raft)},
        .term_vote = &replica->options.storage->term_vote,
        .vote_sequence = replica->vote_wanted,
    };
    if (replica->reopening) {
        job->vote.term++;
        job->vote.voted_for = replica->options.id;
    }
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
    if (job->status == STATUS_OK && job->write != NULL) {
        job->status = log_write_run(job->write);
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
    if (job->status != STATUS_OK) {
        FATAL("the log or the term and vote cannot be written (%s); check the disk, then restart "
              "this node",
              status_text(job->status));
    }
    replica_enter(replica);
    replica->disk_under_way = false;
    if (job->has_vote) {
        replica->vote_durable = job->vote_sequence;
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
