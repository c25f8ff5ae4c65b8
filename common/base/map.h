/* Hash map of embedded entries, walked in insertion order, so that nothing depends on hashes.
 *
 * The entry embeds a map_node and keeps its key bytes alive and unchanged while it is in the map.
 * The map owns only its bucket array. A zeroed map is empty and valid. */
#ifndef COMMON_BASE_MAP_H
#define COMMON_BASE_MAP_H

#include "common/base/list.h"
#include "common/base/slice.h"

struct map_node {
    struct map_node *next; /* Same bucket. */
    struct list order;     /* All entries, oldest first. */
    struct slice key;      /* Borrows from the entry. */
    uint64_t hash;
};

struct map {
    struct map_node **buckets;
    size_t bucket_count; /* 0 or a power of two. */
    size_t count;
    struct list order;
};

/* Walk in insertion order; the current entry may be removed in the body. */
#define MAP_FOREACH(node, map)                                                                     \
    for (struct list *node##_at = (map)->count == 0 ? NULL : (map)->order.next,                    \
                     *node##_after = node##_at == NULL ? NULL : node##_at->next;                   \
         node##_at != NULL && node##_at != &(map)->order;                                          \
         node##_at = node##_after, node##_after = node##_at->next)                                 \
        for (struct map_node *node = CONTAINER_OF(node##_at, struct map_node, order);              \
             node != NULL; node = NULL)

/* Free the bucket array; entries are the caller's. */
void map_close(struct map *map);

/* The entry with that key, or NULL. */
struct map_node *map_find(const struct map *map, struct slice key);

/* Link an entry under key (borrowed until removal). The key must not be present. */
void map_put(struct map *map, struct map_node *node, struct slice key);

/* Unlink an entry that is in this map. */
void map_remove(struct map *map, struct map_node *node);

/* The oldest entry, or NULL. */
struct map_node *map_first(const struct map *map);

#endif
