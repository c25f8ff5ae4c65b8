/* SQL92 filters: every line of the golden file gives what RocketMQ's own library gives, what is
 * beyond a bound is refused, and no part of an expression does harm. */
#include "tests/support/test.h"

#include "broker/filter/sql_filter.h"
#include "common/base/buf.h"
#include "common/remoting/properties.h"

#include <stdio.h>

static const char *const results[] = {"FALSE", "TRUE", "NULL", "FAIL"};

enum { LINE_MAX_SIZE = 1024, LINES_MIN = 300 };

/* What the expression gives, or "ERR". Each in memory of its own, so that ASan sees its end. */
static const char *outcome(struct slice text, struct slice properties)
{
    struct sql_filter *filter = NULL;
    struct sql_trouble trouble = {{0}};
    uint8_t *copy = mem_alloc(text.size + 1);
    uint8_t *cut = memcpy(copy, text.data, text.size);
    cut = mem_realloc(cut, text.size > 0 ? text.size : 1);
    enum status status = sql_filter_compile(slice_of(cut, text.size), &filter, &trouble);
    free(cut); // What is compiled does not borrow.
    if (status != STATUS_OK) {
        assert_int_equal(status, STATUS_SUBSCRIPTION_MALFORMED);
        assert_null(filter);
        assert_true(trouble.text[0] != '\0');
        return "ERR";
    }
    enum sql_result result = sql_filter_evaluate(filter, properties);
    assert_int_equal(sql_filter_matches(filter, properties), result == SQL_RESULT_TRUE);
    sql_filter_free(filter);
    return results[result];
}

static const char *outcome_of(const char *text, const char *properties)
{
    return outcome(slice_text(text), slice_text(properties));
}

/* --- The golden file ---------------------------------------------------------------------- */

/* Escapes become what they stand for, and the line's end goes. */
static struct slice unescape(char *line)
{
    static const char from[] = "nrtfs";
    static const char to[] = "\n\r\t\f ";
    size_t size = 0;
    for (const char *at = line; *at != '\0' && *at != '\n'; at++) {
        const char *escape = *at == '\\' && at[1] != '\0' ? strchr(from, at[1]) : NULL;
        line[size++] = escape != NULL ? to[escape - from] : *at;
        at += escape != NULL ? 1 : 0;
    }
    return slice_of(line, size);
}

/* "name=value;…" as a property string. */
static void read_properties(char *line, struct buf *properties)
{
    struct slice rest = unescape(line);
    buf_clear(properties);
    while (rest.size > 0) {
        const uint8_t *end = memchr(rest.data, ';', rest.size);
        struct slice piece =
            slice_of(rest.data, end == NULL ? rest.size : (size_t)(end - rest.data));
        rest = slice_from(rest, end == NULL ? rest.size : piece.size + 1);
        const uint8_t *split = memchr(piece.data, '=', piece.size);
        assert_non_null(split);
        char *name = mem_copy_text(slice_of(piece.data, (size_t)(split - piece.data)));
        properties_append(properties, 0, name, slice_from(piece, strlen(name) + 1));
        free(name);
    }
}

typedef void golden_line(struct slice text, struct slice properties, const char *expected);

static size_t each_golden_line(golden_line *visit)
{
    static const char prefix[] = "properties: ";
    char path[LINE_MAX_SIZE];
    char line[LINE_MAX_SIZE];
    struct buf properties = {0};
    size_t count = 0;
    snprintf(path, sizeof path, "%s/tests/golden/broker/sql_filter.txt", RAFTMQ_SOURCE_DIR);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, prefix, strlen(prefix)) == 0) {
            read_properties(line + strlen(prefix), &properties);
        } else if (line[0] != '#' && line[0] != '\n') {
            size_t size = strcspn(line, " \n");
            char expected[8] = {0};
            assert_true(size < sizeof expected);
            memcpy(expected, line, size);
            size += strspn(line + size, " ");
            visit(unescape(line + size), buf_slice(&properties), expected);
            count++;
        }
    }
    fclose(file);
    buf_close(&properties);
    return count;
}

