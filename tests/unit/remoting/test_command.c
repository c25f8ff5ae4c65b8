/* command: frames and both forms of the header. */
#include "tests/support/golden.h"
#include "tests/support/test.h"

#include "common/remoting/codes.h"
#include "common/remoting/command.h"

/* A frame round a header and a body. The caller closes it. */
static struct buf frame_of(enum serialize_type type, struct slice header, const char *body)
{
    struct buf frame = {0};
    buf_put_be32(&frame, (uint32_t)(4 + header.size + strlen(body)));
    buf_put_be32(&frame, (uint32_t)type << 24 | (uint32_t)header.size);
    buf_put_slice(&frame, header);
    buf_put_text(&frame, body);
    return frame;
}

static enum status decode_json(const char *header, struct buf *frame, struct buf *scratch,
                               struct command *command)
{
    buf_close(frame);
    buf_clear(scratch);
    *frame = frame_of(SERIALIZE_JSON, slice_text(header), "");
    return command_decode(buf_slice(frame), scratch, command);
}

static void assert_field(const struct command *command, const char *name, const char *expected)
{
    struct slice value;
    if (!command_find(command, name, &value)) {
        fail_msg("no field %s", name);
    }
    if (!slice_equals_text(value, expected)) {
        fail_msg("%s is \"%.*s\", not \"%s\"", name, SLICE_ARGS(value), expected);
    }
}

static struct command sample(enum serialize_type type)
{
    struct command command;
    command_init_request(&command, REQUEST_SEND_MESSAGE_V2, -7);
    command.serialize_type = type;
    command.language = LANGUAGE_GO;
    command.version = 317;
    command.remark = slice_text("a \"remark\"");
    command_add(&command, "a", slice_text("group"));
    command_add(&command, "i", slice_text("KEYS\1k\2"));
    command_add(&command, "m", slice_text("false"));
    command.body = slice_text("body");
    return command;
}

static void assert_is_sample(const struct command *command)
{
    assert_int_equal(command->code, 310);
    assert_int_equal(command->opaque, -7);
    assert_int_equal(command->flag, 0);
    assert_int_equal(command->language, LANGUAGE_GO);
    assert_int_equal(command->version, 317);
    assert_true(slice_equals_text(command->remark, "a \"remark\""));
    assert_int_equal(command->field_count, 3);
    assert_field(command, "a", "group");
    assert_field(command, "i", "KEYS\1k\2");
    assert_field(command, "m", "false");
    assert_true(slice_equals_text(command->body, "body"));
}

/* Encode equals the file, the file decodes to the sample, and every prefix of it is refused, both
 * as it is and with the frame's length made to match. */
static void check_form(enum serialize_type type, const char *path)
{
    struct command command = sample(type);
    struct command decoded;
    struct buf out = {0};
    struct buf scratch = {0};
    command_encode(&command, &out);
    golden_check(path, buf_slice(&out));
    assert_int_equal(command_decode(buf_slice(&out), &scratch, &decoded), STATUS_OK);
    assert_is_sample(&decoded);
    size_t header_size = be32_get(out.data + 4) & 0xFFFFFF;
    for (size_t cut = 0; cut < out.size; cut++) {
        uint8_t *copy = mem_alloc(cut);
        memcpy(copy, out.data, cut);
        buf_clear(&scratch);
        assert_int_equal(command_decode(slice_of(copy, cut), &scratch, &decoded), STATUS_MALFORMED);
        if (cut >= FRAME_PREFIX_SIZE && cut < FRAME_PREFIX_SIZE + header_size) {
            be32_put(copy, (uint32_t)cut - 4);
            be32_put(copy + 4, (uint32_t)type << 24 | (uint32_t)(cut - FRAME_PREFIX_SIZE));
            buf_clear(&scratch);
            assert_int_equal(command_decode(slice_of(copy, cut), &scratch, &decoded),
                             STATUS_MALFORMED);
        }
        free(copy);
    }
    buf_close(&out);
    buf_close(&scratch);
}

static void the_json_form_equals_its_golden_file(void **state)
{
    (void)state;
    check_form(SERIALIZE_JSON, "remoting/command_json.hex");
}

static void the_binary_form_equals_its_golden_file(void **state)
{
    (void)state;
    check_form(SERIALIZE_BINARY, "remoting/command_binary.hex");
}

