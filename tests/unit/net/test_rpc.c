/* rpc and remote: calls end exactly once, whatever the peer does. */
#include "tests/support/loop_peer.h"
#include "tests/support/test.h"

#include "common/net/remote.h"

enum { CALLS_MAX = 8, REPEAT = 1, SILENT = 2, HANG_UP = 3, NOTICE = 4, ASK_BACK = 5, SWALLOW = 6 };

struct fixture {
    uv_loop_t loop;
    struct loop_peer peer;
    struct rpc *rpc;
    struct remote *remote;
    struct random random;
    uint32_t opened;
    uint32_t lost;
    uint32_t noticed;
    uint32_t asked;
    bool closed;
};

/* One call and how it ended. */
struct outcome {
    uint32_t count;
    enum status status;
    int32_t code;
    size_t body_size;
};

static void on_end(void *context, enum status status, const struct command *response)
{
    struct outcome *outcome = context;
    assert_true((status == STATUS_OK) == (response != NULL));
    outcome->count++;
    outcome->status = status;
    outcome->code = response == NULL ? -1 : response->code;
    outcome->body_size = response == NULL ? 0 : response->body.size;
}

static void peer_on_command(struct loop_peer *peer, struct conn *conn,
                            const struct command *command)
{
    struct fixture *fixture = peer->context;
    struct command own;
    if (command_is_response(command)) {
        fixture->asked++;
        return;
    }
    if (command_is_oneway(command)) {
        fixture->noticed++;
        return;
    }
    switch (command->code) {
    case REPEAT:
        loop_peer_answer(conn, command, 7, command->body);
        break;
    case SWALLOW:
        loop_peer_answer(conn, command, 0, (struct slice){0});
        break;
    case HANG_UP:
        conn_close(conn, STATUS_CANCELED);
        break;
    case ASK_BACK:
        command_init_request(&own, REPEAT, command->opaque); // The same number, the other way.
        conn_send_command(conn, &own);
        loop_peer_answer(conn, command, 0, (struct slice){0});
        break;
    default:
        break;
    }
}

static void on_open(void *context, struct remote *remote)
{
    struct fixture *fixture = context;
    struct command notice;
    fixture->opened++;
    command_init_request(&notice, NOTICE, 0);
    assert_int_equal(remote_send(remote, &notice), STATUS_OK);
}

static void on_lost(void *context, struct remote *remote, enum status why)
{
    struct fixture *fixture = context;
    (void)remote;
    assert_true(why != STATUS_PENDING);
    fixture->lost++;
}

static void on_request(void *context, struct remote *remote, struct conn *conn,
                       const struct command *command)
{
    (void)context;
    (void)remote;
    loop_peer_answer(conn, command, 0, (struct slice){0});
}

static const struct remote_events remote_events = {on_open, on_lost, on_request};

static void fixture_open(struct fixture *fixture)
{
    *fixture = (struct fixture){.random = {1}};
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    fixture->peer.on_command = peer_on_command;
    fixture->peer.context = fixture;
    loop_peer_open(&fixture->peer, &fixture->loop, 0);
    fixture->rpc = rpc_new(&fixture->loop, CALLS_MAX);
    const struct remote_options options = {
        .loop = &fixture->loop,
        .rpc = fixture->rpc,
        .host = loop_peer_host(&fixture->peer),
        .events = &remote_events,
        .context = fixture,
        .random = &fixture->random,
    };
    fixture->remote = remote_new(&options);
}

static void on_closed(void *context)
{
    ((struct fixture *)context)->closed = true;
}

static void fixture_close(struct fixture *fixture)
{
    remote_close(fixture->remote, on_closed, fixture);
    loop_peer_close(&fixture->peer);
    while (!fixture->closed) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    rpc_close(fixture->rpc);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
}

static enum status call(struct fixture *fixture, int32_t code, uint64_t timeout_ms,
                        struct outcome *outcome)
{
    struct command request;
    command_init_request(&request, code, 0);
    request.body = slice_text("body");
    *outcome = (struct outcome){0};
    return remote_call(fixture->remote, &request, timeout_ms, on_end, outcome);
}

static void run_until(struct fixture *fixture, const uint32_t *count, uint32_t wanted)
{
    uint64_t start = uv_hrtime();
    while (*count < wanted) {
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
        if (uv_hrtime() - start > 5000000000u) {
            fail_msg("waited in vain");
        }
    }
}

