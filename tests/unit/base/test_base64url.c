/* Base64 for URLs: the samples of the RFC, and nothing that is not it. */
#include "tests/support/test.h"

#include "common/base/base64url.h"

static void samples_go_there_and_back(void **state)
{
    (void)state;
    static const struct {
        const char *plain;
        const char *text;
    } samples[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xFB\xEF\xFF?>", "--__Pz4="},
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct buf out = {0};
        struct slice text = slice_text(samples[i].text);
        base64url_append(&out, slice_text(samples[i].plain));
        assert_true(slice_equals(buf_slice(&out), text));
        buf_clear(&out);
        buf_put_text(&out, "before");
        assert_true(base64url_decode(text, &out));
        assert_true(slice_equals_text(slice_from(buf_slice(&out), 6), samples[i].plain));
        while (text.size > 0 && text.data[text.size - 1] == '=') {
            text.size--;
        }
        buf_clear(&out);
        assert_true(base64url_decode(text, &out));
        assert_true(slice_equals_text(buf_slice(&out), samples[i].plain));
        buf_close(&out);
    }
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z",    "Zg=",  "Zg===", "Zm9v=", "Zm9vY", "Zh==",
                                      "Zm9=", "Zm+v", "Zm/v",  "Z m9",  "====",  "Zg==Zg=="};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf out = {0};
        buf_put_text(&out, "before");
        assert_false(base64url_decode(slice_text(bad[i]), &out));
        assert_true(slice_equals_text(buf_slice(&out), "before"));
        buf_close(&out);
    }
    struct buf out = {0};
    assert_false(base64url_decode(slice_of("Zm\0v", 4), &out));
    buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_go_there_and_back),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests_name("base64url", tests, NULL, NULL);
}
