#include "raft-glue/log_frame.h"

#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "common/base/limits.h"

enum { FRAME_MAGIC = 0x66514D52 }; // "RMQf"

enum frame_at {
    AT_MAGIC = 0,
    AT_HEADER_CRC = 4,
    AT_PAYLOAD_SIZE = 8,
    AT_PAYLOAD_CRC = 12,
    AT_INDEX = 16,
    AT_TERM = 24,
    AT_POSITION = 32,
    AT_DURABLE_MARK = 40,
    AT_PREVIOUS = 48,
    AT_TYPE = 52,
    AT_FLAGS = 53,
    AT_RESERVED = 54,
};

static uint32_t header_crc(const uint8_t *header, uint32_t seed)
{
    return crc32c(seed, header + AT_PAYLOAD_SIZE, LOG_FRAME_HEADER_SIZE - AT_PAYLOAD_SIZE);
}

void log_frame_encode(struct log_frame *frame, uint32_t seed, uint8_t to[LOG_FRAME_HEADER_SIZE])
{
    le32_put(to + AT_MAGIC, FRAME_MAGIC);
    le32_put(to + AT_PAYLOAD_SIZE, frame->payload_size);
    le32_put(to + AT_PAYLOAD_CRC, frame->payload_crc);
    le64_put(to + AT_INDEX, frame->index);
    le64_put(to + AT_TERM, frame->term);
    le64_put(to + AT_POSITION, frame->position);
    le64_put(to + AT_DURABLE_MARK, frame->durable_mark);
    le32_put(to + AT_PREVIOUS, frame->previous);
    to[AT_TYPE] = frame->type;
    to[AT_FLAGS] = 0;
    le16_put(to + AT_RESERVED, 0);
    frame->header_crc = header_crc(to, seed);
    le32_put(to + AT_HEADER_CRC, frame->header_crc);
}

enum status log_frame_decode(struct slice bytes, uint32_t seed, struct log_frame *frame)
{
    if (bytes.size < LOG_FRAME_HEADER_SIZE || le32_get(bytes.data + AT_MAGIC) != FRAME_MAGIC) {
        return STATUS_MALFORMED;
    }
    const uint8_t *from = bytes.data;
    *frame = (struct log_frame){
        .index = le64_get(from + AT_INDEX),
        .term = le64_get(from + AT_TERM),
        .position = le64_get(from + AT_POSITION),
        .durable_mark = le64_get(from + AT_DURABLE_MARK),
        .payload_size = le32_get(from + AT_PAYLOAD_SIZE),
        .payload_crc = le32_get(from + AT_PAYLOAD_CRC),
        .previous = le32_get(from + AT_PREVIOUS),
        .header_crc = le32_get(from + AT_HEADER_CRC),
        .type = from[AT_TYPE],
    };
    if (frame->header_crc != header_crc(from, seed)) {
        return STATUS_MALFORMED;
    }
    if (frame->payload_size > ENTRY_SIZE_MAX || frame->index == 0 || frame->term == 0 ||
        frame->type < LOG_FRAME_COMMAND || frame->type > LOG_FRAME_CHANGE || from[AT_FLAGS] != 0 ||
        le16_get(from + AT_RESERVED) != 0) {
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

enum status log_frame_decode_whole(struct slice bytes, uint32_t seed, struct log_frame *frame,
                                   struct slice *payload)
{
    enum status status = log_frame_decode(bytes, seed, frame);
    if (status != STATUS_OK) {
        return status;
    }
    size_t size = log_frame_size(frame->payload_size);
    if (bytes.size < size) {
        return STATUS_MALFORMED;
    }
    *payload = slice_of(bytes.data + LOG_FRAME_HEADER_SIZE, frame->payload_size);
    if (crc32c(0, payload->data, payload->size) != frame->payload_crc) {
        return STATUS_MALFORMED;
    }
    for (size_t at = LOG_FRAME_HEADER_SIZE + payload->size; at < size; at++) {
        if (bytes.data[at] != 0) {
            return STATUS_MALFORMED;
        }
    }
    return STATUS_OK;
}
