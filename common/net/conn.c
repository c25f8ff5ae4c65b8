/* A connection's life:
 *
 *   conn_accept ──► OPEN ──┐
 *   conn_connect ─► CONNECTING ──► OPEN ──┐
 *          └───────────────────────┴──────┴──► CLOSING ──► on_close, freed
 *
 * Handles: the socket, a timer (connect and idle time-outs) and an idle handle that is active only
 * while output waits, so that all frames queued in one turn of the loop leave in one write at the
 * start of the next, before the loop may block. */
#include "common/net/conn.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

enum {
    READ_SIZE_MIN = 16 * 1024,  /* Of the read buffer to begin with, */
    READ_SIZE_MAX = 256 * 1024, /* and the size it grows to when reads fill it. */
    OUT_KEEP_MAX = 256 * 1024,  /* A larger output buffer is freed once it is written. */
    CONNECT_TIMEOUT_MS = 3000,
    TLS_CLIENT_HELLO = 0x16,
    HANDLE_COUNT = 3,
};

struct conn {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_idle_t flusher;
    uv_connect_t connecting;
    uv_write_t writing;
    const struct conn_events *events;
    void *context;
    const struct log *log;
    struct host peer;
    uint64_t id;
    uint64_t idle_timeout_ms;
    uint64_t active_ms; /* Loop time of the last frame either way. */
    struct buf in;      /* Received and not yet dispatched, from in_start on. */
    size_t in_start;
    struct buf out;      /* Queued; not yet given to the loop. */
    struct buf in_write; /* Given to the loop by the write under way. */
    size_t in_write_start;
    struct buf scratch; /* Of command_decode(). */
    enum status why;
    int handles_open;
    bool accepted;
    bool open;    /* Connected. */
    bool reading; /* uv_read_start() is in force. */
    bool closing;
    bool dispatching;
    bool wrote;      /* A uv_write() is under way. */
    bool seen_bytes; /* The peer has sent something. */
    bool reset_on_death;
    bool silent; /* Never came to life: no on_close. */
};

static struct conn *conn_new(uv_loop_t *loop, const struct conn_options *options);
static void start(struct conn *conn);
static void arm_idle(struct conn *conn);
static void on_timer(uv_timer_t *timer);
static void on_connected(uv_connect_t *request, int result);
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out);
static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer);
static void dispatch(struct conn *conn);
static bool next_frame(struct conn *conn, struct slice *frame);
static void settle_input(struct conn *conn);
static void on_turn(uv_idle_t *handle);
static void resume(struct conn *conn);
static void flush(struct conn *conn);
static void on_written(uv_write_t *request, int result);
static void update_reading(struct conn *conn);
static void on_handle_closed(uv_handle_t *handle);
static struct host peer_of(const uv_tcp_t *tcp);

enum status conn_accept(uv_stream_t *listener, const struct conn_options *options,
                        struct conn **out)
{
    struct conn *conn = conn_new(listener->loop, options);
    if (uv_accept(listener, (uv_stream_t *)&conn->tcp) != 0) {
        conn->silent = true;
        conn_close(conn, STATUS_IO);
        return STATUS_IO;
    }
    conn->peer = peer_of(&conn->tcp);
    conn->accepted = true;
    start(conn);
    *out = conn;
    return STATUS_OK;
}

enum status conn_connect(uv_loop_t *loop, struct host host, const struct conn_options *options,
                         struct conn **out)
{
    struct conn *conn = conn_new(loop, options);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)host.port),
        .sin_addr.s_addr = htonl(host.address),
    };
    conn->peer = host;
    if (uv_tcp_connect(&conn->connecting, &conn->tcp, (const struct sockaddr *)&address,
                       on_connected) != 0) {
        conn->silent = true;
        conn_close(conn, STATUS_IO);
        return STATUS_IO;
    }
    uv_timer_start(&conn->timer, on_timer, CONNECT_TIMEOUT_MS, 0);
    *out = conn;
    return STATUS_OK;
}

