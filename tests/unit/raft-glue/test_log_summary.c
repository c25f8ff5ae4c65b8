/* Summaries of complete segments: a start believes them exactly as far as the segments agree. The
 * oracle is the same disk without them. */
#include "tests/unit/raft-glue/log_fixture.h"

#include "common/base/random.h"

#include <stdio.h>

enum { SEGMENTS_MAX = 64 };

static enum status try_open_settled(struct sim_disk *disk, uint64_t settled,
                                    struct segment_log **log)
{
    struct segment_log_options options = log_options(disk);
    options.settled_index = settled;
    return try_open_with(&options, log);
}

/* Write the summaries that are due; how many. */
static unsigned summarize(struct segment_log *log)
{
    struct log_summary_job job;
    unsigned count = 0;
    for (; segment_log_summary_begin(log, &job); count++) {
        assert_false(segment_log_summary_begin(log, &(struct log_summary_job){0}));
        assert_int_equal(log_summary_run(&job), STATUS_OK);
        segment_log_summary_end(log, &job);
    }
    return count;
}

static const char *summary_name(uint64_t number)
{
    static char name[DIRECTORY_NAME_MAX];
    summary_name_format(number, name);
    return name;
}

static const char *segment_name(uint64_t number)
{
    static char name[DIRECTORY_NAME_MAX];
    segment_name_format(number, name);
    return name;
}

static bool has_summary(struct sim_disk *disk, uint64_t number)
{
    size_t size;
    return sim_disk_bytes(disk, summary_name(number), &size) != NULL;
}

static void put_file(struct sim_disk *disk, const char *name, const uint8_t *bytes, size_t size)
{
    struct directory directory = sim_disk_directory(disk);
    struct file *file = NULL;
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    assert_int_equal(directory_create(&directory, name, 0, &file), STATUS_OK);
    if (size > 0) {
        assert_int_equal(directory_write(&directory, file, 0, &part, 1), STATUS_OK);
    }
    assert_int_equal(directory_sync(&directory, file), STATUS_OK);
    directory_close_file(&directory, file);
    assert_int_equal(directory_sync_names(&directory), STATUS_OK);
}

/* A log of four complete segments and a begun one, with changes and several terms, summarized. */
static struct sim_disk *sample_disk(void)
{
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    for (uint64_t i = 0; segment_log_end_position(log) < 4 * SEGMENT_BYTES + 2000; i++) {
        append_typed(log, 1 + i / 30, i % 25 == 0 ? LOG_FRAME_CHANGE : LOG_FRAME_COMMAND,
                     400 + i % 300);
        write_all(log);
    }
    assert_int_equal(summarize(log), 4);
    segment_log_close(log);
    return disk;
}

/* Both logs have the same entries, ends and changes. */
static void assert_same(const struct segment_log *a, const struct segment_log *b)
{
    uint64_t first = segment_log_first_index(a);
    uint64_t last = segment_log_last_index(a);
    assert_int_equal(segment_log_first_index(b), first);
    assert_int_equal(segment_log_last_index(b), last);
    assert_int_equal(segment_log_end_position(b), segment_log_end_position(a));
    assert_int_equal(segment_log_term(b, first - 1), segment_log_term(a, first - 1));
    for (uint64_t i = first; i <= last; i++) {
        struct log_entry left;
        struct log_entry right;
        assert_true(segment_log_entry(a, i, &left) && segment_log_entry(b, i, &right));
        assert_true(left.position == right.position && left.term == right.term &&
                    left.payload_size == right.payload_size &&
                    left.header_crc == right.header_crc && left.type == right.type);
        uint64_t at_left = 0;
        uint64_t at_right = 0;
        struct slice change = segment_log_change(a, i, &at_left);
        assert_true(slice_equals(change, segment_log_change(b, i, &at_right)));
        assert_int_equal(at_left, at_right);
    }
}

/* Opening the disk gives what opening it without any summary does. */
static void assert_as_without(struct sim_disk *disk)
{
    struct sim_disk *bare = sim_disk_copy(disk, 1);
    struct directory directory = sim_disk_directory(bare);
    for (uint64_t number = 0; number < SEGMENTS_MAX; number++) {
        enum status status = directory_remove(&directory, summary_name(number));
        assert_true(status == STATUS_OK || status == STATUS_NOT_FOUND);
    }
    struct segment_log *expected = NULL;
    struct segment_log *log = NULL;
    enum status status = try_open(bare, &expected);
    assert_int_equal(try_open(disk, &log), status);
    if (status == STATUS_OK) {
        assert_same(log, expected);
    }
    segment_log_close(log);
    segment_log_close(expected);
    sim_disk_free(bare);
}

