/* Connections of other members to us: the hello is judged, then messages are read. */
#include "raft-glue/replica_listen.h"
#include "raft-glue/replica_peers_internal.h"

#include <inttypes.h>
#include <stdlib.h>

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf);

static void on_closed(uv_handle_t *handle)
{
    struct incoming *incoming = handle->data;
    struct replica_peers *peers = incoming->peers;
    block_release(incoming->body);
    buf_close(&incoming->answer);
    free(incoming->buffer);
    free(incoming);
    peers_released(peers);
}

void incoming_close(struct incoming *incoming)
{
    if (incoming->state == INCOMING_CLOSING) {
        return;
    }
    incoming->state = INCOMING_CLOSING;
    list_remove(&incoming->queue);
    fetch_session_end(incoming->session);
    incoming->session = NULL;
    uv_close((uv_handle_t *)&incoming->tcp, on_closed);
}

/* Keep the number of strangers bounded: the oldest goes. */
static void limit_strangers(struct replica_peers *peers)
{
    unsigned count = 0;
    struct incoming *oldest = NULL;
    LIST_FOREACH(node, &peers->incoming)
    {
        struct incoming *incoming = CONTAINER_OF(node, struct incoming, queue);
        if (incoming->state == INCOMING_STRANGER) {
            oldest = oldest == NULL ? incoming : oldest;
            count++;
        }
    }
    if (count > STRANGERS_MAX) {
        incoming_close(oldest);
    }
}

void incoming_accept(struct replica_peers *peers)
{
    struct incoming *incoming = mem_zalloc(sizeof *incoming);
    incoming->peers = peers;
    incoming->tcp.data = incoming;
    incoming->accepted_ms = uv_now(peers->options.loop);
    incoming->buffer_size = HELLO_SIZE_MAX; // A stranger gets no more.
    incoming->buffer = mem_alloc(incoming->buffer_size);
    uv_tcp_init(peers->options.loop, &incoming->tcp);
    peers->handles++;
    list_append(&peers->incoming, &incoming->queue);
    uv_stream_t *stream = (uv_stream_t *)&incoming->tcp;
    if (uv_accept((uv_stream_t *)&peers->listener, stream) != 0 ||
        uv_read_start(stream, on_alloc, on_read) != 0) {
        incoming_close(incoming);
        return;
    }
    replica_socket_options(&incoming->tcp);
    limit_strangers(peers);
}

void incoming_pause(struct incoming *incoming, bool pause)
{
    if (incoming->state != INCOMING_OPEN) {
        return;
    }
    if (pause) {
        uv_read_stop((uv_stream_t *)&incoming->tcp);
    } else {
        (void)uv_read_start((uv_stream_t *)&incoming->tcp, on_alloc, on_read);
    }
}

/* ---- Hello ---- */

static enum hello_answer judge(const struct replica_peers *peers, const struct hello *hello)
{
    if (hello->version != HELLO_VERSION) {
        return HELLO_OTHER_VERSION;
    }
    if (!slice_equals(hello->cluster, name_slice(&peers->cluster))) {
        return HELLO_OTHER_CLUSTER;
    }
    if (!slice_equals(hello->group, name_slice(&peers->group))) {
        return HELLO_OTHER_GROUP;
    }
    if (hello->receiver != peers->options.self) {
        return HELLO_OTHER_RECEIVER;
    }
    if (!hello->sender || hello->sender == peers->options.self) {
        return HELLO_UNKNOWN_SENDER;
    }
    return peers->options.judge(peers->options.context, hello);
}

static void on_refusal_written(uv_write_t *write, int status)
{
    (void)status;
    incoming_close(write->data);
}

static void on_welcome_written(uv_write_t *write, int status)
{
    if (status != 0) {
        incoming_close(write->data);
    }
}

/* R2: the sender's older connection goes, with everything unread on it. So does an older one for a
 * copy: a sender that lost power will never close it. */
