/* How far the log was durable, written down a while after it got there: at a start nothing else
 * vouches for a log's last frames.
 *
 * The mark never lies above what is synced, so a log that ends below it is damaged. It is lowered
 * before a truncation below it is carried out. Blocking; one thread at a time.
 *
 * The files durable.0 and durable.1 (twin_file.h) hold it:
 *
 *   at  size  field        (little-endian)
 *    0     8  index        of the last durable entry; 0: there was none
 *    8     8  term         of that entry
 *   16     8  position     where its frame ends */
#ifndef RAFT_GLUE_LOG_MARK_H
#define RAFT_GLUE_LOG_MARK_H

#include "raft-glue/twin_file.h"

#include <stdbool.h>

struct log_mark {
    uint64_t index;
    uint64_t term;
    uint64_t position;
};

struct log_mark_file {
    const struct directory *directory; /* Borrowed. */
    struct twin_file twin;
    bool made; /* The files are there and open. */
};

/* Read the mark; all zeros if none was ever stored, or what there is cannot be read: a crash while
 * the files were first made leaves them so.
 * Errors: STATUS_REFUSED (another version's), STATUS_IO, STATUS_DISK_FULL. */
WARN_UNUSED enum status log_mark_open(struct log_mark_file *file, const struct directory *directory,
                                      struct log_mark *mark);

/* Replace it; durable when it returns OK. Makes the files if there are none.
 * Errors: STATUS_IO; STATUS_DISK_FULL (there is none; or where files need room to be written again,
 * the mark before or this one). */
WARN_UNUSED enum status log_mark_store(struct log_mark_file *file, const struct log_mark *mark);

/* The same for a mark below the one that is stored, if there is any. */
WARN_UNUSED enum status log_mark_lower(struct log_mark_file *file, const struct log_mark *mark);

/* Accepts a zeroed object. */
void log_mark_close(struct log_mark_file *file);

#endif
