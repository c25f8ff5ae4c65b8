/* A peer that we call: an address, connected to on demand, and again after a loss.
 *
 * After a failed attempt calls fail at once with STATUS_CONNECT_FAILED for a while that doubles
 * from REMOTE_BACKOFF_MIN_MS to REMOTE_BACKOFF_MAX_MS, so that a dead peer costs nothing. Loop
 * thread only. */
#ifndef COMMON_NET_REMOTE_H
#define COMMON_NET_REMOTE_H

#include "common/base/random.h"
#include "common/net/rpc.h"

enum {
    REMOTE_BACKOFF_MIN_MS = 50,
    REMOTE_BACKOFF_MAX_MS = 3000,
    /* While so much would wait to be written, nothing is added: far from CONN_OUT_MAX, at which the
     * connection would be closed and all its calls lost. */
    REMOTE_OUT_MAX = 32 * 1024 * 1024,
};

struct remote;

struct remote_events {
    /* A connection is being made; what is sent now travels first. May be NULL. */
    void (*on_open)(void *context, struct remote *remote);
    /* The connection is gone, or could not be made. May be NULL. */
    void (*on_lost)(void *context, struct remote *remote, enum status why);
    /* The peer sends a request; answer on conn. May be NULL: requests are dropped. */
    void (*on_request)(void *context, struct remote *remote, struct conn *conn,
                       const struct command *command);
};

/* Everything is borrowed for life. */
struct remote_options {
    uv_loop_t *loop;
    struct rpc *rpc;
    struct host host;
    const struct remote_events *events;
    void *context;
    const struct log *log;
    struct random *random;    /* Spreads the attempts of many. */
    uint64_t idle_timeout_ms; /* Of its connections; 0 = none. */
};

struct remote *remote_new(const struct remote_options *options);

/* Close the connection if there is one; calls end with CONNECTION_LOST. `closed` (may be NULL) is
 * called from the loop when nothing is left; the remote is freed then. No other events come. */
void remote_close(struct remote *remote, void (*closed)(void *context), void *context);

/* rpc_call() over the connection, made first if there is none.
 * Errors: as rpc_call(), STATUS_CONNECT_FAILED in the pause after a failed attempt, and
 * STATUS_OVERLOADED also if the body does not fit into REMOTE_OUT_MAX with what waits already. */
WARN_UNUSED enum status remote_call(struct remote *remote, struct command *request,
                                    uint64_t timeout_ms, rpc_cb *cb, void *context);

/* Send a oneway request. Errors: STATUS_CONNECT_FAILED, STATUS_CONNECTION_LOST, STATUS_OVERLOADED;
 * nothing was sent. */
WARN_UNUSED enum status remote_send(struct remote *remote, struct command *request);

/* Is there a connection, or one being made? */
bool remote_is_open(const struct remote *remote);

struct host remote_host(const struct remote *remote);

#endif
