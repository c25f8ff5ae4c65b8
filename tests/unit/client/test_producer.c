/* Producer: sends, retries and transactions against a fake broker on loopback. */
#include "tests/support/fake_broker.h"
#include "tests/support/test.h"

#include "client/include/raftmq.h"
#include "common/base/clock.h"
#include "common/base/limits.h"

#include <stdio.h>
#include <unistd.h>

enum { LARGE_SENDS = 20, ASKERS = 8 };

struct fixture {
    struct fake_broker fake;
    struct raftmq_client *client;
    struct raftmq_producer *producer;
    struct raftmq_error error;
    struct raftmq_send_result result;
    atomic_int executed;
    atomic_int checked;
    atomic_int called_back;
    atomic_int failed;
    enum raftmq_transaction decide;       /* What execute() says. */
    enum raftmq_transaction decide_check; /* What the check says. */
    char checked_body[16];
};

static enum raftmq_transaction on_check(void *context, const struct raftmq_received *message)
{
    struct fixture *fixture = context;
    memcpy(fixture->checked_body, message->body, message->body_size < 16 ? message->body_size : 15);
    atomic_fetch_add(&fixture->checked, 1);
    return fixture->decide_check;
}

static int setup(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof *fixture);
    char address[32];
    fake_broker_start(&fixture->fake);
    const struct raftmq_client_options options = {
        .nameservers = fake_broker_address(&fixture->fake, address),
        .timeout_ms = 3000,
        .worker_threads = 2,
        .sends_max = 64,
    };
    assert_int_equal(raftmq_client_new(&options, &fixture->client, &fixture->error), RAFTMQ_OK);
    assert_int_equal(raftmq_producer_new(fixture->client, "g", on_check, fixture,
                                         &fixture->producer, &fixture->error),
                     RAFTMQ_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    raftmq_producer_close(fixture->producer);
    raftmq_client_close(fixture->client);
    fake_broker_stop(&fixture->fake);
    free(fixture);
    return 0;
}

static struct raftmq_message hello(void)
{
    return (struct raftmq_message){.topic = "T", .body = "hello", .body_size = 5, .tags = "a"};
}

static enum raftmq_status send_hello(struct fixture *fixture, uint64_t timeout_ms)
{
    struct raftmq_message message = hello();
    memset(&fixture->result, 0, sizeof fixture->result);
    return raftmq_send(fixture->producer, &message, timeout_ms, &fixture->result, &fixture->error);
}

static void wait_for(const atomic_int *counter, int wanted)
{
    for (int i = 0; i < 5000 && atomic_load(counter) < wanted; i++) {
        usleep(1000);
    }
    assert_true(atomic_load(counter) >= wanted);
}

static void sends_take_turns_among_queues_and_brokers(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(send_hello(fixture, 0), RAFTMQ_OK);
        assert_int_equal(fixture->result.status, RAFTMQ_SENT);
        assert_int_equal(fixture->result.attempts, 1);
        assert_int_equal(strlen(fixture->result.message_id), 32);
        assert_int_equal(strlen(fixture->result.offset_message_id), 32);
    }
    assert_int_equal(atomic_load(&fixture->fake.sends_of[0]), 4);
    assert_int_equal(atomic_load(&fixture->fake.sends_of[1]), 4);
    assert_int_equal(fixture->result.queue_offset, 1);
    // The broker heard of the group before the first message.
    assert_true(atomic_load(&fixture->fake.heartbeats) >= 2);
}

static void equal_shard_keys_go_to_one_queue(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_message message = hello();
    message.shard_key = "order-42";
    char broker[RAFTMQ_NAME_SIZE] = "";
    int32_t queue = -1;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(
            raftmq_send(fixture->producer, &message, 0, &fixture->result, &fixture->error),
            RAFTMQ_OK);
        if (i > 0) {
            assert_string_equal(broker, fixture->result.broker);
            assert_int_equal(queue, fixture->result.queue_id);
        }
        memcpy(broker, fixture->result.broker, sizeof broker);
        queue = fixture->result.queue_id;
    }
}

