/* Simple consumers against a fake broker on loopback: two brokers of two queues each. */
#include "tests/support/fake_broker.h"
#include "tests/support/test.h"
#include "tests/support/wait.h"

#include "client/include/raftmq.h"
#include "common/base/clock.h"
#include "common/remoting/codes.h"

#include <stdio.h>

enum { HIDDEN_MS = 60000, AWAIT_MS = 15000, THREADS = 4, MESSAGES = 40, AT_ONCE = 5 };

struct fixture {
    struct fake_broker fake;
    struct raftmq_client *client;
    struct raftmq_producer *producer;
    struct raftmq_simple_consumer *consumer;
    struct raftmq_error error;
    atomic_int received;
};

static struct raftmq_simple_consumer *consumer_of(struct fixture *fixture, const char *expression,
                                                  enum raftmq_expression type)
{
    const struct raftmq_subscription subscription = {"T", expression, type};
    const struct raftmq_simple_consumer_options options = {
        .group = "c",
        .subscriptions = &subscription,
        .subscription_count = 1,
        .from = RAFTMQ_FROM_FIRST,
    };
    struct raftmq_simple_consumer *consumer;
    assert_int_equal(raftmq_simple_consumer_new(fixture->client, &options, &consumer, NULL),
                     RAFTMQ_OK);
    return consumer;
}

static int setup(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof *fixture);
    char address[32];
    fake_broker_start(&fixture->fake);
    const struct raftmq_client_options options = {
        .nameservers = fake_broker_address(&fixture->fake, address),
    };
    assert_int_equal(raftmq_client_new(&options, &fixture->client, NULL), RAFTMQ_OK);
    assert_int_equal(
        raftmq_producer_new(fixture->client, "p", NULL, NULL, &fixture->producer, NULL), RAFTMQ_OK);
    fixture->consumer = consumer_of(fixture, NULL, RAFTMQ_TAGS);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    raftmq_simple_consumer_close(fixture->consumer);
    raftmq_producer_close(fixture->producer);
    raftmq_client_close(fixture->client);
    fake_broker_stop(&fixture->fake);
    free(fixture);
    return 0;
}

/* To the queues of both brokers in turn. */
static void send_some(struct fixture *fixture, int count, const char *tags)
{
    for (int i = 0; i < count; i++) {
        char body[16];
        int size = snprintf(body, sizeof body, "%d", i);
        const struct raftmq_message message = {
            .topic = "T", .body = body, .body_size = (size_t)size, .tags = tags};
        assert_int_equal(raftmq_send(fixture->producer, &message, 0, NULL, NULL), RAFTMQ_OK);
    }
}

static struct raftmq_messages *receive(struct fixture *fixture, uint64_t hidden_ms,
                                       uint64_t await_ms)
{
    struct raftmq_messages *messages = NULL;
    enum raftmq_status status =
        raftmq_receive(fixture->consumer, 0, hidden_ms, await_ms, &messages, &fixture->error);
    if (status != RAFTMQ_OK) {
        fail_msg("receive: %s: %s", raftmq_status_name(status), fixture->error.remark);
    }
    return messages;
}

/* The one message that comes; the caller frees. */
static struct raftmq_messages *receive_one(struct fixture *fixture, uint64_t hidden_ms)
{
    struct raftmq_messages *messages = receive(fixture, hidden_ms, AWAIT_MS);
    assert_int_equal(messages->count, 1);
    return messages;
}

static void expect_none(struct fixture *fixture)
{
    struct raftmq_messages *messages = receive(fixture, HIDDEN_MS, 0);
    assert_int_equal(messages->count, 0);
    raftmq_messages_free(messages);
}

static enum raftmq_status ack(struct fixture *fixture, const char *handle)
{
    return raftmq_ack(fixture->client, "c", "T", handle, 0, &fixture->error);
}

static void expect_over(struct fixture *fixture, const char *handle)
{
    assert_int_equal(ack(fixture, handle), RAFTMQ_REFUSED);
    assert_int_equal(fixture->error.code, RESPONSE_NO_MESSAGE);
}

