/* machine: topics, groups, offsets, the indexes of queues and keys. */
#include "tests/support/machine_driver.h"
#include "tests/support/test.h"

#include <stdio.h>

static struct driver driver;

static int open_driver(void **state)
{
    (void)state;
    driver_open(&driver, NULL);
    return 0;
}

static int close_driver(void **state)
{
    (void)state;
    driver_close(&driver);
    return 0;
}

static enum status send_to(const char *topic, int32_t queue_id)
{
    return driver_send(&driver, &(struct driver_message){.topic = topic, .queue_id = queue_id})
        .status;
}

/* --- Messages and queues --- */

static void messages_take_dense_offsets_in_log_order(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 2);
    for (int i = 0; i < 3; i++) {
        driver_message(&driver, &(struct driver_message){.topic = "orders", .queue_id = 1});
        driver_message(&driver, &(struct driver_message){.topic = "orders", .queue_id = 0});
    }
    struct operation_result first = driver_apply(&driver);
    assert_int_equal(first.message.queue_offset, 0);
    assert_int_equal(first.message.queue_id, 1);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(driver.results[i].status, STATUS_OK);
        assert_int_equal(driver.results[i].message.queue_offset, i / 2);
    }
    assert_int_equal(driver_next(&driver, "orders", 0), 3);
    assert_int_equal(driver_next(&driver, "orders", 1), 3);
}

static void an_index_entry_tells_where_the_message_lies(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 1);
    struct driver_message message = {.topic = "orders", .tags = "red", .body_size = 10};
    struct buf stored = {0};
    driver_message_encode(&message, &stored);
    driver_batch(&driver, &message, 3);
    struct operation_result result = driver_apply(&driver);
    assert_int_equal(result.message.count, 3);
    const struct driver_entry *entry = &driver.log[driver.log_count - 1];
    for (uint32_t i = 0; i < 3; i++) {
        struct index_entry index = driver_read(&driver, "orders", 0, i);
        assert_int_equal(index.position, result.message.position + i * stored.size);
        assert_int_equal(index.body_position, index.position);
        assert_int_equal(index.size, stored.size);
        assert_int_equal(index.tags_hash, 112785); // "red".hashCode()
        assert_int_equal(index.store_time_ms, driver.time_ms);
        assert_memory_equal(entry->payload + (index.position - entry->position), stored.data,
                            stored.size);
    }
    buf_close(&stored);
}

static void a_batch_is_all_or_nothing(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 1);
    uint64_t before = machine_hash(driver.machine);
    size_t begin = entry_operation_begin(&driver.entry, OPERATION_MESSAGE);
    driver_message_encode(&(struct driver_message){.topic = "orders"}, &driver.entry);
    driver_message_encode(&(struct driver_message){.topic = "unknown"}, &driver.entry);
    entry_operation_end(&driver.entry, begin);
    assert_int_equal(driver_apply(&driver).status, STATUS_TOPIC_UNKNOWN);
    begin = entry_operation_begin(&driver.entry, OPERATION_MESSAGE);
    driver_message_encode(&(struct driver_message){.topic = "orders"}, &driver.entry);
    driver_message_encode(&(struct driver_message){.topic = "orders", .queue_id = 1},
                          &driver.entry);
    entry_operation_end(&driver.entry, begin);
    assert_int_equal(driver_apply(&driver).status, STATUS_QUEUE_INVALID);
    begin = entry_operation_begin(&driver.entry, OPERATION_MESSAGE);
    driver_message_encode(&(struct driver_message){.topic = "orders"}, &driver.entry);
    buf_put_text(&driver.entry, "no message");
    entry_operation_end(&driver.entry, begin);
    assert_int_equal(driver_apply(&driver).status, STATUS_MESSAGE_ILLEGAL);
    assert_int_equal(driver_next(&driver, "orders", 0), 0);
    struct machine_counters counters;
    machine_counters(driver.machine, &counters);
    assert_int_equal(counters.messages, 0);
    // But for time and index the state is as it was: the hash of nothing applied at that index.
    static struct driver other;
    driver_open(&other, NULL);
    driver_put_topic(&other, "orders", 1);
    assert_true(machine_hash(other.machine) == before);
    for (int i = 0; i < 3; i++) {
        entry_put_tick(&other.entry);
        driver_apply(&other);
    }
    assert_true(machine_hash(other.machine) == machine_hash(driver.machine));
    driver_close(&other);
}

