/* Push consumer against a fake broker on loopback. */
#include "tests/support/fake_broker.h"
#include "tests/support/test.h"
#include "tests/support/wait.h"

#include "client/include/raftmq.h"
#include "common/base/clock.h"

#include <stdio.h>
#include <unistd.h>

enum { SEEN_MAX = 1024 };

struct fixture {
    struct fake_broker fake;
    struct raftmq_client *client;
    struct raftmq_producer *producer;
    struct raftmq_consumer *consumer;
    struct raftmq_error error;
    char address[32];
    atomic_int seen[SEEN_MAX]; /* How often each number was delivered. */
    atomic_int deliveries;
    atomic_int fail_times; /* So many deliveries say LATER. */
    atomic_int reconsumed; /* Highest reconsume_times seen. */
    atomic_int slow_ms;
};

static enum raftmq_consumed listen_numbers(void *context, const struct raftmq_received *message)
{
    struct fixture *fixture = context;
    char text[16] = "";
    memcpy(text, message->body, message->body_size < 15 ? message->body_size : 15);
    long number = strtol(text, NULL, 10);
    if (atomic_load(&fixture->slow_ms) > 0) {
        usleep((useconds_t)atomic_load(&fixture->slow_ms) * 1000);
    }
    atomic_fetch_add(&fixture->deliveries, 1);
    if (message->reconsume_times > atomic_load(&fixture->reconsumed)) {
        atomic_store(&fixture->reconsumed, message->reconsume_times);
    }
    if (atomic_load(&fixture->fail_times) > 0) {
        atomic_fetch_sub(&fixture->fail_times, 1);
        return RAFTMQ_CONSUME_LATER;
    }
    if (number >= 0 && number < SEEN_MAX) {
        atomic_fetch_add(&fixture->seen[number], 1);
    }
    return RAFTMQ_CONSUMED;
}

static struct raftmq_client *new_client(struct fixture *fixture)
{
    struct raftmq_client *client;
    const struct raftmq_client_options options = {
        .nameservers = fake_broker_address(&fixture->fake, fixture->address),
        .worker_threads = 4,
        .rebalance_ms = 100,
        .persist_offsets_ms = 50,
        .heartbeat_ms = 200,
        .poll_routes_ms = 500,
    };
    assert_int_equal(raftmq_client_new(&options, &client, &fixture->error), RAFTMQ_OK);
    return client;
}

static int setup(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof *fixture);
    fake_broker_start(&fixture->fake);
    fixture->client = new_client(fixture);
    assert_int_equal(
        raftmq_producer_new(fixture->client, "p", NULL, NULL, &fixture->producer, NULL), RAFTMQ_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    raftmq_consumer_close(fixture->consumer);
    raftmq_producer_close(fixture->producer);
    raftmq_client_close(fixture->client);
    fake_broker_stop(&fixture->fake);
    free(fixture);
    return 0;
}

static struct raftmq_consumer *consume(struct fixture *fixture, struct raftmq_client *client,
                                       const char *expression, enum raftmq_consume_from from)
{
    struct raftmq_consumer *consumer;
    const struct raftmq_subscription subscription = {.topic = "T", .expression = expression};
    const struct raftmq_consumer_options options = {
        .group = "c",
        .subscriptions = &subscription,
        .subscription_count = 1,
        .listener = listen_numbers,
        .context = fixture,
        .from = from,
        .redeliver_ms = 10,
    };
    assert_int_equal(raftmq_consumer_new(client, &options, &consumer, &fixture->error), RAFTMQ_OK);
    return consumer;
}

static void send_numbers(struct fixture *fixture, int first, int count, const char *tags)
{
    for (int i = first; i < first + count; i++) {
        char body[16];
        struct raftmq_message message = {.topic = "T", .body = body, .tags = tags};
        message.body_size = (size_t)snprintf(body, sizeof body, "%d", i);
        assert_int_equal(raftmq_send(fixture->producer, &message, 0, NULL, &fixture->error),
                         RAFTMQ_OK);
    }
}

