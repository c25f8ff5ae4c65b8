/* The handle of a popped message (POP_CK), by which its consumer acknowledges it.
 *
 * RocketMQ's, eight words with a space between: the first offset of its queue in that answer, pop
 * time, invisible time, revive queue, kind of topic, broker, queue, offset. What names a delivery
 * for raftmq is queue, offset and pop time; Apache RocketMQ needs the rest. Pure; any thread.
 * Source: ExtraInfoUtil. */
#ifndef COMMON_REMOTING_POP_HANDLE_H
#define COMMON_REMOTING_POP_HANDLE_H

#include "common/base/buf.h"

enum { POP_HANDLE_SIZE_MAX = 512 };

/* Of which topic the queue and offset are: a broker's own retry topics have kinds of their own,
 * which raftmq does not need. */
enum { POP_KIND_TOPIC = '0', POP_KIND_RETRY = '1', POP_KIND_RETRY_2 = '2' };

struct pop_handle {
    int64_t offset_first;
    uint64_t pop_ms;
    uint64_t invisible_ms;
    int32_t revive_queue;
    char kind; /* POP_KIND_* */
    struct slice broker;
    int32_t queue_id;
    int64_t offset;
};

/* Take it apart; borrows from text. Without an eighth word the offset is the first one. False if it
 * is none. */
bool pop_handle_parse(struct slice text, struct pop_handle *handle);

/* Append it as text. */
void pop_handle_format(const struct pop_handle *handle, struct buf *out);

#endif
