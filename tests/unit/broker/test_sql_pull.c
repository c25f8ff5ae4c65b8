/* Consumers by SQL92, as clients see them: what passes, codes, offsets, parked pulls, and what one
 * pull may cost. */
#include "tests/support/test.h"

#include "broker/core/sieve.h"
#include "tests/support/broker_harness.h"

#include <stdio.h>

enum { HEART_BEAT = 34, CHECK_CLIENT_CONFIG = 46 };

struct fixture {
    struct harness *harness;
    struct harness_pipe *producer;
    struct harness_pipe *consumer;
};

static struct fixture begin(void)
{
    struct fixture fixture = {.harness = harness_new(1)};
    fixture.producer = harness_connect(harness_leader(fixture.harness), 5001);
    fixture.consumer = harness_connect(harness_leader(fixture.harness), 5000);
    return fixture;
}

static void end(struct fixture *fixture)
{
    if (fixture->consumer != NULL) {
        harness_disconnect(fixture->consumer);
    }
    harness_disconnect(fixture->producer);
    // Subscriptions and pulls are gone, and with them what they held.
    assert_int_equal(harness_leader(fixture->harness)->broker.channels.filters.sql_size, 0);
    harness_free(fixture->harness);
}

static void expect(struct harness_pipe *pipe, int32_t opaque, int32_t code,
                   struct command *response)
{
    assert_true(harness_receive(pipe, response));
    if (response->code != code) {
        print_message("code %d: %.*s\n", response->code, SLICE_ARGS(response->remark));
    }
    assert_int_equal(response->opaque, opaque);
    assert_int_equal(response->code, code);
}

static void expect_code(struct harness_pipe *pipe, int32_t opaque, int32_t code)
{
    struct command response;
    expect(pipe, opaque, code, &response);
}

static int64_t next_offset(const struct command *response)
{
    int64_t value = -99;
    assert_int_equal(command_i64(response, "nextBeginOffset", true, &value), STATUS_OK);
    return value;
}

static void expect_next(struct harness_pipe *pipe, int32_t opaque, int32_t code, int64_t offset)
{
    struct command response;
    expect(pipe, opaque, code, &response);
    assert_int_equal(next_offset(&response), offset);
}

static void send_message(struct fixture *fixture, const char *properties)
{
    harness_send(fixture->producer, 310, 1, 0, slice_text("body"), "a", "P", "b", "T", "c",
                 "TBW102", "d", "4", "e", "0", "f", "0", "g", "1700000000001", "h", "0", "i",
                 properties, "j", "0", NULL);
    harness_commit(fixture->harness);
    expect_code(fixture->producer, 1, 0);
}

/* Messages with n = first, first + 1, … */
static void send_numbers(struct fixture *fixture, int first, int count)
{
    for (int n = first; n < first + count; n++) {
        char properties[32];
        snprintf(properties, sizeof properties, "n\001%d\002", n);
        send_message(fixture, properties);
    }
}

enum { SUSPEND = 2, SUBSCRIPTION = 4 };

static void pull(struct fixture *fixture, int32_t opaque, int64_t offset, int flags,
                 const char *expression)
{
    char offset_text[24];
    char flags_text[24];
    snprintf(offset_text, sizeof offset_text, "%lld", (long long)offset);
    snprintf(flags_text, sizeof flags_text, "%d", flags);
    harness_send(fixture->consumer, 11, opaque, 0, slice_of(NULL, 0), "consumerGroup", "G", "topic",
                 "T", "queueId", "0", "queueOffset", offset_text, "maxMsgNums", "32", "sysFlag",
                 flags_text, "commitOffset", "0", "suspendTimeoutMillis", "15000", "subscription",
                 expression, "subVersion", "5", "expressionType", "SQL92", NULL);
}

/* The answer holds the messages of these queue offsets, …, -1, and no others. */
static void expect_messages(const struct command *response, const int64_t *offsets)
{
    struct slice rest = response->body;
    for (size_t i = 0; offsets[i] >= 0; i++) {
        struct message message;
        size_t size = 0;
        assert_int_equal(message_decode(rest, &message, &size), STATUS_OK);
        assert_int_equal(message.queue_offset, offsets[i]);
        assert_true(slice_equals_text(message.body, "body"));
        rest = slice_from(rest, size);
    }
    assert_int_equal(rest.size, 0);
}

