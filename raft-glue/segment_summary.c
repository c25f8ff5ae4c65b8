#include "raft-glue/segment_summary.h"

#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "common/base/limits.h"
#include "raft-glue/log_frame.h"
#include "raft-glue/segment_file.h"

enum {
    SUMMARY_MAGIC = 0x69514D52, // "RMQi"
    PAYLOAD_SIZE_BITS = 24,
    PAYLOAD_SIZE_MAX = (1 << PAYLOAD_SIZE_BITS) - 1,
};

static_assert((int)ENTRY_SIZE_MAX <= (int)PAYLOAD_SIZE_MAX, "three bytes hold any payload's size");

static void run_finish(struct summary_builder *builder)
{
    if (builder->run_frames > 0) {
        buf_put_le32(&builder->runs, builder->run_frames);
        buf_put_le64(&builder->runs, builder->run_term);
        builder->run_count++;
        builder->run_frames = 0;
    }
}

void summary_builder_add(struct summary_builder *builder, const struct summary_frame *frame)
{
    ASSERT(frame->payload_size <= PAYLOAD_SIZE_MAX);
    if (frame->term != builder->run_term) {
        ASSERT(frame->term > builder->run_term);
        run_finish(builder);
        builder->run_term = frame->term;
    }
    builder->run_frames++;
    builder->frame_count++;
    buf_put_le32(&builder->frames,
                 frame->payload_size | (uint32_t)frame->type << PAYLOAD_SIZE_BITS);
    buf_put_le32(&builder->frames, frame->header_crc);
}

void summary_builder_finish(struct summary_builder *builder, const struct segment_summary *head,
                            struct buf *out)
{
    ASSERT(builder->frame_count > 0);
    run_finish(builder);
    size_t begin = out->size;
    buf_put_le32(out, SUMMARY_MAGIC);
    buf_put_le32(out, 0);
    buf_put_le32(out, SUMMARY_VERSION);
    buf_put_le32(out, head->segment_size);
    buf_put_le64(out, head->group);
    buf_put_le64(out, head->number);
    buf_put_le64(out, head->first_index);
    buf_put_le32(out, builder->frame_count);
    buf_put_le32(out, builder->run_count);
    buf_put_slice(out, buf_slice(&builder->runs));
    buf_put_slice(out, buf_slice(&builder->frames));
    le32_put(out->data + begin + 4, crc32c(0, out->data + begin + 8, out->size - begin - 8));
}

void summary_builder_close(struct summary_builder *builder)
{
    buf_close(&builder->runs);
    buf_close(&builder->frames);
}

/* Runs cover the frames, and frames fit into a segment: what the checksum does not say. */
static bool plausible(const struct segment_summary *summary)
{
    struct summary_walk walk;
    uint64_t frames = 0;
    uint64_t term = 0;
    for (struct slice runs = summary->runs; runs.size > 0;
         runs = slice_from(runs, SUMMARY_RUN_SIZE)) {
        uint64_t next = le64_get(runs.data + 4);
        if (le32_get(runs.data) == 0 || next <= term) {
            return false;
        }
        frames += le32_get(runs.data);
        term = next;
    }
    if (frames != summary->frame_count) {
        return false;
    }
    struct summary_frame frame;
    uint64_t size = SEGMENT_HEADER_SIZE;
    summary_walk_begin(&walk, summary);
    while (summary_walk_next(&walk, &frame)) {
        size += log_frame_size(frame.payload_size);
        if (frame.type < LOG_FRAME_COMMAND || frame.type > LOG_FRAME_CHANGE) {
            return false;
        }
    }
    return size <= summary->segment_size;
}

enum status segment_summary_decode(struct slice bytes, struct segment_summary *summary)
{
    const uint8_t *from = bytes.data;
    if (bytes.size < SUMMARY_HEADER_SIZE || le32_get(from) != SUMMARY_MAGIC ||
        le32_get(from + 4) != crc32c(0, from + 8, bytes.size - 8) ||
        le32_get(from + 8) != SUMMARY_VERSION) {
        return STATUS_MALFORMED;
    }
    *summary = (struct segment_summary){
        .segment_size = le32_get(from + 12),
        .group = le64_get(from + 16),
        .number = le64_get(from + 24),
        .first_index = le64_get(from + 32),
        .frame_count = le32_get(from + 40),
        .run_count = le32_get(from + 44),
    };
    uint64_t runs_size = (uint64_t)summary->run_count * SUMMARY_RUN_SIZE;
    uint64_t frames_size = (uint64_t)summary->frame_count * SUMMARY_FRAME_SIZE;
    if (summary->first_index == 0 || summary->frame_count == 0 ||
        bytes.size - SUMMARY_HEADER_SIZE != runs_size + frames_size) {
        return STATUS_MALFORMED;
    }
    summary->runs = slice_of(from + SUMMARY_HEADER_SIZE, (size_t)runs_size);
    summary->frames = slice_of(from + SUMMARY_HEADER_SIZE + runs_size, (size_t)frames_size);
    return plausible(summary) ? STATUS_OK : STATUS_MALFORMED;
}

void summary_walk_begin(struct summary_walk *walk, const struct segment_summary *summary)
{
    *walk = (struct summary_walk){.runs = summary->runs, .frames = summary->frames};
}

bool summary_walk_next(struct summary_walk *walk, struct summary_frame *frame)
{
    if (walk->frames.size == 0) {
        return false;
    }
    if (walk->run_frames == 0) {
        walk->run_frames = le32_get(walk->runs.data);
        walk->term = le64_get(walk->runs.data + 4);
        walk->runs = slice_from(walk->runs, SUMMARY_RUN_SIZE);
    }
    walk->run_frames--;
    uint32_t size_and_type = le32_get(walk->frames.data);
    *frame = (struct summary_frame){
        .term = walk->term,
        .payload_size = size_and_type & PAYLOAD_SIZE_MAX,
        .type = (uint8_t)(size_and_type >> PAYLOAD_SIZE_BITS),
        .header_crc = le32_get(walk->frames.data + 4),
    };
    walk->frames = slice_from(walk->frames, SUMMARY_FRAME_SIZE);
    return true;
}

size_t segment_summary_size_max(uint32_t segment_size)
{
    size_t frames = segment_size / LOG_FRAME_HEADER_SIZE;
    return SUMMARY_HEADER_SIZE + frames * (SUMMARY_RUN_SIZE + SUMMARY_FRAME_SIZE);
}
