/* Server-side assignment (400 to 402): strategies, sharing, and who is asked. */
#include "broker/core/assignment.h"
#include "common/remoting/body_heartbeat.h"
#include "tests/support/broker_expect.h"

#include <stdio.h>

enum { QUERY = 400, SET_MODE = 401, ALL_MODES = 402, QUEUES = 8 };

/* --- Strategies --------------------------------------------------------------------------- */

static struct queue_name queues[QUEUES];

/* The queues of a member as "0 1 2"; with sharing as a popper's. */
static const char *share(const char *strategy, size_t queue_count, size_t members, size_t member,
                         int32_t share_count)
{
    static char text[128];
    struct queue_name out[QUEUES];
    const struct assignment assignment = {
        .strategy = assignment_strategy_of(slice_text(strategy)),
        .member_count = members,
        .member = member,
        .queue_count = queue_count,
        .queues = queues,
    };
    size_t count = share_count == INT32_MIN ? assign(&assignment, out)
                                            : assign_pop(&assignment, share_count, out);
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%d", i == 0 ? "" : " ",
                               out[i].queue_id);
    }
    return text;
}

static const char *pull(const char *strategy, size_t queue_count, size_t members, size_t member)
{
    return share(strategy, queue_count, members, member, INT32_MIN);
}

static int setup_queues(void **state)
{
    (void)state;
    for (int32_t i = 0; i < QUEUES; i++) {
        queues[i] = (struct queue_name){slice_text("T"), slice_text(i < 4 ? "a" : "b"), i};
    }
    return 0;
}

static void averages_are_runs_of_neighbours(void **state)
{
    (void)state;
    assert_string_equal(pull("AVG", 8, 3, 0), "0 1 2");
    assert_string_equal(pull("AVG", 8, 3, 1), "3 4 5");
    assert_string_equal(pull("AVG", 8, 3, 2), "6 7");
    assert_string_equal(pull("AVG", 2, 3, 1), "1");
    assert_string_equal(pull("AVG", 2, 3, 2), "");
    assert_string_equal(pull("AVG", 4, 1, 0), "0 1 2 3");
}

static void a_circle_deals_queues_out(void **state)
{
    (void)state;
    assert_string_equal(pull("AVG_BY_CIRCLE", 8, 3, 0), "0 3 6");
    assert_string_equal(pull("AVG_BY_CIRCLE", 8, 3, 2), "2 5");
    assert_string_equal(pull("AVG_BY_CIRCLE", 2, 3, 2), "");
    assert_int_equal(assignment_strategy_of(slice_text("CONSISTENT_HASH")), STRATEGY_UNKNOWN);
}

static void poppers_share_queues(void **state)
{
    (void)state;
    assert_string_equal(share("AVG", 8, 4, 1, 0), "-1 -1"); // Each broker once.
    assert_string_equal(share("AVG", 8, 4, 1, -1), "-1 -1");
    assert_string_equal(share("AVG", 8, 4, 1, 3), "-1 -1");
    assert_string_equal(share("AVG", 8, 4, 1, 1), "2 3 4 5");
    assert_string_equal(share("AVG", 8, 4, 3, 1), "0 1 6 7");
    assert_string_equal(share("AVG", 2, 4, 3, 1), "1"); // Too few queues: each has one.
    assert_string_equal(share("AVG", 0, 4, 3, 1), "");
}

/* --- Over the wire ------------------------------------------------------------------------ */

static const char *const route =
    "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"10.0.0.1:10911\"},\"brokerName\":\"broker-a\","
    "\"cluster\":\"C1\"},{\"brokerAddrs\":{\"0\":\"10.0.0.2:10911\"},\"brokerName\":\"broker-b\","
    "\"cluster\":\"C1\"}],\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":\"broker-b\","
    "\"perm\":6,\"readQueueNums\":2,\"writeQueueNums\":2,\"topicSysFlag\":0},{\"brokerName\":"
    "\"broker-a\",\"perm\":6,\"readQueueNums\":2,\"writeQueueNums\":2,\"topicSysFlag\":0},"
    "{\"brokerName\":\"broker-c\",\"perm\":2,\"readQueueNums\":2,\"writeQueueNums\":2,"
    "\"topicSysFlag\":0}]}";

/* The next answer; notices of who joins come in between. */
static struct command answer_of(struct harness_pipe *pipe, int32_t opaque, int32_t code)
{
    struct command answer;
    do {
        assert_true(harness_receive(pipe, &answer));
    } while (!command_is_response(&answer));
    assert_int_equal(answer.opaque, opaque);
    assert_int_equal(answer.code, code);
    return answer;
}

static void join(struct harness *harness, struct harness_pipe *pipe, const char *client)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"clientID\":\"%s\",\"consumerDataSet\":[{\"consumeFromWhere\":"
             "\"CONSUME_FROM_FIRST_OFFSET\",\"consumeType\":\"CONSUME_PASSIVELY\",\"groupName\":"
             "\"G\",\"messageModel\":\"CLUSTERING\",\"subscriptionDataSet\":[],\"unitMode\":false}"
             "],\"producerDataSet\":[]}",
             client);
    harness_send(pipe, 34, 1, 0, slice_text(body), NULL);
    harness_commit(harness);
    answer_of(pipe, 1, 0);
}

/* The answer's body. */
static struct slice query(struct harness_pipe *pipe, const char *client, const char *strategy,
                          const char *model)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"clientId\":\"%s\",\"consumerGroup\":\"G\",\"messageModel\":\"%s\","
             "\"strategyName\":\"%s\",\"topic\":\"T\"}",
             client, model, strategy);
    harness_send(pipe, QUERY, 2, 0, slice_text(body), NULL);
    return answer_of(pipe, 2, 0).body;
}

