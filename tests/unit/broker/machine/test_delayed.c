/* Delayed messages in the machine: when they fire, what is left of them, and what holds the log. */
#include "tests/support/machine_driver.h"
#include "tests/support/test.h"

#include "broker/machine/keys.h"

static struct driver driver;

static int open_driver(void **state)
{
    (void)state;
    driver_open(&driver, NULL);
    driver_put_topic(&driver, "orders", 2);
    return 0;
}

static int close_driver(void **state)
{
    (void)state;
    driver_close(&driver);
    return 0;
}

static const struct delay ten_seconds = {10000, false};

static struct operation_result send_delayed(uint64_t ms)
{
    return driver_send_delayed(&driver, "orders", 0, &(struct delay){ms, false});
}

static struct machine_counters counters(void)
{
    struct machine_counters now;
    machine_counters(driver.machine, &now);
    return now;
}

static uint64_t due_of(uint64_t position)
{
    const struct delayed *delayed = machine_delayed_find(driver.machine, position);
    assert_non_null(delayed);
    return delayed->due.due;
}

static uint32_t keys_found(const char *key)
{
    struct key_search search = {.end_ms = UINT64_MAX, .max = 4};
    assert_int_equal(
        machine_key_find(driver.machine, slice_text("orders"), slice_text(key), &search),
        STATUS_OK);
    return search.count;
}

/* --- Firing --- */

static void a_delayed_message_is_seen_once_fired_and_by_reference(void **state)
{
    (void)state;
    const struct driver_message message = {
        .topic = "orders",
        .queue_id = 1,
        .tags = "red",
        .keys = "k1 k2 k3",
        .unique_key = "u1",
        .body_size = 100,
    };
    driver_delayed(&driver, &message, &ten_seconds);
    struct operation_result sent = driver_apply(&driver);
    assert_int_equal(sent.status, STATUS_OK);
    assert_int_equal(sent.message.queue_id, 1);
    assert_int_equal(sent.message.count, 1);
    assert_int_equal(driver_next(&driver, "orders", 1), 0);
    assert_int_equal(keys_found("k3"), 0);
    driver.time_ms += 10000;
    struct operation_result fired = driver_fire(&driver, sent.message.position);
    assert_int_equal(fired.status, STATUS_OK);
    assert_int_equal(fired.message.queue_offset, 0);
    assert_int_equal(driver_next(&driver, "orders", 1), 1);
    struct index_entry entry = driver_read(&driver, "orders", 1, 0);
    assert_true(entry.position == fired.message.position);
    assert_true(entry.body_position == sent.message.position);
    assert_true(entry.store_time_ms == machine_clock_ms(driver.machine));
    assert_int_not_equal(entry.tags_hash, 0);
    assert_true(entry.size > 100);
    assert_int_equal(keys_found("k3"), 1);
    assert_int_equal(keys_found("u1"), 1);
    assert_null(machine_delayed_find(driver.machine, sent.message.position));
}

static void what_is_not_due_or_has_fired_does_not_fire(void **state)
{
    (void)state;
    uint64_t position = send_delayed(10000).message.position;
    uint64_t due_ms = due_of(position);
    assert_true(due_ms == machine_clock_ms(driver.machine) + 10000);
    driver.time_ms = due_ms - 11; // Each entry is 10 ms later than the one before.
    assert_int_equal(driver_fire(&driver, position).status, STATUS_INVALID_ARGUMENT);
    assert_true(machine_clock_ms(driver.machine) == due_ms - 1);
    assert_int_equal(driver_next(&driver, "orders", 0), 0);
    driver.time_ms = due_ms - 10;
    assert_int_equal(driver_fire(&driver, position).status, STATUS_OK);
    assert_int_equal(driver_fire(&driver, position).status, STATUS_NOT_FOUND);
    assert_int_equal(driver_fire(&driver, 4711).status, STATUS_NOT_FOUND);
    assert_int_equal(driver_next(&driver, "orders", 0), 1);
    assert_int_equal(counters().delayed, 1);
    assert_int_equal(counters().delayed_fired, 1);
    assert_int_equal(counters().delayed_waiting, 0);
}