static void a_pull_gets_what_passes_and_nothing_else(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct command response;
    send_numbers(&fixture, 0, 10);
    send_message(&fixture, "n\001none\002"); // Cannot be compared with a number.
    send_message(&fixture, "TAGS\001x\002");
    pull(&fixture, 1, 0, SUBSCRIPTION, "n BETWEEN 2 AND 3 OR n = 8");
    expect(fixture.consumer, 1, 0, &response);
    assert_int_equal(next_offset(&response), 12);
    expect_messages(&response, (const int64_t[]){2, 3, 8, -1});
    pull(&fixture, 2, 3, SUBSCRIPTION, "n < 5 AND n <> 4 OR TAGS = 'x'");
    expect(fixture.consumer, 2, 0, &response);
    expect_messages(&response, (const int64_t[]){3, 11, -1});
    assert_int_equal(next_offset(&response), 12);
    pull(&fixture, 3, 0, SUBSCRIPTION, "n > 100");
    expect_next(fixture.consumer, 3, 20, 12);
    pull(&fixture, 4, 12, SUBSCRIPTION, "n > 100");
    expect_next(fixture.consumer, 4, 19, 12);
    pull(&fixture, 5, 13, SUBSCRIPTION, "n > 100");
    expect_next(fixture.consumer, 5, 21, 12);
    end(&fixture);
}

static void an_expression_that_is_not_valid_is_refused_with_its_place(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct command response;
    send_numbers(&fixture, 0, 1);
    pull(&fixture, 1, 0, SUBSCRIPTION, "n > 'x'");
    expect(fixture.consumer, 1, 23, &response);
    assert_true(
        slice_equals_text(response.remark, "only numbers have an order, before this, at byte 7"));
    harness_send(fixture.consumer, 11, 2, 0, slice_of(NULL, 0), "consumerGroup", "G", "topic", "T",
                 "queueId", "0", "queueOffset", "0", "maxMsgNums", "32", "sysFlag", "4",
                 "subscription", "n > 1", "expressionType", "XPATH", NULL);
    expect_code(fixture.consumer, 2, 23);
    end(&fixture);
}

static void heartbeat(struct fixture *fixture, int version, const char *type,
                      const char *expression)
{
    struct buf body = {0};
    buf_printf(&body,
               "{\"clientID\":\"c\",\"producerDataSet\":[],\"consumerDataSet\":[{\"groupName\":"
               "\"G\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\","
               "\"subscriptionDataSet\":[{\"topic\":\"T\",\"subString\":\"%s\",\"subVersion\":%d,"
               "\"expressionType\":\"%s\"}]}]}",
               expression, version, type);
    harness_send(fixture->consumer, HEART_BEAT, 90, 0, buf_slice(&body), NULL);
    buf_close(&body);
    struct command response;
    do { // A notice that the group changed comes before.
        assert_true(harness_receive(fixture->consumer, &response));
    } while (response.code == 40);
    assert_int_equal(response.code, 0);
    harness_commit(fixture->harness);
}

static void a_subscription_by_heartbeat_has_its_filter_or_a_reason_why_not(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct command response;
    send_numbers(&fixture, 0, 3);
    heartbeat(&fixture, 5, "SQL92", "n = 1");
    pull(&fixture, 1, 0, 0, "");
    expect(fixture.consumer, 1, 0, &response);
    expect_messages(&response, (const int64_t[]){1, -1});
    heartbeat(&fixture, 6, "SQL92", "n = ");
    pull(&fixture, 2, 0, 0, "");
    expect(fixture.consumer, 2, 27, &response);
    assert_non_null(memmem(response.remark.data, response.remark.size, "at byte 4", 9));
    heartbeat(&fixture, 7, "XPATH", "n");
    pull(&fixture, 3, 0, 0, "");
    expect_code(fixture.consumer, 3, 27);
    heartbeat(&fixture, 8, "SQL92", "n = 2");
    heartbeat(&fixture, 7, "SQL92", "n = 0"); // Comes late.
    pull(&fixture, 4, 0, 0, "");
    expect(fixture.consumer, 4, 0, &response);
    expect_messages(&response, (const int64_t[]){2, -1});
    harness_send(fixture.consumer, 203, 5, 0, slice_of(NULL, 0), "consumerGroup", "G", NULL);
    expect(fixture.consumer, 5, 0, &response);
    assert_non_null(memmem(response.body.data, response.body.size, "\"SQL92\"", 7));
    heartbeat(&fixture, 9, "TAG", "||");
    pull(&fixture, 6, 0, 0, "");
    expect_code(fixture.consumer, 6, 23);
    end(&fixture);
}

