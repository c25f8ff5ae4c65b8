/* What becomes of a message that a consumer could not handle: it comes again, later each time, or
 * it becomes a dead letter. Pure.
 * Source: AbstractSendMessageProcessor.consumerSendMsgBack, SendMessageProcessor.handleRetryAndDLQ.
 */
#ifndef BROKER_CORE_RETRY_H
#define BROKER_CORE_RETRY_H

#include "broker/machine/operation.h"

enum {
    RETRY_LEVEL_FIRST = 3,       /* The delay level before the first retry; one more each time. */
    CLIENT_VERSION_3_4_9 = 121,  /* Ordinal of the first version whose limit of attempts counts. */
    DEAD_LETTER_QUEUE_COUNT = 1, /* DLQ_NUMS_PER_GROUP */
};

/* After how many attempts a message of the group is a dead letter; `asked` is the limit of the
 * client, -1 if it gave none. */
int32_t retry_times_max(const struct group_spec *group, int32_t client_version, int32_t asked);

/* The delay level of the next attempt: `asked` by the consumer (0: choose), after `times`. At least
 * 1. */
int64_t retry_level(int32_t asked, int32_t times);

#endif
