/* The disks of a host as our code sees them: the log's directory (sim_disk.c with time and errors)
 * and the state machine's store (the twin in memory, which forgets what was not flushed). Defined
 * here in place of directory_posix.c and kv_rocksdb.c. */
#include "tests/sim/os/sim_thread.h"

#include "common/store/kv_internal.h"
#include "tests/sim/sim_disk.h"

#include <stdlib.h>

enum { NAMES_SYNC_US = 300, READ_US = 80, FLUSH_US = 2 * SIM_MS, BUSY_OF = 5, READ_SLOW_OF = 3 };

static struct sim_disk *disk_of(void *context)
{
    return ((struct sim_store *)context)->disk;
}

static struct sim_host *host(void)
{
    return sim_process_current()->host;
}

/* ---- Time and errors ---- */

/* A disk that stalls lets nobody through before it is well again. */
static void spend(uint64_t us)
{
    uint64_t stall = host()->disk_faults.stall_until_us;
    uint64_t now = sim_now_us();
    sim_sleep((stall > now ? stall - now : 0) + us);
}

static enum status spend_sync(void)
{
    struct sim_disk_faults *faults = &host()->disk_faults;
    spend(faults->sync_us / 2 + sim_draw(SIM_DISK, faults->sync_us + 1));
    if (faults->deadly_sync > 0 && --faults->deadly_sync == 0) {
        sim_process_die(faults->deadly_power ? SIM_POWER_CUT : SIM_KILL);
    }
    if (sim_one_in(SIM_DISK, faults->fail_syncs_of)) {
        faults->failed = true;
        sim_trace(host()->name, "fails a sync", 0, 0);
        return STATUS_IO;
    }
    return STATUS_OK;
}

static bool has_room(uint64_t bytes)
{
    struct sim_disk_faults *faults = &host()->disk_faults;
    if (faults->capacity == 0 || sim_host_used(host()) + bytes <= faults->capacity) {
        return true;
    }
    faults->failed = true;
    sim_trace(host()->name, "has no room for", bytes, 0);
    return false;
}

/* ---- The log's directory ---- */

#define CALL(operation, ...)                                                                       \
    do {                                                                                           \
        struct sim_owner *owner = sim_memory_use(NULL);                                            \
        struct directory directory = sim_disk_directory(disk_of(context));                         \
        status = directory.ops->operation(__VA_ARGS__);                                            \
        sim_memory_use(owner);                                                                     \
    } while (0)

static enum status store_open(void *context, const char *name, struct file **out)
{
    enum status status;
    CALL(open, directory.context, name, out);
    return status;
}

static enum status store_open_direct(void *context, const char *name, struct file **out)
{
    enum status status;
    CALL(open_direct, directory.context, name, out);
    return status;
}

static enum status store_create(void *context, const char *name, uint64_t size, struct file **out)
{
    enum status status;
    spend(NAMES_SYNC_US);
    if (!has_room(size)) {
        return STATUS_DISK_FULL;
    }
    CALL(create, directory.context, name, size, out);
    return status;
}

static void store_close(void *context, struct file *file)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    struct directory directory = sim_disk_directory(disk_of(context));
    directory.ops->close(directory.context, file);
    sim_memory_use(owner);
}

static enum status store_write(void *context, struct file *file, uint64_t offset,
                               const struct iovec *parts, size_t count)
{
    enum status status;
    uint64_t size = 0;
    uint64_t end = offset;
    struct directory before = sim_disk_directory(disk_of(context));
    for (size_t i = 0; i < count; i++) {
        end += parts[i].iov_len;
    }
    status = before.ops->size(before.context, file, &size);
    if (status == STATUS_OK && end > size && !has_room(end - size)) {
        return STATUS_DISK_FULL;
    }
    CALL(write, directory.context, file, offset, parts, count);
    return status;
}

static enum status store_sync(void *context, struct file *file)
{
    enum status status = spend_sync();
    if (status == STATUS_OK) {
        CALL(sync, directory.context, file);
    }
    return status;
}

static enum status store_read(void *context, struct file *file, uint64_t offset, uint8_t *to,
                              size_t size)
{
    enum status status;
    if (sim_one_in(SIM_DISK, READ_SLOW_OF)) {
        spend(READ_US + sim_draw(SIM_DISK, host()->disk_faults.sync_us));
    }
    CALL(read, directory.context, file, offset, to, size);
    return status;
}

/* As with preadv2(RWF_NOWAIT): now and then the page is not in the cache. */
static enum status store_read_now(void *context, struct file *file, uint64_t offset, uint8_t *to,
                                  size_t size)
{
    enum status status;
    if (sim_one_in(SIM_DISK, BUSY_OF)) {
        return STATUS_BUSY;
    }
    CALL(read_now, directory.context, file, offset, to, size);
    return status;
}

static enum status store_size(void *context, struct file *file, uint64_t *size)
{
    enum status status;
    CALL(size, directory.context, file, size);
    return status;
}

static enum status store_rename(void *context, const char *from, const char *to)
{
    enum status status;
    CALL(rename, directory.context, from, to);
    return status;
}

static enum status store_remove(void *context, const char *name)
{
    enum status status;
    CALL(remove, directory.context, name);
    return status;
}