static void two_fires_of_one_message_in_one_entry_show_it_once(void **state)
{
    (void)state;
    uint64_t position = send_delayed(1).message.position;
    entry_put_fire(&driver.entry, &(struct operation_fire){position});
    entry_put_fire(&driver.entry, &(struct operation_fire){position});
    driver_apply(&driver);
    assert_int_equal(driver.results[0].status, STATUS_OK);
    assert_int_equal(driver.results[1].status, STATUS_NOT_FOUND);
    assert_int_equal(driver_next(&driver, "orders", 0), 1);
}

static void a_time_may_be_given_and_none_is_beyond_the_bound(void **state)
{
    (void)state;
    const struct delay at = {driver.time_ms + 5000, true};
    const struct delay past = {1, true};
    const struct delay never[] = {{UINT64_MAX, true}, {UINT64_MAX, false}};
    struct operation_result sent = driver_send_delayed(&driver, "orders", 0, &at);
    assert_true(due_of(sent.message.position) == at.ms);
    sent = driver_send_delayed(&driver, "orders", 0, &past);
    assert_int_equal(due_of(sent.message.position), 1);
    for (size_t i = 0; i < 2; i++) {
        sent = driver_send_delayed(&driver, "orders", 0, &never[i]);
        assert_true(due_of(sent.message.position) ==
                    machine_clock_ms(driver.machine) + DELAY_MAX_MS);
    }
    uint64_t positions[4];
    assert_int_equal(
        machine_delayed_due(driver.machine, machine_clock_ms(driver.machine), 4, positions), 1);
}

static void the_due_ones_come_in_order_of_time_then_of_sending(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    uint64_t by_due[COUNT];
    for (uint64_t i = 0; i < COUNT; i++) {
        // Three due times, mixed.
        const struct delay at = {2000000000 + i % 3, true};
        uint64_t position = driver_send_delayed(&driver, "orders", 0, &at).message.position;
        uint64_t place = i / 3 + (i % 3 == 0 ? 0 : i % 3 == 1 ? 34 : 67);
        by_due[place] = position;
    }
    uint64_t positions[COUNT];
    struct machine *machine = driver.machine;
    assert_int_equal(machine_delayed_due(machine, 1999999999, COUNT, positions), 0);
    assert_int_equal(machine_delayed_due(machine, 2000000000, COUNT, positions), 34);
    assert_int_equal(machine_delayed_due(machine, 2000000002, 50, positions), 50);
    assert_memory_equal(positions, by_due, 50 * sizeof positions[0]);
    assert_int_equal(machine_delayed_due(machine, UINT64_MAX, COUNT, positions), COUNT);
    assert_memory_equal(positions, by_due, sizeof by_due);
}

static void what_cannot_be_delivered_is_refused(void **state)
{
    (void)state;
    assert_int_equal(driver_send_delayed(&driver, "nowhere", 0, &ten_seconds).status,
                     STATUS_TOPIC_UNKNOWN);
    assert_int_equal(driver_send_delayed(&driver, "orders", 2, &ten_seconds).status,
                     STATUS_QUEUE_INVALID);
    // Without its mark, readers would take it for a half.
    size_t begin = entry_operation_begin(&driver.entry, OPERATION_DELAYED);
    entry_put_delay(&driver.entry, &ten_seconds);
    driver_message_encode(&(struct driver_message){.topic = "orders"}, &driver.entry);
    entry_operation_end(&driver.entry, begin);
    assert_int_equal(driver_apply(&driver).status, STATUS_MESSAGE_ILLEGAL);
    begin = entry_operation_begin(&driver.entry, OPERATION_DELAYED);
    entry_put_delay(&driver.entry, &ten_seconds);
    driver_message_encode(&(struct driver_message){.topic = "orders", .prepared_offset = -1},
                          &driver.entry);
    buf_put_u8(&driver.entry, 0);
    entry_operation_end(&driver.entry, begin);
    assert_int_equal(driver_apply(&driver).status, STATUS_MESSAGE_ILLEGAL);
    assert_int_equal(counters().delayed, 0);
}

