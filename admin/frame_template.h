/* A frame that is encoded once and then only patched: what a sender that shares its cores with the
 * brokers can afford. Numbers keep their width, with leading zeros. Pure. */
#ifndef ADMIN_FRAME_TEMPLATE_H
#define ADMIN_FRAME_TEMPLATE_H

#include "common/remoting/command.h"

/* Stand-ins for what is patched: put them into the command before frame_template_init(). */
#define HOLE_OPAQUE 1111111111
#define HOLE_TIME "2222222222222"
#define HOLE_QUEUE "3333"
#define HOLE_OFFSET "4444444444444444444"
#define HOLE_POSITION "5555555555555555555"
#define HOLE_UNIQUE "UUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUU"

enum frame_hole {
    FRAME_OPAQUE,
    FRAME_TIME,
    FRAME_QUEUE,
    FRAME_OFFSET,
    FRAME_POSITION,
    FRAME_UNIQUE,
    FRAME_HOLES,
};

struct frame_template {
    struct buf bytes;
    size_t at[FRAME_HOLES]; /* 0: not in this frame. */
};

/* Encode the command and find its holes. */
void frame_template_init(struct frame_template *template, const struct command *command);
void frame_template_close(struct frame_template *template);

/* Append a copy to out; returns where it begins. */
size_t frame_append(const struct frame_template *template, struct buf *out);
/* Patch the copy that begins at `begin`. */
void frame_patch(const struct frame_template *template, struct buf *out, size_t begin,
                 enum frame_hole hole, uint64_t value);
/* A message id of two halves, as 32 hex digits. */
void frame_patch_unique(const struct frame_template *template, struct buf *out, size_t begin,
                        uint64_t high, uint64_t low);

#endif
