/* cli: command lines against a server that answers as each test says. */
#include "tests/support/answer_server.h"
#include "tests/support/test.h"
#include "tests/support/words.h"

#include "admin/cli.h"
#include "common/remoting/codes.h"
#include "common/remoting/extension.h"
#include "common/remoting/message.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>

enum { ARGUMENTS_MAX = 16, NO_ANSWER = -1 };

/* What the server answers and what it was asked. */
struct script {
    struct answer_server *fake;
    struct answer_server *second; /* Another replica of the same group, or NULL. */
    int32_t once_codes[2];        /* Answers to what must not be done twice, one after the other. */
    const char *once_remark;
    const char *role;
    const char *second_role;
    bool silent; /* The first replica tells its status no more once it was told to drain. */
    bool drained;
    const char *second_replica; /* Address of another member, or NULL. */
    bool quorum_stale;
    int32_t refuse_code; /* Of the request with refuse_request. */
    int32_t refuse_request;
    bool hint;
    int hints_given;
    int asked;        /* Requests of the kind that the test is about. */
    char last[4][64]; /* Fields of the last one. */
};

static struct script script;
static char output[65536];
static char errors[4096];

static void put_broker(struct buf *out)
{
    buf_printf(out, "{\"brokerAddrs\":{0:\"%s\"", answer_server_address(script.fake));
    if (script.second != NULL) {
        buf_printf(out, ",1:\"%s\"", answer_server_address(script.second));
    }
    buf_put_text(out, "},\"brokerName\":\"broker-a\",\"cluster\":\"C\"}");
}

static bool answer_cluster(struct command *response, struct buf *scratch)
{
    buf_put_text(scratch, "{\"brokerAddrTable\":{\"broker-a\":");
    put_broker(scratch);
    buf_put_text(scratch, "},\"clusterAddrTable\":{\"C\":[\"broker-a\"]}}");
    response->body = buf_slice(scratch);
    return true;
}

static bool answer_route(struct command *response, struct buf *scratch)
{
    buf_put_text(scratch, "{\"brokerDatas\":[");
    put_broker(scratch);
    buf_put_text(scratch, "],\"queueDatas\":[{\"brokerName\":\"broker-a\",\"perm\":6,"
                          "\"readQueueNums\":1,\"writeQueueNums\":1}]}");
    response->body = buf_slice(scratch);
    return true;
}

static bool answer_once(struct command *response)
{
    int32_t code = script.once_codes[script.asked++ == 0 ? 0 : 1];
    response->code = code;
    response->remark = slice_text(script.once_remark == NULL ? "" : script.once_remark);
    command_add(response, "msgId", slice_text("7F00000100002A9F0000000000000400"));
    command_add(response, "queueOffset", slice_text("17"));
    command_add(response, "queueId", slice_text("3"));
    return code != NO_ANSWER;
}

static bool answer_status(bool second, struct command *response, struct buf *scratch)
{
    if (script.silent && script.drained && !second) {
        return false;
    }
    buf_printf(
        scratch,
        "{\"group\":\"broker-a\",\"memberId\":%d,\"role\":\"%s\",\"term\":7,\"commitIndex\":90,"
        "\"appliedIndex\":90,\"lastIndex\":91,\"quorumFresh\":%s,\"members\":[{\"id\":1,"
        "\"clientAddr\":\"%s\"}",
        second ? 2 : 1, second ? script.second_role : script.role,
        script.quorum_stale ? "false" : "true", answer_server_address(script.fake));
    if (script.second_replica != NULL) {
        buf_printf(scratch, ",{\"id\":2,\"clientAddr\":\"%s\"}", script.second_replica);
    }
    buf_printf(scratch, "],\"counters\":{\"messages\":5,\"pending\":2,\"expired\":1},"
                        "\"clientConnections\":3,\"version\":\"x\"}");
    response->body = buf_slice(scratch);
    return true;
}