static int seen_once(struct fixture *fixture, int count)
{
    int good = 0;
    for (int i = 0; i < count; i++) {
        good += atomic_load(&fixture->seen[i]) >= 1;
    }
    return good;
}

static int committed(struct fixture *fixture)
{
    int sum = 0;
    for (int b = 0; b < FAKE_BROKERS; b++) {
        for (int q = 0; q < FAKE_QUEUES; q++) {
            int offset = atomic_load(&fixture->fake.last_offset[b][q]);
            sum += offset > 0 ? offset : 0;
        }
    }
    return sum;
}

static void every_message_is_delivered_and_its_offset_stored(void **state)
{
    struct fixture *fixture = *state;
    send_numbers(fixture, 0, 100, NULL);
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    WAIT_FOR(seen_once(fixture, 100) == 100);
    assert_int_equal(raftmq_consumer_queue_count(fixture->consumer) >= FAKE_BROKERS * FAKE_QUEUES,
                     true);
    send_numbers(fixture, 100, 100, NULL);
    WAIT_FOR(seen_once(fixture, 200) == 200);
    WAIT_FOR(committed(fixture) == 200);
    assert_int_equal(atomic_load(&fixture->deliveries), 200);
}

static void a_new_group_may_begin_at_the_end(void **state)
{
    struct fixture *fixture = *state;
    send_numbers(fixture, 0, 20, NULL);
    fixture->consumer = consume(fixture, fixture->client, "*", RAFTMQ_FROM_LAST);
    WAIT_FOR(raftmq_consumer_queue_count(fixture->consumer) >= FAKE_BROKERS * FAKE_QUEUES);
    // Until it waits at the ends of all: what is sent before that is skipped rightly.
    WAIT_FOR(atomic_load(&fixture->fake.pulls_held) == FAKE_BROKERS * FAKE_QUEUES);
    send_numbers(fixture, 20, 20, NULL);
    WAIT_FOR(atomic_load(&fixture->deliveries) >= 20);
    assert_int_equal(seen_once(fixture, 20), 0);
}

static void tags_are_compared_by_text(void **state)
{
    struct fixture *fixture = *state;
    send_numbers(fixture, 0, 10, "red");
    send_numbers(fixture, 10, 10, "blue");
    send_numbers(fixture, 20, 10, NULL);
    // The fake broker filters nothing: all that is dropped is dropped here.
    fixture->consumer = consume(fixture, fixture->client, "red || green", RAFTMQ_FROM_FIRST);
    WAIT_FOR(seen_once(fixture, 10) == 10);
    WAIT_FOR(committed(fixture) == 30);
    assert_int_equal(atomic_load(&fixture->deliveries), 10);
}

static void by_sql_the_broker_is_asked_and_decides(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_subscription subscription = {"T", "colour = 'red'", RAFTMQ_SQL92};
    const struct raftmq_consumer_options options = {
        .group = "c",
        .subscriptions = &subscription,
        .subscription_count = 1,
        .listener = listen_numbers,
        .context = fixture,
        .from = RAFTMQ_FROM_FIRST,
    };
    send_numbers(fixture, 0, 10, "red");
    send_numbers(fixture, 10, 10, NULL);
    atomic_store(&fixture->fake.check_code, 23);
    assert_int_equal(
        raftmq_consumer_new(fixture->client, &options, &fixture->consumer, &fixture->error),
        RAFTMQ_REFUSED);
    assert_int_equal(fixture->error.code, 23);
    assert_null(fixture->consumer);
    atomic_store(&fixture->fake.check_code, 0);
    assert_int_equal(
        raftmq_consumer_new(fixture->client, &options, &fixture->consumer, &fixture->error),
        RAFTMQ_OK);
    assert_int_equal(atomic_load(&fixture->fake.sql_checks), 2);
    // The fake broker lets all through, and so does the consumer.
    WAIT_FOR(seen_once(fixture, 20) == 20);
    assert_true(atomic_load(&fixture->fake.sql_pulls) > 0);
    subscription.expression = NULL;
    struct raftmq_consumer *other;
    assert_int_equal(raftmq_consumer_new(fixture->client, &options, &other, &fixture->error),
                     RAFTMQ_INVALID_ARGUMENT);
}

