/* Putting a group elsewhere (222), with consumers that run and without. */
#include "tests/support/test.h"

#include "tests/support/broker_expect.h"

#include <stdio.h>

enum { RESET = 222 };

static struct harness *harness;
static struct harness_pipe *pipe;

/* Topic T with five messages in queue 0 and a group G that has consumed them all. */
static int set_up(void **state)
{
    (void)state;
    harness = harness_new(1);
    pipe = harness_connect(harness_leader(harness), 5000);
    for (int32_t i = 0; i < 5; i++) {
        send_message(pipe, i, "T", "", slice_text("m"));
        harness_commit(harness);
        expect_answer(pipe, i, 0);
        harness_advance(harness, 1000);
    }
    harness_send(pipe, 200, 10, 0, slice_text("{\"groupName\":\"G\"}"), NULL);
    harness_send(pipe, 15, 11, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "commitOffset", "5", NULL);
    harness_commit(harness);
    expect_answer(pipe, 10, 0);
    expect_answer(pipe, 11, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    harness_disconnect(pipe);
    harness_free(harness);
    return 0;
}

static void reset(int32_t opaque, const char *time, const char *queue, const char *offset)
{
    harness_send(pipe, RESET, opaque, 0, NO_BODY, "group", "G", "topic", "T", "timestamp", time,
                 "isForce", "true", "queueId", queue, "offset", offset, NULL);
    harness_commit(harness);
}

static void commit(int32_t opaque, const char *offset)
{
    harness_send(pipe, 15, opaque, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "commitOffset", offset, NULL);
    harness_commit(harness);
    expect_answer(pipe, opaque, 0);
}

static int64_t offset_of(int32_t opaque)
{
    harness_send(pipe, 14, opaque, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 NULL);
    struct command answer = expect_answer(pipe, opaque, 0);
    return expect_field(&answer, "offset");
}

static void pull(int32_t opaque, const char *offset)
{
    harness_send(pipe, 11, opaque, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "queueOffset", offset, "maxMsgNums", "32", "sysFlag", "6", "commitOffset", "0",
                 "suspendTimeoutMillis", "15000", "subscription", "*", "subVersion", "0",
                 "expressionType", "TAG", NULL);
    harness_commit(harness);
}

static void a_running_consumer_is_moved_and_cannot_undo_it(void **state)
{
    (void)state;
    pull(20, "5");
    expect_silence(pipe); // It waits for a sixth message.
    reset(21, "0", "-1", "-1");
    struct command answer = expect_answer(pipe, 21, 0);
    assert_true(slice_contains(answer.body, "\"queueId\":0,\"topic\":\"T\"}:0"));
    struct command moved = expect_answer(pipe, 20, 21);
    assert_int_equal(expect_field(&moved, "nextBeginOffset"), 0);
    commit(22, "5"); // It has not heard yet.
    assert_int_equal(offset_of(23), 0);
    pull(24, "0");
    expect_answer(pipe, 24, 0);
    commit(25, "2");
    assert_int_equal(offset_of(26), 2);
    pull(27, "2");
    expect_answer(pipe, 27, 0);
}

static void a_commit_of_the_offset_itself_takes_note_too(void **state)
{
    (void)state;
    reset(20, "0", "0", "3");
    expect_answer(pipe, 20, 0);
    pull(21, "4");
    struct command moved = expect_answer(pipe, 21, 21);
    assert_int_equal(expect_field(&moved, "nextBeginOffset"), 3);
    commit(22, "3");
    commit(23, "4");
    assert_int_equal(offset_of(24), 4);
}

/* It counts once a majority knows that the consumer has taken note: who was answered before could
 * be thrown back. */
static void a_consumer_that_has_pulled_at_it_is_not_thrown_back(void **state)
{
    (void)state;
    reset(20, "0", "0", "3");
    expect_answer(pipe, 20, 0);
    const char *const offsets[] = {"3", "5"};
    for (int32_t i = 0; i < 2; i++) {
        harness_send(pipe, 11, 21 + i, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId",
                     "0", "queueOffset", offsets[i], "maxMsgNums", "32", "sysFlag", "4",
                     "commitOffset", "0", "subscription", "*", NULL);
        if (i == 0) {
            expect_silence(pipe);
            harness_commit(harness);
            struct command answer = expect_answer(pipe, 21, 0);
            assert_int_equal(expect_field(&answer, "nextBeginOffset"), 5);
        }
    }
    expect_answer(pipe, 22, 19);
    assert_int_equal(offset_of(23), 3);
}

/* What cannot be written is pulled again: its group is still held there. */
static void a_pull_whose_note_is_not_taken_fails(void **state)
{
    (void)state;
    reset(20, "0", "0", "3");
    expect_answer(pipe, 20, 0);
    harness_leader(harness)->broker.log_full = true;
    pull(21, "3");
    expect_answer(pipe, 21, 14);
    harness_leader(harness)->broker.log_full = false;
    pull(22, "5");
    expect_answer(pipe, 22, 21);
    // Its connection goes while the note is written.
    struct harness_pipe *other = harness_connect(harness_leader(harness), 5001);
    harness_send(other, 11, 23, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "queueOffset", "3", "maxMsgNums", "32", "sysFlag", "4", "subscription", "*", NULL);
    harness_disconnect(other);
    harness_commit(harness);
    pull(24, "4");
    expect_answer(pipe, 24, 0);
}

static void a_time_or_the_end_or_a_queue_can_be_named(void **state)
{
    (void)state;
    char time[24];
    snprintf(time, sizeof time, "%llu", (unsigned long long)(harness->now_ms - 1500));
    reset(20, time, "-1", "-1");
    struct command answer = expect_answer(pipe, 20, 0);
    assert_true(slice_contains(answer.body, "\"queueId\":3"));
    int64_t by_time = offset_of(21);
    assert_true(by_time > 0 && by_time < 5);
    reset(22, "-1", "0", "-1");
    expect_answer(pipe, 22, 0);
    assert_int_equal(offset_of(23), 5);
}

static void what_cannot_be_reset_is_refused(void **state)
{
    (void)state;
    reset(20, "0", "4", "-1");
    expect_answer(pipe, 20, 29);
    reset(21, "0", "0", "6");
    expect_answer(pipe, 21, 29);
    reset(22, "0", "0", "-2");
    expect_answer(pipe, 22, 29);
    reset(23, "x", "0", "1");
    expect_answer(pipe, 23, 29);
    harness_send(pipe, RESET, 24, 0, NO_BODY, "group", "G", "topic", "U", "timestamp", "0", NULL);
    expect_answer(pipe, 24, 17);
    harness_send(pipe, RESET, 25, 0, NO_BODY, "group", "H", "topic", "T", "timestamp", "0", NULL);
    expect_answer(pipe, 25, 26);
    harness_send(pipe, RESET, 26, 0, NO_BODY, "group", "G", "topic", "T", NULL);
    expect_answer(pipe, 26, 29);
    assert_int_equal(offset_of(27), 5);
}

#define reset_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        reset_test(a_running_consumer_is_moved_and_cannot_undo_it),
        reset_test(a_commit_of_the_offset_itself_takes_note_too),
        reset_test(a_consumer_that_has_pulled_at_it_is_not_thrown_back),
        reset_test(a_pull_whose_note_is_not_taken_fails),
        reset_test(a_time_or_the_end_or_a_queue_can_be_named),
        reset_test(what_cannot_be_reset_is_refused),
    };
    return cmocka_run_group_tests_name("reset offset", tests, NULL, NULL);
}
