/* The front of a replica's log: cut when nobody needs it, and what is known of it afterwards. */
#include "tests/support/test.h"

#include "tests/unit/raft-glue/replica_fixture.h"

enum { PAYLOAD = 100 * 1024, PER_SEGMENT = FIXTURE_SEGMENT / PAYLOAD };

/* As follower of 2 in term 1: entries prev + 1 ... prev + count, large, committed and durable. */
static void receive_large(struct fixture *f, uint64_t prev, unsigned count)
{
    static uint8_t bytes[PAYLOAD];
    for (unsigned i = 0; i < count; i++) {
        struct fixture_entry entry = {
            .term = 1, .type = LOG_FRAME_COMMAND, .payload = slice_of(bytes, sizeof bytes)};
        fixture_append(f, 2, 1, prev + i, 1, prev + i + 1, &entry, 1);
        fixture_write(f);
        f->sent_count = 0;
    }
    assert_int_equal(replica_applied_index(f->replica), prev + count);
}

/* The machine is durable up to `index`; something happens, so that it is noticed. */
static void durable(struct fixture *f, uint64_t index)
{
    uint64_t last = segment_log_last_index(f->storage.log);
    replica_machine_durable(f->replica, index);
    f->machine_index = index;
    for (int i = 0; i < 3; i++) {
        fixture_append(f, 2, 1, last, 1, last, NULL, 0);
        fixture_write(f);
    }
    f->sent_count = 0;
}

static void a_cut_drops_whole_segments_and_survives_a_restart(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    receive_large(&f, 1, 5 * PER_SEGMENT);
    uint64_t last = segment_log_last_index(f.storage.log);
    replica_cut(f.replica, 3 * FIXTURE_SEGMENT + 17);
    durable(&f, last);
    uint64_t first = segment_log_first_index(f.storage.log);
    assert_true(first > 1);
    assert_int_equal(segment_log_first_position(f.storage.log), 3 * FIXTURE_SEGMENT);
    assert_int_equal(f.storage.base.index, first - 1);
    fixture_restart(&f);
    assert_int_equal(segment_log_first_index(f.storage.log), first);
    assert_int_equal(segment_log_last_index(f.storage.log), last);
    assert_int_equal(f.replica->raft.configuration.n, 3);
    assert_int_equal(replica_commit_index(f.replica), last);
    // What was cut is not lacking, though a leader that thinks so offers a copy.
    struct raft_message offer = {.type = RAFT_INSTALL_SNAPSHOT};
    offer.install_snapshot = (struct raft_install_snapshot){
        .version = 1, .term = 100, .last_index = first - 2, .last_term = 1};
    fixture_receive(&f, 2, offer);
    assert_int_equal(replica_behind(f.replica), 0);
    offer.install_snapshot.last_index = last + 1;
    fixture_receive(&f, 2, offer);
    assert_int_equal(replica_behind(f.replica), last + 1);
    // And it goes on as a follower ...
    receive_large(&f, last, 3);
    // ... and as a leader.
    fixture_elect(&f);
    fixture_write(&f);
    fixture_append_result(&f, 2, segment_log_last_index(f.storage.log));
    assert_int_equal(f.state.role, REPLICA_LEADER);
    fixture_close(&f);
}

/* A start tells C-Raft only of the newest entries: that is not where the log begins. */
static void what_c_raft_is_not_told_of_stays_until_it_is_cut(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    receive_large(&f, 1, 5 * PER_SEGMENT);
    durable(&f, segment_log_last_index(f.storage.log));
    f.start_entries = PER_SEGMENT;
    fixture_restart(&f);
    receive_large(&f, segment_log_last_index(f.storage.log), 2);
    durable(&f, segment_log_last_index(f.storage.log));
    assert_true(f.replica->floor > 3 * PER_SEGMENT);
    assert_int_equal(segment_log_first_index(f.storage.log), 1);
    assert_int_equal(f.storage.base.index, 0);
    // Cuts below what C-Raft knows, and beyond.
    for (uint64_t segment = 1; segment <= 5; segment++) {
        replica_cut(f.replica, segment * FIXTURE_SEGMENT);
        receive_large(&f, segment_log_last_index(f.storage.log), 1);
        durable(&f, segment_log_last_index(f.storage.log));
        assert_int_equal(segment_log_first_position(f.storage.log), segment * FIXTURE_SEGMENT);
        uint64_t first = segment_log_first_index(f.storage.log);
        assert_int_equal(f.storage.base.index, first - 1);
        fixture_restart(&f);
        assert_int_equal(segment_log_first_index(f.storage.log), first);
    }
    fixture_close(&f);
}