static void expect_line(struct slice text, struct slice properties, const char *expected)
{
    const char *found = outcome(text, properties);
    if (strcmp(found, expected) != 0) {
        fail_msg("%.*s: %s, expected %s", SLICE_ARGS(text), found, expected);
    }
}

static void each_expression_gives_what_rocketmq_gives(void **state)
{
    (void)state;
    assert_true(each_golden_line(expect_line) >= LINES_MIN);
}

static void cut_line(struct slice text, struct slice properties, const char *expected)
{
    (void)expected;
    for (size_t size = 0; size < text.size; size++) {
        outcome(slice_of(text.data, size), properties);
        outcome(slice_from(text, size), properties);
    }
}

static void a_part_of_an_expression_does_no_harm(void **state)
{
    (void)state;
    assert_true(each_golden_line(cut_line) >= LINES_MIN);
}

/* --- Bounds ------------------------------------------------------------------------------- */

static void repeat(struct buf *text, const char *part, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        buf_put_text(text, part);
    }
}

/* `before` times, a middle, `after` times. */
static const char *outcome_of_nested(const char *before, const char *middle, const char *after,
                                     size_t times)
{
    struct buf text = {0};
    repeat(&text, before, times);
    buf_put_text(&text, middle);
    repeat(&text, after, times);
    const char *found = outcome(buf_slice(&text), slice_text("a\0011\002"));
    buf_close(&text);
    return found;
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    assert_string_equal(outcome_of_nested("(", "a = 1", ")", SQL_NESTING_MAX - 1), "TRUE");
    assert_string_equal(outcome_of_nested("(", "a = 1", ")", SQL_NESTING_MAX), "ERR");
    assert_string_equal(outcome_of_nested("NOT ", "TRUE", "", SQL_NESTING_MAX - 2), "TRUE");
    assert_string_equal(outcome_of_nested("NOT ", "TRUE", "", SQL_NESTING_MAX), "ERR");
    assert_string_equal(outcome_of_nested("- ", "1 = 1", "", SQL_NESTING_MAX), "ERR");
    assert_string_equal(outcome_of_nested("+", "1 = 1", "", SQL_NESTING_MAX), "ERR");
    // The deepest the stack can get: a left side waits at each level of each nesting.
    static const char left[] = "FALSE OR TRUE AND a <> -(";
    const char *deep = outcome_of_nested(left, "a", ")", SQL_NESTING_MAX / 2 - 1);
    assert_string_not_equal(deep, "ERR");
    static const char between[] = "FALSE OR TRUE AND a = a BETWEEN a AND -(";
    deep = outcome_of_nested(between, "a", ")", SQL_NESTING_MAX / 2 - 1);
    assert_string_not_equal(deep, "ERR");
    assert_string_equal(outcome_of_nested(left, "a", ")", SQL_NESTING_MAX / 2 + 1), "ERR");
}

static void parts_are_bounded_and_copies_count(void **state)
{
    (void)state;
    assert_string_equal(outcome_of_nested("a = 1 OR ", "a = 1", "", 400), "TRUE");
    assert_string_equal(outcome_of_nested("a = 1 OR ", "a = 1", "", 600), "ERR");
    // Each BETWEEN evaluates its left side twice: without the bound, 2^20 instructions.
    assert_string_equal(outcome_of_nested("-(", "a", " BETWEEN 1 AND 2)", 20), "ERR");
}

/* What BETWEEN evaluates twice may be a long list. */
static void copies_of_lists_count_as_whole_lists(void **state)
{
    (void)state;
    struct buf list = {0};
    buf_put_text(&list, "a IN ('1'");
    repeat(&list, ",''", 2000);
    buf_put_text(&list, ")");
    buf_put_u8(&list, 0);
    const char *middle = (const char *)list.data;
    assert_string_equal(outcome_of_nested("-(", middle, ") BETWEEN 1 AND 2", 1), "NULL");
    assert_string_equal(outcome_of_nested("-(", middle, ") BETWEEN 1 AND 2", 3), "ERR");
    buf_close(&list);
}

