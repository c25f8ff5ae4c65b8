/* Situations that papers and post-mortems name, each on one real replica. */
#include "tests/support/test.h"

#include "tests/unit/raft-glue/replica_fixture.h"

/* As a follower of whoever led: entries of these terms behind what there is, durable. */
static void hold(struct fixture *f, const uint64_t *terms, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t last = segment_log_last_index(f->storage.log);
        struct fixture_entry entry = fixture_command(terms[i]);
        fixture_append(f, 2, terms[i], last, segment_log_term(f->storage.log, last), 1, &entry, 1);
        fixture_write(f);
    }
    f->sent_count = 0;
}

/* The leader of term 8 in figure 7 of the Raft paper has these; entry 1 is our membership, so
 * everything is one further on. */
static const uint64_t figure_7_leader[] = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6};
enum { FIGURE_7_ENTRIES = 10, FIGURE_7_FIRST = 2 };

/* Term of the leader's entry at an index. */
static uint64_t figure_7_term(uint64_t index)
{
    return index < FIGURE_7_FIRST ? 1 : figure_7_leader[index - FIGURE_7_FIRST];
}

/* Be sent everything from index on, and one entry of term 8; true if it was taken. */
static bool figure_7_offer(struct fixture *f, uint64_t index)
{
    struct fixture_entry entries[FIGURE_7_ENTRIES + 1];
    unsigned count = 0;
    for (uint64_t i = index; i < FIGURE_7_FIRST + FIGURE_7_ENTRIES; i++) {
        entries[count++] = fixture_command(figure_7_term(i));
    }
    entries[count++] = fixture_command(8);
    f->sent_count = 0;
    fixture_append(f, 3, 8, index - 1, figure_7_term(index - 1), 1, entries, count);
    fixture_write(f);
    const struct replica_outbound *answer = fixture_sent(f, RAFT_APPEND_ENTRIES_RESULT);
    assert_non_null(answer);
    return answer->message.append_entries_result.rejected == 0;
}

static void figure_7_every_follower_ends_with_the_leaders_log(void **state)
{
    (void)state;
    static const struct {
        unsigned count;
        uint64_t terms[12];
    } followers[] = {
        {9, {1, 1, 1, 4, 4, 5, 5, 6, 6}},           // (a)
        {4, {1, 1, 1, 4}},                          // (b)
        {11, {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6}},    // (c)
        {12, {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}}, // (d)
        {7, {1, 1, 1, 4, 4, 4, 4}},                 // (e)
        {11, {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}},    // (f)
    };
    for (size_t i = 0; i < sizeof followers / sizeof followers[0]; i++) {
        struct fixture f;
        fixture_open(&f, 3, 3);
        hold(&f, followers[i].terms, followers[i].count);
        // The leader goes back one index at a time until the follower agrees.
        uint64_t next = FIGURE_7_FIRST + FIGURE_7_ENTRIES;
        while (!figure_7_offer(&f, next)) {
            next--;
            assert_true(next >= FIGURE_7_FIRST);
        }
        uint64_t last = FIGURE_7_FIRST + FIGURE_7_ENTRIES;
        assert_int_equal(segment_log_last_index(f.storage.log), last);
        for (uint64_t at = 1; at < last; at++) {
            assert_int_equal(segment_log_term(f.storage.log, at), figure_7_term(at));
        }
        assert_int_equal(segment_log_term(f.storage.log, last), 8);
        fixture_restart(&f);
        assert_int_equal(segment_log_last_index(f.storage.log), last);
        fixture_close(&f);
    }
}

static void figure_8_an_entry_of_an_old_term_is_not_committed_by_counting(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 5, 5);
    const uint64_t terms[] = {2};
    hold(&f, terms, 1); // Entry 2 of term 2, as S1 has it in the figure.
    // S5 led term 3 with an entry of its own; now we are elected, in a later term.
    fixture_elect(&f);
    assert_true(raft_current_term(&f.replica->raft) > 2);
    fixture_write(&f);
    uint64_t commit = replica_commit_index(f.replica);
    assert_true(commit < 2);
    // A majority has entry 2, but a leader of term 3 could still overwrite it.
    fixture_append_result(&f, 2, 2);
    fixture_append_result(&f, 3, 2);
    fixture_append_result(&f, 4, 2);
    assert_int_equal(replica_commit_index(f.replica), commit);
    assert_int_equal(f.applied_count, 0);
    assert_int_not_equal(f.state.role, REPLICA_LEADER); // It serves nothing yet.
    // Our own term's entry on a majority commits both.
    fixture_append_result(&f, 2, 3);
    assert_int_equal(replica_commit_index(f.replica), commit);
    fixture_append_result(&f, 3, 3);
    assert_int_equal(replica_commit_index(f.replica), 3);
    assert_int_equal(f.state.role, REPLICA_LEADER);
    fixture_close(&f);
}

