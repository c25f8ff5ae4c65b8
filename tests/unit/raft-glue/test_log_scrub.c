/* The scrub: finds every damaged frame of complete segments, once, and takes its time. */
#include "tests/unit/raft-glue/log_fixture.h"

#include "raft-glue/log_scrub.h"

enum {
    PAYLOAD = 700,
    ENTRIES = 100,
    RATE = 1000 * 1000,
};

struct scene {
    struct sim_disk *disk;
    struct segment_log *log;
    struct log logger;
    struct log_scrub scrub;
    uint64_t now_ms;
};

static void scene_open(struct scene *scene, uint64_t rate)
{
    *scene = (struct scene){.disk = sim_disk_new(1), .now_ms = 5000};
    log_init(&scene->logger, stderr, LOG_SILENT, "scrub");
    struct segment_log_options options = log_options(scene->disk);
    options.log = &scene->logger;
    assert_int_equal(try_open_with(&options, &scene->log), STATUS_OK);
    for (int i = 0; i < ENTRIES; i++) {
        append(scene->log, 1, PAYLOAD);
    }
    write_all(scene->log);
    log_scrub_init(&scene->scrub, scene->log, &scene->logger, rate);
}

static void scene_close(struct scene *scene)
{
    segment_log_close(scene->log);
    sim_disk_free(scene->disk);
}

/* Let pieces be read for so long, in steps of a millisecond. */
static void scrub_for(struct scene *scene, uint64_t ms)
{
    for (uint64_t end = scene->now_ms + ms; scene->now_ms < end; scene->now_ms++) {
        struct log_load load;
        while (log_scrub_begin(&scene->scrub, scene->now_ms, &load)) {
            struct log_load other;
            assert_false(log_scrub_begin(&scene->scrub, scene->now_ms, &other));
            log_load_run(&load);
            log_scrub_end(&scene->scrub, scene->now_ms, &load);
        }
    }
}

static void damage(struct scene *scene, uint64_t index, size_t at)
{
    struct log_entry entry;
    assert_true(segment_log_entry(scene->log, index, &entry));
    *log_byte(scene->disk, entry.position + at) ^= 1;
}

static void a_pass_reads_all_complete_segments_at_the_rate_that_is_set(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, RATE);
    struct log_entry last;
    assert_true(segment_log_entry(scene.log, segment_log_complete_index(scene.log), &last));
    uint64_t pass_ms = last.position * 1000 / RATE;
    assert_true(pass_ms > 50);
    scrub_for(&scene, pass_ms / 2);
    assert_int_equal(scene.scrub.passes, 0);
    assert_in_range(scene.scrub.bytes, RATE / 1000 * pass_ms / 2 - SEGMENT_BYTES,
                    RATE / 1000 * pass_ms / 2 + SEGMENT_BYTES);
    scrub_for(&scene, pass_ms);
    assert_int_equal(scene.scrub.passes, 1);
    assert_int_equal(scene.scrub.damage_count, 0);
    uint64_t bytes = scene.scrub.bytes;
    assert_int_equal(bytes, segment_log_complete_index(scene.log) * log_frame_size(PAYLOAD));
    scrub_for(&scene, 10000);
    assert_int_equal(scene.scrub.bytes, bytes); // The next pass is a day later.
    scene.now_ms += SCRUB_PASS_PERIOD_MS;
    scrub_for(&scene, 10000);
    assert_int_equal(scene.scrub.passes, 2);
    assert_int_equal(scene.scrub.bytes, 2 * bytes);
    scene_close(&scene);
}

static void every_damaged_frame_is_found_and_told_once(void **state)
{
    (void)state;
    const uint64_t damaged[] = {1, 2, 40, 41, 60};
    enum { COUNT = sizeof damaged / sizeof damaged[0] };
    struct scene scene;
    scene_open(&scene, RATE);
    for (size_t i = 0; i < COUNT; i++) {
        damage(&scene, damaged[i], i % 2 == 0 ? LOG_FRAME_HEADER_SIZE + 5 : 20);
    }
    for (int pass = 1; pass <= 2; pass++) {
        scrub_for(&scene, 10000);
        assert_int_equal(scene.scrub.passes, pass);
        assert_int_equal(scene.scrub.damage_count, COUNT);
        scene.now_ms += SCRUB_PASS_PERIOD_MS;
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct log_entry entry;
        assert_true(segment_log_entry(scene.log, damaged[i], &entry));
        assert_int_equal(scene.scrub.damages[i].index, damaged[i]);
        assert_int_equal(scene.scrub.damages[i].position, entry.position);
    }
    scene_close(&scene);
}

static void a_segment_that_is_gone_is_damage_and_ends_no_pass(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, RATE);
    struct directory directory = sim_disk_directory(scene.disk);
    struct log_entry entry;
    uint64_t first = 1; // Of the second segment.
    do {
        assert_true(segment_log_entry(scene.log, ++first, &entry));
    } while (entry.position < SEGMENT_BYTES);
    assert_int_equal(directory_remove(&directory, "segment-0000000000000001"), STATUS_OK);
    scrub_for(&scene, 1000);
    assert_int_equal(scene.scrub.passes, 0);
    assert_int_equal(scene.scrub.damage_count, 1);
    assert_int_equal(scene.scrub.damages[0].index, first);
    scene_close(&scene);
}

