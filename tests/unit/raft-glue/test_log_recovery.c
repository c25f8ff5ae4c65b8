/* What a start makes of the log: a torn tail is cut, damage is refused, what was synced is kept. */
#include "tests/unit/raft-glue/log_fixture.h"

#include "common/base/crc32c.h"

static void a_log_cut_at_any_byte_of_its_last_three_frames_ends_before_the_cut(void **state)
{
    (void)state;
    enum { COUNT = 12 };
    struct sim_disk *disk = disk_with(COUNT);
    struct log_entry last[3];
    log_places(disk, COUNT - 2, last, 3);
    uint64_t end = last[2].position + log_frame_size(last[2].payload_size);
    for (uint64_t cut = last[0].position; cut < end; cut++) {
        struct sim_disk *copy = sim_disk_copy(disk, 1);
        size_t size = 0;
        uint8_t *bytes = sim_disk_bytes(copy, first_segment, &size);
        memset(bytes + cut, 0, size - cut);
        uint64_t expected = COUNT - 3;
        for (size_t i = 0; i < 3; i++) {
            // Padding is zeros anyway.
            uint64_t whole = last[i].position + LOG_FRAME_HEADER_SIZE + last[i].payload_size;
            expected += whole <= cut;
        }
        struct segment_log *log = open_log(copy);
        assert_int_equal(segment_log_last_index(log), expected);
        fill(log, 2, 2);
        segment_log_close(log);
        log = open_log(copy);
        assert_int_equal(segment_log_last_index(log), expected + 2);
        segment_log_close(log);
        sim_disk_free(copy);
    }
    sim_disk_free(disk);
}

/* Open a log whose last block was being written again when power failed: the new bytes reached the
 * disk up to `torn`, behind that are the old ones. */
static void assert_torn_block_keeps(struct sim_disk *old, struct sim_disk *new, uint64_t torn,
                                    uint64_t synced)
{
    struct sim_disk *disk = sim_disk_copy(new, 1);
    size_t size = 0;
    uint8_t *bytes = sim_disk_bytes(disk, first_segment, &size);
    memcpy(bytes + torn, sim_disk_bytes(old, first_segment, &size) + torn, size - torn);
    struct segment_log *log = open_log(disk);
    uint64_t last = segment_log_last_index(log);
    assert_true(last >= synced);
    for (uint64_t i = synced - 1; i <= last; i++) {
        assert_entry_on_disk(log, i, 1);
    }
    fill(log, 1, 2);
    segment_log_close(log);
    log = open_log(disk);
    assert_int_equal(segment_log_last_index(log), last + 1);
    segment_log_close(log);
    sim_disk_free(disk);
}

static void a_last_block_torn_at_any_byte_of_its_rewriting_keeps_what_was_synced(void **state)
{
    (void)state;
    enum { SYNCED = 50, MORE = 3 };
    struct sim_disk *old = disk_with(SYNCED);
    struct sim_disk *new = sim_disk_copy(old, 1);
    struct log_entry last;
    log_places(old, SYNCED, &last, 1);
    uint64_t end = last.position + log_frame_size(last.payload_size);
    uint64_t block = end - end % DIRECTORY_BLOCK_SIZE;
    assert_true(block > 0 && block < end); // It is not the first, and written again.
    struct segment_log *log = open_log(new);
    for (unsigned i = 0; i < MORE; i++) {
        append(log, 1, 30);
    }
    write_all(log);
    uint64_t until = segment_log_end_position(log);
    segment_log_close(log);
    size_t size = 0;
    assert_memory_equal(sim_disk_bytes(old, first_segment, &size),
                        sim_disk_bytes(new, first_segment, &size), end);
    for (uint64_t torn = block; torn <= end; torn += 64) {
        assert_torn_block_keeps(old, new, torn, SYNCED);
    }
    for (uint64_t torn = end; torn <= until; torn++) {
        assert_torn_block_keeps(old, new, torn, SYNCED);
    }
    sim_disk_free(old);
    sim_disk_free(new);
}

