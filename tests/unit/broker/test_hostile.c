/* What a hostile or merely unlucky peer may try: sizes that nobody checked, answers that no frame
 * can hold, connections that vanish. Each test is a bug that was found. */
#include "tests/support/test.h"

#include "broker/core/relay.h"
#include "tests/support/broker_expect.h"

#include <inttypes.h>
#include <stdio.h>

/* A text of `size` times the same character. Static storage. */
static const char *repeated(char character, size_t size)
{
    static char text[512 * 1024];
    assert_true(size < sizeof text);
    memset(text, character, size);
    text[size] = '\0';
    return text;
}

static void attributes_too_long_for_the_log_are_refused(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct buf text = {0};
    const char *const keys[] = {"queue.type", "cleanup.policy", "message.type", "reserve.time"};
    for (size_t i = 0; i < 4; i++) {
        buf_printf(&text, "%s+%s=%s", i > 0 ? "," : "", keys[i], repeated('v', 1024));
    }
    harness_send(pipe, 17, 1, 0, NO_BODY, "topic", "T", "readQueueNums", "4", "writeQueueNums", "4",
                 "attributes", buf_text(&text), NULL);
    harness_commit(harness);
    expect_answer(pipe, 1, 29);
    buf_clear(&text);
    buf_printf(&text, "{\"topicConfigList\":[{\"topicName\":\"T\",\"attributes\":{\"x\":\"%s\"}}]}",
               repeated('v', 5000));
    harness_send(pipe, 18, 2, 0, buf_slice(&text), NULL);
    harness_commit(harness);
    expect_answer(pipe, 2, 29);
    assert_null(machine_topic_find(harness_leader(harness)->machine, slice_text("T")));
    buf_close(&text);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void changing_a_topics_queues_keeps_its_attributes(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    harness_send(pipe, 17, 1, 0, NO_BODY, "topic", "T", "readQueueNums", "4", "writeQueueNums", "4",
                 "attributes", "+message.type=FIFO", NULL);
    harness_commit(harness);
    expect_answer(pipe, 1, 0);
    harness_send(pipe, 17, 2, 0, NO_BODY, "topic", "T", "readQueueNums", "8", "writeQueueNums", "8",
                 NULL);
    harness_commit(harness);
    expect_answer(pipe, 2, 0);
    const struct topic *topic =
        machine_topic_find(harness_leader(harness)->machine, slice_text("T"));
    assert_int_equal(topic->write_queue_count, 8);
    assert_true(slice_equals_text(buf_slice(&topic->attributes), "{\"message.type\":\"FIFO\"}"));
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_client_that_left_a_follower_is_forgotten_by_the_leader(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *follower = &harness->replicas[1];
    const struct channels *known = &harness_leader(harness)->broker.channels;
    // Asked before there is a connection to the leader, and gone when there is one.
    struct harness_pipe *early = harness_connect(follower, 5000);
    harness_send(early, 30, 1, 0, NO_BODY, "topic", "T", "queueId", "0", NULL);
    harness_disconnect(early);
    harness_link(follower);
    harness_commit(harness);
    assert_int_equal(known->remotes.count, 0);
    // A tool that asks one question sends no heartbeat, but the leader knows it all the same.
    struct harness_pipe *pipe = harness_connect(follower, 5001);
    harness_send(pipe, 30, 2, 0, NO_BODY, "topic", "T", "queueId", "0", NULL);
    harness_commit(harness);
    expect_answer(pipe, 2, 0);
    assert_int_equal(known->remotes.count, 1);
    harness_disconnect(pipe);
    harness_commit(harness);
    assert_int_equal(known->remotes.count, 0);
    harness_free(harness);
}

static void what_the_former_leader_was_sent_it_may_still_answer(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *follower = &harness->replicas[1];
    struct broker *broker = &follower->broker;
    harness_link(follower);
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    send_message(pipe, 1, "T", "", slice_text("m"));
    harness_send(pipe, 30, 2, 0, NO_BODY, "topic", "T", "queueId", "0", NULL);
    broker_turn_end(broker);
    uint64_t former = broker->leader_connection;
    uint64_t next = broker_on_leader_connected(broker);
    assert_true(broker_awaits_leader(broker, former));
    assert_false(broker_awaits_leader(broker, next));
    broker_on_leader_lost(broker, next, STATUS_CONNECTION_LOST);
    expect_silence(pipe);
    harness_commit(harness);
    expect_answer(pipe, 2, 0);
    expect_answer(pipe, 1, 0);
    assert_false(broker_awaits_leader(broker, former));
    // One that is lost with the question leaves the outcome unknown.
    send_message(pipe, 3, "T", "", slice_text("m"));
    broker_turn_end(broker);
    broker_on_leader_lost(broker, broker->leader_connection, STATUS_CONNECTION_LOST);
    expect_answer(pipe, 3, 14);
    harness_disconnect(pipe);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_too_long_for_the_log_are_refused),
        cmocka_unit_test(changing_a_topics_queues_keeps_its_attributes),
        cmocka_unit_test(a_client_that_left_a_follower_is_forgotten_by_the_leader),
        cmocka_unit_test(what_the_former_leader_was_sent_it_may_still_answer),
    };
    return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
