#include "common/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void *mem_alloc(size_t size)
{
    void *memory = malloc(size == 0 ? 1 : size);
    if (memory == NULL) {
        FATAL("out of memory allocating %zu bytes; give this process more memory or lower its "
              "limits",
              size);
    }
    return memory;
}

void *mem_zalloc(size_t size)
{
    void *memory = mem_alloc(size);
    memset(memory, 0, size);
    return memory;
}

void *mem_realloc(void *memory, size_t size)
{
    void *moved = realloc(memory, size == 0 ? 1 : size);
    if (moved == NULL) {
        FATAL("out of memory allocating %zu bytes; give this process more memory or lower its "
              "limits",
              size);
    }
    return moved;
}

char *mem_copy_text(struct slice text)
{
    char *copy = mem_alloc(text.size + 1);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    return copy;
}

void buf_close(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_reserve(struct buf *buf, size_t size)
{
    ASSERT(size <= SIZE_MAX - buf->size);
    size_t needed = buf->size + size;
    if (needed <= buf->capacity) {
        return;
    }
    size_t capacity = buf->capacity < 64 ? 64 : buf->capacity;
    while (capacity < needed) {
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    }
    buf->data = mem_realloc(buf->data, capacity);
    buf->capacity = capacity;
}

uint8_t *buf_extend(struct buf *buf, size_t size)
{
    buf_reserve(buf, size);
    uint8_t *at = buf->data + buf->size;
    buf->size += size;
    return at;
}

void buf_put(struct buf *buf, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(buf_extend(buf, size), data, size);
    }
}

void buf_put_slice(struct buf *buf, struct slice slice)
{
    buf_put(buf, slice.data, slice.size);
}

void buf_put_text(struct buf *buf, const char *text)
{
    buf_put(buf, text, strlen(text));
}

void buf_put_u8(struct buf *buf, uint8_t value)
{
    *buf_extend(buf, 1) = value;
}

void buf_put_be16(struct buf *buf, uint16_t value)
{
    be16_put(buf_extend(buf, 2), value);
}

void buf_put_be32(struct buf *buf, uint32_t value)
{
    be32_put(buf_extend(buf, 4), value);
}

void buf_put_be64(struct buf *buf, uint64_t value)
{
    be64_put(buf_extend(buf, 8), value);
}

void buf_put_le16(struct buf *buf, uint16_t value)
{
    le16_put(buf_extend(buf, 2), value);
}

void buf_put_le32(struct buf *buf, uint32_t value)
{
    le32_put(buf_extend(buf, 4), value);
}

void buf_put_le64(struct buf *buf, uint64_t value)
{
    le64_put(buf_extend(buf, 8), value);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    ASSERT(size >= 0);
    buf_reserve(buf, (size_t)size + 1);
    vsnprintf((char *)buf->data + buf->size, (size_t)size + 1, format, again);
    va_end(again);
    buf->size += (size_t)size;
}

void buf_consume(struct buf *buf, size_t size)
{
    ASSERT(size <= buf->size);
    if (size > 0) {
        memmove(buf->data, buf->data + size, buf->size - size);
        buf->size -= size;
    }
}

const char *buf_text(struct buf *buf)
{
    buf_reserve(buf, 1);
    buf->data[buf->size] = '\0';
    return (const char *)buf->data;
}
