/* operation: the format of entries, against golden files, and against everything that is not one.
 */
#include "tests/support/golden.h"
#include "tests/support/test.h"

#include "broker/machine/operation.h"

enum { TIME_MS_LOW = 123 };
static const uint64_t time_ms = UINT64_C(1700000000000) + TIME_MS_LOW;
static const uint64_t position = 0x123456789A;

/* The decoded operations of an entry; how many. The decoded ones borrow from payload. */
static enum status decode(struct slice payload, struct operation *operations, uint32_t *count)
{
    struct entry_reader reader;
    *count = 0;
    enum status status = entry_reader_init(&reader, payload);
    while (status == STATUS_OK) {
        status = entry_reader_next(&reader, &operations[*count]);
        *count += status == STATUS_OK ? 1 : 0;
    }
    return status;
}

/* Equal to the file; decoded whole; no prefix of it is decoded. */
static void check(struct buf *entry, const char *path, struct operation *operations)
{
    uint32_t count;
    entry_finish(entry, time_ms);
    golden_check(path, buf_slice(entry));
    for (size_t size = 0; size < entry->size; size++) {
        // A copy of just that size, so that reading beyond it is seen.
        uint8_t *prefix = malloc(size + 1);
        memcpy(prefix, entry->data, size);
        assert_int_equal(decode(slice_of(prefix, size), operations, &count), STATUS_MALFORMED);
        free(prefix);
    }
    assert_int_equal(decode(buf_slice(entry), operations, &count), STATUS_NOT_FOUND);
    assert_int_equal(count, entry_count(entry));
    struct entry_reader reader;
    assert_int_equal(entry_reader_init(&reader, buf_slice(entry)), STATUS_OK);
    assert_true(reader.time_ms == time_ms);
}

static struct operation operations[4];

static void end_is_as_the_golden_file(void **state)
{
    (void)state;
    struct buf entry = {0};
    entry_begin(&entry);
    entry_put_end(&entry, &(struct operation_end){position, 41, DECISION_COMMIT, true,
                                                  slice_text("payments")});
    check(&entry, "machine/entry_end.hex", operations);
    assert_int_equal(operations[0].type, OPERATION_END);
    assert_true(operations[0].end.half_position == position);
    assert_int_equal(operations[0].end.half_offset, 41);
    assert_int_equal(operations[0].end.decision, DECISION_COMMIT);
    assert_true(operations[0].end.from_check);
    assert_true(slice_equals_text(operations[0].end.producer_group, "payments"));
    buf_close(&entry);
}

static void checked_is_as_the_golden_file(void **state)
{
    (void)state;
    struct buf entry = {0};
    struct operation_checked checked;
    checked.next_check_ms = 30000;
    checked.count = 2;
    checked.half_positions[0] = position;
    checked.half_positions[1] = 7;
    entry_begin(&entry);
    entry_put_checked(&entry, &checked);
    check(&entry, "machine/entry_checked.hex", operations);
    assert_true(operations[0].checked.next_check_ms == 30000);
    assert_int_equal(operations[0].checked.count, 2);
    assert_true(operations[0].checked.half_positions[0] == position);
    assert_true(operations[0].checked.half_positions[1] == 7);
    buf_close(&entry);
}

static void expire_and_settle_are_as_the_golden_files(void **state)
{
    (void)state;
    struct buf entry = {0};
    entry_begin(&entry);
    entry_put_expire(&entry, &(struct operation_expire){position, true});
    check(&entry, "machine/entry_expire.hex", operations);
    assert_true(operations[0].expire.half_position == position);
    assert_true(operations[0].expire.age);
    buf_clear(&entry);
    entry_begin(&entry);
    entry_put_settle(&entry, &(struct operation_settle){position, DECISION_RECHECK});
    check(&entry, "machine/entry_settle.hex", operations);
    assert_true(operations[0].settle.half_position == position);
    assert_int_equal(operations[0].settle.decision, DECISION_RECHECK);
    buf_close(&entry);
}

