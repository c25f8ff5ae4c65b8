/* The log on a full disk: it waits, loses nothing, and goes on by itself; before that it has its
 * reserve. */
#include "tests/unit/raft-glue/log_fixture.h"

#include "common/base/random.h"

enum { PAYLOAD = 1000, PER_SEGMENT = 15 };

static void append_many(struct segment_log *log, uint64_t term, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        append(log, term, PAYLOAD);
    }
}

static enum status make_reserve(struct segment_log *log)
{
    struct log_reserve_job job;
    assert_true(segment_log_reserve_begin(log, &job));
    assert_false(segment_log_reserve_begin(log, &(struct log_reserve_job){0}));
    enum status status = log_reserve_run(&job);
    segment_log_reserve_end(log, status);
    return status;
}

/* No more than there is now. */
static void fill_disk(struct sim_disk *disk)
{
    sim_disk_limit(disk, 0);
}

static void assert_whole(struct sim_disk *disk, uint64_t last)
{
    struct segment_log *log = open_log(disk);
    assert_int_equal(segment_log_last_index(log), last);
    struct log_load load;
    for (uint64_t i = 1; i <= last; i += load.count) {
        assert_int_equal(segment_log_load_begin(log, i, last, SEGMENT_BYTES, &load), STATUS_OK);
        log_load_run(&load);
        assert_int_equal(load.status, STATUS_OK);
        segment_log_load_end(log, &load);
    }
    segment_log_close(log);
}

static void without_room_writes_wait_and_go_on_by_themselves(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    append_many(log, 1, 3);
    write_all(log);
    fill_disk(disk);
    append_many(log, 1, 2 * PER_SEGMENT); // In one group commit.
    write_all(log);
    // The segment that was there is full, and synced.
    assert_int_equal(segment_log_durable_index(log), PER_SEGMENT);
    assert_int_equal(segment_log_room(log), LOG_ROOM_NONE);
    assert_false(segment_log_wants_write(log));
    assert_int_equal(segment_log_last_index(log), 3 + 2 * PER_SEGMENT);
    for (int i = 0; i < 3; i++) {
        segment_log_retry(log);
        assert_true(segment_log_wants_write(log));
        write_all(log);
        assert_int_equal(segment_log_durable_index(log), PER_SEGMENT);
        assert_int_equal(segment_log_room(log), LOG_ROOM_NONE);
    }
    append(log, 1, PAYLOAD);
    assert_false(segment_log_wants_write(log));
    sim_disk_limit(disk, UINT64_MAX);
    segment_log_retry(log);
    write_all(log);
    assert_int_equal(segment_log_durable_index(log), segment_log_last_index(log));
    assert_int_equal(segment_log_room(log), LOG_ROOM_FINE);
    segment_log_close(log);
    assert_whole(disk, 4 + 2 * PER_SEGMENT);
    sim_disk_free(disk);
}

static void the_log_goes_on_in_its_reserve(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    append(log, 1, PAYLOAD);
    write_all(log);
    assert_int_equal(make_reserve(log), STATUS_OK);
    assert_int_equal(segment_log_room(log), LOG_ROOM_FINE);
    fill_disk(disk);
    append_many(log, 1, PER_SEGMENT);
    write_all(log);
    assert_int_equal(segment_log_durable_index(log), 1 + PER_SEGMENT);
    assert_int_equal(segment_log_room(log), LOG_ROOM_LOW);
    append_many(log, 1, PER_SEGMENT);
    write_all(log);
    assert_int_equal(segment_log_durable_index(log), 2 * PER_SEGMENT);
    assert_int_equal(segment_log_room(log), LOG_ROOM_NONE);
    assert_int_equal(make_reserve(log), STATUS_DISK_FULL);
    sim_disk_limit(disk, UINT64_MAX);
    segment_log_retry(log);
    write_all(log);
    assert_int_equal(segment_log_room(log), LOG_ROOM_LOW); // Until there is a reserve again.
    assert_int_equal(make_reserve(log), STATUS_OK);
    assert_int_equal(segment_log_room(log), LOG_ROOM_FINE);
    segment_log_close(log);
    assert_whole(disk, 1 + 2 * PER_SEGMENT);
    sim_disk_free(disk);
}

static void a_disk_without_room_for_a_reserve_counts_as_low(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    append(log, 1, PAYLOAD);
    write_all(log);
    fill_disk(disk);
    assert_int_equal(segment_log_room(log), LOG_ROOM_FINE); // Nobody has tried.
    assert_int_equal(make_reserve(log), STATUS_DISK_FULL);
    assert_int_equal(segment_log_room(log), LOG_ROOM_LOW);
    segment_log_close(log);
    sim_disk_free(disk);
}

