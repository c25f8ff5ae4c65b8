#include "raft-glue/replica_host.h"

#include "common/base/random.h"
#include "raft-glue/replica_address.h"
#include "raft-glue/replica_disk.h"
#include "raft-glue/replica_peers.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    CACHE_SIZE = 32 * 1024 * 1024,
    /* Received bytes that wait for the disk before we stop reading from the leader. */
    UNWRITTEN_MAX = 64 * 1024 * 1024,
};

struct replica_host {
    struct replica_host_options options;
    struct replica_member members[MEMBERS_MAX];
    struct replica_identity identity;
    struct directory directory;
    struct replica_storage storage;
    struct replica *replica;
    struct replica_peers *peers;
    uint64_t linked_version; /* Of the known servers that there are links to. */
    uint64_t settled_change; /* The committed membership that the links were looked through for. */
    bool draining;
    struct fetch_server *fetch;
    struct replica_disk disk;
    uv_timer_t timer;
    uint64_t armed_ms; /* When the timer fires; UINT64_MAX: it is not armed. */
    bool had_room;
    void (*on_room)(void *context);
    void *room_context;
    bool behind_told;
    bool damage_seen; /* By what is sent to others. */
    bool damage_told;
    bool stuck_told;
    bool removed;
    bool closing;
    bool timer_closed;
    bool peers_closed;
    bool fetch_closed;
    void (*on_closed)(void *context);
    void *closed_context;
};

static void on_timer(uv_timer_t *timer);

static void arm_timer(struct replica_host *host)
{
    uint64_t due = replica_due_ms(host->replica);
    uint64_t disk_due = replica_disk_due_ms(&host->disk);
    due = disk_due < due ? disk_due : due;
    // A timer that fires too early only looks again, so it is moved forward alone.
    if (due == UINT64_MAX || due >= host->armed_ms) {
        return;
    }
    uint64_t now = clock_monotonic_ms(host->options.clock);
    host->armed_ms = due;
    uv_update_time(host->options.loop);
    uv_timer_start(&host->timer, on_timer, due > now ? due - now : 0, 0);
}

/* Have a link to every server that is known, and to no other. */
static void update_links(struct replica_host *host)
{
    struct replica_known known[REPLICA_KNOWN_MAX];
    uint64_t ids[REPLICA_KNOWN_MAX];
    uint64_t version = 0;
    size_t count = replica_known(host->replica, known, &version);
    if (version == host->linked_version) {
        return;
    }
    host->linked_version = version;
    for (size_t i = 0; i < count; i++) {
        ids[i] = known[i].server.id;
    }
    replica_peers_keep(host->peers, ids, count);
    for (size_t i = 0; i < count; i++) {
        struct host address;
        if (ids[i] != host->options.id &&
            replica_address_parse(known[i].server.address, &address) == STATUS_OK) {
            replica_peers_set(host->peers, ids[i], address);
        }
    }
}

/* A membership was committed: who is not in it hears so when it connects again. */
static void part_with_removed(struct replica_host *host)
{
    bool pending = false;
    uint64_t change = replica_change_index(host->replica, &pending);
    if (pending || change == host->settled_change) {
        return;
    }
    host->settled_change = change;
    struct replica_known known[REPLICA_KNOWN_MAX];
    uint64_t version = 0;
    size_t count = replica_known(host->replica, known, &version);
    for (size_t i = 0; i < count; i++) {
        if (known[i].role < 0) {
            replica_peers_renew_from(host->peers, known[i].server.id);
        }
    }
}

static void tell_if_behind(struct replica_host *host)
{
    if (replica_behind(host->replica) == 0 || host->behind_told) {
        return;
    }
    host->behind_told = true;
    log_warn(host->options.log, "too far behind for the leader's log",
             "last=%" PRIu64 "; a copy of its data is needed",
             segment_log_last_index(host->storage.log));
    if (host->options.on_behind != NULL) {
        host->options.on_behind(host->options.needs_context);
    }
}

static void tell_if_damaged(struct replica_host *host)
{
    bool stuck = replica_damaged(host->replica);
    bool some = host->damage_seen || host->disk.scrub.damage_count > 0;
    if ((stuck && host->stuck_told) || (!stuck && (!some || host->damage_told))) {
        return;
    }
    host->damage_told = true;
    host->stuck_told = stuck;
    log_error(host->options.log, "the log is damaged where it was synced",
              "applied=%" PRIu64 " stuck=%s", replica_applied_index(host->replica),
              stuck ? "true" : "false");
    if (host->options.on_damaged != NULL) {
        host->options.on_damaged(host->options.needs_context, stuck);
    }
}

