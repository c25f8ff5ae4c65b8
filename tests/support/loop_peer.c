#include "tests/support/loop_peer.h"

#include "tests/support/test.h"

static void on_pending(struct listener *listener);
static void on_command(struct conn *conn, const struct command *command, struct slice frame);
static void on_close(struct conn *conn, enum status why);

static const struct conn_events conn_events = {on_command, on_close};

void loop_peer_open(struct loop_peer *peer, uv_loop_t *loop, uint32_t port)
{
    list_init(&peer->conns);
    peer->conn_count = 0;
    peer->accepted = 0;
    if (listener_open(&peer->listener, loop, (struct host){LOOPBACK, port}, on_pending, peer) !=
        STATUS_OK) {
        fail_msg("cannot listen on loopback port %u", port);
    }
}

struct host loop_peer_host(const struct loop_peer *peer)
{
    return (struct host){LOOPBACK, peer->listener.port};
}

void loop_peer_close(struct loop_peer *peer)
{
    listener_close(&peer->listener);
    loop_peer_drop(peer);
}

void loop_peer_drop(struct loop_peer *peer)
{
    LIST_FOREACH(at, &peer->conns)
    {
        conn_close(CONTAINER_OF(at, struct loop_peer_conn, in_peer)->conn, STATUS_CANCELED);
    }
}

static void on_pending(struct listener *listener)
{
    struct loop_peer *peer = listener->context;
    struct loop_peer_conn *entry = mem_zalloc(sizeof *entry);
    const struct conn_options options = {.events = &conn_events, .context = entry};
    entry->peer = peer;
    if (conn_accept((uv_stream_t *)&listener->tcp, &options, &entry->conn) != STATUS_OK) {
        fail_msg("cannot accept");
    }
    list_append(&peer->conns, &entry->in_peer);
    peer->conn_count++;
    peer->accepted++;
}

static void on_command(struct conn *conn, const struct command *command, struct slice frame)
{
    struct loop_peer_conn *entry = conn_context(conn);
    (void)frame;
    entry->peer->on_command(entry->peer, conn, command);
}

static void on_close(struct conn *conn, enum status why)
{
    struct loop_peer_conn *entry = conn_context(conn);
    (void)why;
    list_remove(&entry->in_peer);
    entry->peer->conn_count--;
    free(entry);
}

void loop_peer_answer(struct conn *conn, const struct command *request, int32_t code,
                      struct slice body)
{
    struct command response;
    command_init_response(&response, request, code);
    response.body = body;
    conn_send_command(conn, &response);
}
