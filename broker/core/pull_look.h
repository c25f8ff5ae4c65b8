/* What a pull would be answered with as its queue is now: which messages, or why none. Loop thread
 * only. Source: DefaultMessageStore.getMessage, PullMessageProcessor. */
#ifndef BROKER_CORE_PULL_LOOK_H
#define BROKER_CORE_PULL_LOOK_H

#include "broker/core/pulls.h"
#include "broker/core/reader.h"

enum {
    PULL_FOUND = 0,
    PULL_NOT_FOUND = 19,
    PULL_RETRY_IMMEDIATELY = 20,
    PULL_OFFSET_MOVED = 21,
    PULL_SIEVE = -1,      /* No answer: what is there must be read to know. */
    PULL_UNREADABLE = -2, /* Nor this: the index of the queue cannot be read here. */
};

struct pull_found {
    int32_t code;
    bool reset; /* It is PULL_OFFSET_MOVED because an operator has put the group elsewhere. */
    enum status status; /* Why it is PULL_UNREADABLE. */
    int64_t offset_next;
    int64_t offset_min;
    int64_t offset_max;
    uint64_t position;        /* Of the last entry that was looked at; 0: none was. */
    uint32_t count;           /* Messages, */
    struct message_ref first; /* and the first of them. */
};

/* Which messages is written to refs, READ_MESSAGES_MAX at most. */
void pull_look(struct broker *broker, const struct pull *pull, struct pull_found *found,
               struct message_ref *refs);

#endif
