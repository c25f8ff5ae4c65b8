#include "raft-glue/segment_file.h"

#include "common/base/bytes.h"
#include "common/base/crc32c.h"

#include <inttypes.h>
#include <stdio.h>

enum { SEGMENT_MAGIC = 0x73514D52, NUMBER_DIGITS = 16, ZEROS_SIZE = 1024 * 1024 }; // "RMQs"

static const char segment_prefix[] = "segment-";
static const char spare_prefix[] = "spare-";
static const char summary_prefix[] = "summary-";
static const char digits[] = "0123456789abcdef";
static const _Alignas(DIRECTORY_BLOCK_SIZE) uint8_t zeros[ZEROS_SIZE];

void segment_header_encode(const struct segment_header *header, uint8_t to[SEGMENT_HEADER_SIZE])
{
    memset(to, 0, SEGMENT_HEADER_SIZE);
    le32_put(to, SEGMENT_MAGIC);
    le32_put(to + 8, header->version);
    le32_put(to + 12, header->segment_size);
    le64_put(to + 16, header->group);
    le64_put(to + 24, header->number);
    le64_put(to + 32, header->first_index);
    le64_put(to + 40, header->previous_term);
    le32_put(to + 48, header->previous);
    le32_put(to + 4, crc32c(0, to + 8, SEGMENT_HEADER_SIZE - 8));
}

enum status segment_header_decode(struct slice bytes, struct segment_header *header)
{
    const uint8_t *from = bytes.data;
    if (bytes.size < SEGMENT_HEADER_SIZE || le32_get(from) != SEGMENT_MAGIC ||
        le32_get(from + 4) != crc32c(0, from + 8, SEGMENT_HEADER_SIZE - 8)) {
        return STATUS_MALFORMED;
    }
    *header = (struct segment_header){
        .version = le32_get(from + 8),
        .segment_size = le32_get(from + 12),
        .group = le64_get(from + 16),
        .number = le64_get(from + 24),
        .first_index = le64_get(from + 32),
        .previous_term = le64_get(from + 40),
        .previous = le32_get(from + 48),
    };
    return STATUS_OK;
}

void segment_name_format(uint64_t number, char to[DIRECTORY_NAME_MAX])
{
    snprintf(to, DIRECTORY_NAME_MAX, "%s%016" PRIx64, segment_prefix, number);
}

void spare_name_format(uint64_t number, char to[DIRECTORY_NAME_MAX])
{
    snprintf(to, DIRECTORY_NAME_MAX, "%s%016" PRIx64, spare_prefix, number);
}

static bool parse(const char *name, const char *prefix, uint64_t *number)
{
    size_t size = strlen(prefix);
    if (strncmp(name, prefix, size) != 0 || strlen(name) != size + NUMBER_DIGITS) {
        return false;
    }
    *number = 0;
    for (const char *at = name + size; *at != '\0'; at++) {
        const char *digit = strchr(digits, *at);
        if (digit == NULL) {
            return false;
        }
        *number = *number * 16 + (uint64_t)(digit - digits);
    }
    return true;
}

bool segment_name_parse(const char *name, uint64_t *number)
{
    return parse(name, segment_prefix, number);
}

bool spare_name_parse(const char *name, uint64_t *number)
{
    return parse(name, spare_prefix, number);
}

void summary_name_format(uint64_t number, char to[DIRECTORY_NAME_MAX])
{
    snprintf(to, DIRECTORY_NAME_MAX, "%s%016" PRIx64, summary_prefix, number);
}

bool summary_name_parse(const char *name, uint64_t *number)
{
    return parse(name, summary_prefix, number);
}

enum status segment_write_zeros(const struct directory *directory, struct file *file,
                                uint64_t offset, uint64_t size)
{
    while (size > 0) {
        size_t part_size = size < ZEROS_SIZE ? (size_t)size : ZEROS_SIZE;
        struct iovec part = {.iov_base = (void *)(uintptr_t)zeros, .iov_len = part_size};
        enum status status = directory_write(directory, file, offset, &part, 1);
        if (status != STATUS_OK) {
            return status;
        }
        offset += part_size;
        size -= part_size;
    }
    return STATUS_OK;
}
