#include "broker/host/leader_link.h"

#include <inttypes.h>

enum { BACKOFF_FIRST_MS = 20, BACKOFF_MAX_MS = 500 };

static void on_command(struct conn *conn, const struct command *command, struct slice frame);
static void on_close(struct conn *conn, enum status why);

static const struct conn_events events = {.on_command = on_command, .on_close = on_close};

void leader_link_init(struct leader_link *link, uv_loop_t *loop, struct broker *broker)
{
    *link = (struct leader_link){.loop = loop, .broker = broker};
}

/* Close a connection; what it still says is no longer ours. */
static void drop(struct conn *conn)
{
    conn_set_context(conn, NULL);
    conn_close(conn, STATUS_CANCELED);
}

static void drop_former(struct leader_link *link)
{
    struct conn *former = link->former;
    link->former = NULL;
    drop(former);
    broker_on_leader_lost(link->broker, link->former_number, STATUS_CONNECTION_LOST);
}

/* Another member leads, or the same one again, which has not been told all meanwhile. What the one
 * before was sent it may have committed all the same, and will answer; what it has not it hands
 * back or on. */
static void retire(struct leader_link *link)
{
    if (link->former != NULL) {
        drop_former(link);
    }
    link->former = link->conn;
    link->former_number = link->number;
    link->conn = NULL;
    link->failures = 0;
    link->retry_ms = 0;
}

void leader_link_update(struct leader_link *link)
{
    struct broker *broker = link->broker;
    uint64_t leader_id = broker->state.leader_id;
    bool another = link->leader_id != leader_id || broker_wants_new_link(broker);
    if (link->conn != NULL && another && leader_id != 0) {
        retire(link);
    }
    if (link->former != NULL && !broker_awaits_leader(broker, link->former_number)) {
        drop_former(link);
    }
    uint64_t now = clock_monotonic_ms(broker->ports->clock);
    struct host host;
    if (link->closing || link->conn != NULL || leader_id == 0 || leader_id == broker->self->id ||
        now < link->retry_ms || !broker_leader_host(broker, &host)) {
        return;
    }
    const struct conn_options options = {.events = &events, .context = link, .log = broker->log};
    link->leader_id = leader_id;
    if (conn_connect(link->loop, host, &options, &link->conn) != STATUS_OK) {
        link->conn = NULL;
        link->retry_ms = now + BACKOFF_MAX_MS;
        return;
    }
    link->number = broker_on_leader_connected(broker);
}

void leader_link_close(struct leader_link *link)
{
    link->closing = true;
    if (link->conn != NULL) {
        drop(link->conn);
        link->conn = NULL;
    }
    if (link->former != NULL) {
        drop(link->former);
        link->former = NULL;
    }
}

struct buf *leader_link_out(struct leader_link *link)
{
    return link->conn == NULL || link->leader_id != link->broker->state.leader_id
               ? NULL
               : conn_out(link->conn);
}

void leader_link_flush(struct leader_link *link)
{
    if (link->conn != NULL) {
        conn_flush_later(link->conn);
    }
}

static void on_command(struct conn *conn, const struct command *command, struct slice frame)
{
    struct leader_link *link = conn_context(conn);
    (void)frame;
    if (link == NULL) {
        return;
    }
    uint64_t number = conn == link->former ? link->former_number : link->number;
    if (broker_on_leader_command(link->broker, number, command)) {
        link->failures = 0;
        return;
    }
    if (link->failures == 0) {
        log_warn(link->broker->log, "the leader does not know this node, saying hello again",
                 "leader=%" PRIu64, link->leader_id);
    }
    conn_close(conn, STATUS_CONNECT_FAILED); // It took nothing, as if it had never been sent.
}

static void on_close(struct conn *conn, enum status why)
{
    struct leader_link *link = conn_context(conn);
    if (link == NULL) {
        return;
    }
    if (conn == link->former) {
        link->former = NULL;
        broker_on_leader_lost(link->broker, link->former_number, why);
        return;
    }
    uint64_t backoff = (uint64_t)BACKOFF_FIRST_MS << (link->failures < 5 ? link->failures : 5);
    link->conn = NULL;
    link->failures++;
    link->retry_ms = clock_monotonic_ms(link->broker->ports->clock) +
                     (backoff < BACKOFF_MAX_MS ? backoff : BACKOFF_MAX_MS);
    broker_on_leader_lost(link->broker, link->number, why);
}
