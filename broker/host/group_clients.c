/* Connections of clients, and of replicas that forward. */
#include "broker/host/group_internal.h"

#include <stdlib.h>

enum { IDLE_TIMEOUT_MS = 120000 };

struct client_conn {
    struct list link; /* In host->clients. */
    struct group_host *host;
    struct conn *conn;
    struct channel *channel;
};

static void on_conn_command(struct conn *conn, const struct command *command, struct slice frame)
{
    struct client_conn *client = conn_context(conn);
    (void)frame;
    broker_on_command(&client->host->broker, client->channel, command);
}

static void on_conn_close(struct conn *conn, enum status why)
{
    struct client_conn *client = conn_context(conn);
    struct group_host *host = client->host;
    (void)why;
    host->connection_count--;
    broker_channel_close(&host->broker, client->channel);
    list_remove(&client->link);
    free(client);
    if (host->stopping == CLOSING_NETWORK && host->connection_count == 0) {
        group_on_clients_gone(host);
    }
}

void group_on_pending(struct listener *listener)
{
    static const struct conn_events events = {on_conn_command, on_conn_close};
    struct group_host *host = listener->context;
    struct client_conn *client = mem_zalloc(sizeof *client);
    struct conn *conn;
    const struct conn_options options = {
        .events = &events,
        .context = client,
        .log = &host->log,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .reset_on_death = true,
    };
    client->host = host;
    if (conn_accept((uv_stream_t *)&listener->tcp, &options, &conn) != STATUS_OK) {
        free(client);
        return;
    }
    host->connection_count++;
    client->channel = broker_channel_open(&host->broker, conn, conn_peer(conn));
    client->conn = conn;
    list_append(&host->clients, &client->link);
    if (host->connection_count > host->settings->connections_max) {
        log_warn(&host->log, "too many connections, closing the newest",
                 "limit=%u; raise maxConnections or look for a client that does not close",
                 host->settings->connections_max);
        conn_close(conn, STATUS_LIMIT);
    }
}

void group_close_clients(struct group_host *host)
{
    LIST_FOREACH(at, &host->clients)
    {
        conn_close(CONTAINER_OF(at, struct client_conn, link)->conn, STATUS_SHUTTING_DOWN);
    }
}
