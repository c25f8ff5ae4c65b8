/* nameserver: every request, over a loopback connection, as brokers, clients and mqadmin send it.
 */
#include "tests/support/sync_call.h"
#include "tests/support/test.h"

#include "common/base/name.h"
#include "common/remoting/body_register.h"
#include "common/remoting/codes.h"
#include "nameserver/nameserver.h"
#include "nameserver/settings.h"

#include <unistd.h>
#include <zlib.h>

#define S(text) slice_text(text)

struct fixture {
    uv_loop_t loop;
    struct log log;
    struct config *settings;
    struct nameserver *nameserver;
    struct sync_client client;
    char directory[64];
    struct buf body; /* Of the request being made. */
    bool closed;
};

static int setup(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof *fixture);
    struct buf assignment = {0};
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/raftmq-ns-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    uv_loop_init(&fixture->loop);
    log_init(&fixture->log, stderr, LOG_SILENT, "test");
    fixture->settings = nameserver_settings_new(&fixture->log);
    buf_printf(&assignment, "kvConfigPath=%s/kv.json", fixture->directory);
    assert_int_equal(config_set(fixture->settings, buf_text(&assignment)), STATUS_OK);
    assert_int_equal(config_set(fixture->settings, "listenPort=0"), STATUS_OK);
    assert_int_equal(config_set(fixture->settings, "orderMessageEnable=true"), STATUS_OK);
    const struct nameserver_options options = {&fixture->loop, fixture->settings, &fixture->log,
                                               clock_system()};
    assert_int_equal(nameserver_new(&options, &fixture->nameserver), STATUS_OK);
    sync_client_open(&fixture->client, &fixture->loop,
                     (struct host){0x7F000001, nameserver_port(fixture->nameserver)});
    buf_close(&assignment);
    *state = fixture;
    return 0;
}

static void on_closed(void *context)
{
    ((struct fixture *)context)->closed = true;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    sync_client_close(&fixture->client);
    nameserver_close(fixture->nameserver, on_closed, fixture);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_true(fixture->closed);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    config_free(fixture->settings);
    snprintf(path, sizeof path, "%s/kv.json", fixture->directory);
    unlink(path);
    rmdir(fixture->directory);
    buf_close(&fixture->body);
    free(fixture);
    return 0;
}

/* A call with up to four fields, given as name and value, name and value, …, NULL. */
static int32_t call(struct fixture *fixture, int32_t code, const char *const *fields)
{
    struct command request;
    command_init_request(&request, code, 0);
    for (; fields != NULL && fields[0] != NULL; fields += 2) {
        command_add(&request, fields[0], S(fields[1]));
    }
    request.body = buf_slice(&fixture->body);
    int32_t result = sync_call(&fixture->client, &request);
    buf_clear(&fixture->body);
    return result;
}

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_body(struct fixture *fixture, const char *expected)
{
    if (!slice_equals_text(fixture->client.response.body, expected)) {
        fail_msg("%.*s is not %s", SLICE_ARGS(fixture->client.response.body), expected);
    }
}

static void assert_field(struct fixture *fixture, const char *name, const char *expected)
{
    struct slice value;
    if (!command_find(&fixture->client.response, name, &value)) {
        assert_null(expected);
    } else if (expected == NULL || !slice_equals_text(value, expected)) {
        fail_msg("%s is %.*s", name, SLICE_ARGS(value));
    }
}

static void put_registration(struct fixture *fixture, int64_t term)
{
    static const struct topic_config topics[] = {
        {.name = {(const uint8_t *)"T", 1}, .read_queues = 8, .write_queues = 8, .perm = 6},
        {.name = {(const uint8_t *)"TBW102", 6}, .read_queues = 8, .write_queues = 8, .perm = 7},
    };
    const struct topic_table table = {{term, 1700000000000, 1}, 2, topics};
    buf_clear(&fixture->body);
    register_body_encode(&table, &fixture->body);
}

static int32_t register_broker(struct fixture *fixture, const char *address, const char *id,
                               int64_t term)
{
    put_registration(fixture, term);
    return call(fixture, REQUEST_REGISTER_BROKER,
                FIELDS("brokerName", "broker-a", "brokerAddr", address, "clusterName", "C1",
                       "haServerAddr", "10.0.0.1:10912", "brokerId", id));
}

static void put_text(struct buf *to, const char *text)
{
    buf_put_be32(to, (uint32_t)strlen(text));
    buf_put_text(to, text);
}