static void frames_are_measured_before_they_are_read(void **state)
{
    (void)state;
    const struct {
        uint32_t length;
        uint32_t mark;
        enum status expected;
    } cases[] = {
        {4, 0, STATUS_OK},
        {3, 0, STATUS_MALFORMED},
        {0, 0, STATUS_MALFORMED},
        {0xFFFFFFFF, 0, STATUS_MALFORMED},
        {0x80000000, 0, STATUS_MALFORMED},
        {FRAME_SIZE_MAX - 4, 10, STATUS_OK},
        {FRAME_SIZE_MAX - 3, 10, STATUS_MALFORMED},
        {100, 96, STATUS_OK},
        {100, 97, STATUS_MALFORMED},
        {FRAME_SIZE_MAX - 4, HEADER_SIZE_MAX, STATUS_OK},
        {FRAME_SIZE_MAX - 4, HEADER_SIZE_MAX + 1, STATUS_MALFORMED},
        {100, 1u << 24 | 21, STATUS_OK},
        {100, 2u << 24 | 21, STATUS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[FRAME_PREFIX_SIZE];
        size_t size = 0;
        be32_put(bytes, cases[i].length);
        be32_put(bytes + 4, cases[i].mark);
        assert_int_equal(frame_measure(bytes, &size), cases[i].expected);
        if (cases[i].expected == STATUS_OK) {
            assert_int_equal(size, (size_t)cases[i].length + 4);
        }
    }
}

/* What C++ and ali-ons send: bare values, nulls, any order, space, a newline at the end. */
static void json_is_read_leniently(void **state)
{
    (void)state;
    struct buf frame = {0};
    struct buf scratch = {0};
    struct command command;
    assert_int_equal(
        decode_json(" {\"extFields\" : {\"queueId\":3 , \"offset\":-9223372036854775808,"
                    "\"x\":null,\"yes\":true,\"no\":false,\"real\":1.5e+3,\"nested\":{\"a\":[1]},"
                    "\"e\":\"\"},\"remark\":null,\"serializeTypeCurrentRPC\":\"JSON\",\r\n"
                    "\"later\":[{\"a\":[]},{},null,\"]\"],\"flag\":\"2\",\"version\":null,"
                    "\"language\":\"CPP\",\"opaque\":-1,\"code\":10}\n \t",
                    &frame, &scratch, &command),
        STATUS_OK);
    assert_int_equal(command.code, 10);
    assert_int_equal(command.opaque, -1);
    assert_int_equal(command.flag, 2);
    assert_int_equal(command.version, 0);
    assert_int_equal(command.language, LANGUAGE_CPP);
    assert_int_equal(command.remark.size, 0);
    assert_int_equal(command.field_count, 6);
    assert_field(&command, "queueId", "3");
    assert_field(&command, "offset", "-9223372036854775808");
    assert_field(&command, "yes", "true");
    assert_field(&command, "no", "false");
    assert_field(&command, "real", "1.5e+3");
    assert_field(&command, "e", "");
    int64_t offset = 0;
    assert_int_equal(command_i64(&command, "offset", true, &offset), STATUS_OK);
    assert_true(offset == INT64_MIN);
    assert_int_equal(decode_json("{\"code\":1,\"extFields\":null,\"language\":\"KLINGON\"}", &frame,
                                 &scratch, &command),
                     STATUS_OK);
    assert_int_equal(command.field_count, 0);
    assert_int_equal(command.language, LANGUAGE_UNKNOWN);
    buf_close(&frame);
    buf_close(&scratch);
}

static void escapes_are_undone(void **state)
{
    (void)state;
    struct buf frame = {0};
    struct buf scratch = {0};
    struct command command;
    assert_int_equal(decode_json("{\"code\":1,\"remark\":\"plain text longer than eight\",\"extFiel"
                                 "\\u0064s\":{\"i\":\"KEYS\\u0001a\\u0002\",\"\\u0061\":"
                                 "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"u\":\"\\u00e9\\u20AC\\uD83D"
                                 "\\uDE00\",\"lone\":\"\\uD83Dx\\uDE00\",\"raw\":\"\xC3\xA9\"}}",
                                 &frame, &scratch, &command),
                     STATUS_OK);
    assert_field(&command, "i", "KEYS\1a\2");
    assert_field(&command, "a", "\"\\/\b\f\n\r\t");
    assert_field(&command, "u", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    assert_field(&command, "lone", "\xEF\xBF\xBDx\xEF\xBF\xBD");
    assert_field(&command, "raw", "\xC3\xA9");
    assert_true(slice_equals_text(command.remark, "plain text longer than eight"));
    assert_true(scratch.size <= frame.size);
    buf_close(&frame);
    buf_close(&scratch);
}

static void what_is_not_one_json_object_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"code\":null}",
        "{\"opaque\":1}",
        "{\"code\":1}x",
        "{\"code\":1}{}",
        "{\"code\":1,}",
        "{\"code\":1 \"flag\":2}",
        "{\"code\":x}",
        "{\"code\":1.5}",
        "{\"code\":2147483648}",
        "{\"code\":true}",
        "{\"code\":-}",
        "{\"code\":}",
        "{code:1}",
        "{\"code\":1,\"extFields\":[]}",
        "{\"code\":1,\"extFields\":{\"a\"}}",
        "{\"code\":1,\"extFields\":{\"a\":\"b}}",
        "{\"code\":1,\"extFields\":{\"a\":nul}}",
        "{\"code\":1,\"remark\":\"\\x\"}",
        "{\"code\":1,\"remark\":\"\\u12g4\"}",
        "{\"code\":1,\"remark\":\"\\u12\"}",
        "{\"code\":1,\"remark\":\"a\\\"}",
        "{\"code\":1,\"other\":[1}}",
        "{\"code\":1,\"o\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}",
    };
    struct buf frame = {0};
    struct buf scratch = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct command command;
        if (decode_json(bad[i], &frame, &scratch, &command) != STATUS_MALFORMED) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    buf_close(&frame);
    buf_close(&scratch);
}

