/* A follower's connections to leaders' client ports: forwarded batches and relayed requests go to
 * the leader of the moment, over a connection that follows it wherever it moves.
 *
 * A connection to a leader of before stays until that one has answered what it was given: in a
 * planned transfer it still applies, or hands on, what it took. Loop thread only. */
#ifndef BROKER_HOST_LEADER_LINK_H
#define BROKER_HOST_LEADER_LINK_H

#include "broker/core/broker.h"
#include "common/net/conn.h"

struct leader_link;

/* The connection to one member. */
struct leader_slot {
    struct leader_link *link;
    uint64_t member_id;
    struct conn *conn;
    uint64_t retry_ms; /* No new connection before, monotonic. */
    uint32_t failures;
};

struct leader_link {
    uv_loop_t *loop;
    struct broker *broker;
    bool closing;
    struct leader_slot slots[MEMBERS_MAX]; /* In the order of the group's members. */
};

void leader_link_init(struct leader_link *link, uv_loop_t *loop, struct broker *broker);
/* Be connected to whoever leads now, and to nobody else for longer than needed; call on changes and
 * every tick. */
void leader_link_update(struct leader_link *link);
/* Close for good; no callback into the broker after this. */
void leader_link_close(struct leader_link *link);

/* Where frames for the leader go; NULL if there is no connection. */
struct buf *leader_link_out(struct leader_link *link);
void leader_link_flush(struct leader_link *link);

#endif
