/* machine: popped messages, from the queue to the consumer, back, and done with. */
#include "tests/support/machine_driver.h"
#include "tests/support/test.h"

enum { QUEUES = 2, INVISIBLE_MS = 60000 };

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

static void send(int32_t queue_id, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        driver_message(&driver, &(struct driver_message){.topic = "orders", .queue_id = queue_id});
    }
    driver_apply(&driver);
}

static struct operation_pop pop_of(int64_t from, int64_t next)
{
    struct operation_pop pop = {
        .group = slice_text("g"),
        .topic = slice_text("orders"),
        .from = from,
        .next = next,
        .invisible_ms = INVISIBLE_MS,
    };
    return pop;
}

static struct operation_result apply_pop(const struct operation_pop *pop)
{
    entry_put_pop(&driver.entry, pop);
    return driver_apply(&driver);
}

/* Pop all of [from, next). */
static struct operation_result take(int64_t from, int64_t next)
{
    struct operation_pop pop = pop_of(from, next);
    for (int64_t at = from < 0 ? 0 : from; at < next; at++) {
        pop.offsets[pop.count++] = at;
    }
    return apply_pop(&pop);
}

/* Pop one that is due again. */
static struct operation_result take_again(int64_t offset, int64_t stands)
{
    struct operation_pop pop = pop_of(stands, stands);
    pop.count = 1;
    pop.offsets[0] = offset;
    return apply_pop(&pop);
}

static enum status ack(int64_t offset, uint64_t pop_ms)
{
    const struct operation_ack operation = {
        .group = slice_text("g"),
        .topic = slice_text("orders"),
        .count = 1,
        .deliveries = {{0, offset, pop_ms}},
    };
    entry_put_ack(&driver.entry, &operation);
    return driver_apply(&driver).status;
}

static struct operation_result hide(int64_t offset, uint64_t pop_ms, uint64_t invisible_ms)
{
    const struct operation_invisible operation = {
        .group = slice_text("g"),
        .topic = slice_text("orders"),
        .delivery = {0, offset, pop_ms},
        .invisible_ms = invisible_ms,
    };
    entry_put_invisible(&driver.entry, &operation);
    return driver_apply(&driver);
}

static uint32_t waiting(int32_t queue_id)
{
    return machine_popped_count(driver.machine, slice_text("g"), slice_text("orders"), queue_id);
}

static int64_t stands(void)
{
    int64_t offset = -1;
    machine_offset_find(driver.machine, slice_text("g"), slice_text("orders"), 0, &offset);
    return offset;
}

static struct machine_popped find(int64_t offset)
{
    struct machine_popped popped;
    assert_true(machine_popped_find(driver.machine, slice_text("g"), slice_text("orders"), 0,
                                    offset, &popped));
    return popped;
}

static void a_popped_message_is_with_one_consumer_until_it_is_acknowledged(void **state)
{
    (void)state;
    send(0, 5);
    struct operation_result first = take(-1, 2);
    assert_int_equal(first.status, STATUS_OK);
    assert_int_equal(take(-1, 2).status, STATUS_STALE);
    assert_int_equal(take(0, 2).status, STATUS_STALE);
    assert_int_equal(take_again(1, 2).status, STATUS_STALE);
    assert_int_equal(waiting(0), 2);
    assert_int_equal(stands(), 2);
    assert_int_equal(ack(0, first.pop_ms), STATUS_OK);
    assert_int_equal(ack(0, first.pop_ms), STATUS_NOT_FOUND);
    assert_int_equal(waiting(0), 1);
    assert_int_equal(take(2, 5).status, STATUS_OK);
    assert_int_equal(waiting(0), 4);
    assert_int_equal(stands(), 5);
}

