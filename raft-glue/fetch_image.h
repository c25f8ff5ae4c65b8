/* The machine's state as a stream of bytes that only machines understand: how a copy leaves one
 * replica and arrives at another. */
#ifndef RAFT_GLUE_FETCH_IMAGE_H
#define RAFT_GLUE_FETCH_IMAGE_H

#include "common/base/buf.h"
#include "common/base/status.h"

#include <stdbool.h>

/* Where an image is taken from. */
struct image_source {
    void *context;
    /* Freeze what the store holds now; *applied is the entry it is complete up to. NULL: not now.
     * Loop thread. */
    void *(*open)(void *context, uint64_t *applied);
    /* Append the next piece, of about `size` bytes; *end if it was the last. Any thread, blocks.
     * Errors: STATUS_IO, STATUS_CORRUPT. */
    enum status (*read)(void *image, struct buf *out, size_t size, bool *end);
    /* Loop thread; no read is under way. */
    void (*close)(void *image);
};

/* Where it is put. All block. Errors: STATUS_IO, STATUS_DISK_FULL, STATUS_MALFORMED. */
struct image_sink {
    void *context;
    /* Begin with nothing: what was put before, perhaps in part, is dropped. */
    enum status (*begin)(void *context);
    enum status (*put)(void *context, struct slice piece);
    /* All is there: make it durable. */
    enum status (*end)(void *context);
};

#endif
