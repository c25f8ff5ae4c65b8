#include "raft-glue/replica_admit.h"

#include "common/base/list.h"
#include "raft-glue/replica_listen.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    ROUND_MS = 100,         /* Between two rounds of questions. */
    COMPLAIN_ROUNDS = 50,   /* After so many, say who is missing; and again. */
    EXCHANGE_MAX = 64,      /* Connections at once, both ways. */
    EXCHANGE_ROUNDS = 20,   /* An exchange that lasts longer is given up. */
    EXCHANGE_BUFFER = 2048, /* A hello or an answer. */
};

static_assert((int)EXCHANGE_BUFFER >= (int)HELLO_SIZE_MAX, "any hello fits");
static_assert((int)EXCHANGE_BUFFER >= (int)PROBE_SIZE_MAX, "any answer fits");

struct admit {
    const struct replica_admit_options *options;
    struct admission *admission;
    struct admission_decision decision;
    uint64_t members_hash;
    uv_tcp_t listener;
    uv_timer_t timer;
    struct list exchanges;
    size_t exchange_count;
    unsigned rounds;
    unsigned complained;
};

/* A connection on which one side says hello and the other answers. */
struct exchange {
    struct list queue;
    struct admit *admit;
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    uint64_t asked; /* Whom we ask; 0: we are asked. */
    unsigned born;  /* Round. */
    bool closing;
    struct buf out;
    uint8_t in[EXCHANGE_BUFFER];
    size_t in_size;
};

static void on_exchange_closed(uv_handle_t *handle)
{
    struct exchange *exchange = handle->data;
    exchange->admit->exchange_count--;
    buf_close(&exchange->out);
    free(exchange);
}

static void finish(struct exchange *exchange)
{
    if (!exchange->closing) {
        exchange->closing = true;
        list_remove(&exchange->queue);
        uv_close((uv_handle_t *)&exchange->tcp, on_exchange_closed);
    }
}

static struct exchange *new_exchange(struct admit *admit, uint64_t asked)
{
    struct exchange *exchange = mem_zalloc(sizeof *exchange);
    exchange->admit = admit;
    exchange->asked = asked;
    exchange->born = admit->rounds;
    exchange->tcp.data = exchange;
    exchange->connect.data = exchange;
    exchange->write.data = exchange;
    uv_tcp_init(admit->options->loop, &exchange->tcp);
    list_append(&admit->exchanges, &exchange->queue);
    admit->exchange_count++;
    return exchange;
}

/* ---- Answering ---- */

static enum hello_answer judge(const struct admit *admit, const struct hello *hello)
{
    const struct replica_admit_options *options = admit->options;
    if (hello->version != HELLO_VERSION) {
        return HELLO_OTHER_VERSION;
    }
    if (!slice_equals(hello->cluster, options->cluster)) {
        return HELLO_OTHER_CLUSTER;
    }
    if (!slice_equals(hello->group, options->group)) {
        return HELLO_OTHER_GROUP;
    }
    if (hello->receiver != options->id) {
        return HELLO_OTHER_RECEIVER;
    }
    if (hello->kind != HELLO_PROBE || options->set_aside) {
        return HELLO_NOT_READY;
    }
    // A probe comes from a blank one, too: together we would begin a group.
    return hello->members == admit->members_hash ? HELLO_WELCOME : HELLO_OTHER_MEMBERS;
}

static void on_answered(uv_write_t *write, int status)
{
    (void)status;
    finish(write->data);
}

