#include "common/remoting/body_heartbeat.h"

#include "common/remoting/body_json.h"
#include "common/remoting/message.h"
#include "common/remoting/subscription.h"

static const char *const consume_types[] = {"CONSUME_ACTIVELY", "CONSUME_PASSIVELY", "CONSUME_POP"};
static const char *const message_models[] = {"BROADCASTING", "CLUSTERING"};
static const char *const consume_froms[] = {
    "CONSUME_FROM_LAST_OFFSET",  "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
    "CONSUME_FROM_MIN_OFFSET",   "CONSUME_FROM_MAX_OFFSET",
    "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP",
};

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof(array)[0]))

static bool get_consumer(const json_t *json, struct body *body, struct consumer_data *consumer);
static struct subscription_data get_subscription(const json_t *json);
static int32_t get_enum(const json_t *object, const char *name, const char *const *names,
                        int32_t count, int32_t otherwise);
static void put_consumer(struct json_writer *writer, const struct consumer_data *consumer);

static const char *name_of(const char *const *names, int32_t count, int32_t ordinal,
                           int32_t otherwise)
{
    return names[ordinal >= 0 && ordinal < count ? ordinal : otherwise];
}

const char *consume_type_name(int32_t type)
{
    return name_of(consume_types, COUNT(consume_types), type, CONSUME_PASSIVELY);
}

const char *message_model_name(int32_t model)
{
    return name_of(message_models, COUNT(message_models), model, MODEL_CLUSTERING);
}

const char *consume_from_name(int32_t from)
{
    return name_of(consume_froms, COUNT(consume_froms), from, CONSUME_FROM_LAST);
}

