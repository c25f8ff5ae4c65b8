/* A replica whose disk is full: it acknowledges nothing it has not got, and goes on when there is
 * room. */
#include "tests/support/test.h"

#include "tests/unit/raft-glue/replica_fixture.h"

enum { LARGE = 600 * 1024 }; /* One to a segment. */

static const uint8_t bytes[LARGE];

/* Writes, and loads of what is to be applied. */
static void settle(struct fixture *f)
{
    struct log_load load;
    fixture_write(f);
    while (replica_load_take(f->replica, &load)) {
        log_load_run(&load);
        replica_load_done(f->replica, &load);
    }
}

static void append_one(struct fixture *f, uint64_t previous, uint64_t commit)
{
    const struct fixture_entry entry = {
        .term = 2, .type = LOG_FRAME_COMMAND, .payload = slice_of(bytes, LARGE)};
    fixture_append(f, 2, 2, previous, previous == 1 ? 1 : 2, commit, &entry, 1);
    settle(f);
}

/* The last index that the replica has said it has. */
static uint64_t acknowledged(const struct fixture *f)
{
    const struct replica_outbound *sent = fixture_sent(f, RAFT_APPEND_ENTRIES_RESULT);
    return sent == NULL ? 0 : sent->message.append_entries_result.last_log_index;
}

static void a_follower_acknowledges_only_what_has_room(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    append_one(&f, 1, 1);
    assert_int_equal(acknowledged(&f), 2);
    sim_disk_limit(f.disk, 0);
    append_one(&f, 2, 1);
    append_one(&f, 3, 3);
    assert_int_equal(acknowledged(&f), 2);
    assert_int_equal(segment_log_room(f.storage.log), LOG_ROOM_NONE);
    assert_int_equal(f.applied_count, 1); // Entry 3 is committed elsewhere, not durable here.
    f.now += WRITE_RETRY_MS;
    settle(&f);
    assert_int_equal(acknowledged(&f), 2);
    sim_disk_limit(f.disk, UINT64_MAX);
    settle(&f);
    assert_int_equal(acknowledged(&f), 2); // Not before the next try is due.
    f.now += WRITE_RETRY_MS;
    settle(&f);
    assert_int_equal(acknowledged(&f), 4);
    assert_int_equal(f.applied_count, 2);
    assert_int_equal(segment_log_room(f.storage.log), LOG_ROOM_FINE);
    fixture_restart(&f);
    assert_int_equal(segment_log_last_index(f.storage.log), 4);
    fixture_close(&f);
}

/* It cannot vote meanwhile: C-Raft keeps a follower with unpersisted entries out of elections. */
static void a_new_term_is_stored_while_the_log_waits(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    append_one(&f, 1, 1);
    sim_disk_limit(f.disk, 0);
    append_one(&f, 2, 1);
    assert_int_equal(segment_log_room(f.storage.log), LOG_ROOM_NONE);
    fixture_append(&f, 3, 7, 3, 2, 1, NULL, 0);
    settle(&f);
    assert_int_equal(segment_log_room(f.storage.log), LOG_ROOM_NONE);
    assert_int_equal(acknowledged(&f), 2);
    fixture_restart(&f);
    assert_int_equal(raft_current_term(&f.replica->raft), 7);
    assert_int_equal(segment_log_last_index(f.storage.log), 2);
    fixture_close(&f);
}

static void a_leader_applies_what_it_has_itself(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_elect(&f);
    uint64_t last = segment_log_last_index(f.storage.log);
    assert_int_equal(fixture_propose(&f, LARGE), STATUS_OK);
    settle(&f);
    sim_disk_limit(f.disk, 0);
    assert_int_equal(fixture_propose(&f, LARGE), STATUS_OK);
    settle(&f);
    fixture_append_result(&f, 2, last + 2);
    fixture_append_result(&f, 3, last + 2);
    settle(&f);
    // The others have both entries, and they are committed; here one is missing on disk.
    assert_int_equal(f.own_applied, 1);
    sim_disk_limit(f.disk, UINT64_MAX);
    f.now += WRITE_RETRY_MS;
    settle(&f);
    assert_int_equal(f.own_applied, 2);
    assert_int_equal(f.dropped, 0);
    fixture_close(&f);
}

/* What is known of the log before a cut has to be stored first, and that needs a file. */
static void a_cut_waits_for_room_and_then_gives_some(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    for (uint64_t previous = 1; previous < 5; previous++) {
        append_one(&f, previous, previous);
    }
    sim_disk_limit(f.disk, 0);
    replica_machine_durable(f.replica, 4);
    f.machine_index = 4;
    replica_cut(f.replica, 3 * FIXTURE_SEGMENT);
    for (int i = 0; i < 3; i++) {
        f.now += WRITE_RETRY_MS;
        fixture_append(&f, 2, 2, 5, 2, 5, NULL, 0);
        settle(&f);
    }
    assert_int_equal(segment_log_first_index(f.storage.log), 1);
    sim_disk_limit(f.disk, UINT64_MAX);
    for (int i = 0; i < 3; i++) {
        f.now += WRITE_RETRY_MS;
        fixture_append(&f, 2, 2, 5, 2, 5, NULL, 0);
        settle(&f);
    }
    assert_true(segment_log_first_index(f.storage.log) > 1);
    fixture_restart(&f);
    assert_int_equal(segment_log_last_index(f.storage.log), 5);
    fixture_close(&f);
}

/* Room for the vote, not for a segment: entry 1 is not durable, so there is no log. */
static void a_log_cannot_begin_without_room(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    const struct replica_voter voters[] = {{.id = 1, .address = "10.0.0.1:1"}};
    struct raft_configuration bootstrap = replica_bootstrap(voters, 1);
    const struct replica_storage_options options = {
        .log = {.directory = sim_disk_directory(disk),
                .group = 1,
                .segment_size = FIXTURE_SEGMENT,
                .cache_size = FIXTURE_SEGMENT},
        .replica = 1,
        .bootstrap = &bootstrap,
    };
    struct replica_storage storage;
    char *error = NULL;
    sim_disk_limit(disk, FIXTURE_SEGMENT / 2);
    assert_int_equal(replica_storage_open(&storage, &options, &error), STATUS_DISK_FULL);
    assert_non_null(strstr(error, "disk is full"));
    free(error);
    sim_disk_crash(disk);
    sim_disk_limit(disk, UINT64_MAX);
    assert_int_equal(replica_storage_open(&storage, &options, &error), STATUS_OK);
    assert_int_equal(segment_log_durable_index(storage.log), 1);
    replica_storage_close(&storage);
    raft_configuration_close(&bootstrap);
    sim_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_acknowledges_only_what_has_room),
        cmocka_unit_test(a_new_term_is_stored_while_the_log_waits),
        cmocka_unit_test(a_leader_applies_what_it_has_itself),
        cmocka_unit_test(a_cut_waits_for_room_and_then_gives_some),
        cmocka_unit_test(a_log_cannot_begin_without_room),
    };
    return cmocka_run_group_tests_name("replica_full", tests, NULL, NULL);
}
