#include "common/remoting/message.h"

#include "common/base/decimal.h"
#include "common/base/utf8.h"

#include <zlib.h>

enum {
    TOPIC_SIZE_V1_MAX = 127, /* The length is a signed byte to Java. */
    HOST_V4_SIZE = 8,
    HOST_V6_SIZE = 20,
};

struct reader {
    const uint8_t *at;
    size_t left;
};

static void put_host(struct buf *out, struct host host);

static int32_t magic_for(const struct message *message)
{
    if (message->magic != 0) {
        return message->magic;
    }
    return message->topic.size > TOPIC_SIZE_V1_MAX ? MESSAGE_MAGIC_V2 : MESSAGE_MAGIC_V1;
}

size_t message_size(const struct message *message)
{
    size_t topic_length_size = magic_for(message) == MESSAGE_MAGIC_V2 ? 2 : 1;
    return MESSAGE_FIXED_SIZE + message->body.size + topic_length_size + message->topic.size + 2 +
           message->properties.size;
}

void message_encode(const struct message *message, struct buf *out)
{
    int32_t magic = magic_for(message);
    size_t size = message_size(message);
    ASSERT(size <= INT32_MAX && message->properties.size <= INT16_MAX);
    ASSERT(message->topic.size <= (magic == MESSAGE_MAGIC_V1 ? TOPIC_SIZE_V1_MAX : INT16_MAX));
    buf_reserve(out, size);
    buf_put_be32(out, (uint32_t)size);
    buf_put_be32(out, (uint32_t)magic);
    buf_put_be32(out, message_body_crc(message->body));
    buf_put_be32(out, (uint32_t)message->queue_id);
    buf_put_be32(out, (uint32_t)message->flag);
    buf_put_be64(out, (uint64_t)message->queue_offset);
    buf_put_be64(out, (uint64_t)message->physical_offset);
    buf_put_be32(out, (uint32_t)message->sys_flag &
                          ~(uint32_t)(SYS_FLAG_BORN_HOST_V6 | SYS_FLAG_STORE_HOST_V6));
    buf_put_be64(out, (uint64_t)message->born_time_ms);
    put_host(out, message->born_host);
    buf_put_be64(out, (uint64_t)message->store_time_ms);
    put_host(out, message->store_host);
    buf_put_be32(out, (uint32_t)message->reconsume_times);
    buf_put_be64(out, (uint64_t)message->prepared_offset);
    buf_put_be32(out, (uint32_t)message->body.size);
    buf_put_slice(out, message->body);
    if (magic == MESSAGE_MAGIC_V2) {
        buf_put_be16(out, (uint16_t)message->topic.size);
    } else {
        buf_put_u8(out, (uint8_t)message->topic.size);
    }
    buf_put_slice(out, message->topic);
    buf_put_be16(out, (uint16_t)message->properties.size);
    buf_put_slice(out, message->properties);
}

static void put_host(struct buf *out, struct host host)
{
    buf_put_be32(out, host.address);
    buf_put_be32(out, host.port);
}

static bool read_u32(struct reader *reader, uint32_t *value)
{
    if (reader->left < 4) {
        return false;
    }
    *value = be32_get(reader->at);
    reader->at += 4;
    reader->left -= 4;
    return true;
}

static bool read_i64(struct reader *reader, int64_t *value)
{
    if (reader->left < 8) {
        return false;
    }
    *value = (int64_t)be64_get(reader->at);
    reader->at += 8;
    reader->left -= 8;
    return true;
}

static bool read_i32(struct reader *reader, int32_t *value)
{
    uint32_t bits;
    bool read = read_u32(reader, &bits);
    *value = read ? (int32_t)bits : 0;
    return read;
}

/* An IPv6 address reads as 0.0.0.0 with its port. */
static bool read_host(struct reader *reader, bool v6, struct host *host)
{
    size_t size = v6 ? HOST_V6_SIZE : HOST_V4_SIZE;
    if (reader->left < size) {
        return false;
    }
    host->address = v6 ? 0 : be32_get(reader->at);
    host->port = be32_get(reader->at + size - 4);
    reader->at += size;
    reader->left -= size;
    return true;
}

static bool read_bytes(struct reader *reader, uint32_t size, struct slice *bytes)
{
    if (size > reader->left) {
        return false;
    }
    *bytes = slice_of(reader->at, size);
    reader->at += size;
    reader->left -= size;
    return true;
}

/* Bytes after a length of length_size bytes; lengths with the sign bit set are refused. */
static bool read_sized(struct reader *reader, size_t length_size, struct slice *bytes)
{
    if (reader->left < length_size) {
        return false;
    }
    uint32_t length = 0;
    for (size_t i = 0; i < length_size; i++) {
        length = length << 8 | reader->at[i];
    }
    reader->at += length_size;
    reader->left -= length_size;
    return length >> (8 * length_size - 1) == 0 && read_bytes(reader, length, bytes);
}

