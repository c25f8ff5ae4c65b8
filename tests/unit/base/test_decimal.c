/* decimal: text to and from int64. */
#include "tests/support/test.h"

#include "common/base/decimal.h"

static void every_magnitude_survives_the_round_trip(void **state)
{
    (void)state;
    for (int shift = 0; shift < 64; shift++) {
        const int64_t values[] = {(int64_t)(1ull << shift), (int64_t)((1ull << shift) - 1),
                                  (int64_t)(0 - (1ull << shift))};
        for (size_t i = 0; i < 3; i++) {
            char text[DECIMAL_SIZE_MAX];
            size_t size = decimal_format(values[i], text);
            int64_t back = 0;
            assert_true(decimal_parse(slice_of(text, size), &back));
            assert_true(back == values[i]);
        }
    }
}

static void the_extremes_are_written_in_full(void **state)
{
    (void)state;
    char text[DECIMAL_SIZE_MAX];
    assert_int_equal(decimal_format(INT64_MIN, text), 20);
    assert_memory_equal(text, "-9223372036854775808", 20);
    assert_int_equal(decimal_format(INT64_MAX, text), 19);
    assert_memory_equal(text, "9223372036854775807", 19);
    assert_int_equal(decimal_format(0, text), 1);
}

static void what_is_not_a_number_or_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "-",
        "+1",
        " 1",
        "1 ",
        "1.0",
        "0x1",
        "1e3",
        "--1",
        "a",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999999",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t value = 42;
        assert_false(decimal_parse(slice_text(bad[i]), &value));
        assert_int_equal(value, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_magnitude_survives_the_round_trip),
        cmocka_unit_test(the_extremes_are_written_in_full),
        cmocka_unit_test(what_is_not_a_number_or_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("decimal", tests, NULL, NULL);
}
