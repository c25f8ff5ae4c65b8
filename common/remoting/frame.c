/* The frame round a header and a body: length, form and header length, header, body. */
#include "common/remoting/header.h"

enum {
    LENGTH_SIZE = 4, /* The length field, which does not count itself. */
    MARK_SIZE = 4,   /* Form (8 bits) and header length (24 bits). */
    HEADER_LENGTH_MASK = 0xFFFFFF,
};

enum status frame_measure(const uint8_t *bytes, size_t *frame_size)
{
    uint32_t length = be32_get(bytes);
    uint32_t mark = be32_get(bytes + LENGTH_SIZE);
    uint32_t header_size = mark & HEADER_LENGTH_MASK;
    if (length < MARK_SIZE || length > FRAME_SIZE_MAX - LENGTH_SIZE) {
        return STATUS_MALFORMED;
    }
    if (header_size > length - MARK_SIZE || header_size > HEADER_SIZE_MAX) {
        return STATUS_MALFORMED;
    }
    if (mark >> 24 != SERIALIZE_JSON && mark >> 24 != SERIALIZE_BINARY) {
        return STATUS_MALFORMED;
    }
    *frame_size = LENGTH_SIZE + (size_t)length;
    return STATUS_OK;
}

enum status command_decode(struct slice frame, struct buf *scratch, struct command *command)
{
    size_t frame_size;
    if (frame.size < FRAME_PREFIX_SIZE || frame_measure(frame.data, &frame_size) != STATUS_OK ||
        frame_size != frame.size) {
        return STATUS_MALFORMED;
    }
    uint32_t mark = be32_get(frame.data + LENGTH_SIZE);
    size_t header_size = mark & HEADER_LENGTH_MASK;
    struct slice header = slice_of(frame.data + FRAME_PREFIX_SIZE, header_size);
    command->serialize_type = (enum serialize_type)(mark >> 24);
    command->body = slice_from(frame, FRAME_PREFIX_SIZE + header_size);
    return command->serialize_type == SERIALIZE_JSON ? header_json_decode(header, scratch, command)
                                                     : header_binary_decode(header, command);
}

void command_encode(const struct command *command, struct buf *out)
{
    command_encode_head(command, command->body.size, out);
    buf_put_slice(out, command->body);
}

void command_encode_head(const struct command *command, size_t body_size, struct buf *out)
{
    size_t start = out->size;
    buf_extend(out, FRAME_PREFIX_SIZE);
    if (command->serialize_type == SERIALIZE_JSON) {
        header_json_encode(command, out);
    } else {
        header_binary_encode(command, out);
    }
    size_t header_size = out->size - start - FRAME_PREFIX_SIZE;
    ASSERT(header_size <= HEADER_LENGTH_MASK);
    ASSERT(body_size <= FRAME_SIZE_MAX - FRAME_PREFIX_SIZE - header_size);
    be32_put(out->data + start, (uint32_t)(MARK_SIZE + header_size + body_size));
    be32_put(out->data + start + LENGTH_SIZE,
             (uint32_t)command->serialize_type << 24 | (uint32_t)header_size);
}
