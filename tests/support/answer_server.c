#include "tests/support/answer_server.h"

#include "tests/support/test.h"

#include "common/net/listener.h"

#include <pthread.h>
#include <stdio.h>

enum { SCRATCH_SIZE = 1024 * 1024, CONNECTIONS_MAX = 64 };

struct answer_server {
    answer_server_answer answer;
    void *context;
    uv_loop_t loop;
    uv_async_t stop;
    struct listener listener;
    struct conn *conns[CONNECTIONS_MAX];
    struct buf scratch;
    pthread_t thread;
    pthread_mutex_t lock; /* Held while answering. */
    char address[32];
};

static void on_command(struct conn *conn, const struct command *command, struct slice frame)
{
    (void)frame;
    struct answer_server *fake = conn_context(conn);
    struct command response;
    command_init_response(&response, command, 0);
    buf_clear(&fake->scratch);
    pthread_mutex_lock(&fake->lock);
    bool answered = fake->answer(fake->context, command, &response, &fake->scratch);
    pthread_mutex_unlock(&fake->lock);
    if (answered && !command_is_oneway(command)) {
        conn_send_command(conn, &response);
    }
}

static void on_close(struct conn *conn, enum status why)
{
    (void)why;
    struct answer_server *fake = conn_context(conn);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        fake->conns[i] = fake->conns[i] == conn ? NULL : fake->conns[i];
    }
}

static void on_pending(struct listener *listener)
{
    static const struct conn_events events = {.on_command = on_command, .on_close = on_close};
    struct answer_server *fake = listener->context;
    struct conn_options options = {.events = &events, .context = fake};
    size_t i = 0;
    while (i + 1 < CONNECTIONS_MAX && fake->conns[i] != NULL) {
        i++;
    }
    if (conn_accept((uv_stream_t *)&listener->tcp, &options, &fake->conns[i]) != STATUS_OK) {
        fake->conns[i] = NULL;
    }
}

static void on_stop(uv_async_t *async)
{
    struct answer_server *fake = async->data;
    listener_close(&fake->listener);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (fake->conns[i] != NULL) {
            conn_close(fake->conns[i], STATUS_OK);
        }
    }
    uv_close((uv_handle_t *)async, NULL);
}

static void *run(void *opaque)
{
    struct answer_server *fake = opaque;
    uv_run(&fake->loop, UV_RUN_DEFAULT);
    return NULL;
}

struct answer_server *answer_server_start(answer_server_answer answer, void *context)
{
    struct answer_server *fake = mem_zalloc(sizeof *fake);
    fake->answer = answer;
    fake->context = context;
    buf_reserve(&fake->scratch, SCRATCH_SIZE);
    assert_int_equal(pthread_mutex_init(&fake->lock, NULL), 0);
    assert_int_equal(uv_loop_init(&fake->loop), 0);
    assert_int_equal(uv_async_init(&fake->loop, &fake->stop, on_stop), 0);
    fake->stop.data = fake;
    assert_int_equal(
        listener_open(&fake->listener, &fake->loop, (struct host){0x7F000001, 0}, on_pending, fake),
        STATUS_OK);
    snprintf(fake->address, sizeof fake->address, "127.0.0.1:%u", fake->listener.port);
    assert_int_equal(pthread_create(&fake->thread, NULL, run, fake), 0);
    return fake;
}

const char *answer_server_address(const struct answer_server *fake)
{
    return fake->address;
}

void answer_server_sync(struct answer_server *fake)
{
    pthread_mutex_lock(&fake->lock);
    pthread_mutex_unlock(&fake->lock);
}

void answer_server_stop(struct answer_server *fake)
{
    uv_async_send(&fake->stop);
    pthread_join(fake->thread, NULL);
    assert_int_equal(uv_loop_close(&fake->loop), 0);
    pthread_mutex_destroy(&fake->lock);
    buf_close(&fake->scratch);
    free(fake);
}
