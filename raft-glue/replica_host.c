#include "raft-glue/replica_host_internal.h"

#include "common/base/random.h"
#include "raft-glue/replica_address.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    CACHE_SIZE = 32 * 1024 * 1024,
    /* Received bytes that wait for the disk before we stop reading from the leader. */
    UNWRITTEN_MAX = 64 * 1024 * 1024,
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

void replica_host_pump(struct replica_host *host)
{
    if (host->closing || replica_busy(host->replica)) {
        return;
    }
    replica_host_keep_links(host);
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
    replica_host_pump(host);
}

static void try_free(struct replica_host *host);

static void on_disk_done(void *context)
{
    struct replica_host *host = context;
    if (host->closing) {
        try_free(host);
    } else {
        replica_host_pump(host);
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
        .on_damage = replica_host_on_damage,
        .context = host,
        .on_idle = on_fetch_idle,
    };
    host->fetch = fetch_server_new(&options);
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
        .ports = {.context = host, .clock = host->options.clock, .send = replica_host_send},
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
        status = replica_host_start_peers(host, error);
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
    replica_host_pump(host);
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
        replica_host_pump(host);
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
    replica_host_pump(host);
}

void replica_host_suspect(struct replica_host *host, uint64_t position)
{
    log_scrub_look_at(&host->disk.scrub, position);
    replica_host_pump(host);
}

void replica_host_transfer(struct replica_host *host, uint64_t target_id,
                           void (*done)(void *context, enum status status), void *context)
{
    replica_transfer(host->replica, target_id, done, context);
    replica_host_pump(host);
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
    replica_host_pump(host);
    return status;
}

void replica_host_drain(struct replica_host *host, bool draining)
{
    host->draining = draining;
    if (host->peers != NULL) {
        replica_peers_drain(host->peers, draining);
    }
}
