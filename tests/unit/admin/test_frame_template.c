/* frame_template: a patched frame is what encoding it anew would have given. */
#include "tests/support/test.h"

#include "admin/frame_template.h"

static void assert_field(const struct command *command, const char *name, const char *expected)
{
    struct slice value;
    assert_true(command_find(command, name, &value));
    assert_true(slice_equals_text(value, expected));
}

static void every_hole_is_filled_and_nothing_else_changes(void **state)
{
    (void)state;
    struct command request;
    struct frame_template template;
    struct buf out = {0};
    struct buf scratch = {0};
    command_init_request(&request, 310, HOLE_OPAQUE);
    command_add(&request, "e", slice_text(HOLE_QUEUE));
    command_add(&request, "g", slice_text(HOLE_TIME));
    command_add(&request, "i", slice_text("UNIQ_KEY\001" HOLE_UNIQUE "\002"));
    command_add(&request, "o", slice_text(HOLE_OFFSET));
    command_add(&request, "p", slice_text(HOLE_POSITION));
    request.body = slice_text("a body with 3333 and " HOLE_UNIQUE);
    frame_template_init(&template, &request);
    buf_put_text(&out, "before");
    size_t begin = frame_append(&template, &out);
    frame_patch(&template, &out, begin, FRAME_OPAQUE, 1000000007);
    frame_patch(&template, &out, begin, FRAME_QUEUE, 12);
    frame_patch(&template, &out, begin, FRAME_TIME, 1700000000123);
    frame_patch(&template, &out, begin, FRAME_OFFSET, 0);
    frame_patch(&template, &out, begin, FRAME_POSITION, INT64_MAX);
    frame_patch_unique(&template, &out, begin, 0x0123456789ABCDEF, 0xFF);
    struct command decoded;
    assert_int_equal(command_decode(slice_from(buf_slice(&out), begin), &scratch, &decoded),
                     STATUS_OK);
    assert_int_equal(decoded.opaque, 1000000007);
    assert_field(&decoded, "e", "0012");
    assert_field(&decoded, "g", "1700000000123");
    assert_field(&decoded, "i", "UNIQ_KEY\0010123456789ABCDEF00000000000000FF\002");
    assert_field(&decoded, "o", "0000000000000000000");
    assert_field(&decoded, "p", "9223372036854775807");
    assert_true(slice_equals(decoded.body, request.body));
    int32_t queue = -1;
    assert_int_equal(command_i32(&decoded, "e", true, &queue), STATUS_OK);
    assert_int_equal(queue, 12);
    frame_template_close(&template);
    buf_close(&scratch);
    buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_hole_is_filled_and_nothing_else_changes),
    };
    return cmocka_run_group_tests_name("frame_template", tests, NULL, NULL);
}
