/* One FETCH connection, or a PROBE, from the side that wants the data. Each call runs the loop
 * until it is done, or has taken too long; other handles on the loop are served meanwhile. */
#ifndef RAFT_GLUE_FETCH_CLIENT_H
#define RAFT_GLUE_FETCH_CLIENT_H

#include "raft-glue/fetch_wire.h"
#include "raft-glue/replica_address.h"
#include "raft-glue/replica_hello.h"
#include "raft-glue/replica_probe.h"

#include <uv.h>

struct fetch_connection;

struct fetch_client {
    uv_loop_t *loop;
    const bool *canceled; /* Looked at after each event. */
    struct fetch_connection *connection;
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

/* Close the connection and wait until it is closed. May be used again. */
void fetch_client_close(struct fetch_client *client);

/* Let time pass; false: canceled. */
bool fetch_client_pause(struct fetch_client *client, uint64_t ms);

#endif
