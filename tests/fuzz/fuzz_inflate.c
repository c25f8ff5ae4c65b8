/* Inflating: never more than was agreed, and nothing of a stream that fails. The first two bytes
 * are the bound. */
#include "common/remoting/inflate.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    size_t size_max = fuzz_u16(&input);
    struct buf out = {0};
    buf_put_text(&out, "kept");
    enum status status = inflate_append(input.rest, size_max, &out);
    ASSERT(out.size >= 4 && out.size <= 4 + size_max && memcmp(out.data, "kept", 4) == 0);
    ASSERT(status == STATUS_OK || out.size == 4);
    buf_close(&out);
    return 0;
}
