/* Transactions: one outcome each, visible once, remembered for a while.
 *
 * Single rules first, then a model: random operations, each result compared with what a table of a
 * few lines says it must be. */
#include "tests/support/machine_driver.h"
#include "tests/support/test.h"

#include "common/base/random.h"

#include <stdio.h>

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

static struct operation_result send_half(const char *unique_key)
{
    struct operation_result half = driver_send_half(&driver, "orders", 1, "payments", unique_key);
    assert_int_equal(half.status, STATUS_OK);
    return half;
}

static const struct transaction *find(const struct operation_result *half)
{
    return machine_transaction_find(driver.machine, half->message.position);
}

static struct machine_counters counters(void)
{
    struct machine_counters now;
    machine_counters(driver.machine, &now);
    return now;
}

/* --- Halves --- */

static void a_half_is_pending_and_takes_no_offset_of_its_queue(void **state)
{
    (void)state;
    struct operation_result first = send_half("u1");
    struct operation_result second = send_half("u2");
    assert_int_equal(first.message.queue_offset, 0);
    assert_int_equal(second.message.queue_offset, 1);
    assert_int_equal(first.message.queue_id, 1);
    assert_false(second.message.duplicate);
    assert_int_equal(driver_next(&driver, "orders", 1), 0);
    const struct transaction *transaction = find(&second);
    assert_int_equal(transaction->state, TRANSACTION_PENDING);
    assert_int_equal(transaction->attempts, 0);
    assert_int_equal(transaction->stored_ms, driver.time_ms);
    assert_int_equal(transaction->visible_offset, -1);
    assert_string_equal(transaction->group->name.text, "payments");
    assert_int_equal(counters().pending, 2);
    // Its position is that of the stored message itself.
    const struct driver_entry *entry = &driver.log[driver.log_count - 1];
    struct buf stored = {0};
    driver_message_encode(
        &(struct driver_message){
            .topic = "orders", .queue_id = 1, .unique_key = "u2", .producer_group = "payments"},
        &stored);
    assert_int_equal(transaction->size, stored.size);
    assert_memory_equal(entry->payload + (transaction->position - entry->position), stored.data,
                        stored.size);
    buf_close(&stored);
}

static void a_resent_half_gets_the_first_ones_answer(void **state)
{
    (void)state;
    struct operation_result first = send_half("u1");
    struct operation_result again = driver_send_half(&driver, "orders", 0, "payments", "u1");
    assert_int_equal(again.status, STATUS_OK);
    assert_true(again.message.duplicate);
    assert_int_equal(again.message.position, first.message.position);
    assert_int_equal(again.message.queue_offset, first.message.queue_offset);
    assert_int_equal(again.message.queue_id, 1);
    assert_false(driver_send_half(&driver, "orders", 1, "others", "u1").message.duplicate);
    driver_end(&driver, &first, "payments", DECISION_COMMIT);
    assert_true(driver_send_half(&driver, "orders", 1, "payments", "u1").message.duplicate);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_true(driver_send_half(&driver, "orders", 1, "payments", "u1").message.duplicate);
    assert_int_equal(counters().halves, 2);
    assert_int_equal(counters().half_duplicates, 3);
    assert_ptr_equal(
        machine_transaction_find_unique(driver.machine, slice_text("payments"), slice_text("u1")),
        find(&first));
}

static void halves_without_unique_key_are_never_the_same(void **state)
{
    (void)state;
    struct operation_result first = send_half(NULL);
    struct operation_result second = send_half(NULL);
    assert_true(first.message.position != second.message.position);
    assert_false(second.message.duplicate);
}

