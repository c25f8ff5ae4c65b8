#include "broker/machine/rows.h"

/* Reads forward; once it has run over the end, everything is zero and `failed` is set. */
struct cursor {
    struct slice bytes;
    bool failed;
};

static const uint8_t *take(struct cursor *cursor, size_t size)
{
    static const uint8_t zeros[8];
    if (cursor->failed || cursor->bytes.size < size) {
        cursor->failed = true;
        return size <= sizeof zeros ? zeros : NULL;
    }
    const uint8_t *at = cursor->bytes.data;
    cursor->bytes = slice_from(cursor->bytes, size);
    return at;
}

static uint8_t take_u8(struct cursor *cursor)
{
    return *take(cursor, 1);
}

static uint32_t take_u32(struct cursor *cursor)
{
    return le32_get(take(cursor, 4));
}

static uint64_t take_u64(struct cursor *cursor)
{
    return le64_get(take(cursor, 8));
}

static struct slice take_text(struct cursor *cursor)
{
    size_t size = le16_get(take(cursor, 2));
    const uint8_t *text = take(cursor, size);
    return cursor->failed ? slice_of(NULL, 0) : slice_of(text, size);
}

static enum status finish(const struct cursor *cursor)
{
    return cursor->failed || cursor->bytes.size != 0 ? STATUS_CORRUPT : STATUS_OK;
}

static void put_text(struct buf *out, struct slice text)
{
    ASSERT(text.size <= UINT16_MAX);
    buf_put_le16(out, (uint16_t)text.size);
    buf_put_slice(out, text);
}

/* The counters that are kept, in the order of the row. */
enum { COUNTERS = 14 };

static void counters_list(struct machine_counters *counters, uint64_t *list[COUNTERS])
{
    uint64_t *const all[COUNTERS] = {
        &counters->messages,        &counters->message_bytes,
        &counters->halves,          &counters->half_duplicates,
        &counters->commits,         &counters->rollbacks,
        &counters->expirations,     &counters->end_repeated,
        &counters->end_refused,     &counters->checks,
        &counters->delayed,         &counters->delayed_fired,
        &counters->delayed_dropped, &counters->message_duplicates,
    };
    memcpy(list, all, sizeof all);
}

void meta_row_encode(const struct meta_row *row, struct buf *out)
{
    buf_put_le32(out, STORE_VERSION);
    buf_put_le64(out, row->applied_index);
    buf_put_le64(out, row->clock_ms);
    buf_put_le64(out, row->next_id);
    buf_put_le64(out, (uint64_t)row->half_offset_next);
    buf_put_le64(out, row->outcome_first);
    buf_put_le64(out, row->outcome_next);
    buf_put_le64(out, row->unique_first);
    buf_put_le64(out, row->unique_next);
    buf_put_le64(out, row->cut_position);
    buf_put_le64(out, row->log_first);
    buf_put_le64(out, row->cut_ms);
    buf_put_le64(out, row->cut_index);
    buf_put_le64(out, row->topics_version.counter);
    buf_put_le64(out, row->topics_version.time_ms);
    buf_put_le64(out, row->groups_version.counter);
    buf_put_le64(out, row->groups_version.time_ms);
    struct machine_counters counters = row->counters;
    uint64_t *list[COUNTERS];
    counters_list(&counters, list);
    for (size_t i = 0; i < COUNTERS; i++) {
        buf_put_le64(out, *list[i]);
    }
}

enum status meta_row_decode(struct slice value, struct meta_row *row)
{
    struct cursor cursor = {value, false};
    if (take_u32(&cursor) != STORE_VERSION) {
        return STATUS_CORRUPT;
    }
    *row = (struct meta_row){0};
    row->applied_index = take_u64(&cursor);
    row->clock_ms = take_u64(&cursor);
    row->next_id = take_u64(&cursor);
    row->half_offset_next = (int64_t)take_u64(&cursor);
    row->outcome_first = take_u64(&cursor);
    row->outcome_next = take_u64(&cursor);
    row->unique_first = take_u64(&cursor);
    row->unique_next = take_u64(&cursor);
    row->cut_position = take_u64(&cursor);
    row->log_first = take_u64(&cursor);
    row->cut_ms = take_u64(&cursor);
    row->cut_index = take_u64(&cursor);
    row->topics_version.counter = take_u64(&cursor);
    row->topics_version.time_ms = take_u64(&cursor);
    row->groups_version.counter = take_u64(&cursor);
    row->groups_version.time_ms = take_u64(&cursor);
    uint64_t *list[COUNTERS];
    counters_list(&row->counters, list);
    for (size_t i = 0; i < COUNTERS; i++) {
        *list[i] = take_u64(&cursor);
    }
    return finish(&cursor);
}

