/* One entry of the log as bytes, on disk and between replicas. Pure.
 *
 * A frame is a header of 56 bytes, the payload, and zeros up to a multiple of 8. Its size depends
 * on the payload's size alone, so that the place of each frame is the same on every replica. Only
 * durable_mark, previous and header_crc are a replica's own.
 *
 *   at  size  field           (little-endian)
 *    0     4  magic           "RMQf"
 *    4     4  header_crc      CRC-32C of bytes [8, 56), begun with the log's seed
 *    8     4  payload_size
 *   12     4  payload_crc     CRC-32C of the payload
 *   16     8  index           1, 2, 3 ... without a gap
 *   24     8  term            > 0, never less than that of the frame before
 *   32     8  position        where the frame begins in the log
 *   40     8  durable_mark    the log was synced up to this position when the frame was appended
 *   48     4  previous        header_crc of the frame before; the seed for the first
 *   52     1  type            1 command, 2 barrier, 3 change of membership
 *   53     1  flags           0
 *   54     2  reserved        0 */
#ifndef RAFT_GLUE_LOG_FRAME_H
#define RAFT_GLUE_LOG_FRAME_H

#include "common/base/check.h"
#include "common/base/slice.h"
#include "common/base/status.h"

enum { LOG_FRAME_HEADER_SIZE = 56, LOG_FRAME_ALIGNMENT = 8 };

enum log_frame_type {
    LOG_FRAME_COMMAND = 1,
    LOG_FRAME_BARRIER = 2,
    LOG_FRAME_CHANGE = 3,
};

struct log_frame {
    uint64_t index;
    uint64_t term;
    uint64_t position;
    uint64_t durable_mark;
    uint32_t payload_size;
    uint32_t payload_crc;
    uint32_t previous;
    uint32_t header_crc; /* Set by encode and decode. */
    uint8_t type;
};

/* Bytes of a whole frame with a payload of that size. */
static inline size_t log_frame_size(size_t payload_size)
{
    size_t size = LOG_FRAME_HEADER_SIZE + payload_size;
    return (size + LOG_FRAME_ALIGNMENT - 1) / LOG_FRAME_ALIGNMENT * LOG_FRAME_ALIGNMENT;
}

/* Write the header to `to` and set frame->header_crc. */
void log_frame_encode(struct log_frame *frame, uint32_t seed, uint8_t to[LOG_FRAME_HEADER_SIZE]);

/* Read the header at the start of bytes, which may hold less or more than the frame.
 *
 * Errors: STATUS_MALFORMED  too short, another log's, damaged, or a payload over ENTRY_SIZE_MAX. */
WARN_UNUSED enum status log_frame_decode(struct slice bytes, uint32_t seed,
                                         struct log_frame *frame);

/* The same for a whole frame, payload and padding verified. *payload borrows from bytes.
 *
 * Errors: STATUS_MALFORMED  as above, or the frame is cut short, or its payload is damaged. */
WARN_UNUSED enum status log_frame_decode_whole(struct slice bytes, uint32_t seed,
                                               struct log_frame *frame, struct slice *payload);

#endif