static void a_cut_waits_for_the_machine_and_for_who_copies_the_log(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    receive_large(&f, 1, 5 * PER_SEGMENT);
    replica_cut(f.replica, 4 * FIXTURE_SEGMENT);
    durable(&f, PER_SEGMENT / 2); // The machine still needs all of the first segment.
    assert_int_equal(segment_log_first_index(f.storage.log), 1);
    replica_pin(f.replica, FIXTURE_SEGMENT);
    durable(&f, segment_log_last_index(f.storage.log));
    assert_int_equal(segment_log_first_position(f.storage.log), FIXTURE_SEGMENT);
    // Nor is the base ahead of the log, which the next to copy would get with it.
    assert_int_equal(f.storage.base.index + 1, segment_log_first_index(f.storage.log));
    replica_pin(f.replica, UINT64_MAX);
    receive_large(&f, segment_log_last_index(f.storage.log), 1);
    durable(&f, segment_log_last_index(f.storage.log));
    assert_int_equal(segment_log_first_position(f.storage.log), 4 * FIXTURE_SEGMENT);
    fixture_close(&f);
}

/* Small ones, many in a message, and the machine is durable up to them. */
static void receive_many(struct fixture *f, unsigned count)
{
    enum { TOGETHER = 100 };
    struct fixture_entry entries[TOGETHER];
    for (unsigned i = 0; i < TOGETHER; i++) {
        entries[i] = fixture_command(1);
    }
    for (unsigned i = 0; i < count; i += TOGETHER) {
        uint64_t last = segment_log_last_index(f->storage.log);
        fixture_append(f, 2, 1, last, 1, last + TOGETHER, entries, TOGETHER);
        fixture_write(f);
        f->sent_count = 0;
    }
    durable(f, segment_log_last_index(f->storage.log));
}

/* Each checkpoint is far beyond the one before it, and would be a snapshot point of its own. */
static void a_cut_under_load_waits_for_no_quiet_moment(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    receive_large(&f, 1, 3 * PER_SEGMENT);
    replica_cut(f.replica, FIXTURE_SEGMENT);
    receive_many(&f, COMPACT_EVERY + 100);
    receive_many(&f, COMPACT_EVERY + 100);
    assert_int_equal(segment_log_first_position(f.storage.log), FIXTURE_SEGMENT);
    replica_cut(f.replica, 2 * FIXTURE_SEGMENT);
    receive_many(&f, COMPACT_EVERY + 100);
    receive_many(&f, COMPACT_EVERY + 100);
    assert_int_equal(segment_log_first_position(f.storage.log), 2 * FIXTURE_SEGMENT);
    fixture_close(&f);
}

static void a_cut_that_was_prepared_waits_for_who_begins_to_copy(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    receive_large(&f, 1, 5 * PER_SEGMENT);
    uint64_t last = segment_log_last_index(f.storage.log);
    replica_cut(f.replica, FIXTURE_SEGMENT);
    durable(&f, last);
    uint64_t first = segment_log_first_index(f.storage.log);
    replica_cut(f.replica, 2 * FIXTURE_SEGMENT);
    durable(&f, last);
    assert_true(f.storage.base.index >= first); // Stored, and waiting for a newer snapshot point.
    replica_pin(f.replica, segment_log_first_position(f.storage.log));
    receive_large(&f, last, 1);
    durable(&f, last + 1);
    assert_int_equal(segment_log_first_index(f.storage.log), first);
    replica_pin(f.replica, UINT64_MAX);
    durable(&f, last + 1);
    assert_int_equal(segment_log_first_position(f.storage.log), 2 * FIXTURE_SEGMENT);
    fixture_close(&f);
}