static void the_messages_of_a_deleted_topic_go_with_it(void **state)
{
    (void)state;
    driver_put_topic(&driver, "other", 1);
    uint64_t gone = send_delayed(10000).message.position;
    uint64_t kept = driver_send_delayed(&driver, "other", 0, &ten_seconds).message.position;
    driver_checkpoint(&driver, true);
    entry_put_topic_delete(&driver.entry, slice_text("orders"));
    driver_apply(&driver);
    driver_put_topic(&driver, "orders", 2);
    driver.time_ms += 20000;
    assert_int_equal(driver_fire(&driver, gone).status, STATUS_NOT_FOUND);
    assert_int_equal(driver_next(&driver, "orders", 0), 0);
    assert_int_equal(counters().delayed_dropped, 1);
    assert_int_equal(counters().delayed_waiting, 1);
    driver_restart_unchanged(&driver);
    assert_int_equal(driver_rows(&driver, KEY_DELAYED), 1);
    assert_int_equal(driver_fire(&driver, kept).status, STATUS_OK);
}

/* --- Recall --- */

static enum status recall(uint64_t position, const char *topic, const char *unique_key)
{
    entry_put_recall(&driver.entry, &(struct operation_recall){position, slice_text(topic),
                                                               slice_text(unique_key)});
    return driver_apply(&driver).status;
}

static void only_who_knows_a_message_recalls_it_and_only_in_time(void **state)
{
    (void)state;
    const struct driver_message message = {.topic = "orders", .keys = "k1", .unique_key = "u1"};
    driver_put_topic(&driver, "other", 1);
    driver_delayed(&driver, &message, &ten_seconds);
    uint64_t gone = driver_apply(&driver).message.position;
    driver_delayed(&driver, &message, &ten_seconds);
    uint64_t kept = driver_apply(&driver).message.position;
    driver_restart_unchanged(&driver);
    assert_int_equal(recall(gone, "other", "u1"), STATUS_NOT_FOUND);
    assert_int_equal(recall(gone, "orders", "u2"), STATUS_NOT_FOUND);
    assert_int_equal(recall(gone + 1, "orders", "u1"), STATUS_NOT_FOUND);
    assert_int_equal(counters().delayed_waiting, 2);
    assert_int_equal(recall(gone, "orders", "u1"), STATUS_OK);
    assert_int_equal(recall(gone, "orders", "u1"), STATUS_NOT_FOUND);
    assert_int_equal(counters().delayed_waiting, 1);
    assert_int_equal(counters().delayed_dropped, 1);
    driver_restart_unchanged(&driver);
    assert_int_equal(driver_rows(&driver, KEY_DELAYED), 1);
    driver.time_ms += 10000;
    assert_int_equal(driver_fire(&driver, gone).status, STATUS_NOT_FOUND);
    assert_int_equal(driver_fire(&driver, kept).status, STATUS_OK);
    assert_int_equal(recall(kept, "orders", "u1"), STATUS_NOT_FOUND);
    assert_int_equal(driver_next(&driver, "orders", 0), 1);
    assert_true(driver_read(&driver, "orders", 0, 0).body_position == kept);
    assert_int_equal(keys_found("u1"), 1);
}

/* --- The store --- */

static void the_schedule_is_the_same_after_a_restart(void **state)
{
    (void)state;
    const struct driver_message message = {
        .topic = "orders", .tags = "red", .keys = "k1 k2 k3", .unique_key = "u1"};
    driver_delayed(&driver, &message, &ten_seconds);
    uint64_t first = driver_apply(&driver).message.position;
    uint64_t second = send_delayed(5000).message.position;
    uint64_t due_ms = due_of(first);
    driver_restart_unchanged(&driver);
    assert_int_equal(driver_rows(&driver, KEY_DELAYED), 2);
    assert_true(due_of(first) == due_ms);
    assert_int_equal(counters().delayed_waiting, 2);
    uint64_t positions[2];
    assert_int_equal(machine_delayed_due(driver.machine, UINT64_MAX, 2, positions), 2);
    assert_true(positions[0] == second && positions[1] == first);
    driver.time_ms += 20000;
    assert_int_equal(driver_fire(&driver, first).status, STATUS_OK);
    assert_int_equal(keys_found("k3"), 1);
    driver_restart_unchanged(&driver);
    assert_int_equal(driver_rows(&driver, KEY_DELAYED), 1);
    assert_int_equal(driver_fire(&driver, first).status, STATUS_NOT_FOUND);
    assert_int_equal(driver_next(&driver, "orders", 0), 1);
}

