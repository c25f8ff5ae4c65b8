#include "broker/core/send_batch.h"

#include "broker/core/send_delay.h"
#include "common/base/limits.h"

#include <stdlib.h>

enum {
    ITEM_FIXED_SIZE = 4 + 4 + 4 + 4 + 4, /* size, magic, crc, flag, body size */
    ITEM_SIZE_MIN = ITEM_FIXED_SIZE + 2,
};

/* Read the item at *at into what differs from message to message. */
static bool next_item(struct slice body, size_t *at, struct message *message)
{
    struct slice rest = slice_from(body, *at);
    if (rest.size < ITEM_SIZE_MIN) {
        return false;
    }
    uint32_t size = be32_get(rest.data);
    if (size < ITEM_SIZE_MIN || size > rest.size) {
        return false;
    }
    uint32_t body_size = be32_get(rest.data + 16);
    if (body_size > size - ITEM_SIZE_MIN) {
        return false;
    }
    const uint8_t *after_body = rest.data + ITEM_FIXED_SIZE + body_size;
    uint16_t properties_size = be16_get(after_body);
    if ((size_t)ITEM_SIZE_MIN + body_size + properties_size != size ||
        properties_size > MESSAGE_PROPERTIES_MAX) {
        return false;
    }
    message->flag = (int32_t)be32_get(rest.data + 12);
    message->body = slice_of(rest.data + ITEM_FIXED_SIZE, body_size);
    message->properties = slice_of(after_body + 2, properties_size);
    *at += size;
    return true;
}

enum status send_batch_measure(struct slice body, const struct message *common,
                               struct batch_shape *shape)
{
    struct message message = *common;
    *shape = (struct batch_shape){.trouble = "the batch holds no message"};
    for (size_t at = 0; at < body.size;) {
        if (!next_item(body, &at, &message)) {
            shape->trouble = "the lengths inside the batch contradict each other";
            return STATUS_MESSAGE_ILLEGAL;
        }
        if (send_delay_asked(message.properties)) {
            shape->trouble = "a message within a batch cannot be delayed";
            return STATUS_MESSAGE_ILLEGAL;
        }
        shape->stored_size += message_size(&message);
        shape->count++;
        if (shape->count > BATCH_MESSAGES_MAX || shape->stored_size > MESSAGE_SIZE_MAX) {
            shape->trouble = "the batch is larger than one message may be, or has more than 4096 "
                             "messages";
            return STATUS_MESSAGE_ILLEGAL;
        }
    }
    return shape->count == 0 ? STATUS_MESSAGE_ILLEGAL : STATUS_OK;
}

struct stored_context *send_batch_append(struct slice body, const struct message *common,
                                         const struct batch_shape *shape, struct buf *out)
{
    struct message message = *common;
    struct stored_context *context = mem_zalloc(sizeof *context);
    context->sizes = mem_alloc(shape->count * sizeof context->sizes[0]);
    context->count = shape->count;
    size_t at = 0;
    for (uint32_t i = 0; i < shape->count; i++) {
        bool more = next_item(body, &at, &message);
        ASSERT(more);
        context->sizes[i] = (uint32_t)message_size(&message);
        message_encode(&message, out);
    }
    return context;
}

void stored_context_free(struct stored_context *context)
{
    if (context != NULL) {
        buf_close(&context->recall);
        free(context->sizes);
        free(context);
    }
}