static enum raftmq_status ack_all(struct fixture *fixture, const struct raftmq_messages *messages)
{
    const char *handles[RAFTMQ_RECEIVE_MAX];
    for (size_t i = 0; i < messages->count; i++) {
        handles[i] = messages->messages[i].handle;
    }
    return raftmq_ack_all(fixture->client, "c", "T", handles, messages->count, 0, &fixture->error);
}

/* Receive and acknowledge until there is nothing; how many there were. */
static int receive_all(struct fixture *fixture)
{
    int count = 0;
    for (bool more = true; more;) {
        struct raftmq_messages *messages = receive(fixture, HIDDEN_MS, 0);
        more = messages->count > 0;
        count += (int)messages->count;
        if (more) {
            assert_int_equal(ack_all(fixture, messages), RAFTMQ_OK);
        }
        raftmq_messages_free(messages);
    }
    return count;
}

static void messages_of_all_brokers_are_received_once(void **state)
{
    struct fixture *fixture = *state;
    send_some(fixture, MESSAGES, NULL);
    size_t count = 0;
    size_t of_a = 0;
    while (count < MESSAGES) {
        struct raftmq_messages *messages = receive(fixture, HIDDEN_MS, AWAIT_MS);
        assert_in_range(messages->count, 1, RAFTMQ_RECEIVE_MAX);
        for (size_t i = 0; i < messages->count; i++) {
            const struct raftmq_received *message = &messages->messages[i];
            assert_string_equal(message->topic, "T");
            assert_string_equal(message->broker, messages->messages[0].broker);
            assert_int_equal(message->delivery_attempt, 1);
            assert_int_equal(ack(fixture, message->handle), RAFTMQ_OK);
            expect_over(fixture, message->handle);
            of_a += strcmp(message->broker, "broker-a") == 0;
        }
        count += messages->count;
        raftmq_messages_free(messages);
    }
    assert_int_equal(count, MESSAGES);
    assert_int_equal(of_a, MESSAGES / 2);
    assert_int_equal(atomic_load(&fixture->fake.acks), MESSAGES);
    expect_none(fixture);
}

static void as_many_are_received_as_are_wanted(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_messages *messages;
    send_some(fixture, MESSAGES, NULL);
    assert_int_equal(raftmq_receive(fixture->consumer, 3, HIDDEN_MS, 0, &messages, &fixture->error),
                     RAFTMQ_OK);
    assert_int_equal(messages->count, 3);
    raftmq_messages_free(messages);
}

static void what_is_not_acknowledged_comes_again(void **state)
{
    struct fixture *fixture = *state;
    send_some(fixture, 1, NULL);
    struct raftmq_messages *first = receive_one(fixture, 1500);
    expect_none(fixture);
    struct raftmq_messages *second = receive_one(fixture, HIDDEN_MS);
    assert_int_equal(second->messages[0].delivery_attempt, 2);
    assert_string_equal(second->messages[0].message_id, first->messages[0].message_id);
    expect_over(fixture, first->messages[0].handle);
    assert_int_equal(ack(fixture, second->messages[0].handle), RAFTMQ_OK);
    raftmq_messages_free(first);
    raftmq_messages_free(second);
}

static void an_invisible_time_can_be_changed(void **state)
{
    struct fixture *fixture = *state;
    char handle[RAFTMQ_HANDLE_SIZE] = "unchanged";
    char other[RAFTMQ_HANDLE_SIZE];
    send_some(fixture, 1, NULL);
    struct raftmq_messages *messages = receive_one(fixture, HIDDEN_MS);
    const char *old = messages->messages[0].handle;
    assert_int_equal(raftmq_change_invisible(fixture->client, "c", "T", old, HIDDEN_MS, 0, handle,
                                             &fixture->error),
                     RAFTMQ_OK);
    expect_over(fixture, old);
    memcpy(other, handle, sizeof other);
    assert_int_equal(
        raftmq_change_invisible(fixture->client, "c", "T", old, 1, 0, other, &fixture->error),
        RAFTMQ_REFUSED);
    assert_int_equal(fixture->error.code, RESPONSE_NO_MESSAGE);
    assert_string_equal(other, handle);
    expect_none(fixture);
    assert_int_equal(
        raftmq_change_invisible(fixture->client, "c", "T", handle, 0, 0, other, &fixture->error),
        RAFTMQ_OK);
    raftmq_messages_free(messages);
    messages = receive_one(fixture, HIDDEN_MS);
    expect_over(fixture, other);
    assert_int_equal(ack(fixture, messages->messages[0].handle), RAFTMQ_OK);
    raftmq_messages_free(messages);
}