static void a_half_that_nobody_could_decide_is_refused(void **state)
{
    (void)state;
    uint64_t next = counters().halves;
    assert_int_equal(driver_send_half(&driver, "orders", 0, NULL, "u").status,
                     STATUS_MESSAGE_ILLEGAL);
    assert_int_equal(driver_send_half(&driver, "nothing", 0, "payments", "u").status,
                     STATUS_TOPIC_UNKNOWN);
    assert_int_equal(driver_send_half(&driver, "orders", 2, "payments", "u").status,
                     STATUS_QUEUE_INVALID);
    size_t begin = entry_operation_begin(&driver.entry, OPERATION_HALF);
    memset(buf_extend(&driver.entry, HALF_PREFIX_SIZE), 0, HALF_PREFIX_SIZE);
    buf_put_text(&driver.entry, "no message");
    entry_operation_end(&driver.entry, begin);
    assert_int_equal(driver_apply(&driver).status, STATUS_MESSAGE_ILLEGAL);
    assert_int_equal(counters().halves, next);
    assert_int_equal(machine_producer_groups(driver.machine)->count, 0);
}

/* --- Decisions --- */

static void a_commit_makes_the_half_visible_by_reference(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1");
    struct operation_result end = driver_end(&driver, &half, "payments", DECISION_COMMIT);
    assert_int_equal(end.status, STATUS_OK);
    assert_true(end.transaction.changed);
    assert_int_equal(end.transaction.state, TRANSACTION_COMMITTED);
    assert_int_equal(end.transaction.queue_offset, 0);
    struct index_entry entry = driver_read(&driver, "orders", 1, 0);
    const struct driver_entry *logged = &driver.log[driver.log_count - 1];
    struct operation operation;
    assert_int_equal(
        operation_decode(slice_of(logged->payload + (entry.position - logged->position),
                                  logged->size - (entry.position - logged->position)),
                         &operation),
        STATUS_OK);
    assert_int_equal(operation.type, OPERATION_END);
    assert_int_equal(operation.end.half_position, entry.body_position);
    assert_int_equal(entry.body_position, half.message.position);
    assert_int_equal(entry.size, find(&half)->size);
    assert_int_equal(entry.store_time_ms, driver.time_ms);
}

/* Whoever made the half may have had any clock: the entry's time counts. */
static void a_half_is_due_so_long_after_its_entry(void **state)
{
    (void)state;
    const struct driver_message message = {
        .topic = "orders", .unique_key = "due", .producer_group = "payments"};
    driver_half(&driver, &message, 6000);
    struct operation_result result = driver_apply(&driver);
    assert_int_equal(find(&result)->due.due, driver.time_ms + 6000);
    const struct driver_message other = {
        .topic = "orders", .unique_key = "never", .producer_group = "payments"};
    driver_half(&driver, &other, UINT64_MAX);
    result = driver_apply(&driver);
    assert_int_equal(find(&result)->due.due, driver.time_ms + CHECK_WAIT_MAX_MS);
}

static void keys_of_a_half_are_found_from_its_commit_on(void **state)
{
    (void)state;
    driver_half(&driver,
                &(struct driver_message){.topic = "orders",
                                         .keys = "a b c",
                                         .tags = "red",
                                         .unique_key = "u1",
                                         .producer_group = "payments"},
                0);
    struct operation_result half = driver_apply(&driver);
    struct key_search search = {.end_ms = UINT64_MAX, .max = 2};
    const char *const keys[] = {"a", "b", "c", "u1"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(
            machine_key_find(driver.machine, slice_text("orders"), slice_text(keys[i]), &search),
            STATUS_OK);
        assert_int_equal(search.count, 0);
    }
    driver_checkpoint(&driver, true); // The keys of a pending one are kept.
    driver_reopen(&driver);
    driver_end(&driver, &half, "payments", DECISION_COMMIT);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(
            machine_key_find(driver.machine, slice_text("orders"), slice_text(keys[i]), &search),
            STATUS_OK);
        assert_int_equal(search.count, 1);
        assert_int_equal(search.entries[0].body_position, half.message.position);
    }
    assert_int_equal(driver_read(&driver, "orders", 0, 0).tags_hash, 112785);
}

