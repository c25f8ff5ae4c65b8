/* The JSON form of a header: a single pass without allocation, as every request goes through it. */
#include "common/remoting/header.h"

#include "common/base/decimal.h"
#include "common/base/utf8.h"
#include "common/remoting/json_text.h"

enum { DEPTH_MAX = 16 }; /* Of values nobody reads, which are skipped. */

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    struct buf *scratch; /* Unescaped text; has room for all that is left. */
};

static bool read_member(struct reader *reader, struct slice name, struct command *command,
                        bool *has_code);
static bool read_fields(struct reader *reader, struct command *command);
static bool read_number(struct reader *reader, int32_t *number, bool *present);
static bool read_scalar(struct reader *reader, struct slice *text, bool *present);
static bool read_string(struct reader *reader, struct slice *text);
static bool read_escaped(struct reader *reader, const uint8_t *start, struct slice *text);
static bool read_escape(struct reader *reader);
static bool read_hex4(struct reader *reader, uint32_t *unit);
static bool read_bare(struct reader *reader, struct slice *text);
static bool skip_value(struct reader *reader, int depth);
static const uint8_t *plain_end(const uint8_t *at, const uint8_t *end);
static void put_number(struct buf *out, const char *before, int64_t value);

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
                                        *reader->at == '\r' || *reader->at == '\t')) {
        reader->at++;
    }
}

/* Skip space and take the byte if it is next. */
static bool take(struct reader *reader, uint8_t byte)
{
    skip_space(reader);
    if (reader->at < reader->end && *reader->at == byte) {
        reader->at++;
        return true;
    }
    return false;
}

enum status header_json_decode(struct slice header, struct buf *scratch, struct command *command)
{
    buf_reserve(scratch, header.size);
    struct reader reader = {header.data, header.data + header.size, scratch};
    bool has_code = false;
    command->language = LANGUAGE_UNKNOWN;
    command->version = 0;
    command->opaque = 0;
    command->flag = 0;
    command->remark = (struct slice){0};
    command->field_count = 0;
    if (!take(&reader, '{')) {
        return STATUS_MALFORMED;
    }
    bool more = !take(&reader, '}');
    while (more) {
        struct slice name;
        skip_space(&reader);
        if (!read_string(&reader, &name) || !take(&reader, ':') ||
            !read_member(&reader, name, command, &has_code)) {
            return STATUS_MALFORMED;
        }
        more = take(&reader, ',');
        if (!more && !take(&reader, '}')) {
            return STATUS_MALFORMED;
        }
    }
    skip_space(&reader);
    return has_code && reader.at == reader.end ? STATUS_OK : STATUS_MALFORMED;
}

static bool read_member(struct reader *reader, struct slice name, struct command *command,
                        bool *has_code)
{
    bool present;
    if (slice_equals_text(name, "code")) {
        return read_number(reader, &command->code, has_code);
    }
    if (slice_equals_text(name, "opaque")) {
        return read_number(reader, &command->opaque, &present);
    }
    if (slice_equals_text(name, "flag")) {
        return read_number(reader, &command->flag, &present);
    }
    if (slice_equals_text(name, "version")) {
        return read_number(reader, &command->version, &present);
    }
    if (slice_equals_text(name, "extFields")) {
        return read_fields(reader, command);
    }
    if (slice_equals_text(name, "remark")) {
        return read_scalar(reader, &command->remark, &present);
    }
    if (slice_equals_text(name, "language")) {
        struct slice language = {0};
        bool read = read_scalar(reader, &language, &present);
        command->language = language_parse(language);
        return read;
    }
    return skip_value(reader, 0); // serializeTypeCurrentRPC, and what later versions may add.
}

