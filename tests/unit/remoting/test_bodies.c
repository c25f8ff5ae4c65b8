/* body_*: what is written, to the letter, and what is read from Java, C++ and Go clients. */
#include "tests/support/test.h"

#include "common/remoting/body_connections.h"
#include "common/remoting/body_group.h"
#include "common/remoting/body_list.h"
#include "common/remoting/body_lock.h"
#include "common/remoting/body_register.h"
#include "common/remoting/body_route.h"
#include "common/remoting/body_stats.h"

#include <zlib.h>

#define S(text)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static void assert_text(struct slice slice, const char *text)
{
    if (!slice_equals_text(slice, text)) {
        fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARGS(slice), text);
    }
}

static void assert_out(struct buf *out, const char *expected)
{
    assert_string_equal(buf_text(out), expected);
    buf_clear(out);
}

static const struct queue_name queue = {S("T"), S("broker-a"), 0};
static const struct queue_name queue_1 = {S("T"), S("broker-a"), 1};

static void routes_are_written_as_java_does_and_read_back(void **state)
{
    (void)state;
    struct broker_address addresses[] = {{0, S("10.0.0.1:10911")}, {1, S("10.0.0.2:10911")}};
    struct broker_data broker = {S("C1"), S("broker-a"), 2, addresses};
    struct queue_data queues = {S("broker-a"), 8, 4, 6, 0};
    const struct topic_route route = {1, &broker, 1, &queues, {0}};
    struct buf out = {0};
    topic_route_encode(&route, &out);
    struct body body;
    struct topic_route read;
    assert_int_equal(topic_route_decode(buf_slice(&out), &body, &read), STATUS_OK);
    assert_int_equal(read.broker_count, 1);
    assert_int_equal(read.brokers[0].address_count, 2);
    assert_int_equal(read.brokers[0].addresses[1].id, 1);
    assert_text(read.brokers[0].addresses[1].address, "10.0.0.2:10911");
    assert_int_equal(read.queue_count, 1);
    assert_int_equal(read.queues[0].read_queues, 8);
    assert_int_equal(read.queues[0].write_queues, 4);
    body_close(&body);
    assert_out(&out, "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"10.0.0.1:10911\","
                     "\"1\":\"10.0.0.2:10911\"},\"brokerName\":\"broker-a\",\"cluster\":\"C1\","
                     "\"enableActingMaster\":false}],\"filterServerTable\":{},\"queueDatas\":[{"
                     "\"brokerName\":\"broker-a\",\"perm\":6,\"readQueueNums\":8,"
                     "\"topicSynFlag\":0,\"topicSysFlag\":0,\"writeQueueNums\":4}]}");
    buf_close(&out);
}

/* As a Java nameserver answers old clients: bare numeric keys. */
static void routes_in_the_dialect_are_read(void **state)
{
    (void)state;
    struct body body;
    struct topic_route route;
    assert_int_equal(
        topic_route_decode(
            slice_text("{\"brokerDatas\":[{\"brokerAddrs\":{0:\"10.0.0.1:10911\",1:\"b:1\"},"
                       "\"brokerName\":\"b\",\"cluster\":\"c\"}],\"filterServerTable\":{},"
                       "\"orderTopicConf\":\"b:8\",\"queueDatas\":[{\"brokerName\":\"b\","
                       "\"perm\":6,\"readQueueNums\":\"4\",\"writeQueueNums\":4}],}\n"),
            &body, &route),
        STATUS_OK);
    assert_int_equal(route.brokers[0].address_count, 2);
    assert_text(route.brokers[0].addresses[0].address, "10.0.0.1:10911");
    assert_int_equal(route.queues[0].read_queues, 4);
    assert_text(route.order_config, "b:8");
    body_close(&body);
}

