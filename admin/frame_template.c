#include "admin/frame_template.h"

#include <string.h>

#define HOLE_TEXT(number) HOLE_TEXT_OF(number)
#define HOLE_TEXT_OF(number) #number

static const char *const holes[FRAME_HOLES] = {
    [FRAME_OPAQUE] = HOLE_TEXT(HOLE_OPAQUE),
    [FRAME_TIME] = HOLE_TIME,
    [FRAME_QUEUE] = HOLE_QUEUE,
    [FRAME_OFFSET] = HOLE_OFFSET,
    [FRAME_POSITION] = HOLE_POSITION,
    [FRAME_UNIQUE] = HOLE_UNIQUE,
};

void frame_template_init(struct frame_template *template, const struct command *command)
{
    *template = (struct frame_template){0};
    command_encode(command, &template->bytes);
    size_t header_size = template->bytes.size - command->body.size;
    for (size_t i = 0; i < FRAME_HOLES; i++) {
        const uint8_t *at = memmem(template->bytes.data, header_size, holes[i], strlen(holes[i]));
        template->at[i] = at == NULL ? 0 : (size_t)(at - template->bytes.data);
    }
}

void frame_template_close(struct frame_template *template)
{
    buf_close(&template->bytes);
}

size_t frame_append(const struct frame_template *template, struct buf *out)
{
    size_t begin = out->size;
    buf_put_slice(out, buf_slice(&template->bytes));
    return begin;
}

void frame_patch(const struct frame_template *template, struct buf *out, size_t begin,
                 enum frame_hole hole, uint64_t value)
{
    ASSERT(template->at[hole] != 0 && hole != FRAME_UNIQUE);
    uint8_t *digits = out->data + begin + template->at[hole];
    for (size_t i = strlen(holes[hole]); i-- > 0; value /= 10) {
        digits[i] = (uint8_t)('0' + value % 10);
    }
    ASSERT(value == 0);
}

void frame_patch_unique(const struct frame_template *template, struct buf *out, size_t begin,
                        uint64_t high, uint64_t low)
{
    ASSERT(template->at[FRAME_UNIQUE] != 0);
    uint8_t *digits = out->data + begin + template->at[FRAME_UNIQUE];
    for (size_t i = 16; i-- > 0; high >>= 4, low >>= 4) {
        digits[i] = (uint8_t) "0123456789ABCDEF"[high & 15];
        digits[16 + i] = (uint8_t) "0123456789ABCDEF"[low & 15];
    }
}
