#include "common/remoting/pop_handle.h"

#include "common/base/decimal.h"

#include <inttypes.h>

enum { WORDS = 8, WORDS_MIN = 7 };

static bool number_of(struct slice word, int64_t max, int64_t *number)
{
    return decimal_parse(word, number) && *number >= 0 && *number <= max;
}

bool pop_handle_parse(struct slice text, struct pop_handle *handle)
{
    struct slice words[WORDS];
    size_t count = 0;
    if (text.size == 0 || text.size > POP_HANDLE_SIZE_MAX) {
        return false;
    }
    for (bool more = true; more; count++) {
        const uint8_t *space = text.size == 0 ? NULL : memchr(text.data, ' ', text.size);
        if (count == WORDS) {
            return false;
        }
        more = space != NULL;
        words[count] = slice_of(text.data, more ? (size_t)(space - text.data) : text.size);
        text = slice_from(text, words[count].size + (more ? 1 : 0));
    }
    int64_t numbers[WORDS] = {0};
    const int64_t max[WORDS] = {INT64_MAX, INT64_MAX, INT64_MAX, INT32_MAX,
                                0,         0,         INT32_MAX, INT64_MAX};
    enum { KIND = 4, BROKER = 5 };
    for (size_t i = 0; i < count; i++) {
        if (i != KIND && i != BROKER && !number_of(words[i], max[i], &numbers[i])) {
            return false;
        }
    }
    if (count < WORDS_MIN || words[KIND].size != 1 || words[KIND].data[0] < POP_KIND_TOPIC ||
        words[KIND].data[0] > POP_KIND_RETRY_2) {
        return false;
    }
    *handle = (struct pop_handle){
        .offset_first = numbers[0],
        .pop_ms = (uint64_t)numbers[1],
        .invisible_ms = (uint64_t)numbers[2],
        .revive_queue = (int32_t)numbers[3],
        .kind = (char)words[KIND].data[0],
        .broker = words[BROKER],
        .queue_id = (int32_t)numbers[6],
        .offset = count == WORDS ? numbers[7] : numbers[0],
    };
    return true;
}

void pop_handle_format(const struct pop_handle *handle, struct buf *out)
{
    buf_printf(out, "%" PRId64 " %" PRIu64 " %" PRIu64 " %d %c ", handle->offset_first,
               handle->pop_ms, handle->invisible_ms, handle->revive_queue, handle->kind);
    buf_put_slice(out, handle->broker);
    buf_printf(out, " %d %" PRId64, handle->queue_id, handle->offset);
}
