/* The log's stored mark on a simulated disk: what it makes of damage at the log's end, and that it
 * never says too much, whenever power fails. */
#include "tests/unit/raft-glue/log_fixture.h"

enum { SEEDS = 8 };

static enum status try_mark(struct segment_log *log)
{
    struct log_mark_job job;
    assert_true(segment_log_mark_begin(log, &job));
    enum status status = log_mark_run(&job);
    segment_log_mark_end(log, status);
    return status;
}

/* A log of `marked` entries, then a mark, then `more`. */
static struct sim_disk *marked_disk(unsigned marked, unsigned more)
{
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    fill(log, marked, 1);
    assert_int_equal(try_mark(log), STATUS_OK);
    fill(log, more, 1);
    segment_log_close(log);
    return disk;
}

static struct log_entry place(struct sim_disk *disk, uint64_t index)
{
    struct log_entry entry;
    struct segment_log *log = open_log(disk);
    assert_true(segment_log_entry(log, index, &entry));
    segment_log_close(log);
    return entry;
}

/* ---- Damage ---- */

/* Refused with any byte of this entry flipped, and unchanged by that. */
static void assert_vouched_for(struct sim_disk *disk, uint64_t index, uint64_t last)
{
    struct log_entry entry = place(disk, index);
    for (size_t i = 0; i < log_frame_size(entry.payload_size); i++) {
        struct sim_disk *copy = sim_disk_copy(disk, 1);
        struct segment_log *log = NULL;
        uint8_t *byte = log_byte(copy, entry.position + i);
        *byte ^= 0x10;
        assert_int_equal(try_open(copy, &log), STATUS_CORRUPT);
        *byte ^= 0x10;
        log = open_log(copy);
        assert_int_equal(segment_log_last_index(log), last);
        segment_log_close(log);
        sim_disk_free(copy);
    }
}

static void any_flipped_byte_of_the_last_marked_frame_is_refused_and_not_cut(void **state)
{
    (void)state;
    struct sim_disk *disk = marked_disk(6, 0);
    assert_vouched_for(disk, 6, 6);
    sim_disk_free(disk);
}

static void a_last_frame_alone_in_its_segment_is_vouched_for_with_the_header(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    append(log, 1, SEGMENT_BYTES - 400);
    write_all(log);
    append(log, 1, 400);
    write_all(log);
    assert_int_equal(try_mark(log), STATUS_OK);
    segment_log_close(log);
    assert_vouched_for(disk, 2, 2);
    for (size_t at = 0; at < SEGMENT_HEADER_SIZE; at++) {
        struct sim_disk *copy = sim_disk_copy(disk, 1);
        *log_byte(copy, SEGMENT_BYTES + at) ^= 0x80;
        assert_int_equal(try_open(copy, &log), STATUS_CORRUPT);
        sim_disk_free(copy);
    }
    sim_disk_free(disk);
}

static void what_lies_behind_the_mark_may_be_a_torn_tail(void **state)
{
    (void)state;
    struct sim_disk *disk = marked_disk(6, 1);
    struct log_entry last = place(disk, 7);
    for (size_t i = 0; i < log_frame_size(last.payload_size); i++) {
        struct sim_disk *copy = sim_disk_copy(disk, 1);
        *log_byte(copy, last.position + i) ^= 0x10;
        struct segment_log *log = open_log(copy);
        assert_int_equal(segment_log_last_index(log), 6);
        segment_log_close(log);
        sim_disk_free(copy);
    }
    sim_disk_free(disk);
}

static void a_log_without_its_segments_is_refused(void **state)
{
    (void)state;
    struct sim_disk *disk = marked_disk(3, 0);
    struct directory directory = sim_disk_directory(disk);
    struct segment_log *log = NULL;
    assert_int_equal(directory_remove(&directory, first_segment), STATUS_OK);
    assert_int_equal(try_open(disk, &log), STATUS_CORRUPT);
    sim_disk_free(disk);
}

