/* Frames and their headers, in both forms: what a peer may send first of all.
 *
 * The first byte says whether the bytes are a frame as it is, or a JSON or binary header that is
 * framed rightly here. What decodes is encoded in both forms; that must decode to the same. */
#include "common/remoting/command.h"
#include "tests/fuzz/fuzz.h"

enum { AS_IT_IS = 0, JSON_HEADER = 1, BINARY_HEADER = 2, HOWS };

static void frame_of(struct slice header, uint8_t form, struct buf *out)
{
    buf_put_be32(out, (uint32_t)(4 + header.size));
    buf_put_be32(out, (uint32_t)form << 24 | (uint32_t)header.size);
    buf_put_slice(out, header);
}

static void read_fields(const struct command *command)
{
    static const char *const names[] = {"topic", "queueId", "a", "commitOrRollback"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t wide = 7;
        int32_t narrow = 7;
        bool flag = false;
        struct slice text;
        enum status status = command_i64(command, names[i], false, &wide);
        ASSERT(status == STATUS_OK || wide == 7);
        status = command_i32(command, names[i], true, &narrow);
        ASSERT(status == STATUS_OK || narrow == 7);
        status = command_bool(command, names[i], &flag);
        ASSERT(status == STATUS_OK);
        status = command_text(command, names[i], 16, &text);
        ASSERT(status != STATUS_OK || text.size <= 16);
    }
}

static void assert_same(const struct command *a, const struct command *b)
{
    ASSERT(a->code == b->code && a->opaque == b->opaque && a->flag == b->flag);
    ASSERT(a->version == b->version && slice_equals(a->body, b->body));
    ASSERT(a->field_count == b->field_count && slice_equals(a->remark, b->remark));
    for (uint32_t i = 0; i < a->field_count; i++) {
        ASSERT(slice_equals(a->fields[i].name, b->fields[i].name));
        ASSERT(slice_equals(a->fields[i].value, b->fields[i].value));
    }
}

/* Encoding may replace what is no UTF-8, once: what was written by us reads back exactly. */
static void round_trip(struct command *command, enum serialize_type form)
{
    struct buf frames[2] = {{0}};
    struct buf scratch[2] = {{0}};
    struct command decoded[2];
    command->serialize_type = form;
    for (size_t i = 0; i < 2; i++) {
        size_t size = 0;
        command_encode(i == 0 ? command : &decoded[0], &frames[i]);
        enum status status = frame_measure(frames[i].data, &size);
        ASSERT(status == STATUS_OK && size == frames[i].size);
        status = command_decode(buf_slice(&frames[i]), &scratch[i], &decoded[i]);
        ASSERT(status == STATUS_OK && decoded[i].serialize_type == form);
    }
    assert_same(&decoded[0], &decoded[1]);
    // The binary form has 16 bits for a code.
    ASSERT((uint16_t)decoded[0].code == (uint16_t)command->code);
    ASSERT(form == SERIALIZE_BINARY || decoded[0].code == command->code);
    ASSERT(decoded[0].opaque == command->opaque);
    ASSERT(slice_equals(decoded[0].body, command->body));
    for (size_t i = 0; i < 2; i++) {
        buf_close(&frames[i]);
        buf_close(&scratch[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    struct buf frame = {0};
    struct buf scratch = {0};
    struct command command;
    size_t measured = 0;
    uint8_t how = fuzz_u8(&input) % HOWS;
    if (how == AS_IT_IS) {
        buf_put_slice(&frame, input.rest);
    } else {
        frame_of(input.rest, how == JSON_HEADER ? SERIALIZE_JSON : SERIALIZE_BINARY, &frame);
    }
    if (frame.size >= FRAME_PREFIX_SIZE && frame_measure(frame.data, &measured) == STATUS_OK &&
        measured <= frame.size &&
        command_decode(slice_of(frame.data, measured), &scratch, &command) == STATUS_OK) {
        ASSERT(scratch.size <= HEADER_SIZE_MAX && command.field_count <= HEADER_FIELDS_MAX);
        read_fields(&command);
        round_trip(&command, SERIALIZE_JSON);
        round_trip(&command, SERIALIZE_BINARY);
    }
    buf_close(&frame);
    buf_close(&scratch);
    return 0;
}