static void a_refusal_that_others_need_not_share_goes_to_another_broker(void **state)
{
    struct fixture *fixture = *state;
    static const int codes[] = {1, 2, 14, 16, 17, 204, 205};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        atomic_store(&fixture->fake.refuse_code, codes[i]);
        atomic_store(&fixture->fake.refuse_broker, 0);
        atomic_store(&fixture->fake.refuse_sends, 1);
        for (int j = 0; j < 4; j++) { // One of the turns begins at the refusing broker.
            assert_int_equal(send_hello(fixture, 0), RAFTMQ_OK);
            if (fixture->result.attempts == 2) {
                assert_string_equal(fixture->result.broker, "broker-b");
            }
        }
        assert_int_equal(atomic_load(&fixture->fake.refuse_sends), 0);
    }
}

static void a_wrong_message_is_not_sent_twice(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.refuse_code, 13);
    atomic_store(&fixture->fake.refuse_sends, 10);
    assert_int_equal(send_hello(fixture, 0), RAFTMQ_REFUSED);
    assert_int_equal(fixture->error.code, 13);
    assert_string_equal(fixture->error.remark, "refused as told");
    assert_int_equal(atomic_load(&fixture->fake.sends), 1);
}

static void counted_refusals_end_after_three_attempts(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.refuse_code, 1);
    atomic_store(&fixture->fake.refuse_sends, 100);
    assert_int_equal(send_hello(fixture, 0), RAFTMQ_REFUSED);
    assert_int_equal(fixture->error.code, 1);
    assert_int_equal(atomic_load(&fixture->fake.sends), 3);
}

/* Without a leader nothing is stored, so trying on is safe and costs no attempt. */
static void no_leader_is_waited_out(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.refuse_code, 14);
    atomic_store(&fixture->fake.refuse_sends, 6);
    assert_int_equal(send_hello(fixture, 0), RAFTMQ_OK);
    assert_int_equal(fixture->result.attempts, 7);
    atomic_store(&fixture->fake.refuse_sends, 1000000);
    enum raftmq_status status = send_hello(fixture, 300);
    if (status != RAFTMQ_TIMED_OUT) { // The last attempt was not under way when time was over.
        assert_int_equal(status, RAFTMQ_REFUSED);
        assert_int_equal(fixture->error.code, 14);
    }
}

static void a_leader_hint_is_followed_at_once(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.refuse_code, 14);
    atomic_store(&fixture->fake.refuse_broker, 0);
    atomic_store(&fixture->fake.hint_other, true);
    atomic_store(&fixture->fake.refuse_sends, 1);
    bool followed = false;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(send_hello(fixture, 0), RAFTMQ_OK);
        // The same broker group, found at the other address.
        followed |=
            fixture->result.attempts == 2 && strcmp(fixture->result.broker, "broker-a") == 0;
    }
    assert_true(followed);
}

static void silence_times_out_as_an_unknown_outcome(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.swallow_sends, true);
    assert_int_equal(send_hello(fixture, 150), RAFTMQ_TIMED_OUT);
    assert_int_equal(fixture->error.code, -1);
    atomic_store(&fixture->fake.swallow_sends, false);
    assert_int_equal(send_hello(fixture, 0), RAFTMQ_OK);
}

/* The first attempt may have been stored, whatever is said to the later ones. */
static void a_refusal_does_not_hide_that_an_attempt_was_lost(void **state)
{
    struct fixture *fixture = *state;
    static const int codes[] = {13, 14, 1};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        atomic_store(&fixture->fake.lose_sends, 1);
        atomic_store(&fixture->fake.refuse_code, codes[i]);
        atomic_store(&fixture->fake.refuse_sends, 1000000);
        assert_int_equal(send_hello(fixture, 300), RAFTMQ_CONNECTION_LOST);
        assert_int_equal(fixture->error.status, RAFTMQ_CONNECTION_LOST);
        assert_int_equal(fixture->error.code, codes[i]);
        assert_non_null(strstr(fixture->error.remark, "refused as told"));
        atomic_store(&fixture->fake.refuse_sends, 0);
    }
    atomic_store(&fixture->fake.lose_sends, 1);
    assert_int_equal(send_hello(fixture, 0), RAFTMQ_OK);
    assert_int_equal(fixture->error.code, 0);
}

static void a_lost_connection_is_made_again(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(send_hello(fixture, 0), RAFTMQ_OK);
    for (int i = 0; i < 5; i++) {
        fake_broker_drop(&fixture->fake);
        wait_for(&fixture->fake.drops, i + 1);
        assert_int_equal(send_hello(fixture, 0), RAFTMQ_OK);
    }
}

