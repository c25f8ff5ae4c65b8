/* Popping over the wire (200050 …): messages, acknowledgements, long polling. */
#include "common/remoting/properties.h"
#include "tests/support/broker_expect.h"

#include <stdio.h>

enum { POP = 200050, ACK = 200051, INVISIBLE = 200053, BATCH_ACK = 200151, INVISIBLE_MS = 10000 };

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

/* `count` messages to queue 0 of T, which has 4. */
static void send_some(const char *properties, int count)
{
    for (int i = 0; i < count; i++) {
        send_message(producer, 1, "T", properties, slice_text("body"));
        harness_commit(harness);
        expect_answer(producer, 1, 0);
    }
}

struct ask {
    const char *queue_id;
    const char *max;
    const char *poll;
    const char *init;
    const char *type;
    const char *expression;
};

static struct ask any(void)
{
    return (struct ask){"-1", "32", "0", "0", "TAG", "*"};
}

static void pop_with(struct harness_pipe *pipe, int32_t opaque, const struct ask *ask)
{
    harness_send(pipe, POP, opaque, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId",
                 ask->queue_id, "maxMsgNums", ask->max, "invisibleTime", "10000", "pollTime",
                 ask->poll, "bornTime", "1", "initMode", ask->init, "expType", ask->type, "exp",
                 ask->expression, "order", "false", NULL);
}

static void pop(struct harness_pipe *pipe, int32_t opaque, const char *max)
{
    struct ask ask = any();
    ask.max = max;
    pop_with(pipe, opaque, &ask);
}

static void pop_and_wait(struct harness_pipe *pipe, int32_t opaque)
{
    struct ask ask = any();
    ask.poll = "15000";
    pop_with(pipe, opaque, &ask);
}

/* The offsets in a body, as "0,1,2"; the last message in *last. */
static const char *offsets_of(struct slice body, struct message *last)
{
    static char text[256];
    size_t size = 0;
    size_t written = 0;
    text[0] = '\0';
    while (body.size > 0) {
        assert_int_equal(message_decode(body, last, &size), STATUS_OK);
        assert_true(message_body_crc(last->body) == last->body_crc);
        written += (size_t)snprintf(text + written, sizeof text - written, "%s%d",
                                    written == 0 ? "" : ",", (int)last->queue_offset);
        body = slice_from(body, size);
    }
    return text;
}

static void expect_offsets(struct command answer, const char *offsets)
{
    struct message last;
    assert_string_equal(offsets_of(answer.body, &last), offsets);
}

/* Pop up to max of what there is; the time of the delivery. */
static int64_t popped(struct harness_pipe *pipe, const char *max, const char *offsets)
{
    pop(pipe, 77, max);
    harness_commit(harness);
    struct command answer = expect_answer(pipe, 77, 0);
    expect_offsets(answer, offsets);
    return expect_field(&answer, "popTime");
}

static void expect_none(struct harness_pipe *pipe)
{
    pop(pipe, 78, "32");
    harness_commit(harness);
    struct command answer = expect_answer(pipe, 78, 19);
    assert_int_equal(expect_field(&answer, "restNum"), 0);
}

static const char *handle_of(int64_t pop_ms, int offset)
{
    static char text[128];
    snprintf(text, sizeof text, "%d %lld 10000 0 0 %s 0 %d", offset, (long long)pop_ms,
             harness_leader(harness)->group.name.text, offset);
    return text;
}

static void ask_ack(struct harness_pipe *pipe, const char *offset, const char *handle)
{
    harness_send(pipe, ACK, 5, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "extraInfo", handle, "offset", offset, NULL);
}

static void ack(const char *offset, const char *handle, int32_t code)
{
    ask_ack(consumer, offset, handle);
    harness_commit(harness);
    expect_answer(consumer, 5, code);
}

static uint32_t waiting(void)
{
    return machine_popped_count(harness_leader(harness)->machine, slice_text("G"), slice_text("T"),
                                0);
}

