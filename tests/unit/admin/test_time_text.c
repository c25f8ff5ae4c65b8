/* time_text: times on the command line. */
#include "tests/support/test.h"

#include "admin/time_text.h"

static void dates_and_milliseconds_are_read(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"0", 0},
        {"1700000000123", 1700000000123},
        {"2023-11-14T22:13:20Z", 1700000000000},
        {"2023-11-14T22:13:20.123Z", 1700000000123},
        {"2024-02-29T12:00:00Z", 1709208000000},
        {"2024-03-01T00:00:00Z", 1709251200000},
        {"2100-03-01T00:00:00Z", 4107542400000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = -1;
        assert_true(time_parse(cases[i].text, &ms));
        assert_int_equal(ms, cases[i].ms);
    }
}

static void anything_else_is_no_time(void **state)
{
    (void)state;
    const char *const wrong[] = {
        "",
        "-1",
        "now",
        "2023-11-14",
        "2023-11-14T22:13Z",
        "2023-11-14T22:13:20",
        "2023-11-14T22:13:20z",
        "2023-11-14T22:13:20.12Z",
        "2023-11-14T22:13:20.123",
        "2023-11-14T22:13:20Zx",
        "2023-11-14 22:13:20Z",
        "2023-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-00-01T00:00:00Z",
        "2023-01-32T00:00:00Z",
        "2023-01-00T00:00:00Z",
        "2023-01-01T24:00:00Z",
        "2023-01-01T00:60:00Z",
        "2023-01-01T00:00:60Z",
        "1969-12-31T23:59:59Z",
        "99999999999999999999",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t ms;
        if (time_parse(wrong[i], &ms)) {
            fail_msg("%s was taken", wrong[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_and_milliseconds_are_read),
        cmocka_unit_test(anything_else_is_no_time),
    };
    return cmocka_run_group_tests_name("time_text", tests, NULL, NULL);
}