static void what_failed_is_given_back_to_the_broker(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.takes_back, true);
    atomic_store(&fixture->fail_times, 5);
    send_numbers(fixture, 0, 20, NULL);
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    WAIT_FOR(atomic_load(&fixture->fake.given_back) == 5);
    WAIT_FOR(committed(fixture) == 20);
    assert_int_equal(atomic_load(&fixture->deliveries), 20);
}

/* Against a broker that does not know CONSUMER_SEND_MSG_BACK nothing is lost either. */
static void what_the_broker_does_not_take_back_is_delivered_again_here(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fail_times, 30);
    send_numbers(fixture, 0, 20, NULL);
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    WAIT_FOR(seen_once(fixture, 20) == 20);
    assert_int_equal(atomic_load(&fixture->deliveries), 50);
    assert_true(atomic_load(&fixture->reconsumed) >= 1);
    WAIT_FOR(committed(fixture) == 20);
}

/* What is not done is not committed: the next consumer gets it. */
static void an_unfinished_message_holds_the_offset(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fail_times, 1000000);
    send_numbers(fixture, 0, 8, NULL);
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    WAIT_FOR(atomic_load(&fixture->deliveries) >= 16);
    raftmq_consumer_close(fixture->consumer);
    fixture->consumer = NULL;
    assert_int_equal(committed(fixture), 0);
    atomic_store(&fixture->fail_times, 0);
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    WAIT_FOR(seen_once(fixture, 8) == 8);
}

static void closing_waits_for_listeners_and_stores_the_last_offsets(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->slow_ms, 20);
    send_numbers(fixture, 0, 40, NULL);
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    WAIT_FOR(atomic_load(&fixture->deliveries) >= 4);
    raftmq_consumer_close(fixture->consumer);
    fixture->consumer = NULL;
    int delivered = atomic_load(&fixture->deliveries);
    usleep(50000);
    assert_int_equal(atomic_load(&fixture->deliveries), delivered); // None runs any more.
    assert_true(committed(fixture) <= delivered);
    assert_true(atomic_load(&fixture->fake.unregisters) >= 1);
    atomic_store(&fixture->slow_ms, 0);
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    WAIT_FOR(seen_once(fixture, 40) == 40);
}

static void closing_waits_for_offsets_no_longer_than_the_timeout(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_client *client;
    const struct raftmq_client_options options = {.nameservers = fixture->address,
                                                  .timeout_ms = 200};
    assert_int_equal(raftmq_client_new(&options, &client, NULL), RAFTMQ_OK);
    send_numbers(fixture, 0, 20, NULL);
    struct raftmq_consumer *consumer = consume(fixture, client, NULL, RAFTMQ_FROM_FIRST);
    WAIT_FOR(seen_once(fixture, 20) == 20);
    atomic_store(&fixture->fake.swallow_offsets, true);
    uint64_t begin_ms = clock_monotonic_ms(clock_system());
    raftmq_consumer_close(consumer);
    assert_true(clock_monotonic_ms(clock_system()) - begin_ms < 3000);
    assert_int_equal(committed(fixture), 20);
    raftmq_client_close(client);
}

static void two_members_share_the_queues(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_client *client = new_client(fixture);
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    struct raftmq_consumer *other = consume(fixture, client, NULL, RAFTMQ_FROM_FIRST);
    // Topic and retry topic: four queues each in this fake cluster.
    WAIT_FOR(raftmq_consumer_queue_count(fixture->consumer) == 4 &&
             raftmq_consumer_queue_count(other) == 4);
    send_numbers(fixture, 0, 100, NULL);
    WAIT_FOR(seen_once(fixture, 100) == 100);
    raftmq_consumer_close(other);
    raftmq_client_close(client);
}

