#include "client/received.h"

#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/remoting/inflate.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

enum { INFLATED_MAX = 64 * 1024 * 1024 };

/* What raftmq_received.properties points to. */
struct property_view {
    struct slice string;
    const char *ended;
};

static const char *text_of(struct arena *arena, struct slice text);
static const char *property_text(const struct raftmq_received *message, const char *name);
static void take_properties(struct received *received, struct slice properties);
static bool take_body(struct received *received, const struct message *message);

enum status received_decode(struct slice *rest, struct slice broker, struct received *out)
{
    struct message message;
    size_t size;
    *out = (struct received){0};
    if (message_decode(*rest, &message, &size) != STATUS_OK) {
        *rest = (struct slice){0};
        return STATUS_MALFORMED;
    }
    *rest = slice_from(*rest, size);
    if (!take_body(out, &message)) {
        received_close(out);
        return STATUS_MALFORMED;
    }
    char offset_id[OFFSET_MESSAGE_ID_SIZE];
    struct slice retry_topic;
    struct slice topic = message.topic;
    struct raftmq_received *to = &out->message;
    take_properties(out, message.properties);
    if (topic_is_retry(topic) &&
        properties_find(message.properties, PROPERTY_RETRY_TOPIC, &retry_topic)) {
        topic = retry_topic;
    }
    offset_message_id_format(message.store_host, message.physical_offset, offset_id);
    to->topic = text_of(&out->arena, topic);
    to->broker = text_of(&out->arena, broker);
    to->queue_id = message.queue_id;
    to->queue_offset = message.queue_offset;
    to->physical_offset = message.physical_offset;
    to->offset_message_id = text_of(&out->arena, slice_of(offset_id, sizeof offset_id));
    to->message_id = property_text(to, PROPERTY_UNIQUE_KEY);
    if (to->message_id[0] == '\0') {
        to->message_id = to->offset_message_id;
    }
    to->tags = property_text(to, PROPERTY_TAGS);
    to->keys = property_text(to, PROPERTY_KEYS);
    to->born_ms = message.born_time_ms;
    to->stored_ms = message.store_time_ms;
    to->flag = message.flag;
    to->reconsume_times = message.reconsume_times;
    to->delivery_attempt =
        message.reconsume_times < INT32_MAX ? message.reconsume_times + 1 : INT32_MAX;
    to->handle = "";
    return STATUS_OK;
}

void received_set_handle(struct received *received, struct slice handle)
{
    received->message.handle = text_of(&received->arena, handle);
}

void received_close(struct received *received)
{
    arena_close(&received->arena);
    *received = (struct received){0};
}

static const char *text_of(struct arena *arena, struct slice text)
{
    return (const char *)arena_copy(arena, text).data;
}

static const char *property_text(const struct raftmq_received *message, const char *name)
{
    const char *text = raftmq_received_property(message, name);
    return text == NULL ? "" : text;
}

static bool take_body(struct received *received, const struct message *message)
{
    struct buf inflated = {0};
    struct slice body = message->body;
    if ((message->sys_flag & SYS_FLAG_COMPRESSED) != 0) {
        if (inflate_append(message->body, INFLATED_MAX, &inflated) != STATUS_OK) {
            buf_close(&inflated);
            return false;
        }
        body = buf_slice(&inflated);
    }
    body = arena_copy(&received->arena, body);
    received->message.body = body.data;
    received->message.body_size = body.size;
    buf_close(&inflated);
    return true;
}

/* A second copy of the string in which each piece ends with a NUL: values can be handed out of it
 * by place, by any number of threads. */
static void take_properties(struct received *received, struct slice properties)
{
    struct property_view *view = arena_alloc(&received->arena, sizeof *view);
    struct slice ended = arena_copy(&received->arena, properties);
    uint8_t *at = (uint8_t *)(uintptr_t)ended.data;
    for (size_t i = 0; i < ended.size; i++) {
        at[i] = at[i] == PROPERTY_END ? '\0' : at[i];
    }
    view->string = arena_copy(&received->arena, properties);
    view->ended = (const char *)ended.data;
    received->message.properties = view;
}

const char *raftmq_received_property(const struct raftmq_received *message, const char *name)
{
    const struct property_view *view = message->properties;
    struct slice value;
    if (view == NULL || !properties_find(view->string, name, &value)) {
        return NULL;
    }
    return view->ended + (value.data - view->string.data);
}
