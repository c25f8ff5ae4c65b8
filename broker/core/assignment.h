/* Which queues a member of a consumer group is to serve, by the strategies that RocketMQ's broker
 * knows. Pure. Source: QueryAssignmentProcessor, AllocateMessageQueueAveragely,
 * AllocateMessageQueueAveragelyByCircle. */
#ifndef BROKER_CORE_ASSIGNMENT_H
#define BROKER_CORE_ASSIGNMENT_H

#include "common/remoting/body.h"

enum assignment_strategy {
    STRATEGY_UNKNOWN,
    STRATEGY_AVERAGE, /* AVG: neighbouring queues, the first members have one more. */
    STRATEGY_CIRCLE,  /* AVG_BY_CIRCLE: queues are dealt like cards. */
};

enum assignment_strategy assignment_strategy_of(struct slice name);

struct assignment {
    enum assignment_strategy strategy;
    size_t member_count;
    size_t member; /* Place of the one that asks among all, sorted. */
    size_t queue_count;
    const struct queue_name *queues; /* Sorted. */
};

/* Those of one member; out has room for queue_count. How many. */
size_t assign(const struct assignment *assignment, struct queue_name *out);

/* Do all members of a group that pops share all queues? So they do if share_count names none. */
bool assignment_is_shared(const struct assignment *assignment, int32_t share_count);

/* Those of a member of a group that pops: it shares queues with share_count others that follow.
 * What all share is each broker once, for any of its queues (id -1); then `member` does not matter.
 * out has room for queue_count. How many. */
size_t assign_pop(const struct assignment *assignment, int32_t share_count, struct queue_name *out);

#endif
