/* Replay: the state is the log applied, from whatever checkpoint one begins.
 *
 * Random entries go to a machine that never stops and to one that makes checkpoints, loses what was
 * not flushed and replays. After each replay both have the same hash, and so the same content: the
 * hash reads all of it, from memory or the store. */
#include "tests/support/machine_driver.h"
#include "tests/support/test.h"

#include "common/base/random.h"

#include <stdio.h>
#include <unistd.h>

enum {
    TOPICS = 5,
    GROUPS = 3,
    HALVES_MAX = 4096,
    DELAYED_KEPT = 512,
    ENTRIES = 250,
    SEEDS = 3,
};

static const char *const topics[TOPICS] = {"orders", "billing", "audit", "%RETRY%g1", "short"};
static const char *const groups[GROUPS] = {"p1", "p2", "p3"};

struct generator {
    struct random random;
    struct operation_result halves[HALVES_MAX];
    uint32_t half_groups[HALVES_MAX];
    uint32_t half_count;
    uint32_t pending_group[512]; /* Of the HALF operations in the open entry, by ordinal. */
    bool is_half[512];
    bool is_delayed[512];
    uint64_t delayed[DELAYED_KEPT]; /* Positions; the oldest are overwritten. */
    uint32_t delayed_count;
    uint64_t popped;
};

static uint64_t below(struct generator *generator, uint64_t bound)
{
    return random_below(&generator->random, bound);
}

static struct delay some_delay(struct generator *generator, const struct driver *driver)
{
    bool absolute = below(generator, 4) == 0;
    return (struct delay){1 + below(generator, 2000) + (absolute ? driver->time_ms : 0), absolute};
}

static void put_message(struct generator *generator, struct driver *driver, bool half)
{
    char key[32];
    char unique[32];
    snprintf(key, sizeof key, "k%d shared", (int)below(generator, 50));
    snprintf(unique, sizeof unique, "u%d", (int)below(generator, half ? 300 : 100000));
    uint32_t group = (uint32_t)below(generator, GROUPS);
    struct driver_message message = {
        .topic = topics[below(generator, TOPICS)],
        .queue_id = (int32_t)below(generator, 5), // Topics have up to 4.
        .tags = below(generator, 2) == 0 ? "red" : NULL,
        .keys = below(generator, 3) == 0 ? key : NULL,
        .unique_key = below(generator, 10) == 0 ? NULL : unique,
        .producer_group = groups[group],
        .body_size = below(generator, 64),
    };
    if (half) {
        uint32_t ordinal = entry_count(&driver->entry);
        generator->pending_group[ordinal] = group;
        generator->is_half[ordinal] = true;
        if (below(generator, 4) == 0) {
            const struct delay delay = some_delay(generator, driver);
            driver_half_delayed(driver, &message, &delay);
        } else {
            driver_half(driver, &message, below(generator, 9000));
        }
    } else if (below(generator, 3) == 0) {
        const struct delay delay = some_delay(generator, driver);
        generator->is_delayed[entry_count(&driver->entry)] = true;
        driver_delayed(driver, &message, &delay);
    } else {
        driver_batch(driver, &message, 1 + (uint32_t)below(generator, 20));
    }
}

static void put_decision(struct generator *generator, struct driver *driver)
{
    uint32_t at = (uint32_t)below(generator, generator->half_count);
    const struct operation_result *half = &generator->halves[at];
    uint64_t position = half->message.position;
    enum decision decision = below(generator, 3) == 0 ? DECISION_ROLLBACK : DECISION_COMMIT;
    switch (below(generator, 8)) {
    case 0:
        entry_put_expire(&driver->entry, &(struct operation_expire){position, false});
        break;
    case 1:
        decision = below(generator, 2) == 0 ? DECISION_RECHECK : decision;
        entry_put_settle(&driver->entry, &(struct operation_settle){position, decision});
        break;
    case 2: {
        struct operation_checked checked;
        checked.next_check_ms = 5000;
        checked.count = 1;
        checked.half_positions[0] = position;
        entry_put_checked(&driver->entry, &checked);
        break;
    }
    default: {
        struct operation_end end = {
            .half_position = position,
            .half_offset = half->message.queue_offset,
            .decision = decision,
            .producer_group = slice_text(groups[generator->half_groups[at]]),
        };
        entry_put_end(&driver->entry, &end);
    }
    }
}

