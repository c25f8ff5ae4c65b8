/* Consumer offsets on their way into the log: one small operation each, in whatever batch is open.
 * Loop thread only. */
#ifndef BROKER_CORE_OFFSET_COMMIT_H
#define BROKER_CORE_OFFSET_COMMIT_H

#include "broker/core/proposer.h"
#include "broker/machine/operation.h"

/* Propose an offset unless the state already has it (STATUS_OK: the waiter is not called).
 * `waiter` NULL: nobody waits. Errors as proposer_begin(); STATUS_PENDING if it was taken. */
WARN_UNUSED enum status offset_commit_propose(struct broker *broker,
                                              const struct offset_commit *commit,
                                              const struct waiter *waiter);

#endif