enum { TOPIC_ORDER = 1, TOPIC_MULTI_TAG = 2 };

void topic_row_encode(const struct topic_row *row, struct buf *out)
{
    const struct topic_spec *config = &row->config;
    put_text(out, config->name);
    buf_put_le32(out, (uint32_t)config->read_queue_count);
    buf_put_le32(out, (uint32_t)config->write_queue_count);
    buf_put_le32(out, (uint32_t)config->perm);
    buf_put_le32(out, (uint32_t)config->sys_flag);
    buf_put_u8(out, (uint8_t)((config->order ? TOPIC_ORDER : 0) |
                              (config->multi_tag ? TOPIC_MULTI_TAG : 0)));
    put_text(out, config->attributes);
    buf_put_le32(out, (uint32_t)config->unique_window_s);
    buf_put_le64(out, row->changed_index);
    buf_put_le32(out, row->queue_count);
}

enum status topic_row_decode(struct slice value, struct topic_row *row)
{
    struct cursor cursor = {value, false};
    *row = (struct topic_row){0};
    struct topic_spec *config = &row->config;
    config->name = take_text(&cursor);
    config->read_queue_count = (int32_t)take_u32(&cursor);
    config->write_queue_count = (int32_t)take_u32(&cursor);
    config->perm = (int32_t)take_u32(&cursor);
    config->sys_flag = (int32_t)take_u32(&cursor);
    uint8_t flags = take_u8(&cursor);
    config->order = (flags & TOPIC_ORDER) != 0;
    config->multi_tag = (flags & TOPIC_MULTI_TAG) != 0;
    config->attributes = take_text(&cursor);
    config->unique_window_s = (int32_t)take_u32(&cursor);
    row->changed_index = take_u64(&cursor);
    row->queue_count = take_u32(&cursor);
    bool valid = flags <= (TOPIC_ORDER | TOPIC_MULTI_TAG) && config->name.size <= NAME_MAX_SIZE &&
                 config->unique_window_s >= 0 && config->unique_window_s <= UNIQUE_WINDOW_MAX_S &&
                 row->queue_count <= QUEUES_PER_TOPIC_MAX;
    return valid ? finish(&cursor) : STATUS_CORRUPT;
}

void queue_row_encode(const struct queue_row *row, struct buf *out)
{
    buf_put_le64(out, (uint64_t)row->offset_first);
    buf_put_le64(out, (uint64_t)row->offset_next);
    buf_put_le64(out, row->grew_segment);
}

enum status queue_row_decode(struct slice value, struct queue_row *row)
{
    struct cursor cursor = {value, false};
    row->offset_first = (int64_t)take_u64(&cursor);
    row->offset_next = (int64_t)take_u64(&cursor);
    row->grew_segment = take_u64(&cursor);
    bool valid = row->offset_first >= 0 && row->offset_first <= row->offset_next;
    return valid ? finish(&cursor) : STATUS_CORRUPT;
}

void index_entry_encode(const struct index_entry *entry, uint8_t to[INDEX_ENTRY_SIZE])
{
    le64_put(to, entry->position);
    le64_put(to + 8, entry->body_position);
    le32_put(to + 16, entry->size);
    le32_put(to + 20, (uint32_t)entry->tags_hash);
    le64_put(to + 24, entry->store_time_ms);
    le32_put(to + 32, entry->crc);
}

void index_entry_decode(const uint8_t from[INDEX_ENTRY_SIZE], struct index_entry *entry)
{
    entry->position = le64_get(from);
    entry->body_position = le64_get(from + 8);
    entry->size = le32_get(from + 16);
    entry->tags_hash = (int32_t)le32_get(from + 20);
    entry->store_time_ms = le64_get(from + 24);
    entry->crc = le32_get(from + 32);
}

enum {
    GROUP_CONSUME = 1,
    GROUP_FROM_MIN = 2,
    GROUP_BROADCAST = 4,
    GROUP_ORDERLY = 8,
    GROUP_NOTIFY = 16,
    GROUP_FLAGS_END = 32,
};