static void a_batch_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 1);
    driver_batch(&driver, &(struct driver_message){.topic = "orders"}, BATCH_MESSAGES_MAX);
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
    driver_batch(&driver, &(struct driver_message){.topic = "orders"}, BATCH_MESSAGES_MAX + 1);
    assert_int_equal(driver_apply(&driver).status, STATUS_MESSAGE_ILLEGAL);
    assert_int_equal(driver_next(&driver, "orders", 0), BATCH_MESSAGES_MAX);
}

static void queue_ids_are_checked(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 4);
    assert_int_equal(send_to("orders", 3), STATUS_OK);
    assert_int_equal(send_to("orders", 4), STATUS_QUEUE_INVALID);
    assert_int_equal(send_to("orders", -1), STATUS_QUEUE_INVALID);
    // Shrunk: no more messages, but what is there stays readable.
    driver_put_topic(&driver, "orders", 2);
    assert_int_equal(send_to("orders", 3), STATUS_QUEUE_INVALID);
    assert_int_equal(driver_next(&driver, "orders", 3), 1);
    assert_null(machine_queue_find(driver.machine, slice_text("orders"), 4));
    assert_null(machine_queue_find(driver.machine, slice_text("orders"), -1));
    assert_null(machine_queue_find(driver.machine, slice_text("nothing"), 0));
    // Grown: the old ones are still the old ones.
    driver_put_topic(&driver, "orders", 8);
    assert_int_equal(send_to("orders", 3), STATUS_OK);
    assert_int_equal(driver_next(&driver, "orders", 3), 2);
    assert_int_equal(driver_next(&driver, "orders", 7), 0);
}

/* More entries than stay in memory: most are read back from the store, and each is the right one.
 */
static void an_index_larger_than_memory_is_read_back(void **state)
{
    (void)state;
    enum { PER_ENTRY = 4000, ENTRIES = 50 };
    driver_put_topic(&driver, "orders", 1);
    uint64_t positions[ENTRIES];
    uint64_t times[ENTRIES];
    struct driver_message message = {.topic = "orders"};
    struct buf stored = {0};
    driver_message_encode(&message, &stored);
    for (int i = 0; i < ENTRIES; i++) {
        driver_batch(&driver, &message, PER_ENTRY);
        positions[i] = driver_apply(&driver).message.position;
        times[i] = driver.time_ms;
        if (machine_dirty_size(driver.machine) > 1024 * 1024) {
            driver_checkpoint(&driver, false);
            assert_int_equal(machine_dirty_size(driver.machine), 0);
        }
    }
    for (int i = 0; i < ENTRIES; i++) {
        int64_t offset = (int64_t)i * PER_ENTRY;
        struct index_entry entry = driver_read(&driver, "orders", 0, offset);
        assert_int_equal(entry.position, positions[i]);
        entry = driver_read(&driver, "orders", 0, offset + PER_ENTRY - 1);
        assert_int_equal(entry.position, positions[i] + (PER_ENTRY - 1) * stored.size);
        const struct queue *queue = machine_queue_find(driver.machine, slice_text("orders"), 0);
        int64_t found = -1;
        assert_int_equal(
            machine_queue_find_position(driver.machine, queue, entry.position, &found, &entry),
            STATUS_OK);
        assert_int_equal(found, offset + PER_ENTRY - 1);
        assert_int_equal(machine_queue_find_time(driver.machine, queue, times[i], false, &found),
                         STATUS_OK);
        assert_int_equal(found, offset);
    }
    buf_close(&stored);
}

/* What is in memory after a restart is whatever was read; new entries go behind the last one. */
static void appending_goes_on_behind_chunks_that_are_not_in_memory(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 1);
    for (int i = 0; i < 2; i++) { // Two chunks, neither of them full.
        driver_batch(&driver, &(struct driver_message){.topic = "orders"}, 150);
        driver_apply(&driver);
        driver_checkpoint(&driver, true);
        driver_reopen(&driver);
    }
    uint64_t last = driver_read(&driver, "orders", 0, 299).position;
    driver_reopen(&driver);
    driver_read(&driver, "orders", 0, 0);
    uint64_t position =
        driver_send(&driver, &(struct driver_message){.topic = "orders"}).message.position;
    assert_int_equal(driver_read(&driver, "orders", 0, 300).position, position);
    assert_int_equal(driver_read(&driver, "orders", 0, 299).position, last);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_int_equal(driver_read(&driver, "orders", 0, 300).position, position);
    assert_int_equal(driver_read(&driver, "orders", 0, 299).position, last);
}

