/* The checker: asks producers about half messages that nobody decided (check-back).
 *
 * Leader only, and only while a majority has been heard of lately. The schedule is replicated state
 * (the machine's due heaps, one per producer group), so a new leader goes on where the old one was.
 * A group without a connected producer is simply not visited: its transactions stay due, without
 * using up attempts, and are asked about the moment a producer registers. An attempt counts only if
 * the question was handed to a live connection: it is sent first and logged then.
 * Loop thread only. Source: TransactionalMessageServiceImpl,
 * AbstractTransactionalMessageCheckListener. */
#ifndef BROKER_CORE_CHECKER_H
#define BROKER_CORE_CHECKER_H

#include "broker/machine/machine.h"

struct broker;
struct check_round;

struct checker {
    struct broker *broker;
    struct check_round *round; /* At most one is under way. */
    int32_t next_opaque;
};

void checker_init(struct checker *checker, struct broker *broker);
void checker_close(struct checker *checker);

/* Start a round if something is due and its producers are there. */
void checker_tick(struct checker *checker);

/* Why a transaction has not been decided, for people: static text. */
const char *checker_reason(const struct checker *checker, const struct transaction *transaction);

#endif