static void values_and_names_are_bounded(void **state)
{
    (void)state;
    struct buf text = {0};
    buf_put_text(&text, "a IN ('1'");
    repeat(&text, ",''", SQL_VALUES_MAX - 1);
    buf_put_text(&text, ")");
    assert_string_equal(outcome(buf_slice(&text), slice_text("a\0011\002")), "TRUE");
    text.size--;
    buf_put_text(&text, ",'')");
    assert_string_equal(outcome(buf_slice(&text), slice_text("a\0011\002")), "ERR");
    buf_clear(&text);
    for (int i = 0; i < SQL_NAMES_MAX; i++) {
        buf_printf(&text, "p%d IS NULL AND ", i);
    }
    size_t size = text.size;
    buf_put_text(&text, "p0 IS NULL");
    assert_string_equal(outcome(buf_slice(&text), slice_text("")), "TRUE");
    text.size = size;
    buf_put_text(&text, "q IS NULL");
    assert_string_equal(outcome(buf_slice(&text), slice_text("")), "ERR");
    buf_close(&text);
}

static void the_size_of_the_text_is_bounded(void **state)
{
    (void)state;
    struct buf text = {0};
    buf_put_text(&text, "a = 1");
    repeat(&text, " ", SQL_SIZE_MAX - text.size);
    assert_string_equal(outcome(buf_slice(&text), slice_text("a\0011\002")), "TRUE");
    buf_put_text(&text, " ");
    assert_string_equal(outcome(buf_slice(&text), slice_text("a\0011\002")), "ERR");
    buf_close(&text);
}

/* --- The rest ----------------------------------------------------------------------------- */

static void of_equal_properties_the_last_counts(void **state)
{
    (void)state;
    assert_string_equal(outcome_of("a = 2", "a\0011\002a\0012\002"), "TRUE");
    assert_string_equal(outcome_of("a = 2", "a\0012"), "TRUE");        // The end may be missing.
    assert_string_equal(outcome_of("a IS NULL", "a\001\002"), "TRUE"); // Empty ones do not count.
    assert_string_equal(outcome_of("a IS NULL", "garbage"), "TRUE");
}

static void a_number_of_any_length_is_read_or_is_none(void **state)
{
    (void)state;
    struct buf properties = {0};
    buf_put_text(&properties, "a\001");
    repeat(&properties, "0", 254);
    buf_put_text(&properties, "1\002");
    assert_string_equal(outcome(slice_text("a = 1.0"), buf_slice(&properties)), "TRUE");
    assert_string_equal(outcome(slice_text("a = 1"), buf_slice(&properties)), "TRUE");
    buf_clear(&properties);
    buf_put_text(&properties, "a\001");
    repeat(&properties, "0", 255);
    buf_put_text(&properties, "1\002");
    assert_string_equal(outcome(slice_text("a = 1.0"), buf_slice(&properties)), "FAIL");
    assert_string_equal(outcome(slice_text("a = 1"), buf_slice(&properties)), "TRUE");
    buf_close(&properties);
}

static void a_trouble_names_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *trouble;
    } cases[] = {
        {"a = ", "a property or a value is needed, at byte 4"},
        {"a = 1 AND b > 'x'", "only numbers have an order, before this, at byte 17"},
        {"a IN (1)", "a text in single quotes is needed, at byte 6"},
        {"(a = 1", "a closing parenthesis is needed, at byte 6"},
        {"a = 1 ;", "not a word of SQL, at byte 6"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sql_filter *filter;
        struct sql_trouble trouble;
        assert_int_equal(sql_filter_compile(slice_text(cases[i].text), &filter, &trouble),
                         STATUS_SUBSCRIPTION_MALFORMED);
        assert_string_equal(trouble.text, cases[i].trouble);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_expression_gives_what_rocketmq_gives),
        cmocka_unit_test(a_part_of_an_expression_does_no_harm),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(parts_are_bounded_and_copies_count),
        cmocka_unit_test(copies_of_lists_count_as_whole_lists),
        cmocka_unit_test(values_and_names_are_bounded),
        cmocka_unit_test(the_size_of_the_text_is_bounded),
        cmocka_unit_test(of_equal_properties_the_last_counts),
        cmocka_unit_test(a_number_of_any_length_is_read_or_is_none),
        cmocka_unit_test(a_trouble_names_its_place),
    };
    return cmocka_run_group_tests_name("sql_filter", tests, NULL, NULL);
}
