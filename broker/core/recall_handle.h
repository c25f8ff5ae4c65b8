/* The handle by which the sender of a timer message takes it back.
 *
 * base64url of "v1 topic brokerName deliverMs id": clients take the broker's name from it. Our id
 * is the message's UNIQ_KEY, a dot, and its position. Pure. Source: RecallMessageHandle. */
#ifndef BROKER_CORE_RECALL_HANDLE_H
#define BROKER_CORE_RECALL_HANDLE_H

#include "common/base/buf.h"

enum { RECALL_HANDLE_SIZE_MAX = 2048 };

struct recall_handle {
    struct slice topic;
    struct slice broker;
    uint64_t deliver_ms;
    struct slice unique_key;
    uint64_t position;
};

/* Append all of it but the position, not encoded yet: that is known later. False, and nothing is
 * appended, if the key has a space in it: then there is no handle. */
bool recall_handle_begin(struct slice topic, struct slice broker, uint64_t deliver_ms,
                         struct slice unique_key, struct buf *out);
/* Append the handle of what was begun. */
void recall_handle_end(struct slice begun, uint64_t position, struct buf *out);

/* False if it is none. Borrows from scratch, to which it appends. */
bool recall_handle_parse(struct slice text, struct buf *scratch, struct recall_handle *handle);

#endif