void group_row_encode(const struct group_spec *config, struct buf *out)
{
    put_text(out, config->name);
    buf_put_u8(out, (uint8_t)((config->consume_enable ? GROUP_CONSUME : 0) |
                              (config->consume_from_min_enable ? GROUP_FROM_MIN : 0) |
                              (config->consume_broadcast_enable ? GROUP_BROADCAST : 0) |
                              (config->consume_orderly ? GROUP_ORDERLY : 0) |
                              (config->notify_changes ? GROUP_NOTIFY : 0)));
    buf_put_le32(out, (uint32_t)config->retry_queue_count);
    buf_put_le32(out, (uint32_t)config->retry_max_times);
    buf_put_le64(out, (uint64_t)config->broker_id);
    buf_put_le64(out, (uint64_t)config->broker_id_when_slow);
    buf_put_le32(out, (uint32_t)config->sys_flag);
    buf_put_le32(out, (uint32_t)config->consume_timeout_minutes);
}

enum status group_row_decode(struct slice value, struct group_spec *config)
{
    struct cursor cursor = {value, false};
    *config = (struct group_spec){0};
    config->name = take_text(&cursor);
    uint8_t flags = take_u8(&cursor);
    config->consume_enable = (flags & GROUP_CONSUME) != 0;
    config->consume_from_min_enable = (flags & GROUP_FROM_MIN) != 0;
    config->consume_broadcast_enable = (flags & GROUP_BROADCAST) != 0;
    config->consume_orderly = (flags & GROUP_ORDERLY) != 0;
    config->notify_changes = (flags & GROUP_NOTIFY) != 0;
    config->retry_queue_count = (int32_t)take_u32(&cursor);
    config->retry_max_times = (int32_t)take_u32(&cursor);
    config->broker_id = (int64_t)take_u64(&cursor);
    config->broker_id_when_slow = (int64_t)take_u64(&cursor);
    config->sys_flag = (int32_t)take_u32(&cursor);
    config->consume_timeout_minutes = (int32_t)take_u32(&cursor);
    bool valid = flags < GROUP_FLAGS_END && config->name.size <= NAME_MAX_SIZE;
    return valid ? finish(&cursor) : STATUS_CORRUPT;
}

void offsets_row_encode(const int64_t *offsets, uint32_t count, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        buf_put_le64(out, (uint64_t)offsets[i]);
    }
}

enum status offsets_row_decode(struct slice value, uint32_t *count)
{
    if (value.size % 8 != 0 || value.size / 8 > QUEUES_PER_TOPIC_MAX) {
        return STATUS_CORRUPT;
    }
    *count = (uint32_t)(value.size / 8);
    return STATUS_OK;
}

int64_t offsets_row_get(struct slice value, uint32_t queue_id)
{
    return (int64_t)le64_get(value.data + 8 * (size_t)queue_id);
}

void lock_row_encode(const struct lock_row *row, struct buf *out)
{
    buf_put_le64(out, row->until_ms);
    buf_put_slice(out, row->client);
}

enum status lock_row_decode(struct slice value, struct lock_row *row)
{
    if (value.size < 8 || value.size - 8 > NAME_MAX_SIZE) {
        return STATUS_CORRUPT;
    }
    row->until_ms = le64_get(value.data);
    row->client = slice_from(value, 8);
    return STATUS_OK;
}

void mode_row_encode(const struct mode_row *row, struct buf *out)
{
    buf_put_u8(out, (uint8_t)row->mode);
    buf_put_le32(out, (uint32_t)row->share_count);
}

enum status mode_row_decode(struct slice value, struct mode_row *row)
{
    struct cursor cursor = {value, false};
    row->mode = (enum request_mode)take_u8(&cursor);
    row->share_count = (int32_t)take_u32(&cursor);
    bool valid = row->mode == REQUEST_MODE_PULL || row->mode == REQUEST_MODE_POP;
    return valid ? finish(&cursor) : STATUS_CORRUPT;
}

void popped_row_encode(const struct popped_row *row, struct buf *out)
{
    buf_put_le64(out, row->pop_ms);
    buf_put_le64(out, row->due_ms);
    buf_put_le64(out, row->first_pop_ms);
    buf_put_le32(out, row->repeats);
}

enum status popped_row_decode(struct slice value, struct popped_row *row)
{
    struct cursor cursor = {value, false};
    row->pop_ms = take_u64(&cursor);
    row->due_ms = take_u64(&cursor);
    row->first_pop_ms = take_u64(&cursor);
    row->repeats = take_u32(&cursor);
    return finish(&cursor);
}

enum {
    TRANSACTION_HAS_UNIQUE = 1,
    TRANSACTION_BY_HAND = 2,
    TRANSACTION_BY_AGE = 4,
    TRANSACTION_BY_CUT = 8,
    TRANSACTION_DELAY_ABSOLUTE = 16,
    TRANSACTION_FLAGS_END = 32,
};

