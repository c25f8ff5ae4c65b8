/* What popping has on the wire besides messages: handles, and the bodies of 200151 and 402. */
#include "tests/support/test.h"

#include "common/remoting/body_pop.h"
#include "common/remoting/pop_handle.h"

static void handles_come_apart(void **state)
{
    (void)state;
    struct pop_handle handle;
    assert_true(pop_handle_parse(slice_text("7 1700000000000 60000 3 2 broker-a 5 9"), &handle));
    assert_int_equal(handle.offset_first, 7);
    assert_true(handle.pop_ms == 1700000000000);
    assert_int_equal(handle.invisible_ms, 60000);
    assert_int_equal(handle.revive_queue, 3);
    assert_int_equal(handle.kind, '2');
    assert_true(slice_equals_text(handle.broker, "broker-a"));
    assert_int_equal(handle.queue_id, 5);
    assert_int_equal(handle.offset, 9);
    assert_true(pop_handle_parse(slice_text("7 1 2 3 0 b 5"), &handle));
    assert_int_equal(handle.offset, 7);
    const char *const bad[] = {
        "",
        "7 1 2 3 0 b",
        "7 1 2 3 3 b 5 9",
        "7 1 2 3 00 b 5 9",
        "7 1 2 3  b 5 9",
        "7 1 2 3 0 b 2147483648 9",
        "7 1 2 3 0 b 5 9 ",
        "7 1 2 x 0 b 5 9",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(pop_handle_parse(slice_text(bad[i]), &handle));
    }
}

static void handles_are_put_together_again(void **state)
{
    (void)state;
    const char *const text = "7 1700000000000 60000 3 2 broker-a 5 9";
    struct pop_handle handle;
    struct buf out = {0};
    assert_true(pop_handle_parse(slice_text(text), &handle));
    pop_handle_format(&handle, &out);
    assert_string_equal(buf_text(&out), text);
    buf_close(&out);
}

static void acknowledgements_are_read_as_they_are_written(void **state)
{
    (void)state;
    static const uint8_t bits[] = {0xFB, 0xEF, 0xFF, 0x01}; // "++///": not the alphabet of URLs.
    const struct batch_ack acks[] = {
        {slice_text("G"), slice_text("T"), slice_text("1"), 17, 3, 5, 1700000000000, 60000,
         slice_of(bits, sizeof bits)},
        {slice_text("G"), slice_text("T"), slice_text("0"), 0, 0, 0, 1, 2, slice_of(bits, 1)},
    };
    const struct batch_ack_request request = {slice_text("broker-a"), 2, acks};
    struct buf text = {0};
    struct body body = {0};
    struct batch_ack_request read;
    batch_ack_encode(&request, &text);
    assert_string_equal(
        buf_text(&text),
        "{\"brokerName\":\"broker-a\",\"acks\":[{\"c\":\"G\",\"t\":\"T\",\"r\":\"1\",\"so\":17,"
        "\"q\":3,\"rq\":5,\"pt\":1700000000000,\"it\":60000,\"b\":\"++//AQ==\"},{\"c\":\"G\","
        "\"t\":\"T\",\"r\":\"0\",\"so\":0,\"q\":0,\"rq\":0,\"pt\":1,\"it\":2,\"b\":\"+w==\"}]}");
    assert_int_equal(batch_ack_decode(buf_slice(&text), &body, &read), STATUS_OK);
    assert_int_equal(read.count, 2);
    assert_true(slice_equals_text(read.broker, "broker-a"));
    assert_true(slice_equals_text(read.acks[0].retry, "1"));
    assert_int_equal(read.acks[0].offset_first, 17);
    assert_int_equal(read.acks[0].queue_id, 3);
    assert_int_equal(read.acks[0].revive_queue, 5);
    assert_true(read.acks[0].pop_ms == 1700000000000);
    assert_int_equal(read.acks[0].invisible_ms, 60000);
    assert_true(slice_equals(read.acks[0].bits, slice_of(bits, sizeof bits)));
    assert_true(slice_equals(read.acks[1].bits, slice_of(bits, 1)));
    body_close(&body);
    buf_close(&text);
}

static void modes_stand_by_topic_and_group(void **state)
{
    (void)state;
    const struct mode_request modes[] = {
        {slice_text("T"), slice_text("G"), true, -1},
        {slice_text("T"), slice_text("H"), false, 0},
        {slice_text("U"), slice_text("G"), true, 2},
    };
    struct buf text = {0};
    mode_table_encode(modes, 3, &text);
    assert_string_equal(
        buf_text(&text),
        "{\"messageRequestModeMap\":{\"T\":{\"G\":{\"topic\":\"T\",\"consumerGroup\":\"G\","
        "\"mode\":\"POP\",\"popShareQueueNum\":-1},\"H\":{\"topic\":\"T\",\"consumerGroup\":\"H\","
        "\"mode\":\"PULL\",\"popShareQueueNum\":0}},\"U\":{\"G\":{\"topic\":\"U\","
        "\"consumerGroup\":\"G\",\"mode\":\"POP\",\"popShareQueueNum\":2}}}}");
    buf_close(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles_come_apart),
        cmocka_unit_test(handles_are_put_together_again),
        cmocka_unit_test(acknowledgements_are_read_as_they_are_written),
        cmocka_unit_test(modes_stand_by_topic_and_group),
    };
    return cmocka_run_group_tests_name("remoting_pop", tests, NULL, NULL);
}