static void a_rollback_takes_no_offset(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1");
    struct operation_result end = driver_end(&driver, &half, "payments", DECISION_ROLLBACK);
    assert_int_equal(end.status, STATUS_OK);
    assert_int_equal(end.transaction.state, TRANSACTION_ROLLED_BACK);
    assert_int_equal(end.transaction.queue_offset, -1);
    assert_int_equal(driver_next(&driver, "orders", 1), 0);
    assert_int_equal(counters().pending, 0);
    assert_int_equal(counters().rollbacks, 1);
}

static void the_first_decision_stands(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1");
    driver_end(&driver, &half, "payments", DECISION_COMMIT);
    struct operation_result again = driver_end(&driver, &half, "payments", DECISION_COMMIT);
    assert_int_equal(again.status, STATUS_OK);
    assert_false(again.transaction.changed);
    assert_int_equal(again.transaction.queue_offset, 0);
    struct operation_result contrary = driver_end(&driver, &half, "payments", DECISION_ROLLBACK);
    assert_int_equal(contrary.status, STATUS_TRANSACTION_DECIDED);
    assert_int_equal(contrary.transaction.state, TRANSACTION_COMMITTED);
    contrary = driver_settle(&driver, half.message.position, DECISION_ROLLBACK);
    assert_int_equal(contrary.status, STATUS_TRANSACTION_DECIDED);
    assert_int_equal(driver_settle(&driver, half.message.position, DECISION_RECHECK).status,
                     STATUS_TRANSACTION_DECIDED);
    assert_int_equal(driver_expire(&driver, half.message.position).status,
                     STATUS_TRANSACTION_DECIDED);
    assert_int_equal(driver_next(&driver, "orders", 1), 1);
    assert_int_equal(counters().commits, 1);
    assert_int_equal(counters().end_repeated, 1);
    assert_int_equal(counters().end_refused, 1);
}

static void an_end_must_fit_its_half_checked_in_this_order(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1");
    struct operation_result wrong = half;
    wrong.message.position += 1;
    assert_int_equal(driver_end(&driver, &wrong, "others", DECISION_COMMIT).status,
                     STATUS_TRANSACTION_UNKNOWN);
    wrong = half;
    wrong.message.queue_offset += 1;
    assert_int_equal(driver_end(&driver, &wrong, "others", DECISION_COMMIT).status,
                     STATUS_TRANSACTION_GROUP_WRONG);
    assert_int_equal(driver_end(&driver, &wrong, "payments", DECISION_COMMIT).status,
                     STATUS_TRANSACTION_OFFSET_WRONG);
    assert_int_equal(find(&half)->state, TRANSACTION_PENDING);
    assert_int_equal(driver_next(&driver, "orders", 1), 0);
    assert_int_equal(counters().end_refused, 3);
}

static void a_commit_reaches_a_queue_that_the_topic_no_longer_offers(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1");
    driver_put_topic(&driver, "orders", 1);
    assert_int_equal(driver_end(&driver, &half, "payments", DECISION_COMMIT).status, STATUS_OK);
    assert_int_equal(driver_next(&driver, "orders", 1), 1);
}

static void a_transaction_outlives_its_topic(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1");
    struct operation_result other = send_half("u2");
    entry_put_topic_delete(&driver.entry, slice_text("orders"));
    driver_apply(&driver);
    assert_null(find(&half)->topic);
    struct operation_result end = driver_end(&driver, &half, "payments", DECISION_COMMIT);
    assert_int_equal(end.status, STATUS_TOPIC_UNKNOWN);
    assert_false(end.transaction.changed);
    assert_int_equal(find(&half)->state, TRANSACTION_EXPIRED); // Somebody has to look at it.
    assert_int_equal(driver_read(&driver, "TRANS_CHECK_MAX_TIME_TOPIC", 0, 0).body_position,
                     half.message.position);
    assert_int_equal(driver_end(&driver, &other, "payments", DECISION_ROLLBACK).status, STATUS_OK);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_null(find(&half)->topic);
    // Created again, smaller: there is a way to commit after all.
    driver_put_topic(&driver, "orders", 1);
    assert_non_null(find(&half)->topic);
    end = driver_settle(&driver, half.message.position, DECISION_COMMIT);
    assert_int_equal(end.status, STATUS_OK);
    assert_int_equal(driver_read(&driver, "orders", 1, 0).body_position, half.message.position);
}

