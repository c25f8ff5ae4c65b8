/* Messages that a consumer could not handle, through the broker core: sent back, retried later each
 * time, dead in the end; and what may not be reached that way. */
#include "tests/support/test.h"

#include "broker/core/retry.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"
#include "tests/support/broker_harness.h"

#include <inttypes.h>
#include <stdio.h>

#define NO_BODY slice_of(NULL, 0)
#define RETRY_TOPIC "%RETRY%G"
#define DEAD_TOPIC "%DLQ%G"

enum { LATE_MAX_MS = 2 * BROKER_TICK_MS };

struct world {
    struct harness *harness;
    struct harness_pipe *pipe;
};

static int open_world(void **state)
{
    struct world *world = mem_zalloc(sizeof *world);
    world->harness = harness_new(3);
    harness_link(&world->harness->replicas[1]);
    world->pipe = harness_connect(harness_leader(world->harness), 5000);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    harness_disconnect(world->pipe);
    harness_free(world->harness);
    free(world);
    return 0;
}

static int32_t answer(struct harness_pipe *pipe)
{
    struct command response;
    assert_true(harness_receive(pipe, &response));
    assert_true(response.code == 0 || response.remark.size > 0);
    return response.code;
}

/* Send to queue 0; the answer's code. */
static int32_t send_to(struct harness_pipe *pipe, const char *topic, const char *times,
                       const char *times_max, const char *properties)
{
    harness_send(pipe, 310, 1, 0, slice_text("body"), "a", "P", "b", topic, "c", "TBW102", "d", "4",
                 "e", "0", "f", "0", "g", "1700000000001", "h", "7", "i", properties, "j", times,
                 "l", times_max, NULL);
    harness_commit(pipe->replica->harness);
    return answer(pipe);
}

static void put_group(struct harness_pipe *pipe, const char *json)
{
    harness_send(pipe, 200, 2, 0, slice_text(json), NULL);
    harness_commit(pipe->replica->harness);
    assert_int_equal(answer(pipe), 0);
}

/* How many messages a consumer can see in queue 0 of a topic; the last one is decoded into
 * *message. */
static int64_t visible(struct harness_pipe *pipe, const char *topic, struct message *message)
{
    struct command response;
    int64_t next = 0;
    harness_send(pipe, 11, 3, 0, NO_BODY, "consumerGroup", "G", "topic", topic, "queueId", "0",
                 "queueOffset", "0", "maxMsgNums", "32", "sysFlag", "4", "commitOffset", "0",
                 "subscription", "*", NULL);
    assert_true(harness_receive(pipe, &response));
    if (response.code == 0) {
        assert_int_equal(command_i64(&response, "nextBeginOffset", true, &next), STATUS_OK);
        for (size_t at = 0, size; at < response.body.size; at += size) {
            assert_int_equal(message_decode(slice_from(response.body, at), message, &size),
                             STATUS_OK);
        }
    } else {
        assert_true(response.code == 19 || response.code == 17);
    }
    return next;
}

static void ask_back(struct harness_pipe *pipe, int64_t position, const char *level,
                     const char *times_max)
{
    char offset[24];
    snprintf(offset, sizeof offset, "%" PRId64, position);
    harness_send(pipe, 36, 4, 0, NO_BODY, "offset", offset, "group", "G", "delayLevel", level,
                 "originMsgId", "X", "originTopic", "T", "unitMode", "false",
                 times_max == NULL ? "ignored" : "maxReconsumeTimes",
                 times_max == NULL ? "" : times_max, NULL);
}

static int32_t send_back(struct harness_pipe *pipe, int64_t position, const char *level,
                         const char *times_max)
{
    ask_back(pipe, position, level, times_max);
    harness_commit(pipe->replica->harness);
    return answer(pipe);
}

/* Send a message to T; where a consumer sees it. */
static int64_t place_of_new(struct world *world, const char *properties)
{
    struct message message;
    assert_int_equal(send_to(world->pipe, "T", "0", "0", properties), 0);
    assert_true(visible(world->pipe, "T", &message) > 0);
    return message.physical_offset;
}

