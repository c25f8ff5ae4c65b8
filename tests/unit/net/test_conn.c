/* conn and listener: over real sockets on the loopback interface. */
#include "tests/support/test.h"

#include "common/net/listener.h"

#include <errno.h>
#include <unistd.h>

enum { LOOPBACK = 0x7F000001, DEADLINE_MS = 10000 };

/* A server that answers each request with its own body, and counts. */
struct server {
    uv_loop_t loop;
    struct listener listener;
    struct conn *last;
    uint32_t accepted;
    uint32_t closed;
    enum status why;
    uint32_t commands;
    struct slice answer; /* Instead of the request's body. */
    struct buf seen;     /* Bodies received, one after the other. */
    uint64_t idle_timeout_ms;
    bool leaves; /* Closes when it has answered, */
    enum status leaves_why;
    bool deadline_passed;
    uv_timer_t deadline;
};

static void server_on_command(struct conn *conn, const struct command *command, struct slice frame)
{
    struct server *server = conn_context(conn);
    struct command response;
    server->commands++;
    assert_true(frame.size >= command->body.size);
    buf_put_slice(&server->seen, command->body);
    if (!command_is_response(command) && !command_is_oneway(command)) {
        command_init_response(&response, command, 0);
        response.body = server->answer.size > 0 ? server->answer : command->body;
        conn_send_command(conn, &response);
    }
    if (server->leaves) {
        conn_close(conn, server->leaves_why);
    }
}

static void server_on_close(struct conn *conn, enum status why)
{
    struct server *server = conn_context(conn);
    server->closed++;
    server->why = why;
    if (server->last == conn) {
        server->last = NULL;
    }
}

static const struct conn_events server_events = {server_on_command, server_on_close};

static void server_on_pending(struct listener *listener)
{
    struct server *server = listener->context;
    const struct conn_options options = {
        .events = &server_events, .context = server, .idle_timeout_ms = server->idle_timeout_ms};
    assert_int_equal(conn_accept((uv_stream_t *)&listener->tcp, &options, &server->last),
                     STATUS_OK);
    server->accepted++;
}

static void on_deadline(uv_timer_t *timer)
{
    struct server *server = timer->data;
    server->deadline_passed = true;
}

static void server_open(struct server *server)
{
    *server = (struct server){0};
    assert_int_equal(uv_loop_init(&server->loop), 0);
    assert_int_equal(listener_open(&server->listener, &server->loop, (struct host){LOOPBACK, 0},
                                   server_on_pending, server),
                     STATUS_OK);
    uv_timer_init(&server->loop, &server->deadline);
    server->deadline.data = server;
    uv_timer_start(&server->deadline, on_deadline, DEADLINE_MS, 0);
}

/* Run the loop until the condition holds. */
#define RUN_UNTIL(server, condition)                                                               \
    while (!(condition)) {                                                                         \
        uv_run(&(server)->loop, UV_RUN_ONCE);                                                      \
        if ((server)->deadline_passed) {                                                           \
            fail_msg("never came true: %s", #condition);                                           \
        }                                                                                          \
    }

static void server_close(struct server *server)
{
    if (server->last != NULL) {
        conn_close(server->last, STATUS_CANCELED);
    }
    listener_close(&server->listener);
    uv_close((uv_handle_t *)&server->deadline, NULL);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&server->loop), 0);
    assert_int_equal(server->closed, server->accepted);
    buf_close(&server->seen);
}

/* A plain blocking socket as the other end. */
static int raw_connect(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server->listener.port),
                                  .sin_addr.s_addr = htonl(LOOPBACK)};
    int raw = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(raw >= 0);
    assert_int_equal(connect(raw, (struct sockaddr *)&address, sizeof address), 0);
    return raw;
}

static void raw_write(int raw, struct slice bytes)
{
    assert_int_equal(write(raw, bytes.data, bytes.size), bytes.size);
}

static struct buf request_frame(int32_t opaque, struct slice body)
{
    struct buf frame = {0};
    struct command request;
    command_init_request(&request, 10, opaque);
    command_add(&request, "topic", slice_text("T\1"));
    request.body = body;
    command_encode(&request, &frame);
    return frame;
}

/* The other end within the same loop. */
struct client {
    struct conn *conn;
    uint32_t answers;
    int32_t opaque_last;
    size_t body_size_last;
    bool closed;
    enum status why;
};

static void client_on_command(struct conn *conn, const struct command *command, struct slice frame)
{
    struct client *client = conn_context(conn);
    (void)frame;
    client->answers++;
    client->opaque_last = command->opaque;
    client->body_size_last = command->body.size;
}