static void cluster_info_groups_brokers_by_cluster(void **state)
{
    (void)state;
    struct broker_address address = {0, S("10.0.0.1:10911")};
    struct broker_data brokers[] = {{S("C1"), S("a"), 1, &address},
                                    {S("C2"), S("b"), 1, &address},
                                    {S("C1"), S("c"), 1, &address}};
    const struct cluster_info info = {3, brokers};
    struct buf out = {0};
    struct body body;
    struct cluster_info read;
    cluster_info_encode(&info, &out);
    assert_non_null(
        strstr(buf_text(&out), "\"clusterAddrTable\":{\"C1\":[\"a\",\"c\"],\"C2\":[\"b\"]}}"));
    assert_int_equal(cluster_info_decode(buf_slice(&out), &body, &read), STATUS_OK);
    assert_int_equal(read.broker_count, 3);
    assert_text(read.brokers[2].name, "c");
    assert_text(read.brokers[2].cluster, "C1");
    body_close(&body);
    buf_clear(&out);
    member_group_encode(&brokers[0], &out);
    assert_out(&out, "{\"brokerMemberGroup\":{\"brokerAddrs\":{\"0\":\"10.0.0.1:10911\"},"
                     "\"brokerName\":\"a\",\"cluster\":\"C1\"}}");
    member_group_encode(NULL, &out);
    assert_out(&out, "{}");
    buf_close(&out);
}

static void lists_and_tables_read_back(void **state)
{
    (void)state;
    const struct slice names[] = {S("T"), S("%RETRY%g")};
    const struct name_list list = {2, names};
    const struct text_pair pairs[] = {{S("putTps"), S("0.0 0.0")}, {S("runtime"), S("\"1\"")}};
    const struct pair_table table = {2, pairs};
    struct buf out = {0};
    struct body body;
    struct name_list read;
    struct pair_table read_table;
    topic_list_encode(&list, slice_text("10.0.0.1:10911"), &out);
    assert_int_equal(topic_list_decode(buf_slice(&out), &body, &read), STATUS_OK);
    assert_int_equal(read.count, 2);
    assert_text(read.names[1], "%RETRY%g");
    body_close(&body);
    assert_out(&out, "{\"brokerAddr\":\"10.0.0.1:10911\",\"topicList\":[\"T\",\"%RETRY%g\"]}");
    topic_list_encode(&list, (struct slice){0}, &out);
    assert_out(&out, "{\"topicList\":[\"T\",\"%RETRY%g\"]}");
    consumer_list_encode(&list, &out);
    assert_int_equal(consumer_list_decode(buf_slice(&out), &body, &read), STATUS_OK);
    assert_int_equal(read.count, 2);
    body_close(&body);
    assert_out(&out, "{\"consumerIdList\":[\"T\",\"%RETRY%g\"]}");
    group_list_encode(&list, &out);
    assert_out(&out, "{\"groupList\":[\"T\",\"%RETRY%g\"]}");
    kv_table_encode(&table, &out);
    assert_int_equal(kv_table_decode(buf_slice(&out), &body, &read_table), STATUS_OK);
    assert_int_equal(read_table.count, 2);
    assert_text(read_table.pairs[1].value, "\"1\"");
    body_close(&body);
    assert_out(&out, "{\"table\":{\"putTps\":\"0.0 0.0\",\"runtime\":\"\\\"1\\\"\"}}");
    buf_close(&out);
}

static const struct text_pair attribute = {S("message.type"), S("FIFO")};
static const struct topic_config topics[] = {
    {S("T"), 8, 4, 6, 1, true, true, 1, &attribute},
    {S("U"), 1, 1, 7, 0, false, false, 0, NULL},
};
static const struct topic_table table = {{5, 1700000000000, 3}, 2, topics};

static void assert_is_table(const struct topic_table *read)
{
    assert_int_equal(read->version.state, 5);
    assert_true(read->version.timestamp_ms == 1700000000000);
    assert_int_equal(read->version.counter, 3);
    assert_int_equal(read->count, 2);
    assert_text(read->topics[0].name, "T");
    assert_int_equal(read->topics[0].read_queues, 8);
    assert_int_equal(read->topics[0].write_queues, 4);
    assert_int_equal(read->topics[0].perm, 6);
    assert_int_equal(read->topics[0].attribute_count, 1);
    assert_text(read->topics[0].attributes[0].value, "FIFO");
    assert_text(read->topics[1].name, "U");
    assert_int_equal(read->topics[1].perm, 7);
}

