/* The handle of a popped message (POP_CK), by which its consumer acknowledges it.
 *
 * RocketMQ's, eight words with a space between: the first offset of its queue in that answer, pop
 * time, invisible time, revive queue, kind of topic, broker, queue, offset. What names a delivery
 * for us is queue, offset and pop time. Pure; any thread. Source: ExtraInfoUtil. */
#ifndef BROKER_CORE_POP_HANDLE_H
#define BROKER_CORE_POP_HANDLE_H

#include "common/base/slice.h"

enum { POP_HANDLE_SIZE_MAX = 512 };

struct pop_handle {
    int64_t offset_first;
    uint64_t pop_ms;
    uint64_t invisible_ms;
    int32_t revive_queue;
    char kind; /* '0': of the topic itself; '1', '2': of a retry topic, which we do not have. */
    struct slice broker;
    int32_t queue_id;
    int64_t offset;
};

/* Take it apart; borrows from text. Without an eighth word the offset is the first one. False if it
 * is none. */
bool pop_handle_parse(struct slice text, struct pop_handle *handle);

#endif
