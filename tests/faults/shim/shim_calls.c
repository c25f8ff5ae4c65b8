/* The calls that are replaced: those with which a broker, RocksDB in it, changes files, and
 * connect(). Each does its part for the journal and the control file, then the original's. */
#include "tests/faults/shim/shim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

/* Declare `original` as a pointer to the function of that name and type. */
#define ORIGINAL(type, name, ...)                                                                  \
    type (*original)(__VA_ARGS__) = (type(*)(__VA_ARGS__))fault_original(name)

/* --- Opening ------------------------------------------------------------------------------ */

static uint64_t inode_of(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 ? (uint64_t)about.st_ino : 0;
}

/* What is cut off by O_TRUNC counts as truncated, and a new name as created. */
static int open_at(const char *name, int directory, const char *path, int flags, mode_t mode)
{
    ORIGINAL(int, name, int, const char *, int, ...);
    char whole[FAULT_PATH_MAX];
    bool changes = (flags & (O_CREAT | O_TRUNC)) != 0 && fault_path_at(directory, path, whole) &&
                   fault_watches(whole);
    if (!changes) {
        return original(directory, path, flags, mode);
    }
    bool is_new = inode_of(whole) == 0;
    if (!is_new && (flags & O_TRUNC) != 0) {
        int before = original(directory, path, O_RDONLY | O_CLOEXEC);
        uint64_t inode = 0;
        uint64_t size = 0;
        if (before >= 0 && fault_file(before, &inode, &size) && size > 0) {
            fault_note_content(FAULT_TRUNCATE, before, inode, 0, size, size);
        }
        if (before >= 0) {
            close(before);
        }
    }
    int fd = original(directory, path, flags, mode);
    if (fd >= 0 && is_new) {
        fault_note_name(FAULT_CREATE, inode_of(whole), whole, "", "");
    }
    return fd;
}

/* The mode follows the flags if a file may be made. */
#define MODE_OF(mode, flags)                                                                       \
    mode_t mode = 0;                                                                               \
    if (((flags)&O_CREAT) != 0) {                                                                  \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode = va_arg(args, mode_t);                                                               \
        va_end(args);                                                                              \
    }

EXPORTED int open(const char *path, int flags, ...)
{
    MODE_OF(mode, flags)
    return open_at("openat", AT_FDCWD, path, flags, mode);
}

EXPORTED int open64(const char *path, int flags, ...)
{
    MODE_OF(mode, flags)
    return open_at("openat64", AT_FDCWD, path, flags, mode);
}

EXPORTED int openat(int directory, const char *path, int flags, ...)
{
    MODE_OF(mode, flags)
    return open_at("openat", directory, path, flags, mode);
}

EXPORTED int openat64(int directory, const char *path, int flags, ...)
{
    MODE_OF(mode, flags)
    return open_at("openat64", directory, path, flags, mode);
}

/* --- Writing ------------------------------------------------------------------------------ */

/* Is a write to fail? Then errno is set. A full disk still has room for what a file has already. */
static bool fails(const struct fault_control *control, bool grows)
{
    errno = (int)control->write_error;
    return control->write_error != 0 && (control->write_error != ENOSPC || grows);
}

/* Note that [offset, offset + length) of a file is about to be written; offset -1: where it stands.
 * False with errno set if writes are to fail. */
static bool before_write(int fd, off_t offset, uint64_t length)
{
    uint64_t inode = 0;
    uint64_t size = 0;
    if (!fault_file(fd, &inode, &size)) {
        return true;
    }
    struct fault_control *control = fault_control();
    if (offset < 0) {
        bool at_end = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
        offset = at_end ? (off_t)size : lseek(fd, 0, SEEK_CUR);
    }
    if (fails(control, (uint64_t)offset + length > size)) {
        return false;
    }
    __atomic_add_fetch(&control->writes, 1, __ATOMIC_RELAXED);
    fault_note_content(FAULT_WRITE, fd, inode, (uint64_t)offset, length, size);
    return true;
}

