#include "common/remoting/body_pop.h"

#include "common/base/base64url.h"
#include "common/remoting/body_json.h"

/* A member that goes by a short name or by a long one. */
static const json_t *member(const json_t *object, const char *name, const char *other)
{
    const json_t *value = json_object_get(object, name);
    return value == NULL ? json_object_get(object, other) : value;
}

static int64_t number_of(const json_t *value)
{
    int64_t number = -1;
    return json_as_i64(value, &number) ? number : -1;
}

/* -1 if it is none that fits. */
static int32_t small_of(const json_t *value)
{
    int64_t number = number_of(value);
    return number < 0 || number > INT32_MAX ? -1 : (int32_t)number;
}

/* Java writes the usual alphabet of base64. False if it is none. */
static bool bits_get(const json_t *value, struct body *body, struct slice *bits)
{
    struct slice text = json_as_text(value);
    struct buf decoded = {0};
    struct slice safe = arena_copy(&body->arena, text);
    uint8_t *bytes = (uint8_t *)safe.data;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '-' || text.data[i] == '_') {
            return false;
        }
        bytes[i] = text.data[i] == '+' ? '-' : text.data[i] == '/' ? '_' : text.data[i];
    }
    bool whole = base64url_decode(safe, &decoded);
    *bits = arena_copy(&body->arena, buf_slice(&decoded));
    buf_close(&decoded);
    return whole;
}

static bool batch_ack_get(const json_t *object, struct body *body, struct batch_ack *ack)
{
    *ack = (struct batch_ack){
        .group = json_as_text(member(object, "c", "consumerGroup")),
        .topic = json_as_text(member(object, "t", "topic")),
        .retry = json_as_text(member(object, "r", "retry")),
        .offset_first = number_of(member(object, "so", "startOffset")),
        .queue_id = small_of(member(object, "q", "queueId")),
        .revive_queue = small_of(member(object, "rq", "reviveQueueId")),
        .pop_ms = number_of(member(object, "pt", "popTime")),
        .invisible_ms = number_of(member(object, "it", "invisibleTime")),
    };
    return bits_get(member(object, "b", "bitSet"), body, &ack->bits);
}

enum status batch_ack_decode(struct slice text, struct body *body, struct batch_ack_request *out)
{
    json_t *root;
    enum status status = body_parse(text, CLIENT_BODY_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    const json_t *array = json_object_get(root, "acks");
    size_t count = json_array_size(array);
    bool valid = count <= BATCH_ACKS_MAX;
    struct batch_ack *acks = arena_array(&body->arena, valid ? count + 1 : 1, sizeof *acks);
    size_t bits = 0;
    for (size_t i = 0; i < count && valid; i++) {
        valid = batch_ack_get(json_array_get(array, i), body, &acks[i]);
        bits += acks[i].bits.size * 8;
        valid = valid && bits <= BATCH_ACK_BITS_MAX;
    }
    if (!valid) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    *out = (struct batch_ack_request){json_get_text(root, "brokerName"), count, acks};
    return STATUS_OK;
}

/* In the alphabet that Java reads. */
static void put_bits(struct json_writer *writer, struct slice bits)
{
    struct buf text = {0};
    base64url_append(&text, bits);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t safe = text.data[i];
        text.data[i] = safe == '-' ? '+' : safe == '_' ? '/' : safe;
    }
    json_member_text(writer, "b", buf_slice(&text));
    buf_close(&text);
}

void batch_ack_encode(const struct batch_ack_request *request, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_member_text(&writer, "brokerName", request->broker);
    json_key(&writer, "acks");
    json_begin(&writer, '[');
    for (size_t i = 0; i < request->count; i++) {
        const struct batch_ack *ack = &request->acks[i];
        json_begin(&writer, '{');
        json_member_text(&writer, "c", ack->group);
        json_member_text(&writer, "t", ack->topic);
        json_member_text(&writer, "r", ack->retry);
        json_member_int(&writer, "so", ack->offset_first);
        json_member_int(&writer, "q", ack->queue_id);
        json_member_int(&writer, "rq", ack->revive_queue);
        json_member_int(&writer, "pt", ack->pop_ms);
        json_member_int(&writer, "it", ack->invisible_ms);
        put_bits(&writer, ack->bits);
        json_end(&writer, '}');
    }
    json_end(&writer, ']');
    json_end(&writer, '}');
}

enum status mode_request_decode(struct slice text, struct body *body, struct mode_request *out)
{
    json_t *root;
    enum status status = body_parse(text, CLIENT_BODY_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    struct slice mode = json_get_text(root, "mode");
    *out = (struct mode_request){
        .topic = json_get_text(root, "topic"),
        .group = json_get_text(root, "consumerGroup"),
        .pop = slice_equals_text(mode, "POP"),
        .share_count = json_get_i32(root, "popShareQueueNum", 0),
    };
    if (!out->pop && mode.size > 0 && !slice_equals_text(mode, "PULL")) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

static void put_mode(struct json_writer *writer, const struct mode_request *mode)
{
    json_key_slice(writer, mode->group);
    json_begin(writer, '{');
    json_member_text(writer, "topic", mode->topic);
    json_member_text(writer, "consumerGroup", mode->group);
    json_member_text(writer, "mode", slice_text(mode->pop ? "POP" : "PULL"));
    json_member_int(writer, "popShareQueueNum", mode->share_count);
    json_end(writer, '}');
}

void mode_table_encode(const struct mode_request *modes, size_t count, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_key(&writer, "messageRequestModeMap");
    json_begin(&writer, '{');
    for (size_t i = 0; i < count; i++) {
        bool first = i == 0 || !slice_equals(modes[i].topic, modes[i - 1].topic);
        bool last = i + 1 == count || !slice_equals(modes[i].topic, modes[i + 1].topic);
        if (first) {
            json_key_slice(&writer, modes[i].topic);
            json_begin(&writer, '{');
        }
        put_mode(&writer, &modes[i]);
        if (last) {
            json_end(&writer, '}');
        }
    }
    json_end(&writer, '}');
    json_end(&writer, '}');
}

enum status assignment_request_decode(struct slice text, struct body *body,
                                      struct assignment_request *out)
{
    json_t *root;
    enum status status = body_parse(text, CLIENT_BODY_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    *out = (struct assignment_request){
        .topic = json_get_text(root, "topic"),
        .group = json_get_text(root, "consumerGroup"),
        .client_id = json_get_text(root, "clientId"),
        .strategy = json_get_text(root, "strategyName"),
        .broadcasting = slice_equals_text(json_get_text(root, "messageModel"), "BROADCASTING"),
    };
    return STATUS_OK;
}

void assignment_response_encode(const struct queue_name *queues, size_t count, bool pop,
                                struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    if (queues != NULL) {
        json_key(&writer, "messageQueueAssignments");
        json_begin(&writer, '[');
        for (size_t i = 0; i < count; i++) {
            json_begin(&writer, '{');
            json_key(&writer, "messageQueue");
            json_queue(&writer, &queues[i]);
            json_member_text(&writer, "mode", slice_text(pop ? "POP" : "PULL"));
            json_end(&writer, '}');
        }
        json_end(&writer, ']');
    }
    json_end(&writer, '}');
}