/* As many topics as can be, of the longest names, as a Java broker with compressedRegister=true
 * sends them. */
static void put_large_registration(struct fixture *fixture)
{
    struct buf plain = {0};
    put_text(&plain, "{\"counter\":1,\"stateVersion\":1,\"timestamp\":1700000000000}");
    buf_put_be32(&plain, TOPICS_MAX);
    for (int i = 0; i < TOPICS_MAX; i++) {
        char line[NAME_MAX_SIZE + 32];
        snprintf(line, sizeof line, "%0*d 8 8 6 SINGLE_TAG", NAME_MAX_SIZE, i);
        put_text(&plain, line);
    }
    buf_put_be32(&plain, 0); // No filter servers.
    uLongf size = compressBound(plain.size);
    buf_reserve(&fixture->body, size);
    assert_int_equal(compress(fixture->body.data, &size, plain.data, plain.size), Z_OK);
    fixture->body.size = size;
    buf_close(&plain);
}

static void a_registered_brokers_topics_have_routes(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(call(fixture, REQUEST_GET_ROUTEINFO_BY_TOPIC, FIELDS("topic", "T")),
                     RESPONSE_TOPIC_NOT_EXIST);
    assert_body(fixture, "");
    assert_int_equal(register_broker(fixture, "10.0.0.1:10911", "0", 1), RESPONSE_SUCCESS);
    assert_field(fixture, "masterAddr", NULL);
    assert_int_equal(call(fixture, REQUEST_GET_ROUTEINFO_BY_TOPIC, FIELDS("topic", "T")), 0);
    assert_body(fixture,
                "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"10.0.0.1:10911\"},\"brokerName\":"
                "\"broker-a\",\"cluster\":\"C1\",\"enableActingMaster\":false}],"
                "\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":\"broker-a\",\"perm\":6,"
                "\"readQueueNums\":8,\"topicSynFlag\":0,\"topicSysFlag\":0,"
                "\"writeQueueNums\":8}]}");
    assert_int_equal(register_broker(fixture, "10.0.0.2:10911", "1", 1), RESPONSE_SUCCESS);
    assert_field(fixture, "masterAddr", "10.0.0.1:10911");
    assert_field(fixture, "haServerAddr", "10.0.0.1:10912");
    assert_int_equal(call(fixture, REQUEST_GET_ROUTEINFO_BY_TOPIC, NULL),
                     RESPONSE_INVALID_PARAMETER);
}

static void a_deposed_leader_is_told_success_and_ignored(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(register_broker(fixture, "10.0.0.2:10911", "0", 7), RESPONSE_SUCCESS);
    assert_int_equal(register_broker(fixture, "10.0.0.1:10911", "0", 6), RESPONSE_SUCCESS);
    assert_body(fixture, "");
    assert_int_equal(call(fixture, REQUEST_GET_BROKER_MEMBER_GROUP,
                          FIELDS("clusterName", "C1", "brokerName", "broker-a")),
                     0);
    assert_body(fixture, "{\"brokerMemberGroup\":{\"brokerAddrs\":{\"0\":\"10.0.0.2:10911\"},"
                         "\"brokerName\":\"broker-a\",\"cluster\":\"C1\"}}");
}

static void a_bad_registration_is_refused(void **state)
{
    struct fixture *fixture = *state;
    put_registration(fixture, 1);
    assert_int_equal(call(fixture, REQUEST_REGISTER_BROKER,
                          FIELDS("brokerName", "a", "brokerAddr", "h:1", "clusterName", "C1",
                                 "brokerId", "0", "bodyCrc32", "1")),
                     RESPONSE_SYSTEM_ERROR);
    assert_true(slice_equals_text(fixture->client.response.remark, "crc32 not match"));
    buf_put_text(&fixture->body, "{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{"
                                 "\"only\":{\"topicName\":\"only\"}}}}");
    assert_int_equal(
        call(fixture, REQUEST_REGISTER_BROKER,
             FIELDS("brokerName", "a", "brokerAddr", "h:1", "clusterName", "C1", "brokerId", "0")),
        RESPONSE_SYSTEM_ERROR);
    assert_true(slice_equals_text(fixture->client.response.remark, "register broker failed"));
    buf_put_text(&fixture->body, "not json");
    assert_int_equal(
        call(fixture, REQUEST_REGISTER_BROKER,
             FIELDS("brokerName", "a", "brokerAddr", "h:1", "clusterName", "C1", "brokerId", "0")),
        RESPONSE_SYSTEM_ERROR);
    assert_int_equal(call(fixture, REQUEST_REGISTER_BROKER, FIELDS("brokerName", "a")),
                     RESPONSE_INVALID_PARAMETER);
    assert_int_equal(call(fixture, REQUEST_GET_BROKER_CLUSTER_INFO, NULL), 0);
    assert_body(fixture, "{\"brokerAddrTable\":{},\"clusterAddrTable\":{}}");
}