/* After anything that happened: start what there is to do. */
static void pump(struct replica_host *host)
{
    if (host->closing || replica_busy(host->replica)) {
        return;
    }
    update_links(host);
    part_with_removed(host);
    replica_disk_pump(&host->disk);
    replica_peers_pause(host->peers, segment_log_unwritten(host->storage.log) > UNWRITTEN_MAX);
    arm_timer(host);
    bool room = replica_host_has_room(host);
    bool changed = room && !host->had_room;
    host->had_room = room;
    if (changed && host->on_room != NULL) {
        host->on_room(host->room_context);
    }
    tell_if_behind(host);
    tell_if_damaged(host);
}

static void on_timer(uv_timer_t *timer)
{
    struct replica_host *host = timer->data;
    host->armed_ms = UINT64_MAX;
    if (host->closing) {
        return;
    }
    if (clock_monotonic_ms(host->options.clock) >= replica_due_ms(host->replica)) {
        replica_tick(host->replica);
    }
    pump(host);
}

static void on_message(void *context, const struct replica_inbound *inbound)
{
    struct replica_host *host = context;
    if (!host->closing) {
        replica_receive(host->replica, inbound);
        pump(host);
    }
}

static bool may_send(void *context, uint64_t term)
{
    struct replica_host *host = context;
    return !host->closing && replica_leads_term(host->replica, term);
}

static void send_message(void *context, const struct replica_outbound *outbound)
{
    struct replica_host *host = context;
    // During the very first step there are no links yet.
    if (host->peers != NULL && !host->closing) {
        replica_peers_send(host->peers, outbound);
    }
}

/* ---- Who may connect, and what they are told ---- */

static enum hello_answer judge_hello(void *context, const struct hello *hello)
{
    struct replica_host *host = context;
    if (host->closing) {
        return HELLO_NOT_READY;
    }
    if (hello->kind == HELLO_PROBE) {
        // Who has lost its own memory cannot vouch for what was promised.
        bool vouches =
            !replica_abstaining(host->replica) && segment_log_last_index(host->storage.log) > 0;
        return vouches ? HELLO_WELCOME : HELLO_NOT_READY;
    }
    if (hello->kind == HELLO_FETCH) {
        // What is wanted of the copy, and whether we have it, it says when it begins.
        return segment_log_last_index(host->storage.log) > 0 ? HELLO_WELCOME : HELLO_NOT_READY;
    }
    if (replica_removed(host->replica, hello->sender, hello->change)) {
        return HELLO_REMOVED;
    }
    if (hello->raft_host.port == 0) {
        return replica_knows(host->replica, hello->sender) ? HELLO_WELCOME : HELLO_UNKNOWN_SENDER;
    }
    char address[REPLICA_ADDRESS_SIZE];
    replica_address_format(hello->raft_host, address);
    replica_meet(host->replica, hello->sender, address);
    update_links(host);
    return HELLO_WELCOME;
}

static void on_removed(void *context, uint64_t by)
{
    struct replica_host *host = context;
    if (!host->removed) {
        log_error(host->options.log, "this replica was removed from the group",
                  "says member=%" PRIu64 "; stop this node, or take the group out of its "
                  "configuration; to bring it back, empty its data directory and use 'raftmq node "
                  "add'",
                  by);
    }
    host->removed = true;
}

static void on_damage(void *context, uint64_t index)
{
    struct replica_host *host = context;
    log_error(host->options.log, "entries that another member needs are damaged on disk",
              "from entry=%" PRIu64, index);
    host->damage_seen = true;
}

static uint64_t change_index(void *context)
{
    struct replica_host *host = context;
    bool pending = false;
    return replica_change_index(host->replica, &pending);
}

static void describe(void *context, const struct hello *hello, struct probe *probe)
{
    struct replica_host *host = context;
    struct replica_state state = replica_state(host->replica);
    bool pending = false;
    probe->counted = replica_identity_counts(&host->identity, hello->sender, hello->identity);
    probe->leader = state.role == REPLICA_LEADER;
    probe->identity = host->identity.number;
    probe->term = state.term;
    probe->last_index = segment_log_last_index(host->storage.log);
    probe->leader_id = state.leader_id;
    probe->change_index = replica_change_index(host->replica, &pending);
    probe->change = replica_membership(host->replica);
}

static void try_free(struct replica_host *host);

