/* A file of the log as recovery looks at it: through a window of a megabyte that slides, so that a
 * start takes no segment's worth of memory, and past the page cache, which would be filled with the
 * zeros of what was never written. Any thread, one at a time. */
#ifndef RAFT_GLUE_LOG_WINDOW_H
#define RAFT_GLUE_LOG_WINDOW_H

#include "common/base/limits.h"
#include "raft-glue/directory.h"

/* Read at once. */
enum { LOG_WINDOW_SIZE = LIMITS_PICK(1024, 4) * 1024 };

/* Zero-initialised is closed. Fields are private. */
struct log_window {
    const struct directory *directory;
    struct file *file;
    uint64_t end;   /* Of what may be looked at. */
    uint8_t *bytes; /* [from, from + size) of the file; aligned, as from is. */
    size_t capacity;
    uint64_t from;
    size_t size;
};

/* Open a file, of which nothing behind `limit` is looked at. Borrows directory until
 * log_window_close(). Errors: STATUS_NOT_FOUND, STATUS_IO; then it is closed. */
WARN_UNUSED enum status log_window_open(struct log_window *window,
                                        const struct directory *directory, const char *name,
                                        uint64_t limit);

/* Give the file's bytes from `offset` on: at least `need`, or all that are left (none behind the
 * end). *out borrows from the window until the next call. Errors: STATUS_IO. */
WARN_UNUSED enum status log_window_look(struct log_window *window, uint64_t offset, size_t need,
                                        struct slice *out);

/* Harmless on one that is closed. */
void log_window_close(struct log_window *window);

#endif