static void a_reserve_is_found_again_at_the_next_start(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    append(log, 1, PAYLOAD);
    write_all(log);
    assert_int_equal(make_reserve(log), STATUS_OK);
    segment_log_close(log);
    sim_disk_crash(disk);
    log = open_log(disk);
    assert_false(segment_log_reserve_begin(log, &(struct log_reserve_job){0}));
    fill_disk(disk);
    append_many(log, 1, PER_SEGMENT);
    write_all(log);
    assert_int_equal(segment_log_durable_index(log), 1 + PER_SEGMENT);
    segment_log_close(log);
    assert_whole(disk, 1 + PER_SEGMENT);
    sim_disk_free(disk);
}

static void segments_cut_at_the_front_give_room(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    append_many(log, 1, 3 * PER_SEGMENT);
    write_all(log);
    fill_disk(disk);
    append_many(log, 1, PER_SEGMENT);
    write_all(log);
    assert_int_equal(segment_log_room(log), LOG_ROOM_NONE);
    assert_int_equal(segment_log_remove_prefix(log, PER_SEGMENT + 1), PER_SEGMENT + 1);
    write_all(log); // Recycling is done whatever room there is.
    assert_int_equal(segment_log_durable_index(log), 4 * PER_SEGMENT);
    assert_int_equal(segment_log_room(log), LOG_ROOM_FINE);
    segment_log_close(log);
    sim_disk_free(disk);
}

static unsigned count_files(struct sim_disk *disk, const char *prefix);

/* A great many at once: most of them are given back to the disk, a few with each write. */
static void most_segments_cut_at_the_front_leave_the_disk(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    for (int i = 0; i < 30; i++) {
        append_many(log, 1, PER_SEGMENT);
        write_all(log);
    }
    assert_int_equal(count_files(disk, "segment-"), 30);
    segment_log_remove_prefix(log, 28 * PER_SEGMENT + 1);
    append(log, 1, PAYLOAD);
    struct log_write *write = segment_log_write_begin(log);
    assert_int_equal(log_write_run(write), STATUS_OK);
    segment_log_write_end(log, write);
    assert_int_equal(segment_log_durable_index(log), segment_log_last_index(log));
    assert_in_range(count_files(disk, "segment-"), 20, 25);
    segment_log_remove_prefix(log, 29 * PER_SEGMENT + 1); // While some are still to go.
    write_all(log);
    assert_int_equal(count_files(disk, "segment-"), 2);
    assert_in_range(count_files(disk, "spare-"), 1, 2);
    segment_log_close(log);
    log = open_log(disk);
    assert_int_equal(segment_log_first_index(log), 29 * PER_SEGMENT + 1);
    assert_int_equal(segment_log_last_index(log), 30 * PER_SEGMENT + 1);
    segment_log_close(log);
    sim_disk_free(disk);
}

static void spares_left_over_go_at_a_start(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct directory directory = sim_disk_directory(disk);
    for (uint64_t number = 1; number <= 20; number++) {
        char name[DIRECTORY_NAME_MAX];
        struct file *file = NULL;
        spare_name_format(number, name);
        assert_int_equal(directory_create(&directory, name, SEGMENT_BYTES, &file), STATUS_OK);
        directory_close_file(&directory, file);
    }
    segment_log_close(open_log(disk));
    assert_int_equal(count_files(disk, "spare-"), 2);
    sim_disk_free(disk);
}

struct counted {
    const char *prefix;
    unsigned count;
};

static void on_name(void *argument, const char *name)
{
    struct counted *counted = argument;
    counted->count += strncmp(name, counted->prefix, strlen(counted->prefix)) == 0;
}

static unsigned count_files(struct sim_disk *disk, const char *prefix)
{
    struct directory directory = sim_disk_directory(disk);
    struct counted counted = {.prefix = prefix};
    assert_int_equal(directory_list(&directory, on_name, &counted), STATUS_OK);
    return counted.count;
}

static void a_segment_file_without_its_blocks_is_made_anew(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct directory directory = sim_disk_directory(disk);
    struct segment_log *log = open_log(disk);
    append_many(log, 1, PER_SEGMENT);
    write_all(log);
    struct file *file = NULL;
    assert_int_equal(directory_create(&directory, "segment-0000000000000001", 100, &file),
                     STATUS_OK);
    directory_close_file(&directory, file);
    segment_log_close(log);
    log = open_log(disk);
    append(log, 1, PAYLOAD);
    write_all(log);
    size_t size = 0;
    assert_non_null(sim_disk_bytes(disk, "segment-0000000000000001", &size));
    assert_int_equal(size, SEGMENT_BYTES);
    segment_log_close(log);
    assert_whole(disk, PER_SEGMENT + 1);
    sim_disk_free(disk);
}

