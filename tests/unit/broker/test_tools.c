/* What mqadmin asks: rates (315, 28), progress of all groups (317), groups in a list (225), offsets
 * of another group (314), a queue's index (321), producers (328), settings (25). */
#include "tests/support/test.h"

#include "tests/support/broker_expect.h"

#include <stdio.h>
#include <time.h>

static struct harness *harness;
static struct harness_pipe *pipe;

/* Topic T with three messages in queue 0, and a group G at 2. */
static int set_up(void **state)
{
    (void)state;
    harness = harness_new(1);
    pipe = harness_connect(harness_leader(harness), 5000);
    for (int32_t i = 0; i < 3; i++) {
        send_message(pipe, i, "T", "TAGS\001a\002", slice_text("m"));
        harness_commit(harness);
        expect_answer(pipe, i, 0);
    }
    harness_send(pipe, 225, 10, 0,
                 slice_text("{\"groupConfigList\":[{\"groupName\":\"G\"},{\"groupName\":\"H\"}]}"),
                 NULL);
    harness_commit(harness);
    expect_answer(pipe, 10, 0);
    harness_send(pipe, 15, 11, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "commitOffset", "2", NULL);
    harness_commit(harness);
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

static void groups_come_in_a_list(void **state)
{
    (void)state;
    harness_send(pipe, 352, 20, 0, NO_BODY, "group", "H", NULL);
    assert_true(slice_contains(expect_answer(pipe, 20, 0).body, "\"groupName\":\"H\""));
    harness_send(
        pipe, 225, 21, 0,
        slice_text("{\"groupConfigList\":[{\"groupName\":\"I\"},{\"groupName\":\"a b\"}]}"), NULL);
    harness_commit(harness);
    expect_answer(pipe, 21, 29);
    assert_null(machine_group_find(harness_leader(harness)->machine, slice_text("I")));
    harness_send(pipe, 225, 22, 0, slice_text("{"), NULL);
    expect_answer(pipe, 22, 1);
    harness_send(pipe, 225, 23, 0, slice_text("{\"groupConfigList\":[]}"), NULL);
    expect_answer(pipe, 23, 0);
}

static int64_t offset_of(const char *group)
{
    int64_t offset = -1;
    machine_offset_find(harness_leader(harness)->machine, slice_text(group), slice_text("T"), 0,
                        &offset);
    return offset;
}

static void a_group_takes_over_the_offsets_of_another(void **state)
{
    (void)state;
    harness_send(pipe, 314, 20, 0, NO_BODY, "srcGroup", "G", "destGroup", "H", "topic", "U", NULL);
    harness_commit(harness);
    expect_answer(pipe, 20, 0);
    assert_int_equal(offset_of("H"), -1);
    harness_send(pipe, 314, 21, 0, NO_BODY, "srcGroup", "G", "destGroup", "H", "topic", "T", NULL);
    harness_commit(harness);
    expect_answer(pipe, 21, 0);
    assert_int_equal(offset_of("H"), 2);
    harness_send(pipe, 314, 22, 0, NO_BODY, "srcGroup", "G", "destGroup", "a b", NULL);
    expect_answer(pipe, 22, 29);
    harness_send(pipe, 314, 23, 0, NO_BODY, "srcGroup", "G", NULL);
    expect_answer(pipe, 23, 29);
}

/* G has an offset in each of 1024 queues of a topic. */
static void consume_topic(const char *topic)
{
    char queue[12];
    harness_send(pipe, 17, 20, 0, NO_BODY, "topic", topic, "readQueueNums", "1024",
                 "writeQueueNums", "1024", NULL);
    harness_commit(harness);
    expect_answer(pipe, 20, 0);
    for (int32_t i = 0; i < QUEUES_PER_TOPIC_MAX; i++) {
        snprintf(queue, sizeof queue, "%d", i);
        harness_send(pipe, 15, 21, 0, NO_BODY, "consumerGroup", "G", "topic", topic, "queueId",
                     queue, "commitOffset", "0", NULL);
        harness_commit(harness);
        expect_answer(pipe, 21, 0);
    }
}

/* More offsets than two operations hold, and none of them fits into the log. */
static void offsets_that_the_log_refuses_are_not_taken_over(void **state)
{
    (void)state;
    consume_topic("U");
    consume_topic("V");
    harness_leader(harness)->broker.log_full = true;
    harness_send(pipe, 314, 22, 0, NO_BODY, "srcGroup", "G", "destGroup", "H", NULL);
    expect_answer(pipe, 22, 14);
    harness_leader(harness)->broker.log_full = false;
    harness_commit(harness);
    assert_int_equal(offset_of("H"), -1);
    harness_send(pipe, 314, 23, 0, NO_BODY, "srcGroup", "G", "destGroup", "H", NULL);
    harness_commit(harness);
    expect_answer(pipe, 23, 0);
    assert_int_equal(offset_of("H"), 2);
}

static void rates_are_told(void **state)
{
    (void)state;
    harness_send(pipe, 11, 20, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "queueOffset", "0", "maxMsgNums", "32", "sysFlag", "4", "commitOffset", "0",
                 "subscription", "*", "subVersion", "0", NULL);
    expect_answer(pipe, 20, 0);
    harness_advance(harness, 11000);
    harness_send(pipe, 315, 21, 0, NO_BODY, "statsName", "TOPIC_PUT_NUMS", "statsKey", "T", NULL);
    struct command answer = expect_answer(pipe, 21, 0);
    assert_true(
        slice_contains(answer.body, "\"statsMinute\":{\"avgpt\":1.0,\"sum\":3,\"tps\":0.3"));
    harness_send(pipe, 315, 22, 0, NO_BODY, "statsName", "GROUP_GET_NUMS", "statsKey", "T@G", NULL);
    answer = expect_answer(pipe, 22, 0);
    assert_true(slice_contains(answer.body, "\"statsDay\":{\"avgpt\":3.0,\"sum\":3"));
    harness_send(pipe, 28, 23, 0, NO_BODY, NULL);
    answer = expect_answer(pipe, 23, 0);
    assert_true(slice_contains(answer.body, "\"putTps\":\"0.3 0.3 0.3\""));
    assert_true(slice_contains(answer.body, "\"getTransferredTps\":\"0.3 0.3 0.3\""));
    assert_true(slice_contains(answer.body, "\"getFoundTps\":\"0.1 0.1 0.1\""));
    harness_send(pipe, 315, 24, 0, NO_BODY, "statsName", "TOPIC_PUT_NUMS", "statsKey", "U", NULL);
    expect_answer(pipe, 24, 1);
    harness_send(pipe, 315, 25, 0, NO_BODY, "statsName", "PULLS", "statsKey", "C1", NULL);
    expect_answer(pipe, 25, 1);
    harness_send(pipe, 315, 26, 0, NO_BODY, "statsName", "TOPIC_PUT_NUMS", NULL);
    expect_answer(pipe, 26, 29);
}

static void the_progress_of_all_groups_is_told(void **state)
{
    (void)state;
    harness_send(pipe, 317, 20, 0, NO_BODY, "isOrder", "false", NULL);
    struct command answer = expect_answer(pipe, 20, 0);
    assert_true(slice_contains(answer.body, "{\"G\":[{\"consumeTps\":0.0,\"offsetTable\":{{"));
    assert_true(slice_contains(answer.body, "\"brokerOffset\":3,\"consumerOffset\":2"));
    assert_true(slice_contains(answer.body, "{\"H\":[]}"));
    assert_true(slice_contains(answer.body, "\"totalDiff\":1"));
}

/* If all offsets were looked at for each of them, it would take tens of times as long as it may. */
static void the_progress_of_many_groups_is_told_soon(void **state)
{
    (void)state;
    enum { GROUPS = 8000, CPU_MS_MAX = 700 };
    struct buf body = {0};
    char name[16];
    buf_put_text(&body, "{\"groupConfigList\":[");
    for (int32_t i = 0; i < GROUPS; i++) {
        buf_printf(&body, "%s{\"groupName\":\"G%d\"}", i == 0 ? "" : ",", i);
    }
    buf_put_text(&body, "]}");
    harness_send(pipe, 225, 20, 0, buf_slice(&body), NULL);
    harness_commit(harness);
    expect_answer(pipe, 20, 0);
    for (int32_t i = 0; i < GROUPS; i++) {
        snprintf(name, sizeof name, "G%d", i);
        harness_send(pipe, 15, 21, 0, NO_BODY, "consumerGroup", name, "topic", "T", "queueId", "0",
                     "commitOffset", "1", NULL);
        harness_commit(harness);
        expect_answer(pipe, 21, 0);
    }
    clock_t begin = clock();
    harness_send(pipe, 317, 22, 0, NO_BODY, "isOrder", "false", NULL);
    clock_t used = clock() - begin;
    struct command answer = expect_answer(pipe, 22, 0);
    buf_clear(&body);
    buf_printf(&body, "\"totalDiff\":%d", 1 + 2 * GROUPS);
    buf_put_u8(&body, 0);
    assert_true(slice_contains(answer.body, (const char *)body.data));
    assert_in_range(used * 1000 / CLOCKS_PER_SEC, 0, CPU_MS_MAX);
    buf_close(&body);
}

static void a_queue_shows_its_index(void **state)
{
    (void)state;
    harness_send(pipe, 321, 20, 0, NO_BODY, "topic", "T", "queueId", "0", "index", "1", "count",
                 "9", NULL);
    struct command answer = expect_answer(pipe, 20, 0);
    assert_true(slice_contains(answer.body, "{\"maxQueueIndex\":3,\"minQueueIndex\":0"));
    assert_true(slice_contains(answer.body, "\"tagsCode\":97"));
    harness_send(pipe, 321, 21, 0, NO_BODY, "topic", "T", "queueId", "0", "index", "-1", "count",
                 "9", NULL);
    size_t from_end = expect_answer(pipe, 21, 0).body.size;
    assert_true(from_end < answer.body.size);
    harness_send(pipe, 321, 22, 0, NO_BODY, "topic", "T", "queueId", "0", "index",
                 "-9223372036854775808", "count", "2147483647", NULL);
    assert_true(slice_contains(expect_answer(pipe, 22, 0).body, "\"queueData\":[]"));
    harness_send(pipe, 321, 23, 0, NO_BODY, "topic", "T", "queueId", "9", "index", "0", "count",
                 "1", NULL);
    expect_answer(pipe, 23, 17);
    harness_send(pipe, 321, 24, 0, NO_BODY, "topic", "T", "queueId", "0", "index", "0", "count",
                 "0", NULL);
    expect_answer(pipe, 24, 29);
}

static void all_producers_are_listed(void **state)
{
    (void)state;
    harness_send(pipe, 34, 20, 0,
                 slice_text("{\"clientID\":\"c@1\",\"producerDataSet\":[{\"groupName\":\"P\"}]}"),
                 NULL);
    expect_answer(pipe, 20, 0);
    harness_send(pipe, 328, 21, 0, NO_BODY, NULL);
    struct command answer = expect_answer(pipe, 21, 0);
    assert_true(slice_contains(answer.body, "{\"data\":{\"P\":[{\"clientId\":\"c@1\""));
    assert_true(slice_contains(answer.body, "\"remoteIP\":\"127.0.0.1:5000\""));
}

static void settings_are_not_changed_and_housekeeping_is_done(void **state)
{
    (void)state;
    harness_send(pipe, 25, 20, 0, slice_text("traceOn=false\n"), NULL);
    expect_answer(pipe, 20, 16);
    const int32_t codes[] = {306, 316, 329};
    for (int32_t i = 0; i < 3; i++) {
        harness_send(pipe, codes[i], 30 + i, 0, NO_BODY, NULL);
        expect_answer(pipe, 30 + i, 0);
    }
}

#define tools_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        tools_test(groups_come_in_a_list),
        tools_test(a_group_takes_over_the_offsets_of_another),
        tools_test(offsets_that_the_log_refuses_are_not_taken_over),
        tools_test(rates_are_told),
        tools_test(the_progress_of_all_groups_is_told),
        tools_test(the_progress_of_many_groups_is_told_soon),
        tools_test(a_queue_shows_its_index),
        tools_test(all_producers_are_listed),
        tools_test(settings_are_not_changed_and_housekeeping_is_done),
    };
    return cmocka_run_group_tests_name("tools", tests, NULL, NULL);
}
