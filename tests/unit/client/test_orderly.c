/* Orderly consumers, and resets, against a fake broker on loopback. */
#include "tests/support/fake_broker.h"
#include "tests/support/test.h"
#include "tests/support/wait.h"

#include "client/include/raftmq.h"

#include <stdio.h>
#include <unistd.h>

enum { QUEUES = FAKE_BROKERS * FAKE_QUEUES };

/* What listeners see of one queue. Only one may be at work there at any time. */
struct seen {
    atomic_int busy;
    atomic_int next; /* Offset that must come. */
    atomic_int most; /* The highest offset that was done, and one. */
};

struct fixture {
    struct fake_broker fake;
    struct raftmq_client *client;
    struct raftmq_producer *producer;
    struct raftmq_consumer *consumer;
    struct raftmq_error error;
    struct seen seen[QUEUES];
    atomic_int done;
    atomic_int out_of_order;
    atomic_int at_once; /* Two at the same queue. */
    atomic_int fail_times;
    atomic_int give_up_at; /* This offset of each queue; -1: none. */
    atomic_int slow_ms;
    atomic_bool held; /* Listeners do not return. */
    atomic_int reconsumed;
};

static enum raftmq_consumed listen_in_order(void *context, const struct raftmq_received *message)
{
    struct fixture *fixture = context;
    struct seen *seen =
        &fixture->seen[(message->broker[7] - 'a') * FAKE_QUEUES + message->queue_id];
    int offset = (int)message->queue_offset;
    enum raftmq_consumed verdict = RAFTMQ_CONSUMED;
    if (atomic_fetch_add(&seen->busy, 1) != 0) {
        atomic_fetch_add(&fixture->at_once, 1);
    }
    if (offset > atomic_load(&seen->next)) {
        atomic_fetch_add(&fixture->out_of_order, 1); // One was passed over.
    }
    if (atomic_load(&fixture->slow_ms) > 0) {
        usleep((useconds_t)atomic_load(&fixture->slow_ms) * 1000);
    }
    while (atomic_load(&fixture->held)) {
        usleep(1000);
    }
    if (message->reconsume_times > atomic_load(&fixture->reconsumed)) {
        atomic_store(&fixture->reconsumed, message->reconsume_times);
    }
    if (atomic_load(&fixture->fail_times) > 0) {
        atomic_fetch_sub(&fixture->fail_times, 1);
        verdict = RAFTMQ_CONSUME_LATER;
    } else if (offset == atomic_load(&fixture->give_up_at)) {
        verdict = RAFTMQ_CONSUME_GIVE_UP;
        atomic_store(&seen->next, offset + 1);
    } else {
        atomic_fetch_add(&fixture->done, 1);
        atomic_store(&seen->next, offset + 1);
    }
    if (atomic_load(&seen->next) > atomic_load(&seen->most)) {
        atomic_store(&seen->most, atomic_load(&seen->next));
    }
    atomic_fetch_sub(&seen->busy, 1);
    return verdict;
}

static struct raftmq_client *new_client(struct fixture *fixture)
{
    struct raftmq_client *client;
    char address[32];
    const struct raftmq_client_options options = {
        .nameservers = fake_broker_address(&fixture->fake, address),
        .worker_threads = 8,
        .rebalance_ms = 50,
        .persist_offsets_ms = 20,
        .heartbeat_ms = 100,
    };
    assert_int_equal(raftmq_client_new(&options, &client, &fixture->error), RAFTMQ_OK);
    return client;
}

static int setup(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof *fixture);
    atomic_store(&fixture->give_up_at, -1);
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
    atomic_store(&fixture->held, false);
    raftmq_consumer_close(fixture->consumer);
    raftmq_producer_close(fixture->producer);
    raftmq_client_close(fixture->client);
    fake_broker_stop(&fixture->fake);
    free(fixture);
    return 0;
}

