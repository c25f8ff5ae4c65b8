/* libuv's TCP handles and the bare sockets that listeners are made of, on sim_socket.c. */
#include "tests/sim/os/sim_socket_internal.h"

#include "common/base/buf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { DESCRIPTOR_FIRST = 1000000, DESCRIPTORS_MAX = 64 };

int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_listen(int fd, int backlog);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *size);
int __wrap_close(int fd);

static struct sockaddr_in to_sockaddr(struct host host)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)host.port),
        .sin_addr.s_addr = htonl(host.address),
    };
}

static struct host from_sockaddr(const struct sockaddr *address)
{
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof v4);
    return (struct host){ntohl(v4.sin_addr.s_addr), ntohs(v4.sin_port)};
}

/* ---- Bare descriptors: only ever bound, and handed to uv_tcp_open() ---- */

static struct host bound[DESCRIPTORS_MAX];
static int next_descriptor;

int __wrap_socket(int domain, int type, int protocol)
{
    (void)domain;
    (void)type;
    (void)protocol;
    int place = next_descriptor++ % DESCRIPTORS_MAX;
    bound[place] = (struct host){sim_process_current()->host->address, 0};
    return DESCRIPTOR_FIRST + place;
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    (void)size;
    struct host host = from_sockaddr(address);
    if (sim_socket_listener(host) != NULL) {
        errno = EADDRINUSE;
        return -1;
    }
    bound[fd - DESCRIPTOR_FIRST] = host;
    return 0;
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    (void)fd;
    (void)address;
    (void)size;
    return 0; // A datagram socket, to learn its own address by.
}

int __wrap_listen(int fd, int backlog)
{
    (void)fd;
    (void)backlog;
    return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    (void)fd;
    (void)level;
    (void)name;
    (void)value;
    (void)size;
    return 0;
}

int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *size)
{
    struct sockaddr_in v4 = to_sockaddr(bound[fd - DESCRIPTOR_FIRST]);
    memcpy(address, &v4, sizeof v4);
    *size = sizeof v4;
    return 0;
}

int __wrap_close(int fd)
{
    ASSERT(fd >= DESCRIPTOR_FIRST); // No code under test opens anything else.
    return 0;
}

/* ---- Handles ---- */

int uv_tcp_init(uv_loop_t *loop, uv_tcp_t *tcp)
{
    sim_handle_new(loop, (uv_handle_t *)tcp, UV_TCP);
    return 0;
}

int uv_tcp_open(uv_tcp_t *tcp, uv_os_sock_t fd)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)tcp);
    handle->socket = sim_socket_new(handle, bound[fd - DESCRIPTOR_FIRST]);
    return 0;
}

int uv_tcp_nodelay(uv_tcp_t *tcp, int enable)
{
    (void)tcp;
    (void)enable;
    return 0;
}

int uv_fileno(const uv_handle_t *handle, uv_os_fd_t *fd)
{
    (void)handle;
    (void)fd;
    return UV_EBADF; // Options of the kernel's sockets mean nothing here.
}

int uv_tcp_getpeername(const uv_tcp_t *tcp, struct sockaddr *address, int *size)
{
    const struct sim_handle *handle = sim_handle_of((const uv_handle_t *)tcp);
    if (handle->socket == NULL) {
        return UV_ENOTCONN;
    }
    struct sockaddr_in v4 = to_sockaddr(handle->socket->remote);
    ASSERT((size_t)*size >= sizeof v4);
    memcpy(address, &v4, sizeof v4);
    *size = sizeof v4;
    return 0;
}

int uv_listen(uv_stream_t *stream, int backlog, uv_connection_cb call)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)stream);
    (void)backlog;
    sim_socket_listen(handle->socket, call);
    sim_handle_activate(handle, true);
    return 0;
}

int uv_accept(uv_stream_t *server, uv_stream_t *client)
{
    struct sim_socket *listener = sim_handle_of((uv_handle_t *)server)->socket;
    struct sim_socket *socket = sim_socket_accept(listener);
    if (socket == NULL) {
        return UV_EAGAIN;
    }
    sim_socket_attach(socket, sim_handle_of((uv_handle_t *)client));
    return 0;
}

int uv_tcp_connect(uv_connect_t *request, uv_tcp_t *tcp, const struct sockaddr *address,
                   uv_connect_cb call)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)tcp);
    struct sim_host *host = handle->loop->process->host;
    struct host local = {host->address, host->next_port};
    host->next_port = host->next_port == 65535 ? 40000 : host->next_port + 1;
    request->handle = (uv_stream_t *)tcp;
    request->cb = call;
    handle->socket = sim_socket_new(handle, local);
    sim_socket_connect(handle->socket, from_sockaddr(address), request);
    handle->loop->active++;
    return 0;
}

int uv_read_start(uv_stream_t *stream, uv_alloc_cb alloc, uv_read_cb read)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)stream);
    if (handle->closing || handle->socket == NULL) {
        return UV_EINVAL;
    }
    sim_socket_read(handle->socket, alloc, read);
    sim_handle_activate(handle, true);
    return 0;
}

int uv_read_stop(uv_stream_t *stream)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)stream);
    if (handle->socket != NULL) {
        sim_socket_read(handle->socket, NULL, NULL);
    }
    sim_handle_activate(handle, false);
    return 0;
}

int uv_try_write(uv_stream_t *stream, const uv_buf_t bufs[], unsigned count)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)stream);
    if (handle->closing || handle->socket == NULL) {
        return UV_EBADF;
    }
    return sim_socket_try_write(handle->socket, bufs, count);
}

int uv_write(uv_write_t *request, uv_stream_t *stream, const uv_buf_t bufs[], unsigned count,
             uv_write_cb call)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)stream);
    if (handle->closing || handle->socket == NULL) {
        return UV_EBADF;
    }
    request->handle = stream;
    request->cb = call;
    sim_socket_write(handle->socket, request, bufs, count);
    handle->loop->active++;
    return 0;
}
