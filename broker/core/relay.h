/* Requests that only the leader can answer and that are not operations: passed on as frames.
 *
 * The follower gives each a new opaque and names the client's connection, the leader answers on the
 * same connection, the follower puts the old opaque back. Held for a bounded time while no leader
 * is known, or the one that is says that it does not lead any more, or has much to read yet. Also
 * the other direction: what the leader asks of a client that is connected here. Loop thread only.
 */
#ifndef BROKER_CORE_RELAY_H
#define BROKER_CORE_RELAY_H

#include "broker/core/request.h"

enum {
    RELAY_WAITING_MAX = 20000,
    RELAY_KEPT_BYTES_MAX = 32 * 1024 * 1024, /* To be sent, or sent again. */
    /* Bytes that the connection has not begun to write; more has to wait here. */
    RELAY_OUT_MAX = 8 * 1024 * 1024,
};

struct relay;

struct relay *relay_new(struct broker *broker);
/* Answers what waits with STATUS_SHUTTING_DOWN. */
void relay_free(struct relay *relay);

/* Pass a client's request on; its answer goes to request->to. With `copy_only` nobody waits for the
 * answer. Copies.
 * Errors: STATUS_OVERLOADED; STATUS_INVALID_ARGUMENT if it would be no frame any more with what is
 * added to it; else STATUS_PENDING. */
enum status relay_request(struct relay *relay, const struct request *request, bool copy_only);

/* An answer from the leader; false if it is not to one of these. */
bool relay_on_answer(struct relay *relay, const struct command *answer);
/* A request of the leader at the other end of a connection, for a client connected here. */
void relay_on_request(struct relay *relay, uint64_t connection, const struct command *request);
/* Tell the leader that a client is gone. */
void relay_channel_closed(struct relay *relay, uint64_t channel_id);

/* Nothing more can go to the leader now. */
bool relay_congested(const struct relay *relay);
/* A client is gone that the leader we are connected to believes to be there: only a new connection
 * tells it all. */
bool relay_missed_closing(const struct relay *relay);
/* At the end of a turn: send what can be sent. */
void relay_turn(struct relay *relay);

/* A connection to the leader is there / gone. */
void relay_on_leader_connected(struct relay *relay);
void relay_on_leader_lost(struct relay *relay, uint64_t connection, enum status why);
bool relay_awaits_leader(const struct relay *relay, uint64_t connection);
/* We lead now: process what was held here. */
void relay_on_leading(struct relay *relay);
/* Answer what waited too long. */
void relay_tick(struct relay *relay);

#endif