static void receive_in_a_thread(void *context)
{
    struct fixture *fixture = context;
    struct raftmq_messages *messages = receive(fixture, HIDDEN_MS, AWAIT_MS);
    atomic_fetch_add(&fixture->received, (int)messages->count);
    raftmq_messages_free(messages);
}

/* The places are watched before anything is sent: whichever gets the message, it is heard of. */
static void who_waits_hears_of_messages_at_any_broker(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 1; i <= 4; i++) {
        uv_thread_t thread;
        uv_thread_create(&thread, receive_in_a_thread, fixture);
        WAIT_FOR(atomic_load(&fixture->fake.watches_of[0]) > 0 &&
                 atomic_load(&fixture->fake.watches_of[1]) > 0);
        send_some(fixture, 1, NULL); // To another queue each time.
        uv_thread_join(&thread);
        assert_int_equal(atomic_load(&fixture->received), i);
    }
    assert_int_equal(atomic_load(&fixture->fake.watches_held_most), 1);
}

static void who_waits_in_vain_gets_nothing_in_time(void **state)
{
    struct fixture *fixture = *state;
    uint64_t begin_ms = clock_monotonic_ms(clock_system());
    struct raftmq_messages *messages = receive(fixture, HIDDEN_MS, 300);
    uint64_t end_ms = clock_monotonic_ms(clock_system());
    assert_int_equal(messages->count, 0);
    assert_true(end_ms - begin_ms >= 300);
    raftmq_messages_free(messages);
    // Each place was asked once and is watched since.
    assert_int_equal(atomic_load(&fixture->fake.pops_of[0]), 1);
    assert_int_equal(atomic_load(&fixture->fake.pops_of[1]), 1);
    messages = receive(fixture, HIDDEN_MS, 50);
    raftmq_messages_free(messages);
    assert_int_equal(atomic_load(&fixture->fake.pops_of[0]), 1);
    assert_int_equal(atomic_load(&fixture->fake.watches_of[0]), 1);
}

static void watching_goes_on_as_long_as_somebody_waits(void **state)
{
    struct fixture *fixture = *state;
    uv_thread_t thread;
    atomic_store(&fixture->fake.watch_ms, 200);
    uv_thread_create(&thread, receive_in_a_thread, fixture);
    WAIT_FOR(atomic_load(&fixture->fake.watches_of[0]) > 2 &&
             atomic_load(&fixture->fake.watches_of[1]) > 2);
    assert_int_equal(atomic_load(&fixture->fake.pops_of[0]), 1);
    send_some(fixture, 1, NULL);
    uv_thread_join(&thread);
    assert_int_equal(atomic_load(&fixture->received), 1);
}

/* By a leader that is none any more, say. */
static void who_is_sent_away_at_once_comes_again_after_a_pause(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.watch_ms, 1);
    struct raftmq_messages *messages = receive(fixture, HIDDEN_MS, 1000);
    assert_int_equal(messages->count, 0);
    raftmq_messages_free(messages);
    assert_in_range(atomic_load(&fixture->fake.watches_of[0]), 1, 8);
}

static void receive_until_all_are_there(void *context)
{
    struct fixture *fixture = context;
    while (atomic_load(&fixture->received) < MESSAGES) {
        struct raftmq_messages *messages = NULL;
        struct raftmq_error error;
        assert_int_equal(raftmq_receive(fixture->consumer, 2, HIDDEN_MS, 100, &messages, &error),
                         RAFTMQ_OK);
        atomic_fetch_add(&fixture->received, (int)messages->count);
        raftmq_messages_free(messages);
    }
}

