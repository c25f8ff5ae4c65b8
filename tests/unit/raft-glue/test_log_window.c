/* Files read through a window, and a log whose frames are larger than one. */
#include "tests/unit/raft-glue/log_fixture.h"

#include "common/base/limits.h"
#include "raft-glue/log_window.h"

enum {
    FILE_BYTES = 3 * LOG_WINDOW_SIZE + 5,
    LONG_SEGMENT = 16 * LOG_WINDOW_SIZE,
    LARGE = LOG_WINDOW_SIZE + LOG_WINDOW_SIZE / 2 + 3,
};

static struct sim_disk *disk_with_file(void)
{
    struct sim_disk *disk = sim_disk_new(1);
    struct directory directory = sim_disk_directory(disk);
    struct file *file = NULL;
    assert_int_equal(directory_create(&directory, first_segment, FILE_BYTES, &file), STATUS_OK);
    directory_close_file(&directory, file);
    size_t size = 0;
    uint8_t *bytes = sim_disk_bytes(disk, first_segment, &size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    return disk;
}

static void whatever_is_looked_at_is_what_the_file_holds(void **state)
{
    (void)state;
    struct sim_disk *disk = disk_with_file();
    struct directory directory = sim_disk_directory(disk);
    size_t size = 0;
    const uint8_t *bytes = sim_disk_bytes(disk, first_segment, &size);
    struct log_window window;
    assert_int_equal(log_window_open(&window, &directory, first_segment, UINT64_MAX), STATUS_OK);
    struct random random = {7};
    for (unsigned i = 0; i < 200; i++) {
        uint64_t offset = random_below(&random, FILE_BYTES + 16);
        size_t need = (size_t)random_below(&random, i % 4 == 0 ? FILE_BYTES : 64);
        size_t left = offset < size ? size - (size_t)offset : 0;
        struct slice seen;
        assert_int_equal(log_window_look(&window, offset, need, &seen), STATUS_OK);
        assert_true(seen.size >= (need < left ? need : left) && seen.size <= left);
        assert_true(seen.size == 0 || memcmp(seen.data, bytes + offset, seen.size) == 0);
    }
    log_window_close(&window);
    sim_disk_free(disk);
}

static void what_lies_behind_the_limit_is_not_looked_at(void **state)
{
    (void)state;
    struct sim_disk *disk = disk_with_file();
    struct directory directory = sim_disk_directory(disk);
    struct log_window window;
    struct slice seen;
    assert_int_equal(log_window_open(&window, &directory, first_segment, 100), STATUS_OK);
    assert_int_equal(log_window_look(&window, 90, 64, &seen), STATUS_OK);
    assert_int_equal(seen.size, 10);
    assert_int_equal(log_window_look(&window, 100, 1, &seen), STATUS_OK);
    assert_int_equal(seen.size, 0);
    log_window_close(&window);
    log_window_close(&window);
    assert_int_equal(log_window_open(&window, &directory, "segment-1", 100), STATUS_NOT_FOUND);
    sim_disk_free(disk);
}

static enum status try_open_long(struct sim_disk *disk, struct segment_log **log)
{
    struct segment_log_options options = log_options(disk);
    options.segment_size = LONG_SEGMENT;
    options.cache_size = 1;
    return try_open_with(&options, log);
}

static struct segment_log *open_long(struct sim_disk *disk)
{
    struct segment_log *log = NULL;
    assert_int_equal(try_open_long(disk, &log), STATUS_OK);
    return log;
}

static uint64_t place_of(struct segment_log *log, uint64_t index)
{
    struct log_entry entry;
    assert_true(segment_log_entry(log, index, &entry));
    return entry.position;
}

/* Without it, frames alone vouch for each other. */
static void lose_stored_mark(struct sim_disk *disk)
{
    struct directory directory = sim_disk_directory(disk);
    assert_int_equal(directory_remove(&directory, "durable.0"), STATUS_OK);
    assert_int_equal(directory_remove(&directory, "durable.1"), STATUS_OK);
}

static void frames_of_any_size_are_found_again(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, LARGE, 100, LOG_WINDOW_SIZE - 200, 7, 8, LARGE, 2000};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_long(disk);
    for (size_t i = 0; i < 4 * COUNT; i++) { // More than two segments.
        append(log, 1, sizes[i % COUNT]);
    }
    write_all(log);
    uint64_t end = segment_log_end_position(log);
    segment_log_close(log);
    log = open_long(disk);
    assert_int_equal(segment_log_last_index(log), 4 * COUNT);
    assert_int_equal(segment_log_end_position(log), end);
    segment_log_close(log);
    sim_disk_free(disk);
}

static void a_frame_further_away_than_a_window_vouches_for_what_is_damaged(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_long(disk);
    append(log, 1, 10);
    append(log, 1, LARGE);
    write_all(log);
    append(log, 1, 10); // Says that what is before it was synced.
    write_all(log);
    uint64_t large = place_of(log, 2);
    segment_log_close(log);
    lose_stored_mark(disk);
    size_t size = 0;
    sim_disk_bytes(disk, first_segment, &size)[large + 1000] ^= 1;
    assert_int_equal(try_open_long(disk, &log), STATUS_CORRUPT);
    sim_disk_free(disk);
}

static void a_torn_tail_of_many_windows_reads_as_zeros(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_long(disk);
    append(log, 1, 10);
    write_all(log);
    append(log, 1, LARGE); // One write, so no frame vouches for another one.
    append(log, 1, LARGE);
    append(log, 1, 10);
    uint64_t torn = place_of(log, 2);
    write_all(log);
    segment_log_close(log);
    lose_stored_mark(disk);
    size_t size = 0;
    sim_disk_bytes(disk, first_segment, &size)[torn + 1000] ^= 1;
    log = open_long(disk);
    assert_int_equal(segment_log_last_index(log), 1);
    segment_log_close(log);
    const uint8_t *bytes = sim_disk_bytes(disk, first_segment, &size);
    for (size_t at = torn; at < size; at++) {
        assert_int_equal(bytes[at], 0);
    }
    sim_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_looked_at_is_what_the_file_holds),
        cmocka_unit_test(what_lies_behind_the_limit_is_not_looked_at),
        cmocka_unit_test(frames_of_any_size_are_found_again),
        cmocka_unit_test(a_frame_further_away_than_a_window_vouches_for_what_is_damaged),
        cmocka_unit_test(a_torn_tail_of_many_windows_reads_as_zeros),
    };
    return cmocka_run_group_tests_name("log_window", tests, NULL, NULL);
}