static void unregistering_takes_the_route_away(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(register_broker(fixture, "10.0.0.1:10911", "0", 1), 0);
    assert_int_equal(call(fixture, REQUEST_UNREGISTER_BROKER,
                          FIELDS("brokerName", "broker-a", "brokerAddr", "10.0.0.1:10911",
                                 "clusterName", "C1", "brokerId", "0")),
                     0);
    assert_int_equal(call(fixture, REQUEST_GET_ROUTEINFO_BY_TOPIC, FIELDS("topic", "T")),
                     RESPONSE_TOPIC_NOT_EXIST);
}

static void a_closed_connection_takes_the_route_away(void **state)
{
    struct fixture *fixture = *state;
    struct sync_client broker;
    struct command request;
    sync_client_open(&broker, &fixture->loop,
                     (struct host){0x7F000001, nameserver_port(fixture->nameserver)});
    put_registration(fixture, 1);
    command_init_request(&request, REQUEST_REGISTER_BROKER, 0);
    command_add(&request, "brokerName", S("broker-b"));
    command_add(&request, "brokerAddr", S("10.0.0.3:1"));
    command_add(&request, "clusterName", S("C1"));
    command_add(&request, "brokerId", S("0"));
    request.body = buf_slice(&fixture->body);
    assert_int_equal(sync_call(&broker, &request), 0);
    buf_clear(&fixture->body);
    assert_int_equal(call(fixture, REQUEST_GET_ROUTEINFO_BY_TOPIC, FIELDS("topic", "T")), 0);
    sync_client_close(&broker);
    int32_t code = 0;
    for (int i = 0; i < 100 && code == 0; i++) {
        code = call(fixture, REQUEST_GET_ROUTEINFO_BY_TOPIC, FIELDS("topic", "T"));
    }
    assert_int_equal(code, RESPONSE_TOPIC_NOT_EXIST);
}

static void versions_are_compared_and_heartbeats_accepted(void **state)
{
    struct fixture *fixture = *state;
    const char *const *identity = FIELDS("brokerName", "broker-a", "brokerAddr", "10.0.0.1:10911",
                                         "clusterName", "C1", "brokerId", "0");
    buf_put_text(&fixture->body, "{\"counter\":1,\"stateVersion\":1,\"timestamp\":1700000000000}");
    assert_int_equal(call(fixture, REQUEST_QUERY_DATA_VERSION, identity), 0);
    assert_field(fixture, "changed", "true");
    assert_body(fixture, "");
    assert_int_equal(register_broker(fixture, "10.0.0.1:10911", "0", 1), 0);
    buf_put_text(&fixture->body, "{\"counter\":1,\"stateVersion\":1,\"timestamp\":1700000000000}");
    assert_int_equal(call(fixture, REQUEST_QUERY_DATA_VERSION, identity), 0);
    assert_field(fixture, "changed", "false");
    assert_body(fixture, "{\"counter\":1,\"stateVersion\":1,\"timestamp\":1700000000000}");
    buf_put_text(&fixture->body, "{\"counter\":2,\"stateVersion\":1,\"timestamp\":1700000000000}");
    assert_int_equal(call(fixture, REQUEST_QUERY_DATA_VERSION, identity), 0);
    assert_field(fixture, "changed", "true");
    assert_int_equal(call(fixture, REQUEST_BROKER_HEARTBEAT, identity), 0);
    assert_int_equal(
        call(fixture, REQUEST_BROKER_HEARTBEAT,
             FIELDS("brokerName", "x", "brokerAddr", "unknown:1", "clusterName", "C1")),
        0);
}

