#include "tests/sim/os/sim_socket_internal.h"

#include "common/base/crc32c.h"

#include <stdlib.h>

enum {
    LOOPBACK_US = 30,
    RESEND_US = 150 * SIM_MS,
    GIVE_UP_US = 6 * SIM_SECOND, /* Unacknowledged for so long: the connection is dead. */
    SEGMENT_MAX = 64 * 1024,
};

enum segment_kind { SEGMENT_SYN, SEGMENT_WELCOME, SEGMENT_DATA, SEGMENT_END, SEGMENT_RESET };

struct segment {
    struct list link;
    enum segment_kind kind;
    uint64_t due_us;
    uint64_t peer; /* Of WELCOME: the other end's id. */
    size_t size;
    uint8_t bytes[];
};

struct sim_write {
    struct list link;
    uv_write_t *uv;
    uint64_t end; /* Done when so many bytes were moved. */
};

/* Something that befalls a socket by itself, if it still exists then. */
struct mishap {
    struct sim_event event;
    struct list link;
    uint64_t socket;
    int error;
};

static struct {
    struct sim_network_options options;
    struct map sockets;
    struct list mishaps;
    uint64_t next_id;
    bool cut[SIM_HOSTS_MAX][SIM_HOSTS_MAX];
    uint64_t extra_us[SIM_HOSTS_MAX];
} network;

static void on_deliver(struct sim_event *event);
static void on_ready(struct sim_ready *ready);
static void send_segment(struct sim_socket *socket, enum segment_kind kind, const void *bytes,
                         size_t size);

/* ---- Life ---- */

void sim_network_open(const struct sim_network_options *options)
{
    memset(&network, 0, sizeof network);
    network.options = *options;
    list_init(&network.mishaps);
}

void sim_network_set(const struct sim_network_options *options)
{
    network.options = *options;
}

static struct sim_socket *find(uint64_t id)
{
    struct map_node *node = map_find(&network.sockets, slice_of(&id, sizeof id));
    return node == NULL ? NULL : CONTAINER_OF(node, struct sim_socket, by_id);
}

static struct sim_socket *socket_new(struct sim_host *host, struct host local)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    struct sim_socket *socket = mem_zalloc(sizeof *socket);
    socket->id = ++network.next_id;
    socket->host = host;
    socket->local = local;
    socket->ready.run = on_ready;
    socket->deliver.run = on_deliver;
    list_init(&socket->writes);
    list_init(&socket->out);
    list_init(&socket->backlog);
    map_put(&network.sockets, &socket->by_id, slice_of(&socket->id, sizeof socket->id));
    sim_memory_use(owner);
    return socket;
}

struct sim_socket *sim_socket_new(struct sim_handle *handle, struct host local)
{
    struct sim_socket *socket = socket_new(handle->loop->process->host, local);
    socket->handle = handle;
    list_append(&handle->loop->process->sockets, &socket->in_process);
    return socket;
}

static void drop_out(struct sim_socket *socket)
{
    while (!list_empty(&socket->out)) {
        free(CONTAINER_OF(list_pop(&socket->out), struct segment, link));
    }
    sim_event_cancel(&socket->deliver);
}

static void socket_free(struct sim_socket *socket)
{
    drop_out(socket);
    while (!list_empty(&socket->writes)) {
        free(CONTAINER_OF(list_pop(&socket->writes), struct sim_write, link));
    }
    while (!list_empty(&socket->backlog)) {
        struct sim_socket *waiting =
            CONTAINER_OF(list_pop(&socket->backlog), struct sim_socket, in_backlog);
        send_segment(waiting, SEGMENT_RESET, NULL, 0);
    }
    list_remove(&socket->in_backlog);
    list_remove(&socket->in_process);
    list_remove(&socket->ready.link);
    map_remove(&network.sockets, &socket->by_id);
    buf_close(&socket->in);
    buf_close(&socket->unsent);
    free(socket);
}