static void what_is_not_acknowledged_comes_again_when_it_is_due(void **state)
{
    (void)state;
    send(0, 3);
    struct operation_result first = take(-1, 3);
    struct machine_popped due[POP_OFFSETS_MAX];
    uint64_t until_ms = first.pop_ms + INVISIBLE_MS;
    struct slice group = slice_text("g");
    struct slice topic = slice_text("orders");
    assert_false(machine_popped_any_due(driver.machine, group, topic, until_ms - 1));
    assert_true(machine_popped_any_due(driver.machine, group, topic, until_ms));
    assert_int_equal(machine_popped_due(driver.machine, group, topic, 0, until_ms, 2, due), 2);
    assert_int_equal(due[0].offset, 0);
    assert_int_equal(machine_popped_due(driver.machine, group, topic, 1, until_ms, 2, due), 0);

    driver.time_ms = until_ms - 1 - ENTRY_TIME_STEP_MS;
    assert_int_equal(take_again(1, 3).status, STATUS_STALE);
    driver.time_ms = until_ms - ENTRY_TIME_STEP_MS;
    struct operation_result second = take_again(1, 3);
    assert_int_equal(second.status, STATUS_OK);
    assert_true(second.pop_ms == until_ms);
    assert_int_equal(find(1).repeats, 1);
    assert_true(find(1).first_pop_ms == first.pop_ms);
    assert_true(find(1).due_ms == until_ms + INVISIBLE_MS);
    assert_int_equal(find(0).repeats, 0);
    assert_int_equal(stands(), 3);
}

static void an_old_delivery_can_do_nothing_to_a_later_one(void **state)
{
    (void)state;
    send(0, 1);
    struct operation_result first = take(-1, 1);
    driver.time_ms += 2 * INVISIBLE_MS;
    struct operation_result second = take_again(0, 1);
    assert_int_equal(ack(0, first.pop_ms), STATUS_NOT_FOUND);
    assert_int_equal(hide(0, first.pop_ms, 1).status, STATUS_NOT_FOUND);
    assert_int_equal(waiting(0), 1);
    assert_true(find(0).due_ms == second.pop_ms + INVISIBLE_MS);
    assert_int_equal(ack(0, second.pop_ms), STATUS_OK);
    assert_int_equal(waiting(0), 0);
}

static void invisible_time_can_be_changed_and_names_another_delivery(void **state)
{
    (void)state;
    send(0, 1);
    struct operation_result first = take(-1, 1);
    driver.time_ms += 1000 - ENTRY_TIME_STEP_MS;
    struct operation_result second = hide(0, first.pop_ms, 5000);
    assert_int_equal(second.status, STATUS_OK);
    assert_true(second.pop_ms == first.pop_ms + 1000);
    assert_true(find(0).due_ms == second.pop_ms + 5000);
    assert_int_equal(ack(0, first.pop_ms), STATUS_NOT_FOUND);
    driver.time_ms += 5000;
    assert_int_equal(take_again(0, 1).status, STATUS_OK);
    assert_int_equal(find(0).repeats, 1);
    assert_true(find(0).first_pop_ms == first.pop_ms);
}

static void new_ones_and_due_ones_are_popped_together(void **state)
{
    (void)state;
    send(0, 4);
    take(-1, 2);
    driver.time_ms += INVISIBLE_MS;
    struct operation_pop pop = pop_of(2, 4);
    pop.count = 3;
    pop.offsets[0] = 0;
    pop.offsets[1] = 1;
    pop.offsets[2] = 3; // What lies between is passed over.
    assert_int_equal(apply_pop(&pop).status, STATUS_OK);
    assert_int_equal(waiting(0), 3);
    assert_int_equal(find(0).repeats, 1);
    assert_int_equal(find(3).repeats, 0);
    assert_int_equal(stands(), 4);
}

