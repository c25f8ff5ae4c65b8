/* The entry: its header, and one operation after another. */
#include "broker/machine/operation.h"

#include "broker/machine/operation_decode.h"
#include "broker/machine/operation_fields.h"

enum {
    ENTRY_AT_TIME = 0,
    ENTRY_AT_COUNT = 8,
    OPERATION_AT_SIZE = 0,
    OPERATION_AT_TYPE = 4,
    OPERATION_AT_VERSION = 5,
    OPERATION_AT_ZERO = 6,
};

static enum status header_decode(struct slice bytes, struct operation *operation);

void entry_begin(struct buf *entry)
{
    memset(buf_extend(entry, ENTRY_HEADER_SIZE), 0, ENTRY_HEADER_SIZE);
}

size_t entry_operation_begin(struct buf *entry, enum operation_type type)
{
    ASSERT(entry->size >= ENTRY_HEADER_SIZE);
    size_t begin = entry->size;
    uint8_t *header = buf_extend(entry, OPERATION_HEADER_SIZE);
    memset(header, 0, OPERATION_HEADER_SIZE);
    header[OPERATION_AT_TYPE] = (uint8_t)type;
    header[OPERATION_AT_VERSION] = OPERATION_VERSION;
    return begin;
}

void entry_operation_end(struct buf *entry, size_t begin)
{
    size_t size = entry->size - begin - OPERATION_HEADER_SIZE;
    ASSERT(size <= ENTRY_SIZE_MAX);
    le32_put(entry->data + begin + OPERATION_AT_SIZE, (uint32_t)size);
    le32_put(entry->data + ENTRY_AT_COUNT, entry_count(entry) + 1);
}

uint32_t entry_count(const struct buf *entry)
{
    ASSERT(entry->size >= ENTRY_HEADER_SIZE);
    return le32_get(entry->data + ENTRY_AT_COUNT);
}

void entry_finish(struct buf *entry, uint64_t time_ms)
{
    ASSERT(entry->size >= ENTRY_HEADER_SIZE);
    le64_put(entry->data + ENTRY_AT_TIME, time_ms);
}

enum status entry_reader_init(struct entry_reader *reader, struct slice payload)
{
    if (payload.size < ENTRY_HEADER_SIZE) {
        return STATUS_MALFORMED;
    }
    *reader = (struct entry_reader){
        .payload = payload,
        .at = ENTRY_HEADER_SIZE,
        .left = le32_get(payload.data + ENTRY_AT_COUNT),
        .time_ms = le64_get(payload.data + ENTRY_AT_TIME),
    };
    return STATUS_OK;
}

enum status entry_reader_next(struct entry_reader *reader, struct operation *operation)
{
    if (reader->left == 0) {
        return reader->at == reader->payload.size ? STATUS_NOT_FOUND : STATUS_MALFORMED;
    }
    enum status status = operation_decode(slice_from(reader->payload, reader->at), operation);
    if (status != STATUS_OK) {
        return status;
    }
    operation->offset = reader->at;
    reader->at += OPERATION_HEADER_SIZE + operation->body.size;
    reader->left--;
    return STATUS_OK;
}

enum status operation_decode(struct slice bytes, struct operation *operation)
{
    enum status status = header_decode(bytes, operation);
    return status == STATUS_OK ? operation_body_decode(operation) : status;
}

static enum status header_decode(struct slice bytes, struct operation *operation)
{
    if (bytes.size < OPERATION_HEADER_SIZE) {
        return STATUS_MALFORMED;
    }
    size_t size = le32_get(bytes.data + OPERATION_AT_SIZE);
    uint8_t type = bytes.data[OPERATION_AT_TYPE];
    if (size > bytes.size - OPERATION_HEADER_SIZE || type < OPERATION_MESSAGE ||
        type > OPERATION_LAST || bytes.data[OPERATION_AT_VERSION] != OPERATION_VERSION ||
        le16_get(bytes.data + OPERATION_AT_ZERO) != 0) {
        return STATUS_MALFORMED;
    }
    operation->type = (enum operation_type)type;
    operation->version = OPERATION_VERSION;
    operation->body = slice_of(bytes.data + OPERATION_HEADER_SIZE, size);
    operation->offset = 0;
    return STATUS_OK;
}