/* An object of scalars; nulls and nested values do not count. */
static bool read_fields(struct reader *reader, struct command *command)
{
    skip_space(reader);
    if (reader->at < reader->end && *reader->at == 'n') {
        return skip_value(reader, 0);
    }
    if (!take(reader, '{')) {
        return false;
    }
    if (take(reader, '}')) {
        return true;
    }
    do {
        struct field field;
        bool present = false;
        skip_space(reader);
        if (!read_string(reader, &field.name) || !take(reader, ':')) {
            return false;
        }
        skip_space(reader);
        bool nested = reader->at < reader->end && (*reader->at == '{' || *reader->at == '[');
        if (nested ? !skip_value(reader, 0) : !read_scalar(reader, &field.value, &present)) {
            return false;
        }
        if (present) {
            if (command->field_count == HEADER_FIELDS_MAX) {
                return false;
            }
            command->fields[command->field_count++] = field;
        }
    } while (take(reader, ','));
    return take(reader, '}');
}

/* An int32, bare or quoted; a null leaves *number as it is and *present alone. */
static bool read_number(struct reader *reader, int32_t *number, bool *present)
{
    struct slice text;
    bool scalar = false;
    int64_t value;
    if (!read_scalar(reader, &text, &scalar)) {
        return false;
    }
    if (!scalar) {
        return true;
    }
    if (!decimal_parse(text, &value) || value < INT32_MIN || value > INT32_MAX) {
        return false;
    }
    *number = (int32_t)value;
    *present = true;
    return true;
}

/* A string, number or boolean as text; a null leaves *text as it is and *present false. */
static bool read_scalar(struct reader *reader, struct slice *text, bool *present)
{
    skip_space(reader);
    *present = false;
    if (reader->at == reader->end) {
        return false;
    }
    if (*reader->at == '"') {
        *present = true;
        return read_string(reader, text);
    }
    struct slice bare;
    if (!read_bare(reader, &bare)) {
        return false;
    }
    if (!slice_equals_text(bare, "null")) {
        *present = true;
        *text = bare;
    }
    return true;
}

/* A number, true, false or null as it stands. */
static bool read_bare(struct reader *reader, struct slice *text)
{
    const uint8_t *start = reader->at;
    while (reader->at < reader->end &&
           ((*reader->at >= '0' && *reader->at <= '9') || (*reader->at | 0x20) == 'e' ||
            *reader->at == '-' || *reader->at == '+' || *reader->at == '.')) {
        reader->at++;
    }
    if (reader->at == start) {
        while (reader->at < reader->end && *reader->at >= 'a' && *reader->at <= 'z') {
            reader->at++;
        }
        *text = slice_of(start, (size_t)(reader->at - start));
        return slice_equals_text(*text, "true") || slice_equals_text(*text, "false") ||
               slice_equals_text(*text, "null");
    }
    *text = slice_of(start, (size_t)(reader->at - start));
    return *start == '-' ? text->size > 1 : *start >= '0' && *start <= '9';
}

/* Borrows from the header if nothing is escaped, from the scratch buffer otherwise. */
static bool read_string(struct reader *reader, struct slice *text)
{
    if (reader->at == reader->end || *reader->at != '"') {
        return false;
    }
    const uint8_t *start = ++reader->at;
    const uint8_t *stop = plain_end(start, reader->end);
    reader->at = stop;
    if (stop == reader->end) {
        return false;
    }
    if (*stop == '"') {
        *text = slice_of(start, (size_t)(stop - start));
        reader->at++;
        return true;
    }
    return read_escaped(reader, start, text);
}

static bool read_escaped(struct reader *reader, const uint8_t *start, struct slice *text)
{
    size_t text_at = reader->scratch->size;
    buf_put(reader->scratch, start, (size_t)(reader->at - start));
    while (reader->at < reader->end && *reader->at != '"') {
        if (*reader->at == '\\') {
            if (!read_escape(reader)) {
                return false;
            }
        } else {
            const uint8_t *stop = plain_end(reader->at, reader->end);
            buf_put(reader->scratch, reader->at, (size_t)(stop - reader->at));
            reader->at = stop;
        }
    }
    if (reader->at == reader->end) {
        return false;
    }
    reader->at++;
    *text = slice_of(reader->scratch->data + text_at, reader->scratch->size - text_at);
    return true;
}