static void a_pop_that_does_not_fit_changes_nothing(void **state)
{
    (void)state;
    send(0, 4);
    take(-1, 2);
    struct machine_popped before = find(1);
    struct operation_pop pop = pop_of(2, 4);
    pop.count = 2;
    pop.offsets[0] = 3;
    pop.offsets[1] = 2;
    assert_int_equal(apply_pop(&pop).status, STATUS_STALE); // Not in order.
    pop.offsets[1] = 3;
    assert_int_equal(apply_pop(&pop).status, STATUS_STALE); // Twice.
    pop.offsets[1] = 4;
    assert_int_equal(apply_pop(&pop).status, STATUS_STALE); // Beyond next.
    pop.count = 0;
    pop.next = 5;
    assert_int_equal(apply_pop(&pop).status, STATUS_STALE); // Beyond the queue.
    pop.next = 1;
    assert_int_equal(apply_pop(&pop).status, STATUS_STALE); // Backwards.
    pop.next = 4;
    pop.invisible_ms = 0;
    assert_int_equal(apply_pop(&pop).status, STATUS_INVALID_ARGUMENT);
    pop.invisible_ms = 1;
    pop.queue_id = QUEUES;
    assert_int_equal(apply_pop(&pop).status, STATUS_QUEUE_INVALID);
    pop.topic = slice_text("nothing");
    assert_int_equal(apply_pop(&pop).status, STATUS_TOPIC_UNKNOWN);
    pop.group = slice_text("");
    assert_int_equal(apply_pop(&pop).status, STATUS_GROUP_INVALID);
    assert_int_equal(waiting(0), 2);
    assert_int_equal(stands(), 2);
    assert_true(find(1).due_ms == before.due_ms && find(1).pop_ms == before.pop_ms);
}

static void groups_and_queues_pop_for_themselves(void **state)
{
    (void)state;
    send(0, 1);
    send(1, 1);
    struct operation_result first = take(-1, 1);
    struct operation_pop pop = pop_of(-1, 1);
    pop.count = 1;
    pop.queue_id = 1;
    assert_int_equal(apply_pop(&pop).status, STATUS_OK);
    pop.queue_id = 0;
    pop.group = slice_text("other");
    assert_int_equal(apply_pop(&pop).status, STATUS_OK);
    assert_int_equal(ack(0, first.pop_ms), STATUS_OK);
    assert_int_equal(waiting(0), 0);
    assert_int_equal(waiting(1), 1);
    assert_int_equal(
        machine_popped_count(driver.machine, slice_text("other"), slice_text("orders"), 0), 1);
}

static void a_queue_has_so_many_unacknowledged_and_no_more(void **state)
{
    (void)state;
    int64_t next = 0;
    send(0, POP_OFFSETS_MAX);
    assert_int_equal(take(-1, POP_OFFSETS_MAX).status, STATUS_OK);
    uint64_t pop_ms = find(0).pop_ms;
    for (next = POP_OFFSETS_MAX; next + POP_OFFSETS_MAX <= POPPED_PER_QUEUE_MAX;
         next += POP_OFFSETS_MAX) {
        send(0, POP_OFFSETS_MAX);
        assert_int_equal(take(next, next + POP_OFFSETS_MAX).status, STATUS_OK);
    }
    send(0, POP_OFFSETS_MAX);
    int64_t room = POPPED_PER_QUEUE_MAX - next;
    assert_int_equal(take(next, next + room + 1).status, STATUS_OVERLOADED);
    assert_int_equal(stands(), next);
    assert_int_equal(take(next, next + room).status, STATUS_OK);
    assert_int_equal(waiting(0), POPPED_PER_QUEUE_MAX);
    next += room;
    driver.time_ms += INVISIBLE_MS + 100000;
    assert_int_equal(take_again(1, next).status, STATUS_OK); // Not one more.
    assert_int_equal(take(next, next + 1).status, STATUS_OVERLOADED);
    assert_int_equal(ack(0, pop_ms), STATUS_OK);
    assert_int_equal(take(next, next + 1).status, STATUS_OK);
}

static void popped_messages_survive_a_restart(void **state)
{
    (void)state;
    send(0, 4);
    struct operation_result first = take(-1, 3);
    driver_checkpoint(&driver, true);
    ack(0, first.pop_ms);
    hide(1, first.pop_ms, 7000);
    uint64_t hash = machine_hash(driver.machine);
    driver_reopen(&driver); // The last two from the log.
    assert_true(machine_hash(driver.machine) == hash);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_true(machine_hash(driver.machine) == hash);
    assert_int_equal(waiting(0), 2);
    assert_true(find(1).due_ms == find(1).pop_ms + 7000);
    assert_true(find(2).pop_ms == first.pop_ms);
    assert_int_equal(stands(), 3);
    assert_int_equal(ack(2, first.pop_ms), STATUS_OK);
}