static void offsets_is_as_the_golden_file(void **state)
{
    (void)state;
    struct buf entry = {0};
    struct operation_offsets offsets;
    offsets.count = 2;
    offsets.commits[0] =
        (struct offset_commit){slice_text("g1"), slice_text("orders"), 3, 300, false};
    offsets.commits[1] =
        (struct offset_commit){slice_text("g2"), slice_text("%RETRY%g2"), 0, 5, true};
    entry_begin(&entry);
    entry_put_offsets(&entry, &offsets);
    check(&entry, "machine/entry_offsets.hex", operations);
    assert_int_equal(operations[0].offsets.count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct offset_commit *commit = &operations[0].offsets.commits[i];
        assert_true(slice_equals(commit->group, offsets.commits[i].group));
        assert_true(slice_equals(commit->topic, offsets.commits[i].topic));
        assert_int_equal(commit->queue_id, offsets.commits[i].queue_id);
        assert_int_equal(commit->offset, offsets.commits[i].offset);
        assert_int_equal(commit->reset, offsets.commits[i].reset);
    }
    buf_close(&entry);
}

static void topic_operations_are_as_the_golden_files(void **state)
{
    (void)state;
    struct buf entry = {0};
    struct operation_topic_put put = {
        .config = {slice_text("orders"), 8, 4, 6, 0, true, false, slice_text("{\"a\":\"b\"}"), 600},
        .create_only = true,
    };
    entry_begin(&entry);
    entry_put_topic_put(&entry, &put);
    check(&entry, "machine/entry_topic_put.hex", operations);
    const struct topic_spec *config = &operations[0].topic_put.config;
    assert_true(slice_equals_text(config->name, "orders"));
    assert_int_equal(config->read_queue_count, 8);
    assert_int_equal(config->write_queue_count, 4);
    assert_int_equal(config->perm, 6);
    assert_int_equal(config->sys_flag, 0);
    assert_true(config->order);
    assert_false(config->multi_tag);
    assert_true(slice_equals(config->attributes, put.config.attributes));
    assert_int_equal(config->unique_window_s, 600);
    assert_true(operations[0].topic_put.create_only);
    buf_clear(&entry);
    entry_begin(&entry);
    entry_put_topic_delete(&entry, slice_text("orders"));
    check(&entry, "machine/entry_topic_delete.hex", operations);
    assert_true(slice_equals_text(operations[0].topic_delete, "orders"));
    buf_close(&entry);
}

static void group_operations_are_as_the_golden_files(void **state)
{
    (void)state;
    struct buf entry = {0};
    struct operation_group_put put = {
        .config =
            {
                .name = slice_text("g1"),
                .consume_enable = true,
                .consume_broadcast_enable = true,
                .retry_queue_count = 2,
                .retry_max_times = -1,
                .broker_id_when_slow = 1,
                .notify_changes = true,
                .consume_timeout_minutes = 15,
            },
    };
    entry_begin(&entry);
    entry_put_group_put(&entry, &put);
    check(&entry, "machine/entry_group_put.hex", operations);
    const struct group_spec *config = &operations[0].group_put.config;
    assert_true(slice_equals_text(config->name, "g1"));
    assert_true(config->consume_enable && config->consume_broadcast_enable &&
                config->notify_changes);
    assert_false(config->consume_from_min_enable || config->consume_orderly);
    assert_int_equal(config->retry_queue_count, 2);
    assert_int_equal(config->retry_max_times, -1);
    assert_int_equal(config->broker_id, 0);
    assert_int_equal(config->broker_id_when_slow, 1);
    assert_int_equal(config->consume_timeout_minutes, 15);
    assert_false(operations[0].group_put.create_only);
    buf_clear(&entry);
    entry_begin(&entry);
    entry_put_group_delete(&entry, &(struct operation_group_delete){slice_text("g1"), true});
    check(&entry, "machine/entry_group_delete.hex", operations);
    assert_true(slice_equals_text(operations[0].group_delete.name, "g1"));
    assert_true(operations[0].group_delete.clean_offsets);
    buf_close(&entry);
}

static void tick_is_as_the_golden_file(void **state)
{
    (void)state;
    struct buf entry = {0};
    entry_begin(&entry);
    entry_put_tick(&entry);
    check(&entry, "machine/entry_tick.hex", operations);
    assert_int_equal(operations[0].type, OPERATION_TICK);
    buf_close(&entry);
}

