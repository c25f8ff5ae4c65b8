#include "raft-glue/fetch_client.h"

#include "common/base/crc32c.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECT_TIMEOUT_MS = 1000,
    STEP_TIMEOUT_MS = 10000, /* Without a single byte. */
    CANCEL_LOOK_MS = 100,
};

/* Wait until the socket is ready, at most timeout_ms, looking now and then whether to give up. */
static enum status wait_for(const struct fetch_client *client, short events, int timeout_ms)
{
    for (int waited = 0; waited < timeout_ms; waited += CANCEL_LOOK_MS) {
        struct pollfd poll_fd = {.fd = client->fd, .events = events};
        int ready = poll(&poll_fd, 1, CANCEL_LOOK_MS);
        if (atomic_load(client->canceled)) {
            return STATUS_CANCELED;
        }
        if (ready > 0) {
            return STATUS_OK;
        }
        if (ready < 0 && errno != EINTR) {
            return STATUS_IO;
        }
    }
    return STATUS_TIMED_OUT;
}

static enum status send_all(const struct fetch_client *client, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(client->fd, bytes, size, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return STATUS_IO;
        }
        enum status status = wait_for(client, POLLOUT, STEP_TIMEOUT_MS);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* At least one byte, at most `size`; *received is how many. */
static enum status receive_some(const struct fetch_client *client, uint8_t *to, size_t size,
                                size_t *received)
{
    for (;;) {
        ssize_t got = recv(client->fd, to, size, 0);
        if (got > 0) {
            *received = (size_t)got;
            return STATUS_OK;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            return STATUS_IO;
        }
        enum status status = wait_for(client, POLLIN, STEP_TIMEOUT_MS);
        if (status != STATUS_OK) {
            return status;
        }
    }
}

static enum status receive_all(const struct fetch_client *client, uint8_t *to, size_t size)
{
    while (size > 0) {
        size_t received = 0;
        enum status status = receive_some(client, to, size, &received);
        if (status != STATUS_OK) {
            return status;
        }
        to += received;
        size -= received;
    }
    return STATUS_OK;
}

/* Connect and send the hello. */
static enum status open_connection(struct fetch_client *client, struct host host,
                                   const struct hello *hello)
{
    fetch_client_close(client);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0) {
        return STATUS_IO;
    }
    int one = 1;
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)host.port),
        .sin_addr.s_addr = htonl(host.address),
    };
    enum status status = STATUS_OK;
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = 0;
        socklen_t size = sizeof error;
        status = errno == EINPROGRESS ? wait_for(client, POLLOUT, CONNECT_TIMEOUT_MS) : STATUS_IO;
        if (status == STATUS_OK &&
            (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)) {
            status = STATUS_IO;
        }
    }
    if (status == STATUS_OK) {
        struct buf bytes = {0};
        hello_encode(hello, &bytes);
        status = send_all(client, bytes.data, bytes.size);
        buf_close(&bytes);
    }
    return status;
}

enum status fetch_client_probe(struct fetch_client *client, struct host host,
                               const struct hello *hello, struct probe *probe)
{
    ASSERT(hello->kind == HELLO_PROBE);
    enum status status = open_connection(client, host, hello);
    client->body.size = 0;
    while (status == STATUS_OK) {
        size_t received = 0;
        buf_reserve(&client->body, PROBE_SIZE_MAX + 1);
        size_t room = PROBE_SIZE_MAX + 1 - client->body.size;
        status = receive_some(client, client->body.data + client->body.size, room, &received);
        client->body.size += received;
        if (status == STATUS_OK) {
            status = probe_decode(buf_slice(&client->body), probe);
            if (status == STATUS_OK) {
                break;
            }
            status = status == STATUS_PENDING ? STATUS_OK : status;
        }
    }
    if (client->fd >= 0) {
        close(client->fd);
        client->fd = -1;
    }
    return status;
}

enum status fetch_client_connect(struct fetch_client *client, struct host host,
                                 const struct hello *hello, enum hello_answer *answer)
{
    ASSERT(hello->kind == HELLO_FETCH);
    uint8_t bytes[HELLO_ANSWER_SIZE];
    enum status status = open_connection(client, host, hello);
    if (status == STATUS_OK) {
        status = receive_all(client, bytes, sizeof bytes);
    }
    if (status == STATUS_OK) {
        status = hello_answer_decode(slice_of(bytes, sizeof bytes), answer);
    }
    return status == STATUS_OK && *answer != HELLO_WELCOME ? STATUS_REFUSED : status;
}

enum status fetch_client_call(struct fetch_client *client, const struct fetch_request *request,
                              struct fetch_answer *answer)
{
    uint8_t bytes[FETCH_REQUEST_SIZE];
    uint8_t header[FETCH_ANSWER_SIZE];
    fetch_request_encode(request, bytes);
    enum status status = send_all(client, bytes, sizeof bytes);
    if (status == STATUS_OK) {
        status = receive_all(client, header, sizeof header);
    }
    if (status == STATUS_OK) {
        status = fetch_answer_decode(slice_of(header, sizeof header), answer);
    }
    if (status != STATUS_OK) {
        return status;
    }
    client->body.size = 0;
    uint8_t *to = buf_extend(&client->body, answer->body_size);
    status = receive_all(client, to, answer->body_size);
    if (status == STATUS_OK &&
        (answer->type != request->type ||
         answer->body_crc != crc32c(0, client->body.data, client->body.size))) {
        status = STATUS_MALFORMED;
    }
    return status == STATUS_OK ? answer->status : status;
}

void fetch_client_close(struct fetch_client *client)
{
    if (client->fd >= 0) {
        close(client->fd);
    }
    client->fd = -1;
    buf_close(&client->body);
}