/* A client that looks at its share when it is told to, and at no other time. */
static struct raftmq_client *patient_client(struct fixture *fixture)
{
    struct raftmq_client *client;
    const struct raftmq_client_options options = {.nameservers = fixture->address,
                                                  .rebalance_ms = 600000};
    assert_int_equal(raftmq_client_new(&options, &client, NULL), RAFTMQ_OK);
    return client;
}

/* When this returns, the client has read all that the first broker sent it before. */
static void read_all(struct fixture *fixture, struct raftmq_client *client)
{
    for (int i = 0; i < 2; i++) { // By the second answer, what the first left to the loop is done.
        struct raftmq_response *response;
        assert_int_equal(raftmq_invoke(client, fixture->address, 4711, NULL, 0, NULL, 0, 0,
                                       &response, &fixture->error),
                         RAFTMQ_OK);
        raftmq_response_free(response);
    }
}

/* Else the first member, whose list is of before the second came, would keep all queues. */
static void a_notice_that_comes_while_members_are_asked_for_is_not_lost(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_client *clients[2] = {patient_client(fixture), patient_client(fixture)};
    struct raftmq_consumer *consumers[2];
    atomic_store(&fixture->fake.hold_members, true);
    for (int i = 0; i < 2; i++) {
        consumers[i] = consume(fixture, clients[i], NULL, RAFTMQ_FROM_FIRST);
        WAIT_FOR(atomic_load(&fixture->fake.members_asked) >= 2 * (i + 1)); // T and retry topic.
    }
    fake_broker_notify(&fixture->fake);
    WAIT_FOR(atomic_load(&fixture->fake.notices) == 1);
    read_all(fixture, clients[0]);
    read_all(fixture, clients[1]);
    atomic_store(&fixture->fake.hold_members, false);
    WAIT_FOR(raftmq_consumer_queue_count(consumers[0]) == 4 &&
             raftmq_consumer_queue_count(consumers[1]) == 4);
    for (int i = 0; i < 2; i++) {
        raftmq_consumer_close(consumers[i]);
        raftmq_client_close(clients[i]);
    }
}

static void lost_connections_lose_no_message(void **state)
{
    struct fixture *fixture = *state;
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    for (int i = 0; i < 5; i++) {
        send_numbers(fixture, i * 20, 20, NULL);
        fake_broker_drop(&fixture->fake);
        usleep(5000);
    }
    WAIT_FOR(seen_once(fixture, 100) == 100);
}

/* Each broker as the other one's follower. */
static void use_followers(struct fixture *fixture, int suggest)
{
    atomic_store(&fixture->fake.follower_id, 3);
    atomic_store(&fixture->fake.suggest, suggest);
    send_numbers(fixture, 0, 200, NULL);
}

static void a_follower_that_is_suggested_is_pulled_from(void **state)
{
    struct fixture *fixture = *state;
    use_followers(fixture, 3);
    atomic_store(&fixture->fake.keep_readers, true);
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    WAIT_FOR(seen_once(fixture, 200) == 200);
    assert_true(atomic_load(&fixture->fake.pulls_followed) > 0);
    // Once for each queue of T and of the retry topic: then all know better.
    assert_true(atomic_load(&fixture->fake.pulls_led) <= 2 * FAKE_BROKERS * FAKE_QUEUES);
    WAIT_FOR(committed(fixture) == 200); // The leader is told of it, and only the leader.
    assert_int_equal(atomic_load(&fixture->fake.commits_followed), 0);
    assert_int_equal(atomic_load(&fixture->deliveries), 200);
}

