/* Which followers may serve readers that are far behind: each condition on its own. */
#include "tests/support/test.h"

#include "broker/host/group_readers.h"

enum { ELECTION_MS = 200, POSITION = 1000000, END = 9000000, COMMIT = 5000 };

static struct replica_view leader;
static struct replica_member_view *follower = &leader.members[1];

/* Member 1 leads, member 2 has all of its log. */
static int set_up(void **state)
{
    (void)state;
    leader = (struct replica_view){
        .state = {.role = REPLICA_LEADER, .term = 3, .leader_id = 1},
        .commit_index = COMMIT,
        .log_end_position = END,
        .member_count = 2,
        .members = {{.id = 1, .connected = true},
                    {.id = 2,
                     .connected = true,
                     .match_index = COMMIT,
                     .match_position = END - 100,
                     .last_contact_ms_ago = 5}},
    };
    return 0;
}

static bool may_follow(void)
{
    return reader_may_follow(&leader, follower, POSITION, ELECTION_MS);
}

static void one_that_has_all_may(void **state)
{
    (void)state;
    assert_true(may_follow());
    follower->match_index = COMMIT + 7; // More is on its way than is known to be committed.
    assert_true(may_follow());
}

static void one_that_is_away_or_silent_or_drained_may_not(void **state)
{
    (void)state;
    follower->connected = false;
    assert_false(may_follow());
    follower->connected = true;
    follower->last_contact_ms_ago = 4 * ELECTION_MS - 1;
    assert_true(may_follow());
    follower->last_contact_ms_ago = 4 * ELECTION_MS;
    assert_false(may_follow());
    follower->last_contact_ms_ago = UINT64_MAX;
    assert_false(may_follow());
    follower->last_contact_ms_ago = 5;
    follower->draining = true;
    assert_false(may_follow());
}

static void one_that_lags_itself_may_not(void **state)
{
    (void)state;
    follower->match_index = COMMIT - 256;
    assert_true(may_follow());
    follower->match_index = COMMIT - 257;
    assert_false(may_follow());
    follower->match_index = 0;
    assert_false(may_follow());
}

/* Few entries can be many bytes. */
static void one_that_lacks_more_than_half_of_what_is_read_may_not(void **state)
{
    (void)state;
    follower->match_position = POSITION + (END - POSITION) / 2;
    assert_true(may_follow());
    follower->match_position--;
    assert_false(may_follow());
    follower->match_position = 0; // Not in our log (any more).
    assert_false(may_follow());
    follower->match_position = END;
    assert_false(reader_may_follow(&leader, follower, END, ELECTION_MS));
}

static void a_follower_needs_a_leader_that_speaks(void **state)
{
    (void)state;
    struct replica_view view = leader; // As member 2 sees it.
    view.state.role = REPLICA_FOLLOWER;
    view.members[0].last_contact_ms_ago = 2 * ELECTION_MS - 1;
    assert_true(reader_may_stay(&view, ELECTION_MS));
    view.members[0].last_contact_ms_ago++;
    assert_false(reader_may_stay(&view, ELECTION_MS));
    view.members[0].last_contact_ms_ago = 0;
    view.state.leader_id = 0;
    assert_false(reader_may_stay(&view, ELECTION_MS));
    view.state.leader_id = 9;
    assert_false(reader_may_stay(&view, ELECTION_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_that_has_all_may, set_up),
        cmocka_unit_test_setup(one_that_is_away_or_silent_or_drained_may_not, set_up),
        cmocka_unit_test_setup(one_that_lags_itself_may_not, set_up),
        cmocka_unit_test_setup(one_that_lacks_more_than_half_of_what_is_read_may_not, set_up),
        cmocka_unit_test_setup(a_follower_needs_a_leader_that_speaks, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
