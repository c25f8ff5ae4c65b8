#include "common/remoting/json_text.h"

#include "common/base/decimal.h"
#include "common/base/utf8.h"

static struct slice put_special(struct buf *out, struct slice rest);

void json_put_string(struct buf *out, struct slice text)
{
    struct slice rest = text;
    buf_put_u8(out, '"');
    while (rest.size > 0) {
        size_t plain = 0;
        while (plain < rest.size && rest.data[plain] >= 0x20 && rest.data[plain] < 0x80 &&
               rest.data[plain] != '"' && rest.data[plain] != '\\') {
            plain++;
        }
        buf_put(out, rest.data, plain);
        rest = slice_from(rest, plain);
        if (rest.size > 0) {
            rest = put_special(out, rest);
        }
    }
    buf_put_u8(out, '"');
}

/* One character that cannot simply be copied; returns what follows it. */
static struct slice put_special(struct buf *out, struct slice rest)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t byte = rest.data[0];
    if (byte >= 0x80) {
        uint8_t bytes[UTF8_SIZE_MAX];
        buf_put(out, bytes, utf8_put(utf8_next(&rest), bytes));
        return rest;
    }
    if (byte >= 0x20) {
        const uint8_t escape[] = {'\\', byte};
        buf_put(out, escape, sizeof escape);
    } else {
        const uint8_t escape[] = {
            '\\', 'u', '0', '0', (uint8_t)hex[byte >> 4], (uint8_t)hex[byte & 15]};
        buf_put(out, escape, sizeof escape);
    }
    return slice_from(rest, 1);
}

void json_put_number(struct buf *out, int64_t value)
{
    char text[DECIMAL_SIZE_MAX];
    buf_put(out, text, decimal_format(value, text));
}

static void separate(struct json_writer *writer)
{
    if (writer->comma) {
        buf_put_u8(writer->out, ',');
    }
    writer->comma = true;
}

void json_begin(struct json_writer *writer, char bracket)
{
    separate(writer);
    buf_put_u8(writer->out, (uint8_t)bracket);
    writer->comma = false;
}

void json_end(struct json_writer *writer, char bracket)
{
    buf_put_u8(writer->out, (uint8_t)bracket);
    writer->comma = true;
}

void json_key(struct json_writer *writer, const char *name)
{
    json_key_slice(writer, slice_text(name));
}

void json_key_slice(struct json_writer *writer, struct slice name)
{
    separate(writer);
    json_put_string(writer->out, name);
    json_key_was_object(writer);
}

void json_key_was_object(struct json_writer *writer)
{
    buf_put_u8(writer->out, ':');
    writer->comma = false;
}

void json_text(struct json_writer *writer, struct slice text)
{
    separate(writer);
    json_put_string(writer->out, text);
}

void json_int(struct json_writer *writer, int64_t value)
{
    separate(writer);
    json_put_number(writer->out, value);
}

void json_bool(struct json_writer *writer, bool value)
{
    json_raw(writer, slice_text(value ? "true" : "false"));
}

void json_double(struct json_writer *writer, double value)
{
    separate(writer);
    buf_printf(writer->out, "%.1f", value);
}

void json_raw(struct json_writer *writer, struct slice text)
{
    separate(writer);
    buf_put_slice(writer->out, text);
}

void json_member_text(struct json_writer *writer, const char *name, struct slice text)
{
    json_key(writer, name);
    json_text(writer, text);
}

void json_member_int(struct json_writer *writer, const char *name, int64_t value)
{
    json_key(writer, name);
    json_int(writer, value);
}

void json_member_bool(struct json_writer *writer, const char *name, bool value)
{
    json_key(writer, name);
    json_bool(writer, value);
}
