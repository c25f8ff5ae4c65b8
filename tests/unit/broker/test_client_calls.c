/* What is asked of clients and answered by them: replies (324, 325), running information (307),
 * consuming a message again (309); at the leader and behind a follower. */
#include "tests/support/test.h"

#include "tests/support/broker_expect.h"

#include <inttypes.h>
#include <stdio.h>

static const char heartbeat[] =
    "{\"clientID\":\"asker@1\",\"producerDataSet\":[{\"groupName\":\"P\"}],\"consumerDataSet\":[{"
    "\"groupName\":\"G\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\","
    "\"consumeFromWhere\":\"CONSUME_FROM_LAST_OFFSET\",\"subscriptionDataSet\":[]}]}";

static struct harness *harness;
static struct harness_pipe *tool;   /* At the leader. */
static struct harness_pipe *client; /* Where the test connects it. */

static int set_up(void **state)
{
    (void)state;
    harness = harness_new(3);
    harness_link(&harness->replicas[1]);
    tool = harness_connect(harness_leader(harness), 5000);
    client = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (client != NULL) {
        harness_disconnect(client);
    }
    harness_disconnect(tool);
    harness_free(harness);
    return 0;
}

static void connect_client(size_t replica)
{
    client = harness_connect(&harness->replicas[replica], 5001);
    harness_send(client, 34, 1, 0, slice_text(heartbeat), NULL);
    harness_commit(harness);
    harness_exchange(harness);
    struct command command;
    while (harness_receive(client, &command)) { // The answer, and perhaps a notice.
    }
}

static void reply_to(const char *id, int32_t opaque, int32_t code)
{
    char properties[128];
    snprintf(properties, sizeof properties, "CORRELATION_ID\001c\002REPLY_TO_CLIENT\001%s\002", id);
    if (code == 325) {
        harness_send(tool, code, opaque, 0, slice_text("reply"), "a", "R", "b", "C1_REPLY_TOPIC",
                     "c", "TBW102", "d", "4", "e", "0", "f", "0", "g", "1700000000001", "h", "7",
                     "i", properties, "j", "0", NULL);
    } else {
        harness_send(tool, code, opaque, 0, slice_text("reply"), "producerGroup", "R", "topic",
                     "C1_REPLY_TOPIC", "defaultTopic", "TBW102", "defaultTopicQueueNums", "4",
                     "queueId", "0", "sysFlag", "0", "bornTimestamp", "1700000000001", "flag", "7",
                     "properties", properties, NULL);
    }
    harness_exchange(harness);
}

/* The request that reached the client; answered with a code and a body. */
static struct command take_call(int32_t code)
{
    struct command call;
    assert_true(harness_receive(client, &call));
    assert_false(command_is_response(&call));
    assert_int_equal(call.code, code);
    assert_false(command_is_oneway(&call));
    return call;
}

static void answer_call(struct harness_pipe *from, int32_t opaque, int32_t code, const char *body)
{
    harness_send(from, code, opaque, COMMAND_FLAG_RESPONSE, slice_text(body), "field", "value",
                 NULL);
    harness_exchange(harness);
}

static void push_a_reply_to(size_t replica, int32_t code)
{
    connect_client(replica);
    reply_to("asker@1", 7, code);
    struct command call = take_call(326);
    struct slice properties;
    struct slice host;
    assert_true(slice_equals_text(call.body, "reply"));
    assert_true(command_find(&call, "properties", &properties));
    assert_true(slice_contains(properties, "CORRELATION_ID\001c\002REPLY_TO_CLIENT\001asker@1\002"
                                           "PUSH_REPLY_TIME\001"));
    assert_int_equal(expect_field(&call, "flag"), 7);
    assert_true(command_find(&call, "bornHost", &host));
    assert_true(slice_equals_text(host, "127.0.0.1:5000"));
    assert_true(command_find(&call, "storeHost", &host));
    assert_false(command_find(&call, "rmqChannel", &host));
    expect_silence(tool);
    answer_call(client, call.opaque, 0, "");
    struct command answer = expect_answer(tool, 7, 0);
    assert_int_equal(expect_field(&answer, "queueOffset"), 0);
}

static void a_reply_is_pushed_to_the_client_that_waits(void **state)
{
    (void)state;
    push_a_reply_to(0, 325);
}

static void a_client_behind_a_follower_gets_its_reply(void **state)
{
    (void)state;
    push_a_reply_to(1, 324);
}

