/* Segments: the files of fixed size that the log's bytes lie in.
 *
 * The byte at log position p is in segment p / size at offset p % size. Each begins with a header;
 * frames follow and never straddle two segments: where one does not fit, the rest is zeros.
 *
 *   at  size  field           (little-endian)
 *    0     4  magic           "RMQs"
 *    4     4  crc             CRC-32C of bytes [8, 64)
 *    8     4  version         1
 *   12     4  segment_size
 *   16     8  group           identity of cluster and group
 *   24     8  number
 *   32     8  first_index     of the first frame in it
 *   40     8  previous_term   term of the entry before that
 *   48     4  previous        header_crc of the frame before that; the seed in segment 0
 *   52    12  reserved        0 */
#ifndef RAFT_GLUE_SEGMENT_FILE_H
#define RAFT_GLUE_SEGMENT_FILE_H

#include "raft-glue/directory.h"

enum { SEGMENT_HEADER_SIZE = 64, SEGMENT_VERSION = 1 };

struct segment_header {
    uint64_t group;
    uint64_t number;
    uint64_t first_index;
    uint64_t previous_term;
    uint32_t previous;
    uint32_t segment_size;
    uint32_t version;
};

void segment_header_encode(const struct segment_header *header, uint8_t to[SEGMENT_HEADER_SIZE]);

/* Errors: STATUS_MALFORMED  not a segment header, or damaged. The fields are the caller's to
 *                           judge. */
WARN_UNUSED enum status segment_header_decode(struct slice bytes, struct segment_header *header);

/* "segment-0000000000000007", "spare-0000000000000007" and "summary-0000000000000007". */
void segment_name_format(uint64_t number, char to[DIRECTORY_NAME_MAX]);
void spare_name_format(uint64_t number, char to[DIRECTORY_NAME_MAX]);
void summary_name_format(uint64_t number, char to[DIRECTORY_NAME_MAX]);
bool segment_name_parse(const char *name, uint64_t *number);
bool spare_name_parse(const char *name, uint64_t *number);
bool summary_name_parse(const char *name, uint64_t *number);

/* Write zeros over [offset, offset + size). Not synced. Errors: STATUS_IO, STATUS_DISK_FULL. */
WARN_UNUSED enum status segment_write_zeros(const struct directory *directory, struct file *file,
                                            uint64_t offset, uint64_t size);

/* Where a frame of that size goes in a log that ends at `end`: there, or behind the header of the
 * next segment. */
static inline uint64_t segment_place(uint64_t end, size_t frame_size, uint32_t segment_size)
{
    uint64_t offset = end % segment_size;
    if (offset == 0) {
        return end + SEGMENT_HEADER_SIZE;
    }
    return offset + frame_size <= segment_size ? end
                                               : end - offset + segment_size + SEGMENT_HEADER_SIZE;
}

#endif
