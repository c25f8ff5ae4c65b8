/* Operations into an entry; the mirror of operation_decode.c. */
#include "broker/machine/operation.h"

#include "broker/machine/operation_fields.h"

#include <msgpack.h>

static int packer_write(void *data, const char *bytes, size_t size)
{
    buf_put(data, bytes, size);
    return 0;
}

static struct msgpack_packer packer_of(struct buf *entry)
{
    struct msgpack_packer packer;
    msgpack_packer_init(&packer, entry, packer_write);
    return packer;
}

static void put_u64(struct msgpack_packer *packer, unsigned key, uint64_t value)
{
    msgpack_pack_uint8(packer, (uint8_t)key);
    msgpack_pack_uint64(packer, value);
}

static void put_i64(struct msgpack_packer *packer, unsigned key, int64_t value)
{
    msgpack_pack_uint8(packer, (uint8_t)key);
    msgpack_pack_int64(packer, value);
}

static void pack_bool(struct msgpack_packer *packer, bool value)
{
    if (value) {
        msgpack_pack_true(packer);
    } else {
        msgpack_pack_false(packer);
    }
}

static void put_bool(struct msgpack_packer *packer, unsigned key, bool value)
{
    msgpack_pack_uint8(packer, (uint8_t)key);
    pack_bool(packer, value);
}

/* Longer text must never reach the log: no replica could read it again. */
static void pack_text(struct msgpack_packer *packer, struct slice value, size_t size_max)
{
    ASSERT(value.size <= size_max);
    msgpack_pack_str_with_body(packer, value.data, value.size);
}

static void put_text(struct msgpack_packer *packer, unsigned key, struct slice value,
                     size_t size_max)
{
    msgpack_pack_uint8(packer, (uint8_t)key);
    pack_text(packer, value, size_max);
}

void entry_put_delay(struct buf *entry, const struct delay *delay)
{
    buf_put_le64(entry, delay->ms);
    buf_put_le32(entry, delay->absolute);
}

void entry_put_end(struct buf *entry, const struct operation_end *end)
{
    size_t begin = entry_operation_begin(entry, OPERATION_END);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, END_FIELDS);
    put_u64(&packer, END_POSITION, end->half_position);
    put_i64(&packer, END_OFFSET, end->half_offset);
    put_u64(&packer, END_DECISION, (uint64_t)end->decision);
    put_bool(&packer, END_FROM_CHECK, end->from_check);
    put_text(&packer, END_GROUP, end->producer_group, GROUP_NAME_MAX);
    entry_operation_end(entry, begin);
}

void entry_put_checked(struct buf *entry, const struct operation_checked *checked)
{
    ASSERT(checked->count <= CHECKED_MAX);
    size_t begin = entry_operation_begin(entry, OPERATION_CHECKED);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, CHECKED_FIELDS);
    put_u64(&packer, CHECKED_NEXT_CHECK, checked->next_check_ms);
    msgpack_pack_uint8(&packer, CHECKED_POSITIONS);
    msgpack_pack_array(&packer, checked->count);
    for (uint32_t i = 0; i < checked->count; i++) {
        msgpack_pack_uint64(&packer, checked->half_positions[i]);
    }
    entry_operation_end(entry, begin);
}

void entry_put_expire(struct buf *entry, const struct operation_expire *expire)
{
    size_t begin = entry_operation_begin(entry, OPERATION_EXPIRE);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, EXPIRE_FIELDS);
    put_u64(&packer, EXPIRE_POSITION, expire->half_position);
    put_bool(&packer, EXPIRE_AGE, expire->age);
    entry_operation_end(entry, begin);
}

void entry_put_settle(struct buf *entry, const struct operation_settle *settle)
{
    size_t begin = entry_operation_begin(entry, OPERATION_SETTLE);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, SETTLE_FIELDS);
    put_u64(&packer, SETTLE_POSITION, settle->half_position);
    put_u64(&packer, SETTLE_DECISION, (uint64_t)settle->decision);
    entry_operation_end(entry, begin);
}

void entry_put_offsets(struct buf *entry, const struct operation_offsets *offsets)
{
    ASSERT(offsets->count <= OFFSETS_MAX);
    size_t begin = entry_operation_begin(entry, OPERATION_OFFSETS);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, OFFSETS_FIELDS);
    msgpack_pack_uint8(&packer, OFFSETS_COMMITS);
    msgpack_pack_array(&packer, (size_t)offsets->count * OFFSET_COMMIT_PLACES);
    for (uint32_t i = 0; i < offsets->count; i++) {
        const struct offset_commit *commit = &offsets->commits[i];
        pack_text(&packer, commit->group, GROUP_NAME_MAX);
        pack_text(&packer, commit->topic, TOPIC_NAME_DERIVED_MAX);
        msgpack_pack_int32(&packer, commit->queue_id);
        msgpack_pack_int64(&packer, commit->offset);
        pack_bool(&packer, commit->reset);
    }
    entry_operation_end(entry, begin);
}

