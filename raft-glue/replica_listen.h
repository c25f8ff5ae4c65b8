/* The replication port. */
#ifndef RAFT_GLUE_REPLICA_LISTEN_H
#define RAFT_GLUE_REPLICA_LISTEN_H

#include "raft-glue/replica_address.h"

#include <uv.h>

/* Listen; `tcp` is initialised in either case of success only. on_connection as uv_listen().
 * Errors (*error is a sentence to be freed): STATUS_IO. */
WARN_UNUSED enum status replica_listen(uv_loop_t *loop, uv_tcp_t *tcp, struct host host,
                                       uv_connection_cb on_connection, char **error);

/* No delay, and no waiting for TCP's usual minutes for a peer that vanished without a word. */
void replica_socket_options(uv_tcp_t *tcp);

#endif
