/* Requests of our own over connections, and their answers.
 *
 * One rpc serves all connections of a loop: it numbers requests, keeps who waits for which answer,
 * and ends each call exactly once, with the answer, a timeout, the loss of the connection, or
 * cancellation. Requests that arrive are none of its business: the connection's owner hands it only
 * what rpc_on_command() takes. Loop thread only. */
#ifndef COMMON_NET_RPC_H
#define COMMON_NET_RPC_H

#include "common/net/conn.h"

struct rpc;

/* The end of a call. `response` is NULL unless status is STATUS_OK; it and all it borrows die when
 * this returns. Other status: STATUS_TIMED_OUT, STATUS_CONNECTION_LOST, STATUS_CONNECT_FAILED
 * (surely not done), STATUS_CANCELED. */
typedef void rpc_cb(void *context, enum status status, const struct command *response);

/* At most calls_max calls wait at one time. */
struct rpc *rpc_new(uv_loop_t *loop, size_t calls_max);

/* Cancel all calls and free; the memory goes when the loop has run its close callbacks. Connections
 * and remotes that use it must be closed, to the last callback, before. */
void rpc_close(struct rpc *rpc);

/* Send a request, with a number of ours in place of its opaque. Copies it.
 *
 * PENDING: cb is called exactly once, later, never from within this call.
 * Errors (cb is never called; nothing was sent):
 *   STATUS_OVERLOADED       calls_max calls wait
 *   STATUS_CONNECTION_LOST  the connection is closing */
WARN_UNUSED enum status rpc_call(struct rpc *rpc, struct conn *conn, struct command *request,
                                 uint64_t timeout_ms, rpc_cb *cb, void *context);

/* Send a request that is not answered; false if the connection is closing. */
bool rpc_send(struct rpc *rpc, struct conn *conn, struct command *request);

/* From conn_events.on_command: true if it was an answer (also one that nobody waits for). */
bool rpc_on_command(struct rpc *rpc, struct conn *conn, const struct command *command);

/* From conn_events.on_close: ends the calls that wait on this connection. */
void rpc_on_close(struct rpc *rpc, struct conn *conn, enum status why);

/* Cancel the calls with this context; returns how many there were. */
size_t rpc_cancel(struct rpc *rpc, void *context);

/* Calls that wait. */
size_t rpc_pending(const struct rpc *rpc);

#endif
