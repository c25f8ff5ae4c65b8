/* Messages as brokers deliver them, decoded for the application. Pure; any thread. */
#ifndef CLIENT_RECEIVED_H
#define CLIENT_RECEIVED_H

#include "client/include/raftmq.h"
#include "common/base/arena.h"
#include "common/base/check.h"
#include "common/base/status.h"

/* A zeroed one is empty and valid. */
struct received {
    struct raftmq_received message;
    struct arena arena; /* All that message points to. */
};

/* Decode the message at the start of *rest and go past it. Copies. A message of a group's retry
 * topic gets its first topic back; deflated bodies are inflated.
 * Errors: STATUS_MALFORMED  also if a body does not inflate, or to more than it may; *rest is past
 *                           the message if its size is known, else empty. */
WARN_UNUSED enum status received_decode(struct slice *rest, struct slice broker,
                                        struct received *out);

/* Give it the handle of a popped message. Copies. */
void received_set_handle(struct received *received, struct slice handle);

void received_close(struct received *received);

#endif