static void a_reset_begins_anew_also_with_what_was_popped(void **state)
{
    (void)state;
    send(0, 3);
    struct operation_result first = take(-1, 3);
    assert_int_equal(driver_commit_offset(&driver, "g", "orders", 0, 3, false).status, STATUS_OK);
    assert_int_equal(waiting(0), 3);
    assert_int_equal(driver_commit_offset(&driver, "g", "orders", 0, 1, true).status, STATUS_OK);
    assert_int_equal(waiting(0), 0);
    assert_int_equal(ack(1, first.pop_ms), STATUS_NOT_FOUND);
    assert_int_equal(take(1, 3).status, STATUS_OK);
    int64_t held;
    assert_false(
        machine_offset_held(driver.machine, slice_text("g"), slice_text("orders"), 0, &held));
    assert_int_equal(find(1).repeats, 0);
}

static void popped_messages_go_with_their_topic_and_their_group(void **state)
{
    (void)state;
    send(0, 2);
    send(1, 1);
    take(-1, 2);
    struct operation_pop pop = pop_of(-1, 1);
    pop.count = 1;
    pop.queue_id = 1;
    apply_pop(&pop);
    driver_checkpoint(&driver, true);
    entry_put_group_delete(&driver.entry, &(struct operation_group_delete){slice_text("g"), false});
    driver_apply(&driver);
    assert_int_equal(waiting(0), 2); // As its offsets.
    entry_put_group_delete(&driver.entry, &(struct operation_group_delete){slice_text("g"), true});
    driver_apply(&driver);
    assert_int_equal(waiting(0) + waiting(1), 0);
    assert_int_equal(stands(), -1);
    take(-1, 2);
    driver_checkpoint(&driver, true);
    entry_put_topic_delete(&driver.entry, slice_text("orders"));
    driver_apply(&driver);
    driver_put_topic(&driver, "orders", QUEUES);
    assert_int_equal(waiting(0), 0);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_int_equal(waiting(0) + waiting(1), 0);
}

static void a_topic_that_grows_keeps_what_was_popped(void **state)
{
    (void)state;
    send(0, 2);
    struct operation_result first = take(-1, 2);
    driver_put_topic(&driver, "orders", 2 * QUEUES);
    send(2 * QUEUES - 1, 1);
    struct operation_pop pop = pop_of(-1, 1);
    pop.count = 1;
    pop.queue_id = 2 * QUEUES - 1;
    assert_int_equal(apply_pop(&pop).status, STATUS_OK);
    assert_int_equal(waiting(2 * QUEUES - 1), 1);
    assert_int_equal(waiting(0), 2);
    assert_int_equal(ack(0, first.pop_ms), STATUS_OK);
    assert_int_equal(ack(1, first.pop_ms), STATUS_OK);
}

static void retention_takes_popped_messages_with_it(void **state)
{
    (void)state;
    send(0, 2);
    driver_next_segment(&driver);
    send(0, 2);
    take(-1, 4);
    assert_int_equal(waiting(0), 4);
    driver_next_segment(&driver);
    send(1, 1);
    assert_int_equal(driver_cut(&driver, 1).status, STATUS_OK);
    assert_int_equal(waiting(0), 2);
    assert_int_equal(find(2).offset, 2);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_int_equal(waiting(0), 2);
}

static enum status put_mode(const char *group, const char *topic, enum request_mode mode)
{
    const struct operation_mode_put put = {slice_text(group), slice_text(topic), mode, 3};
    entry_put_mode_put(&driver.entry, &put);
    return driver_apply(&driver).status;
}

static struct machine_mode mode(void)
{
    return machine_mode_find(driver.machine, slice_text("g"), slice_text("orders"));
}

