/* Requests about a group's members: who may be asked for what, and what the answers say. */
#include "tests/support/broker_expect.h"

#include "common/remoting/extension.h"

static void a_change_of_the_membership_goes_to_the_replica(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *leader = harness_leader(harness);
    struct harness_pipe *pipe = harness_connect(leader, 1);
    static const struct {
        const char *name;
        enum member_action action;
    } actions[] = {{"add", MEMBER_ADD}, {"promote", MEMBER_PROMOTE}, {"remove", MEMBER_REMOVE}};
    for (int i = 0; i < 3; i++) {
        harness_send(pipe, REQUEST_RAFTMQ_MEMBER, i, 0, NO_BODY, "memberId", "4", "action",
                     actions[i].name, NULL);
        expect_answer(pipe, i, 0);
        assert_int_equal(leader->changed_member, 4);
        assert_int_equal(leader->changed_action, actions[i].action);
    }
    harness_pipe_free(pipe);
    harness_free(harness);
}

static void a_refused_change_says_why_and_whether_to_try_again(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *leader = harness_leader(harness);
    struct harness_pipe *pipe = harness_connect(leader, 1);
    static const struct {
        enum status status;
        int32_t code;
    } cases[] = {{STATUS_BUSY, 2},
                 {STATUS_NOT_FOUND, 22},
                 {STATUS_REFUSED, 1},
                 {STATUS_INVALID_ARGUMENT, 29}};
    for (int i = 0; i < 4; i++) {
        leader->change_status = cases[i].status;
        harness_send(pipe, REQUEST_RAFTMQ_MEMBER, i, 0, NO_BODY, "memberId", "4", "action",
                     "remove", NULL);
        struct command answer = expect_answer(pipe, i, cases[i].code);
        assert_true(slice_contains(answer.remark, "the replica says no"));
    }
    harness_pipe_free(pipe);
    harness_free(harness);
}

static void nonsense_changes_nothing(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *leader = harness_leader(harness);
    struct harness_pipe *pipe = harness_connect(leader, 1);
    harness_send(pipe, REQUEST_RAFTMQ_MEMBER, 1, 0, NO_BODY, "memberId", "0", "action", "add",
                 NULL);
    expect_answer(pipe, 1, 29);
    harness_send(pipe, REQUEST_RAFTMQ_MEMBER, 2, 0, NO_BODY, "memberId", "4", "action", "crown",
                 NULL);
    expect_answer(pipe, 2, 29);
    harness_send(pipe, REQUEST_RAFTMQ_MEMBER, 3, 0, NO_BODY, "action", "add", NULL);
    expect_answer(pipe, 3, 29);
    harness_send(pipe, REQUEST_RAFTMQ_DRAIN, 4, 0, NO_BODY, "on", "perhaps", NULL);
    expect_answer(pipe, 4, 29);
    harness_send(pipe, REQUEST_RAFTMQ_RECOVER, 5, 0, NO_BODY, NULL);
    expect_answer(pipe, 5, 29);
    assert_int_equal(leader->changed_member, 0);
    assert_false(leader->draining);
    harness_pipe_free(pipe);
    harness_free(harness);
}

static void a_drained_leader_hands_over_at_once_and_again_until_it_works(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *leader = harness_leader(harness);
    struct harness_pipe *pipe = harness_connect(leader, 1);
    leader->transfer_status = STATUS_TIMED_OUT;
    leader->transferred_to = 99;
    harness_send(pipe, REQUEST_RAFTMQ_DRAIN, 1, 0, NO_BODY, "on", "true", NULL);
    expect_answer(pipe, 1, 0);
    assert_true(leader->draining);
    harness_advance(harness, 100);
    assert_int_equal(leader->transferred_to, 0); // Whoever knows most.
    leader->transferred_to = 99;
    harness_advance(harness, 1000);
    assert_int_equal(leader->transferred_to, 0);
    harness_send(pipe, REQUEST_RAFTMQ_DRAIN, 2, 0, NO_BODY, "on", "false", NULL);
    expect_answer(pipe, 2, 0);
    assert_false(leader->draining);
    leader->transferred_to = 99;
    harness_advance(harness, 2000);
    assert_int_equal(leader->transferred_to, 99);
    harness_pipe_free(pipe);
    harness_free(harness);
}

static void the_last_resort_names_where_the_log_ends(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *leader = harness_leader(harness);
    struct harness_pipe *pipe = harness_connect(leader, 1);
    harness_send(pipe, REQUEST_RAFTMQ_RECOVER, 1, 0, NO_BODY, "lastIndex", "77", NULL);
    expect_answer(pipe, 1, 0);
    assert_int_equal(leader->recovered_at, 77);
    leader->change_status = STATUS_STALE;
    harness_send(pipe, REQUEST_RAFTMQ_RECOVER, 2, 0, NO_BODY, "lastIndex", "78", NULL);
    struct command answer = expect_answer(pipe, 2, 1);
    assert_true(slice_contains(answer.remark, "no longer ends at entry 78"));
    leader->change_status = STATUS_REFUSED;
    harness_send(pipe, REQUEST_RAFTMQ_RECOVER, 3, 0, NO_BODY, "lastIndex", "78", NULL);
    answer = expect_answer(pipe, 3, 1);
    assert_true(slice_contains(answer.remark, "has a leader"));
    harness_pipe_free(pipe);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_of_the_membership_goes_to_the_replica),
        cmocka_unit_test(a_refused_change_says_why_and_whether_to_try_again),
        cmocka_unit_test(nonsense_changes_nothing),
        cmocka_unit_test(a_drained_leader_hands_over_at_once_and_again_until_it_works),
        cmocka_unit_test(the_last_resort_names_where_the_log_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
