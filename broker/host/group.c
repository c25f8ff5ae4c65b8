#include "broker/host/group_internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    TRANSFER_WAIT_MS = 2000, /* At an orderly stop. */
    WAIT_TOLD_MS = 3000,     /* What only waits for an election is not worth a line. */
};

static void thread_main(void *argument);
static void on_stop(uv_async_t *async);
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
    uv_unref((uv_handle_t *)&host->stop); // The loop ends when all else is closed.
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

/* --- The thread --------------------------------------------------------------------------- */

/* Let group_host_started() return: with an error, or when it runs, or when it waits for others. */
static void tell_started(struct group_host *host, enum status status)
{
    if (!host->start_told) {
        host->start_told = true;
        host->start_status = status;
        uv_sem_post(&host->started);
    } else if (status != STATUS_OK && status != STATUS_CANCELED) {
        FATAL("%s: cannot go on (%s); correct what was logged above and start this node again",
              host->log.name, status_text(status));
    }
}

static void on_wait(void *context)
{
    tell_started(context, STATUS_OK);
}

static void init_data(struct group_host *host)
{
    host->data = (struct group_data){
        .loop = &host->loop,
        .log = &host->log,
        .settings = host->settings,
        .group = host->group,
        .directory = host->directory,
        .others = host->group->member_count - 1,
        .canceled = &host->stop_wanted,
        .on_wait = on_wait,
        .context = host,
    };
}

/* Who may have a copy, and what we said: the last before the replica says no more. Until then it
 * may vote in a new term, or get from a new leader what it lacked. */
static void remember_for_copy(struct group_host *host)
{
    struct replica_view view;
    (void)group_can_copy(host); // Who votes, too.
    replica_host_view(host->replica, &view);
    host->copy = (struct group_copy){
        .state = replica_host_vote(host->replica),
        .reach = view.behind,
    };
    for (size_t i = 0; i < view.member_count; i++) {
        if (view.members[i].id != host->settings->node_id) {
            struct replica_voter *server = &host->copy.servers[host->copy.server_count++];
            server->id = view.members[i].id;
            replica_address_format(view.members[i].raft_host, server->address);
        }
    }
}

/* Replace the data of a group that was closed for it. */
static enum status get_copy(struct group_host *host)
{
    bool replace = host->replace;
    host->behind = host->replace = false;
    host->store_damaged = false; // It is condemned: opening it sets it aside.
    if (replace) {
        return group_data_replace(&host->data);
    }
    if (host->copy.reach == 0) {
        return STATUS_OK; // It lacks nothing any more.
    }
    enum status status = group_data_copy(&host->data, &host->copy);
    if (status != STATUS_TIMED_OUT) {
        return status;
    }
    log_warn(&host->log, "nobody gives a copy of what this replica lacks, going on without",
             "entry=%" PRIu64 "; it can still vote, and a leader may have it", host->copy.reach);
    return STATUS_OK;
}

static enum status recover_alone(struct group_host *host)
{
    host->recover_alone = false;
    return group_data_recover_alone(&host->data);
}

/* Open, run until all is closed, and again if it was closed to get a copy. */
static void thread_main(void *argument)
{
    struct group_host *host = argument;
    bool again = true;
    init_data(host);
    while (again) {
        enum status status = group_open(host);
        tell_started(host, status);
        if (status != STATUS_OK) {
            break;
        }
        host->stopping = RUNNING;
        if (host->stop_wanted) {
            close_network(host); // Asked for while it waited for others.
        }
        uv_run(&host->loop, UV_RUN_DEFAULT);
        broker_close(&host->broker);
        group_close_store(host);
        log_info(&host->log, "stopped", "");
        again = (host->behind || host->replace || host->store_damaged || host->recover_alone) &&
                !host->stop_wanted;
        if (again) {
            status = host->recover_alone ? recover_alone(host) : get_copy(host);
            tell_started(host, status);
            again = status == STATUS_OK;
        }
    }
    uv_close((uv_handle_t *)&host->stop, NULL);
    uv_run(&host->loop, UV_RUN_DEFAULT);
    int failed = uv_loop_close(&host->loop);
    ASSERT(failed == 0);
}

/* --- Time --------------------------------------------------------------------------------- */

static void on_handed_over(void *context, enum status status)
{
    (void)context;
    (void)status; // Looked at by who leads then.
}

/* Its damage is one thing, a group that stands still for it would be another: as long as the others
 * need this one, it goes on as it is. */
static void wait_for_others(struct group_host *host, uint64_t now)
{
    if (host->damage_wait_ms == 0) {
        host->damage_wait_ms = now;
    } else if (!host->damage_wait_told && now >= host->damage_wait_ms + WAIT_TOLD_MS) {
        host->damage_wait_told = true;
        log_warn(&host->log, "damaged, and a copy has to wait until all other voters are up",
                 "bring them back, or remove those that will not come back");
    }
}

/* A damaged replica closes for a copy, if the others can do without it; one that leads hands over
 * first, if that works at once. */
static bool may_close_damaged(struct group_host *host, uint64_t now)
{
    if (!host->damaged && !host->store_damaged) {
        return false;
    }
    if (!group_others_up(host)) {
        host->hand_over_ms = 0;
        wait_for_others(host, now);
        return false;
    }
    bool leads = broker_leads(&host->broker);
    if (leads && host->hand_over_ms == 0) {
        host->hand_over_ms = now;
        replica_host_transfer(host->replica, 0, on_handed_over, NULL);
        return false;
    }
    if (leads && now < host->hand_over_ms + TRANSFER_WAIT_MS) {
        return false;
    }
    host->replace = host->damaged;
    return true;
}

void group_on_tick(uv_timer_t *timer)
{
    struct group_host *host = timer->data;
    uint64_t now = clock_monotonic_ms(clock_system());
    if (host->stopping == TRANSFERRING &&
        (now >= host->stop_deadline_ms || !broker_leads(&host->broker))) {
        close_network(host);
    }
    group_look_at_store(host, now);
    if (host->stopping == RUNNING &&
        (host->behind || host->recover_alone || may_close_damaged(host, now))) {
        close_network(host);
    }
    if (host->stopping >= CLOSING_NETWORK) {
        return;
    }
    group_look_at_disk(host, now);
    group_look_at_fitness(host, now);
    leader_link_update(&host->leader);
    broker_tick(&host->broker);
    registrar_tick(host->registrar);
    checkpointer_tick(&host->checkpointer);
}

void group_on_turn_end(uv_check_t *check)
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
    // Handed over or not: we go, but not in the middle of another hand-over.
    if (host->stopping == TRANSFERRING && status != STATUS_BUSY) {
        close_network(host);
    }
}

static void on_stop(uv_async_t *async)
{
    struct group_host *host = async->data;
    host->stop_wanted = true;
    if (host->stopping != RUNNING) {
        return; // It closes already, or is not open yet and looks at stop_wanted.
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
    uv_close((uv_handle_t *)&host->again, NULL);
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
    remember_for_copy(host);
    replica_host_close(host->replica, on_replica_closed, host);
}
