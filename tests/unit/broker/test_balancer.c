/* The balancer: leadership goes back to the preferred member, and only to one that is well. */
#include "tests/support/test.h"

#include "tests/support/broker_harness.h"

enum { DELAY_MS = 1000 };

/* A leader that is not the preferred one of its group. */
static struct harness_replica *visiting_leader(struct harness *harness, uint64_t delay_ms)
{
    struct harness_replica *leader = harness_leader(harness);
    leader->group.preferred_id = 2;
    leader->settings.balance_delay_ms = delay_ms;
    return leader;
}

static void hands_over_once_the_preferred_member_has_been_well_for_a_while(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *leader = visiting_leader(harness, DELAY_MS);
    harness_advance(harness, 2 * DELAY_MS);
    assert_int_equal(leader->transferred_to, 0); // It is not there.
    leader->peer_ready = true;
    harness_advance(harness, DELAY_MS - 100);
    assert_int_equal(leader->transferred_to, 0);
    harness_advance(harness, 200);
    assert_int_equal(leader->transferred_to, 2);
    harness_free(harness);
}

static void a_member_that_comes_and_goes_has_to_stay_well_anew(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *leader = visiting_leader(harness, DELAY_MS);
    for (int i = 0; i < 5; i++) {
        leader->peer_ready = true;
        harness_advance(harness, DELAY_MS - 200);
        leader->peer_ready = false;
        harness_advance(harness, 100);
    }
    assert_int_equal(leader->transferred_to, 0);
    harness_free(harness);
}

static void a_transfer_that_failed_is_tried_again(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *leader = visiting_leader(harness, DELAY_MS);
    leader->peer_ready = true;
    harness_advance(harness, DELAY_MS + 100);
    assert_int_equal(leader->transferred_to, 2);
    leader->transferred_to = 0;
    harness_advance(harness, DELAY_MS + 200);
    assert_int_equal(leader->transferred_to, 2);
    harness_free(harness);
}

static void the_preferred_member_and_a_delay_of_zero_keep_what_they_have(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *leader = visiting_leader(harness, 0);
    leader->peer_ready = true;
    harness_advance(harness, 5 * DELAY_MS);
    assert_int_equal(leader->transferred_to, 0);
    leader->settings.balance_delay_ms = DELAY_MS;
    leader->group.preferred_id = 1; // Itself.
    harness_advance(harness, 5 * DELAY_MS);
    assert_int_equal(leader->transferred_to, 0);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_over_once_the_preferred_member_has_been_well_for_a_while),
        cmocka_unit_test(a_member_that_comes_and_goes_has_to_stay_well_anew),
        cmocka_unit_test(a_transfer_that_failed_is_tried_again),
        cmocka_unit_test(the_preferred_member_and_a_delay_of_zero_keep_what_they_have),
    };
    return cmocka_run_group_tests_name("balancer", tests, NULL, NULL);
}
