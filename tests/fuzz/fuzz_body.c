/* Every JSON body (common/remoting/body_*.h), strict and in fastjson's dialect.
 *
 * The first byte picks the decoder. What decodes is encoded, and that must decode and be encoded
 * the same again. */
#include "common/remoting/body_connections.h"
#include "common/remoting/body_group.h"
#include "common/remoting/body_list.h"
#include "common/remoting/body_lock.h"
#include "common/remoting/body_pop.h"
#include "common/remoting/body_register.h"
#include "common/remoting/body_route.h"
#include "common/remoting/body_stats.h"
#include "tests/fuzz/fuzz.h"

/* Decode text and append it encoded; false if it cannot be decoded. */
typedef bool trip(struct slice text, struct buf *out);

/* Of a decoder and an encoder of the usual form. */
#define TRIP(name, type)                                                                           \
    static bool trip_##name(struct slice text, struct buf *out)                                    \
    {                                                                                              \
        struct body body = {0};                                                                    \
        struct type value;                                                                         \
        if (name##_decode(text, &body, &value) != STATUS_OK) {                                     \
            return false;                                                                          \
        }                                                                                          \
        name##_encode(&value, out);                                                                \
        body_close(&body);                                                                         \
        return true;                                                                               \
    }

TRIP(heartbeat, heartbeat)
TRIP(group_config, group_config)
TRIP(group_table, group_table)
TRIP(consumer_list, name_list)
TRIP(group_list, name_list)
TRIP(kv_table, pair_table)
TRIP(lock_request, lock_request)
TRIP(topic_route, topic_route)
TRIP(cluster_info, cluster_info)
TRIP(topic_stats, topic_stats)
TRIP(consume_stats, consume_stats)
TRIP(topic_config, topic_config)
TRIP(topic_table, topic_table)

static bool trip_topic_list(struct slice text, struct buf *out)
{
    struct body body = {0};
    struct name_list list;
    if (topic_list_decode(text, &body, &list) != STATUS_OK) {
        return false;
    }
    topic_list_encode(&list, slice_text("10.0.0.1:10911"), out);
    body_close(&body);
    return true;
}

static bool trip_kv_config(struct slice text, struct buf *out)
{
    struct body body = {0};
    const struct named_table *tables;
    size_t count = 0;
    if (kv_config_decode(text, &body, &tables, &count) != STATUS_OK) {
        return false;
    }
    kv_config_encode(tables, count, out);
    body_close(&body);
    return true;
}

static bool trip_lock_response(struct slice text, struct buf *out)
{
    struct body body = {0};
    const struct queue_name *queues;
    size_t count = 0;
    if (lock_response_decode(text, &body, &queues, &count) != STATUS_OK) {
        return false;
    }
    lock_response_encode(queues, count, out);
    body_close(&body);
    return true;
}

static bool trip_offset_table(struct slice text, struct buf *out)
{
    struct body body = {0};
    struct queue_offset *offsets;
    size_t count = 0;
    if (offset_table_decode(text, &body, &offsets, &count) != STATUS_OK) {
        return false;
    }
    offset_table_encode(offsets, count, out);
    body_close(&body);
    return true;
}

/* A list is written as a table: only what its items hold goes round. */
static bool trip_topic_config_list(struct slice text, struct buf *out)
{
    struct body body = {0};
    struct topic_table table;
    if (topic_config_list_decode(text, &body, &table) != STATUS_OK) {
        return false;
    }
    struct buf written = {0};
    topic_table_encode(&table, &written);
    buf_put_text(out, "{\"topicConfigList\":[");
    for (size_t i = 0; i < table.count; i++) {
        buf_put_text(out, i == 0 ? "" : ",");
        topic_config_encode(&table.topics[i], out);
    }
    buf_put_text(out, "]}");
    buf_close(&written);
    body_close(&body);
    return true;
}

static bool trip_group_config_list(struct slice text, struct buf *out)
{
    struct body body = {0};
    struct group_table table;
    if (group_config_list_decode(text, &body, &table) != STATUS_OK) {
        return false;
    }
    buf_put_text(out, "{\"groupConfigList\":[");
    for (size_t i = 0; i < table.count; i++) {
        buf_put_text(out, i == 0 ? "" : ",");
        group_config_encode(&table.groups[i], out);
    }
    buf_put_text(out, "]}");
    body_close(&body);
    return true;
}

