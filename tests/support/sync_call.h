/* A client for tests: one connection within the test's own loop, one call at a time. */
#ifndef TESTS_SUPPORT_SYNC_CALL_H
#define TESTS_SUPPORT_SYNC_CALL_H

#include "common/net/rpc.h"

struct sync_client {
    uv_loop_t *loop;
    struct rpc *rpc;
    struct conn *conn;
    bool closed;
    enum status why;
    bool answered;
    enum status status;
    struct buf frame;   /* The last answer, */
    struct buf scratch; /* which borrows from these. */
    struct command response;
};

void sync_client_open(struct sync_client *client, uv_loop_t *loop, struct host host);

/* Close; runs the loop until the connection is gone. */
void sync_client_close(struct sync_client *client);

/* Call and run the loop until the answer is there; fails the test after 10 s or if the connection
 * breaks. client->response is valid until the next call. Returns the response code. */
int32_t sync_call(struct sync_client *client, struct command *request);

#endif
