#include "broker/host/group_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { TRANSFER_WAIT_MS = 2000 /* At an orderly stop. */ };

static void thread_main(void *argument);
static enum status open_all(struct group_host *host);
static void close_store(struct group_host *host);
static void on_stop(uv_async_t *async);
static void on_tick(uv_timer_t *timer);
static void on_turn_end(uv_check_t *check);
static void on_registrar_closed(void *context);
static void close_network(struct group_host *host);

struct group_host *group_host_start(const struct settings *settings,
                                    const struct group_settings *group)
{
    struct group_host *host = mem_zalloc(sizeof *host);
    char name[64];
    host->settings = settings;
    host->group = group;
    snprintf(name, sizeof name, "%s", group->name.text);
    log_init(&host->log, stderr, settings->log_level, name);
    snprintf(host->directory, sizeof host->directory, "%s/%s", settings->store_path.text,
             group->name.text);
    int failed = uv_sem_init(&host->started, 0);
    ASSERT(failed == 0);
    failed = uv_loop_init(&host->loop);
    ASSERT(failed == 0);
    failed = uv_async_init(&host->loop, &host->stop, on_stop);
    ASSERT(failed == 0);
    host->stop.data = host;
    failed = uv_thread_create(&host->thread, thread_main, host);
    ASSERT(failed == 0);
    return host;
}

enum status group_host_started(struct group_host *host)
{
    uv_sem_wait(&host->started);
    return host->start_status;
}

void group_host_stop(struct group_host *host)
{
    if (host->start_status == STATUS_OK) {
        uv_async_send(&host->stop); // Otherwise its thread has ended by itself.
    }
}

void group_host_join(struct group_host *host)
{
    uv_thread_join(&host->thread);
    uv_sem_destroy(&host->started);
    free(host);
}

static void thread_main(void *argument)
{
    struct group_host *host = argument;
    host->start_status = open_all(host);
    bool running = host->start_status == STATUS_OK;
    uv_sem_post(&host->started);
    uv_run(&host->loop, UV_RUN_DEFAULT);
    if (running) {
        broker_close(&host->broker);
        close_store(host);
        log_info(&host->log, "stopped", "");
    }
    int failed = uv_loop_close(&host->loop);
    ASSERT(failed == 0);
}

/* --- Starting ----------------------------------------------------------------------------- */

static enum status fail(struct group_host *host, const char *what, enum status status, char *error)
{
    log_error(&host->log, what, "directory=%s: %s", host->directory,
              error != NULL ? error : status_text(status));
    free(error);
    return status;
}

static enum status open_store(struct group_host *host)
{
    char path[GROUP_PATH_SIZE + 16];
    char *error = NULL;
    if (mkdir(host->directory, 0750) != 0 && errno != EEXIST) {
        log_error(&host->log, "cannot create the data directory",
                  "directory=%s: %s; check storePathRootDir, its owner and the disk's free space",
                  host->directory, strerror(errno));
        return STATUS_IO;
    }
    snprintf(path, sizeof path, "%s/store", host->directory);
    enum status status = kv_open_rocksdb(path, host->settings->store_cache_size, &host->kv, &error);
    if (status != STATUS_OK) {
        return fail(host, "cannot open the state machine's store", status, error);
    }
    const struct machine_events events = broker_machine_events(&host->broker);
    status = machine_open(host->kv, &events, &host->machine, &error);
    if (status != STATUS_OK) {
        return fail(host, "cannot load the state machine", status, error);
    }
    host->broker.machine = host->machine;
    return STATUS_OK;
}

static void close_store(struct group_host *host)
{
    if (host->machine != NULL) {
        machine_close(host->machine);
        host->machine = NULL;
    }
    if (host->kv != NULL) {
        kv_close(host->kv);
        host->kv = NULL;
    }
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

static enum status open_replica(struct group_host *host)
{
    char path[GROUP_PATH_SIZE + 16];
    char *error = NULL;
    struct replica_member members[MEMBERS_MAX];
    for (size_t i = 0; i < host->group->member_count; i++) {
        members[i] = (struct replica_member){
            .id = host->group->members[i].id,
            .raft_host = host->group->members[i].raft_host,
        };
    }
    snprintf(path, sizeof path, "%s/log", host->directory);
    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return fail(host, "cannot create the log's directory", STATUS_IO, NULL);
    }
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
        .election_timeout_ms = host->settings->election_timeout_ms,
        .heartbeat_timeout_ms = host->settings->heartbeat_interval_ms,
        .applied_index = machine_applied_index(host->machine),
        .scrub_rate = host->settings->scrub_rate,
        .machine = {host, apply, drop, on_state},
    };
    enum status status = replica_host_start(&options, &host->replica, &error);
    return status == STATUS_OK ? status : fail(host, "cannot start the replica", status, error);
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
    host->tick.data = host;
    host->turn_end.data = host;
    uv_timer_start(&host->tick, on_tick, BROKER_TICK_MS, BROKER_TICK_MS);
    uv_check_start(&host->turn_end, on_turn_end);
}

