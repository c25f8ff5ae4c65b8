/* The log's time: steady when wall clocks are not. Two hands are turned, and what it says is read.
 */
#include "tests/support/test.h"

#include "broker/core/log_clock.h"

struct hands {
    uint64_t monotonic_ms;
    uint64_t wall_ms;
};

static uint64_t monotonic(void *context)
{
    return ((struct hands *)context)->monotonic_ms;
}

static uint64_t wall(void *context)
{
    return ((struct hands *)context)->wall_ms;
}

static void pass(struct hands *hands, uint64_t ms)
{
    hands->monotonic_ms += ms;
    hands->wall_ms += ms;
}

static void a_leader_goes_by_its_wall_clock(void **state)
{
    (void)state;
    struct hands hands = {1000, 1700000000000};
    const struct clock clock = {monotonic, wall, &hands};
    struct log_clock log_clock;
    log_clock_init(&log_clock, &clock);
    assert_int_equal(log_clock_now_ms(&log_clock), hands.wall_ms);
    log_clock_saw(&log_clock, hands.wall_ms);
    pass(&hands, 5000);
    assert_int_equal(log_clock_now_ms(&log_clock), hands.wall_ms);
}

static void
a_log_that_is_ahead_goes_on_at_half_speed_until_the_wall_clock_has_caught_up(void **state)
{
    (void)state;
    struct hands hands = {1000, 1700000000000};
    const struct clock clock = {monotonic, wall, &hands};
    struct log_clock log_clock;
    log_clock_init(&log_clock, &clock);
    uint64_t ahead = hands.wall_ms + 60000;
    log_clock_saw(&log_clock, ahead);
    assert_int_equal(log_clock_now_ms(&log_clock), ahead);
    pass(&hands, 10000);
    assert_int_equal(log_clock_now_ms(&log_clock), ahead + 5000);
    log_clock_saw(&log_clock, ahead + 5000); // Its own entry changes nothing.
    pass(&hands, 10000);
    assert_int_equal(log_clock_now_ms(&log_clock), ahead + 10000);
    pass(&hands, 100000);
    assert_int_equal(log_clock_now_ms(&log_clock), ahead + 60000);
    assert_int_equal(log_clock_now_ms(&log_clock), hands.wall_ms);
    pass(&hands, 1000);
    assert_int_equal(log_clock_now_ms(&log_clock), hands.wall_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_goes_by_its_wall_clock),
        cmocka_unit_test(
            a_log_that_is_ahead_goes_on_at_half_speed_until_the_wall_clock_has_caught_up),
    };
    return cmocka_run_group_tests_name("log_clock", tests, NULL, NULL);
}
