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

/* The first nodes in order whose due is at most `now`, at most max of them, into out (of max
 * places); how many. All stay in the heap: those are looked at that are told of, and twice as many.
 */
size_t heap_find_due(const struct heap *heap, uint64_t now, size_t max, struct heap_node **out);

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
