#include "common/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_synced(const char *path, struct slice content);
static bool sync_directory_of(const char *path);

enum status file_read(const char *path, size_t size_max, struct buf *out)
{
    struct stat info;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
    }
    bool readable =
        fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode) && (size_t)info.st_size <= size_max;
    size_t start = out->size;
    size_t left = readable ? (size_t)info.st_size : 0;
    while (left > 0) {
        buf_reserve(out, left);
        ssize_t size = read(descriptor, out->data + out->size, left);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            readable = false; // Also when it has become shorter meanwhile.
            break;
        }
        out->size += (size_t)size;
        left -= (size_t)size;
    }
    close(descriptor);
    if (!readable) {
        out->size = start;
        return STATUS_IO;
    }
    return STATUS_OK;
}

enum status file_replace(const char *path, struct slice content)
{
    struct buf aside = {0};
    buf_printf(&aside, "%s.tmp", path);
    bool replaced = write_synced(buf_text(&aside), content);
    if (replaced && rename(buf_text(&aside), path) != 0) {
        replaced = false;
        unlink(buf_text(&aside));
    }
    buf_close(&aside);
    return replaced && sync_directory_of(path) ? STATUS_OK : STATUS_IO;
}

static bool write_synced(const char *path, struct slice content)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor < 0) {
        return false;
    }
    bool written = true;
    while (written && content.size > 0) {
        ssize_t size = write(descriptor, content.data, content.size);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        written = size > 0;
        content = slice_from(content, written ? (size_t)size : 0);
    }
    written = written && fsync(descriptor) == 0;
    written = close(descriptor) == 0 && written;
    if (!written) {
        unlink(path);
    }
    return written;
}

/* The rename is durable once the directory is. */
static bool sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct buf directory = {0};
    if (slash == NULL) {
        buf_put_text(&directory, ".");
    } else {
        buf_put(&directory, path, (size_t)(slash - path) + 1);
    }
    int descriptor = open(buf_text(&directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = descriptor >= 0 && fsync(descriptor) == 0;
    if (descriptor >= 0) {
        close(descriptor);
    }
    buf_close(&directory);
    return synced;
}
