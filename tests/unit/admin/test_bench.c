/* bench: what the load generator sends, counts and measures, against a server that knows. */
#include "tests/support/answer_server.h"
#include "tests/support/test.h"
#include "tests/support/words.h"

#include "admin/cli.h"
#include "common/remoting/codes.h"
#include "common/remoting/extension.h"
#include "common/remoting/message.h"
#include "common/remoting/properties.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

enum { QUEUES = 3, HALVES_MAX = 200000, MESSAGES_PER_QUEUE = 100, STALL_US = 300000 };

struct server {
    struct answer_server *fake;
    int64_t sends;
    int64_t queues_seen[QUEUES];
    int64_t commits;
    int64_t bad_ends; /* Commits that fit no half. */
    int64_t end_lost; /* The commit of this half gets lost; then it is asked for. 0: none. */
    bool end_lost_asked;
    char lost_id[33];
    bool ended[HALVES_MAX];
    int64_t stall_at; /* Before answering that send. */
    int64_t refuse_every;
    int routes_wrong; /* So many routes still name a broker that is gone. */
};

static struct server server;
static char output[65536];

static bool answer_route(struct command *response, struct buf *scratch)
{
    const char *address = answer_server_address(server.fake);
    if (server.routes_wrong > 0) {
        server.routes_wrong--;
        address = "127.0.0.1:1";
    }
    buf_printf(scratch,
               "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"%s\"},\"brokerName\":\"broker-a\","
               "\"cluster\":\"C\"}],\"queueDatas\":[{\"brokerName\":\"broker-a\",\"perm\":6,"
               "\"readQueueNums\":%d,\"writeQueueNums\":%d,\"topicSysFlag\":0}],"
               "\"brokerAddrTable\":{\"broker-a\":{\"brokerAddrs\":{\"0\":\"%s\"},\"brokerName\":"
               "\"broker-a\",\"cluster\":\"C\"}},\"clusterAddrTable\":{\"C\":[\"broker-a\"]}}",
               address, QUEUES, QUEUES, address);
    response->body = buf_slice(scratch);
    return true;
}

/* The half with number n lies at 1000 + 7 n and has the half offset n. */
static bool answer_send(const struct command *request, struct command *response,
                        struct buf *scratch)
{
    int32_t queue = -1;
    char id[OFFSET_MESSAGE_ID_SIZE];
    struct slice properties = {0};
    struct slice unique = {0};
    assert_true(command_find(request, "i", &properties));
    assert_true(properties_find(properties, PROPERTY_UNIQUE_KEY, &unique));
    if (server.sends == server.end_lost) {
        snprintf(server.lost_id, sizeof server.lost_id, "%.*s", SLICE_ARGS(unique));
    }
    assert_int_equal(command_i32(request, "e", true, &queue), STATUS_OK);
    assert_in_range(queue, 0, QUEUES - 1);
    server.queues_seen[queue]++;
    int64_t number = server.sends++;
    if (number == server.stall_at) {
        usleep(STALL_US);
    }
    if (server.refuse_every > 0 && number % server.refuse_every == 0) {
        response->code = RESPONSE_SYSTEM_BUSY;
        return true;
    }
    offset_message_id_format((struct host){0x7F000001, 10911}, 1000 + 7 * number, id);
    size_t at = scratch->size;
    buf_put(scratch, id, sizeof id);
    command_add(response, "msgId", slice_of(scratch->data + at, sizeof id));
    command_add_i64(response, "queueOffset", number, scratch);
    command_add_i64(response, "queueId", queue, scratch);
    return true;
}

static void take_end(const struct command *request)
{
    int64_t position = -1;
    int64_t offset = -1;
    int32_t decision = 0;
    assert_int_equal(command_i64(request, "commitLogOffset", true, &position), STATUS_OK);
    assert_int_equal(command_i64(request, "tranStateTableOffset", true, &offset), STATUS_OK);
    assert_int_equal(command_i32(request, "commitOrRollback", true, &decision), STATUS_OK);
    if (!command_is_oneway(request) || decision != 8 || position != 1000 + 7 * offset ||
        offset >= server.sends || offset >= HALVES_MAX || server.ended[offset]) {
        server.bad_ends++;
        return;
    }
    bool from_check = false;
    assert_int_equal(command_bool(request, "fromTransactionCheck", &from_check), STATUS_OK);
    if (offset > 0 && offset == server.end_lost && !from_check) {
        return;
    }
    server.ended[offset] = true;
    server.commits++;
}

