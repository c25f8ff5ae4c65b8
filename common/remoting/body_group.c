#include "common/remoting/body_group.h"

#include "common/remoting/body_json.h"

static struct group_config get_group(const json_t *json, struct slice name, struct body *body);
static void put_group(struct json_writer *writer, const struct group_config *config);

struct group_config group_config_default(struct slice name)
{
    return (struct group_config){
        .name = name,
        .consume_enable = true,
        .consume_from_min_enable = true,
        .consume_broadcast_enable = true,
        .retry_queues = 1,
        .retry_times_max = 16,
        .broker_id_when_slow = 1,
        .notify_changes = true,
        .consume_timeout_min = 15,
    };
}

/* `name` is used where the object has none. */
static struct group_config get_group(const json_t *json, struct slice name, struct body *body)
{
    struct group_config config = group_config_default(json_get_text(json, "groupName"));
    if (config.name.size == 0) {
        config.name = name;
    }
    config.consume_enable = json_get_bool(json, "consumeEnable", config.consume_enable);
    config.consume_from_min_enable =
        json_get_bool(json, "consumeFromMinEnable", config.consume_from_min_enable);
    config.consume_broadcast_enable =
        json_get_bool(json, "consumeBroadcastEnable", config.consume_broadcast_enable);
    config.consume_orderly = json_get_bool(json, "consumeMessageOrderly", false);
    config.retry_queues = json_get_i32(json, "retryQueueNums", config.retry_queues);
    config.retry_times_max = json_get_i32(json, "retryMaxTimes", config.retry_times_max);
    config.broker_id = json_get_i64(json, "brokerId", 0);
    config.broker_id_when_slow =
        json_get_i64(json, "whichBrokerWhenConsumeSlowly", config.broker_id_when_slow);
    config.notify_changes =
        json_get_bool(json, "notifyConsumerIdsChangedEnable", config.notify_changes);
    config.sys_flag = json_get_i32(json, "groupSysFlag", 0);
    config.consume_timeout_min =
        json_get_i32(json, "consumeTimeoutMinute", config.consume_timeout_min);
    config.attributes =
        json_get_pairs(json_object_get(json, "attributes"), body, &config.attribute_count);
    return config;
}

enum status group_config_decode(struct slice text, struct body *body, struct group_config *out)
{
    json_t *root;
    enum status status = body_parse(text, CLIENT_BODY_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    *out = get_group(root, (struct slice){0}, body);
    if (out->name.size == 0) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

void group_config_encode(const struct group_config *config, struct buf *out)
{
    struct json_writer writer = {.out = out};
    put_group(&writer, config);
}

static void put_group(struct json_writer *writer, const struct group_config *config)
{
    json_begin(writer, '{');
    json_key(writer, "attributes");
    json_pairs(writer, config->attributes, config->attribute_count);
    json_member_int(writer, "brokerId", config->broker_id);
    json_member_bool(writer, "consumeBroadcastEnable", config->consume_broadcast_enable);
    json_member_bool(writer, "consumeEnable", config->consume_enable);
    json_member_bool(writer, "consumeFromMinEnable", config->consume_from_min_enable);
    json_member_bool(writer, "consumeMessageOrderly", config->consume_orderly);
    json_member_int(writer, "consumeTimeoutMinute", config->consume_timeout_min);
    json_member_text(writer, "groupName", config->name);
    json_key(writer, "groupRetryPolicy");
    json_raw(writer, slice_text("{\"type\":\"CUSTOMIZED\"}"));
    json_member_int(writer, "groupSysFlag", config->sys_flag);
    json_member_bool(writer, "notifyConsumerIdsChangedEnable", config->notify_changes);
    json_member_int(writer, "retryMaxTimes", config->retry_times_max);
    json_member_int(writer, "retryQueueNums", config->retry_queues);
    json_member_int(writer, "whichBrokerWhenConsumeSlowly", config->broker_id_when_slow);
    json_end(writer, '}');
}

enum status group_table_decode(struct slice text, struct body *body, struct group_table *out)
{
    json_t *root;
    const char *key;
    json_t *value;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    json_t *table = json_object_get(root, "subscriptionGroupTable");
    if (json_object_size(table) > GROUPS_MAX) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    struct group_config *groups =
        arena_array(&body->arena, json_object_size(table) + 1, sizeof *groups);
    *out = (struct group_table){
        .version = json_get_data_version(json_object_get(root, "dataVersion")),
        .groups = groups,
    };
    json_object_foreach(table, key, value)
    {
        groups[out->count++] = get_group(value, slice_text(key), body);
    }
    return STATUS_OK;
}

void group_table_encode(const struct group_table *table, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_key(&writer, "dataVersion");
    json_data_version(&writer, &table->version);
    json_key(&writer, "forbiddenTable"); // Tools copy it: absent would be null to them.
    json_raw(&writer, slice_text("{}"));
    json_key(&writer, "subscriptionGroupTable");
    json_begin(&writer, '{');
    for (size_t i = 0; i < table->count; i++) {
        json_key_slice(&writer, table->groups[i].name);
        put_group(&writer, &table->groups[i]);
    }
    json_end(&writer, '}');
    json_end(&writer, '}');
}

enum status group_config_list_decode(struct slice text, struct body *body, struct group_table *out)
{
    json_t *root;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    const json_t *list = json_object_get(root, "groupConfigList");
    if (json_array_size(list) > GROUPS_MAX) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    struct group_config *groups =
        arena_array(&body->arena, json_array_size(list) + 1, sizeof *groups);
    *out = (struct group_table){.groups = groups};
    for (size_t i = 0; i < json_array_size(list); i++) {
        groups[out->count] = get_group(json_array_get(list, i), (struct slice){0}, body);
        out->count += groups[out->count].name.size > 0;
    }
    return STATUS_OK;
}
