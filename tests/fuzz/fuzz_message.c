/* Stored messages, as they come out of a pull or the log, and their property strings. */
#include "common/base/limits.h"
#include "common/remoting/message.h"
#include "common/remoting/properties.h"
#include "tests/fuzz/fuzz.h"

static void round_trip(struct message *message)
{
    struct buf bytes = {0};
    struct message again;
    size_t size = 0;
    message->magic = 0;
    message->sys_flag &= ~(SYS_FLAG_BORN_HOST_V6 | SYS_FLAG_STORE_HOST_V6);
    if (message->topic.size > TOPIC_NAME_DERIVED_MAX || message->properties.size > INT16_MAX) {
        return; // Read from others, but never written.
    }
    message_encode(message, &bytes);
    ASSERT(bytes.size == message_size(message));
    enum status status = message_decode(buf_slice(&bytes), &again, &size);
    ASSERT(status == STATUS_OK && size == bytes.size);
    ASSERT(slice_equals(message->body, again.body) && slice_equals(message->topic, again.topic));
    ASSERT(slice_equals(message->properties, again.properties));
    ASSERT(message->queue_id == again.queue_id && message->flag == again.flag);
    ASSERT(message->queue_offset == again.queue_offset &&
           message->physical_offset == again.physical_offset &&
           message->prepared_offset == again.prepared_offset);
    ASSERT(message->born_time_ms == again.born_time_ms &&
           message->store_time_ms == again.store_time_ms);
    ASSERT(message->sys_flag == again.sys_flag &&
           message->reconsume_times == again.reconsume_times);
    ASSERT(again.body_crc == message_body_crc(message->body));
    buf_close(&bytes);
}

static void walk_properties(struct slice properties)
{
    struct slice rest = properties;
    struct slice name;
    struct slice value;
    struct buf without = {0};
    while (properties_next(&rest, &name, &value)) {
        ASSERT(name.size > 0 && value.size > 0);
    }
    static const char *const tags = PROPERTY_TAGS;
    properties_copy_without(&without, properties, &tags, 1);
    ASSERT(!properties_find(buf_slice(&without), PROPERTY_TAGS, &value));
    ASSERT(without.size <= properties.size + 1);
    if (properties_find(properties, PROPERTY_TAGS, &value)) {
        java_hash_code(value);
    }
    buf_close(&without);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    struct message message;
    size_t taken = 0;
    while (message_decode(rest, &message, &taken) == STATUS_OK) {
        ASSERT(taken >= MESSAGE_SIZE_MIN && taken <= rest.size);
        walk_properties(message.properties);
        round_trip(&message);
        rest = slice_from(rest, taken);
    }
    return 0;
}