static void a_call_connects_and_gets_its_answer(void **state)
{
    (void)state;
    struct fixture fixture;
    struct outcome outcomes[CALLS_MAX];
    fixture_open(&fixture);
    assert_false(remote_is_open(fixture.remote));
    for (size_t i = 0; i < CALLS_MAX; i++) {
        assert_int_equal(call(&fixture, REPEAT, 5000, &outcomes[i]), STATUS_PENDING);
    }
    assert_int_equal(outcomes[0].count, 0);
    assert_int_equal(rpc_pending(fixture.rpc), CALLS_MAX);
    for (size_t i = 0; i < CALLS_MAX; i++) {
        run_until(&fixture, &outcomes[i].count, 1);
        assert_int_equal(outcomes[i].status, STATUS_OK);
        assert_int_equal(outcomes[i].code, 7);
        assert_int_equal(outcomes[i].body_size, 4);
    }
    assert_int_equal(fixture.opened, 1);
    assert_int_equal(fixture.noticed, 1);
    assert_int_equal(fixture.peer.accepted, 1);
    fixture_close(&fixture);
}

static void calls_are_bounded(void **state)
{
    (void)state;
    struct fixture fixture;
    struct outcome outcomes[CALLS_MAX + 1];
    fixture_open(&fixture);
    for (size_t i = 0; i < CALLS_MAX; i++) {
        assert_int_equal(call(&fixture, SILENT, 5000, &outcomes[i]), STATUS_PENDING);
    }
    assert_int_equal(call(&fixture, REPEAT, 5000, &outcomes[CALLS_MAX]), STATUS_OVERLOADED);
    rpc_cancel(fixture.rpc, &outcomes[3]);
    assert_int_equal(outcomes[3].count, 1);
    assert_int_equal(outcomes[3].status, STATUS_CANCELED);
    fixture_close(&fixture);
    for (size_t i = 0; i < CALLS_MAX; i++) {
        assert_int_equal(outcomes[i].count, 1); // Ended by closing, once each.
    }
    assert_int_equal(outcomes[CALLS_MAX].count, 0);
}

/* Before the connection would be closed for what waits on it. */
static void what_waits_to_be_written_is_bounded(void **state)
{
    (void)state;
    struct fixture fixture;
    struct outcome outcomes[CALLS_MAX] = {{0}};
    struct command request;
    struct buf body = {0};
    uint32_t taken = 0;
    fixture_open(&fixture);
    command_init_request(&request, SWALLOW, 0);
    buf_extend(&body, FRAME_SIZE_MAX / 2);
    request.body = buf_slice(&body);
    memset(body.data, 0, body.size);
    while (remote_call(fixture.remote, &request, 5000, on_end, &outcomes[taken]) ==
           STATUS_PENDING) {
        assert_true(++taken < CALLS_MAX);
    }
    assert_int_equal(taken, REMOTE_OUT_MAX / (FRAME_SIZE_MAX / 2) - 1); // The notice waits, too.
    assert_int_equal(remote_send(fixture.remote, &request), STATUS_OVERLOADED);
    for (uint32_t i = 0; i < taken; i++) {
        run_until(&fixture, &outcomes[i].count, 1);
        assert_int_equal(outcomes[i].status, STATUS_OK);
    }
    assert_int_equal(remote_call(fixture.remote, &request, 5000, on_end, &outcomes[taken]),
                     STATUS_PENDING); // There is room again.
    run_until(&fixture, &outcomes[taken].count, 1);
    assert_int_equal(outcomes[taken].status, STATUS_OK);
    assert_int_equal(fixture.opened, 1);
    buf_close(&body);
    fixture_close(&fixture);
}

static void silence_times_out_in_order_of_deadlines(void **state)
{
    (void)state;
    struct fixture fixture;
    struct outcome slow;
    struct outcome fast;
    struct outcome good;
    fixture_open(&fixture);
    assert_int_equal(call(&fixture, SILENT, 60, &slow), STATUS_PENDING);
    assert_int_equal(call(&fixture, SILENT, 20, &fast), STATUS_PENDING);
    run_until(&fixture, &fast.count, 1);
    assert_int_equal(fast.status, STATUS_TIMED_OUT);
    assert_int_equal(slow.count, 0);
    run_until(&fixture, &slow.count, 1);
    assert_int_equal(slow.status, STATUS_TIMED_OUT);
    assert_int_equal(call(&fixture, REPEAT, 5000, &good), STATUS_PENDING);
    run_until(&fixture, &good.count, 1);
    assert_int_equal(good.status, STATUS_OK);
    fixture_close(&fixture);
}