static void r16_a_cut_waits_for_a_newer_snapshot_point(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    receive_large(&f, 1, 5 * PER_SEGMENT);
    uint64_t last = segment_log_last_index(f.storage.log);
    replica_cut(f.replica, 2 * FIXTURE_SEGMENT);
    durable(&f, last);
    assert_int_equal(segment_log_first_position(f.storage.log), 2 * FIXTURE_SEGMENT);
    assert_int_equal(f.replica->raft.trail.snapshot.index, last);
    replica_cut(f.replica, 4 * FIXTURE_SEGMENT);
    durable(&f, last);
    assert_int_equal(segment_log_first_position(f.storage.log), 2 * FIXTURE_SEGMENT);
    receive_large(&f, last, 1);
    durable(&f, last + 1);
    assert_int_equal(segment_log_first_position(f.storage.log), 4 * FIXTURE_SEGMENT);
    assert_int_equal(f.replica->raft.trail.snapshot.index, last + 1);
    fixture_close(&f);
}

static void a_crash_at_any_step_of_a_cut_loses_nothing(void **state)
{
    (void)state;
    bool survived = false;
    for (uint64_t step = 0; !survived; step++) {
        struct fixture f;
        fixture_open(&f, 3, 3);
        receive_large(&f, 1, 3 * PER_SEGMENT);
        uint64_t last = segment_log_last_index(f.storage.log);
        replica_cut(f.replica, 2 * FIXTURE_SEGMENT);
        replica_machine_durable(f.replica, last);
        f.machine_index = last;
        fixture_append(&f, 2, 1, last, 1, last, NULL, 0);
        sim_disk_die_after(f.disk, step);
        struct replica_disk_job job;
        survived = true;
        while (survived && replica_disk_take(f.replica, &job)) {
            replica_disk_run(&job);
            survived = job.status == STATUS_OK;
            if (survived) {
                replica_disk_done(f.replica, &job);
                fixture_append(&f, 2, 1, last, 1, last, NULL, 0);
            } else {
                replica_disk_abandon(f.replica, &job);
            }
        }
        fixture_restart(&f);
        assert_int_equal(segment_log_last_index(f.storage.log), last);
        assert_int_equal(f.replica->raft.configuration.n, 3);
        if (survived) {
            assert_int_equal(segment_log_first_position(f.storage.log), 2 * FIXTURE_SEGMENT);
            assert_true(step > 4);
        }
        // What was left half made hinders no later cut.
        f.sent_count = 0;
        receive_large(&f, last, 1);
        replica_cut(f.replica, 2 * FIXTURE_SEGMENT);
        durable(&f, last + 1);
        assert_int_equal(segment_log_first_position(f.storage.log), 2 * FIXTURE_SEGMENT);
        fixture_close(&f);
    }
}

