/* Owned, growing bytes.
 *
 * A zeroed buf is empty and valid. Growth doubles; running out of memory aborts, so callers check
 * what a peer can size against limits.h first. */
#ifndef COMMON_BASE_BUF_H
#define COMMON_BASE_BUF_H

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/slice.h"

struct buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

/* Release the memory; the buf is empty and usable again. */
void buf_close(struct buf *buf);

/* Make room for `size` more bytes; the content may move. */
void buf_reserve(struct buf *buf, size_t size);

/* Append `size` uninitialised bytes; the pointer is valid until the next change. */
uint8_t *buf_extend(struct buf *buf, size_t size);

/* Copies. */
void buf_put(struct buf *buf, const void *data, size_t size);
void buf_put_slice(struct buf *buf, struct slice slice);
void buf_put_text(struct buf *buf, const char *text);
void buf_put_u8(struct buf *buf, uint8_t value);
void buf_put_be16(struct buf *buf, uint16_t value);
void buf_put_be32(struct buf *buf, uint32_t value);
void buf_put_be64(struct buf *buf, uint64_t value);
void buf_put_le16(struct buf *buf, uint16_t value);
void buf_put_le32(struct buf *buf, uint32_t value);
void buf_put_le64(struct buf *buf, uint64_t value);

/* Append formatted text, without a terminating NUL. */
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);

/* Drop the first `size` bytes, moving the rest to the front. */
void buf_consume(struct buf *buf, size_t size);

/* Append a NUL without counting it, and return the content as C text; valid until the next change.
 */
const char *buf_text(struct buf *buf);

static inline void buf_clear(struct buf *buf)
{
    buf->size = 0;
}

static inline struct slice buf_slice(const struct buf *buf)
{
    return slice_of(buf->data, buf->size);
}

/* Take the content out: the caller owns (and frees) the returned memory, the buf is empty. */
static inline uint8_t *buf_take(struct buf *buf)
{
    uint8_t *data = buf->data;
    *buf = (struct buf){0};
    return data;
}

/* malloc and friends that abort when memory is out: for small bookkeeping of bounded number. */
void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
void *mem_realloc(void *memory, size_t size);
char *mem_copy_text(struct slice text);

#endif