static void assert_property(const struct message *message, const char *name, const char *expected)
{
    struct slice value;
    bool found = properties_find(message->properties, name, &value);
    assert_true(found == (expected != NULL));
    assert_true(expected == NULL || slice_equals_text(value, expected));
}

/* --- The ladder --- */

static void each_attempt_comes_later_than_the_one_before(void **state)
{
    struct world *world = *state;
    struct message message;
    static const uint64_t delays_ms[] = {10000, 30000, 60000};
    int64_t position = place_of_new(world, "UNIQ_KEY\001U1\002TAGS\001a\002KEYS\001k\002k\001v");
    char id[OFFSET_MESSAGE_ID_SIZE + 1] = {0};
    offset_message_id_format(harness_leader(world->harness)->broker.self->client_host, position,
                             id);
    for (int64_t i = 0; i < 3; i++) {
        char level[8];
        snprintf(level, sizeof level, "%d", (int)i + 3);
        assert_int_equal(send_back(world->pipe, position, "0", "16"), 0);
        harness_advance(world->harness, delays_ms[i] - BROKER_TICK_MS);
        assert_int_equal(visible(world->pipe, RETRY_TOPIC, &message), i);
        harness_advance(world->harness, LATE_MAX_MS);
        assert_int_equal(visible(world->pipe, RETRY_TOPIC, &message), i + 1);
        assert_int_equal(message.reconsume_times, i + 1);
        assert_true(slice_equals_text(message.body, "body"));
        assert_true(slice_equals_text(message.topic, RETRY_TOPIC));
        assert_int_equal(message.flag, 7);
        assert_int_equal(message.born_time_ms, 1700000000001);
        assert_int_equal(message.born_host.port, 5000);
        assert_int_equal(message.prepared_offset, 0);
        assert_int_equal(message.sys_flag, 0);
        assert_property(&message, "RETRY_TOPIC", "T");
        assert_property(&message, "ORIGIN_MESSAGE_ID", id);
        assert_property(&message, "DELAY", level);
        assert_property(&message, "REAL_TOPIC", RETRY_TOPIC);
        assert_property(&message, "WAIT", "false");
        assert_property(&message, "UNIQ_KEY", "U1");
        assert_property(&message, "TAGS", "a");
        assert_property(&message, "k", "v");
        position = message.physical_offset;
    }
    assert_int_equal(visible(world->pipe, "T", &message), 1);
    assert_null(
        machine_topic_find(harness_leader(world->harness)->machine, slice_text(DEAD_TOPIC)));
    assert_int_equal(harness_leader(world->harness)->broker.counters.sent_back, 3);
}

static void what_was_tried_often_enough_is_a_dead_letter(void **state)
{
    struct world *world = *state;
    struct message message;
    int64_t position = place_of_new(world, "UNIQ_KEY\001U1\002TIMER_DELAY_MS\0010\002");
    assert_int_equal(send_back(world->pipe, position, "1", "1"), 0);
    harness_advance(world->harness, 1000 + LATE_MAX_MS);
    assert_int_equal(visible(world->pipe, RETRY_TOPIC, &message), 1);
    assert_property(&message, "TIMER_DELAY_MS", NULL); // The level has gone before it.
    assert_int_equal(send_back(world->pipe, message.physical_offset, "1", "1"), 0);
    assert_int_equal(visible(world->pipe, DEAD_TOPIC, &message), 1);
    assert_int_equal(message.reconsume_times, 2);
    assert_true(slice_equals_text(message.topic, DEAD_TOPIC));
    assert_int_equal(message.queue_id, 0);
    assert_property(&message, "RETRY_TOPIC", "T");
    assert_property(&message, "DELAY", NULL);
    const struct topic *topic =
        machine_topic_find(harness_leader(world->harness)->machine, slice_text(DEAD_TOPIC));
    assert_int_equal(topic->write_queue_count, 1);
    assert_int_equal(topic->perm, PERM_READ | PERM_WRITE);
    harness_advance(world->harness, 5000);
    assert_int_equal(visible(world->pipe, RETRY_TOPIC, &message), 1);
    // At once, if the consumer says so.
    assert_int_equal(send_back(world->pipe, position, "-1", "16"), 0);
    assert_int_equal(visible(world->pipe, DEAD_TOPIC, &message), 2);
    assert_int_equal(message.reconsume_times, 1);
    assert_int_equal(harness_leader(world->harness)->broker.counters.dead_letters, 2);
}