static struct raftmq_consumer_options options_of(struct fixture *fixture)
{
    static const struct raftmq_subscription subscription = {.topic = "T"};
    return (struct raftmq_consumer_options){
        .group = "c",
        .subscriptions = &subscription,
        .subscription_count = 1,
        .listener = listen_in_order,
        .context = fixture,
        .from = RAFTMQ_FROM_FIRST,
        .orderly = true,
        .redeliver_ms = 10,
    };
}

static struct raftmq_consumer *consume(struct fixture *fixture, struct raftmq_client *client)
{
    struct raftmq_consumer *consumer;
    const struct raftmq_consumer_options options = options_of(fixture);
    assert_int_equal(raftmq_consumer_new(client, &options, &consumer, &fixture->error), RAFTMQ_OK);
    return consumer;
}

static void send_some(struct fixture *fixture, int count)
{
    const struct raftmq_message message = {.topic = "T", .body = "x", .body_size = 1};
    for (int i = 0; i < count; i++) { // Queues take turns.
        assert_int_equal(raftmq_send(fixture->producer, &message, 0, NULL, &fixture->error),
                         RAFTMQ_OK);
    }
}

static int reached(struct fixture *fixture)
{
    int sum = 0;
    for (int i = 0; i < QUEUES; i++) {
        sum += atomic_load(&fixture->seen[i].most);
    }
    return sum;
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

static void assert_in_order(struct fixture *fixture)
{
    assert_int_equal(atomic_load(&fixture->out_of_order), 0);
    assert_int_equal(atomic_load(&fixture->at_once), 0);
}

static void a_failure_has_the_queue_wait_and_passes_nothing_over(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.takes_back, true);
    atomic_store(&fixture->fail_times, 15);
    send_some(fixture, 200);
    fixture->consumer = consume(fixture, fixture->client);
    WAIT_FOR(atomic_load(&fixture->done) == 200);
    WAIT_FOR(committed(fixture) == 200);
    assert_in_order(fixture);
    assert_int_equal(atomic_load(&fixture->fake.given_back), 0);
    assert_true(atomic_load(&fixture->reconsumed) >= 1);
    raftmq_consumer_close(fixture->consumer);
    fixture->consumer = NULL;
    WAIT_FOR(atomic_load(&fixture->fake.unlocks) >= QUEUES);
}

static void what_is_given_up_is_a_dead_letter_and_the_queue_goes_on(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.takes_back, true);
    atomic_store(&fixture->give_up_at, 3);
    send_some(fixture, 40);
    fixture->consumer = consume(fixture, fixture->client);
    WAIT_FOR(committed(fixture) == 40);
    assert_int_equal(atomic_load(&fixture->fake.dead_letters), QUEUES);
    assert_int_equal(atomic_load(&fixture->done), 40 - QUEUES);
    assert_in_order(fixture);
}

static void after_the_last_retry_a_message_is_a_dead_letter(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_consumer_options options = options_of(fixture);
    options.retries_max = 2;
    atomic_store(&fixture->fake.takes_back, true);
    atomic_store(&fixture->fail_times, 3);
    send_some(fixture, 1);
    assert_int_equal(
        raftmq_consumer_new(fixture->client, &options, &fixture->consumer, &fixture->error),
        RAFTMQ_OK);
    WAIT_FOR(committed(fixture) == 1);
    assert_int_equal(atomic_load(&fixture->fake.dead_letters), 1);
    assert_int_equal(atomic_load(&fixture->reconsumed), 2);
    assert_int_equal(atomic_load(&fixture->done), 0);
}

static void without_a_lock_nothing_is_delivered(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.deny_locks, true);
    send_some(fixture, 20);
    fixture->consumer = consume(fixture, fixture->client);
    WAIT_FOR(atomic_load(&fixture->fake.locks) >= 6);
    assert_int_equal(atomic_load(&fixture->done), 0);
    atomic_store(&fixture->fake.deny_locks, false);
    WAIT_FOR(atomic_load(&fixture->done) == 20);
    assert_in_order(fixture);
}