void entry_put_topic_put(struct buf *entry, const struct operation_topic_put *put)
{
    const struct topic_spec *config = &put->config;
    size_t begin = entry_operation_begin(entry, OPERATION_TOPIC_PUT);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, TOPIC_PUT_FIELDS);
    put_text(&packer, TOPIC_PUT_NAME, config->name, TOPIC_NAME_DERIVED_MAX);
    put_i64(&packer, TOPIC_PUT_READ_QUEUES, config->read_queue_count);
    put_i64(&packer, TOPIC_PUT_WRITE_QUEUES, config->write_queue_count);
    put_i64(&packer, TOPIC_PUT_PERM, config->perm);
    put_i64(&packer, TOPIC_PUT_SYS_FLAG, config->sys_flag);
    put_bool(&packer, TOPIC_PUT_ORDER, config->order);
    put_bool(&packer, TOPIC_PUT_MULTI_TAG, config->multi_tag);
    put_text(&packer, TOPIC_PUT_ATTRIBUTES, config->attributes, TOPIC_ATTRIBUTES_MAX);
    put_bool(&packer, TOPIC_PUT_CREATE_ONLY, put->create_only);
    put_i64(&packer, TOPIC_PUT_UNIQUE_WINDOW, config->unique_window_s);
    entry_operation_end(entry, begin);
}

void entry_put_topic_delete(struct buf *entry, struct slice name)
{
    size_t begin = entry_operation_begin(entry, OPERATION_TOPIC_DELETE);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, TOPIC_DELETE_FIELDS);
    put_text(&packer, TOPIC_DELETE_NAME, name, TOPIC_NAME_DERIVED_MAX);
    entry_operation_end(entry, begin);
}

void entry_put_group_put(struct buf *entry, const struct operation_group_put *put)
{
    const struct group_spec *config = &put->config;
    size_t begin = entry_operation_begin(entry, OPERATION_GROUP_PUT);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, GROUP_PUT_FIELDS);
    put_text(&packer, GROUP_PUT_NAME, config->name, GROUP_NAME_MAX);
    put_bool(&packer, GROUP_PUT_CONSUME_ENABLE, config->consume_enable);
    put_bool(&packer, GROUP_PUT_FROM_MIN_ENABLE, config->consume_from_min_enable);
    put_bool(&packer, GROUP_PUT_BROADCAST_ENABLE, config->consume_broadcast_enable);
    put_bool(&packer, GROUP_PUT_ORDERLY, config->consume_orderly);
    put_i64(&packer, GROUP_PUT_RETRY_QUEUES, config->retry_queue_count);
    put_i64(&packer, GROUP_PUT_RETRY_MAX, config->retry_max_times);
    put_i64(&packer, GROUP_PUT_BROKER_ID, config->broker_id);
    put_i64(&packer, GROUP_PUT_BROKER_ID_WHEN_SLOW, config->broker_id_when_slow);
    put_bool(&packer, GROUP_PUT_NOTIFY_CHANGES, config->notify_changes);
    put_i64(&packer, GROUP_PUT_SYS_FLAG, config->sys_flag);
    put_i64(&packer, GROUP_PUT_TIMEOUT, config->consume_timeout_minutes);
    put_bool(&packer, GROUP_PUT_CREATE_ONLY, put->create_only);
    entry_operation_end(entry, begin);
}

void entry_put_group_delete(struct buf *entry, const struct operation_group_delete *del)
{
    size_t begin = entry_operation_begin(entry, OPERATION_GROUP_DELETE);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, GROUP_DELETE_FIELDS);
    put_text(&packer, GROUP_DELETE_NAME, del->name, GROUP_NAME_MAX);
    put_bool(&packer, GROUP_DELETE_CLEAN, del->clean_offsets);
    entry_operation_end(entry, begin);
}

void entry_put_tick(struct buf *entry)
{
    size_t begin = entry_operation_begin(entry, OPERATION_TICK);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, 0);
    entry_operation_end(entry, begin);
}

void entry_put_cut(struct buf *entry, const struct operation_cut *cut)
{
    size_t begin = entry_operation_begin(entry, OPERATION_CUT);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, CUT_FIELDS);
    put_u64(&packer, CUT_POSITION, cut->position);
    entry_operation_end(entry, begin);
}

void entry_put_lock(struct buf *entry, const struct operation_lock *lock)
{
    ASSERT(lock->count <= LOCK_PLACES_MAX && lock->lease_ms <= LOCK_LEASE_MAX_MS);
    size_t begin = entry_operation_begin(entry, OPERATION_LOCK);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, LOCK_FIELDS);
    put_u64(&packer, LOCK_ACTION, lock->action);
    put_text(&packer, LOCK_GROUP, lock->group, GROUP_NAME_MAX);
    put_text(&packer, LOCK_CLIENT, lock->client, CLIENT_ID_MAX);
    put_u64(&packer, LOCK_LEASE, lock->lease_ms);
    put_u64(&packer, LOCK_SINCE, lock->since_ms);
    msgpack_pack_uint8(&packer, LOCK_PLACES);
    msgpack_pack_array(&packer, (size_t)lock->count * LOCK_PLACE_PLACES);
    for (uint32_t i = 0; i < lock->count; i++) {
        pack_text(&packer, lock->places[i].topic, TOPIC_NAME_DERIVED_MAX);
        msgpack_pack_int32(&packer, lock->places[i].queue_id);
    }
    entry_operation_end(entry, begin);
}

