#include "client/outgoing.h"

#include "common/base/decimal.h"
#include "common/base/limits.h"
#include "common/remoting/codes.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <zlib.h>

enum {
    OWN_PROPERTIES_MAX = 512, /* What this library adds. */
    DELAY_LEVEL_MAX = 18,
    COMPRESSION_LEVEL = 5,
};

static bool reserved(struct slice name);
static bool clean(const char *text);

enum raftmq_status outgoing_check(const struct raftmq_message *message, struct raftmq_error *error)
{
    struct slice topic = slice_text(message->topic);
    if (!topic_name_valid(topic) || topic_closed_to_clients(topic)) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "the topic name is not valid");
    }
    if (message->body_size > MESSAGE_BODY_MAX ||
        (message->body == NULL && message->body_size > 0)) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "the body is larger than %d bytes",
                         MESSAGE_BODY_MAX);
    }
    if (message->delay_level < 0 || message->delay_level > DELAY_LEVEL_MAX) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "the delay level is not 0 to %d",
                         DELAY_LEVEL_MAX);
    }
    if ((message->delay_level > 0) + (message->delay_ms > 0) + (message->deliver_at_ms > 0) > 1 ||
        message->delay_ms > INT64_MAX || message->deliver_at_ms > INT64_MAX) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "a message has one delay at most");
    }
    if (!clean(message->tags) || !clean(message->keys) || !clean(message->shard_key)) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "tags or keys contain bytes 1 or 2");
    }
    size_t size = slice_text(message->tags).size + slice_text(message->keys).size +
                  slice_text(message->shard_key).size + OWN_PROPERTIES_MAX;
    for (size_t i = 0; i < message->property_count; i++) {
        const struct raftmq_property *property = &message->properties[i];
        struct slice name = slice_text(property->name);
        struct slice value = slice_text(property->value);
        if (name.size == 0 || value.size == 0 || !properties_clean(name) ||
            !properties_clean(value) || reserved(name)) {
            return error_set(error, RAFTMQ_INVALID_ARGUMENT, "property \"%.60s\" is not valid",
                             property->name == NULL ? "" : property->name);
        }
        size += name.size + value.size + 2;
    }
    if (size > MESSAGE_PROPERTIES_MAX) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "the properties are too large");
    }
    return RAFTMQ_OK;
}

static bool clean(const char *text)
{
    return properties_clean(slice_text(text));
}

/* Names that the system gives a meaning to (MessageConst.STRING_HASH_SET). */
static bool reserved(struct slice name)
{
    static const char *const names[] = {
        PROPERTY_KEYS,
        PROPERTY_TAGS,
        PROPERTY_WAIT,
        PROPERTY_DELAY,
        PROPERTY_RETRY_TOPIC,
        PROPERTY_REAL_TOPIC,
        PROPERTY_REAL_QUEUE_ID,
        PROPERTY_TRANSACTION_PREPARED,
        PROPERTY_PRODUCER_GROUP,
        PROPERTY_UNIQUE_KEY,
        PROPERTY_REGION,
        PROPERTY_TRACE,
        PROPERTY_POP_RECEIPT,
        PROPERTY_TRANSACTION_ID,
        PROPERTY_CLUSTER,
        PROPERTY_CHECK_TIMES,
        PROPERTY_TIMER_DELAY_SEC,
        PROPERTY_TIMER_DELAY_MS,
        PROPERTY_TIMER_DELIVER_MS,
        PROPERTY_TIMER_OUT_MS,
        PROPERTY_REPLY_TO_CLIENT,
        PROPERTY_CORRELATION_ID,
        PROPERTY_MESSAGE_TYPE,
        PROPERTY_TTL,
        "MIN_OFFSET",
        "MAX_OFFSET",
        "ORIGIN_MESSAGE_ID",
        "RECONSUME_TIME",
        "MAX_RECONSUME_TIMES",
        "CONSUME_START_TIME",
        "INNER_NUM",
        "INNER_BASE",
        "__SHARDINGKEY",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_equals_text(name, names[i])) {
            return true;
        }
    }
    return false;
}

static void put(struct buf *out, size_t start, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        properties_append(out, start, name, slice_text(value));
    }
}