static void an_unknown_topic_is_made_by_the_broker(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->fake.unknown_topic, true);
    assert_int_equal(send_hello(fixture, 0), RAFTMQ_OK);
}

static void without_any_nameserver_there_is_no_route(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_client *client;
    struct raftmq_producer *producer;
    struct raftmq_message message = hello();
    const struct raftmq_client_options options = {.nameservers = "127.0.0.1:1;127.0.0.1:2"};
    assert_int_equal(raftmq_client_new(&options, &client, NULL), RAFTMQ_OK);
    assert_int_equal(raftmq_producer_new(client, "g", NULL, NULL, &producer, NULL), RAFTMQ_OK);
    assert_int_equal(raftmq_send(producer, &message, 200, NULL, &fixture->error), RAFTMQ_NO_ROUTE);
    raftmq_producer_close(producer);
    raftmq_client_close(client);
}

static void a_dead_first_nameserver_is_passed_over(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_client *client;
    struct raftmq_producer *producer;
    struct raftmq_message message = hello();
    char address[32];
    char both[64];
    snprintf(both, sizeof both, "127.0.0.1:1;%s", fake_broker_address(&fixture->fake, address));
    const struct raftmq_client_options options = {.nameservers = both};
    assert_int_equal(raftmq_client_new(&options, &client, NULL), RAFTMQ_OK);
    assert_int_equal(raftmq_producer_new(client, "g", NULL, NULL, &producer, NULL), RAFTMQ_OK);
    assert_int_equal(raftmq_send(producer, &message, 0, NULL, &fixture->error), RAFTMQ_OK);
    raftmq_producer_close(producer);
    raftmq_client_close(client);
}

/* One who asks nameservers, at the same time as others. */
struct asker {
    uv_thread_t thread;
    struct raftmq_client *client;
    const char *topic;
    enum raftmq_status route_status;
    enum raftmq_status receive_status;
};

static void ask_once(void *argument)
{
    struct asker *asker = argument;
    struct raftmq_route *route = NULL;
    struct raftmq_messages *messages = NULL;
    struct raftmq_simple_consumer *consumer;
    const struct raftmq_subscription subscription = {.topic = asker->topic};
    const struct raftmq_simple_consumer_options options = {"c", &subscription, 1, RAFTMQ_FROM_LAST};
    assert_int_equal(raftmq_simple_consumer_new(asker->client, &options, &consumer, NULL),
                     RAFTMQ_OK);
    asker->receive_status = raftmq_receive(consumer, 1, 1, 0, &messages, NULL);
    asker->route_status = raftmq_topic_route(asker->client, asker->topic, &route, NULL);
    raftmq_messages_free(messages);
    raftmq_route_free(route);
    raftmq_simple_consumer_close(consumer);
}

/* Whoever finds the first one dead goes on to the second: each for himself, not one place further
 * for each of them. */
static void calls_that_fail_together_turn_to_the_same_nameserver(void **state)
{
    struct fixture *fixture = *state;
    static const char *const topics[ASKERS] = {"T", "U", "V", "W", "X", "Y", "Z", "A"};
    char address[32];
    char both[64];
    snprintf(both, sizeof both, "127.0.0.1:1;%s", fake_broker_address(&fixture->fake, address));
    const struct raftmq_client_options options = {.nameservers = both};
    for (int round = 0; round < 10; round++) {
        struct asker askers[ASKERS];
        struct raftmq_client *client;
        assert_int_equal(raftmq_client_new(&options, &client, NULL), RAFTMQ_OK);
        for (int i = 0; i < ASKERS; i++) {
            askers[i] = (struct asker){.client = client, .topic = topics[i]};
            uv_thread_create(&askers[i].thread, ask_once, &askers[i]);
        }
        for (int i = 0; i < ASKERS; i++) {
            uv_thread_join(&askers[i].thread);
        }
        for (int i = 0; i < ASKERS; i++) {
            assert_int_equal(askers[i].receive_status, RAFTMQ_OK);
            assert_int_equal(askers[i].route_status, RAFTMQ_OK);
        }
        raftmq_client_close(client);
    }
}