static void a_read_stops_at_the_ends(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 1);
    driver_batch(&driver, &(struct driver_message){.topic = "orders"}, 700);
    driver_apply(&driver);
    const struct queue *queue = machine_queue_find(driver.machine, slice_text("orders"), 0);
    struct index_entry entries[1000];
    uint32_t count;
    assert_int_equal(machine_queue_read(driver.machine, queue, 10, 1000, entries, &count),
                     STATUS_OK);
    assert_int_equal(count, 690);
    for (uint32_t i = 1; i < count; i++) {
        assert_true(entries[i].position > entries[i - 1].position);
    }
    assert_int_equal(machine_queue_read(driver.machine, queue, 10, 32, entries, &count), STATUS_OK);
    assert_int_equal(count, 32);
    assert_int_equal(machine_queue_read(driver.machine, queue, 700, 32, entries, &count),
                     STATUS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(machine_queue_read(driver.machine, queue, -1, 32, entries, &count), STATUS_OK);
    assert_int_equal(count, 0);
}

static void offsets_are_found_by_time(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 1);
    const struct queue *queue = machine_queue_find(driver.machine, slice_text("orders"), 0);
    int64_t offset = -1;
    assert_int_equal(machine_queue_find_time(driver.machine, queue, 5, false, &offset), STATUS_OK);
    assert_int_equal(offset, 0);
    assert_int_equal(machine_queue_find_time(driver.machine, queue, 5, true, &offset), STATUS_OK);
    assert_int_equal(offset, 0);
    uint64_t times[3];
    for (int i = 0; i < 3; i++) {
        driver_batch(&driver, &(struct driver_message){.topic = "orders"}, 2);
        driver_apply(&driver);
        times[i] = driver.time_ms;
    }
    const struct {
        uint64_t time_ms;
        bool upper;
        int64_t expected;
    } cases[] = {
        {0, false, 0},
        {times[1], false, 2},
        {times[1] - 1, false, 2},
        {times[1] + 1, false, 4},
        {times[2] + 1, false, 6},
        {0, true, 0},
        {times[0], true, 1},
        {times[1] + 1, true, 3},
        {times[2], true, 5},
        {UINT64_MAX, true, 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(machine_queue_find_time(driver.machine, queue, cases[i].time_ms,
                                                 cases[i].upper, &offset),
                         STATUS_OK);
        if (offset != cases[i].expected) {
            fail_msg("case %zu: %lld", i, (long long)offset);
        }
    }
}

static void the_clock_never_goes_back(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 1);
    uint64_t before = machine_clock_ms(driver.machine);
    driver.time_ms -= 5000;
    send_to("orders", 0);
    assert_int_equal(machine_clock_ms(driver.machine), before);
    assert_int_equal(driver_read(&driver, "orders", 0, 0).store_time_ms, before);
}

static struct {
    int calls;
    int64_t first;
    int64_t next;
} grown;

static void on_grown(void *context, const struct queue *queue, int64_t first)
{
    (void)context;
    grown.calls++;
    grown.first = first;
    grown.next = queue->offset_next;
}

static void growth_is_reported_once_per_entry_and_queue(void **state)
{
    (void)state;
    struct kv *kv = kv_open_memory();
    struct machine_events events = {.on_queue_grown = on_grown};
    struct machine *machine;
    char *error = NULL;
    assert_int_equal(machine_open(kv, &events, &machine, &error), STATUS_OK);
    driver_topic(&driver, "orders", 1);
    driver_batch(&driver, &(struct driver_message){.topic = "orders"}, 2);
    driver_message(&driver, &(struct driver_message){.topic = "orders"});
    entry_finish(&driver.entry, 1);
    machine_apply(machine, 1, 0, buf_slice(&driver.entry));
    assert_int_equal(grown.calls, 1);
    assert_int_equal(grown.first, 0);
    assert_int_equal(grown.next, 3);
    machine_close(machine);
    kv_close(kv);
}

/* --- Topics --- */

static void a_topic_of_the_same_name_begins_anew(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 1);
    driver_batch(&driver, &(struct driver_message){.topic = "orders"}, 300);
    driver_apply(&driver);
    driver_commit_offset(&driver, "g", "orders", 0, 200, false);
    driver_checkpoint(&driver, true);
    entry_put_topic_delete(&driver.entry, slice_text("orders"));
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
    assert_null(machine_topic_find(driver.machine, slice_text("orders")));
    int64_t offset;
    assert_false(
        machine_offset_find(driver.machine, slice_text("g"), slice_text("orders"), 0, &offset));
    assert_int_equal(send_to("orders", 0), STATUS_TOPIC_UNKNOWN);
    driver_put_topic(&driver, "orders", 1);
    driver_send(&driver, &(struct driver_message){.topic = "orders", .body_size = 9});
    uint64_t position = driver.results[0].message.position;
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_int_equal(driver_next(&driver, "orders", 0), 1);
    assert_int_equal(driver_read(&driver, "orders", 0, 0).position, position);
    entry_put_topic_delete(&driver.entry, slice_text("nothing"));
    assert_int_equal(driver_apply(&driver).status, STATUS_TOPIC_UNKNOWN);
}

