/* An ordered key-value store: the state machine's backing, never its log.
 *
 * Two kinds behind one interface: RocksDB with its write-ahead log off (the Raft log is the log)
 * and a twin in memory for the simulator, with "crash": what was not flushed is gone, as after a
 * power cut. A batch is applied atomically; after a crash the store is as it was after some batch,
 * never between two. One thread at a time, except where it says otherwise.
 *
 * Damage in it, found by whatever call gave STATUS_CORRUPT, stays known: kv_damaged(). */
#ifndef COMMON_STORE_KV_H
#define COMMON_STORE_KV_H

#include "common/base/buf.h"
#include "common/base/status.h"

struct kv;
struct kv_batch;
struct kv_iterator;

/* Open (or create) a RocksDB below the directory `path`. cache_size in bytes bounds its block
 * cache. Errors (message in *error, to be freed): STATUS_IO, STATUS_LOCKED, STATUS_CORRUPT
 * (also: it was condemned). */
WARN_UNUSED enum status kv_open_rocksdb(const char *path, size_t cache_size, struct kv **out,
                                        char **error);

/* An empty store in memory. Never fails. */
struct kv *kv_open_memory(void);

/* Memory store only: forget all batches since the last kv_flush(). */
void kv_memory_crash(struct kv *kv);

/* Memory store only: nothing can be read or written from now on, but STATUS_CORRUPT. */
void kv_memory_rot(struct kv *kv);

void kv_close(struct kv *kv);

/* Was anything of it found damaged since it was opened? Any thread. */
bool kv_damaged(const struct kv *kv);
/* What it gave is not what was put into it, though it does not know. Any thread. */
void kv_note_damage(struct kv *kv);
/* Let damage condemn the store as soon as it is found, or now, if it was: then it cannot be opened
 * again. For owners who can build it anew. */
void kv_condemn_on_damage(struct kv *kv);

/* Append the value of key to out; STATUS_NOT_FOUND if absent; STATUS_IO, STATUS_CORRUPT. Any
 * thread. */
WARN_UNUSED enum status kv_get(struct kv *kv, struct slice key, struct buf *out);

struct kv_batch *kv_batch_new(void);
void kv_batch_free(struct kv_batch *batch);
void kv_batch_put(struct kv_batch *batch, struct slice key, struct slice value); /* Copies. */
/* Let the value of key, or nothing if there is none, go on with `bytes` from its byte `at` on; what
 * it had there goes. So doing it twice is doing it once. Costs what `bytes` has, however long the
 * value is. To begin behind the end of the value makes it STATUS_CORRUPT; the store in memory
 * asserts it. */
void kv_batch_append(struct kv_batch *batch, struct slice key, size_t at, struct slice bytes);
void kv_batch_delete(struct kv_batch *batch, struct slice key);
/* Delete [from, to). */
void kv_batch_delete_range(struct kv_batch *batch, struct slice from, struct slice to);
/* Bytes and operations in it. */
size_t kv_batch_size(const struct kv_batch *batch);

/* Apply a batch; it stays the caller's. May run in a pool thread while the loop thread reads.
 * Errors: STATUS_DISK_FULL  nothing of it was applied; try again when there is room.
 *         STATUS_IO, STATUS_CORRUPT  the store is to be considered broken. */
WARN_UNUSED enum status kv_write(struct kv *kv, struct kv_batch *batch);

/* Make everything written so far durable; blocks (pool thread).
 * Errors: STATUS_DISK_FULL (it stays readable, and is durable after a later flush), STATUS_IO,
 * STATUS_CORRUPT. */
WARN_UNUSED enum status kv_flush(struct kv *kv);

/* Walk keys in order from `from` (inclusive) to `to` (exclusive); sees what was written before. */
struct kv_iterator *kv_iterate(struct kv *kv, struct slice from, struct slice to);
/* The same, but sees the store as it is now, whatever is written later. */
struct kv_iterator *kv_iterate_frozen(struct kv *kv, struct slice from, struct slice to);
/* False at the end or on error. Key and value are valid until the next call. */
bool kv_iterator_next(struct kv_iterator *iterator, struct slice *key, struct slice *value);
/* STATUS_OK, or what stopped the walk. */
WARN_UNUSED enum status kv_iterator_close(struct kv_iterator *iterator);

#endif