static void the_group_has_a_limit_where_its_client_gives_none(void **state)
{
    struct world *world = *state;
    struct message message;
    put_group(world->pipe, "{\"groupName\":\"G\",\"retryMaxTimes\":0}");
    int64_t position = place_of_new(world, "");
    assert_int_equal(send_back(world->pipe, position, "0", NULL), 0);
    assert_int_equal(visible(world->pipe, DEAD_TOPIC, &message), 1);
    assert_int_equal(send_back(world->pipe, position, "0", "1"), 0);
    assert_int_equal(visible(world->pipe, DEAD_TOPIC, &message), 1);
    const struct group_spec group = {.retry_max_times = 5};
    assert_int_equal(retry_times_max(&group, CLIENT_VERSION_3_4_9, 2), 2);
    assert_int_equal(retry_times_max(&group, CLIENT_VERSION_3_4_9, 0), 0);
    assert_int_equal(retry_times_max(&group, CLIENT_VERSION_3_4_9, -1), 5);
    assert_int_equal(retry_times_max(&group, CLIENT_VERSION_3_4_9 - 1, 2), 5);
}

/* reconsumeTimes is what a client once said of its message. */
static void counts_that_no_consumer_reaches_do_no_harm(void **state)
{
    struct world *world = *state;
    struct message message;
    assert_int_equal(send_to(world->pipe, "T", "2147483647", "0", ""), 0);
    assert_int_equal(visible(world->pipe, "T", &message), 1);
    assert_int_equal(send_back(world->pipe, message.physical_offset, "0", "2147483647"), 0);
    assert_int_equal(visible(world->pipe, DEAD_TOPIC, &message), 1);
    assert_int_equal(message.reconsume_times, INT32_MAX);
    assert_int_equal(send_to(world->pipe, "T", "-2147483648", "0", ""), 0);
    assert_int_equal(visible(world->pipe, "T", &message), 2);
    assert_int_equal(send_back(world->pipe, message.physical_offset, "0", "16"), 0);
    harness_advance(world->harness, 10000 + LATE_MAX_MS);
    assert_int_equal(visible(world->pipe, RETRY_TOPIC, &message), 1);
    assert_int_equal(retry_level(0, INT32_MAX), INT64_C(2147483650));
    assert_int_equal(retry_level(INT32_MAX, 0), INT32_MAX);
}

/* --- Answering --- */

static void it_is_answered_once_it_is_in_the_log(void **state)
{
    struct world *world = *state;
    struct command response;
    int64_t position = place_of_new(world, "");
    ask_back(world->pipe, position, "0", "16");
    harness_turn(world->harness);
    assert_false(harness_receive(world->pipe, &response));
    harness_commit(world->harness);
    assert_int_equal(answer(world->pipe), 0);
    // The same with a message that has to be fetched from the disk.
    world->harness->block_reads = true;
    ask_back(world->pipe, position, "0", "16");
    harness_commit(world->harness);
    assert_false(harness_receive(world->pipe, &response));
    while (world->harness->blocked_count > 0) {
        harness_run_reads(world->harness);
    }
    harness_commit(world->harness);
    assert_int_equal(answer(world->pipe), 0);
}

static void a_consumer_that_left_meanwhile_is_not_answered(void **state)
{
    struct world *world = *state;
    struct machine_counters counters;
    int64_t position = place_of_new(world, "");
    struct harness_pipe *consumer = harness_connect(harness_leader(world->harness), 5001);
    world->harness->block_reads = true;
    ask_back(consumer, position, "0", "16");
    harness_disconnect(consumer);
    while (world->harness->blocked_count > 0) {
        harness_run_reads(world->harness);
    }
    harness_commit(world->harness);
    machine_counters(harness_leader(world->harness)->machine, &counters);
    assert_int_equal(counters.delayed_waiting, 1);
}