static void a_group_pulls_until_it_is_told_to_pop(void **state)
{
    (void)state;
    assert_int_equal(mode().mode, REQUEST_MODE_PULL);
    assert_int_equal(put_mode("g", "orders", REQUEST_MODE_POP), STATUS_GROUP_UNKNOWN);
    entry_put_group_put(&driver.entry,
                        &(struct operation_group_put){.config = {.name = slice_text("g")}});
    driver_apply(&driver);
    assert_int_equal(put_mode("g", "nothing", REQUEST_MODE_POP), STATUS_TOPIC_UNKNOWN);
    assert_int_equal(put_mode("g", "orders", REQUEST_MODE_POP), STATUS_OK);
    assert_int_equal(mode().mode, REQUEST_MODE_POP);
    assert_int_equal(mode().share_count, 3);
    driver_checkpoint(&driver, true);
    uint64_t hash = machine_hash(driver.machine);
    driver_reopen(&driver);
    assert_true(machine_hash(driver.machine) == hash);
    assert_int_equal(mode().mode, REQUEST_MODE_POP);
    assert_int_equal(put_mode("g", "orders", REQUEST_MODE_PULL), STATUS_OK);
    assert_int_equal(mode().mode, REQUEST_MODE_PULL);

    put_mode("g", "orders", REQUEST_MODE_POP);
    entry_put_topic_delete(&driver.entry, slice_text("orders"));
    driver_apply(&driver);
    assert_int_equal(mode().mode, REQUEST_MODE_PULL);
    driver_put_topic(&driver, "orders", QUEUES);
    put_mode("g", "orders", REQUEST_MODE_POP);
    entry_put_group_delete(&driver.entry, &(struct operation_group_delete){slice_text("g"), false});
    driver_apply(&driver);
    assert_int_equal(mode().mode, REQUEST_MODE_PULL);
}

static void a_group_that_is_to_pull_goes_back_to_what_is_not_acknowledged(void **state)
{
    (void)state;
    send(0, 4);
    entry_put_group_put(&driver.entry,
                        &(struct operation_group_put){.config = {.name = slice_text("g")}});
    driver_apply(&driver);
    put_mode("g", "orders", REQUEST_MODE_POP);
    struct operation_result first = take(-1, 4);
    ack(0, first.pop_ms);
    ack(2, first.pop_ms);
    put_mode("g", "orders", REQUEST_MODE_POP);
    assert_int_equal(waiting(0), 2);
    put_mode("g", "orders", REQUEST_MODE_PULL);
    assert_int_equal(waiting(0), 0);
    assert_int_equal(stands(), 1);
    take(1, 4);
    put_mode("g", "orders", REQUEST_MODE_PULL);
    assert_int_equal(waiting(0), 3); // It did pull already.
}

#define pop_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        pop_test(a_popped_message_is_with_one_consumer_until_it_is_acknowledged),
        pop_test(what_is_not_acknowledged_comes_again_when_it_is_due),
        pop_test(an_old_delivery_can_do_nothing_to_a_later_one),
        pop_test(invisible_time_can_be_changed_and_names_another_delivery),
        pop_test(new_ones_and_due_ones_are_popped_together),
        pop_test(a_pop_that_does_not_fit_changes_nothing),
        pop_test(groups_and_queues_pop_for_themselves),
        pop_test(a_queue_has_so_many_unacknowledged_and_no_more),
        pop_test(popped_messages_survive_a_restart),
        pop_test(a_reset_begins_anew_also_with_what_was_popped),
        pop_test(popped_messages_go_with_their_topic_and_their_group),
        pop_test(a_topic_that_grows_keeps_what_was_popped),
        pop_test(retention_takes_popped_messages_with_it),
        pop_test(a_group_pulls_until_it_is_told_to_pop),
        pop_test(a_group_that_is_to_pull_goes_back_to_what_is_not_acknowledged),
    };
    return cmocka_run_group_tests_name("pop", tests, NULL, NULL);
}