static void client_on_close(struct conn *conn, enum status why)
{
    struct client *client = conn_context(conn);
    client->closed = true;
    client->why = why;
    client->conn = NULL;
}

static const struct conn_events client_events = {client_on_command, client_on_close};

static void client_connect(struct client *client, struct server *server, uint32_t port)
{
    const struct conn_options options = {.events = &client_events, .context = client};
    *client = (struct client){0};
    assert_int_equal(
        conn_connect(&server->loop, (struct host){LOOPBACK, port}, &options, &client->conn),
        STATUS_OK);
}

static void client_close(struct client *client, struct server *server)
{
    conn_close(client->conn, STATUS_OK);
    RUN_UNTIL(server, client->closed);
}

static void requests_are_answered_also_those_sent_before_connecting(void **state)
{
    (void)state;
    struct server server;
    struct client client;
    server_open(&server);
    client_connect(&client, &server, server.listener.port);
    for (int32_t i = 1; i <= 1000; i++) {
        struct buf frame = request_frame(i, slice_text("hello"));
        conn_send(client.conn, buf_slice(&frame));
        buf_close(&frame);
    }
    assert_int_equal(client.answers, 0);
    RUN_UNTIL(&server, client.answers == 1000);
    assert_int_equal(client.opaque_last, 1000);
    assert_int_equal(server.commands, 1000);
    assert_int_equal(server.seen.size, 5000);
    assert_int_equal(conn_peer(client.conn).port, server.listener.port);
    assert_int_equal(conn_peer(server.last).address, LOOPBACK);
    client_close(&client, &server);
    RUN_UNTIL(&server, server.closed == 1);
    assert_int_equal(server.why, STATUS_OK);
    server_close(&server);
}

static void an_answer_arrives_although_the_server_closes_right_behind_it(void **state)
{
    (void)state;
    static const enum status whys[] = {STATUS_OK, STATUS_SHUTTING_DOWN, STATUS_LIMIT};
    for (size_t i = 0; i < sizeof whys / sizeof whys[0]; i++) {
        struct server server;
        struct client client;
        server_open(&server);
        server.leaves = true;
        server.leaves_why = whys[i];
        client_connect(&client, &server, server.listener.port);
        struct buf frame = request_frame(1, slice_text("the last one"));
        conn_send(client.conn, buf_slice(&frame));
        buf_close(&frame);
        RUN_UNTIL(&server, client.closed && server.closed == 1);
        assert_int_equal(client.answers, 1);
        assert_int_equal(server.why, whys[i]);
        server_close(&server);
    }
}

static void a_frame_may_be_split_at_every_byte(void **state)
{
    (void)state;
    struct server server;
    server_open(&server);
    int raw = raw_connect(&server);
    int on = 1;
    setsockopt(raw, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    RUN_UNTIL(&server, server.accepted == 1);
    struct buf frame = request_frame(7, slice_text("split"));
    for (size_t i = 0; i < frame.size; i++) {
        raw_write(raw, slice_of(frame.data + i, 1));
        uv_run(&server.loop, UV_RUN_NOWAIT);
    }
    RUN_UNTIL(&server, server.commands == 1);
    // And two frames with the cut within the second.
    for (size_t cut = 1; cut < frame.size; cut += 7) {
        uint32_t before = server.commands;
        struct buf both = {0};
        buf_put_slice(&both, buf_slice(&frame));
        buf_put(&both, frame.data, cut);
        raw_write(raw, buf_slice(&both));
        RUN_UNTIL(&server, server.commands == before + 1);
        raw_write(raw, slice_of(frame.data + cut, frame.size - cut));
        RUN_UNTIL(&server, server.commands == before + 2);
        buf_close(&both);
    }
    close(raw);
    RUN_UNTIL(&server, server.closed == 1);
    buf_close(&frame);
    server_close(&server);
}

static void what_is_no_frame_closes_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        enum status expected;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18, STATUS_MALFORMED},
        {"\xFF\xFF\xFF\xFF\0\0\0\0", 8, STATUS_MALFORMED},         // Negative length.
        {"\x01\x00\x00\x01\0\0\0\0", 8, STATUS_MALFORMED},         // One byte too long.
        {"\0\0\0\x0A\0\0\0\x07", 8, STATUS_MALFORMED},             // Header beyond the frame.
        {"\0\0\0\x06\0\0\0\x02{}", 10, STATUS_MALFORMED},          // No code.
        {"\0\0\0\x06\x05\0\0\x02{}", 10, STATUS_MALFORMED},        // No such form.
        {"\x16\x03\x01\x02\0\x01\0\x01", 8, STATUS_NOT_SUPPORTED}, // TLS ClientHello.
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct server server;
        server_open(&server);
        int raw = raw_connect(&server);
        raw_write(raw, slice_of(cases[i].bytes, cases[i].size));
        RUN_UNTIL(&server, server.closed == 1);
        assert_int_equal(server.why, cases[i].expected);
        assert_int_equal(server.commands, 0);
        char byte;
        assert_true(read(raw, &byte, 1) <= 0);
        close(raw);
        server_close(&server);
    }
}