/* As a disk that brings back a file of long ago, or a person: it ends where the mark says, or
 * behind it, but is not that log. */
static void a_log_of_another_term_is_refused(void **state)
{
    (void)state;
    struct sim_disk *disk = marked_disk(3, 0);
    struct sim_disk *other = sim_disk_new(2);
    struct segment_log *log = open_log(other);
    fill(log, 5, 2);
    segment_log_close(log);
    size_t size = 0;
    const uint8_t *bytes = sim_disk_bytes(other, first_segment, &size);
    memcpy(log_byte(disk, 0), bytes, size);
    assert_int_equal(try_open(disk, &log), STATUS_CORRUPT);
    sim_disk_free(other);
    sim_disk_free(disk);
}

/* ---- The files ---- */

static void damage_to_either_file_brings_no_lower_mark_back(void **state)
{
    (void)state;
    struct sim_disk *disk = marked_disk(4, 1);
    struct segment_log *log = open_log(disk);
    assert_int_equal(try_mark(log), STATUS_OK);
    segment_log_close(log);
    struct log_entry last = place(disk, 5);
    size_t size = 0;
    assert_non_null(sim_disk_bytes(disk, "durable.0", &size));
    for (size_t at = 0; at < 2 * size; at++) {
        struct sim_disk *copy = sim_disk_copy(disk, 1);
        *file_byte(copy, at % 2 == 0 ? "durable.0" : "durable.1", at / 2) ^= 0x20;
        *log_byte(copy, last.position) ^= 1;
        assert_int_equal(try_open(copy, &log), STATUS_CORRUPT);
        sim_disk_free(copy);
    }
    sim_disk_free(disk);
}

/* As it is with the data of a version that had no mark: a crash may have left the files unreadable
 * while they were first made. */
static void without_a_mark_that_can_be_read_the_log_opens_and_is_marked_anew(void **state)
{
    (void)state;
    struct sim_disk *disk = marked_disk(4, 0);
    *file_byte(disk, "durable.0", 30) ^= 0x20;
    *file_byte(disk, "durable.1", 9) ^= 0x20;
    struct log_entry last = place(disk, 4);
    struct sim_disk *damaged = sim_disk_copy(disk, 1);
    *log_byte(damaged, last.position) ^= 1;
    struct segment_log *log = open_log(damaged);
    assert_int_equal(segment_log_last_index(log), 3);
    segment_log_close(log);
    sim_disk_free(damaged);
    log = open_log(disk);
    assert_true(segment_log_mark_lags(log));
    assert_int_equal(try_mark(log), STATUS_OK);
    assert_false(segment_log_mark_lags(log));
    segment_log_close(log);
    assert_vouched_for(disk, 4, 4);
    sim_disk_free(disk);
}

static void a_mark_of_another_version_is_refused_not_damage(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct directory directory = sim_disk_directory(disk);
    struct twin_file twin;
    struct segment_log *log = NULL;
    const uint8_t record[32] = {1};
    assert_int_equal(twin_file_create(&twin, &directory, "durable", 2, record, sizeof record),
                     STATUS_OK);
    twin_file_close(&twin);
    assert_int_equal(try_open(disk, &log), STATUS_REFUSED);
    sim_disk_free(disk);
}

static void on_a_full_disk_the_mark_lags_until_there_is_room(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    fill(log, 3, 1);
    sim_disk_limit(disk, sim_disk_size(disk));
    assert_int_equal(try_mark(log), STATUS_DISK_FULL);
    assert_true(segment_log_mark_lags(log));
    sim_disk_limit(disk, UINT64_MAX);
    assert_int_equal(try_mark(log), STATUS_OK);
    assert_false(segment_log_mark_lags(log));
    segment_log_close(log);
    assert_vouched_for(disk, 3, 3);
    sim_disk_free(disk);
}

/* Whatever part of the first mark there was room for: a truncation does not end the process, and no
 * mark is left above what it keeps. */
