/* The store in memory: a skip list and an undo log.
 *
 * Every change since the last flush can be undone, newest first: that is what a crash does. A lock
 * allows what RocksDB allows, one writer in a pool thread beside readers elsewhere. */
#include "common/store/kv_internal.h"

#include "common/base/random.h"

#include <pthread.h>
#include <stdlib.h>

enum { LEVELS_MAX = 20 };

struct node {
    struct buf key;
    struct buf value;
    struct node *next[]; /* One per level. */
};

struct undo {
    struct buf key;
    struct buf value; /* As it was before. */
    bool present;     /* Was there a value before? */
};

struct memory {
    struct kv kv;
    pthread_mutex_t lock;
    struct node *head; /* LEVELS_MAX levels, no key. */
    struct random random;
    struct undo *undo;
    size_t undo_count;
    size_t undo_capacity;
    atomic_bool rotten;
};

struct memory_iterator {
    struct kv_iterator iterator;
    const atomic_bool *rotten; /* The store's. */
    struct memory *memory;     /* NULL: frozen. */
    struct buf from;           /* Next key to look for. */
    struct buf to;
    struct buf key;
    struct buf value;
    struct kv_batch *frozen; /* Copies of all that is to be seen. */
    size_t frozen_at;
};

static const struct kv_kind memory_kind;

static struct node *node_new(size_t levels)
{
    return mem_zalloc(sizeof(struct node) + levels * sizeof(struct node *));
}

static void node_free(struct node *node)
{
    buf_close(&node->key);
    buf_close(&node->value);
    free(node);
}

/* The first node whose key is not below `key`; before[level] is its predecessor on each level. */
static struct node *seek(struct memory *memory, struct slice key, struct node **before)
{
    struct node *at = memory->head;
    for (size_t level = LEVELS_MAX; level-- > 0;) {
        while (at->next[level] != NULL &&
               slice_compare(buf_slice(&at->next[level]->key), key) < 0) {
            at = at->next[level];
        }
        before[level] = at;
    }
    return at->next[0];
}

static bool is_key(const struct node *node, struct slice key)
{
    return node != NULL && slice_equals(buf_slice(&node->key), key);
}

static void put(struct memory *memory, struct slice key, struct slice value)
{
    struct node *before[LEVELS_MAX];
    struct node *node = seek(memory, key, before);
    if (!is_key(node, key)) {
        size_t levels = 1;
        while (levels < LEVELS_MAX && random_below(&memory->random, 4) == 0) {
            levels++;
        }
        node = node_new(levels);
        buf_put_slice(&node->key, key);
        for (size_t level = 0; level < levels; level++) {
            node->next[level] = before[level]->next[level];
            before[level]->next[level] = node;
        }
    }
    buf_clear(&node->value);
    buf_put_slice(&node->value, value);
}

/* What there is, up to byte `at`, then these. */
static void append(struct memory *memory, struct slice key, struct slice packed)
{
    struct node *before[LEVELS_MAX];
    struct node *node = seek(memory, key, before);
    struct slice bytes =
        slice_of(packed.data + KV_APPEND_HEADER_SIZE, packed.size - KV_APPEND_HEADER_SIZE);
    size_t at = le32_get(packed.data);
    if (!is_key(node, key)) {
        ASSERT(at == 0);
        put(memory, key, bytes);
        return;
    }
    ASSERT(at <= node->value.size);
    node->value.size = at;
    buf_put_slice(&node->value, bytes);
}

static void delete (struct memory *memory, struct slice key)
{
    struct node *before[LEVELS_MAX];
    struct node *node = seek(memory, key, before);
    if (!is_key(node, key)) {
        return;
    }
    for (size_t level = 0; level < LEVELS_MAX && before[level]->next[level] == node; level++) {
        before[level]->next[level] = node->next[level];
    }
    node_free(node);
}