#define MQ(broker, id, mode)                                                                       \
    "{\"messageQueue\":{\"brokerName\":\"" broker "\",\"queueId\":" id                             \
    ",\"topic\":\"T\"},\"mode\":\"" mode "\"}"

static void expect_text(struct slice text, const char *expected)
{
    if (!slice_equals_text(text, expected)) {
        fail_msg("%.*s", SLICE_ARGS(text));
    }
}

static void members_get_their_share_of_all_brokers(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *one = harness_connect(harness_leader(harness), 5000);
    struct harness_pipe *two = harness_connect(harness_leader(harness), 5001);
    assert_true(slice_equals_text(query(one, "c1", "AVG", "CLUSTERING"), "{}")); // No route.
    harness_leader(harness)->route = route;
    assert_true(slice_equals_text(query(one, "c1", "AVG", "CLUSTERING"), "{}")); // No members.
    join(harness, one, "c1");
    join(harness, two, "c2");
    expect_text(query(one, "c1", "AVG", "CLUSTERING"),
                "{\"messageQueueAssignments\":[" MQ("broker-a", "0", "PULL") "," MQ("broker-a", "1",
                                                                                    "PULL") "]}");
    expect_text(query(two, "c2", "AVG_BY_CIRCLE", "CLUSTERING"),
                "{\"messageQueueAssignments\":[" MQ("broker-a", "1", "PULL") "," MQ("broker-b", "1",
                                                                                    "PULL") "]}");
    expect_text(query(one, "c3", "AVG", "CLUSTERING"), "{\"messageQueueAssignments\":[]}");
    expect_text(query(one, "c1", "CONSISTENT_HASH", "CLUSTERING"), "{}");
    expect_text(query(one, "c1", "AVG", "BROADCASTING"),
                "{\"messageQueueAssignments\":[" MQ("broker-a", "0", "PULL") "," MQ(
                    "broker-a", "1", "PULL") "," MQ("broker-b", "0", "PULL") "," MQ("broker-b", "1",
                                                                                    "PULL") "]}");
    harness_disconnect(one);
    harness_disconnect(two);
    harness_free(harness);
}

static void set_mode(struct harness *harness, struct harness_pipe *pipe, const char *body,
                     int32_t code)
{
    harness_send(pipe, SET_MODE, 3, 0, slice_text(body), NULL);
    harness_commit(harness);
    answer_of(pipe, 3, code);
}

static void a_group_that_is_told_to_pop_gets_brokers_not_queues(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    const char *const pop = "{\"topic\":\"T\",\"consumerGroup\":\"G\",\"mode\":\"POP\","
                            "\"popShareQueueNum\":-1}";
    harness_leader(harness)->route = route;
    set_mode(harness, pipe, pop, 17);
    send_message(pipe, 9, "T", "", slice_text("body"));
    harness_commit(harness);
    answer_of(pipe, 9, 0);
    set_mode(harness, pipe, pop, 26);
    join(harness, pipe, "c1");
    set_mode(harness, pipe, "{\"topic\":\"%RETRY%G\",\"consumerGroup\":\"G\",\"mode\":\"POP\"}",
             16);
    set_mode(harness, pipe, "{\"topic\":\"T\",\"consumerGroup\":\"G\",\"mode\":\"PUSH\"}", 1);
    set_mode(harness, pipe, "[]", 1);
    harness_send(pipe, ALL_MODES, 6, 0, NO_BODY, NULL);
    expect_text(answer_of(pipe, 6, 0).body, "{\"messageRequestModeMap\":{}}");
    set_mode(harness, pipe, pop, 0);
    harness_send(pipe, ALL_MODES, 6, 0, NO_BODY, NULL);
    expect_text(answer_of(pipe, 6, 0).body,
                "{\"messageRequestModeMap\":{\"T\":{\"G\":{\"topic\":\"T\",\"consumerGroup\":\"G\","
                "\"mode\":\"POP\",\"popShareQueueNum\":-1}}}}");
    const char *const all = "{\"messageQueueAssignments\":[" MQ("broker-a", "-1", "POP") "," MQ(
        "broker-b", "-1", "POP") "]}";
    expect_text(query(pipe, "c1", "AVG", "CLUSTERING"), all);
    expect_text(query(pipe, "c2", "AVG", "CLUSTERING"), all); // Its heartbeat is yet to come.
    set_mode(harness, pipe, "{\"topic\":\"T\",\"consumerGroup\":\"G\",\"mode\":\"PULL\"}", 0);
    assert_true(slice_contains(query(pipe, "c1", "AVG", "CLUSTERING"), "\"PULL\""));
    harness_send(pipe, QUERY, 4, 0, slice_text("{\"topic\":\"T\"}"), NULL);
    answer_of(pipe, 4, 29);
    harness_send(pipe, QUERY, 5, 0, slice_text("7"), NULL);
    answer_of(pipe, 5, 1);
    harness_disconnect(pipe);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(averages_are_runs_of_neighbours, setup_queues),
        cmocka_unit_test_setup(a_circle_deals_queues_out, setup_queues),
        cmocka_unit_test_setup(poppers_share_queues, setup_queues),
        cmocka_unit_test(members_get_their_share_of_all_brokers),
        cmocka_unit_test(a_group_that_is_told_to_pop_gets_brokers_not_queues),
    };
    return cmocka_run_group_tests_name("assignment", tests, NULL, NULL);
}
