#include "raft-glue/directory.h"

#include "common/base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
    int fd;
    bool direct; // O_DIRECT is in force.
};

struct posix_directory {
    int fd;
};

static enum status from_errno(int error)
{
    switch (error) {
    case ENOENT:
        return STATUS_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
        return STATUS_DISK_FULL;
    case EAGAIN:
        return STATUS_BUSY;
    default:
        return STATUS_IO;
    }
}

static struct file *file_new(int fd)
{
    struct file *file = mem_alloc(sizeof *file);
    *file = (struct file){.fd = fd};
    return file;
}

static enum status posix_open(void *context, const char *name, struct file **out)
{
    struct posix_directory *directory = context;
    int fd = openat(directory->fd, name, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return from_errno(errno);
    }
    *out = file_new(fd);
    return STATUS_OK;
}

static enum status posix_open_direct(void *context, const char *name, struct file **out)
{
    struct posix_directory *directory = context;
    int fd = openat(directory->fd, name, O_RDWR | O_CLOEXEC | O_DIRECT);
    if (fd < 0) {
        return errno == EINVAL ? posix_open(context, name, out) : from_errno(errno);
    }
    *out = file_new(fd);
    (*out)->direct = true;
    return STATUS_OK;
}

/* What the file system refuses to do directly is done like anything else from now on. */
static bool leave_direct(struct file *file)
{
    int flags = file->direct ? fcntl(file->fd, F_GETFL) : -1;
    file->direct = false;
    return flags >= 0 && fcntl(file->fd, F_SETFL, flags & ~O_DIRECT) == 0;
}

static enum status posix_create(void *context, const char *name, uint64_t size, struct file **out)
{
    struct posix_directory *directory = context;
    int fd = openat(directory->fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) {
        return from_errno(errno);
    }
    int error = size == 0 ? 0 : posix_fallocate(fd, 0, (off_t)size);
    if (error != 0) {
        close(fd);
        unlinkat(directory->fd, name, 0);
        return from_errno(error);
    }
    *out = file_new(fd);
    return STATUS_OK;
}

static void posix_close(void *context, struct file *file)
{
    (void)context;
    close(file->fd);
    free(file);
}

/* Write one batch of parts (at most IOV_MAX), copying the descriptors to step over what a short
 * write has taken. */
static enum status write_parts(struct file *file, uint64_t offset, const struct iovec *parts,
                               size_t count)
{
    struct iovec rest[IOV_MAX];
    memcpy(rest, parts, count * sizeof *parts);
    struct iovec *at = rest;
    while (count > 0) {
        ssize_t written = pwritev(file->fd, at, (int)count, (off_t)offset);
        if (written < 0) {
            if (errno == EINTR || (errno == EINVAL && leave_direct(file))) {
                continue;
            }
            return errno == EAGAIN ? STATUS_IO : from_errno(errno);
        }
        offset += (uint64_t)written;
        size_t taken = (size_t)written;
        while (count > 0 && taken >= at->iov_len) {
            taken -= at->iov_len;
            at++;
            count--;
        }
        if (count > 0) {
            at->iov_base = (uint8_t *)at->iov_base + taken;
            at->iov_len -= taken;
        }
    }
    return STATUS_OK;
}

static enum status posix_write(void *context, struct file *file, uint64_t offset,
                               const struct iovec *parts, size_t count)
{
    (void)context;
    while (count > 0) {
        size_t batch = count < IOV_MAX ? count : IOV_MAX;
        enum status status = write_parts(file, offset, parts, batch);
        if (status != STATUS_OK) {
            return status;
        }
        for (size_t i = 0; i < batch; i++) {
            offset += parts[i].iov_len;
        }
        parts += batch;
        count -= batch;
    }
    return STATUS_OK;
}

static enum status posix_sync(void *context, struct file *file)
{
    (void)context;
    // Not repeated on error: after a failed fdatasync the kernel may have dropped the pages.
    return fdatasync(file->fd) == 0 ? STATUS_OK : STATUS_IO;
}

static enum status posix_read(void *context, struct file *file, uint64_t offset, uint8_t *to,
                              size_t size)
{
    (void)context;
    while (size > 0) {
        ssize_t got = pread(file->fd, to, size, (off_t)offset);
        if (got < 0 && (errno == EINTR || (errno == EINVAL && leave_direct(file)))) {
            continue;
        }
        if (got < 0) {
            return STATUS_IO;
        }
        if (got == 0) {
            return STATUS_NOT_FOUND;
        }
        to += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return STATUS_OK;
}

static enum status posix_read_now(void *context, struct file *file, uint64_t offset, uint8_t *to,
                                  size_t size)
{
    (void)context;
    while (size > 0) {
        struct iovec part = {.iov_base = to, .iov_len = size};
        ssize_t got = preadv2(file->fd, &part, 1, (off_t)offset, RWF_NOWAIT);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            // A file system without RWF_NOWAIT is one that always waits.
            return errno == EAGAIN || errno == EOPNOTSUPP ? STATUS_BUSY : STATUS_IO;
        }
        if (got == 0) {
            return STATUS_NOT_FOUND;
        }
        to += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return STATUS_OK;
}

static enum status posix_size(void *context, struct file *file, uint64_t *size)
{
    (void)context;
    struct stat stat;
    if (fstat(file->fd, &stat) != 0) {
        return STATUS_IO;
    }
    *size = (uint64_t)stat.st_size;
    return STATUS_OK;
}

static enum status posix_rename(void *context, const char *from, const char *to)
{
    struct posix_directory *directory = context;
    int result = renameat(directory->fd, from, directory->fd, to);
    return result == 0 ? STATUS_OK : from_errno(errno);
}

static enum status posix_remove(void *context, const char *name)
{
    struct posix_directory *directory = context;
    return unlinkat(directory->fd, name, 0) == 0 ? STATUS_OK : from_errno(errno);
}

static enum status posix_sync_names(void *context)
{
    struct posix_directory *directory = context;
    return fsync(directory->fd) == 0 ? STATUS_OK : STATUS_IO;
}

static enum status posix_list(void *context, void (*each)(void *argument, const char *name),
                              void *argument)
{
    struct posix_directory *directory = context;
    int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (listing == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return STATUS_IO;
    }
    struct dirent *entry = NULL;
    while (errno = 0, (entry = readdir(listing)) != NULL) {
        if (entry->d_name[0] != '.') {
            each(argument, entry->d_name);
        }
    }
    enum status status = errno == 0 ? STATUS_OK : STATUS_IO;
    closedir(listing);
    return status;
}

static const struct directory_ops posix_ops = {
    .open = posix_open,
    .open_direct = posix_open_direct,
    .create = posix_create,
    .close = posix_close,
    .write = posix_write,
    .sync = posix_sync,
    .read = posix_read,
    .read_now = posix_read_now,
    .size = posix_size,
    .rename = posix_rename,
    .remove = posix_remove,
    .sync_names = posix_sync_names,
    .list = posix_list,
};

enum status directory_posix_open(const char *path, struct directory *out)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return STATUS_IO;
    }
    struct posix_directory *directory = mem_alloc(sizeof *directory);
    directory->fd = fd;
    *out = (struct directory){.ops = &posix_ops, .context = directory};
    return STATUS_OK;
}

void directory_posix_close(struct directory *directory)
{
    struct posix_directory *posix = directory->context;
    if (posix != NULL) {
        close(posix->fd);
        free(posix);
        directory->context = NULL;
    }
}