static void a_log_whose_first_mark_found_no_room_can_be_truncated(void **state)
{
    (void)state;
    enum status status = STATUS_DISK_FULL;
    for (uint64_t room = 0; status != STATUS_OK; room++) {
        struct sim_disk *disk = sim_disk_new(1);
        struct segment_log *log = open_log(disk);
        fill(log, 3, 1);
        sim_disk_limit(disk, sim_disk_size(disk) + room);
        status = try_mark(log);
        segment_log_truncate(log, 2);
        append(log, 2, 5);
        write_all(log);
        segment_log_close(log);
        log = open_log(disk);
        assert_int_equal(segment_log_last_index(log), 2);
        assert_int_equal(segment_log_term(log, 2), 2);
        segment_log_close(log);
        sim_disk_free(disk);
    }
}

/* ---- Crashes ---- */

static void a_crash_at_any_step_of_storing_a_mark_loses_at_most_the_mark(void **state)
{
    (void)state;
    for (unsigned before = 0; before < 2; before++) { // The first mark, and a later one.
        bool stored = false;
        for (uint64_t step = 0; !stored; step++) {
            for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                struct sim_disk *disk = sim_disk_new(seed);
                struct segment_log *log = open_log(disk);
                fill(log, 2, 1);
                assert_true(before == 0 || try_mark(log) == STATUS_OK);
                fill(log, 2, 1);
                sim_disk_die_after(disk, step);
                stored = try_mark(log) == STATUS_OK;
                segment_log_close(log);
                sim_disk_crash(disk);
                log = open_log(disk);
                assert_int_equal(segment_log_last_index(log), 4);
                segment_log_close(log);
                if (stored) {
                    assert_vouched_for(disk, 4, 4);
                }
                sim_disk_free(disk);
            }
        }
    }
}

/* Ten marked entries; from the fifth on another leader's take their place. Returns whether the disk
 * lived through it. */
static bool replaced_until(struct sim_disk *disk, uint64_t step)
{
    struct segment_log *log = open_log(disk);
    fill(log, 10, 1);
    assert_int_equal(try_mark(log), STATUS_OK);
    segment_log_truncate(log, 5);
    append(log, 2, 30);
    sim_disk_die_after(disk, step);
    bool lived = try_write_all(log) == STATUS_OK;
    segment_log_close(log);
    return lived;
}

static void a_crash_at_any_step_of_a_truncation_below_the_mark_leaves_a_log_that_opens(void **state)
{
    (void)state;
    bool lived = false;
    for (uint64_t step = 0; !lived; step++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct sim_disk *disk = sim_disk_new(seed);
            lived = replaced_until(disk, step);
            if (seed % 2 == 0) {
                sim_disk_crash(disk);
            } else {
                sim_disk_abandon(disk);
            }
            struct segment_log *log = open_log(disk);
            uint64_t last = segment_log_last_index(log);
            assert_true(last == 10 || last == 5 || last == 4);
            assert_true(!lived || (last == 5 && segment_log_term(log, 5) == 2));
            assert_int_equal(segment_log_term(log, 4), 1);
            segment_log_close(log);
            assert_vouched_for(disk, 4, last); // The mark was lowered, not lost.
            sim_disk_free(disk);
        }
    }
}

/* ---- Beside writes ---- */

static void a_truncation_waits_for_the_mark_under_way_and_lowers_it(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    struct log_mark_job job;
    fill(log, 6, 1);
    assert_true(segment_log_mark_begin(log, &job));
    assert_false(segment_log_mark_begin(log, &job));
    append(log, 1, 10);
    assert_true(segment_log_wants_write(log)); // What only appends does not wait.
    segment_log_truncate(log, 4);
    assert_false(segment_log_wants_write(log));
    assert_int_equal(log_mark_run(&job), STATUS_OK);
    segment_log_mark_end(log, STATUS_OK);
    assert_true(segment_log_wants_write(log));
    assert_false(segment_log_mark_begin(log, &job)); // And no mark overtakes it.
    struct log_write *write = segment_log_write_begin(log);
    assert_false(segment_log_mark_begin(log, &job));
    assert_int_equal(log_write_run(write), STATUS_OK);
    segment_log_write_end(log, write);
    assert_false(segment_log_mark_lags(log)); // It was lowered to just here.
    segment_log_close(log);
    log = open_log(disk);
    assert_int_equal(segment_log_last_index(log), 3);
    segment_log_close(log);
    assert_vouched_for(disk, 3, 3);
    sim_disk_free(disk);
}