static void a_follower_passes_it_on(void **state)
{
    struct world *world = *state;
    struct message message;
    int64_t position = place_of_new(world, "");
    struct harness_pipe *consumer = harness_connect(&world->harness->replicas[1], 5001);
    assert_int_equal(send_back(consumer, position, "1", "16"), 0);
    harness_advance(world->harness, 1000 + LATE_MAX_MS);
    assert_int_equal(visible(consumer, RETRY_TOPIC, &message), 1);
    harness_disconnect(consumer);
}

/* --- Refusals --- */

static void refusals_have_the_codes_clients_expect(void **state)
{
    struct world *world = *state;
    struct harness_pipe *pipe = world->pipe;
    struct settings *settings = &harness_leader(world->harness)->settings;
    int64_t position = place_of_new(world, "");
    harness_send(pipe, 36, 4, 0, NO_BODY, "group", "G", "delayLevel", "0", NULL);
    assert_int_equal(answer(pipe), 29);
    harness_send(pipe, 36, 4, 0, NO_BODY, "group", "G", "delayLevel", "0", "offset", "-1", NULL);
    assert_int_equal(answer(pipe), 29);
    harness_send(pipe, 36, 4, 0, NO_BODY, "offset", "1", "delayLevel", "x", "group", "G", NULL);
    assert_int_equal(answer(pipe), 29);
    assert_int_equal(send_back(pipe, position + 1, "0", "16"), 1);
    assert_int_equal(send_back(pipe, INT64_MAX, "0", "16"), 1);
    settings->auto_create_group = false;
    assert_int_equal(send_back(pipe, position, "0", "16"), 0); // The group is there by now.
    harness_send(pipe, 36, 4, 0, NO_BODY, "offset", "1", "delayLevel", "0", "group", "other", NULL);
    assert_int_equal(answer(pipe), 26);
    harness_send(pipe, 17, 5, 0, NO_BODY, "topic", RETRY_TOPIC, "readQueueNums", "1",
                 "writeQueueNums", "1", "perm", "4", NULL);
    harness_commit(world->harness);
    assert_int_equal(answer(pipe), 0);
    assert_int_equal(send_back(pipe, position, "0", "16"), 16);
    harness_leader(world->harness)->broker.disk_full = true;
    assert_int_equal(send_back(pipe, position, "0", "16"), 14);
}

static void a_group_without_retry_queues_loses_what_it_sends_back(void **state)
{
    struct world *world = *state;
    struct machine_counters counters;
    put_group(world->pipe, "{\"groupName\":\"G\",\"retryQueueNums\":0}");
    int64_t position = place_of_new(world, "");
    size_t entries = world->harness->entry_count;
    assert_int_equal(send_back(world->pipe, position, "0", "16"), 0);
    assert_int_equal(world->harness->entry_count, entries);
    machine_counters(harness_leader(world->harness)->machine, &counters);
    assert_int_equal(counters.delayed, 0);
}

/* A half message, and what is delayed, were given to nobody. */
static void what_is_not_visible_cannot_be_sent_back(void **state)
{
    struct world *world = *state;
    struct message message;
    static const char *const hidden[] = {"UNIQ_KEY\001U1\002TRAN_MSG\001true\002PGROUP\001P\002",
                                         "UNIQ_KEY\001U2\002DELAY\0015\002"};
    for (int i = 0; i < 2; i++) {
        struct command response;
        struct slice id;
        struct host host;
        int64_t position;
        harness_send(world->pipe, 310, 1, 0, slice_text("x"), "a", "P", "b", "T", "c", "TBW102",
                     "d", "4", "e", "0", "f", "0", "g", "1", "h", "0", "i", hidden[i], NULL);
        harness_commit(world->harness);
        assert_true(harness_receive(world->pipe, &response));
        assert_true(command_find(&response, "msgId", &id));
        assert_int_equal(offset_message_id_parse(id, &host, &position), STATUS_OK);
        assert_int_equal(send_back(world->pipe, position, "0", "16"), 1);
        assert_int_equal(send_back(world->pipe, position, "-1", "16"), 1);
    }
    assert_int_equal(visible(world->pipe, DEAD_TOPIC, &message), 0);
}