static void put_number(struct buf *out, size_t start, const char *name, uint64_t value)
{
    if (value > 0) {
        char text[DECIMAL_SIZE_MAX];
        size_t size = decimal_format((int64_t)value, text); // At most INT64_MAX: outgoing_check().
        properties_append(out, start, name, slice_of(text, size));
    }
}

bool outgoing_delayed(const struct raftmq_message *message)
{
    return message->delay_level != 0 || message->delay_ms != 0 || message->deliver_at_ms != 0;
}

void outgoing_properties(const struct raftmq_message *message, struct slice unique_key,
                         const char *transaction_group, struct buf *out)
{
    size_t start = out->size;
    put(out, start, PROPERTY_KEYS, message->keys);
    put(out, start, PROPERTY_TAGS, message->tags);
    properties_append(out, start, PROPERTY_UNIQUE_KEY, unique_key);
    put(out, start, PROPERTY_WAIT, "true");
    put(out, start, "__SHARDINGKEY", message->shard_key);
    if (transaction_group != NULL) {
        put(out, start, PROPERTY_TRANSACTION_PREPARED, "true");
        put(out, start, PROPERTY_PRODUCER_GROUP, transaction_group);
    }
    put_number(out, start, PROPERTY_DELAY, (uint64_t)message->delay_level);
    put_number(out, start, PROPERTY_TIMER_DELAY_MS, message->delay_ms);
    put_number(out, start, PROPERTY_TIMER_DELIVER_MS, message->deliver_at_ms);
    for (size_t i = 0; i < message->property_count; i++) {
        put(out, start, message->properties[i].name, message->properties[i].value);
    }
}

void outgoing_batch_item(const struct raftmq_message *message, struct slice unique_key,
                         struct buf *out)
{
    size_t start = out->size;
    buf_put_be32(out, 0); // Size, set below.
    buf_put_be32(out, 0); // Magic and CRC are the broker's to set.
    buf_put_be32(out, 0);
    buf_put_be32(out, (uint32_t)message->flag);
    buf_put_be32(out, (uint32_t)message->body_size);
    buf_put(out, message->body, message->body_size);
    size_t properties_at = out->size;
    buf_put_be16(out, 0);
    outgoing_properties(message, unique_key, NULL, out);
    be16_put(out->data + properties_at, (uint16_t)(out->size - properties_at - 2));
    be32_put(out->data + start, (uint32_t)(out->size - start));
}

int32_t outgoing_body(const struct raftmq_message *message, size_t compress_above, struct buf *out)
{
    if (compress_above > 0 && message->body_size > compress_above) {
        size_t start = out->size;
        uLongf size = compressBound(message->body_size);
        uint8_t *to = buf_extend(out, size);
        if (compress2(to, &size, message->body, message->body_size, COMPRESSION_LEVEL) == Z_OK &&
            size < message->body_size) {
            out->size = start + size;
            return SYS_FLAG_COMPRESSED;
        }
        out->size = start;
    }
    buf_put(out, message->body, message->body_size);
    return 0;
}

void outgoing_request(const struct outgoing *outgoing, struct buf *scratch, struct command *request)
{
    buf_clear(scratch);
    buf_reserve(scratch, 256);
    int32_t code = outgoing->batch   ? REQUEST_SEND_BATCH_MESSAGE
                   : outgoing->reply ? REQUEST_SEND_REPLY_MESSAGE_V2
                                     : REQUEST_SEND_MESSAGE_V2;
    command_init_request(request, code, 0);
    command_add(request, "a", outgoing->group);
    command_add(request, "b", outgoing->topic);
    command_add(request, "c", slice_text(TOPIC_DEFAULT));
    command_add_i64(request, "d", DEFAULT_TOPIC_QUEUES, scratch);
    command_add_i64(request, "e", outgoing->queue_id, scratch);
    command_add_i64(request, "f", outgoing->sys_flag, scratch);
    command_add_i64(request, "g", outgoing->born_ms, scratch);
    command_add_i64(request, "h", outgoing->flag, scratch);
    command_add(request, "i", outgoing->properties);
    command_add(request, "j", slice_text("0"));
    command_add(request, "k", slice_text("false"));
    command_add(request, "m", slice_text(outgoing->batch ? "true" : "false"));
    command_add(request, "n", outgoing->broker);
    command_add(request, "bname", outgoing->broker);
    request->body = outgoing->body;
}