static void put_other(struct generator *generator, struct driver *driver)
{
    const char *topic = topics[below(generator, TOPICS)];
    switch (below(generator, 16)) {
    case 13:
    case 14: {
        struct operation_lock lock = {
            .action = (enum lock_action)(LOCK_TAKE + below(generator, 3)),
            .group = slice_text(groups[below(generator, GROUPS)]),
            .client = slice_text(groups[below(generator, GROUPS)]),
            .lease_ms = (uint32_t)below(generator, 60000),
            .count = 1,
            .places = {{slice_text(topic), (int32_t)below(generator, 5)}},
        };
        entry_put_lock(&driver->entry, &lock);
        break;
    }
    case 10:
    case 11:
        driver_next_segment(driver);
        break;
    case 12:
        entry_put_cut(&driver->entry, &(struct operation_cut){driver->position_next -
                                                              below(generator, 5 * SEGMENT_SIZE)});
        break;
    case 0:
        entry_put_topic_delete(&driver->entry, slice_text(topic));
        break;
    case 1:
    case 2:
    case 3:
        driver_topic(driver, topic, 1 + (int32_t)below(generator, 4));
        break;
    case 4:
        entry_put_group_put(&driver->entry,
                            &(struct operation_group_put){
                                .config = {.name = slice_text(groups[below(generator, GROUPS)]),
                                           .retry_max_times = (int32_t)below(generator, 5)}});
        break;
    case 5:
        entry_put_group_delete(
            &driver->entry,
            &(struct operation_group_delete){.name = slice_text(groups[below(generator, GROUPS)]),
                                             .clean_offsets = below(generator, 2) == 0});
        break;
    case 6:
        // Long pauses let outcomes be forgotten.
        driver->time_ms += below(generator, 2) == 0 ? OUTCOME_RETENTION_MS : 1000;
        entry_put_tick(&driver->entry);
        break;
    default: {
        struct operation_offsets offsets;
        offsets.count = 1;
        offsets.commits[0] = (struct offset_commit){
            .group = slice_text(groups[below(generator, GROUPS)]),
            .topic = slice_text(topic),
            .queue_id = (int32_t)below(generator, 5),
            .offset = (int64_t)below(generator, 1000) - 1,
            .reset = below(generator, 4) == 0,
        };
        entry_put_offsets(&driver->entry, &offsets);
    }
    }
}

/* Fire one that was delayed, also if it is not due, or fired before, or recall it, if it has that
 * key. Halves that were committed with a delay are known by their positions, too. */
static void put_fire(struct generator *generator, struct driver *driver)
{
    uint64_t position;
    if (generator->half_count > 0 && below(generator, 3) == 0) {
        position = generator->halves[below(generator, generator->half_count)].message.position;
    } else if (generator->delayed_count > 0) {
        uint64_t kept = generator->delayed_count;
        position = generator->delayed[below(generator, kept < DELAYED_KEPT ? kept : DELAYED_KEPT)];
    } else {
        return;
    }
    if (below(generator, 3) == 0) {
        entry_put_recall(&driver->entry, &(struct operation_recall){
                                             position, slice_text(topics[below(generator, TOPICS)]),
                                             slice_text("shared")});
    } else {
        entry_put_fire(&driver->entry, &(struct operation_fire){position});
    }
}

static int64_t stands(const struct driver *driver, struct slice group, struct slice topic,
                      int32_t queue_id)
{
    int64_t offset = POP_FROM_NOWHERE;
    machine_offset_find(driver->machine, group, topic, queue_id, &offset);
    return offset;
}