enum status message_decode(struct slice bytes, struct message *message, size_t *size)
{
    struct reader reader = {bytes.data, bytes.size};
    uint32_t total;
    if (!read_u32(&reader, &total) || total > bytes.size || total < MESSAGE_SIZE_MIN) {
        return STATUS_MALFORMED;
    }
    reader.left = total - 4;
    // The smallest message has room for the fields up to the first host.
    (void)read_i32(&reader, &message->magic);
    (void)read_u32(&reader, &message->body_crc);
    (void)read_i32(&reader, &message->queue_id);
    (void)read_i32(&reader, &message->flag);
    (void)read_i64(&reader, &message->queue_offset);
    (void)read_i64(&reader, &message->physical_offset);
    (void)read_i32(&reader, &message->sys_flag);
    (void)read_i64(&reader, &message->born_time_ms);
    if (message->magic != MESSAGE_MAGIC_V1 && message->magic != MESSAGE_MAGIC_V2) {
        return STATUS_MALFORMED;
    }
    bool born_v6 = (message->sys_flag & SYS_FLAG_BORN_HOST_V6) != 0;
    bool store_v6 = (message->sys_flag & SYS_FLAG_STORE_HOST_V6) != 0;
    bool whole = read_host(&reader, born_v6, &message->born_host) &&
                 read_i64(&reader, &message->store_time_ms) &&
                 read_host(&reader, store_v6, &message->store_host) &&
                 read_i32(&reader, &message->reconsume_times) &&
                 read_i64(&reader, &message->prepared_offset) &&
                 read_sized(&reader, 4, &message->body) &&
                 read_sized(&reader, message->magic == MESSAGE_MAGIC_V2 ? 2 : 1, &message->topic) &&
                 read_sized(&reader, 2, &message->properties);
    if (!whole || reader.left != 0) {
        return STATUS_MALFORMED;
    }
    *size = total;
    return STATUS_OK;
}

uint32_t message_body_crc(struct slice body)
{
    return (uint32_t)crc32_z(0, body.data, body.size) & 0x7FFFFFFF;
}

int32_t java_hash_code(struct slice text)
{
    uint32_t hash = 0;
    while (text.size > 0) {
        uint32_t point = utf8_next(&text);
        if (point >= 0x10000) {
            hash = 31 * hash + (0xD800 + ((point - 0x10000) >> 10));
            point = 0xDC00 + ((point - 0x10000) & 0x3FF);
        }
        hash = 31 * hash + point;
    }
    return (int32_t)hash;
}

void offset_message_id_format(struct host host, int64_t physical_offset,
                              char id[OFFSET_MESSAGE_ID_SIZE])
{
    static const char hex[] = "0123456789ABCDEF";
    uint8_t bytes[OFFSET_MESSAGE_ID_SIZE / 2];
    be32_put(bytes, host.address);
    be32_put(bytes + 4, host.port);
    be64_put(bytes + 8, (uint64_t)physical_offset);
    for (size_t i = 0; i < sizeof bytes; i++) {
        id[2 * i] = hex[bytes[i] >> 4];
        id[2 * i + 1] = hex[bytes[i] & 15];
    }
}

enum status offset_message_id_parse(struct slice id, struct host *host, int64_t *physical_offset)
{
    uint8_t bytes[OFFSET_MESSAGE_ID_SIZE / 2] = {0};
    if (id.size != OFFSET_MESSAGE_ID_SIZE) {
        return STATUS_MALFORMED;
    }
    for (size_t i = 0; i < OFFSET_MESSAGE_ID_SIZE; i++) {
        uint8_t c = id.data[i];
        uint8_t lower = c | 0x20;
        uint8_t digit;
        if (c >= '0' && c <= '9') {
            digit = (uint8_t)(c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            digit = (uint8_t)(lower - 'a' + 10);
        } else {
            return STATUS_MALFORMED;
        }
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | digit);
    }
    *host = (struct host){be32_get(bytes), be32_get(bytes + 4)};
    *physical_offset = (int64_t)be64_get(bytes + 8);
    return STATUS_OK;
}

enum status host_parse(struct slice text, struct host *host)
{
    uint32_t numbers[5] = {0};
    static const uint32_t limits[5] = {255, 255, 255, 255, 65535};
    size_t at = 0;
    for (int i = 0; i < 5; i++) {
        size_t start = at;
        while (at < text.size && text.data[at] >= '0' && text.data[at] <= '9' && at - start < 5) {
            numbers[i] = numbers[i] * 10 + (uint32_t)(text.data[at++] - '0');
        }
        if (at == start || numbers[i] > limits[i]) {
            return STATUS_MALFORMED;
        }
        if (i < 4 && (at == text.size || text.data[at++] != (i == 3 ? ':' : '.'))) {
            return STATUS_MALFORMED;
        }
    }
    if (at != text.size) {
        return STATUS_MALFORMED;
    }
    host->address = numbers[0] << 24 | numbers[1] << 16 | numbers[2] << 8 | numbers[3];
    host->port = numbers[4];
    return STATUS_OK;
}

void host_format(struct host host, struct buf *out)
{
    const uint32_t numbers[5] = {host.address >> 24, host.address >> 16 & 255,
                                 host.address >> 8 & 255, host.address & 255, host.port};
    for (int i = 0; i < 5; i++) {
        char text[DECIMAL_SIZE_MAX];
        buf_put(out, text, decimal_format(numbers[i], text));
        if (i < 4) {
            buf_put_u8(out, i == 3 ? ':' : '.');
        }
    }
}