static void messages_are_answered_once_the_log_has_it(void **state)
{
    (void)state;
    send_some("", 3);
    pop(consumer, 9, "2");
    harness_turn(harness);
    expect_silence(consumer);
    harness_commit(harness);
    struct command answer = expect_answer(consumer, 9, 0);
    struct slice text;
    expect_offsets(answer, "0,1");
    assert_int_equal(expect_field(&answer, "invisibleTime"), INVISIBLE_MS);
    assert_int_equal(expect_field(&answer, "reviveQid"), 0);
    assert_int_equal(expect_field(&answer, "restNum"), 1);
    assert_true(command_find(&answer, "startOffsetInfo", &text));
    assert_true(slice_equals_text(text, "0 0 0"));
    assert_true(command_find(&answer, "msgOffsetInfo", &text));
    assert_true(slice_equals_text(text, "0 0 0,1"));
    popped(consumer, "32", "2");
    expect_none(consumer);
    assert_int_equal(waiting(), 3);
}

static void two_that_ask_at_once_share_no_message(void **state)
{
    (void)state;
    struct harness_pipe *other = harness_connect(harness_leader(harness), 5002);
    send_some("", 4);
    pop_and_wait(consumer, 1);
    struct ask ask = any();
    ask.poll = "15000";
    pop_with(other, 2, &ask);
    harness_commit(harness);
    expect_offsets(expect_answer(consumer, 1, 0), "0,1,2,3");
    expect_silence(other);
    send_some("", 1);
    expect_offsets(expect_answer(other, 2, 0), "4");
    harness_disconnect(other);
}

static void what_is_acknowledged_never_comes_again(void **state)
{
    (void)state;
    send_some("", 2);
    int64_t pop_ms = popped(consumer, "32", "0,1");
    ack("0", handle_of(pop_ms, 0), 0);
    ack("0", handle_of(pop_ms, 0), 208);
    harness_advance(harness, INVISIBLE_MS + BROKER_TICK_MS);
    popped(consumer, "32", "1");
}

static void what_is_not_comes_again_and_says_how_often(void **state)
{
    (void)state;
    char first[24];
    struct message message;
    struct slice value;
    send_some("KEYS\001k\002", 1);
    int64_t pop_ms = popped(consumer, "32", "0");
    snprintf(first, sizeof first, "%lld", (long long)pop_ms);
    for (int times = 1; times <= 2; times++) {
        harness_advance(harness, INVISIBLE_MS - BROKER_TICK_MS);
        expect_none(consumer);
        harness_advance(harness, BROKER_TICK_MS);
        pop(consumer, 9, "32");
        harness_commit(harness);
        struct command answer = expect_answer(consumer, 9, 0);
        assert_string_equal(offsets_of(answer.body, &message), "0");
        assert_int_equal(message.reconsume_times, times);
        assert_true(properties_find(message.properties, "1ST_POP_TIME", &value));
        assert_true(slice_equals_text(value, first));
        assert_true(properties_find(message.properties, "KEYS", &value));
    }
    ack("0", handle_of(pop_ms, 0), 208); // Of the first delivery.
    assert_int_equal(waiting(), 1);
}

static void a_pop_waits_for_a_message(void **state)
{
    (void)state;
    send_some("", 1);
    popped(consumer, "32", "0");
    pop_and_wait(consumer, 3);
    harness_commit(harness);
    expect_silence(consumer);
    send_some("", 1);
    expect_offsets(expect_answer(consumer, 3, 0), "1");
}

static void pop_of_group_and_wait(const char *group, int32_t opaque)
{
    harness_send(consumer, POP, opaque, 0, NO_BODY, "consumerGroup", group, "topic", "T", "queueId",
                 "-1", "maxMsgNums", "32", "invisibleTime", "10000", "pollTime", "15000",
                 "bornTime", "1", "initMode", "0", NULL);
}

static void there_is_one_look_for_all_of_a_group_in_vain(void **state)
{
    (void)state;
    enum { EACH = 50 };
    const struct pops *pops = &harness_leader(harness)->broker.pops;
    send_message(producer, 1, "T", "", slice_text("body"));
    harness_commit(harness);
    expect_answer(producer, 1, 0);
    for (int32_t i = 0; i <= EACH; i++) {
        pop_of_group_and_wait("G", i);
        pop_of_group_and_wait("H", 100 + i);
        harness_commit(harness);
    }
    expect_offsets(expect_answer(consumer, 0, 0), "0");
    expect_offsets(expect_answer(consumer, 100, 0), "0");
    expect_silence(consumer);
    assert_int_equal(pops->count, 2 * EACH);
    uint32_t looks = pops->turn;
    send_some("", 1);
    expect_offsets(expect_answer(consumer, 1, 0), "1");
    expect_offsets(expect_answer(consumer, 101, 0), "1");
    expect_silence(consumer);
    // Of each group the one that got it, and one in vain; then, as they have ended, once more.
    assert_in_range(pops->turn - looks, 4, 6);
    harness_advance(harness, INVISIBLE_MS); // It is due again for both.
    expect_offsets(expect_answer(consumer, 2, 0), "0,1");
    expect_offsets(expect_answer(consumer, 102, 0), "0,1");
    expect_silence(consumer);
}

