#include "common/remoting/inflate.h"

#include <zlib.h>

enum { CHUNK_SIZE = 64 * 1024 };

enum status inflate_append(struct slice deflated, size_t size_max, struct buf *out)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)deflated.data,
                       .avail_in = (uInt)deflated.size};
    ASSERT(deflated.size <= UINT32_MAX);
    ASSERT(inflateInit(&stream) == Z_OK);
    size_t start = out->size;
    int result = Z_OK;
    while (result == Z_OK && stream.total_out <= size_max) {
        buf_reserve(out, CHUNK_SIZE);
        stream.next_out = out->data + out->size;
        stream.avail_out = CHUNK_SIZE;
        result = inflate(&stream, Z_NO_FLUSH);
        out->size = start + stream.total_out;
    }
    size_t size = stream.total_out;
    inflateEnd(&stream);
    if (result == Z_STREAM_END && size <= size_max) {
        return STATUS_OK;
    }
    out->size = start;
    return size > size_max ? STATUS_LIMIT : STATUS_MALFORMED;
}
