/* One request and its answer over a connection of its own, blocking with a deadline. */
#ifndef ADMIN_RPC_H
#define ADMIN_RPC_H

#include "common/remoting/command.h"
#include "common/remoting/message.h"

/* A zeroed reply is empty. `command` borrows from it until it is closed or used again. */
struct rpc_reply {
    struct command command;
    struct buf frame;
    struct buf scratch;
};

void rpc_reply_close(struct rpc_reply *reply);

/* Send a request and wait for the response with its opaque.
 * Errors: STATUS_CONNECT_FAILED, STATUS_TIMED_OUT, STATUS_CONNECTION_LOST, STATUS_MALFORMED. */
WARN_UNUSED enum status rpc_call(struct host host, uint32_t timeout_ms,
                                 const struct command *request, struct rpc_reply *reply);

/* "host:port" with a name or an IPv4 address. Errors: STATUS_MALFORMED, STATUS_NOT_FOUND. */
WARN_UNUSED enum status rpc_resolve(struct slice text, struct host *host);

#endif