static void a_truncation_while_a_write_is_in_flight_leaves_only_the_new_entries(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    struct fixture_entry old[] = {fixture_command(2), fixture_command(2), fixture_command(2)};
    fixture_append(&f, 2, 2, 1, 1, 1, old, 3);
    fixture_write(&f); // Term and entries.
    struct fixture_entry more[] = {fixture_command(2), fixture_command(2)};
    fixture_append(&f, 2, 2, 4, 2, 1, more, 2);
    struct replica_disk_job job;
    assert_true(replica_disk_take(f.replica, &job)); // In flight: entries 5 and 6 of term 2.
    struct fixture_entry new = fixture_command(3);
    fixture_append(&f, 3, 3, 2, 2, 1, &new, 1);
    assert_int_equal(segment_log_last_index(f.storage.log), 3);
    f.sent_count = 0;
    replica_disk_run(&job);
    replica_disk_done(f.replica, &job);
    // What was written is superseded: nothing of it may be acknowledged.
    for (size_t i = 0; i < f.sent_count; i++) {
        if (f.sent[i].message.type == RAFT_APPEND_ENTRIES_RESULT) {
            assert_true(f.sent[i].message.append_entries_result.last_log_index <= 2);
        }
    }
    fixture_write(&f);
    fixture_restart(&f);
    assert_int_equal(segment_log_last_index(f.storage.log), 3);
    assert_int_equal(segment_log_term(f.storage.log, 3), 3);
    fixture_close(&f);
}

static void a_change_that_is_taken_back_while_entries_follow_it_is_forgotten(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 4);
    const int roles[] = {RAFT_VOTER, RAFT_VOTER, RAFT_VOTER, RAFT_VOTER};
    struct fixture_entry entries[] = {
        fixture_command(2),
        {.term = 2, .type = LOG_FRAME_CHANGE, .payload = fixture_membership(&f, roles, 4)},
        fixture_command(2),
        fixture_command(2),
    };
    fixture_append(&f, 2, 2, 1, 1, 1, entries, 4);
    struct replica_disk_job job;
    bool writing = replica_disk_take(f.replica, &job);
    assert_true(writing);
    assert_int_equal(f.replica->raft.configuration.n, 4);
    struct fixture_entry new = fixture_command(3);
    fixture_append(&f, 3, 3, 2, 2, 1, &new, 1);
    assert_int_equal(f.replica->raft.configuration.n, 3);
    assert_int_equal(replica_voter_count(f.replica), 3);
    replica_disk_run(&job);
    replica_disk_done(f.replica, &job);
    fixture_write(&f);
    fixture_restart(&f);
    assert_int_equal(f.replica->raft.configuration.n, 3);
    fixture_close(&f);
}

static void entries_and_our_own_snapshot_go_on_beside_an_offered_one(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    struct raft_message offer = {.type = RAFT_INSTALL_SNAPSHOT};
    offer.install_snapshot =
        (struct raft_install_snapshot){.version = 1, .term = 2, .last_index = 90, .last_term = 2};
    fixture_receive(&f, 2, offer);
    assert_int_equal(replica_behind(f.replica), 90);
    // Until the copy is there, the replica goes on as it is: what it has stays, what fits is taken.
    for (uint64_t last = 1; last < COMPACT_EVERY + 10;) {
        struct fixture_entry entries[WIRE_ENTRIES_MAX];
        for (unsigned i = 0; i < WIRE_ENTRIES_MAX; i++) {
            entries[i] = fixture_command(2);
        }
        fixture_append(&f, 2, 2, last, segment_log_term(f.storage.log, last),
                       last + WIRE_ENTRIES_MAX, entries, WIRE_ENTRIES_MAX);
        fixture_write(&f);
        f.sent_count = 0;
        last += WIRE_ENTRIES_MAX;
    }
    uint64_t last = segment_log_last_index(f.storage.log);
    assert_int_equal(replica_applied_index(f.replica), last);
    replica_machine_durable(f.replica, last);
    fixture_append(&f, 2, 2, last, 2, last, NULL, 0);
    assert_int_equal(f.replica->snapshot_index, last);
    assert_int_equal(replica_behind(f.replica), 0); // No copy is needed any more.
    fixture_receive(&f, 2, offer);                  // Again, and late.
    assert_int_equal(replica_behind(f.replica), 0);
    fixture_restart(&f);
    assert_int_equal(segment_log_last_index(f.storage.log), last);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figure_7_every_follower_ends_with_the_leaders_log),
        cmocka_unit_test(figure_8_an_entry_of_an_old_term_is_not_committed_by_counting),
        cmocka_unit_test(a_truncation_while_a_write_is_in_flight_leaves_only_the_new_entries),
        cmocka_unit_test(a_change_that_is_taken_back_while_entries_follow_it_is_forgotten),
        cmocka_unit_test(entries_and_our_own_snapshot_go_on_beside_an_offered_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
