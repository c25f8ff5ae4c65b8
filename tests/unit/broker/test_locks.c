/* Queue locks over the wire (41, 42), at leader and follower. */
#include "tests/support/test.h"

#include "tests/support/broker_expect.h"

#include "common/remoting/body_lock.h"

enum { LOCK = 41, UNLOCK = 42, QUEUES_MANY = 150 };

static void put_topic(struct harness *harness, const char *name, const char *queues)
{
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 4000);
    harness_send(pipe, 17, 1, 0, NO_BODY, "topic", name, "readQueueNums", queues, "writeQueueNums",
                 queues, "perm", "6", "topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order",
                 "false", NULL);
    harness_commit(harness);
    expect_answer(pipe, 1, 0);
    harness_disconnect(pipe);
}

static void ask(struct harness_pipe *pipe, int32_t code, int32_t opaque, const char *client,
                const struct queue_name *queues, size_t count)
{
    const struct lock_request request = {
        .group = slice_text("G"),
        .client_id = slice_text(client),
        .queues = queues,
        .queue_count = count,
    };
    struct buf body = {0};
    lock_request_encode(&request, &body);
    harness_send(pipe, code, opaque, 0, buf_slice(&body), NULL);
    buf_close(&body);
}

static const struct queue_name orders[] = {
    {.topic = {(const uint8_t *)"orders", 6}, .broker = {(const uint8_t *)"b", 1}, .queue_id = 0},
    {.topic = {(const uint8_t *)"orders", 6}, .broker = {(const uint8_t *)"b", 1}, .queue_id = 1},
    {.topic = {(const uint8_t *)"orders", 6}, .broker = {(const uint8_t *)"b", 1}, .queue_id = 9},
};

/* How many queues an answer names; the first of them. */
static size_t locked(struct command answer, int32_t *first)
{
    struct body body = {0};
    const struct queue_name *queues;
    size_t count;
    assert_int_equal(lock_response_decode(answer.body, &body, &queues, &count), STATUS_OK);
    *first = count > 0 ? queues[0].queue_id : -1;
    body_close(&body);
    return count;
}

static void a_lock_is_exclusive_renewed_and_given_back(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    put_topic(harness, "orders", "4");
    struct harness_pipe *one = harness_connect(harness_leader(harness), 5000);
    struct harness_pipe *two = harness_connect(harness_leader(harness), 5001);
    int32_t first;
    ask(one, LOCK, 1, "one", orders, 3);
    harness_commit(harness);
    struct command answer = expect_answer(one, 1, 0);
    assert_int_equal(locked(answer, &first), 2); // There is no queue 9.
    assert_true(slice_contains(answer.body, "\"brokerName\":\"b\""));
    ask(two, LOCK, 1, "two", orders, 2);
    harness_commit(harness);
    assert_int_equal(locked(expect_answer(two, 1, 0), &first), 0);
    ask(one, LOCK, 2, "one", orders, 1);
    ask(two, UNLOCK, 2, "two", orders, 2);
    harness_commit(harness);
    assert_int_equal(locked(expect_answer(one, 2, 0), &first), 1);
    expect_answer(two, 2, 0);
    ask(one, UNLOCK, 3, "one", orders, 1);
    ask(two, LOCK, 3, "two", orders, 2);
    harness_commit(harness);
    expect_answer(one, 3, 0);
    assert_int_equal(locked(expect_answer(two, 3, 0), &first), 1);
    assert_int_equal(first, 0);
    harness_advance(harness, 61000);
    ask(two, LOCK, 4, "two", orders, 2);
    harness_commit(harness);
    assert_int_equal(locked(expect_answer(two, 4, 0), &first), 2);
    harness_disconnect(one);
    harness_disconnect(two);
    harness_free(harness);
}

static void more_queues_than_an_operation_holds_are_answered_at_once(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    put_topic(harness, "orders", "200");
    struct queue_name queues[QUEUES_MANY];
    for (int32_t i = 0; i < QUEUES_MANY; i++) {
        queues[i] = orders[0];
        queues[i].queue_id = i;
    }
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    int32_t first;
    ask(pipe, LOCK, 1, "one", queues, QUEUES_MANY);
    harness_commit(harness);
    assert_int_equal(locked(expect_answer(pipe, 1, 0), &first), QUEUES_MANY);
    ask(pipe, LOCK, 2, "one", queues, 0);
    harness_commit(harness);
    assert_int_equal(locked(expect_answer(pipe, 2, 0), &first), 0);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_follower_asks_the_leader(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    put_topic(harness, "orders", "4");
    harness_link(&harness->replicas[1]);
    struct harness_pipe *one = harness_connect(harness_leader(harness), 5000);
    struct harness_pipe *two = harness_connect(&harness->replicas[1], 5001);
    int32_t first;
    ask(one, LOCK, 1, "one", orders, 1);
    harness_commit(harness);
    assert_int_equal(locked(expect_answer(one, 1, 0), &first), 1);
    ask(two, LOCK, 1, "two", orders, 2);
    harness_exchange(harness);
    harness_commit(harness);
    harness_exchange(harness);
    assert_int_equal(locked(expect_answer(two, 1, 0), &first), 1);
    assert_int_equal(first, 1);
    harness_disconnect(one);
    harness_disconnect(two);
    harness_free(harness);
}

static void a_new_leader_extends_what_there_is(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_replica *leader = harness_leader(harness);
    put_topic(harness, "orders", "4");
    struct harness_pipe *pipe = harness_connect(leader, 5000);
    int32_t first;
    ask(pipe, LOCK, 1, "one", orders, 1);
    harness_commit(harness);
    assert_int_equal(locked(expect_answer(pipe, 1, 0), &first), 1);
    const struct replica_state led = leader->broker.state;
    const struct replica_state none = {.role = REPLICA_FOLLOWER, .term = led.term};
    broker_on_state(&leader->broker, &none);
    harness->now_ms += 61000; // Nobody leads for longer than a lease.
    broker_on_state(&leader->broker, &led);
    harness_commit(harness);
    ask(pipe, LOCK, 2, "two", orders, 1);
    harness_commit(harness);
    assert_int_equal(locked(expect_answer(pipe, 2, 0), &first), 0);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void what_is_no_request_is_refused(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    const char *const bad[] = {
        "",
        "[]",
        "{\"consumerGroup\":\"G\",\"mqSet\":[]}",
        "{\"clientId\":\"c\",\"mqSet\":[]}",
        "{\"consumerGroup\":\"a b\",\"clientId\":\"c\",\"mqSet\":[]}",
    };
    for (int32_t i = 0; i < (int32_t)(sizeof bad / sizeof bad[0]); i++) {
        struct command answer;
        harness_send(pipe, LOCK, i, 0, slice_text(bad[i]), NULL);
        harness_commit(harness);
        assert_true(harness_receive(pipe, &answer));
        assert_int_equal(answer.opaque, i);
        assert_int_not_equal(answer.code, 0);
        assert_true(answer.remark.size > 0);
    }
    harness_disconnect(pipe);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_is_exclusive_renewed_and_given_back),
        cmocka_unit_test(more_queues_than_an_operation_holds_are_answered_at_once),
        cmocka_unit_test(a_follower_asks_the_leader),
        cmocka_unit_test(a_new_leader_extends_what_there_is),
        cmocka_unit_test(what_is_no_request_is_refused),
    };
    return cmocka_run_group_tests_name("locks", tests, NULL, NULL);
}
