/* What is asked about popping without taking anything: PEEK_MESSAGE, NOTIFICATION, POLLING_INFO
 * (200052, 200054, 200055). On brokers without sockets. */
#include "tests/support/broker_expect.h"

#include <stdio.h>

enum {
    POP = 200050,
    ACK = 200051,
    PEEK = 200052,
    NOTIFICATION = 200054,
    POLLING_INFO = 200055,
    INVISIBLE_MS = 10000,
    POLL_MS = 15000,
};

static struct harness *harness;
static struct harness_pipe *producer;
static struct harness_pipe *consumer;

static int setup(void **state)
{
    (void)state;
    harness = harness_new(1);
    producer = harness_connect(harness_leader(harness), 5001);
    consumer = harness_connect(harness_leader(harness), 5000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_disconnect(consumer);
    harness_disconnect(producer);
    harness_free(harness);
    return 0;
}

static void send_to(const char *queue, const char *properties)
{
    harness_send(producer, 310, 1, 0, slice_text("body"), "a", "P", "b", "T", "c", "TBW102", "d",
                 "4", "e", queue, "f", "0", "g", "1", "h", "0", "i", properties, "j", "0", NULL);
    harness_commit(harness);
    expect_answer(producer, 1, 0);
}

static void ask_pop(struct harness_pipe *pipe, int32_t opaque, const char *poll)
{
    harness_send(pipe, POP, opaque, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "-1",
                 "maxMsgNums", "32", "invisibleTime", "10000", "pollTime", poll, "bornTime", "1",
                 "initMode", "0", NULL);
}

/* Pop what there is, which must be one message; when. */
static int64_t pop_one(void)
{
    ask_pop(consumer, 77, "0");
    harness_commit(harness);
    struct command answer = expect_answer(consumer, 77, 0);
    struct message message;
    size_t size;
    assert_int_equal(message_decode(answer.body, &message, &size), STATUS_OK);
    assert_int_equal(size, answer.body.size);
    return expect_field(&answer, "popTime");
}

static void ask_told_of(struct harness_pipe *pipe, int32_t opaque, const char *group,
                        const char *poll, const char *expression)
{
    harness_send(pipe, NOTIFICATION, opaque, 0, NO_BODY, "consumerGroup", group, "topic", "T",
                 "queueId", "-1", "pollTime", poll, "bornTime", "1", "order", "false", "expType",
                 "TAG", "exp", expression, NULL);
}

static void ask_told(struct harness_pipe *pipe, int32_t opaque, const char *poll,
                     const char *expression)
{
    ask_told_of(pipe, opaque, "G", poll, expression);
}

static void expect_told(struct harness_pipe *pipe, int32_t opaque, bool some, bool full)
{
    struct command answer = expect_answer(pipe, opaque, 0);
    bool told = !some;
    bool was_full = !full;
    assert_int_equal(command_bool(&answer, "hasMsg", &told), STATUS_OK);
    assert_int_equal(command_bool(&answer, "pollingFull", &was_full), STATUS_OK);
    assert_true(told == some && was_full == full);
}

static uint32_t waiting(void)
{
    return machine_popped_count(harness_leader(harness)->machine, slice_text("G"), slice_text("T"),
                                0);
}

/* --- NOTIFICATION ------------------------------------------------------------------------- */

static void who_asks_is_told_of_messages_and_gets_none(void **state)
{
    (void)state;
    send_to("0", "");
    ask_told(consumer, 3, "0", "*");
    expect_told(consumer, 3, true, false);
    assert_int_equal(waiting(), 0);
    pop_one();
    ask_told(consumer, 4, "0", "*");
    expect_told(consumer, 4, false, false);
}

static void who_waits_is_told_when_one_comes_or_is_due_again(void **state)
{
    (void)state;
    send_to("0", "");
    pop_one();
    ask_told(consumer, 3, "15000", "*");
    harness_commit(harness);
    expect_silence(consumer);
    send_to("2", "");
    expect_told(consumer, 3, true, false);
    pop_one();
    ask_told(consumer, 4, "15000", "*");
    harness_advance(harness, INVISIBLE_MS - BROKER_TICK_MS);
    expect_silence(consumer);
    harness_advance(harness, BROKER_TICK_MS);
    expect_told(consumer, 4, true, false);
}

static void who_waits_in_vain_is_told_so(void **state)
{
    (void)state;
    send_to("0", "TAGS\001red\002");
    ask_told(consumer, 3, "15000", "blue");
    // There is something to be passed over: a pop must do that.
    expect_told(consumer, 3, true, false);
    ask_told(consumer, 4, "15000", "*");
    expect_told(consumer, 4, true, false);
    int64_t pop_ms = pop_one();
    char handle[128];
    snprintf(handle, sizeof handle, "0 %lld 10000 0 0 %s 0 0", (long long)pop_ms,
             harness_leader(harness)->group.name.text);
    harness_send(consumer, ACK, 5, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "extraInfo", handle, "offset", "0", NULL);
    harness_commit(harness);
    expect_answer(consumer, 5, 0);
    ask_told(consumer, 6, "15000", "blue");
    harness_advance(harness, POLL_MS);
    expect_told(consumer, 6, false, false);
}

/* All of a group would ask for the same message: the next is told when more is left. */
static void one_of_a_group_is_told_at_a_time(void **state)
{
    (void)state;
    struct harness_pipe *other = harness_connect(harness_leader(harness), 5002);
    send_to("0", "");
    pop_one();
    ask_told(consumer, 3, "15000", "*");
    ask_told(other, 4, "15000", "*");
    harness_turn(harness);
    send_to("1", "");
    expect_told(consumer, 3, true, false);
    expect_silence(other);
    pop_one();
    harness_advance(harness, 2 * BROKER_TICK_MS);
    expect_silence(other);
    // Who was told does nothing: the other one is told a tick later.
    ask_told(consumer, 5, "15000", "*");
    send_to("1", "");
    expect_told(other, 4, true, false);
    expect_silence(consumer);
    harness_advance(harness, BROKER_TICK_MS);
    expect_told(consumer, 5, true, false);
    harness_disconnect(other);
}

static void one_of_each_group_is_told_at_a_time(void **state)
{
    (void)state;
    send_to("0", "");
    pop_one();
    harness_send(consumer, POP, 77, 0, NO_BODY, "consumerGroup", "H", "topic", "T", "queueId", "-1",
                 "maxMsgNums", "32", "invisibleTime", "10000", "pollTime", "0", "bornTime", "1",
                 "initMode", "0", NULL);
    harness_commit(harness);
    expect_answer(consumer, 77, 0);
    for (int32_t i = 0; i < 4; i++) {
        ask_told_of(consumer, i, i % 2 == 0 ? "G" : "H", "15000", "*");
    }
    harness_commit(harness);
    expect_silence(consumer);
    send_to("1", "");
    expect_told(consumer, 0, true, false);
    expect_told(consumer, 1, true, false);
    expect_silence(consumer);
    harness_advance(harness, BROKER_TICK_MS); // Nobody popped it.
    expect_told(consumer, 2, true, false);
    expect_told(consumer, 3, true, false);
}

static void who_pops_leaves_the_next_one_to_be_told_of_the_rest(void **state)
{
    (void)state;
    struct harness_pipe *other = harness_connect(harness_leader(harness), 5002);
    send_to("0", "");
    pop_one();
    ask_told(consumer, 3, "15000", "*");
    ask_told(other, 4, "15000", "*");
    harness_turn(harness);
    harness_send(producer, 310, 1, 0, slice_text("body"), "a", "P", "b", "T", "c", "TBW102", "d",
                 "4", "e", "1", "f", "0", "g", "1", "h", "0", "i", "", "j", "0", NULL);
    harness_send(producer, 310, 2, 0, slice_text("body"), "a", "P", "b", "T", "c", "TBW102", "d",
                 "4", "e", "2", "f", "0", "g", "1", "h", "0", "i", "", "j", "0", NULL);
    harness_commit(harness);
    expect_told(consumer, 3, true, false);
    expect_silence(other);
    pop_one(); // Of one queue; the pop ends, and the other queue is looked at.
    expect_told(other, 4, true, false);
    harness_disconnect(other);
}

static void only_so_many_may_wait(void **state)
{
    (void)state;
    harness_leader(harness)->settings.held_pulls_max = 1;
    send_to("0", "");
    pop_one();
    ask_told(consumer, 3, "15000", "*");
    ask_told(consumer, 4, "15000", "*");
    expect_told(consumer, 4, false, true);
    assert_int_equal(harness_leader(harness)->broker.pops.count, 1);
    harness_disconnect(consumer);
    assert_int_equal(harness_leader(harness)->broker.pops.count, 0);
    consumer = harness_connect(harness_leader(harness), 5000);
}

static void who_waits_at_a_leader_that_is_none_any_more_is_to_ask_again(void **state)
{
    (void)state;
    send_to("0", "");
    pop_one();
    ask_told(consumer, 3, "15000", "*");
    harness_commit(harness);
    const struct replica_state deposed = {.role = REPLICA_FOLLOWER, .term = 2, .leader_id = 0};
    broker_on_state(&harness_leader(harness)->broker, &deposed);
    expect_told(consumer, 3, false, false);
}

/* --- PEEK_MESSAGE ------------------------------------------------------------------------- */

static void ask_peek(const char *queue_id, const char *max)
{
    harness_send(consumer, PEEK, 8, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId",
                 queue_id, "maxMsgNums", max, NULL);
}

static void a_look_shows_what_a_pop_would_get_and_takes_nothing(void **state)
{
    (void)state;
    struct message message;
    struct slice text;
    size_t size;
    send_to("0", "");
    send_to("0", "");
    for (int times = 0; times < 2; times++) {
        ask_peek("-1", "1");
        struct command answer = expect_answer(consumer, 8, 0);
        assert_int_equal(message_decode(answer.body, &message, &size), STATUS_OK);
        assert_int_equal(size, answer.body.size);
        assert_int_equal(message.queue_offset, 0);
        assert_int_equal(expect_field(&answer, "restNum"), 1);
        assert_int_equal(expect_field(&answer, "popTime"), 0);
        assert_false(command_find(&answer, "msgOffsetInfo", &text)); // Nothing to acknowledge.
    }
    assert_int_equal(waiting(), 0);
    ask_pop(consumer, 9, "0");
    harness_commit(harness);
    expect_answer(consumer, 9, 0);
    ask_peek("-1", "32");
    expect_answer(consumer, 8, 19);
    harness_advance(harness, INVISIBLE_MS + BROKER_TICK_MS);
    ask_peek("0", "32");
    struct command answer = expect_answer(consumer, 8, 0);
    assert_int_equal(message_decode(answer.body, &message, &size), STATUS_OK);
    assert_int_equal(message.reconsume_times, 1);
    ask_peek("1", "32");
    expect_answer(consumer, 8, 19);
}

static void a_look_does_not_wait_for_a_pop_that_is_under_way(void **state)
{
    (void)state;
    send_to("0", "");
    ask_pop(producer, 2, "0");
    ask_peek("-1", "32");
    harness_turn(harness);
    expect_answer(consumer, 8, 0);
    harness_commit(harness);
    expect_answer(producer, 2, 0);
}

/* --- POLLING_INFO ------------------------------------------------------------------------- */

static int64_t polling(const char *queue_id)
{
    harness_send(consumer, POLLING_INFO, 9, 0, NO_BODY, "consumerGroup", "G", "topic", "T",
                 "queueId", queue_id, NULL);
    struct command answer = expect_answer(consumer, 9, 0);
    return expect_field(&answer, "pollingNum");
}

static void those_who_wait_to_pop_are_counted(void **state)
{
    (void)state;
    send_to("0", "");
    pop_one();
    assert_int_equal(polling("-1"), 0);
    ask_pop(producer, 2, "15000");
    ask_pop(producer, 3, "15000");
    ask_told(producer, 4, "15000", "*");
    harness_turn(harness);
    assert_int_equal(polling("-1"), 2);
    assert_int_equal(polling("0"), 0);
}

/* --- All of them -------------------------------------------------------------------------- */

static void bad_requests_are_refused(void **state)
{
    (void)state;
    const int32_t codes[] = {PEEK, NOTIFICATION, POLLING_INFO};
    const struct {
        const char *name;
        const char *value;
        int32_t code;
    } cases[] = {{"topic", "none", 17}, {"queueId", "4", 29}, {"queueId", "x", 29}};
    send_to("0", "");
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        for (size_t j = 0; j < sizeof cases / sizeof cases[0]; j++) {
            bool topic = strcmp(cases[j].name, "topic") == 0;
            harness_send(consumer, codes[i], 1, 0, NO_BODY, "consumerGroup", "G", "topic",
                         topic ? cases[j].value : "T", "queueId", topic ? "0" : cases[j].value,
                         "maxMsgNums", "1", "pollTime", "0", NULL);
            expect_answer(consumer, 1, cases[j].code);
        }
        harness_send(consumer, codes[i], 1, 0, NO_BODY, "topic", "T", "queueId", "0", NULL);
        expect_answer(consumer, 1, 29);
    }
    ask_peek("0", "33");
    expect_answer(consumer, 8, 29);
    harness_send(consumer, NOTIFICATION, 1, 0, NO_BODY, "consumerGroup", "G", "topic", "T",
                 "queueId", "0", NULL);
    expect_answer(consumer, 1, 29);
    harness_send(consumer, NOTIFICATION, 1, 0, NO_BODY, "consumerGroup", "G", "topic", "T",
                 "queueId", "0", "pollTime", "0", "order", "true", NULL);
    expect_answer(consumer, 1, 3);
}

#define look_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        look_test(who_asks_is_told_of_messages_and_gets_none),
        look_test(who_waits_is_told_when_one_comes_or_is_due_again),
        look_test(who_waits_in_vain_is_told_so),
        look_test(one_of_a_group_is_told_at_a_time),
        look_test(one_of_each_group_is_told_at_a_time),
        look_test(who_pops_leaves_the_next_one_to_be_told_of_the_rest),
        look_test(only_so_many_may_wait),
        look_test(who_waits_at_a_leader_that_is_none_any_more_is_to_ask_again),
        look_test(a_look_shows_what_a_pop_would_get_and_takes_nothing),
        look_test(a_look_does_not_wait_for_a_pop_that_is_under_way),
        look_test(those_who_wait_to_pop_are_counted),
        look_test(bad_requests_are_refused),
    };
    return cmocka_run_group_tests_name("pop_look", tests, NULL, NULL);
}
