#include "admin/message_json.h"

#include "common/base/utf8.h"
#include "common/remoting/properties.h"

#include <stdlib.h>
#include <string.h>

const struct column message_members[MESSAGE_MEMBER_COUNT] = {
    {"message id", "id"},    {"offset id", "offsetId"},      {"topic", "topic"},
    {"queue", "queue"},      {"offset", "offset"},           {"tag", "tag"},
    {"keys", "keys"},        {"born", "bornTime"},           {"born on", "bornHost"},
    {"stored", "storeTime"}, {"stored on", "storeHost"},     {"consumed again", "reconsumeTimes"},
    {"flags", "sysFlag"},    {"properties", "propertyText"}, {"size", "bodySize"},
    {"body", "body"},
};

static json_t *host_json(struct host host)
{
    struct buf text = {0};
    host_format(host, &text);
    json_t *json = json_slice(buf_slice(&text));
    buf_close(&text);
    return json;
}

void json_set_body(json_t *json, struct slice body)
{
    json_object_set_new(json, "bodySize", json_integer((json_int_t)body.size));
    if (utf8_valid(body) && (body.size == 0 || memchr(body.data, 0, body.size) == NULL)) {
        json_object_set_new(json, "body", json_slice(body));
        return;
    }
    struct buf hex = {0};
    for (size_t i = 0; i < body.size; i++) {
        buf_printf(&hex, "%02x", body.data[i]);
    }
    json_object_set_new(json, "bodyHex", json_slice(buf_slice(&hex)));
    buf_close(&hex);
}

static void set_properties(json_t *json, struct slice properties)
{
    json_t *object = json_object();
    struct buf text = {0};
    struct slice name;
    struct slice value;
    while (properties_next(&properties, &name, &value)) {
        char *key = mem_copy_text(name);
        json_object_set_new(object, key, json_slice(value));
        buf_printf(&text, "%s%.*s=%.*s", text.size == 0 ? "" : " ", SLICE_ARGS(name),
                   SLICE_ARGS(value));
        free(key);
    }
    static const struct {
        const char *property;
        const char *member;
    } shown[] = {{PROPERTY_UNIQUE_KEY, "id"}, {PROPERTY_TAGS, "tag"}, {PROPERTY_KEYS, "keys"}};
    for (size_t i = 0; i < OUTPUT_COUNT(shown); i++) {
        json_t *found = json_object_get(object, shown[i].property);
        if (found != NULL) {
            json_object_set(json, shown[i].member, found);
        }
    }
    json_object_set_new(json, "properties", object);
    json_object_set_new(json, "propertyText", json_slice(buf_slice(&text)));
    buf_close(&text);
}

json_t *message_json(const struct message *message)
{
    char offset_id[OFFSET_MESSAGE_ID_SIZE];
    offset_message_id_format(message->store_host, message->physical_offset, offset_id);
    json_t *json = json_pack(
        "{s:o, s:o, s:i, s:I, s:I, s:I, s:o, s:o, s:i, s:i}", "offsetId",
        json_slice(slice_of(offset_id, sizeof offset_id)), "topic", json_slice(message->topic),
        "queue", message->queue_id, "offset", (json_int_t)message->queue_offset, "bornTime",
        (json_int_t)message->born_time_ms, "storeTime", (json_int_t)message->store_time_ms,
        "bornHost", host_json(message->born_host), "storeHost", host_json(message->store_host),
        "reconsumeTimes", message->reconsume_times, "sysFlag", message->sys_flag);
    set_properties(json, message->properties);
    json_set_body(json, message->body);
    return json;
}