static void a_start_takes_complete_segments_from_their_summaries(void **state)
{
    (void)state;
    struct sim_disk *disk = sample_disk();
    assert_as_without(disk);
    struct segment_log *log = open_log(disk);
    assert_int_equal(summarize(log), 0); // All of them were good.
    struct log_entry entry;
    uint64_t last = segment_log_last_index(log);
    assert_true(segment_log_entry(log, 30, &entry));
    segment_log_close(log);
    // The proof that segments are not read: a payload in one is damaged.
    *log_byte(disk, entry.position + LOG_FRAME_HEADER_SIZE + 10) ^= 0x10;
    log = open_log(disk);
    assert_int_equal(segment_log_last_index(log), last);
    segment_log_close(log);
    struct directory directory = sim_disk_directory(disk);
    enum status status = directory_remove(&directory, summary_name(entry.position / SEGMENT_BYTES));
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(try_open(disk, &log), STATUS_CORRUPT);
    sim_disk_free(disk);
}

static void a_segment_gets_its_summary_when_it_is_complete_and_durable(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    while (segment_log_end_position(log) < SEGMENT_BYTES) {
        assert_int_equal(summarize(log), 0);
        append(log, 1, 1000);
    }
    assert_int_equal(summarize(log), 0);
    assert_int_equal(segment_log_complete_index(log), 0);
    write_all(log);
    assert_int_equal(segment_log_complete_index(log), segment_log_last_index(log) - 1);
    assert_int_equal(summarize(log), 1);
    assert_true(has_summary(disk, 0));
    assert_int_equal(summarize(log), 0);
    segment_log_close(log);
    sim_disk_free(disk);
}

static void a_damaged_or_missing_summary_costs_only_its_making(void **state)
{
    (void)state;
    struct sim_disk *disk = sample_disk();
    size_t size = 0;
    const uint8_t *bytes = sim_disk_bytes(disk, summary_name(1), &size);
    assert_non_null(bytes);
    for (size_t at = 0; at <= size; at++) {
        struct sim_disk *cut = sim_disk_copy(disk, 1);
        put_file(cut, summary_name(1), bytes, at);
        struct segment_log *log = open_log(cut);
        assert_int_equal(summarize(log), at == size ? 0 : 1);
        segment_log_close(log);
        assert_as_without(cut);
        sim_disk_free(cut);
        struct sim_disk *flipped = sim_disk_copy(disk, 1);
        if (at < size) {
            *file_byte(flipped, summary_name(1), at) ^= 0x10;
            log = open_log(flipped);
            assert_int_equal(summarize(log), 1);
            segment_log_close(log);
        }
        sim_disk_free(flipped);
    }
    sim_disk_free(disk);
}

static void damage_that_a_summary_could_hide_is_seen_where_it_matters(void **state)
{
    (void)state;
    struct sim_disk *disk = sample_disk();
    struct segment_log *log = open_log(disk);
    struct log_entry last = {0};
    for (uint64_t i = 1; i <= segment_log_complete_index(log); i++) {
        struct log_entry entry;
        assert_true(segment_log_entry(log, i, &entry));
        last = entry.position / SEGMENT_BYTES == 1 ? entry : last;
    }
    segment_log_close(log);
    const size_t places[] = {
        0,                                  // The segment's header,
        SEGMENT_HEADER_SIZE + 20,           // its first frame's,
        last.position % SEGMENT_BYTES + 20, // its last one's,
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct sim_disk *copy = sim_disk_copy(disk, 1);
        *file_byte(copy, segment_name(1), places[i]) ^= 0x10;
        assert_int_equal(try_open(copy, &log), STATUS_CORRUPT);
        sim_disk_free(copy);
    }
    struct sim_disk *copy = sim_disk_copy(disk, 1); // and a membership.
    uint64_t at = 0;
    log = open_log(copy);
    segment_log_change(log, segment_log_complete_index(log), &at);
    struct log_entry change;
    assert_true(segment_log_entry(log, at, &change));
    segment_log_close(log);
    *log_byte(copy, change.position + LOG_FRAME_HEADER_SIZE) ^= 0x10;
    assert_int_equal(try_open(copy, &log), STATUS_CORRUPT);
    sim_disk_free(copy);
    sim_disk_free(disk);
}