static void note(int at, const struct command *request, const char *field)
{
    struct slice value = {0};
    if (!command_find(request, field, &value)) {
        value = slice_text("absent");
    }
    snprintf(script.last[at], sizeof script.last[at], "%.*s", SLICE_ARGS(value));
}

/* Two pages: the first says that there is more. */
static bool answer_list(const struct command *request, struct command *response,
                        struct buf *scratch)
{
    script.asked++;
    note(0, request, "state");
    note(1, request, "producerGroup");
    note(2, request, "after");
    note(3, request, "max");
    bool first = strcmp(script.last[2], "absent") == 0;
    buf_printf(
        scratch,
        "{\"transactions\":[{\"position\":%d,\"halfOffset\":0,\"topic\":\"orders\",\"queueId\":"
        "3,\"producerGroup\":\"pay\",\"state\":\"pending\",\"attempts\":2,\"ageMs\":93784005,"
        "\"nextCheckInMs\":%d,\"why\":\"waits\"}],\"more\":%s}",
        first ? 100 : 200, first ? 5000 : -1, first ? "true" : "false");
    response->body = buf_slice(scratch);
    return true;
}

static bool answer_as_scripted(bool second, const struct command *request, struct command *response,
                               struct buf *scratch)
{
    if (request->code == script.refuse_request) {
        if (script.hint && script.hints_given++ == 0) {
            command_add(response, FIELD_LEADER_HINT,
                        slice_text(answer_server_address(script.fake)));
            response->code = RESPONSE_SERVICE_NOT_AVAILABLE;
            return true;
        }
        response->code = script.hint ? RESPONSE_SUCCESS : script.refuse_code;
        response->remark = slice_text("because");
        return true;
    }
    switch (request->code) {
    case REQUEST_GET_BROKER_CLUSTER_INFO:
        return answer_cluster(response, scratch);
    case REQUEST_GET_ROUTEINFO_BY_TOPIC:
        return answer_route(response, scratch);
    case REQUEST_SEND_MESSAGE_V2:
    case REQUEST_RAFTMQ_TRANSFER:
        return answer_once(response);
    case REQUEST_RAFTMQ_STATUS:
        return answer_status(second, response, scratch);
    case REQUEST_RAFTMQ_DRAIN:
        script.drained = true;
        return true;
    case REQUEST_RAFTMQ_TXN_LIST:
        return answer_list(request, response, scratch);
    case REQUEST_RAFTMQ_TXN_SETTLE:
        script.asked++;
        note(0, request, "position");
        note(1, request, "action");
        return true;
    case REQUEST_UPDATE_AND_CREATE_TOPIC:
        script.asked++;
        note(0, request, "topic");
        note(1, request, "readQueueNums");
        note(2, request, "perm");
        note(3, request, "order");
        return true;
    default:
        response->code = RESPONSE_REQUEST_CODE_NOT_SUPPORTED;
        return true;
    }
}

/* Two servers' threads share the script. */
static bool answer(void *context, const struct command *request, struct command *response,
                   struct buf *scratch)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    bool answered = answer_as_scripted(context == &script, request, response, scratch);
    pthread_mutex_unlock(&lock);
    return answered;
}

/* Before and after a command line. */
static void sync_servers(void)
{
    answer_server_sync(script.fake);
    if (script.second != NULL) {
        answer_server_sync(script.second);
    }
}

/* Run a command line, words parted by spaces; @ stands for the server's address. */
static enum cli_exit run(const char *line)
{
    char program[] = "raftmq";
    char address[32];
    char copy[512];
    char *arguments[ARGUMENTS_MAX] = {program};
    snprintf(copy, sizeof copy, "%s", line);
    snprintf(address, sizeof address, "%s", answer_server_address(script.fake));
    int count = words_split(copy, arguments, 1, ARGUMENTS_MAX);
    for (int i = 1; i < count; i++) {
        arguments[i] = strcmp(arguments[i], "@") == 0 ? address : arguments[i];
    }
    FILE *out = fmemopen(output, sizeof output, "w");
    FILE *err = fmemopen(errors, sizeof errors, "w");
    memset(output, 0, sizeof output);
    memset(errors, 0, sizeof errors);
    sync_servers();
    enum cli_exit code = cli_main(count, arguments, out, err);
    sync_servers();
    fclose(out);
    fclose(err);
    return code;
}