static void a_reply_that_is_not_taken_fails(void **state)
{
    (void)state;
    reply_to("asker@1", 1, 325);
    expect_answer(tool, 1, 1); // Nobody is there.
    connect_client(0);
    reply_to("asker@1", 2, 325);
    answer_call(client, take_call(326).opaque, 1, "");
    expect_answer(tool, 2, 1);
    reply_to("asker@1", 3, 325);
    take_call(326);
    harness_advance(harness, 9000);
    expect_silence(tool);
    harness_advance(harness, 2000);
    expect_answer(tool, 3, 1);
    reply_to("asker@1", 4, 325);
    harness_disconnect(client);
    client = NULL;
    expect_answer(tool, 4, 1);
    reply_to("asker@1", 5, 325);
    expect_answer(tool, 5, 1);
    harness_send(tool, 325, 6, 0, slice_text("x"), "a", "R", "b", "T", "e", "0", "f", "0", "g", "1",
                 "h", "0", NULL);
    expect_answer(tool, 6, 1); // It names nobody.
}

static void ask_running_info(int32_t opaque, const char *id)
{
    harness_send(tool, 307, opaque, 0, NO_BODY, "consumerGroup", "G", "clientId", id,
                 "jstackEnable", "false", NULL);
    harness_exchange(harness);
}

static void a_client_behind_a_follower_tells_how_it_runs(void **state)
{
    (void)state;
    connect_client(1);
    ask_running_info(7, "asker@1");
    struct command call = take_call(307);
    struct slice text;
    assert_true(command_find(&call, "clientId", &text) && slice_equals_text(text, "asker@1"));
    assert_true(command_find(&call, "jstackEnable", &text) && slice_equals_text(text, "false"));
    answer_call(client, call.opaque, 0, "{{\"queueId\":0}:1}");
    struct command answer = expect_answer(tool, 7, 0);
    assert_true(slice_equals_text(answer.body, "{{\"queueId\":0}:1}"));
    ask_running_info(8, "other@1");
    expect_answer(tool, 8, 1);
    ask_running_info(9, "asker@1");
    take_call(307);
    harness_advance(harness, 11000);
    harness_exchange(harness);
    struct command late;
    assert_true(harness_receive(tool, &late));
    assert_int_equal(late.code, 207);
}

static void nobody_answers_for_somebody_else(void **state)
{
    (void)state;
    connect_client(0);
    struct harness_pipe *stranger = harness_connect(harness_leader(harness), 5002);
    ask_running_info(7, "asker@1");
    struct command call = take_call(307);
    answer_call(stranger, call.opaque, 0, "forged");
    expect_silence(tool);
    answer_call(client, call.opaque, 0, "real");
    answer_call(client, call.opaque, 0, "again");
    assert_true(slice_equals_text(expect_answer(tool, 7, 0).body, "real"));
    expect_silence(tool);
    harness_disconnect(stranger);
}

static void ask_consume(int32_t opaque, const char *id)
{
    harness_send(tool, 309, opaque, 0, NO_BODY, "consumerGroup", "G", "clientId", "asker@1",
                 "msgId", id, NULL);
    harness_exchange(harness);
}

static void a_message_is_consumed_again_but_no_half(void **state)
{
    (void)state;
    connect_client(1);
    send_message(tool, 1, "T", "", slice_text("m"));
    harness_commit(harness);
    struct command sent = expect_answer(tool, 1, 0);
    char id[OFFSET_MESSAGE_ID_SIZE + 1] = {0};
    struct slice text;
    assert_true(command_find(&sent, "msgId", &text));
    memcpy(id, text.data, OFFSET_MESSAGE_ID_SIZE);
    ask_consume(2, id);
    struct command call = take_call(309);
    struct message message;
    harness_message(call.body, &message);
    assert_true(slice_equals_text(message.body, "m"));
    assert_true(command_find(&call, "topic", &text) && slice_equals_text(text, "T"));
    answer_call(client, call.opaque, 0, "{\"consumeResult\":\"CR_SUCCESS\"}");
    assert_true(slice_contains(expect_answer(tool, 2, 0).body, "CR_SUCCESS"));

    send_message(tool, 3, "T", "TRAN_MSG\001true\002PGROUP\001P\002", slice_text("half"));
    harness_commit(harness);
    sent = expect_answer(tool, 3, 0);
    assert_true(command_find(&sent, "msgId", &text));
    memcpy(id, text.data, OFFSET_MESSAGE_ID_SIZE);
    ask_consume(4, id);
    expect_answer(tool, 4, 1);
    ask_consume(5, "no id");
    expect_answer(tool, 5, 29);
}

#define call_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        call_test(a_reply_is_pushed_to_the_client_that_waits),
        call_test(a_client_behind_a_follower_gets_its_reply),
        call_test(a_reply_that_is_not_taken_fails),
        call_test(a_client_behind_a_follower_tells_how_it_runs),
        call_test(nobody_answers_for_somebody_else),
        call_test(a_message_is_consumed_again_but_no_half),
    };
    return cmocka_run_group_tests_name("client calls", tests, NULL, NULL);
}