/* --- Checks, expiry, settling --- */

static void check(const struct operation_result *half, uint64_t next_check_ms)
{
    static struct operation_checked checked;
    checked.next_check_ms = next_check_ms;
    checked.count = 1;
    checked.half_positions[0] = half->message.position;
    entry_put_checked(&driver.entry, &checked);
    assert_int_equal(driver_apply(&driver).status, STATUS_OK);
}

static void due_ones_come_soonest_first(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    static struct operation_result halves[COUNT];
    struct random random = {3};
    const uint64_t later_ms = driver.time_ms + 1000000;
    for (int i = 0; i < COUNT; i++) {
        char unique[16];
        snprintf(unique, sizeof unique, "u%d", i);
        halves[i] = send_half(unique);
        check(&halves[i], later_ms + random_below(&random, 100) - driver.time_ms - 10);
    }
    const struct map_node *node = map_first(machine_producer_groups(driver.machine));
    const struct producer_group *group = CONTAINER_OF(node, struct producer_group, node);
    assert_int_equal(group->pending_count, COUNT);
    const struct transaction *due[COUNT];
    assert_int_equal(machine_transactions_due(driver.machine, group, later_ms - 1, COUNT, due), 0);
    assert_int_equal(machine_transactions_due(driver.machine, group, later_ms + 100, COUNT, due),
                     COUNT);
    for (int i = 1; i < COUNT; i++) {
        assert_true(
            due[i - 1]->due.due < due[i]->due.due ||
            (due[i - 1]->due.due == due[i]->due.due && due[i - 1]->position < due[i]->position));
    }
    const struct transaction *few[10];
    assert_int_equal(machine_transactions_due(driver.machine, group, later_ms + 100, 10, few), 10);
    assert_memory_equal(few, due, sizeof few);
    driver_end(&driver, &halves[0], "payments", DECISION_COMMIT);
    assert_int_equal(machine_transactions_due(driver.machine, group, later_ms + 100, COUNT, due),
                     COUNT - 1);
}

static void a_check_counts_and_sets_the_next(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1");
    check(&half, 30000);
    const struct transaction *transaction = find(&half);
    assert_int_equal(transaction->attempts, 1);
    assert_int_equal(transaction->last_check_ms, driver.time_ms);
    assert_int_equal(transaction->due.due, driver.time_ms + 30000);
    driver_end(&driver, &half, "payments", DECISION_COMMIT);
    check(&half, 0);
    assert_int_equal(find(&half)->attempts, 1); // Decided while the check was under way.
    assert_int_equal(counters().checks, 1);
}

static void a_restart_knows_how_often_and_when_a_half_was_asked_about(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1");
    check(&half, 30000);
    check(&half, 40000);
    struct transaction before = *find(&half);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    const struct transaction *after = find(&half);
    assert_int_equal(after->attempts, 2);
    assert_int_equal(after->due.due, before.due.due);
    assert_int_equal(after->stored_ms, before.stored_ms);
    assert_int_equal(after->last_check_ms, before.last_check_ms);
    assert_int_equal(after->half_offset, before.half_offset);
}

