/* The checkpointer on a store that may have no room: it waits, loses nothing, and says only what is
 * durable. */
#include "tests/support/machine_driver.h"
#include "tests/support/test.h"

#include "broker/host/checkpointer.h"
#include "common/store/kv_internal.h"

/* A store that passes everything on, unless it is told to have no room. */
struct gate {
    struct kv kv;
    struct kv *behind;
    bool full;
    bool damaged;
    unsigned refused;
};

static enum status gate_write(struct kv *kv, const struct kv_batch *batch)
{
    struct gate *gate = (struct gate *)kv;
    gate->refused += gate->full || gate->damaged;
    return gate->damaged ? STATUS_CORRUPT
           : gate->full  ? STATUS_DISK_FULL
                         : gate->behind->kind->write(gate->behind, batch);
}

static enum status gate_flush(struct kv *kv)
{
    struct gate *gate = (struct gate *)kv;
    gate->refused += gate->full;
    return gate->full ? STATUS_DISK_FULL : gate->behind->kind->flush(gate->behind);
}

static const struct kv_kind gate_kind = {.write = gate_write, .flush = gate_flush};

struct scene {
    struct driver driver;
    struct gate gate;
    uv_loop_t loop;
    struct clock clock;
    uint64_t now_ms;
    struct log log;
    struct checkpointer checkpointer;
    uint64_t durable_index;
    uint64_t durable_log_first;
    unsigned durable_count;
    unsigned idle_count;
};

static struct scene scene;

static uint64_t clock_now(void *context)
{
    (void)context;
    return scene.now_ms;
}

static void on_durable(void *context, uint64_t index, uint64_t log_first)
{
    (void)context;
    scene.durable_index = index;
    scene.durable_log_first = log_first;
    scene.durable_count++;
}

static void on_idle(void *context)
{
    (void)context;
    scene.idle_count++;
}

static int open_scene(void **state)
{
    (void)state;
    scene = (struct scene){.now_ms = 1000};
    driver_open(&scene.driver, NULL);
    driver_put_topic(&scene.driver, "orders", 1);
    scene.gate = (struct gate){.kv = {&gate_kind}, .behind = scene.driver.kv};
    scene.clock = (struct clock){clock_now, clock_now, NULL};
    log_init(&scene.log, stderr, LOG_SILENT, "test");
    assert_int_equal(uv_loop_init(&scene.loop), 0);
    scene.checkpointer = (struct checkpointer){
        .loop = &scene.loop,
        .clock = &scene.clock,
        .log = &scene.log,
        .kv = &scene.gate.kv,
        .machine = scene.driver.machine,
        .size_max = 1024 * 1024,
        .interval_ms = 100,
        .on_durable = on_durable,
    };
    checkpointer_start(&scene.checkpointer);
    return 0;
}

static int close_scene(void **state)
{
    (void)state;
    driver_close(&scene.driver);
    assert_int_equal(uv_loop_close(&scene.loop), 0);
    return 0;
}

static void send_one(void)
{
    struct driver_message message = {.topic = "orders"};
    assert_int_equal(driver_send(&scene.driver, &message).status, STATUS_OK);
}

/* Let time pass, and what it starts end. */
static void pass(uint64_t ms)
{
    scene.now_ms += ms;
    checkpointer_tick(&scene.checkpointer);
    uv_run(&scene.loop, UV_RUN_DEFAULT);
}

/* Enough time that the next checkpoint is flushed. */
enum { FLUSHED_AFTER_MS = 61000 };

static void a_checkpoint_without_room_waits_and_is_written_later(void **state)
{
    (void)state;
    send_one();
    scene.gate.full = true;
    pass(FLUSHED_AFTER_MS);
    assert_int_equal(scene.gate.refused, 1);
    assert_true(checkpointer_waits(&scene.checkpointer));
    send_one(); // The machine goes on, and reads what it froze for the batch.
    driver_read(&scene.driver, "orders", 0, 0);
    driver_read(&scene.driver, "orders", 0, 1);
    pass(500);
    assert_int_equal(scene.gate.refused, 1); // Not at once.
    pass(600);
    assert_int_equal(scene.gate.refused, 2);
    assert_int_equal(scene.durable_count, 0);
    scene.gate.full = false;
    pass(1100);
    assert_false(checkpointer_waits(&scene.checkpointer));
    assert_int_equal(scene.durable_count, 1);
    assert_int_equal(scene.durable_index, 2); // Of the batch, not of now.
    pass(FLUSHED_AFTER_MS);
    assert_int_equal(scene.durable_index, 3);
    uint64_t hash = machine_hash(scene.driver.machine);
    kv_memory_crash(scene.driver.kv);
    struct machine *again = NULL;
    char *error = NULL;
    assert_int_equal(machine_open(scene.driver.kv, NULL, &again, &error), STATUS_OK);
    assert_int_equal(machine_applied_index(again), 3);
    assert_true(machine_hash(again) == hash);
    machine_close(again);
}

