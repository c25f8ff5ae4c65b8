/* Memory shared by reference count: what was received or proposed, held by the log's cache, by
 * writes in flight and by sends in flight. Counting happens on the loop thread only; the pool only
 * reads the bytes of blocks that somebody holds for it. */
#ifndef RAFT_GLUE_BLOCK_H
#define RAFT_GLUE_BLOCK_H

#include "common/base/buf.h"

#include <stdlib.h>

struct block {
    uint32_t references;
    size_t size;
    uint8_t *data; /* malloc'ed, owned. */
};

/* Takes data (malloc'ed); one reference, the caller's. */
static inline struct block *block_take(uint8_t *data, size_t size)
{
    struct block *block = (struct block *)mem_alloc(sizeof *block);
    *block = (struct block){.references = 1, .size = size, .data = data};
    return block;
}

/* Uninitialised memory; one reference, the caller's. */
static inline struct block *block_new(size_t size)
{
    return block_take((uint8_t *)mem_alloc(size == 0 ? 1 : size), size);
}

static inline struct block *block_hold(struct block *block)
{
    ASSERT(block->references > 0);
    block->references++;
    return block;
}

/* Give one reference back; harmless on NULL. */
static inline void block_release(struct block *block)
{
    if (block == NULL) {
        return;
    }
    ASSERT(block->references > 0);
    if (--block->references == 0) {
        free(block->data);
        free(block);
    }
}

#endif