static void a_pop_waits_for_one_that_is_due(void **state)
{
    (void)state;
    send_some("", 1);
    popped(consumer, "32", "0");
    pop_and_wait(consumer, 3);
    harness_advance(harness, INVISIBLE_MS - BROKER_TICK_MS);
    expect_silence(consumer);
    harness_advance(harness, BROKER_TICK_MS);
    expect_offsets(expect_answer(consumer, 3, 0), "0");
}

static void a_pop_that_waited_in_vain_is_told(void **state)
{
    (void)state;
    send_some("", 1);
    popped(consumer, "32", "0");
    ack("0", handle_of((int64_t)harness->now_ms, 0), 0);
    pop_and_wait(consumer, 3);
    harness_advance(harness, 15000);
    struct command answer = expect_answer(consumer, 3, 210);
    assert_int_equal(expect_field(&answer, "restNum"), 0);
    assert_int_equal(expect_field(&answer, "popTime"), 0);
    pop_and_wait(consumer, 4);
    harness_disconnect(consumer);
    assert_int_equal(harness_leader(harness)->broker.pops.count, 0);
    consumer = harness_connect(harness_leader(harness), 5000);
}

static void only_so_many_may_wait(void **state)
{
    (void)state;
    harness_leader(harness)->settings.held_pulls_max = 1;
    send_some("", 1);
    popped(consumer, "32", "0");
    pop_and_wait(consumer, 3);
    pop_and_wait(consumer, 4);
    harness_commit(harness);
    expect_answer(consumer, 4, 209);
}

static void an_invisible_time_can_be_changed(void **state)
{
    (void)state;
    send_some("", 1);
    int64_t pop_ms = popped(consumer, "32", "0");
    harness_advance(harness, 1000);
    harness_send(consumer, INVISIBLE, 5, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId",
                 "0", "extraInfo", handle_of(pop_ms, 0), "offset", "0", "invisibleTime", "2000",
                 NULL);
    harness_commit(harness);
    struct command answer = expect_answer(consumer, 5, 0);
    assert_int_equal(expect_field(&answer, "popTime"), pop_ms + 1000);
    assert_int_equal(expect_field(&answer, "invisibleTime"), 2000);
    assert_int_equal(expect_field(&answer, "reviveQid"), 0);
    ack("0", handle_of(pop_ms, 0), 208);
    harness_advance(harness, 2000);
    popped(consumer, "32", "0");
    harness_send(consumer, INVISIBLE, 5, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId",
                 "0", "extraInfo", handle_of(pop_ms + 1000, 0), "offset", "0", "invisibleTime",
                 "2000", NULL);
    harness_commit(harness);
    expect_answer(consumer, 5, 208);
}

static void handles_of_others_do_nothing(void **state)
{
    (void)state;
    char text[128];
    send_some("", 2);
    int64_t pop_ms = popped(consumer, "32", "0,1");
    ack("1", handle_of(pop_ms, 0), 29); // Of another message.
    ack("9", handle_of(pop_ms, 9), 208);
    ack("0", handle_of(pop_ms - 1, 0), 208);
    ack("0", "", 29);
    ack("0", "0 1 2 3", 29);
    ack("0", "0 1 2 3 4 5 6 7 8", 29);
    ack("0", "-1 1 2 0 0 b 0 0", 29);
    snprintf(text, sizeof text, "0 %lld 10000 0 0 other 0 0", (long long)pop_ms);
    ack("0", text, 29);
    snprintf(text, sizeof text, "0 %lld 10000 0 1 %s 0 0", (long long)pop_ms,
             harness_leader(harness)->group.name.text);
    ack("0", text, 208); // Of a retry topic.
    harness_send(consumer, ACK, 5, 0, NO_BODY, "consumerGroup", "other", "topic", "T", "queueId",
                 "0", "extraInfo", handle_of(pop_ms, 0), "offset", "0", NULL);
    harness_commit(harness);
    expect_answer(consumer, 5, 208);
    harness_send(consumer, ACK, 5, 0, NO_BODY, "consumerGroup", "G", "topic", "none", "queueId",
                 "0", "extraInfo", handle_of(pop_ms, 0), "offset", "0", NULL);
    expect_answer(consumer, 5, 17);
    harness_send(consumer, ACK, 5, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "4",
                 "extraInfo", handle_of(pop_ms, 0), "offset", "0", NULL);
    expect_answer(consumer, 5, 29);
    harness_send(consumer, ACK, 5, 0, NO_BODY, "consumerGroup", "G", NULL);
    expect_answer(consumer, 5, 29);
    assert_int_equal(waiting(), 2);
}

