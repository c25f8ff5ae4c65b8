/* The store on disk: RocksDB, one column family, no write-ahead log.
 *
 * With one family and no log, memtables reach the disk in the order of the writes, and a batch is
 * never in two of them: after a crash the store is as it was after some batch. */
#include "common/store/kv_internal.h"
#include "common/store/kv_rocksdb_append.h"

#include <rocksdb/c.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    WRITE_BUFFER_SIZE = 16 * 1024 * 1024,
    WRITE_BUFFERS = 2,
    TABLE_SIZE = 16 * 1024 * 1024,
    OPEN_FILES_MAX = 128,
    BLOCK_SIZE = 16 * 1024, /* Values are packed rows of some KiB. */
    BACKGROUND_JOBS = 2,
    SYNC_EVERY = 1024 * 1024,
    INFO_LOG_LEVEL_ERROR = 3,
    INFO_LOG_SIZE = 256 * 1024,
};

struct rocks {
    struct kv kv;
    char *condemned; /* The path of a file of ours, which is there if the store is. */
    rocksdb_t *db;
    rocksdb_env_t *env;
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    rocksdb_flushoptions_t *flush;
};

struct rocks_iterator {
    struct kv_iterator iterator;
    rocksdb_readoptions_t *read;
    rocksdb_iterator_t *it;
    struct buf to; /* The upper bound is borrowed by `read`. */
    bool started;
};

static const struct kv_kind rocks_kind;

/* RocksDB tells by text only. Takes the text. */
static enum status status_of(char *error)
{
    enum status status = STATUS_OK;
    if (error != NULL) {
        bool locked = strstr(error, "LOCK") != NULL && strstr(error, "lock") != NULL;
        bool full = strstr(error, "No space left on device") != NULL ||
                    strstr(error, "Disk quota exceeded") != NULL;
        bool corrupt = strncmp(error, "Corruption", strlen("Corruption")) == 0 ||
                       strstr(error, "does not match") != NULL;
        status = locked    ? STATUS_LOCKED
                 : full    ? STATUS_DISK_FULL
                 : corrupt ? STATUS_CORRUPT
                           : STATUS_IO;
        free(error);
    }
    return status;
}

