/* Bodies of popping and of the broker's assignment: BatchAckMessageRequestBody (200151),
 * QueryAssignmentRequestBody and its answer (400), SetMessageRequestModeRequestBody (401),
 * MessageRequestModeSerializeWrapper (402). */
#ifndef COMMON_REMOTING_BODY_POP_H
#define COMMON_REMOTING_BODY_POP_H

#include "common/remoting/body.h"

enum {
    BATCH_ACKS_MAX = 1024,            /* Entries of one request, */
    BATCH_ACK_BITS_MAX = 1024 * 1024, /* and offsets that all of them may speak of. */
};

/* Messages of one queue, popped together. */
struct batch_ack {
    struct slice group;
    struct slice topic;
    struct slice retry; /* "0": of the topic itself. */
    int64_t offset_first;
    int32_t queue_id;
    int32_t revive_queue; /* This and the invisible time are for Apache RocketMQ. */
    int64_t pop_ms;
    int64_t invisible_ms;
    struct slice bits; /* Bit i % 8 of byte i / 8 acknowledges offset_first + i. */
};

struct batch_ack_request {
    struct slice broker;
    size_t count;
    const struct batch_ack *acks;
};

/* Errors: STATUS_MALFORMED, also beyond the bounds. */
WARN_UNUSED enum status batch_ack_decode(struct slice text, struct body *body,
                                         struct batch_ack_request *out);
void batch_ack_encode(const struct batch_ack_request *request, struct buf *out);

struct mode_request {
    struct slice topic;
    struct slice group;
    bool pop; /* Else pull. */
    int32_t share_count;
};
/* Errors: STATUS_MALFORMED, also for another mode. */
WARN_UNUSED enum status mode_request_decode(struct slice text, struct body *body,
                                            struct mode_request *out);
/* The answer to 402. Modes of one topic must stand together. */
void mode_table_encode(const struct mode_request *modes, size_t count, struct buf *out);

struct assignment_request {
    struct slice topic;
    struct slice group;
    struct slice client_id;
    struct slice strategy;
    bool broadcasting;
};
WARN_UNUSED enum status assignment_request_decode(struct slice text, struct body *body,
                                                  struct assignment_request *out);

/* The queues that a member is to serve, all the same way; queues NULL: it is to keep what it has.
 */
void assignment_response_encode(const struct queue_name *queues, size_t count, bool pop,
                                struct buf *out);

#endif
