#include "client/connections.h"

#include "client/client.h"
#include "client/heartbeat.h"
#include "client/server_requests.h"

#include <stdlib.h>

struct connection {
    struct map_node node;
    struct host host;
    struct connections *connections;
    struct remote *remote;
};

static struct connection *take(struct connections *connections, struct host host);
static void on_open(void *context, struct remote *remote);
static void on_request(void *context, struct remote *remote, struct conn *conn,
                       const struct command *command);
static void on_closed(void *context);

static const struct remote_events remote_events = {.on_open = on_open, .on_request = on_request};

void connections_init(struct connections *connections, struct raftmq_client *client)
{
    *connections = (struct connections){.client = client};
}

void connections_close(struct connections *connections,
                       void (*closed)(struct raftmq_client *client))
{
    connections->closed = closed;
    connections->closing_count = connections->by_host.count;
    if (connections->closing_count == 0) {
        map_close(&connections->by_host);
        closed(connections->client);
        return;
    }
    MAP_FOREACH(node, &connections->by_host)
    {
        struct connection *connection = CONTAINER_OF(node, struct connection, node);
        map_remove(&connections->by_host, node);
        remote_close(connection->remote, on_closed, connection);
    }
}

static void on_closed(void *context)
{
    struct connection *connection = context;
    struct connections *connections = connection->connections;
    free(connection);
    if (--connections->closing_count == 0) {
        map_close(&connections->by_host);
        connections->closed(connections->client);
    }
}

enum status connections_call(struct connections *connections, struct host host,
                             struct command *request, uint64_t timeout_ms, rpc_cb *cb,
                             void *context)
{
    struct connection *connection = take(connections, host);
    return connection == NULL ? STATUS_LIMIT
                              : remote_call(connection->remote, request, timeout_ms, cb, context);
}

enum status connections_send(struct connections *connections, struct host host,
                             struct command *request)
{
    struct connection *connection = take(connections, host);
    enum status status =
        connection == NULL ? STATUS_LIMIT : remote_send(connection->remote, request);
    if (status != STATUS_OK) {
        log_debug(&connections->client->log, "oneway request not sent", "code=%d error=%s",
                  request->code, status_name(status));
    }
    return status;
}

static struct connection *take(struct connections *connections, struct host host)
{
    struct raftmq_client *client = connections->client;
    struct map_node *node = map_find(&connections->by_host, slice_of(&host, sizeof host));
    if (node != NULL) {
        return CONTAINER_OF(node, struct connection, node);
    }
    if (connections->by_host.count >= CONNECTIONS_MAX || connections->closed != NULL) {
        return NULL;
    }
    struct connection *connection = mem_zalloc(sizeof *connection);
    connection->host = host;
    connection->connections = connections;
    const struct remote_options options = {
        .loop = &client->loop,
        .rpc = client->rpc,
        .host = host,
        .events = &remote_events,
        .context = connection,
        .log = &client->log,
        .random = &client->random,
    };
    connection->remote = remote_new(&options);
    map_put(&connections->by_host, &connection->node,
            slice_of(&connection->host, sizeof connection->host));
    return connection;
}

/* A new connection: the broker behind it must know us before it reads anything else. */
static void on_open(void *context, struct remote *remote)
{
    struct connection *connection = context;
    (void)remote;
    heartbeat_greet(connection->connections->client, connection->host);
}

static void on_request(void *context, struct remote *remote, struct conn *conn,
                       const struct command *command)
{
    struct connection *connection = context;
    (void)remote;
    server_request(connection->connections->client, connection->host, conn, command);
}
