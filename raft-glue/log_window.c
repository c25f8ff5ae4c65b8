#include "raft-glue/log_window.h"

#include <stdlib.h>

enum status log_window_open(struct log_window *window, const struct directory *directory,
                            const char *name, uint64_t limit)
{
    *window = (struct log_window){.directory = directory};
    enum status status = directory_open_direct(directory, name, &window->file);
    if (status == STATUS_OK) {
        status = directory_file_size(directory, window->file, &window->end);
        window->end = window->end < limit ? window->end : limit;
    }
    if (status != STATUS_OK) {
        log_window_close(window);
    }
    return status;
}

static void have_room(struct log_window *window, size_t size)
{
    if (size > window->capacity) {
        void *memory = NULL;
        if (posix_memalign(&memory, DIRECTORY_BLOCK_SIZE, size) != 0) {
            FATAL("out of memory: %zu bytes", size);
        }
        free(window->bytes);
        window->bytes = memory;
        window->capacity = size;
    }
}

static uint64_t blocks_up(uint64_t offset)
{
    return (offset + DIRECTORY_BLOCK_SIZE - 1) / DIRECTORY_BLOCK_SIZE * DIRECTORY_BLOCK_SIZE;
}

/* Have [offset, offset + need), which is before the end, and what fits around it. */
static enum status slide(struct log_window *window, uint64_t offset, size_t need)
{
    uint64_t from = offset - offset % DIRECTORY_BLOCK_SIZE;
    uint64_t until = blocks_up(offset + need);
    until = until > from + LOG_WINDOW_SIZE ? until : from + LOG_WINDOW_SIZE;
    size_t size = (size_t)((until < window->end ? until : window->end) - from);
    have_room(window, (size_t)blocks_up(size));
    window->size = 0;
    enum status status = directory_read(window->directory, window->file, from, window->bytes, size);
    if (status != STATUS_OK) {
        return STATUS_IO;
    }
    window->from = from;
    window->size = size;
    return STATUS_OK;
}

enum status log_window_look(struct log_window *window, uint64_t offset, size_t need,
                            struct slice *out)
{
    *out = (struct slice){0};
    if (offset >= window->end) {
        return STATUS_OK;
    }
    uint64_t left = window->end - offset;
    need = need < left ? need : (size_t)left;
    if (offset < window->from || offset + need > window->from + window->size) {
        enum status status = slide(window, offset, need);
        if (status != STATUS_OK) {
            return status;
        }
    }
    size_t skipped = (size_t)(offset - window->from);
    *out = slice_of(window->bytes + skipped, window->size - skipped);
    return STATUS_OK;
}

void log_window_close(struct log_window *window)
{
    directory_close_file(window->directory, window->file);
    free(window->bytes);
    *window = (struct log_window){0};
}
