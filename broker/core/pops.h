/* Pops: consumers that ask for messages, and those that are parked until there are some.
 *
 * What a pop takes is chosen here and decided by apply; it is answered once that is committed. Of
 * one queue and group one pop is under way at a time, so that apply has little to refuse. One
 * answer holds messages of one queue. A parked pop waits at its topic, and is looked at again at
 * the end of the loop turn in which something arrived there, or something that was popped is due,
 * or a pop under way has ended. One that only passes over messages which it does not want ends with
 * its time, and nothing is taken for one whose client has given up. Those who only want to be told
 * of messages wait among them, and are told one of a group at a time: the next one when the pop of
 * the first left something, or at the next tick if no pop came of it. Leader only. Loop thread
 * only. Source: PopMessageProcessor, PopLongPollingService, QueueLockManager,
 * NotificationProcessor. */
#ifndef BROKER_CORE_POPS_H
#define BROKER_CORE_POPS_H

#include "broker/core/request.h"
#include "common/base/heap.h"
#include "common/base/map.h"

struct broker;
struct pop;
struct queue;

struct pops {
    struct broker *broker;
    struct map topics; /* struct parked_topic */
    struct map lanes;  /* struct popping, by queue and group: one at a time */
    struct heap due;   /* struct parked_pop.timer */
    struct list woken; /* struct parked_topic.woken */
    struct list again; /* struct popping that somebody was quicker than. */
    size_t count;
    uint64_t next_tie;
    uint32_t turn; /* Which queue is looked at first. */
};

void pops_init(struct pops *pops, struct broker *broker);
/* None may be under way: their operations have ended. */
void pops_close(struct pops *pops);

/* Serve a pop: answers it, or parks it. Takes the pop. */
void pops_serve(struct pops *pops, struct pop *pop);

/* How many pops of a group wait at a topic, with just this queue id; those who are only to be told
 * do not count. */
size_t pops_waiting(const struct pops *pops, struct slice group, struct slice topic,
                    int32_t queue_id);

/* Queues of a topic have new messages, or an offset was reset. */
void pops_on_topic_grown(struct pops *pops, struct slice topic);
/* We do not lead any more: those who wait are to ask again. */
void pops_on_deposed(struct pops *pops);
/* Look at what was woken; end of the loop turn. */
void pops_turn(struct pops *pops);
/* Answer those whose time is over; wake where something is due. */
void pops_tick(struct pops *pops, uint64_t now_ms);
/* Forget those of a channel that is gone. */
void pops_drop_channel(struct pops *pops, struct channel *channel);

#endif
