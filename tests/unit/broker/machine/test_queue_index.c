/* machine_queue_index: entries in memory, in the store, and partly in both are one index. */
#include "broker/machine/machine_internal.h"
#include "common/base/random.h"
#include "tests/support/machine_driver.h"
#include "tests/support/test.h"

#define TOPIC "orders"

enum { QUEUES = 3, MODEL_MAX = 4096 };

static struct driver driver;
/* Where the messages of each queue are. */
static uint64_t expected[QUEUES][MODEL_MAX];
static uint32_t counts[QUEUES];

static int open_driver(void **state)
{
    (void)state;
    memset(counts, 0, sizeof counts);
    driver_open(&driver, NULL);
    driver_put_topic(&driver, TOPIC, QUEUES);
    return 0;
}

static int close_driver(void **state)
{
    (void)state;
    driver_close(&driver);
    return 0;
}

static void send(int32_t queue_id, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        driver_message(&driver, &(struct driver_message){.topic = TOPIC, .queue_id = queue_id});
    }
    driver_apply(&driver);
    for (uint32_t i = 0; i < count; i++) {
        expected[queue_id][counts[queue_id]++] = driver.results[i].message.position;
    }
}

static void assert_readable(int32_t queue_id, uint32_t from, uint32_t to)
{
    const struct queue *queue = machine_queue_find(driver.machine, slice_text(TOPIC), queue_id);
    static struct index_entry entries[MODEL_MAX];
    uint32_t count;
    assert_int_equal(
        machine_queue_read(driver.machine, queue, (int64_t)from, to - from, entries, &count),
        STATUS_OK);
    assert_int_equal(count, to - from);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(entries[i].position, expected[queue_id][from + i]);
    }
}

static void assert_all_readable(void)
{
    for (int32_t queue_id = 0; queue_id < QUEUES; queue_id++) {
        const struct queue *queue = machine_queue_find(driver.machine, slice_text(TOPIC), queue_id);
        assert_readable(queue_id, (uint32_t)queue->offset_first, counts[queue_id]);
    }
}

/* So many entries of other queues that memory keeps none of these, once they are written. */
static void push_out_of_memory(void)
{
    enum { FILL_QUEUES = 600 };
    driver_put_topic(&driver, "fill", FILL_QUEUES);
    for (int32_t i = 0; i < FILL_QUEUES; i++) {
        driver_batch(&driver, &(struct driver_message){.topic = "fill", .queue_id = i},
                     CHUNK_ENTRIES_MAX);
        driver_apply(&driver);
    }
    driver_checkpoint(&driver, false);
}

static void a_chunk_grows_by_what_is_new_of_it(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        send(0, 60);
        size_t changed = machine_dirty_size(driver.machine);
        assert_true(changed < 120 * INDEX_ENTRY_SIZE); // Whatever the chunk has by then.
        driver_checkpoint(&driver, i == 2);
    }
    assert_int_equal(driver_rows(&driver, KEY_INDEX), 2); // 256 and the rest.
    assert_all_readable();
    driver_reopen(&driver);
    assert_all_readable();
}

static void a_chunk_goes_on_when_memory_has_given_it_up(void **state)
{
    (void)state;
    send(0, 100);
    driver_checkpoint(&driver, false);
    push_out_of_memory();
    uint32_t rows = driver_rows(&driver, KEY_INDEX);
    send(0, 100);
    assert_all_readable(); // Half of it comes from the store.
    driver_checkpoint(&driver, false);
    assert_int_equal(driver_rows(&driver, KEY_INDEX), rows);
    send(0, 100);
    assert_readable(0, 150, 250);
    assert_all_readable();
    driver_restart_unchanged(&driver);
    assert_int_equal(driver_rows(&driver, KEY_INDEX), rows + 1);
    assert_all_readable();
}

/* The store may have a batch that the machine does not know to be written yet. */
static void a_chunk_that_is_being_written_may_be_read_back(void **state)
{
    (void)state;
    send(0, 10);
    driver_checkpoint(&driver, false);
    push_out_of_memory();
    send(0, 10);
    struct kv_batch *batch = machine_checkpoint(driver.machine);
    send(0, 10);
    assert_int_equal(kv_write(driver.kv, batch), STATUS_OK);
    assert_all_readable();
    assert_int_equal(kv_write(driver.kv, batch), STATUS_OK); // As after a disk that was full.
    kv_batch_free(batch);
    assert_all_readable();
    machine_checkpoint_written(driver.machine);
    driver_restart_unchanged(&driver);
    assert_all_readable();
}

/* Has the store a chunk whose first message is at that position? */
static bool chunk_begins_at(uint64_t position)
{
    struct key from = key_family_first(KEY_INDEX);
    struct key to = key_family_end(KEY_INDEX);
    struct kv_iterator *iterator = kv_iterate(driver.kv, key_slice(&from), key_slice(&to));
    struct slice key;
    struct slice value;
    bool found = false;
    while (kv_iterator_next(iterator, &key, &value)) {
        struct index_entry entry;
        assert_true(value.size >= INDEX_ENTRY_SIZE);
        index_entry_decode(value.data, &entry);
        found = found || entry.position == position;
    }
    assert_int_equal(kv_iterator_close(iterator), STATUS_OK);
    return found;
}