static void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in:\n%s", part, text);
    }
}

static int open_server(void **state)
{
    (void)state;
    script = (struct script){.role = "leader"};
    script.fake = answer_server_start(answer, NULL);
    return 0;
}

static int close_server(void **state)
{
    (void)state;
    answer_server_stop(script.fake);
    if (script.second != NULL) {
        answer_server_stop(script.second);
    }
    return 0;
}

static int open_servers(void **state)
{
    open_server(state);
    script.second_role = "follower";
    script.second = answer_server_start(answer, &script);
    return 0;
}

static void every_command_tells_of_its_flags(void **state)
{
    (void)state;
    const struct cli_command *const nouns[] = {
        cluster_commands, topic_commands,   group_commands, node_commands,   leader_commands,
        txn_commands,     message_commands, dlq_commands,   offset_commands, bench_commands};
    for (size_t i = 0; i < sizeof nouns / sizeof nouns[0]; i++) {
        for (const struct cli_command *command = nouns[i]; command->verb != NULL; command++) {
            char line[64];
            snprintf(line, sizeof line, "%s %s --help", command->noun, command->verb);
            assert_int_equal(run(line), CLI_OK);
            assert_contains(output, command->summary);
            assert_contains(output, "--namesrv");
            const struct cli_flag *flag = command->flags;
            for (; flag != NULL && flag->name != NULL; flag++) {
                assert_contains(output, flag->name);
            }
            assert_int_equal(run("--help"), CLI_OK);
            assert_contains(output, command->summary);
        }
    }
}

