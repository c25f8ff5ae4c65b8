/* What the kinds of store share. Private to common/store. */
#ifndef COMMON_STORE_KV_INTERNAL_H
#define COMMON_STORE_KV_INTERNAL_H

#include "common/store/kv.h"

#include <stdatomic.h>

/* A kind of store. Each function has the contract of its namesake in kv.h, but kv.c sees to what
 * follows from STATUS_CORRUPT. */
struct kv_kind {
    void (*close)(struct kv *kv);
    enum status (*get)(struct kv *kv, struct slice key, struct buf *out);
    enum status (*write)(struct kv *kv, const struct kv_batch *batch);
    enum status (*flush)(struct kv *kv);
    void (*condemn)(struct kv *kv);
    struct kv_iterator *(*iterate)(struct kv *kv, struct slice from, struct slice to);
    struct kv_iterator *(*iterate_frozen)(struct kv *kv, struct slice from, struct slice to);
    bool (*iterator_next)(struct kv_iterator *iterator, struct slice *key, struct slice *value);
    enum status (*iterator_close)(struct kv_iterator *iterator);
};

/* First member of every kind's own struct. */
struct kv {
    const struct kv_kind *kind;
    atomic_bool damaged;
    atomic_bool damage_condemns;
};

struct kv_iterator {
    const struct kv_kind *kind;
    struct kv *kv; /* Set by kv.c. */
};

enum kv_change_type { KV_PUT = 1, KV_DELETE = 2, KV_DELETE_RANGE = 3, KV_APPEND = 4 };

struct kv_change {
    enum kv_change_type type;
    struct slice key;
    struct slice value; /* KV_DELETE_RANGE: the end, exclusive. KV_APPEND: packed, see below. */
};

/* How an append is packed: where it begins (le32), then its bytes. */
enum { KV_APPEND_HEADER_SIZE = 4 };

/* Walk the changes of a batch in order: *at starts as 0; false at the end. Borrows from batch. */
bool kv_batch_next(const struct kv_batch *batch, size_t *at, struct kv_change *change);

#endif
