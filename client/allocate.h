/* Sharing queues among the members of a group, as RocketMQ's clients do by default: every member
 * computes the same shares from equal lists. Pure. Source: AllocateMessageQueueAveragely. */
#ifndef CLIENT_ALLOCATE_H
#define CLIENT_ALLOCATE_H

#include <stddef.h>

/* Of `queues` queues, in order, the member at `place` of `members` takes [*first, *first + *count).
 * place < members. */
void allocate_averagely(size_t queues, size_t members, size_t place, size_t *first, size_t *count);

#endif
