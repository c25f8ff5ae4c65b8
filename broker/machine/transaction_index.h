/* Finds transactions by position, or by the hash of producer group and UNIQ_KEY.
 *
 * Like common/base/map.h, but a transaction costs one pointer per index: there may be a million.
 * Buckets grow and shrink with the number of entries. A zeroed index is empty and valid. Private to
 * broker/machine. */
#ifndef BROKER_MACHINE_TRANSACTION_INDEX_H
#define BROKER_MACHINE_TRANSACTION_INDEX_H

#include "broker/machine/machine.h"

enum transaction_index_kind { INDEX_BY_POSITION = 0, INDEX_BY_UNIQUE = 1 };

struct transaction_index {
    struct transaction **buckets;
    size_t bucket_count; /* 0 or a power of two. */
    size_t count;
    enum transaction_index_kind kind;
};

/* NULL if there is none. */
struct transaction *transaction_index_find_position(const struct transaction_index *index,
                                                    uint64_t position);
struct transaction *transaction_index_find_unique(const struct transaction_index *index,
                                                  const uint8_t hash[16]);

/* The key must not be present. */
void transaction_index_put(struct transaction_index *index, struct transaction *transaction);

/* It must be present. */
void transaction_index_remove(struct transaction_index *index, struct transaction *transaction);

/* Free the buckets; transactions are the caller's. */
void transaction_index_close(struct transaction_index *index);

#endif
