#include "admin/rpc.h"

#include "common/base/clock.h"
#include "common/base/decimal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct link {
    int fd;
    uint64_t deadline_ms; /* Monotonic. */
};

static enum status link_connect(struct link *link, struct host host);
static enum status link_wait(struct link *link, short events);
static enum status link_write(struct link *link, struct slice bytes);
static enum status link_read(struct link *link, uint8_t *to, size_t size);
static enum status frame_read(struct link *link, struct rpc_reply *reply);

void rpc_reply_close(struct rpc_reply *reply)
{
    buf_close(&reply->frame);
    buf_close(&reply->scratch);
}

enum status rpc_call(struct host host, uint32_t timeout_ms, const struct command *request,
                     struct rpc_reply *reply)
{
    struct link link = {-1, clock_monotonic_ms(clock_system()) + timeout_ms};
    struct buf frame = {0};
    command_encode(request, &frame);
    enum status status = link_connect(&link, host);
    if (status == STATUS_OK) {
        status = link_write(&link, buf_slice(&frame));
    }
    while (status == STATUS_OK) {
        status = frame_read(&link, reply);
        if (status == STATUS_OK && command_is_response(&reply->command) &&
            reply->command.opaque == request->opaque) {
            break;
        }
    }
    if (link.fd >= 0) {
        close(link.fd);
    }
    buf_close(&frame);
    return status;
}

enum status rpc_resolve(struct slice text, struct host *host)
{
    const uint8_t *colon = text.size == 0 ? NULL : memrchr(text.data, ':', text.size);
    int64_t port;
    if (colon == NULL || colon == text.data ||
        !decimal_parse(slice_from(text, (size_t)(colon - text.data) + 1), &port) || port < 1 ||
        port > UINT16_MAX) {
        return STATUS_MALFORMED;
    }
    char *name = mem_copy_text(slice_of(text.data, (size_t)(colon - text.data)));
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(name, NULL, &hints, &found);
    free(name);
    if (error != 0) {
        return STATUS_NOT_FOUND;
    }
    struct sockaddr_in address;
    memcpy(&address, found->ai_addr, sizeof address);
    freeaddrinfo(found);
    *host = (struct host){ntohl(address.sin_addr.s_addr), (uint32_t)port};
    return STATUS_OK;
}

static enum status link_connect(struct link *link, struct host host)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)host.port),
        .sin_addr.s_addr = htonl(host.address),
    };
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0) {
        return STATUS_CONNECT_FAILED;
    }
    int on = 1;
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(link->fd, (struct sockaddr *)&address, sizeof address) == 0) {
        return STATUS_OK;
    }
    if (errno != EINPROGRESS || link_wait(link, POLLOUT) != STATUS_OK) {
        return STATUS_CONNECT_FAILED;
    }
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? STATUS_OK : STATUS_CONNECT_FAILED;
}

static enum status link_wait(struct link *link, short events)
{
    for (;;) {
        uint64_t now = clock_monotonic_ms(clock_system());
        if (now >= link->deadline_ms) {
            return STATUS_TIMED_OUT;
        }
        struct pollfd poll_fd = {.fd = link->fd, .events = events};
        int ready = poll(&poll_fd, 1, (int)(link->deadline_ms - now));
        if (ready > 0) {
            return STATUS_OK;
        }
        if (ready < 0 && errno != EINTR) {
            return STATUS_CONNECTION_LOST;
        }
    }
}

static enum status link_write(struct link *link, struct slice bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(link->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes = slice_from(bytes, (size_t)sent);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return STATUS_CONNECTION_LOST;
        }
        enum status status = link_wait(link, POLLOUT);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status link_read(struct link *link, uint8_t *to, size_t size)
{
    while (size > 0) {
        ssize_t got = recv(link->fd, to, size, 0);
        if (got > 0) {
            to += got;
            size -= (size_t)got;
            continue;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            return STATUS_CONNECTION_LOST;
        }
        enum status status = link_wait(link, POLLIN);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status frame_read(struct link *link, struct rpc_reply *reply)
{
    size_t size;
    buf_clear(&reply->frame);
    buf_clear(&reply->scratch);
    uint8_t *prefix = buf_extend(&reply->frame, FRAME_PREFIX_SIZE);
    enum status status = link_read(link, prefix, FRAME_PREFIX_SIZE);
    if (status != STATUS_OK) {
        return status;
    }
    status = frame_measure(reply->frame.data, &size);
    if (status != STATUS_OK) {
        return status;
    }
    uint8_t *rest = buf_extend(&reply->frame, size - FRAME_PREFIX_SIZE);
    status = link_read(link, rest, size - FRAME_PREFIX_SIZE);
    return status == STATUS_OK
               ? command_decode(buf_slice(&reply->frame), &reply->scratch, &reply->command)
               : status;
}
