#include "common/net/remote.h"

#include <stdlib.h>

static_assert((int)REMOTE_OUT_MAX + (int)FRAME_SIZE_MAX < (int)CONN_OUT_MAX,
              "what may be added leaves room for one more of any size");

struct remote {
    struct remote_options options;
    struct conn *conn; /* NULL: none. */
    uint64_t backoff_ms;
    uint64_t retry_ms; /* Loop time before which no attempt is made. */
    bool answered;     /* The peer has said something on this connection. */
    bool closing;
    uv_idle_t finisher; /* Ends a remote without connection from the loop. */
    void (*closed)(void *context);
    void *closed_context;
};

static enum status open_for(struct remote *remote, const struct command *request);
static enum status open_conn(struct remote *remote);
static void back_off(struct remote *remote);
static void on_command(struct conn *conn, const struct command *command, struct slice frame);
static void on_close(struct conn *conn, enum status why);
static void on_finished(uv_handle_t *handle);

static const struct conn_events conn_events = {on_command, on_close};

struct remote *remote_new(const struct remote_options *options)
{
    struct remote *remote = mem_zalloc(sizeof *remote);
    remote->options = *options;
    remote->finisher.data = remote;
    ASSERT(uv_idle_init(options->loop, &remote->finisher) == 0);
    return remote;
}

void remote_close(struct remote *remote, void (*closed)(void *context), void *context)
{
    ASSERT(!remote->closing);
    remote->closing = true;
    remote->closed = closed;
    remote->closed_context = context;
    if (remote->conn != NULL) {
        conn_close(remote->conn, STATUS_OK);
    } else {
        uv_close((uv_handle_t *)&remote->finisher, on_finished);
    }
}

static void on_finished(uv_handle_t *handle)
{
    struct remote *remote = handle->data;
    void (*closed)(void *context) = remote->closed;
    void *context = remote->closed_context;
    free(remote);
    if (closed != NULL) {
        closed(context);
    }
}

enum status remote_call(struct remote *remote, struct command *request, uint64_t timeout_ms,
                        rpc_cb *cb, void *context)
{
    enum status status = open_for(remote, request);
    return status == STATUS_OK
               ? rpc_call(remote->options.rpc, remote->conn, request, timeout_ms, cb, context)
               : status;
}

enum status remote_send(struct remote *remote, struct command *request)
{
    enum status status = open_for(remote, request);
    if (status == STATUS_OK && !rpc_send(remote->options.rpc, remote->conn, request)) {
        status = STATUS_CONNECTION_LOST;
    }
    return status;
}

/* Make sure that there is a connection with room for a request. One alone always has it. */
static enum status open_for(struct remote *remote, const struct command *request)
{
    enum status status = open_conn(remote);
    if (status == STATUS_OK) {
        size_t waiting = conn_out_size(remote->conn);
        if (waiting > 0 && waiting + request->body.size > REMOTE_OUT_MAX) {
            return STATUS_OVERLOADED;
        }
    }
    return status;
}

/* Make sure that there is a connection, or one being made. */
static enum status open_conn(struct remote *remote)
{
    const struct remote_options *options = &remote->options;
    if (remote->closing) {
        return STATUS_CONNECTION_LOST;
    }
    if (remote->conn != NULL) {
        return STATUS_OK;
    }
    if (uv_now(options->loop) < remote->retry_ms) {
        return STATUS_CONNECT_FAILED;
    }
    const struct conn_options conn_options = {
        .events = &conn_events,
        .context = remote,
        .log = options->log,
        .idle_timeout_ms = options->idle_timeout_ms,
    };
    remote->answered = false;
    if (conn_connect(options->loop, options->host, &conn_options, &remote->conn) != STATUS_OK) {
        remote->conn = NULL;
        back_off(remote);
        return STATUS_CONNECT_FAILED;
    }
    if (options->events->on_open != NULL) {
        options->events->on_open(options->context, remote);
    }
    return STATUS_OK;
}

/* Wait longer before the next attempt, plus up to a quarter so that many do not come at once. */
static void back_off(struct remote *remote)
{
    uint64_t doubled = remote->backoff_ms * 2;
    remote->backoff_ms = doubled < REMOTE_BACKOFF_MIN_MS   ? REMOTE_BACKOFF_MIN_MS
                         : doubled > REMOTE_BACKOFF_MAX_MS ? REMOTE_BACKOFF_MAX_MS
                                                           : doubled;
    remote->retry_ms = uv_now(remote->options.loop) + remote->backoff_ms +
                       random_below(remote->options.random, remote->backoff_ms / 4 + 1);
}

static void on_command(struct conn *conn, const struct command *command, struct slice frame)
{
    struct remote *remote = conn_context(conn);
    const struct remote_options *options = &remote->options;
    (void)frame;
    remote->answered = true;
    remote->backoff_ms = 0;
    if (!rpc_on_command(options->rpc, conn, command) && options->events->on_request != NULL) {
        options->events->on_request(options->context, remote, conn, command);
    }
}

static void on_close(struct conn *conn, enum status why)
{
    struct remote *remote = conn_context(conn);
    const struct remote_options options = remote->options;
    remote->conn = NULL;
    if (!remote->answered && !remote->closing) {
        back_off(remote); // Also a peer that accepts and closes is no peer.
    }
    rpc_on_close(options.rpc, conn, why);
    if (remote->closing) { // Perhaps since one of those callbacks, perhaps with a new connection.
        if (remote->conn == NULL && !uv_is_closing((uv_handle_t *)&remote->finisher)) {
            uv_close((uv_handle_t *)&remote->finisher, on_finished);
        }
    } else if (options.events->on_lost != NULL) {
        options.events->on_lost(options.context, remote, why);
    }
}

bool remote_is_open(const struct remote *remote)
{
    return remote->conn != NULL;
}

struct host remote_host(const struct remote *remote)
{
    return remote->options.host;
}
