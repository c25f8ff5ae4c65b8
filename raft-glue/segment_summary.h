/* Summary of a complete segment: what a start has to know of its frames, so that it need not read
 * them.
 *
 * Never a source of truth: whoever takes one holds it against the segment, and one that is absent,
 * damaged or stale is made anew from the segment. Pure.
 *
 *   at  size  field           (little-endian)
 *    0     4  magic           "RMQi"
 *    4     4  crc             CRC-32C of all behind it
 *    8     4  version         1
 *   12     4  segment_size
 *   16     8  group           identity of cluster and group
 *   24     8  number          of the segment
 *   32     8  first_index     of its first frame
 *   40     4  frame_count     > 0
 *   44     4  run_count       > 0
 *   48        runs of frames with the same term, 12 bytes each:
 *             frames (4), term (8), rising from run to run
 *             frames, 8 bytes each:
 *             payload_size (3), type (1), header_crc (4) */
#ifndef RAFT_GLUE_SEGMENT_SUMMARY_H
#define RAFT_GLUE_SEGMENT_SUMMARY_H

#include "common/base/buf.h"
#include "common/base/status.h"

enum {
    SUMMARY_HEADER_SIZE = 48,
    SUMMARY_RUN_SIZE = 12,
    SUMMARY_FRAME_SIZE = 8,
    SUMMARY_VERSION = 1,
};

struct summary_frame {
    uint64_t term;
    uint32_t payload_size;
    uint32_t header_crc;
    uint8_t type;
};

struct segment_summary {
    uint64_t group;
    uint64_t number;
    uint64_t first_index;
    uint32_t segment_size;
    uint32_t frame_count;
    uint32_t run_count;
    struct slice runs; /* Packed. */
    struct slice frames;
};

/* Builds one, frame by frame. A zeroed builder is empty. */
struct summary_builder {
    struct buf runs;
    struct buf frames;
    uint32_t frame_count;
    uint32_t run_count;
    uint32_t run_frames; /* Of the last run. */
    uint64_t run_term;
};

void summary_builder_add(struct summary_builder *builder, const struct summary_frame *frame);
/* Append the whole summary; counts and packed parts are taken from the builder. */
void summary_builder_finish(struct summary_builder *builder, const struct segment_summary *head,
                            struct buf *out);
void summary_builder_close(struct summary_builder *builder);

/* Borrows from bytes.
 * Errors: STATUS_MALFORMED  cut short, too long, damaged, or a content that no segment has. */
WARN_UNUSED enum status segment_summary_decode(struct slice bytes, struct segment_summary *summary);

/* Walks the frames of a decoded summary. */
struct summary_walk {
    struct slice runs;
    struct slice frames;
    uint32_t run_frames; /* Left in the present run. */
    uint64_t term;
};
void summary_walk_begin(struct summary_walk *walk, const struct segment_summary *summary);
/* False at the end. */
bool summary_walk_next(struct summary_walk *walk, struct summary_frame *frame);

/* The largest summary that a segment of that size can have. */
size_t segment_summary_size_max(uint32_t segment_size);

#endif
