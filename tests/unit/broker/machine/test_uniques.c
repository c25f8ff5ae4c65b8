/* Messages recognised when they are sent again: answered as the first was, and not stored twice. */
#include "tests/support/machine_driver.h"
#include "tests/support/test.h"

#include "broker/machine/keys.h"
#include "broker/machine/rows.h"

#include <stdio.h>

/* Each entry of the driver is ENTRY_MS younger than the one before. */
enum { WINDOW_S = 60, WINDOW_MS = 1000 * WINDOW_S, ENTRY_MS = 10 };

static struct driver driver;

static void put_topic(const char *name, int32_t window_s)
{
    const struct operation_topic_put put = {.config = {.name = slice_text(name),
                                                       .read_queue_count = 2,
                                                       .write_queue_count = 2,
                                                       .perm = 6,
                                                       .unique_window_s = window_s}};
    entry_put_topic_put(&driver.entry, &put);
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
}

static int open_driver(void **state)
{
    (void)state;
    driver_open(&driver, NULL);
    driver_put_topic(&driver, "plain", 2);
    put_topic("orders", WINDOW_S);
    return 0;
}

static int close_driver(void **state)
{
    (void)state;
    driver_close(&driver);
    return 0;
}

static struct operation_result send(const char *topic, int32_t queue_id, const char *key)
{
    const struct driver_message message = {
        .topic = topic, .queue_id = queue_id, .unique_key = key, .body_size = 20};
    return driver_send(&driver, &message);
}

static uint64_t duplicates(void)
{
    struct machine_counters now;
    machine_counters(driver.machine, &now);
    return now.message_duplicates;
}

static void expect_same(const struct operation_result *first, const struct operation_result *again)
{
    assert_int_equal(again->status, STATUS_OK);
    assert_true(again->message.duplicate);
    assert_int_equal(again->message.queue_id, first->message.queue_id);
    assert_true(again->message.queue_offset == first->message.queue_offset);
    assert_true(again->message.position == first->message.position);
    assert_int_equal(again->message.count, 1);
}

static void a_message_sent_again_is_answered_as_the_first_was(void **state)
{
    (void)state;
    struct operation_result first = send("orders", 1, "u1");
    assert_false(first.message.duplicate);
    struct operation_result again = send("orders", 0, "u1"); // Clients retry on another queue.
    expect_same(&first, &again);
    assert_int_equal(driver_next(&driver, "orders", 0), 0);
    assert_int_equal(driver_next(&driver, "orders", 1), 1);
    assert_int_equal(duplicates(), 1);
    assert_false(send("orders", 1, "u2").message.duplicate);
    assert_false(send("orders", 1, NULL).message.duplicate);
    assert_false(send("orders", 1, NULL).message.duplicate);
    assert_int_equal(driver_next(&driver, "orders", 1), 4);
}

static void a_topic_without_a_window_stores_all(void **state)
{
    (void)state;
    send("plain", 0, "u1");
    assert_false(send("plain", 0, "u1").message.duplicate);
    assert_false(send("orders", 0, "u1").message.duplicate); // Another topic's key.
    put_topic("orders", 0);
    assert_false(send("orders", 0, "u1").message.duplicate);
    assert_int_equal(duplicates(), 0);
}

static void a_window_ends_by_the_logs_clock(void **state)
{
    (void)state;
    struct operation_result first = send("orders", 0, "u1");
    driver.time_ms += WINDOW_MS - ENTRY_MS - 1;
    struct operation_result again = send("orders", 0, "u1");
    expect_same(&first, &again); // And does not begin anew with that.
    driver.time_ms -= ENTRY_MS - 1;
    struct operation_result late = send("orders", 0, "u1");
    assert_false(late.message.duplicate);
    assert_int_equal(late.message.queue_offset, 1);
    again = send("orders", 0, "u1");
    expect_same(&late, &again);
    driver_restart_unchanged(&driver);
    again = send("orders", 0, "u1");
    expect_same(&late, &again);
}

static void each_message_of_a_batch_is_recognised_by_itself(void **state)
{
    (void)state;
    struct operation_result first = send("orders", 0, "u1");
    struct buf *entry = &driver.entry;
    size_t begin = entry_operation_begin(entry, OPERATION_MESSAGE);
    const char *const keys[] = {"u1", "u2", "u2"};
    for (size_t i = 0; i < 3; i++) {
        const struct driver_message message = {
            .topic = "orders", .unique_key = keys[i], .body_size = 20};
        driver_message_encode(&message, entry);
    }
    entry_operation_end(entry, begin);
    struct operation_result batch = driver_apply(&driver);
    assert_int_equal(batch.message.count, 3);
    assert_true(batch.message.position == first.message.position);
    assert_int_equal(driver_next(&driver, "orders", 0), 2); // Only u2 is new, and once.
    assert_int_equal(duplicates(), 2);
}

