/* The pure parts of the client: ids, allocation, outgoing messages, received ones. */
#include "tests/support/test.h"

#include "client/allocate.h"
#include "client/consumer.h"
#include "client/outgoing.h"
#include "client/received.h"
#include "client/unique_key.h"
#include "common/remoting/codes.h"
#include "common/remoting/message.h"
#include "common/remoting/properties.h"

#include <stdio.h>
#include <time.h>

static void ids_have_rocketmqs_layout(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    struct unique_keys keys = {.address = 0x0A010203, .pid = 0x1234, .process = 0xCAFEBABE};
    char id[UNIQUE_KEY_SIZE];
    // 2023-11-14T22:13:20.123Z: 13 days, 22:13:20.123 into the month.
    unique_keys_next(&keys, 1700000000123, id);
    assert_memory_equal(id, "0A0102031234CAFEBABE47B7607B0000", UNIQUE_KEY_SIZE);
    unique_keys_next(&keys, 1700000000123, id);
    assert_memory_equal(id + 28, "0001", 4);
    // The next month begins at zero again.
    unique_keys_next(&keys, 1701388800000, id);
    assert_memory_equal(id + 20, "00000000", 8);
}

static void shares_are_even_whole_and_disjoint(void **state)
{
    (void)state;
    for (size_t queues = 0; queues < 40; queues++) {
        for (size_t members = 1; members < 12; members++) {
            size_t next = 0;
            for (size_t place = 0; place < members; place++) {
                size_t first;
                size_t count;
                allocate_averagely(queues, members, place, &first, &count);
                assert_int_equal(first, next);
                assert_in_range(count, queues / members, queues / members + 1);
                next = first + count;
            }
            assert_int_equal(next, queues);
        }
    }
}

static void pauses_double_up_to_a_minute_and_are_as_long_as_was_asked_for(void **state)
{
    (void)state;
    static const struct {
        bool orderly;
        uint64_t redeliver_ms;
        uint32_t failures;
        uint64_t pause_ms;
    } rows[] = {
        {false, 1000, 0, 1000},
        {false, 1000, 3, 8000},
        {false, 1000, 6, 60000},
        {false, 1000, UINT32_MAX, 60000},
        {false, 59999, 1, 60000},
        {false, 90000, 0, 90000},
        {false, 90000, 5, 90000},
        {true, 1000, 9, 1000},
        {true, 300000, 0, 300000},
        {true, 300000, 9, 300000},
        {true, UINT64_MAX / 2, 9, UINT64_MAX / 2},
        {false, UINT64_MAX / 2, 9, UINT64_MAX / 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct raftmq_consumer_options options = {.orderly = rows[i].orderly,
                                                        .redeliver_ms = rows[i].redeliver_ms};
        assert_int_equal(delivery_pause_ms(&options, rows[i].failures), rows[i].pause_ms);
    }
}

static void messages_that_a_broker_would_refuse_are_refused(void **state)
{
    (void)state;
    struct raftmq_property property = {"a", "b"};
    struct raftmq_message good = {.topic = "T", .properties = &property, .property_count = 1};
    assert_int_equal(outgoing_check(&good, NULL), RAFTMQ_OK);
    struct raftmq_message bad[10];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bad[i] = good;
    }
    static const struct raftmq_property bad_properties[] = {
        {"KEYS", "x"}, {"TIMER_DELAY_MS", "1"}, {"", "x"}, {"a", ""}, {"a\1", "x"}, {"a", "x\2"}};
    bad[0].topic = NULL;
    bad[1].topic = "a b";
    bad[2].topic = "RMQ_SYS_TRANS_HALF_TOPIC";
    bad[3].body_size = 4 * 1024 * 1024 + 1;
    bad[3].body = "";
    bad[4].delay_level = 19;
    bad[5].tags = "a\1b";
    bad[6].delay_level = -1;
    bad[7].body_size = 1; // Without a body.
    bad[8].delay_level = 1;
    bad[8].delay_ms = 1;
    bad[9].deliver_at_ms = UINT64_MAX;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(outgoing_check(&bad[i], NULL), RAFTMQ_INVALID_ARGUMENT);
    }
    for (size_t i = 0; i < sizeof bad_properties / sizeof bad_properties[0]; i++) {
        good.properties = &bad_properties[i];
        assert_int_equal(outgoing_check(&good, NULL), RAFTMQ_INVALID_ARGUMENT);
    }
}

