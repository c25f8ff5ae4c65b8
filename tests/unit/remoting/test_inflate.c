/* inflate: bounded, whole streams only. */
#include "tests/support/test.h"

#include "common/remoting/inflate.h"

#include <zlib.h>

enum { CONTENT_SIZE = 300 * 1000 };

static struct buf deflated_zeros(size_t size)
{
    struct buf out = {0};
    uint8_t *content = mem_zalloc(size);
    uLongf deflated_size = compressBound(size);
    uint8_t *to = buf_extend(&out, deflated_size);
    assert_int_equal(compress(to, &deflated_size, content, size), Z_OK);
    out.size = deflated_size;
    free(content);
    return out;
}

static void the_content_is_appended(void **state)
{
    (void)state;
    struct buf deflated = deflated_zeros(CONTENT_SIZE);
    struct buf out = {0};
    buf_put_text(&out, "before");
    assert_int_equal(inflate_append(buf_slice(&deflated), CONTENT_SIZE, &out), STATUS_OK);
    assert_int_equal(out.size, 6 + CONTENT_SIZE);
    assert_memory_equal(out.data, "before\0", 7);
    assert_int_equal(out.data[out.size - 1], 0);
    buf_close(&out);
    buf_close(&deflated);
}

static void what_is_larger_than_agreed_is_refused_before_it_takes_memory(void **state)
{
    (void)state;
    struct buf deflated = deflated_zeros(CONTENT_SIZE);
    struct buf out = {0};
    buf_put_text(&out, "before");
    const size_t limits[] = {0, 1, 1000, CONTENT_SIZE - 1};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        assert_int_equal(inflate_append(buf_slice(&deflated), limits[i], &out), STATUS_LIMIT);
        assert_int_equal(out.size, 6);
    }
    buf_close(&out);
    assert_int_equal(inflate_append(buf_slice(&deflated), 1000, &out), STATUS_LIMIT);
    assert_true(out.capacity < CONTENT_SIZE);
    buf_close(&out);
    buf_close(&deflated);
}

static void a_stream_that_is_not_whole_is_refused(void **state)
{
    (void)state;
    struct buf deflated = deflated_zeros(1000);
    struct buf out = {0};
    for (size_t size = 0; size < deflated.size; size++) {
        assert_int_equal(inflate_append(slice_of(deflated.data, size), CONTENT_SIZE, &out),
                         STATUS_MALFORMED);
        assert_int_equal(out.size, 0);
    }
    assert_int_equal(inflate_append(slice_text("no zlib stream"), CONTENT_SIZE, &out),
                     STATUS_MALFORMED);
    buf_close(&out);
    buf_close(&deflated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_content_is_appended),
        cmocka_unit_test(what_is_larger_than_agreed_is_refused_before_it_takes_memory),
        cmocka_unit_test(a_stream_that_is_not_whole_is_refused),
    };
    return cmocka_run_group_tests_name("inflate", tests, NULL, NULL);
}
