#include "raft-glue/log_window.h"

#include "common/base/buf.h"

#include <stdlib.h>

enum status log_window_open(struct log_window *window, const struct directory *directory,
                            const char *name, uint64_t limit)
{
    *window = (struct log_window){.directory = directory};
    enum status status = directory_open(directory, name, &window->file);
    if (status == STATUS_OK) {
        status = directory_file_size(directory, window->file, &window->end);
        window->end = window->end < limit ? window->end : limit;
    }
    if (status != STATUS_OK) {
        log_window_close(window);
    }
    return status;
}

static enum status slide(struct log_window *window, uint64_t offset, size_t need)
{
    uint64_t left = window->end - offset;
    size_t size = need > LOG_WINDOW_SIZE ? need : LOG_WINDOW_SIZE;
    size = size < left ? size : (size_t)left;
    if (size > window->capacity) {
        free(window->bytes);
        window->bytes = mem_alloc(size);
        window->capacity = size;
    }
    window->size = 0;
    enum status status =
        directory_read(window->directory, window->file, offset, window->bytes, size);
    if (status != STATUS_OK) {
        return STATUS_IO;
    }
    window->from = offset;
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