void entry_put_fire(struct buf *entry, const struct operation_fire *fire)
{
    size_t begin = entry_operation_begin(entry, OPERATION_FIRE);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, FIRE_FIELDS);
    put_u64(&packer, FIRE_POSITION, fire->position);
    entry_operation_end(entry, begin);
}

void entry_put_recall(struct buf *entry, const struct operation_recall *recall)
{
    size_t begin = entry_operation_begin(entry, OPERATION_RECALL);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, RECALL_FIELDS);
    put_u64(&packer, RECALL_POSITION, recall->position);
    put_text(&packer, RECALL_TOPIC, recall->topic, TOPIC_NAME_DERIVED_MAX);
    put_text(&packer, RECALL_UNIQUE_KEY, recall->unique_key, KEY_SIZE_MAX);
    entry_operation_end(entry, begin);
}

void entry_put_pop(struct buf *entry, const struct operation_pop *pop)
{
    ASSERT(pop->count <= POP_OFFSETS_MAX && pop->invisible_ms <= INVISIBLE_MAX_MS);
    size_t begin = entry_operation_begin(entry, OPERATION_POP);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, POP_FIELDS);
    put_text(&packer, POP_GROUP, pop->group, GROUP_NAME_MAX);
    put_text(&packer, POP_TOPIC, pop->topic, TOPIC_NAME_DERIVED_MAX);
    put_i64(&packer, POP_QUEUE, pop->queue_id);
    put_i64(&packer, POP_FROM, pop->from);
    put_i64(&packer, POP_NEXT, pop->next);
    put_u64(&packer, POP_INVISIBLE, pop->invisible_ms);
    msgpack_pack_uint8(&packer, POP_OFFSETS);
    msgpack_pack_array(&packer, pop->count);
    for (uint32_t i = 0; i < pop->count; i++) {
        msgpack_pack_int64(&packer, pop->offsets[i]);
    }
    entry_operation_end(entry, begin);
}

static void pack_delivery(struct msgpack_packer *packer, const struct delivery *delivery)
{
    msgpack_pack_int32(packer, delivery->queue_id);
    msgpack_pack_int64(packer, delivery->offset);
    msgpack_pack_uint64(packer, delivery->pop_ms);
}

void entry_put_ack(struct buf *entry, const struct operation_ack *ack)
{
    ASSERT(ack->count <= ACKS_MAX);
    size_t begin = entry_operation_begin(entry, OPERATION_ACK);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, ACK_FIELDS);
    put_text(&packer, ACK_GROUP, ack->group, GROUP_NAME_MAX);
    put_text(&packer, ACK_TOPIC, ack->topic, TOPIC_NAME_DERIVED_MAX);
    msgpack_pack_uint8(&packer, ACK_DELIVERIES);
    msgpack_pack_array(&packer, (size_t)ack->count * DELIVERY_PLACES);
    for (uint32_t i = 0; i < ack->count; i++) {
        pack_delivery(&packer, &ack->deliveries[i]);
    }
    entry_operation_end(entry, begin);
}

void entry_put_invisible(struct buf *entry, const struct operation_invisible *invisible)
{
    ASSERT(invisible->invisible_ms <= INVISIBLE_MAX_MS);
    size_t begin = entry_operation_begin(entry, OPERATION_INVISIBLE);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, INVISIBLE_FIELDS);
    put_text(&packer, INVISIBLE_GROUP, invisible->group, GROUP_NAME_MAX);
    put_text(&packer, INVISIBLE_TOPIC, invisible->topic, TOPIC_NAME_DERIVED_MAX);
    msgpack_pack_uint8(&packer, INVISIBLE_DELIVERY);
    msgpack_pack_array(&packer, DELIVERY_PLACES);
    pack_delivery(&packer, &invisible->delivery);
    put_u64(&packer, INVISIBLE_FOR, invisible->invisible_ms);
    entry_operation_end(entry, begin);
}

void entry_put_mode_put(struct buf *entry, const struct operation_mode_put *put)
{
    size_t begin = entry_operation_begin(entry, OPERATION_MODE_PUT);
    struct msgpack_packer packer = packer_of(entry);
    msgpack_pack_map(&packer, MODE_PUT_FIELDS);
    put_text(&packer, MODE_PUT_GROUP, put->group, GROUP_NAME_MAX);
    put_text(&packer, MODE_PUT_TOPIC, put->topic, TOPIC_NAME_DERIVED_MAX);
    put_u64(&packer, MODE_PUT_MODE, put->mode);
    put_i64(&packer, MODE_PUT_SHARE, put->share_count);
    entry_operation_end(entry, begin);
}