static void a_client_that_asks_is_told_whether_its_expression_is_valid(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    static const struct {
        const char *type;
        const char *expression;
        int32_t code;
    } cases[] = {
        {"SQL92", "a > 1 AND b IN ('x')", 0},
        {"SQL92", "a > 1 AND", 23},
        {"SQL92", "", 23},
        {"TAG", "a > 1 AND", 0}, // As RocketMQ: tags are not looked at.
        {"XPATH", "a", 23},
    };
    for (int32_t i = 0; i < (int32_t)(sizeof cases / sizeof cases[0]); i++) {
        struct buf body = {0};
        buf_printf(&body,
                   "{\"clientId\":\"c\",\"group\":\"G\",\"subscriptionData\":{\"topic\":\"T\","
                   "\"subString\":\"%s\",\"subVersion\":1,\"expressionType\":\"%s\"}}",
                   cases[i].expression, cases[i].type);
        harness_send(fixture.consumer, CHECK_CLIENT_CONFIG, i, 0, buf_slice(&body), NULL);
        expect_code(fixture.consumer, i, cases[i].code);
        buf_close(&body);
    }
    end(&fixture);
}

static void a_parked_pull_is_woken_only_by_what_passes(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct command response;
    send_numbers(&fixture, 0, 1);
    pull(&fixture, 1, 1, SUSPEND | SUBSCRIPTION, "n = 3");
    send_numbers(&fixture, 1, 2);
    assert_false(harness_receive(fixture.consumer, &response));
    send_numbers(&fixture, 3, 1);
    expect(fixture.consumer, 1, 0, &response);
    assert_int_equal(next_offset(&response), 4);
    expect_messages(&response, (const int64_t[]){3, -1});
    // Nothing passes: 19 at the end of its time, or 20 if it has moved on.
    pull(&fixture, 2, 4, SUSPEND | SUBSCRIPTION, "n = 3");
    harness_advance(fixture.harness, 14000);
    assert_false(harness_receive(fixture.consumer, &response));
    harness_advance(fixture.harness, 2000);
    expect_next(fixture.consumer, 2, 19, 4);
    pull(&fixture, 3, 4, SUSPEND | SUBSCRIPTION, "n = 3");
    send_numbers(&fixture, 4, 3);
    harness_advance(fixture.harness, 16000);
    expect_next(fixture.consumer, 3, 20, 7);
    assert_int_equal(harness_leader(fixture.harness)->broker.counters.pulls_held, 3);
    // Two at one queue; a connection that goes takes both along.
    pull(&fixture, 4, 7, SUSPEND | SUBSCRIPTION, "n = 3");
    pull(&fixture, 5, 7, SUSPEND | SUBSCRIPTION, "n = 4");
    send_numbers(&fixture, 7, 1);
    assert_int_equal(harness_leader(fixture.harness)->broker.pulls.count, 2);
    harness_disconnect(fixture.consumer);
    fixture.consumer = NULL;
    assert_int_equal(harness_leader(fixture.harness)->broker.pulls.count, 0);
    end(&fixture);
}

static void reads_from_disk_keep_no_pull_from_being_answered(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct command response;
    send_numbers(&fixture, 0, 40);
    fixture.harness->block_reads = true;
    pull(&fixture, 1, 0, SUBSCRIPTION, "n >= 30");
    harness_run_reads(fixture.harness);
    expect(fixture.consumer, 1, 0, &response);
    assert_int_equal(next_offset(&response), 40);
    pull(&fixture, 2, 40, SUSPEND | SUBSCRIPTION, "n = 41");
    send_numbers(&fixture, 40, 1);
    assert_false(harness_receive(fixture.consumer, &response));
    assert_int_equal(fixture.harness->blocked_count, 1);
    // While it is being looked at, the queue grows: it must not wait for more.
    send_numbers(&fixture, 41, 1);
    harness_run_reads(fixture.harness);
    expect(fixture.consumer, 2, 0, &response);
    expect_messages(&response, (const int64_t[]){41, -1});
    pull(&fixture, 3, 42, SUSPEND | SUBSCRIPTION, "n = 0");
    send_numbers(&fixture, 42, 1);
    harness_run_reads(fixture.harness);
    assert_false(harness_receive(fixture.consumer, &response));
    assert_int_equal(harness_leader(fixture.harness)->broker.pulls.count, 1);
    // The connection goes while it is being looked at.
    send_numbers(&fixture, 43, 1);
    assert_int_equal(fixture.harness->blocked_count, 1);
    harness_disconnect(fixture.consumer);
    fixture.consumer = NULL;
    harness_run_reads(fixture.harness);
    assert_int_equal(harness_leader(fixture.harness)->broker.pulls.count, 0);
    end(&fixture);
}