void transaction_row_encode(const struct transaction_row *row, struct buf *out)
{
    ASSERT(row->key_count <= TRANSACTION_KEYS_MAX);
    size_t begin = out->size;
    buf_put_le64(out, row->position);
    buf_put_le64(out, (uint64_t)row->half_offset);
    buf_put_le32(out, row->size);
    buf_put_le32(out, row->crc);
    buf_put_le32(out, (uint32_t)row->queue_id);
    buf_put_le64(out, row->topic_id);
    buf_put_le64(out, row->topic_hash);
    buf_put_le64(out, row->group_id);
    buf_put_u8(out, (uint8_t)row->state);
    buf_put_u8(out, (uint8_t)((row->has_unique ? TRANSACTION_HAS_UNIQUE : 0) |
                              (row->settled_by_hand ? TRANSACTION_BY_HAND : 0) |
                              (row->expired_by_age ? TRANSACTION_BY_AGE : 0) |
                              (row->dropped_by_cut ? TRANSACTION_BY_CUT : 0) |
                              (row->delay.absolute ? TRANSACTION_DELAY_ABSOLUTE : 0)));
    buf_put_le16(out, (uint16_t)row->key_count);
    buf_put_le32(out, row->attempts);
    buf_put_le32(out, (uint32_t)row->tags_hash);
    buf_put_le64(out, row->stored_ms);
    buf_put_le64(out, row->last_check_ms);
    buf_put_le64(out, row->decided_ms);
    buf_put_le64(out, row->due_ms);
    buf_put_le64(out, row->delay.ms);
    buf_put_le64(out, (uint64_t)row->visible_offset);
    buf_put(out, row->unique_hash, sizeof row->unique_hash);
    ASSERT(out->size - begin == TRANSACTION_ROW_SIZE);
    for (uint32_t i = 0; i < row->key_count; i++) {
        buf_put_le64(out, row->keys[i]);
    }
}

enum status transaction_row_decode(struct slice value, struct transaction_row *row)
{
    struct cursor cursor = {value, false};
    row->position = take_u64(&cursor);
    row->half_offset = (int64_t)take_u64(&cursor);
    row->size = take_u32(&cursor);
    row->crc = take_u32(&cursor);
    row->queue_id = (int32_t)take_u32(&cursor);
    row->topic_id = take_u64(&cursor);
    row->topic_hash = take_u64(&cursor);
    row->group_id = take_u64(&cursor);
    uint8_t state = take_u8(&cursor);
    uint8_t flags = take_u8(&cursor);
    row->key_count = le16_get(take(&cursor, 2));
    row->attempts = take_u32(&cursor);
    row->tags_hash = (int32_t)take_u32(&cursor);
    row->stored_ms = take_u64(&cursor);
    row->last_check_ms = take_u64(&cursor);
    row->decided_ms = take_u64(&cursor);
    row->due_ms = take_u64(&cursor);
    row->delay.ms = take_u64(&cursor);
    row->visible_offset = (int64_t)take_u64(&cursor);
    const uint8_t *unique = take(&cursor, sizeof row->unique_hash);
    if (unique == NULL || state < TRANSACTION_PENDING || state > TRANSACTION_EXPIRED ||
        flags >= TRANSACTION_FLAGS_END || row->key_count > TRANSACTION_KEYS_MAX) {
        return STATUS_CORRUPT;
    }
    memcpy(row->unique_hash, unique, sizeof row->unique_hash);
    row->state = (enum transaction_state)state;
    row->has_unique = (flags & TRANSACTION_HAS_UNIQUE) != 0;
    row->settled_by_hand = (flags & TRANSACTION_BY_HAND) != 0;
    row->expired_by_age = (flags & TRANSACTION_BY_AGE) != 0;
    row->dropped_by_cut = (flags & TRANSACTION_BY_CUT) != 0;
    row->delay.absolute = (flags & TRANSACTION_DELAY_ABSOLUTE) != 0;
    for (uint32_t i = 0; i < row->key_count; i++) {
        row->keys[i] = take_u64(&cursor);
    }
    return finish(&cursor);
}

