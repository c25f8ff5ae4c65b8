/* LockBatchRequestBody, UnlockBatchRequestBody and the answer (41, 42). */
#ifndef COMMON_REMOTING_BODY_LOCK_H
#define COMMON_REMOTING_BODY_LOCK_H

#include "common/remoting/body.h"

enum { LOCK_QUEUES_MAX = 65536 };

struct lock_request {
    struct slice group;
    struct slice client_id;
    bool only_this_broker;
    size_t queue_count;
    const struct queue_name *queues;
};

WARN_UNUSED enum status lock_request_decode(struct slice text, struct body *body,
                                            struct lock_request *out);
void lock_request_encode(const struct lock_request *request, struct buf *out);

/* The queues that are held now, exactly as they were asked for. */
WARN_UNUSED enum status lock_response_decode(struct slice text, struct body *body,
                                             const struct queue_name **queues, size_t *count);
void lock_response_encode(const struct queue_name *queues, size_t count, struct buf *out);

#endif
