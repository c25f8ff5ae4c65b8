/* The journal of what is not yet synced. One record, little-endian:
 *
 *   u32 magic, u16 type, u16 size of path, u16 size of the other path, u16 zero,
 *   u64 sequence, u64 inode, u64 offset, u64 length, u64 size of the file before, u64 size of data,
 *   path, other path, data
 *
 * Data of a write ends before the zeros it ends in. Records are appended before what they tell of
 * is done, so a process that is killed in between loses nothing by taking it back. */
#include "tests/faults/shim/shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAGIC = 0x4A514D52, HEADER_SIZE = 60, CHUNK = 1024 * 1024 };

static struct {
    pthread_once_t once;
    pthread_mutex_t lock;
    int fd;
    struct fault_control *control;
    char root[FAULT_PATH_MAX];
    char journal[FAULT_PATH_MAX];
} state = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static struct fault_control no_control;

/* Originals are looked up by name each time: rarely enough, and safe before anything is set up. */
void *fault_original(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort();
    }
    return found;
}

static int open_plain(const char *path, int flags)
{
    int (*original)(const char *, int, ...) =
        (int (*)(const char *, int, ...))fault_original("open");
    return original(path, flags, 0600);
}

static ssize_t write_plain(const struct iovec *parts, int count)
{
    ssize_t (*original)(int, const struct iovec *, int) =
        (ssize_t(*)(int, const struct iovec *, int))fault_original("writev");
    return original(state.fd, parts, count);
}