/* The locks go while listeners run: what these did does not count, and nothing else is done. */
static void a_lock_that_was_lost_stops_the_queue_and_what_ran_is_done_again(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->slow_ms, 5);
    send_some(fixture, 400);
    fixture->consumer = consume(fixture, fixture->client);
    WAIT_FOR(atomic_load(&fixture->done) >= 40);
    atomic_store(&fixture->fake.deny_locks, true);
    int locks = atomic_load(&fixture->fake.locks);
    WAIT_FOR(atomic_load(&fixture->fake.locks) >= locks + 6);
    int done = atomic_load(&fixture->done);
    locks = atomic_load(&fixture->fake.locks);
    WAIT_FOR(atomic_load(&fixture->fake.locks) >= locks + 4);
    assert_int_equal(atomic_load(&fixture->done), done);
    atomic_store(&fixture->fake.deny_locks, false);
    WAIT_FOR(reached(fixture) == 400);
    WAIT_FOR(committed(fixture) == 400);
    assert_in_order(fixture);
}

/* Members come and go under load: one at a time at each queue, none passed over. */
static void order_is_kept_when_queues_change_hands(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->slow_ms, 3);
    send_some(fixture, 800);
    fixture->consumer = consume(fixture, fixture->client);
    for (int round = 0; round < 3; round++) {
        struct raftmq_client *client = new_client(fixture);
        struct raftmq_consumer *other = consume(fixture, client);
        int before = atomic_load(&fixture->done);
        WAIT_FOR(raftmq_consumer_queue_count(fixture->consumer) == 4 &&
                 raftmq_consumer_queue_count(other) == 4);
        WAIT_FOR(atomic_load(&fixture->done) >= before + 30);
        raftmq_consumer_close(other);
        raftmq_client_close(client);
    }
    WAIT_FOR(reached(fixture) == 800);
    WAIT_FOR(committed(fixture) == 800);
    assert_in_order(fixture);
}

static void a_reset_begins_anew(void **state)
{
    struct fixture *fixture = *state;
    for (int orderly = 0; orderly < 2; orderly++) {
        struct raftmq_consumer_options options = options_of(fixture);
        options.orderly = orderly == 1;
        atomic_store(&fixture->slow_ms, 0);
        send_some(fixture, orderly == 0 ? 40 : 0);
        assert_int_equal(
            raftmq_consumer_new(fixture->client, &options, &fixture->consumer, &fixture->error),
            RAFTMQ_OK);
        WAIT_FOR(committed(fixture) == 40 &&
                 raftmq_consumer_queue_count(fixture->consumer) == 2 * QUEUES);
        int done = atomic_load(&fixture->done);
        fake_broker_reset(&fixture->fake);
        WAIT_FOR(atomic_load(&fixture->done) >= done + 40);
        WAIT_FOR(committed(fixture) == 40);
        raftmq_consumer_close(fixture->consumer);
        fixture->consumer = NULL;
    }
}

/* Listeners that run while a queue is reset: their messages lie above where it goes on, and must
 * not be taken for what comes first there. */
static void what_ran_during_a_reset_does_not_move_the_offset(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_consumer_options options = options_of(fixture);
    options.orderly = false;
    send_some(fixture, 40);
    assert_int_equal(
        raftmq_consumer_new(fixture->client, &options, &fixture->consumer, &fixture->error),
        RAFTMQ_OK);
    WAIT_FOR(committed(fixture) == 40);
    atomic_store(&fixture->slow_ms, 100);
    send_some(fixture, 8);
    for (int i = 0; i < QUEUES; i++) {
        WAIT_FOR(atomic_load(&fixture->seen[i].busy) > 0);
    }
    int done = atomic_load(&fixture->done);
    fake_broker_reset(&fixture->fake);
    WAIT_FOR(committed(fixture) == 0);
    WAIT_FOR(atomic_load(&fixture->done) >= done + 8); // Those that ran are done now.
    assert_true(committed(fixture) < 40);
    atomic_store(&fixture->slow_ms, 0);
    WAIT_FOR(committed(fixture) == 48);
}