/* Nothing was sent, so nobody needs to wonder what became of it. */
static void a_route_that_comes_too_late_is_no_route(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_client *client;
    struct raftmq_producer *producer;
    struct raftmq_message message = hello();
    char address[32];
    char twice[64];
    fake_broker_address(&fixture->fake, address);
    snprintf(twice, sizeof twice, "%s;%s", address, address);
    const struct raftmq_client_options options = {.nameservers = twice};
    atomic_store(&fixture->fake.routes_late_ms, 60000);
    assert_int_equal(raftmq_client_new(&options, &client, NULL), RAFTMQ_OK);
    assert_int_equal(raftmq_producer_new(client, "g", NULL, NULL, &producer, NULL), RAFTMQ_OK);
    uint64_t begin_ms = clock_monotonic_ms(clock_system());
    assert_int_equal(raftmq_send(producer, &message, 100, NULL, &fixture->error), RAFTMQ_NO_ROUTE);
    assert_string_equal(fixture->error.remark, "no nameserver answered in time");
    assert_true(clock_monotonic_ms(clock_system()) - begin_ms < 2000);
    assert_int_equal(atomic_load(&fixture->fake.sends), 0);
    raftmq_producer_close(producer);
    raftmq_client_close(client);
}

static void on_sent(void *context, const struct raftmq_send_result *result,
                    const struct raftmq_error *error)
{
    struct fixture *fixture = context;
    if (error->status == RAFTMQ_OK) {
        assert_non_null(result);
        atomic_fetch_add(&fixture->called_back, 1);
    } else {
        assert_null(result);
        atomic_fetch_add(&fixture->failed, 1);
    }
}

static void asynchronous_sends_call_back_once_and_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_message message = hello();
    int accepted = 0;
    atomic_store(&fixture->fake.swallow_sends, true);
    for (int i = 0; i < 100; i++) {
        enum raftmq_status status =
            raftmq_send_async(fixture->producer, &message, 400, on_sent, fixture);
        assert_true(status == RAFTMQ_OK || status == RAFTMQ_OVERLOADED);
        accepted += status == RAFTMQ_OK;
    }
    assert_int_equal(accepted, 64);
    wait_for(&fixture->failed, 64);
    atomic_store(&fixture->fake.swallow_sends, false);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(raftmq_send_async(fixture->producer, &message, 0, on_sent, fixture),
                         RAFTMQ_OK);
    }
    wait_for(&fixture->called_back, 64);
    assert_int_equal(atomic_load(&fixture->failed), 64);
}

/* More than a connection may have waiting, at once: they take turns. */
static void large_sends_do_not_end_their_own_connection(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_message message = hello();
    message.body_size = MESSAGE_BODY_MAX;
    uint8_t *body = mem_zalloc(message.body_size);
    message.body = body;
    for (int i = 0; i < 2 * LARGE_SENDS; i++) {
        enum raftmq_status status =
            i % 2 == 0 ? raftmq_send_async(fixture->producer, &message, 60000, on_sent, fixture)
                       : raftmq_send_oneway(fixture->producer, &message);
        assert_int_equal(status, RAFTMQ_OK);
    }
    wait_for(&fixture->called_back, LARGE_SENDS);
    wait_for(&fixture->fake.oneways, LARGE_SENDS);
    assert_int_equal(atomic_load(&fixture->failed), 0);
    free(body);
}

static enum raftmq_consumed consume_all(void *context, const struct raftmq_received *message)
{
    (void)context;
    (void)message;
    return RAFTMQ_CONSUMED;
}

/* What a send callback makes, on the client's own thread. */
struct made {
    struct fixture *fixture;
    struct raftmq_producer *producer;
    struct raftmq_consumer *consumer;
    size_t queue_count;
    atomic_int done;
};

static void make_all(void *context, const struct raftmq_send_result *result,
                     const struct raftmq_error *error)
{
    struct made *made = context;
    struct raftmq_client *client = made->fixture->client;
    struct raftmq_simple_consumer *simple;
    const struct raftmq_subscription subscription = {.topic = "T"};
    const struct raftmq_consumer_options options = {.group = "c",
                                                    .subscriptions = &subscription,
                                                    .subscription_count = 1,
                                                    .listener = consume_all};
    const struct raftmq_simple_consumer_options simple_options = {"s", &subscription, 1,
                                                                  RAFTMQ_FROM_LAST};
    (void)result;
    (void)error;
    assert_int_equal(raftmq_producer_new(client, "other", NULL, NULL, &made->producer, NULL),
                     RAFTMQ_OK);
    assert_int_equal(raftmq_consumer_new(client, &options, &made->consumer, NULL), RAFTMQ_OK);
    made->queue_count = raftmq_consumer_queue_count(made->consumer);
    assert_int_equal(raftmq_simple_consumer_new(client, &simple_options, &simple, NULL), RAFTMQ_OK);
    raftmq_simple_consumer_close(simple);
    atomic_store(&made->done, 1);
}