/* A fire that the newest durable checkpoint does not have is applied again, and only once more. */
static void a_crash_after_a_fire_does_not_repeat_it(void **state)
{
    (void)state;
    uint64_t position = send_delayed(1).message.position;
    driver_checkpoint(&driver, true);
    assert_int_equal(driver_fire(&driver, position).status, STATUS_OK);
    driver_checkpoint(&driver, false);
    kv_memory_crash(driver.kv);
    driver_reopen(&driver);
    assert_int_equal(driver_next(&driver, "orders", 0), 1);
    assert_int_equal(driver_fire(&driver, position).status, STATUS_NOT_FOUND);
    assert_int_equal(driver_next(&driver, "orders", 0), 1);
}

static void one_that_fires_between_checkpoints_never_reaches_the_store(void **state)
{
    (void)state;
    uint64_t position = send_delayed(1).message.position;
    assert_int_equal(driver_fire(&driver, position).status, STATUS_OK);
    driver_checkpoint(&driver, true);
    assert_int_equal(driver_rows(&driver, KEY_DELAYED), 0);
}

static void a_row_that_cannot_be_is_refused(void **state)
{
    (void)state;
    send_delayed(1000);
    driver_checkpoint(&driver, true);
    struct kv_batch *batch = kv_batch_new();
    struct key key = key_delayed(4711);
    kv_batch_put(batch, key_slice(&key), slice_text("nonsense"));
    assert_int_equal(kv_write(driver.kv, batch), STATUS_OK);
    kv_batch_free(batch);
    struct machine *machine;
    char *error = NULL;
    assert_int_equal(machine_open(driver.kv, NULL, &machine, &error), STATUS_CORRUPT);
    assert_non_null(strstr(error, "a delayed message"));
    free(error);
}

/* --- Retention --- */

static uint64_t cut_to(uint64_t segment)
{
    struct operation_result result = driver_cut(&driver, segment);
    assert_int_equal(result.status, STATUS_OK);
    assert_int_equal(result.cut.position % SEGMENT_SIZE, 0);
    return result.cut.position / SEGMENT_SIZE;
}

static void the_log_is_kept_from_the_first_delayed_message_on(void **state)
{
    (void)state;
    driver_next_segment(&driver);
    uint64_t position = send_delayed(10000).message.position;
    driver_next_segment(&driver);
    driver_send(&driver, &(struct driver_message){.topic = "orders", .queue_id = 1});
    driver_next_segment(&driver);
    driver_send(&driver, &(struct driver_message){.topic = "orders", .queue_id = 1});
    assert_int_equal(cut_to(3), 1);
    driver_restart_unchanged(&driver);
    assert_int_equal(cut_to(3), 1);
    driver.time_ms += 10000;
    assert_int_equal(driver_fire(&driver, position).status, STATUS_OK);
    // Visible from segment 3 on, so its body is needed until that is cut.
    assert_int_equal(cut_to(3), 3);
    assert_int_equal(machine_cut_done(driver.machine).log_first / SEGMENT_SIZE, 1);
    driver_next_segment(&driver);
    driver_send(&driver, &(struct driver_message){.topic = "orders", .queue_id = 1});
    assert_int_equal(cut_to(4), 4);
    assert_int_equal(machine_cut_done(driver.machine).log_first / SEGMENT_SIZE, 4);
    driver_restart_unchanged(&driver);
}

/* --- Halves with a delay --- */

static struct operation_result send_half(const char *unique_key, const struct delay *delay)
{
    const struct driver_message message = {
        .topic = "orders",
        .keys = unique_key,
        .unique_key = unique_key,
        .producer_group = "p1",
    };
    driver_half_delayed(&driver, &message, delay);
    struct operation_result half = driver_apply(&driver);
    assert_int_equal(half.status, STATUS_OK);
    return half;
}