static void the_membership_below_a_cut_is_kept(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 4);
    const int roles[] = {RAFT_VOTER, RAFT_VOTER, RAFT_VOTER, RAFT_VOTER};
    struct fixture_entry change = {
        .term = 1, .type = LOG_FRAME_CHANGE, .payload = fixture_membership(&f, roles, 4)};
    fixture_append(&f, 2, 1, 1, 1, 2, &change, 1);
    fixture_write(&f);
    f.sent_count = 0;
    receive_large(&f, 2, 3 * PER_SEGMENT);
    replica_cut(f.replica, 2 * FIXTURE_SEGMENT);
    durable(&f, segment_log_last_index(f.storage.log));
    assert_true(segment_log_first_index(f.storage.log) > 2);
    fixture_restart(&f);
    assert_int_equal(f.replica->raft.configuration.n, 4);
    assert_int_equal(f.replica->raft.configuration_committed_index, 2);
    assert_int_equal(f.storage.base.change_index, 2);
    // A later change that is taken back again leads to the one below the cut.
    uint64_t last = segment_log_last_index(f.storage.log);
    const int fewer[] = {RAFT_VOTER, RAFT_VOTER, RAFT_VOTER};
    change.payload = fixture_membership(&f, fewer, 3);
    fixture_append(&f, 2, 1, last, 1, last, &change, 1);
    fixture_write(&f);
    assert_int_equal(f.replica->raft.configuration.n, 3);
    struct fixture_entry other = {
        .term = 2, .type = LOG_FRAME_COMMAND, .payload = slice_text("other")};
    fixture_append(&f, 3, 2, last, 1, last, &other, 1);
    assert_int_equal(f.replica->raft.configuration.n, 4);
    fixture_write(&f);
    fixture_close(&f);
}

static void a_damaged_base_of_a_cut_log_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    receive_large(&f, 1, 3 * PER_SEGMENT);
    replica_cut(f.replica, 2 * FIXTURE_SEGMENT);
    durable(&f, segment_log_last_index(f.storage.log));
    struct directory directory = sim_disk_directory(f.disk);
    for (int i = 0; i < 2; i++) {
        struct file *file = NULL;
        uint8_t junk = 0xFF;
        struct iovec part = {.iov_base = &junk, .iov_len = 1};
        assert_int_equal(directory_open(&directory, i == 0 ? "base.0" : "base.1", &file),
                         STATUS_OK);
        assert_int_equal(directory_write(&directory, file, 30, &part, 1), STATUS_OK);
        assert_int_equal(directory_sync(&directory, file), STATUS_OK);
        directory_close_file(&directory, file);
    }
    replica_close(f.replica);
    replica_storage_close(&f.storage);
    struct raft_configuration bootstrap = replica_bootstrap(f.voters, 3);
    struct replica_storage_options options = {
        .log = {.directory = directory,
                .group = 99,
                .segment_size = FIXTURE_SEGMENT,
                .cache_size = FIXTURE_SEGMENT},
        .replica = 1,
        .bootstrap = &bootstrap,
    };
    char *error = NULL;
    assert_int_equal(replica_storage_open(&f.storage, &options, &error), STATUS_CORRUPT);
    assert_non_null(strstr(error, "base.0"));
    free(error);
    raft_configuration_close(&bootstrap);
    sim_disk_free(f.disk);
}

/* ---- Beginning with nothing ---- */

/* Of member 3, and even a leader that is heard has to step down for it. */
static struct raft_message disruption(uint64_t term, uint64_t last, uint64_t last_term)
{
    struct raft_message message = fixture_vote_request(3, term, last, last_term);
    message.request_vote.disrupt_leader = true;
    return message;
}

static void a_server_that_joins_is_filled_by_the_leader(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open_empty(&f, 3, &(struct term_vote_state){.term = 1});
    fixture_pass(&f, 5 * FIXTURE_E, true);
    assert_int_equal(f.sent_count, 0); // It waits.
    const int roles[] = {RAFT_STANDBY, RAFT_VOTER, RAFT_VOTER};
    struct fixture_entry entries[] = {
        {.term = 1, .type = LOG_FRAME_CHANGE, .payload = fixture_membership(&f, roles, 3)},
        {.term = 4, .type = LOG_FRAME_COMMAND, .payload = slice_text("one")},
    };
    fixture_append(&f, 2, 4, 0, 0, 2, entries, 2);
    fixture_write(&f);
    assert_int_equal(replica_applied_index(f.replica), 2);
    assert_int_equal(f.replica->raft.configuration_committed_index, 1);
    fixture_restart(&f);
    assert_int_equal(segment_log_last_index(f.storage.log), 2);
    fixture_close(&f);
}

