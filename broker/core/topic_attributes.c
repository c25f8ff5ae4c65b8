#include "broker/core/topic_attributes.h"

#include "broker/machine/operation.h"
#include "common/base/decimal.h"
#include "common/remoting/body_json.h"

static const char unique_window_key[] = "unique.key.window";
static const char *const known_keys[] = {"queue.type", "cleanup.policy", "message.type",
                                         "reserve.time", unique_window_key};
enum { KNOWN_COUNT = sizeof known_keys / sizeof known_keys[0], VALUE_SIZE_MAX = 1024 };

const struct text_pair *topic_attributes_read(struct slice json, struct body *body, size_t *count)
{
    struct body parsed;
    json_t *root;
    *count = 0;
    if (json.size == 0 || body_parse(json, CLIENT_BODY_SIZE_MAX, &parsed, &root) != STATUS_OK) {
        return NULL;
    }
    // A body holds one tree, and those of many topics go into this one: it gets copies.
    const struct text_pair *found = json_get_pairs(root, &parsed, count);
    struct text_pair *pairs = arena_array(&body->arena, *count + 1, sizeof *pairs);
    for (size_t i = 0; i < *count; i++) {
        pairs[i].name = arena_copy(&body->arena, found[i].name);
        pairs[i].value = arena_copy(&body->arena, found[i].value);
    }
    body_close(&parsed);
    return pairs;
}

static int known_index(struct slice key)
{
    for (int i = 0; i < KNOWN_COUNT; i++) {
        if (slice_equals_text(key, known_keys[i])) {
            return i;
        }
    }
    return -1;
}

/* In seconds; 0 if it is none. */
static int32_t window_of(struct slice value)
{
    int64_t seconds = 0;
    bool valid = decimal_parse(value, &seconds) && seconds >= 1 && seconds <= UNIQUE_WINDOW_MAX_S;
    return valid ? (int32_t)seconds : 0;
}

int32_t topic_attributes_unique_window(struct slice json)
{
    struct body body = {0};
    size_t count = 0;
    int32_t window_s = 0;
    const struct text_pair *pairs = topic_attributes_read(json, &body, &count);
    for (size_t i = 0; i < count; i++) {
        if (slice_equals_text(pairs[i].name, unique_window_key)) {
            window_s = window_of(pairs[i].value);
        }
    }
    body_close(&body);
    return window_s;
}

static enum status apply_one(struct slice change, struct slice *values)
{
    if (change.size < 2 || (change.data[0] != '+' && change.data[0] != '-')) {
        return STATUS_INVALID_ARGUMENT;
    }
    struct slice key = slice_from(change, 1);
    const uint8_t *equals = memchr(key.data, '=', key.size);
    struct slice value = {0};
    if (equals != NULL) {
        value = slice_from(key, (size_t)(equals - key.data) + 1);
        key.size = (size_t)(equals - key.data);
    }
    int index = known_index(key);
    bool adds = change.data[0] == '+';
    // A NUL in a text is no JSON that can be read back: all attributes would be lost.
    if (index < 0 || (adds && value.size == 0) || value.size > VALUE_SIZE_MAX ||
        (value.size > 0 && memchr(value.data, 0, value.size) != NULL)) {
        return STATUS_INVALID_ARGUMENT;
    }
    if (adds && known_keys[index] == unique_window_key && window_of(value) == 0) {
        return STATUS_INVALID_ARGUMENT;
    }
    values[index] = adds ? value : (struct slice){0};
    return STATUS_OK;
}

enum status topic_attributes_change(struct slice json, struct slice changes, struct buf *out)
{
    struct body body = {0};
    struct slice values[KNOWN_COUNT] = {0};
    size_t count = 0;
    const struct text_pair *pairs = topic_attributes_read(json, &body, &count);
    for (size_t i = 0; i < count; i++) {
        int index = known_index(pairs[i].name);
        if (index >= 0) {
            values[index] = pairs[i].value;
        }
    }
    enum status status = STATUS_OK;
    while (status == STATUS_OK && changes.size > 0) {
        const uint8_t *comma = memchr(changes.data, ',', changes.size);
        struct slice change = changes;
        change.size = comma == NULL ? changes.size : (size_t)(comma - changes.data);
        changes = slice_from(changes, change.size + (comma == NULL ? 0 : 1));
        status = apply_one(change, values);
    }
    if (status == STATUS_OK) {
        struct json_writer writer = {.out = out};
        json_begin(&writer, '{');
        for (int i = 0; i < KNOWN_COUNT; i++) {
            if (values[i].size > 0) {
                json_key(&writer, known_keys[i]);
                json_text(&writer, values[i]);
            }
        }
        json_end(&writer, '}');
    }
    body_close(&body);
    return status;
}
