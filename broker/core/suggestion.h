/* Where a consumer is told to pull next: suggestWhichBrokerId.
 *
 * One that lags far reads what is no longer in memory, and has it read from the leader's disk,
 * where all others write. If slaveReadEnable is set it is sent to a follower, which serves what it
 * has applied, all of it committed, and sends it home before it gets near the end. A suggestion is
 * no more than that: whoever follows one that was wrong is late, and misses nothing.
 * Loop thread only. Source: DefaultMessageStore.getMessage, PullMessageProcessor. */
#ifndef BROKER_CORE_SUGGESTION_H
#define BROKER_CORE_SUGGESTION_H

#include "broker/core/pulls.h"

enum { LEADER_BROKER_ID = 0 }; /* As registered at nameservers; followers have their member id. */

/* The broker id for an answer after which there is more to read, behind the entry at `position` of
 * the log; 0: nothing was looked at, the consumer pulls from the leader. */
uint64_t suggest_broker(struct broker *broker, const struct pull *pull, uint64_t position);

#endif