static void acks(const char *format, int64_t pop_ms, int32_t code)
{
    char body[512];
    snprintf(body, sizeof body, format, harness_leader(harness)->group.name.text,
             (long long)pop_ms);
    harness_send(consumer, BATCH_ACK, 6, 0, slice_text(body), NULL);
    harness_commit(harness);
    expect_answer(consumer, 6, code);
}

static void many_are_acknowledged_at_once(void **state)
{
    (void)state;
    send_some("", 12);
    int64_t pop_ms = popped(consumer, "32", "0,1,2,3,4,5,6,7,8,9,10,11");
    // 1, 3, and 9, which is bit 8 from 1 on.
    acks("{\"brokerName\":\"%s\",\"acks\":[{\"c\":\"G\",\"t\":\"T\",\"r\":\"0\",\"so\":1,\"q\":0,"
         "\"rq\":0,\"pt\":%lld,\"it\":10000,\"b\":\"BQE=\"}]}",
         pop_ms, 0);
    assert_int_equal(waiting(), 9);
    // By its long names; what is over, elsewhere or nothing does not harm the rest.
    acks(
        "{\"brokerName\":\"%s\",\"acks\":[{\"consumerGroup\":\"G\",\"topic\":\"T\",\"retry\":\"0\","
        "\"startOffset\":1,\"queueId\":0,\"popTime\":%lld,\"bitSet\":\"AwA=\"},"
        "{\"c\":\"G\",\"t\":\"none\",\"r\":\"0\",\"so\":0,\"q\":7,\"pt\":1,\"b\":\"//8=\"},"
        "{\"c\":\"G\",\"t\":\"T\",\"r\":\"1\",\"so\":0,\"q\":0,\"pt\":1,\"b\":\"AQ==\"},{}]}",
        pop_ms, 0);
    assert_int_equal(waiting(), 8);
    acks("{\"brokerName\":\"%s\",\"acks\":[],\"x\":%lld}", pop_ms, 208);
    acks("{\"brokerName\":\"not-%s\",\"acks\":[{\"c\":\"G\",\"t\":\"T\",\"so\":0,\"q\":0,"
         "\"pt\":%lld,\"b\":\"AQ==\"}]}",
         pop_ms, 29);
    acks("{\"brokerName\":\"%s\",\"acks\":[{\"pt\":%lld,\"b\":\"!\"}]}", pop_ms, 1);
    acks("no JSON %s %lld", pop_ms, 1);
    assert_int_equal(waiting(), 8);
}

static void tags_and_expressions_filter_what_is_popped(void **state)
{
    (void)state;
    send_some("TAGS\001red\002n\0011\002", 2);
    send_some("TAGS\001blue\002n\0012\002", 1);
    send_some("TAGS\001red\002n\0013\002", 1);
    struct ask ask = any();
    ask.expression = "blue";
    pop_with(consumer, 1, &ask);
    harness_commit(harness);
    expect_offsets(expect_answer(consumer, 1, 0), "2");
    assert_int_equal(waiting(), 1); // The others were passed over.
    expect_none(consumer);

    send_some("n\0011\002", 1);
    send_some("n\0015\002", 2);
    ask.type = "SQL92";
    ask.expression = "n > 4";
    pop_with(consumer, 2, &ask);
    harness_commit(harness);
    expect_offsets(expect_answer(consumer, 2, 0), "5,6");
    send_some("n\0011\002", 2);
    ask.poll = "15000";
    pop_with(consumer, 3, &ask);
    harness_commit(harness);
    expect_silence(consumer);
    send_some("n\0016\002", 1);
    expect_offsets(expect_answer(consumer, 3, 0), "9");
    ask.expression = "n >";
    pop_with(consumer, 4, &ask);
    expect_answer(consumer, 4, 23);
}

