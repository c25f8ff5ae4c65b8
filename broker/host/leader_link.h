/* A follower's connection to the leader's client port: forwarded batches and relayed requests go
 * there. Follows the leader wherever it moves, reconnects with a back-off, also to one that does
 * not know us yet. The connection to a leader that handed over stays until it has answered what it
 * was sent: a transfer costs no request. Loop thread only. */
#ifndef BROKER_HOST_LEADER_LINK_H
#define BROKER_HOST_LEADER_LINK_H

#include "broker/core/broker.h"
#include "common/net/conn.h"

struct leader_link {
    uv_loop_t *loop;
    struct broker *broker;
    struct conn *conn;
    uint64_t number;     /* Of the connection, see broker.h. */
    uint64_t leader_id;  /* Whose connection it is. */
    struct conn *former; /* To the leader before, while answers are awaited. */
    uint64_t former_number;
    uint64_t retry_ms; /* Not before, monotonic. */
    uint32_t failures;
    bool closing;
};

void leader_link_init(struct leader_link *link, uv_loop_t *loop, struct broker *broker);
/* Be connected to whoever leads now; call on changes and every tick. */
void leader_link_update(struct leader_link *link);
/* Close for good; no callback into the broker after this. */
void leader_link_close(struct leader_link *link);

/* Where frames for the leader go; NULL if there is no connection. */
struct buf *leader_link_out(struct leader_link *link);
void leader_link_flush(struct leader_link *link);

#endif