static void set_up(void)
{
    const char *root = getenv("RAFTMQ_FAULT_ROOT");
    const char *control = getenv("RAFTMQ_FAULT_CONTROL");
    const char *journal = getenv("RAFTMQ_FAULT_JOURNAL");
    state.control = &no_control;
    if (root == NULL || control == NULL || journal == NULL) {
        return;
    }
    snprintf(state.root, sizeof state.root, "%s/", root);
    snprintf(state.journal, sizeof state.journal, "%s", journal);
    int fd = open_plain(control, O_RDWR | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED
                       : mmap(NULL, FAULT_CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    state.fd = open_plain(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC);
    if (map == MAP_FAILED || state.fd < 0) {
        fprintf(stderr, "raftmq_fault: control file or journal cannot be opened\n");
        abort();
    }
    state.control = map;
}

struct fault_control *fault_control(void)
{
    pthread_once(&state.once, set_up);
    return state.control;
}

bool fault_watches(const char *path)
{
    fault_control();
    size_t size = strlen(state.root);
    if (size == 0 || strncmp(path, state.root, size) != 0) {
        return false;
    }
    // RocksDB's own log and lock: nobody misses them.
    const char *name = strrchr(path, '/') + 1;
    return strncmp(name, "LOG", 3) != 0 && strcmp(name, "LOCK") != 0;
}

bool fault_path_of(int fd, char to[FAULT_PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, to, FAULT_PATH_MAX - 1);
    to[size < 0 ? 0 : size] = '\0';
    return size > 0;
}

bool fault_path_at(int directory, const char *name, char to[FAULT_PATH_MAX])
{
    char folder[FAULT_PATH_MAX];
    if (name[0] == '/') {
        return snprintf(to, FAULT_PATH_MAX, "%s", name) < FAULT_PATH_MAX;
    }
    bool known = directory == AT_FDCWD ? getcwd(folder, sizeof folder) != NULL
                                       : fault_path_of(directory, folder);
    return known && snprintf(to, FAULT_PATH_MAX, "%s/%s", folder, name) < FAULT_PATH_MAX;
}

bool fault_file(int fd, uint64_t *inode, uint64_t *size)
{
    struct stat about;
    char path[FAULT_PATH_MAX];
    fault_control();
    if (state.fd < 0 || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode) ||
        !fault_path_of(fd, path) || !fault_watches(path)) {
        return false;
    }
    *inode = about.st_ino;
    *size = (uint64_t)about.st_size;
    return true;
}

uint64_t fault_sequence(void)
{
    return __atomic_load_n(&fault_control()->sequence, __ATOMIC_SEQ_CST);
}

struct record {
    enum fault_record type;
    uint64_t inode;
    uint64_t offset;
    uint64_t length;
    uint64_t size;
    const char *path;
    const char *other;
    const void *data;
    uint64_t data_size;
};

static void put(uint8_t *to, uint64_t value, size_t size)
{
    memcpy(to, &value, size);
}

static void append(const struct record *record)
{
    uint8_t header[HEADER_SIZE] = {0};
    size_t path_size = strlen(record->path);
    size_t other_size = strlen(record->other);
    put(header, MAGIC, 4);
    put(header + 4, record->type, 2);
    put(header + 6, path_size, 2);
    put(header + 8, other_size, 2);
    put(header + 20, record->inode, 8);
    put(header + 28, record->offset, 8);
    put(header + 36, record->length, 8);
    put(header + 44, record->size, 8);
    put(header + 52, record->data_size, 8);
    const struct iovec parts[] = {
        {header, sizeof header},
        {(void *)(uintptr_t)record->path, path_size},
        {(void *)(uintptr_t)record->other, other_size},
        {(void *)(uintptr_t)record->data, record->data_size},
    };
    pthread_mutex_lock(&state.lock);
    uint64_t sequence = __atomic_add_fetch(&state.control->sequence, 1, __ATOMIC_SEQ_CST);
    put(header + 12, sequence, 8);
    ssize_t wanted = (ssize_t)(sizeof header + path_size + other_size + record->data_size);
    bool written = write_plain(parts, 4) == wanted;
    pthread_mutex_unlock(&state.lock);
    if (!written) {
        fprintf(stderr, "raftmq_fault: the journal cannot be written\n");
        abort();
    }
}

/* Zeros at the end need not be kept. */
static uint64_t size_without_zeros(const uint8_t *data, uint64_t size)
{
    while (size > 0 && data[size - 1] == 0) {
        size--;
    }
    return size;
}

void fault_note_content(enum fault_record type, int fd, uint64_t inode, uint64_t offset,
                        uint64_t length, uint64_t size)
{
    // Read through the cache, whatever flags fd has.
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int reader = open_plain(link, O_RDONLY | O_CLOEXEC);
    uint8_t *data = malloc(CHUNK);
    uint64_t done = 0;
    do {
        uint64_t part = length - done < CHUNK ? length - done : CHUNK;
        ssize_t got =
            reader < 0 || part == 0 ? 0 : pread(reader, data, part, (off_t)(offset + done));
        const struct record record = {
            .type = type,
            .inode = inode,
            .offset = offset + done,
            .length = part,
            .size = size,
            .path = "",
            .other = "",
            .data = data,
            .data_size = got <= 0 ? 0 : size_without_zeros(data, (uint64_t)got),
        };
        append(&record);
        done += part;
    } while (done < length);
    free(data);
    if (reader >= 0) {
        close(reader);
    }
}

void fault_note_sync(enum fault_record type, uint64_t inode, const char *path, uint64_t sequence)
{
    append(&(struct record){
        .type = type, .inode = inode, .offset = sequence, .path = path, .other = "", .data = ""});
}

void fault_note_name(enum fault_record type, uint64_t inode, const char *path, const char *other,
                     const char *kept)
{
    append(&(struct record){.type = type,
                            .inode = inode,
                            .path = path,
                            .other = other,
                            .data = kept,
                            .data_size = strlen(kept)});
}

void fault_keep(const char *path, char to[FAULT_PATH_MAX])
{
    fault_control();
    int size = snprintf(
        to, FAULT_PATH_MAX, "%s.%llu", state.journal,
        (unsigned long long)__atomic_add_fetch(&state.control->sequence, 1, __ATOMIC_SEQ_CST));
    if (size >= FAULT_PATH_MAX || link(path, to) != 0) {
        to[0] = '\0';
    }
}
