/* Attributes of topics: a kept JSON text up to the first newline, then changes to it. What a change
 * makes can be read and changed again. */
#include "broker/core/topic_attributes.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    struct slice kept = fuzz_until(&input, '\n');
    struct body body = {0};
    struct buf changed = {0};
    struct buf again = {0};
    size_t count = 0;
    topic_attributes_read(kept, &body, &count);
    body_close(&body);
    if (topic_attributes_change(kept, input.rest, &changed) == STATUS_OK) {
        topic_attributes_read(buf_slice(&changed), &body, &count);
        body_close(&body);
        enum status status =
            topic_attributes_change(buf_slice(&changed), (struct slice){0}, &again);
        ASSERT(status == STATUS_OK && slice_equals(buf_slice(&changed), buf_slice(&again)));
    }
    buf_close(&changed);
    buf_close(&again);
    return 0;
}
