#include "raft-glue/fetch_client.h"

#include "common/base/crc32c.h"
#include "raft-glue/replica_listen.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum {
    CONNECT_TIMEOUT_MS = 1000,
    STEP_TIMEOUT_MS = 10000, /* Without a single byte. */
};

/* Lives until libuv has closed both handles. */
struct fetch_connection {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t connect;
    uv_write_t write;
    struct buf out;
    uint8_t *to; /* Where received bytes go ... */
    size_t room; /* ... at most so many ... */
    size_t got;  /* ... so many have come. */
    bool done;   /* What is waited for has happened ... */
    int result;  /* ... and went like this: 0 or libuv's error. */
    bool timed_out;
    unsigned open_handles;
    bool *closed; /* Told when the last handle is closed. */
};

/* ---- Life ---- */

static void on_timer(uv_timer_t *timer)
{
    struct fetch_connection *connection = timer->data;
    connection->timed_out = true;
}

static void on_closed(uv_handle_t *handle)
{
    struct fetch_connection *connection = handle->data;
    if (--connection->open_handles == 0) {
        *connection->closed = true;
        buf_close(&connection->out);
        free(connection);
    }
}

static struct fetch_connection *open_connection(struct fetch_client *client)
{
    fetch_client_close(client);
    struct fetch_connection *connection = mem_zalloc(sizeof *connection);
    uv_tcp_init(client->loop, &connection->tcp);
    uv_timer_init(client->loop, &connection->timer);
    connection->tcp.data = connection->timer.data = connection;
    connection->connect.data = connection->write.data = connection;
    connection->open_handles = 2;
    client->connection = connection;
    return connection;
}

void fetch_client_close(struct fetch_client *client)
{
    struct fetch_connection *connection = client->connection;
    buf_close(&client->body);
    if (connection == NULL) {
        return;
    }
    bool closed = false;
    connection->closed = &closed;
    client->connection = NULL;
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
    uv_close((uv_handle_t *)&connection->timer, on_closed);
    while (!closed) {
        uv_run(client->loop, UV_RUN_ONCE);
    }
}

/* Run the loop until the connection says done, or time is up. */
static enum status wait_for(struct fetch_client *client, uint64_t timeout_ms)
{
    struct fetch_connection *connection = client->connection;
    connection->timed_out = false;
    uv_update_time(client->loop);
    uv_timer_start(&connection->timer, on_timer, timeout_ms, 0);
    while (!connection->done && !connection->timed_out && !*client->canceled) {
        uv_run(client->loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&connection->timer);
    if (*client->canceled) {
        return STATUS_CANCELED;
    }
    if (!connection->done) {
        return STATUS_TIMED_OUT;
    }
    return connection->result == 0 ? STATUS_OK : STATUS_IO;
}

bool fetch_client_pause(struct fetch_client *client, uint64_t ms)
{
    struct fetch_connection *connection = open_connection(client);
    connection->done = false;
    enum status status = wait_for(client, ms);
    fetch_client_close(client);
    return status != STATUS_CANCELED;
}

/* ---- Steps ---- */

static void on_connected(uv_connect_t *connect, int status)
{
    struct fetch_connection *connection = connect->data;
    connection->done = true;
    connection->result = status;
}

static void on_written(uv_write_t *write, int status)
{
    struct fetch_connection *connection = write->data;
    connection->done = true;
    connection->result = status;
}

/* Send what is in connection->out. */
static enum status send_out(struct fetch_client *client)
{
    struct fetch_connection *connection = client->connection;
    uv_buf_t buf = uv_buf_init((char *)connection->out.data, (unsigned)connection->out.size);
    connection->done = false;
    if (uv_write(&connection->write, (uv_stream_t *)&connection->tcp, &buf, 1, on_written) != 0) {
        return STATUS_IO;
    }
    enum status status = wait_for(client, STEP_TIMEOUT_MS);
    buf_clear(&connection->out);
    return status;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct fetch_connection *connection = handle->data;
    *buf = uv_buf_init((char *)connection->to + connection->got,
                       (unsigned)(connection->room - connection->got));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    (void)buf;
    struct fetch_connection *connection = stream->data;
    if (size == 0) {
        return;
    }
    uv_read_stop(stream); // More would come when there is room again.
    connection->done = true;
    connection->result = size < 0 ? (int)size : 0;
    connection->got += size < 0 ? 0 : (size_t)size;
}

/* At least one more byte behind what has come. */
static enum status receive_some(struct fetch_client *client)
{
    struct fetch_connection *connection = client->connection;
    connection->done = false;
    if (uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read) != 0) {
        return STATUS_IO;
    }
    return wait_for(client, STEP_TIMEOUT_MS);
}

