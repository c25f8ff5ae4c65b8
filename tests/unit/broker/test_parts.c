/* The small pure parts of the core: filter, headers, attributes, results, channels. */
#include "tests/support/test.h"

#include "broker/core/channel.h"
#include "broker/core/forwarded_results.h"
#include "broker/core/send_batch.h"
#include "broker/core/send_header.h"
#include "broker/core/tag_filter.h"
#include "broker/core/topic_attributes.h"
#include "tests/support/broker_expect.h"
#include "tests/support/golden.h"

#include <stdio.h>

/* --- Filter, headers, attributes ---------------------------------------------------------- */

static void a_filter_passes_its_tags_and_nothing_else(void **state)
{
    (void)state;
    struct tag_filter filter;
    assert_int_equal(tag_filter_parse(slice_text("a || bb||  c"), &filter), STATUS_OK);
    assert_int_equal(filter.count, 3);
    assert_true(tag_filter_matches(&filter, 'a'));
    assert_true(tag_filter_matches(&filter, 31 * 'b' + 'b'));
    assert_true(tag_filter_matches(&filter, 'c'));
    assert_false(tag_filter_matches(&filter, 'd'));
    assert_false(tag_filter_matches(&filter, 0));
    tag_filter_close(&filter);
    const char *const all[] = {"*", ""};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(tag_filter_parse(slice_text(all[i]), &filter), STATUS_OK);
        assert_true(tag_filter_matches(&filter, 12345));
    }
    struct buf many = {0};
    for (int i = 0; i <= TAGS_PER_FILTER_MAX; i++) {
        buf_printf(&many, "t%d||", i);
    }
    assert_int_equal(tag_filter_parse(buf_slice(&many), &filter), STATUS_SUBSCRIPTION_MALFORMED);
    assert_int_equal(tag_filter_parse(slice_text("||"), &filter), STATUS_SUBSCRIPTION_MALFORMED);
    assert_false(tag_filter_matches(&filter, 'a'));
    buf_close(&many);
}

static const char *const v1_names[] = {
    "producerGroup", "topic", "defaultTopic", "defaultTopicQueueNums", "queueId", "sysFlag",
    "bornTimestamp", "flag",  "properties",   "reconsumeTimes"};
static const char *const v2_names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
static const char *const send_values[] = {"P", "T", "TBW102", "4", "-1", "16", "17", "7", "k", "2"};

static void both_spellings_of_a_send_are_the_same(void **state)
{
    (void)state;
    for (int v2 = 0; v2 <= 1; v2++) {
        struct command command;
        struct send_header header;
        command_init_request(&command, v2 ? 310 : 10, 1);
        for (size_t i = 0; i < 10; i++) {
            command_add(&command, v2 ? v2_names[i] : v1_names[i], slice_text(send_values[i]));
        }
        command_add(&command, v2 ? "m" : "batch", slice_text("true"));
        assert_int_equal(send_header_decode(&command, &header), STATUS_OK);
        assert_true(slice_equals_text(header.producer_group, "P"));
        assert_true(slice_equals_text(header.topic, "T"));
        assert_true(slice_equals_text(header.default_topic, "TBW102"));
        assert_int_equal(header.default_queue_count, 4);
        assert_int_equal(header.queue_id, -1);
        assert_int_equal(header.sys_flag, 16);
        assert_int_equal(header.born_time_ms, 17);
        assert_int_equal(header.flag, 7);
        assert_true(slice_equals_text(header.properties, "k"));
        assert_int_equal(header.reconsume_times, 2);
        assert_true(header.batch);
    }
}

static void a_send_without_its_numbers_is_refused(void **state)
{
    (void)state;
    const char *const bad[] = {
        "", "-", "x", "1x", "2147483648", "-2147483649", "99999999999999999999", "+1", " 1"};
    const size_t numbers[] = {4, 5, 7};
    for (size_t n = 0; n < 3; n++) {
        for (size_t b = 0; b < sizeof bad / sizeof bad[0]; b++) {
            struct command command;
            struct send_header header;
            command_init_request(&command, 310, 1);
            for (size_t i = 0; i < 10; i++) {
                const char *value = i == numbers[n] ? bad[b] : send_values[i];
                command_add(&command, v2_names[i], slice_text(value));
            }
            assert_int_equal(send_header_decode(&command, &header), STATUS_FIELD_MISSING);
        }
    }
}