static void a_write_that_fails_in_the_middle_of_a_segment_is_an_error(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    append(log, 1, PAYLOAD);
    struct log_write *write = segment_log_write_begin(log);
    sim_disk_die_after(disk, 2); // The file is there; the write itself fails.
    assert_int_equal(log_write_run(write), STATUS_IO);
    segment_log_write_abandon(log, write);
    segment_log_close(log);
    sim_disk_free(disk);
}

/* --- Whatever happens --- */

enum { LIVES = 8, STEPS = 120, ENTRIES_MAX = LIVES * STEPS * 8 };

struct life {
    struct random random;
    struct sim_disk *disk;
    struct segment_log *log;
    uint64_t term;
    uint64_t terms[ENTRIES_MAX]; /* Of the entries of the log, by index. */
    uint64_t durable;            /* What may never be lost. */
};

static void step(struct life *life)
{
    struct segment_log *log = life->log;
    uint64_t last = segment_log_last_index(log);
    switch (random_below(&life->random, 12)) {
    case 0:
        sim_disk_limit(life->disk, random_below(&life->random, 3) == 0 ? UINT64_MAX : 0);
        return;
    case 1:
        segment_log_retry(log);
        return;
    case 2: {
        struct log_reserve_job job;
        if (segment_log_reserve_begin(log, &job)) {
            segment_log_reserve_end(log, log_reserve_run(&job));
        }
        return;
    }
    case 3:
        if (last > 1) {
            uint64_t back = random_below(&life->random, last - 1 < 30 ? last - 1 : 30);
            segment_log_truncate(log, last - back);
            uint64_t left = last - back - 1;
            life->durable = life->durable < left ? life->durable : left;
            life->term++;
        }
        return;
    default:
        append_many(log, life->term, 1 + (unsigned)random_below(&life->random, 8));
        for (uint64_t i = last + 1; i <= segment_log_last_index(log); i++) {
            life->terms[i] = life->term;
        }
    }
}

/* A write during which other things happen. */
static bool write_some(struct life *life)
{
    struct segment_log *log = life->log;
    if (!segment_log_wants_write(log)) {
        return true;
    }
    struct log_write *write = segment_log_write_begin(log);
    enum status status = log_write_run(write);
    for (uint64_t i = random_below(&life->random, 3); i > 0; i--) {
        step(life);
    }
    if (status != STATUS_OK) {
        segment_log_write_abandon(log, write);
        return false;
    }
    segment_log_write_end(log, write);
    life->durable = segment_log_durable_index(log);
    return true;
}

static void nothing_durable_is_lost_however_room_comes_and_goes(void **state)
{
    (void)state;
    static struct life life;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        life = (struct life){.random = {seed}, .disk = sim_disk_new(seed), .term = 1};
        for (int i = 0; i < LIVES; i++) {
            sim_disk_limit(life.disk, UINT64_MAX);
            life.log = open_log(life.disk);
            uint64_t last = segment_log_last_index(life.log);
            assert_true(last >= life.durable);
            for (uint64_t index = 1; index <= life.durable; index++) {
                assert_int_equal(segment_log_term(life.log, index), life.terms[index]);
            }
            for (uint64_t index = life.durable + 1; index <= last; index++) {
                life.terms[index] = segment_log_term(life.log, index);
            }
            life.durable = last;
            life.term++;
            if (random_below(&life.random, 2) == 0) {
                sim_disk_die_after(life.disk, 20 + random_below(&life.random, 200));
            }
            bool alive = true;
            for (int s = 0; s < STEPS && alive; s++) {
                step(&life);
                alive = write_some(&life);
            }
            segment_log_close(life.log);
            sim_disk_crash(life.disk);
        }
        sim_disk_free(life.disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_room_writes_wait_and_go_on_by_themselves),
        cmocka_unit_test(the_log_goes_on_in_its_reserve),
        cmocka_unit_test(a_disk_without_room_for_a_reserve_counts_as_low),
        cmocka_unit_test(a_reserve_is_found_again_at_the_next_start),
        cmocka_unit_test(segments_cut_at_the_front_give_room),
        cmocka_unit_test(most_segments_cut_at_the_front_leave_the_disk),
        cmocka_unit_test(spares_left_over_go_at_a_start),
        cmocka_unit_test(a_segment_file_without_its_blocks_is_made_anew),
        cmocka_unit_test(a_write_that_fails_in_the_middle_of_a_segment_is_an_error),
        cmocka_unit_test(nothing_durable_is_lost_however_room_comes_and_goes),
    };
    return cmocka_run_group_tests_name("log_room", tests, NULL, NULL);
}
