#include "common/remoting/dialect.h"

#include "common/remoting/json_text.h"

enum { DEPTH_MAX = 32 };

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    struct buf *out;
    bool in_key; /* Within a key that is an object. */
};

static bool value(struct reader *reader, int depth);
static bool object(struct reader *reader, int depth);
static bool array(struct reader *reader, int depth);
static bool key(struct reader *reader, int depth);
static bool composite_key(struct reader *reader, int depth);
static bool string(struct reader *reader);
static bool escape(struct reader *reader);
static bool bare_value(struct reader *reader);

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
                                        *reader->at == '\r' || *reader->at == '\t')) {
        reader->at++;
    }
}

static bool take(struct reader *reader, uint8_t byte)
{
    skip_space(reader);
    if (reader->at < reader->end && *reader->at == byte) {
        reader->at++;
        return true;
    }
    return false;
}

/* The next byte that is not space; 0 at the end. */
static uint8_t peek(struct reader *reader)
{
    skip_space(reader);
    return reader->at < reader->end ? *reader->at : 0;
}

enum status dialect_to_json(struct slice text, struct buf *out)
{
    struct reader reader = {text.data, text.data + text.size, out, false};
    bool whole = value(&reader, 0) && peek(&reader) == 0 && reader.at == reader.end;
    return whole ? STATUS_OK : STATUS_MALFORMED;
}

static bool value(struct reader *reader, int depth)
{
    if (depth == DEPTH_MAX) {
        return false;
    }
    switch (peek(reader)) {
    case '{':
        return object(reader, depth);
    case '[':
        return array(reader, depth);
    case '"':
    case '\'':
        return string(reader);
    default:
        return bare_value(reader);
    }
}

static bool object(struct reader *reader, int depth)
{
    bool first = true;
    reader->at++;
    buf_put_u8(reader->out, '{');
    while (!take(reader, '}')) {
        if (!first) {
            buf_put_u8(reader->out, ',');
        }
        first = false;
        if (!key(reader, depth) || !take(reader, ':')) {
            return false;
        }
        buf_put_u8(reader->out, ':');
        if (!value(reader, depth + 1) || (!take(reader, ',') && peek(reader) != '}')) {
            return false;
        }
    }
    buf_put_u8(reader->out, '}');
    return true;
}

static bool array(struct reader *reader, int depth)
{
    bool first = true;
    reader->at++;
    buf_put_u8(reader->out, '[');
    while (!take(reader, ']')) {
        if (!first) {
            buf_put_u8(reader->out, ',');
        }
        first = false;
        if (!value(reader, depth + 1) || (!take(reader, ',') && peek(reader) != ']')) {
            return false;
        }
    }
    buf_put_u8(reader->out, ']');
    return true;
}

static bool is_bare(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || byte == '_' || byte == '$' || byte == '-' ||
           byte == '+' || byte == '.';
}

static struct slice bare_word(struct reader *reader)
{
    const uint8_t *start = reader->at;
    while (reader->at < reader->end && is_bare(*reader->at)) {
        reader->at++;
    }
    return slice_of(start, (size_t)(reader->at - start));
}

static bool key(struct reader *reader, int depth)
{
    uint8_t first = peek(reader);
    if (first == '"' || first == '\'') {
        return string(reader);
    }
    if (first == '{' || first == '[') {
        return composite_key(reader, depth);
    }
    struct slice word = bare_word(reader);
    json_put_string(reader->out, word);
    return word.size > 0;
}

/* Only one level, as quoting what is quoted already would grow without bound. */
static bool composite_key(struct reader *reader, int depth)
{
    if (reader->in_key) {
        return false;
    }
    struct buf text = {0};
    struct reader inner = {reader->at, reader->end, &text, true};
    bool read = value(&inner, depth + 1);
    reader->at = inner.at;
    if (read) {
        json_put_string(reader->out, buf_slice(&text));
    }
    buf_close(&text);
    return read;
}

/* What strict JSON lacks among scalars. */
static bool bare_value(struct reader *reader)
{
    struct slice word = bare_word(reader);
    if (slice_equals_text(word, "undefined") || slice_equals_text(word, "NaN")) {
        word = slice_text("null");
    }
    buf_put_slice(reader->out, word);
    return word.size > 0; // Whether it is a number is for the strict parser to say.
}

static bool string(struct reader *reader)
{
    uint8_t quote = *reader->at++;
    buf_put_u8(reader->out, '"');
    while (reader->at < reader->end && *reader->at != quote) {
        uint8_t byte = *reader->at;
        if (byte == '\\') {
            if (!escape(reader)) {
                return false;
            }
            continue;
        }
        if (byte < 0x20) {
            buf_printf(reader->out, "\\u%04x", byte);
        } else {
            if (byte == '"') {
                buf_put_u8(reader->out, '\\');
            }
            buf_put_u8(reader->out, byte);
        }
        reader->at++;
    }
    buf_put_u8(reader->out, '"');
    return reader->at++ < reader->end;
}

static bool escape(struct reader *reader)
{
    if (reader->end - reader->at < 2) {
        return false;
    }
    uint8_t letter = reader->at[1];
    reader->at += 2;
    if (letter == '\'') {
        buf_put_u8(reader->out, '\'');
    } else if (letter == 'v') {
        buf_put_text(reader->out, "\\u000b");
    } else if (letter >= '0' && letter <= '7') {
        buf_printf(reader->out, "\\u000%c", letter);
    } else if (letter == 'x') {
        if (reader->end - reader->at < 2) {
            return false;
        }
        buf_put_text(reader->out, "\\u00");
        buf_put(reader->out, reader->at, 2);
        reader->at += 2;
    } else {
        const uint8_t as_it_is[] = {'\\', letter};
        buf_put(reader->out, as_it_is, sizeof as_it_is);
    }
    return true;
}
