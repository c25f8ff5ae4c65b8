/* One link's connection:
 *
 *   DOWN --timer--> CONNECTING --connected--> GREETING --welcome--> OPEN
 *     ^                 |                        |                   |
 *     +--- backoff -----+------------------------+-------------------+   any error, timeout, end */
#include "raft-glue/replica_listen.h"
#include "raft-glue/replica_peers_internal.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>

static void on_timer(uv_timer_t *timer);

struct link *link_start(struct replica_peers *peers, const struct replica_member *member)
{
    struct link *link = mem_alloc(sizeof *link);
    *link = (struct link){
        .peers = peers,
        .member = *member,
        .backoff_ms = BACKOFF_MIN_MS,
        .refusal = HELLO_WELCOME,
    };
    list_init(&link->pending);
    uv_timer_init(peers->options.loop, &link->timer);
    link->timer.data = link;
    peers->handles++;
    uv_timer_start(&link->timer, on_timer, 0, 0);
    return link;
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct link_connection *connection = handle->data;
    struct replica_peers *peers = connection->peers;
    buf_close(&connection->hello);
    free(connection);
    peers_released(peers);
}

/* Detach the connection; its writes end with an error and free themselves. */
static void disconnect(struct link *link)
{
    struct link_connection *connection = link->connection;
    if (connection != NULL) {
        connection->link = NULL;
        link->connection = NULL;
        uv_close((uv_handle_t *)&connection->tcp, on_connection_closed);
    }
    link->state = LINK_DOWN;
    // The writes under way belong to the old connection and no longer count.
    link->writing_bytes = 0;
    link->writing_count = 0;
    link_drop_pending(link);
}

static void on_link_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;
    struct replica_peers *peers = link->peers;
    free(link);
    peers_released(peers);
}

void link_close(struct link *link)
{
    link->closing = true;
    disconnect(link);
    uv_close((uv_handle_t *)&link->timer, on_link_closed);
}

void link_lost(struct link *link)
{
    if (link->closing) {
        return;
    }
    if (link->state == LINK_OPEN) {
        log_info(link->peers->options.log, "link lost", "member=%" PRIu64, link->member.id);
    }
    disconnect(link);
    uv_timer_start(&link->timer, on_timer, link->backoff_ms, 0);
    link->backoff_ms = 2 * link->backoff_ms;
    if (link->backoff_ms > BACKOFF_MAX_MS) {
        link->backoff_ms = BACKOFF_MAX_MS;
    }
}

void link_renew(struct link *link)
{
    disconnect(link);
    link->backoff_ms = BACKOFF_MIN_MS;
    uv_timer_start(&link->timer, on_timer, 0, 0);
}

static void on_refusal(struct link *link, enum hello_answer answer)
{
    const struct replica_peers_options *options = &link->peers->options;
    if (answer == HELLO_REMOVED) {
        if (options->on_removed(options->context, link->member.id)) {
            link->backoff_ms = BACKOFF_REMOVED_MS;
        }
    } else if (link->refusal != (int)answer && answer != HELLO_NOT_READY) {
        log_error(options->log, "refused by another replica", "member=%" PRIu64 ": %s",
                  link->member.id, hello_answer_text(answer));
    }
    link->refusal = (int)answer;
    link_lost(link);
}

static void on_answer(struct link *link, const struct link_connection *connection)
{
    enum hello_answer answer = HELLO_WELCOME;
    struct slice bytes = slice_of(connection->answer, HELLO_ANSWER_SIZE);
    if (hello_answer_decode(bytes, &answer) != STATUS_OK) {
        log_warn(link->peers->options.log, "not a replica", "member=%" PRIu64, link->member.id);
        link_lost(link);
        return;
    }
    if (answer != HELLO_WELCOME) {
        on_refusal(link, answer);
        return;
    }
    link->refusal = HELLO_WELCOME;
    link->backoff_ms = BACKOFF_MIN_MS;
    link->state = LINK_OPEN;
    uv_timer_stop(&link->timer);
    log_info(link->peers->options.log, "link up", "member=%" PRIu64, link->member.id);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct link_connection *connection = handle->data;
    size_t room = sizeof connection->answer - connection->answer_size;
    *buf = uv_buf_init((char *)connection->answer + connection->answer_size, (unsigned)room);
}

/* The other side speaks only once: its answer. Anything more ends the connection. */
static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    (void)buf;
    struct link_connection *connection = stream->data;
    struct link *link = connection->link;
    if (link == NULL || size == 0) {
        return;
    }
    connection->answer_size += size > 0 ? (size_t)size : 0;
    if (size < 0 || connection->answer_size > HELLO_ANSWER_SIZE) {
        link_lost(link);
        return;
    }
    if (connection->answer_size == HELLO_ANSWER_SIZE) {
        on_answer(link, connection);
    }
}

static void on_hello_written(uv_write_t *write, int status)
{
    struct link_connection *connection = write->data;
    if (status != 0 && connection->link != NULL) {
        link_lost(connection->link);
    }
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct link_connection *connection = connect->data;
    struct link *link = connection->link;
    if (link == NULL) {
        return;
    }
    if (status != 0) {
        link_lost(link);
        return;
    }
    struct replica_peers *peers = link->peers;
    replica_socket_options(&connection->tcp);
    struct hello hello = {
        .version = HELLO_VERSION,
        .kind = HELLO_LINK,
        .draining = peers->draining,
        .sender = peers->options.self,
        .receiver = link->member.id,
        .members = peers->options.members_hash,
        .identity = peers->options.identity,
        .change = peers->options.change_index(peers->options.context),
        .raft_host = peers->options.raft_host,
        .client_host = peers->options.client_host,
        .cluster = name_slice(&peers->cluster),
        .group = name_slice(&peers->group),
    };
    hello_encode(&hello, &connection->hello);
    link->state = LINK_GREETING;
    uv_buf_t buf = uv_buf_init((char *)connection->hello.data, (unsigned)connection->hello.size);
    connection->hello_write.data = connection;
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    if (uv_write(&connection->hello_write, stream, &buf, 1, on_hello_written) != 0 ||
        uv_read_start(stream, on_alloc, on_read) != 0) {
        link_lost(link);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct link *link = timer->data;
    if (link->state != LINK_DOWN) {
        link_lost(link); // Connecting or greeting took too long.
        return;
    }
    struct replica_peers *peers = link->peers;
    struct link_connection *connection = mem_zalloc(sizeof *connection);
    connection->peers = peers;
    connection->link = link;
    connection->tcp.data = connection;
    connection->connect.data = connection;
    uv_tcp_init(peers->options.loop, &connection->tcp);
    peers->handles++;
    link->connection = connection;
    link->state = LINK_CONNECTING;
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)link->member.raft_host.port),
        .sin_addr.s_addr = htonl(link->member.raft_host.address),
    };
    uv_timer_start(&link->timer, on_timer, CONNECT_TIMEOUT_MS, 0);
    if (uv_tcp_connect(&connection->connect, &connection->tcp, (struct sockaddr *)&address,
                       on_connected) != 0) {
        link_lost(link);
    }
}