static enum status store_sync_names(void *context)
{
    enum status status;
    spend(NAMES_SYNC_US);
    CALL(sync_names, directory.context);
    return status;
}

static enum status store_list(void *context, void (*each)(void *argument, const char *name),
                              void *argument)
{
    // The caller's own memory grows within `each`.
    struct directory directory = sim_disk_directory(disk_of(context));
    return directory.ops->list(directory.context, each, argument);
}

static const struct directory_ops store_ops = {
    .open = store_open,
    .open_direct = store_open_direct,
    .create = store_create,
    .close = store_close,
    .write = store_write,
    .sync = store_sync,
    .read = store_read,
    .read_now = store_read_now,
    .size = store_size,
    .rename = store_rename,
    .remove = store_remove,
    .sync_names = store_sync_names,
    .list = store_list,
};

enum status directory_posix_open(const char *path, struct directory *out)
{
    struct sim_store *store = sim_host_store(host(), path);
    if (store->disk == NULL) {
        struct sim_owner *owner = sim_memory_use(NULL);
        store->disk = sim_disk_new(sim_draw(SIM_DISK, UINT64_MAX));
        sim_memory_use(owner);
    }
    *out = (struct directory){.ops = &store_ops, .context = store};
    return STATUS_OK;
}

void directory_posix_close(struct directory *directory)
{
    *directory = (struct directory){0};
}

/* ---- The state machine's store ---- */

struct store_kv {
    struct kv kv;
    struct kv *twin; /* The host's: outlives the process. */
};

struct store_iterator {
    struct kv_iterator iterator;
    struct kv_iterator *twin;
};

static struct kv *twin_of(struct kv *kv)
{
    return ((struct store_kv *)kv)->twin;
}

static void kv_store_close(struct kv *kv)
{
    free(kv);
}

static enum status kv_store_get(struct kv *kv, struct slice key, struct buf *out)
{
    return twin_of(kv)->kind->get(twin_of(kv), key, out);
}

static enum status kv_store_write(struct kv *kv, const struct kv_batch *batch)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    enum status status = twin_of(kv)->kind->write(twin_of(kv), batch);
    sim_memory_use(owner);
    return status;
}

static enum status kv_store_flush(struct kv *kv)
{
    spend(FLUSH_US);
    struct sim_owner *owner = sim_memory_use(NULL);
    enum status status = twin_of(kv)->kind->flush(twin_of(kv));
    sim_memory_use(owner);
    return status;
}

static void kv_store_condemn(struct kv *kv)
{
    kv_note_damage(twin_of(kv));
}

static struct kv_iterator *kv_store_iterate(struct kv *kv, struct slice from, struct slice to);
static struct kv_iterator *kv_store_iterate_frozen(struct kv *kv, struct slice from,
                                                   struct slice to);

static bool kv_store_iterator_next(struct kv_iterator *base, struct slice *key, struct slice *value)
{
    struct kv_iterator *twin = ((struct store_iterator *)base)->twin;
    return twin->kind->iterator_next(twin, key, value);
}

static enum status kv_store_iterator_close(struct kv_iterator *base)
{
    struct kv_iterator *twin = ((struct store_iterator *)base)->twin;
    free(base);
    return twin->kind->iterator_close(twin);
}

static const struct kv_kind store_kind = {
    .close = kv_store_close,
    .get = kv_store_get,
    .write = kv_store_write,
    .flush = kv_store_flush,
    .condemn = kv_store_condemn,
    .iterate = kv_store_iterate,
    .iterate_frozen = kv_store_iterate_frozen,
    .iterator_next = kv_store_iterator_next,
    .iterator_close = kv_store_iterator_close,
};

static struct kv_iterator *kv_store_iterate(struct kv *kv, struct slice from, struct slice to)
{
    struct store_iterator *iterator = mem_zalloc(sizeof *iterator);
    iterator->iterator.kind = &store_kind;
    iterator->twin = twin_of(kv)->kind->iterate(twin_of(kv), from, to);
    return &iterator->iterator;
}

static struct kv_iterator *kv_store_iterate_frozen(struct kv *kv, struct slice from,
                                                   struct slice to)
{
    struct store_iterator *iterator = mem_zalloc(sizeof *iterator);
    iterator->iterator.kind = &store_kind;
    iterator->twin = twin_of(kv)->kind->iterate_frozen(twin_of(kv), from, to);
    return &iterator->iterator;
}

enum status kv_open_rocksdb(const char *path, size_t cache_size, struct kv **out, char **error)
{
    (void)cache_size;
    struct sim_store *store = sim_host_store(host(), path);
    if (store->kv != NULL && kv_damaged(store->kv)) {
        *error = mem_copy_text(slice_text("damage was found in it"));
        return STATUS_CORRUPT;
    }
    if (store->kv == NULL) {
        struct sim_owner *owner = sim_memory_use(NULL);
        store->kv = kv_open_memory();
        sim_memory_use(owner);
    }
    struct store_kv *kv = mem_zalloc(sizeof *kv);
    kv->kv.kind = &store_kind;
    kv->twin = store->kv;
    *out = &kv->kv;
    return STATUS_OK;
}
