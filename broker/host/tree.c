#include "broker/host/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 1280, OPEN_DIRECTORIES = 16 };

bool tree_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

/* Make what happened in a path's parent durable. */
static enum status sync_parent(const char *path)
{
    char parent[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path);
    if (size >= sizeof parent) {
        return STATUS_IO;
    }
    memcpy(parent, path, size);
    parent[size] = '\0';
    int fd = open(size == 0 ? "." : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return STATUS_IO;
    }
    int failed = fsync(fd);
    close(fd);
    return failed == 0 ? STATUS_OK : STATUS_IO;
}

enum status tree_make(const char *path)
{
    if (mkdir(path, 0750) == 0) {
        return sync_parent(path);
    }
    if (errno == EEXIST) {
        return STATUS_OK;
    }
    return errno == ENOSPC || errno == EDQUOT ? STATUS_DISK_FULL : STATUS_IO;
}

enum status tree_rename(const char *from, const char *to)
{
    return rename(from, to) == 0 ? sync_parent(to) : STATUS_IO;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

enum status tree_remove(const char *path)
{
    if (!tree_exists(path)) {
        return STATUS_OK;
    }
    if (nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS) != 0) {
        return STATUS_IO;
    }
    return sync_parent(path);
}