static void one_pull_keeps_and_looks_at_so_many_messages_at_most(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct command response;
    send_numbers(&fixture, 0, SIEVE_MESSAGES_MAX + 50);
    pull(&fixture, 1, 0, SUBSCRIPTION, "n < 0");
    expect_next(fixture.consumer, 1, 20, SIEVE_MESSAGES_MAX);
    pull(&fixture, 2, SIEVE_MESSAGES_MAX, SUBSCRIPTION, "n < 0");
    expect_next(fixture.consumer, 2, 20, SIEVE_MESSAGES_MAX + 50);
    pull(&fixture, 3, 1, SUBSCRIPTION, "n IS NOT NULL");
    expect(fixture.consumer, 3, 0, &response);
    assert_int_equal(next_offset(&response), 33);
    // Every tenth: 32 of them, and none is lost at the seam.
    pull(&fixture, 4, 0, SUBSCRIPTION, "n ENDSWITH '5'");
    expect(fixture.consumer, 4, 0, &response);
    int64_t offsets[34];
    for (int i = 0; i < 32; i++) {
        offsets[i] = 10 * i + 5;
    }
    offsets[32] = -1;
    expect_messages(&response, offsets);
    assert_true(next_offset(&response) > offsets[31]);
    assert_true(next_offset(&response) <= offsets[31] + 10);
    end(&fixture);
}

static void the_bytes_of_an_answer_are_bounded_but_one_message_fits(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct command response;
    send_numbers(&fixture, 0, 3);
    for (int32_t i = 0; i < 2; i++) {
        // One message has between 100 and 200 bytes.
        harness_send(fixture.consumer, 11, i, 0, slice_of(NULL, 0), "consumerGroup", "G", "topic",
                     "T", "queueId", "0", "queueOffset", "0", "maxMsgNums", "32", "sysFlag", "4",
                     "subscription", "n <> 1", "expressionType", "SQL92", "maxMsgBytes",
                     i == 0 ? "1" : "400", NULL);
        expect(fixture.consumer, i, 0, &response);
        const int64_t one[] = {0, -1};
        const int64_t both[] = {0, 2, -1};
        expect_messages(&response, i == 0 ? one : both);
        assert_int_equal(next_offset(&response), i == 0 ? 2 : 3);
    }
    end(&fixture);
}

static void what_one_pull_may_cost_is_bounded(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct buf properties = {0};
    struct buf expression = {0};
    buf_put_text(&properties, "a\001");
    memset(buf_extend(&properties, 30000), 'x', 30000);
    buf_put_text(&properties, "\002");
    buf_put_u8(&properties, 0);
    for (int i = 0; i < 400; i++) {
        buf_put_text(&expression, "a CONTAINS 'xxy' OR ");
    }
    buf_put_text(&expression, "FALSE");
    buf_put_u8(&expression, 0);
    for (int i = 0; i < 10; i++) {
        send_message(&fixture, (const char *)properties.data);
    }
    struct command response;
    pull(&fixture, 1, 0, SUBSCRIPTION, (const char *)expression.data);
    expect(fixture.consumer, 1, 20, &response);
    assert_true(next_offset(&response) > 0);
    assert_true(next_offset(&response) < 10);
    buf_close(&properties);
    buf_close(&expression);
    end(&fixture);
}

static void expressions_have_a_bound_together_and_find_room_later(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct message_filters *filters = &harness_leader(fixture.harness)->broker.channels.filters;
    send_numbers(&fixture, 0, 1);
    filters->sql_size = SQL_FILTERS_SIZE_MAX + 1;
    pull(&fixture, 1, 0, SUBSCRIPTION, "n = 0");
    expect_code(fixture.consumer, 1, 2);
    heartbeat(&fixture, 5, "SQL92", "n = 0");
    pull(&fixture, 2, 0, 0, "");
    expect_code(fixture.consumer, 2, 24);
    filters->sql_size = 0;
    heartbeat(&fixture, 5, "SQL92", "n = 0");
    assert_true(filters->sql_size > 0);
    pull(&fixture, 3, 0, 0, "");
    expect_code(fixture.consumer, 3, 0);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pull_gets_what_passes_and_nothing_else),
        cmocka_unit_test(an_expression_that_is_not_valid_is_refused_with_its_place),
        cmocka_unit_test(a_subscription_by_heartbeat_has_its_filter_or_a_reason_why_not),
        cmocka_unit_test(a_client_that_asks_is_told_whether_its_expression_is_valid),
        cmocka_unit_test(a_parked_pull_is_woken_only_by_what_passes),
        cmocka_unit_test(reads_from_disk_keep_no_pull_from_being_answered),
        cmocka_unit_test(one_pull_keeps_and_looks_at_so_many_messages_at_most),
        cmocka_unit_test(the_bytes_of_an_answer_are_bounded_but_one_message_fits),
        cmocka_unit_test(what_one_pull_may_cost_is_bounded),
        cmocka_unit_test(expressions_have_a_bound_together_and_find_room_later),
    };
    return cmocka_run_group_tests_name("sql_pull", tests, NULL, NULL);
}