static void registrations_read_back(void **state)
{
    (void)state;
    struct buf out = {0};
    struct body body;
    struct topic_table read;
    register_body_encode(&table, &out);
    assert_int_equal(register_body_decode(buf_slice(&out), false, 479, &body, &read), STATUS_OK);
    assert_is_table(&read);
    assert_true(read.topics[0].order && read.topics[0].multi_tag);
    assert_int_equal(read.topics[0].sys_flag, 1);
    body_close(&body);
    assert_out(
        &out,
        "{\"filterServerList\":[],\"topicConfigSerializeWrapper\":{\"dataVersion\":{\"counter\":3,"
        "\"stateVersion\":5,\"timestamp\":1700000000000},\"topicConfigTable\":{\"T\":{"
        "\"attributes\":{\"message.type\":\"FIFO\"},\"order\":true,\"perm\":6,"
        "\"readQueueNums\":8,\"topicFilterType\":\"MULTI_TAG\",\"topicName\":\"T\","
        "\"topicSysFlag\":1,\"writeQueueNums\":4},\"U\":{\"attributes\":{},\"order\":false,"
        "\"perm\":7,\"readQueueNums\":1,\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"U\","
        "\"topicSysFlag\":0,\"writeQueueNums\":1}}}}");
    // Brokers of old send the table alone; none at all is an empty one.
    topic_table_encode(&table, &out);
    assert_int_equal(register_body_decode(buf_slice(&out), false, 36, &body, &read), STATUS_OK);
    assert_is_table(&read);
    body_close(&body);
    assert_int_equal(register_body_decode((struct slice){0}, false, 479, &body, &read), STATUS_OK);
    assert_int_equal(read.count, 0);
    body_close(&body);
    buf_close(&out);
}

static void put_sized(struct buf *out, const char *text)
{
    buf_put_be32(out, (uint32_t)strlen(text));
    buf_put_text(out, text);
}

/* As a Java broker with compressedRegister=true sends it. */
static void deflated_registrations_are_read_and_bounded(void **state)
{
    (void)state;
    struct buf plain = {0};
    put_sized(&plain, "{\"counter\":3,\"stateVersion\":5,\"timestamp\":1700000000000}");
    buf_put_be32(&plain, 2);
    put_sized(&plain, "T 8 4 6 SINGLE_TAG {\"message.type\":\"FIFO\"}");
    put_sized(&plain, "U 1 1 7 SINGLE_TAG");
    put_sized(&plain, "[]");
    buf_put_be32(&plain, 1);
    put_sized(&plain, "{}");
    for (size_t size = 0; size <= plain.size; size++) {
        uint8_t deflated[1024];
        uLongf deflated_size = sizeof deflated;
        assert_int_equal(compress(deflated, &deflated_size, plain.data, size), Z_OK);
        struct body body;
        struct topic_table read;
        enum status status =
            register_body_decode(slice_of(deflated, deflated_size), true, 413, &body, &read);
        if (size == plain.size) {
            assert_int_equal(status, STATUS_OK);
            assert_is_table(&read);
            for (size_t cut = 1; cut < deflated_size; cut++) {
                body_close(&body);
                assert_int_equal(
                    register_body_decode(slice_of(deflated, cut), true, 413, &body, &read),
                    STATUS_MALFORMED);
            }
        } else if (size != plain.size - 10) { // Without the last section: an older broker.
            assert_int_equal(status, STATUS_MALFORMED);
        }
        body_close(&body);
    }
    buf_close(&plain);
}