static bool read_escape(struct reader *reader)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (reader->end - reader->at < 2) {
        return false;
    }
    uint8_t letter = reader->at[1];
    reader->at += 2;
    if (letter != 'u') {
        const char *found = memchr(letters, letter, sizeof letters - 1);
        if (found == NULL) {
            return false;
        }
        buf_put_u8(reader->scratch, (uint8_t)meanings[found - letters]);
        return true;
    }
    uint32_t unit;
    if (!read_hex4(reader, &unit)) {
        return false;
    }
    if (unit >= 0xD800 && unit < 0xDC00 && reader->end - reader->at >= 6 && reader->at[0] == '\\' &&
        reader->at[1] == 'u') {
        struct reader ahead = *reader;
        uint32_t low;
        ahead.at += 2;
        if (read_hex4(&ahead, &low) && low >= 0xDC00 && low < 0xE000) {
            unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            reader->at = ahead.at;
        }
    }
    uint8_t bytes[UTF8_SIZE_MAX];
    buf_put(reader->scratch, bytes, utf8_put(unit, bytes)); // A lone surrogate is replaced.
    return true;
}

static bool read_hex4(struct reader *reader, uint32_t *unit)
{
    if (reader->end - reader->at < 4) {
        return false;
    }
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = *reader->at++;
        uint8_t lower = c | 0x20;
        if (c >= '0' && c <= '9') {
            *unit = *unit << 4 | (uint32_t)(c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            *unit = *unit << 4 | (uint32_t)(lower - 'a' + 10);
        } else {
            return false;
        }
    }
    return true;
}

static bool skip_value(struct reader *reader, int depth)
{
    skip_space(reader);
    if (reader->at == reader->end || depth == DEPTH_MAX) {
        return false;
    }
    struct slice text;
    uint8_t first = *reader->at;
    if (first != '{' && first != '[') {
        return first == '"' ? read_string(reader, &text) : read_bare(reader, &text);
    }
    uint8_t last = first == '{' ? '}' : ']';
    reader->at++;
    if (take(reader, last)) {
        return true;
    }
    do {
        skip_space(reader);
        if (first == '{' && (!read_string(reader, &text) || !take(reader, ':'))) {
            return false;
        }
        if (!skip_value(reader, depth + 1)) {
            return false;
        }
    } while (take(reader, ','));
    return take(reader, last);
}

/* The first quote or backslash, eight bytes at a time; end if there is none. */
static const uint8_t *plain_end(const uint8_t *at, const uint8_t *end)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t highs = 0x8080808080808080u;
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        uint64_t quotes = word ^ (ones * '"');
        uint64_t slashes = word ^ (ones * '\\');
        // A byte of the word is zero: the classic test, exact about whether there is one at all.
        if ((((quotes - ones) & ~quotes) | ((slashes - ones) & ~slashes)) & highs) {
            break;
        }
        at += 8;
    }
    while (at < end && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

void header_json_encode(const struct command *command, struct buf *out)
{
    put_number(out, "{\"code\":", command->code);
    buf_put_text(out, ",\"extFields\":{");
    for (uint32_t i = 0; i < command->field_count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        json_put_string(out, command->fields[i].name);
        buf_put_u8(out, ':');
        json_put_string(out, command->fields[i].value);
    }
    put_number(out, "},\"flag\":", command->flag);
    buf_put_text(out, ",\"language\":\"");
    buf_put_text(out, language_name(command->language));
    put_number(out, "\",\"opaque\":", command->opaque);
    if (command->remark.size > 0) {
        buf_put_text(out, ",\"remark\":");
        json_put_string(out, command->remark);
    }
    put_number(out, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":", command->version);
    buf_put_u8(out, '}');
}

static void put_number(struct buf *out, const char *before, int64_t value)
{
    buf_put_text(out, before);
    json_put_number(out, value);
}