static void lists_answer_what_tools_ask(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(register_broker(fixture, "10.0.0.1:10911", "0", 1), 0);
    assert_int_equal(call(fixture, REQUEST_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, NULL), 0);
    assert_body(fixture, "{\"topicList\":[\"T\",\"TBW102\"]}");
    assert_int_equal(call(fixture, REQUEST_GET_TOPICS_BY_CLUSTER, FIELDS("cluster", "C1")), 0);
    assert_body(fixture, "{\"topicList\":[\"T\",\"TBW102\"]}");
    assert_int_equal(call(fixture, REQUEST_GET_TOPICS_BY_CLUSTER, FIELDS("cluster", "C2")), 0);
    assert_body(fixture, "{\"topicList\":[]}");
    assert_int_equal(call(fixture, REQUEST_GET_TOPICS_BY_CLUSTER, NULL),
                     RESPONSE_INVALID_PARAMETER);
    assert_int_equal(call(fixture, REQUEST_GET_SYSTEM_TOPIC_LIST_FROM_NS, NULL), 0);
    assert_body(fixture, "{\"brokerAddr\":\"10.0.0.1:10911\",\"topicList\":[\"C1\",\"broker-a\"]}");
    for (int32_t code = REQUEST_GET_UNIT_TOPIC_LIST;
         code <= REQUEST_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST; code++) {
        assert_int_equal(call(fixture, code, NULL), 0);
        assert_body(fixture, "{\"topicList\":[]}");
    }
}

static void operators_change_routes(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(register_broker(fixture, "10.0.0.1:10911", "0", 1), 0);
    assert_int_equal(
        call(fixture, REQUEST_WIPE_WRITE_PERM_OF_BROKER, FIELDS("brokerName", "broker-a")), 0);
    assert_field(fixture, "wipeTopicCount", "2");
    assert_int_equal(
        call(fixture, REQUEST_ADD_WRITE_PERM_OF_BROKER, FIELDS("brokerName", "broker-a")), 0);
    assert_field(fixture, "addTopicCount", "2");
    buf_put_text(&fixture->body, "{\"queueDatas\":[{\"brokerName\":\"broker-a\",\"perm\":6,"
                                 "\"readQueueNums\":1,\"writeQueueNums\":1}]}");
    assert_int_equal(call(fixture, REQUEST_REGISTER_TOPIC_IN_NAMESRV, FIELDS("topic", "new")), 0);
    assert_int_equal(call(fixture, REQUEST_GET_ROUTEINFO_BY_TOPIC, FIELDS("topic", "new")), 0);
    assert_int_equal(call(fixture, REQUEST_DELETE_TOPIC_IN_NAMESRV,
                          FIELDS("topic", "new", "clusterName", "other")),
                     0);
    assert_int_equal(call(fixture, REQUEST_GET_ROUTEINFO_BY_TOPIC, FIELDS("topic", "new")), 0);
    assert_int_equal(call(fixture, REQUEST_DELETE_TOPIC_IN_NAMESRV, FIELDS("topic", "new")), 0);
    assert_int_equal(call(fixture, REQUEST_GET_ROUTEINFO_BY_TOPIC, FIELDS("topic", "new")),
                     RESPONSE_TOPIC_NOT_EXIST);
}

static void key_values_are_kept_and_order_topics_answered(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(call(fixture, REQUEST_GET_KV_CONFIG, FIELDS("namespace", "n", "key", "k")),
                     RESPONSE_QUERY_NOT_FOUND);
    assert_int_equal(
        call(fixture, REQUEST_PUT_KV_CONFIG, FIELDS("namespace", "n", "key", "k", "value", "")), 0);
    assert_int_equal(call(fixture, REQUEST_GET_KV_CONFIG, FIELDS("namespace", "n", "key", "k")), 0);
    assert_field(fixture, "value", "");
    assert_int_equal(call(fixture, REQUEST_DELETE_KV_CONFIG, FIELDS("namespace", "n", "key", "k")),
                     0);
    assert_int_equal(call(fixture, REQUEST_GET_KVLIST_BY_NAMESPACE, FIELDS("namespace", "n")),
                     RESPONSE_QUERY_NOT_FOUND);
    assert_int_equal(
        call(fixture, REQUEST_PUT_KV_CONFIG,
             FIELDS("namespace", "ORDER_TOPIC_CONFIG", "key", "T", "value", "broker-a:8")),
        0);
    assert_int_equal(
        call(fixture, REQUEST_GET_KVLIST_BY_NAMESPACE, FIELDS("namespace", "ORDER_TOPIC_CONFIG")),
        0);
    assert_body(fixture, "{\"table\":{\"T\":\"broker-a:8\"}}");
    assert_int_equal(register_broker(fixture, "10.0.0.1:10911", "0", 1), 0);
    assert_body(fixture, "{\"table\":{\"T\":\"broker-a:8\"}}");
    assert_int_equal(call(fixture, REQUEST_GET_ROUTEINFO_BY_TOPIC, FIELDS("topic", "T")), 0);
    struct slice body = fixture->client.response.body;
    assert_non_null(memmem(body.data, body.size, "\"orderTopicConf\":\"broker-a:8\"", 29));
}