static bool trip_data_version(struct slice text, struct buf *out)
{
    struct data_version version;
    if (data_version_decode(text, &version) != STATUS_OK) {
        return false;
    }
    data_version_encode(&version, out);
    return true;
}

/* Nobody of us writes it: decoded only, and what answers it is written. */
static bool trip_client_check(struct slice text, struct buf *out)
{
    struct body body = {0};
    struct client_check check;
    if (client_check_decode(text, &body, &check) != STATUS_OK) {
        return false;
    }
    const struct connection_data connection = {.client_id = check.client_id, .language = 99};
    struct consumer_connections connections = {1, &connection, 0, 0, 0, 1, &check.subscription};
    struct buf written = {0};
    consumer_connections_encode(&connections, &written);
    producer_connections_encode(&connection, 1, &written);
    buf_close(&written);
    client_check_encode(&check, out);
    body_close(&body);
    return true;
}

static bool trip_register(struct slice text, struct buf *out, int32_t version)
{
    struct body body = {0};
    struct topic_table table;
    if (register_body_decode(text, false, version, &body, &table) != STATUS_OK) {
        return false;
    }
    if (version < REGISTER_BODY_VERSION) {
        topic_table_encode(&table, out);
    } else {
        register_body_encode(&table, out);
    }
    body_close(&body);
    return true;
}

static bool trip_register_new(struct slice text, struct buf *out)
{
    return trip_register(text, out, REGISTER_STATIC_TOPICS_VERSION);
}

static bool trip_register_old(struct slice text, struct buf *out)
{
    return trip_register(text, out, REGISTER_BODY_VERSION - 1);
}

/* We only read them: all that one says is looked at. */
static bool trip_batch_ack(struct slice text, struct buf *out)
{
    struct body body = {0};
    struct buf read = {0};
    struct batch_ack_request request;
    if (batch_ack_decode(text, &body, &request) != STATUS_OK) {
        return false;
    }
    ASSERT(request.count <= BATCH_ACKS_MAX);
    buf_put_slice(&read, request.broker);
    for (size_t i = 0; i < request.count; i++) {
        buf_put_slice(&read, request.acks[i].group);
        buf_put_slice(&read, request.acks[i].topic);
        buf_put_slice(&read, request.acks[i].retry);
        buf_put_slice(&read, request.acks[i].bits);
    }
    buf_close(&read);
    body_close(&body);
    buf_put_text(out, "{\"acks\":[]}");
    return true;
}

static bool trip_mode_request(struct slice text, struct buf *out)
{
    struct body body = {0};
    struct mode_request request;
    if (mode_request_decode(text, &body, &request) != STATUS_OK) {
        return false;
    }
    buf_printf(out, "{\"mode\":\"%s\",\"popShareQueueNum\":%d}", request.pop ? "POP" : "PULL",
               request.share_count);
    body_close(&body);
    return true;
}

static bool trip_assignment(struct slice text, struct buf *out)
{
    struct body body = {0};
    struct assignment_request request;
    if (assignment_request_decode(text, &body, &request) != STATUS_OK) {
        return false;
    }
    const struct queue_name queue = {.topic = request.topic, .broker = request.client_id};
    assignment_response_encode(&queue, 1, request.broadcasting, out);
    body_close(&body);
    return false; // An answer is no request.
}

/* In the order of tests/fuzz/seed.py; new ones come last, or the corpus means something else. */
static trip *const trips[] = {
    trip_heartbeat,    trip_group_config,      trip_group_table,       trip_consumer_list,
    trip_group_list,   trip_kv_table,          trip_lock_request,      trip_topic_route,
    trip_cluster_info, trip_topic_stats,       trip_consume_stats,     trip_topic_config,
    trip_topic_table,  trip_topic_list,        trip_kv_config,         trip_lock_response,
    trip_offset_table, trip_topic_config_list, trip_group_config_list, trip_data_version,
    trip_client_check, trip_register_new,      trip_register_old,      trip_batch_ack,
    trip_mode_request, trip_assignment,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    trip *go = trips[fuzz_u8(&input) % (sizeof trips / sizeof trips[0])];
    struct buf once = {0};
    struct buf twice = {0};
    if (go(input.rest, &once)) {
        bool again = go(buf_slice(&once), &twice);
        ASSERT(again && slice_equals(buf_slice(&once), buf_slice(&twice)));
    }
    buf_close(&once);
    buf_close(&twice);
    return 0;
}