static void a_crash_within_a_write_keeps_what_was_synced_wherever_it_ends_in_a_block(void **state)
{
    (void)state;
    enum { ENTRIES = 60, CRASHES = 4 };
    for (unsigned synced = 1; synced <= ENTRIES; synced++) {
        for (uint64_t seed = 1; seed <= CRASHES; seed++) {
            struct sim_disk *before = disk_with(synced);
            struct sim_disk *disk = sim_disk_copy(before, seed * 1000 + synced);
            struct segment_log *log = open_log(disk);
            append(log, 1, 200 + 100 * synced);
            append(log, 1, 30);
            struct log_write *write = segment_log_write_begin(log);
            sim_disk_die_after(disk, 2); // The names, the write; not its sync.
            assert_int_not_equal(log_write_run(write), STATUS_OK);
            segment_log_write_abandon(log, write);
            segment_log_close(log);
            sim_disk_crash(disk);
            log = open_log(disk);
            assert_true(segment_log_last_index(log) >= synced);
            assert_entry_on_disk(log, synced, 1);
            segment_log_close(log);
            sim_disk_free(disk);
            sim_disk_free(before);
        }
    }
}

/* Killed between write and sync, the process leaves frames that can be read but are not on the disk
 * yet. Whoever finds them counts them as durable, so they must be from then on. */
static void what_a_killed_process_wrote_is_durable_once_it_was_found(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim_disk *disk = sim_disk_new(seed);
        struct segment_log *log = open_log(disk);
        append(log, 1, SEGMENT_BYTES / 2);
        write_all(log);
        append(log, 1, SEGMENT_BYTES / 2); // Begins the second segment.
        write_all(log);
        append(log, 1, 1000);
        append(log, 1, 1000);
        struct log_write *write = segment_log_write_begin(log);
        sim_disk_die_after(disk, 1);
        assert_int_equal(log_write_run(write), STATUS_IO);
        segment_log_write_abandon(log, write);
        segment_log_close(log);
        sim_disk_abandon(disk);
        log = open_log(disk);
        assert_int_equal(segment_log_durable_index(log), 4);
        segment_log_close(log);
        sim_disk_crash(disk);
        log = open_log(disk);
        assert_int_equal(segment_log_last_index(log), 4);
        segment_log_close(log);
        sim_disk_free(disk);
    }
}

static void any_flipped_byte_of_the_last_frame_cuts_just_that_frame(void **state)
{
    (void)state;
    enum { COUNT = 6 };
    struct sim_disk *disk = disk_with(COUNT);
    struct log_entry last;
    log_places(disk, COUNT, &last, 1);
    for (size_t i = 0; i < log_frame_size(last.payload_size); i++) {
        struct sim_disk *copy = sim_disk_copy(disk, 1);
        size_t size = 0;
        sim_disk_bytes(copy, first_segment, &size)[last.position + i] ^= 0x10;
        struct segment_log *log = open_log(copy);
        assert_int_equal(segment_log_last_index(log), COUNT - 1);
        segment_log_close(log);
        sim_disk_free(copy);
    }
    sim_disk_free(disk);
}

static void any_flipped_byte_below_the_durable_mark_is_refused_and_not_cut(void **state)
{
    (void)state;
    enum { COUNT = 6 };
    struct sim_disk *disk = disk_with(COUNT);
    struct log_entry entries[2];
    log_places(disk, COUNT - 2, entries, 2);
    uint64_t end = entries[1].position + log_frame_size(entries[1].payload_size);
    for (uint64_t at = entries[0].position; at < end; at++) {
        struct sim_disk *copy = sim_disk_copy(disk, 1);
        size_t size = 0;
        uint8_t *bytes = sim_disk_bytes(copy, first_segment, &size);
        bytes[at] ^= 0x01;
        struct segment_log *log = NULL;
        assert_int_equal(try_open(copy, &log), STATUS_CORRUPT);
        bytes[at] ^= 0x01; // Nothing was changed by the attempt.
        log = open_log(copy);
        assert_int_equal(segment_log_last_index(log), COUNT);
        segment_log_close(log);
        sim_disk_free(copy);
    }
    sim_disk_free(disk);
}