/* A send ends by its answer, by its timeout, with its connection, or for want of a route. */
static void what_does_not_wait_may_be_called_from_a_send_callback(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 4; i++) {
        struct raftmq_message message = hello();
        struct made made = {.fixture = fixture};
        message.topic = i == 3 ? "U" : "T";
        atomic_store(&fixture->fake.swallow_sends, i == 1);
        atomic_store(&fixture->fake.lose_sends, i == 2 ? 3 : 0);
        atomic_store(&fixture->fake.routes_late_ms, i == 3 ? 60000 : 0);
        assert_int_equal(
            raftmq_send_async(fixture->producer, &message, i % 2 == 1 ? 50 : 0, make_all, &made),
            RAFTMQ_OK);
        wait_for(&made.done, 1);
        assert_int_equal(made.queue_count, 0);
        raftmq_consumer_close(made.consumer);
        raftmq_producer_close(made.producer);
    }
}

static void closing_ends_what_is_in_flight(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_message message = hello();
    atomic_store(&fixture->fake.swallow_sends, true);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(raftmq_send_async(fixture->producer, &message, 60000, on_sent, fixture),
                         RAFTMQ_OK);
    }
    wait_for(&fixture->fake.sends, 1);
    raftmq_producer_close(fixture->producer);
    fixture->producer = NULL;
    assert_int_equal(atomic_load(&fixture->failed), 10);
}

static void oneway_sends_arrive_unanswered(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_message message = hello();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(raftmq_send_oneway(fixture->producer, &message), RAFTMQ_OK);
    }
    wait_for(&fixture->fake.oneways, 5);
}