static void its_own_configuration_is_shown_and_partly_changed(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(call(fixture, REQUEST_GET_NAMESRV_CONFIG, NULL), 0);
    struct slice body = fixture->client.response.body;
    assert_non_null(memmem(body.data, body.size, "orderMessageEnable=true\n", 24));
    buf_put_text(&fixture->body, "orderMessageEnable=false\n");
    assert_int_equal(call(fixture, REQUEST_UPDATE_NAMESRV_CONFIG, NULL), 0);
    assert_false(config_boolean(fixture->settings, "orderMessageEnable"));
    buf_put_text(&fixture->body, "kvConfigPath=/etc/passwd\n");
    assert_int_equal(call(fixture, REQUEST_UPDATE_NAMESRV_CONFIG, NULL), RESPONSE_NO_PERMISSION);
    buf_put_text(&fixture->body, "orderMessageEnable=perhaps\n");
    assert_int_equal(call(fixture, REQUEST_UPDATE_NAMESRV_CONFIG, NULL),
                     RESPONSE_INVALID_PARAMETER);
}

static void an_unknown_code_is_answered_and_the_connection_stays(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(call(fixture, REQUEST_SEND_MESSAGE, NULL),
                     RESPONSE_REQUEST_CODE_NOT_SUPPORTED);
    assert_int_equal(call(fixture, REQUEST_GET_BROKER_CLUSTER_INFO, NULL), 0);
}

/* It would end the process, or break the connection. */
static void an_answer_larger_than_a_frame_is_refused(void **state)
{
    struct fixture *fixture = *state;
    put_large_registration(fixture);
    assert_int_equal(call(fixture, REQUEST_REGISTER_BROKER,
                          FIELDS("brokerName", "broker-a", "brokerAddr", "10.0.0.1:10911",
                                 "clusterName", "C1", "brokerId", "0", "compressed", "true")),
                     0);
    assert_int_equal(call(fixture, REQUEST_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, NULL),
                     RESPONSE_SYSTEM_ERROR);
    assert_true(
        slice_equals_text(fixture->client.response.remark, "the answer is larger than a frame"));
    assert_body(fixture, "");
    assert_int_equal(call(fixture, REQUEST_GET_BROKER_CLUSTER_INFO, NULL), 0);
}

/* In a binary frame the answer is binary too; and a oneway request is not answered at all. */
static void answers_have_the_form_of_the_request(void **state)
{
    struct fixture *fixture = *state;
    struct command request;
    command_init_request(&request, REQUEST_GET_ROUTEINFO_BY_TOPIC, 0);
    request.flag = COMMAND_FLAG_ONEWAY;
    conn_send_command(fixture->client.conn, &request);
    command_init_request(&request, REQUEST_GET_BROKER_CLUSTER_INFO, 0);
    request.serialize_type = SERIALIZE_BINARY;
    assert_int_equal(sync_call(&fixture->client, &request), 0);
    assert_int_equal(fixture->client.response.serialize_type, SERIALIZE_BINARY);
    assert_int_equal(fixture->client.response.version, 479);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_registered_brokers_topics_have_routes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deposed_leader_is_told_success_and_ignored, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_bad_registration_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(unregistering_takes_the_route_away, setup, teardown),
        cmocka_unit_test_setup_teardown(a_closed_connection_takes_the_route_away, setup, teardown),
        cmocka_unit_test_setup_teardown(versions_are_compared_and_heartbeats_accepted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lists_answer_what_tools_ask, setup, teardown),
        cmocka_unit_test_setup_teardown(operators_change_routes, setup, teardown),
        cmocka_unit_test_setup_teardown(key_values_are_kept_and_order_topics_answered, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(its_own_configuration_is_shown_and_partly_changed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_unknown_code_is_answered_and_the_connection_stays, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_answer_larger_than_a_frame_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_have_the_form_of_the_request, setup, teardown),
    };
    return cmocka_run_group_tests_name("nameserver", tests, NULL, NULL);
}