/* As a write that the disk lost, or put in the wrong place, may leave it. */
static void a_frame_of_another_history_does_not_continue_the_log(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct sim_disk *other = sim_disk_new(2);
    struct segment_log *log = open_log(disk);
    append(log, 1, 100);
    append(log, 2, 100);
    write_all(log);
    segment_log_close(log);
    log = open_log(other);
    append(log, 1, 100);
    append(log, 1, 100);
    write_all(log);
    append(log, 2, 100);
    write_all(log);
    segment_log_close(log);
    struct log_entry third;
    log_places(other, 3, &third, 1);
    size_t size = 0;
    const uint8_t *from = sim_disk_bytes(other, first_segment, &size);
    uint8_t *to = sim_disk_bytes(disk, first_segment, &size);
    memcpy(to + third.position, from + third.position, log_frame_size(100));
    log = open_log(disk);
    assert_int_equal(segment_log_last_index(log), 2);
    assert_int_equal(segment_log_end_position(log), third.position);
    segment_log_close(log);
    sim_disk_free(other);
    sim_disk_free(disk);
}

static void a_damaged_segment_header_is_refused(void **state)
{
    (void)state;
    struct sim_disk *disk = disk_with(4);
    for (size_t at = 0; at < SEGMENT_HEADER_SIZE; at++) {
        struct sim_disk *copy = sim_disk_copy(disk, 1);
        size_t size = 0;
        sim_disk_bytes(copy, first_segment, &size)[at] ^= 0x80;
        struct segment_log *log = NULL;
        assert_int_equal(try_open(copy, &log), STATUS_CORRUPT);
        sim_disk_free(copy);
    }
    sim_disk_free(disk);
}

static void a_lost_segment_in_the_middle_is_refused(void **state)
{
    (void)state;
    struct sim_disk *disk = disk_with(700); // Several segments.
    struct directory directory = sim_disk_directory(disk);
    assert_int_equal(directory_remove(&directory, "segment-0000000000000001"), STATUS_OK);
    struct segment_log *log = NULL;
    assert_int_equal(try_open(disk, &log), STATUS_CORRUPT);
    sim_disk_free(disk);
}

static void the_log_of_another_group_is_refused(void **state)
{
    (void)state;
    struct sim_disk *disk = disk_with(2);
    struct segment_log_options options = log_options(disk);
    struct segment_log *log = NULL;
    options.group = GROUP + 1;
    assert_int_equal(try_open_with(&options, &log), STATUS_REFUSED);
    sim_disk_free(disk);
}

static void a_group_commit_torn_in_its_first_frame_is_a_torn_tail(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    fill(log, 3, 1);
    for (unsigned i = 0; i < 4; i++) {
        append(log, 1, 50);
    }
    struct log_entry torn;
    assert_true(segment_log_entry(log, 4, &torn));
    write_all(log); // One write: the later frames' marks do not cover the earlier ones.
    segment_log_close(log);
    size_t size = 0;
    sim_disk_bytes(disk, first_segment, &size)[torn.position + 60] ^= 1;
    log = open_log(disk);
    assert_int_equal(segment_log_last_index(log), 3);
    fill(log, 1, 2); // As large as the torn one: what lay behind it must not come back.
    segment_log_close(log);
    log = open_log(disk);
    assert_int_equal(segment_log_last_index(log), 4);
    segment_log_close(log);
    sim_disk_free(disk);
}

