#include "broker/host/leader_link.h"

enum { BACKOFF_FIRST_MS = 20, BACKOFF_MAX_MS = 500, BACKOFF_SHIFT_MAX = 5 };

static void on_command(struct conn *conn, const struct command *command, struct slice frame);
static void on_close(struct conn *conn, enum status why);

static const struct conn_events events = {.on_command = on_command, .on_close = on_close};

void leader_link_init(struct leader_link *link, uv_loop_t *loop, struct broker *broker)
{
    *link = (struct leader_link){.loop = loop, .broker = broker};
    for (size_t i = 0; i < broker->group->member_count; i++) {
        link->slots[i].link = link;
        link->slots[i].member_id = broker->group->members[i].id;
    }
}

static struct leader_slot *slot_of(struct leader_link *link, uint64_t member_id)
{
    for (size_t i = 0; i < link->broker->group->member_count; i++) {
        if (link->slots[i].member_id == member_id) {
            return &link->slots[i];
        }
    }
    return NULL;
}

static void drop(struct leader_slot *slot)
{
    struct conn *conn = slot->conn;
    slot->conn = NULL;
    conn_set_context(conn, NULL); // What it still says is no longer ours.
    conn_close(conn, STATUS_CANCELED);
}

static void connect_slot(struct leader_slot *slot, uint64_t now)
{
    struct leader_link *link = slot->link;
    struct broker *broker = link->broker;
    struct host host;
    if (slot->conn != NULL || now < slot->retry_ms || !broker_leader_host(broker, &host)) {
        return;
    }
    const struct conn_options options = {.events = &events, .context = slot, .log = broker->log};
    if (conn_connect(link->loop, host, &options, &slot->conn) != STATUS_OK) {
        slot->conn = NULL;
        slot->retry_ms = now + BACKOFF_MAX_MS;
        return;
    }
    broker_on_leader_connected(broker);
}

void leader_link_update(struct leader_link *link)
{
    struct broker *broker = link->broker;
    uint64_t leader_id = broker->state.leader_id;
    for (size_t i = 0; i < broker->group->member_count; i++) {
        struct leader_slot *slot = &link->slots[i];
        bool needed = leader_id == 0 || slot->member_id == leader_id ||
                      broker_awaits_leader(broker, slot->member_id);
        if (slot->conn != NULL && !needed) {
            drop(slot);
        }
    }
    if (!link->closing && leader_id != 0 && leader_id != broker->self->id) {
        connect_slot(slot_of(link, leader_id), clock_monotonic_ms(broker->ports->clock));
    }
}

void leader_link_close(struct leader_link *link)
{
    link->closing = true;
    for (size_t i = 0; i < link->broker->group->member_count; i++) {
        if (link->slots[i].conn != NULL) {
            drop(&link->slots[i]);
        }
    }
}

struct buf *leader_link_out(struct leader_link *link)
{
    struct leader_slot *slot = slot_of(link, link->broker->state.leader_id);
    return slot == NULL || slot->conn == NULL ? NULL : conn_out(slot->conn);
}

void leader_link_flush(struct leader_link *link)
{
    struct leader_slot *slot = slot_of(link, link->broker->state.leader_id);
    if (slot != NULL && slot->conn != NULL) {
        conn_flush_later(slot->conn);
    }
}

static void on_command(struct conn *conn, const struct command *command, struct slice frame)
{
    struct leader_slot *slot = conn_context(conn);
    (void)frame;
    if (slot != NULL) {
        slot->failures = 0;
        broker_on_leader_command(slot->link->broker, command);
    }
}

static void on_close(struct conn *conn, enum status why)
{
    struct leader_slot *slot = conn_context(conn);
    if (slot == NULL) {
        return;
    }
    struct broker *broker = slot->link->broker;
    uint32_t shift = slot->failures < BACKOFF_SHIFT_MAX ? slot->failures : BACKOFF_SHIFT_MAX;
    uint64_t backoff = (uint64_t)BACKOFF_FIRST_MS << shift;
    slot->conn = NULL;
    slot->failures++;
    slot->retry_ms = clock_monotonic_ms(broker->ports->clock) +
                     (backoff < BACKOFF_MAX_MS ? backoff : BACKOFF_MAX_MS);
    broker_on_leader_lost(broker, slot->member_id, why);
}
