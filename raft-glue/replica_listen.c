#include "raft-glue/replica_listen.h"

#include "common/base/buf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum {
    LISTEN_BACKLOG = 64,
    /* For data that nobody acknowledges. */
    UNACKNOWLEDGED_TIMEOUT_MS = 5000,
    /* Of silence, then the kernel asks whether the other end is still there. */
    SILENCE_S = 10,
};

void replica_socket_options(uv_tcp_t *tcp)
{
    uv_tcp_nodelay(tcp, 1);
    uv_os_fd_t fd = -1;
    int timeout_ms = UNACKNOWLEDGED_TIMEOUT_MS;
    if (uv_fileno((uv_handle_t *)tcp, &fd) == 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
        // Who loses power when nothing is under way to it would otherwise count as there for ever.
        int one = 1;
        int silence_s = SILENCE_S;
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &silence_s, sizeof silence_s);
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

enum status replica_listen(uv_loop_t *loop, uv_tcp_t *tcp, struct host host,
                           uv_connection_cb on_connection, char **error)
{
    int fd = listen_on(host);
    if (fd < 0) {
        char address[REPLICA_ADDRESS_SIZE];
        struct buf text = {0};
        int reason = errno;
        replica_address_format(host, address);
        buf_printf(&text, "cannot listen on %s: %s", address, strerror(reason));
        buf_text(&text);
        *error = (char *)buf_take(&text);
        return STATUS_IO;
    }
    uv_tcp_init(loop, tcp);
    int result = uv_tcp_open(tcp, fd);
    if (result == 0) {
        result = uv_listen((uv_stream_t *)tcp, LISTEN_BACKLOG, on_connection);
    }
    if (result != 0) {
        FATAL("libuv does not take a listening socket: %s", uv_strerror(result));
    }
    return STATUS_OK;
}