static void the_summary_of_another_segment_or_group_is_not_taken(void **state)
{
    (void)state;
    struct sim_disk *disk = sample_disk();
    size_t size = 0;
    const uint8_t *bytes = sim_disk_bytes(disk, summary_name(2), &size);
    put_file(disk, summary_name(1), bytes, size);
    put_file(disk, summary_name(4), bytes, size); // The log goes on there: it has none.
    put_file(disk, summary_name(9), bytes, size); // No such segment.
    assert_as_without(disk);
    struct segment_log *log = open_log(disk);
    assert_false(has_summary(disk, 4));
    assert_false(has_summary(disk, 9));
    assert_int_equal(summarize(log), 1);
    segment_log_close(log);
    sim_disk_free(disk);
}

/* Cut back into a complete segment and write other entries of the same sizes; the old summary is
 * put back behind the log's back. */
static void a_summary_from_before_a_truncation_is_found_out(void **state)
{
    (void)state;
    for (uint64_t back = 1; back < 60; back++) {
        struct sim_disk *disk = sim_disk_new(1);
        struct segment_log *log = open_log(disk);
        for (uint64_t i = 0; i < 70; i++) {
            append(log, 1, 700);
        }
        write_all(log);
        unsigned before = summarize(log);
        struct sim_disk *old = sim_disk_copy(disk, 1);
        uint64_t last = segment_log_last_index(log);
        segment_log_truncate(log, last + 1 - back);
        for (uint64_t i = 0; i < back; i++) {
            append(log, 2, 700);
        }
        write_all(log);
        for (uint64_t number = 0; number < before; number++) {
            size_t size = 0;
            const uint8_t *bytes = sim_disk_bytes(old, summary_name(number), &size);
            put_file(disk, summary_name(number), bytes, size);
        }
        segment_log_close(log);
        assert_as_without(disk);
        log = open_log(disk);
        assert_int_equal(segment_log_term(log, last), 2);
        assert_int_equal(segment_log_term(log, last - back), 1);
        segment_log_close(log);
        sim_disk_free(old);
        sim_disk_free(disk);
    }
}

/* The frame that began segment 1 goes; a smaller one fits into segment 0 after all. */
static void a_segment_that_takes_a_frame_again_is_complete_no_more(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    append(log, 1, SEGMENT_BYTES - 1000);
    append(log, 1, 5000);
    write_all(log);
    assert_int_equal(summarize(log), 1);
    segment_log_truncate(log, 2);
    assert_int_equal(segment_log_complete_index(log), 0);
    append(log, 2, 100);
    append(log, 2, 5000);
    write_all(log);
    struct log_entry entry;
    assert_true(segment_log_entry(log, 2, &entry));
    assert_int_equal(entry.position / SEGMENT_BYTES, 0);
    struct sim_disk *stopped = sim_disk_copy(disk, 1);
    assert_as_without(stopped); // The summary on disk is that of before.
    sim_disk_free(stopped);
    assert_int_equal(summarize(log), 1);
    segment_log_close(log);
    assert_as_without(disk);
    sim_disk_free(disk);
}

static void a_crash_at_any_step_of_making_one_leaves_the_log_as_it_is(void **state)
{
    (void)state;
    for (uint64_t steps = 0; steps < 8; steps++) {
        struct sim_disk *disk = sim_disk_new(steps);
        struct segment_log *log = open_log(disk);
        for (uint64_t i = 0; i < 40; i++) {
            append(log, 1, 700);
        }
        write_all(log);
        struct log_summary_job job;
        assert_true(segment_log_summary_begin(log, &job));
        sim_disk_die_after(disk, steps);
        enum status status = log_summary_run(&job);
        (void)status;
        segment_log_summary_end(log, &job);
        segment_log_close(log);
        sim_disk_crash(disk);
        assert_as_without(disk);
        sim_disk_free(disk);
    }
}