static void more_damage_than_is_remembered_is_counted(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, RATE);
    uint64_t last = segment_log_complete_index(scene.log);
    assert_true(last > SCRUB_DAMAGES_MAX);
    for (uint64_t index = 1; index <= last; index++) {
        damage(&scene, index, LOG_FRAME_HEADER_SIZE);
    }
    scrub_for(&scene, 10000);
    assert_int_equal(scene.scrub.damage_count, last);
    scene_close(&scene);
}

/* The frames are zeroed on disk between the scrub's look at the log and its read. */
static void what_is_truncated_meanwhile_is_no_damage(void **state)
{
    (void)state;
    struct scene scene;
    struct log_load load;
    scene_open(&scene, RATE);
    do {
        assert_true(log_scrub_begin(&scene.scrub, scene.now_ms, &load));
        if (load.first_index + load.count > segment_log_complete_index(scene.log)) {
            break;
        }
        log_load_run(&load);
        log_scrub_end(&scene.scrub, scene.now_ms, &load);
        scene.now_ms += 1000;
    } while (true);
    segment_log_truncate(scene.log, load.first_index + 3);
    for (int i = 0; i < ENTRIES; i++) {
        append(scene.log, 2, PAYLOAD);
    }
    struct log_write *write = segment_log_write_begin(scene.log);
    sim_disk_die_after(scene.disk, 6); // Marked in both files, zeroed, and no further.
    assert_int_not_equal(log_write_run(write), STATUS_OK);
    log_load_run(&load);
    assert_int_equal(load.status, STATUS_CORRUPT);
    log_scrub_end(&scene.scrub, scene.now_ms, &load);
    segment_log_write_abandon(scene.log, write);
    assert_int_equal(scene.scrub.damage_count, 0);
    scrub_for(&scene, 5000);
    assert_int_equal(scene.scrub.damage_count, 0);
    scene_close(&scene);
}

/* The newest segment is not part of a pass, but a read that finds it damaged must not be refused
 * for ever; and a complaint does not cut the pass short. */
static void an_entry_that_was_complained_of_is_looked_at_anywhere(void **state)
{
    (void)state;
    struct scene scene;
    struct log_entry newest;
    scene_open(&scene, RATE);
    assert_true(segment_log_complete_index(scene.log) < ENTRIES);
    damage(&scene, ENTRIES, LOG_FRAME_HEADER_SIZE + 5);
    damage(&scene, 40, 20);
    scrub_for(&scene, 1);
    assert_true(segment_log_entry(scene.log, ENTRIES, &newest));
    log_scrub_look_at(&scene.scrub, newest.position);
    scrub_for(&scene, 1);
    assert_int_equal(scene.scrub.damage_count, 1);
    assert_int_equal(scene.scrub.damages[0].index, ENTRIES);
    log_scrub_look_at(&scene.scrub, newest.position); // Known by now.
    scrub_for(&scene, 10000);
    assert_int_equal(scene.scrub.passes, 1);
    assert_int_equal(scene.scrub.damage_count, 2);
    assert_int_equal(scene.scrub.damages[1].index, 40);
    scene_close(&scene);
}

/* What is whole is no damage, whoever complains; what went is not looked at. */
static void a_complaint_without_a_reason_is_forgotten(void **state)
{
    (void)state;
    struct scene scene;
    struct log_entry entry;
    scene_open(&scene, RATE);
    assert_true(segment_log_entry(scene.log, ENTRIES, &entry));
    log_scrub_look_at(&scene.scrub, entry.position);
    scrub_for(&scene, 1);
    log_scrub_look_at(&scene.scrub, entry.position);
    segment_log_truncate(scene.log, ENTRIES - 3);
    scrub_for(&scene, 10000);
    assert_int_equal(scene.scrub.damage_count, 0);
    assert_int_equal(scene.scrub.passes, 1);
    scene_close(&scene);
}

static void segments_that_went_are_passed_over(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, RATE);
    scrub_for(&scene, 1);
    assert_true(segment_log_remove_prefix(scene.log, 60) > 1);
    write_all(scene.log);
    scrub_for(&scene, 10000);
    assert_int_equal(scene.scrub.passes, 1);
    assert_int_equal(scene.scrub.damage_count, 0);
    scene_close(&scene);
}

static void without_a_rate_nothing_is_read(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, 0);
    scrub_for(&scene, 10000);
    assert_int_equal(scene.scrub.bytes, 0);
    assert_int_equal(scene.scrub.passes, 0);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_reads_all_complete_segments_at_the_rate_that_is_set),
        cmocka_unit_test(every_damaged_frame_is_found_and_told_once),
        cmocka_unit_test(a_segment_that_is_gone_is_damage_and_ends_no_pass),
        cmocka_unit_test(more_damage_than_is_remembered_is_counted),
        cmocka_unit_test(what_is_truncated_meanwhile_is_no_damage),
        cmocka_unit_test(an_entry_that_was_complained_of_is_looked_at_anywhere),
        cmocka_unit_test(a_complaint_without_a_reason_is_forgotten),
        cmocka_unit_test(segments_that_went_are_passed_over),
        cmocka_unit_test(without_a_rate_nothing_is_read),
    };
    return cmocka_run_group_tests_name("log_scrub", tests, NULL, NULL);
}