static void the_property_string_says_all_that_is_known(void **state)
{
    (void)state;
    const struct raftmq_property property = {"color", "red"};
    struct raftmq_message message = {.topic = "T",
                                     .tags = "t",
                                     .keys = "k1 k2",
                                     .shard_key = "s",
                                     .delay_level = 3,
                                     .properties = &property,
                                     .property_count = 1};
    struct buf out = {0};
    outgoing_properties(&message, slice_text("ID"), NULL, &out);
    assert_string_equal(buf_text(&out), "KEYS\1k1 k2\2TAGS\1t\2UNIQ_KEY\1ID\2WAIT\1true\2"
                                        "__SHARDINGKEY\1s\2DELAY\1"
                                        "3\2color\1red\2");
    buf_clear(&out);
    message.tags = NULL;
    message.keys = NULL;
    message.shard_key = NULL;
    outgoing_properties(&message, slice_text("ID"), "g", &out);
    assert_string_equal(buf_text(&out),
                        "UNIQ_KEY\1ID\2WAIT\1true\2TRAN_MSG\1true\2PGROUP\1g\2DELAY\1"
                        "3\2color\1red\2");
    buf_clear(&out);
    const struct raftmq_message after = {.topic = "T", .delay_ms = 1500};
    outgoing_properties(&after, slice_text("ID"), NULL, &out);
    assert_string_equal(buf_text(&out), "UNIQ_KEY\1ID\2WAIT\1true\2TIMER_DELAY_MS\1"
                                        "1500\2");
    buf_clear(&out);
    const struct raftmq_message at = {.topic = "T", .deliver_at_ms = 1700000000000};
    outgoing_properties(&at, slice_text("ID"), NULL, &out);
    assert_string_equal(buf_text(&out), "UNIQ_KEY\1ID\2WAIT\1true\2TIMER_DELIVER_MS\1"
                                        "1700000000000\2");
    buf_close(&out);
}

static void a_batch_item_has_the_layout_of_the_wire(void **state)
{
    (void)state;
    const struct raftmq_message message = {.topic = "T", .body = "abc", .body_size = 3, .flag = 7};
    struct buf out = {0};
    outgoing_batch_item(&message, slice_text("ID"), &out);
    static const char expected[] = "\0\0\0\x2F\0\0\0\0\0\0\0\0\0\0\0\7\0\0\0\3"
                                   "abc\0\x16UNIQ_KEY\1ID\2WAIT\1true\2";
    assert_int_equal(be32_get(out.data), out.size);
    assert_int_equal(out.size, sizeof expected - 1);
    assert_memory_equal(out.data, expected, out.size);
    buf_close(&out);
}

static void a_send_request_has_the_short_names(void **state)
{
    (void)state;
    const struct outgoing outgoing = {.group = slice_text("g"),
                                      .topic = slice_text("T"),
                                      .broker = slice_text("b"),
                                      .queue_id = 3,
                                      .sys_flag = 4,
                                      .flag = 5,
                                      .born_ms = 1700000000000,
                                      .properties = slice_text("A\1B\2"),
                                      .body = slice_text("x")};
    static const char *const expected[][2] = {
        {"a", "g"},      {"b", "T"},     {"c", "TBW102"},        {"d", "4"},
        {"e", "3"},      {"f", "4"},     {"g", "1700000000000"}, {"h", "5"},
        {"i", "A\1B\2"}, {"j", "0"},     {"k", "false"},         {"m", "false"},
        {"n", "b"},      {"bname", "b"},
    };
    struct buf scratch = {0};
    struct command request;
    outgoing_request(&outgoing, &scratch, &request);
    assert_int_equal(request.code, REQUEST_SEND_MESSAGE_V2);
    assert_int_equal(request.field_count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < request.field_count; i++) {
        struct slice value;
        assert_true(command_find(&request, expected[i][0], &value));
        assert_true(slice_equals_text(value, expected[i][1]));
    }
    buf_close(&scratch);
}

