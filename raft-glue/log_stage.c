#include "raft-glue/log_stage.h"

#include "common/base/buf.h"

#include <stdlib.h>

enum { STAGE_SIZE = 512 * 1024 };

void log_stage_close(struct log_stage *stage)
{
    free(stage->bytes);
    *stage = (struct log_stage){0};
}

static void take_memory(struct log_stage *stage)
{
    void *memory = NULL;
    if (stage->bytes == NULL) {
        if (posix_memalign(&memory, DIRECTORY_BLOCK_SIZE, STAGE_SIZE) != 0) {
            FATAL("out of memory: %d bytes for writing the log", STAGE_SIZE);
        }
        stage->bytes = memory;
    }
}

enum status log_stage_begin(struct log_stage *stage, const struct directory *directory,
                            const char *name, uint64_t file_size, uint64_t offset)
{
    take_memory(stage);
    stage->end_max = file_size;
    stage->start = offset - offset % DIRECTORY_BLOCK_SIZE;
    stage->size = (size_t)(offset - stage->start);
    if (stage->size == 0) {
        return STATUS_OK;
    }
    struct file *file = NULL;
    enum status status = directory_open(directory, name, &file);
    if (status == STATUS_OK) {
        status = directory_read(directory, file, stage->start, stage->bytes, stage->size);
        directory_close_file(directory, file);
    }
    return status;
}

enum status log_stage_flush(struct log_stage *stage, const struct directory *directory,
                            struct file *file)
{
    size_t kept = stage->size % DIRECTORY_BLOCK_SIZE;
    size_t fill = kept == 0 ? 0 : DIRECTORY_BLOCK_SIZE - kept;
    uint64_t room = stage->end_max - log_stage_offset(stage);
    fill = fill < room ? fill : (size_t)room;
    memset(stage->bytes + stage->size, 0, fill);
    struct iovec part = {.iov_base = stage->bytes, .iov_len = stage->size + fill};
    if (part.iov_len == 0) {
        return STATUS_OK;
    }
    enum status status = directory_write(directory, file, stage->start, &part, 1);
    memmove(stage->bytes, stage->bytes + stage->size - kept, kept);
    stage->start += stage->size - kept;
    stage->size = kept;
    return status;
}

enum status log_stage_put(struct log_stage *stage, const struct directory *directory,
                          struct file *file, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    while (size > 0) {
        size_t room = STAGE_SIZE - stage->size;
        size_t part = size < room ? size : room;
        memcpy(stage->bytes + stage->size, from, part);
        stage->size += part;
        from += part;
        size -= part;
        if (stage->size == STAGE_SIZE) {
            enum status status = log_stage_flush(stage, directory, file);
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    return STATUS_OK;
}
