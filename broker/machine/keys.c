#include "broker/machine/keys.h"

#include "common/base/bytes.h"
#include "common/base/check.h"

enum {
    ID_KEY_SIZE = 1 + 8,
    QUEUE_KEY_SIZE = 1 + 8 + 4,
    INDEX_KEY_SIZE = QUEUE_KEY_SIZE + 8,
    RUN_KEY_SIZE = 1 + 2 + 8 + 8,
    ENDS_KEY_SIZE = 1 + 8 + 4,
};

static struct key id_key(enum key_family family, uint64_t id)
{
    struct key key;
    key.size = ID_KEY_SIZE;
    key.bytes[0] = (uint8_t)family;
    be64_put(key.bytes + 1, id);
    return key;
}

static struct key topic_queue_key(enum key_family family, uint64_t topic_id, int32_t queue_id)
{
    struct key key = id_key(family, topic_id);
    be32_put(key.bytes + ID_KEY_SIZE, (uint32_t)queue_id);
    key.size = QUEUE_KEY_SIZE;
    return key;
}

struct key key_meta(void)
{
    return key_family_first(KEY_META);
}

struct key key_topic(uint64_t topic_id)
{
    return id_key(KEY_TOPIC, topic_id);
}

struct key key_queue(uint64_t topic_id, int32_t queue_id)
{
    return topic_queue_key(KEY_QUEUE, topic_id, queue_id);
}

struct key key_index(uint64_t topic_id, int32_t queue_id, int64_t offset_first)
{
    struct key key = topic_queue_key(KEY_INDEX, topic_id, queue_id);
    be64_put(key.bytes + QUEUE_KEY_SIZE, ~(uint64_t)offset_first);
    key.size = INDEX_KEY_SIZE;
    return key;
}

struct key key_group(uint64_t group_id)
{
    return id_key(KEY_GROUP, group_id);
}

struct key key_offsets(struct slice group, struct slice topic)
{
    ASSERT(2 + group.size + topic.size <= KEY_NAMES_MAX);
    struct key key;
    key.bytes[0] = KEY_OFFSETS;
    memcpy(key.bytes + 1, group.data, group.size);
    key.bytes[1 + group.size] = 0;
    memcpy(key.bytes + 2 + group.size, topic.data, topic.size);
    key.size = (uint32_t)(2 + group.size + topic.size);
    return key;
}

struct key key_lock(struct slice group, struct slice topic, int32_t queue_id)
{
    struct key key = key_offsets(group, topic);
    key.bytes[0] = KEY_LOCK;
    key.bytes[key.size] = 0;
    be32_put(key.bytes + key.size + 1, (uint32_t)queue_id);
    key.size += 1 + 4;
    return key;
}

struct key key_mode(struct slice group, struct slice topic)
{
    struct key key = key_offsets(group, topic);
    key.bytes[0] = KEY_MODE;
    return key;
}

struct key key_popped(struct slice group, struct slice topic, int32_t queue_id, int64_t offset)
{
    struct key key = key_lock(group, topic, queue_id);
    key.bytes[0] = KEY_POPPED;
    be64_put(key.bytes + key.size, (uint64_t)offset);
    key.size += 8;
    return key;
}

struct key key_producer_group(uint64_t id)
{
    return id_key(KEY_PRODUCER_GROUP, id);
}

struct key key_transaction(uint64_t position)
{
    return id_key(KEY_TRANSACTION, position);
}

struct key key_delayed(uint64_t position)
{
    return id_key(KEY_DELAYED, position);
}

struct key key_outcomes(uint64_t row)
{
    return id_key(KEY_OUTCOMES, row);
}

struct key key_uniques(uint64_t row)
{
    return id_key(KEY_UNIQUES, row);
}

struct key key_run(uint16_t bucket, uint64_t time_ms, uint64_t applied_index)
{
    struct key key;
    key.size = RUN_KEY_SIZE;
    key.bytes[0] = KEY_RUN;
    be16_put(key.bytes + 1, bucket);
    be64_put(key.bytes + 3, ~time_ms);
    be64_put(key.bytes + 11, ~applied_index);
    return key;
}

