/* Opening a group: data directory, store, machine, replica, listener, in this order; and what is
 * done about damage on the way. */
#include "broker/host/group_internal.h"

#include <stdlib.h>

enum status group_fail(struct group_host *host, const char *what, enum status status, char *error)
{
    log_error(&host->log, what, "directory=%s: %s", host->directory,
              error != NULL ? error : status_text(status));
    free(error);
    return status;
}

static void apply(void *context, const struct replica_entry *entry, void *proposal)
{
    struct group_host *host = context;
    broker_apply(&host->broker, entry, proposal);
}

static void drop(void *context, void *proposal, enum status why)
{
    struct group_host *host = context;
    broker_drop(&host->broker, proposal, why);
}

static void on_state(void *context, const struct replica_state *state)
{
    struct group_host *host = context;
    broker_on_state(&host->broker, state);
}

static void on_behind(void *context)
{
    struct group_host *host = context;
    host->behind = true; // The next tick begins to close.
}

static void on_damaged(void *context, bool stuck)
{
    struct group_host *host = context;
    if (group_can_copy(host)) {
        host->damaged = true; // A tick looks whether it can be closed.
    } else if (stuck) {
        FATAL("%s: the log is damaged where it was synced, and there is no majority to copy it "
              "from; restore this node's data directory",
              host->log.name);
    }
}

static enum status open_replica(struct group_host *host)
{
    char path[GROUP_PATH_SIZE];
    char *error = NULL;
    struct replica_member members[MEMBERS_MAX];
    for (size_t i = 0; i < host->group->member_count; i++) {
        members[i] = (struct replica_member){
            .id = host->group->members[i].id,
            .raft_host = host->group->members[i].raft_host,
        };
    }
    group_data_path(&host->data, "log", path);
    const struct replica_host_options options = {
        .loop = &host->loop,
        .log = &host->log,
        .clock = clock_system(),
        .directory = path,
        .cluster = name_slice(&host->settings->cluster),
        .group = name_slice(&host->group->name),
        .id = host->settings->node_id,
        .members = members,
        .member_count = host->group->member_count,
        .client_host = host->broker.self->client_host,
        .identity = &host->data.identity,
        .election_timeout_ms = host->settings->election_timeout_ms,
        .heartbeat_timeout_ms = host->settings->heartbeat_interval_ms,
        .applied_index = machine_applied_index(host->machine),
        .scrub_rate = host->settings->scrub_rate,
        .machine = {host, apply, drop, on_state},
        .image = store_image_source(&host->store_source),
        .copy_rate = host->settings->copy_rate,
        .on_behind = on_behind,
        .on_damaged = on_damaged,
        .needs_context = host,
    };
    enum status status = replica_host_start(&options, &host->replica, &error);
    return status == STATUS_OK ? status
                               : group_fail(host, "cannot start the replica", status, error);
}

static enum status open_listener(struct group_host *host)
{
    struct host address = host->broker.self->client_host;
    const struct name *bind = &host->settings->listen_address;
    if (bind->size > 0) {
        char text[NAME_MAX_SIZE + 16];
        snprintf(text, sizeof text, "%s:%u", bind->text, address.port);
        enum status parsed = host_parse(slice_text(text), &address);
        ASSERT(parsed == STATUS_OK); // settings_load() has seen to that.
    }
    enum status status =
        listener_open(&host->listener, &host->loop, address, group_on_pending, host);
    if (status != STATUS_OK) {
        log_error(&host->log, "cannot listen for clients",
                  "port=%u: is another process using it, and is the address this machine's?",
                  address.port);
        return status;
    }
    return STATUS_OK;
}

static void on_durable(void *context, uint64_t index, uint64_t log_first)
{
    struct group_host *host = context;
    if (host->replica != NULL) {
        replica_host_machine_durable(host->replica, index);
        replica_host_cut(host->replica, log_first);
    }
}