void sim_network_close(void)
{
    struct map_node *node;
    while ((node = map_first(&network.sockets)) != NULL) {
        socket_free(CONTAINER_OF(node, struct sim_socket, by_id));
    }
    map_close(&network.sockets);
    while (!list_empty(&network.mishaps)) {
        struct mishap *mishap = CONTAINER_OF(list_pop(&network.mishaps), struct mishap, link);
        sim_event_cancel(&mishap->event);
        free(mishap);
    }
}

/* ---- What is under way ---- */

static uint64_t travel_us(const struct sim_host *from, const struct sim_host *to)
{
    if (from == to) {
        return LOOPBACK_US;
    }
    const struct sim_network_options *options = &network.options;
    uint64_t us = options->delay_us + sim_draw(SIM_NETWORK, options->jitter_us + 1);
    if (sim_one_in(SIM_NETWORK, options->spike_of)) {
        us += sim_draw(SIM_NETWORK, 100 * SIM_MS);
    }
    return us + network.extra_us[from->index] + (to == NULL ? 0 : network.extra_us[to->index]);
}

static void become_ready(struct sim_socket *socket)
{
    if (socket->handle != NULL && !socket->handle->closing) {
        sim_loop_ready(socket->handle->loop, &socket->ready);
    }
}

static void on_mishap(struct sim_event *event)
{
    struct mishap *mishap = CONTAINER_OF(event, struct mishap, event);
    struct sim_socket *socket = find(mishap->socket);
    if (socket != NULL && socket->error == 0) {
        socket->error = mishap->error;
        drop_out(socket);
        if (socket->handle == NULL && !list_linked(&socket->in_backlog)) {
            socket_free(socket);
        } else {
            become_ready(socket);
        }
    }
    list_remove(&mishap->link);
    free(mishap);
}

/* The end fails after a while, unless it is gone by then. */
static void fail_later(uint64_t socket, int error, uint64_t after_us)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    struct mishap *mishap = mem_zalloc(sizeof *mishap);
    sim_memory_use(owner);
    mishap->socket = socket;
    mishap->error = error;
    mishap->event.run = on_mishap;
    list_append(&network.mishaps, &mishap->link);
    sim_event_set(&mishap->event, sim_now_us() + after_us);
}

static void send_segment(struct sim_socket *socket, enum segment_kind kind, const void *bytes,
                         size_t size)
{
    if (socket->error != 0) {
        return;
    }
    struct sim_owner *owner = sim_memory_use(NULL);
    struct segment *segment = mem_alloc(sizeof *segment + size);
    sim_memory_use(owner);
    const struct sim_host *to = sim_host_find(socket->remote.address);
    uint64_t due = sim_now_us() + travel_us(socket->host, to);
    *segment = (struct segment){.kind = kind, .size = size};
    segment->due_us = due > socket->last_due_us ? due : socket->last_due_us;
    segment->peer = kind == SEGMENT_WELCOME || kind == SEGMENT_SYN ? socket->id : 0;
    socket->last_due_us = segment->due_us;
    if (size > 0) {
        memcpy(segment->bytes, bytes, size);
    }
    list_append(&socket->out, &segment->link);
    if (!sim_event_is_set(&socket->deliver)) {
        sim_event_set(&socket->deliver, segment->due_us);
    }
}

static void arrive_syn(struct sim_socket *socket, struct sim_host *to)
{
    struct sim_socket *listener = sim_socket_listener(socket->remote);
    if (listener == NULL) {
        fail_later(socket->id, UV_ECONNREFUSED, travel_us(to, socket->host));
        return;
    }
    struct sim_socket *end = socket_new(to, socket->remote);
    end->state = SOCKET_OPEN;
    end->remote = socket->local;
    end->peer = socket->id;
    list_append(&listener->backlog, &end->in_backlog);
    become_ready(listener);
    send_segment(end, SEGMENT_WELCOME, NULL, 0);
}

