/* Recall handles, as clients send them and as they are inside. What can be read can be written
 * again, and says the same. */
#include "broker/core/recall_handle.h"
#include "common/base/base64url.h"
#include "tests/fuzz/fuzz.h"

static void parse(struct slice text)
{
    struct buf scratch = {0};
    struct buf begun = {0};
    struct buf written = {0};
    struct recall_handle handle;
    struct recall_handle again;
    if (recall_handle_parse(text, &scratch, &handle) &&
        recall_handle_begin(handle.topic, handle.broker, handle.deliver_ms, handle.unique_key,
                            &begun)) {
        struct buf more = {0};
        recall_handle_end(buf_slice(&begun), handle.position, &written);
        bool readable = written.size > RECALL_HANDLE_SIZE_MAX ||
                        recall_handle_parse(buf_slice(&written), &more, &again);
        ASSERT(readable);
        if (more.size > 0) {
            ASSERT(slice_equals(handle.topic, again.topic));
            ASSERT(slice_equals(handle.broker, again.broker));
            ASSERT(slice_equals(handle.unique_key, again.unique_key));
            ASSERT(handle.deliver_ms == again.deliver_ms && handle.position == again.position);
        }
        buf_close(&more);
    }
    buf_close(&scratch);
    buf_close(&begun);
    buf_close(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf text = {0};
    parse(slice_of(data, size));
    base64url_append(&text, slice_of(data, size));
    parse(buf_slice(&text));
    buf_close(&text);
    return 0;
}
