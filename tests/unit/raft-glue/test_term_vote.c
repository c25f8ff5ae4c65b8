/* term_vote: what is found after a crash at each step, and after damage. */
#include "tests/support/test.h"

#include "raft-glue/term_vote.h"
#include "tests/sim/sim_disk.h"

enum { GROUP = 7, REPLICA = 2 };

static enum status open_vote(struct sim_disk *disk, struct term_vote_state *state)
{
    struct directory directory = sim_disk_directory(disk);
    struct term_vote vote;
    enum status status = term_vote_open(&vote, &directory, GROUP, REPLICA, state);
    if (status == STATUS_OK) {
        term_vote_close(&vote);
    }
    return status;
}

/* A disk on which these terms were stored one after the other; the vote is the term plus 100. */
static struct sim_disk *disk_with_terms(uint64_t first, uint64_t last)
{
    struct sim_disk *disk = sim_disk_new(1);
    struct directory directory = sim_disk_directory(disk);
    struct term_vote vote;
    struct term_vote_state state = {.term = first, .voted_for = first + 100};
    assert_int_equal(term_vote_create(&vote, &directory, GROUP, REPLICA, &state), STATUS_OK);
    for (uint64_t term = first + 1; term <= last; term++) {
        state = (struct term_vote_state){.term = term, .voted_for = term + 100};
        assert_int_equal(term_vote_store(&vote, &state), STATUS_OK);
    }
    term_vote_close(&vote);
    return disk;
}

static void damage(struct sim_disk *disk, const char *name, size_t at)
{
    size_t size = 0;
    uint8_t *bytes = sim_disk_bytes(disk, name, &size);
    assert_non_null(bytes);
    assert_true(at < size);
    bytes[at] ^= 0x40;
}

static void nothing_stored_is_not_found(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct term_vote_state found;
    assert_int_equal(open_vote(disk, &found), STATUS_NOT_FOUND);
    sim_disk_free(disk);
}

/* Killed between write and sync, the process leaves a vote that can be read but is not on the disk
 * yet. Whoever finds it goes by it, so it must be there from then on. */
static void a_vote_that_was_found_is_durable(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim_disk *before = disk_with_terms(1, 3);
        struct sim_disk *disk = sim_disk_copy(before, seed);
        sim_disk_free(before);
        struct directory directory = sim_disk_directory(disk);
        struct term_vote vote;
        struct term_vote_state found;
        assert_int_equal(term_vote_open(&vote, &directory, GROUP, REPLICA, &found), STATUS_OK);
        const struct term_vote_state next = {.term = 4, .voted_for = 104};
        sim_disk_die_after(disk, 1);
        assert_int_equal(term_vote_store(&vote, &next), STATUS_IO);
        term_vote_close(&vote);
        sim_disk_abandon(disk);
        assert_int_equal(open_vote(disk, &found), STATUS_OK);
        assert_int_equal(found.term, 4);
        sim_disk_crash(disk);
        assert_int_equal(open_vote(disk, &found), STATUS_OK);
        assert_int_equal(found.term, 4);
        assert_int_equal(found.voted_for, 104);
        sim_disk_free(disk);
    }
}

/* Make vote files with a process that is killed after so many steps; if they are found all the
 * same, another vote is stored in them, and the power fails. false: they were made whole. */
static bool killed_while_files_are_made(uint64_t step, uint64_t seed, unsigned *found_count)
{
    const struct term_vote_state first = {.term = 1};
    const struct term_vote_state next = {.term = 4, .voted_for = 104};
    struct sim_disk *disk = sim_disk_new(seed);
    struct directory directory = sim_disk_directory(disk);
    struct term_vote vote;
    struct term_vote_state found;
    sim_disk_die_after(disk, step);
    bool whole = term_vote_create(&vote, &directory, GROUP, REPLICA, &first) == STATUS_OK;
    if (whole) {
        term_vote_close(&vote);
    }
    sim_disk_abandon(disk);
    if (term_vote_open(&vote, &directory, GROUP, REPLICA, &found) == STATUS_OK) {
        assert_int_equal(term_vote_store(&vote, &next), STATUS_OK);
        term_vote_close(&vote);
        sim_disk_crash(disk);
        assert_int_equal(open_vote(disk, &found), STATUS_OK);
        assert_int_equal(found.term, 4);
        assert_int_equal(found.voted_for, 104);
        *found_count += 1;
    }
    sim_disk_free(disk);
    return !whole;
}