static void attributes_are_changed_one_by_one(void **state)
{
    (void)state;
    struct buf text = {0};
    struct slice none = {0};
    assert_int_equal(
        topic_attributes_change(none, slice_text("+message.type=FIFO,+queue.type=BatchCQ"), &text),
        STATUS_OK);
    assert_true(slice_equals_text(buf_slice(&text),
                                  "{\"queue.type\":\"BatchCQ\",\"message.type\":\"FIFO\"}"));
    struct buf next = {0};
    assert_int_equal(topic_attributes_change(buf_slice(&text), slice_text("-queue.type"), &next),
                     STATUS_OK);
    assert_true(slice_equals_text(buf_slice(&next), "{\"message.type\":\"FIFO\"}"));
    buf_clear(&next);
    assert_int_equal(
        topic_attributes_change(buf_slice(&text), slice_text("+unique.key.window=600"), &next),
        STATUS_OK);
    assert_int_equal(topic_attributes_unique_window(buf_slice(&next)), 600);
    assert_int_equal(topic_attributes_unique_window(buf_slice(&text)), 0);
    const char *const bad[] = {"message.type=FIFO", "+unknown=1",   "+message.type=", "+",
                               "-unknown",          "+message.type"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        buf_clear(&next);
        assert_int_equal(topic_attributes_change(none, slice_text(bad[i]), &next),
                         STATUS_INVALID_ARGUMENT);
        assert_int_equal(next.size, 0);
    }
    // Kept as JSON, which a NUL would make unreadable with all other attributes in it.
    assert_int_equal(topic_attributes_change(none, slice_of("+message.type=a\0b", 17), &next),
                     STATUS_INVALID_ARGUMENT);
    buf_close(&text);
    buf_close(&next);
}

/* --- Batches and results ------------------------------------------------------------------ */

static void a_batch_has_a_limit_of_messages(void **state)
{
    (void)state;
    const struct message common = {.topic = slice_text("T")};
    struct batch_shape shape;
    struct buf body = {0};
    for (int i = 0; i <= BATCH_MESSAGES_MAX; i++) {
        buf_put_be32(&body, 22);
        memset(buf_extend(&body, 18), 0, 18);
        if (i + 1 == BATCH_MESSAGES_MAX) {
            assert_int_equal(send_batch_measure(buf_slice(&body), &common, &shape), STATUS_OK);
            assert_int_equal(shape.count, BATCH_MESSAGES_MAX);
        }
    }
    assert_int_equal(send_batch_measure(buf_slice(&body), &common, &shape), STATUS_MESSAGE_ILLEGAL);
    assert_int_equal(send_batch_measure(NO_BODY, &common, &shape), STATUS_MESSAGE_ILLEGAL);
    buf_close(&body);
}

static void forwarded_results_are_what_the_golden_file_says(void **state)
{
    (void)state;
    struct operation_result result = {.status = STATUS_OK};
    struct operation_result read;
    uint8_t bytes[4 * FORWARDED_RESULT_SIZE];
    result.message.queue_offset = 0x0102030405060708;
    result.message.position = 0x1112131415161718;
    result.message.count = 3;
    result.message.queue_id = 5;
    result.message.duplicate = true;
    forwarded_result_encode(OPERATION_HALF, &result, bytes);
    forwarded_result_decode(bytes, &read);
    assert_int_equal(read.message.queue_offset, result.message.queue_offset);
    assert_int_equal(read.message.position, result.message.position);
    assert_int_equal(read.message.count, 3);
    assert_int_equal(read.message.queue_id, 5);
    assert_true(read.message.duplicate);
    result = (struct operation_result){.status = STATUS_TRANSACTION_DECIDED};
    result.transaction.changed = true;
    result.transaction.state = TRANSACTION_COMMITTED;
    result.transaction.queue_offset = 9;
    forwarded_result_encode(OPERATION_END, &result, bytes + FORWARDED_RESULT_SIZE);
    forwarded_result_decode(bytes + FORWARDED_RESULT_SIZE, &read);
    assert_int_equal(read.status, STATUS_TRANSACTION_DECIDED);
    assert_int_equal(read.transaction.state, TRANSACTION_COMMITTED);
    assert_int_equal(read.transaction.queue_offset, 9);
    result = (struct operation_result){.status = STATUS_LIMIT};
    forwarded_result_encode(OPERATION_TOPIC_PUT, &result, bytes + 2 * FORWARDED_RESULT_SIZE);
    result = (struct operation_result){.status = STATUS_OK, .pop_ms = 0x0102030405060708};
    forwarded_result_encode(OPERATION_POP, &result, bytes + 3 * FORWARDED_RESULT_SIZE);
    forwarded_result_decode(bytes + 3 * FORWARDED_RESULT_SIZE, &read);
    assert_true(read.pop_ms == result.pop_ms);
    golden_check("broker/forwarded_results.hex", slice_of(bytes, sizeof bytes));

    struct buf frame = {0};
    struct buf entry = {0};
    entry_begin(&entry);
    entry_put_tick(&entry);
    entry_finish(&entry, 1);
    forwarded_batch_encode(7, buf_slice(&entry), &frame);
    golden_check("broker/forwarded_batch.hex", buf_slice(&frame));
    buf_close(&entry);
    buf_close(&frame);
}

