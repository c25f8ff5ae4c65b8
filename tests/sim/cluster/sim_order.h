/* Orderly consumption, seen from outside: who is at work on which queue, and how far each is.
 *
 * A message of a queue is given to nobody before the one in front of it was consumed, and of one
 * queue no two are at work at a time. What retention cut nobody has to consume. */
#ifndef TESTS_SIM_CLUSTER_SIM_ORDER_H
#define TESTS_SIM_CLUSTER_SIM_ORDER_H

#include "common/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* The one topic that is consumed in order. */
#define ORDER_TOPIC "steps"

void order_open(void);

/* A listener is given a message, and returns: it was consumed, or is to come again. */
void order_begins(const char *who, struct slice broker, int32_t queue_id, int64_t offset);
void order_ends(const char *who, struct slice broker, int32_t queue_id, int64_t offset,
                bool consumed);
/* A process is no more: it is at work on nothing. */
void order_died(const char *who);

/* Was everything consumed that the logs have? */
bool order_done(const char **why);
/* Messages consumed for the first time. */
uint64_t order_consumed(void);

#endif