static void a_topic_may_go_while_its_checkpoint_is_written(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 1);
    driver_batch(&driver, &(struct driver_message){.topic = "orders"}, 300);
    driver_apply(&driver);
    struct kv_batch *batch = machine_checkpoint(driver.machine);
    entry_put_topic_delete(&driver.entry, slice_text("orders"));
    driver_apply(&driver);
    driver_put_topic(&driver, "orders", 1);
    assert_int_equal(kv_write(driver.kv, batch), STATUS_OK);
    kv_batch_free(batch);
    machine_checkpoint_written(driver.machine);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_int_equal(driver_next(&driver, "orders", 0), 0);
    // Nothing of the old one is left but the keys of the head and of this one.
    struct kv_iterator *iterator = kv_iterate(driver.kv, slice_text("i"), slice_text("j"));
    struct slice key;
    struct slice value;
    assert_false(kv_iterator_next(iterator, &key, &value));
    assert_int_equal(kv_iterator_close(iterator), STATUS_OK);
}

static void what_grows_while_a_checkpoint_is_written_is_in_the_next_one(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 1);
    driver_send(&driver, &(struct driver_message){.topic = "orders"});
    struct kv_batch *batch = machine_checkpoint(driver.machine);
    uint64_t position =
        driver_send(&driver, &(struct driver_message){.topic = "orders"}).message.position;
    assert_int_equal(kv_write(driver.kv, batch), STATUS_OK);
    kv_batch_free(batch);
    machine_checkpoint_written(driver.machine);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_int_equal(driver_next(&driver, "orders", 0), 2);
    assert_int_equal(driver_read(&driver, "orders", 0, 1).position, position);
}

static void changes_of_topics_are_counted_and_repetitions_are_not(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 4);
    struct machine_version first = machine_topics_version(driver.machine);
    driver_put_topic(&driver, "orders", 4);
    assert_int_equal(machine_topics_version(driver.machine).counter, first.counter);
    struct operation_topic_put put = {
        .config = {.name = slice_text("orders"), .read_queue_count = 9, .perm = 4},
        .create_only = true,
    };
    entry_put_topic_put(&driver.entry, &put);
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
    assert_int_equal(machine_topics_version(driver.machine).counter, first.counter);
    put.create_only = false;
    entry_put_topic_put(&driver.entry, &put);
    driver_apply(&driver);
    struct machine_version second = machine_topics_version(driver.machine);
    assert_int_equal(second.counter, first.counter + 1);
    assert_int_equal(second.time_ms, driver.time_ms);
    const struct topic *topic = machine_topic_find(driver.machine, slice_text("orders"));
    assert_int_equal(topic->read_queue_count, 9);
    assert_int_equal(topic->perm, 4);
    assert_int_equal(topic->queue_count, 9);
    assert_int_equal(topic->changed_index, driver.index_last);
}

static void topics_that_cannot_be_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *name;
        int32_t queues;
        int32_t perm;
        enum status expected;
    } cases[] = {
        {"", 1, 6, STATUS_TOPIC_INVALID},
        {"orders", -1, 6, STATUS_INVALID_ARGUMENT},
        {"orders", QUEUES_PER_TOPIC_MAX + 1, 6, STATUS_INVALID_ARGUMENT},
        {"orders", 1, 8, STATUS_INVALID_ARGUMENT},
        {"orders", 0, 0, STATUS_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct operation_topic_put put = {.config = {.name = slice_text(cases[i].name),
                                                     .read_queue_count = cases[i].queues,
                                                     .write_queue_count = cases[i].queues,
                                                     .perm = cases[i].perm}};
        entry_put_topic_put(&driver.entry, &put);
        assert_int_equal(driver_apply(&driver).status, cases[i].expected);
    }
    assert_int_equal(machine_topics(driver.machine)->count, 1);
}

/* --- Groups and offsets --- */

