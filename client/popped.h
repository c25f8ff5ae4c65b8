/* The request that takes messages (POP_MESSAGE), and what it brings. Any thread but the client's
 * own. */
#ifndef CLIENT_POPPED_H
#define CLIENT_POPPED_H

#include "client/simple_consumer.h"

/* What is asked for, wherever. */
struct popped_request {
    uint32_t messages_max;
    uint64_t invisible_ms;
};

/* Ask one place, without waiting for messages to come. Messages that the broker let through by the
 * hash of a tag they do not have are acknowledged and left out; unreadable ones are left out.
 * RAFTMQ_OK with *messages NULL: there are none. */
enum raftmq_status popped_ask(const struct place *place, struct host host,
                              const struct popped_request *wanted,
                              struct raftmq_messages **messages, struct raftmq_error *error);

/* No messages, as a result of raftmq_receive(). */
struct raftmq_messages *popped_nothing(void);

#endif