/* The mark of a cut that was done must not come back: it would zero what was written since. */
static void damage_to_a_mark_repeats_no_cut(void **state)
{
    (void)state;
    enum { KEPT = 6, COUNT = 20 };
    struct sim_disk *disk = disk_with(COUNT);
    struct segment_log *log = open_log(disk);
    segment_log_truncate(log, KEPT + 1);
    fill(log, COUNT - KEPT, 2);
    segment_log_close(log);
    for (unsigned i = 0; i < 2; i++) {
        const char *name = i == 0 ? "cut.0" : "cut.1";
        struct sim_disk *copy = sim_disk_copy(disk, 1);
        size_t size = 0;
        uint8_t *bytes = sim_disk_bytes(copy, name, &size);
        bytes[size / 2] ^= 1;
        log = open_log(copy);
        assert_int_equal(segment_log_last_index(log), COUNT);
        assert_entry_on_disk(log, KEPT + 1, 2);
        segment_log_close(log);
        sim_disk_free(copy);
    }
    sim_disk_free(disk);
}

/* As a file system may leave it that has the bytes but not yet the size. */
static void a_frame_that_ends_behind_its_file_is_not_taken(void **state)
{
    (void)state;
    struct sim_disk *disk = disk_with(3);
    struct log_entry last;
    log_places(disk, 3, &last, 1);
    // Its payload becomes zeros, as they are read where there is no file any more.
    size_t size = 0;
    uint8_t *bytes = sim_disk_bytes(disk, first_segment, &size);
    uint8_t *frame_bytes = bytes + last.position;
    struct log_frame frame;
    assert_int_equal(log_frame_decode(slice_of(frame_bytes, 100), GROUP, &frame), STATUS_OK);
    memset(frame_bytes + LOG_FRAME_HEADER_SIZE, 0, frame.payload_size);
    frame.payload_crc = crc32c(0, frame_bytes + LOG_FRAME_HEADER_SIZE, frame.payload_size);
    log_frame_encode(&frame, GROUP, frame_bytes);
    struct sim_disk *copy = sim_disk_new(1);
    struct directory directory = sim_disk_directory(copy);
    struct file *file = NULL;
    size_t kept = (size_t)last.position + LOG_FRAME_HEADER_SIZE;
    assert_int_equal(directory_create(&directory, first_segment, kept, &file), STATUS_OK);
    directory_close_file(&directory, file);
    size_t copied = 0;
    memcpy(sim_disk_bytes(copy, first_segment, &copied), bytes, kept);
    assert_int_equal(copied, kept);
    struct segment_log *log = open_log(copy);
    assert_int_equal(segment_log_last_index(log), 2);
    fill(log, 2, 2);
    segment_log_close(log);
    log = open_log(copy);
    assert_int_equal(segment_log_last_index(log), 4);
    assert_entry_on_disk(log, 3, 2);
    segment_log_close(log);
    sim_disk_free(copy);
    sim_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_cut_at_any_byte_of_its_last_three_frames_ends_before_the_cut),
        cmocka_unit_test(a_last_block_torn_at_any_byte_of_its_rewriting_keeps_what_was_synced),
        cmocka_unit_test(a_crash_within_a_write_keeps_what_was_synced_wherever_it_ends_in_a_block),
        cmocka_unit_test(what_a_killed_process_wrote_is_durable_once_it_was_found),
        cmocka_unit_test(any_flipped_byte_of_the_last_frame_cuts_just_that_frame),
        cmocka_unit_test(any_flipped_byte_below_the_durable_mark_is_refused_and_not_cut),
        cmocka_unit_test(a_frame_of_another_history_does_not_continue_the_log),
        cmocka_unit_test(a_damaged_segment_header_is_refused),
        cmocka_unit_test(a_lost_segment_in_the_middle_is_refused),
        cmocka_unit_test(the_log_of_another_group_is_refused),
        cmocka_unit_test(a_group_commit_torn_in_its_first_frame_is_a_torn_tail),
        cmocka_unit_test(damage_to_a_mark_repeats_no_cut),
        cmocka_unit_test(a_frame_that_ends_behind_its_file_is_not_taken),
    };
    return cmocka_run_group_tests_name("log_recovery", tests, NULL, NULL);
}
