#include "common/remoting/body_register.h"

#include "common/base/bytes.h"
#include "common/base/decimal.h"
#include "common/remoting/body_topic_json.h"
#include "common/remoting/inflate.h"

struct reader {
    struct slice rest;
};

static enum status plain_decode(struct slice text, int32_t version, struct body *body,
                                struct topic_table *out);
static bool sections_decode(struct slice bytes, int32_t version, struct body *body,
                            struct topic_table *out);
static bool topic_line_decode(struct slice line, struct body *body, struct topic_config *topic);

enum status register_body_decode(struct slice bytes, bool compressed, int32_t version,
                                 struct body *body, struct topic_table *out)
{
    *body = (struct body){0};
    *out = (struct topic_table){0};
    if (bytes.size == 0) {
        return STATUS_OK;
    }
    if (!compressed) {
        return plain_decode(bytes, version, body, out);
    }
    struct buf inflated = {0};
    bool decoded = inflate_append(bytes, REGISTER_INFLATED_MAX, &inflated) == STATUS_OK;
    if (decoded) {
        struct slice kept = arena_copy(&body->arena, buf_slice(&inflated));
        decoded = sections_decode(kept, version, body, out);
    }
    buf_close(&inflated);
    if (!decoded) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

static enum status plain_decode(struct slice text, int32_t version, struct body *body,
                                struct topic_table *out)
{
    json_t *root;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    json_t *table = version < REGISTER_BODY_VERSION
                        ? root
                        : json_object_get(root, "topicConfigSerializeWrapper");
    status = topic_table_get(table, body, out);
    if (status != STATUS_OK) {
        body_close(body);
    }
    return status;
}

static bool read_count(struct reader *reader, uint32_t *count)
{
    if (reader->rest.size < 4) {
        return false;
    }
    *count = be32_get(reader->rest.data);
    reader->rest = slice_from(reader->rest, 4);
    return *count <= INT32_MAX;
}

static bool read_text(struct reader *reader, struct slice *text)
{
    uint32_t size;
    if (!read_count(reader, &size) || size > reader->rest.size) {
        return false;
    }
    *text = slice_of(reader->rest.data, size);
    reader->rest = slice_from(reader->rest, size);
    return true;
}

static bool sections_decode(struct slice bytes, int32_t version, struct body *body,
                            struct topic_table *out)
{
    struct reader reader = {bytes};
    struct slice text;
    uint32_t count;
    if (!read_text(&reader, &text) || data_version_decode(text, &out->version) != STATUS_OK ||
        !read_count(&reader, &count) || count > TOPICS_MAX || count > reader.rest.size / 4) {
        return false;
    }
    struct topic_config *topics = arena_array(&body->arena, count + 1, sizeof *topics);
    out->topics = topics;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_text(&reader, &text) || !topic_line_decode(text, body, &topics[out->count])) {
            return false;
        }
        out->count++;
    }
    if (!read_text(&reader, &text)) { // Filter servers: long gone.
        return false;
    }
    // Static topics are not supported; the section must still be whole.
    if (version >= REGISTER_STATIC_TOPICS_VERSION && reader.rest.size > 0) {
        if (!read_count(&reader, &count)) {
            return false;
        }
        for (uint32_t i = 0; i < count; i++) {
            if (!read_text(&reader, &text)) {
                return false;
            }
        }
    }
    return true;
}

/* "name read write perm SINGLE_TAG {attributes}", the last one optional. */
static bool topic_line_decode(struct slice line, struct body *body, struct topic_config *topic)
{
    struct slice words[5] = {0};
    for (size_t i = 0; i < 5 && line.size > 0; i++) {
        const uint8_t *space = memchr(line.data, ' ', line.size);
        size_t size = space == NULL ? line.size : (size_t)(space - line.data);
        words[i] = slice_of(line.data, size);
        line = slice_from(line, space == NULL ? size : size + 1);
    }
    int64_t numbers[3];
    for (size_t i = 0; i < 3; i++) {
        if (!decimal_parse(words[i + 1], &numbers[i]) || numbers[i] < 0 || numbers[i] > INT32_MAX) {
            return false;
        }
    }
    *topic = (struct topic_config){
        .name = words[0],
        .read_queues = (int32_t)numbers[0],
        .write_queues = (int32_t)numbers[1],
        .perm = (int32_t)numbers[2],
        .multi_tag = slice_equals_text(words[4], "MULTI_TAG"),
    };
    struct body attributes = {0};
    json_t *root;
    if (line.size > 0 && body_parse(line, CLIENT_BODY_SIZE_MAX, &attributes, &root) == STATUS_OK) {
        size_t count;
        const struct text_pair *read = json_get_pairs(root, &attributes, &count);
        struct text_pair *pairs = arena_array(&body->arena, count + 1, sizeof *pairs);
        for (size_t i = 0; i < count; i++) {
            pairs[i].name = arena_copy(&body->arena, read[i].name);
            pairs[i].value = arena_copy(&body->arena, read[i].value);
        }
        topic->attributes = pairs;
        topic->attribute_count = count;
        body_close(&attributes);
    }
    return topic->name.size > 0;
}

void register_body_encode(const struct topic_table *table, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_key(&writer, "filterServerList");
    json_raw(&writer, slice_text("[]"));
    json_key(&writer, "topicConfigSerializeWrapper");
    topic_table_put(&writer, table);
    json_end(&writer, '}');
}
