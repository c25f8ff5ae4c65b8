/* The scheduler: says FIRE for delayed messages whose time has come.
 *
 * Leader only. The schedule is replicated state, and a message fires once whoever says it, so a new
 * leader simply goes on: what an old one had under way is refused or never was. Loop thread only.
 * Source: ScheduleMessageService, TimerMessageStore. */
#ifndef BROKER_CORE_SCHEDULER_H
#define BROKER_CORE_SCHEDULER_H

#include <stdint.h>

struct broker;

struct scheduler {
    struct broker *broker;
    uint32_t under_way; /* FIREs without a result: the next round waits for them. */
};

void scheduler_init(struct scheduler *scheduler, struct broker *broker);

/* Fire what is due. */
void scheduler_tick(struct scheduler *scheduler);

#endif
