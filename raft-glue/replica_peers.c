#include "raft-glue/replica_peers_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 64, SWEEP_EVERY_MS = 1000 };

void peers_released(struct replica_peers *peers)
{
    ASSERT(peers->handles > 0);
    if (--peers->handles == 0 && peers->closing) {
        void (*on_closed)(void *context) = peers->on_closed;
        void *context = peers->closed_context;
        free(peers);
        on_closed(context);
    }
}

void peers_socket_options(uv_tcp_t *tcp)
{
    uv_tcp_nodelay(tcp, 1);
    uv_os_fd_t fd = -1;
    int timeout_ms = UNACKNOWLEDGED_TIMEOUT_MS;
    if (uv_fileno((uv_handle_t *)tcp, &fd) == 0) {
        // A member that vanished without a word must not hold the link for TCP's usual minutes.
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    }
}

/* A bound and listening socket, or -1 and errno. Done by hand, because a libuv handle that failed
 * could only be closed by running the loop. */
static int listen_on(struct host host)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int one = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)host.port),
        .sin_addr.s_addr = htonl(host.address),
    };
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, LISTEN_BACKLOG) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct replica_peers *peers = listener->data;
    if (status == 0 && !peers->closing) {
        incoming_accept(peers);
    }
}

/* Close strangers that keep silent. */
static void on_sweep(uv_timer_t *timer)
{
    struct replica_peers *peers = timer->data;
    uint64_t now = uv_now(peers->options.loop);
    LIST_FOREACH(node, &peers->incoming)
    {
        struct incoming *incoming = CONTAINER_OF(node, struct incoming, queue);
        if (incoming->state == INCOMING_STRANGER &&
            now >= incoming->accepted_ms + STRANGER_TIMEOUT_MS) {
            incoming_close(incoming);
        }
    }
}

static const struct replica_member *find_self(const struct replica_peers_options *options)
{
    for (size_t i = 0; i < options->member_count; i++) {
        if (options->members[i].id == options->self) {
            return &options->members[i];
        }
    }
    UNREACHABLE();
}

static void copy_options(struct replica_peers *peers, const struct replica_peers_options *options)
{
    peers->options = *options;
    uint64_t ids[MEMBERS_MAX];
    for (size_t i = 0; i < options->member_count; i++) {
        peers->members[i] = options->members[i];
        ids[i] = options->members[i].id;
    }
    peers->options.members = peers->members;
    peers->members_hash = hello_members_hash(ids, options->member_count);
    ASSERT(name_set(&peers->cluster, options->cluster));
    ASSERT(name_set(&peers->group, options->group));
}

enum status replica_peers_start(const struct replica_peers_options *options,
                                struct replica_peers **out, char **error)
{
    ASSERT(options->member_count <= MEMBERS_MAX);
    struct host self = find_self(options)->raft_host;
    int fd = listen_on(self);
    if (fd < 0) {
        struct buf text = {0};
        buf_printf(&text, "cannot listen on %u.%u.%u.%u:%u: %s", self.address >> 24,
                   (self.address >> 16) & 0xFF, (self.address >> 8) & 0xFF, self.address & 0xFF,
                   self.port, strerror(errno));
        buf_text(&text);
        *error = (char *)buf_take(&text);
        return STATUS_IO;
    }
    struct replica_peers *peers = mem_zalloc(sizeof *peers);
    copy_options(peers, options);
    list_init(&peers->incoming);
    uv_tcp_init(options->loop, &peers->listener);
    peers->listener.data = peers;
    uv_timer_init(options->loop, &peers->sweep);
    peers->sweep.data = peers;
    peers->handles = 2;
    int result = uv_tcp_open(&peers->listener, fd);
    if (result == 0) {
        result = uv_listen((uv_stream_t *)&peers->listener, LISTEN_BACKLOG, on_connection);
    }
    if (result != 0) {
        FATAL("libuv does not take a listening socket: %s", uv_strerror(result));
    }
    uv_timer_start(&peers->sweep, on_sweep, SWEEP_EVERY_MS, SWEEP_EVERY_MS);
    for (size_t i = 0; i < options->member_count; i++) {
        if (options->members[i].id != options->self) {
            link_start(&peers->links[peers->link_count++], peers, &options->members[i]);
        }
    }
    *out = peers;
    return STATUS_OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
    peers_released(handle->data);
}

void replica_peers_close(struct replica_peers *peers, void (*on_closed)(void *context),
                         void *context)
{
    ASSERT(!peers->closing);
    peers->closing = true;
    peers->on_closed = on_closed;
    peers->closed_context = context;
    LIST_FOREACH(node, &peers->incoming)
    {
        incoming_close(CONTAINER_OF(node, struct incoming, queue));
    }
    for (size_t i = 0; i < peers->link_count; i++) {
        link_close(&peers->links[i]);
    }
    uv_close((uv_handle_t *)&peers->listener, on_handle_closed);
    uv_close((uv_handle_t *)&peers->sweep, on_handle_closed);
}

static struct link *find_link(const struct replica_peers *peers, uint64_t id)
{
    for (size_t i = 0; i < peers->link_count; i++) {
        if (peers->links[i].member.id == id) {
            return (struct link *)(uintptr_t)&peers->links[i];
        }
    }
    return NULL;
}

void replica_peers_send(struct replica_peers *peers, const struct replica_outbound *outbound)
{
    struct link *link = find_link(peers, outbound->to);
    if (link != NULL && !peers->closing) {
        link_send(link, outbound);
    }
}

void replica_peers_pause(struct replica_peers *peers, bool pause)
{
    if (peers->paused == pause) {
        return;
    }
    peers->paused = pause;
    LIST_FOREACH(node, &peers->incoming)
    {
        incoming_pause(CONTAINER_OF(node, struct incoming, queue), pause);
    }
}

bool replica_peers_connected(const struct replica_peers *peers, uint64_t id)
{
    const struct link *link = find_link(peers, id);
    return link != NULL && link->state == LINK_OPEN;
}