static void start_handles(struct group_host *host)
{
    int failed = uv_timer_init(&host->loop, &host->tick);
    ASSERT(failed == 0);
    failed = uv_check_init(&host->loop, &host->turn_end);
    ASSERT(failed == 0);
    failed = uv_idle_init(&host->loop, &host->again);
    ASSERT(failed == 0);
    host->tick.data = host;
    host->turn_end.data = host;
    uv_timer_start(&host->tick, group_on_tick, BROKER_TICK_MS, BROKER_TICK_MS);
    uv_check_start(&host->turn_end, group_on_turn_end);
}

static void on_registrar_closed(void *context)
{
    struct group_host *host = context;
    host->registrar = NULL;
}

/* What is open after a failure, closed. */
static void close_again(struct group_host *host)
{
    if (host->replica != NULL) {
        replica_host_close(host->replica, NULL, NULL);
        host->replica = NULL;
    }
    if (host->registrar != NULL) {
        registrar_close(host->registrar, on_registrar_closed, host);
    }
    uv_run(&host->loop, UV_RUN_DEFAULT);
    broker_close(&host->broker);
    group_close_store(host);
}

static void start_checkpointer(struct group_host *host)
{
    host->checkpointer = (struct checkpointer){
        .loop = &host->loop,
        .clock = clock_system(),
        .log = &host->log,
        .kv = host->kv,
        .machine = host->machine,
        .size_max = host->settings->checkpoint_size,
        .interval_ms = host->settings->checkpoint_interval_ms,
        .on_durable = on_durable,
        .context = host,
    };
    checkpointer_start(&host->checkpointer);
}

/* What of the data a failure to open it is about. */
enum damage { DAMAGE_NONE, DAMAGE_STORE, DAMAGE_LOG };

static enum status try_open(struct group_host *host, enum damage *damage)
{
    *damage = DAMAGE_NONE;
    host->lags = host->unfit = host->damaged = host->damage_wait_told = false;
    host->hand_over_ms = host->damage_wait_ms = 0;
    group_ports_init(host);
    list_init(&host->clients);
    broker_init(&host->broker, host->settings, host->group, &host->ports, &host->log,
                random_system());
    host->broker.draining = host->drained;
    enum status status = group_open_store(host);
    if (status == STATUS_CORRUPT) {
        *damage = DAMAGE_STORE;
    }
    if (status == STATUS_OK) {
        host->registrar = registrar_new(&host->loop, &host->broker);
        leader_link_init(&host->leader, &host->loop, &host->broker);
        status = open_replica(host);
        *damage = status == STATUS_CORRUPT ? DAMAGE_LOG : DAMAGE_NONE;
    }
    if (status == STATUS_OK) {
        // Last, so that no client waits for a log that is still being read.
        status = open_listener(host);
    }
    if (status != STATUS_OK) {
        close_again(host);
        return status;
    }
    start_checkpointer(host);
    group_tell_drained(host);
    // What was loaded is durable: a cut that a crash interrupted is carried out now.
    replica_host_cut(host->replica, machine_cut_done(host->machine).log_first);
    start_handles(host);
    log_info(&host->log, "listening", "client_port=%u member=%llu applied=%llu",
             host->listener.port, (unsigned long long)host->settings->node_id,
             (unsigned long long)machine_applied_index(host->machine));
    return STATUS_OK;
}

enum status group_open(struct group_host *host)
{
    enum damage damage = DAMAGE_NONE;
    enum status status = group_data_prepare(&host->data);
    if (status == STATUS_OK) {
        status = try_open(host, &damage);
    }
    if (status == STATUS_CORRUPT && damage == DAMAGE_STORE) {
        status = group_data_set_store_aside(&host->data);
        status = status == STATUS_OK ? try_open(host, &damage) : status;
    }
    // A store that was set aside also leads here, if the log no longer reaches back to its begin.
    if (status == STATUS_CORRUPT && damage == DAMAGE_LOG) {
        status = group_data_replace(&host->data);
        status = status == STATUS_OK ? try_open(host, &damage) : status;
    }
    return status;
}