static enum status open_all(struct group_host *host)
{
    group_ports_init(host);
    list_init(&host->clients);
    broker_init(&host->broker, host->settings, host->group, &host->ports, &host->log,
                random_system());
    enum status status = open_store(host);
    if (status == STATUS_OK) {
        host->registrar = registrar_new(&host->loop, &host->broker);
        leader_link_init(&host->leader, &host->loop, &host->broker);
        status = open_replica(host);
    }
    if (status == STATUS_OK) {
        // Last, so that no client waits for a log that is still being read.
        status = open_listener(host);
    }
    if (status != STATUS_OK) {
        if (host->replica != NULL) {
            replica_host_close(host->replica, NULL, NULL);
            host->replica = NULL;
        }
        if (host->registrar != NULL) {
            registrar_close(host->registrar, on_registrar_closed, host);
        }
        uv_close((uv_handle_t *)&host->stop, NULL);
        uv_run(&host->loop, UV_RUN_DEFAULT);
        broker_close(&host->broker);
        close_store(host);
        return status;
    }
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
    // What was loaded is durable: a cut that a crash interrupted is carried out now.
    replica_host_cut(host->replica, machine_cut_done(host->machine).log_first);
    start_handles(host);
    log_info(&host->log, "listening", "client_port=%u member=%llu applied=%llu",
             host->listener.port, (unsigned long long)host->settings->node_id,
             (unsigned long long)machine_applied_index(host->machine));
    return STATUS_OK;
}

/* --- Time --------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer)
{
    struct group_host *host = timer->data;
    uint64_t now = clock_monotonic_ms(clock_system());
    if (host->stopping == TRANSFERRING && now >= host->stop_deadline_ms) {
        close_network(host);
    }
    if (host->stopping >= CLOSING_NETWORK) {
        return;
    }
    group_look_at_disk(host, now);
    leader_link_update(&host->leader);
    broker_tick(&host->broker);
    registrar_tick(host->registrar);
    checkpointer_tick(&host->checkpointer);
}

static void on_turn_end(uv_check_t *check)
{
    struct group_host *host = check->data;
    if (host->stopping >= CLOSING_NETWORK) {
        return;
    }
    leader_link_update(&host->leader);
    broker_turn_end(&host->broker);
    registrar_turn_end(host->registrar);
}

/* --- Stopping ----------------------------------------------------------------------------- */

static void on_transferred(void *context, enum status status)
{
    struct group_host *host = context;
    (void)status; // Handed over or not: we go.
    if (host->stopping == TRANSFERRING) {
        close_network(host);
    }
}

static void on_stop(uv_async_t *async)
{
    struct group_host *host = async->data;
    if (host->stopping != RUNNING) {
        return;
    }
    host->stopping = TRANSFERRING;
    host->stop_deadline_ms = clock_monotonic_ms(clock_system()) + TRANSFER_WAIT_MS;
    bool hand_over = broker_leads(&host->broker) && host->group->member_count > 1;
    log_info(&host->log, "stopping", "hand_over=%s", hand_over ? "true" : "false");
    if (hand_over) {
        replica_host_transfer(host->replica, 0, on_transferred, host);
    } else {
        close_network(host);
    }
}

static void on_registrar_closed(void *context)
{
    struct group_host *host = context;
    host->registrar = NULL;
}

static void close_network(struct group_host *host)
{
    host->stopping = CLOSING_NETWORK;
    host->broker.stopping = true;
    listener_close(&host->listener);
    leader_link_close(&host->leader);
    registrar_close(host->registrar, on_registrar_closed, host);
    group_close_clients(host);
    if (host->connection_count == 0) {
        group_on_clients_gone(host);
    }
}

static void on_checkpointed(void *context)
{
    struct group_host *host = context;
    host->stopping = STOPPED;
    uv_close((uv_handle_t *)&host->tick, NULL);
    uv_close((uv_handle_t *)&host->turn_end, NULL);
    uv_close((uv_handle_t *)&host->stop, NULL);
}

static void on_replica_closed(void *context)
{
    struct group_host *host = context;
    host->replica = NULL;
    host->stopping = CHECKPOINTING;
    checkpointer_finish(&host->checkpointer, on_checkpointed);
}

void group_on_clients_gone(struct group_host *host)
{
    host->stopping = CLOSING_REPLICA;
    replica_host_close(host->replica, on_replica_closed, host);
}
