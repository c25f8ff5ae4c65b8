/* One end of a connection: what libuv's handles ask of it, and its turn in the loop. */
#include "tests/sim/os/sim_socket_internal.h"

#include <stdlib.h>

struct sim_socket *sim_socket_new(struct sim_handle *handle, struct host local)
{
    struct sim_socket *socket = sim_socket_make(handle->loop->process->host, local);
    socket->handle = handle;
    list_append(&handle->loop->process->sockets, &socket->in_process);
    return socket;
}

/* ---- Use ---- */

/* A kernel whose peer's window is closed asks now and then whether it has opened. Here only the
 * question that finds nobody matters: a host that lost power answers with a reset when it is back.
 */
static void probe_window(struct sim_socket *socket)
{
    if (socket->state == SOCKET_OPEN && socket->unsent.size > 0 && list_empty(&socket->out) &&
        sim_socket_find(socket->peer) == NULL) {
        sim_socket_send(socket, SEGMENT_DATA, NULL, 0);
    }
}

/* Put bytes that wait into segments as far as the window allows. */
static void move_unsent(struct sim_socket *socket)
{
    while (socket->unsent_at < socket->unsent.size && socket->out_bytes < sim_network_window() &&
           socket->error == 0) {
        size_t room = sim_network_window() - socket->out_bytes;
        size_t size = socket->unsent.size - socket->unsent_at;
        size = size < room ? size : room;
        size = size < SIM_SEGMENT_MAX ? size : SIM_SEGMENT_MAX;
        sim_socket_send(socket, SEGMENT_DATA, socket->unsent.data + socket->unsent_at, size);
        socket->unsent_at += size;
        socket->moved += size;
        socket->out_bytes += size;
    }
    if (socket->unsent_at == socket->unsent.size) {
        buf_clear(&socket->unsent);
        socket->unsent_at = 0;
    }
    probe_window(socket);
}

void sim_socket_listen(struct sim_socket *socket, uv_connection_cb call)
{
    socket->state = SOCKET_LISTENING;
    socket->on_connection = call;
}

struct sim_socket *sim_socket_accept(struct sim_socket *listener)
{
    struct list *first = list_pop(&listener->backlog);
    return first == NULL ? NULL : CONTAINER_OF(first, struct sim_socket, in_backlog);
}

void sim_socket_attach(struct sim_socket *socket, struct sim_handle *handle)
{
    socket->handle = handle;
    handle->socket = socket;
    list_append(&handle->loop->process->sockets, &socket->in_process);
    sim_socket_ready(socket);
}

void sim_socket_connect(struct sim_socket *socket, struct host remote, uv_connect_t *request)
{
    socket->state = SOCKET_CONNECTING;
    socket->remote = remote;
    socket->connecting = request;
    sim_socket_send(socket, SEGMENT_SYN, NULL, 0);
}

void sim_socket_read(struct sim_socket *socket, uv_alloc_cb alloc, uv_read_cb read)
{
    socket->alloc = alloc;
    socket->read = read;
    if (read != NULL) {
        sim_socket_ready(socket);
    }
}

int sim_socket_try_write(struct sim_socket *socket, const uv_buf_t *bufs, unsigned count)
{
    size_t written = 0;
    if (socket->error != 0) {
        return UV_EPIPE;
    }
    if (socket->unsent.size > 0 || socket->state != SOCKET_OPEN) {
        return UV_EAGAIN;
    }
    for (unsigned i = 0; i < count; i++) {
        for (size_t at = 0; at < bufs[i].len;) {
            size_t room = sim_network_window() - socket->out_bytes;
            size_t size = bufs[i].len - at < room ? bufs[i].len - at : room;
            size = size < SIM_SEGMENT_MAX ? size : SIM_SEGMENT_MAX;
            if (size == 0) {
                return written == 0 ? UV_EAGAIN : (int)written;
            }
            sim_socket_send(socket, SEGMENT_DATA, bufs[i].base + at, size);
            socket->out_bytes += size;
            written += size;
            at += size;
        }
    }
    return (int)written;
}

void sim_socket_write(struct sim_socket *socket, uv_write_t *request, const uv_buf_t *bufs,
                      unsigned count)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    struct sim_write *write = mem_zalloc(sizeof *write);
    for (unsigned i = 0; i < count; i++) {
        buf_put(&socket->unsent, bufs[i].base, bufs[i].len);
        socket->given += bufs[i].len;
    }
    sim_memory_use(owner);
    write->uv = request;
    write->end = socket->given;
    list_append(&socket->writes, &write->link);
    sim_socket_ready(socket);
}

/* ---- A turn of the loop ---- */

static void run_connected(struct sim_socket *socket)
{
    uv_connect_t *request = socket->connecting;
    if (request != NULL && (socket->error != 0 || socket->state == SOCKET_OPEN)) {
        socket->connecting = NULL;
        socket->handle->loop->active--;
        request->cb(request, socket->error);
    }
}

static void end_write(struct sim_socket *socket, struct sim_write *write, int error)
{
    uv_write_t *uv = write->uv;
    list_remove(&write->link);
    free(write);
    socket->handle->loop->active--;
    uv->cb(uv, error);
}

