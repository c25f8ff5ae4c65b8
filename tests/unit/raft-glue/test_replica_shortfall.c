/* A member that lost what it had acknowledged, seen by the leader that had counted it. */
#include "tests/support/test.h"

#include "tests/unit/raft-glue/replica_fixture.h"

/* Member `from` says that its log ends at `last`, before `prev`, where a message was to join it. */
static void reject(struct fixture *f, uint64_t from, uint64_t prev, uint64_t last)
{
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES_RESULT};
    message.append_entries_result = (struct raft_append_entries_result){
        .version = 2,
        .term = fixture_term(f),
        .rejected = prev,
        .last_log_index = last,
        .features = 1,
    };
    fixture_receive(f, from, message);
}

/* A leader whose entry 3 is acknowledged by 2, and by 3 only if `both`. */
static void open_leader(struct fixture *f, bool both)
{
    fixture_open(f, 3, 3);
    fixture_elect(f);
    assert_int_equal(fixture_propose(f, 8), STATUS_OK);
    fixture_write(f);
    fixture_append_result(f, 2, 3);
    if (both) {
        fixture_append_result(f, 3, 3);
    }
    assert_int_equal(f->replica->commit, 3);
    f->sent_count = 0;
}

static void a_leader_hands_over_when_a_member_lost_what_it_had_acknowledged(void **state)
{
    (void)state;
    struct fixture f;
    open_leader(&f, true);
    reject(&f, 2, 3, 2);
    const struct replica_outbound *now = fixture_sent(&f, RAFT_TIMEOUT_NOW);
    assert_non_null(now);
    assert_int_equal(now->to, 3); // Not to 2, whatever C-Raft thinks that it has.
    fixture_close(&f);
}

static void a_leader_that_cannot_hand_over_steps_down_for_a_member_that_lost_entries(void **state)
{
    (void)state;
    struct fixture f;
    open_leader(&f, false);
    uint64_t term = fixture_term(&f);
    reject(&f, 2, 3, 2);
    for (unsigned i = 0; i < 4 * FIXTURE_E && fixture_term(&f) == term; i++) {
        assert_int_equal(replica_raft_state(f.replica), RAFT_LEADER);
        f.sent_count = 0;
        fixture_pass(&f, 1, true);
        reject(&f, 2, 3, 2); // It answers, and so C-Raft has its majority.
    }
    assert_int_equal(fixture_term(&f), term + 1);
    assert_int_equal(replica_raft_state(f.replica), RAFT_FOLLOWER);
    // The next leader sends it what it lacks.
    f.sent_count = 0;
    fixture_elect(&f);
    reject(&f, 2, 3, 2);
    assert_int_equal(replica_raft_state(f.replica), RAFT_LEADER);
    const struct replica_outbound *sent = fixture_sent(&f, RAFT_APPEND_ENTRIES);
    assert_int_equal(sent->to, 2);
    assert_int_equal(sent->message.append_entries.prev_log_index, 2);
    assert_true(sent->message.append_entries.n_entries >= 1);
    fixture_close(&f);
}

static void a_member_that_rejects_what_it_never_had_is_no_reason_to_hand_over(void **state)
{
    (void)state;
    struct fixture f;
    open_leader(&f, false);
    reject(&f, 3, 3, 1);
    reject(&f, 2, 4, 3); // Its entry 4 is on the way.
    fixture_pass(&f, FIXTURE_H, true);
    assert_null(fixture_sent(&f, RAFT_TIMEOUT_NOW));
    assert_int_equal(replica_raft_state(f.replica), RAFT_LEADER);
    assert_int_equal(fixture_propose(&f, 8), STATUS_OK);
    fixture_write(&f);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_hands_over_when_a_member_lost_what_it_had_acknowledged),
        cmocka_unit_test(a_leader_that_cannot_hand_over_steps_down_for_a_member_that_lost_entries),
        cmocka_unit_test(a_member_that_rejects_what_it_never_had_is_no_reason_to_hand_over),
    };
    return cmocka_run_group_tests_name("replica_shortfall", tests, NULL, NULL);
}
