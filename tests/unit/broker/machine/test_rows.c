/* keys and rows: the layout of the store, against golden files. */
#include "tests/support/golden.h"
#include "tests/support/test.h"

#include "broker/machine/keys.h"
#include "broker/machine/rows.h"

static const uint64_t time_ms = UINT64_C(1700000000123);
static const uint64_t position = 0x123456789A;

/* Every size but the right one is refused: `decode` answers for the given bytes. */
static void refuse_prefixes(struct slice bytes, enum status (*decode)(struct slice bytes))
{
    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *prefix = malloc(size + 1);
        memcpy(prefix, bytes.data, size);
        assert_int_equal(decode(slice_of(prefix, size)), STATUS_CORRUPT);
        free(prefix);
    }
    uint8_t *longer = malloc(bytes.size + 1);
    memcpy(longer, bytes.data, bytes.size);
    longer[bytes.size] = 0;
    assert_int_equal(decode(slice_of(longer, bytes.size + 1)), STATUS_CORRUPT);
    free(longer);
    assert_int_equal(decode(bytes), STATUS_OK);
}

static void append_key(struct buf *out, struct key key)
{
    buf_put_slice(out, key_slice(&key));
}

static void keys_are_as_the_golden_file(void **state)
{
    (void)state;
    struct buf out = {0};
    append_key(&out, key_meta());
    append_key(&out, key_topic(7));
    append_key(&out, key_queue(7, 3));
    append_key(&out, key_index(7, 3, 512));
    append_key(&out, key_group(8));
    append_key(&out, key_offsets(slice_text("g1"), slice_text("orders")));
    append_key(&out, key_lock(slice_text("g1"), slice_text("orders"), 3));
    append_key(&out, key_mode(slice_text("g1"), slice_text("orders")));
    append_key(&out, key_popped(slice_text("g1"), slice_text("orders"), 3, 512));
    append_key(&out, key_producer_group(9));
    append_key(&out, key_transaction(position));
    append_key(&out, key_delayed(position));
    append_key(&out, key_outcomes(2));
    append_key(&out, key_uniques(3));
    append_key(&out, key_run(0xABC, time_ms, 900));
    append_key(&out, key_segment(5));
    append_key(&out, key_ends(5, 1));
    golden_check("machine/keys.hex", buf_slice(&out));
    buf_close(&out);
}

static void keys_come_apart_again(void **state)
{
    (void)state;
    uint64_t id;
    int32_t queue;
    int64_t first;
    struct key key = key_topic(7);
    assert_true(key_id_parse(key_slice(&key), &id));
    assert_int_equal(id, 7);
    key = key_queue(8, 1023);
    assert_false(key_id_parse(key_slice(&key), &id));
    assert_true(key_queue_parse(key_slice(&key), &id, &queue));
    assert_int_equal(id, 8);
    assert_int_equal(queue, 1023);
    key = key_index(9, 2, 123456789);
    assert_false(key_queue_parse(key_slice(&key), &id, &queue));
    assert_true(key_index_parse(key_slice(&key), &id, &queue, &first));
    assert_int_equal(id, 9);
    assert_int_equal(queue, 2);
    assert_int_equal(first, 123456789);
    struct slice group;
    struct slice topic;
    key = key_offsets(slice_text("g"), slice_text("%RETRY%g"));
    assert_true(key_offsets_parse(key_slice(&key), &group, &topic));
    assert_true(slice_equals_text(group, "g"));
    assert_true(slice_equals_text(topic, "%RETRY%g"));
    assert_false(key_offsets_parse(slice_text("ogroup"), &group, &topic));
    key = key_lock(slice_text("g"), slice_text("orders"), 1023);
    assert_true(key_lock_parse(key_slice(&key), &group, &topic, &queue));
    assert_true(slice_equals_text(group, "g"));
    assert_true(slice_equals_text(topic, "orders"));
    assert_int_equal(queue, 1023);
    assert_false(key_lock_parse(slice_of(key.bytes, 4), &group, &topic, &queue));
    assert_false(key_lock_parse(slice_text("lgroup"), &group, &topic, &queue));
    key = key_popped(slice_text("g"), slice_text("orders"), 1023, 77);
    assert_true(key_popped_parse(key_slice(&key), &group, &topic, &queue, &first));
    assert_true(slice_equals_text(group, "g"));
    assert_true(slice_equals_text(topic, "orders"));
    assert_int_equal(queue, 1023);
    assert_int_equal(first, 77);
    assert_false(key_popped_parse(slice_of(key.bytes, 7), &group, &topic, &queue, &first));
    assert_false(key_popped_parse(slice_text("ugroup-topic-4-and-8"), &group, &topic, &queue, //
                                  &first));
    uint16_t bucket;
    uint64_t time;
    uint64_t applied;
    key = key_run(4095, 17, 18);
    assert_true(key_run_parse(key_slice(&key), &bucket, &time, &applied));
    assert_int_equal(bucket, 4095);
    assert_int_equal(time, 17);
    assert_int_equal(applied, 18);
}

