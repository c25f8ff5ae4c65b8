/* list, map and heap against naive models over seeded operations. */
#include "tests/support/test.h"

#include "common/base/heap.h"
#include "common/base/map.h"
#include "common/base/random.h"

#include <stdio.h>

enum { ITEMS = 500 };

struct item {
    struct map_node node;
    struct heap_node timer;
    struct list link;
    char key[16];
};

static void map_finds_what_was_put_and_walks_in_insertion_order(void **state)
{
    (void)state;
    static struct item items[ITEMS];
    struct map map = {0};
    assert_null(map_first(&map));
    assert_null(map_find(&map, slice_text("absent")));
    for (int i = 0; i < ITEMS; i++) {
        snprintf(items[i].key, sizeof items[i].key, "key-%d", i);
        map_put(&map, &items[i].node, slice_text(items[i].key));
    }
    for (int i = 0; i < ITEMS; i += 2) {
        map_remove(&map, &items[i].node);
    }
    assert_int_equal(map.count, ITEMS / 2);
    int next = 1;
    MAP_FOREACH(node, &map)
    {
        assert_ptr_equal(node, &items[next].node);
        next += 2;
    }
    assert_int_equal(next, ITEMS + 1);
    for (int i = 0; i < ITEMS; i++) {
        struct map_node *found = map_find(&map, slice_text(items[i].key));
        assert_ptr_equal(found, i % 2 == 0 ? NULL : &items[i].node);
    }
    map_close(&map);
}

static void map_walk_allows_removing_the_current_entry(void **state)
{
    (void)state;
    static struct item items[10];
    struct map map = {0};
    for (int i = 0; i < 10; i++) {
        snprintf(items[i].key, sizeof items[i].key, "%d", i);
        map_put(&map, &items[i].node, slice_text(items[i].key));
    }
    int visited = 0;
    MAP_FOREACH(node, &map)
    {
        map_remove(&map, node);
        visited++;
    }
    assert_int_equal(visited, 10);
    assert_int_equal(map.count, 0);
    map_close(&map);
}

static void heap_yields_in_order_of_due_then_tie_whatever_is_removed(void **state)
{
    (void)state;
    static struct item items[ITEMS];
    struct random random = {42};
    struct heap heap = {0};
    for (uint64_t i = 0; i < ITEMS; i++) {
        heap_put(&heap, &items[i].timer, random_below(&random, 50), i);
    }
    for (int i = 0; i < ITEMS; i += 3) {
        heap_remove(&heap, &items[i].timer);
        heap_remove(&heap, &items[i].timer); // Harmless when repeated.
    }
    uint64_t due = 0;
    uint64_t tie = 0;
    size_t count = 0;
    for (struct heap_node *node; (node = heap_first(&heap)) != NULL; count++) {
        assert_true(count == 0 || node->due > due || (node->due == due && node->tie > tie));
        due = node->due;
        tie = node->tie;
        heap_remove(&heap, node);
    }
    assert_int_equal(count, ITEMS - (ITEMS + 2) / 3);
    heap_close(&heap);
}

/* They come in the order in which taking out one after the other would give them. */
static void heap_finds_the_due_ones_in_order_and_keeps_them(void **state)
{
    (void)state;
    static struct item items[ITEMS];
    static struct heap_node *found[ITEMS];
    struct random random = {43};
    struct heap heap = {0};
    assert_int_equal(heap_find_due(&heap, UINT64_MAX, ITEMS, found), 0);
    for (uint64_t i = 0; i < ITEMS; i++) {
        heap_put(&heap, &items[i].timer, random_below(&random, 50), i);
    }
    assert_int_equal(heap_find_due(&heap, 49, 0, found), 0);
    assert_int_equal(heap_find_due(&heap, 49, 7, found), 7);
    assert_ptr_equal(found[0], heap_first(&heap));
    size_t count = heap_find_due(&heap, 24, ITEMS, found);
    assert_int_equal(heap.count, ITEMS);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(found[i], heap_first(&heap));
        heap_remove(&heap, found[i]);
    }
    assert_true(count > 0 && count < ITEMS);
    assert_true(heap_first(&heap)->due > 24);
    heap_close(&heap);
}

static void list_keeps_order_and_forgets_removed_nodes(void **state)
{
    (void)state;
    struct item items[4] = {0};
    struct list head;
    list_init(&head);
    assert_null(list_pop(&head));
    for (int i = 0; i < 4; i++) {
        list_append(&head, &items[i].link);
    }
    list_remove(&items[1].link);
    list_remove(&items[1].link);
    assert_false(list_linked(&items[1].link));
    list_prepend(&head, &items[1].link);
    const int order[] = {1, 0, 2, 3};
    for (int i = 0; i < 4; i++) {
        assert_ptr_equal(list_pop(&head), &items[order[i]].link);
    }
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_finds_what_was_put_and_walks_in_insertion_order),
        cmocka_unit_test(map_walk_allows_removing_the_current_entry),
        cmocka_unit_test(heap_yields_in_order_of_due_then_tie_whatever_is_removed),
        cmocka_unit_test(heap_finds_the_due_ones_in_order_and_keeps_them),
        cmocka_unit_test(list_keeps_order_and_forgets_removed_nodes),
    };
    return cmocka_run_group_tests_name("containers", tests, NULL, NULL);
}