/* Remember what `key` is now. */
static void remember(struct memory *memory, struct slice key)
{
    if (memory->undo_count == memory->undo_capacity) {
        memory->undo_capacity = memory->undo_capacity == 0 ? 64 : memory->undo_capacity * 2;
        memory->undo = mem_realloc(memory->undo, memory->undo_capacity * sizeof *memory->undo);
    }
    struct undo *undo = &memory->undo[memory->undo_count++];
    *undo = (struct undo){0};
    buf_put_slice(&undo->key, key);
    struct node *before[LEVELS_MAX];
    struct node *node = seek(memory, key, before);
    if (is_key(node, key)) {
        undo->present = true;
        buf_put_slice(&undo->value, buf_slice(&node->value));
    }
}

static void undo_forget(struct memory *memory)
{
    for (size_t i = 0; i < memory->undo_count; i++) {
        buf_close(&memory->undo[i].key);
        buf_close(&memory->undo[i].value);
    }
    memory->undo_count = 0;
}

static void change_apply(struct memory *memory, const struct kv_change *change)
{
    switch (change->type) {
    case KV_PUT:
        remember(memory, change->key);
        put(memory, change->key, change->value);
        return;
    case KV_APPEND:
        remember(memory, change->key);
        append(memory, change->key, change->value);
        return;
    case KV_DELETE:
        remember(memory, change->key);
        delete (memory, change->key);
        return;
    case KV_DELETE_RANGE:
        for (;;) {
            struct node *before[LEVELS_MAX];
            struct node *node = seek(memory, change->key, before);
            if (node == NULL || slice_compare(buf_slice(&node->key), change->value) >= 0) {
                return;
            }
            remember(memory, buf_slice(&node->key));
            delete (memory, buf_slice(&memory->undo[memory->undo_count - 1].key));
        }
    }
    UNREACHABLE();
}

struct kv *kv_open_memory(void)
{
    struct memory *memory = mem_zalloc(sizeof *memory);
    memory->kv.kind = &memory_kind;
    memory->head = node_new(LEVELS_MAX);
    ASSERT(pthread_mutex_init(&memory->lock, NULL) == 0);
    return &memory->kv;
}

void kv_memory_crash(struct kv *kv)
{
    ASSERT(kv->kind == &memory_kind);
    struct memory *memory = (struct memory *)kv;
    pthread_mutex_lock(&memory->lock);
    for (size_t i = memory->undo_count; i-- > 0;) {
        const struct undo *undo = &memory->undo[i];
        if (undo->present) {
            put(memory, buf_slice(&undo->key), buf_slice(&undo->value));
        } else {
            delete (memory, buf_slice(&undo->key));
        }
    }
    undo_forget(memory);
    pthread_mutex_unlock(&memory->lock);
}

void kv_memory_rot(struct kv *kv)
{
    ASSERT(kv->kind == &memory_kind);
    atomic_store(&((struct memory *)kv)->rotten, true);
}

static enum status soundness(const atomic_bool *rotten)
{
    return atomic_load(rotten) ? STATUS_CORRUPT : STATUS_OK;
}

static void memory_close(struct kv *kv)
{
    struct memory *memory = (struct memory *)kv;
    undo_forget(memory);
    free(memory->undo);
    for (struct node *node = memory->head; node != NULL;) {
        struct node *next = node->next[0];
        node_free(node);
        node = next;
    }
    pthread_mutex_destroy(&memory->lock);
    free(memory);
}

static enum status memory_get(struct kv *kv, struct slice key, struct buf *out)
{
    struct memory *memory = (struct memory *)kv;
    pthread_mutex_lock(&memory->lock);
    struct node *before[LEVELS_MAX];
    struct node *node = seek(memory, key, before);
    bool found = is_key(node, key);
    enum status status = soundness(&memory->rotten);
    if (found && status == STATUS_OK) {
        buf_put_slice(out, buf_slice(&node->value));
    }
    pthread_mutex_unlock(&memory->lock);
    return found || status != STATUS_OK ? status : STATUS_NOT_FOUND;
}