static void the_largest_frame_passes_both_ways(void **state)
{
    (void)state;
    struct server server;
    struct client client;
    server_open(&server);
    client_connect(&client, &server, server.listener.port);
    size_t size = FRAME_SIZE_MAX - 1024;
    uint8_t *body = mem_zalloc(size);
    struct command request;
    command_init_request(&request, 10, 1);
    request.body = slice_of(body, size);
    conn_send_command(client.conn, &request);
    RUN_UNTIL(&server, client.answers == 1);
    assert_int_equal(client.body_size_last, size);
    // And small ones after it, with buffers shrunk again.
    request.body = slice_text("small");
    conn_send_command(client.conn, &request);
    RUN_UNTIL(&server, client.answers == 2);
    free(body);
    client_close(&client, &server);
    RUN_UNTIL(&server, server.closed == 1);
    server_close(&server);
}

/* Each has more to say than the other takes before it is heard itself. */
static void who_connects_listens_whatever_it_has_to_say(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct server server;
    struct client client;
    server_open(&server);
    client_connect(&client, &server, server.listener.port);
    uint8_t *body = mem_zalloc(1024 * 1024);
    struct command request;
    for (int32_t i = 0; i < COUNT; i++) {
        command_init_request(&request, 10, i + 1);
        request.body = slice_of(body, 1024 * 1024);
        conn_send_command(client.conn, &request);
    }
    RUN_UNTIL(&server, client.answers == COUNT);
    free(body);
    client_close(&client, &server);
    RUN_UNTIL(&server, server.closed == 1);
    server_close(&server);
}

/* A peer that asks and does not read: the server stops reading from it, so its own memory stays
 * bounded, and goes on when the peer reads at last. */
static void a_slow_reader_is_not_read_from_until_it_reads(void **state)
{
    (void)state;
    struct server server;
    server_open(&server);
    uint8_t *answer = mem_zalloc(1024 * 1024);
    server.answer = slice_of(answer, 1024 * 1024);
    int raw = raw_connect(&server);
    struct buf all = {0};
    for (int32_t i = 0; i < 60; i++) {
        struct buf frame = request_frame(i, slice_text("x"));
        buf_put_slice(&all, buf_slice(&frame));
        buf_close(&frame);
    }
    raw_write(raw, buf_slice(&all));
    RUN_UNTIL(&server, server.commands > 0);
    for (int i = 0; i < 50; i++) {
        uv_run(&server.loop, UV_RUN_NOWAIT);
    }
    assert_true(server.commands < 30);
    assert_true(conn_out_size(server.last) < CONN_OUT_PAUSE + 3 * 1024 * 1024);
    size_t received = 0;
    static char sink[256 * 1024];
    while (received < 60u * 1024 * 1024) {
        uv_run(&server.loop, UV_RUN_NOWAIT);
        ssize_t size = recv(raw, sink, sizeof sink, MSG_DONTWAIT);
        received += size > 0 ? (size_t)size : 0;
        assert_false(server.deadline_passed);
    }
    assert_int_equal(server.commands, 60);
    assert_int_equal(server.closed, 0);
    close(raw);
    RUN_UNTIL(&server, server.closed == 1);
    buf_close(&all);
    free(answer);
    server_close(&server);
}

static void a_peer_that_never_reads_what_is_pushed_is_closed(void **state)
{
    (void)state;
    struct server server;
    server_open(&server);
    int raw = raw_connect(&server);
    RUN_UNTIL(&server, server.accepted == 1);
    uint8_t *body = mem_zalloc(1024 * 1024);
    for (int i = 0; i < 200 && server.closed == 0; i++) {
        struct command notice;
        command_init_request(&notice, 40, i);
        notice.flag = COMMAND_FLAG_ONEWAY;
        notice.body = slice_of(body, 1024 * 1024);
        conn_send_command(server.last, &notice);
        uv_run(&server.loop, UV_RUN_NOWAIT);
    }
    RUN_UNTIL(&server, server.closed == 1);
    assert_int_equal(server.why, STATUS_OVERLOADED);
    free(body);
    close(raw);
    server_close(&server);
}

