/* Whole directories below the data directory: made, moved and removed, durably. Blocking. A file of
 * its own, so that the simulator can put its disks in place of the file system. */
#ifndef BROKER_HOST_TREE_H
#define BROKER_HOST_TREE_H

#include "common/base/check.h"
#include "common/base/status.h"

#include <stdbool.h>

bool tree_exists(const char *path);

/* Make a directory, if it is not there. Errors: STATUS_IO, STATUS_DISK_FULL. */
WARN_UNUSED enum status tree_make(const char *path);

/* Give a directory another name beside the old one; nothing may be there. Errors: STATUS_IO. */
WARN_UNUSED enum status tree_rename(const char *from, const char *to);

/* Remove a directory with all that is in it; one that is not there is fine. Errors: STATUS_IO. */
WARN_UNUSED enum status tree_remove(const char *path);

#endif
