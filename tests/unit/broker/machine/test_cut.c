/* Retention: what a CUT takes away, and what it must leave. Directed stories first; then random
 * ones against a model that knows every message and every half. */
#include "tests/support/machine_driver.h"
#include "tests/support/test.h"

#include "broker/machine/keys.h"
#include "broker/machine/rows.h"
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

static void send_to(int32_t queue_id, const char *keys)
{
    struct driver_message message = {.topic = "orders", .queue_id = queue_id, .keys = keys};
    assert_int_equal(driver_send(&driver, &message).status, STATUS_OK);
}

static const struct queue *orders(int32_t queue_id)
{
    return machine_queue_find(driver.machine, slice_text("orders"), queue_id);
}

static int64_t first_of(int32_t queue_id)
{
    return orders(queue_id)->offset_first;
}

static uint64_t segment_of(uint64_t position)
{
    return position / SEGMENT_SIZE;
}

static void assert_cut(uint64_t segment, uint64_t log_first)
{
    struct machine_cut done = machine_cut_done(driver.machine);
    assert_int_equal(segment_of(done.position), segment);
    assert_int_equal(segment_of(done.log_first), log_first);
    assert_int_equal(done.position % SEGMENT_SIZE, 0);
    assert_int_equal(done.log_first % SEGMENT_SIZE, 0);
}

static uint32_t keys_found(const char *key)
{
    struct key_search search = {.end_ms = UINT64_MAX, .max = 64};
    assert_int_equal(
        machine_key_find(driver.machine, slice_text("orders"), slice_text(key), &search),
        STATUS_OK);
    return search.count;
}

/* The state is the same after a restart from a checkpoint, and once more from a later one. */
static void assert_survives_restarts(void)
{
    for (int i = 0; i < 2; i++) {
        driver_restart_unchanged(&driver);
    }
}

/* --- Messages --- */

static void queues_begin_at_the_first_message_behind_the_cut(void **state)
{
    (void)state;
    for (int segment = 0; segment < 4; segment++) {
        send_to(0, NULL);
        send_to(0, NULL);
        if (segment == 1) {
            send_to(1, NULL);
        }
        driver_next_segment(&driver);
    }
    send_to(0, NULL);
    struct operation_result result = driver_cut(&driver, 2);
    assert_int_equal(result.status, STATUS_OK);
    assert_int_equal(segment_of(result.cut.position), 2);
    assert_cut(2, 2);
    assert_int_equal(first_of(0), 4);
    assert_int_equal(driver_next(&driver, "orders", 0), 9);
    // All of this queue is gone; its next message takes the next offset all the same.
    assert_int_equal(first_of(1), 1);
    assert_int_equal(driver_next(&driver, "orders", 1), 1);
    send_to(1, NULL);
    assert_int_equal(driver_read(&driver, "orders", 1, 1).position > 0, 1);
    assert_int_equal(segment_of(driver_read(&driver, "orders", 0, 4).position), 2);
    assert_survives_restarts();
    assert_int_equal(first_of(0), 4);
    driver_cut(&driver, 3);
    assert_int_equal(first_of(0), 6);
    assert_int_equal(first_of(1), 1);
}