enum status heartbeat_decode(struct slice text, struct body *body, struct heartbeat *out)
{
    json_t *root;
    enum status status = body_parse(text, CLIENT_BODY_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    const json_t *producers = json_object_get(root, "producerDataSet");
    const json_t *consumers = json_object_get(root, "consumerDataSet");
    *out = (struct heartbeat){
        .client_id = json_get_text(root, "clientID"),
        .fingerprint = json_get_i32(root, "heartbeatFingerprint", 0),
        .without_subscriptions = json_get_bool(root, "withoutSub", false),
    };
    bool valid = out->client_id.size > 0 && json_array_size(producers) <= HEARTBEAT_GROUPS_MAX &&
                 json_array_size(consumers) <= HEARTBEAT_GROUPS_MAX;
    if (valid) {
        out->producers =
            arena_array(&body->arena, json_array_size(producers) + 1, sizeof *out->producers);
        out->consumers =
            arena_array(&body->arena, json_array_size(consumers) + 1, sizeof *out->consumers);
        for (size_t i = 0; i < json_array_size(producers); i++) {
            struct slice group = json_get_text(json_array_get(producers, i), "groupName");
            out->producers[out->producer_count] = group;
            out->producer_count += group.size > 0;
        }
    }
    for (size_t i = 0; valid && i < json_array_size(consumers); i++) {
        struct consumer_data *consumer = &out->consumers[out->consumer_count];
        valid = get_consumer(json_array_get(consumers, i), body, consumer);
        out->consumer_count += consumer->group.size > 0;
    }
    if (!valid) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

static bool get_consumer(const json_t *json, struct body *body, struct consumer_data *consumer)
{
    const json_t *subscriptions = json_object_get(json, "subscriptionDataSet");
    *consumer = (struct consumer_data){
        .group = json_get_text(json, "groupName"),
        .consume_type =
            get_enum(json, "consumeType", consume_types, COUNT(consume_types), CONSUME_PASSIVELY),
        .message_model =
            get_enum(json, "messageModel", message_models, COUNT(message_models), MODEL_CLUSTERING),
        .consume_from = get_enum(json, "consumeFromWhere", consume_froms, COUNT(consume_froms),
                                 CONSUME_FROM_LAST),
        .unit_mode = json_get_bool(json, "unitMode", false),
    };
    size_t count = json_array_size(subscriptions);
    if (count > HEARTBEAT_SUBSCRIPTIONS_MAX) {
        return false;
    }
    consumer->subscriptions = arena_array(&body->arena, count + 1, sizeof *consumer->subscriptions);
    for (size_t i = 0; i < count; i++) {
        struct subscription_data *data = &consumer->subscriptions[consumer->subscription_count];
        *data = get_subscription(json_array_get(subscriptions, i));
        consumer->subscription_count += data->topic.size > 0;
    }
    return true;
}

static struct subscription_data get_subscription(const json_t *json)
{
    struct subscription_data data = {
        .topic = json_get_text(json, "topic"),
        .expression = json_get_text(json, "subString"),
        .expression_type = json_get_text(json, "expressionType"),
        .version = json_get_i64(json, "subVersion", 0),
    };
    if (data.expression_type.size == 0) {
        data.expression_type = slice_text("TAG");
    }
    return data;
}

/* A name or an ordinal, bare or quoted. */
static int32_t get_enum(const json_t *object, const char *name, const char *const *names,
                        int32_t count, int32_t otherwise)
{
    struct slice text = json_get_text(object, name);
    for (int32_t i = 0; i < count; i++) {
        if (slice_equals_text(text, names[i])) {
            return i;
        }
    }
    int32_t ordinal = json_get_i32(object, name, otherwise);
    return ordinal >= 0 && ordinal < count ? ordinal : otherwise;
}

void heartbeat_encode(const struct heartbeat *heartbeat, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_member_text(&writer, "clientID", heartbeat->client_id);
    json_key(&writer, "consumerDataSet");
    json_begin(&writer, '[');
    for (size_t i = 0; i < heartbeat->consumer_count; i++) {
        put_consumer(&writer, &heartbeat->consumers[i]);
    }
    json_end(&writer, ']');
    json_member_int(&writer, "heartbeatFingerprint", heartbeat->fingerprint);
    json_key(&writer, "producerDataSet");
    json_begin(&writer, '[');
    for (size_t i = 0; i < heartbeat->producer_count; i++) {
        json_begin(&writer, '{');
        json_member_text(&writer, "groupName", heartbeat->producers[i]);
        json_end(&writer, '}');
    }
    json_end(&writer, ']');
    json_member_bool(&writer, "withoutSub", heartbeat->without_subscriptions);
    json_end(&writer, '}');
}

static void put_consumer(struct json_writer *writer, const struct consumer_data *consumer)
{
    json_begin(writer, '{');
    json_member_text(writer, "consumeFromWhere",
                     slice_text(consume_from_name(consumer->consume_from)));
    json_member_text(writer, "consumeType", slice_text(consume_type_name(consumer->consume_type)));
    json_member_text(writer, "groupName", consumer->group);
    json_member_text(writer, "messageModel",
                     slice_text(message_model_name(consumer->message_model)));
    json_key(writer, "subscriptionDataSet");
    json_begin(writer, '[');
    for (size_t i = 0; i < consumer->subscription_count; i++) {
        subscription_data_put(writer, &consumer->subscriptions[i]);
    }
    json_end(writer, ']');
    json_member_bool(writer, "unitMode", consumer->unit_mode);
    json_end(writer, '}');
}

void subscription_data_put(struct json_writer *writer, const struct subscription_data *data)
{
    bool tags =
        slice_equals_text(data->expression_type, "TAG") && !subscription_is_all(data->expression);
    struct slice rest = tags ? data->expression : (struct slice){0};
    struct slice tag;
    json_begin(writer, '{');
    json_member_bool(writer, "classFilterMode", false);
    json_key(writer, "codeSet");
    json_begin(writer, '[');
    while (subscription_next_tag(&rest, &tag)) {
        json_int(writer, java_hash_code(tag));
    }
    json_end(writer, ']');
    json_member_text(writer, "expressionType", data->expression_type);
    json_member_text(writer, "subString", data->expression);
    json_member_int(writer, "subVersion", data->version);
    json_key(writer, "tagsSet");
    json_begin(writer, '[');
    rest = tags ? data->expression : (struct slice){0};
    while (subscription_next_tag(&rest, &tag)) {
        json_text(writer, tag);
    }
    json_end(writer, ']');
    json_member_text(writer, "topic", data->topic);
    json_end(writer, '}');
}

enum status client_check_decode(struct slice text, struct body *body, struct client_check *out)
{
    json_t *root;
    enum status status = body_parse(text, CLIENT_BODY_SIZE_MAX, body, &root);
    if (status == STATUS_OK) {
        *out = (struct client_check){
            .client_id = json_get_text(root, "clientId"),
            .group = json_get_text(root, "group"),
            .subscription = get_subscription(json_object_get(root, "subscriptionData")),
        };
    }
    return status;
}

void client_check_encode(const struct client_check *check, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_member_text(&writer, "clientId", check->client_id);
    json_member_text(&writer, "group", check->group);
    json_key(&writer, "subscriptionData");
    subscription_data_put(&writer, &check->subscription);
    json_end(&writer, '}');
}