static void receive_into(struct fetch_client *client, uint8_t *to, size_t room)
{
    client->connection->to = to;
    client->connection->room = room;
    client->connection->got = 0;
}

static enum status receive_all(struct fetch_client *client, uint8_t *to, size_t size)
{
    enum status status = STATUS_OK;
    receive_into(client, to, size);
    while (status == STATUS_OK && client->connection->got < size) {
        status = receive_some(client);
    }
    return status;
}

static enum status connect_and_greet(struct fetch_client *client, struct host host,
                                     const struct hello *hello)
{
    struct fetch_connection *connection = open_connection(client);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)host.port),
        .sin_addr.s_addr = htonl(host.address),
    };
    if (uv_tcp_connect(&connection->connect, &connection->tcp, (struct sockaddr *)&address,
                       on_connected) != 0) {
        return STATUS_IO;
    }
    enum status status = wait_for(client, CONNECT_TIMEOUT_MS);
    if (status != STATUS_OK) {
        return status;
    }
    replica_socket_options(&connection->tcp);
    hello_encode(hello, &connection->out);
    return send_out(client);
}

/* ---- Calls ---- */

enum status fetch_client_probe(struct fetch_client *client, struct host host,
                               const struct hello *hello, struct probe *probe)
{
    ASSERT(hello->kind == HELLO_PROBE);
    enum status status = connect_and_greet(client, host, hello);
    uint8_t *bytes = buf_extend(&client->body, PROBE_SIZE_MAX + 1);
    receive_into(client, bytes, PROBE_SIZE_MAX + 1);
    while (status == STATUS_OK) {
        status = receive_some(client);
        if (status == STATUS_OK) {
            status = probe_decode(slice_of(bytes, client->connection->got), probe);
            if (status != STATUS_PENDING) {
                return status;
            }
            status = STATUS_OK;
        }
    }
    return status;
}

enum status fetch_client_connect(struct fetch_client *client, struct host host,
                                 const struct hello *hello, enum hello_answer *answer)
{
    ASSERT(hello->kind == HELLO_FETCH);
    uint8_t bytes[HELLO_ANSWER_SIZE];
    enum status status = connect_and_greet(client, host, hello);
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
    uint8_t header[FETCH_ANSWER_SIZE];
    fetch_request_encode(request, buf_extend(&client->connection->out, FETCH_REQUEST_SIZE));
    enum status status = send_out(client);
    if (status == STATUS_OK) {
        status = receive_all(client, header, sizeof header);
    }
    if (status == STATUS_OK) {
        status = fetch_answer_decode(slice_of(header, sizeof header), answer);
    }
    if (status != STATUS_OK) {
        return status;
    }
    buf_clear(&client->body);
    status = receive_all(client, buf_extend(&client->body, answer->body_size), answer->body_size);
    if (status == STATUS_OK &&
        (answer->type != request->type ||
         answer->body_crc != crc32c(0, client->body.data, client->body.size))) {
        status = STATUS_MALFORMED;
    }
    return status == STATUS_OK ? answer->status : status;
}
