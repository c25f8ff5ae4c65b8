/* Summaries of segments. One that decodes, built anew from its frames, is the same bytes. First
 * byte: whether the checksum is made right. */
#include "common/base/crc32c.h"
#include "raft-glue/segment_summary.h"
#include "tests/fuzz/fuzz.h"

enum { CRC_AT = 4, CRC_FROM = 8 };

static void rebuild(struct segment_summary *summary, struct slice bytes)
{
    struct summary_builder builder = {0};
    struct summary_walk walk;
    struct summary_frame frame;
    struct buf out = {0};
    uint32_t count = 0;
    summary_walk_begin(&walk, summary);
    while (summary_walk_next(&walk, &frame)) {
        summary_builder_add(&builder, &frame);
        count++;
    }
    ASSERT(count == summary->frame_count);
    summary_builder_finish(&builder, summary, &out);
    ASSERT(slice_equals(buf_slice(&out), bytes));
    summary_builder_close(&builder);
    buf_close(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    struct buf copy = {0};
    struct segment_summary summary;
    bool fix = (fuzz_u8(&input) & 1) != 0;
    buf_put_slice(&copy, input.rest);
    if (fix && copy.size > CRC_FROM) {
        le32_put(copy.data + CRC_AT, crc32c(0, copy.data + CRC_FROM, copy.size - CRC_FROM));
    }
    if (segment_summary_decode(buf_slice(&copy), &summary) == STATUS_OK) {
        ASSERT(summary.frame_count > 0 && summary.run_count > 0);
        rebuild(&summary, buf_slice(&copy));
    }
    buf_close(&copy);
    return 0;
}
