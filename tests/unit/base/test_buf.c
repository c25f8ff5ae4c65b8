/* buf, slice, name and byte order. */
#include "tests/support/test.h"

#include "common/base/buf.h"
#include "common/base/name.h"

static void grows_and_keeps_content(void **state)
{
    (void)state;
    struct buf buf = {0};
    for (uint32_t i = 0; i < 10000; i++) {
        buf_put_be32(&buf, i);
    }
    assert_int_equal(buf.size, 40000);
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(be32_get(buf.data + 4 * (size_t)i), i);
    }
    buf_consume(&buf, 4 * 9999);
    assert_int_equal(be32_get(buf.data), 9999);
    buf_close(&buf);
}

static void integers_have_the_stated_byte_order(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_put_be16(&buf, 0x0102);
    buf_put_le16(&buf, 0x0102);
    buf_put_be64(&buf, 0x0102030405060708u);
    buf_put_le32(&buf, 0x01020304u);
    const uint8_t expected[] = {1, 2, 2, 1, 1, 2, 3, 4, 5, 6, 7, 8, 4, 3, 2, 1};
    assert_int_equal(buf.size, sizeof expected);
    assert_memory_equal(buf.data, expected, sizeof expected);
    buf_close(&buf);
}

static void prints_without_counting_the_nul(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_printf(&buf, "%s=%d", "x", 42);
    buf_put_text(&buf, ";");
    assert_int_equal(buf.size, 5);
    assert_string_equal(buf_text(&buf), "x=42;");
    buf_close(&buf);
}

static void slices_compare_bytewise_shorter_first(void **state)
{
    (void)state;
    assert_true(slice_compare(slice_text("ab"), slice_text("abc")) < 0);
    assert_true(slice_compare(slice_text("b"), slice_text("abc")) > 0);
    assert_int_equal(slice_compare(slice_text("abc"), slice_text("abc")), 0);
    assert_true(slice_equals(slice_of(NULL, 0), slice_text("")));
    assert_true(slice_starts_with(slice_text("%RETRY%g"), "%RETRY%"));
}

static void name_refuses_what_does_not_fit(void **state)
{
    (void)state;
    char text[300];
    memset(text, 'a', sizeof text);
    struct name name = {0};
    assert_true(name_set(&name, slice_of(text, 255)));
    assert_int_equal(name_slice(&name).size, 255);
    assert_false(name_set(&name, slice_of(text, 256)));
    assert_false(name_set(&name, slice_of("a\0b", 3)));
    assert_int_equal(name.size, 255);
    assert_true(name_set(&name, slice_of(NULL, 0)));
    assert_string_equal(name.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps_content),
        cmocka_unit_test(integers_have_the_stated_byte_order),
        cmocka_unit_test(prints_without_counting_the_nul),
        cmocka_unit_test(slices_compare_bytewise_shorter_first),
        cmocka_unit_test(name_refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
