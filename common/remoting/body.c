#include "common/remoting/body.h"

#include "common/base/decimal.h"
#include "common/remoting/body_json.h"
#include "common/remoting/dialect.h"

#include <strings.h>

void body_close(struct body *body)
{
    json_decref(body->json);
    arena_close(&body->arena);
    *body = (struct body){0};
}

enum status body_parse(struct slice text, size_t size_max, struct body *body, json_t **root)
{
    *body = (struct body){0};
    if (text.size == 0 || text.size > size_max) {
        return STATUS_MALFORMED;
    }
    json_t *tree = json_loadb((const char *)text.data, text.size, 0, NULL);
    if (tree == NULL) {
        struct buf strict = {0};
        if (dialect_to_json(text, &strict) == STATUS_OK) {
            tree = json_loadb((const char *)strict.data, strict.size, 0, NULL);
        }
        buf_close(&strict);
    }
    if (!json_is_object(tree)) {
        json_decref(tree);
        return STATUS_MALFORMED;
    }
    body->json = tree;
    *root = tree;
    return STATUS_OK;
}

struct slice json_as_text(const json_t *value)
{
    return slice_of(json_string_value(value), json_string_length(value));
}

bool json_as_i64(const json_t *value, int64_t *out)
{
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }
    if (json_is_boolean(value)) {
        *out = json_is_true(value);
        return true;
    }
    return json_is_string(value) && decimal_parse(json_as_text(value), out);
}

struct slice json_get_text(const json_t *object, const char *name)
{
    return json_as_text(json_object_get(object, name));
}

int64_t json_get_i64(const json_t *object, const char *name, int64_t otherwise)
{
    int64_t value = otherwise;
    json_as_i64(json_object_get(object, name), &value);
    return value;
}

int32_t json_get_i32(const json_t *object, const char *name, int32_t otherwise)
{
    int64_t value = json_get_i64(object, name, otherwise);
    return value < INT32_MIN || value > INT32_MAX ? otherwise : (int32_t)value;
}

bool json_get_bool(const json_t *object, const char *name, bool otherwise)
{
    const json_t *value = json_object_get(object, name);
    int64_t number;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        return strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0;
    }
    return json_as_i64(value, &number) ? number != 0 : otherwise;
}

struct text_pair *json_get_pairs(const json_t *map, struct body *body, size_t *count)
{
    const char *name;
    json_t *value;
    *count = 0;
    if (!json_is_object(map) || json_object_size(map) > PAIRS_MAX) {
        return NULL;
    }
    struct text_pair *pairs = arena_array(&body->arena, json_object_size(map) + 1, sizeof *pairs);
    // jansson's walk takes a tree it could change; it does not.
    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        struct slice text = json_as_text(value);
        int64_t number;
        if (json_is_integer(value) && json_as_i64(value, &number)) {
            char digits[DECIMAL_SIZE_MAX];
            text = arena_copy(&body->arena, slice_of(digits, decimal_format(number, digits)));
        } else if (json_is_boolean(value)) {
            text = slice_text(json_is_true(value) ? "true" : "false");
        } else if (!json_is_string(value)) {
            continue;
        }
        pairs[(*count)++] = (struct text_pair){slice_text(name), text};
    }
    return pairs;
}

struct queue_name json_get_queue(const json_t *object)
{
    return (struct queue_name){
        .topic = json_get_text(object, "topic"),
        .broker = json_get_text(object, "brokerName"),
        .queue_id = json_get_i32(object, "queueId", -1),
    };
}

void json_queue(struct json_writer *writer, const struct queue_name *queue)
{
    json_begin(writer, '{');
    json_member_text(writer, "brokerName", queue->broker);
    json_member_int(writer, "queueId", queue->queue_id);
    json_member_text(writer, "topic", queue->topic);
    json_end(writer, '}');
}

void json_pairs(struct json_writer *writer, const struct text_pair *pairs, size_t count)
{
    json_begin(writer, '{');
    for (size_t i = 0; i < count; i++) {
        json_key_slice(writer, pairs[i].name);
        json_text(writer, pairs[i].value);
    }
    json_end(writer, '}');
}

struct data_version json_get_data_version(const json_t *object)
{
    return (struct data_version){
        .state = json_get_i64(object, "stateVersion", 0),
        .timestamp_ms = json_get_i64(object, "timestamp", 0),
        .counter = json_get_i64(object, "counter", 0),
    };
}

void json_data_version(struct json_writer *writer, const struct data_version *version)
{
    json_begin(writer, '{');
    json_member_int(writer, "counter", version->counter);
    json_member_int(writer, "stateVersion", version->state);
    json_member_int(writer, "timestamp", version->timestamp_ms);
    json_end(writer, '}');
}

json_t *json_parse_key(const char *key)
{
    json_t *tree = json_loads(key, 0, NULL);
    if (!json_is_object(tree)) {
        json_decref(tree);
        return NULL;
    }
    return tree;
}

enum status data_version_decode(struct slice text, struct data_version *out)
{
    struct body body;
    json_t *root;
    enum status status = body_parse(text, CLIENT_BODY_SIZE_MAX, &body, &root);
    if (status == STATUS_OK) {
        *out = json_get_data_version(root);
        body_close(&body);
    }
    return status;
}

void data_version_encode(const struct data_version *version, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_data_version(&writer, version);
}