static void keys_sort_as_they_must(void **state)
{
    (void)state;
    // Ascending: each below the next.
    struct key keys[] = {
        key_index_first(7),
        key_index(7, 0, 256),
        key_index(7, 0, 255),
        key_index(7, 0, 0),
        key_index_queue_end(7, 0),
        key_index(7, 1, INT64_MAX),
        key_index(7, 1, 0),
        key_index_end(7),
        key_run(0, 2000, 9),
        key_run(0, 1000, 8),
        key_run(0, 1000, 7),
        key_run(1, 5000, 9),
        key_family_end(KEY_RUN),
        key_queue(7, 0),
        key_queue(7, 1),
        key_queue_end(7),
        key_transaction(255),
        key_transaction(256),
        key_family_end(KEY_TRANSACTION),
    };
    size_t count = sizeof keys / sizeof keys[0];
    for (size_t i = 0; i + 1 < count; i++) {
        if (slice_compare(key_slice(&keys[i]), key_slice(&keys[i + 1])) > 0) {
            fail_msg("key %zu is above the next", i);
        }
    }
}

static enum status decode_meta(struct slice bytes)
{
    struct meta_row row;
    return meta_row_decode(bytes, &row);
}

static void the_meta_row_is_as_the_golden_file(void **state)
{
    (void)state;
    struct meta_row row = {
        .applied_index = 900,
        .clock_ms = time_ms,
        .next_id = 17,
        .half_offset_next = 42,
        .outcome_first = 300,
        .outcome_next = 310,
        .unique_first = 400,
        .unique_next = 410,
        .cut_position = 5 * (uint64_t)SEGMENT_SIZE,
        .log_first = 3 * (uint64_t)SEGMENT_SIZE,
        .cut_ms = time_ms - 3,
        .cut_index = 700,
        .topics_version = {5, time_ms - 1},
        .groups_version = {6, time_ms - 2},
        .counters = {.messages = 100,
                     .message_bytes = 101,
                     .halves = 102,
                     .half_duplicates = 103,
                     .commits = 104,
                     .rollbacks = 105,
                     .expirations = 106,
                     .end_repeated = 107,
                     .end_refused = 108,
                     .checks = 109,
                     .delayed = 110,
                     .delayed_fired = 111,
                     .delayed_dropped = 112,
                     .message_duplicates = 113},
    };
    struct buf out = {0};
    meta_row_encode(&row, &out);
    golden_check("machine/row_meta.hex", buf_slice(&out));
    struct meta_row decoded;
    memset(&decoded, 0, sizeof decoded);
    assert_int_equal(meta_row_decode(buf_slice(&out), &decoded), STATUS_OK);
    assert_memory_equal(&decoded, &row, sizeof row);
    refuse_prefixes(buf_slice(&out), decode_meta);
    out.data[0] = STORE_VERSION + 1;
    assert_int_equal(decode_meta(buf_slice(&out)), STATUS_CORRUPT);
    buf_close(&out);
}

static enum status decode_topic(struct slice bytes)
{
    struct topic_row row;
    return topic_row_decode(bytes, &row);
}

static void the_topic_row_is_as_the_golden_file(void **state)
{
    (void)state;
    struct topic_row row = {
        .config = {slice_text("orders"), 8, 4, 6, 0, true, true, slice_text("{}"), 600},
        .changed_index = 77,
        .queue_count = 16,
    };
    struct buf out = {0};
    topic_row_encode(&row, &out);
    golden_check("machine/row_topic.hex", buf_slice(&out));
    struct topic_row decoded;
    assert_int_equal(topic_row_decode(buf_slice(&out), &decoded), STATUS_OK);
    assert_true(slice_equals_text(decoded.config.name, "orders"));
    assert_true(slice_equals_text(decoded.config.attributes, "{}"));
    assert_int_equal(decoded.config.read_queue_count, 8);
    assert_int_equal(decoded.config.write_queue_count, 4);
    assert_int_equal(decoded.config.perm, 6);
    assert_true(decoded.config.order && decoded.config.multi_tag);
    assert_int_equal(decoded.config.unique_window_s, 600);
    assert_int_equal(decoded.changed_index, 77);
    assert_int_equal(decoded.queue_count, 16);
    refuse_prefixes(buf_slice(&out), decode_topic);
    buf_close(&out);
}