static void groups_default_as_in_java_and_read_back(void **state)
{
    (void)state;
    struct group_config config = group_config_default((struct slice)S("g"));
    struct buf out = {0};
    struct body body;
    struct group_config read;
    group_config_encode(&config, &out);
    assert_out(&out,
               "{\"attributes\":{},\"brokerId\":0,\"consumeBroadcastEnable\":true,"
               "\"consumeEnable\":true,\"consumeFromMinEnable\":true,"
               "\"consumeMessageOrderly\":false,\"consumeTimeoutMinute\":15,\"groupName\":\"g\","
               "\"groupRetryPolicy\":{\"type\":\"CUSTOMIZED\"},\"groupSysFlag\":0,"
               "\"notifyConsumerIdsChangedEnable\":true,\"retryMaxTimes\":16,"
               "\"retryQueueNums\":1,\"whichBrokerWhenConsumeSlowly\":1}");
    assert_int_equal(group_config_decode(slice_text("{\"groupName\":\"h\",\"retryMaxTimes\":3,"
                                                    "\"consumeEnable\":false}"),
                                         &body, &read),
                     STATUS_OK);
    assert_text(read.name, "h");
    assert_int_equal(read.retry_times_max, 3);
    assert_false(read.consume_enable);
    assert_true(read.consume_broadcast_enable);
    body_close(&body);
    assert_int_equal(group_config_decode(slice_text("{}"), &body, &read), STATUS_MALFORMED);
    const struct group_table groups = {{0, 0, 0}, 1, &config};
    struct group_table read_table;
    group_table_encode(&groups, &out);
    assert_non_null(strstr(buf_text(&out), "\"forbiddenTable\":{}"));
    assert_int_equal(group_table_decode(buf_slice(&out), &body, &read_table), STATUS_OK);
    assert_int_equal(read_table.count, 1);
    assert_int_equal(read_table.groups[0].retry_times_max, 16);
    body_close(&body);
    buf_close(&out);
}

static void tables_keyed_by_queues_are_raw_and_read_back(void **state)
{
    (void)state;
    const struct topic_stats_entry entries[] = {{queue, 1, 10, 1700000000000}, {queue_1, 0, 0, 0}};
    const struct topic_stats stats = {0, 2, entries};
    const struct consume_stats_entry consumed[] = {{queue, 10, 7, 8, 1700000000000}};
    const struct consume_stats consume = {1.5, 1, consumed};
    struct buf out = {0};
    struct body body;
    struct topic_stats read;
    struct consume_stats read_consume;
    topic_stats_encode(&stats, &out);
    assert_int_equal(topic_stats_decode(buf_slice(&out), &body, &read), STATUS_OK);
    assert_int_equal(read.count, 2);
    assert_text(read.entries[0].queue.broker, "broker-a");
    assert_int_equal(read.entries[0].offset_max, 10);
    assert_int_equal(read.entries[1].queue.queue_id, 1);
    body_close(&body);
    assert_out(&out,
               "{\"offsetTable\":{{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":\"T\"}:"
               "{\"lastUpdateTimestamp\":1700000000000,\"maxOffset\":10,\"minOffset\":1},"
               "{\"brokerName\":\"broker-a\",\"queueId\":1,\"topic\":\"T\"}:"
               "{\"lastUpdateTimestamp\":0,\"maxOffset\":0,\"minOffset\":0}},"
               "\"topicPutTps\":0.0}");
    consume_stats_encode(&consume, &out);
    assert_int_equal(consume_stats_decode(buf_slice(&out), &body, &read_consume), STATUS_OK);
    assert_int_equal(read_consume.entries[0].consumer_offset, 7);
    body_close(&body);
    assert_out(&out, "{\"consumeTps\":1.5,\"offsetTable\":{{\"brokerName\":\"broker-a\","
                     "\"queueId\":0,\"topic\":\"T\"}:{\"brokerOffset\":10,\"consumerOffset\":7,"
                     "\"lastTimestamp\":1700000000000,\"pullOffset\":8}}}");
    buf_close(&out);
}