static void on_disk_done(void *context)
{
    struct replica_host *host = context;
    if (host->closing) {
        try_free(host);
    } else {
        pump(host);
    }
}

/* ---- Start ---- */

static char *sentence(const char *text, enum status status)
{
    struct buf out = {0};
    buf_printf(&out, "%s: %s", text, status_text(status));
    buf_text(&out);
    return (char *)buf_take(&out);
}

static void make_voters(const struct replica_host *host, struct replica_voter *voters)
{
    for (size_t i = 0; i < host->options.member_count; i++) {
        const struct replica_member *member = &host->members[i];
        ASSERT(i == 0 || host->members[i - 1].id < member->id);
        voters[i].id = member->id;
        replica_address_format(member->raft_host, voters[i].address);
    }
}

static enum status open_storage(struct replica_host *host, const struct replica_voter *voters,
                                char **error)
{
    enum status status = directory_posix_open(host->options.directory, &host->directory);
    if (status != STATUS_OK) {
        *error = sentence("cannot open the data directory", status);
        return status;
    }
    struct raft_configuration bootstrap = replica_bootstrap(voters, host->options.member_count);
    struct replica_storage_options options = {
        .log = {.directory = host->directory,
                .log = host->options.log,
                .group = replica_group_identity(host->options.cluster, host->options.group),
                .segment_size = SEGMENT_SIZE,
                .cache_size = CACHE_SIZE,
                .settled_index = host->options.applied_index},
        .replica = host->options.id,
        .origin = host->options.origin,
        .origin_state = host->options.origin_state,
        .bootstrap = &bootstrap,
    };
    status = replica_storage_open(&host->storage, &options, error);
    raft_configuration_close(&bootstrap);
    return status;
}

static struct host own_raft_host(const struct replica_host *host)
{
    for (size_t i = 0; i < host->options.member_count; i++) {
        if (host->members[i].id == host->options.id) {
            return host->members[i].raft_host;
        }
    }
    UNREACHABLE();
}

static void on_fetch_idle(void *context)
{
    struct replica_host *host = context;
    host->fetch_closed = true;
    try_free(host);
}

static void start_fetch_server(struct replica_host *host)
{
    struct fetch_server_options options = {
        .loop = host->options.loop,
        .log = host->options.log,
        .replica = host->replica,
        .storage = &host->storage,
        .source = host->options.image,
        .rate = host->options.copy_rate,
        .context = host,
        .on_idle = on_fetch_idle,
    };
    host->fetch = fetch_server_new(&options);
}

static enum status start_peers(struct replica_host *host, char **error)
{
    uint64_t ids[MEMBERS_MAX];
    for (size_t i = 0; i < host->options.member_count; i++) {
        ids[i] = host->members[i].id;
    }
    struct replica_peers_options options = {
        .loop = host->options.loop,
        .log = host->options.log,
        .self = host->options.id,
        .raft_host = own_raft_host(host),
        .client_host = host->options.client_host,
        .members_hash = hello_members_hash(ids, host->options.member_count),
        .identity = host->identity.number,
        .cluster = host->options.cluster,
        .group = host->options.group,
        .segments = host->storage.log,
        .context = host,
        .on_message = on_message,
        .may_send = may_send,
        .judge = judge_hello,
        .on_damage = on_damage,
        .on_removed = on_removed,
        .change_index = change_index,
        .describe = describe,
        .fetch = host->fetch,
    };
    return replica_peers_start(&options, &host->peers, error);
}

static enum status start_replica(struct replica_host *host, const struct replica_voter *voters,
                                 char **error)
{
    struct random random = random_system();
    struct replica_options options = {
        .id = host->options.id,
        .voters = voters,
        .voter_count = host->options.member_count,
        .election_timeout_ms = host->options.election_timeout_ms,
        .heartbeat_timeout_ms = host->options.heartbeat_timeout_ms,
        .applied_index = host->options.applied_index,
        .seed = (unsigned)random_next(&random),
        .log = host->options.log,
        .storage = &host->storage,
        .machine = host->options.machine,
        .ports = {.context = host, .clock = host->options.clock, .send = send_message},
    };
    return replica_start(&options, &host->replica, error);
}

static void release(struct replica_host *host)
{
    replica_close(host->replica);
    replica_storage_close(&host->storage);
    directory_posix_close(&host->directory);
    free(host);
}