static void threads_share_what_comes(void **state)
{
    struct fixture *fixture = *state;
    uv_thread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        uv_thread_create(&threads[i], receive_until_all_are_there, fixture);
    }
    send_some(fixture, MESSAGES, NULL);
    for (int i = 0; i < THREADS; i++) {
        uv_thread_join(&threads[i]);
    }
    assert_int_equal(atomic_load(&fixture->received), MESSAGES);
    assert_int_equal(atomic_load(&fixture->fake.watches_held_most), 1);
}

static void a_broker_that_fails_does_not_hold_up_the_others(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.pop_code[1], RESPONSE_SERVICE_NOT_AVAILABLE);
    send_some(fixture, 4, NULL);
    struct raftmq_messages *messages = receive(fixture, HIDDEN_MS, AWAIT_MS);
    assert_int_equal(messages->count, 1); // The fake answers with one queue.
    assert_string_equal(messages->messages[0].broker, "broker-a");
    raftmq_messages_free(messages);
    assert_int_equal(receive_all(fixture), 1);
    uv_thread_t thread;
    uv_thread_create(&thread, receive_in_a_thread, fixture);
    atomic_store(&fixture->fake.pop_code[1], 0);
    uv_thread_join(&thread);
    assert_int_equal(atomic_load(&fixture->received), 1);
}

static void if_all_brokers_fail_the_last_error_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_messages *messages = NULL;
    atomic_store(&fixture->fake.pop_code[0], RESPONSE_SERVICE_NOT_AVAILABLE);
    atomic_store(&fixture->fake.pop_code[1], RESPONSE_SERVICE_NOT_AVAILABLE);
    uint64_t begin_ms = clock_monotonic_ms(clock_system());
    assert_int_equal(
        raftmq_receive(fixture->consumer, 0, HIDDEN_MS, 300, &messages, &fixture->error),
        RAFTMQ_REFUSED);
    assert_int_equal(fixture->error.code, RESPONSE_SERVICE_NOT_AVAILABLE);
    assert_true(clock_monotonic_ms(clock_system()) - begin_ms >= 300);
    // What will not change is told at once.
    atomic_store(&fixture->fake.pop_code[0], RESPONSE_SUBSCRIPTION_PARSE_FAILED);
    atomic_store(&fixture->fake.pop_code[1], RESPONSE_SUBSCRIPTION_PARSE_FAILED);
    begin_ms = clock_monotonic_ms(clock_system());
    assert_int_equal(
        raftmq_receive(fixture->consumer, 0, HIDDEN_MS, AWAIT_MS, &messages, &fixture->error),
        RAFTMQ_REFUSED);
    assert_int_equal(fixture->error.code, RESPONSE_SUBSCRIPTION_PARSE_FAILED);
    assert_true(clock_monotonic_ms(clock_system()) - begin_ms < AWAIT_MS / 2);
    assert_null(messages);
}

static void connections_that_break_are_made_again(void **state)
{
    struct fixture *fixture = *state;
    uv_thread_t thread;
    uv_thread_create(&thread, receive_in_a_thread, fixture);
    WAIT_FOR(atomic_load(&fixture->fake.watches_of[0]) > 0 &&
             atomic_load(&fixture->fake.watches_of[1]) > 0);
    fake_broker_drop(&fixture->fake);
    WAIT_FOR(atomic_load(&fixture->fake.watches_of[0]) > 1 &&
             atomic_load(&fixture->fake.watches_of[1]) > 1);
    send_some(fixture, 1, NULL);
    uv_thread_join(&thread);
    assert_int_equal(atomic_load(&fixture->received), 1);
}

/* Somebody else may have them by then; but not so often that it would be worth to ask for ever. */
static void messages_that_never_are_there_are_not_asked_for_without_a_pause(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.false_notices, true);
    struct raftmq_messages *messages = receive(fixture, HIDDEN_MS, 1000);
    assert_int_equal(messages->count, 0);
    raftmq_messages_free(messages);
    assert_in_range(atomic_load(&fixture->fake.pops_of[0]), 4, 40);
}

