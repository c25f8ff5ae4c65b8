/* Sums of the last minute, hour and day. */
#include "tests/support/test.h"

#include "broker/core/rates.h"

#include <stdio.h>

enum { SECOND = 1000, HOUR = 3600 * SECOND };

static struct rates rates;
static uint64_t now_ms;

static int set_up(void **state)
{
    (void)state;
    rates = (struct rates){0};
    now_ms = 1;
    rates_tick(&rates, now_ms);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rates_close(&rates);
    return 0;
}

/* So much a second, for so long. */
static void flow(uint64_t seconds, uint64_t amount)
{
    for (uint64_t i = 0; i < seconds; i++) {
        rates_add(&rates, RATE_TOPIC_PUT_NUMS, slice_text("T"), amount);
        now_ms += SECOND;
        rates_tick(&rates, now_ms);
    }
}

static struct rate_view view(void)
{
    struct rate_view out;
    assert_true(rates_find(&rates, RATE_TOPIC_PUT_NUMS, slice_text("T"), &out));
    return out;
}

static void a_minute_forgets_what_was_before_it(void **state)
{
    (void)state;
    flow(60, 10);
    assert_int_equal(view().minute.sum, 600);
    assert_int_equal(view().minute.times, 60);
    assert_true(view().minute.per_second == 10);
    flow(30, 0);
    assert_int_equal(view().minute.sum, 300);
    assert_true(view().minute.per_second == 5);
    assert_true(view().ten_seconds.per_second == 0);
    assert_int_equal(view().day.sum, 600);
    flow(60, 0);
    assert_int_equal(view().minute.sum, 0);
}

static void an_hour_and_a_day_have_their_own_samples(void **state)
{
    (void)state;
    flow(HOUR / SECOND, 2);
    assert_int_equal(view().hour.sum, 7200);
    assert_true(view().hour.per_second == 2);
    flow(2 * HOUR / SECOND, 0);
    assert_int_equal(view().hour.sum, 0);
    assert_true(view().ten_minutes.per_second == 0);
    assert_int_equal(view().day.sum, 7200);
}

static void what_stood_still_for_a_day_is_forgotten(void **state)
{
    (void)state;
    flow(60, 1);
    for (int i = 0; i < 26 * 360; i++) {
        now_ms += 10 * SECOND;
        rates_tick(&rates, now_ms);
    }
    struct rate_view out;
    assert_false(rates_find(&rates, RATE_TOPIC_PUT_NUMS, slice_text("T"), &out));
    assert_int_equal(rates.by_key.count, 0);
}

static void a_new_one_has_the_rate_of_its_own_time(void **state)
{
    (void)state;
    now_ms += HOUR;
    rates_tick(&rates, now_ms);
    flow(20, 5);
    assert_int_equal(view().minute.sum, 100);
    assert_true(view().minute.per_second == 5);
    rates_add(&rates, RATE_GROUP_GET_NUMS, slice_text("T@G"), 7);
    struct rate_view out;
    assert_true(rates_find(&rates, RATE_GROUP_GET_NUMS, slice_text("T@G"), &out));
    assert_int_equal(out.minute.sum, 0); // Not sampled yet.
    assert_false(rates_find(&rates, RATE_TOPIC_PUT_NUMS, slice_text("T@G"), &out));
}

static void keys_are_bounded(void **state)
{
    (void)state;
    char key[16];
    uint8_t longest[RATE_KEY_MAX + 1] = {0};
    rates_add(&rates, RATE_TOPIC_PUT_NUMS, slice_of(longest, sizeof longest), 1);
    assert_int_equal(rates.by_key.count, 0);
    for (int i = 0; i < RATES_MAX + 10; i++) {
        snprintf(key, sizeof key, "%d", i);
        rates_add(&rates, RATE_TOPIC_PUT_NUMS, slice_text(key), 1);
    }
    assert_int_equal(rates.by_key.count, RATES_MAX);
}

/* A process that stood still for a week wakes up: at once, and nothing is counted twice. */
static void a_long_pause_costs_no_samples(void **state)
{
    (void)state;
    flow(10, 1);
    now_ms += 7 * 24 * (uint64_t)HOUR;
    rates_tick(&rates, now_ms);
    assert_true(rates.samples < 10);
    flow(10, 1);
    assert_true(view().day.sum <= 20);
}

static void totals_are_kept_as_days_begin(void **state)
{
    (void)state;
    const uint64_t noon_ms = UINT64_C(19700) * 24 * HOUR + 12 * HOUR;
    struct day_totals totals = {0};
    day_totals_tick(&totals, noon_ms, 100, 10);
    day_totals_tick(&totals, noon_ms + 11 * HOUR, 150, 15);
    assert_int_equal(totals.put_today, 100);
    assert_int_equal(totals.put_yesterday, 100);
    day_totals_tick(&totals, noon_ms + 12 * HOUR, 160, 16);
    day_totals_tick(&totals, noon_ms + 20 * HOUR, 170, 17);
    assert_int_equal(totals.put_today, 160);
    assert_int_equal(totals.put_yesterday, 100);
    assert_int_equal(totals.got_today, 16);
    assert_int_equal(totals.got_yesterday, 10);
}

#define rates_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        rates_test(a_minute_forgets_what_was_before_it),
        rates_test(an_hour_and_a_day_have_their_own_samples),
        rates_test(what_stood_still_for_a_day_is_forgotten),
        rates_test(a_new_one_has_the_rate_of_its_own_time),
        rates_test(keys_are_bounded),
        rates_test(a_long_pause_costs_no_samples),
        rates_test(totals_are_kept_as_days_begin),
    };
    return cmocka_run_group_tests_name("rates", tests, NULL, NULL);
}
