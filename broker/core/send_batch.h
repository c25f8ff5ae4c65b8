/* The body of a batch: messages back to back in the client's layout, turned into stored messages.
 * Source: MessageDecoder.encodeMessages, CommitLog (putMessages). Pure. */
#ifndef BROKER_CORE_SEND_BATCH_H
#define BROKER_CORE_SEND_BATCH_H

#include "common/base/status.h"
#include "common/remoting/message.h"

struct batch_shape {
    uint32_t count;
    size_t stored_size;  /* Of all messages when stored. */
    const char *trouble; /* On error: what is wrong, for the client. */
};

/* Check a batch and tell its size when stored. `common` is what all messages share.
 * Errors: STATUS_MESSAGE_ILLEGAL  empty, malformed, too many messages, or one beyond a limit. */
WARN_UNUSED enum status send_batch_measure(struct slice body, const struct message *common,
                                           struct batch_shape *shape);

enum { UNIQUE_KEY_KEPT_MAX = 64 };

/* What the answer to a send needs beside the result of apply. */
struct stored_context {
    uint32_t *sizes; /* Of each stored message of a batch; NULL for a single one. */
    uint32_t count;
    struct buf recall; /* Of a timer: its handle as begun; else empty. */
    uint8_t unique_key_size;
    char unique_key[UNIQUE_KEY_KEPT_MAX];
};

/* Append the stored messages of a measured batch; the returned context is the caller's. */
struct stored_context *send_batch_append(struct slice body, const struct message *common,
                                         const struct batch_shape *shape, struct buf *out);

void stored_context_free(struct stored_context *context);

#endif