static void a_lost_connection_ends_all_and_the_next_call_connects_anew(void **state)
{
    (void)state;
    struct fixture fixture;
    struct outcome first;
    struct outcome waiting;
    struct outcome again;
    fixture_open(&fixture);
    assert_int_equal(call(&fixture, REPEAT, 5000, &first), STATUS_PENDING);
    run_until(&fixture, &first.count, 1);
    assert_int_equal(call(&fixture, SILENT, 5000, &waiting), STATUS_PENDING);
    assert_int_equal(call(&fixture, HANG_UP, 5000, &first), STATUS_PENDING);
    run_until(&fixture, &first.count, 1);
    run_until(&fixture, &fixture.lost, 1);
    assert_int_equal(first.status, STATUS_CONNECTION_LOST);
    assert_int_equal(waiting.status, STATUS_CONNECTION_LOST);
    assert_int_equal(call(&fixture, REPEAT, 5000, &again), STATUS_PENDING);
    run_until(&fixture, &again.count, 1);
    assert_int_equal(again.status, STATUS_OK);
    assert_int_equal(fixture.peer.accepted, 2);
    fixture_close(&fixture);
}

static void a_dead_peer_is_left_alone_for_a_while(void **state)
{
    (void)state;
    struct fixture fixture;
    struct outcome outcome;
    fixture_open(&fixture);
    uint32_t port = fixture.peer.listener.port;
    loop_peer_close(&fixture.peer);
    uv_run(&fixture.loop, UV_RUN_NOWAIT);
    assert_int_equal(call(&fixture, REPEAT, 5000, &outcome), STATUS_PENDING);
    run_until(&fixture, &outcome.count, 1);
    assert_int_equal(outcome.status, STATUS_CONNECT_FAILED);
    assert_int_equal(call(&fixture, REPEAT, 5000, &outcome), STATUS_CONNECT_FAILED);
    loop_peer_open(&fixture.peer, &fixture.loop, port);
    uint64_t start = uv_hrtime();
    while (call(&fixture, REPEAT, 5000, &outcome) != STATUS_PENDING) {
        uv_run(&fixture.loop, UV_RUN_NOWAIT);
        assert_true(uv_hrtime() - start < 5000000000u);
    }
    run_until(&fixture, &outcome.count, 1);
    assert_int_equal(outcome.status, STATUS_OK);
    fixture_close(&fixture);
}

/* Numbers of the two directions may be equal: only the flag tells them apart. */
static void requests_of_the_peer_reach_the_handler(void **state)
{
    (void)state;
    struct fixture fixture;
    struct outcome outcome;
    fixture_open(&fixture);
    assert_int_equal(call(&fixture, ASK_BACK, 5000, &outcome), STATUS_PENDING);
    run_until(&fixture, &outcome.count, 1);
    run_until(&fixture, &fixture.asked, 1);
    assert_int_equal(outcome.code, 0);
    fixture_close(&fixture);
}

/* A callback that calls again, as every retry does. */
struct chain {
    struct fixture *fixture;
    struct outcome inner;
    enum status inner_start;
    uint32_t count;
};

static void on_chain(void *context, enum status status, const struct command *response)
{
    struct chain *chain = context;
    (void)status;
    (void)response;
    chain->count++;
    chain->inner_start = call(chain->fixture, REPEAT, 5000, &chain->inner);
}

static void a_callback_may_call_again(void **state)
{
    (void)state;
    struct fixture fixture;
    struct chain chain = {.fixture = &fixture};
    struct command request;
    fixture_open(&fixture);
    struct outcome first;
    assert_int_equal(call(&fixture, REPEAT, 5000, &first), STATUS_PENDING);
    run_until(&fixture, &first.count, 1);
    command_init_request(&request, HANG_UP, 0);
    assert_int_equal(remote_call(fixture.remote, &request, 5000, on_chain, &chain), STATUS_PENDING);
    run_until(&fixture, &chain.count, 1);
    assert_int_equal(chain.inner_start, STATUS_PENDING);
    run_until(&fixture, &chain.inner.count, 1);
    assert_int_equal(chain.inner.status, STATUS_OK);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_connects_and_gets_its_answer),
        cmocka_unit_test(calls_are_bounded),
        cmocka_unit_test(what_waits_to_be_written_is_bounded),
        cmocka_unit_test(silence_times_out_in_order_of_deadlines),
        cmocka_unit_test(a_lost_connection_ends_all_and_the_next_call_connects_anew),
        cmocka_unit_test(a_dead_peer_is_left_alone_for_a_while),
        cmocka_unit_test(requests_of_the_peer_reach_the_handler),
        cmocka_unit_test(a_callback_may_call_again),
    };
    return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
