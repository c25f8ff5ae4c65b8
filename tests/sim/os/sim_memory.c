#include "tests/sim/os/sim_memory.h"

#include "common/base/check.h"

#include <errno.h>
#include <jansson.h>
#include <raft.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0x51A1B10C };

/* Before every block. */
struct header {
    alignas(16) struct list link; // In owner->blocks.
    struct sim_owner *owner;
    void *base; // What the real allocator gave.
    size_t size;
    uint64_t magic;
};

static struct sim_owner *current;

void *__real_malloc(size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);
void __wrap_free(void *memory);

void sim_owner_init(struct sim_owner *owner)
{
    *owner = (struct sim_owner){0};
    list_init(&owner->blocks);
}

struct sim_owner *sim_memory_use(struct sim_owner *owner)
{
    struct sim_owner *before = current;
    current = owner;
    return before;
}

static void enlist(struct header *header, struct sim_owner *owner, size_t size)
{
    header->owner = owner;
    header->size = size;
    header->magic = MAGIC;
    if (owner == NULL) {
        return;
    }
    list_append(&owner->blocks, &header->link);
    owner->block_count++;
    owner->bytes += size;
    owner->bytes_most = owner->bytes > owner->bytes_most ? owner->bytes : owner->bytes_most;
}

static struct header *delist(void *memory)
{
    struct header *header = (struct header *)memory - 1;
    ASSERT(header->magic == MAGIC); // Else the block came from elsewhere, or is free already.
    header->magic = 0;
    if (header->owner != NULL) {
        list_remove(&header->link);
        header->owner->block_count--;
        header->owner->bytes -= header->size;
    }
    return header;
}

void *__wrap_malloc(size_t size)
{
    struct header *header = __real_malloc(sizeof *header + size);
    if (header == NULL) {
        return NULL;
    }
    header->base = header;
    enlist(header, current, size);
    return header + 1;
}

void *__wrap_calloc(size_t count, size_t size)
{
    ASSERT(size == 0 || count <= SIZE_MAX / size);
    void *memory = __wrap_malloc(count * size);
    return memory == NULL ? NULL : memset(memory, 0, count * size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (memory == NULL) {
        return __wrap_malloc(size);
    }
    struct header *header = delist(memory);
    struct sim_owner *owner = header->owner;
    ASSERT(header->base == header); // Nobody grows an aligned block.
    struct header *grown = __real_realloc(header, sizeof *header + size);
    ASSERT(grown != NULL);
    grown->base = grown;
    enlist(grown, owner, size);
    return grown + 1;
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    uint8_t *base = __real_malloc(alignment + sizeof(struct header) + size);
    if (base == NULL) {
        return ENOMEM;
    }
    uintptr_t at = (uintptr_t)base + sizeof(struct header) + alignment - 1;
    uint8_t *memory = base + (at / alignment * alignment - (uintptr_t)base);
    struct header *header = (struct header *)(void *)memory - 1;
    header->base = base;
    enlist(header, current, size);
    *out = memory;
    return 0;
}

void __wrap_free(void *memory)
{
    if (memory != NULL) {
        __real_free(delist(memory)->base);
    }
}

void sim_owner_clear(struct sim_owner *owner)
{
    while (!list_empty(&owner->blocks)) {
        __wrap_free(CONTAINER_OF(owner->blocks.next, struct header, link) + 1);
    }
}

static void *heap_malloc(void *data, size_t size)
{
    (void)data;
    return malloc(size);
}

static void heap_free(void *data, void *memory)
{
    (void)data;
    free(memory);
}

static void *heap_calloc(void *data, size_t count, size_t size)
{
    (void)data;
    return calloc(count, size);
}

static void *heap_realloc(void *data, void *memory, size_t size)
{
    (void)data;
    return realloc(memory, size);
}

static void *heap_aligned_alloc(void *data, size_t alignment, size_t size)
{
    void *memory = NULL;
    (void)data;
    return posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}

static void heap_aligned_free(void *data, size_t alignment, void *memory)
{
    (void)data;
    (void)alignment;
    free(memory);
}

static void *json_alloc(size_t size)
{
    return malloc(size);
}

static void json_release(void *memory)
{
    free(memory);
}

void sim_memory_adopt_libraries(void)
{
    static struct raft_heap heap = {
        .malloc = heap_malloc,
        .free = heap_free,
        .calloc = heap_calloc,
        .realloc = heap_realloc,
        .aligned_alloc = heap_aligned_alloc,
        .aligned_free = heap_aligned_free,
    };
    raft_heap_set(&heap);
    json_set_alloc_funcs(json_alloc, json_release);
    json_object_seed(1); // Before anything is hashed: else jansson draws one.
}