static void options_set(struct rocks *rocks, size_t cache_size)
{
    rocks->cache = rocksdb_cache_create_lru(cache_size);
    rocks->table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(rocks->table, rocks->cache);
    rocksdb_block_based_options_set_block_size(rocks->table, BLOCK_SIZE);
    // Index blocks count against the cache's bound instead of growing with the data.
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(rocks->table, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(rocks->table, 1);
    rocksdb_block_based_options_set_format_version(rocks->table, 5);

    // The default environment is one per process: its few threads serve all groups of a node.
    rocks->env = rocksdb_create_default_env();
    rocksdb_env_set_background_threads(rocks->env, 1);
    rocksdb_env_set_high_priority_background_threads(rocks->env, 1);

    rocksdb_options_t *options = rocks->options = rocksdb_options_create();
    rocksdb_options_set_env(options, rocks->env);
    rocksdb_options_set_block_based_table_factory(options, rocks->table);
    rocksdb_options_set_merge_operator(options, kv_rocksdb_append_operator());
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_write_buffer_size(options, WRITE_BUFFER_SIZE);
    rocksdb_options_set_max_write_buffer_number(options, WRITE_BUFFERS);
    rocksdb_options_set_target_file_size_base(options, TABLE_SIZE);
    rocksdb_options_set_max_open_files(options, OPEN_FILES_MAX);
    rocksdb_options_set_max_background_jobs(options, BACKGROUND_JOBS);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_bytes_per_sync(options, SYNC_EVERY);
    rocksdb_options_set_info_log_level(options, INFO_LOG_LEVEL_ERROR);
    rocksdb_options_set_max_log_file_size(options, INFO_LOG_SIZE);
    rocksdb_options_set_keep_log_file_num(options, 1);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_stats_persist_period_sec(options, 0);

    rocks->read = rocksdb_readoptions_create();
    rocks->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(rocks->write, 1);
    rocks->flush = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(rocks->flush, 1);
}

static void rocks_close(struct kv *kv)
{
    struct rocks *rocks = (struct rocks *)kv;
    if (rocks->db != NULL) {
        rocksdb_close(rocks->db);
    }
    rocksdb_flushoptions_destroy(rocks->flush);
    rocksdb_writeoptions_destroy(rocks->write);
    rocksdb_readoptions_destroy(rocks->read);
    rocksdb_options_destroy(rocks->options);
    rocksdb_env_destroy(rocks->env);
    rocksdb_block_based_options_destroy(rocks->table);
    rocksdb_cache_destroy(rocks->cache);
    free(rocks->condemned);
    free(rocks);
}

/* Is there a store, one of whose files names another one that is not there? */
static bool names_what_is_missing(const char *path, const char *failure)
{
    struct buf current = {0};
    buf_printf(&current, "%s/CURRENT", path);
    bool there = access(buf_text(&current), F_OK) == 0;
    buf_close(&current);
    return there && strstr(failure, "No such file or directory") != NULL;
}

enum status kv_open_rocksdb(const char *path, size_t cache_size, struct kv **out, char **error)
{
    struct rocks *rocks = mem_zalloc(sizeof *rocks);
    rocks->kv.kind = &rocks_kind;
    struct buf name = {0};
    buf_printf(&name, "%s/CONDEMNED", path);
    buf_text(&name);
    rocks->condemned = (char *)buf_take(&name);
    options_set(rocks, cache_size);
    if (access(rocks->condemned, F_OK) == 0) {
        *error = mem_copy_text(slice_text("damage was found in it"));
        rocks_close(&rocks->kv);
        return STATUS_CORRUPT;
    }
    char *failure = NULL;
    rocks->db = rocksdb_open(rocks->options, path, &failure);
    if (failure == NULL) {
        *out = &rocks->kv;
        return STATUS_OK;
    }
    *error = mem_copy_text(slice_text(failure));
    bool misled = names_what_is_missing(path, failure);
    rocks->db = NULL;
    rocks_close(&rocks->kv);
    enum status status = status_of(failure);
    return status == STATUS_IO && misled ? STATUS_CORRUPT : status;
}

static enum status rocks_get(struct kv *kv, struct slice key, struct buf *out)
{
    struct rocks *rocks = (struct rocks *)kv;
    char *failure = NULL;
    rocksdb_pinnableslice_t *pinned =
        rocksdb_get_pinned(rocks->db, rocks->read, (const char *)key.data, key.size, &failure);
    if (failure != NULL) {
        return status_of(failure);
    }
    if (pinned == NULL) {
        return STATUS_NOT_FOUND;
    }
    size_t size;
    const char *value = rocksdb_pinnableslice_value(pinned, &size);
    buf_put(out, value, size);
    rocksdb_pinnableslice_destroy(pinned);
    return STATUS_OK;
}

static enum status rocks_write(struct kv *kv, const struct kv_batch *batch)
{
    struct rocks *rocks = (struct rocks *)kv;
    rocksdb_writebatch_t *changes = rocksdb_writebatch_create();
    size_t at = 0;
    struct kv_change change;
    while (kv_batch_next(batch, &at, &change)) {
        const char *key = (const char *)change.key.data;
        const char *value = (const char *)change.value.data;
        switch (change.type) {
        case KV_PUT:
            rocksdb_writebatch_put(changes, key, change.key.size, value, change.value.size);
            break;
        case KV_APPEND:
            rocksdb_writebatch_merge(changes, key, change.key.size, value, change.value.size);
            break;
        case KV_DELETE:
            rocksdb_writebatch_delete(changes, key, change.key.size);
            break;
        case KV_DELETE_RANGE:
            rocksdb_writebatch_delete_range(changes, key, change.key.size, value,
                                            change.value.size);
            break;
        }
    }
    char *failure = NULL;
    rocksdb_write(rocks->db, rocks->write, changes, &failure);
    rocksdb_writebatch_destroy(changes);
    return status_of(failure);
}

static enum status rocks_flush(struct kv *kv)
{
    struct rocks *rocks = (struct rocks *)kv;
    char *failure = NULL;
    rocksdb_flush(rocks->db, rocks->flush, &failure);
    return status_of(failure);
}

/* Should this fail, the damage will be found again. */
static void rocks_condemn(struct kv *kv)
{
    const struct rocks *rocks = (const struct rocks *)kv;
    int file = open(rocks->condemned, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file >= 0) {
        fsync(file);
        close(file);
    }
}

static struct kv_iterator *rocks_iterate(struct kv *kv, struct slice from, struct slice to)
{
    struct rocks *rocks = (struct rocks *)kv;
    struct rocks_iterator *iterator = mem_zalloc(sizeof *iterator);
    iterator->iterator.kind = &rocks_kind;
    buf_put_slice(&iterator->to, to);
    iterator->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_iterate_upper_bound(iterator->read, (const char *)iterator->to.data,
                                                iterator->to.size);
    iterator->it = rocksdb_create_iterator(rocks->db, iterator->read);
    rocksdb_iter_seek(iterator->it, (const char *)from.data, from.size);
    return &iterator->iterator;
}

static bool rocks_iterator_next(struct kv_iterator *base, struct slice *key, struct slice *value)
{
    struct rocks_iterator *iterator = (struct rocks_iterator *)base;
    if (iterator->started) {
        rocksdb_iter_next(iterator->it);
    }
    iterator->started = true;
    if (!rocksdb_iter_valid(iterator->it)) {
        // Asking for the next of an ended walk is not defined: seek nowhere again.
        iterator->started = false;
        return false;
    }
    size_t size;
    const char *bytes = rocksdb_iter_key(iterator->it, &size);
    *key = slice_of(bytes, size);
    bytes = rocksdb_iter_value(iterator->it, &size);
    *value = slice_of(bytes, size);
    return true;
}

static enum status rocks_iterator_close(struct kv_iterator *base)
{
    struct rocks_iterator *iterator = (struct rocks_iterator *)base;
    char *failure = NULL;
    rocksdb_iter_get_error(iterator->it, &failure);
    rocksdb_iter_destroy(iterator->it);
    rocksdb_readoptions_destroy(iterator->read);
    buf_close(&iterator->to);
    free(iterator);
    return status_of(failure);
}

static const struct kv_kind rocks_kind = {
    .close = rocks_close,
    .get = rocks_get,
    .write = rocks_write,
    .flush = rocks_flush,
    .condemn = rocks_condemn,
    .iterate = rocks_iterate,
    .iterate_frozen = rocks_iterate, // Every iterator of RocksDB is.
    .iterator_next = rocks_iterator_next,
    .iterator_close = rocks_iterator_close,
};
