/* Whole small files. Blocking. */
#ifndef COMMON_BASE_FILE_H
#define COMMON_BASE_FILE_H

#include "common/base/buf.h"
#include "common/base/status.h"

/* Append the content of a file.
 * Errors: STATUS_NOT_FOUND  there is none;
 *         STATUS_IO         cannot be read, or is larger than size_max: nothing was appended. */
WARN_UNUSED enum status file_read(const char *path, size_t size_max, struct buf *out);

/* Put content in the place of a file, durably, so that a reader or a crash finds either all of the
 * old or all of the new: written aside, synced, renamed, directory synced.
 * Errors: STATUS_IO  the old file is as it was. */
WARN_UNUSED enum status file_replace(const char *path, struct slice content);

#endif