static void an_expired_one_is_shown_and_can_still_be_decided(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1");
    struct operation_result expired = driver_expire(&driver, half.message.position);
    assert_int_equal(expired.status, STATUS_OK);
    assert_true(expired.transaction.changed);
    assert_int_equal(find(&half)->state, TRANSACTION_EXPIRED);
    const struct topic *topic =
        machine_topic_find(driver.machine, slice_text("TRANS_CHECK_MAX_TIME_TOPIC"));
    assert_int_equal(topic->perm, 6);
    assert_int_equal(topic->write_queue_count, 1);
    struct index_entry entry = driver_read(&driver, "TRANS_CHECK_MAX_TIME_TOPIC", 0, 0);
    assert_int_equal(entry.body_position, half.message.position);
    const struct driver_entry *logged = &driver.log[driver.log_count - 1];
    assert_int_equal(logged->payload[entry.position - logged->position + 4], OPERATION_EXPIRE);
    assert_false(driver_expire(&driver, half.message.position).transaction.changed);
    assert_int_equal(counters().expired, 1);
    assert_int_equal(counters().pending, 0);
    assert_int_equal(driver_end(&driver, &half, "payments", DECISION_COMMIT).status, STATUS_OK);
    assert_int_equal(driver_next(&driver, "orders", 1), 1);
    assert_int_equal(counters().expired, 0);
    assert_int_equal(driver_expire(&driver, 1).status, STATUS_TRANSACTION_UNKNOWN);
}

static void a_person_can_settle_or_have_it_checked_anew(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1");
    check(&half, 30000);
    driver_expire(&driver, half.message.position);
    struct operation_result result =
        driver_settle(&driver, half.message.position, DECISION_RECHECK);
    assert_int_equal(result.status, STATUS_OK);
    assert_int_equal(result.transaction.state, TRANSACTION_PENDING);
    assert_int_equal(find(&half)->attempts, 0);
    assert_int_equal(find(&half)->due.due, driver.time_ms);
    assert_false(find(&half)->settled_by_hand);
    result = driver_settle(&driver, half.message.position, DECISION_COMMIT);
    assert_int_equal(result.status, STATUS_OK);
    assert_true(result.transaction.changed);
    assert_true(find(&half)->settled_by_hand);
    assert_int_equal(driver_next(&driver, "orders", 1), 1);
    assert_int_equal(driver_settle(&driver, 1, DECISION_COMMIT).status, STATUS_TRANSACTION_UNKNOWN);
}

static void states_are_listed_oldest_first(void **state)
{
    (void)state;
    struct operation_result halves[3] = {send_half("u1"), send_half("u2"), send_half("u3")};
    driver_end(&driver, &halves[1], "payments", DECISION_COMMIT);
    const struct transaction *first =
        machine_transaction_next(driver.machine, TRANSACTION_PENDING, NULL);
    const struct transaction *second =
        machine_transaction_next(driver.machine, TRANSACTION_PENDING, first);
    assert_int_equal(first->position, halves[0].message.position);
    assert_int_equal(second->position, halves[2].message.position);
    assert_null(machine_transaction_next(driver.machine, TRANSACTION_PENDING, second));
    assert_null(machine_transaction_next(driver.machine, TRANSACTION_EXPIRED, NULL));
    assert_int_equal(
        machine_transaction_next(driver.machine, TRANSACTION_COMMITTED, NULL)->position,
        halves[1].message.position);
}

/* --- Memory of outcomes --- */

static void an_outcome_is_forgotten_after_a_while_and_not_before(void **state)
{
    (void)state;
    struct operation_result decided = send_half("u1");
    struct operation_result open = send_half("u2");
    driver_end(&driver, &decided, "payments", DECISION_COMMIT);
    uint64_t decided_ms = driver.time_ms;
    driver_checkpoint(&driver, true);
    driver.time_ms = decided_ms + OUTCOME_RETENTION_MS - 11;
    entry_put_tick(&driver.entry);
    driver_apply(&driver);
    assert_non_null(find(&decided));
    entry_put_tick(&driver.entry);
    driver_apply(&driver);
    assert_null(find(&decided));
    assert_non_null(find(&open)); // Open ones stay for ever.
    assert_int_equal(driver_end(&driver, &decided, "payments", DECISION_COMMIT).status,
                     STATUS_TRANSACTION_UNKNOWN);
    assert_false(driver_send_half(&driver, "orders", 1, "payments", "u1").message.duplicate);
    assert_int_equal(driver_next(&driver, "orders", 1), 1); // What was visible stays visible.
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_null(find(&decided));
}