static void an_answer_with_another_number_of_results_is_no_answer(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *follower = &harness->replicas[1];
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    uint8_t body[2 * FORWARDED_RESULT_SIZE] = {0};
    harness_link(follower);
    for (size_t size = 0; size <= sizeof body; size++) {
        if (size == FORWARDED_RESULT_SIZE) {
            continue;
        }
        send_message(pipe, 1, "TBW102", "", slice_text("m"));
        broker_turn_end(&follower->broker);
        struct command answer;
        const struct command request = {.code = 7152,
                                        .opaque = follower->broker.proposer.next_opaque - 1};
        command_init_response(&answer, &request, 0);
        answer.body = slice_of(body, size);
        broker_on_leader_command(&follower->broker, 1, &answer);
        expect_answer(pipe, 1, 14); // Nobody knows whether it is in the log.
    }
    harness_commit(harness); // The leader's real answers come too late and are passed over.
    expect_silence(pipe);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* --- Channels ----------------------------------------------------------------------------- */

static struct buf *no_out(void *transport)
{
    (void)transport;
    return NULL;
}

static void no_flush(void *transport)
{
    (void)transport;
}

static bool is_congested(void *transport)
{
    return transport == NULL || *(bool *)transport;
}

static const struct transport_ports transport_ports = {no_out, no_flush, is_congested};

static struct client_group *join(struct channels *channels, struct channel *channel,
                                 const char *client_id, uint64_t now_ms)
{
    struct client_group *group;
    bool joined;
    assert_int_equal(channels_join(channels, channel, MEMBER_CONSUMER, slice_text("G"),
                                   slice_text(client_id), now_ms, &group, &joined),
                     STATUS_OK);
    return group;
}

static void count_change(void *context, struct client_group *consumers)
{
    (void)consumers;
    ++*(int *)context;
}

static void members_are_asked_in_turn_own_connections_first(void **state)
{
    (void)state;
    struct channels channels;
    bool congested[4] = {false};
    struct channel *own[2];
    const struct host host = {1, 1};
    channels_init(&channels, &transport_ports);
    struct channel *replica = channels_open(&channels, &congested[3], host);
    struct channel *remote = channels_open_remote(&channels, replica, 77, host);
    assert_ptr_equal(channels_open_remote(&channels, replica, 77, host), remote);
    join(&channels, remote, "remote", 1);
    own[0] = channels_open(&channels, &congested[0], host);
    own[1] = channels_open(&channels, &congested[1], host);
    join(&channels, own[0], "a", 1);
    struct client_group *group = join(&channels, own[1], "b", 1);
    struct slice any = {0};
    assert_ptr_equal(client_group_pick(group, &channels, any), own[0]);
    assert_ptr_equal(client_group_pick(group, &channels, any), own[1]);
    assert_ptr_equal(client_group_pick(group, &channels, any), own[0]);
    assert_ptr_equal(client_group_pick(group, &channels, slice_text("a")), own[0]);
    assert_ptr_equal(client_group_pick(group, &channels, slice_text("remote")), remote);
    congested[0] = congested[1] = true;
    assert_ptr_equal(client_group_pick(group, &channels, any), remote);
    congested[3] = true;
    assert_null(client_group_pick(group, &channels, any));
    assert_false(client_group_reachable(group, &channels));
    congested[1] = false;
    assert_true(client_group_reachable(group, &channels));
    // The replica goes, and with it who is behind it.
    int changes = 0;
    channels_drop(&channels, replica, count_change, &changes);
    assert_int_equal(changes, 1);
    assert_int_equal(group->member_count, 2);
    assert_int_equal(channels.remotes.count, 0);
    channels_close(&channels);
}

static void who_is_silent_for_too_long_is_forgotten(void **state)
{
    (void)state;
    struct channels channels;
    bool congested = false;
    const struct host host = {1, 1};
    int changes = 0;
    channels_init(&channels, &transport_ports);
    struct channel *quiet = channels_open(&channels, &congested, host);
    struct channel *lively = channels_open(&channels, &congested, host);
    join(&channels, quiet, "q", 100);
    join(&channels, lively, "l", 100);
    join(&channels, lively, "l", 200);
    channels_expire(&channels, 150, count_change, &changes);
    assert_int_equal(changes, 1);
    struct client_group *group = channels_group(&channels, MEMBER_CONSUMER, slice_text("G"));
    assert_int_equal(group->member_count, 1);
    assert_false(channels_leave(&channels, quiet, MEMBER_CONSUMER, slice_text("G"), NULL, NULL));
    assert_true(channels_leave(&channels, lively, MEMBER_CONSUMER, slice_text("G"), NULL, NULL));
    assert_null(channels_group(&channels, MEMBER_CONSUMER, slice_text("G")));
    join(&channels, quiet, "q", 300);
    channels_expire(&channels, 400, count_change, &changes);
    assert_int_equal(channels.consumers.count, 0); // The last one takes the group along.
    channels_close(&channels);
}

static void a_subscription_is_replaced_by_newer_ones_only(void **state)
{
    (void)state;
    struct channels channels;
    bool congested = false;
    channels_init(&channels, &transport_ports);
    struct channel *channel = channels_open(&channels, &congested, (struct host){1, 1});
    struct client_group *group = join(&channels, channel, "c", 1);
    struct subscription_offer offers[2] = {
        {.topic = slice_text("T"), .expression = slice_text("a"), .version = 5},
        {.topic = slice_text("U"), .expression = slice_text("x > 1"), .version = 1},
    };
    offers[1].expression_type = slice_text("SQL92");
    assert_true(client_group_subscribe(&channels, group, offers, 2));
    assert_false(client_group_subscribe(&channels, group, offers, 2));
    assert_false(client_group_subscription(group, slice_text("U"))->tags);
    offers[0].expression = slice_text("b");
    offers[0].version = 4;
    assert_false(client_group_subscribe(&channels, group, offers, 2));
    assert_true(
        tag_filter_matches(&client_group_subscription(group, slice_text("T"))->filter->tags, 'a'));
    offers[0].version = 6;
    assert_false(client_group_subscribe(&channels, group, offers, 2)); // The topics are the same.
    assert_true(
        tag_filter_matches(&client_group_subscription(group, slice_text("T"))->filter->tags, 'b'));
    assert_true(client_group_subscribe(&channels, group, offers, 1));
    assert_null(client_group_subscription(group, slice_text("U")));
    channels_close(&channels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_passes_its_tags_and_nothing_else),
        cmocka_unit_test(both_spellings_of_a_send_are_the_same),
        cmocka_unit_test(a_send_without_its_numbers_is_refused),
        cmocka_unit_test(attributes_are_changed_one_by_one),
        cmocka_unit_test(a_batch_has_a_limit_of_messages),
        cmocka_unit_test(forwarded_results_are_what_the_golden_file_says),
        cmocka_unit_test(an_answer_with_another_number_of_results_is_no_answer),
        cmocka_unit_test(members_are_asked_in_turn_own_connections_first),
        cmocka_unit_test(who_is_silent_for_too_long_is_forgotten),
        cmocka_unit_test(a_subscription_is_replaced_by_newer_ones_only),
    };
    return cmocka_run_group_tests_name("parts", tests, NULL, NULL);
}