static void groups_are_created_changed_and_deleted(void **state)
{
    (void)state;
    struct operation_group_put put = {
        .config = {.name = slice_text("g"), .consume_enable = true, .retry_max_times = 16}};
    entry_put_group_put(&driver.entry, &put);
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
    uint64_t counter = machine_groups_version(driver.machine).counter;
    put.create_only = true;
    put.config.retry_max_times = 3;
    entry_put_group_put(&driver.entry, &put);
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
    const struct group *group = machine_group_find(driver.machine, slice_text("g"));
    assert_int_equal(group->config.retry_max_times, 16);
    assert_int_equal(machine_groups_version(driver.machine).counter, counter);
    put.create_only = false;
    entry_put_group_put(&driver.entry, &put);
    driver_apply(&driver);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    group = machine_group_find(driver.machine, slice_text("g"));
    assert_int_equal(group->config.retry_max_times, 3);
    assert_true(slice_equals_text(group->config.name, "g"));
    entry_put_group_delete(&driver.entry, &(struct operation_group_delete){slice_text("g"), true});
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
    assert_null(machine_group_find(driver.machine, slice_text("g")));
    entry_put_group_delete(&driver.entry, &(struct operation_group_delete){slice_text("g"), true});
    assert_int_equal(driver_apply(&driver).status, STATUS_GROUP_UNKNOWN);
    put.config.name = slice_text("");
    entry_put_group_put(&driver.entry, &put);
    assert_int_equal(driver_apply(&driver).status, STATUS_GROUP_INVALID);
}

static int64_t offset_of(const char *group, const char *topic, int32_t queue_id)
{
    int64_t offset = -1;
    bool found = machine_offset_find(driver.machine, slice_text(group), slice_text(topic), queue_id,
                                     &offset);
    return found ? offset : -1;
}

static enum status put_told(int i, struct slice attributes, int32_t queues)
{
    char name[32];
    snprintf(name, sizeof name, "told-%d", i);
    entry_put_topic_put(&driver.entry,
                        &(struct operation_topic_put){.config = {.name = slice_text(name),
                                                                 .read_queue_count = queues,
                                                                 .write_queue_count = queues,
                                                                 .perm = 6,
                                                                 .attributes = attributes}});
    return driver_apply(&driver).status;
}

/* Topics from `first` on, until there is no room for one more; how many there are then. */
static int fill_with_topics(int first, struct slice attributes, int32_t queues)
{
    int i = first;
    while (put_told(i, attributes, queues) == STATUS_OK) {
        i++;
    }
    assert_int_equal(put_told(i, attributes, queues), STATUS_LIMIT);
    return i;
}

/* A leader that cannot tell the nameservers of all its topics is none. */
static void all_topics_fit_into_one_registration(void **state)
{
    (void)state;
    char text[4096];
    memset(text, 'x', sizeof text);
    memcpy(text, "{\"message.type\":\"", 17);
    memcpy(text + sizeof text - 2, "\"}", 2);
    struct slice attributes = slice_of(text, sizeof text);
    int count = fill_with_topics(0, attributes, 1);
    assert_in_range(count, 2000, 16 * 1024 * 1024 / 4096);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_int_equal(put_told(count, attributes, 1), STATUS_LIMIT);
    assert_int_equal(put_told(1, slice_text("{}"), 1), STATUS_OK);
    assert_int_equal(put_told(count, attributes, 1), STATUS_OK);
    assert_int_equal(put_told(1, attributes, 1), STATUS_LIMIT);
    entry_put_topic_delete(&driver.entry, slice_text("told-0"));
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
    assert_int_equal(put_told(1, attributes, 1), STATUS_OK);
}

static void queues_and_offsets_are_bounded_in_all(void **state)
{
    (void)state;
    int count = fill_with_topics(0, slice_text("{}"), QUEUES_PER_TOPIC_MAX);
    assert_int_equal(count, QUEUES_TOTAL_MAX / QUEUES_PER_TOPIC_MAX);
    entry_put_topic_delete(&driver.entry, slice_text("told-1"));
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
    assert_int_equal(put_told(1, slice_text("{}"), QUEUES_PER_TOPIC_MAX), STATUS_OK);
    enum status status = STATUS_OK;
    int rows = 0;
    for (; status == STATUS_OK && rows < 100000; rows++) {
        char group[32];
        snprintf(group, sizeof group, "g%d", rows);
        status = driver_commit_offset(&driver, group, "told-0", QUEUES_PER_TOPIC_MAX - 1, 1, false)
                     .status;
    }
    assert_int_equal(status, STATUS_LIMIT);
    assert_int_equal(rows - 1, OFFSETS_TOTAL_MAX / QUEUES_PER_TOPIC_MAX);
    // Those that are there go on.
    assert_int_equal(
        driver_commit_offset(&driver, "g0", "told-0", QUEUES_PER_TOPIC_MAX - 1, 2, false).status,
        STATUS_OK);
}

