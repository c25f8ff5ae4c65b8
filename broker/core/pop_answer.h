/* The answers to a pop. Loop thread only. Source: PopMessageResponseHeader,
 * NotificationResponseHeader, ExtraInfoUtil. */
#ifndef BROKER_CORE_POP_ANSWER_H
#define BROKER_CORE_POP_ANSWER_H

#include "broker/core/pop_look.h"

/* No messages: POLLING_TIMEOUT, POLLING_FULL or PULL_NOT_FOUND; who is only to be told is told
 * that. */
void pop_answer_none(struct broker *broker, const struct pop *pop, int32_t code);

/* To one who is only to be told: there is something. */
void pop_answer_some(struct broker *broker, const struct pop *pop);

/* The messages of a choice, delivered at pop_ms (0: only shown): they are read now. Copies. */
void pop_answer(struct broker *broker, const struct pop *pop, const struct pop_choice *choice,
                uint64_t pop_ms);

#endif
