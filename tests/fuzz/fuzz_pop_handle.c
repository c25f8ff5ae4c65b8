/* Handles of popped messages, as clients send them. What can be read can be written again, and says
 * the same. */
#include "common/remoting/pop_handle.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pop_handle handle;
    struct pop_handle again;
    struct buf text = {0};
    if (pop_handle_parse(slice_of(data, size), &handle)) {
        pop_handle_format(&handle, &text);
        bool readable = pop_handle_parse(buf_slice(&text), &again);
        ASSERT(readable || text.size > POP_HANDLE_SIZE_MAX);
        if (readable) {
            ASSERT(slice_equals(handle.broker, again.broker));
            ASSERT(handle.offset == again.offset && handle.pop_ms == again.pop_ms);
            ASSERT(handle.queue_id == again.queue_id && handle.kind == again.kind);
        }
    }
    buf_close(&text);
    return 0;
}