static void the_delay_of_a_half_begins_at_its_commit(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1", &ten_seconds);
    driver.time_ms += 60000;
    assert_int_equal(driver_fire(&driver, half.message.position).status, STATUS_NOT_FOUND);
    driver_restart_unchanged(&driver);
    struct operation_result end = driver_end(&driver, &half, "p1", DECISION_COMMIT);
    assert_int_equal(end.status, STATUS_OK);
    assert_int_equal(end.transaction.state, TRANSACTION_COMMITTED);
    assert_true(end.transaction.changed);
    assert_int_equal(end.transaction.queue_offset, -1);
    assert_int_equal(driver_next(&driver, "orders", 0), 0);
    assert_int_equal(keys_found("u1"), 0);
    assert_true(due_of(half.message.position) == machine_clock_ms(driver.machine) + 10000);
    driver_restart_unchanged(&driver);
    // Decided is decided, delayed or not.
    assert_int_equal(driver_end(&driver, &half, "p1", DECISION_COMMIT).status, STATUS_OK);
    assert_int_equal(driver_end(&driver, &half, "p1", DECISION_ROLLBACK).status,
                     STATUS_TRANSACTION_DECIDED);
    assert_int_equal(driver_fire(&driver, half.message.position).status, STATUS_INVALID_ARGUMENT);
    driver.time_ms += 10000;
    struct operation_result fired = driver_fire(&driver, half.message.position);
    assert_int_equal(fired.status, STATUS_OK);
    assert_int_equal(driver_next(&driver, "orders", 0), 1);
    assert_true(driver_read(&driver, "orders", 0, 0).body_position == half.message.position);
    assert_int_equal(keys_found("u1"), 1);
    assert_int_equal(driver_end(&driver, &half, "p1", DECISION_COMMIT).status, STATUS_OK);
    assert_int_equal(driver_next(&driver, "orders", 0), 1);
    driver_restart_unchanged(&driver);
}

static void what_is_committed_cannot_be_recalled(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1", &ten_seconds);
    driver_end(&driver, &half, "p1", DECISION_COMMIT);
    assert_int_equal(recall(half.message.position, "orders", "u1"), STATUS_NOT_FOUND);
    driver_restart_unchanged(&driver);
    assert_int_equal(recall(half.message.position, "orders", "u1"), STATUS_NOT_FOUND);
    driver.time_ms += 10000;
    assert_int_equal(driver_fire(&driver, half.message.position).status, STATUS_OK);
}

static void a_half_rolled_back_is_never_delayed(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1", &ten_seconds);
    driver_end(&driver, &half, "p1", DECISION_ROLLBACK);
    driver.time_ms += 20000;
    assert_int_equal(driver_fire(&driver, half.message.position).status, STATUS_NOT_FOUND);
    assert_int_equal(counters().delayed, 0);
}

static void a_time_that_is_over_at_the_commit_delays_no_more(void **state)
{
    (void)state;
    const struct delay at = {driver.time_ms + 1000, true};
    struct operation_result half = send_half("u1", &at);
    driver.time_ms += 1000;
    struct operation_result end = driver_end(&driver, &half, "p1", DECISION_COMMIT);
    assert_int_equal(end.transaction.queue_offset, 0);
    assert_int_equal(driver_next(&driver, "orders", 0), 1);
    assert_int_equal(counters().delayed, 0);
}

static void a_half_given_up_keeps_its_delay_for_whoever_settles_it(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1", &ten_seconds);
    driver_expire(&driver, half.message.position);
    driver_restart_unchanged(&driver);
    assert_int_equal(driver_settle(&driver, half.message.position, DECISION_COMMIT).status,
                     STATUS_OK);
    assert_int_equal(driver_next(&driver, "orders", 0), 0);
    driver.time_ms += 10000;
    assert_int_equal(driver_fire(&driver, half.message.position).status, STATUS_OK);
    assert_int_equal(driver_next(&driver, "orders", 0), 1);
}

/* From the half on until the message fires, and no longer, its segment is held. */
static void a_committed_half_holds_the_log_until_it_fires(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1", &ten_seconds);
    driver_restart_unchanged(&driver);
    assert_int_equal(counters().delayed_halves, 1);
    driver_next_segment(&driver);
    driver_end(&driver, &half, "p1", DECISION_COMMIT);
    assert_int_equal(counters().delayed_halves, 0);
    assert_int_equal(cut_to(1), 0);
    driver.time_ms += 10000;
    assert_int_equal(driver_fire(&driver, half.message.position).status, STATUS_OK);
    assert_int_equal(cut_to(1), 1);
}

/* --- Bounds --- */