static void a_batch_is_stored_as_its_messages(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_message messages[3] = {hello(), hello(), hello()};
    assert_int_equal(
        raftmq_send_batch(fixture->producer, messages, 3, 0, &fixture->result, &fixture->error),
        RAFTMQ_OK);
    assert_int_equal(fixture->result.queue_offset, 0);
    assert_int_equal(raftmq_send_batch(fixture->producer, messages, 0, 0, NULL, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
    messages[1].topic = "U";
    assert_int_equal(raftmq_send_batch(fixture->producer, messages, 3, 0, NULL, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
    messages[1].topic = "T";
    messages[2].delay_ms = 1;
    assert_int_equal(raftmq_send_batch(fixture->producer, messages, 3, 0, NULL, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
}

/* The fake broker takes the handle "v1 T broker-b 1 id" and no other. */
static void a_message_is_recalled_at_the_broker_that_its_handle_names(void **state)
{
    struct fixture *fixture = *state;
    const struct raftmq_message later = {
        .topic = "T", .body = "x", .body_size = 1, .delay_ms = 60000};
    assert_int_equal(raftmq_send(fixture->producer, &later, 0, &fixture->result, &fixture->error),
                     RAFTMQ_OK);
    assert_string_equal(fixture->result.recall_handle, FAKE_RECALL_HANDLE);
    assert_int_equal(raftmq_recall(fixture->client, "T", FAKE_RECALL_HANDLE, 0, &fixture->error),
                     RAFTMQ_OK);
    assert_int_equal(atomic_load(&fixture->fake.recalls_of[0]), 0);
    assert_int_equal(atomic_load(&fixture->fake.recalls_of[1]), 1);
    // "v1 T broker-a 1 id"
    assert_int_equal(
        raftmq_recall(fixture->client, "T", "djEgVCBicm9rZXItYSAxIGlk", 0, &fixture->error),
        RAFTMQ_REFUSED);
    assert_int_equal(fixture->error.code, 604);
    // Not base64url, "v2 T broker-a 1 id", "v1 T broker-a 1", "v1 T  1 id", "v1 T b 1 i d"
    const char *const wrong[] = {"",
                                 "?",
                                 "djIgVCBicm9rZXItYSAxIGlk",
                                 "djEgVCBicm9rZXItYSAx",
                                 "djEgVCAgMSBpZA",
                                 "djEgVCBiIDEgaSBk",
                                 NULL};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(raftmq_recall(fixture->client, "T", wrong[i], 0, NULL),
                         RAFTMQ_INVALID_ARGUMENT);
    }
    const struct raftmq_message now = hello();
    assert_int_equal(raftmq_send(fixture->producer, &now, 0, &fixture->result, &fixture->error),
                     RAFTMQ_OK);
    assert_string_equal(fixture->result.recall_handle, "");
}

static enum raftmq_transaction execute(void *context, const struct raftmq_send_result *result)
{
    struct fixture *fixture = context;
    assert_int_equal(strlen(result->message_id), 32);
    atomic_fetch_add(&fixture->executed, 1);
    return fixture->decide;
}

static enum raftmq_status send_transaction(struct fixture *fixture, enum raftmq_transaction decide,
                                           enum raftmq_transaction *outcome)
{
    struct raftmq_message message = hello();
    fixture->decide = decide;
    return raftmq_send_transaction(fixture->producer, &message, 0, execute, fixture,
                                   &fixture->result, outcome, &fixture->error);
}

static void transactions_end_as_the_local_half_decided(void **state)
{
    struct fixture *fixture = *state;
    enum raftmq_transaction outcome;
    assert_int_equal(send_transaction(fixture, RAFTMQ_TRANSACTION_COMMIT, &outcome), RAFTMQ_OK);
    assert_int_equal(outcome, RAFTMQ_TRANSACTION_COMMIT);
    wait_for(&fixture->fake.commits, 1);
    assert_int_equal(send_transaction(fixture, RAFTMQ_TRANSACTION_ROLLBACK, &outcome), RAFTMQ_OK);
    wait_for(&fixture->fake.rollbacks, 1);
    assert_int_equal(atomic_load(&fixture->executed), 2);
    assert_int_equal(atomic_load(&fixture->fake.checks_answered), 0);
}

static void an_undecided_transaction_is_asked_about_and_answered(void **state)
{
    struct fixture *fixture = *state;
    enum raftmq_transaction outcome;
    atomic_store(&fixture->fake.ask_unknown, true);
    fixture->decide_check = RAFTMQ_TRANSACTION_COMMIT;
    assert_int_equal(send_transaction(fixture, RAFTMQ_TRANSACTION_UNKNOWN, &outcome), RAFTMQ_OK);
    assert_int_equal(outcome, RAFTMQ_TRANSACTION_UNKNOWN);
    wait_for(&fixture->fake.commits, 1);
    assert_int_equal(atomic_load(&fixture->checked), 1);
    assert_int_equal(atomic_load(&fixture->fake.checks_answered), 1);
    assert_string_equal(fixture->checked_body, "hello");
}

static void a_half_message_stored_less_safely_is_rolled_back_unexecuted(void **state)
{
    struct fixture *fixture = *state;
    enum raftmq_transaction outcome;
    atomic_store(&fixture->fake.send_status, 11);
    assert_int_equal(send_transaction(fixture, RAFTMQ_TRANSACTION_COMMIT, &outcome), RAFTMQ_OK);
    assert_int_equal(outcome, RAFTMQ_TRANSACTION_ROLLBACK);
    assert_int_equal(fixture->result.status, RAFTMQ_SENT_SLAVE_NOT_AVAILABLE);
    assert_int_equal(atomic_load(&fixture->executed), 0);
    wait_for(&fixture->fake.rollbacks, 1);
}

static void many_threads_share_one_producer(void **state);

static void send_some(void *argument)
{
    struct fixture *fixture = argument;
    struct raftmq_message message = hello();
    for (int i = 0; i < 50; i++) {
        if (raftmq_send(fixture->producer, &message, 0, NULL, NULL) == RAFTMQ_OK) {
            atomic_fetch_add(&fixture->called_back, 1);
        }
    }
}

static void many_threads_share_one_producer(void **state)
{
    struct fixture *fixture = *state;
    uv_thread_t threads[8];
    for (int i = 0; i < 8; i++) {
        uv_thread_create(&threads[i], send_some, fixture);
    }
    for (int i = 0; i < 8; i++) {
        uv_thread_join(&threads[i]);
    }
    assert_int_equal(atomic_load(&fixture->called_back), 400);
}

/* A name that no resolver needs to ask anybody about: a label has at most 63 characters. */
#define NO_HOST "0123456789012345678901234567890123456789012345678901234567890123:9876"

static void a_nameserver_whose_name_does_not_resolve_is_left_out(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_client *client;
    struct raftmq_client_options options = {.nameservers = NO_HOST ";10.9.8.7:65535;" NO_HOST};
    assert_int_equal(raftmq_client_new(&options, &client, NULL), RAFTMQ_OK);
    assert_string_equal(raftmq_client_nameserver(client, 0), "10.9.8.7:65535");
    assert_null(raftmq_client_nameserver(client, 1));
    raftmq_client_close(client);
    options.nameservers = NO_HOST;
    assert_int_equal(raftmq_client_new(&options, &client, &fixture->error),
                     RAFTMQ_INVALID_ARGUMENT);
    assert_non_null(strstr(fixture->error.remark, "does not resolve"));
}

static void bad_arguments_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_client *client;
    struct raftmq_producer *producer;
    struct raftmq_client_options options = {.nameservers = "nonsense"};
    assert_int_equal(raftmq_client_new(&options, &client, &fixture->error),
                     RAFTMQ_INVALID_ARGUMENT);
    options.nameservers = "";
    assert_int_equal(raftmq_client_new(&options, &client, NULL), RAFTMQ_INVALID_ARGUMENT);
    options.nameservers = "127.0.0.1:99999";
    assert_int_equal(raftmq_client_new(&options, &client, NULL), RAFTMQ_INVALID_ARGUMENT);
    options.nameservers = "127.0.0.1:1;nonsense";
    assert_int_equal(raftmq_client_new(&options, &client, NULL), RAFTMQ_INVALID_ARGUMENT);
    assert_int_equal(raftmq_producer_new(fixture->client, "a b", NULL, NULL, &producer, NULL),
                     RAFTMQ_INVALID_ARGUMENT);
    assert_int_equal(raftmq_producer_new(fixture->client, "g", NULL, NULL, &producer, NULL),
                     RAFTMQ_INVALID_ARGUMENT); // There is one already.
    struct raftmq_message message = hello();
    message.topic = "no spaces";
    assert_int_equal(raftmq_send(fixture->producer, &message, 0, NULL, &fixture->error),
                     RAFTMQ_INVALID_ARGUMENT);
    assert_string_equal(raftmq_status_name(RAFTMQ_INVALID_ARGUMENT), "INVALID_ARGUMENT");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sends_take_turns_among_queues_and_brokers),
        TEST(equal_shard_keys_go_to_one_queue),
        TEST(a_refusal_that_others_need_not_share_goes_to_another_broker),
        TEST(a_wrong_message_is_not_sent_twice),
        TEST(counted_refusals_end_after_three_attempts),
        TEST(no_leader_is_waited_out),
        TEST(a_leader_hint_is_followed_at_once),
        TEST(silence_times_out_as_an_unknown_outcome),
        TEST(a_refusal_does_not_hide_that_an_attempt_was_lost),
        TEST(a_lost_connection_is_made_again),
        TEST(an_unknown_topic_is_made_by_the_broker),
        TEST(without_any_nameserver_there_is_no_route),
        TEST(a_dead_first_nameserver_is_passed_over),
        TEST(calls_that_fail_together_turn_to_the_same_nameserver),
        TEST(a_route_that_comes_too_late_is_no_route),
        TEST(asynchronous_sends_call_back_once_and_are_bounded),
        TEST(large_sends_do_not_end_their_own_connection),
        TEST(what_does_not_wait_may_be_called_from_a_send_callback),
        TEST(closing_ends_what_is_in_flight),
        TEST(oneway_sends_arrive_unanswered),
        TEST(a_batch_is_stored_as_its_messages),
        TEST(a_message_is_recalled_at_the_broker_that_its_handle_names),
        TEST(transactions_end_as_the_local_half_decided),
        TEST(an_undecided_transaction_is_asked_about_and_answered),
        TEST(a_half_message_stored_less_safely_is_rolled_back_unexecuted),
        TEST(many_threads_share_one_producer),
        TEST(a_nameserver_whose_name_does_not_resolve_is_left_out),
        TEST(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests_name("producer", tests, NULL, NULL);
}