static void wrong_command_lines_are_told_and_nothing_is_sent(void **state)
{
    (void)state;
    const struct {
        const char *line;
        const char *says;
    } cases[] = {
        {"", "usage"},
        {"nothing", "no such command: nothing"},
        {"topic", "usage"},
        {"topic paint", "no such command: topic paint"},
        {"topic create", "usage: raftmq topic create"},
        {"topic create a b -n @", "usage: raftmq topic create"},
        {"topic create a$b -n @", "no valid topic name"},
        {"topic create a -q 0 -n @", "--queues: a number from 1 to 1024"},
        {"topic create a -q many -n @", "not \"many\""},
        {"topic create a --colour red", "not an option"},
        {"topic create a -q", "its value is missing"},
        {"node drain 1 --timeout 600001 -n @", "--timeout: a number from 1 to 600000"},
        {"node drain 1 --within 86401 -n @", "--within: a number from 1 to 86400"},
        {"topic list -o xml", "table or json"},
        {"txn list -s waiting -n @", "--state"},
        {"txn show 17 -n @", "GROUP:POSITION"},
        {"txn show broker-a:x -n @", "GROUP:POSITION"},
        {"message get 12 -n @", "32 hex digits"},
        {"message send T b -l 1 -d 1 -n @", "only one of"},
        {"message send T b -a tomorrow -n @", "--deliver-at"},
        {"message recall T x -n @", "not valid"},
        {"message pop T -n @", "usage: raftmq message pop"},
        {"message pop T a$b -n @", "valid group name"},
        {"message pop T G -m 33 -n @", "--max: a number from 1 to 32"},
        {"message pop T G -e a -s b -n @", "only one of"},
        {"message ack T G -n @", "usage: raftmq message ack"},
        {"dlq replay G -n @", "which letters"},
        {"dlq replay G b:0:1 --all -n @", "which letters"},
        {"offset reset -g G -T t -n @", "one of --time"},
        {"offset reset -g G -T t -e -l -n @", "one of --time"},
        {"offset reset -g G -T t -O 5 -n @", "--broker and --queue"},
        {"offset reset -g G -T t -w noon -n @", "--time"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(run(cases[i].line), CLI_USAGE);
        assert_contains(errors, cases[i].says);
    }
    assert_int_equal(script.asked, 0);
}

static void an_unreachable_nameserver_is_told_apart(void **state)
{
    (void)state;
    assert_int_equal(run("topic list -n 127.0.0.1:1"), CLI_UNREACHABLE);
    assert_contains(errors, "no nameserver answers");
    // The second one is tried.
    assert_int_equal(run("leader show -n 127.0.0.1:1;no-address"), CLI_UNREACHABLE);
    char line[128];
    snprintf(line, sizeof line, "leader show -n 127.0.0.1:1;%s",
             answer_server_address(script.fake));
    assert_int_equal(run(line), CLI_OK);
    assert_contains(output, "broker-a");
}

static void a_nameserver_that_cannot_be_resolved_is_passed_over(void **state)
{
    (void)state;
    char label[65]; // One more than a label of a name may have: no resolver is asked.
    char line[160];
    memset(label, 'x', sizeof label - 1);
    label[sizeof label - 1] = '\0';
    snprintf(line, sizeof line, "leader show -n %s:9876;%s", label,
             answer_server_address(script.fake));
    assert_int_equal(run(line), CLI_OK);
    snprintf(line, sizeof line, "leader show -n %s:9876", label);
    assert_int_equal(run(line), CLI_UNREACHABLE);
    assert_contains(errors, "does not resolve");
}

static void a_healthy_cluster_ends_with_zero(void **state)
{
    (void)state;
    assert_int_equal(run("cluster status -n @"), CLI_OK);
    assert_contains(output, "leader");
    assert_contains(output, "broker-a");
    assert_int_equal(run("cluster status -n @ -o json"), CLI_OK);
    json_t *groups = json_loads(output, 0, NULL);
    json_t *group = json_array_get(groups, 0);
    assert_true(json_is_true(json_object_get(group, "healthy")));
    assert_int_equal(json_integer_value(json_object_get(group, "term")), 7);
    assert_int_equal(json_integer_value(json_object_get(group, "pending")), 2);
    json_t *replica = json_array_get(json_object_get(group, "replicas"), 0);
    assert_int_equal(json_integer_value(json_object_get(replica, "lag")), 1);
    json_decref(groups);
}

static void what_is_wrong_with_a_cluster_is_said(void **state)
{
    (void)state;
    script.second_replica = "127.0.0.1:1"; // Known only from the first one's answer.
    assert_int_equal(run("cluster status -n @"), CLI_DEGRADED);
    assert_contains(output, "replica down");
    assert_contains(output, "unreachable");
    script.second_replica = NULL;
    script.quorum_stale = true;
    assert_int_equal(run("cluster status -n @"), CLI_DEGRADED);
    assert_contains(output, "no quorum");
    script.role = "candidate";
    assert_int_equal(run("cluster status -n @"), CLI_DEGRADED);
    assert_contains(output, "no leader");
    assert_int_equal(run("cluster status -b other -n @"), CLI_NOT_FOUND);
    script.refuse_request = REQUEST_RAFTMQ_STATUS;
    script.refuse_code = RESPONSE_REQUEST_CODE_NOT_SUPPORTED;
    assert_int_equal(run("cluster status -n @"), CLI_DEGRADED);
    assert_contains(output, "not raftmq");
}

static void transactions_are_listed_page_by_page(void **state)
{
    (void)state;
    assert_int_equal(run("txn list -s expired -g pay -n @"), CLI_OK);
    assert_int_equal(script.asked, 2);
    assert_string_equal(script.last[0], "expired");
    assert_string_equal(script.last[1], "pay");
    assert_string_equal(script.last[2], "100");
    assert_contains(output, "broker-a:100");
    assert_contains(output, "broker-a:200");
    assert_contains(output, "1d 2h");
    assert_contains(output, "5s");
    assert_contains(output, "due");
    assert_contains(output, "waits");
    script.asked = 0;
    assert_int_equal(run("txn list -m 1 -n @ -o json"), CLI_OK);
    assert_int_equal(script.asked, 1);
    assert_string_equal(script.last[3], "1");
    json_t *rows = json_loads(output, 0, NULL);
    assert_int_equal(json_array_size(rows), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "broker")),
                        "broker-a");
    json_decref(rows);
}