static void a_producer_group_is_forgotten_with_its_last_transaction(void **state)
{
    (void)state;
    struct operation_result half = send_half("u1");
    driver_end(&driver, &half, "payments", DECISION_ROLLBACK);
    driver_checkpoint(&driver, true);
    assert_int_equal(machine_producer_groups(driver.machine)->count, 1);
    driver.time_ms += OUTCOME_RETENTION_MS;
    entry_put_tick(&driver.entry);
    driver_apply(&driver);
    assert_int_equal(machine_producer_groups(driver.machine)->count, 0);
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_int_equal(machine_producer_groups(driver.machine)->count, 0);
}

/* After a long pause forgetting is spread over entries, so that none of them takes long. */
static void many_old_outcomes_are_forgotten_a_part_at_a_time(void **state)
{
    (void)state;
    enum { COUNT = 5000, FORGOTTEN_PER_ENTRY = 4096 };
    struct driver_message message = {.topic = "orders", .producer_group = "payments"};
    for (int done = 0; done < COUNT; done += COUNT / 2) {
        for (int i = 0; i < COUNT / 2; i++) {
            driver_half(&driver, &message, 0);
        }
        driver_apply(&driver);
        for (int i = 0; i < COUNT / 2; i++) {
            struct operation_end end = {driver.results[i].message.position,
                                        driver.results[i].message.queue_offset, DECISION_ROLLBACK,
                                        false, slice_text("payments")};
            entry_put_end(&driver.entry, &end);
        }
        struct operation_result first = driver.results[0];
        driver_apply(&driver);
        assert_non_null(find(&first));
    }
    driver.time_ms += OUTCOME_RETENTION_MS;
    const int expected[] = {COUNT - FORGOTTEN_PER_ENTRY, 0};
    for (int i = 0; i < 2; i++) {
        entry_put_tick(&driver.entry);
        driver_apply(&driver);
        int left = 0;
        for (const struct transaction *t = NULL;
             (t = machine_transaction_next(driver.machine, TRANSACTION_ROLLED_BACK, t)) != NULL;) {
            left++;
        }
        assert_int_equal(left, expected[i]);
    }
}

/* Beyond OUTCOMES_MAX the oldest go, whatever their age; the store keeps just the others. */
static void outcomes_are_bounded_in_number(void **state)
{
    (void)state;
    enum { PER_ENTRY = 4000, MORE_THAN_MAX = OUTCOMES_MAX + PER_ENTRY };
    static struct operation_result halves[PER_ENTRY];
    struct operation_result oldest = {0};
    for (int done = 0; done < MORE_THAN_MAX; done += PER_ENTRY) {
        struct driver_message message = {.topic = "orders", .producer_group = "payments"};
        for (int i = 0; i < PER_ENTRY; i++) {
            driver_half(&driver, &message, 0);
        }
        driver_apply(&driver);
        memcpy(halves, driver.results, sizeof halves);
        for (int i = 0; i < PER_ENTRY; i++) {
            struct operation_end end = {halves[i].message.position, halves[i].message.queue_offset,
                                        DECISION_ROLLBACK, false, slice_text("payments")};
            entry_put_end(&driver.entry, &end);
        }
        driver_apply(&driver);
        oldest = done == 0 ? halves[0] : oldest;
        if (done % (8 * PER_ENTRY) == 0) {
            driver_checkpoint(&driver, true);
        }
    }
    driver_checkpoint(&driver, true);
    assert_null(find(&oldest));
    assert_non_null(find(&halves[0]));
    uint64_t before = machine_hash(driver.machine);
    driver_reopen(&driver);
    assert_true(machine_hash(driver.machine) == before);
    uint32_t count = 0;
    for (const struct transaction *t = NULL;
         (t = machine_transaction_next(driver.machine, TRANSACTION_ROLLED_BACK, t)) != NULL;) {
        count++;
    }
    assert_int_equal(count, OUTCOMES_MAX);
    uint32_t rows = 0;
    struct kv_iterator *iterator = kv_iterate(driver.kv, slice_text("y"), slice_text("z"));
    struct slice key;
    struct slice value;
    while (kv_iterator_next(iterator, &key, &value)) {
        rows++;
    }
    assert_int_equal(kv_iterator_close(iterator), STATUS_OK);
    assert_in_range(rows, OUTCOMES_MAX / 256, OUTCOMES_MAX / 256 + 1);
}

