#include "broker/machine/transaction_index.h"

#include <stdlib.h>

enum { BUCKETS_MIN = 256, SHRINK_BELOW = 8 /* Entries for this many buckets: too few. */ };

static void resize(struct transaction_index *index, size_t bucket_count);

/* Positions rise in steps of similar size: spread them (the finaliser of splitmix64). */
static uint64_t position_mix(uint64_t position)
{
    position = (position ^ (position >> 30)) * 0xBF58476D1CE4E5B9u;
    position = (position ^ (position >> 27)) * 0x94D049BB133111EBu;
    return position ^ (position >> 31);
}

static uint64_t hash_of(const struct transaction_index *index,
                        const struct transaction *transaction)
{
    return index->kind == INDEX_BY_POSITION ? position_mix(transaction->position)
                                            : le64_get(transaction->unique_hash);
}

static struct transaction **bucket_of(const struct transaction_index *index, uint64_t hash)
{
    return &index->buckets[hash & (index->bucket_count - 1)];
}

struct transaction *transaction_index_find_position(const struct transaction_index *index,
                                                    uint64_t position)
{
    struct transaction *at =
        index->bucket_count == 0 ? NULL : *bucket_of(index, position_mix(position));
    while (at != NULL && at->position != position) {
        at = at->next[INDEX_BY_POSITION];
    }
    return at;
}

struct transaction *transaction_index_find_unique(const struct transaction_index *index,
                                                  const uint8_t hash[16])
{
    struct transaction *at = index->bucket_count == 0 ? NULL : *bucket_of(index, le64_get(hash));
    while (at != NULL && memcmp(at->unique_hash, hash, sizeof at->unique_hash) != 0) {
        at = at->next[INDEX_BY_UNIQUE];
    }
    return at;
}

void transaction_index_put(struct transaction_index *index, struct transaction *transaction)
{
    if (index->count >= index->bucket_count) {
        resize(index, index->bucket_count == 0 ? BUCKETS_MIN : index->bucket_count * 2);
    }
    struct transaction **bucket = bucket_of(index, hash_of(index, transaction));
    transaction->next[index->kind] = *bucket;
    *bucket = transaction;
    index->count++;
}

void transaction_index_remove(struct transaction_index *index, struct transaction *transaction)
{
    struct transaction **at = bucket_of(index, hash_of(index, transaction));
    while (*at != transaction) {
        ASSERT(*at != NULL);
        at = &(*at)->next[index->kind];
    }
    *at = transaction->next[index->kind];
    index->count--;
    if (index->bucket_count > BUCKETS_MIN && index->count < index->bucket_count / SHRINK_BELOW) {
        resize(index, index->bucket_count / 2);
    }
}

void transaction_index_close(struct transaction_index *index)
{
    free(index->buckets);
    index->buckets = NULL;
    index->bucket_count = 0;
    index->count = 0;
}

static void resize(struct transaction_index *index, size_t bucket_count)
{
    struct transaction **old = index->buckets;
    size_t old_count = index->bucket_count;
    index->buckets = mem_zalloc(bucket_count * sizeof(struct transaction *));
    index->bucket_count = bucket_count;
    for (size_t i = 0; i < old_count; i++) {
        for (struct transaction *at = old[i]; at != NULL;) {
            struct transaction *next = at->next[index->kind];
            struct transaction **bucket = bucket_of(index, hash_of(index, at));
            at->next[index->kind] = *bucket;
            *bucket = at;
            at = next;
        }
    }
    free(old);
}
