#include "common/remoting/body_topic.h"

#include "common/remoting/body_topic_json.h"

enum { QUEUES_DEFAULT = 16, PERM_DEFAULT = 6 };

struct topic_config topic_config_get(const json_t *json, struct body *body)
{
    struct topic_config config = {
        .name = json_get_text(json, "topicName"),
        .read_queues = json_get_i32(json, "readQueueNums", QUEUES_DEFAULT),
        .write_queues = json_get_i32(json, "writeQueueNums", QUEUES_DEFAULT),
        .perm = json_get_i32(json, "perm", PERM_DEFAULT),
        .sys_flag = json_get_i32(json, "topicSysFlag", 0),
        .order = json_get_bool(json, "order", false),
        .multi_tag = slice_equals_text(json_get_text(json, "topicFilterType"), "MULTI_TAG"),
    };
    config.attributes =
        json_get_pairs(json_object_get(json, "attributes"), body, &config.attribute_count);
    return config;
}

enum status topic_table_get(json_t *json, struct body *body, struct topic_table *out)
{
    const char *key;
    json_t *value;
    json_t *table = json_object_get(json, "topicConfigTable");
    if (json_object_size(table) > TOPICS_MAX) {
        return STATUS_MALFORMED;
    }
    struct topic_config *topics =
        arena_array(&body->arena, json_object_size(table) + 1, sizeof *topics);
    *out = (struct topic_table){
        .version = json_get_data_version(json_object_get(json, "dataVersion")),
        .topics = topics,
    };
    json_object_foreach(table, key, value)
    {
        struct topic_config *topic = &topics[out->count++];
        *topic = topic_config_get(value, body);
        if (topic->name.size == 0) {
            topic->name = slice_text(key);
        }
    }
    return STATUS_OK;
}

enum status topic_config_decode(struct slice text, struct body *body, struct topic_config *out)
{
    json_t *root;
    enum status status = body_parse(text, CLIENT_BODY_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    *out = topic_config_get(root, body);
    if (out->name.size == 0) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

enum status topic_table_decode(struct slice text, struct body *body, struct topic_table *out)
{
    json_t *root;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, &root);
    if (status == STATUS_OK) {
        status = topic_table_get(root, body, out);
        if (status != STATUS_OK) {
            body_close(body);
        }
    }
    return status;
}

enum status topic_config_list_decode(struct slice text, struct body *body, struct topic_table *out)
{
    json_t *root;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    const json_t *list = json_object_get(root, "topicConfigList");
    if (json_array_size(list) > TOPICS_MAX) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    struct topic_config *topics =
        arena_array(&body->arena, json_array_size(list) + 1, sizeof *topics);
    *out = (struct topic_table){.topics = topics};
    for (size_t i = 0; i < json_array_size(list); i++) {
        topics[out->count] = topic_config_get(json_array_get(list, i), body);
        out->count += topics[out->count].name.size > 0;
    }
    return STATUS_OK;
}

void topic_config_put(struct json_writer *writer, const struct topic_config *config)
{
    json_begin(writer, '{');
    json_key(writer, "attributes");
    json_pairs(writer, config->attributes, config->attribute_count);
    json_member_bool(writer, "order", config->order);
    json_member_int(writer, "perm", config->perm);
    json_member_int(writer, "readQueueNums", config->read_queues);
    json_member_text(writer, "topicFilterType",
                     slice_text(config->multi_tag ? "MULTI_TAG" : "SINGLE_TAG"));
    json_member_text(writer, "topicName", config->name);
    json_member_int(writer, "topicSysFlag", config->sys_flag);
    json_member_int(writer, "writeQueueNums", config->write_queues);
    json_end(writer, '}');
}

void topic_config_encode(const struct topic_config *config, struct buf *out)
{
    struct json_writer writer = {.out = out};
    topic_config_put(&writer, config);
}

void topic_table_put(struct json_writer *writer, const struct topic_table *table)
{
    json_begin(writer, '{');
    json_key(writer, "dataVersion");
    json_data_version(writer, &table->version);
    json_key(writer, "topicConfigTable");
    json_begin(writer, '{');
    for (size_t i = 0; i < table->count; i++) {
        json_key_slice(writer, table->topics[i].name);
        topic_config_put(writer, &table->topics[i]);
    }
    json_end(writer, '}');
    json_end(writer, '}');
}

void topic_table_encode(const struct topic_table *table, struct buf *out)
{
    struct json_writer writer = {.out = out};
    topic_table_put(&writer, table);
}