/* --- Model --- */

enum { MODEL_MAX = 600, MODEL_STEPS = 4000, MODEL_QUEUES = 2 };

struct model_half {
    struct operation_result half;
    enum transaction_state state;
    int32_t queue_id;
    int64_t visible_offset;
};

struct model {
    struct random random;
    struct model_half halves[MODEL_MAX];
    size_t count;
    int64_t next[MODEL_QUEUES];
};

static bool model_open(const struct model_half *half)
{
    return half->state == TRANSACTION_PENDING || half->state == TRANSACTION_EXPIRED;
}

/* What a decision must do to it; the status it must be answered with. */
static enum status model_decide(struct model *model, struct model_half *half,
                                enum decision decision)
{
    enum transaction_state wanted =
        decision == DECISION_COMMIT ? TRANSACTION_COMMITTED : TRANSACTION_ROLLED_BACK;
    if (!model_open(half)) {
        return half->state == wanted ? STATUS_OK : STATUS_TRANSACTION_DECIDED;
    }
    half->state = wanted;
    if (wanted == TRANSACTION_COMMITTED) {
        half->visible_offset = model->next[half->queue_id]++;
    }
    return STATUS_OK;
}

static void model_send(struct model *model)
{
    char unique[16];
    size_t at = random_below(&model->random, MODEL_MAX);
    int32_t queue_id = (int32_t)random_below(&model->random, MODEL_QUEUES);
    snprintf(unique, sizeof unique, "u%zu", at < model->count ? at : model->count);
    struct operation_result result =
        driver_send_half(&driver, "orders", queue_id, "payments", unique);
    assert_int_equal(result.status, STATUS_OK);
    if (at < model->count) {
        assert_true(result.message.duplicate);
        assert_int_equal(result.message.position, model->halves[at].half.message.position);
        return;
    }
    assert_false(result.message.duplicate);
    assert_int_equal(result.message.queue_offset, model->count);
    if (model->count < MODEL_MAX) {
        model->halves[model->count++] =
            (struct model_half){result, TRANSACTION_PENDING, queue_id, -1};
    }
}

static void model_step(struct model *model)
{
    struct model_half *half = &model->halves[random_below(&model->random, model->count)];
    uint64_t position = half->half.message.position;
    enum decision decision =
        random_below(&model->random, 2) == 0 ? DECISION_COMMIT : DECISION_ROLLBACK;
    switch (random_below(&model->random, 6)) {
    case 0: {
        enum status expected = model_open(half) ? STATUS_OK : STATUS_TRANSACTION_DECIDED;
        half->state = model_open(half) ? TRANSACTION_EXPIRED : half->state;
        assert_int_equal(driver_expire(&driver, position).status, expected);
        break;
    }
    case 1: {
        enum status expected = model_open(half) ? STATUS_OK : STATUS_TRANSACTION_DECIDED;
        half->state = model_open(half) ? TRANSACTION_PENDING : half->state;
        assert_int_equal(driver_settle(&driver, position, DECISION_RECHECK).status, expected);
        break;
    }
    case 2: {
        enum status expected = model_decide(model, half, decision);
        assert_int_equal(driver_settle(&driver, position, decision).status, expected);
        break;
    }
    default: {
        bool was_open = model_open(half);
        enum status expected = model_decide(model, half, decision);
        struct operation_result result = driver_end(&driver, &half->half, "payments", decision);
        assert_int_equal(result.status, expected);
        assert_int_equal(result.transaction.changed, was_open);
        assert_int_equal(result.transaction.state, half->state);
        assert_int_equal(result.transaction.queue_offset, half->visible_offset);
    }
    }
}

