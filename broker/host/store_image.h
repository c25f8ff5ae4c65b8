/* The state machine's store as an image for other members (raft-glue/fetch_image.h): its rows, one
 * after the other, each u32 size of the key, u32 size of the value (little-endian), key, value.
 * A row may straddle pieces. */
#ifndef BROKER_HOST_STORE_IMAGE_H
#define BROKER_HOST_STORE_IMAGE_H

#include "broker/machine/machine.h"
#include "common/store/kv.h"
#include "raft-glue/fetch_image.h"

/* A source over a store that is in use: an image is what the last checkpoint left. */
struct store_source {
    struct kv *kv;
};

struct image_source store_image_source(struct store_source *source);

/* A sink that makes a store of its own at a path. */
struct store_sink {
    const char *path;
    size_t cache_size;
    struct kv *kv;      /* NULL: none is open. */
    struct buf partial; /* A row whose end has not come yet. */
};

struct image_sink store_image_sink(struct store_sink *sink);

/* After a copy that was given up. */
void store_sink_close(struct store_sink *sink);

#endif