/* A broker compares tags by their hashes; this one by nothing at all. */
static void messages_with_other_tags_are_acknowledged_and_left_out(void **state)
{
    struct fixture *fixture = *state;
    raftmq_simple_consumer_close(fixture->consumer);
    fixture->consumer = consumer_of(fixture, "blue || green", RAFTMQ_TAGS);
    send_some(fixture, 8, "red");
    send_some(fixture, 4, "blue");
    assert_int_equal(receive_all(fixture), 4);
    assert_int_equal(atomic_load(&fixture->fake.acks), 12);
}

static void expressions_are_left_to_the_broker(void **state)
{
    struct fixture *fixture = *state;
    raftmq_simple_consumer_close(fixture->consumer);
    fixture->consumer = consumer_of(fixture, "a > 1", RAFTMQ_SQL92);
    send_some(fixture, 4, "red");
    assert_int_equal(receive_all(fixture), 4);
    assert_true(atomic_load(&fixture->fake.sql_pops) > 0);
}

/* Have a message delivered again at once. */
static void show_again(struct fixture *fixture, const char *handle)
{
    char unused[RAFTMQ_HANDLE_SIZE];
    assert_int_equal(
        raftmq_change_invisible(fixture->client, "c", "T", handle, 0, 0, unused, &fixture->error),
        RAFTMQ_OK);
}

/* Answers of several queues; what comes again is of a retry topic and brings its handle. */
static void handles_are_as_apache_rocketmq_wants_them(void **state)
{
    struct fixture *fixture = *state;
    char handle[RAFTMQ_HANDLE_SIZE];
    struct raftmq_messages *kept[2];
    atomic_store(&fixture->fake.pop_as_apache, true);
    for (int bare = 0; bare < 2; bare++) {
        atomic_store(&fixture->fake.pop_bare, bare == 1);
        atomic_store(&fixture->fake.acks, 0);
        send_some(fixture, 8, NULL);
        for (int broker = 0; broker < 2; broker++) {
            struct raftmq_messages *messages = receive(fixture, HIDDEN_MS, AWAIT_MS);
            assert_int_equal(messages->count, 4); // Of both queues.
            kept[broker] = messages;
        }
        for (int i = 0; i < 8; i++) {
            show_again(fixture, kept[i / 4]->messages[i % 4].handle);
        }
        raftmq_messages_free(kept[0]);
        raftmq_messages_free(kept[1]);
        struct raftmq_messages *again = receive(fixture, HIDDEN_MS, AWAIT_MS);
        assert_int_equal(again->count, 4);
        assert_int_equal(again->messages[0].delivery_attempt, 2);
        assert_int_equal(ack(fixture, again->messages[0].handle), RAFTMQ_OK);
        assert_int_equal(raftmq_change_invisible(fixture->client, "c", "T",
                                                 again->messages[1].handle, HIDDEN_MS, 0, handle,
                                                 &fixture->error),
                         RAFTMQ_OK);
        assert_int_equal(ack(fixture, handle), RAFTMQ_OK);
        assert_int_equal(ack_all(fixture, again), RAFTMQ_OK); // Two are over by now.
        assert_int_equal(atomic_load(&fixture->fake.acks), 4);
        raftmq_messages_free(again);
        assert_int_equal(receive_all(fixture), 4);
        assert_int_equal(atomic_load(&fixture->fake.acks), 8);
    }
}

