#include "raft-glue/fetch_server.h"

#include "common/base/bytes.h"
#include "common/base/crc32c.h"

#include <inttypes.h>
#include <stdlib.h>

enum { WAIT_MS = 20 }; /* Between two looks at whether more is committed. */

struct fetch_server {
    struct fetch_server_options options;
    struct fetch_session *sessions[FETCH_SESSIONS_MAX];
    size_t session_count; /* Also those that only wait for the pool. */
    uint64_t allowed_ms;  /* The next answer may leave then. */
    bool closing;
};

struct fetch_session {
    struct fetch_server *server;
    uv_tcp_t *tcp; /* NULL once the connection has ended. */
    uint64_t member;
    uint64_t pin;
    uint64_t reach; /* The copy must contain this entry; 0: there is none such. */
    void *image;
    uint64_t sent_bytes;
    uint64_t begun_ms;
    uint8_t request_bytes[FETCH_REQUEST_SIZE];
    size_t request_size;
    bool busy; /* From a request until its answer is written. */
    bool in_pool;
    bool writing;
    struct fetch_answer answer;
    uint8_t header[FETCH_ANSWER_SIZE];
    struct buf body;
    bool loading;
    struct log_load load;
    uv_work_t work;
    uv_write_t write;
    uv_timer_t delay;
    bool delay_closed;
};

/* ---- Pins ---- */

static void update_pin(struct fetch_server *server)
{
    uint64_t pin = UINT64_MAX;
    for (size_t i = 0; i < server->session_count; i++) {
        pin = server->sessions[i]->pin < pin ? server->sessions[i]->pin : pin;
    }
    replica_pin(server->options.replica, pin);
}

/* ---- Ends ---- */

static void try_free_server(struct fetch_server *server)
{
    if (server->closing && server->session_count == 0) {
        void (*on_idle)(void *context) = server->options.on_idle;
        void *context = server->options.context;
        free(server);
        on_idle(context);
    }
}

static void try_free(struct fetch_session *session)
{
    struct fetch_server *server = session->server;
    if (session->tcp != NULL || session->in_pool || session->writing || !session->delay_closed) {
        return;
    }
    if (session->image != NULL) {
        server->options.source.close(session->image);
    }
    if (session->loading) {
        segment_log_load_end(server->options.storage->log, &session->load);
    }
    for (size_t i = 0; i < server->session_count; i++) {
        if (server->sessions[i] == session) {
            server->sessions[i] = server->sessions[--server->session_count];
            break;
        }
    }
    update_pin(server);
    log_info(server->options.log, "copy ended", "member=%" PRIu64 " bytes=%" PRIu64 " ms=%" PRIu64,
             session->member, session->sent_bytes,
             uv_now(server->options.loop) - session->begun_ms);
    buf_close(&session->body);
    free(session);
    try_free_server(server);
}

static void on_delay_closed(uv_handle_t *handle)
{
    struct fetch_session *session = handle->data;
    session->delay_closed = true;
    try_free(session);
}

void fetch_session_end(struct fetch_session *session)
{
    if (session != NULL) {
        session->tcp = NULL;
        uv_close((uv_handle_t *)&session->delay, on_delay_closed);
    }
}

/* ---- Answers ---- */

static void release_answer(struct fetch_session *session)
{
    if (session->loading) {
        session->loading = false;
        segment_log_load_end(session->server->options.storage->log, &session->load);
    }
    session->body.size = 0;
}

static void on_written(uv_write_t *write, int status)
{
    struct fetch_session *session = write->data;
    (void)status; // A broken connection ends by itself.
    session->writing = false;
    if (session->tcp == NULL) {
        try_free(session);
        return;
    }
    release_answer(session);
    session->busy = false;
}

static struct slice body_of(const struct fetch_session *session)
{
    return session->loading ? slice_of(session->load.block->data, session->load.size)
                            : buf_slice(&session->body);
}

static void send_now(struct fetch_session *session)
{
    struct slice body = body_of(session);
    uv_buf_t bufs[2] = {
        uv_buf_init((char *)session->header, sizeof session->header),
        uv_buf_init((char *)(uintptr_t)body.data, (unsigned)body.size),
    };
    session->sent_bytes += body.size;
    session->write.data = session;
    // A refusal means that the connection is ending.
    session->writing =
        uv_write(&session->write, (uv_stream_t *)session->tcp, bufs, 2, on_written) == 0;
}

static void on_delay(uv_timer_t *timer)
{
    struct fetch_session *session = timer->data;
    if (session->tcp != NULL) {
        send_now(session);
    }
}

