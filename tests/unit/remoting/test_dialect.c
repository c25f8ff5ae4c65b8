/* dialect: fastjson's liberties made strict JSON. */
#include "tests/support/test.h"

#include "common/remoting/dialect.h"

static void deviations_are_made_strict(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"a\":[1,true,null,\"x\\u0041\"]}", "{\"a\":[1,true,null,\"x\\u0041\"]}"},
        {" { } \n", "{}"},
        {"{0:\"a\",-1:\"b\"}", "{\"0\":\"a\",\"-1\":\"b\"}"},
        {"{name:'it\\'s \"q\"',$x_1:2}", "{\"name\":\"it's \\\"q\\\"\",\"$x_1\":2}"},
        {"{\"a\":1,}", "{\"a\":1}"},
        {"{{\"queueId\":0,\"topic\":\"T\"}:17}",
         "{\"{\\\"queueId\\\":0,\\\"topic\\\":\\\"T\\\"}\":17}"},
        {"{\"a\":undefined,\"b\":NaN}", "{\"a\":null,\"b\":null}"},
        {"\"\\x41\\v\\0\"", "\"\\u0041\\u000b\\u0000\""},
        {"\"a\tb\"", "\"a\\u0009b\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = {0};
        assert_int_equal(dialect_to_json(slice_text(cases[i][0]), &out), STATUS_OK);
        assert_string_equal(buf_text(&out), cases[i][1]);
        buf_close(&out);
    }
}

static void what_cannot_be_read_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "[1",
        "\"abc",
        "'abc",
        "{\"a\" 1}",
        "{:1}",
        "{}{}",
        "\"\\",
        "\"\\x4",
        "{{{1:2}:3}:4}",
        "{\"a\":1 \"b\":2}",
        "]",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf out = {0};
        if (dialect_to_json(slice_text(bad[i]), &out) != STATUS_MALFORMED) {
            fail_msg("accepted: %s", bad[i]);
        }
        buf_close(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deviations_are_made_strict),
        cmocka_unit_test(what_cannot_be_read_is_refused),
    };
    return cmocka_run_group_tests_name("dialect", tests, NULL, NULL);
}
