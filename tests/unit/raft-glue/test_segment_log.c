/* The segment log on a simulated disk: what it keeps and gives, truncation, recycling. */
#include "tests/unit/raft-glue/log_fixture.h"

static void entries_are_readable_at_once_and_after_reopening(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    assert_int_equal(segment_log_last_index(log), 0);
    append(log, 3, 100);
    assert_int_equal(segment_log_last_index(log), 1);
    assert_int_equal(segment_log_durable_index(log), 0);
    assert_non_null(segment_log_cached(log, 1));
    write_all(log);
    assert_int_equal(segment_log_durable_index(log), 1);
    uint64_t end = segment_log_end_position(log);
    segment_log_close(log);
    log = open_log(disk);
    assert_int_equal(segment_log_last_index(log), 1);
    assert_int_equal(segment_log_term(log, 1), 3);
    assert_int_equal(segment_log_end_position(log), end);
    assert_null(segment_log_cached(log, 1));
    assert_entry_on_disk(log, 1, 3);
    segment_log_close(log);
    sim_disk_free(disk);
}

static void a_frame_that_does_not_fit_begins_the_next_segment(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    append(log, 1, SEGMENT_BYTES - 400);
    assert_int_equal(segment_log_next_position(log, 400), SEGMENT_BYTES + SEGMENT_HEADER_SIZE);
    append(log, 1, 400);
    // Exactly full: the next one has nowhere else to go than behind the next header.
    size_t rest = SEGMENT_BYTES - (size_t)(segment_log_end_position(log) % SEGMENT_BYTES);
    append(log, 1, rest - LOG_FRAME_HEADER_SIZE);
    assert_int_equal(segment_log_end_position(log), 2 * SEGMENT_BYTES);
    append(log, 1, 8);
    write_all(log);
    struct log_entry entry;
    assert_true(segment_log_entry(log, 4, &entry));
    assert_int_equal(entry.position, 2 * SEGMENT_BYTES + SEGMENT_HEADER_SIZE);
    segment_log_close(log);
    log = open_log(disk);
    assert_int_equal(segment_log_last_index(log), 4);
    for (uint64_t i = 1; i <= 4; i++) {
        assert_entry_on_disk(log, i, 1);
    }
    segment_log_close(log);
    sim_disk_free(disk);
}

static void a_truncation_during_a_write_counts_only_what_is_left(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    for (unsigned i = 0; i < 5; i++) {
        append(log, 1, 30);
    }
    struct log_write *write = segment_log_write_begin(log);
    segment_log_truncate(log, 3);
    append(log, 2, 30);
    append(log, 2, 40);
    assert_int_equal(log_write_run(write), STATUS_OK);
    segment_log_write_end(log, write);
    assert_int_equal(segment_log_durable_index(log), 2);
    write_all(log);
    assert_int_equal(segment_log_durable_index(log), 4);
    segment_log_close(log);
    log = open_log(disk);
    assert_int_equal(segment_log_last_index(log), 4);
    assert_int_equal(segment_log_term(log, 2), 1);
    assert_int_equal(segment_log_term(log, 3), 2);
    assert_entry_on_disk(log, 3, 2);
    assert_entry_on_disk(log, 4, 2);
    segment_log_close(log);
    sim_disk_free(disk);
}

/* Truncate ten entries in two segments away, write two shorter ones, and lose power at every step:
 * what is found is the old log up to some entry, or the new one, never a mixture. */