static void properties_that_grow_too_long_are_refused(void **state)
{
    struct world *world = *state;
    struct buf properties = {0};
    buf_put_text(&properties, "UNIQ_KEY\001U1\002long\001");
    size_t more = MESSAGE_PROPERTIES_MAX - 100 - properties.size;
    memset(buf_extend(&properties, more), 'x', more);
    int64_t position = place_of_new(world, buf_text(&properties));
    assert_int_equal(send_back(world->pipe, position, "0", "16"), 13);
    buf_close(&properties);
}

/* --- Clients that send to the retry topic themselves --- */

static void a_send_to_a_retry_topic_counts_like_a_message_sent_back(void **state)
{
    struct world *world = *state;
    struct message message;
    const char *properties = "UNIQ_KEY\001U1\002RETRY_TOPIC\001T\002DELAY\0011\002";
    put_group(world->pipe, "{\"groupName\":\"G\",\"retryMaxTimes\":2}");
    assert_int_equal(send_to(world->pipe, RETRY_TOPIC, "3", "3", properties), 0);
    assert_int_equal(visible(world->pipe, RETRY_TOPIC, &message), 0);
    harness_advance(world->harness, 1000 + LATE_MAX_MS);
    assert_int_equal(visible(world->pipe, RETRY_TOPIC, &message), 1);
    assert_int_equal(message.reconsume_times, 3);
    assert_property(&message, "RETRY_TOPIC", "T");
    assert_int_equal(send_to(world->pipe, RETRY_TOPIC, "4", "3", properties), 0);
    assert_int_equal(visible(world->pipe, DEAD_TOPIC, &message), 1);
    assert_int_equal(message.reconsume_times, 4);
    assert_int_equal(message.queue_id, 0);
    assert_true(slice_equals_text(message.topic, DEAD_TOPIC));
    assert_property(&message, "DELAY", NULL);
    assert_property(&message, "RETRY_TOPIC", "T");
    assert_int_equal(send_to(world->pipe, RETRY_TOPIC, "3", "", properties), 0);
    assert_int_equal(visible(world->pipe, DEAD_TOPIC, &message), 2);
    harness_advance(world->harness, 5000);
    assert_int_equal(visible(world->pipe, RETRY_TOPIC, &message), 1);
    harness_leader(world->harness)->settings.auto_create_group = false;
    assert_int_equal(send_to(world->pipe, "%RETRY%other", "0", "16", properties), 26);
}

static void what_an_orderly_consumer_gives_up_is_a_dead_letter_at_once(void **state)
{
    struct world *world = *state;
    struct message message;
    const char *properties = "UNIQ_KEY\001U1\002RETRY_TOPIC\001T\002DELAY\0011\002";
    assert_int_equal(send_to(world->pipe, "T", "0", "", "UNIQ_KEY\001U0\002"), 0);
    harness_send(
        world->pipe, 41, 90, 0,
        slice_text("{\"consumerGroup\":\"G\",\"clientId\":\"c\",\"mqSet\":[{\"topic\":\"T\","
                   "\"brokerName\":\"broker-a\",\"queueId\":0}]}"),
        NULL);
    harness_commit(world->harness);
    assert_int_equal(answer(world->pipe), 0);
    assert_int_equal(send_to(world->pipe, RETRY_TOPIC, "1", "16", properties), 0);
    assert_int_equal(visible(world->pipe, DEAD_TOPIC, &message), 1);
    harness_advance(world->harness, 61000); // Its lock has run out: the group is orderly no more.
    assert_int_equal(send_to(world->pipe, RETRY_TOPIC, "1", "16", properties), 0);
    assert_int_equal(visible(world->pipe, DEAD_TOPIC, &message), 1);
}

