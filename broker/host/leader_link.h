/* A follower's connection to the leader's client port: forwarded batches and relayed requests go
 * there. Follows the leader wherever it moves, reconnects with a back-off. Loop thread only. */
#ifndef BROKER_HOST_LEADER_LINK_H
#define BROKER_HOST_LEADER_LINK_H

#include "broker/core/broker.h"
#include "common/net/conn.h"

struct leader_link {
    uv_loop_t *loop;
    struct broker *broker;
    struct conn *conn;
    uint64_t leader_id; /* Whose connection it is. */
    uint64_t retry_ms;  /* Not before, monotonic. */
    uint32_t failures;
    bool answered; /* The leader has accepted our hello. */
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