static void removed_segments_take_their_summaries_with_them(void **state)
{
    (void)state;
    struct sim_disk *disk = sample_disk();
    struct segment_log *log = open_log(disk);
    uint64_t first = segment_log_remove_prefix(log, segment_log_complete_index(log));
    assert_true(first > 1);
    write_all(log);
    assert_false(has_summary(disk, 0));
    assert_false(has_summary(disk, 1));
    segment_log_close(log);
    assert_as_without(disk);
    sim_disk_free(disk);
}

static void one_that_cannot_be_written_is_made_at_the_next_start(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    for (uint64_t i = 0; i < 40; i++) {
        append(log, 1, 700);
    }
    write_all(log);
    struct log_summary_job job;
    assert_true(segment_log_summary_begin(log, &job));
    segment_log_summary_end(log, &job); // Not run: as if the disk was full.
    assert_int_equal(summarize(log), 0);
    segment_log_close(log);
    log = open_log(disk);
    assert_int_equal(summarize(log), 1);
    segment_log_close(log);
    sim_disk_free(disk);
}

/* --- Packing: what is settled and summarized takes less memory (log_pack.h) --- */

/* How many entries from the first on have lost their checksums; the others have them. */
static uint64_t packed(const struct segment_log *log)
{
    uint64_t count = 0;
    struct log_entry entry;
    uint64_t first = segment_log_first_index(log);
    while (segment_log_entry(log, first + count, &entry) && entry.header_crc == 0) {
        count++;
    }
    for (uint64_t i = first + count; segment_log_entry(log, i, &entry); i++) {
        assert_int_not_equal(entry.header_crc, 0);
    }
    return count;
}

static struct segment_log *many_small_entries(struct sim_disk *disk, uint64_t count)
{
    struct segment_log *log = open_log(disk);
    for (uint64_t i = 0; i < count; i++) {
        append(log, 1 + i / 1000, i % 50);
    }
    write_all(log);
    return log;
}

static void entries_are_packed_once_they_are_settled_and_summarized(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = many_small_entries(disk, 3000);
    struct segment_log *bare = NULL;
    segment_log_settle(log, 1600);
    append(log, 3, 10);
    write_all(log);
    assert_int_equal(packed(log), 0); // No summary yet.
    summarize(log);
    append(log, 3, 10);
    write_all(log);
    assert_int_equal(packed(log), 1600 / LOG_CHUNK_ENTRIES * LOG_CHUNK_ENTRIES - 1);
    struct sim_disk *copy = sim_disk_copy(disk, 1);
    assert_int_equal(try_open(copy, &bare), STATUS_OK);
    assert_int_equal(packed(bare), 0);
    for (uint64_t i = 1; i <= segment_log_last_index(log); i++) {
        struct log_entry left;
        struct log_entry right;
        assert_true(segment_log_entry(log, i, &left) && segment_log_entry(bare, i, &right));
        assert_true(left.position == right.position && left.term == right.term &&
                    left.payload_size == right.payload_size && left.type == right.type);
    }
    segment_log_close(bare);
    segment_log_close(log);
    sim_disk_free(copy);
    sim_disk_free(disk);
}

static void what_follows_the_settled_may_be_truncated(void **state)
{
    (void)state;
    // Around a chunk's end: there the last entry that stays is a packed one's neighbour.
    for (uint64_t settled = 2 * LOG_CHUNK_ENTRIES - 2; settled <= 2 * LOG_CHUNK_ENTRIES + 1;
         settled++) {
        struct sim_disk *disk = sim_disk_new(1);
        struct segment_log *log = many_small_entries(disk, 2000);
        summarize(log);
        segment_log_settle(log, settled);
        append(log, 2, 10);
        write_all(log);
        assert_true(packed(log) > 0);
        segment_log_truncate(log, settled + 1);
        append(log, 7, 30);
        write_all(log);
        segment_log_close(log);
        assert_as_without(disk);
        assert_int_equal(try_open_settled(disk, settled, &log), STATUS_OK);
        assert_int_equal(segment_log_last_index(log), settled + 1);
        assert_int_equal(segment_log_term(log, settled + 1), 7);
        segment_log_close(log);
        sim_disk_free(disk);
    }
}

