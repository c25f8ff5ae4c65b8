#include "common/store/kv_internal.h"

#include <stdlib.h>

/* Changes back to back: type, size of key, size of value, key, value. Independent of the kind of
 * store, so that whoever fills a batch need not know where it will go. */
struct kv_batch {
    struct buf changes;
};

enum { CHANGE_HEADER_SIZE = 1 + 4 + 4 };

static void add_header(struct kv_batch *batch, enum kv_change_type type, struct slice key,
                       size_t value_size);
static void add(struct kv_batch *batch, enum kv_change_type type, struct slice key,
                struct slice value);

void kv_close(struct kv *kv)
{
    if (kv != NULL) {
        kv->kind->close(kv);
    }
}

void kv_note_damage(struct kv *kv)
{
    if (!atomic_exchange(&kv->damaged, true) && atomic_load(&kv->damage_condemns)) {
        kv->kind->condemn(kv);
    }
}

void kv_condemn_on_damage(struct kv *kv)
{
    atomic_store(&kv->damage_condemns, true);
    if (kv_damaged(kv)) {
        kv->kind->condemn(kv);
    }
}

bool kv_damaged(const struct kv *kv)
{
    return atomic_load(&kv->damaged);
}

static enum status noted(struct kv *kv, enum status status)
{
    if (status == STATUS_CORRUPT) {
        kv_note_damage(kv);
    }
    return status;
}

enum status kv_get(struct kv *kv, struct slice key, struct buf *out)
{
    return noted(kv, kv->kind->get(kv, key, out));
}

enum status kv_write(struct kv *kv, struct kv_batch *batch)
{
    return noted(kv, kv->kind->write(kv, batch));
}

enum status kv_flush(struct kv *kv)
{
    return noted(kv, kv->kind->flush(kv));
}

struct kv_iterator *kv_iterate(struct kv *kv, struct slice from, struct slice to)
{
    struct kv_iterator *iterator = kv->kind->iterate(kv, from, to);
    iterator->kv = kv;
    return iterator;
}

struct kv_iterator *kv_iterate_frozen(struct kv *kv, struct slice from, struct slice to)
{
    struct kv_iterator *iterator = kv->kind->iterate_frozen(kv, from, to);
    iterator->kv = kv;
    return iterator;
}

bool kv_iterator_next(struct kv_iterator *iterator, struct slice *key, struct slice *value)
{
    return iterator->kind->iterator_next(iterator, key, value);
}

enum status kv_iterator_close(struct kv_iterator *iterator)
{
    struct kv *kv = iterator->kv;
    return noted(kv, iterator->kind->iterator_close(iterator));
}

struct kv_batch *kv_batch_new(void)
{
    return mem_zalloc(sizeof(struct kv_batch));
}

void kv_batch_free(struct kv_batch *batch)
{
    if (batch != NULL) {
        buf_close(&batch->changes);
        free(batch);
    }
}

void kv_batch_put(struct kv_batch *batch, struct slice key, struct slice value)
{
    add(batch, KV_PUT, key, value);
}

void kv_batch_append(struct kv_batch *batch, struct slice key, size_t at, struct slice bytes)
{
    ASSERT(at <= UINT32_MAX);
    add_header(batch, KV_APPEND, key, KV_APPEND_HEADER_SIZE + bytes.size);
    buf_put_le32(&batch->changes, (uint32_t)at);
    buf_put_slice(&batch->changes, bytes);
}

void kv_batch_delete(struct kv_batch *batch, struct slice key)
{
    add(batch, KV_DELETE, key, slice_of(NULL, 0));
}

void kv_batch_delete_range(struct kv_batch *batch, struct slice from, struct slice to)
{
    add(batch, KV_DELETE_RANGE, from, to);
}

size_t kv_batch_size(const struct kv_batch *batch)
{
    return batch->changes.size;
}

bool kv_batch_next(const struct kv_batch *batch, size_t *at, struct kv_change *change)
{
    if (*at == batch->changes.size) {
        return false;
    }
    const uint8_t *bytes = batch->changes.data + *at;
    size_t key_size = le32_get(bytes + 1);
    size_t value_size = le32_get(bytes + 5);
    change->type = (enum kv_change_type)bytes[0];
    change->key = slice_of(bytes + CHANGE_HEADER_SIZE, key_size);
    change->value = slice_of(bytes + CHANGE_HEADER_SIZE + key_size, value_size);
    *at += CHANGE_HEADER_SIZE + key_size + value_size;
    return true;
}

static void add_header(struct kv_batch *batch, enum kv_change_type type, struct slice key,
                       size_t value_size)
{
    ASSERT(key.size <= UINT32_MAX && value_size <= UINT32_MAX);
    buf_reserve(&batch->changes, CHANGE_HEADER_SIZE + key.size + value_size);
    buf_put_u8(&batch->changes, (uint8_t)type);
    buf_put_le32(&batch->changes, (uint32_t)key.size);
    buf_put_le32(&batch->changes, (uint32_t)value_size);
    buf_put_slice(&batch->changes, key);
}

static void add(struct kv_batch *batch, enum kv_change_type type, struct slice key,
                struct slice value)
{
    add_header(batch, type, key, value.size);
    buf_put_slice(&batch->changes, value);
}
