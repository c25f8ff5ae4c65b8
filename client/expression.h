/* Inside the library: how expressions are told to brokers, and what is left to compare here. */
#ifndef CLIENT_EXPRESSION_H
#define CLIENT_EXPRESSION_H

#include "client/include/raftmq.h"
#include "common/remoting/subscription.h"

/* expressionType on the wire; static text. */
static inline struct slice expression_type_name(enum raftmq_expression type)
{
    return slice_text(type == RAFTMQ_SQL92 ? "SQL92" : "TAG");
}

/* Is a message that the broker let through wanted? It compares tags by hash only; by SQL92 it alone
 * decides. */
static inline bool expression_passes(enum raftmq_expression type, struct slice expression,
                                     const struct raftmq_received *message)
{
    return type == RAFTMQ_SQL92 || subscription_matches(expression, slice_text(message->tags));
}

#endif
