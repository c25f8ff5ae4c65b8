/* A directory of files, as a port: POSIX in the product, a simulated disk that loses what was not
 * synced in the simulator. Names are plain file names. Every call may block and may come from any
 * thread; one file is written by one thread at a time. */
#ifndef RAFT_GLUE_DIRECTORY_H
#define RAFT_GLUE_DIRECTORY_H

#include "common/base/check.h"
#include "common/base/slice.h"
#include "common/base/status.h"

#include <sys/uio.h>

struct file; /* Each implementation's own. */

enum {
    DIRECTORY_NAME_MAX = 64, /* With the terminating NUL. */
    /* What writes and reads of a file opened with directory_open_direct() should be aligned to:
     * their offset, memory and size. */
    DIRECTORY_BLOCK_SIZE = 4096,
};

struct directory_ops {
    enum status (*open)(void *context, const char *name, struct file **out);
    enum status (*open_direct)(void *context, const char *name, struct file **out);
    enum status (*create)(void *context, const char *name, uint64_t size, struct file **out);
    void (*close)(void *context, struct file *file);
    enum status (*write)(void *context, struct file *file, uint64_t offset,
                         const struct iovec *parts, size_t count);
    enum status (*sync)(void *context, struct file *file);
    enum status (*read)(void *context, struct file *file, uint64_t offset, uint8_t *to,
                        size_t size);
    enum status (*read_now)(void *context, struct file *file, uint64_t offset, uint8_t *to,
                            size_t size);
    enum status (*size)(void *context, struct file *file, uint64_t *size);
    enum status (*rename)(void *context, const char *from, const char *to);
    enum status (*remove)(void *context, const char *name);
    enum status (*sync_names)(void *context);
    enum status (*list)(void *context, void (*each)(void *argument, const char *name),
                        void *argument);
};

struct directory {
    const struct directory_ops *ops;
    void *context;
};

/* Open an existing file. Errors: STATUS_NOT_FOUND, STATUS_IO. */
WARN_UNUSED static inline enum status directory_open(const struct directory *directory,
                                                     const char *name, struct file **out)
{
    return directory->ops->open(directory->context, name, out);
}

/* Open an existing file for writing and reading past the cache of the operating system; reads
 * through other openings of it stay coherent with that. Where the file system cannot do that, or
 * something is not aligned, it is like any other. Errors: as directory_open(). */
WARN_UNUSED static inline enum status directory_open_direct(const struct directory *directory,
                                                            const char *name, struct file **out)
{
    return directory->ops->open_direct(directory->context, name, out);
}

/* Make (or empty) a file of that size, reading as zeros; its space is taken at once. Durable only
 * after sync_names(). Errors (there is no such file then): STATUS_DISK_FULL, STATUS_IO. */
WARN_UNUSED static inline enum status directory_create(const struct directory *directory,
                                                       const char *name, uint64_t size,
                                                       struct file **out)
{
    return directory->ops->create(directory->context, name, size, out);
}

/* Harmless on NULL. */
static inline void directory_close_file(const struct directory *directory, struct file *file)
{
    if (file != NULL) {
        directory->ops->close(directory->context, file);
    }
}

/* Write all parts one after the other. Borrows parts. Errors: STATUS_DISK_FULL, STATUS_IO (some
 * bytes may have been written). */
WARN_UNUSED static inline enum status directory_write(const struct directory *directory,
                                                      struct file *file, uint64_t offset,
                                                      const struct iovec *parts, size_t count)
{
    return directory->ops->write(directory->context, file, offset, parts, count);
}

/* Make what was written to the file durable. Errors: STATUS_IO. */
WARN_UNUSED static inline enum status directory_sync(const struct directory *directory,
                                                     struct file *file)
{
    return directory->ops->sync(directory->context, file);
}

/* Read exactly size bytes. Errors: STATUS_NOT_FOUND (the file ends before), STATUS_IO. */
WARN_UNUSED static inline enum status directory_read(const struct directory *directory,
                                                     struct file *file, uint64_t offset,
                                                     uint8_t *to, size_t size)
{
    return directory->ops->read(directory->context, file, offset, to, size);
}

/* The same without waiting for a disk. Errors: STATUS_BUSY (it would wait), STATUS_NOT_FOUND,
 * STATUS_IO. */
WARN_UNUSED static inline enum status directory_read_now(const struct directory *directory,
                                                         struct file *file, uint64_t offset,
                                                         uint8_t *to, size_t size)
{
    return directory->ops->read_now(directory->context, file, offset, to, size);
}

WARN_UNUSED static inline enum status directory_file_size(const struct directory *directory,
                                                          struct file *file, uint64_t *size)
{
    return directory->ops->size(directory->context, file, size);
}

/* Replaces `to`. Durable only after sync_names(). */
WARN_UNUSED static inline enum status directory_rename(const struct directory *directory,
                                                       const char *from, const char *to)
{
    return directory->ops->rename(directory->context, from, to);
}

WARN_UNUSED static inline enum status directory_remove(const struct directory *directory,
                                                       const char *name)
{
    return directory->ops->remove(directory->context, name);
}

/* Make creations, renames and removals durable. */
WARN_UNUSED static inline enum status directory_sync_names(const struct directory *directory)
{
    return directory->ops->sync_names(directory->context);
}

/* Call `each` for every file. */
WARN_UNUSED static inline enum status directory_list(const struct directory *directory,
                                                     void (*each)(void *argument, const char *name),
                                                     void *argument)
{
    return directory->ops->list(directory->context, each, argument);
}

/* Open a directory of the file system; it must exist. Errors: STATUS_IO. */
WARN_UNUSED enum status directory_posix_open(const char *path, struct directory *out);
void directory_posix_close(struct directory *directory);

#endif
