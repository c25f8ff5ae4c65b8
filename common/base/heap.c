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

/* --- Looking at the first ones ------------------------------------------------------------ */

/* A small heap of places in a heap, so that the first few due ones are found in order without
 * taking anything out. */
struct frontier {
    const struct heap *heap;
    size_t *places;
    size_t count;
};

static bool place_before(const struct frontier *frontier, size_t a, size_t b)
{
    return before(frontier->heap->nodes[a], frontier->heap->nodes[b]);
}

static void frontier_put(struct frontier *frontier, size_t place)
{
    if (place >= frontier->heap->count) {
        return;
    }
    size_t at = frontier->count++;
    while (at > 0 && place_before(frontier, place, frontier->places[(at - 1) / 2])) {
        frontier->places[at] = frontier->places[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    frontier->places[at] = place;
}

static size_t frontier_pop(struct frontier *frontier)
{
    size_t first = frontier->places[0];
    size_t last = frontier->places[--frontier->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= frontier->count) {
            break;
        }
        if (child + 1 < frontier->count &&
            place_before(frontier, frontier->places[child + 1], frontier->places[child])) {
            child++;
        }
        if (!place_before(frontier, frontier->places[child], last)) {
            break;
        }
        frontier->places[at] = frontier->places[child];
        at = child;
    }
    frontier->places[at] = last;
    return first;
}

size_t heap_find_due(const struct heap *heap, uint64_t now, size_t max, struct heap_node **out)
{
    size_t count = 0;
    struct frontier frontier = {
        .heap = heap,
        .places = mem_alloc((max + 2) * sizeof *frontier.places),
    };
    frontier_put(&frontier, 0);
    while (count < max && frontier.count > 0) {
        size_t at = frontier_pop(&frontier);
        if (heap->nodes[at]->due > now) {
            break;
        }
        out[count++] = heap->nodes[at];
        frontier_put(&frontier, 2 * at + 1);
        frontier_put(&frontier, 2 * at + 2);
    }
    free(frontier.places);
    return count;
}