static void a_refused_connection_is_told_once(void **state)
{
    (void)state;
    struct server server;
    struct client client;
    server_open(&server);
    uint32_t port = server.listener.port;
    listener_close(&server.listener);
    uv_run(&server.loop, UV_RUN_NOWAIT);
    client_connect(&client, &server, port);
    struct buf frame = request_frame(1, slice_text("lost"));
    conn_send(client.conn, buf_slice(&frame));
    RUN_UNTIL(&server, client.closed);
    assert_int_equal(client.why, STATUS_CONNECT_FAILED);
    buf_close(&frame);
    server_close(&server);
}

static void closing_from_within_a_callback_drops_the_rest(void **state);

static void close_on_command(struct conn *conn, const struct command *command, struct slice frame)
{
    struct client *client = conn_context(conn);
    (void)command;
    (void)frame;
    client->answers++;
    conn_close(conn, STATUS_REFUSED);
    conn_close(conn, STATUS_OK);
    assert_true(conn_closing(conn));
    assert_null(conn_out(conn));
    conn_send(conn, slice_text("ignored"));
    assert_false(client->closed); // on_close comes later, never from within.
}

static const struct conn_events closing_events = {close_on_command, client_on_close};

static void closing_from_within_a_callback_drops_the_rest(void **state)
{
    (void)state;
    struct server server;
    struct client client = {0};
    const struct conn_options options = {.events = &closing_events, .context = &client};
    server_open(&server);
    assert_int_equal(conn_connect(&server.loop, (struct host){LOOPBACK, server.listener.port},
                                  &options, &client.conn),
                     STATUS_OK);
    for (int32_t i = 0; i < 3; i++) {
        struct buf frame = request_frame(i, slice_text("x"));
        conn_send(client.conn, buf_slice(&frame));
        buf_close(&frame);
    }
    RUN_UNTIL(&server, client.closed);
    assert_int_equal(client.answers, 1);
    assert_int_equal(client.why, STATUS_REFUSED);
    RUN_UNTIL(&server, server.closed == 1);
    server_close(&server);
}

static void an_idle_connection_is_closed_and_a_busy_one_kept(void **state)
{
    (void)state;
    struct server server;
    server_open(&server);
    server.idle_timeout_ms = 60;
    int raw = raw_connect(&server);
    RUN_UNTIL(&server, server.accepted == 1);
    struct buf frame = request_frame(1, slice_text("x"));
    uint64_t start = uv_hrtime();
    while (uv_hrtime() - start < 150000000) {
        raw_write(raw, buf_slice(&frame));
        uint32_t before = server.commands;
        RUN_UNTIL(&server, server.commands > before);
    }
    assert_int_equal(server.closed, 0);
    RUN_UNTIL(&server, server.closed == 1);
    assert_int_equal(server.why, STATUS_TIMED_OUT);
    buf_close(&frame);
    close(raw);
    server_close(&server);
}

static void a_taken_port_is_refused(void **state)
{
    (void)state;
    struct server server;
    struct listener other;
    server_open(&server);
    assert_int_equal(listener_open(&other, &server.loop,
                                   (struct host){LOOPBACK, server.listener.port}, server_on_pending,
                                   NULL),
                     STATUS_IO);
    server_close(&server);
}

static void a_broken_pipe_is_an_error_after_sigpipe_is_blocked(void **state)
{
    (void)state;
    int ends[2];
    conn_block_sigpipe();
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1); // Else the signal ends this program.
    assert_int_equal(errno, EPIPE);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered_also_those_sent_before_connecting),
        cmocka_unit_test(an_answer_arrives_although_the_server_closes_right_behind_it),
        cmocka_unit_test(a_frame_may_be_split_at_every_byte),
        cmocka_unit_test(what_is_no_frame_closes_the_connection),
        cmocka_unit_test(the_largest_frame_passes_both_ways),
        cmocka_unit_test(who_connects_listens_whatever_it_has_to_say),
        cmocka_unit_test(a_slow_reader_is_not_read_from_until_it_reads),
        cmocka_unit_test(a_peer_that_never_reads_what_is_pushed_is_closed),
        cmocka_unit_test(a_refused_connection_is_told_once),
        cmocka_unit_test(closing_from_within_a_callback_drops_the_rest),
        cmocka_unit_test(an_idle_connection_is_closed_and_a_busy_one_kept),
        cmocka_unit_test(a_taken_port_is_refused),
        cmocka_unit_test(a_broken_pipe_is_an_error_after_sigpipe_is_blocked), // Last: it stays so.
    };
    return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
