#include "client/local_offsets.h"

#include "common/base/crc32c.h"
#include "common/base/decimal.h"

#include <stdlib.h>

#define FIRST_LINE "raftmq offsets 1"

void local_offsets_close(struct local_offsets *offsets)
{
    free(offsets->items);
    *offsets = (struct local_offsets){0};
}

static struct local_offset *find(const struct local_offsets *offsets, struct slice topic,
                                 struct slice broker, int32_t queue_id)
{
    for (size_t i = 0; i < offsets->count; i++) {
        struct local_offset *item = &offsets->items[i];
        if (item->queue_id == queue_id && slice_equals(name_slice(&item->topic), topic) &&
            slice_equals(name_slice(&item->broker), broker)) {
            return item;
        }
    }
    return NULL;
}

int64_t local_offsets_find(const struct local_offsets *offsets, struct slice topic,
                           struct slice broker, int32_t queue_id)
{
    const struct local_offset *item = find(offsets, topic, broker, queue_id);
    return item == NULL ? -1 : item->offset;
}

/* A topic ends at a space, a broker's name with its line. */
static bool writable(struct slice topic, struct slice broker)
{
    return topic.size > 0 && broker.size > 0 && memchr(topic.data, ' ', topic.size) == NULL &&
           memchr(topic.data, '\n', topic.size) == NULL &&
           memchr(broker.data, '\n', broker.size) == NULL;
}

static bool append(struct local_offsets *offsets, struct slice topic, struct slice broker,
                   int32_t queue_id, int64_t offset)
{
    struct local_offset item = {.queue_id = queue_id, .offset = offset};
    if (offsets->count == LOCAL_OFFSETS_MAX || !writable(topic, broker) ||
        !name_set(&item.topic, topic) || !name_set(&item.broker, broker)) {
        return false;
    }
    if (offsets->count == offsets->capacity) {
        offsets->capacity = offsets->capacity == 0 ? 16 : offsets->capacity * 2;
        offsets->items = mem_realloc(offsets->items, offsets->capacity * sizeof *offsets->items);
    }
    offsets->items[offsets->count++] = item;
    return true;
}

bool local_offsets_set(struct local_offsets *offsets, struct slice topic, struct slice broker,
                       int32_t queue_id, int64_t offset, bool *changed)
{
    struct local_offset *item = find(offsets, topic, broker, queue_id);
    if (item == NULL) {
        bool added = append(offsets, topic, broker, queue_id, offset);
        *changed = *changed || added;
        return added;
    }
    *changed = *changed || item->offset != offset;
    item->offset = offset;
    return true;
}

void local_offsets_encode(const struct local_offsets *offsets, struct buf *out)
{
    size_t start = out->size;
    buf_put_text(out, FIRST_LINE "\n");
    for (size_t i = 0; i < offsets->count; i++) {
        const struct local_offset *item = &offsets->items[i];
        buf_printf(out, "%d %lld %s %s\n", item->queue_id, (long long)item->offset,
                   item->topic.text, item->broker.text);
    }
    uint32_t crc = crc32c(0, out->data + start, out->size - start);
    buf_printf(out, "end %zu %08x\n", offsets->count, crc);
}

/* Cut off what is before the next `end`; false if that does not come. */
static bool cut(struct slice *rest, char end, struct slice *word)
{
    const uint8_t *at = rest->size == 0 ? NULL : memchr(rest->data, end, rest->size);
    if (at == NULL) {
        return false;
    }
    *word = slice_of(rest->data, (size_t)(at - rest->data));
    *rest = slice_from(*rest, word->size + 1);
    return true;
}

static bool take_line(struct slice line, struct local_offsets *offsets)
{
    struct slice queue;
    struct slice offset;
    struct slice topic;
    int64_t queue_id;
    int64_t value;
    return cut(&line, ' ', &queue) && cut(&line, ' ', &offset) && cut(&line, ' ', &topic) &&
           decimal_parse(queue, &queue_id) && queue_id >= 0 && queue_id <= INT32_MAX &&
           decimal_parse(offset, &value) && value >= 0 &&
           append(offsets, topic, line, (int32_t)queue_id, value);
}

enum status local_offsets_decode(struct slice text, struct local_offsets *offsets)
{
    struct slice rest = text;
    struct slice line;
    if (!cut(&rest, '\n', &line) || !slice_equals_text(line, FIRST_LINE)) {
        return STATUS_CORRUPT;
    }
    for (;;) {
        size_t before = text.size - rest.size;
        if (!cut(&rest, '\n', &line)) {
            return STATUS_CORRUPT;
        }
        if (slice_starts_with(line, "end ")) {
            struct buf last = {0};
            buf_printf(&last, "end %zu %08x", offsets->count, crc32c(0, text.data, before));
            bool good = rest.size == 0 && slice_equals(line, buf_slice(&last));
            buf_close(&last);
            return good ? STATUS_OK : STATUS_CORRUPT;
        }
        if (!take_line(line, offsets)) {
            return STATUS_CORRUPT;
        }
    }
}