static struct fixture_entry bootstrap_entry(const struct fixture *f)
{
    static const int roles[] = {RAFT_VOTER, RAFT_VOTER, RAFT_VOTER};
    return (struct fixture_entry){
        .term = 1, .type = LOG_FRAME_CHANGE, .payload = fixture_membership(f, roles, 3)};
}

static void who_lost_its_disk_stays_out_of_elections_until_its_log_is_of_a_later_term(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open_empty(&f, 3, &(struct term_vote_state){.term = 8, .rejoin_term = 7});
    struct fixture_entry first = bootstrap_entry(&f);
    fixture_append(&f, 2, 8, 0, 0, 1, &first, 1);
    fixture_write(&f);
    f.sent_count = 0;
    // A member of the group now, and its leader falls silent.
    fixture_pass(&f, 5 * FIXTURE_E, true);
    fixture_receive(&f, 3, disruption(9, 50, 8));
    fixture_write(&f);
    assert_int_equal(f.sent_count, 0);
    assert_true(replica_abstaining(f.replica));
    // Also after a restart.
    fixture_restart(&f);
    fixture_pass(&f, 5 * FIXTURE_E, true);
    fixture_receive(&f, 3, disruption(9, 50, 8));
    fixture_write(&f);
    assert_int_equal(f.sent_count, 0);
    struct fixture_entry second = {
        .term = 8, .type = LOG_FRAME_BARRIER, .payload = slice_text("12345678")};
    fixture_append(&f, 2, 8, 1, 1, 2, &second, 1);
    assert_true(replica_abstaining(f.replica)); // It must be durable.
    fixture_write(&f);
    assert_false(replica_abstaining(f.replica));
    f.sent_count = 0;
    fixture_pass(&f, 5 * FIXTURE_E, true);
    assert_true(f.sent_count > 0);
    fixture_receive(&f, 3, disruption(99, 50, 8));
    fixture_write(&f);
    const struct replica_outbound *answer = fixture_sent(&f, RAFT_REQUEST_VOTE_RESULT);
    assert_non_null(answer);
    assert_true(answer->message.request_vote_result.vote_granted);
    fixture_close(&f);
}

static void an_index_that_the_leader_named_ends_the_abstention_too(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open_empty(
        &f, 3,
        &(struct term_vote_state){.term = 8, .voted_for = 1, .rejoin_term = 8, .rejoin_index = 3});
    struct fixture_entry entries[] = {
        bootstrap_entry(&f),
        {.term = 5, .type = LOG_FRAME_COMMAND, .payload = slice_text("one")},
        {.term = 6, .type = LOG_FRAME_COMMAND, .payload = slice_text("two")},
    };
    fixture_append(&f, 2, 8, 0, 0, 1, entries, 2);
    fixture_write(&f);
    assert_true(replica_abstaining(f.replica));
    fixture_append(&f, 2, 8, 2, 5, 2, &entries[2], 1);
    fixture_write(&f);
    assert_false(replica_abstaining(f.replica));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_drops_whole_segments_and_survives_a_restart),
        cmocka_unit_test(what_c_raft_is_not_told_of_stays_until_it_is_cut),
        cmocka_unit_test(a_cut_waits_for_the_machine_and_for_who_copies_the_log),
        cmocka_unit_test(a_cut_under_load_waits_for_no_quiet_moment),
        cmocka_unit_test(a_cut_that_was_prepared_waits_for_who_begins_to_copy),
        cmocka_unit_test(r16_a_cut_waits_for_a_newer_snapshot_point),
        cmocka_unit_test(a_crash_at_any_step_of_a_cut_loses_nothing),
        cmocka_unit_test(the_membership_below_a_cut_is_kept),
        cmocka_unit_test(a_damaged_base_of_a_cut_log_is_refused),
        cmocka_unit_test(a_server_that_joins_is_filled_by_the_leader),
        cmocka_unit_test(who_lost_its_disk_stays_out_of_elections_until_its_log_is_of_a_later_term),
        cmocka_unit_test(an_index_that_the_leader_named_ends_the_abstention_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
