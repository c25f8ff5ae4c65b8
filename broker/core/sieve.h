/* A pull by SQL92: messages are read and those that pass are kept, because the index of a queue
 * knows of tags only.
 *
 * It reads in rounds: first as many messages as are wanted, then twice as many, and so on, until
 * enough have passed, the queue ends, or it has done the work that one pull may cause. Loop thread
 * only. Source: DefaultMessageStore.getMessage, ExpressionMessageFilter. */
#ifndef BROKER_CORE_SIEVE_H
#define BROKER_CORE_SIEVE_H

#include "broker/core/broker.h"

enum {
    /* Messages that one pull may have looked at, as in RocketMQ (maxFilterMessageSize / 20). */
    SIEVE_MESSAGES_MAX = 800,
    /* And the cost of evaluating their filter (sql_filter_cost): some ten milliseconds. */
    SIEVE_COST_MAX = 16 * 1024 * 1024,
};

struct sieve_request {
    struct name topic;
    int32_t queue_id;
    int64_t offset; /* Where to begin. */
    uint32_t messages_max;
    uint32_t bytes_max;            /* One message may be larger. */
    struct message_filter *filter; /* With SQL92. */
};

struct sieved {
    enum status status;  /* Other than OK: nothing is kept, and the next message cannot be read. */
    int64_t offset_next; /* Up to where it has looked. */
    uint64_t position;   /* Of the last entry that it looked at; 0: none. */
    uint32_t count;      /* Messages kept. */
    struct slice messages; /* Back to back; valid until the callback returns. */
};

typedef void sieve_cb(struct broker *broker, void *context, const struct sieved *sieved);

/* Look through a queue; done is called exactly once, maybe before this returns. Copies the request
 * and holds its filter. */
void sieve_start(struct broker *broker, const struct sieve_request *request, sieve_cb *done,
                 void *context);

#endif