static void messages_and_halves_are_as_the_golden_file(void **state)
{
    (void)state;
    struct buf entry = {0};
    entry_begin(&entry);
    size_t begin = entry_operation_begin(&entry, OPERATION_MESSAGE);
    buf_put_text(&entry, "stored message");
    entry_operation_end(&entry, begin);
    begin = entry_operation_begin(&entry, OPERATION_HALF);
    buf_put_le64(&entry, 6000);
    buf_put_le32(&entry, 0);
    buf_put_text(&entry, "stored message");
    entry_operation_end(&entry, begin);
    check(&entry, "machine/entry_messages.hex", operations);
    assert_true(slice_equals_text(operations[0].body, "stored message"));
    assert_int_equal(operations[0].offset, 12);
    assert_true(operations[1].half.first_check_ms == 6000);
    assert_int_equal(operations[1].half.delay.ms, 0);
    assert_true(slice_equals_text(operations[1].half.message, "stored message"));
    struct operation again;
    assert_int_equal(operation_decode(slice_from(buf_slice(&entry), operations[1].offset), &again),
                     STATUS_OK);
    assert_true(slice_equals(again.half.message, operations[1].half.message));
    buf_close(&entry);
}

static void cut_is_as_the_golden_file(void **state)
{
    (void)state;
    struct buf entry = {0};
    entry_begin(&entry);
    entry_put_cut(&entry, &(struct operation_cut){5 * (uint64_t)SEGMENT_SIZE});
    check(&entry, "machine/entry_cut.hex", operations);
    assert_int_equal(operations[0].type, OPERATION_CUT);
    assert_true(operations[0].cut.position == 5 * (uint64_t)SEGMENT_SIZE);
    buf_close(&entry);
}

static void lock_is_as_the_golden_file(void **state)
{
    (void)state;
    struct buf entry = {0};
    const struct operation_lock lock = {
        .action = LOCK_TAKE,
        .group = slice_text("g1"),
        .client = slice_text("10.0.0.1@77"),
        .lease_ms = 60000,
        .count = 2,
        .places = {{slice_text("orders"), 0}, {slice_text("orders"), 1023}},
    };
    entry_begin(&entry);
    entry_put_lock(&entry, &lock);
    check(&entry, "machine/entry_lock.hex", operations);
    const struct operation_lock *read = &operations[0].lock;
    assert_int_equal(operations[0].type, OPERATION_LOCK);
    assert_int_equal(read->action, LOCK_TAKE);
    assert_true(slice_equals_text(read->group, "g1"));
    assert_true(slice_equals_text(read->client, "10.0.0.1@77"));
    assert_int_equal(read->lease_ms, 60000);
    assert_int_equal(read->count, 2);
    assert_true(slice_equals_text(read->places[1].topic, "orders"));
    assert_int_equal(read->places[1].queue_id, 1023);
    buf_close(&entry);
}

static void operations_on_delayed_messages_are_as_the_golden_files(void **state)
{
    (void)state;
    struct buf entry = {0};
    entry_begin(&entry);
    size_t begin = entry_operation_begin(&entry, OPERATION_DELAYED);
    entry_put_delay(&entry, &(struct delay){10000, false});
    buf_put_text(&entry, "stored message");
    entry_operation_end(&entry, begin);
    begin = entry_operation_begin(&entry, OPERATION_HALF_DELAYED);
    buf_put_le64(&entry, 6000);
    entry_put_delay(&entry, &(struct delay){time_ms + 60000, true});
    buf_put_text(&entry, "stored message");
    entry_operation_end(&entry, begin);
    check(&entry, "machine/entry_delayed.hex", operations);
    assert_int_equal(operations[0].type, OPERATION_DELAYED);
    assert_int_equal(operations[0].delayed.delay.ms, 10000);
    assert_false(operations[0].delayed.delay.absolute);
    assert_true(slice_equals_text(operations[0].delayed.message, "stored message"));
    assert_int_equal(operations[1].type, OPERATION_HALF_DELAYED);
    assert_int_equal(operations[1].half.first_check_ms, 6000);
    assert_true(operations[1].half.delay.ms == time_ms + 60000);
    assert_true(operations[1].half.delay.absolute);
    assert_true(slice_equals_text(operations[1].half.message, "stored message"));
    buf_clear(&entry);
    entry_begin(&entry);
    entry_put_fire(&entry, &(struct operation_fire){position});
    check(&entry, "machine/entry_fire.hex", operations);
    assert_int_equal(operations[0].type, OPERATION_FIRE);
    assert_true(operations[0].fire.position == position);
    buf_clear(&entry);
    entry_begin(&entry);
    entry_put_recall(&entry,
                     &(struct operation_recall){position, slice_text("orders"), slice_text("U1")});
    check(&entry, "machine/entry_recall.hex", operations);
    assert_int_equal(operations[0].type, OPERATION_RECALL);
    assert_true(operations[0].recall.position == position);
    assert_true(slice_equals_text(operations[0].recall.topic, "orders"));
    assert_true(slice_equals_text(operations[0].recall.unique_key, "U1"));
    buf_close(&entry);
}