enum status replica_host_start(const struct replica_host_options *options,
                               struct replica_host **out, char **error)
{
    ASSERT(options->member_count >= 1 && options->member_count <= MEMBERS_MAX);
    *error = NULL;
    struct replica_host *host = mem_zalloc(sizeof *host);
    host->options = *options;
    memcpy(host->members, options->members, options->member_count * sizeof *options->members);
    host->options.members = host->members;
    host->linked_version = UINT64_MAX;
    if (options->identity != NULL) {
        host->identity = *options->identity;
    }
    struct replica_voter voters[MEMBERS_MAX] = {0};
    make_voters(host, voters);
    enum status status = open_storage(host, voters, error);
    if (status == STATUS_OK) {
        status = start_replica(host, voters, error);
    }
    if (status == STATUS_OK) {
        start_fetch_server(host);
        status = start_peers(host, error);
    }
    if (status != STATUS_OK) {
        free(host->fetch);
        release(host);
        return status;
    }
    host->armed_ms = UINT64_MAX;
    host->had_room = true;
    uv_timer_init(options->loop, &host->timer);
    host->timer.data = host;
    replica_disk_init(&host->disk, options->loop, options->clock, host->replica, host->storage.log,
                      on_disk_done, host);
    replica_disk_scrub(&host->disk, options->log, options->scrub_rate);
    log_info(options->log, "replica started", "id=%" PRIu64 " last=%" PRIu64 " applied=%" PRIu64,
             options->id, segment_log_last_index(host->storage.log), options->applied_index);
    *out = host;
    pump(host);
    return STATUS_OK;
}

/* ---- Close ---- */

