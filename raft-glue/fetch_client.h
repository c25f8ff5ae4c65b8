/* One FETCH connection from the side that wants the data. Blocking, with a deadline for each step;
 * one thread. */
#ifndef RAFT_GLUE_FETCH_CLIENT_H
#define RAFT_GLUE_FETCH_CLIENT_H

#include "raft-glue/fetch_wire.h"
#include "raft-glue/replica_address.h"
#include "raft-glue/replica_hello.h"
#include "raft-glue/replica_probe.h"

#include <stdatomic.h>

struct fetch_client {
    int fd; /* -1: not connected. */
    const atomic_bool *canceled;
    struct buf body; /* Of the last answer. */
};

/* Ask a server what it is. Errors: STATUS_IO (it cannot be reached), STATUS_TIMED_OUT,
 * STATUS_MALFORMED, STATUS_CANCELED. *probe borrows from client->body. */
WARN_UNUSED enum status fetch_client_probe(struct fetch_client *client, struct host host,
                                           const struct hello *hello, struct probe *probe);

/* Connect and say hello. Errors: as above, STATUS_REFUSED with *answer. */
WARN_UNUSED enum status fetch_client_connect(struct fetch_client *client, struct host host,
                                             const struct hello *hello, enum hello_answer *answer);

/* Send a request and wait for its answer, whose body is in client->body, verified.
 * Errors: as above; and what the server answered. */
WARN_UNUSED enum status fetch_client_call(struct fetch_client *client,
                                          const struct fetch_request *request,
                                          struct fetch_answer *answer);

/* May be used again. */
void fetch_client_close(struct fetch_client *client);

#endif
