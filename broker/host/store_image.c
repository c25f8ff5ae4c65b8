#include "broker/host/store_image.h"

#include "broker/host/tree.h"
#include "broker/machine/keys.h"
#include "common/base/bytes.h"

#include <stdlib.h>

enum { ROW_HEADER = 8, ROW_VALUE_MAX = 256 * 1024 * 1024 };

/* ---- Out ---- */

struct image {
    struct kv_iterator *iterator; /* NULL at the end. */
    struct buf rows;              /* Read, and from `sent` on not yet given away. */
    size_t sent;
};

static void *source_open(void *context, uint64_t *applied)
{
    static const uint8_t end[] = {0xFF};
    struct store_source *source = context;
    // Between these two a checkpoint may be written: then the rows are newer than what is said,
    // which is allowed, because the log that is copied after them reaches further anyway.
    if (machine_stored_index(source->kv, applied) != STATUS_OK) {
        return NULL;
    }
    struct image *image = mem_zalloc(sizeof *image);
    image->iterator = kv_iterate_frozen(source->kv, slice_of(NULL, 0), slice_of(end, sizeof end));
    return image;
}

/* Read rows until there are `size` bytes, or no more. */
static enum status read_rows(struct image *image, size_t size)
{
    struct slice key;
    struct slice value;
    while (image->iterator != NULL && image->rows.size < size) {
        if (!kv_iterator_next(image->iterator, &key, &value)) {
            enum status status = kv_iterator_close(image->iterator);
            image->iterator = NULL;
            return status;
        }
        buf_put_le32(&image->rows, (uint32_t)key.size);
        buf_put_le32(&image->rows, (uint32_t)value.size);
        buf_put_slice(&image->rows, key);
        buf_put_slice(&image->rows, value);
    }
    return STATUS_OK;
}

static enum status source_read(void *context, struct buf *out, size_t size, bool *end)
{
    struct image *image = context;
    if (image->sent == image->rows.size) {
        buf_clear(&image->rows);
        image->sent = 0;
    }
    enum status status = image->sent == 0 ? read_rows(image, size) : STATUS_OK;
    size_t rest = image->rows.size - image->sent;
    size_t part = rest < size ? rest : size;
    buf_put(out, image->rows.data + image->sent, part);
    image->sent += part;
    *end = image->iterator == NULL && image->sent == image->rows.size;
    return status;
}

static void source_close(void *context)
{
    struct image *image = context;
    if (image->iterator != NULL) {
        enum status ignored = kv_iterator_close(image->iterator);
        (void)ignored; // The copy was given up.
    }
    buf_close(&image->rows);
    free(image);
}

struct image_source store_image_source(struct store_source *source)
{
    return (struct image_source){source, source_open, source_read, source_close};
}

/* ---- In ---- */

void store_sink_close(struct store_sink *sink)
{
    if (sink->kv != NULL) {
        kv_close(sink->kv);
        sink->kv = NULL;
    }
    buf_close(&sink->partial);
}

static enum status sink_begin(void *context)
{
    struct store_sink *sink = context;
    char *error = NULL;
    store_sink_close(sink);
    enum status status = tree_remove(sink->path);
    if (status == STATUS_OK) {
        status = kv_open_rocksdb(sink->path, sink->cache_size, &sink->kv, &error);
    }
    free(error);
    return status;
}

/* Take one whole row from the front of bytes; *size is what it took, 0 if it is not whole yet.
 * Errors: STATUS_MALFORMED. */
static enum status take_row(struct kv_batch *batch, struct slice bytes, size_t *size)
{
    *size = 0;
    if (bytes.size < ROW_HEADER) {
        return STATUS_OK;
    }
    size_t key_size = le32_get(bytes.data);
    size_t value_size = le32_get(bytes.data + 4);
    if (key_size == 0 || key_size > KEY_BYTES_MAX || value_size > ROW_VALUE_MAX) {
        return STATUS_MALFORMED;
    }
    if (bytes.size >= ROW_HEADER + key_size + value_size) {
        const uint8_t *key = bytes.data + ROW_HEADER;
        kv_batch_put(batch, slice_of(key, key_size), slice_of(key + key_size, value_size));
        *size = ROW_HEADER + key_size + value_size;
    }
    return STATUS_OK;
}

static enum status sink_put(void *context, struct slice piece)
{
    struct store_sink *sink = context;
    struct kv_batch *batch = kv_batch_new();
    enum status status = STATUS_OK;
    size_t at = 0;
    size_t size = 0;
    buf_put_slice(&sink->partial, piece);
    do {
        status = take_row(batch, slice_from(buf_slice(&sink->partial), at), &size);
        at += size;
    } while (status == STATUS_OK && size > 0);
    buf_consume(&sink->partial, at);
    if (status == STATUS_OK) {
        status = kv_write(sink->kv, batch);
    }
    kv_batch_free(batch);
    return status;
}

static enum status sink_end(void *context)
{
    struct store_sink *sink = context;
    enum status status = sink->partial.size == 0 ? kv_flush(sink->kv) : STATUS_MALFORMED;
    store_sink_close(sink);
    return status;
}

struct image_sink store_image_sink(struct store_sink *sink)
{
    return (struct image_sink){sink, sink_begin, sink_put, sink_end};
}
