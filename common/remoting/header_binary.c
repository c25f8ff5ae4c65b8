/* The ROCKETMQ (binary) form of a header. */
#include "common/remoting/header.h"

enum {
    FIXED_SIZE = 21, /* All but the remark's text and the field map. */
    ORDINAL_MAX = 13,
};

struct reader {
    const uint8_t *at;
    size_t left;
};

static enum status decode_fields(struct reader reader, struct command *command);
static bool read_text(struct reader *reader, size_t length_size, struct slice *text);
static int32_t restore_code(int32_t code, int32_t flag);

enum status header_binary_decode(struct slice header, struct command *command)
{
    if (header.size < FIXED_SIZE) {
        return STATUS_MALFORMED;
    }
    struct reader reader = {header.data + 13, header.size - 13};
    uint8_t language = header.data[2];
    command->language = language <= ORDINAL_MAX ? language : LANGUAGE_UNKNOWN;
    command->version = (int16_t)be16_get(header.data + 3);
    command->opaque = (int32_t)be32_get(header.data + 5);
    command->flag = (int32_t)be32_get(header.data + 9);
    command->code = restore_code((int16_t)be16_get(header.data), command->flag);
    command->field_count = 0;
    struct slice fields;
    if (!read_text(&reader, 4, &command->remark) || !read_text(&reader, 4, &fields) ||
        reader.left != 0) {
        return STATUS_MALFORMED;
    }
    return decode_fields((struct reader){fields.data, fields.size}, command);
}

static enum status decode_fields(struct reader reader, struct command *command)
{
    while (reader.left > 0) {
        struct field field;
        if (!read_text(&reader, 2, &field.name) || !read_text(&reader, 4, &field.value) ||
            command->field_count == HEADER_FIELDS_MAX) {
            return STATUS_MALFORMED;
        }
        command->fields[command->field_count++] = field;
    }
    return STATUS_OK;
}

/* A length of length_size bytes and so many bytes of text. */
static bool read_text(struct reader *reader, size_t length_size, struct slice *text)
{
    if (reader->left < length_size) {
        return false;
    }
    // Lengths are signed there; a negative one of 4 bytes is larger than any header.
    uint32_t length = length_size == 2 ? be16_get(reader->at) : be32_get(reader->at);
    if (length > reader->left - length_size || (length_size == 2 && length > INT16_MAX)) {
        return false;
    }
    *text = slice_of(reader->at + length_size, length);
    reader->at += length_size + length;
    reader->left -= length_size + length;
    return true;
}

/* Codes are 16 bits wide here, which cuts those of POP (200050 …) to numbers that mean nothing
 * else; responses have no such codes. */
static int32_t restore_code(int32_t code, int32_t flag)
{
    enum { POP_FIRST = 200050, POP_LAST = 200056, BATCH_ACK = 200151 };
    if ((flag & COMMAND_FLAG_RESPONSE) == 0) {
        if (code >= (int16_t)POP_FIRST && code <= (int16_t)POP_LAST) {
            return code - (int16_t)POP_FIRST + POP_FIRST;
        }
        if (code == (int16_t)BATCH_ACK) {
            return BATCH_ACK;
        }
    }
    return code;
}

void header_binary_encode(const struct command *command, struct buf *out)
{
    int32_t language = command->language;
    buf_put_be16(out, (uint16_t)command->code);
    buf_put_u8(out, (uint8_t)(language < 0 || language > ORDINAL_MAX ? LANGUAGE_OTHER : language));
    buf_put_be16(out, (uint16_t)command->version);
    buf_put_be32(out, (uint32_t)command->opaque);
    buf_put_be32(out, (uint32_t)command->flag);
    buf_put_be32(out, (uint32_t)command->remark.size);
    buf_put_slice(out, command->remark);
    size_t fields_at = out->size;
    buf_put_be32(out, 0);
    for (uint32_t i = 0; i < command->field_count; i++) {
        const struct field *field = &command->fields[i];
        ASSERT(field->name.size <= INT16_MAX);
        buf_put_be16(out, (uint16_t)field->name.size);
        buf_put_slice(out, field->name);
        buf_put_be32(out, (uint32_t)field->value.size);
        buf_put_slice(out, field->value);
    }
    be32_put(out->data + fields_at, (uint32_t)(out->size - fields_at - 4));
}
