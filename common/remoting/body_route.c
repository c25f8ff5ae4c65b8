#include "common/remoting/body_route.h"

#include "common/base/decimal.h"
#include "common/remoting/body_json.h"

static bool get_broker(const json_t *json, struct body *body, struct broker_data *broker);
static void put_broker(struct json_writer *writer, const struct broker_data *broker);
static void put_addresses(struct json_writer *writer, const struct broker_data *broker);

enum status topic_route_decode(struct slice text, struct body *body, struct topic_route *out)
{
    json_t *root;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    const json_t *brokers = json_object_get(root, "brokerDatas");
    const json_t *queues = json_object_get(root, "queueDatas");
    *out = (struct topic_route){.order_config = json_get_text(root, "orderTopicConf")};
    if (json_array_size(brokers) > ROUTE_ITEMS_MAX || json_array_size(queues) > ROUTE_ITEMS_MAX) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    out->brokers = arena_array(&body->arena, json_array_size(brokers) + 1, sizeof *out->brokers);
    out->queues = arena_array(&body->arena, json_array_size(queues) + 1, sizeof *out->queues);
    for (size_t i = 0; i < json_array_size(brokers); i++) {
        if (get_broker(json_array_get(brokers, i), body, &out->brokers[out->broker_count])) {
            out->broker_count++;
        }
    }
    for (size_t i = 0; i < json_array_size(queues); i++) {
        const json_t *json = json_array_get(queues, i);
        out->queues[out->queue_count++] = (struct queue_data){
            .broker = json_get_text(json, "brokerName"),
            .read_queues = json_get_i32(json, "readQueueNums", 0),
            .write_queues = json_get_i32(json, "writeQueueNums", 0),
            .perm = json_get_i32(json, "perm", 0),
            .sys_flag = json_get_i32(json, "topicSysFlag", 0),
        };
    }
    return STATUS_OK;
}

static bool get_broker(const json_t *json, struct body *body, struct broker_data *broker)
{
    const json_t *addresses = json_object_get(json, "brokerAddrs");
    const char *id;
    json_t *address;
    if (json_object_size(addresses) > ROUTE_ITEMS_MAX) {
        return false;
    }
    *broker = (struct broker_data){
        .cluster = json_get_text(json, "cluster"),
        .name = json_get_text(json, "brokerName"),
        .addresses =
            arena_array(&body->arena, json_object_size(addresses) + 1, sizeof *broker->addresses),
    };
    json_object_foreach((json_t *)(uintptr_t)addresses, id, address)
    {
        struct broker_address *entry = &broker->addresses[broker->address_count];
        if (decimal_parse(slice_text(id), &entry->id) && json_is_string(address)) {
            entry->address = json_as_text(address);
            broker->address_count++;
        }
    }
    return broker->name.size > 0;
}

void topic_route_encode(const struct topic_route *route, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_key(&writer, "brokerDatas");
    json_begin(&writer, '[');
    for (size_t i = 0; i < route->broker_count; i++) {
        put_broker(&writer, &route->brokers[i]);
    }
    json_end(&writer, ']');
    json_key(&writer, "filterServerTable");
    json_raw(&writer, slice_text("{}"));
    if (route->order_config.size > 0) {
        json_member_text(&writer, "orderTopicConf", route->order_config);
    }
    json_key(&writer, "queueDatas");
    json_begin(&writer, '[');
    for (size_t i = 0; i < route->queue_count; i++) {
        const struct queue_data *queue = &route->queues[i];
        json_begin(&writer, '{');
        json_member_text(&writer, "brokerName", queue->broker);
        json_member_int(&writer, "perm", queue->perm);
        json_member_int(&writer, "readQueueNums", queue->read_queues);
        json_member_int(&writer, "topicSynFlag", queue->sys_flag); // Sic: what Go and 4.x read.
        json_member_int(&writer, "topicSysFlag", queue->sys_flag);
        json_member_int(&writer, "writeQueueNums", queue->write_queues);
        json_end(&writer, '}');
    }
    json_end(&writer, ']');
    json_end(&writer, '}');
}

static void put_broker(struct json_writer *writer, const struct broker_data *broker)
{
    json_begin(writer, '{');
    put_addresses(writer, broker);
    json_member_text(writer, "brokerName", broker->name);
    json_member_text(writer, "cluster", broker->cluster);
    json_member_bool(writer, "enableActingMaster", false);
    json_end(writer, '}');
}

static void put_addresses(struct json_writer *writer, const struct broker_data *broker)
{
    json_key(writer, "brokerAddrs");
    json_begin(writer, '{');
    for (size_t i = 0; i < broker->address_count; i++) {
        char id[DECIMAL_SIZE_MAX];
        json_key_slice(writer, slice_of(id, decimal_format(broker->addresses[i].id, id)));
        json_text(writer, broker->addresses[i].address);
    }
    json_end(writer, '}');
}

enum status cluster_info_decode(struct slice text, struct body *body, struct cluster_info *out)
{
    json_t *root;
    const char *name;
    json_t *broker;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    json_t *table = json_object_get(root, "brokerAddrTable");
    *out = (struct cluster_info){0};
    if (json_object_size(table) > ROUTE_ITEMS_MAX) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    out->brokers = arena_array(&body->arena, json_object_size(table) + 1, sizeof *out->brokers);
    json_object_foreach(table, name, broker)
    {
        if (get_broker(broker, body, &out->brokers[out->broker_count])) {
            out->broker_count++;
        }
    }
    return STATUS_OK;
}

/* Is this the first broker of its cluster? */
static bool first_of_cluster(const struct cluster_info *info, size_t place)
{
    for (size_t i = 0; i < place; i++) {
        if (slice_equals(info->brokers[i].cluster, info->brokers[place].cluster)) {
            return false;
        }
    }
    return true;
}

void cluster_info_encode(const struct cluster_info *info, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_key(&writer, "brokerAddrTable");
    json_begin(&writer, '{');
    for (size_t i = 0; i < info->broker_count; i++) {
        json_key_slice(&writer, info->brokers[i].name);
        put_broker(&writer, &info->brokers[i]);
    }
    json_end(&writer, '}');
    json_key(&writer, "clusterAddrTable");
    json_begin(&writer, '{');
    for (size_t i = 0; i < info->broker_count; i++) {
        if (!first_of_cluster(info, i)) {
            continue;
        }
        json_key_slice(&writer, info->brokers[i].cluster);
        json_begin(&writer, '[');
        for (size_t j = i; j < info->broker_count; j++) {
            if (slice_equals(info->brokers[j].cluster, info->brokers[i].cluster)) {
                json_text(&writer, info->brokers[j].name);
            }
        }
        json_end(&writer, ']');
    }
    json_end(&writer, '}');
    json_end(&writer, '}');
}

void member_group_encode(const struct broker_data *broker, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    if (broker != NULL) {
        json_key(&writer, "brokerMemberGroup");
        json_begin(&writer, '{');
        put_addresses(&writer, broker);
        json_member_text(&writer, "brokerName", broker->name);
        json_member_text(&writer, "cluster", broker->cluster);
        json_end(&writer, '}');
    }
    json_end(&writer, '}');
}
