/* histogram: percentiles are right to a part in 64, at any scale. */
#include "tests/support/test.h"

#include "admin/histogram.h"
#include "common/base/random.h"

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void percentiles_are_close_to_the_exact_ones(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static struct histogram histogram;
    static uint64_t values[COUNT];
    struct random random = {5};
    for (size_t i = 0; i < COUNT; i++) {
        // From nanoseconds to minutes, each power of two as often as any other.
        values[i] = random_below(&random, UINT64_C(1) << (1 + random_below(&random, 38)));
        histogram_add(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof values[0], compare);
    const double fractions[] = {0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
    for (size_t i = 0; i < sizeof fractions / sizeof fractions[0]; i++) {
        uint64_t exact = values[(size_t)(fractions[i] * COUNT + 0.5) - 1];
        uint64_t found = histogram_percentile(&histogram, fractions[i]);
        assert_true(found >= exact);
        assert_true(found - exact <= exact / 64 + 1);
    }
    assert_true(histogram_percentile(&histogram, 1) == values[COUNT - 1]);
}

static void an_empty_one_says_zero_and_one_value_is_itself(void **state)
{
    (void)state;
    static struct histogram histogram;
    assert_int_equal(histogram_percentile(&histogram, 0.5), 0);
    histogram_add(&histogram, 1234567);
    assert_int_equal(histogram_percentile(&histogram, 0), 1234567);
    assert_int_equal(histogram_percentile(&histogram, 0.999), 1234567);
}

static void what_is_too_large_counts_as_the_largest(void **state)
{
    (void)state;
    static struct histogram histogram;
    histogram_add(&histogram, UINT64_MAX);
    histogram_add(&histogram, 1);
    assert_int_equal(histogram.count, 2);
    assert_int_equal(histogram_percentile(&histogram, 0.5), 1);
    assert_true(histogram_percentile(&histogram, 1) > UINT64_C(1000000000000));
}

static void merging_is_adding(void **state)
{
    (void)state;
    static struct histogram a;
    static struct histogram b;
    histogram_add(&a, 10);
    histogram_add(&b, 1000);
    histogram_add(&b, 5000);
    histogram_merge(&a, &b);
    assert_int_equal(a.count, 3);
    assert_int_equal(a.sum_ns, 6010);
    assert_int_equal(a.max_ns, 5000);
    assert_in_range(histogram_percentile(&a, 0.6), 1000, 1016);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_close_to_the_exact_ones),
        cmocka_unit_test(an_empty_one_says_zero_and_one_value_is_itself),
        cmocka_unit_test(what_is_too_large_counts_as_the_largest),
        cmocka_unit_test(merging_is_adding),
    };
    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
