#include "common/base/heap.h"

#include "common/base/buf.h"

#include <stdlib.h>

static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return a->due != b->due ? a->due < b->due : a->tie < b->tie;
}

static void place(struct heap *heap, size_t index, struct heap_node *node)
{
    heap->nodes[index] = node;
    node->place = index + 1;
}

static void sift_up(struct heap *heap, size_t index, struct heap_node *node)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!before(node, heap->nodes[parent])) {
            break;
        }
        place(heap, index, heap->nodes[parent]);
        index = parent;
    }
    place(heap, index, node);
}

static void sift_down(struct heap *heap, size_t index, struct heap_node *node)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count && before(heap->nodes[child + 1], heap->nodes[child])) {
            child++;
        }
        if (!before(heap->nodes[child], node)) {
            break;
        }
        place(heap, index, heap->nodes[child]);
        index = child;
    }
    place(heap, index, node);
}

void heap_close(struct heap *heap)
{
    free(heap->nodes);
    *heap = (struct heap){0};
}

void heap_put(struct heap *heap, struct heap_node *node, uint64_t due, uint64_t tie)
{
    ASSERT(node->place == 0);
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity == 0 ? 64 : heap->capacity * 2;
        heap->nodes = mem_realloc(heap->nodes, heap->capacity * sizeof(struct heap_node *));
    }
    node->due = due;
    node->tie = tie;
    sift_up(heap, heap->count++, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->place == 0) {
        return;
    }
    size_t index = node->place - 1;
    ASSERT(heap->nodes[index] == node);
    struct heap_node *last = heap->nodes[--heap->count];
    node->place = 0;
    if (last == node) {
        return;
    }
    if (index > 0 && before(last, heap->nodes[(index - 1) / 2])) {
        sift_up(heap, index, last);
    } else {
        sift_down(heap, index, last);
    }
}