static void acknowledgements_of_a_broker_go_together(void **state)
{
    struct fixture *fixture = *state;
    const char *handles[MESSAGES];
    struct raftmq_messages *messages[MESSAGES / AT_ONCE];
    size_t count = 0;
    send_some(fixture, MESSAGES, NULL);
    for (int i = 0; i < MESSAGES / AT_ONCE; i++) { // Of each queue twice.
        assert_int_equal(raftmq_receive(fixture->consumer, AT_ONCE, HIDDEN_MS, AWAIT_MS,
                                        &messages[i], &fixture->error),
                         RAFTMQ_OK);
        assert_int_equal(messages[i]->count, AT_ONCE);
        for (size_t j = 0; j < messages[i]->count; j++) {
            handles[count++] = messages[i]->messages[j].handle;
        }
    }
    assert_int_equal(count, MESSAGES);
    assert_int_equal(raftmq_ack_all(fixture->client, "c", "T", handles, count, 0, &fixture->error),
                     RAFTMQ_OK);
    assert_int_equal(atomic_load(&fixture->fake.acks), MESSAGES);
    assert_int_equal(atomic_load(&fixture->fake.ack_requests), 2);
    for (int i = 0; i < MESSAGES / AT_ONCE; i++) {
        raftmq_messages_free(messages[i]);
    }
}

/* The one may have been done, the other was not: they are told apart. */
static void a_lost_answer_is_no_refusal(void **state)
{
    struct fixture *fixture = *state;
    send_some(fixture, 1, NULL);
    struct raftmq_messages *messages = receive_one(fixture, HIDDEN_MS);
    const char *handle = messages->messages[0].handle;
    atomic_store(&fixture->fake.swallow_acks, true);
    assert_int_equal(raftmq_ack(fixture->client, "c", "T", handle, 200, &fixture->error),
                     RAFTMQ_TIMED_OUT);
    assert_int_equal(fixture->error.code, -1);
    atomic_store(&fixture->fake.swallow_acks, false);
    expect_over(fixture, handle);
    assert_int_equal(atomic_load(&fixture->fake.acks), 1);
    raftmq_messages_free(messages);
}

/* A client that knows no route yet, and is told so late. */
static struct raftmq_client *late_client(struct fixture *fixture, int late_ms, uint64_t timeout_ms)
{
    struct raftmq_client *client;
    char address[32];
    char twice[64];
    fake_broker_address(&fixture->fake, address);
    snprintf(twice, sizeof twice, "%s;%s", address, address);
    const struct raftmq_client_options options = {.nameservers = twice, .timeout_ms = timeout_ms};
    atomic_store(&fixture->fake.routes_late_ms, late_ms);
    assert_int_equal(raftmq_client_new(&options, &client, NULL), RAFTMQ_OK);
    return client;
}

static void what_was_never_sent_is_not_acknowledged(void **state)
{
    struct fixture *fixture = *state;
    static const int late_ms[] = {200, 60000};
    send_some(fixture, 1, NULL);
    struct raftmq_messages *messages = receive_one(fixture, HIDDEN_MS);
    const char *handle = messages->messages[0].handle;
    for (size_t i = 0; i < sizeof late_ms / sizeof late_ms[0]; i++) {
        struct raftmq_client *client = late_client(fixture, late_ms[i], 0);
        uint64_t begin_ms = clock_monotonic_ms(clock_system());
        assert_int_equal(raftmq_ack(client, "c", "T", handle, 60, &fixture->error),
                         RAFTMQ_TIMED_OUT);
        assert_int_equal(fixture->error.status, RAFTMQ_TIMED_OUT);
        assert_true(clock_monotonic_ms(clock_system()) - begin_ms < 2000);
        raftmq_client_close(client);
    }
    assert_int_equal(atomic_load(&fixture->fake.acks), 0);
    raftmq_messages_free(messages);
}

static void routes_are_waited_for_no_longer_than_answers(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_client *client = late_client(fixture, 60000, 100);
    const struct raftmq_subscription subscriptions[] = {{.topic = "T"}, {.topic = "U"}};
    const struct raftmq_simple_consumer_options options = {"c", subscriptions, 2, RAFTMQ_FROM_LAST};
    struct raftmq_simple_consumer *consumer;
    struct raftmq_messages *messages;
    assert_int_equal(raftmq_simple_consumer_new(client, &options, &consumer, NULL), RAFTMQ_OK);
    uint64_t begin_ms = clock_monotonic_ms(clock_system());
    assert_int_equal(raftmq_receive(consumer, 1, HIDDEN_MS, 0, &messages, &fixture->error),
                     RAFTMQ_NO_ROUTE);
    assert_string_equal(fixture->error.remark, "no nameserver answered in time");
    assert_true(clock_monotonic_ms(clock_system()) - begin_ms < 2000);
    raftmq_simple_consumer_close(consumer);
    raftmq_client_close(client);
}

