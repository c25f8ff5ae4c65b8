/* utf8: code points to and from bytes. */
#include "tests/support/test.h"

#include "common/base/utf8.h"

static void every_code_point_survives_the_round_trip(void **state)
{
    (void)state;
    for (uint32_t point = 0; point <= 0x10FFFF; point++) {
        if (point == 0xD800) {
            point = 0xE000;
        }
        uint8_t bytes[UTF8_SIZE_MAX];
        struct slice text = slice_of(bytes, utf8_put(point, bytes));
        if (!utf8_valid(text) || utf8_next(&text) != point || text.size != 0) {
            fail_msg("U+%04X", point);
        }
    }
}

static void bytes_that_are_no_sequence_are_replaced_one_by_one(void **state)
{
    (void)state;
    // Lone continuation, overlong slash, surrogate, beyond the last plane, cut sequence.
    static const char *const bad[] = {"\x80", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                      "\xE2\x82"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct slice text = slice_text(bad[i]);
        size_t size = text.size;
        assert_false(utf8_valid(text));
        assert_int_equal(utf8_next(&text), UTF8_REPLACEMENT);
        assert_int_equal(text.size, size - 1);
    }
}

static void a_surrogate_cannot_be_written(void **state)
{
    (void)state;
    uint8_t bytes[UTF8_SIZE_MAX];
    assert_int_equal(utf8_put(0xD800, bytes), 3);
    assert_memory_equal(bytes, "\xEF\xBF\xBD", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_survives_the_round_trip),
        cmocka_unit_test(bytes_that_are_no_sequence_are_replaced_one_by_one),
        cmocka_unit_test(a_surrogate_cannot_be_written),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