static void tools_see_what_is_in_flight_as_not_consumed(void **state)
{
    (void)state;
    send_some("", 5);
    int64_t pop_ms = popped(consumer, "3", "0,1,2");
    ack("1", handle_of(pop_ms, 1), 0);
    harness_send(consumer, 208, 8, 0, NO_BODY, "consumerGroup", "G", NULL);
    struct command answer = expect_answer(consumer, 8, 0);
    assert_true(slice_contains(answer.body, "\"brokerOffset\":5,\"consumerOffset\":1,"));
    assert_true(slice_contains(answer.body, "\"pullOffset\":3"));
    harness_send(consumer, 317, 9, 0, NO_BODY, "isOrder", "false", NULL);
    answer = expect_answer(consumer, 9, 0);
    assert_true(slice_contains(answer.body, "\"totalDiff\":4,\"totalInflightDiff\":2"));
}

static void one_queue_can_be_asked_for(void **state)
{
    (void)state;
    send_some("", 1);
    struct ask ask = any();
    ask.queue_id = "1";
    pop_with(consumer, 1, &ask);
    harness_commit(harness);
    expect_answer(consumer, 1, 19);
    ask.queue_id = "0";
    pop_with(consumer, 2, &ask);
    harness_commit(harness);
    expect_offsets(expect_answer(consumer, 2, 0), "0");
}

static void a_message_in_any_queue_is_found(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        char queue[8];
        snprintf(queue, sizeof queue, "%d", i);
        harness_send(producer, 310, 1, 0, slice_text("body"), "a", "P", "b", "T", "c", "TBW102",
                     "d", "4", "e", queue, "f", "0", "g", "1", "h", "0", "i", "", "j", "0", NULL);
        harness_commit(harness);
        expect_answer(producer, 1, 0);
    }
    int seen = 0;
    for (int i = 0; i < 4; i++) {
        struct message message;
        pop(consumer, 1, "32");
        harness_commit(harness);
        struct command answer = expect_answer(consumer, 1, 0);
        assert_string_equal(offsets_of(answer.body, &message), "0");
        seen |= 1 << message.queue_id;
    }
    assert_int_equal(seen, 15);
    expect_none(consumer);
}

/* As retention does it: everything before the newest segment goes. */
static void cut(void)
{
    struct broker *broker = &harness_leader(harness)->broker;
    struct buf *entry;
    assert_int_equal(proposer_begin(&broker->proposer, 64, &entry), STATUS_OK);
    entry_put_cut(entry,
                  &(struct operation_cut){machine_segment_newest(broker->machine) * SEGMENT_SIZE});
    proposer_add(&broker->proposer, &(struct waiter){0});
    harness_commit(harness);
}

static void who_begins_at_the_end_of_an_old_topic_gets_what_comes(void **state)
{
    (void)state;
    send_some("", 2);
    harness_next_segment(harness);
    send_some("", 1);
    cut();
    struct ask ask = any();
    ask.init = "1";
    pop_with(consumer, 1, &ask);
    harness_commit(harness);
    expect_answer(consumer, 1, 19);
    send_some("", 1);
    pop_with(consumer, 2, &ask);
    harness_commit(harness);
    expect_offsets(expect_answer(consumer, 2, 0), "3");
    assert_int_equal(waiting(), 1);
    expect_none(consumer); // It was not new any more.
}

static void what_retention_took_is_not_waited_for(void **state)
{
    (void)state;
    send_some("", 2);
    int64_t pop_ms = popped(consumer, "32", "0,1");
    harness_next_segment(harness);
    send_some("", 1);
    cut();
    assert_int_equal(waiting(), 0);
    ack("0", handle_of(pop_ms, 0), 208);
    popped(consumer, "32", "2");
}

static void who_was_overtaken_looks_again(void **state)
{
    (void)state;
    send_some("", 4);
    popped(consumer, "1", "0");
    harness_send(producer, 15, 3, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "commitOffset", "3", NULL);
    pop(consumer, 1, "2"); // Chosen before that applies, applied after it.
    harness_commit(harness);
    expect_answer(producer, 3, 0);
    expect_offsets(expect_answer(consumer, 1, 0), "3");
}