static void answer(struct exchange *exchange, const struct hello *hello)
{
    struct admit *admit = exchange->admit;
    enum hello_answer verdict = judge(admit, hello);
    if (hello->version == HELLO_VERSION && hello->kind != HELLO_PROBE) {
        uint8_t *to = buf_extend(&exchange->out, HELLO_ANSWER_SIZE);
        hello_answer_encode(verdict, to);
    } else {
        struct probe probe = {.answer = verdict};
        if (verdict == HELLO_WELCOME) {
            probe.blank = true;
            probe.identity = admit->options->identity->number;
        }
        probe_encode(&probe, &exchange->out);
    }
    if (verdict == HELLO_OTHER_MEMBERS) {
        log_error(admit->options->log, "another server is configured with other members",
                  "member=%" PRIu64 "; a group begins only when all agree", hello->sender);
    }
    uv_buf_t buf = uv_buf_init((char *)exchange->out.data, (unsigned)exchange->out.size);
    if (uv_write(&exchange->write, (uv_stream_t *)&exchange->tcp, &buf, 1, on_answered) != 0) {
        finish(exchange);
    }
}

/* ---- Both ---- */

static void take(struct exchange *exchange)
{
    struct slice bytes = slice_of(exchange->in, exchange->in_size);
    enum status status = STATUS_OK;
    if (exchange->asked == 0) {
        struct hello hello;
        size_t size = 0;
        status = hello_decode(bytes, &hello, &size);
        if (status == STATUS_OK) {
            uv_read_stop((uv_stream_t *)&exchange->tcp);
            answer(exchange, &hello);
        }
    } else {
        struct probe probe;
        status = probe_decode(bytes, &probe);
        if (status == STATUS_OK) {
            admission_answer(exchange->admit->admission, exchange->asked, &probe);
            admission_decide(exchange->admit->admission, &exchange->admit->decision);
            finish(exchange);
        }
    }
    if (status != STATUS_OK && status != STATUS_PENDING) {
        finish(exchange);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct exchange *exchange = handle->data;
    *buf = uv_buf_init((char *)exchange->in + exchange->in_size,
                       (unsigned)(sizeof exchange->in - exchange->in_size));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    (void)buf;
    struct exchange *exchange = stream->data;
    if (size < 0) {
        finish(exchange);
    } else if (size > 0 && !exchange->closing) {
        exchange->in_size += (size_t)size;
        take(exchange);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct admit *admit = listener->data;
    if (status != 0) {
        return;
    }
    struct exchange *exchange = new_exchange(admit, 0);
    uv_stream_t *stream = (uv_stream_t *)&exchange->tcp;
    if (uv_accept(listener, stream) != 0 || admit->exchange_count > EXCHANGE_MAX ||
        uv_read_start(stream, on_alloc, on_read) != 0) {
        finish(exchange);
    }
}

/* ---- Asking ---- */

static void on_said(uv_write_t *write, int status)
{
    struct exchange *exchange = write->data;
    if (status != 0) {
        finish(exchange);
    }
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct exchange *exchange = connect->data;
    struct admit *admit = exchange->admit;
    const struct replica_admit_options *options = admit->options;
    if (status != 0 || exchange->closing) {
        finish(exchange);
        return;
    }
    struct hello hello = {
        .version = HELLO_VERSION,
        .kind = HELLO_PROBE,
        .sender = options->id,
        .receiver = exchange->asked,
        .members = admit->members_hash,
        .identity = options->identity->number,
        .client_host = options->client_host,
        .cluster = options->cluster,
        .group = options->group,
    };
    hello_encode(&hello, &exchange->out);
    uv_buf_t buf = uv_buf_init((char *)exchange->out.data, (unsigned)exchange->out.size);
    uv_stream_t *stream = (uv_stream_t *)&exchange->tcp;
    if (uv_write(&exchange->write, stream, &buf, 1, on_said) != 0 ||
        uv_read_start(stream, on_alloc, on_read) != 0) {
        finish(exchange);
    }
}

static void ask(struct admit *admit, const struct admission_peer *peer)
{
    struct host host;
    if (admit->exchange_count >= EXCHANGE_MAX ||
        replica_address_parse(peer->server.address, &host) != STATUS_OK) {
        return;
    }
    struct exchange *exchange = new_exchange(admit, peer->server.id);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)host.port),
        .sin_addr.s_addr = htonl(host.address),
    };
    if (uv_tcp_connect(&exchange->connect, &exchange->tcp, (struct sockaddr *)&address,
                       on_connected) != 0) {
        finish(exchange);
    }
}