/* Retention takes what lies behind what was pulled: the group's offset stays in front of that. */
static void a_queue_that_is_moved_ahead_keeps_what_is_not_done(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_consumer_options options = options_of(fixture);
    options.orderly = false;
    atomic_store(&fixture->held, true);
    send_some(fixture, QUEUES);
    assert_int_equal(
        raftmq_consumer_new(fixture->client, &options, &fixture->consumer, &fixture->error),
        RAFTMQ_OK);
    for (int i = 0; i < QUEUES; i++) {
        WAIT_FOR(atomic_load(&fixture->seen[i].busy) > 0);
    }
    atomic_store(&fixture->fake.skip_to, 3);
    send_some(fixture, 5 * QUEUES);
    WAIT_FOR(atomic_load(&fixture->fake.skips) >= QUEUES);
    WAIT_FOR(atomic_load(&fixture->fake.pulls_ahead) >= 4 * QUEUES);
    assert_int_equal(atomic_load(&fixture->fake.most_offset), 0);
    atomic_store(&fixture->held, false);
    WAIT_FOR(committed(fixture) == 6 * QUEUES);
}

static void options_that_do_not_go_together_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_consumer *consumer;
    struct raftmq_consumer_options options = options_of(fixture);
    options.retry_level = 1;
    assert_int_equal(raftmq_consumer_new(fixture->client, &options, &consumer, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
    options.orderly = false;
    options.retry_level = 19;
    assert_int_equal(raftmq_consumer_new(fixture->client, &options, &consumer, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
    options.retry_level = 0;
    options.retries_max = UINT32_MAX;
    assert_int_equal(raftmq_consumer_new(fixture->client, &options, &consumer, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
}

/* What a consumer that is not orderly says when it gives messages back. */
static void retries_are_asked_for_as_the_options_say(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_consumer_options options = options_of(fixture);
    options.orderly = false;
    options.retries_max = 5;
    options.retry_level = 7;
    atomic_store(&fixture->fake.takes_back, true);
    atomic_store(&fixture->fail_times, 1);
    send_some(fixture, 1);
    assert_int_equal(
        raftmq_consumer_new(fixture->client, &options, &fixture->consumer, &fixture->error),
        RAFTMQ_OK);
    WAIT_FOR(atomic_load(&fixture->fake.given_back) == 1);
    assert_int_equal(atomic_load(&fixture->fake.last_retry_level), 7);
    assert_int_equal(atomic_load(&fixture->fake.last_retries_max), 5);
    atomic_store(&fixture->give_up_at, 0);
    send_some(fixture, QUEUES - 1);
    WAIT_FOR(atomic_load(&fixture->fake.dead_letters) == QUEUES - 1);
    WAIT_FOR(committed(fixture) == QUEUES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failure_has_the_queue_wait_and_passes_nothing_over),
        TEST(what_is_given_up_is_a_dead_letter_and_the_queue_goes_on),
        TEST(after_the_last_retry_a_message_is_a_dead_letter),
        TEST(without_a_lock_nothing_is_delivered),
        TEST(a_lock_that_was_lost_stops_the_queue_and_what_ran_is_done_again),
        TEST(order_is_kept_when_queues_change_hands),
        TEST(a_reset_begins_anew),
        TEST(what_ran_during_a_reset_does_not_move_the_offset),
        TEST(a_queue_that_is_moved_ahead_keeps_what_is_not_done),
        TEST(options_that_do_not_go_together_are_refused),
        TEST(retries_are_asked_for_as_the_options_say),
    };
    return cmocka_run_group_tests_name("orderly", tests, NULL, NULL);
}