/* Send the answer when the rate allows it. */
static void send_answer(struct fetch_session *session)
{
    struct fetch_server *server = session->server;
    struct slice body = body_of(session);
    session->answer.body_size = (uint32_t)body.size;
    session->answer.body_crc = crc32c(0, body.data, body.size);
    fetch_answer_encode(&session->answer, session->header);
    uint64_t now = uv_now(server->options.loop);
    uint64_t from = server->allowed_ms > now ? server->allowed_ms : now;
    if (server->options.rate > 0) {
        server->allowed_ms = from + body.size * 1000 / server->options.rate;
    }
    if (from == now) {
        send_now(session);
    } else {
        uv_timer_start(&session->delay, on_delay, from - now, 0);
    }
}

static void refuse(struct fetch_session *session, enum status status)
{
    release_answer(session);
    session->answer = (struct fetch_answer){.type = session->answer.type, .status = status};
    send_answer(session);
}

/* ---- Work in the pool ---- */

static void run(uv_work_t *work)
{
    struct fetch_session *session = work->data;
    if (session->loading) {
        log_load_run(&session->load);
        session->answer.status = session->load.status;
    } else {
        session->answer.status = session->server->options.source.read(
            session->image, &session->body, FETCH_BODY_TARGET, &session->answer.end);
    }
}

/* Damage of the state machine's store is noticed by who owns that. */
static void look_for_damage(const struct fetch_session *session)
{
    const struct fetch_server_options *options = &session->server->options;
    if (session->loading && session->answer.status == STATUS_CORRUPT) {
        options->on_damage(options->context, session->load.first_index + session->load.verified);
    }
}

static void after_run(uv_work_t *work, int status)
{
    (void)status;
    struct fetch_session *session = work->data;
    session->in_pool = false;
    look_for_damage(session);
    if (session->tcp == NULL) {
        try_free(session);
    } else if (session->answer.status != STATUS_OK) {
        log_error(session->server->options.log, "cannot read what another member wants to copy",
                  "member=%" PRIu64 ": %s", session->member, status_text(session->answer.status));
        refuse(session, session->answer.status);
    } else {
        send_answer(session);
    }
}

static void start_work(struct fetch_session *session)
{
    session->in_pool = true;
    session->work.data = session;
    int result = uv_queue_work(session->server->options.loop, &session->work, run, after_run);
    if (result != 0) {
        FATAL("libuv does not take work: %s", uv_strerror(result));
    }
}

/* ---- Requests ---- */

/* Where a copy begins: where the log does, or behind a cut that is not carried out yet, because
 * somebody copies what lies before it. What the membership was there is not known any more. */
static void find_begin(const struct replica_storage *storage, uint64_t *index, uint64_t *position)
{
    const struct segment_log *log = storage->log;
    struct log_entry entry;
    *index = segment_log_first_index(log);
    *position = segment_log_first_position(log);
    if (storage->base.index >= *index && segment_log_entry(log, storage->base.index + 1, &entry)) {
        *index = storage->base.index + 1;
        *position = segment_log_segment_start(log, entry.position);
    }
}

static void put_base(const struct replica_storage *storage, uint64_t first, struct buf *body)
{
    if (first == 1) {
        return;
    }
    uint64_t at = 0;
    struct slice change = replica_storage_change(storage, first - 1, &at);
    struct replica_base base = {
        .index = first - 1,
        .term = segment_log_term(storage->log, first - 1),
        .change_index = at,
        .change_size = (uint32_t)change.size,
    };
    memcpy(base.change, change.data, change.size);
    replica_base_encode(&base, buf_extend(body, REPLICA_BASE_RECORD_SIZE));
}

/* The last entry that is committed, as far as we know, and durable here. */
static uint64_t committed(const struct fetch_server *server)
{
    uint64_t commit = replica_commit_index(server->options.replica);
    uint64_t durable = segment_log_durable_index(server->options.storage->log);
    return commit < durable ? commit : durable;
}

/* Will a copy from here hold what it must? A leader has all that was ever committed, though it may
 * take it a moment to know. */
static bool may_give(const struct fetch_session *session, const struct replica_state *state)
{
    bool reached = session->reach != 0 && committed(session->server) >= session->reach;
    return state->role == REPLICA_LEADER || reached;
}