static void a_delayed_message_sent_again_is_delayed_once(void **state)
{
    (void)state;
    const struct driver_message message = {
        .topic = "orders", .queue_id = 1, .unique_key = "u1", .body_size = 20};
    const struct delay delay = {10000, false};
    driver_delayed(&driver, &message, &delay);
    struct operation_result first = driver_apply(&driver);
    driver_delayed(&driver, &message, &delay);
    struct operation_result again = driver_apply(&driver);
    expect_same(&first, &again);
    struct machine_counters now;
    machine_counters(driver.machine, &now);
    assert_int_equal(now.delayed_waiting, 1);
    driver.time_ms += 10000;
    assert_int_equal(driver_fire(&driver, first.message.position).status, STATUS_OK);
    assert_int_equal(driver_next(&driver, "orders", 1), 1);
}

/* Thousands, with a checkpoint and a restart now and then, while the oldest are forgotten. */
static void what_is_remembered_survives_restarts_and_is_forgotten_in_order(void **state)
{
    (void)state;
    enum { COUNT = 3000, EVERY_MS = 100, REMEMBERED = WINDOW_MS / EVERY_MS };
    char key[16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "u%d", i);
        driver.time_ms += EVERY_MS - ENTRY_MS;
        assert_false(send("orders", 0, key).message.duplicate);
        if (i % 377 == 0) {
            driver_checkpoint(&driver, i % 2 == 0);
        }
        if (i % 811 == 0) {
            driver_reopen(&driver);
        }
    }
    driver_restart_unchanged(&driver);
    assert_true(driver_rows(&driver, KEY_UNIQUES) <= REMEMBERED / UNIQUES_PER_ROW + 2);
    for (int i = COUNT - REMEMBERED + 2; i < COUNT; i += 7) {
        snprintf(key, sizeof key, "u%d", i);
        struct operation_result again = send("orders", 0, key);
        assert_true(again.message.duplicate);
        assert_int_equal(again.message.queue_offset, i);
        assert_true(driver_read(&driver, "orders", 0, i).position == again.message.position);
    }
    assert_false(send("orders", 0, "u2000").message.duplicate);
    driver.time_ms += 2 * WINDOW_MS;
    send("plain", 0, NULL);
    driver_restart_unchanged(&driver);
    assert_true(driver_rows(&driver, KEY_UNIQUES) <= 1); // The one to which the next will come.
}

static void a_gap_in_the_store_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        char key[16];
        snprintf(key, sizeof key, "u%d", i);
        send("orders", 0, key);
    }
    driver_checkpoint(&driver, true);
    struct kv_batch *batch = kv_batch_new();
    struct key key = key_uniques(0);
    kv_batch_delete(batch, key_slice(&key));
    assert_int_equal(kv_write(driver.kv, batch), STATUS_OK);
    kv_batch_free(batch);
    struct machine *machine = NULL;
    char *error = NULL;
    assert_int_equal(machine_open(driver.kv, NULL, &machine, &error), STATUS_CORRUPT);
    assert_non_null(strstr(error, "recognised"));
    free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_sent_again_is_answered_as_the_first_was,
                                        open_driver, close_driver),
        cmocka_unit_test_setup_teardown(a_topic_without_a_window_stores_all, open_driver,
                                        close_driver),
        cmocka_unit_test_setup_teardown(a_window_ends_by_the_logs_clock, open_driver, close_driver),
        cmocka_unit_test_setup_teardown(each_message_of_a_batch_is_recognised_by_itself,
                                        open_driver, close_driver),
        cmocka_unit_test_setup_teardown(a_delayed_message_sent_again_is_delayed_once, open_driver,
                                        close_driver),
        cmocka_unit_test_setup_teardown(
            what_is_remembered_survives_restarts_and_is_forgotten_in_order, open_driver,
            close_driver),
        cmocka_unit_test_setup_teardown(a_gap_in_the_store_is_refused, open_driver, close_driver),
    };
    return cmocka_run_group_tests_name("uniques", tests, NULL, NULL);
}