static enum status decode_queue(struct slice bytes)
{
    struct queue_row row;
    return queue_row_decode(bytes, &row);
}

static void the_queue_row_is_as_the_golden_file(void **state)
{
    (void)state;
    struct queue_row row = {600, 1001, 9};
    struct buf out = {0};
    queue_row_encode(&row, &out);
    golden_check("machine/row_queue.hex", buf_slice(&out));
    refuse_prefixes(buf_slice(&out), decode_queue);
    row = (struct queue_row){5, 4, 9};
    buf_clear(&out);
    queue_row_encode(&row, &out);
    assert_int_equal(decode_queue(buf_slice(&out)), STATUS_CORRUPT);
    buf_close(&out);
}

static enum status decode_group(struct slice bytes)
{
    struct group_spec config;
    return group_row_decode(bytes, &config);
}

static void the_group_row_is_as_the_golden_file(void **state)
{
    (void)state;
    struct group_spec config = {
        .name = slice_text("g1"),
        .consume_enable = true,
        .consume_broadcast_enable = true,
        .notify_changes = true,
        .retry_queue_count = 2,
        .retry_max_times = -1,
        .broker_id_when_slow = 1,
        .consume_timeout_minutes = 15,
    };
    struct buf out = {0};
    group_row_encode(&config, &out);
    golden_check("machine/row_group.hex", buf_slice(&out));
    struct group_spec decoded;
    assert_int_equal(group_row_decode(buf_slice(&out), &decoded), STATUS_OK);
    assert_true(slice_equals_text(decoded.name, "g1"));
    assert_true(decoded.consume_enable && decoded.consume_broadcast_enable &&
                decoded.notify_changes && !decoded.consume_orderly &&
                !decoded.consume_from_min_enable);
    assert_int_equal(decoded.retry_max_times, -1);
    refuse_prefixes(buf_slice(&out), decode_group);
    buf_close(&out);
}

static void the_offsets_row_is_as_the_golden_file(void **state)
{
    (void)state;
    const int64_t offsets[] = {5, -1, 1000, 7 | OFFSET_HELD};
    struct buf out = {0};
    offsets_row_encode(offsets, 4, &out);
    golden_check("machine/row_offsets.hex", buf_slice(&out));
    uint32_t count;
    assert_int_equal(offsets_row_decode(buf_slice(&out), &count), STATUS_OK);
    assert_int_equal(count, 4);
    assert_int_equal(offsets_row_get(buf_slice(&out), 1), -1);
    assert_true(offsets_row_get(buf_slice(&out), 3) == offsets[3]);
    assert_int_equal(offsets_row_get(buf_slice(&out), 2), 1000);
    assert_int_equal(offsets_row_decode(slice_of(out.data, 31), &count), STATUS_CORRUPT);
    buf_close(&out);
}

static void the_lock_row_is_as_the_golden_file(void **state)
{
    (void)state;
    struct buf out = {0};
    const struct lock_row row = {.until_ms = time_ms, .client = slice_text("10.0.0.1@77")};
    struct lock_row read;
    lock_row_encode(&row, &out);
    golden_check("machine/row_lock.hex", buf_slice(&out));
    assert_int_equal(lock_row_decode(buf_slice(&out), &read), STATUS_OK);
    assert_true(read.until_ms == time_ms);
    assert_true(slice_equals_text(read.client, "10.0.0.1@77"));
    assert_int_equal(lock_row_decode(slice_of(out.data, 7), &read), STATUS_CORRUPT);
    memset(buf_extend(&out, NAME_MAX_SIZE), 'x', NAME_MAX_SIZE);
    assert_int_equal(lock_row_decode(buf_slice(&out), &read), STATUS_CORRUPT);
    buf_close(&out);
}

static enum status decode_mode(struct slice bytes)
{
    struct mode_row row;
    return mode_row_decode(bytes, &row);
}

static enum status decode_popped(struct slice bytes)
{
    struct popped_row row;
    return popped_row_decode(bytes, &row);
}