static void a_broker_group_that_is_not_there_is_told(void **state)
{
    (void)state;
    const char *const lines[] = {
        "txn list -b typo -n @",       "dlq list -b typo -n @",           "dlq show G -b typo -n @",
        "dlq purge G -b typo -n @",    "dlq replay G --all -b typo -n @", "node list -b typo -n @",
        "cluster status -b typo -n @",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(run(lines[i]), CLI_NOT_FOUND);
        assert_contains(errors, "the nameserver knows no");
        assert_string_equal(output, "");
    }
    assert_int_equal(script.asked, 0);
}

static void a_transaction_is_settled_by_its_name(void **state)
{
    (void)state;
    const char *const actions[] = {"commit", "rollback", "recheck"};
    for (size_t i = 0; i < 3; i++) {
        char line[64];
        snprintf(line, sizeof line, "txn %s broker-a:123456789012 -n @", actions[i]);
        assert_int_equal(run(line), CLI_OK);
        assert_string_equal(script.last[0], "123456789012");
        assert_string_equal(script.last[1], actions[i]);
    }
    assert_int_equal(run("txn commit broker-x:1 -n @"), CLI_NOT_FOUND);
    script.refuse_request = REQUEST_RAFTMQ_TXN_SETTLE;
    script.refuse_code = RESPONSE_QUERY_NOT_FOUND;
    assert_int_equal(run("txn commit broker-a:1 -n @"), CLI_NOT_FOUND);
    assert_contains(errors, "because");
    script.refuse_code = RESPONSE_SYSTEM_ERROR;
    assert_int_equal(run("txn commit broker-a:1 -n @"), CLI_FAILED);
    script.refuse_code = RESPONSE_SERVICE_NOT_AVAILABLE;
    assert_int_equal(run("txn commit broker-a:1 -n @"), CLI_UNREACHABLE);
}

static void a_hint_at_the_leader_is_followed(void **state)
{
    (void)state;
    script.refuse_request = REQUEST_RAFTMQ_TXN_SETTLE;
    script.hint = true;
    assert_int_equal(run("txn commit broker-a:1 -n @"), CLI_OK);
    assert_int_equal(script.hints_given, 2); // Asked again, at the place hinted at.
}

/* Whoever does not answer may have stored it; the next replica would store it again. */
static void a_message_is_sent_on_only_if_it_is_surely_not_stored(void **state)
{
    (void)state;
    const struct {
        int32_t first;
        const char *remark;
        enum cli_exit code;
        int asked;
    } cases[] = {
        {NO_ANSWER, NULL, CLI_UNREACHABLE, 1},
        {RESPONSE_SERVICE_NOT_AVAILABLE, NULL, CLI_OK, 2},
        {RESPONSE_SERVICE_NOT_AVAILABLE, status_text(STATUS_UNKNOWN_OUTCOME), CLI_UNREACHABLE, 1},
        {RESPONSE_MESSAGE_ILLEGAL, NULL, CLI_FAILED, 1},
        {RESPONSE_SUCCESS, NULL, CLI_OK, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        script.asked = 0;
        script.once_codes[0] = cases[i].first;
        script.once_remark = cases[i].remark;
        assert_int_equal(run("message send Orders hello -t 200 -n @"), cases[i].code);
        assert_int_equal(script.asked, cases[i].asked);
        if (cases[i].code == CLI_UNREACHABLE) {
            assert_contains(errors, "may have been done");
        }
    }
    assert_contains(output, "7F00000100002A9F0000000000000400");
    assert_contains(output, "SEND_OK");
}

static void a_message_that_is_stored_but_not_yet_safe_is_sent(void **state)
{
    (void)state;
    const int32_t codes[] = {RESPONSE_FLUSH_DISK_TIMEOUT, RESPONSE_SLAVE_NOT_AVAILABLE,
                             RESPONSE_FLUSH_SLAVE_TIMEOUT};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        script.asked = 0;
        script.once_codes[0] = codes[i];
        assert_int_equal(run("message send Orders hello -n @"), CLI_OK);
        assert_int_equal(script.asked, 1);
        assert_contains(output, response_code_name(codes[i]));
        assert_contains(output, "7F00000100002A9F0000000000000400");
    }
}