static void a_stop_does_not_wait_for_room(void **state)
{
    (void)state;
    send_one();
    scene.gate.full = true;
    pass(200);
    assert_true(checkpointer_waits(&scene.checkpointer));
    checkpointer_finish(&scene.checkpointer, on_idle);
    uv_run(&scene.loop, UV_RUN_DEFAULT);
    assert_int_equal(scene.idle_count, 1);
    assert_int_equal(scene.gate.refused, 2);
    assert_int_equal(scene.durable_count, 0);
}

static void a_stop_that_finds_room_takes_a_last_checkpoint(void **state)
{
    (void)state;
    send_one();
    scene.gate.full = true;
    pass(200);
    send_one();
    scene.gate.full = false;
    checkpointer_finish(&scene.checkpointer, on_idle);
    uv_run(&scene.loop, UV_RUN_DEFAULT);
    assert_int_equal(scene.idle_count, 1);
    assert_int_equal(scene.durable_index, 3);
}

/* A CUT applied behind the checkpoint does not count: a crash would need the log again. */
static void the_log_is_needed_as_the_durable_state_needs_it(void **state)
{
    (void)state;
    send_one();
    driver_next_segment(&scene.driver);
    send_one();
    scene.now_ms += FLUSHED_AFTER_MS;
    checkpointer_tick(&scene.checkpointer);
    driver_cut(&scene.driver, 1);
    assert_int_equal(machine_cut_done(scene.driver.machine).log_first, SEGMENT_SIZE);
    uv_run(&scene.loop, UV_RUN_DEFAULT);
    assert_int_equal(scene.durable_count, 1);
    assert_int_equal(scene.durable_log_first, 0);
    pass(200); // Much sooner than without a CUT.
    assert_int_equal(scene.durable_count, 2);
    assert_int_equal(scene.durable_log_first, SEGMENT_SIZE);
    send_one();
    pass(5000);
    assert_int_equal(scene.durable_count, 2);
}

/* Its owner closes it; until then all goes on, and nothing is said to be durable. */
static void a_store_found_damaged_gets_no_more_checkpoints(void **state)
{
    (void)state;
    send_one();
    scene.gate.damaged = true;
    pass(200);
    assert_int_equal(scene.gate.refused, 1);
    assert_true(kv_damaged(&scene.gate.kv));
    assert_true(checkpointer_ended(&scene.checkpointer));
    send_one();
    driver_read(&scene.driver, "orders", 0, 0);
    driver_read(&scene.driver, "orders", 0, 1);
    pass(FLUSHED_AFTER_MS);
    assert_int_equal(scene.gate.refused, 1);
    assert_int_equal(scene.durable_count, 0);
    checkpointer_finish(&scene.checkpointer, on_idle);
    uv_run(&scene.loop, UV_RUN_DEFAULT);
    assert_int_equal(scene.idle_count, 1);
    assert_int_equal(scene.durable_count, 0);
}

static void a_stop_during_the_checkpoint_that_finds_damage_ends(void **state)
{
    (void)state;
    send_one();
    scene.gate.damaged = true;
    scene.now_ms += 200;
    checkpointer_tick(&scene.checkpointer);
    checkpointer_finish(&scene.checkpointer, on_idle);
    uv_run(&scene.loop, UV_RUN_DEFAULT);
    assert_int_equal(scene.idle_count, 1);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(a_checkpoint_without_room_waits_and_is_written_later),
        SCENE_TEST(a_stop_does_not_wait_for_room),
        SCENE_TEST(a_stop_that_finds_room_takes_a_last_checkpoint),
        SCENE_TEST(a_store_found_damaged_gets_no_more_checkpoints),
        SCENE_TEST(a_stop_during_the_checkpoint_that_finds_damage_ends),
        SCENE_TEST(the_log_is_needed_as_the_durable_state_needs_it),
    };
    return cmocka_run_group_tests_name("checkpointer", tests, NULL, NULL);
}