static void arrive(struct sim_socket *socket, const struct segment *segment, struct sim_host *to)
{
    if (segment->kind == SEGMENT_SYN) {
        arrive_syn(socket, to);
        return;
    }
    struct sim_socket *peer = find(socket->peer);
    if (peer == NULL || (peer->handle == NULL && !list_linked(&peer->in_backlog))) {
        if (segment->kind != SEGMENT_RESET) {
            fail_later(socket->id, UV_ECONNRESET, travel_us(to, socket->host)); // Unknown here.
        }
        return;
    }
    switch (segment->kind) {
    case SEGMENT_WELCOME:
        peer->peer = segment->peer;
        peer->state = SOCKET_OPEN;
        break;
    case SEGMENT_DATA: {
        struct sim_owner *owner = sim_memory_use(NULL);
        buf_put(&peer->in, segment->bytes, segment->size);
        sim_memory_use(owner);
        break;
    }
    case SEGMENT_END:
        peer->in_end = true;
        break;
    case SEGMENT_RESET:
        peer->error = peer->error == 0 ? UV_ECONNRESET : peer->error;
        drop_out(peer);
        break;
    case SEGMENT_SYN:
        UNREACHABLE();
    }
    become_ready(peer);
}

/* Could not get through: again later, or never. */
static void resend(struct sim_socket *socket)
{
    uint64_t now = sim_now_us();
    if (socket->stuck_since_us == 0) {
        socket->stuck_since_us = now;
    }
    if (now - socket->stuck_since_us < GIVE_UP_US) {
        sim_event_set(&socket->deliver, now + RESEND_US + sim_draw(SIM_NETWORK, RESEND_US));
    } else if (socket->handle == NULL && !list_linked(&socket->in_backlog)) {
        socket_free(socket);
    } else {
        drop_out(socket);
        socket->error = UV_ETIMEDOUT;
        become_ready(socket);
    }
}

static void on_deliver(struct sim_event *event)
{
    struct sim_socket *socket = CONTAINER_OF(event, struct sim_socket, deliver);
    struct sim_host *to = sim_host_find(socket->remote.address);
    if (to == NULL || !to->powered || network.cut[socket->host->index][to->index]) {
        resend(socket);
        return;
    }
    socket->stuck_since_us = 0;
    struct segment *segment = CONTAINER_OF(list_pop(&socket->out), struct segment, link);
    sim_trace(socket->host->name, "reaches", to->index,
              ((uint64_t)segment->kind << 56) ^ ((uint64_t)segment->size << 32) ^
                  crc32c(0, segment->bytes, segment->size));
    uint64_t id = socket->id;
    arrive(socket, segment, to);
    free(segment);
    socket = find(id);
    if (socket == NULL) {
        return;
    }
    if (!list_empty(&socket->out)) {
        sim_event_set(event, CONTAINER_OF(socket->out.next, struct segment, link)->due_us);
    } else if (socket->handle == NULL && !list_linked(&socket->in_backlog)) {
        socket_free(socket); // Closed, and all was said.
    }
}

/* Put bytes that wait into segments as far as the window allows. */
static void move_unsent(struct sim_socket *socket)
{
    while (socket->unsent_at < socket->unsent.size && socket->out_bytes < network.options.window &&
           socket->error == 0) {
        size_t room = network.options.window - socket->out_bytes;
        size_t size = socket->unsent.size - socket->unsent_at;
        size = size < room ? size : room;
        size = size < SEGMENT_MAX ? size : SEGMENT_MAX;
        send_segment(socket, SEGMENT_DATA, socket->unsent.data + socket->unsent_at, size);
        socket->unsent_at += size;
        socket->moved += size;
        socket->out_bytes += size;
    }
    if (socket->unsent_at == socket->unsent.size) {
        buf_clear(&socket->unsent);
        socket->unsent_at = 0;
    }
}

/* ---- Use ---- */

struct sim_socket *sim_socket_listener(struct host address)
{
    MAP_FOREACH(node, &network.sockets)
    {
        struct sim_socket *socket = CONTAINER_OF(node, struct sim_socket, by_id);
        if (socket->state == SOCKET_LISTENING && socket->local.port == address.port &&
            socket->local.address == address.address && socket->handle != NULL &&
            !socket->handle->closing) {
            return socket;
        }
    }
    return NULL;
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
    become_ready(socket);
}

void sim_socket_connect(struct sim_socket *socket, struct host remote, uv_connect_t *request)
{
    socket->state = SOCKET_CONNECTING;
    socket->remote = remote;
    socket->connecting = request;
    send_segment(socket, SEGMENT_SYN, NULL, 0);
}

