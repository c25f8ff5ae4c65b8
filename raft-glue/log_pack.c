/* Groups of 32 places: where the first one begins, then what follows from one to the next.
 *
 * A place is a number of seven bits a byte, lowest first, the eighth says that more follow: payload
 * size, type (2 bits), and whether the frame begins behind the end of the one before it, as the
 * first of a segment does; then a second number says how far. */
#include "raft-glue/log_pack.h"

#include "common/base/buf.h"
#include "common/base/check.h"
#include "raft-glue/log_frame.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP_PLACES = 32, TYPE_BITS = 2, NUMBER_BITS = 7 };

struct group {
    uint64_t position; // Of its first frame.
    size_t offset;     // Of its first place in the bytes.
};

struct log_pack {
    size_t count;
    uint8_t *bytes; // Behind the groups, in the same piece of memory.
    struct group groups[];
};

/* Walks the places of a group. */
struct walk {
    const uint8_t *next;
    uint64_t end; // Of the frame before.
};

static size_t groups_of(size_t count)
{
    return (count + GROUP_PLACES - 1) / GROUP_PLACES;
}

static void put_number(struct buf *out, uint64_t number)
{
    const uint8_t more = 1U << NUMBER_BITS;
    for (; number >= more; number >>= NUMBER_BITS) {
        *buf_extend(out, 1) = (uint8_t)(number | more);
    }
    *buf_extend(out, 1) = (uint8_t)number;
}

static uint64_t take_number(const uint8_t **next)
{
    const uint8_t more = 1U << NUMBER_BITS;
    uint64_t number = 0;
    unsigned shift = 0;
    for (; (**next & more) != 0; shift += NUMBER_BITS) {
        number |= (uint64_t)(*(*next)++ & (more - 1)) << shift;
    }
    return number | (uint64_t) * (*next)++ << shift;
}

static uint64_t end_of(const struct log_place *place)
{
    return log_place_position(place) + log_frame_size(place->payload_size);
}

/* `end` is that of the frame before. */
static void put_place(struct buf *out, const struct log_place *place, uint64_t end)
{
    uint64_t gap = log_place_position(place) - end;
    uint64_t number = (uint64_t)place->payload_size << TYPE_BITS | log_place_type(place);
    ASSERT(log_place_type(place) < 1U << TYPE_BITS && gap % LOG_FRAME_ALIGNMENT == 0);
    put_number(out, number << 1 | (gap > 0));
    if (gap > 0) {
        put_number(out, gap / LOG_FRAME_ALIGNMENT);
    }
}

static struct log_place take_place(struct walk *walk)
{
    uint64_t number = take_number(&walk->next);
    if ((number & 1) != 0) {
        walk->end += take_number(&walk->next) * LOG_FRAME_ALIGNMENT;
    }
    number >>= 1;
    uint64_t type = number & ((1U << TYPE_BITS) - 1);
    struct log_place place = {
        .position_and_type = walk->end | type << LOG_PLACE_TYPE_SHIFT,
        .payload_size = (uint32_t)(number >> TYPE_BITS),
    };
    walk->end = end_of(&place);
    return place;
}

struct log_pack *log_pack_new(const struct log_place *places, size_t count)
{
    ASSERT(count > 0);
    struct buf bytes = {0};
    size_t groups_size = groups_of(count) * sizeof(struct group);
    struct group *groups = mem_alloc(groups_size);
    for (size_t i = 0; i < count; i++) {
        uint64_t end = log_place_position(&places[i]);
        if (i % GROUP_PLACES == 0) {
            groups[i / GROUP_PLACES] = (struct group){.position = end, .offset = bytes.size};
        } else {
            end = end_of(&places[i - 1]);
        }
        put_place(&bytes, &places[i], end);
    }
    struct log_pack *pack = mem_alloc(sizeof *pack + groups_size + bytes.size);
    pack->count = count;
    pack->bytes = (uint8_t *)pack->groups + groups_size;
    memcpy(pack->groups, groups, groups_size);
    memcpy(pack->bytes, bytes.data, bytes.size);
    free(groups);
    buf_close(&bytes);
    return pack;
}

void log_pack_free(struct log_pack *pack)
{
    free(pack);
}

size_t log_pack_count(const struct log_pack *pack)
{
    return pack->count;
}

static struct walk walk_of(const struct log_pack *pack, size_t group)
{
    const struct group *from = &pack->groups[group];
    return (struct walk){.next = pack->bytes + from->offset, .end = from->position};
}

struct log_place log_pack_get(const struct log_pack *pack, size_t at)
{
    ASSERT(at < pack->count);
    struct walk walk = walk_of(pack, at / GROUP_PLACES);
    for (size_t before = at % GROUP_PLACES; before > 0; before--) {
        (void)take_place(&walk);
    }
    return take_place(&walk);
}

size_t log_pack_find(const struct log_pack *pack, uint64_t position)
{
    size_t low = 0;
    size_t high = groups_of(pack->count);
    ASSERT(pack->groups[0].position <= position);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (pack->groups[middle].position <= position) {
            low = middle;
        } else {
            high = middle;
        }
    }
    struct walk walk = walk_of(pack, low);
    size_t at = low * GROUP_PLACES;
    size_t end = at + GROUP_PLACES < pack->count ? at + GROUP_PLACES : pack->count;
    (void)take_place(&walk);
    while (at + 1 < end) {
        struct log_place next = take_place(&walk);
        if (log_place_position(&next) > position) {
            break;
        }
        at++;
    }
    return at;
}
