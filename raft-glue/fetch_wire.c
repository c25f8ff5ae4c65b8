#include "raft-glue/fetch_wire.h"

#include "common/base/bytes.h"
#include "common/base/crc32c.h"

enum { REQUEST_MAGIC = 0x67514D52, ANSWER_MAGIC = 0x64514D52 }; // "RMQg", "RMQd"

static bool known_type(uint32_t type)
{
    return type >= FETCH_OPEN && type <= FETCH_ENTRIES;
}

void fetch_request_encode(const struct fetch_request *request, uint8_t to[FETCH_REQUEST_SIZE])
{
    memset(to, 0, FETCH_REQUEST_SIZE);
    le32_put(to, REQUEST_MAGIC);
    le32_put(to + 8, request->type);
    le64_put(to + 16, request->index);
    le32_put(to + 4, crc32c(0, to + 8, FETCH_REQUEST_SIZE - 8));
}

enum status fetch_request_decode(struct slice bytes, struct fetch_request *request)
{
    if (bytes.size < FETCH_REQUEST_SIZE || le32_get(bytes.data) != REQUEST_MAGIC ||
        le32_get(bytes.data + 4) != crc32c(0, bytes.data + 8, FETCH_REQUEST_SIZE - 8) ||
        !known_type(le32_get(bytes.data + 8))) {
        return STATUS_MALFORMED;
    }
    request->type = (enum fetch_type)le32_get(bytes.data + 8);
    request->index = le64_get(bytes.data + 16);
    return STATUS_OK;
}

void fetch_answer_encode(const struct fetch_answer *answer, uint8_t to[FETCH_ANSWER_SIZE])
{
    le32_put(to, ANSWER_MAGIC);
    le32_put(to + 8, answer->type);
    le32_put(to + 12, answer->status);
    le32_put(to + 16, answer->body_size);
    le32_put(to + 20, answer->body_crc);
    le64_put(to + 24, answer->first_index);
    le32_put(to + 32, answer->count);
    le32_put(to + 36, answer->end ? 1 : 0);
    le64_put(to + 40, answer->last_index);
    le64_put(to + 48, answer->term);
    le64_put(to + 56, answer->applied);
    le32_put(to + 4, crc32c(0, to + 8, FETCH_ANSWER_SIZE - 8));
}

enum status fetch_answer_decode(struct slice bytes, struct fetch_answer *answer)
{
    if (bytes.size < FETCH_ANSWER_SIZE || le32_get(bytes.data) != ANSWER_MAGIC ||
        le32_get(bytes.data + 4) != crc32c(0, bytes.data + 8, FETCH_ANSWER_SIZE - 8) ||
        !known_type(le32_get(bytes.data + 8)) || le32_get(bytes.data + 16) > FETCH_BODY_MAX) {
        return STATUS_MALFORMED;
    }
    *answer = (struct fetch_answer){
        .type = (enum fetch_type)le32_get(bytes.data + 8),
        .status = (enum status)le32_get(bytes.data + 12),
        .body_size = le32_get(bytes.data + 16),
        .body_crc = le32_get(bytes.data + 20),
        .first_index = le64_get(bytes.data + 24),
        .count = le32_get(bytes.data + 32),
        .end = le32_get(bytes.data + 36) != 0,
        .last_index = le64_get(bytes.data + 40),
        .term = le64_get(bytes.data + 48),
        .applied = le64_get(bytes.data + 56),
    };
    return STATUS_OK;
}