/* A heartbeat is answered by asking for the transaction whose commit was lost, if there is one. */
static bool answer_heartbeat(struct command *response, struct buf *scratch)
{
    if (server.sends <= server.end_lost || server.end_lost == 0 || server.end_lost_asked) {
        return true;
    }
    server.end_lost_asked = true;
    command_init_request(response, REQUEST_CHECK_TRANSACTION_STATE, 7);
    response->flag = COMMAND_FLAG_ONEWAY;
    command_add_i64(response, "commitLogOffset", 1000 + 7 * server.end_lost, scratch);
    command_add_i64(response, "tranStateTableOffset", server.end_lost, scratch);
    command_add(response, "msgId", slice_text(server.lost_id));
    return true;
}

static bool answer_status(struct command *response, struct buf *scratch)
{
    buf_printf(scratch,
               "{\"role\":\"leader\",\"term\":1,\"quorumFresh\":true,\"members\":[],"
               "\"counters\":{\"commits\":%lld,\"pending\":%lld}}",
               (long long)server.commits, (long long)(server.sends - server.commits));
    response->body = buf_slice(scratch);
    return true;
}

/* Ten messages a pull. */
static bool answer_pull(const struct command *request, struct command *response,
                        struct buf *scratch)
{
    int64_t offset = -1;
    int32_t queue = -1;
    assert_int_equal(command_i64(request, "queueOffset", true, &offset), STATUS_OK);
    assert_int_equal(command_i32(request, "queueId", true, &queue), STATUS_OK);
    assert_in_range(queue, 0, QUEUES - 1);
    struct buf body = {0};
    struct message message = {.topic = slice_text("t"), .body = slice_text("0123456789")};
    int64_t next = offset;
    for (; next < MESSAGES_PER_QUEUE && next < offset + 10; next++) {
        message_encode(&message, &body);
    }
    response->code = next > offset ? RESPONSE_SUCCESS : RESPONSE_PULL_NOT_FOUND;
    command_add_i64(response, "nextBeginOffset", next, scratch);
    size_t at = scratch->size;
    buf_put_slice(scratch, buf_slice(&body));
    response->body = slice_of(scratch->data + at, body.size);
    buf_close(&body);
    server.queues_seen[queue] += next - offset;
    return true;
}

static bool answer(void *context, const struct command *request, struct command *response,
                   struct buf *scratch)
{
    (void)context;
    switch (request->code) {
    case REQUEST_GET_ROUTEINFO_BY_TOPIC:
    case REQUEST_GET_BROKER_CLUSTER_INFO:
        return answer_route(response, scratch);
    case REQUEST_SEND_MESSAGE_V2:
        return answer_send(request, response, scratch);
    case REQUEST_END_TRANSACTION:
        take_end(request);
        return false;
    case REQUEST_HEART_BEAT:
        return answer_heartbeat(response, scratch);
    case REQUEST_RAFTMQ_STATUS:
        return answer_status(response, scratch);
    case REQUEST_PULL_MESSAGE:
        return answer_pull(request, response, scratch);
    default:
        fail_msg("unexpected request %d", request->code);
        return false;
    }
}

/* Run a bench; its result. */
static json_t *run(const char *line, enum cli_exit expected)
{
    char program[] = "raftmq";
    char noun[] = "bench";
    char copy[512];
    char *arguments[24] = {program, noun};
    snprintf(copy, sizeof copy, "%s -n %s -o json", line, answer_server_address(server.fake));
    int count = words_split(copy, arguments, 2, 24);
    memset(output, 0, sizeof output);
    FILE *out = fmemopen(output, sizeof output, "w");
    answer_server_sync(server.fake);
    assert_int_equal(cli_main(count, arguments, out, stderr), expected);
    answer_server_sync(server.fake);
    fclose(out);
    return json_loads(output, 0, NULL);
}

static double real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static int open_server(void **state)
{
    (void)state;
    memset(&server, 0, sizeof server);
    server.stall_at = -1;
    server.fake = answer_server_start(answer, NULL);
    return 0;
}

static int close_server(void **state)
{
    (void)state;
    answer_server_stop(server.fake);
    return 0;
}

