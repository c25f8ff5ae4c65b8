/* What the decoded JSON bodies (body_*.h) have in common.
 *
 * Each x_decode(text, …, body, out) fills `out` with slices and arrays that live in `body` until
 * body_close(body). On an error the body is closed already and `out` undefined. Each x_encode()
 * appends strict JSON. Pure; any thread; off the hot path (jansson). */
#ifndef COMMON_REMOTING_BODY_H
#define COMMON_REMOTING_BODY_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/base/status.h"

/* A zeroed body is empty and valid. */
struct body {
    struct arena arena;
    void *json;
};

void body_close(struct body *body);

enum {
    /* A heartbeat or any other body of a client; the tables of tools and brokers may fill a frame.
     */
    CLIENT_BODY_SIZE_MAX = 2 * 1024 * 1024,
    PAIRS_MAX = 65536, /* Attributes of a topic, pairs of a table. */
};

/* One entry of a map of texts. */
struct text_pair {
    struct slice name;
    struct slice value;
};

/* A queue, as bodies name it (MessageQueue). */
struct queue_name {
    struct slice topic;
    struct slice broker;
    int32_t queue_id;
};

/* DataVersion: which state of its tables a broker speaks of; equal only if all three are. */
struct data_version {
    int64_t state; /* stateVersion: for us the Raft term. */
    int64_t timestamp_ms;
    int64_t counter;
};

static inline bool data_version_equals(const struct data_version *a, const struct data_version *b)
{
    return a->state == b->state && a->timestamp_ms == b->timestamp_ms && a->counter == b->counter;
}

WARN_UNUSED enum status data_version_decode(struct slice text, struct data_version *out);
void data_version_encode(const struct data_version *version, struct buf *out);

#endif