static void complain(struct admit *admit)
{
    if (++admit->complained % COMPLAIN_ROUNDS != 0) {
        return;
    }
    if (admit->options->set_aside) {
        log_warn(admit->options->log, "waiting for the other members to get a copy of their data",
                 "member=%" PRIu64 " has not answered; if no member has data that is whole, keep "
                 "what was set aside and see the operations manual",
                 admit->decision.missing);
    } else {
        log_warn(admit->options->log, "waiting for the other members before the first start",
                 "member=%" PRIu64 " has not answered; start it: without its answer this node "
                 "cannot tell a new group from one whose data it lost",
                 admit->decision.missing);
    }
}

static void on_round(uv_timer_t *timer)
{
    struct admit *admit = timer->data;
    admit->rounds++;
    LIST_FOREACH(node, &admit->exchanges)
    {
        struct exchange *exchange = CONTAINER_OF(node, struct exchange, queue);
        if (admit->rounds > exchange->born + EXCHANGE_ROUNDS) {
            finish(exchange);
        }
    }
    admission_decide(admit->admission, &admit->decision);
    if (admit->decision.verdict != ADMISSION_WAIT) {
        return;
    }
    complain(admit);
    for (size_t i = 0; i < admit->admission->peer_count; i++) {
        ask(admit, &admit->admission->peers[i]);
    }
}

/* ---- All of it ---- */

static void on_closed(uv_handle_t *handle)
{
    handle->data = NULL;
}

static void close_all(struct admit *admit)
{
    LIST_FOREACH(node, &admit->exchanges)
    {
        finish(CONTAINER_OF(node, struct exchange, queue));
    }
    uv_close((uv_handle_t *)&admit->listener, on_closed);
    uv_close((uv_handle_t *)&admit->timer, on_closed);
    while (admit->exchange_count > 0 || admit->listener.data != NULL || admit->timer.data != NULL) {
        uv_run(admit->options->loop, UV_RUN_ONCE);
    }
}

static struct host find_self(const struct replica_admit_options *options)
{
    for (size_t i = 0; i < options->member_count; i++) {
        if (options->members[i].id == options->id) {
            return options->members[i].raft_host;
        }
    }
    UNREACHABLE();
}

static void init(struct admit *admit, const struct replica_admit_options *options)
{
    struct replica_voter voters[MEMBERS_MAX] = {0};
    uint64_t ids[MEMBERS_MAX];
    for (size_t i = 0; i < options->member_count; i++) {
        ids[i] = voters[i].id = options->members[i].id;
        replica_address_format(options->members[i].raft_host, voters[i].address);
    }
    list_init(&admit->exchanges);
    admit->members_hash = hello_members_hash(ids, options->member_count);
    admission_init(admit->admission, options->id, options->set_aside, voters,
                   options->member_count);
    admission_decide(admit->admission, &admit->decision);
}

enum status replica_admit(const struct replica_admit_options *options, struct admission *admission,
                          struct admission_decision *decision, char **error)
{
    struct admit admit = {.options = options, .admission = admission};
    *error = NULL;
    init(&admit, options);
    if (admit.decision.verdict == ADMISSION_WAIT) {
        enum status status = replica_listen(options->loop, &admit.listener, find_self(options),
                                            on_connection, error);
        if (status != STATUS_OK) {
            return status;
        }
        admit.listener.data = &admit;
        uv_timer_init(options->loop, &admit.timer);
        admit.timer.data = &admit;
        uv_timer_start(&admit.timer, on_round, 0, ROUND_MS);
        while (admit.decision.verdict == ADMISSION_WAIT && !*options->canceled) {
            uv_run(options->loop, UV_RUN_ONCE);
        }
        close_all(&admit);
    }
    *decision = admit.decision;
    return decision->verdict == ADMISSION_WAIT ? STATUS_CANCELED : STATUS_OK;
}