static void a_commit_that_changes_nothing_leaves_the_state_as_it_is(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 2);
    driver_commit_offset(&driver, "g", "orders", 1, 10, false);
    driver_put_topic(&driver, "orders", 4);
    driver_checkpoint(&driver, true);
    driver_commit_offset(&driver, "g", "orders", 1, 5, false);
    driver_checkpoint(&driver, true);
    uint64_t hash = machine_hash(driver.machine);
    driver_reopen(&driver);
    assert_int_equal(machine_hash(driver.machine), hash);
    driver_commit_offset(&driver, "g", "orders", 3, 7, false);
    assert_int_equal(offset_of("g", "orders", 3), 7);
    assert_int_equal(offset_of("g", "orders", 2), -1);
    assert_int_equal(offset_of("g", "orders", 1), 10);
}

static void offsets_only_rise_unless_reset(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 2);
    assert_int_equal(offset_of("g", "orders", 1), -1);
    driver_commit_offset(&driver, "g", "orders", 1, 10, false);
    assert_int_equal(offset_of("g", "orders", 1), 10);
    assert_int_equal(offset_of("g", "orders", 0), -1);
    driver_commit_offset(&driver, "g", "orders", 1, 5, false);
    assert_int_equal(offset_of("g", "orders", 1), 10);
    assert_int_equal(driver_commit_offset(&driver, "g", "orders", 1, -1, true).status, STATUS_OK);
    assert_int_equal(offset_of("g", "orders", 1), 10);
    driver_commit_offset(&driver, "g", "orders", 1, 5, true);
    assert_int_equal(offset_of("g", "orders", 1), 5);
    assert_int_equal(driver_commit_offset(&driver, "g", "orders", 1, INT64_MAX, false).status,
                     STATUS_INVALID_ARGUMENT);
    driver_commit_offset(&driver, "g", "orders", 0, 0, false);
    assert_int_equal(offset_of("g", "orders", 0), 0);
    assert_int_equal(driver_commit_offset(&driver, "g", "nothing", 0, 5, false).status,
                     STATUS_TOPIC_UNKNOWN);
    assert_int_equal(driver_commit_offset(&driver, "g", "orders", 2, 5, false).status,
                     STATUS_QUEUE_INVALID);
    assert_int_equal(driver_commit_offset(&driver, "", "orders", 0, 5, false).status,
                     STATUS_GROUP_INVALID);
}

static bool is_held(const char *group, const char *topic, int32_t queue_id)
{
    int64_t offset;
    return machine_offset_held(driver.machine, slice_text(group), slice_text(topic), queue_id,
                               &offset);
}

static void an_offset_that_was_reset_is_held_until_it_is_committed(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 2);
    driver_commit_offset(&driver, "g", "orders", 0, 10, false);
    driver_commit_offset(&driver, "g", "orders", 0, 4, true);
    driver_commit_offset(&driver, "h", "orders", 1, 7, true);
    driver_commit_offset(&driver, "g", "orders", 0, 11, false);
    driver_commit_offset(&driver, "g", "orders", 0, 3, false);
    driver_checkpoint(&driver, true);
    uint64_t hash = machine_hash(driver.machine);
    driver_reopen(&driver);
    assert_true(machine_hash(driver.machine) == hash);
    assert_int_equal(offset_of("g", "orders", 0), 4);
    assert_true(is_held("g", "orders", 0) && is_held("h", "orders", 1));
    assert_false(is_held("g", "orders", 1) || is_held("h", "orders", 0));
    driver_commit_offset(&driver, "g", "orders", 0, 4, false);
    assert_false(is_held("g", "orders", 0));
    driver_commit_offset(&driver, "g", "orders", 0, 11, false);
    assert_int_equal(offset_of("g", "orders", 0), 11);
    entry_put_topic_delete(&driver.entry, slice_text("orders"));
    driver_apply(&driver);
    assert_false(is_held("h", "orders", 1));
}

static void one_refused_commit_does_not_harm_the_others(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 1);
    struct operation_offsets offsets;
    offsets.count = 2;
    offsets.commits[0] =
        (struct offset_commit){slice_text("g"), slice_text("nothing"), 0, 7, false};
    offsets.commits[1] = (struct offset_commit){slice_text("g"), slice_text("orders"), 0, 7, false};
    entry_put_offsets(&driver.entry, &offsets);
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
    assert_int_equal(offset_of("g", "orders", 0), 7);
}

static void count_visit(void *context, struct slice group, struct slice topic, int32_t queue_id,
                        int64_t offset)
{
    (void)group;
    (void)topic;
    int64_t *sum = context;
    *sum += offset * (queue_id + 1);
}