static void reset_offsets_have_a_form_for_cpp(void **state)
{
    (void)state;
    const struct queue_offset offsets[] = {{queue, 5}, {queue_1, -1}};
    struct buf out = {0};
    struct body body;
    struct queue_offset *read;
    size_t count;
    offset_table_encode(offsets, 2, &out);
    assert_int_equal(offset_table_decode(buf_slice(&out), &body, &read, &count), STATUS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(read[1].offset, -1);
    body_close(&body);
    assert_out(&out, "{\"offsetTable\":{{\"brokerName\":\"broker-a\",\"queueId\":0,"
                     "\"topic\":\"T\"}:5,{\"brokerName\":\"broker-a\",\"queueId\":1,"
                     "\"topic\":\"T\"}:-1}}");
    offset_table_encode_for_cpp(offsets, 1, &out);
    assert_out(&out, "{\"offsetTable\":[{\"brokerName\":\"broker-a\",\"offset\":5,\"queueId\":0,"
                     "\"topic\":\"T\"}]}");
    offset_table_encode(offsets, 0, &out);
    assert_out(&out, "{\"offsetTable\":{}}");
    buf_close(&out);
}

static void a_java_heartbeat_is_read(void **state)
{
    (void)state;
    struct body body;
    struct heartbeat heartbeat;
    assert_int_equal(
        heartbeat_decode(
            slice_text(
                "{\"clientID\":\"10.0.0.9@12@ab\",\"consumerDataSet\":[{\"consumeFromWhere\":"
                "\"CONSUME_FROM_FIRST_OFFSET\",\"consumeType\":\"CONSUME_POP\",\"groupName\":"
                "\"g\",\"messageModel\":\"BROADCASTING\",\"subscriptionDataSet\":[{"
                "\"classFilterMode\":false,\"codeSet\":[2561],\"expressionType\":\"SQL92\","
                "\"subString\":\"a > 1\",\"subVersion\":1700000000000,\"tagsSet\":[\"PQ\"],"
                "\"topic\":\"T\"}],\"unitMode\":true}],\"heartbeatFingerprint\":7,"
                "\"producerDataSet\":[{\"groupName\":\"CLIENT_INNER_PRODUCER\"},{\"groupName\":"
                "\"p\"}],\"withoutSub\":true}"),
            &body, &heartbeat),
        STATUS_OK);
    assert_text(heartbeat.client_id, "10.0.0.9@12@ab");
    assert_int_equal(heartbeat.producer_count, 2);
    assert_text(heartbeat.producers[1], "p");
    assert_int_equal(heartbeat.consumer_count, 1);
    const struct consumer_data *consumer = &heartbeat.consumers[0];
    assert_int_equal(consumer->consume_type, CONSUME_POP);
    assert_int_equal(consumer->message_model, MODEL_BROADCASTING);
    assert_int_equal(consumer->consume_from, CONSUME_FROM_FIRST);
    assert_true(consumer->unit_mode);
    assert_int_equal(consumer->subscription_count, 1);
    assert_text(consumer->subscriptions[0].expression_type, "SQL92");
    assert_text(consumer->subscriptions[0].expression, "a > 1");
    assert_true(consumer->subscriptions[0].version == 1700000000000);
    assert_int_equal(heartbeat.fingerprint, 7);
    assert_true(heartbeat.without_subscriptions);
    body_close(&body);
}

static void a_check_of_a_client_is_read_as_it_is_written(void **state)
{
    (void)state;
    const struct client_check written = {
        .client_id = slice_text("10.0.0.9@1"),
        .group = slice_text("g"),
        .subscription = {slice_text("T"), slice_text("a = 'x'"), slice_text("SQL92"), 7},
    };
    struct client_check read;
    struct body body;
    struct buf out = {0};
    client_check_encode(&written, &out);
    assert_int_equal(client_check_decode(buf_slice(&out), &body, &read), STATUS_OK);
    assert_text(read.client_id, "10.0.0.9@1");
    assert_text(read.group, "g");
    assert_text(read.subscription.expression, "a = 'x'");
    body_close(&body);
    assert_out(&out, "{\"clientId\":\"10.0.0.9@1\",\"group\":\"g\",\"subscriptionData\":{"
                     "\"classFilterMode\":false,\"codeSet\":[],\"expressionType\":\"SQL92\","
                     "\"subString\":\"a = 'x'\",\"subVersion\":7,\"tagsSet\":[],"
                     "\"topic\":\"T\"}}");
    buf_close(&out);
}

/* Trap 11: ordinals, quoted versions, absent sets (C++); nanoseconds, nulls, UNKNOWN (Go). */
static void heartbeats_of_cpp_and_go_are_read(void **state)
{
    (void)state;
    struct body body;
    struct heartbeat heartbeat;
    assert_int_equal(
        heartbeat_decode(
            slice_text("{\"clientID\":\"c\",\"consumerDataSet\":[{"
                       "\"consumeFromWhere\":5,\"consumeType\":1,\"groupName\":\"g\","
                       "\"messageModel\":1,\"subscriptionDataSet\":[{\"subString\":"
                       "\"*\",\"subVersion\":\"1700000000000\",\"topic\":\"T\"}]}]}\n"),
            &body, &heartbeat),
        STATUS_OK);
    assert_int_equal(heartbeat.producer_count, 0);
    assert_int_equal(heartbeat.consumers[0].consume_from, CONSUME_FROM_TIMESTAMP);
    assert_int_equal(heartbeat.consumers[0].consume_type, CONSUME_PASSIVELY);
    assert_int_equal(heartbeat.consumers[0].message_model, MODEL_CLUSTERING);
    assert_text(heartbeat.consumers[0].subscriptions[0].expression_type, "TAG");
    assert_true(heartbeat.consumers[0].subscriptions[0].version == 1700000000000);
    body_close(&body);
    assert_int_equal(
        heartbeat_decode(slice_text("{\"clientID\":\"c\",\"producerDataSet\":null,"
                                    "\"consumerDataSet\":[{\"groupName\":\"g\",\"messageModel\":"
                                    "\"CLUSTERING\",\"consumeFromWhere\":\"UNKNOWN\","
                                    "\"subscriptionDataSet\":null},{\"groupName\":\"h\","
                                    "\"subscriptionDataSet\":[{\"topic\":\"T\",\"subString\":\"a\","
                                    "\"codeSet\":[\"97\"],\"subVersion\":1700000000123456789}]}]}"),
                         &body, &heartbeat),
        STATUS_OK);
    assert_int_equal(heartbeat.consumers[0].consume_from, CONSUME_FROM_LAST);
    assert_int_equal(heartbeat.consumers[0].subscription_count, 0);
    assert_true(heartbeat.consumers[1].subscriptions[0].version == 1700000000123456789);
    body_close(&body);
}

static void a_heartbeat_reads_back_with_hashes_of_its_tags(void **state)
{
    (void)state;
    struct slice producer = S("p");
    struct subscription_data data = {S("T"), S("PQ || a"), S("TAG"), 9};
    struct consumer_data consumer = {.group = S("g"),
                                     .consume_type = CONSUME_PASSIVELY,
                                     .message_model = MODEL_CLUSTERING,
                                     .subscription_count = 1,
                                     .subscriptions = &data};
    const struct heartbeat heartbeat = {.client_id = S("c"),
                                        .producer_count = 1,
                                        .producers = &producer,
                                        .consumer_count = 1,
                                        .consumers = &consumer};
    struct buf out = {0};
    struct body body;
    struct heartbeat read;
    heartbeat_encode(&heartbeat, &out);
    assert_int_equal(heartbeat_decode(buf_slice(&out), &body, &read), STATUS_OK);
    assert_text(read.consumers[0].subscriptions[0].expression, "PQ || a");
    body_close(&body);
    assert_out(&out, "{\"clientID\":\"c\",\"consumerDataSet\":[{\"consumeFromWhere\":"
                     "\"CONSUME_FROM_LAST_OFFSET\",\"consumeType\":\"CONSUME_PASSIVELY\","
                     "\"groupName\":\"g\",\"messageModel\":\"CLUSTERING\",\"subscriptionDataSet\":"
                     "[{\"classFilterMode\":false,\"codeSet\":[2561,97],\"expressionType\":\"TAG\","
                     "\"subString\":\"PQ || a\",\"subVersion\":9,\"tagsSet\":[\"PQ\",\"a\"],"
                     "\"topic\":\"T\"}],\"unitMode\":false}],\"heartbeatFingerprint\":0,"
                     "\"producerDataSet\":[{\"groupName\":\"p\"}],\"withoutSub\":false}");
    buf_close(&out);
}

static void connection_lists_have_every_member_that_tools_need(void **state)
{
    (void)state;
    const struct connection_data connection = {S("10.0.0.9@12"), S("10.0.0.9:40112"), 9, 317};
    const struct subscription_data data = {S("T"), S("*"), S("TAG"), 1};
    const struct consumer_connections consumers = {
        1, &connection, CONSUME_PASSIVELY, MODEL_CLUSTERING, CONSUME_FROM_LAST, 1, &data};
    struct buf out = {0};
    consumer_connections_encode(&consumers, &out);
    assert_out(&out, "{\"connectionSet\":[{\"clientAddr\":\"10.0.0.9:40112\",\"clientId\":"
                     "\"10.0.0.9@12\",\"language\":\"GO\",\"version\":317}],\"consumeFromWhere\":"
                     "\"CONSUME_FROM_LAST_OFFSET\",\"consumeType\":\"CONSUME_PASSIVELY\","
                     "\"messageModel\":\"CLUSTERING\",\"subscriptionTable\":{\"T\":{"
                     "\"classFilterMode\":false,\"codeSet\":[],\"expressionType\":\"TAG\","
                     "\"subString\":\"*\",\"subVersion\":1,\"tagsSet\":[],\"topic\":\"T\"}}}");
    producer_connections_encode(&connection, 1, &out);
    assert_out(&out, "{\"connectionSet\":[{\"clientAddr\":\"10.0.0.9:40112\",\"clientId\":"
                     "\"10.0.0.9@12\",\"language\":\"GO\",\"version\":317}]}");
    buf_close(&out);
}

static void locks_echo_queues_exactly(void **state)
{
    (void)state;
    struct buf out = {0};
    struct body body;
    struct lock_request request = {S("g"), S("c"), false, 1, &queue};
    struct lock_request read;
    const struct queue_name *queues;
    size_t count;
    lock_request_encode(&request, &out);
    assert_int_equal(lock_request_decode(buf_slice(&out), &body, &read), STATUS_OK);
    assert_text(read.group, "g");
    assert_text(read.client_id, "c");
    assert_int_equal(read.queue_count, 1);
    assert_text(read.queues[0].broker, "broker-a");
    body_close(&body);
    assert_out(&out, "{\"clientId\":\"c\",\"consumerGroup\":\"g\",\"mqSet\":[{\"brokerName\":"
                     "\"broker-a\",\"queueId\":0,\"topic\":\"T\"}],\"onlyThisBroker\":false}");
    lock_response_encode(&queue_1, 1, &out);
    assert_int_equal(lock_response_decode(buf_slice(&out), &body, &queues, &count), STATUS_OK);
    assert_int_equal(count, 1);
    assert_int_equal(queues[0].queue_id, 1);
    body_close(&body);
    assert_out(&out, "{\"lockOKMQSet\":[{\"brokerName\":\"broker-a\",\"queueId\":1,"
                     "\"topic\":\"T\"}]}");
    buf_close(&out);
}

/* Every body, given what is none of it: refused or empty, never more. */
static void nonsense_is_refused_by_all(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "[]", "null", "{", "{\"a\":}", "x", "\xFF", "{\"a\":1}}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct slice text = slice_text(bad[i]);
        struct body body;
        struct heartbeat heartbeat;
        struct topic_route route;
        struct topic_table topic_table;
        struct group_table groups;
        struct topic_stats stats;
        struct lock_request lock;
        struct name_list list;
        struct data_version version;
        assert_int_equal(heartbeat_decode(text, &body, &heartbeat), STATUS_MALFORMED);
        assert_int_equal(topic_route_decode(text, &body, &route), STATUS_MALFORMED);
        assert_int_equal(topic_table_decode(text, &body, &topic_table), STATUS_MALFORMED);
        assert_int_equal(group_table_decode(text, &body, &groups), STATUS_MALFORMED);
        assert_int_equal(topic_stats_decode(text, &body, &stats), STATUS_MALFORMED);
        assert_int_equal(lock_request_decode(text, &body, &lock), STATUS_MALFORMED);
        assert_int_equal(topic_list_decode(text, &body, &list), STATUS_MALFORMED);
        assert_int_equal(data_version_decode(text, &version), STATUS_MALFORMED);
    }
    struct body body;
    struct heartbeat heartbeat;
    assert_int_equal(heartbeat_decode(slice_text("{\"producerDataSet\":[]}"), &body, &heartbeat),
                     STATUS_MALFORMED); // No client id.
}