static void run_writes(struct sim_socket *socket)
{
    uint64_t id = socket->id;
    move_unsent(socket);
    while (sim_socket_find(id) != NULL && !socket->handle->closing &&
           !list_empty(&socket->writes)) {
        struct sim_write *write = CONTAINER_OF(socket->writes.next, struct sim_write, link);
        if (socket->error == 0 && write->end > socket->moved) {
            return;
        }
        end_write(socket, write, socket->error == 0 ? 0 : UV_EPIPE);
    }
}

/* The reader took bytes: the sender has room again. */
static void took(struct sim_socket *socket, size_t size)
{
    struct sim_socket *peer = sim_socket_find(socket->peer);
    socket->in_at += size;
    if (socket->in_at == socket->in.size) {
        buf_clear(&socket->in);
        socket->in_at = 0;
    }
    if (peer != NULL) {
        peer->out_bytes -= size;
        if (peer->unsent.size > 0) {
            sim_socket_ready(peer);
        }
    }
}

static void run_reads(struct sim_socket *socket)
{
    uint64_t id = socket->id;
    while (sim_socket_find(id) != NULL && !socket->handle->closing && socket->read != NULL) {
        uv_stream_t *stream = (uv_stream_t *)socket->handle->uv;
        size_t there = socket->in.size - socket->in_at;
        uv_buf_t buffer = {0};
        if (there > 0) {
            socket->alloc((uv_handle_t *)stream, SIM_SEGMENT_MAX, &buffer);
            size_t size = there < buffer.len ? there : buffer.len;
            if (size > 1 && sim_one_in(SIM_NETWORK, 16)) {
                size = 1 + sim_draw(SIM_NETWORK, size); // As it pleases the kernel.
                size = size < there ? size : there;
                size = size < buffer.len ? size : buffer.len;
            }
            ASSERT(size > 0);
            memcpy(buffer.base, socket->in.data + socket->in_at, size);
            took(socket, size);
            socket->read(stream, (ssize_t)size, &buffer);
        } else if (socket->in_end || socket->error != 0) {
            uv_read_cb read = socket->read;
            socket->read = NULL;
            sim_handle_activate(socket->handle, false);
            read(stream, socket->error != 0 ? socket->error : UV_EOF, &buffer);
        } else {
            return;
        }
    }
}

void sim_socket_turn(struct sim_ready *ready)
{
    struct sim_socket *socket = CONTAINER_OF(ready, struct sim_socket, ready);
    uint64_t id = socket->id;
    if (socket->handle == NULL || socket->handle->closing) {
        return;
    }
    while (!list_empty(&socket->backlog) && !socket->handle->closing) {
        struct list *first = socket->backlog.next;
        socket->on_connection((uv_stream_t *)socket->handle->uv, 0);
        ASSERT(sim_socket_find(id) != NULL);
        if (socket->backlog.next == first) {
            break; // Not accepted now.
        }
    }
    run_connected(socket);
    if (sim_socket_find(id) != NULL && !socket->handle->closing) {
        run_writes(socket);
    }
    if (sim_socket_find(id) != NULL && !socket->handle->closing) {
        run_reads(socket);
    }
}

/* ---- The end ---- */

void sim_socket_silence(struct sim_socket *socket)
{
    socket->read = NULL;
    list_remove(&socket->ready.link);
}

void sim_socket_cancel_requests(struct sim_socket *socket)
{
    uv_connect_t *request = socket->connecting;
    if (request != NULL) {
        socket->connecting = NULL;
        socket->handle->loop->active--;
        request->cb(request, UV_ECANCELED);
    }
    while (!list_empty(&socket->writes)) {
        end_write(socket, CONTAINER_OF(socket->writes.next, struct sim_write, link), UV_ECANCELED);
    }
}

/* The process no longer has it. What was sent goes on by itself; `last` follows. */
static void detach(struct sim_socket *socket, enum sim_segment_kind last)
{
    socket->handle = NULL;
    list_remove(&socket->in_process);
    list_remove(&socket->ready.link);
    if (socket->state == SOCKET_OPEN) {
        sim_socket_send(socket, last, NULL, 0);
    }
    if (socket->state != SOCKET_OPEN || list_empty(&socket->out)) {
        sim_socket_free(socket);
    }
}

void sim_socket_close(struct sim_socket *socket)
{
    // Closed with unread bytes, a kernel answers with a reset.
    detach(socket, socket->in.size > socket->in_at ? SEGMENT_RESET : SEGMENT_END);
}

void sim_sockets_orphan(struct sim_process *process, bool silent)
{
    while (!list_empty(&process->sockets)) {
        struct sim_socket *socket =
            CONTAINER_OF(process->sockets.next, struct sim_socket, in_process);
        socket->handle = NULL;
        if (silent) {
            while (!list_empty(&socket->backlog)) {
                sim_socket_free(CONTAINER_OF(socket->backlog.next, struct sim_socket, in_backlog));
            }
            struct sim_socket *peer = sim_socket_find(socket->peer);
            sim_socket_free(socket);
            if (peer != NULL) {
                probe_window(peer);
            }
        } else {
            detach(socket, sim_one_in(SIM_NETWORK, 2) ? SEGMENT_RESET : SEGMENT_END);
        }
    }
}