static void what_is_cut_is_not_read_nor_found_by_time_or_position(void **state)
{
    (void)state;
    send_to(0, NULL);
    struct index_entry gone = driver_read(&driver, "orders", 0, 0);
    driver_next_segment(&driver);
    send_to(0, NULL);
    struct index_entry kept = driver_read(&driver, "orders", 0, 1);
    driver_cut(&driver, 1);
    struct index_entry entry;
    uint32_t count = 9;
    int64_t offset;
    struct machine *machine = driver.machine;
    assert_int_equal(machine_queue_read(machine, orders(0), 0, 1, &entry, &count), STATUS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(
        machine_queue_find_position(machine, orders(0), gone.position, &offset, &entry),
        STATUS_NOT_FOUND);
    assert_int_equal(
        machine_queue_find_position(machine, orders(0), kept.position, &offset, &entry), STATUS_OK);
    assert_int_equal(offset, 1);
    assert_int_equal(machine_queue_find_time(machine, orders(0), 0, false, &offset), STATUS_OK);
    assert_int_equal(offset, 1);
    assert_int_equal(machine_queue_find_time(machine, orders(0), 0, true, &offset), STATUS_OK);
    assert_int_equal(offset, 1);
}

static void keys_of_cut_messages_are_not_found_and_leave_the_store(void **state)
{
    (void)state;
    send_to(0, "k1");
    driver_checkpoint(&driver, false);
    send_to(0, "k1 k2");
    driver_next_segment(&driver);
    send_to(0, "k1");
    driver_checkpoint(&driver, false);
    assert_int_equal(keys_found("k1"), 3);
    driver_cut(&driver, 1);
    assert_int_equal(keys_found("k1"), 1);
    assert_int_equal(keys_found("k2"), 0);
    uint64_t hash = machine_hash(driver.machine);
    // A part of the buckets is trimmed with each checkpoint.
    for (int i = 0; i < 16; i++) {
        driver_checkpoint(&driver, false);
        assert_int_equal(keys_found("k1"), 1);
        assert_true(machine_hash(driver.machine) == hash);
    }
    struct key from = key_family_first(KEY_RUN);
    struct key to = key_family_end(KEY_RUN);
    struct kv_iterator *iterator = kv_iterate(driver.kv, key_slice(&from), key_slice(&to));
    struct slice key;
    struct slice value;
    int entries = 0;
    while (kv_iterator_next(iterator, &key, &value)) {
        entries += (int)(value.size / KEY_ENTRY_SIZE);
    }
    assert_int_equal(kv_iterator_close(iterator), STATUS_OK);
    // The first run is gone; the second one ended behind the cut and stays as it is.
    assert_int_equal(entries, 3);
}

static void chunks_of_cut_messages_leave_the_store(void **state)
{
    (void)state;
    enum { PER_SEGMENT = 600, SEGMENTS = 4 };
    for (int segment = 0; segment < SEGMENTS; segment++) {
        for (int i = 0; i < PER_SEGMENT; i += 100) {
            driver_batch(&driver, &(struct driver_message){.topic = "orders"}, 100);
            driver_apply(&driver);
        }
        driver_checkpoint(&driver, segment == 1);
        driver_next_segment(&driver);
    }
    send_to(1, NULL);
    driver_cut(&driver, SEGMENTS - 1);
    assert_int_equal(first_of(0), (SEGMENTS - 1) * PER_SEGMENT);
    assert_survives_restarts();
    struct key from = key_family_first(KEY_INDEX);
    struct key to = key_family_end(KEY_INDEX);
    struct kv_iterator *iterator = kv_iterate(driver.kv, key_slice(&from), key_slice(&to));
    struct slice key;
    struct slice value;
    size_t entries = 0;
    while (kv_iterator_next(iterator, &key, &value)) {
        entries += value.size / INDEX_ENTRY_SIZE;
    }
    assert_int_equal(kv_iterator_close(iterator), STATUS_OK);
    assert_in_range(entries, PER_SEGMENT, PER_SEGMENT + 2 * 256);
    driver_next_segment(&driver);
    driver_cut(&driver, SEGMENTS + 1); // Of which nothing was sent to queue 0.
    assert_int_equal(first_of(0), SEGMENTS * PER_SEGMENT);
    assert_int_equal(first_of(0), driver_next(&driver, "orders", 0));
    send_to(0, NULL);
    assert_survives_restarts();
    driver_read(&driver, "orders", 0, SEGMENTS * PER_SEGMENT);
}

static void the_newest_segment_stays_and_nothing_goes_back(void **state)
{
    (void)state;
    send_to(0, NULL);
    driver_cut(&driver, 100);
    assert_cut(0, 0);
    assert_int_equal(first_of(0), 0);
    driver_next_segment(&driver);
    driver_cut(&driver, 100); // The CUT itself is the first entry there.
    assert_cut(1, 1);
    driver_next_segment(&driver);
    driver_cut(&driver, 1);
    assert_cut(1, 1);
    driver_cut(&driver, 0);
    assert_cut(1, 1);
    entry_put_cut(&driver.entry, &(struct operation_cut){2 * (uint64_t)SEGMENT_SIZE - 1});
    driver_apply(&driver);
    assert_cut(1, 1);
    entry_put_cut(&driver.entry, &(struct operation_cut){UINT64_MAX});
    driver_apply(&driver);
    assert_cut(2, 2);
    assert_survives_restarts();
}

static void segments_without_entries_of_the_machine_are_cut_like_others(void **state)
{
    (void)state;
    send_to(0, NULL);
    for (int i = 0; i < 5; i++) {
        driver_next_segment(&driver);
    }
    send_to(0, NULL);
    driver_cut(&driver, 3);
    assert_cut(3, 3);
    assert_int_equal(first_of(0), 1);
    assert_survives_restarts();
    driver_cut(&driver, 5);
    assert_cut(5, 5);
    assert_int_equal(first_of(0), 1);
}

static void a_deleted_topic_is_no_hindrance(void **state)
{
    (void)state;
    send_to(0, NULL);
    driver_next_segment(&driver);
    entry_put_topic_delete(&driver.entry, slice_text("orders"));
    driver_apply(&driver);
    driver_put_topic(&driver, "orders", 1);
    send_to(0, NULL);
    driver_next_segment(&driver);
    driver_cut(&driver, 1);
    assert_int_equal(first_of(0), 0); // That of its successor.
    assert_cut(1, 1);
    driver_cut(&driver, 2);
    assert_int_equal(first_of(0), 1);
    assert_survives_restarts();
}

static void segments_know_the_times_of_their_entries(void **state)
{
    (void)state;
    send_to(0, NULL);
    uint64_t last_ms = driver.time_ms;
    driver_next_segment(&driver);
    send_to(0, NULL);
    uint64_t next_ms = driver.time_ms;
    struct machine_segment segment;
    assert_int_equal(machine_segment_newest(driver.machine), 1);
    assert_true(machine_segment_find(driver.machine, 0, &segment));
    assert_true(segment.first_ms == last_ms - 10 && segment.last_ms == last_ms);
    assert_true(machine_segment_find(driver.machine, 1, &segment));
    assert_true(segment.first_ms == next_ms);
    assert_false(machine_segment_find(driver.machine, 2, &segment));
    driver_cut(&driver, 1);
    assert_false(machine_segment_find(driver.machine, 0, &segment));
    driver_checkpoint(&driver, true);
    driver_reopen(&driver);
    assert_int_equal(machine_segment_newest(driver.machine), 1);
    assert_true(machine_segment_find(driver.machine, 1, &segment));
    assert_true(segment.first_ms == next_ms);
}

/* --- Transactions --- */

static struct operation_result half(const char *unique_key)
{
    struct operation_result result = driver_send_half(&driver, "orders", 0, "p1", unique_key);
    assert_int_equal(result.status, STATUS_OK);
    return result;
}

static void a_pending_half_holds_its_segment_and_all_after_it(void **state)
{
    (void)state;
    send_to(0, NULL);
    driver_next_segment(&driver);
    struct operation_result pending = half("u1");
    driver_next_segment(&driver);
    send_to(0, NULL);
    driver_next_segment(&driver);
    driver_cut(&driver, 3);
    assert_cut(1, 1);
    assert_int_equal(first_of(0), 1);
    assert_survives_restarts();
    driver_cut(&driver, 3);
    assert_cut(1, 1);
    assert_int_equal(driver_end(&driver, &pending, "p1", DECISION_ROLLBACK).status, STATUS_OK);
    driver_cut(&driver, 3);
    assert_cut(3, 3);
    assert_int_equal(first_of(0), 2);
}

static void the_body_of_a_visible_message_stays(void **state)
{
    (void)state;
    struct operation_result committed = half("u1");
    send_to(1, NULL);
    driver_next_segment(&driver);
    driver_next_segment(&driver);
    assert_int_equal(driver_end(&driver, &committed, "p1", DECISION_COMMIT).status, STATUS_OK);
    driver_next_segment(&driver);
    send_to(0, NULL);
    driver_cut(&driver, 2);
    // Nothing below segment 2 can be read any more but through the message that is committed there.
    assert_cut(2, 0);
    assert_int_equal(first_of(1), 1);
    assert_int_equal(first_of(0), 0);
    assert_int_equal(segment_of(driver_read(&driver, "orders", 0, 0).body_position), 0);
    assert_survives_restarts();
    driver_cut(&driver, 3);
    assert_cut(3, 3);
    assert_int_equal(first_of(0), 1);
}

static void a_steady_flow_of_transactions_does_not_hold_the_log(void **state)
{
    (void)state;
    char key[16];
    enum { SEGMENTS = 20 };
    struct operation_result open = half("first");
    for (int i = 0; i < SEGMENTS; i++) {
        driver_next_segment(&driver);
        snprintf(key, sizeof key, "u%d", i);
        struct operation_result next = half(key);
        driver_end(&driver, &open, "p1", DECISION_COMMIT);
        open = next;
        driver_cut(&driver, UINT64_MAX / SEGMENT_SIZE);
    }
    // Each boundary is straddled by a transaction, so the log is needed one segment further back.
    assert_cut(SEGMENTS, SEGMENTS - 1);
    assert_int_equal(first_of(0), SEGMENTS - 1);
    driver_read(&driver, "orders", 0, SEGMENTS - 1);
}

static void an_expired_half_is_rolled_back_when_its_message_goes(void **state)
{
    (void)state;
    struct operation_result expired = half("u1");
    driver_next_segment(&driver);
    driver_expire(&driver, expired.message.position);
    driver_next_segment(&driver);
    driver_cut(&driver, 1);
    // What TRANS_CHECK_MAX_TIME_TOPIC shows can still be read.
    assert_cut(1, 0);
    const struct transaction *transaction =
        machine_transaction_find(driver.machine, expired.message.position);
    assert_int_equal(transaction->state, TRANSACTION_EXPIRED);
    assert_survives_restarts();
    driver_cut(&driver, 2);
    assert_cut(2, 2);
    transaction = machine_transaction_find(driver.machine, expired.message.position);
    assert_int_equal(transaction->state, TRANSACTION_ROLLED_BACK);
    assert_true(transaction->dropped_by_cut);
    struct machine_counters counters;
    machine_counters(driver.machine, &counters);
    assert_int_equal(counters.rollbacks, 1);
    assert_int_equal(counters.expired, 0);
    assert_survives_restarts();
    // The outcome stands for as long as outcomes are remembered; then nobody knows it any more.
    transaction = machine_transaction_find(driver.machine, expired.message.position);
    assert_true(transaction->dropped_by_cut);
    assert_int_equal(driver_end(&driver, &expired, "p1", DECISION_COMMIT).status,
                     STATUS_TRANSACTION_DECIDED);
    assert_int_equal(driver_settle(&driver, expired.message.position, DECISION_RECHECK).status,
                     STATUS_TRANSACTION_DECIDED);
    driver.time_ms += OUTCOME_RETENTION_MS;
    entry_put_tick(&driver.entry);
    driver_apply(&driver);
    assert_int_equal(driver_end(&driver, &expired, "p1", DECISION_COMMIT).status,
                     STATUS_TRANSACTION_UNKNOWN);
}

static void an_expired_half_checked_anew_holds_the_log_again(void **state)
{
    (void)state;
    struct operation_result expired = half("u1");
    driver_next_segment(&driver);
    driver_expire(&driver, expired.message.position);
    driver_next_segment(&driver);
    driver_cut(&driver, 1);
    assert_cut(1, 0);
    driver_settle(&driver, expired.message.position, DECISION_RECHECK);
    driver_cut(&driver, 2);
    assert_cut(1, 0); // Behind the line of what is readable, and yet held.
    assert_survives_restarts();
    assert_int_equal(driver_end(&driver, &expired, "p1", DECISION_COMMIT).status, STATUS_OK);
    driver_cut(&driver, 2);
    assert_cut(2, 0);
    driver_next_segment(&driver);
    driver_cut(&driver, 3);
    assert_cut(3, 3);
}

static void many_expired_halves_go_in_several_cuts(void **state)
{
    (void)state;
    enum { HALVES = CUT_EXPIRED_MAX + 10 };
    static uint64_t positions[HALVES];
    for (uint32_t i = 0; i < HALVES; i++) {
        positions[i] = half(NULL).message.position;
    }
    for (uint32_t i = 0; i < HALVES; i++) {
        driver_expire(&driver, positions[i]);
    }
    driver_next_segment(&driver);
    struct machine_counters counters;
    uint64_t wanted = SEGMENT_SIZE;
    assert_true(machine_cut_plan(driver.machine, wanted).log_first == 0);
    send_to(0, NULL);
    assert_true(machine_cut_plan(driver.machine, wanted).log_first == wanted);
    driver_cut(&driver, 1);
    machine_counters(driver.machine, &counters);
    assert_int_equal(counters.expired, 10);
    assert_cut(1, 0);
    assert_true(machine_cut_plan(driver.machine, wanted).log_first == wanted);
    assert_survives_restarts();
    driver_cut(&driver, 1);
    machine_counters(driver.machine, &counters);
    assert_int_equal(counters.expired, 0);
    assert_cut(1, 1);
}

/* --- Against a model --- */

enum { STORY_STEPS = 400, STORIES = 12, STORY_HALVES_MAX = STORY_STEPS, STORY_QUEUES = 3 };

struct model_message {
    uint64_t position;
    uint64_t body_position;
};

struct model_half {
    struct operation_result sent;
    enum transaction_state state;
};

struct story {
    struct random random;
    struct model_message messages[STORY_QUEUES][STORY_STEPS];
    size_t counts[STORY_QUEUES];
    struct model_message expired[STORY_STEPS]; /* In TRANS_CHECK_MAX_TIME_TOPIC. */
    size_t expired_count;
    struct model_half halves[STORY_HALVES_MAX];
    int32_t half_queues[STORY_HALVES_MAX];
    size_t half_count;
};

static void see(struct story *story, int32_t queue_id, struct index_entry entry)
{
    story->messages[queue_id][story->counts[queue_id]++] =
        (struct model_message){entry.position, entry.body_position};
}

static void decide(struct story *story, size_t at)
{
    struct model_half *model = &story->halves[at];
    uint64_t position = model->sent.message.position;
    bool open = model->state == TRANSACTION_PENDING || model->state == TRANSACTION_EXPIRED;
    switch (random_below(&story->random, 4)) {
    case 0:
        driver_expire(&driver, position);
        if (model->state == TRANSACTION_PENDING) {
            const struct queue *queue =
                machine_queue_find(driver.machine, slice_text("TRANS_CHECK_MAX_TIME_TOPIC"), 0);
            struct index_entry entry =
                driver_read(&driver, "TRANS_CHECK_MAX_TIME_TOPIC", 0, queue->offset_next - 1);
            story->expired[story->expired_count++] =
                (struct model_message){entry.position, entry.body_position};
            model->state = TRANSACTION_EXPIRED;
        }
        return;
    case 1:
        driver_end(&driver, &model->sent, "p1", DECISION_ROLLBACK);
        model->state = open ? TRANSACTION_ROLLED_BACK : model->state;
        return;
    case 2:
        if (driver_settle(&driver, position, DECISION_RECHECK).status == STATUS_OK) {
            assert_true(open);
            model->state = TRANSACTION_PENDING;
        }
        return;
    default: {
        struct operation_result result = driver_end(&driver, &model->sent, "p1", DECISION_COMMIT);
        if (open) {
            assert_int_equal(result.status, STATUS_OK);
            model->state = TRANSACTION_COMMITTED;
            see(story, story->half_queues[at],
                driver_read(&driver, "orders", story->half_queues[at],
                            result.transaction.queue_offset));
        }
    }
    }
}

/* Would this line of the needed log lose something? */
static bool is_needed(const struct story *story, struct machine_cut cut, uint64_t from, uint64_t to)
{
    bool needed = false;
    for (size_t q = 0; q < STORY_QUEUES; q++) {
        for (size_t i = 0; i < story->counts[q]; i++) {
            const struct model_message *message = &story->messages[q][i];
            needed |= message->position >= cut.position && message->body_position >= from &&
                      message->body_position < to;
        }
    }
    for (size_t i = 0; i < story->expired_count; i++) {
        const struct model_message *message = &story->expired[i];
        needed |= message->position >= cut.position && message->body_position >= from &&
                  message->body_position < to;
    }
    for (size_t i = 0; i < story->half_count; i++) {
        uint64_t position = story->halves[i].sent.message.position;
        needed |=
            story->halves[i].state == TRANSACTION_PENDING && position >= from && position < to;
    }
    return needed;
}

static uint64_t oldest_pending(const struct story *story)
{
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < story->half_count; i++) {
        uint64_t position = story->halves[i].sent.message.position;
        if (story->halves[i].state == TRANSACTION_PENDING && position < oldest) {
            oldest = position;
        }
    }
    return oldest;
}