static void more_than_the_schedule_holds_is_refused(void **state)
{
    (void)state;
    const struct driver_message message = {.topic = "orders"};
    const struct driver_message half = {.topic = "orders", .producer_group = "p1"};
    for (uint32_t left = DELAYED_MAX - 1; left > 0;) {
        uint32_t count = left < 4000 ? left : 4000;
        for (uint32_t i = 0; i < count; i++) {
            driver_delayed(&driver, &message, &ten_seconds);
        }
        if (driver.position_next % SEGMENT_SIZE + 2 * driver.entry.size > SEGMENT_SIZE) {
            driver_next_segment(&driver); // Entries never straddle two.
        }
        driver_apply(&driver);
        left -= count;
        free(driver.log[--driver.log_count].payload); // It is not applied again.
    }
    driver_half(&driver, &half, 6000); // One without delay is none of this.
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
    driver_half_delayed(&driver, &half, &ten_seconds);
    struct operation_result first = driver_apply(&driver);
    assert_int_equal(first.status, STATUS_OK);
    // A commit cannot be refused, so a half has its place from the beginning.
    driver_half_delayed(&driver, &half, &ten_seconds);
    assert_int_equal(driver_apply(&driver).status, STATUS_OVERLOADED);
    assert_int_equal(send_delayed(1).status, STATUS_OVERLOADED);
    assert_int_equal(driver_end(&driver, &first, "p1", DECISION_ROLLBACK).status, STATUS_OK);
    driver_half_delayed(&driver, &half, &ten_seconds);
    first = driver_apply(&driver);
    assert_int_equal(first.status, STATUS_OK);
    assert_int_equal(driver_end(&driver, &first, "p1", DECISION_COMMIT).status, STATUS_OK);
    assert_int_equal(counters().delayed_waiting, DELAYED_MAX);
    assert_int_equal(send_delayed(1).status, STATUS_OVERLOADED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_delayed_message_is_seen_once_fired_and_by_reference,
                                        open_driver, close_driver),
        cmocka_unit_test_setup_teardown(what_is_not_due_or_has_fired_does_not_fire, open_driver,
                                        close_driver),
        cmocka_unit_test_setup_teardown(two_fires_of_one_message_in_one_entry_show_it_once,
                                        open_driver, close_driver),
        cmocka_unit_test_setup_teardown(a_time_may_be_given_and_none_is_beyond_the_bound,
                                        open_driver, close_driver),
        cmocka_unit_test_setup_teardown(the_due_ones_come_in_order_of_time_then_of_sending,
                                        open_driver, close_driver),
        cmocka_unit_test_setup_teardown(what_cannot_be_delivered_is_refused, open_driver,
                                        close_driver),
        cmocka_unit_test_setup_teardown(the_messages_of_a_deleted_topic_go_with_it, open_driver,
                                        close_driver),
        cmocka_unit_test_setup_teardown(only_who_knows_a_message_recalls_it_and_only_in_time,
                                        open_driver, close_driver),
        cmocka_unit_test_setup_teardown(what_is_committed_cannot_be_recalled, open_driver,
                                        close_driver),
        cmocka_unit_test_setup_teardown(the_schedule_is_the_same_after_a_restart, open_driver,
                                        close_driver),
        cmocka_unit_test_setup_teardown(a_crash_after_a_fire_does_not_repeat_it, open_driver,
                                        close_driver),
        cmocka_unit_test_setup_teardown(one_that_fires_between_checkpoints_never_reaches_the_store,
                                        open_driver, close_driver),
        cmocka_unit_test_setup_teardown(a_row_that_cannot_be_is_refused, open_driver, close_driver),
        cmocka_unit_test_setup_teardown(the_log_is_kept_from_the_first_delayed_message_on,
                                        open_driver, close_driver),
        cmocka_unit_test_setup_teardown(the_delay_of_a_half_begins_at_its_commit, open_driver,
                                        close_driver),
        cmocka_unit_test_setup_teardown(a_half_rolled_back_is_never_delayed, open_driver,
                                        close_driver),
        cmocka_unit_test_setup_teardown(a_time_that_is_over_at_the_commit_delays_no_more,
                                        open_driver, close_driver),
        cmocka_unit_test_setup_teardown(a_half_given_up_keeps_its_delay_for_whoever_settles_it,
                                        open_driver, close_driver),
        cmocka_unit_test_setup_teardown(a_committed_half_holds_the_log_until_it_fires, open_driver,
                                        close_driver),
        cmocka_unit_test_setup_teardown(more_than_the_schedule_holds_is_refused, open_driver,
                                        close_driver),
    };
    return cmocka_run_group_tests_name("delayed", tests, NULL, NULL);
}