struct key key_segment(uint64_t number)
{
    return id_key(KEY_SEGMENT, number);
}

struct key key_ends(uint64_t segment, uint32_t part)
{
    struct key key = id_key(KEY_ENDS, segment);
    be32_put(key.bytes + ID_KEY_SIZE, part);
    key.size = ENDS_KEY_SIZE;
    return key;
}

struct key key_family_first(enum key_family family)
{
    struct key key;
    key.size = 1;
    key.bytes[0] = (uint8_t)family;
    return key;
}

struct key key_family_end(enum key_family family)
{
    struct key key = key_family_first(family);
    key.bytes[0]++;
    return key;
}

struct key key_queue_end(uint64_t topic_id)
{
    return id_key(KEY_QUEUE, topic_id + 1);
}

struct key key_index_first(uint64_t topic_id)
{
    return id_key(KEY_INDEX, topic_id);
}

struct key key_index_end(uint64_t topic_id)
{
    return id_key(KEY_INDEX, topic_id + 1);
}

struct key key_index_queue_end(uint64_t topic_id, int32_t queue_id)
{
    return topic_queue_key(KEY_INDEX, topic_id, queue_id + 1);
}

bool key_id_parse(struct slice key, uint64_t *id)
{
    if (key.size != ID_KEY_SIZE) {
        return false;
    }
    *id = be64_get(key.data + 1);
    return true;
}

bool key_queue_parse(struct slice key, uint64_t *topic_id, int32_t *queue_id)
{
    if (key.size != QUEUE_KEY_SIZE) {
        return false;
    }
    *topic_id = be64_get(key.data + 1);
    *queue_id = (int32_t)be32_get(key.data + ID_KEY_SIZE);
    return true;
}

bool key_index_parse(struct slice key, uint64_t *topic_id, int32_t *queue_id, int64_t *offset_first)
{
    if (key.size != INDEX_KEY_SIZE) {
        return false;
    }
    *offset_first = (int64_t)~be64_get(key.data + QUEUE_KEY_SIZE);
    return key_queue_parse(slice_of(key.data, QUEUE_KEY_SIZE), topic_id, queue_id);
}

bool key_offsets_parse(struct slice key, struct slice *group, struct slice *topic)
{
    const uint8_t *end = key.size < 2 ? NULL : memchr(key.data + 1, 0, key.size - 1);
    if (end == NULL) {
        return false;
    }
    size_t group_size = (size_t)(end - key.data) - 1;
    *group = slice_of(key.data + 1, group_size);
    *topic = slice_from(key, 2 + group_size);
    return true;
}

bool key_lock_parse(struct slice key, struct slice *group, struct slice *topic, int32_t *queue_id)
{
    const size_t tail = 1 + 4;
    if (key.size < tail || key.data[key.size - tail] != 0 ||
        !key_offsets_parse(slice_of(key.data, key.size - tail), group, topic)) {
        return false;
    }
    *queue_id = (int32_t)be32_get(key.data + key.size - 4);
    return true;
}

bool key_popped_parse(struct slice key, struct slice *group, struct slice *topic, int32_t *queue_id,
                      int64_t *offset)
{
    if (key.size < 8 || !key_lock_parse(slice_of(key.data, key.size - 8), group, topic, queue_id)) {
        return false;
    }
    *offset = (int64_t)be64_get(key.data + key.size - 8);
    return true;
}

bool key_run_parse(struct slice key, uint16_t *bucket, uint64_t *time_ms, uint64_t *applied_index)
{
    if (key.size != RUN_KEY_SIZE) {
        return false;
    }
    *bucket = be16_get(key.data + 1);
    *time_ms = ~be64_get(key.data + 3);
    *applied_index = ~be64_get(key.data + 11);
    return true;
}