static void the_rows_of_popping_are_as_the_golden_files(void **state)
{
    (void)state;
    struct buf out = {0};
    struct mode_row mode = {REQUEST_MODE_POP, -1};
    mode_row_encode(&mode, &out);
    golden_check("machine/row_mode.hex", buf_slice(&out));
    refuse_prefixes(buf_slice(&out), decode_mode);
    mode = (struct mode_row){0};
    assert_int_equal(mode_row_decode(buf_slice(&out), &mode), STATUS_OK);
    assert_int_equal(mode.mode, REQUEST_MODE_POP);
    assert_int_equal(mode.share_count, -1);
    out.data[0] = REQUEST_MODE_POP + 1;
    assert_int_equal(mode_row_decode(buf_slice(&out), &mode), STATUS_CORRUPT);

    buf_clear(&out);
    struct popped_row popped = {.pop_ms = time_ms,
                                .due_ms = time_ms + 60000,
                                .first_pop_ms = time_ms - 60000,
                                .repeats = 2};
    popped_row_encode(&popped, &out);
    golden_check("machine/row_popped.hex", buf_slice(&out));
    refuse_prefixes(buf_slice(&out), decode_popped);
    popped = (struct popped_row){0};
    assert_int_equal(popped_row_decode(buf_slice(&out), &popped), STATUS_OK);
    assert_true(popped.pop_ms == time_ms);
    assert_true(popped.due_ms == time_ms + 60000);
    assert_true(popped.first_pop_ms == time_ms - 60000);
    assert_int_equal(popped.repeats, 2);
    buf_close(&out);
}

static enum status decode_transaction(struct slice bytes)
{
    struct transaction_row row;
    return transaction_row_decode(bytes, &row);
}

static void the_transaction_row_is_as_the_golden_file(void **state)
{
    (void)state;
    struct transaction_row row = {
        .position = position,
        .half_offset = 41,
        .size = 1250,
        .crc = 0xCC345678,
        .queue_id = 3,
        .topic_id = 7,
        .topic_hash = 0x1122334455667788,
        .group_id = 9,
        .state = TRANSACTION_PENDING,
        .has_unique = true,
        .expired_by_age = true,
        .dropped_by_cut = true,
        .attempts = 3,
        .tags_hash = -5,
        .stored_ms = time_ms,
        .last_check_ms = time_ms + 6000,
        .due_ms = time_ms + 36000,
        .delay = {time_ms + 90000, true},
        .visible_offset = -1,
        .key_count = 2,
        .keys = {0xAABB, 0xCCDD},
    };
    for (uint8_t i = 0; i < sizeof row.unique_hash; i++) {
        row.unique_hash[i] = i;
    }
    struct buf out = {0};
    transaction_row_encode(&row, &out);
    golden_check("machine/row_transaction.hex", buf_slice(&out));
    struct transaction_row decoded;
    memset(&decoded, 0, sizeof decoded);
    assert_int_equal(transaction_row_decode(buf_slice(&out), &decoded), STATUS_OK);
    struct buf again = {0};
    transaction_row_encode(&decoded, &again);
    assert_true(slice_equals(buf_slice(&out), buf_slice(&again)));
    refuse_prefixes(buf_slice(&out), decode_transaction);
    buf_close(&again);
    buf_close(&out);
}

static enum status decode_delayed(struct slice bytes)
{
    struct delayed_row row;
    return delayed_row_decode(bytes, &row);
}

static void the_row_of_a_delayed_message_is_as_the_golden_file(void **state)
{
    (void)state;
    struct delayed_row row = {
        .position = position,
        .size = 1250,
        .crc = 0xCC345678,
        .queue_id = 3,
        .topic_id = 7,
        .tags_hash = -5,
        .due_ms = time_ms + 10000,
        .stored_ms = time_ms,
        .recallable = true,
        .key_count = 2,
        .keys = {0xAABB, 0xCCDD},
    };
    struct buf out = {0};
    delayed_row_encode(&row, &out);
    golden_check("machine/row_delayed.hex", buf_slice(&out));
    struct delayed_row decoded;
    memset(&decoded, 0, sizeof decoded);
    assert_int_equal(delayed_row_decode(buf_slice(&out), &decoded), STATUS_OK);
    struct buf again = {0};
    delayed_row_encode(&decoded, &again);
    assert_true(slice_equals(buf_slice(&out), buf_slice(&again)));
    refuse_prefixes(buf_slice(&out), decode_delayed);
    row.queue_id = -1;
    buf_clear(&out);
    delayed_row_encode(&row, &out);
    assert_int_equal(decode_delayed(buf_slice(&out)), STATUS_CORRUPT);
    buf_close(&again);
    buf_close(&out);
}

static enum status decode_segment(struct slice bytes)
{
    struct segment_row row;
    return segment_row_decode(bytes, &row);
}