static void operations_on_popped_messages_are_as_the_golden_files(void **state)
{
    (void)state;
    struct buf entry = {0};
    const struct operation_pop pop = {
        .group = slice_text("g1"),
        .topic = slice_text("orders"),
        .queue_id = 3,
        .from = 41,
        .next = 44,
        .invisible_ms = 60000,
        .count = 3,
        .offsets = {7, 41, 43},
    };
    entry_begin(&entry);
    entry_put_pop(&entry, &pop);
    check(&entry, "machine/entry_pop.hex", operations);
    const struct operation_pop *popped = &operations[0].pop;
    assert_true(slice_equals_text(popped->group, "g1"));
    assert_true(slice_equals_text(popped->topic, "orders"));
    assert_int_equal(popped->queue_id, 3);
    assert_int_equal(popped->from, 41);
    assert_int_equal(popped->next, 44);
    assert_int_equal(popped->invisible_ms, 60000);
    assert_int_equal(popped->count, 3);
    assert_memory_equal(popped->offsets, pop.offsets, 3 * sizeof pop.offsets[0]);

    const struct operation_ack ack = {
        .group = slice_text("g1"),
        .topic = slice_text("orders"),
        .count = 2,
        .deliveries = {{3, 41, time_ms}, {0, 1, time_ms - 1}},
    };
    buf_clear(&entry);
    entry_begin(&entry);
    entry_put_ack(&entry, &ack);
    check(&entry, "machine/entry_ack.hex", operations);
    assert_true(slice_equals_text(operations[0].ack.topic, "orders"));
    assert_int_equal(operations[0].ack.count, 2);
    assert_int_equal(operations[0].ack.deliveries[0].queue_id, 3);
    assert_int_equal(operations[0].ack.deliveries[0].offset, 41);
    assert_true(operations[0].ack.deliveries[1].pop_ms == time_ms - 1);

    const struct operation_invisible invisible = {
        .group = slice_text("g1"),
        .topic = slice_text("orders"),
        .delivery = {3, 41, time_ms},
        .invisible_ms = INVISIBLE_MAX_MS,
    };
    buf_clear(&entry);
    entry_begin(&entry);
    entry_put_invisible(&entry, &invisible);
    check(&entry, "machine/entry_invisible.hex", operations);
    assert_true(slice_equals_text(operations[0].invisible.group, "g1"));
    assert_int_equal(operations[0].invisible.delivery.offset, 41);
    assert_true(operations[0].invisible.delivery.pop_ms == time_ms);
    assert_true(operations[0].invisible.invisible_ms == INVISIBLE_MAX_MS);
    buf_close(&entry);
}

static void mode_put_is_as_the_golden_file(void **state)
{
    (void)state;
    struct buf entry = {0};
    const struct operation_mode_put put = {
        .group = slice_text("g1"),
        .topic = slice_text("orders"),
        .mode = REQUEST_MODE_POP,
        .share_count = -1,
    };
    entry_begin(&entry);
    entry_put_mode_put(&entry, &put);
    check(&entry, "machine/entry_mode_put.hex", operations);
    assert_true(slice_equals_text(operations[0].mode_put.group, "g1"));
    assert_int_equal(operations[0].mode_put.mode, REQUEST_MODE_POP);
    assert_int_equal(operations[0].mode_put.share_count, -1);
    buf_close(&entry);
}

