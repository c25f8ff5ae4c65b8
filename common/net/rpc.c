#include "common/net/rpc.h"

#include "common/base/heap.h"
#include "common/base/map.h"

#include <stdlib.h>

struct rpc {
    uv_timer_t timer; /* For the call that times out first. */
    struct map calls; /* By opaque. */
    struct map peers; /* By connection id: those with calls. */
    struct heap timeouts;
    size_t calls_max;
    uint32_t opaque_last;
    bool closing;
};

/* A connection on which calls wait. */
struct peer {
    struct map_node node;
    uint64_t conn_id;
    struct list calls; /* Never empty. */
};

struct call {
    struct map_node node;
    struct heap_node timeout;
    struct list in_peer;
    struct peer *peer;
    uint32_t opaque;
    rpc_cb *cb;
    void *context;
};

static struct peer *find_peer(const struct rpc *rpc, uint64_t id);
static struct peer *take_peer(struct rpc *rpc, uint64_t id);
static struct call *find_context(const struct rpc *rpc, const void *context);
static void on_timer(uv_timer_t *timer);
static void arm(struct rpc *rpc);
static void finish(struct rpc *rpc, struct call *call, enum status status,
                   const struct command *response);
static void on_closed(uv_handle_t *handle);

struct rpc *rpc_new(uv_loop_t *loop, size_t calls_max)
{
    struct rpc *rpc = mem_zalloc(sizeof *rpc);
    rpc->calls_max = calls_max;
    rpc->timer.data = rpc;
    ASSERT(uv_timer_init(loop, &rpc->timer) == 0);
    return rpc;
}

void rpc_close(struct rpc *rpc)
{
    rpc->closing = true;
    while (rpc->calls.count > 0) {
        finish(rpc, CONTAINER_OF(map_first(&rpc->calls), struct call, node), STATUS_CANCELED, NULL);
    }
    uv_close((uv_handle_t *)&rpc->timer, on_closed);
}

static void on_closed(uv_handle_t *handle)
{
    struct rpc *rpc = handle->data;
    map_close(&rpc->calls);
    map_close(&rpc->peers);
    heap_close(&rpc->timeouts);
    free(rpc);
}

enum status rpc_call(struct rpc *rpc, struct conn *conn, struct command *request,
                     uint64_t timeout_ms, rpc_cb *cb, void *context)
{
    if (rpc->closing || conn_closing(conn)) {
        return STATUS_CONNECTION_LOST;
    }
    if (rpc->calls.count >= rpc->calls_max) {
        return STATUS_OVERLOADED;
    }
    struct call *call = mem_zalloc(sizeof *call);
    call->cb = cb;
    call->context = context;
    call->peer = take_peer(rpc, conn_id(conn));
    list_append(&call->peer->calls, &call->in_peer);
    do {
        call->opaque = ++rpc->opaque_last; // One that is still waited for is not given again.
    } while (map_find(&rpc->calls, slice_of(&call->opaque, sizeof call->opaque)) != NULL);
    map_put(&rpc->calls, &call->node, slice_of(&call->opaque, sizeof call->opaque));
    heap_put(&rpc->timeouts, &call->timeout, uv_now(rpc->timer.loop) + timeout_ms, call->opaque);
    if (heap_first(&rpc->timeouts) == &call->timeout) {
        arm(rpc);
    }
    request->opaque = (int32_t)call->opaque;
    request->flag = 0;
    conn_send_command(conn, request);
    return STATUS_PENDING;
}

bool rpc_send(struct rpc *rpc, struct conn *conn, struct command *request)
{
    if (conn_closing(conn)) {
        return false;
    }
    request->opaque = (int32_t)++rpc->opaque_last;
    request->flag = COMMAND_FLAG_ONEWAY;
    conn_send_command(conn, request);
    return true;
}

bool rpc_on_command(struct rpc *rpc, struct conn *conn, const struct command *command)
{
    if (!command_is_response(command)) {
        return false;
    }
    uint32_t opaque = (uint32_t)command->opaque;
    struct map_node *node = map_find(&rpc->calls, slice_of(&opaque, sizeof opaque));
    if (node != NULL) {
        struct call *call = CONTAINER_OF(node, struct call, node);
        if (call->peer->conn_id == conn_id(conn)) { // A peer may not answer for another.
            finish(rpc, call, STATUS_OK, command);
        }
    }
    return true;
}

void rpc_on_close(struct rpc *rpc, struct conn *conn, enum status why)
{
    enum status status =
        why == STATUS_CONNECT_FAILED ? STATUS_CONNECT_FAILED : STATUS_CONNECTION_LOST;
    struct peer *peer;
    // Looked up anew each time: a callback may do anything to the calls that are left.
    while ((peer = find_peer(rpc, conn_id(conn))) != NULL) {
        finish(rpc, CONTAINER_OF(peer->calls.next, struct call, in_peer), status, NULL);
    }
}

size_t rpc_cancel(struct rpc *rpc, void *context)
{
    struct call *call;
    size_t count = 0;
    while ((call = find_context(rpc, context)) != NULL) {
        finish(rpc, call, STATUS_CANCELED, NULL);
        count++;
    }
    return count;
}

static struct call *find_context(const struct rpc *rpc, const void *context)
{
    MAP_FOREACH(node, &rpc->calls)
    {
        struct call *call = CONTAINER_OF(node, struct call, node);
        if (call->context == context) {
            return call;
        }
    }
    return NULL;
}

static struct peer *find_peer(const struct rpc *rpc, uint64_t id)
{
    struct map_node *node = map_find(&rpc->peers, slice_of(&id, sizeof id));
    return node == NULL ? NULL : CONTAINER_OF(node, struct peer, node);
}

static struct peer *take_peer(struct rpc *rpc, uint64_t id)
{
    struct peer *peer = find_peer(rpc, id);
    if (peer == NULL) {
        peer = mem_zalloc(sizeof *peer);
        peer->conn_id = id;
        list_init(&peer->calls);
        map_put(&rpc->peers, &peer->node, slice_of(&peer->conn_id, sizeof peer->conn_id));
    }
    return peer;
}

size_t rpc_pending(const struct rpc *rpc)
{
    return rpc->calls.count;
}

/* Forget the call first: the callback may start others, or close everything. */
static void finish(struct rpc *rpc, struct call *call, enum status status,
                   const struct command *response)
{
    rpc_cb *cb = call->cb;
    void *context = call->context;
    map_remove(&rpc->calls, &call->node);
    heap_remove(&rpc->timeouts, &call->timeout);
    list_remove(&call->in_peer);
    if (list_empty(&call->peer->calls)) {
        map_remove(&rpc->peers, &call->peer->node);
        free(call->peer);
    }
    free(call);
    cb(context, status, response);
}

static void arm(struct rpc *rpc)
{
    struct heap_node *first = heap_first(&rpc->timeouts);
    if (first != NULL && !rpc->closing) {
        uint64_t now = uv_now(rpc->timer.loop);
        uv_timer_start(&rpc->timer, on_timer, first->due > now ? first->due - now : 0, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct rpc *rpc = timer->data;
    uint64_t now = uv_now(timer->loop);
    struct heap_node *first = heap_first(&rpc->timeouts);
    while (!rpc->closing && first != NULL && first->due <= now) {
        finish(rpc, CONTAINER_OF(first, struct call, timeout), STATUS_TIMED_OUT, NULL);
        first = heap_first(&rpc->timeouts);
    }
    arm(rpc);
}