static void offsets_survive_go_with_their_group_and_are_visited(void **state)
{
    (void)state;
    driver_put_topic(&driver, "a", 3);
    driver_put_topic(&driver, "b", 1);
    driver_commit_offset(&driver, "g", "a", 2, 10, false);
    driver_commit_offset(&driver, "g", "b", 0, 100, false);
    driver_commit_offset(&driver, "h", "a", 0, 1000, false);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    int64_t sum = 0;
    machine_offsets_visit(driver.machine, count_visit, &sum);
    assert_int_equal(sum, 10 * 3 + 100 + 1000);
    entry_put_group_delete(&driver.entry, &(struct operation_group_delete){slice_text("g"), true});
    assert_int_equal(driver_apply(&driver).status, STATUS_OK); // No such group, but its offsets.
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_int_equal(offset_of("g", "a", 2), -1);
    assert_int_equal(offset_of("g", "b", 0), -1);
    assert_int_equal(offset_of("h", "a", 0), 1000);
}

/* --- Keys --- */

static uint32_t find_keys(const char *topic, const char *key, uint64_t begin, uint64_t end,
                          uint32_t max, struct index_entry *entries)
{
    struct key_search search = {.begin_ms = begin, .end_ms = end, .max = max};
    assert_int_equal(machine_key_find(driver.machine, slice_text(topic), slice_text(key), &search),
                     STATUS_OK);
    memcpy(entries, search.entries, search.count * sizeof *entries);
    return search.count;
}

/* Checks the same, whether the keys are in memory, frozen, or in the store. */
static void check_keys(const uint64_t positions[6], const uint64_t times[6])
{
    struct index_entry entries[16];
    assert_int_equal(find_keys("orders", "shared", 0, UINT64_MAX, 16, entries), 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(entries[i].position, positions[5 - i]); // Newest first.
        assert_int_equal(entries[i].body_position, positions[5 - i]);
        assert_int_equal(entries[i].store_time_ms, times[5 - i]);
        assert_true(entries[i].size > 0);
    }
    assert_int_equal(find_keys("orders", "shared", 0, UINT64_MAX, 2, entries), 2);
    assert_int_equal(entries[0].position, positions[5]);
    assert_int_equal(find_keys("orders", "shared", times[1], times[3], 16, entries), 3);
    assert_int_equal(entries[0].position, positions[3]);
    assert_int_equal(find_keys("orders", "k3", 0, UINT64_MAX, 16, entries), 1);
    assert_int_equal(entries[0].position, positions[3]);
    assert_int_equal(find_keys("orders", "u4", 0, UINT64_MAX, 16, entries), 1);
    assert_int_equal(entries[0].position, positions[4]);
    assert_int_equal(find_keys("orders", "shared k3", 0, UINT64_MAX, 16, entries), 0);
    assert_int_equal(find_keys("orders", "", 0, UINT64_MAX, 16, entries), 0);
    assert_int_equal(find_keys("billing", "shared", 0, UINT64_MAX, 16, entries), 0);
    assert_int_equal(find_keys("nothing", "shared", 0, UINT64_MAX, 16, entries), 0);
}

static void messages_are_found_by_their_keys(void **state)
{
    (void)state;
    uint64_t positions[6];
    uint64_t times[6];
    driver_put_topic(&driver, "orders", 1);
    driver_put_topic(&driver, "billing", 1);
    for (int i = 0; i < 6; i++) {
        char keys[32];
        char unique[16];
        snprintf(keys, sizeof keys, "shared  k%d shared", i);
        snprintf(unique, sizeof unique, "u%d", i);
        positions[i] = driver_send(&driver, &(struct driver_message){.topic = "orders",
                                                                     .keys = keys,
                                                                     .unique_key = unique})
                           .message.position;
        times[i] = driver.time_ms;
        if (i == 2) {
            driver_checkpoint(&driver, true);
        }
    }
    check_keys(positions, times);
    struct kv_batch *batch = machine_checkpoint(driver.machine);
    check_keys(positions, times);
    assert_int_equal(kv_write(driver.kv, batch), STATUS_OK);
    kv_batch_free(batch);
    check_keys(positions, times); // In the store and in memory: still found once.
    machine_checkpoint_written(driver.machine);
    check_keys(positions, times);
    driver_reopen(&driver);
    check_keys(positions, times);
}

