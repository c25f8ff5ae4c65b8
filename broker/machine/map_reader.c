#include "broker/machine/map_reader.h"

#include "common/base/bytes.h"

/* First bytes of msgpack's formats. Source: msgpack specification, "Formats". */
enum {
    FORMAT_FIXINT_MAX = 0x7f,
    FORMAT_FIXMAP = 0x80,
    FORMAT_FIXARRAY = 0x90,
    FORMAT_FIXSTR = 0xa0,
    FORMAT_FALSE = 0xc2,
    FORMAT_TRUE = 0xc3,
    FORMAT_UINT8 = 0xcc,
    FORMAT_UINT16 = 0xcd,
    FORMAT_UINT32 = 0xce,
    FORMAT_UINT64 = 0xcf,
    FORMAT_INT8 = 0xd0,
    FORMAT_INT16 = 0xd1,
    FORMAT_INT32 = 0xd2,
    FORMAT_INT64 = 0xd3,
    FORMAT_STR8 = 0xd9,
    FORMAT_STR16 = 0xda,
    FORMAT_ARRAY16 = 0xdc,
    FORMAT_NEGATIVE_FIXINT = 0xe0,
    KEYS_MAX = 32,
};

static const uint8_t *take(struct map_reader *reader, size_t size);
static uint8_t take_u8(struct map_reader *reader);
static uint64_t take_be(struct map_reader *reader, size_t size);
static uint64_t integer(struct map_reader *reader, bool *negative);

void map_reader_init(struct map_reader *reader, struct slice bytes)
{
    *reader = (struct map_reader){.bytes = bytes};
    uint8_t format = take_u8(reader);
    if ((format & 0xf0) != FORMAT_FIXMAP) { // Operations have fewer than 16 fields.
        reader->failed = true;
        return;
    }
    reader->left = format & 0x0f;
}

bool map_reader_key(struct map_reader *reader, uint32_t *key)
{
    if (reader->failed || reader->left == 0) {
        return false;
    }
    reader->left--;
    uint64_t value = map_reader_u64(reader);
    if (reader->failed || value >= KEYS_MAX || (reader->seen & (UINT32_C(1) << value)) != 0) {
        reader->failed = true;
        return false;
    }
    reader->seen |= UINT32_C(1) << value;
    *key = (uint32_t)value;
    return true;
}

uint64_t map_reader_u64(struct map_reader *reader)
{
    bool negative = false;
    uint64_t value = integer(reader, &negative);
    if (negative) {
        reader->failed = true;
        return 0;
    }
    return value;
}

int64_t map_reader_i64(struct map_reader *reader)
{
    bool negative = false;
    uint64_t value = integer(reader, &negative);
    if (!negative && value > INT64_MAX) {
        reader->failed = true;
        return 0;
    }
    return (int64_t)value;
}

int32_t map_reader_i32(struct map_reader *reader)
{
    int64_t value = map_reader_i64(reader);
    if (value < INT32_MIN || value > INT32_MAX) {
        reader->failed = true;
        return 0;
    }
    return (int32_t)value;
}

bool map_reader_bool(struct map_reader *reader)
{
    uint8_t format = take_u8(reader);
    if (format != FORMAT_TRUE && format != FORMAT_FALSE) {
        reader->failed = true;
    }
    return format == FORMAT_TRUE;
}

struct slice map_reader_text(struct map_reader *reader, size_t size_max)
{
    uint8_t format = take_u8(reader);
    size_t size = 0;
    if ((format & 0xe0) == FORMAT_FIXSTR) {
        size = format & 0x1f;
    } else if (format == FORMAT_STR8) {
        size = (size_t)take_be(reader, 1);
    } else if (format == FORMAT_STR16) {
        size = (size_t)take_be(reader, 2);
    } else {
        reader->failed = true;
    }
    if (reader->failed || size > size_max) {
        reader->failed = true;
        return slice_of(NULL, 0);
    }
    const uint8_t *text = take(reader, size);
    return slice_of(text, text == NULL ? 0 : size);
}

uint32_t map_reader_array(struct map_reader *reader, uint32_t count_max)
{
    uint8_t format = take_u8(reader);
    uint32_t count = 0;
    if ((format & 0xf0) == FORMAT_FIXARRAY) {
        count = format & 0x0f;
    } else if (format == FORMAT_ARRAY16) {
        count = (uint32_t)take_be(reader, 2);
    } else {
        reader->failed = true;
    }
    if (reader->failed || count > count_max) {
        reader->failed = true;
        return 0;
    }
    return count;
}

void map_reader_fail(struct map_reader *reader)
{
    reader->failed = true;
}

enum status map_reader_end(const struct map_reader *reader, uint32_t key_count)
{
    uint32_t all = (uint32_t)(((UINT64_C(1) << key_count) - 1) << 1);
    bool complete = !reader->failed && reader->left == 0 && reader->seen == all &&
                    reader->at == reader->bytes.size;
    return complete ? STATUS_OK : STATUS_MALFORMED;
}

static const uint8_t *take(struct map_reader *reader, size_t size)
{
    if (reader->failed || reader->bytes.size - reader->at < size) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *at = reader->bytes.data + reader->at;
    reader->at += size;
    return at;
}

static uint8_t take_u8(struct map_reader *reader)
{
    const uint8_t *at = take(reader, 1);
    return at == NULL ? 0 : *at;
}

static uint64_t take_be(struct map_reader *reader, size_t size)
{
    const uint8_t *at = take(reader, size);
    uint64_t value = 0;
    for (size_t i = 0; at != NULL && i < size; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

/* Any integer; if negative, the two's complement of it. */
static uint64_t integer(struct map_reader *reader, bool *negative)
{
    uint8_t format = take_u8(reader);
    if (format <= FORMAT_FIXINT_MAX) {
        return format;
    }
    int64_t value;
    switch (format) {
    case FORMAT_UINT8:
    case FORMAT_UINT16:
    case FORMAT_UINT32:
    case FORMAT_UINT64:
        return take_be(reader, (size_t)1 << (format - FORMAT_UINT8));
    case FORMAT_INT8:
        value = (int8_t)take_be(reader, 1);
        break;
    case FORMAT_INT16:
        value = (int16_t)take_be(reader, 2);
        break;
    case FORMAT_INT32:
        value = (int32_t)take_be(reader, 4);
        break;
    case FORMAT_INT64:
        value = (int64_t)take_be(reader, 8);
        break;
    default:
        if (format < FORMAT_NEGATIVE_FIXINT) {
            reader->failed = true;
            return 0;
        }
        value = (int8_t)format;
        break;
    }
    *negative = value < 0;
    return (uint64_t)value;
}