/* Two truncations, the second of them deeper, before the disk hears of any. */
static void truncations_that_are_carried_out_as_one_lower_the_mark_to_the_deepest(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    fill(log, 10, 1);
    assert_int_equal(try_mark(log), STATUS_OK);
    segment_log_truncate(log, 9);
    append(log, 2, 10);
    segment_log_truncate(log, 4);
    append(log, 3, 10);
    segment_log_truncate(log, 4); // What the disk never saw: nothing changes.
    write_all(log);
    segment_log_close(log);
    log = open_log(disk);
    assert_int_equal(segment_log_last_index(log), 3);
    segment_log_close(log);
    sim_disk_free(disk);
}

static void a_mark_below_the_front_of_a_cut_log_says_nothing(void **state)
{
    (void)state;
    struct sim_disk *disk = marked_disk(3, 700); // Several segments.
    struct segment_log *log = open_log(disk);
    uint64_t last = segment_log_last_index(log);
    uint64_t first = segment_log_remove_prefix(log, last);
    assert_true(first > 3);
    write_all(log);
    segment_log_close(log);
    log = open_log(disk);
    assert_int_equal(segment_log_first_index(log), first);
    assert_int_equal(segment_log_last_index(log), last);
    assert_int_equal(try_mark(log), STATUS_OK);
    segment_log_close(log);
    assert_vouched_for(disk, last, last);
    sim_disk_free(disk);
}

static void a_log_without_entries_needs_no_mark(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    assert_false(segment_log_mark_lags(log));
    segment_log_begin(log, 100, 7, 2 * SEGMENT_BYTES);
    assert_false(segment_log_mark_lags(log));
    append(log, 7, 10);
    assert_false(segment_log_mark_lags(log)); // Nor what is not durable.
    write_all(log);
    assert_true(segment_log_mark_lags(log));
    segment_log_close(log);
    sim_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_flipped_byte_of_the_last_marked_frame_is_refused_and_not_cut),
        cmocka_unit_test(a_last_frame_alone_in_its_segment_is_vouched_for_with_the_header),
        cmocka_unit_test(what_lies_behind_the_mark_may_be_a_torn_tail),
        cmocka_unit_test(a_log_without_its_segments_is_refused),
        cmocka_unit_test(a_log_of_another_term_is_refused),
        cmocka_unit_test(damage_to_either_file_brings_no_lower_mark_back),
        cmocka_unit_test(without_a_mark_that_can_be_read_the_log_opens_and_is_marked_anew),
        cmocka_unit_test(a_mark_of_another_version_is_refused_not_damage),
        cmocka_unit_test(on_a_full_disk_the_mark_lags_until_there_is_room),
        cmocka_unit_test(a_log_whose_first_mark_found_no_room_can_be_truncated),
        cmocka_unit_test(a_crash_at_any_step_of_storing_a_mark_loses_at_most_the_mark),
        cmocka_unit_test(
            a_crash_at_any_step_of_a_truncation_below_the_mark_leaves_a_log_that_opens),
        cmocka_unit_test(a_truncation_waits_for_the_mark_under_way_and_lowers_it),
        cmocka_unit_test(truncations_that_are_carried_out_as_one_lower_the_mark_to_the_deepest),
        cmocka_unit_test(a_mark_below_the_front_of_a_cut_log_says_nothing),
        cmocka_unit_test(a_log_without_entries_needs_no_mark),
    };
    return cmocka_run_group_tests_name("log_mark", tests, NULL, NULL);
}
