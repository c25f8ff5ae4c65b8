/* The segment log on a simulated disk: recovery after every kind of damage, truncation, recycling.
 */
#include "tests/support/test.h"

#include "common/base/crc32c.h"
#include "raft-glue/segment_file.h"
#include "raft-glue/segment_log.h"
#include "tests/sim/sim_disk.h"

enum { GROUP = 42, SEGMENT_BYTES = 16 * 1024, CACHE_BYTES = 1024 * 1024 };

static const char first_segment[] = "segment-0000000000000000";

static enum status open_as(struct sim_disk *disk, uint64_t group, size_t cache,
                           struct segment_log **log)
{
    struct segment_log_options options = {.directory = sim_disk_directory(disk),
                                          .group = group,
                                          .segment_size = SEGMENT_BYTES,
                                          .cache_size = cache};
    char *error = NULL;
    enum status status = segment_log_open(&options, log, &error);
    assert_true((status == STATUS_OK) == (error == NULL));
    free(error);
    return status;
}

static struct segment_log *open_log(struct sim_disk *disk)
{
    struct segment_log *log = NULL;
    assert_int_equal(open_as(disk, GROUP, CACHE_BYTES, &log), STATUS_OK);
    return log;
}

/* Append an entry whose payload of non-zero bytes follows from index, term and size. */
static void append(struct segment_log *log, uint64_t term, size_t size)
{
    struct block *block = block_new(size);
    uint64_t index = segment_log_last_index(log) + 1;
    memset(block->data, (int)(1 + (index * 7 + term * 31) % 255), size);
    segment_log_append(log, term, LOG_FRAME_COMMAND, block, slice_of(block->data, size),
                       crc32c(0, block->data, size));
    block_release(block);
}

static void write_all(struct segment_log *log)
{
    while (segment_log_wants_write(log)) {
        struct log_write *write = segment_log_write_begin(log);
        assert_int_equal(log_write_run(write), STATUS_OK);
        segment_log_write_end(log, write);
    }
}

/* `count` entries of different sizes, each synced before the next is appended. */
static void fill(struct segment_log *log, unsigned count, uint64_t term)
{
    for (unsigned i = 0; i < count; i++) {
        append(log, term, 20 + i % 11);
        write_all(log);
    }
}

static struct sim_disk *disk_with(unsigned count)
{
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    fill(log, count, 1);
    segment_log_close(log);
    return disk;
}

/* Check an entry's bytes by loading it from disk. */
static void assert_entry_on_disk(struct segment_log *log, uint64_t index, uint64_t term)
{
    struct log_load load;
    assert_int_equal(segment_log_load_begin(log, index, index, 1, &load), STATUS_OK);
    log_load_run(&load);
    assert_int_equal(load.status, STATUS_OK);
    assert_int_equal(load.count, 1);
    uint8_t expected = (uint8_t)(1 + (index * 7 + term * 31) % 255);
    assert_int_equal(load.block->data[LOG_FRAME_HEADER_SIZE], expected);
    segment_log_load_end(log, &load);
}

/* Where the frames of the last entries are, from an intact log. */
static void places(struct sim_disk *disk, uint64_t first, struct log_entry *entries, size_t count)
{
    struct segment_log *log = open_log(disk);
    for (size_t i = 0; i < count; i++) {
        assert_true(segment_log_entry(log, first + i, &entries[i]));
    }
    segment_log_close(log);
}

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

static void a_log_cut_at_any_byte_of_its_last_three_frames_ends_before_the_cut(void **state)
{
    (void)state;
    enum { COUNT = 12 };
    struct sim_disk *disk = disk_with(COUNT);
    struct log_entry last[3];
    places(disk, COUNT - 2, last, 3);
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
    places(old, SYNCED, &last, 1);
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
    places(disk, COUNT, &last, 1);
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
    places(disk, COUNT - 2, entries, 2);
    uint64_t end = entries[1].position + log_frame_size(entries[1].payload_size);
    for (uint64_t at = entries[0].position; at < end; at++) {
        struct sim_disk *copy = sim_disk_copy(disk, 1);
        size_t size = 0;
        uint8_t *bytes = sim_disk_bytes(copy, first_segment, &size);
        bytes[at] ^= 0x01;
        struct segment_log *log = NULL;
        assert_int_equal(open_as(copy, GROUP, 0, &log), STATUS_CORRUPT);
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
    places(other, 3, &third, 1);
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
        assert_int_equal(open_as(copy, GROUP, 0, &log), STATUS_CORRUPT);
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
    assert_int_equal(open_as(disk, GROUP, 0, &log), STATUS_CORRUPT);
    sim_disk_free(disk);
}

static void the_log_of_another_group_is_refused(void **state)
{
    (void)state;
    struct sim_disk *disk = disk_with(2);
    struct segment_log *log = NULL;
    assert_int_equal(open_as(disk, GROUP + 1, 0, &log), STATUS_REFUSED);
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
    struct segment_log *log = NULL;
    assert_int_equal(open_as(disk, GROUP, 4096, &log), STATUS_OK);
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
    places(disk, 3, &last, 1);
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
        cmocka_unit_test(damage_to_a_mark_repeats_no_cut),
        cmocka_unit_test(a_frame_that_ends_behind_its_file_is_not_taken),
        cmocka_unit_test(entries_are_readable_at_once_and_after_reopening),
        cmocka_unit_test(a_frame_that_does_not_fit_begins_the_next_segment),
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
