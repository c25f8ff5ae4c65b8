/* Proposals: when they are taken, and that each ends exactly once. */
#include "tests/support/test.h"

#include "tests/unit/raft-glue/replica_fixture.h"

static void a_leader_serves_when_its_first_entry_is_applied(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    struct fixture_entry entry = fixture_command(1);
    fixture_append(&f, 2, 1, 1, 1, 1, &entry, 1); // Not known to be committed.
    fixture_write(&f);
    fixture_elect(&f);
    assert_int_equal(f.state.role, REPLICA_ELECTED);
    assert_int_equal(fixture_propose(&f, 8), STATUS_NO_LEADER);
    fixture_write(&f);
    fixture_append_result(&f, 3, 3); // The barrier.
    assert_int_equal(f.state.role, REPLICA_LEADER);
    assert_int_equal(f.applied_count, 1);
    assert_int_equal(fixture_propose(&f, 8), STATUS_OK);
    fixture_write(&f);
    fixture_append_result(&f, 3, 4);
    assert_int_equal(f.own_applied, 1);
    fixture_close(&f);
}

static void a_full_window_refuses_proposals(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_elect(&f);
    unsigned taken = 0;
    while (fixture_propose(&f, 8) == STATUS_OK) {
        taken++;
        f.sent_count = 0;
    }
    assert_int_equal(taken, REPLICA_UNCOMMITTED_MAX - 1); // The barrier of its term is one, too.
    assert_int_equal(fixture_propose(&f, 8), STATUS_OVERLOADED);
    fixture_write(&f);
    f.sent_count = 0;
    fixture_append_result(&f, 2, 128);
    assert_int_equal(f.own_applied, 126);
    assert_int_equal(fixture_propose(&f, 8), STATUS_OK);
    fixture_write(&f);
    fixture_close(&f);
    assert_int_equal(f.own_applied + f.dropped, REPLICA_UNCOMMITTED_MAX);
}

static void a_proposal_that_is_overwritten_ends_as_unknown(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_elect(&f);
    assert_int_equal(fixture_propose(&f, 8), STATUS_OK);
    fixture_write(&f);
    struct fixture_entry other = fixture_command(9);
    fixture_append(&f, 3, 9, 1, 1, 1, &other, 1);
    assert_int_equal(f.dropped, 1);
    assert_int_equal(f.dropped_why, STATUS_UNKNOWN_OUTCOME);
    fixture_write(&f);
    fixture_close(&f);
    assert_int_equal(f.dropped, 1);
}

static void a_proposal_committed_by_the_next_leader_is_acknowledged(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_elect(&f);
    assert_int_equal(fixture_propose(&f, 8), STATUS_OK);
    fixture_write(&f);
    uint64_t term = fixture_term(&f);
    fixture_append(&f, 3, term + 1, 3, term, 3, NULL, 0);
    assert_int_equal(f.own_applied, 1);
    assert_int_equal(f.dropped, 0);
    fixture_write(&f);
    fixture_close(&f);
}

static void a_proposal_in_doubt_ends_after_an_election_timeout(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_elect(&f);
    assert_int_equal(fixture_propose(&f, 8), STATUS_OK);
    fixture_write(&f);
    fixture_receive(&f, 3, fixture_vote_request(3, 50, 9, 9));
    // C-Raft lets a leader step down for a vote only if it is told to disrupt; silence does it too.
    fixture_pass(&f, 2 * FIXTURE_E, true);
    assert_int_not_equal(replica_raft_state(f.replica), RAFT_LEADER);
    fixture_pass(&f, FIXTURE_E, true);
    assert_int_equal(f.dropped, 1);
    assert_int_equal(f.dropped_why, STATUS_UNKNOWN_OUTCOME);
    fixture_close(&f);
}

static void a_large_append_is_split_into_messages_of_bounded_size(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_elect(&f);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(fixture_propose(&f, 300 * 1024), STATUS_OK);
    }
    fixture_write(&f);
    // A follower that lost all of them gets them again.
    fixture_pass(&f, 3 * FIXTURE_H, true);
    unsigned with_entries = 0;
    uint64_t next = 0;
    for (size_t i = 0; i < f.sent_count; i++) {
        const struct raft_message *message = &f.sent[i].message;
        if (message->type != RAFT_APPEND_ENTRIES || f.sent[i].to != 2) {
            continue;
        }
        const struct raft_append_entries *append = &message->append_entries;
        assert_true(append->n_entries <= 3);
        with_entries += append->n_entries > 0;
        if (append->n_entries > 0 && append->prev_log_index == next) {
            assert_int_equal(append->prev_log_term, segment_log_term(f.storage.log, next));
        }
        next = append->prev_log_index + append->n_entries;
    }
    assert_true(with_entries >= 4);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_serves_when_its_first_entry_is_applied),
        cmocka_unit_test(a_full_window_refuses_proposals),
        cmocka_unit_test(a_proposal_that_is_overwritten_ends_as_unknown),
        cmocka_unit_test(a_proposal_committed_by_the_next_leader_is_acknowledged),
        cmocka_unit_test(a_proposal_in_doubt_ends_after_an_election_timeout),
        cmocka_unit_test(a_large_append_is_split_into_messages_of_bounded_size),
    };
    return cmocka_run_group_tests_name("replica_proposals", tests, NULL, NULL);
}