static void a_vote_found_in_new_files_is_durable(void **state)
{
    (void)state;
    enum { SEEDS = 20 };
    unsigned found_count = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t step = 0;
        while (killed_while_files_are_made(step, seed, &found_count)) {
            step++;
        }
    }
    assert_true(found_count > 2 * SEEDS);
}

static void the_newest_of_many_is_found(void **state)
{
    (void)state;
    for (uint64_t last = 1; last < 6; last++) {
        struct sim_disk *disk = disk_with_terms(1, last);
        struct term_vote_state found;
        assert_int_equal(open_vote(disk, &found), STATUS_OK);
        assert_int_equal(found.term, last);
        assert_int_equal(found.voted_for, last + 100);
        sim_disk_free(disk);
    }
}

static void a_crash_at_any_step_of_a_store_leaves_the_old_or_the_new(void **state)
{
    (void)state;
    bool stored = false;
    for (uint64_t step = 0; !stored; step++) {
        for (uint64_t seed = 1; seed <= 8; seed++) {
            struct sim_disk *origin = disk_with_terms(1, 5);
            struct sim_disk *disk = sim_disk_copy(origin, seed);
            sim_disk_free(origin);
            struct directory directory = sim_disk_directory(disk);
            struct term_vote vote;
            struct term_vote_state found;
            assert_int_equal(term_vote_open(&vote, &directory, GROUP, REPLICA, &found), STATUS_OK);
            sim_disk_die_after(disk, step);
            stored =
                term_vote_store(&vote, &(struct term_vote_state){.term = 6, .voted_for = 106}) ==
                STATUS_OK;
            term_vote_close(&vote);
            sim_disk_crash(disk);
            assert_int_equal(open_vote(disk, &found), STATUS_OK);
            assert_true(found.term == 6 || (found.term == 5 && !stored));
            assert_int_equal(found.voted_for, found.term + 100);
            sim_disk_free(disk);
        }
    }
}

static void a_crash_while_created_leaves_nothing_or_the_whole(void **state)
{
    (void)state;
    bool created = false;
    for (uint64_t step = 0; !created; step++) {
        for (uint64_t seed = 1; seed <= 8; seed++) {
            struct sim_disk *disk = sim_disk_new(seed);
            struct directory directory = sim_disk_directory(disk);
            struct term_vote vote;
            struct term_vote_state found;
            sim_disk_die_after(disk, step);
            created = term_vote_create(&vote, &directory, GROUP, REPLICA,
                                       &(struct term_vote_state){.term = 1, .voted_for = 101}) ==
                      STATUS_OK;
            if (created) {
                term_vote_close(&vote);
            }
            sim_disk_crash(disk);
            enum status status = open_vote(disk, &found);
            if (created || status == STATUS_OK) {
                assert_int_equal(status, STATUS_OK);
                assert_int_equal(found.term, 1);
            } else {
                assert_true(status == STATUS_NOT_FOUND || status == STATUS_CORRUPT);
            }
            sim_disk_free(disk);
        }
    }
}