static void try_free(struct replica_host *host)
{
    if (!host->timer_closed || !host->peers_closed || !host->fetch_closed ||
        !replica_disk_idle(&host->disk)) {
        return;
    }
    void (*on_closed)(void *context) = host->on_closed;
    void *context = host->closed_context;
    release(host);
    if (on_closed != NULL) {
        on_closed(context);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct replica_host *host = handle->data;
    host->timer_closed = true;
    try_free(host);
}

static void on_peers_closed(void *context)
{
    struct replica_host *host = context;
    host->peers_closed = true;
    try_free(host);
}

void replica_host_close(struct replica_host *host, void (*on_closed)(void *context), void *context)
{
    ASSERT(!host->closing);
    host->closing = true;
    host->on_closed = on_closed;
    host->closed_context = context;
    replica_shut(host->replica);
    replica_disk_close(&host->disk);
    replica_peers_close(host->peers, on_peers_closed, host);
    host->peers = NULL; // Ends by itself, perhaps long before a write that is under way.
    fetch_server_close(host->fetch);
    uv_close((uv_handle_t *)&host->timer, on_timer_closed);
}

/* ---- Use ---- */

enum status replica_host_propose(struct replica_host *host, uint8_t *payload, size_t size,
                                 void *proposal)
{
    if (host->closing) {
        return STATUS_SHUTTING_DOWN;
    }
    enum status status = replica_propose(host->replica, payload, size, proposal);
    if (status == STATUS_OK) {
        pump(host);
    }
    return status;
}

bool replica_host_has_room(const struct replica_host *host)
{
    // One write under way and one entry behind it keep disk and network busy; what comes after
    // that is better gathered into one entry.
    return !host->closing && segment_log_waiting(host->storage.log) == 0 &&
           replica_uncommitted(host->replica) < REPLICA_UNCOMMITTED_MAX / 2;
}

void replica_host_on_room(struct replica_host *host, void (*on_room)(void *context), void *context)
{
    host->on_room = on_room;
    host->room_context = context;
}

struct replica_state replica_host_state(const struct replica_host *host)
{
    return replica_state(host->replica);
}

bool replica_host_quorum_fresh(const struct replica_host *host)
{
    return replica_quorum_fresh(host->replica);
}

bool replica_host_knows_all(const struct replica_host *host)
{
    return replica_knows_all(host->replica);
}

enum status replica_host_read_now(struct replica_host *host, uint64_t position, size_t size,
                                  uint8_t *to)
{
    return segment_log_read_now(host->storage.log, position, size, to);
}

void replica_host_read(struct replica_host *host, struct replica_read *read)
{
    read->host = host;
    replica_disk_read(&host->disk, read);
    pump(host);
}

void replica_host_suspect(struct replica_host *host, uint64_t position)
{
    log_scrub_look_at(&host->disk.scrub, position);
    pump(host);
}

void replica_host_transfer(struct replica_host *host, uint64_t target_id,
                           void (*done)(void *context, enum status status), void *context)
{
    replica_transfer(host->replica, target_id, done, context);
    pump(host);
}

void replica_host_machine_durable(struct replica_host *host, uint64_t index)
{
    replica_machine_durable(host->replica, index);
}

void replica_host_cut(struct replica_host *host, uint64_t position)
{
    replica_cut(host->replica, position);
}

struct term_vote_state replica_host_vote(const struct replica_host *host)
{
    return replica_vote(host->replica);
}

enum status replica_host_change(struct replica_host *host, uint64_t id, struct host raft_host,
                                enum replica_member_role role)
{
    char address[REPLICA_ADDRESS_SIZE];
    replica_address_format(raft_host, address);
    bool removes = role == REPLICA_MEMBER_STRANGER;
    enum status status =
        replica_change(host->replica, id, removes ? NULL : address, removes ? 0 : (int)role);
    pump(host);
    return status;
}

void replica_host_drain(struct replica_host *host, bool draining)
{
    host->draining = draining;
    if (host->peers != NULL) {
        replica_peers_drain(host->peers, draining);
    }
}

/* ---- View ---- */

static void view_member(const struct replica_host *host, const struct replica_known *known,
                        struct replica_member_view *member)
{
    uint64_t id = known->server.id;
    bool self = id == host->options.id;
    struct log_entry match = {0};
    (void)segment_log_entry(host->storage.log, replica_match_index(host->replica, id), &match);
    *member = (struct replica_member_view){
        .id = id,
        .client_host = self ? host->options.client_host : (struct host){0},
        .role = known->role < 0 ? REPLICA_MEMBER_STRANGER : (enum replica_member_role)known->role,
        .draining = self && host->draining,
        .connected = self,
        .match_index = replica_match_index(host->replica, id),
        .match_position = match.position,
        .last_contact_ms_ago = self ? 0 : replica_contact_ms_ago(host->replica, id),
    };
    if (!self && host->peers != NULL) {
        member->client_host = replica_peers_client_host(host->peers, id);
        member->draining = replica_peers_draining(host->peers, id);
        member->connected = replica_peers_connected(host->peers, id);
    }
    if (replica_address_parse(known->server.address, &member->raft_host) != STATUS_OK) {
        member->raft_host = (struct host){0};
    }
}

static int compare_members(const void *a, const void *b)
{
    uint64_t left = ((const struct replica_member_view *)a)->id;
    uint64_t right = ((const struct replica_member_view *)b)->id;
    return (left > right) - (left < right);
}

static_assert((int)REPLICA_MEMBERS_KNOWN == (int)REPLICA_KNOWN_MAX, "a view shows all servers");

static enum replica_room room_of(const struct segment_log *segments)
{
    switch (segment_log_room(segments)) {
    case LOG_ROOM_FINE:
        return REPLICA_ROOM_FINE;
    case LOG_ROOM_LOW:
        return REPLICA_ROOM_LOW;
    case LOG_ROOM_NONE:
        break;
    }
    return REPLICA_ROOM_NONE;
}

void replica_host_view(const struct replica_host *host, struct replica_view *view)
{
    const struct segment_log *segments = host->storage.log;
    struct replica_known known[REPLICA_KNOWN_MAX];
    uint64_t version = 0;
    *view = (struct replica_view){
        .state = replica_state(host->replica),
        .commit_index = replica_commit_index(host->replica),
        .applied_index = replica_applied_index(host->replica),
        .first_index = segment_log_first_index(segments),
        .last_index = segment_log_last_index(segments),
        .last_term = segment_log_term(segments, segment_log_last_index(segments)),
        .log_first_position = segment_log_first_position(segments),
        .log_end_position = segment_log_end_position(segments),
        .written_bytes = segment_log_appended_bytes(segments),
        .sync_count = host->disk.sync_count,
        .behind = replica_behind(host->replica),
        .abstaining = replica_abstaining(host->replica),
        .removed = host->removed,
        .member_count = replica_known(host->replica, known, &version),
        .log_room = room_of(segments),
        .scrub_passes = host->disk.scrub.passes,
        .scrubbed_bytes = host->disk.scrub.bytes,
        .damaged_frames = host->disk.scrub.damage_count,
    };
    view->change_index = replica_change_index(host->replica, &view->change_pending);
    for (size_t i = 0; i < view->member_count; i++) {
        view_member(host, &known[i], &view->members[i]);
    }
    qsort(view->members, view->member_count, sizeof *view->members, compare_members);
}
