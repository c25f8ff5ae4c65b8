/* properties: the property string of a message. */
#include "tests/support/test.h"

#include "common/remoting/properties.h"

static void assert_slice(struct slice slice, const char *text)
{
    if (!slice_equals_text(slice, text)) {
        fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARGS(slice), text);
    }
}

static void walks_with_and_without_the_last_separator(void **state)
{
    (void)state;
    static const char *const strings[] = {"a\1b\2c\1d\2", "a\1b\2c\1d"};
    for (size_t i = 0; i < 2; i++) {
        struct slice rest = slice_text(strings[i]);
        struct slice name;
        struct slice value;
        assert_true(properties_next(&rest, &name, &value));
        assert_slice(name, "a");
        assert_slice(value, "b");
        assert_true(properties_next(&rest, &name, &value));
        assert_slice(name, "c");
        assert_slice(value, "d");
        assert_false(properties_next(&rest, &name, &value));
    }
}

static void pieces_without_name_or_value_do_not_count(void **state)
{
    (void)state;
    struct slice rest = slice_text("\2\2\1x\2y\1\2z\2a\1b\1c\2");
    struct slice name;
    struct slice value;
    assert_true(properties_next(&rest, &name, &value));
    assert_slice(name, "a");
    assert_slice(value, "b\1c"); // Name up to the first separator, value all the rest.
    assert_false(properties_next(&rest, &name, &value));
}

static void of_equal_names_the_later_counts(void **state)
{
    (void)state;
    struct slice value = {0};
    assert_true(properties_find(slice_text("k\0011\2x\1y\2k\0012\2"), "k", &value));
    assert_slice(value, "2");
    assert_false(properties_find(slice_text("k\0011\2"), "K", &value));
    assert_false(properties_find((struct slice){0}, "K", &value));
}

static void appending_closes_what_was_left_open(void **state)
{
    (void)state;
    struct buf out = {0};
    buf_put_text(&out, "elsewhere");
    size_t start = out.size;
    properties_append(&out, start, "a", slice_text("1"));
    out.size--; // As a client of 4.9.8 sends it.
    properties_append(&out, start, "b", slice_text("2"));
    assert_slice(buf_slice(&out), "elsewherea\0011\2b\0012\2");
    buf_close(&out);
}

static void copying_leaves_out_every_piece_of_those_names(void **state)
{
    (void)state;
    struct buf out = {0};
    const struct slice properties = slice_text("k\0011\2x\1y\2k\0012\2kk\0013\2z\1w");
    static const char *const names[] = {"z", "k"};
    properties_copy_without(&out, properties, names, 2);
    assert_slice(buf_slice(&out), "x\1y\2kk\0013\2");
    buf_clear(&out);
    properties_copy_without(&out, properties, names, 1);
    assert_slice(buf_slice(&out), "k\0011\2x\1y\2k\0012\2kk\0013\2");
    buf_close(&out);
}

static void text_with_separators_is_not_clean(void **state)
{
    (void)state;
    assert_true(properties_clean(slice_text("order-1 \xC3\xA9")));
    assert_false(properties_clean(slice_text("a\1b")));
    assert_false(properties_clean(slice_text("a\2")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_with_and_without_the_last_separator),
        cmocka_unit_test(pieces_without_name_or_value_do_not_count),
        cmocka_unit_test(of_equal_names_the_later_counts),
        cmocka_unit_test(appending_closes_what_was_left_open),
        cmocka_unit_test(copying_leaves_out_every_piece_of_those_names),
        cmocka_unit_test(text_with_separators_is_not_clean),
    };
    return cmocka_run_group_tests_name("properties", tests, NULL, NULL);
}