static void a_crash_at_any_step_of_a_truncation_leaves_no_mixture(void **state)
{
    (void)state;
    bool survived = false;
    for (uint64_t step = 0; !survived; step++) {
        for (uint64_t seed = 1; seed <= 12; seed++) {
            struct sim_disk *disk = sim_disk_new(seed);
            struct segment_log *log = open_log(disk);
            for (unsigned i = 0; i < 14; i++) {
                append(log, i < 4 ? 2 : 4, 1800);
                write_all(log);
            }
            segment_log_truncate(log, 5);
            append(log, 3, 1800); // Of the same size, and of a lower term, as may happen.
            append(log, 6, 1800);
            sim_disk_die_after(disk, step);
            struct log_write *write = segment_log_write_begin(log);
            survived = log_write_run(write) == STATUS_OK;
            segment_log_write_abandon(log, write);
            segment_log_close(log);
            sim_disk_crash(disk);
            log = open_log(disk);
            uint64_t last = segment_log_last_index(log);
            assert_in_range(last, 4, 14);
            assert_int_equal(segment_log_term(log, 4), 2);
            if (survived || segment_log_term(log, 5) == 3) {
                assert_in_range(last, survived ? 6 : 5, 6);
                assert_int_equal(segment_log_term(log, 5), 3);
                assert_true(last == 5 || segment_log_term(log, 6) == 6);
            } else {
                assert_true(last == 4 || segment_log_term(log, last) == 4);
            }
            segment_log_close(log);
            sim_disk_free(disk);
        }
    }
}

static void what_is_truncated_before_it_was_written_costs_no_cut(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    fill(log, 2, 1);
    append(log, 1, 30);
    segment_log_truncate(log, 3);
    assert_false(segment_log_wants_write(log));
    fill(log, 1, 2);
    segment_log_close(log);
    log = open_log(disk);
    assert_int_equal(segment_log_term(log, 3), 2);
    segment_log_close(log);
    sim_disk_free(disk);
}

/* Drop the front again and again; the files come back as new segments, full of old frames. At
 * each step the log is opened anew and must hold just what was appended. */
static void recycled_segments_never_bring_back_old_frames(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    uint64_t last = 0;
    for (unsigned round = 0; round < 60; round++) {
        // Equal sizes: old frames lie exactly where new ones would.
        for (unsigned i = 0; i < 7; i++) {
            append(log, 1, 1000);
            write_all(log);
            last++;
        }
        uint64_t floor = last > 40 ? last - 40 : 1;
        uint64_t first = segment_log_remove_prefix(log, floor);
        assert_in_range(first, 1, floor);
        write_all(log);
        segment_log_close(log);
        log = open_log(disk);
        assert_int_equal(segment_log_last_index(log), last);
        assert_int_equal(segment_log_first_index(log), first);
        assert_entry_on_disk(log, first, 1);
        assert_entry_on_disk(log, last, 1);
        assert_int_equal(segment_log_term(log, first - 1), first == 1 ? 0 : 1);
    }
    assert_true(segment_log_first_index(log) > 300);
    segment_log_close(log);
    sim_disk_free(disk);
}

static void a_spare_made_ahead_becomes_the_next_segment(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    struct log_spare spare;
    assert_false(segment_log_spare_begin(log, &spare)); // Too early.
    append(log, 1, SEGMENT_BYTES / 2);
    write_all(log);
    assert_true(segment_log_spare_begin(log, &spare));
    assert_false(segment_log_spare_begin(log, &spare)); // One at a time.
    enum status status = log_spare_run(&spare);
    segment_log_spare_end(log, &spare, status);
    assert_int_equal(status, STATUS_OK);
    size_t size = 0;
    assert_non_null(sim_disk_bytes(disk, "spare-0000000000000001", &size));
    append(log, 1, SEGMENT_BYTES / 2);
    write_all(log);
    assert_null(sim_disk_bytes(disk, "spare-0000000000000001", &size));
    assert_non_null(sim_disk_bytes(disk, "segment-0000000000000001", &size));
    segment_log_close(log);
    sim_disk_free(disk);
}

static void a_log_with_much_to_write_makes_no_spare(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    for (unsigned i = 0; i < 5; i++) {
        append(log, 1, SEGMENT_BYTES - 2000);
    }
    write_all(log); // Many at once.
    struct log_spare spare;
    assert_false(segment_log_spare_begin(log, &spare));
    append(log, 1, 100);
    write_all(log);
    assert_true(segment_log_spare_begin(log, &spare));
    enum status status = log_spare_run(&spare);
    segment_log_spare_end(log, &spare, status);
    assert_int_equal(status, STATUS_OK);
    segment_log_close(log);
    sim_disk_free(disk);
}

