/* Property strings: walked, changed, searched. And the texts round them: ids, hosts, numbers. */
#include "common/base/decimal.h"
#include "common/base/utf8.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"
#include "tests/fuzz/fuzz.h"

/* The first byte says how long a value is that is put into the rest. */
static void change(struct slice properties, struct slice value)
{
    struct buf out = {0};
    struct slice found;
    struct slice other;
    bool had = properties_find(properties, PROPERTY_KEYS, &other);
    buf_put_slice(&out, properties);
    properties_append(&out, 0, PROPERTY_TAGS, value);
    if (value.size > 0 && properties_clean(value)) {
        ASSERT(properties_find(buf_slice(&out), PROPERTY_TAGS, &found));
        ASSERT(slice_equals(found, value));
        // Nothing else came in with it, or went.
        ASSERT(properties_find(buf_slice(&out), PROPERTY_KEYS, &found) == had);
        ASSERT(!had || slice_equals(found, other));
    }
    struct buf without = {0};
    static const char *const tags = PROPERTY_TAGS;
    properties_copy_without(&without, buf_slice(&out), &tags, 1);
    ASSERT(!properties_find(buf_slice(&without), PROPERTY_TAGS, &found));
    buf_close(&without);
    buf_close(&out);
}

static void read_texts(struct slice text)
{
    struct host host;
    struct name name;
    int64_t number = 0;
    char digits[DECIMAL_SIZE_MAX];
    char id[OFFSET_MESSAGE_ID_SIZE];
    struct buf out = {0};
    if (host_parse(text, &host) == STATUS_OK) {
        struct host again;
        host_format(host, &out);
        enum status status = host_parse(buf_slice(&out), &again);
        ASSERT(status == STATUS_OK && again.address == host.address && again.port == host.port);
    }
    if (offset_message_id_parse(text, &host, &number) == STATUS_OK) {
        int64_t again = 0;
        offset_message_id_format(host, number, id);
        enum status status = offset_message_id_parse(slice_of(id, sizeof id), &host, &again);
        ASSERT(status == STATUS_OK && again == number);
    }
    if (decimal_parse(text, &number)) {
        int64_t again = 0;
        struct slice written = slice_of(digits, decimal_format(number, digits));
        ASSERT(decimal_parse(written, &again) && again == number);
    }
    if (group_name_valid(text)) {
        ASSERT(topic_retry_of(text, &name) && topic_name_valid(name_slice(&name)));
        ASSERT(slice_equals(topic_group(name_slice(&name)), text));
        ASSERT(topic_dead_letter_of(text, &name) && topic_name_valid(name_slice(&name)));
    }
    java_hash_code(text);
    buf_close(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    struct slice value = fuzz_take(&input, fuzz_u8(&input));
    change(input.rest, value);
    read_texts(input.rest);
    return 0;
}
