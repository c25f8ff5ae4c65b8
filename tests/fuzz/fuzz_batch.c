/* The body of a batch, in the client's layout: what is measured is what is stored, and each stored
 * message decodes. */
#include "broker/core/send_batch.h"
#include "common/base/limits.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct message common = {
        .queue_id = 1,
        .topic = slice_text("T"),
        .born_host = {0x7F000001, 5000},
    };
    struct batch_shape shape;
    struct buf out = {0};
    struct slice body = slice_of(data, size);
    if (send_batch_measure(body, &common, &shape) != STATUS_OK) {
        ASSERT(shape.trouble != NULL);
        return 0;
    }
    ASSERT(shape.count > 0 && shape.count <= BATCH_MESSAGES_MAX);
    struct stored_context *context = send_batch_append(body, &common, &shape, &out);
    ASSERT(out.size == shape.stored_size && context->count == shape.count);
    struct slice rest = buf_slice(&out);
    for (uint32_t i = 0; i < shape.count; i++) {
        struct message message;
        size_t taken = 0;
        enum status status = message_decode(rest, &message, &taken);
        ASSERT(status == STATUS_OK && taken == context->sizes[i]);
        ASSERT(slice_equals_text(message.topic, "T") && message.queue_id == 1);
        rest = slice_from(rest, taken);
    }
    ASSERT(rest.size == 0);
    stored_context_free(context);
    buf_close(&out);
    return 0;
}
