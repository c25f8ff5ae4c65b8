/* Memory of many small pieces that goes all at once. A zeroed arena is empty and valid. */
#ifndef COMMON_BASE_ARENA_H
#define COMMON_BASE_ARENA_H

#include "common/base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
};

/* Zeroed memory, aligned for any type, valid until arena_close(). */
void *arena_alloc(struct arena *arena, size_t size);

/* A zeroed array; count * size must not overflow (callers bound count). */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* A copy of the bytes, followed by a NUL that is not counted. */
struct slice arena_copy(struct arena *arena, struct slice bytes);

/* Free everything; the arena is empty and usable again. */
void arena_close(struct arena *arena);

#endif
