/* Binary min-heap of embedded nodes, ordered by (due, tie): timers and schedules.
 *
 * A node knows its place, so removing any node is logarithmic. A zeroed heap is empty and valid. */
#ifndef COMMON_BASE_HEAP_H
#define COMMON_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t due; /* What the heap is ordered by, usually milliseconds. */
    uint64_t tie; /* Breaks ties, so that the order is the same on every replica. */
    size_t place; /* 1 + index in the heap; 0 = in no heap. */
};

struct heap {
    struct heap_node **nodes;
    size_t count;
    size_t capacity;
};

/* Free the array; nodes are the caller's. */
void heap_close(struct heap *heap);

/* Insert; the node must be in no heap. */
void heap_put(struct heap *heap, struct heap_node *node, uint64_t due, uint64_t tie);

/* Remove; harmless on a node in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The least node, or NULL. */
static inline struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count == 0 ? NULL : heap->nodes[0];
}

static inline bool heap_linked(const struct heap_node *node)
{
    return node->place != 0;
}

#endif