/* The second replica may lead by then, and would hand it on. */
static void leadership_is_handed_over_once(void **state)
{
    (void)state;
    script.once_codes[0] = NO_ANSWER;
    assert_int_equal(run("leader transfer broker-a -t 200 -n @"), CLI_UNREACHABLE);
    assert_int_equal(script.asked, 1);
    assert_int_equal(run("leader transfer broker-a -n @"), CLI_OK);
    script.once_codes[1] = RESPONSE_SYSTEM_ERROR;
    assert_int_equal(run("leader transfer broker-a -n @"), CLI_FAILED);
}

/* A node that does not answer may lead still, unless another one does. */
static void a_drain_waits_for_a_leader_that_is_another_one(void **state)
{
    (void)state;
    script.silent = true;
    assert_int_equal(run("node drain 1 --force --wait --within 1 -t 100 -n @"), CLI_FAILED);
    assert_contains(errors, "node 1");
    script.drained = false;
    script.second_role = "leader";
    script.quorum_stale = true;
    assert_int_equal(run("node drain 1 --force --wait --within 1 -t 100 -n @"), CLI_FAILED);
    script.drained = false;
    script.quorum_stale = false;
    assert_int_equal(run("node drain 1 --force --wait --within 60 -t 100 -n @"), CLI_OK);
}

static void a_topic_is_created_as_the_flags_say(void **state)
{
    (void)state;
    assert_int_equal(run("topic create orders -q 12 -p 4 --order -n @"), CLI_OK);
    assert_string_equal(script.last[0], "orders");
    assert_string_equal(script.last[1], "12");
    assert_string_equal(script.last[2], "4");
    assert_string_equal(script.last[3], "true");
    assert_int_equal(run("topic create orders -n @"), CLI_OK);
    assert_string_equal(script.last[1], "8");
    assert_string_equal(script.last[3], "false");
    assert_int_equal(run("topic create orders -b broker-z -n @"), CLI_NOT_FOUND);
}

#define server_test(test) cmocka_unit_test_setup_teardown(test, open_server, close_server)
#define servers_test(test) cmocka_unit_test_setup_teardown(test, open_servers, close_server)

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(every_command_tells_of_its_flags),
        server_test(wrong_command_lines_are_told_and_nothing_is_sent),
        server_test(an_unreachable_nameserver_is_told_apart),
        server_test(a_nameserver_that_cannot_be_resolved_is_passed_over),
        server_test(a_healthy_cluster_ends_with_zero),
        server_test(what_is_wrong_with_a_cluster_is_said),
        server_test(transactions_are_listed_page_by_page),
        server_test(a_broker_group_that_is_not_there_is_told),
        server_test(a_transaction_is_settled_by_its_name),
        server_test(a_hint_at_the_leader_is_followed),
        servers_test(a_message_is_sent_on_only_if_it_is_surely_not_stored),
        servers_test(a_message_that_is_stored_but_not_yet_safe_is_sent),
        servers_test(leadership_is_handed_over_once),
        servers_test(a_drain_waits_for_a_leader_that_is_another_one),
        server_test(a_topic_is_created_as_the_flags_say),
    };
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