/* `count` messages that nobody here asks for, and one that they do. */
static void send_haystack(int count)
{
    for (int i = 0; i < count; i++) {
        send_message(producer, 1, "T", "TAGS\001red\002n\0011\002", slice_text("body"));
    }
    harness_commit(harness);
    for (int i = 0; i < count; i++) {
        expect_answer(producer, 1, 0);
    }
    send_some("TAGS\001blue\002n\0015\002", 1);
}

static void a_pop_that_passes_over_many_ends_with_its_time(void **state)
{
    (void)state;
    send_haystack(2000);
    struct ask ask = any();
    ask.expression = "blue";
    ask.poll = "1000";
    pop_with(consumer, 1, &ask);
    harness_turn(harness);
    harness->now_ms += 1000; // While what it moved is not committed.
    harness_commit(harness);
    expect_answer(consumer, 1, 210);
    assert_int_equal(waiting(), 0);
    pop_with(consumer, 2, &ask); // What was passed over is not looked at again.
    harness_commit(harness);
    expect_offsets(expect_answer(consumer, 2, 0), "2000");
}

static void a_pop_that_does_not_wait_passes_over_so_many(void **state)
{
    (void)state;
    send_haystack(16 * 832); // One look goes through steps of 64 until it has seen 800.
    struct ask ask = any();
    ask.expression = "blue";
    pop_with(consumer, 1, &ask);
    harness_commit(harness);
    expect_answer(consumer, 1, 19);
    assert_int_equal(waiting(), 0);
    pop_with(consumer, 2, &ask);
    harness_commit(harness);
    expect_offsets(expect_answer(consumer, 2, 0), "13312");
}

/* A pop that waits 1 s, and whose messages are read so long. */
static void pop_that_reads_for(uint64_t ms)
{
    struct ask ask = any();
    ask.type = "SQL92";
    ask.expression = "n > 4";
    ask.poll = "1000";
    harness->block_reads = true;
    pop_with(consumer, 1, &ask);
    harness_turn(harness);
    harness->now_ms += ms;
    harness->block_reads = false;
    harness_run_reads(harness);
    harness_commit(harness);
}

static void nothing_is_taken_for_a_pop_long_after_its_time(void **state)
{
    (void)state;
    send_haystack(1);
    pop_that_reads_for(1501);
    expect_answer(consumer, 1, 210);
    assert_int_equal(waiting(), 0);
    pop_that_reads_for(1500); // Its client can be expected to wait a little.
    expect_offsets(expect_answer(consumer, 1, 0), "1");
}

static void a_pop_that_read_too_long_has_moved_on_all_the_same(void **state)
{
    (void)state;
    int64_t stands = -1;
    send_some("n\0011\002", 3);
    pop_that_reads_for(2000);
    expect_answer(consumer, 1, 210);
    assert_true(machine_offset_find(harness_leader(harness)->machine, slice_text("G"),
                                    slice_text("T"), 0, &stands));
    assert_int_equal(stands, 3);
}

static void nothing_is_taken_for_a_client_that_has_gone(void **state)
{
    (void)state;
    struct harness_pipe *other = harness_connect(harness_leader(harness), 5002);
    send_some("TAGS\001red\002", 1);
    struct ask ask = any();
    ask.expression = "blue";
    ask.poll = "15000";
    pop_with(other, 1, &ask); // Moves the group on, and would look once more.
    harness_turn(harness);
    harness_disconnect(other);
    send_some("TAGS\001blue\002", 1);
    popped(consumer, "32", "1");
    assert_int_equal(harness_leader(harness)->broker.pops.count, 0);
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    send_some("", 1);
    struct ask ask = any();
    ask.max = "33";
    pop_with(consumer, 1, &ask);
    expect_answer(consumer, 1, 29);
    ask.max = "0";
    pop_with(consumer, 1, &ask);
    expect_answer(consumer, 1, 29);
    ask = any();
    ask.queue_id = "4";
    pop_with(consumer, 1, &ask);
    expect_answer(consumer, 1, 29);
    const char *const fields[][2] = {{"topic", "none"}, {"order", "true"}, {"invisibleTime", "0"}};
    const int32_t codes[] = {17, 3, 29};
    for (size_t i = 0; i < 3; i++) {
        harness_send(consumer, POP, 1, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId",
                     "-1", "maxMsgNums", "1", "invisibleTime", "1", "pollTime", "0", "bornTime",
                     "1", "initMode", "0", fields[i][0], fields[i][1], NULL);
        expect_answer(consumer, 1, codes[i]);
    }
    harness_send(consumer, POP, 1, 0, NO_BODY, "consumerGroup", "G", "topic", "T", NULL);
    expect_answer(consumer, 1, 29);
    assert_int_equal(waiting(), 0);
}