static void a_follower_that_says_so_is_left(void **state)
{
    struct fixture *fixture = *state;
    use_followers(fixture, 3);
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    WAIT_FOR(seen_once(fixture, 200) == 200);
    int led = atomic_load(&fixture->fake.pulls_led);
    WAIT_FOR(atomic_load(&fixture->fake.pulls_led) > led);
    assert_true(atomic_load(&fixture->fake.pulls_followed) > 0);
}

static void after_an_error_the_leader_is_asked(void **state)
{
    struct fixture *fixture = *state;
    use_followers(fixture, 3);
    atomic_store(&fixture->fake.keep_readers, true);
    atomic_store(&fixture->fake.refuse_readers, 1000000);
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    WAIT_FOR(seen_once(fixture, 200) == 200); // By leaders alone.
    WAIT_FOR(atomic_load(&fixture->fake.pulls_followed) > 0);
}

static void a_suggestion_that_no_route_knows_means_the_leader(void **state)
{
    struct fixture *fixture = *state;
    use_followers(fixture, 7);
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    WAIT_FOR(seen_once(fixture, 200) == 200);
    assert_int_equal(atomic_load(&fixture->fake.pulls_followed), 0);
}

static void bad_options_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_consumer *consumer;
    const struct raftmq_subscription subscription = {.topic = "T"};
    struct raftmq_consumer_options options = {
        .group = "c", .subscriptions = &subscription, .subscription_count = 1};
    assert_int_equal(raftmq_consumer_new(fixture->client, &options, &consumer, NULL),
                     RAFTMQ_INVALID_ARGUMENT); // No listener.
    options.listener = listen_numbers;
    options.subscription_count = 0;
    assert_int_equal(raftmq_consumer_new(fixture->client, &options, &consumer, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
    const struct raftmq_subscription twice[] = {{.topic = "T"}, {.topic = "U"}, {.topic = "T"}};
    options.subscriptions = twice;
    options.subscription_count = 3;
    assert_int_equal(raftmq_consumer_new(fixture->client, &options, &consumer, NULL),
                     RAFTMQ_INVALID_ARGUMENT); // Two queues would commit under one name.
    const struct raftmq_subscription own_retry[] = {{.topic = "T"}, {.topic = "%RETRY%c"}};
    options.subscriptions = own_retry;
    options.subscription_count = 2;
    assert_int_equal(raftmq_consumer_new(fixture->client, &options, &consumer, NULL),
                     RAFTMQ_INVALID_ARGUMENT); // It is there without being asked for.
    options.subscriptions = &subscription;
    options.subscription_count = 1;
    fixture->consumer = consume(fixture, fixture->client, NULL, RAFTMQ_FROM_FIRST);
    assert_int_equal(raftmq_consumer_new(fixture->client, &options, &consumer, NULL),
                     RAFTMQ_INVALID_ARGUMENT); // There is one already.
    options.group = "";
    assert_int_equal(raftmq_consumer_new(fixture->client, &options, &consumer, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_message_is_delivered_and_its_offset_stored),
        TEST(a_new_group_may_begin_at_the_end),
        TEST(tags_are_compared_by_text),
        TEST(by_sql_the_broker_is_asked_and_decides),
        TEST(what_failed_is_given_back_to_the_broker),
        TEST(what_the_broker_does_not_take_back_is_delivered_again_here),
        TEST(an_unfinished_message_holds_the_offset),
        TEST(closing_waits_for_listeners_and_stores_the_last_offsets),
        TEST(closing_waits_for_offsets_no_longer_than_the_timeout),
        TEST(two_members_share_the_queues),
        TEST(a_notice_that_comes_while_members_are_asked_for_is_not_lost),
        TEST(lost_connections_lose_no_message),
        TEST(a_follower_that_is_suggested_is_pulled_from),
        TEST(a_follower_that_says_so_is_left),
        TEST(after_an_error_the_leader_is_asked),
        TEST(a_suggestion_that_no_route_knows_means_the_leader),
        TEST(bad_options_are_refused),
    };
    return cmocka_run_group_tests_name("consumer", tests, NULL, NULL);
}
