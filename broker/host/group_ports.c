/* How the broker core reaches the world: each port is a call into the host's parts. */
#include "broker/host/group_describe.h"
#include "broker/host/group_internal.h"

#include <stdlib.h>

enum { CONGESTED_SIZE = 1024 * 1024 };

static enum status port_propose(void *context, uint8_t *payload, size_t size, void *proposal)
{
    struct group_host *host = context;
    return replica_host_propose(host->replica, payload, size, proposal);
}

static bool port_has_room(void *context)
{
    const struct group_host *host = context;
    return replica_host_has_room(host->replica);
}

static bool port_quorum_fresh(void *context)
{
    const struct group_host *host = context;
    return host->replica != NULL && replica_host_quorum_fresh(host->replica);
}

static bool port_knows_all(void *context)
{
    const struct group_host *host = context;
    return host->replica != NULL && replica_host_knows_all(host->replica);
}

static enum status port_read_now(void *context, uint64_t position, size_t size, uint8_t *to)
{
    struct group_host *host = context;
    return host->replica == NULL ? STATUS_SHUTTING_DOWN
                                 : replica_host_read_now(host->replica, position, size, to);
}

struct pool_read {
    struct replica_read read;
    struct position_read *user;
};

static void on_pool_read(struct replica_read *read, enum status status)
{
    struct pool_read *pool_read = read->context;
    struct position_read *user = pool_read->user;
    free(pool_read);
    user->done(user, status);
}

static void port_read(void *context, struct position_read *user)
{
    struct group_host *host = context;
    if (host->replica == NULL) {
        user->done(user, STATUS_SHUTTING_DOWN);
        return;
    }
    struct pool_read *pool_read = mem_zalloc(sizeof *pool_read);
    pool_read->user = user;
    pool_read->read.position = user->position;
    pool_read->read.size = user->size;
    pool_read->read.to = user->to;
    pool_read->read.done = on_pool_read;
    pool_read->read.context = pool_read;
    replica_host_read(host->replica, &pool_read->read);
}

static void port_suspect(void *context, uint64_t position)
{
    struct group_host *host = context;
    if (host->replica != NULL) {
        replica_host_suspect(host->replica, position);
    }
}

static void port_transfer(void *context, uint64_t target_id,
                          void (*done)(void *done_context, enum status status), void *done_context)
{
    struct group_host *host = context;
    replica_host_transfer(host->replica, target_id, done, done_context);
}

static void port_storage(void *context, struct storage_view *storage)
{
    const struct group_host *host = context;
    struct replica_view view;
    *storage = (struct storage_view){
        .disk_available = host->disk_available,
        .disk_total = host->disk_total,
    };
    if (host->replica != NULL) {
        replica_host_view(host->replica, &view);
        storage->log_first = view.log_first_position;
        storage->log_end = view.log_end_position;
    }
}

static void port_describe(void *context, struct buf *out)
{
    const struct group_host *host = context;
    group_describe(&host->broker, host->replica, host->connection_count, out);
}

static struct buf *port_leader_out(void *context)
{
    struct group_host *host = context;
    return leader_link_out(&host->leader);
}

static void port_leader_flush(void *context)
{
    struct group_host *host = context;
    leader_link_flush(&host->leader);
}

static void port_register_soon(void *context)
{
    struct group_host *host = context;
    if (host->registrar != NULL) {
        registrar_soon(host->registrar);
    }
}

static void port_ask_nameserver(void *context, struct command *request, nameserver_cb *done,
                                void *done_context)
{
    struct group_host *host = context;
    if (host->registrar != NULL) {
        registrar_ask(host->registrar, request, done, done_context);
    } else {
        done(done_context, NULL);
    }
}

static void on_again(uv_idle_t *idle)
{
    uv_idle_stop(idle); // That it was there has kept the loop from waiting, so the turn ends.
}

static void port_turn_again(void *context)
{
    struct group_host *host = context;
    if (host->stopping == RUNNING) {
        uv_idle_start(&host->again, on_again);
    }
}

static struct buf *transport_out(void *transport)
{
    return transport == NULL ? NULL : conn_out(transport);
}

static void transport_flush(void *transport)
{
    conn_flush_later(transport);
}

static bool transport_congested(void *transport)
{
    return transport == NULL || conn_closing(transport) ||
           conn_out_size(transport) > CONGESTED_SIZE;
}

void group_ports_init(struct group_host *host)
{
    host->ports = (struct broker_ports){
        .context = host,
        .clock = clock_system(),
        .propose = port_propose,
        .has_room = port_has_room,
        .quorum_fresh = port_quorum_fresh,
        .knows_all = port_knows_all,
        .read_now = port_read_now,
        .read = port_read,
        .suspect = port_suspect,
        .transfer = port_transfer,
        .members = group_member_ports(host),
        .storage = port_storage,
        .describe = port_describe,
        .leader_out = port_leader_out,
        .leader_flush = port_leader_flush,
        .register_soon = port_register_soon,
        .ask_nameserver = port_ask_nameserver,
        .turn_again = port_turn_again,
        .transport = {transport_out, transport_flush, transport_congested},
    };
}
