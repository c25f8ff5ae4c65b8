#include "broker/core/recall_handle.h"

#include "common/base/base64url.h"
#include "common/base/decimal.h"

#include <inttypes.h>

#define VERSION "v1"

bool recall_handle_begin(struct slice topic, struct slice broker, uint64_t deliver_ms,
                         struct slice unique_key, struct buf *out)
{
    if (unique_key.size == 0 || memchr(unique_key.data, ' ', unique_key.size) != NULL) {
        return false;
    }
    buf_put_text(out, VERSION " ");
    buf_put_slice(out, topic);
    buf_put_u8(out, ' ');
    buf_put_slice(out, broker);
    buf_printf(out, " %" PRIu64 " ", deliver_ms);
    buf_put_slice(out, unique_key);
    return true;
}

void recall_handle_end(struct slice begun, uint64_t position, struct buf *out)
{
    struct buf text = {0};
    buf_put_slice(&text, begun);
    buf_printf(&text, ".%" PRIu64, position);
    base64url_append(out, buf_slice(&text));
    buf_close(&text);
}

/* Up to the next space, or the end. */
static struct slice next_word(struct slice *rest)
{
    const uint8_t *space = rest->size == 0 ? NULL : memchr(rest->data, ' ', rest->size);
    struct slice word = *rest;
    word.size = space == NULL ? rest->size : (size_t)(space - rest->data);
    *rest = slice_from(*rest, word.size + (space == NULL ? 0 : 1));
    return word;
}

static bool number_of(struct slice text, uint64_t *number)
{
    int64_t value;
    if (!decimal_parse(text, &value) || value < 0) {
        return false;
    }
    *number = (uint64_t)value;
    return true;
}

bool recall_handle_parse(struct slice text, struct buf *scratch, struct recall_handle *handle)
{
    size_t begin = scratch->size;
    if (text.size > RECALL_HANDLE_SIZE_MAX || !base64url_decode(text, scratch)) {
        return false;
    }
    struct slice rest = slice_from(buf_slice(scratch), begin);
    bool known = slice_equals_text(next_word(&rest), VERSION);
    handle->topic = next_word(&rest);
    handle->broker = next_word(&rest);
    bool timed = number_of(next_word(&rest), &handle->deliver_ms);
    struct slice id = rest;
    const uint8_t *dot = id.size == 0 ? NULL : memrchr(id.data, '.', id.size);
    if (!known || !timed || dot == NULL || memchr(id.data, ' ', id.size) != NULL) {
        return false;
    }
    handle->unique_key = slice_of(id.data, (size_t)(dot - id.data));
    return number_of(slice_from(id, handle->unique_key.size + 1), &handle->position);
}