static void check_queue(const char *topic, int32_t queue_id, const struct model_message *messages,
                        size_t count, struct machine_cut cut)
{
    const struct queue *queue = machine_queue_find(driver.machine, slice_text(topic), queue_id);
    size_t first = 0;
    while (first < count && messages[first].position < cut.position) {
        first++;
    }
    assert_int_equal(queue->offset_first, first);
    assert_int_equal(queue->offset_next, count);
    for (size_t i = first; i < count; i++) {
        struct index_entry entry = driver_read(&driver, topic, queue_id, (int64_t)i);
        assert_true(entry.position == messages[i].position);
        assert_true(entry.body_position == messages[i].body_position);
        assert_true(entry.body_position >= cut.log_first);
    }
}

static void cut_and_check(struct story *story)
{
    struct machine_cut before = machine_cut_done(driver.machine);
    uint64_t newest = segment_of(driver.position_next) * SEGMENT_SIZE;
    uint64_t back = random_below(&story->random, 4);
    uint64_t segment = segment_of(newest) > back ? segment_of(newest) - back : 0;
    uint64_t pending = oldest_pending(story) / SEGMENT_SIZE * SEGMENT_SIZE;
    uint64_t wanted = segment * SEGMENT_SIZE;
    wanted = wanted < newest ? wanted : newest;
    wanted = wanted < pending ? wanted : pending;
    wanted = wanted > before.position ? wanted : before.position;
    bool begun = machine_segment_newest(driver.machine) * SEGMENT_SIZE == newest;
    struct machine_cut plan = machine_cut_plan(driver.machine, segment * SEGMENT_SIZE);
    struct machine_cut cut = driver_cut(&driver, segment).cut;
    assert_true(cut.position == wanted);
    assert_true(cut.log_first >= before.log_first && cut.log_first <= cut.position);
    if (begun) {
        assert_true(plan.position == cut.position && plan.log_first == cut.log_first);
    }
    assert_false(is_needed(story, cut, 0, cut.log_first));
    assert_true(cut.log_first == cut.position ||
                is_needed(story, cut, cut.log_first, cut.log_first + SEGMENT_SIZE));
    for (size_t i = 0; i < story->half_count; i++) {
        struct model_half *model = &story->halves[i];
        if (model->state == TRANSACTION_EXPIRED && model->sent.message.position < cut.log_first) {
            model->state = TRANSACTION_ROLLED_BACK;
        }
        const struct transaction *transaction =
            machine_transaction_find(driver.machine, model->sent.message.position);
        assert_int_equal(transaction->state, model->state);
    }
    for (int32_t q = 0; q < STORY_QUEUES; q++) {
        check_queue("orders", q, story->messages[q], story->counts[q], cut);
    }
    if (story->expired_count > 0) {
        check_queue("TRANS_CHECK_MAX_TIME_TOPIC", 0, story->expired, story->expired_count, cut);
    }
}