static void decode_all(struct slice text)
{
    struct body body;
    struct heartbeat heartbeat;
    struct topic_route route;
    struct topic_table topic_table;
    struct topic_stats stats;
    if (heartbeat_decode(text, &body, &heartbeat) == STATUS_OK) {
        body_close(&body);
    }
    if (topic_route_decode(text, &body, &route) == STATUS_OK) {
        body_close(&body);
    }
    if (register_body_decode(text, false, 479, &body, &topic_table) == STATUS_OK) {
        body_close(&body);
    }
    if (register_body_decode(text, true, 479, &body, &topic_table) == STATUS_OK) {
        body_close(&body);
    }
    if (topic_stats_decode(text, &body, &stats) == STATUS_OK) {
        body_close(&body);
    }
}

/* Whatever the bytes, decoding ends, stays within them and leaks nothing. */
static void mangled_bodies_never_overrun(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"clientID\":\"c\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":"
        "[{\"topic\":\"T\",\"subString\":\"*\"}]}],\"producerDataSet\":[{\"groupName\":\"p\"}]}",
        "{\"brokerDatas\":[{\"brokerAddrs\":{0:\"10.0.0.1:1\"},\"brokerName\":\"b\"}],"
        "\"queueDatas\":[{\"brokerName\":\"b\",\"perm\":6}]}",
        "{\"offsetTable\":{{\"brokerName\":\"b\",\"queueId\":0,\"topic\":\"T\"}:{\"maxOffset\":1}}"
        "}",
    };
    uint64_t seed = 88172645463325252u;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t size = strlen(texts[i]);
        for (int round = 0; round < 1500; round++) {
            char *copy = mem_alloc(size); // Exactly sized: no NUL to stop at.
            memcpy(copy, texts[i], size);
            for (int j = 0; j < 2; j++) {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                copy[seed % size] = (char)(seed >> 40);
            }
            decode_all(slice_of(copy, round % 3 == 0 ? seed % size : size));
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_written_as_java_does_and_read_back),
        cmocka_unit_test(routes_in_the_dialect_are_read),
        cmocka_unit_test(cluster_info_groups_brokers_by_cluster),
        cmocka_unit_test(lists_and_tables_read_back),
        cmocka_unit_test(registrations_read_back),
        cmocka_unit_test(deflated_registrations_are_read_and_bounded),
        cmocka_unit_test(groups_default_as_in_java_and_read_back),
        cmocka_unit_test(tables_keyed_by_queues_are_raw_and_read_back),
        cmocka_unit_test(reset_offsets_have_a_form_for_cpp),
        cmocka_unit_test(a_java_heartbeat_is_read),
        cmocka_unit_test(a_check_of_a_client_is_read_as_it_is_written),
        cmocka_unit_test(heartbeats_of_cpp_and_go_are_read),
        cmocka_unit_test(a_heartbeat_reads_back_with_hashes_of_its_tags),
        cmocka_unit_test(connection_lists_have_every_member_that_tools_need),
        cmocka_unit_test(locks_echo_queues_exactly),
        cmocka_unit_test(nonsense_is_refused_by_all),
        cmocka_unit_test(mangled_bodies_never_overrun),
    };
    return cmocka_run_group_tests_name("bodies", tests, NULL, NULL);
}