static void sends_are_counted_and_spread_over_queues(void **state)
{
    (void)state;
    json_t *result = run("send -s 1 -w 0 -c 2 -d 4 -S 100", CLI_OK);
    assert_int_equal(real(result, "messages"), server.sends);
    assert_int_equal(real(result, "failed"), 0);
    assert_string_equal(json_string_value(json_object_get(result, "loop")), "closed");
    assert_true(server.sends > 100);
    for (size_t i = 0; i < QUEUES; i++) {
        assert_in_range(server.queues_seen[i], server.sends / QUEUES, server.sends / QUEUES + 1);
    }
    json_decref(result);
}

static void an_open_loop_keeps_its_rate_and_refusals_have_names(void **state)
{
    (void)state;
    server.refuse_every = 2;
    json_t *result = run("send -s 1 -w 0 -c 2 -d 16 -r 500 -S 10", CLI_OK);
    int64_t failed = (int64_t)real(result, "failed");
    assert_in_range(server.sends, 450, 520);
    assert_in_range(failed, server.sends / 2, server.sends / 2 + 1);
    assert_int_equal(real(json_object_get(result, "failures"), "SYSTEM_BUSY"), failed);
    assert_int_equal(failed + (int64_t)real(result, "messages"), server.sends);
    assert_string_equal(json_string_value(json_object_get(result, "loop")), "open");
    json_decref(result);
}

/* A stall of 0.3 s in a second at 500/s concerns 150 requests, not the few that were in flight. */
static void a_stall_is_seen_by_all_that_fell_due_in_it(void **state)
{
    (void)state;
    server.stall_at = 100;
    json_t *result = run("send -s 1 -w 0 -c 1 -d 2 -r 500 -S 10", CLI_OK);
    const json_t *latency = json_object_get(result, "latencyMs");
    assert_true(real(latency, "max") >= 290);
    assert_true(real(latency, "p90") >= 150);
    assert_true(real(latency, "p50") < 150);
    json_decref(result);
}

static void a_broker_that_moved_is_followed(void **state)
{
    (void)state;
    server.routes_wrong = 1;
    json_t *result = run("send -s 1 -w 0 -c 2 -d 2 -S 10", CLI_OK);
    assert_true(real(result, "messages") > 0);
    assert_true(real(result, "connectionsFailed") + real(result, "failed") >= 2);
    json_decref(result);
}

/* The commit of the fourth one never arrives; the run ends well only because the check for it is
 * answered. */
static void each_transaction_is_decided_once_a_lost_one_by_its_check(void **state)
{
    (void)state;
    server.end_lost = 3;
    json_t *result = run("txn -s 1 -w 0 -c 2 -d 8 -r 2000 -S 10", CLI_OK);
    assert_int_equal(server.bad_ends, 0);
    assert_true(server.end_lost_asked);
    assert_int_equal(server.commits, server.sends);
    assert_int_equal(real(result, "messages"), server.commits);
    assert_int_equal(real(result, "committed"), server.commits);
    assert_int_equal(real(result, "checksAnswered"), 1);
    assert_memory_equal(json_string_value(json_object_get(result, "verified")), "yes", 3);
    json_decref(result);
}

static void a_topic_is_read_to_its_end(void **state)
{
    (void)state;
    json_t *result = run("pull -T t -c 2 -s 20", CLI_OK);
    assert_int_equal(real(result, "messages"), QUEUES * MESSAGES_PER_QUEUE);
    assert_true(real(result, "seconds") < 10);
    for (size_t i = 0; i < QUEUES; i++) {
        assert_int_equal(server.queues_seen[i], MESSAGES_PER_QUEUE);
    }
    json_decref(result);
}

#define server_test(test) cmocka_unit_test_setup_teardown(test, open_server, close_server)

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(sends_are_counted_and_spread_over_queues),
        server_test(an_open_loop_keeps_its_rate_and_refusals_have_names),
        server_test(a_stall_is_seen_by_all_that_fell_due_in_it),
        server_test(a_broker_that_moved_is_followed),
        server_test(each_transaction_is_decided_once_a_lost_one_by_its_check),
        server_test(a_topic_is_read_to_its_end),
    };
    return cmocka_run_group_tests_name("bench", tests, NULL, NULL);
}