static void the_rows_of_a_segment_are_as_the_golden_files(void **state)
{
    (void)state;
    struct segment_row row = {
        .first_ms = time_ms,
        .last_ms = time_ms + 60000,
        .last_index = 900,
        .referred_from = position,
        .ends_count = 3,
    };
    struct buf out = {0};
    segment_row_encode(&row, &out);
    golden_check("machine/row_segment.hex", buf_slice(&out));
    struct segment_row decoded;
    assert_int_equal(segment_row_decode(buf_slice(&out), &decoded), STATUS_OK);
    assert_true(decoded.first_ms == row.first_ms && decoded.last_ms == row.last_ms &&
                decoded.last_index == 900 && decoded.referred_from == position &&
                decoded.ends_count == 3);
    refuse_prefixes(buf_slice(&out), decode_segment);
    row.last_ms = row.first_ms - 1;
    buf_clear(&out);
    segment_row_encode(&row, &out);
    assert_int_equal(decode_segment(buf_slice(&out)), STATUS_CORRUPT);
    buf_close(&out);
    uint8_t packed[QUEUE_END_SIZE];
    queue_end_encode(&(struct queue_end){7, 3, 1001}, packed);
    golden_check("machine/row_queue_end.hex", slice_of(packed, sizeof packed));
    struct queue_end end;
    queue_end_decode(packed, &end);
    assert_true(end.topic_id == 7 && end.queue_id == 3 && end.offset_next == 1001);
}

static void a_recognised_message_is_as_the_golden_file(void **state)
{
    (void)state;
    struct unique_row row = {
        .queue_id = 3, .queue_offset = 1000, .position = position, .until_ms = time_ms + 10000};
    for (uint8_t i = 0; i < sizeof row.hash; i++) {
        row.hash[i] = i;
    }
    uint8_t packed[UNIQUE_ROW_SIZE];
    unique_row_encode(&row, packed);
    golden_check("machine/row_unique.hex", slice_of(packed, sizeof packed));
    struct unique_row decoded;
    assert_int_equal(unique_row_decode(packed, &decoded), STATUS_OK);
    unique_row_encode(&decoded, packed);
    golden_check("machine/row_unique.hex", slice_of(packed, sizeof packed));
    row.queue_offset = -1;
    unique_row_encode(&row, packed);
    assert_int_equal(unique_row_decode(packed, &decoded), STATUS_CORRUPT);
}

static void entries_of_the_indexes_are_as_the_golden_files(void **state)
{
    (void)state;
    struct index_entry entry = {position, position - 4096, 1250, 0xCC345678, -5, time_ms};
    uint8_t packed[KEY_ENTRY_SIZE];
    index_entry_encode(&entry, packed);
    golden_check("machine/row_index_entry.hex", slice_of(packed, INDEX_ENTRY_SIZE));
    struct index_entry entry_back = {0};
    index_entry_decode(packed, &entry_back);
    index_entry_encode(&entry_back, packed);
    golden_check("machine/row_index_entry.hex", slice_of(packed, INDEX_ENTRY_SIZE));
    struct key_entry key = {0x1122334455667788, position, position - 4096, time_ms, 1250,
                            0xCC345678};
    struct key_entry key_back = {0};
    key_entry_encode(&key, packed);
    golden_check("machine/row_key_entry.hex", slice_of(packed, KEY_ENTRY_SIZE));
    key_entry_decode(packed, &key_back);
    key_entry_encode(&key_back, packed);
    golden_check("machine/row_key_entry.hex", slice_of(packed, KEY_ENTRY_SIZE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_as_the_golden_file),
        cmocka_unit_test(keys_come_apart_again),
        cmocka_unit_test(keys_sort_as_they_must),
        cmocka_unit_test(the_meta_row_is_as_the_golden_file),
        cmocka_unit_test(the_topic_row_is_as_the_golden_file),
        cmocka_unit_test(the_queue_row_is_as_the_golden_file),
        cmocka_unit_test(the_group_row_is_as_the_golden_file),
        cmocka_unit_test(the_offsets_row_is_as_the_golden_file),
        cmocka_unit_test(the_lock_row_is_as_the_golden_file),
        cmocka_unit_test(the_rows_of_popping_are_as_the_golden_files),
        cmocka_unit_test(the_transaction_row_is_as_the_golden_file),
        cmocka_unit_test(the_row_of_a_delayed_message_is_as_the_golden_file),
        cmocka_unit_test(the_rows_of_a_segment_are_as_the_golden_files),
        cmocka_unit_test(a_recognised_message_is_as_the_golden_file),
        cmocka_unit_test(entries_of_the_indexes_are_as_the_golden_files),
    };
    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