static void fields_are_bounded_in_both_forms(void **state)
{
    (void)state;
    for (int type = SERIALIZE_JSON; type <= SERIALIZE_BINARY; type++) {
        for (int count = HEADER_FIELDS_MAX; count <= HEADER_FIELDS_MAX + 1; count++) {
            struct buf header = {0};
            struct buf map = {0};
            for (int i = 0; i < count; i++) {
                if (type == SERIALIZE_JSON) {
                    buf_printf(&map, "%s\"f%d\":\"v\"", i == 0 ? "" : ",", i);
                } else {
                    buf_put(&map, "\0\1f\0\0\0\1v", 8);
                }
            }
            if (type == SERIALIZE_JSON) {
                buf_printf(&header, "{\"code\":1,\"extFields\":{%.*s}}", SLICE_ARGS(map));
            } else {
                buf_put(&header, "\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 17);
                buf_put_be32(&header, (uint32_t)map.size);
                buf_put_slice(&header, buf_slice(&map));
            }
            struct buf frame = frame_of((enum serialize_type)type, buf_slice(&header), "");
            struct buf scratch = {0};
            struct command command;
            assert_int_equal(command_decode(buf_slice(&frame), &scratch, &command),
                             count > HEADER_FIELDS_MAX ? STATUS_MALFORMED : STATUS_OK);
            buf_close(&header);
            buf_close(&map);
            buf_close(&frame);
            buf_close(&scratch);
        }
    }
}

/* 200050 is 3442 in 16 bits, and only there, and only in requests. */
static void pop_codes_are_restored_in_binary_requests(void **state)
{
    (void)state;
    static const int32_t codes[] = {REQUEST_POP_MESSAGE, REQUEST_ACK_MESSAGE, REQUEST_POP_ROLLBACK,
                                    REQUEST_BATCH_ACK_MESSAGE, 310};
    struct buf out = {0};
    struct buf scratch = {0};
    struct command command;
    struct command decoded;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        command_init_request(&command, codes[i], 1);
        command.serialize_type = SERIALIZE_BINARY;
        buf_clear(&out);
        command_encode(&command, &out);
        assert_int_equal(command_decode(buf_slice(&out), &scratch, &decoded), STATUS_OK);
        assert_int_equal(decoded.code, codes[i]);
    }
    command_init_request(&command, 3442, 1);
    buf_clear(&out);
    command_encode(&command, &out);
    assert_int_equal(command_decode(buf_slice(&out), &scratch, &decoded), STATUS_OK);
    assert_int_equal(decoded.code, 3442);
    buf_close(&out);
    buf_close(&scratch);
}

static void a_response_goes_out_in_the_requests_form(void **state)
{
    (void)state;
    struct command request = sample(SERIALIZE_BINARY);
    struct command response;
    command_init_response(&response, &request, RESPONSE_TOPIC_NOT_EXIST);
    assert_int_equal(response.serialize_type, SERIALIZE_BINARY);
    assert_int_equal(response.opaque, -7);
    assert_int_equal(response.flag, COMMAND_FLAG_RESPONSE);
    assert_int_equal(response.code, 17);
    assert_int_equal(response.version, 479);
    assert_int_equal(response.language, LANGUAGE_JAVA);
    assert_int_equal(response.field_count, 0);
    assert_true(command_is_response(&response));
    assert_false(command_is_oneway(&response));
}