static void open_copy(struct fetch_session *session, uint64_t reach)
{
    struct fetch_server *server = session->server;
    const struct replica_storage *storage = server->options.storage;
    struct replica_state state = replica_state(server->options.replica);
    session->reach = reach;
    if (!may_give(session, &state)) {
        refuse(session, STATUS_NOT_LEADER);
        return;
    }
    if (session->image != NULL) {
        server->options.source.close(session->image);
    }
    session->image =
        server->options.source.open(server->options.source.context, &session->answer.applied);
    if (session->image == NULL) {
        refuse(session, STATUS_BUSY);
        return;
    }
    find_begin(storage, &session->answer.first_index, &session->pin);
    update_pin(server);
    session->answer.last_index = segment_log_last_index(storage->log);
    session->answer.term = state.role == REPLICA_LEADER ? state.term : 0;
    le64_put(buf_extend(&session->body, 8), session->pin);
    put_base(storage, session->answer.first_index, &session->body);
    log_info(server->options.log, "copy begins",
             "member=%" PRIu64 " entries=%" PRIu64 "-%" PRIu64 " state=%" PRIu64, session->member,
             session->answer.first_index, session->answer.last_index, session->answer.applied);
    send_answer(session);
}

static void send_image(struct fetch_session *session)
{
    if (session->image == NULL) {
        refuse(session, STATUS_INVALID_ARGUMENT);
    } else {
        start_work(session);
    }
}

static void send_entries(struct fetch_session *session, uint64_t index);

/* What this member acknowledged before it lost it still counts for the leader, which would never
 * send it again: a copy that ends below leaves a gap for as long as the term lasts. It will be
 * committed without the member's help, so the copy waits for it. So it does for what it must
 * reach. */
static bool ends_too_early(const struct fetch_session *session, uint64_t last)
{
    return last < session->reach ||
           replica_match_index(session->server->options.replica, session->member) > last;
}

static void on_wait_over(uv_timer_t *timer)
{
    struct fetch_session *session = timer->data;
    if (session->tcp != NULL) {
        send_entries(session, session->answer.first_index);
    }
}

static void send_entries(struct fetch_session *session, uint64_t index)
{
    struct fetch_server *server = session->server;
    struct segment_log *log = server->options.storage->log;
    uint64_t last = committed(server);
    session->answer.first_index = index;
    session->answer.last_index = last;
    if (index == last + 1 && ends_too_early(session, last)) {
        uv_timer_start(&session->delay, on_wait_over, WAIT_MS, 0);
        return;
    }
    if (index == last + 1) {
        send_answer(session);
        return;
    }
    enum status status =
        index > last ? STATUS_NOT_FOUND
                     : segment_log_load_begin(log, index, last, FETCH_BODY_TARGET, &session->load);
    if (status != STATUS_OK) {
        refuse(session, status);
        return;
    }
    session->loading = true;
    session->answer.count = (uint32_t)session->load.count;
    start_work(session);
}

static void serve(struct fetch_session *session, const struct fetch_request *request)
{
    session->busy = true;
    session->body.size = 0;
    session->answer = (struct fetch_answer){.type = request->type};
    switch (request->type) {
    case FETCH_OPEN:
        open_copy(session, request->index);
        return;
    case FETCH_IMAGE:
        send_image(session);
        return;
    case FETCH_ENTRIES:
        send_entries(session, request->index);
        return;
    }
}

bool fetch_session_take(struct fetch_session *session, struct slice bytes)
{
    struct fetch_request request;
    size_t room = FETCH_REQUEST_SIZE - session->request_size;
    if (session->busy || bytes.size > room) {
        return false; // One request at a time.
    }
    memcpy(session->request_bytes + session->request_size, bytes.data, bytes.size);
    session->request_size += bytes.size;
    if (session->request_size < FETCH_REQUEST_SIZE) {
        return true;
    }
    session->request_size = 0;
    if (fetch_request_decode(slice_of(session->request_bytes, FETCH_REQUEST_SIZE), &request) !=
        STATUS_OK) {
        return false;
    }
    serve(session, &request);
    return true;
}

/* ---- Life ---- */

struct fetch_session *fetch_session_begin(struct fetch_server *server, uv_tcp_t *tcp,
                                          uint64_t member)
{
    if (server->closing || server->session_count == FETCH_SESSIONS_MAX) {
        return NULL;
    }
    struct fetch_session *session = mem_zalloc(sizeof *session);
    session->server = server;
    session->tcp = tcp;
    session->member = member;
    session->pin = UINT64_MAX;
    session->begun_ms = uv_now(server->options.loop);
    uv_timer_init(server->options.loop, &session->delay);
    session->delay.data = session;
    server->sessions[server->session_count++] = session;
    return session;
}

struct fetch_server *fetch_server_new(const struct fetch_server_options *options)
{
    struct fetch_server *server = mem_zalloc(sizeof *server);
    server->options = *options;
    return server;
}

void fetch_server_close(struct fetch_server *server)
{
    server->closing = true;
    try_free_server(server);
}