static void a_start_packs_what_it_takes_from_summaries(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = many_small_entries(disk, 3000);
    summarize(log);
    uint64_t complete = segment_log_complete_index(log);
    segment_log_close(log);
    assert_int_equal(try_open_settled(disk, 3000, &log), STATUS_OK);
    uint64_t count = packed(log);
    assert_true(count + 1 <= complete && count + 2 * LOG_CHUNK_ENTRIES > complete);
    segment_log_close(log);
    // One without a summary: what lies behind it waits until it has one.
    struct directory directory = sim_disk_directory(disk);
    assert_int_equal(directory_remove(&directory, summary_name(0)), STATUS_OK);
    assert_int_equal(try_open_settled(disk, 3000, &log), STATUS_OK);
    assert_int_equal(packed(log), 0);
    assert_int_equal(summarize(log), 1);
    append(log, 3, 10);
    write_all(log);
    assert_int_equal(packed(log), count);
    segment_log_close(log);
    assert_as_without(disk);
    sim_disk_free(disk);
}

/* --- Whatever happens --- */

static void change_at_random(struct random *random, struct segment_log *log, uint64_t *term)
{
    uint64_t last = segment_log_last_index(log);
    uint64_t first = segment_log_first_index(log);
    switch (random_below(random, 10)) {
    case 0:
        if (last > first) {
            segment_log_truncate(
                log, last - random_below(random, last - first < 40 ? last - first : 40));
            *term += 1;
        }
        return;
    case 1:
        if (last > 20) {
            segment_log_remove_prefix(log, last - 20);
        }
        return;
    case 2: {
        struct log_summary_job job;
        if (segment_log_summary_begin(log, &job)) {
            enum status status = log_summary_run(&job);
            (void)status;
            segment_log_summary_end(log, &job);
        }
        return;
    }
    default:
        append_typed(log, *term,
                     random_below(random, 20) == 0 ? LOG_FRAME_CHANGE : LOG_FRAME_COMMAND,
                     random_below(random, 10) == 0 ? 6000 : 20 + random_below(random, 900));
    }
}

static void random_lives_give_what_reading_everything_gives(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct random random = {seed};
        struct sim_disk *disk = sim_disk_new(seed);
        uint64_t term = 1;
        for (int life = 0; life < 6; life++) {
            struct segment_log *log = open_log(disk);
            bool dying = random_below(&random, 2) == 0;
            for (int i = 0; i < 150; i++) {
                change_at_random(&random, log, &term);
                if (i == 100 && dying) {
                    sim_disk_die_after(disk, random_below(&random, 30));
                }
                bool alive = true;
                while (alive && random_below(&random, 2) == 0 && segment_log_wants_write(log)) {
                    struct log_write *write = segment_log_write_begin(log);
                    alive = log_write_run(write) == STATUS_OK;
                    if (alive) {
                        segment_log_write_end(log, write);
                    } else {
                        segment_log_write_abandon(log, write);
                    }
                }
                if (!alive) {
                    break;
                }
            }
            segment_log_close(log);
            sim_disk_crash(disk);
            assert_as_without(disk);
        }
        sim_disk_free(disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_takes_complete_segments_from_their_summaries),
        cmocka_unit_test(a_segment_gets_its_summary_when_it_is_complete_and_durable),
        cmocka_unit_test(a_damaged_or_missing_summary_costs_only_its_making),
        cmocka_unit_test(damage_that_a_summary_could_hide_is_seen_where_it_matters),
        cmocka_unit_test(the_summary_of_another_segment_or_group_is_not_taken),
        cmocka_unit_test(a_summary_from_before_a_truncation_is_found_out),
        cmocka_unit_test(a_segment_that_takes_a_frame_again_is_complete_no_more),
        cmocka_unit_test(a_crash_at_any_step_of_making_one_leaves_the_log_as_it_is),
        cmocka_unit_test(removed_segments_take_their_summaries_with_them),
        cmocka_unit_test(one_that_cannot_be_written_is_made_at_the_next_start),
        cmocka_unit_test(entries_are_packed_once_they_are_settled_and_summarized),
        cmocka_unit_test(what_follows_the_settled_may_be_truncated),
        cmocka_unit_test(a_start_packs_what_it_takes_from_summaries),
        cmocka_unit_test(random_lives_give_what_reading_everything_gives),
    };
    return cmocka_run_group_tests_name("log_summary", tests, NULL, NULL);
}