static void typed_reads_tell_absent_from_wrong(void **state)
{
    (void)state;
    struct command command;
    struct buf scratch = {0};
    buf_reserve(&scratch, 64);
    command_init_request(&command, 1, 1);
    command_add(&command, "bad", slice_text("12x"));
    command_add(&command, "empty", slice_text(""));
    command_add(&command, "big", slice_text("2147483648"));
    command_add(&command, "yes", slice_text("tRuE"));
    command_add(&command, "one", slice_text("1"));
    command_add(&command, "twice", slice_text("first"));
    command_add(&command, "twice", slice_text("last"));
    command_add_i64(&command, "min", INT64_MIN, &scratch);
    int64_t wide = 5;
    int32_t narrow = 6;
    bool flag = true;
    struct slice text;
    assert_int_equal(command_i64(&command, "none", true, &wide), STATUS_FIELD_MISSING);
    assert_int_equal(command_i64(&command, "none", false, &wide), STATUS_OK);
    assert_int_equal(command_i64(&command, "empty", true, &wide), STATUS_FIELD_MISSING);
    assert_int_equal(command_i64(&command, "empty", false, &wide), STATUS_OK);
    assert_int_equal(command_i64(&command, "bad", false, &wide), STATUS_FIELD_MISSING);
    assert_int_equal(wide, 5);
    assert_int_equal(command_i64(&command, "min", true, &wide), STATUS_OK);
    assert_true(wide == INT64_MIN);
    assert_int_equal(command_i32(&command, "big", true, &narrow), STATUS_FIELD_MISSING);
    assert_int_equal(narrow, 6);
    assert_int_equal(command_bool(&command, "none", &flag), STATUS_OK);
    assert_true(flag);
    assert_int_equal(command_bool(&command, "one", &flag), STATUS_OK);
    assert_false(flag);
    assert_int_equal(command_bool(&command, "yes", &flag), STATUS_OK);
    assert_true(flag);
    assert_int_equal(command_text(&command, "bad", 2, &text), STATUS_FIELD_MISSING);
    assert_int_equal(command_text(&command, "bad", 3, &text), STATUS_OK);
    assert_int_equal(command_text(&command, "none", 3, &text), STATUS_FIELD_MISSING);
    assert_field(&command, "twice", "last");
    buf_close(&scratch);
}

/* Whatever the bytes, decoding ends and stays within them. */
static void mangled_frames_never_overrun(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    struct buf scratch = {0};
    for (int type = SERIALIZE_JSON; type <= SERIALIZE_BINARY; type++) {
        struct command command = sample((enum serialize_type)type);
        struct buf out = {0};
        command_encode(&command, &out);
        for (int round = 0; round < 20000; round++) {
            uint8_t *copy = mem_alloc(out.size);
            memcpy(copy, out.data, out.size);
            for (int i = 0; i < 3; i++) {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                copy[8 + seed % (out.size - 8)] = (uint8_t)(seed >> 32);
            }
            struct command decoded;
            buf_clear(&scratch);
            enum status status = command_decode(slice_of(copy, out.size), &scratch, &decoded);
            assert_true(status == STATUS_OK || status == STATUS_MALFORMED);
            free(copy);
        }
        buf_close(&out);
    }
    buf_close(&scratch);
}

static void codes_have_names_and_targets(void **state)
{
    (void)state;
    assert_string_equal(request_code_name(310), "SEND_MESSAGE_V2");
    assert_string_equal(request_code_name(-5), "UNKNOWN");
    assert_string_equal(response_code_name(22), "QUERY_NOT_FOUND");
    assert_string_equal(response_code_name(9999), "UNKNOWN");
    assert_int_equal(request_code_target(105), TO_NAMESERVER);
    assert_int_equal(request_code_target(39), TO_CLIENT);
    assert_int_equal(request_code_target(9999), TO_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_json_form_equals_its_golden_file),
        cmocka_unit_test(the_binary_form_equals_its_golden_file),
        cmocka_unit_test(frames_are_measured_before_they_are_read),
        cmocka_unit_test(json_is_read_leniently),
        cmocka_unit_test(escapes_are_undone),
        cmocka_unit_test(what_is_not_one_json_object_is_refused),
        cmocka_unit_test(fields_are_bounded_in_both_forms),
        cmocka_unit_test(pop_codes_are_restored_in_binary_requests),
        cmocka_unit_test(a_response_goes_out_in_the_requests_form),
        cmocka_unit_test(typed_reads_tell_absent_from_wrong),
        cmocka_unit_test(mangled_frames_never_overrun),
        cmocka_unit_test(codes_have_names_and_targets),
    };
    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
