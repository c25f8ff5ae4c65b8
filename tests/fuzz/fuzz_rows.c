/* Values of the machine's store. A value that decodes is exactly such a row: encoded again it is
 * the same bytes. The first byte picks the row. */
#include "broker/machine/keys.h"
#include "broker/machine/rows.h"
#include "tests/fuzz/fuzz.h"

/* Decode a value and append it encoded; false if it is no such row. */
typedef bool trip(struct slice value, struct buf *out);

#define TRIP(name)                                                                                 \
    static bool trip_##name(struct slice value, struct buf *out)                                   \
    {                                                                                              \
        struct name##_row row = {0};                                                               \
        if (name##_row_decode(value, &row) != STATUS_OK) {                                         \
            return false;                                                                          \
        }                                                                                          \
        name##_row_encode(&row, out);                                                              \
        return true;                                                                               \
    }

TRIP(meta)
TRIP(topic)
TRIP(queue)
TRIP(transaction)
TRIP(segment)

static bool trip_group(struct slice value, struct buf *out)
{
    struct group_spec config = {0};
    if (group_row_decode(value, &config) != STATUS_OK) {
        return false;
    }
    group_row_encode(&config, out);
    return true;
}

static bool trip_offsets(struct slice value, struct buf *out)
{
    int64_t offsets[QUEUES_PER_TOPIC_MAX];
    uint32_t count = 0;
    if (offsets_row_decode(value, &count) != STATUS_OK || count > QUEUES_PER_TOPIC_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        offsets[i] = offsets_row_get(value, i);
    }
    offsets_row_encode(offsets, count, out);
    return true;
}

static bool trip_entries(struct slice value, struct buf *out)
{
    struct index_entry index;
    struct key_entry key;
    if (value.size != INDEX_ENTRY_SIZE + KEY_ENTRY_SIZE) {
        return false;
    }
    index_entry_decode(value.data, &index);
    index_entry_encode(&index, buf_extend(out, INDEX_ENTRY_SIZE));
    key_entry_decode(value.data + INDEX_ENTRY_SIZE, &key);
    key_entry_encode(&key, buf_extend(out, KEY_ENTRY_SIZE));
    return true;
}

/* The keys, each of which is taken apart and made again. */
static bool trip_key(struct slice value, struct buf *out)
{
    uint64_t a = 0;
    uint64_t b = 0;
    int32_t queue = 0;
    int64_t offset = 0;
    uint16_t bucket = 0;
    struct slice group;
    struct slice topic;
    struct key key;
    if (value.size == 0) {
        return false;
    }
    if (value.data[0] == KEY_TOPIC && key_id_parse(value, &a)) {
        key = key_topic(a);
    } else if (value.data[0] == KEY_QUEUE && key_queue_parse(value, &a, &queue)) {
        key = key_queue(a, queue);
    } else if (value.data[0] == KEY_INDEX && key_index_parse(value, &a, &queue, &offset)) {
        key = key_index(a, queue, offset);
    } else if (value.data[0] == KEY_OFFSETS && key_offsets_parse(value, &group, &topic) &&
               value.size <= KEY_NAMES_MAX) {
        key = key_offsets(group, topic);
    } else if (value.data[0] == KEY_LOCK && key_lock_parse(value, &group, &topic, &queue) &&
               value.size <= KEY_NAMES_MAX + 1 + 4) {
        key = key_lock(group, topic, queue);
    } else if (value.data[0] == KEY_MODE && key_offsets_parse(value, &group, &topic) &&
               value.size <= KEY_NAMES_MAX) {
        key = key_mode(group, topic);
    } else if (value.data[0] == KEY_POPPED && value.size <= KEY_BYTES_MAX &&
               key_popped_parse(value, &group, &topic, &queue, &offset)) {
        key = key_popped(group, topic, queue, offset);
    } else if (value.data[0] == KEY_RUN && key_run_parse(value, &bucket, &a, &b)) {
        key = key_run(bucket, a, b);
    } else {
        return false;
    }
    buf_put_slice(out, key_slice(&key));
    return true;
}

static bool trip_mode(struct slice value, struct buf *out)
{
    struct mode_row row;
    if (mode_row_decode(value, &row) != STATUS_OK) {
        return false;
    }
    mode_row_encode(&row, out);
    return true;
}

static bool trip_popped(struct slice value, struct buf *out)
{
    struct popped_row row;
    if (popped_row_decode(value, &row) != STATUS_OK) {
        return false;
    }
    popped_row_encode(&row, out);
    return true;
}

/* In the order of tests/fuzz/seed.py. */
static trip *const trips[] = {
    trip_meta,    trip_topic, trip_queue,   trip_transaction, trip_group,  trip_offsets,
    trip_entries, trip_key,   trip_segment, trip_mode,        trip_popped,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    struct buf out = {0};
    trip *go = trips[fuzz_u8(&input) % (sizeof trips / sizeof trips[0])];
    if (go(input.rest, &out)) {
        ASSERT(slice_equals(buf_slice(&out), input.rest));
    }
    buf_close(&out);
    return 0;
}