static void damage_to_either_file_brings_no_older_vote_back(void **state)
{
    (void)state;
    struct sim_disk *disk = disk_with_terms(1, 5);
    size_t size = 0;
    assert_non_null(sim_disk_bytes(disk, "vote.0", &size));
    for (size_t at = 0; at < 2 * size; at++) {
        const char *one = at % 2 == 0 ? "vote.0" : "vote.1";
        const char *other = at % 2 == 0 ? "vote.1" : "vote.0";
        struct term_vote_state found;
        struct sim_disk *copy = sim_disk_copy(disk, 1);
        damage(copy, one, at / 2);
        assert_int_equal(open_vote(copy, &found), STATUS_OK);
        assert_int_equal(found.term, 5);
        assert_int_equal(found.voted_for, 105);
        // It was made good: now the other one may go.
        damage(copy, other, at / 2);
        assert_int_equal(open_vote(copy, &found), STATUS_OK);
        assert_int_equal(found.term, 5);
        sim_disk_free(copy);
    }
    sim_disk_free(disk);
}

static void a_record_in_the_place_of_the_other_does_not_count(void **state)
{
    (void)state;
    struct sim_disk *disk = disk_with_terms(1, 5);
    struct term_vote_state found;
    size_t size = 0;
    uint8_t *first = sim_disk_bytes(disk, "vote.0", &size);
    uint8_t *second = sim_disk_bytes(disk, "vote.1", &size);
    uint8_t kept[TWIN_FILE_RECORD_MAX];
    assert_true(size <= sizeof kept);
    memcpy(kept, second, size);
    memcpy(second, first, size);
    memcpy(first, kept, size);
    assert_int_equal(open_vote(disk, &found), STATUS_CORRUPT);
    sim_disk_free(disk);
}

static void what_another_version_wrote_is_refused_not_damaged(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct directory directory = sim_disk_directory(disk);
    struct twin_file twin;
    const uint8_t record[32] = {1, 2, 3};
    assert_int_equal(twin_file_create(&twin, &directory, "vote", 1, record, sizeof record),
                     STATUS_OK);
    twin_file_close(&twin);
    struct term_vote_state found;
    assert_int_equal(open_vote(disk, &found), STATUS_REFUSED);
    size_t size = 0;
    for (int i = 0; i < 2; i++) {
        sim_disk_bytes(disk, i == 0 ? "vote.0" : "vote.1", &size)[30] ^= 1;
    }
    assert_int_equal(open_vote(disk, &found), STATUS_CORRUPT);
    sim_disk_free(disk);
}

static void both_damaged_is_corrupt(void **state)
{
    (void)state;
    struct sim_disk *disk = disk_with_terms(1, 5);
    struct term_vote_state found;
    damage(disk, "vote.0", 20);
    damage(disk, "vote.1", 30);
    assert_int_equal(open_vote(disk, &found), STATUS_CORRUPT);
    sim_disk_free(disk);
}

static void the_files_of_another_replica_or_group_are_refused(void **state)
{
    (void)state;
    struct sim_disk *disk = disk_with_terms(1, 2);
    struct directory directory = sim_disk_directory(disk);
    struct term_vote vote;
    struct term_vote_state found;
    assert_int_equal(term_vote_open(&vote, &directory, GROUP, REPLICA + 1, &found), STATUS_REFUSED);
    assert_int_equal(term_vote_open(&vote, &directory, GROUP + 1, REPLICA, &found), STATUS_REFUSED);
    sim_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_stored_is_not_found),
        cmocka_unit_test(a_vote_that_was_found_is_durable),
        cmocka_unit_test(a_vote_found_in_new_files_is_durable),
        cmocka_unit_test(the_newest_of_many_is_found),
        cmocka_unit_test(a_crash_at_any_step_of_a_store_leaves_the_old_or_the_new),
        cmocka_unit_test(a_crash_while_created_leaves_nothing_or_the_whole),
        cmocka_unit_test(damage_to_either_file_brings_no_older_vote_back),
        cmocka_unit_test(a_record_in_the_place_of_the_other_does_not_count),
        cmocka_unit_test(what_another_version_wrote_is_refused_not_damaged),
        cmocka_unit_test(both_damaged_is_corrupt),
        cmocka_unit_test(the_files_of_another_replica_or_group_are_refused),
    };
    return cmocka_run_group_tests_name("term_vote", tests, NULL, NULL);
}