/* Each committed one is in its queue once, at its offset; and nothing else is. */
static void model_compare(const struct model *model)
{
    size_t committed = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_half *half = &model->halves[i];
        const struct transaction *transaction = find(&half->half);
        assert_int_equal(transaction->state, half->state);
        if (half->state == TRANSACTION_COMMITTED) {
            struct index_entry entry =
                driver_read(&driver, "orders", half->queue_id, half->visible_offset);
            assert_int_equal(entry.body_position, half->half.message.position);
            committed++;
        }
    }
    size_t visible = 0;
    for (int32_t i = 0; i < MODEL_QUEUES; i++) {
        assert_int_equal(driver_next(&driver, "orders", i), model->next[i]);
        visible += (size_t)model->next[i];
    }
    assert_int_equal(visible, committed); // Offsets are distinct and dense: none is there twice.
    assert_int_equal(counters().commits, committed);
}

static void random_histories_follow_the_model(void **state)
{
    (void)state;
    static struct model model;
    model = (struct model){.random = {42}};
    for (int i = 0; i < MODEL_STEPS; i++) {
        if (model.count == 0 || (model.count < MODEL_MAX && random_below(&model.random, 4) == 0)) {
            model_send(&model);
        } else {
            model_step(&model);
        }
        if (i % 500 == 250) {
            driver_checkpoint(&driver, i % 1000 == 250);
        }
        if (i % 1000 == 999) {
            kv_memory_crash(driver.kv);
            driver_reopen(&driver);
            model_compare(&model);
        }
    }
    assert_true(model.count > 100);
}

#define transaction_test(test) cmocka_unit_test_setup_teardown(test, open_driver, close_driver)

int main(void)
{
    const struct CMUnitTest tests[] = {
        transaction_test(a_half_is_pending_and_takes_no_offset_of_its_queue),
        transaction_test(a_resent_half_gets_the_first_ones_answer),
        transaction_test(halves_without_unique_key_are_never_the_same),
        transaction_test(a_half_that_nobody_could_decide_is_refused),
        transaction_test(a_commit_makes_the_half_visible_by_reference),
        transaction_test(a_half_is_due_so_long_after_its_entry),
        transaction_test(keys_of_a_half_are_found_from_its_commit_on),
        transaction_test(a_rollback_takes_no_offset),
        transaction_test(the_first_decision_stands),
        transaction_test(an_end_must_fit_its_half_checked_in_this_order),
        transaction_test(a_commit_reaches_a_queue_that_the_topic_no_longer_offers),
        transaction_test(a_transaction_outlives_its_topic),
        transaction_test(due_ones_come_soonest_first),
        transaction_test(a_check_counts_and_sets_the_next),
        transaction_test(a_restart_knows_how_often_and_when_a_half_was_asked_about),
        transaction_test(an_expired_one_is_shown_and_can_still_be_decided),
        transaction_test(a_person_can_settle_or_have_it_checked_anew),
        transaction_test(states_are_listed_oldest_first),
        transaction_test(an_outcome_is_forgotten_after_a_while_and_not_before),
        transaction_test(a_producer_group_is_forgotten_with_its_last_transaction),
        transaction_test(many_old_outcomes_are_forgotten_a_part_at_a_time),
        transaction_test(outcomes_are_bounded_in_number),
        transaction_test(random_histories_follow_the_model),
    };
    return cmocka_run_group_tests_name("transactions", tests, NULL, NULL);
}