/* What is being written neither moves nor goes, whatever is applied meanwhile: another thread reads
 * it. */
static void what_is_being_written_stays_as_it_is(void **state)
{
    (void)state;
    driver_put_topic(&driver, "gone", 1);
    driver_batch(&driver, &(struct driver_message){.topic = "gone"}, 5);
    uint64_t gone = driver_apply(&driver).message.position;
    send(0, 20);
    struct kv_batch *batch = machine_checkpoint_begin(driver.machine);
    send(0, 200);
    entry_put_topic_delete(&driver.entry, slice_text("gone"));
    driver_apply(&driver);
    machine_checkpoint_fill(driver.machine, batch);
    assert_int_equal(kv_write(driver.kv, batch), STATUS_OK);
    kv_batch_free(batch);
    assert_true(chunk_begins_at(gone));
    assert_true(chunk_begins_at(expected[0][0]));
    machine_checkpoint_written(driver.machine);
    assert_all_readable();
    driver_checkpoint(&driver, false);
    assert_int_equal(driver_rows(&driver, KEY_INDEX), 1);
    driver_restart_unchanged(&driver);
    assert_all_readable();
}

static void a_queue_cut_to_its_end_begins_a_new_chunk(void **state)
{
    (void)state;
    send(0, 30);
    driver_checkpoint(&driver, false);
    driver_next_segment(&driver);
    send(1, 1);
    driver_cut(&driver, 1);
    const struct queue *queue = machine_queue_find(driver.machine, slice_text(TOPIC), 0);
    assert_int_equal(queue->offset_first, 30);
    send(0, 30);
    driver_checkpoint(&driver, false);
    assert_int_equal(driver_rows(&driver, KEY_INDEX), 2);
    driver_restart_unchanged(&driver);
    assert_all_readable();
}

static void any_history_gives_the_same_index(void **state)
{
    (void)state;
    struct random random = {11};
    struct kv_batch *batch = NULL;
    for (int step = 0; step < 600; step++) {
        int32_t queue_id = (int32_t)random_below(&random, QUEUES);
        switch (random_below(&random, 8)) {
        case 0:
            if (batch == NULL) {
                batch = machine_checkpoint_begin(driver.machine);
            }
            break;
        case 1:
            if (batch != NULL) {
                machine_checkpoint_fill(driver.machine, batch);
                assert_int_equal(kv_write(driver.kv, batch), STATUS_OK);
                kv_batch_free(batch);
                batch = NULL;
                machine_checkpoint_written(driver.machine);
            }
            break;
        case 2:
            if (batch == NULL) {
                if (random_below(&random, 2) == 0) {
                    kv_memory_crash(driver.kv); // Nothing was flushed: all comes from the log.
                }
                driver_reopen(&driver);
            }
            break;
        case 3:
            if (counts[queue_id] > 0) {
                uint32_t from = (uint32_t)random_below(&random, counts[queue_id]);
                uint32_t most = counts[queue_id] - from;
                assert_readable(queue_id, from, from + 1 + (uint32_t)random_below(&random, most));
            }
            break;
        default:
            if (counts[queue_id] < MODEL_MAX - 64) {
                send(queue_id, 1 + (uint32_t)random_below(&random, 64));
            }
        }
    }
    if (batch != NULL) {
        machine_checkpoint_fill(driver.machine, batch);
        assert_int_equal(kv_write(driver.kv, batch), STATUS_OK);
        kv_batch_free(batch);
        machine_checkpoint_written(driver.machine);
    }
    assert_all_readable();
    driver_restart_unchanged(&driver);
    assert_all_readable();
}

/* Rows of queues that grew by little are written when more of that has come. */
static void many_queues_let_a_checkpoint_wait(void **state)
{
    (void)state;
    enum { SIZE = 100000, MANY = 1000 };
    send(0, 1);
    assert_false(machine_checkpoint_due(driver.machine, SIZE));
    assert_true(machine_checkpoint_due(driver.machine, 0));
    for (int i = 0; !machine_checkpoint_due(driver.machine, SIZE); i++) {
        send(0, 100);
    }
    assert_in_range(machine_dirty_size(driver.machine), SIZE, SIZE * 3 / 2);
    driver_checkpoint(&driver, false);
    driver_put_topic(&driver, "many", MANY);
    for (int32_t i = 0; !machine_checkpoint_due(driver.machine, SIZE); i = (i + 1) % MANY) {
        driver_batch(&driver, &(struct driver_message){.topic = "many", .queue_id = i}, 1);
        driver_apply(&driver);
    }
    assert_in_range(machine_dirty_size(driver.machine), 4 * SIZE, 5 * SIZE);
}

#define index_test(test) cmocka_unit_test_setup_teardown(test, open_driver, close_driver)

int main(void)
{
    const struct CMUnitTest tests[] = {
        index_test(a_chunk_grows_by_what_is_new_of_it),
        index_test(a_chunk_goes_on_when_memory_has_given_it_up),
        index_test(a_chunk_that_is_being_written_may_be_read_back),
        index_test(what_is_being_written_stays_as_it_is),
        index_test(a_queue_cut_to_its_end_begins_a_new_chunk),
        index_test(many_queues_let_a_checkpoint_wait),
        index_test(any_history_gives_the_same_index),
    };
    return cmocka_run_group_tests_name("queue_index", tests, NULL, NULL);
}
