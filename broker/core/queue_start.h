/* Where a group that is new to a queue begins. Loop thread only.
 * Source: ConsumerOffsetManager, PopMessageProcessor.getInitOffset. */
#ifndef BROKER_CORE_QUEUE_START_H
#define BROKER_CORE_QUEUE_START_H

#include "broker/machine/machine.h"

struct broker;

/* As RocketMQ has it, a group that is new to a young topic begins with its first message, also when
 * it asks for the last: what was sent a moment before it came is what it wants. Young means that
 * nothing was removed yet and little lies between the ends. */
bool queue_is_young(struct broker *broker, const struct queue *queue);

#endif
