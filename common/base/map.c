#include "common/base/map.h"

#include "common/base/buf.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { BUCKETS_MIN = 16 };

static void grow(struct map *map);

void map_close(struct map *map)
{
    free(map->buckets);
    *map = (struct map){0};
}

struct map_node *map_find(const struct map *map, struct slice key)
{
    if (map->count == 0) {
        return NULL;
    }
    uint64_t hash = XXH3_64bits(key.data, key.size);
    struct map_node *node = map->buckets[hash & (map->bucket_count - 1)];
    while (node != NULL && (node->hash != hash || !slice_equals(node->key, key))) {
        node = node->next;
    }
    return node;
}

void map_put(struct map *map, struct map_node *node, struct slice key)
{
    if (map->count >= map->bucket_count) {
        grow(map);
    }
    node->key = key;
    node->hash = XXH3_64bits(key.data, key.size);
    struct map_node **bucket = &map->buckets[node->hash & (map->bucket_count - 1)];
    node->next = *bucket;
    *bucket = node;
    list_append(&map->order, &node->order);
    map->count++;
}

void map_remove(struct map *map, struct map_node *node)
{
    struct map_node **at = &map->buckets[node->hash & (map->bucket_count - 1)];
    while (*at != node) {
        ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    list_remove(&node->order);
    map->count--;
}

struct map_node *map_first(const struct map *map)
{
    return map->count == 0 ? NULL : CONTAINER_OF(map->order.next, struct map_node, order);
}

static void grow(struct map *map)
{
    if (map->bucket_count == 0) {
        list_init(&map->order);
    }
    size_t count = map->bucket_count == 0 ? BUCKETS_MIN : map->bucket_count * 2;
    struct map_node **buckets = mem_zalloc(count * sizeof *buckets);
    if (map->count > 0) {
        LIST_FOREACH(at, &map->order)
        {
            struct map_node *node = CONTAINER_OF(at, struct map_node, order);
            struct map_node **bucket = &buckets[node->hash & (count - 1)];
            node->next = *bucket;
            *bucket = node;
        }
    }
    free(map->buckets);
    map->buckets = buckets;
    map->bucket_count = count;
}