static struct buf encoded(struct message *message)
{
    struct buf out = {0};
    message_encode(message, &out);
    return out;
}

static void a_received_message_is_decoded_whole(void **state)
{
    (void)state;
    struct message message = {
        .queue_id = 3,
        .queue_offset = 5,
        .physical_offset = 4660,
        .store_host = {0x0A010203, 10911},
        .store_time_ms = 12,
        .born_time_ms = 11,
        .reconsume_times = 2,
        .body = slice_text("body"),
        .topic = slice_text("%RETRY%g"),
        .properties = slice_text("RETRY_TOPIC\1T\2KEYS\1k\2UNIQ_KEY\1U\2color\1red"),
    };
    struct buf bytes = encoded(&message);
    struct slice rest = buf_slice(&bytes);
    struct received received;
    assert_int_equal(received_decode(&rest, slice_text("b"), &received), STATUS_OK);
    assert_int_equal(rest.size, 0);
    const struct raftmq_received *read = &received.message;
    assert_string_equal(read->topic, "T"); // Not the retry topic it came by.
    assert_string_equal(read->broker, "b");
    assert_string_equal(read->message_id, "U");
    assert_string_equal(read->offset_message_id, "0A01020300002A9F0000000000001234");
    assert_string_equal(read->keys, "k");
    assert_string_equal(read->tags, "");
    assert_int_equal(read->queue_offset, 5);
    assert_int_equal(read->reconsume_times, 2);
    assert_int_equal(read->body_size, 4);
    assert_memory_equal(read->body, "body", 4);
    assert_string_equal(raftmq_received_property(read, "color"), "red");
    assert_string_equal(raftmq_received_property(read, "KEYS"), "k");
    assert_null(raftmq_received_property(read, "none"));
    received_close(&received);
    rest = slice_of(bytes.data, bytes.size - 1);
    assert_int_equal(received_decode(&rest, slice_text("b"), &received), STATUS_MALFORMED);
    assert_int_equal(rest.size, 0);
    buf_close(&bytes);
}

static void deflated_bodies_come_back_as_they_were(void **state)
{
    (void)state;
    char *text = mem_zalloc(100000);
    struct raftmq_message message = {.topic = "T", .body = text, .body_size = 100000};
    struct buf body = {0};
    int32_t flags = outgoing_body(&message, 4096, &body);
    assert_int_equal(flags, SYS_FLAG_COMPRESSED);
    assert_true(body.size < 1000);
    struct message stored = {.sys_flag = flags, .body = buf_slice(&body), .topic = slice_text("T")};
    struct buf bytes = encoded(&stored);
    struct slice rest = buf_slice(&bytes);
    struct received received;
    assert_int_equal(received_decode(&rest, slice_text("b"), &received), STATUS_OK);
    assert_int_equal(received.message.body_size, 100000);
    assert_memory_equal(received.message.body, text, 100000);
    received_close(&received);
    // Damaged ones are refused, and the next message is still found.
    bytes.data[MESSAGE_FIXED_SIZE] ^= 0xFF;
    rest = buf_slice(&bytes);
    assert_int_equal(received_decode(&rest, slice_text("b"), &received), STATUS_MALFORMED);
    assert_int_equal(rest.size, 0);
    buf_clear(&body);
    assert_int_equal(outgoing_body(&message, 0, &body), 0);
    assert_int_equal(body.size, 100000);
    buf_close(&bytes);
    buf_close(&body);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_have_rocketmqs_layout),
        cmocka_unit_test(shares_are_even_whole_and_disjoint),
        cmocka_unit_test(pauses_double_up_to_a_minute_and_are_as_long_as_was_asked_for),
        cmocka_unit_test(messages_that_a_broker_would_refuse_are_refused),
        cmocka_unit_test(the_property_string_says_all_that_is_known),
        cmocka_unit_test(a_batch_item_has_the_layout_of_the_wire),
        cmocka_unit_test(a_send_request_has_the_short_names),
        cmocka_unit_test(a_received_message_is_decoded_whole),
        cmocka_unit_test(deflated_bodies_come_back_as_they_were),
    };
    return cmocka_run_group_tests_name("client_parts", tests, NULL, NULL);
}