static void an_entry_may_be_empty_but_not_longer_than_its_operations(void **state)
{
    (void)state;
    struct buf entry = {0};
    uint32_t count;
    entry_begin(&entry);
    assert_int_equal(decode(buf_slice(&entry), operations, &count), STATUS_NOT_FOUND);
    assert_int_equal(count, 0);
    buf_put_u8(&entry, 0);
    assert_int_equal(decode(buf_slice(&entry), operations, &count), STATUS_MALFORMED);
    buf_close(&entry);
}

/* Put one operation of raw bytes and try to decode it. */
static enum status decode_raw(uint8_t type, uint8_t version, const char *body, size_t size)
{
    struct buf entry = {0};
    uint32_t count;
    entry_begin(&entry);
    size_t begin = entry_operation_begin(&entry, (enum operation_type)type);
    entry.data[begin + 5] = version;
    buf_put(&entry, body, size);
    entry_operation_end(&entry, begin);
    enum status status = decode(buf_slice(&entry), operations, &count);
    buf_close(&entry);
    return status;
}

static void what_a_later_version_may_write_is_refused(void **state)
{
    (void)state;
    const struct {
        const char *what;
        uint8_t type;
        uint8_t version;
        const char *body;
        size_t size;
    } cases[] = {
        {"type 0", 0, 1, "\x80", 1},
        {"type 23", 23, 1, "\x80", 1},
        {"an invisible time beyond all bounds", OPERATION_POP, 1,
         "\x87\x01\xa1g\x02\xa1t\x03\x00\x04\x00\x05\x00\x06\xce\xff\xff\xff\xff\x07\x90", 22},
        {"two thirds of a delivery", OPERATION_ACK, 1, "\x83\x01\xa1g\x02\xa1t\x03\x92\x00\x00",
         11},
        {"a delivery of two", OPERATION_INVISIBLE, 1,
         "\x84\x01\xa1g\x02\xa1t\x03\x92\x00\x00\x04\x00", 13},
        {"an unknown request mode", OPERATION_MODE_PUT, 1, "\x84\x01\xa1g\x02\xa1t\x03\x03\x04\x00",
         11},
        {"a lock that is neither taken nor released", OPERATION_LOCK, 1,
         "\x86\x01\x04\x02\xa1"
         "g\x03\xa1"
         "c\x04\x00\x05\x00\x06\x90",
         14},
        {"half a place to be locked", OPERATION_LOCK, 1,
         "\x86\x01\x01\x02\xa1"
         "g\x03\xa1"
         "c\x04\x00\x05\x00\x06\x91\xa1"
         "t",
         16},
        {"a lock for more than an hour", OPERATION_LOCK, 1,
         "\x86\x01\x01\x02\xa1"
         "g\x03\xa1"
         "c\x04\xce\x00\x36\xee\x81\x05\x00\x06\x90",
         18},
        {"a cut without a position", OPERATION_CUT, 1, "\x80", 1},
        {"a cut of an unknown field", OPERATION_CUT, 1, "\x81\x02\x01", 3},
        {"version 2", OPERATION_TICK, 2, "\x80", 1},
        {"an unknown field", OPERATION_TICK, 1, "\x81\x01\x01", 3},
        {"a missing field", OPERATION_EXPIRE, 1, "\x81\x01\x05", 3},
        {"a field twice", OPERATION_EXPIRE, 1, "\x82\x01\x05\x01\x05", 5},
        {"a field too many", OPERATION_EXPIRE, 1, "\x83\x01\x05\x02\xc3\x03\x05", 7},
        {"a text for a number", OPERATION_EXPIRE, 1, "\x82\x01\xa1x\x02\xc3", 6},
        {"a negative position", OPERATION_EXPIRE, 1, "\x82\x01\xff\x02\xc3", 5},
        {"a number for a switch", OPERATION_EXPIRE, 1, "\x82\x01\x05\x02\x01", 5},
        {"bytes behind the map", OPERATION_TICK, 1, "\x80\x00", 2},
        {"no map", OPERATION_TICK, 1, "\x90", 1},
        {"an unknown decision", OPERATION_SETTLE, 1, "\x82\x01\x05\x02\x09", 5},
        {"offsets not five by five", OPERATION_OFFSETS, 1, "\x81\x01\x94\x01\x01\x01\x01", 7},
        {"an empty message", OPERATION_MESSAGE, 1, "", 0},
        {"a half without message", OPERATION_HALF, 1, "\0\0\0\0\0\0\0\0\0\0\0\0", 12},
        {"a delay without message", OPERATION_DELAYED, 1, "\1\0\0\0\0\0\0\0\0\0\0\0", 12},
        {"a delay of nothing", OPERATION_DELAYED, 1, "\0\0\0\0\0\0\0\0\0\0\0\0m", 13},
        {"a delay of another kind", OPERATION_DELAYED, 1, "\1\0\0\0\0\0\0\0\2\0\0\0m", 13},
        {"a delayed half without message", OPERATION_HALF_DELAYED, 1,
         "\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0", 20},
        {"a delayed half without delay", OPERATION_HALF_DELAYED, 1,
         "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0m", 21},
        {"a fire without position", OPERATION_FIRE, 1, "\x80", 1},
        {"a fire of an unknown field", OPERATION_FIRE, 1, "\x81\x02\x01", 3},
        {"a recall without its key", OPERATION_RECALL, 1, "\x82\x01\x01\x02\xA1t", 6},
        {"a recall of an unknown field", OPERATION_RECALL, 1, "\x81\x04\x01", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum status status =
            decode_raw(cases[i].type, cases[i].version, cases[i].body, cases[i].size);
        if (status != STATUS_MALFORMED) {
            fail_msg("%s: %s", cases[i].what, status_name(status));
        }
    }
    assert_int_equal(decode_raw(OPERATION_EXPIRE, 1, "\x82\x01\x05\x02\xc3", 5), STATUS_NOT_FOUND);
}

static void the_largest_lists_pass_and_one_more_does_not(void **state)
{
    (void)state;
    struct buf entry = {0};
    uint32_t count;
    static struct operation_checked checked;
    checked.count = CHECKED_MAX;
    entry_begin(&entry);
    entry_put_checked(&entry, &checked);
    assert_int_equal(decode(buf_slice(&entry), operations, &count), STATUS_NOT_FOUND);
    assert_int_equal(operations[0].checked.count, CHECKED_MAX);
    buf_clear(&entry);
    entry_begin(&entry);
    size_t begin = entry_operation_begin(&entry, OPERATION_CHECKED);
    buf_put(&entry, "\x82\x01\x05\x02\xdc", 5);
    buf_put_be16(&entry, CHECKED_MAX + 1);
    memset(buf_extend(&entry, CHECKED_MAX + 1), 0, CHECKED_MAX + 1);
    entry_operation_end(&entry, begin);
    assert_int_equal(decode(buf_slice(&entry), operations, &count), STATUS_MALFORMED);
    buf_close(&entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(end_is_as_the_golden_file),
        cmocka_unit_test(checked_is_as_the_golden_file),
        cmocka_unit_test(expire_and_settle_are_as_the_golden_files),
        cmocka_unit_test(offsets_is_as_the_golden_file),
        cmocka_unit_test(topic_operations_are_as_the_golden_files),
        cmocka_unit_test(group_operations_are_as_the_golden_files),
        cmocka_unit_test(tick_is_as_the_golden_file),
        cmocka_unit_test(cut_is_as_the_golden_file),
        cmocka_unit_test(messages_and_halves_are_as_the_golden_file),
        cmocka_unit_test(lock_is_as_the_golden_file),
        cmocka_unit_test(operations_on_delayed_messages_are_as_the_golden_files),
        cmocka_unit_test(operations_on_popped_messages_are_as_the_golden_files),
        cmocka_unit_test(mode_put_is_as_the_golden_file),
        cmocka_unit_test(an_entry_may_be_empty_but_not_longer_than_its_operations),
        cmocka_unit_test(what_a_later_version_may_write_is_refused),
        cmocka_unit_test(the_largest_lists_pass_and_one_more_does_not),
    };
    return cmocka_run_group_tests_name("operation", tests, NULL, NULL);
}