static uint64_t size_of(const struct iovec *parts, int count)
{
    uint64_t size = 0;
    for (int i = 0; i < count; i++) {
        size += parts[i].iov_len;
    }
    return size;
}

EXPORTED ssize_t write(int fd, const void *data, size_t size)
{
    ORIGINAL(ssize_t, "write", int, const void *, size_t);
    return before_write(fd, -1, size) ? original(fd, data, size) : -1;
}

EXPORTED ssize_t writev(int fd, const struct iovec *parts, int count)
{
    ORIGINAL(ssize_t, "writev", int, const struct iovec *, int);
    return before_write(fd, -1, size_of(parts, count)) ? original(fd, parts, count) : -1;
}

#define DEFINE_POSITIONED(name, vector_name)                                                       \
    EXPORTED ssize_t name(int fd, const void *data, size_t size, off_t offset)                     \
    {                                                                                              \
        ORIGINAL(ssize_t, #name, int, const void *, size_t, off_t);                                \
        return before_write(fd, offset, size) ? original(fd, data, size, offset) : -1;             \
    }                                                                                              \
    EXPORTED ssize_t vector_name(int fd, const struct iovec *parts, int count, off_t offset)       \
    {                                                                                              \
        ORIGINAL(ssize_t, #vector_name, int, const struct iovec *, int, off_t);                    \
        return before_write(fd, offset, size_of(parts, count))                                     \
                   ? original(fd, parts, count, offset)                                            \
                   : -1;                                                                           \
    }

DEFINE_POSITIONED(pwrite, pwritev)
DEFINE_POSITIONED(pwrite64, pwritev64)

/* Growing is a write of nothing at the end; cutting takes bytes away. */
static bool before_resize(int fd, uint64_t wanted, bool may_cut)
{
    uint64_t inode = 0;
    uint64_t size = 0;
    if (!fault_file(fd, &inode, &size)) {
        return true;
    }
    if (fails(fault_control(), wanted > size)) {
        return false;
    }
    if (wanted > size) {
        fault_note_content(FAULT_WRITE, fd, inode, size, 0, size);
    } else if (may_cut && wanted < size) {
        fault_note_content(FAULT_TRUNCATE, fd, inode, wanted, size - wanted, size);
    }
    return true;
}

#define DEFINE_RESIZE(suffix)                                                                      \
    EXPORTED int ftruncate##suffix(int fd, off_t size)                                             \
    {                                                                                              \
        ORIGINAL(int, "ftruncate" #suffix, int, off_t);                                            \
        return before_resize(fd, (uint64_t)size, true) ? original(fd, size) : -1;                  \
    }                                                                                              \
    EXPORTED int fallocate##suffix(int fd, int mode, off_t offset, off_t size)                     \
    {                                                                                              \
        ORIGINAL(int, "fallocate" #suffix, int, int, off_t, off_t);                                \
        return before_resize(fd, (uint64_t)(offset + size), false)                                 \
                   ? original(fd, mode, offset, size)                                              \
                   : -1;                                                                           \
    }                                                                                              \
    EXPORTED int posix_fallocate##suffix(int fd, off_t offset, off_t size)                         \
    {                                                                                              \
        ORIGINAL(int, "posix_fallocate" #suffix, int, off_t, off_t);                               \
        return before_resize(fd, (uint64_t)(offset + size), false) ? original(fd, offset, size)    \
                                                                   : errno;                        \
    }

DEFINE_RESIZE()
DEFINE_RESIZE(64)

/* --- Syncing ------------------------------------------------------------------------------ */

static void wait_ms(uint32_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (ms > 0 && nanosleep(&time, &time) != 0 && errno == EINTR) {
    }
}

/* A sync covers what was noted before it began. */
static int sync_by(const char *name, int fd)
{
    ORIGINAL(int, name, int);
    struct fault_control *control = fault_control();
    char path[FAULT_PATH_MAX];
    struct stat about;
    if (!fault_path_of(fd, path) || !fault_watches(path) || fstat(fd, &about) != 0) {
        return original(fd);
    }
    uint64_t covered = fault_sequence();
    wait_ms(control->sync_delay_ms);
    if (control->sync_error != 0) {
        errno = (int)control->sync_error;
        return -1;
    }
    __atomic_add_fetch(&control->syncs, 1, __ATOMIC_RELAXED);
    if (control->lie != 0) {
        return 0;
    }
    int result = original(fd);
    if (result == 0) {
        bool folder = S_ISDIR(about.st_mode);
        fault_note_sync(folder ? FAULT_DIR_SYNC : FAULT_SYNC, about.st_ino, folder ? path : "",
                        covered);
    }
    return result;
}

EXPORTED int fsync(int fd)
{
    return sync_by("fsync", fd);
}

EXPORTED int fdatasync(int fd)
{
    return sync_by("fdatasync", fd);
}

/* --- Names -------------------------------------------------------------------------------- */

static void before_rename(int from_directory, const char *from, int to_directory, const char *to)
{
    char old_path[FAULT_PATH_MAX];
    char new_path[FAULT_PATH_MAX];
    char kept[FAULT_PATH_MAX];
    if (fault_path_at(from_directory, from, old_path) &&
        fault_path_at(to_directory, to, new_path) && fault_watches(new_path)) {
        fault_keep(new_path, kept);
        fault_note_name(FAULT_RENAME, inode_of(old_path), new_path, old_path, kept);
    }
}

EXPORTED int rename(const char *from, const char *to)
{
    ORIGINAL(int, "rename", const char *, const char *);
    before_rename(AT_FDCWD, from, AT_FDCWD, to);
    return original(from, to);
}

EXPORTED int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    ORIGINAL(int, "renameat", int, const char *, int, const char *);
    before_rename(from_directory, from, to_directory, to);
    return original(from_directory, from, to_directory, to);
}

static void before_unlink(int directory, const char *name)
{
    char path[FAULT_PATH_MAX];
    char kept[FAULT_PATH_MAX];
    if (fault_path_at(directory, name, path) && fault_watches(path)) {
        uint64_t inode = inode_of(path);
        fault_keep(path, kept);
        fault_note_name(FAULT_UNLINK, inode, path, "", kept);
    }
}

EXPORTED int unlink(const char *name)
{
    ORIGINAL(int, "unlink", const char *);
    before_unlink(AT_FDCWD, name);
    return original(name);
}

EXPORTED int unlinkat(int directory, const char *name, int flags)
{
    ORIGINAL(int, "unlinkat", int, const char *, int);
    if ((flags & AT_REMOVEDIR) == 0) {
        before_unlink(directory, name);
    }
    return original(directory, name, flags);
}

/* --- Connecting --------------------------------------------------------------------------- */

/* The port that connections to `port` go to: of its line "port:other", if there is one. The file is
 * read each time, because nodes come and go. */
static uint16_t other_port(uint16_t port)
{
    const char *path = getenv("RAFTMQ_FAULT_CONNECT");
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    unsigned from = 0;
    unsigned to = 0;
    uint16_t found = port;
    while (file != NULL && fscanf(file, "%u:%u\n", &from, &to) == 2) {
        found = from == port ? (uint16_t)to : found;
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

EXPORTED int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    ORIGINAL(int, "connect", int, const struct sockaddr *, socklen_t);
    struct sockaddr_in other;
    if (address->sa_family != AF_INET || size < sizeof other) {
        return original(fd, address, size);
    }
    memcpy(&other, address, sizeof other);
    other.sin_port = htons(other_port(ntohs(other.sin_port)));
    return original(fd, (const struct sockaddr *)&other, sizeof other);
}
