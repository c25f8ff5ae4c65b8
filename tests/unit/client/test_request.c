/* Requests and replies against a fake broker on loopback. */
#include "tests/support/fake_broker.h"
#include "tests/support/test.h"
#include "tests/support/wait.h"

#include "client/include/raftmq.h"

#include <stdio.h>
#include <unistd.h>

enum { THREADS = 8, REQUESTS = 20 };

struct fixture {
    struct fake_broker fake;
    struct raftmq_client *asking;
    struct raftmq_client *answering;
    struct raftmq_producer *asker;
    struct raftmq_producer *answerer;
    struct raftmq_consumer *consumer;
    struct raftmq_error error;
    atomic_int silent;  /* So many requests are not answered, */
    atomic_int late_ms; /* or after so long. */
    atomic_int answered;
    atomic_int not_waited_for;
};

/* Answers "re: " and the request. */
static enum raftmq_consumed answer(void *context, const struct raftmq_received *message)
{
    struct fixture *fixture = context;
    char body[64];
    struct raftmq_error error;
    int size = snprintf(body, sizeof body, "re: %.*s", (int)message->body_size,
                        (const char *)message->body);
    if (atomic_load(&fixture->silent) > 0) {
        atomic_fetch_sub(&fixture->silent, 1);
        return RAFTMQ_CONSUMED;
    }
    if (atomic_load(&fixture->late_ms) > 0) {
        usleep((useconds_t)atomic_load(&fixture->late_ms) * 1000);
    }
    enum raftmq_status status =
        raftmq_answer(fixture->answerer, message, body, (size_t)size, 0, &error);
    atomic_fetch_add(status == RAFTMQ_OK ? &fixture->answered : &fixture->not_waited_for, 1);
    return RAFTMQ_CONSUMED;
}

static int setup(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof *fixture);
    char address[32];
    fake_broker_start(&fixture->fake);
    const struct raftmq_client_options options = {
        .nameservers = fake_broker_address(&fixture->fake, address),
        .rebalance_ms = 50,
    };
    const struct raftmq_subscription subscription = {.topic = "T"};
    const struct raftmq_consumer_options consumer = {
        .group = "c",
        .subscriptions = &subscription,
        .subscription_count = 1,
        .listener = answer,
        .context = fixture,
        .from = RAFTMQ_FROM_FIRST,
    };
    assert_int_equal(raftmq_client_new(&options, &fixture->asking, NULL), RAFTMQ_OK);
    assert_int_equal(raftmq_client_new(&options, &fixture->answering, NULL), RAFTMQ_OK);
    assert_int_equal(raftmq_producer_new(fixture->asking, "p", NULL, NULL, &fixture->asker, NULL),
                     RAFTMQ_OK);
    assert_int_equal(
        raftmq_producer_new(fixture->answering, "q", NULL, NULL, &fixture->answerer, NULL),
        RAFTMQ_OK);
    assert_int_equal(raftmq_consumer_new(fixture->answering, &consumer, &fixture->consumer, NULL),
                     RAFTMQ_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    raftmq_consumer_close(fixture->consumer);
    raftmq_producer_close(fixture->answerer);
    raftmq_producer_close(fixture->asker);
    raftmq_client_close(fixture->answering);
    raftmq_client_close(fixture->asking);
    fake_broker_stop(&fixture->fake);
    free(fixture);
    return 0;
}

static enum raftmq_status ask(struct fixture *fixture, const char *text, uint64_t timeout_ms,
                              struct raftmq_reply **reply, struct raftmq_error *error)
{
    const struct raftmq_message message = {.topic = "T", .body = text, .body_size = strlen(text)};
    return raftmq_request(fixture->asker, &message, timeout_ms, reply, error);
}

/* Many at once: each gets its own. */
static void ask_in_turn(void *context)
{
    struct fixture *fixture = context;
    for (int i = 0; i < REQUESTS; i++) {
        struct raftmq_reply *reply = NULL;
        struct raftmq_error error;
        char text[48];
        char expected[64];
        snprintf(text, sizeof text, "%p %d", (void *)&reply, i);
        snprintf(expected, sizeof expected, "re: %s", text);
        enum raftmq_status status = ask(fixture, text, 10000, &reply, &error);
        if (status != RAFTMQ_OK) {
            fail_msg("request ended with %s: %s", raftmq_status_name(status), error.remark);
        }
        assert_int_equal(reply->message->body_size, strlen(expected));
        assert_memory_equal(reply->message->body, expected, strlen(expected));
        assert_string_equal(reply->message->topic, "C1_REPLY_TOPIC");
        assert_non_null(raftmq_received_property(reply->message, "CORRELATION_ID"));
        raftmq_reply_free(reply);
    }
}

static void each_request_gets_its_own_reply(void **state)
{
    struct fixture *fixture = *state;
    uv_thread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        uv_thread_create(&threads[i], ask_in_turn, fixture);
    }
    for (int i = 0; i < THREADS; i++) {
        uv_thread_join(&threads[i]);
    }
    WAIT_FOR(atomic_load(&fixture->answered) == THREADS * REQUESTS);
    WAIT_FOR(atomic_load(&fixture->fake.replies_taken) == THREADS * REQUESTS);
}

static void without_a_reply_the_time_runs_out_and_a_late_one_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_reply *reply = NULL;
    atomic_store(&fixture->silent, 1);
    assert_int_equal(ask(fixture, "silence", 200, &reply, &fixture->error), RAFTMQ_TIMED_OUT);
    assert_int_equal(atomic_load(&fixture->fake.replies), 0);
    atomic_store(&fixture->late_ms, 400);
    assert_int_equal(ask(fixture, "too late", 200, &reply, &fixture->error), RAFTMQ_TIMED_OUT);
    assert_null(reply);
    WAIT_FOR(atomic_load(&fixture->fake.replies_refused) >= 1);
    assert_int_equal(atomic_load(&fixture->fake.replies_taken), 0);
}

static void close_asker(void *context)
{
    struct fixture *fixture = context;
    // Until the request was consumed: it waits for the reply alone.
    for (int waited = 0; waited < WAIT_MAX_MS && atomic_load(&fixture->silent) > 0; waited++) {
        usleep(1000);
    }
    raftmq_producer_close(fixture->asker);
    fixture->asker = NULL;
}

static void closing_the_producer_ends_its_requests(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_reply *reply;
    uv_thread_t thread;
    atomic_store(&fixture->silent, 1);
    uv_thread_create(&thread, close_asker, fixture);
    assert_int_equal(ask(fixture, "x", 20000, &reply, &fixture->error), RAFTMQ_CLOSED);
    uv_thread_join(&thread);
}

static void a_message_that_nobody_waits_for_cannot_be_answered(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_reply *reply;
    struct raftmq_message message = {.topic = "T", .body = "x", .body_size = 1};
    assert_int_equal(raftmq_send(fixture->asker, &message, 0, NULL, &fixture->error), RAFTMQ_OK);
    WAIT_FOR(atomic_load(&fixture->not_waited_for) == 1);
    assert_int_equal(atomic_load(&fixture->fake.replies), 0);
    message.delay_level = 1;
    assert_int_equal(raftmq_request(fixture->asker, &message, 0, &reply, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_request_gets_its_own_reply),
        TEST(without_a_reply_the_time_runs_out_and_a_late_one_is_refused),
        TEST(closing_the_producer_ends_its_requests),
        TEST(a_message_that_nobody_waits_for_cannot_be_answered),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