/* Old clients keep the property of what was a half once. */
static void a_committed_message_that_is_tried_again_is_no_half(void **state)
{
    struct world *world = *state;
    struct message message;
    struct machine_counters counters;
    const char *tried = "UNIQ_KEY\001U1\002TRAN_MSG\001true\002PGROUP\001P\002DELAY\0011\002";
    assert_int_equal(send_to(world->pipe, RETRY_TOPIC, "1", "16", tried), 0);
    harness_advance(world->harness, 1000 + LATE_MAX_MS);
    assert_int_equal(visible(world->pipe, RETRY_TOPIC, &message), 1);
    assert_int_equal(send_to(world->pipe, RETRY_TOPIC, "17", "16", tried), 0);
    assert_int_equal(visible(world->pipe, DEAD_TOPIC, &message), 1);
    machine_counters(harness_leader(world->harness)->machine, &counters);
    assert_int_equal(counters.halves, 0);
    // Without a level, or for the first time, it is one.
    assert_int_equal(send_to(world->pipe, "T", "0", "16", tried), 0);
    assert_int_equal(
        send_to(world->pipe, "T", "1", "16",
                "UNIQ_KEY\001U2\002TRAN_MSG\001true\002PGROUP\001P\002TIMER_DELAY_SEC\0011\002"),
        0);
    machine_counters(harness_leader(world->harness)->machine, &counters);
    assert_int_equal(counters.halves, 2);
}

static void a_committed_transaction_stays_one_when_it_is_sent_back(void **state)
{
    struct world *world = *state;
    struct command response;
    struct message message;
    struct slice id;
    struct host host;
    int64_t position;
    char text[24];
    harness_send(world->pipe, 310, 1, 0, slice_text("x"), "a", "P", "b", "T", "c", "TBW102", "d",
                 "4", "e", "0", "f", "4", "g", "1", "h", "0", "i",
                 "UNIQ_KEY\001U1\002TRAN_MSG\001true\002PGROUP\001P\002", NULL);
    harness_commit(world->harness);
    assert_true(harness_receive(world->pipe, &response));
    assert_true(command_find(&response, "msgId", &id));
    assert_int_equal(offset_message_id_parse(id, &host, &position), STATUS_OK);
    snprintf(text, sizeof text, "%" PRId64, position);
    harness_send(world->pipe, 37, 2, 0, NO_BODY, "producerGroup", "P", "tranStateTableOffset", "0",
                 "commitLogOffset", text, "commitOrRollback", "8", NULL);
    harness_commit(world->harness);
    assert_int_equal(answer(world->pipe), 0);
    assert_int_equal(visible(world->pipe, "T", &message), 1);
    assert_int_equal(send_back(world->pipe, message.physical_offset, "1", "16"), 0);
    harness_advance(world->harness, 1000 + LATE_MAX_MS);
    assert_int_equal(visible(world->pipe, RETRY_TOPIC, &message), 1);
    assert_int_equal(message.sys_flag & SYS_FLAG_TRANSACTION_MASK, SYS_FLAG_COMMIT);
    assert_int_equal(message.prepared_offset, 0);
    assert_property(&message, "TRAN_MSG", "true");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        TEST(each_attempt_comes_later_than_the_one_before),
        TEST(what_was_tried_often_enough_is_a_dead_letter),
        TEST(the_group_has_a_limit_where_its_client_gives_none),
        TEST(counts_that_no_consumer_reaches_do_no_harm),
        TEST(it_is_answered_once_it_is_in_the_log),
        TEST(a_consumer_that_left_meanwhile_is_not_answered),
        TEST(a_follower_passes_it_on),
        TEST(refusals_have_the_codes_clients_expect),
        TEST(a_group_without_retry_queues_loses_what_it_sends_back),
        TEST(what_is_not_visible_cannot_be_sent_back),
        TEST(properties_that_grow_too_long_are_refused),
        TEST(a_send_to_a_retry_topic_counts_like_a_message_sent_back),
        TEST(what_an_orderly_consumer_gives_up_is_a_dead_letter_at_once),
        TEST(a_committed_message_that_is_tried_again_is_no_half),
        TEST(a_committed_transaction_stays_one_when_it_is_sent_back),
    };
#undef TEST
    return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
