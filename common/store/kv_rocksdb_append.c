/* A value and the appends to it, oldest first, become one value when it is read or compacted;
 * appends without the value, which may lie in another file, become one append where they join. */
#include "common/store/kv_rocksdb_append.h"

#include "common/store/kv_internal.h"

/* Stored in RocksDB's options file, which is compared when a store is opened. */
#define OPERATOR_NAME "raftmq.append"

/* Where the value ends after this append. */
static size_t append_end(const char *operand, size_t size)
{
    return le32_get((const uint8_t *)operand) + (size - KV_APPEND_HEADER_SIZE);
}

/* May these follow each other, on a value of `size` bytes that begins at its byte `least`? Sets
 * *size to what they make of it. */
static bool appends_join(const char *const *operands, const size_t *sizes, int count, size_t least,
                         size_t *size)
{
    for (int i = 0; i < count; i++) {
        if (sizes[i] < KV_APPEND_HEADER_SIZE) {
            return false;
        }
        size_t at = le32_get((const uint8_t *)operands[i]);
        if (at < least || at > *size) {
            return false;
        }
        *size = append_end(operands[i], sizes[i]);
    }
    return true;
}

/* The most that any of them writes: a later one may begin before an earlier one's end. */
static size_t size_most(const size_t *sizes, int count, size_t size)
{
    for (int i = 0; i < count; i++) {
        size += sizes[i];
    }
    return size;
}

/* Copy them behind each other to where the value's byte `least` is. */
static void appends_copy(const char *const *operands, const size_t *sizes, int count, size_t least,
                         char *to)
{
    for (int i = 0; i < count; i++) {
        size_t at = le32_get((const uint8_t *)operands[i]) - least;
        memcpy(to + at, operands[i] + KV_APPEND_HEADER_SIZE, sizes[i] - KV_APPEND_HEADER_SIZE);
    }
}

static char *merge_into_value(void *state, const char *key, size_t key_size, const char *value,
                              size_t value_size, const char *const *operands, const size_t *sizes,
                              int count, unsigned char *ok, size_t *new_size)
{
    (void)state;
    (void)key;
    (void)key_size;
    size_t size = value == NULL ? 0 : value_size;
    char *made = mem_alloc(size_most(sizes, count, size) + 1);
    if (size > 0) {
        memcpy(made, value, size);
    }
    *ok = appends_join(operands, sizes, count, 0, &size);
    if (*ok) {
        appends_copy(operands, sizes, count, 0, made);
    }
    *new_size = *ok ? size : 0;
    return made;
}

/* Not joining is no failure here: RocksDB keeps them as they are. */
static char *merge_appends(void *state, const char *key, size_t key_size,
                           const char *const *operands, const size_t *sizes, int count,
                           unsigned char *ok, size_t *new_size)
{
    (void)state;
    (void)key;
    (void)key_size;
    char *made = mem_alloc(size_most(sizes, count, KV_APPEND_HEADER_SIZE));
    size_t least = sizes[0] < KV_APPEND_HEADER_SIZE ? 0 : le32_get((const uint8_t *)operands[0]);
    size_t end = least;
    *ok = appends_join(operands, sizes, count, least, &end);
    if (*ok) {
        le32_put((uint8_t *)made, (uint32_t)least);
        appends_copy(operands, sizes, count, least, made + KV_APPEND_HEADER_SIZE);
    }
    *new_size = *ok ? KV_APPEND_HEADER_SIZE + (end - least) : 0;
    return made;
}

static const char *operator_name(void *state)
{
    (void)state;
    return OPERATOR_NAME;
}

static void operator_destroy(void *state)
{
    (void)state;
}

rocksdb_mergeoperator_t *kv_rocksdb_append_operator(void)
{
    return rocksdb_mergeoperator_create(NULL, operator_destroy, merge_into_value, merge_appends,
                                        NULL /* free() */, operator_name);
}