static void tell(uint64_t seed)
{
    static struct story story;
    story = (struct story){.random = {seed}};
    for (int step = 0; step < STORY_STEPS; step++) {
        int32_t queue_id = (int32_t)random_below(&story.random, STORY_QUEUES);
        uint64_t what = random_below(&story.random, 100);
        if (what < 30) {
            struct driver_message message = {.topic = "orders", .queue_id = queue_id};
            struct operation_result sent = driver_send(&driver, &message);
            see(&story, queue_id,
                driver_read(&driver, "orders", queue_id, sent.message.queue_offset));
        } else if (what < 45) {
            story.half_queues[story.half_count] = queue_id;
            story.halves[story.half_count++] = (struct model_half){
                driver_send_half(&driver, "orders", queue_id, "p1", NULL), TRANSACTION_PENDING};
        } else if (what < 70 && story.half_count > 0) {
            decide(&story, (size_t)random_below(&story.random, story.half_count));
        } else if (what < 85) {
            driver_next_segment(&driver);
        } else if (what < 95) {
            cut_and_check(&story);
        } else if (what < 98) {
            driver_checkpoint(&driver, what == 97);
        } else {
            kv_memory_crash(driver.kv);
            driver_reopen(&driver);
        }
    }
}

static void random_stories_end_as_a_simple_model_says(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= STORIES; seed++) {
        driver_open(&driver, NULL);
        driver_put_topic(&driver, "orders", STORY_QUEUES);
        tell(seed);
        driver_close(&driver);
    }
}

