#include "common/net/listener.h"

#include <unistd.h>

enum { BACKLOG = 1024 };

static int open_socket(struct host host, uint32_t *port);
static void on_connection(uv_stream_t *stream, int result);
static void on_closed(uv_handle_t *handle);

enum status listener_open(struct listener *listener, uv_loop_t *loop, struct host host,
                          void (*on_pending)(struct listener *), void *context)
{
    *listener = (struct listener){.on_pending = on_pending, .context = context};
    // All that can fail is done on the bare descriptor, as a libuv handle cannot be undone at once.
    int descriptor = open_socket(host, &listener->port);
    if (descriptor < 0) {
        return STATUS_IO;
    }
    listener->tcp.data = listener;
    ASSERT(uv_tcp_init(loop, &listener->tcp) == 0);
    ASSERT(uv_tcp_open(&listener->tcp, descriptor) == 0);
    ASSERT(uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection) == 0);
    return STATUS_OK;
}

/* A bound and listening IPv4 socket, or -1. */
static int open_socket(struct host host, uint32_t *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)host.port),
        .sin_addr.s_addr = htonl(host.address),
    };
    socklen_t size = sizeof address;
    int on = 1;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        return -1;
    }
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(descriptor, (const struct sockaddr *)&address, size) != 0 ||
        listen(descriptor, BACKLOG) != 0 ||
        getsockname(descriptor, (struct sockaddr *)&address, &size) != 0) {
        close(descriptor);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return descriptor;
}

static void on_connection(uv_stream_t *stream, int result)
{
    struct listener *listener = stream->data;
    if (result == 0) {
        listener->on_pending(listener);
    }
}

void listener_close(struct listener *listener)
{
    if (!uv_is_closing((uv_handle_t *)&listener->tcp)) {
        uv_close((uv_handle_t *)&listener->tcp, on_closed);
    }
}

static void on_closed(uv_handle_t *handle)
{
    (void)handle; // The owner frees the struct once the loop has run.
}