void delayed_row_encode(const struct delayed_row *row, struct buf *out)
{
    ASSERT(row->key_count <= TRANSACTION_KEYS_MAX);
    buf_put_le64(out, row->position);
    buf_put_le32(out, row->size);
    buf_put_le32(out, row->crc);
    buf_put_le32(out, (uint32_t)row->queue_id);
    buf_put_le64(out, row->topic_id);
    buf_put_le32(out, (uint32_t)row->tags_hash);
    buf_put_le64(out, row->due_ms);
    buf_put_le64(out, row->stored_ms);
    buf_put_u8(out, row->recallable);
    buf_put_le16(out, (uint16_t)row->key_count);
    for (uint32_t i = 0; i < row->key_count; i++) {
        buf_put_le64(out, row->keys[i]);
    }
}

enum status delayed_row_decode(struct slice value, struct delayed_row *row)
{
    struct cursor cursor = {value, false};
    row->position = take_u64(&cursor);
    row->size = take_u32(&cursor);
    row->crc = take_u32(&cursor);
    row->queue_id = (int32_t)take_u32(&cursor);
    row->topic_id = take_u64(&cursor);
    row->tags_hash = (int32_t)take_u32(&cursor);
    row->due_ms = take_u64(&cursor);
    row->stored_ms = take_u64(&cursor);
    uint8_t recallable = *take(&cursor, 1);
    row->recallable = recallable != 0;
    row->key_count = le16_get(take(&cursor, 2));
    if (row->queue_id < 0 || recallable > 1 || row->key_count > TRANSACTION_KEYS_MAX) {
        return STATUS_CORRUPT;
    }
    for (uint32_t i = 0; i < row->key_count; i++) {
        row->keys[i] = take_u64(&cursor);
    }
    return finish(&cursor);
}

void unique_row_encode(const struct unique_row *row, uint8_t to[UNIQUE_ROW_SIZE])
{
    memcpy(to, row->hash, UNIQUE_HASH_SIZE);
    le32_put(to + 16, (uint32_t)row->queue_id);
    le64_put(to + 20, (uint64_t)row->queue_offset);
    le64_put(to + 28, row->position);
    le64_put(to + 36, row->until_ms);
}

enum status unique_row_decode(const uint8_t from[UNIQUE_ROW_SIZE], struct unique_row *row)
{
    memcpy(row->hash, from, UNIQUE_HASH_SIZE);
    row->queue_id = (int32_t)le32_get(from + 16);
    row->queue_offset = (int64_t)le64_get(from + 20);
    row->position = le64_get(from + 28);
    row->until_ms = le64_get(from + 36);
    return row->queue_id < 0 || row->queue_offset < 0 ? STATUS_CORRUPT : STATUS_OK;
}

void key_entry_encode(const struct key_entry *entry, uint8_t to[KEY_ENTRY_SIZE])
{
    le64_put(to, entry->hash);
    le64_put(to + 8, entry->position);
    le64_put(to + 16, entry->body_position);
    le64_put(to + 24, entry->store_time_ms);
    le32_put(to + 32, entry->size);
    le32_put(to + 36, entry->crc);
}

void key_entry_decode(const uint8_t from[KEY_ENTRY_SIZE], struct key_entry *entry)
{
    entry->hash = le64_get(from);
    entry->position = le64_get(from + 8);
    entry->body_position = le64_get(from + 16);
    entry->store_time_ms = le64_get(from + 24);
    entry->size = le32_get(from + 32);
    entry->crc = le32_get(from + 36);
}

void segment_row_encode(const struct segment_row *row, struct buf *out)
{
    buf_put_le64(out, row->first_ms);
    buf_put_le64(out, row->last_ms);
    buf_put_le64(out, row->last_index);
    buf_put_le64(out, row->referred_from);
    buf_put_le32(out, row->ends_count);
}

enum status segment_row_decode(struct slice value, struct segment_row *row)
{
    struct cursor cursor = {value, false};
    row->first_ms = take_u64(&cursor);
    row->last_ms = take_u64(&cursor);
    row->last_index = take_u64(&cursor);
    row->referred_from = take_u64(&cursor);
    row->ends_count = take_u32(&cursor);
    return row->first_ms <= row->last_ms ? finish(&cursor) : STATUS_CORRUPT;
}

void queue_end_encode(const struct queue_end *end, uint8_t to[QUEUE_END_SIZE])
{
    le64_put(to, end->topic_id);
    le32_put(to + 8, (uint32_t)end->queue_id);
    le64_put(to + 12, (uint64_t)end->offset_next);
}

void queue_end_decode(const uint8_t from[QUEUE_END_SIZE], struct queue_end *end)
{
    end->topic_id = le64_get(from);
    end->queue_id = (int32_t)le32_get(from + 8);
    end->offset_next = (int64_t)le64_get(from + 12);
}