static void who_waits_at_a_leader_that_is_none_any_more_is_to_ask_again(void **state)
{
    (void)state;
    send_some("", 1);
    popped(consumer, "32", "0");
    pop_and_wait(consumer, 3);
    harness_commit(harness);
    const struct replica_state deposed = {.role = REPLICA_FOLLOWER, .term = 2, .leader_id = 0};
    broker_on_state(&harness_leader(harness)->broker, &deposed);
    expect_answer(consumer, 3, 210);
}

static void a_follower_passes_on_what_its_clients_pop_and_acknowledge(void **state)
{
    (void)state;
    struct harness *three = harness_new(3);
    struct harness *one = harness;
    harness = three;
    struct harness_pipe *sender = harness_connect(harness_leader(three), 5001);
    struct harness_pipe *pipe = harness_connect(&three->replicas[1], 5000);
    harness_link(&three->replicas[1]);
    send_message(sender, 1, "T", "", slice_text("body"));
    harness_commit(three);
    expect_answer(sender, 1, 0);
    pop(pipe, 4, "32");
    harness_exchange(three);
    harness_commit(three);
    harness_exchange(three);
    struct command answer = expect_answer(pipe, 4, 0);
    expect_offsets(answer, "0");
    int64_t pop_ms = expect_field(&answer, "popTime");
    pop_and_wait(pipe, 6);
    harness_exchange(three);
    harness_commit(three);
    harness_exchange(three);
    expect_silence(pipe);
    harness_advance(three, three->replicas[0].settings.hold_ms); // And not for 15 s.
    harness_exchange(three);
    expect_answer(pipe, 6, 210);
    ask_ack(pipe, "0", handle_of(pop_ms, 0));
    harness_turn(three);
    harness_exchange(three);
    harness_commit(three);
    harness_exchange(three);
    expect_answer(pipe, 5, 0);
    assert_int_equal(waiting(), 0);
    harness_disconnect(pipe);
    harness_disconnect(sender);
    harness_free(three);
    harness = one;
}

#define pop_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        pop_test(messages_are_answered_once_the_log_has_it),
        pop_test(two_that_ask_at_once_share_no_message),
        pop_test(what_is_acknowledged_never_comes_again),
        pop_test(what_is_not_comes_again_and_says_how_often),
        pop_test(a_pop_waits_for_a_message),
        pop_test(there_is_one_look_for_all_of_a_group_in_vain),
        pop_test(a_pop_waits_for_one_that_is_due),
        pop_test(a_pop_that_waited_in_vain_is_told),
        pop_test(only_so_many_may_wait),
        pop_test(an_invisible_time_can_be_changed),
        pop_test(handles_of_others_do_nothing),
        pop_test(many_are_acknowledged_at_once),
        pop_test(tags_and_expressions_filter_what_is_popped),
        pop_test(tools_see_what_is_in_flight_as_not_consumed),
        pop_test(one_queue_can_be_asked_for),
        pop_test(a_message_in_any_queue_is_found),
        pop_test(who_begins_at_the_end_of_an_old_topic_gets_what_comes),
        pop_test(what_retention_took_is_not_waited_for),
        pop_test(who_was_overtaken_looks_again),
        pop_test(a_pop_that_passes_over_many_ends_with_its_time),
        pop_test(a_pop_that_does_not_wait_passes_over_so_many),
        pop_test(nothing_is_taken_for_a_pop_long_after_its_time),
        pop_test(a_pop_that_read_too_long_has_moved_on_all_the_same),
        pop_test(nothing_is_taken_for_a_client_that_has_gone),
        pop_test(bad_requests_are_refused),
        pop_test(who_waits_at_a_leader_that_is_none_any_more_is_to_ask_again),
        pop_test(a_follower_passes_on_what_its_clients_pop_and_acknowledge),
    };
    return cmocka_run_group_tests_name("pop", tests, NULL, NULL);
}