/* Pop some that are due and some that are new, where there are any. */
static void put_pop(struct generator *generator, struct driver *driver)
{
    struct operation_pop pop = {
        .group = slice_text(groups[below(generator, GROUPS)]),
        .topic = slice_text(topics[below(generator, TOPICS)]),
        .queue_id = (int32_t)below(generator, 5),
        .invisible_ms = 1 + below(generator, 3000),
    };
    const struct queue *queue = machine_queue_find(driver->machine, pop.topic, pop.queue_id);
    struct machine_popped due;
    pop.from = stands(driver, pop.group, pop.topic, pop.queue_id);
    pop.next = pop.from;
    if (machine_popped_due(driver->machine, pop.group, pop.topic, pop.queue_id, driver->time_ms, 1,
                           &due) == 1) {
        pop.offsets[pop.count++] = due.offset;
    }
    int64_t first = queue == NULL ? 0 : queue->offset_first;
    for (int64_t at = pop.from > first ? pop.from : first;
         queue != NULL && at < queue->offset_next && pop.count < 8; at++) {
        if (below(generator, 3) > 0) {
            pop.offsets[pop.count++] = at;
        }
        pop.next = at + 1;
    }
    generator->popped += pop.count;
    entry_put_pop(&driver->entry, &pop);
}

/* Acknowledge one that is due, or hide it for longer. */
static void put_popped(struct generator *generator, struct driver *driver)
{
    struct slice group = slice_text(groups[below(generator, GROUPS)]);
    struct slice topic = slice_text(topics[below(generator, TOPICS)]);
    struct machine_popped due[4];
    for (int32_t queue_id = 0; queue_id < 5; queue_id++) {
        uint32_t count =
            machine_popped_due(driver->machine, group, topic, queue_id, UINT64_MAX, 4, due);
        for (uint32_t i = 0; i < count; i++) {
            const struct delivery delivery = {queue_id, due[i].offset, due[i].pop_ms};
            if (below(generator, 3) == 0) {
                const struct operation_invisible invisible = {group, topic, delivery,
                                                              below(generator, 9000)};
                entry_put_invisible(&driver->entry, &invisible);
            } else {
                const struct operation_ack ack = {group, topic, 1, {delivery}};
                entry_put_ack(&driver->entry, &ack);
            }
        }
    }
}

static void put_mode(struct generator *generator, struct driver *driver)
{
    const struct operation_mode_put put = {
        .group = slice_text(groups[below(generator, GROUPS)]),
        .topic = slice_text(topics[below(generator, TOPICS)]),
        .mode = below(generator, 2) == 0 ? REQUEST_MODE_PULL : REQUEST_MODE_POP,
    };
    entry_put_mode_put(&driver->entry, &put);
}

/* Append and apply one random entry. */
static void step(struct generator *generator, struct driver *driver)
{
    memset(generator->is_half, 0, sizeof generator->is_half);
    memset(generator->is_delayed, 0, sizeof generator->is_delayed);
    uint64_t operations = 1 + below(generator, 12);
    for (uint64_t i = 0; i < operations; i++) {
        uint64_t what = below(generator, 115);
        if (what >= 114) {
            put_mode(generator, driver);
        } else if (what >= 107) {
            put_popped(generator, driver);
        } else if (what >= 100) {
            put_pop(generator, driver);
        } else if (what < 45) {
            put_message(generator, driver, false);
        } else if (what < 65) {
            put_message(generator, driver, true);
        } else if (what < 84 && generator->half_count > 0) {
            put_decision(generator, driver);
        } else if (what < 93) {
            put_fire(generator, driver);
        } else {
            put_other(generator, driver);
        }
    }
    driver_apply(driver);
    for (uint32_t i = 0; i < driver->result_count; i++) {
        if (generator->is_half[i] && driver->results[i].status == STATUS_OK &&
            generator->half_count < HALVES_MAX) {
            generator->half_groups[generator->half_count] = generator->pending_group[i];
            generator->halves[generator->half_count++] = driver->results[i];
        }
        if (generator->is_delayed[i] && driver->results[i].status == STATUS_OK) {
            generator->delayed[generator->delayed_count++ % DELAYED_KEPT] =
                driver->results[i].message.position;
        }
    }
}