/* Each checkpoint leaves a part of the index; who looks for the oldest sees all of them. */
static void a_search_through_very_many_checkpoints_is_made_in_steps(void **state)
{
    (void)state;
    enum { CHECKPOINTS = 1500 };
    const struct driver_message message = {.topic = "orders", .keys = "shared"};
    driver_put_topic(&driver, "orders", 1);
    uint64_t oldest = driver_send(&driver, &message).message.position;
    uint64_t oldest_ms = driver.time_ms;
    for (int i = 0; i < CHECKPOINTS; i++) {
        driver.time_ms += 10;
        driver_send(&driver, &message);
        driver_checkpoint(&driver, true);
    }
    struct key_search search = {.end_ms = oldest_ms, .max = KEY_FOUND_MAX};
    machine_key_search_begin(driver.machine, slice_text("orders"), slice_text("shared"), &search);
    assert_int_equal(machine_key_search(driver.machine, &search), STATUS_PENDING);
    assert_int_equal(search.count, 0);
    driver_send(&driver, &message); // What happens meanwhile does not disturb it.
    driver_checkpoint(&driver, true);
    assert_int_equal(machine_key_search(driver.machine, &search), STATUS_OK);
    assert_int_equal(search.count, 1);
    assert_int_equal(search.entries[0].position, oldest);
    struct key_search recent = {.begin_ms = driver.time_ms - 10, .end_ms = UINT64_MAX, .max = 9};
    machine_key_search_begin(driver.machine, slice_text("orders"), slice_text("shared"), &recent);
    assert_int_equal(machine_key_search(driver.machine, &recent), STATUS_OK);
    assert_in_range(recent.count, 1, 3);
}

/* --- Store --- */

static void a_store_that_cannot_be_read_is_refused_with_a_reason(void **state)
{
    (void)state;
    driver_put_topic(&driver, "orders", 2);
    driver_checkpoint(&driver, true);
    const struct {
        const char *key;
        size_t size;
    } keys[] = {{"a", 1}, {"t\0\0\0\0\0\0\0\1", 9}, {"q\0\0\0\0\0\0\0\1\0\0\0\1", 13}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct buf good = {0};
        struct slice key = slice_of(keys[i].key, keys[i].size);
        assert_int_equal(kv_get(driver.kv, key, &good), STATUS_OK);
        struct kv_batch *batch = kv_batch_new();
        kv_batch_put(batch, key, slice_of(good.data, good.size - 1));
        assert_int_equal(kv_write(driver.kv, batch), STATUS_OK);
        kv_batch_free(batch);
        struct machine *machine = NULL;
        char *error = NULL;
        assert_int_equal(machine_open(driver.kv, NULL, &machine, &error), STATUS_CORRUPT);
        assert_non_null(strstr(error, "it has to be built again"));
        free(error);
        batch = kv_batch_new();
        kv_batch_put(batch, key, buf_slice(&good));
        assert_int_equal(kv_write(driver.kv, batch), STATUS_OK);
        kv_batch_free(batch);
        buf_close(&good);
    }
    driver_reopen(&driver);
}

#define machine_test(test) cmocka_unit_test_setup_teardown(test, open_driver, close_driver)

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(messages_take_dense_offsets_in_log_order),
        machine_test(an_index_entry_tells_where_the_message_lies),
        machine_test(a_batch_is_all_or_nothing),
        machine_test(a_batch_beyond_the_limit_is_refused),
        machine_test(queue_ids_are_checked),
        machine_test(an_index_larger_than_memory_is_read_back),
        machine_test(appending_goes_on_behind_chunks_that_are_not_in_memory),
        machine_test(a_read_stops_at_the_ends),
        machine_test(offsets_are_found_by_time),
        machine_test(the_clock_never_goes_back),
        machine_test(growth_is_reported_once_per_entry_and_queue),
        machine_test(a_topic_of_the_same_name_begins_anew),
        machine_test(a_topic_may_go_while_its_checkpoint_is_written),
        machine_test(what_grows_while_a_checkpoint_is_written_is_in_the_next_one),
        machine_test(changes_of_topics_are_counted_and_repetitions_are_not),
        machine_test(topics_that_cannot_be_are_refused),
        machine_test(groups_are_created_changed_and_deleted),
        machine_test(all_topics_fit_into_one_registration),
        machine_test(queues_and_offsets_are_bounded_in_all),
        machine_test(a_commit_that_changes_nothing_leaves_the_state_as_it_is),
        machine_test(offsets_only_rise_unless_reset),
        machine_test(an_offset_that_was_reset_is_held_until_it_is_committed),
        machine_test(one_refused_commit_does_not_harm_the_others),
        machine_test(offsets_survive_go_with_their_group_and_are_visited),
        machine_test(messages_are_found_by_their_keys),
        machine_test(a_search_through_very_many_checkpoints_is_made_in_steps),
        machine_test(a_store_that_cannot_be_read_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