static void replace_older(struct incoming *incoming, enum incoming_state state)
{
    LIST_FOREACH(node, &incoming->peers->incoming)
    {
        struct incoming *other = CONTAINER_OF(node, struct incoming, queue);
        if (other != incoming && other->state == state && other->from == incoming->from) {
            incoming_close(other);
        }
    }
}

/* Send what is in incoming->answer. */
static void answer(struct incoming *incoming, uv_write_cb on_written)
{
    uv_buf_t buf = uv_buf_init((char *)incoming->answer.data, (unsigned)incoming->answer.size);
    incoming->answer_write.data = incoming;
    if (uv_write(&incoming->answer_write, (uv_stream_t *)&incoming->tcp, &buf, 1, on_written) !=
        0) {
        incoming_close(incoming);
    }
}

static void answer_hello(struct incoming *incoming, enum hello_answer what)
{
    hello_answer_encode(what, buf_extend(&incoming->answer, HELLO_ANSWER_SIZE));
    answer(incoming, what == HELLO_WELCOME ? on_welcome_written : on_refusal_written);
}

static void answer_probe(struct incoming *incoming, const struct hello *hello,
                         enum hello_answer verdict)
{
    const struct replica_peers_options *options = &incoming->peers->options;
    struct probe probe = {.answer = verdict};
    if (verdict == HELLO_WELCOME) {
        options->describe(options->context, hello, &probe);
    }
    probe_encode(&probe, &incoming->answer);
    answer(incoming, on_refusal_written); // One answer, and that is all.
}

static void log_refusal(const struct incoming *incoming, const struct hello *hello,
                        enum hello_answer verdict)
{
    log_warn(incoming->peers->options.log, "refused a replica",
             "sender=%" PRIu64 " cluster=%.*s group=%.*s reason=%d", hello->sender,
             SLICE_ARGS(hello->cluster), SLICE_ARGS(hello->group), (int)verdict);
}

/* From now on a link: messages are read. */
static void open_link(struct incoming *incoming, size_t hello_size)
{
    incoming->state = INCOMING_OPEN;
    incoming->buffered -= hello_size;
    uint8_t *buffer = mem_alloc(READ_BUFFER_SIZE);
    memcpy(buffer, incoming->buffer + hello_size, incoming->buffered);
    free(incoming->buffer);
    incoming->buffer = buffer;
    incoming->buffer_size = READ_BUFFER_SIZE;
    replace_older(incoming, INCOMING_OPEN);
    answer_hello(incoming, HELLO_WELCOME);
    if (incoming->peers->paused) {
        incoming_pause(incoming, true);
    }
}

static void open_fetch(struct incoming *incoming)
{
    struct replica_peers *peers = incoming->peers;
    replace_older(incoming, INCOMING_FETCH);
    incoming->session = fetch_session_begin(peers->options.fetch, &incoming->tcp, incoming->from);
    if (incoming->session == NULL) {
        uv_read_stop((uv_stream_t *)&incoming->tcp);
        answer_hello(incoming, HELLO_BUSY);
        return;
    }
    incoming->state = INCOMING_FETCH;
    incoming->buffered = 0; // Its requests come after our welcome.
    answer_hello(incoming, HELLO_WELCOME);
}

/* false: no messages are to be read (yet, or ever). */
static bool take_hello(struct incoming *incoming)
{
    struct hello hello;
    size_t size = 0;
    enum status status =
        hello_decode(slice_of(incoming->buffer, incoming->buffered), &hello, &size);
    if (status == STATUS_PENDING) {
        return false;
    }
    if (status != STATUS_OK) {
        log_warn(incoming->peers->options.log, "closed a stranger on the replication port", "%s",
                 "");
        incoming_close(incoming);
        return false;
    }
    enum hello_answer verdict = judge(incoming->peers, &hello);
    incoming->from = hello.sender;
    if (hello.kind == HELLO_PROBE) {
        uv_read_stop((uv_stream_t *)&incoming->tcp);
        answer_probe(incoming, &hello, verdict);
        return false;
    }
    if (verdict != HELLO_WELCOME) {
        log_refusal(incoming, &hello, verdict);
        uv_read_stop((uv_stream_t *)&incoming->tcp);
        answer_hello(incoming, verdict);
        return false;
    }
    if (hello.kind == HELLO_FETCH) {
        open_fetch(incoming);
        return false;
    }
    peers_note(incoming->peers, &hello);
    open_link(incoming, size);
    return incoming->state == INCOMING_OPEN;
}