static struct conn *conn_new(uv_loop_t *loop, const struct conn_options *options)
{
    struct conn *conn = mem_zalloc(sizeof *conn);
    conn->events = options->events;
    conn->context = options->context;
    conn->log = options->log;
    conn->idle_timeout_ms = options->idle_timeout_ms;
    conn->reset_on_death = options->reset_on_death;
    conn->handles_open = HANDLE_COUNT;
    conn->tcp.data = conn;
    conn->timer.data = conn;
    conn->flusher.data = conn;
    // These cannot fail: no descriptor is made before accept or connect.
    ASSERT(uv_tcp_init(loop, &conn->tcp) == 0);
    ASSERT(uv_timer_init(loop, &conn->timer) == 0);
    ASSERT(uv_idle_init(loop, &conn->flusher) == 0);
    // Nanoseconds of one thread's clock: no two connections of a loop are made in the same one.
    conn->id = uv_hrtime();
    return conn;
}

/* With a linger time of zero, closing the descriptor, which is all that the kernel does for a
 * killed process, resets the connection. */
static void set_linger(struct conn *conn, bool reset)
{
    const struct linger linger = {.l_onoff = reset ? 1 : 0, .l_linger = 0};
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
}

/* The socket is connected. */
static void start(struct conn *conn)
{
    conn->open = true;
    conn->active_ms = uv_now(conn->tcp.loop);
    uv_tcp_nodelay(&conn->tcp, 1);
    if (conn->reset_on_death) {
        set_linger(conn, true);
    }
    uv_timer_stop(&conn->timer);
    arm_idle(conn);
    update_reading(conn);
    if (conn->out.size > 0) {
        conn_flush_later(conn);
    }
}

