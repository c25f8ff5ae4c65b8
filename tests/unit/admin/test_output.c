/* Rows come out in order, whatever order brokers answer in. */
#include "admin/output.h"
#include "tests/support/test.h"

static const struct column columns[] = {
    {"BROKER", "broker"},
    {"QUEUE", "queue"},
    {"MAX", "max"},
};

/* Sort rows given as JSON by broker and queue, and see that they come as `expected`. */
static void assert_sorted(const char *rows, const char *expected)
{
    json_t *given = json_loads(rows, 0, NULL);
    json_t *wanted = json_loads(expected, 0, NULL);
    assert_non_null(given);
    assert_non_null(wanted);
    output_sort(given, columns, 2);
    assert_true(json_equal(given, wanted));
    json_decref(given);
    json_decref(wanted);
}

static void rows_are_ordered_by_their_first_columns(void **state)
{
    (void)state;
    assert_sorted("[{\"broker\": \"b\", \"queue\": 0, \"max\": 1},"
                  " {\"broker\": \"a\", \"queue\": 10, \"max\": 2},"
                  " {\"broker\": \"a\", \"queue\": 9, \"max\": 3}]",
                  "[{\"broker\": \"a\", \"queue\": 9, \"max\": 3},"
                  " {\"broker\": \"a\", \"queue\": 10, \"max\": 2},"
                  " {\"broker\": \"b\", \"queue\": 0, \"max\": 1}]");
}

static void rows_without_a_member_and_no_rows_are_harmless(void **state)
{
    (void)state;
    assert_sorted("[]", "[]");
    assert_sorted("[{\"broker\": \"b\", \"queue\": 1}, {\"broker\": \"b\"}]",
                  "[{\"broker\": \"b\"}, {\"broker\": \"b\", \"queue\": 1}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_ordered_by_their_first_columns),
        cmocka_unit_test(rows_without_a_member_and_no_rows_are_harmless),
    };
    return cmocka_run_group_tests_name("admin_output", tests, NULL, NULL);
}