static void what_makes_no_sense_is_refused_here(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_messages *messages;
    char handle[RAFTMQ_HANDLE_SIZE];
    const struct raftmq_subscription bad[] = {
        {.topic = "a b"}, {.topic = "%RETRY%g"}, {.topic = "T", .type = RAFTMQ_SQL92}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct raftmq_simple_consumer_options options = {"c", &bad[i], 1, RAFTMQ_FROM_LAST};
        struct raftmq_simple_consumer *consumer;
        assert_int_equal(raftmq_simple_consumer_new(fixture->client, &options, &consumer, NULL),
                         RAFTMQ_INVALID_ARGUMENT);
    }
    const struct raftmq_subscription twice[] = {{.topic = "T"}, {.topic = "T", .expression = "a"}};
    const struct raftmq_simple_consumer_options both = {"c", twice, 2, RAFTMQ_FROM_LAST};
    struct raftmq_simple_consumer *none;
    assert_int_equal(raftmq_simple_consumer_new(fixture->client, &both, &none, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
    assert_int_equal(
        raftmq_receive(fixture->consumer, RAFTMQ_RECEIVE_MAX + 1, 1, 0, &messages, NULL),
        RAFTMQ_INVALID_ARGUMENT);
    assert_int_equal(raftmq_receive(fixture->consumer, 1, 0, 0, &messages, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
    assert_int_equal(raftmq_ack(fixture->client, "c", "T", "no handle", 0, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
    assert_int_equal(raftmq_ack(fixture->client, "c", "a b", "0 1 2 3 0 broker-a 0 0", 0, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
    assert_int_equal(raftmq_ack_all(fixture->client, "c", "T", NULL, 0, 0, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
    assert_int_equal(raftmq_change_invisible(fixture->client, "", "T", "0 1 2 3 0 broker-a 0 0", 1,
                                             0, handle, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
}

static void a_topic_without_brokers_is_told_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_messages *messages;
    atomic_store(&fixture->fake.unknown_topic, true);
    assert_int_equal(
        raftmq_receive(fixture->consumer, 1, HIDDEN_MS, AWAIT_MS, &messages, &fixture->error),
        RAFTMQ_NO_ROUTE);
    atomic_store(&fixture->fake.unknown_topic, false);
    expect_none(fixture);
}

#define simple_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        simple_test(messages_of_all_brokers_are_received_once),
        simple_test(as_many_are_received_as_are_wanted),
        simple_test(what_is_not_acknowledged_comes_again),
        simple_test(an_invisible_time_can_be_changed),
        simple_test(who_waits_hears_of_messages_at_any_broker),
        simple_test(who_waits_in_vain_gets_nothing_in_time),
        simple_test(watching_goes_on_as_long_as_somebody_waits),
        simple_test(who_is_sent_away_at_once_comes_again_after_a_pause),
        simple_test(threads_share_what_comes),
        simple_test(a_broker_that_fails_does_not_hold_up_the_others),
        simple_test(if_all_brokers_fail_the_last_error_is_told),
        simple_test(connections_that_break_are_made_again),
        simple_test(messages_that_never_are_there_are_not_asked_for_without_a_pause),
        simple_test(messages_with_other_tags_are_acknowledged_and_left_out),
        simple_test(expressions_are_left_to_the_broker),
        simple_test(handles_are_as_apache_rocketmq_wants_them),
        simple_test(acknowledgements_of_a_broker_go_together),
        simple_test(a_lost_answer_is_no_refusal),
        simple_test(what_was_never_sent_is_not_acknowledged),
        simple_test(routes_are_waited_for_no_longer_than_answers),
        simple_test(what_makes_no_sense_is_refused_here),
        simple_test(a_topic_without_brokers_is_told_at_once),
    };
    return cmocka_run_group_tests_name("simple_consumer", tests, NULL, NULL);
}