static void arm_idle(struct conn *conn)
{
    if (conn->idle_timeout_ms > 0) {
        uint64_t quiet_ms = uv_now(conn->tcp.loop) - conn->active_ms;
        uv_timer_start(&conn->timer, on_timer, conn->idle_timeout_ms - quiet_ms, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct conn *conn = timer->data;
    if (!conn->open) {
        conn_close(conn, STATUS_CONNECT_FAILED);
    } else if (uv_now(conn->tcp.loop) - conn->active_ms >= conn->idle_timeout_ms) {
        conn_close(conn, STATUS_TIMED_OUT);
    } else {
        if (conn->in.size == 0) {
            buf_close(&conn->in); // A quiet connection should cost little.
            buf_close(&conn->scratch);
        }
        arm_idle(conn);
    }
}

static void on_connected(uv_connect_t *request, int result)
{
    struct conn *conn = CONTAINER_OF(request, struct conn, connecting);
    if (conn->closing) {
        return;
    }
    if (result != 0) {
        conn_close(conn, STATUS_CONNECT_FAILED);
    } else {
        start(conn);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct conn *conn = handle->data;
    if (conn->in.capacity == conn->in.size) {
        buf_reserve(&conn->in, READ_SIZE_MIN);
    }
    *out = uv_buf_init((char *)conn->in.data + conn->in.size,
                       (unsigned)(conn->in.capacity - conn->in.size));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct conn *conn = stream->data;
    if (conn->closing || size == 0) {
        return;
    }
    if (size < 0) {
        conn_close(conn, size == UV_EOF ? STATUS_OK : STATUS_CONNECTION_LOST);
        return;
    }
    bool filled = (size_t)size == buffer->len;
    conn->in.size += (size_t)size;
    if (!conn->seen_bytes && conn->in.data[0] == TLS_CLIENT_HELLO) {
        log_warn(conn->log, "connection refused: TLS is not supported yet", "peer=%u.%u.%u.%u:%u",
                 conn->peer.address >> 24, conn->peer.address >> 16 & 255,
                 conn->peer.address >> 8 & 255, conn->peer.address & 255, conn->peer.port);
        conn_close(conn, STATUS_NOT_SUPPORTED);
        return;
    }
    conn->seen_bytes = true;
    dispatch(conn);
    if (filled && conn->in.size == 0 && conn->in.capacity > 0 &&
        conn->in.capacity < READ_SIZE_MAX) {
        buf_reserve(&conn->in, conn->in.capacity * 2); // Busy: more frames with each read.
    }
}

/* A server stops while its peer does not take what it answers. Who connected goes on: what it is
 * sent it has asked for, and were both to stop, neither would ever go on. */
static bool listens(const struct conn *conn)
{
    return !conn->accepted || conn_out_size(conn) <= CONN_OUT_PAUSE;
}

/* Hand out every whole frame received, unless output piles up or the connection goes. */
static void dispatch(struct conn *conn)
{
    if (conn->dispatching) {
        return;
    }
    conn->dispatching = true;
    struct slice frame;
    while (!conn->closing && listens(conn) && next_frame(conn, &frame)) {
        struct command command;
        buf_clear(&conn->scratch);
        if (command_decode(frame, &conn->scratch, &command) != STATUS_OK) {
            conn_close(conn, STATUS_MALFORMED);
            break;
        }
        conn->in_start += frame.size;
        conn->active_ms = uv_now(conn->tcp.loop);
        conn->events->on_command(conn, &command, frame);
    }
    conn->dispatching = false;
    if (!conn->closing) {
        settle_input(conn);
        update_reading(conn);
    }
}

/* The next whole frame, borrowed from the read buffer; closes on a frame that cannot be one. */
static bool next_frame(struct conn *conn, struct slice *frame)
{
    size_t available = conn->in.size - conn->in_start;
    size_t frame_size;
    if (available < FRAME_PREFIX_SIZE) {
        return false;
    }
    const uint8_t *at = conn->in.data + conn->in_start;
    if (frame_measure(at, &frame_size) != STATUS_OK) {
        conn_close(conn, STATUS_MALFORMED);
        return false;
    }
    *frame = slice_of(at, frame_size);
    return available >= frame_size;
}

/* Move what is left to the front and make the buffer fit it: room for the rest of the frame that
 * has begun, whose size is checked, and not much more. */
static void settle_input(struct conn *conn)
{
    buf_consume(&conn->in, conn->in_start);
    conn->in_start = 0;
    if (conn->in.size == 0 && conn->in.capacity > READ_SIZE_MAX) {
        buf_close(&conn->in);
    }
    if (conn->scratch.capacity > READ_SIZE_MIN) {
        buf_close(&conn->scratch);
    }
    size_t frame_size;
    if (conn->in.size >= FRAME_PREFIX_SIZE &&
        frame_measure(conn->in.data, &frame_size) == STATUS_OK && frame_size > conn->in.capacity) {
        conn->in.data = mem_realloc(conn->in.data, frame_size);
        conn->in.capacity = frame_size;
    }
}

void conn_send(struct conn *conn, struct slice bytes)
{
    if (conn->closing) {
        return;
    }
    buf_put_slice(&conn->out, bytes);
    conn_flush_later(conn);
}

struct buf *conn_out(struct conn *conn)
{
    return conn->closing ? NULL : &conn->out;
}

void conn_send_command(struct conn *conn, const struct command *command)
{
    if (conn->closing) {
        return;
    }
    command_encode(command, &conn->out);
    conn_flush_later(conn);
}

void conn_flush_later(struct conn *conn)
{
    if (conn->closing) {
        return;
    }
    if (conn_out_size(conn) > CONN_OUT_MAX) {
        log_warn(conn->log, "connection closed: the peer reads too slowly",
                 "peer=%u.%u.%u.%u:%u waiting=%zu", conn->peer.address >> 24,
                 conn->peer.address >> 16 & 255, conn->peer.address >> 8 & 255,
                 conn->peer.address & 255, conn->peer.port, conn_out_size(conn));
        conn_close(conn, STATUS_OVERLOADED);
        return;
    }
    if (conn->open && !conn->wrote) {
        uv_idle_start(&conn->flusher, on_turn);
    }
}

static void on_turn(uv_idle_t *handle)
{
    struct conn *conn = handle->data;
    uv_idle_stop(&conn->flusher);
    flush(conn);
    resume(conn);
}

/* Frames may have waited for output to leave: they come first, then the socket is read again. */
static void resume(struct conn *conn)
{
    if (!conn->closing && !conn->reading) {
        dispatch(conn);
    }
}

static void flush(struct conn *conn)
{
    if (conn->closing || conn->wrote || conn->out.size == 0) {
        return;
    }
    conn->active_ms = uv_now(conn->tcp.loop);
    uv_buf_t all = uv_buf_init((char *)conn->out.data, (unsigned)conn->out.size);
    int written = uv_try_write((uv_stream_t *)&conn->tcp, &all, 1);
    if (written < 0 && written != UV_EAGAIN) {
        conn_close(conn, STATUS_CONNECTION_LOST);
        return;
    }
    size_t done = written < 0 ? 0 : (size_t)written;
    if (done == conn->out.size) {
        buf_clear(&conn->out);
        if (conn->out.capacity > OUT_KEEP_MAX) {
            buf_close(&conn->out);
        }
        return;
    }
    buf_close(&conn->in_write);
    conn->in_write = conn->out;
    conn->in_write_start = done;
    conn->out = (struct buf){0};
    uv_buf_t rest =
        uv_buf_init((char *)conn->in_write.data + done, (unsigned)(conn->in_write.size - done));
    conn->wrote = true;
    if (uv_write(&conn->writing, (uv_stream_t *)&conn->tcp, &rest, 1, on_written) != 0) {
        conn->wrote = false;
        conn_close(conn, STATUS_CONNECTION_LOST);
    }
}

static void on_written(uv_write_t *request, int result)
{
    struct conn *conn = CONTAINER_OF(request, struct conn, writing);
    conn->wrote = false;
    buf_close(&conn->in_write);
    conn->in_write_start = 0;
    if (conn->closing) {
        return;
    }
    if (result != 0) {
        conn_close(conn, STATUS_CONNECTION_LOST);
        return;
    }
    flush(conn);
    resume(conn);
}

static void update_reading(struct conn *conn)
{
    bool want = conn->open && !conn->closing && listens(conn);
    if (want && !conn->reading) {
        conn->reading = uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) == 0;
        if (!conn->reading) {
            conn_close(conn, STATUS_CONNECTION_LOST);
        }
    } else if (!want && conn->reading) {
        uv_read_stop((uv_stream_t *)&conn->tcp);
        conn->reading = false;
    }
}

void conn_close(struct conn *conn, enum status why)
{
    if (conn->closing) {
        return;
    }
    if (why != STATUS_CONNECTION_LOST && conn->open && !conn->wrote && conn->out.size > 0) {
        // What was said before we close should arrive, as far as the socket takes it.
        uv_buf_t all = uv_buf_init((char *)conn->out.data, (unsigned)conn->out.size);
        (void)uv_try_write((uv_stream_t *)&conn->tcp, &all, 1);
    }
    if (conn->reset_on_death) {
        set_linger(conn, false); // What the kernel still has to send may arrive.
    }
    conn->closing = true;
    conn->why = why;
    uv_close((uv_handle_t *)&conn->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&conn->timer, on_handle_closed);
    uv_close((uv_handle_t *)&conn->flusher, on_handle_closed);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct conn *conn = handle->data;
    if (--conn->handles_open > 0) {
        return;
    }
    if (!conn->silent) {
        conn->events->on_close(conn, conn->why);
    }
    buf_close(&conn->in);
    buf_close(&conn->out);
    buf_close(&conn->in_write);
    buf_close(&conn->scratch);
    free(conn);
}

void *conn_context(const struct conn *conn)
{
    return conn->context;
}

void conn_set_context(struct conn *conn, void *context)
{
    conn->context = context;
}

bool conn_closing(const struct conn *conn)
{
    return conn->closing;
}

size_t conn_out_size(const struct conn *conn)
{
    return conn->out.size + conn->in_write.size - conn->in_write_start;
}

struct host conn_peer(const struct conn *conn)
{
    return conn->peer;
}

uint64_t conn_id(const struct conn *conn)
{
    return conn->id;
}

/* IPv4, also when mapped into IPv6; 0.0.0.0 for anything else. */
static struct host peer_of(const uv_tcp_t *tcp)
{
    struct sockaddr_storage storage = {0};
    int size = sizeof storage;
    struct host host = {0};
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&storage, &size) != 0) {
        return host;
    }
    if (storage.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&storage;
        host.address = ntohl(v4->sin_addr.s_addr);
        host.port = ntohs(v4->sin_port);
    } else if (storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&storage;
        host.port = ntohs(v6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
            host.address = be32_get(&v6->sin6_addr.s6_addr[12]);
        }
    }
    return host;
}

void conn_block_sigpipe(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    ASSERT(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0);
}