static void a_spare_that_cannot_be_made_is_not_tried_at_once_again(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    append(log, 1, SEGMENT_BYTES / 2);
    assert_true(segment_log_wants_write(log));
    struct log_spare spare;
    assert_false(segment_log_spare_begin(log, &spare)); // The log comes first.
    write_all(log);
    assert_true(segment_log_spare_begin(log, &spare));
    segment_log_spare_end(log, &spare, STATUS_DISK_FULL);
    assert_false(segment_log_spare_begin(log, &spare));
    append(log, 1, SEGMENT_BYTES - 300); // The next segment is made without one.
    write_all(log);
    assert_true(segment_log_spare_begin(log, &spare));
    segment_log_spare_end(log, &spare, STATUS_DISK_FULL);
    segment_log_close(log);
    sim_disk_free(disk);
}

static void the_cache_keeps_what_is_not_durable_and_forgets_the_oldest(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log_options options = log_options(disk);
    struct segment_log *log = NULL;
    options.cache_size = 4096;
    assert_int_equal(try_open_with(&options, &log), STATUS_OK);
    for (unsigned i = 0; i < 20; i++) {
        append(log, 1, 1000);
    }
    assert_non_null(segment_log_cached(log, 1));
    write_all(log);
    append(log, 1, 1000);
    assert_null(segment_log_cached(log, 1));
    assert_non_null(segment_log_cached(log, 20));
    assert_entry_on_disk(log, 1, 1);
    segment_log_close(log);
    sim_disk_free(disk);
}

static void reads_by_position_are_bounded_by_what_is_durable(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    fill(log, 3, 1);
    append(log, 1, 30);
    struct log_entry entry;
    uint8_t bytes[64];
    assert_true(segment_log_entry(log, 2, &entry));
    uint64_t at = entry.position + LOG_FRAME_HEADER_SIZE;
    assert_int_equal(segment_log_read_now(log, at, 21, bytes), STATUS_OK);
    assert_memory_equal(bytes, segment_log_cached(log, 2)->payload, 21);
    assert_true(segment_log_entry(log, 4, &entry));
    at = entry.position + LOG_FRAME_HEADER_SIZE;
    assert_int_equal(segment_log_read_now(log, at, 30, bytes), STATUS_NOT_FOUND);
    assert_int_equal(segment_log_read_now(log, SEGMENT_BYTES - 1, 30, bytes), STATUS_NOT_FOUND);
    assert_int_equal(segment_log_read_now(log, UINT64_MAX - 3, 30, bytes), STATUS_NOT_FOUND);
    segment_log_close(log);
    sim_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_readable_at_once_and_after_reopening),
        cmocka_unit_test(a_frame_that_does_not_fit_begins_the_next_segment),
        cmocka_unit_test(a_truncation_during_a_write_counts_only_what_is_left),
        cmocka_unit_test(a_crash_at_any_step_of_a_truncation_leaves_no_mixture),
        cmocka_unit_test(what_is_truncated_before_it_was_written_costs_no_cut),
        cmocka_unit_test(recycled_segments_never_bring_back_old_frames),
        cmocka_unit_test(a_spare_made_ahead_becomes_the_next_segment),
        cmocka_unit_test(a_log_with_much_to_write_makes_no_spare),
        cmocka_unit_test(a_spare_that_cannot_be_made_is_not_tried_at_once_again),
        cmocka_unit_test(the_cache_keeps_what_is_not_durable_and_forgets_the_oldest),
        cmocka_unit_test(reads_by_position_are_bounded_by_what_is_durable),
    };
    return cmocka_run_group_tests_name("segment_log", tests, NULL, NULL);
}