/* Give the other driver's last entry to this machine too. */
static void follow(struct driver *follower, const struct driver *leader)
{
    const struct driver_entry *entry = &leader->log[leader->log_count - 1];
    struct driver_entry copy = *entry;
    copy.payload = mem_alloc(entry->size);
    memcpy(copy.payload, entry->payload, entry->size);
    follower->log = mem_realloc(follower->log, (follower->log_count + 1) * sizeof *follower->log);
    follower->log[follower->log_count++] = copy;
    follower->result_count = 0;
    machine_apply(follower->machine, copy.index, copy.position, slice_of(copy.payload, copy.size));
}

static void assert_same_results(const struct driver *a, const struct driver *b)
{
    assert_int_equal(a->result_count, b->result_count);
    assert_memory_equal(a->results, b->results, a->result_count * sizeof a->results[0]);
}

/* Drop what is in flight: a checkpoint taken but perhaps never written. */
static void crash(struct generator *generator, struct driver *driver, bool in_memory)
{
    if (below(generator, 3) == 0) {
        struct kv_batch *batch = machine_checkpoint(driver->machine);
        if (below(generator, 2) == 0) {
            assert_int_equal(kv_write(driver->kv, batch), STATUS_OK);
        }
        kv_batch_free(batch);
    }
    if (in_memory) {
        kv_memory_crash(driver->kv);
    }
    driver_reopen(driver);
}

static void run(uint64_t seed, struct kv *kv)
{
    static struct generator generator;
    static struct driver straight;
    static struct driver crashing;
    bool in_memory = kv == NULL;
    generator = (struct generator){.random = {seed}};
    driver_open(&straight, NULL);
    driver_open(&crashing, kv);
    for (int i = 0; i < ENTRIES; i++) {
        step(&generator, &straight);
        follow(&crashing, &straight);
        assert_same_results(&straight, &crashing);
        uint64_t what = below(&generator, 40);
        if (what < 6) {
            driver_checkpoint(&crashing, below(&generator, 2) == 0);
        } else if (what < 9) {
            crash(&generator, &crashing, in_memory);
        } else if (what > 10) {
            continue;
        }
        if (machine_hash(straight.machine) != machine_hash(crashing.machine)) {
            fail_msg("seed %llu: states differ after entry %d", (unsigned long long)seed, i);
        }
    }
    struct machine_counters counters;
    machine_counters(straight.machine, &counters);
    assert_true(counters.messages > 0 && counters.commits > 0 && counters.rollbacks > 0 &&
                counters.expirations > 0 && counters.half_duplicates > 0);
    assert_true(generator.popped > 0);
    assert_true(counters.delayed_fired > 0 && counters.delayed_dropped > 0);
    assert_int_equal(counters.delayed,
                     counters.delayed_fired + counters.delayed_dropped + counters.delayed_waiting);
    driver_close(&straight);
    driver_close(&crashing);
}

static void a_crash_at_any_point_and_replay_give_the_same_state(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(seed, NULL);
    }
}

static void so_does_a_restart_on_rocksdb(void **state)
{
    (void)state;
    char path[] = "/tmp/raftmq-test-replay-XXXXXX";
    assert_non_null(mkdtemp(path));
    struct kv *kv;
    char *error = NULL;
    assert_int_equal(kv_open_rocksdb(path, 1 << 20, &kv, &error), STATUS_OK);
    run(99, kv);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", path);
    assert_int_equal(system(command), 0);
}

static void a_machine_without_a_checkpoint_begins_at_the_start(void **state)
{
    (void)state;
    static struct driver driver;
    driver_open(&driver, NULL);
    driver_put_topic(&driver, "orders", 2);
    driver_send(&driver, &(struct driver_message){.topic = "orders"});
    uint64_t before = machine_hash(driver.machine);
    driver_checkpoint(&driver, false);
    kv_memory_crash(driver.kv);
    driver_reopen(&driver);
    assert_true(machine_hash(driver.machine) == before);
    assert_int_equal(machine_applied_index(driver.machine), 2);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_at_any_point_and_replay_give_the_same_state),
        cmocka_unit_test(so_does_a_restart_on_rocksdb),
        cmocka_unit_test(a_machine_without_a_checkpoint_begins_at_the_start),
    };
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
