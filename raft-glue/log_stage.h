/* Collects the bytes of a segment and writes them in whole, aligned blocks, so that they can go to
 * the disk past the page cache. The last block is filled up with zeros; it is kept, and the next
 * write begins by writing it again with what has come behind. */
#ifndef RAFT_GLUE_LOG_STAGE_H
#define RAFT_GLUE_LOG_STAGE_H

#include "raft-glue/directory.h"

struct log_stage {
    uint8_t *bytes;   /* Aligned; taken with the first use. */
    uint64_t start;   /* Offset in the file of the first byte: begins a block. */
    size_t size;      /* Bytes collected. */
    uint64_t end_max; /* Size of the file: nothing is written behind it. */
};

void log_stage_close(struct log_stage *stage);

/* Stand at an offset of a file of `file_size` bytes. What its block holds in front is read from
 * the file of that name. Forgets what was collected before. Errors: as of directory_open(),
 * directory_read(). */
WARN_UNUSED enum status log_stage_begin(struct log_stage *stage, const struct directory *directory,
                                        const char *name, uint64_t file_size, uint64_t offset);

/* Where the next byte goes. */
static inline uint64_t log_stage_offset(const struct log_stage *stage)
{
    return stage->start + stage->size;
}

/* Add bytes; copies them, and writes when the stage is full. Errors: as of directory_write(). */
WARN_UNUSED enum status log_stage_put(struct log_stage *stage, const struct directory *directory,
                                      struct file *file, const void *bytes, size_t size);

/* Write everything that was added. Not synced. Errors: as of directory_write(). */
WARN_UNUSED enum status log_stage_flush(struct log_stage *stage, const struct directory *directory,
                                        struct file *file);

#endif