/* ---- Messages ---- */

static void malformed(struct incoming *incoming)
{
    log_warn(incoming->peers->options.log, "closed a link with damaged messages", "member=%" PRIu64,
             incoming->from);
    incoming_close(incoming);
}

/* A whole message is there: hand it up. */
static void deliver(struct incoming *incoming)
{
    struct replica_peers *peers = incoming->peers;
    struct wire_entry entries[WIRE_ENTRIES_MAX];
    struct replica_inbound inbound = {
        .from = incoming->from,
        .header = incoming->header,
        .body = incoming->body,
        .entries = entries,
    };
    incoming->body = NULL;
    if (inbound.body != NULL) {
        struct slice body = slice_of(inbound.body->data, inbound.body->size);
        if (wire_entries_decode(&inbound.header, body, segment_log_seed(peers->options.segments),
                                entries) != STATUS_OK) {
            block_release(inbound.body);
            malformed(incoming);
            return;
        }
    }
    peers->options.on_message(peers->options.context, &inbound);
    block_release(inbound.body);
}

/* Take messages out of the buffer as long as it holds anything useful. */
static void take_messages(struct incoming *incoming)
{
    size_t at = 0;
    while (incoming->state == INCOMING_OPEN) {
        size_t rest = incoming->buffered - at;
        if (incoming->body != NULL) {
            size_t missing = incoming->body->size - incoming->body_filled;
            size_t part = rest < missing ? rest : missing;
            memcpy(incoming->body->data + incoming->body_filled, incoming->buffer + at, part);
            incoming->body_filled += part;
            at += part;
            if (part < missing) {
                break;
            }
            deliver(incoming);
            continue;
        }
        if (rest < WIRE_HEADER_SIZE) {
            break;
        }
        if (wire_header_decode(slice_of(incoming->buffer + at, WIRE_HEADER_SIZE),
                               &incoming->header) != STATUS_OK) {
            malformed(incoming);
            return;
        }
        at += WIRE_HEADER_SIZE;
        if (incoming->header.body_size > 0) {
            incoming->body = block_new(incoming->header.body_size);
            incoming->body_filled = 0;
        } else {
            deliver(incoming);
        }
    }
    if (incoming->state == INCOMING_OPEN) {
        incoming->buffered -= at;
        memmove(incoming->buffer, incoming->buffer + at, incoming->buffered);
    }
}

/* The body of a large message is read straight into its block. */
static bool reads_body(const struct incoming *incoming)
{
    return incoming->state == INCOMING_OPEN && incoming->body != NULL && incoming->buffered == 0;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct incoming *incoming = handle->data;
    if (reads_body(incoming)) {
        *buf = uv_buf_init((char *)incoming->body->data + incoming->body_filled,
                           (unsigned)(incoming->body->size - incoming->body_filled));
        return;
    }
    *buf = uv_buf_init((char *)incoming->buffer + incoming->buffered,
                       (unsigned)(incoming->buffer_size - incoming->buffered));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    (void)buf;
    struct incoming *incoming = stream->data;
    if (size < 0 || incoming->state == INCOMING_CLOSING) {
        incoming_close(incoming);
        return;
    }
    if (size == 0) {
        return;
    }
    if (incoming->state == INCOMING_FETCH) {
        if (!fetch_session_take(incoming->session, slice_of(incoming->buffer, (size_t)size))) {
            malformed(incoming);
        }
        return;
    }
    if (reads_body(incoming)) {
        incoming->body_filled += (size_t)size;
        if (incoming->body_filled == incoming->body->size) {
            deliver(incoming);
        }
        return;
    }
    incoming->buffered += (size_t)size;
    if (incoming->state == INCOMING_STRANGER && !take_hello(incoming)) {
        return;
    }
    take_messages(incoming);
}