void sim_socket_read(struct sim_socket *socket, uv_alloc_cb alloc, uv_read_cb read)
{
    socket->alloc = alloc;
    socket->read = read;
    if (read != NULL) {
        become_ready(socket);
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
            size_t room = network.options.window - socket->out_bytes;
            size_t size = bufs[i].len - at < room ? bufs[i].len - at : room;
            size = size < SEGMENT_MAX ? size : SEGMENT_MAX;
            if (size == 0) {
                return written == 0 ? UV_EAGAIN : (int)written;
            }
            send_segment(socket, SEGMENT_DATA, bufs[i].base + at, size);
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
    become_ready(socket);
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
    while (find(id) != NULL && !socket->handle->closing && !list_empty(&socket->writes)) {
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
    struct sim_socket *peer = find(socket->peer);
    socket->in_at += size;
    if (socket->in_at == socket->in.size) {
        buf_clear(&socket->in);
        socket->in_at = 0;
    }
    if (peer != NULL) {
        peer->out_bytes -= size;
        if (peer->unsent.size > 0) {
            become_ready(peer);
        }
    }
}

static void run_reads(struct sim_socket *socket)
{
    uint64_t id = socket->id;
    while (find(id) != NULL && !socket->handle->closing && socket->read != NULL) {
        uv_stream_t *stream = (uv_stream_t *)socket->handle->uv;
        size_t there = socket->in.size - socket->in_at;
        uv_buf_t buffer = {0};
        if (there > 0) {
            socket->alloc((uv_handle_t *)stream, SEGMENT_MAX, &buffer);
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

static void on_ready(struct sim_ready *ready)
{
    struct sim_socket *socket = CONTAINER_OF(ready, struct sim_socket, ready);
    uint64_t id = socket->id;
    if (socket->handle == NULL || socket->handle->closing) {
        return;
    }
    while (!list_empty(&socket->backlog) && !socket->handle->closing) {
        struct list *first = socket->backlog.next;
        socket->on_connection((uv_stream_t *)socket->handle->uv, 0);
        ASSERT(find(id) != NULL);
        if (socket->backlog.next == first) {
            break; // Not accepted now.
        }
    }
    run_connected(socket);
    if (find(id) != NULL && !socket->handle->closing) {
        run_writes(socket);
    }
    if (find(id) != NULL && !socket->handle->closing) {
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
static void detach(struct sim_socket *socket, enum segment_kind last)
{
    socket->handle = NULL;
    list_remove(&socket->in_process);
    list_remove(&socket->ready.link);
    if (socket->state == SOCKET_OPEN) {
        send_segment(socket, last, NULL, 0);
    }
    if (socket->state != SOCKET_OPEN || list_empty(&socket->out)) {
        socket_free(socket);
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
                socket_free(CONTAINER_OF(socket->backlog.next, struct sim_socket, in_backlog));
            }
            socket_free(socket);
        } else {
            detach(socket, sim_one_in(SIM_NETWORK, 2) ? SEGMENT_RESET : SEGMENT_END);
        }
    }
}

/* ---- Faults ---- */

void sim_network_cut(const struct sim_host *from, const struct sim_host *to, bool cut)
{
    network.cut[from->index][to->index] = cut;
}

bool sim_network_is_cut(const struct sim_host *from, const struct sim_host *to)
{
    return network.cut[from->index][to->index];
}

void sim_network_slow(const struct sim_host *host, uint64_t extra_us)
{
    network.extra_us[host->index] = extra_us;
}

size_t sim_network_break(const struct sim_host *a, const struct sim_host *b)
{
    size_t count = 0;
    MAP_FOREACH(node, &network.sockets)
    {
        struct sim_socket *socket = CONTAINER_OF(node, struct sim_socket, by_id);
        bool between = (socket->host == a && socket->remote.address == b->address) ||
                       (socket->host == b && socket->remote.address == a->address);
        if (between && socket->state == SOCKET_OPEN) {
            fail_later(socket->id, UV_ECONNRESET, sim_draw(SIM_NETWORK, 5 * SIM_MS));
            count++;
        }
    }
    return count;
}