static enum status memory_write(struct kv *kv, const struct kv_batch *batch)
{
    struct memory *memory = (struct memory *)kv;
    pthread_mutex_lock(&memory->lock);
    size_t at = 0;
    struct kv_change change;
    while (kv_batch_next(batch, &at, &change)) {
        change_apply(memory, &change);
    }
    pthread_mutex_unlock(&memory->lock);
    return soundness(&memory->rotten);
}

static enum status memory_flush(struct kv *kv)
{
    struct memory *memory = (struct memory *)kv;
    pthread_mutex_lock(&memory->lock);
    undo_forget(memory);
    pthread_mutex_unlock(&memory->lock);
    return soundness(&memory->rotten);
}

static void memory_condemn(struct kv *kv)
{
    (void)kv; // Whoever opens it again has the same one in his hands.
}

static struct kv_iterator *memory_iterate(struct kv *kv, struct slice from, struct slice to)
{
    struct memory_iterator *iterator = mem_zalloc(sizeof *iterator);
    iterator->iterator.kind = &memory_kind;
    iterator->memory = (struct memory *)kv;
    iterator->rotten = &iterator->memory->rotten;
    buf_put_slice(&iterator->from, from);
    buf_put_slice(&iterator->to, to);
    return &iterator->iterator;
}

static bool memory_iterator_next(struct kv_iterator *base, struct slice *key, struct slice *value)
{
    struct memory_iterator *iterator = (struct memory_iterator *)base;
    struct memory *memory = iterator->memory;
    if (atomic_load(iterator->rotten)) {
        return false;
    }
    if (memory == NULL) {
        struct kv_change change;
        if (!kv_batch_next(iterator->frozen, &iterator->frozen_at, &change)) {
            return false;
        }
        *key = change.key;
        *value = change.value;
        return true;
    }
    pthread_mutex_lock(&memory->lock);
    // Looked up anew each time, so that writes between two steps do no harm.
    struct node *before[LEVELS_MAX];
    struct node *node = seek(memory, buf_slice(&iterator->from), before);
    bool found = node != NULL && slice_compare(buf_slice(&node->key), buf_slice(&iterator->to)) < 0;
    if (found) {
        buf_clear(&iterator->key);
        buf_put_slice(&iterator->key, buf_slice(&node->key));
        buf_clear(&iterator->value);
        buf_put_slice(&iterator->value, buf_slice(&node->value));
    }
    pthread_mutex_unlock(&memory->lock);
    if (!found) {
        return false;
    }
    buf_clear(&iterator->from);
    buf_put_slice(&iterator->from, buf_slice(&iterator->key));
    buf_put_u8(&iterator->from, 0); // The least key above this one.
    *key = buf_slice(&iterator->key);
    *value = buf_slice(&iterator->value);
    return true;
}

static struct kv_iterator *memory_iterate_frozen(struct kv *kv, struct slice from, struct slice to)
{
    struct kv_iterator *base = memory_iterate(kv, from, to);
    struct memory_iterator *iterator = (struct memory_iterator *)base;
    struct kv_batch *frozen = kv_batch_new();
    struct slice key;
    struct slice value;
    while (memory_iterator_next(base, &key, &value)) {
        kv_batch_put(frozen, key, value);
    }
    iterator->memory = NULL;
    iterator->frozen = frozen;
    return base;
}

static enum status memory_iterator_close(struct kv_iterator *base)
{
    struct memory_iterator *iterator = (struct memory_iterator *)base;
    enum status status = soundness(iterator->rotten);
    buf_close(&iterator->from);
    buf_close(&iterator->to);
    buf_close(&iterator->key);
    buf_close(&iterator->value);
    kv_batch_free(iterator->frozen);
    free(iterator);
    return status;
}

static const struct kv_kind memory_kind = {
    .close = memory_close,
    .get = memory_get,
    .write = memory_write,
    .flush = memory_flush,
    .condemn = memory_condemn,
    .iterate = memory_iterate,
    .iterate_frozen = memory_iterate_frozen,
    .iterator_next = memory_iterator_next,
    .iterator_close = memory_iterator_close,
};
