/* The status table: every row complete, response codes only such as clients know. */
#include "tests/support/test.h"

#include "common/base/status.h"

#include <string.h>

static void every_row_has_name_and_text(void **state)
{
    (void)state;
#define CHECK_ROW(name, number, response, retry, text)                                             \
    assert_string_equal(status_name(STATUS_##name), #name);                                        \
    assert_true(strlen(status_text(STATUS_##name)) > 3);                                           \
    assert_int_equal(status_response_code(STATUS_##name), response);                               \
    assert_int_equal(status_retry(STATUS_##name), retry);
    STATUS_TABLE(CHECK_ROW)
#undef CHECK_ROW
    assert_string_equal(status_name((enum status)9999), "UNKNOWN");
}

/* Java clients roll a half message back on 10, 11 and 12 without running the local transaction. */
static void no_status_answers_with_a_flush_or_slave_code(void **state)
{
    (void)state;
    for (int number = 0; number < 100; number++) {
        int32_t code = status_response_code((enum status)number);
        assert_false(code == 10 || code == 11 || code == 12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_name_and_text),
        cmocka_unit_test(no_status_answers_with_a_flush_or_slave_code),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