#define STORY_TEST(name) cmocka_unit_test_setup_teardown(name, open_driver, close_driver)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY_TEST(queues_begin_at_the_first_message_behind_the_cut),
        STORY_TEST(what_is_cut_is_not_read_nor_found_by_time_or_position),
        STORY_TEST(keys_of_cut_messages_are_not_found_and_leave_the_store),
        STORY_TEST(chunks_of_cut_messages_leave_the_store),
        STORY_TEST(the_newest_segment_stays_and_nothing_goes_back),
        STORY_TEST(segments_without_entries_of_the_machine_are_cut_like_others),
        STORY_TEST(a_deleted_topic_is_no_hindrance),
        STORY_TEST(segments_know_the_times_of_their_entries),
        STORY_TEST(a_pending_half_holds_its_segment_and_all_after_it),
        STORY_TEST(the_body_of_a_visible_message_stays),
        STORY_TEST(a_steady_flow_of_transactions_does_not_hold_the_log),
        STORY_TEST(an_expired_half_is_rolled_back_when_its_message_goes),
        STORY_TEST(an_expired_half_checked_anew_holds_the_log_again),
        STORY_TEST(many_expired_halves_go_in_several_cuts),
        cmocka_unit_test(random_stories_end_as_a_simple_model_says),
    };
    return cmocka_run_group_tests_name("cut", tests, NULL, NULL);
}
