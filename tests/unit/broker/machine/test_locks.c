/* machine: queue locks as leases in the log's time. */
#include "tests/support/machine_driver.h"
#include "tests/support/test.h"

enum { LEASE_MS = 60000, QUEUES = 4, KEPT_MS = 10 * 60 * 1000 };

static struct driver driver;

static int setup(void **state)
{
    (void)state;
    driver_open(&driver, NULL);
    driver_put_topic(&driver, "orders", QUEUES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    driver_close(&driver);
    return 0;
}

static struct operation_result act(enum lock_action action, const char *client, uint32_t queues)
{
    struct operation_lock lock = {
        .action = action,
        .group = slice_text("g"),
        .client = slice_text(client),
        .lease_ms = LEASE_MS,
        .count = queues,
    };
    for (uint32_t i = 0; i < queues; i++) {
        lock.places[i].topic = slice_text("orders");
        lock.places[i].queue_id = (int32_t)i;
    }
    entry_put_lock(&driver.entry, &lock);
    return driver_apply(&driver);
}

static uint64_t take(const char *client, uint32_t queues)
{
    struct operation_result result = act(LOCK_TAKE, client, queues);
    assert_int_equal(result.status, STATUS_OK);
    return result.locked;
}

static void extend(void)
{
    const struct operation_lock lock = {
        .action = LOCK_EXTEND,
        .lease_ms = LEASE_MS,
        .since_ms = machine_clock_ms(driver.machine),
    };
    entry_put_lock(&driver.entry, &lock);
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
}

static const char *holder(int32_t queue_id)
{
    static struct name name;
    struct machine_lock lock;
    if (!machine_lock_find(driver.machine, slice_text("g"), slice_text("orders"), queue_id,
                           &lock) ||
        lock.until_ms <= machine_clock_ms(driver.machine)) {
        return "";
    }
    assert_true(name_set(&name, lock.client));
    return name.text;
}

static void a_queue_has_one_holder_until_the_lease_runs_out(void **state)
{
    (void)state;
    assert_int_equal(take("one", 2), 3);
    assert_int_equal(take("two", 3), 4);
    assert_string_equal(holder(1), "one");
    assert_string_equal(holder(2), "two");
    driver.time_ms += LEASE_MS - 1000;
    assert_int_equal(take("one", 1), 1); // Renewed.
    driver.time_ms += 2000;
    assert_int_equal(take("two", 3), 6);
    assert_string_equal(holder(0), "one");
    assert_string_equal(holder(1), "two");
}

static void only_its_holder_releases_a_queue(void **state)
{
    (void)state;
    take("one", 2);
    assert_int_equal(act(LOCK_RELEASE, "two", 2).locked, 0);
    assert_string_equal(holder(0), "one");
    assert_int_equal(act(LOCK_RELEASE, "one", 1).locked, 1);
    assert_string_equal(holder(0), "");
    assert_int_equal(take("two", 2), 1);
    assert_string_equal(holder(1), "one");
}

static void groups_and_topics_have_locks_of_their_own(void **state)
{
    (void)state;
    driver_put_topic(&driver, "bills", 1);
    take("one", 1);
    struct operation_lock lock = {
        .action = LOCK_TAKE,
        .group = slice_text("other"),
        .client = slice_text("two"),
        .lease_ms = LEASE_MS,
        .count = 1,
        .places = {{slice_text("orders"), 0}},
    };
    entry_put_lock(&driver.entry, &lock);
    assert_int_equal(driver_apply(&driver).locked, 1);
    lock.group = slice_text("g");
    lock.places[0].topic = slice_text("bills");
    entry_put_lock(&driver.entry, &lock);
    assert_int_equal(driver_apply(&driver).locked, 1);
    assert_string_equal(holder(0), "one");
}

static bool holds(const char *group)
{
    return machine_group_holds_lock(driver.machine, slice_text(group),
                                    machine_clock_ms(driver.machine));
}

static void a_group_holds_locks_until_the_last_has_run_out_or_was_released(void **state)
{
    (void)state;
    assert_false(holds("g"));
    take("one", 2);
    assert_true(holds("g"));
    assert_false(holds("other"));
    act(LOCK_RELEASE, "one", 1);
    assert_true(holds("g"));
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_true(holds("g"));
    act(LOCK_RELEASE, "one", 2);
    assert_false(holds("g"));
    take("one", 1);
    driver.time_ms += LEASE_MS + 1000;
    take("two", 0); // Only the clock goes on.
    assert_false(holds("g"));
}

static void what_is_no_queue_is_not_locked(void **state)
{
    (void)state;
    struct operation_lock lock = {
        .action = LOCK_TAKE,
        .group = slice_text("g"),
        .client = slice_text("one"),
        .lease_ms = LEASE_MS,
        .count = 4,
        .places = {{slice_text("orders"), QUEUES},
                   {slice_text("orders"), -1},
                   {slice_text("nothing"), 0},
                   {slice_text(""), 0}},
    };
    entry_put_lock(&driver.entry, &lock);
    assert_int_equal(driver_apply(&driver).locked, 0);
    assert_false(machine_has_locks(driver.machine));
    lock.client = slice_text("");
    entry_put_lock(&driver.entry, &lock);
    assert_int_equal(driver_apply(&driver).status, STATUS_INVALID_ARGUMENT);
    lock.group = slice_text("");
    entry_put_lock(&driver.entry, &lock);
    assert_int_equal(driver_apply(&driver).status, STATUS_GROUP_INVALID);
}

static void a_new_leader_gives_each_holder_another_lease(void **state)
{
    (void)state;
    take("one", 1);
    driver.time_ms += 2 * LEASE_MS;        // Nobody led, so that nobody could renew.
    assert_string_equal(holder(0), "one"); // The machine's clock stands.
    extend();
    assert_int_equal(take("two", 1), 0);
    driver.time_ms += LEASE_MS - 1000;
    assert_int_equal(take("two", 1), 0);
    driver.time_ms += 2000;
    assert_int_equal(take("two", 1), 1);
}

static void a_lease_that_ran_out_before_is_not_extended(void **state)
{
    (void)state;
    take("one", 2);
    driver.time_ms += LEASE_MS + 1000;
    take("two", 1);
    extend();
    assert_int_equal(take("one", 1), 0);
    assert_int_equal(take("three", 2), 2);
}

static void extending_shortens_no_lease(void **state)
{
    (void)state;
    const struct operation_lock lock = {
        .action = LOCK_TAKE,
        .group = slice_text("g"),
        .client = slice_text("one"),
        .lease_ms = 2 * LEASE_MS,
        .count = 1,
        .places = {{slice_text("orders"), 0}},
    };
    entry_put_lock(&driver.entry, &lock);
    driver_apply(&driver);
    extend();
    driver.time_ms += LEASE_MS + 1000;
    assert_int_equal(take("two", 1), 0);
}

static void locks_survive_a_restart_and_go_with_group_topic_and_time(void **state)
{
    (void)state;
    take("one", 2);
    act(LOCK_RELEASE, "one", 1);
    driver_checkpoint(&driver, true);
    uint64_t hash = machine_hash(driver.machine);
    driver_reopen(&driver);
    assert_true(machine_hash(driver.machine) == hash);
    assert_string_equal(holder(0), "");
    assert_string_equal(holder(1), "one");

    entry_put_group_put(&driver.entry,
                        &(struct operation_group_put){.config = {.name = slice_text("g")}});
    driver_apply(&driver);
    entry_put_group_delete(&driver.entry, &(struct operation_group_delete){slice_text("g"), true});
    driver_apply(&driver);
    assert_false(machine_has_locks(driver.machine));

    take("one", 2);
    entry_put_topic_delete(&driver.entry, slice_text("orders"));
    driver_apply(&driver);
    assert_false(machine_has_locks(driver.machine));

    driver_put_topic(&driver, "orders", QUEUES);
    take("one", QUEUES);
    driver_checkpoint(&driver, true);
    driver.time_ms += LEASE_MS + KEPT_MS;
    entry_put_tick(&driver.entry);
    driver_apply(&driver);
    assert_false(machine_has_locks(driver.machine));
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_false(machine_has_locks(driver.machine));
}

#define lock_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        lock_test(a_queue_has_one_holder_until_the_lease_runs_out),
        lock_test(only_its_holder_releases_a_queue),
        lock_test(groups_and_topics_have_locks_of_their_own),
        lock_test(a_group_holds_locks_until_the_last_has_run_out_or_was_released),
        lock_test(what_is_no_queue_is_not_locked),
        lock_test(a_new_leader_gives_each_holder_another_lease),
        lock_test(a_lease_that_ran_out_before_is_not_extended),
        lock_test(extending_shortens_no_lease),
        lock_test(locks_survive_a_restart_and_go_with_group_topic_and_time),
    };
    return cmocka_run_group_tests_name("locks", tests, NULL, NULL);
}
