/* What is under way between hosts, and what befalls it. */
#include "tests/sim/os/sim_socket_internal.h"

#include "common/base/crc32c.h"

#include <stdlib.h>

enum {
    LOOPBACK_US = 30,
    RESEND_US = 150 * SIM_MS,
    GIVE_UP_US = 6 * SIM_SECOND, /* Unacknowledged for so long: the connection is dead. */
};

struct segment {
    struct list link;
    enum sim_segment_kind kind;
    uint64_t due_us;
    uint64_t peer; /* Of WELCOME: the other end's id. */
    size_t size;
    uint8_t bytes[];
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

struct sim_socket *sim_socket_find(uint64_t id)
{
    struct map_node *node = map_find(&network.sockets, slice_of(&id, sizeof id));
    return node == NULL ? NULL : CONTAINER_OF(node, struct sim_socket, by_id);
}

struct sim_socket *sim_socket_make(struct sim_host *host, struct host local)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    struct sim_socket *socket = mem_zalloc(sizeof *socket);
    socket->id = ++network.next_id;
    socket->host = host;
    socket->local = local;
    socket->ready.run = sim_socket_turn;
    socket->deliver.run = on_deliver;
    list_init(&socket->writes);
    list_init(&socket->out);
    list_init(&socket->backlog);
    map_put(&network.sockets, &socket->by_id, slice_of(&socket->id, sizeof socket->id));
    sim_memory_use(owner);
    return socket;
}

void sim_socket_drop_out(struct sim_socket *socket)
{
    while (!list_empty(&socket->out)) {
        free(CONTAINER_OF(list_pop(&socket->out), struct segment, link));
    }
    sim_event_cancel(&socket->deliver);
}

void sim_socket_free(struct sim_socket *socket)
{
    sim_socket_drop_out(socket);
    while (!list_empty(&socket->writes)) {
        free(CONTAINER_OF(list_pop(&socket->writes), struct sim_write, link));
    }
    while (!list_empty(&socket->backlog)) {
        struct sim_socket *waiting =
            CONTAINER_OF(list_pop(&socket->backlog), struct sim_socket, in_backlog);
        sim_socket_send(waiting, SEGMENT_RESET, NULL, 0);
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
        sim_socket_free(CONTAINER_OF(node, struct sim_socket, by_id));
    }
    map_close(&network.sockets);
    while (!list_empty(&network.mishaps)) {
        struct mishap *mishap = CONTAINER_OF(list_pop(&network.mishaps), struct mishap, link);
        sim_event_cancel(&mishap->event);
        free(mishap);
    }
}

size_t sim_network_window(void)
{
    return network.options.window;
}

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

void sim_socket_ready(struct sim_socket *socket)
{
    if (socket->handle != NULL && !socket->handle->closing) {
        sim_loop_ready(socket->handle->loop, &socket->ready);
    }
}

static void on_mishap(struct sim_event *event)
{
    struct mishap *mishap = CONTAINER_OF(event, struct mishap, event);
    struct sim_socket *socket = sim_socket_find(mishap->socket);
    if (socket != NULL && socket->error == 0) {
        socket->error = mishap->error;
        sim_socket_drop_out(socket);
        if (socket->handle == NULL && !list_linked(&socket->in_backlog)) {
            sim_socket_free(socket);
        } else {
            sim_socket_ready(socket);
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

void sim_socket_send(struct sim_socket *socket, enum sim_segment_kind kind, const void *bytes,
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
    struct sim_socket *end = sim_socket_make(to, socket->remote);
    end->state = SOCKET_OPEN;
    end->remote = socket->local;
    end->peer = socket->id;
    list_append(&listener->backlog, &end->in_backlog);
    sim_socket_ready(listener);
    sim_socket_send(end, SEGMENT_WELCOME, NULL, 0);
}

static void arrive(struct sim_socket *socket, const struct segment *segment, struct sim_host *to)
{
    if (segment->kind == SEGMENT_SYN) {
        arrive_syn(socket, to);
        return;
    }
    struct sim_socket *peer = sim_socket_find(socket->peer);
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
        sim_socket_drop_out(peer);
        break;
    case SEGMENT_SYN:
        UNREACHABLE();
    }
    sim_socket_ready(peer);
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
        sim_socket_free(socket);
    } else {
        sim_socket_drop_out(socket);
        socket->error = UV_ETIMEDOUT;
        sim_socket_ready(socket);
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
    socket = sim_socket_find(id);
    if (socket == NULL) {
        return;
    }
    if (!list_empty(&socket->out)) {
        sim_event_set(event, CONTAINER_OF(socket->out.next, struct segment, link)->due_us);
    } else if (socket->handle == NULL && !list_linked(&socket->in_backlog)) {
        sim_socket_free(socket); // Closed, and all was said.
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
