/* What groups have popped and not acknowledged: the items of machine_pop.c and where they are kept.
 * Private to broker/machine/machine_pop*.c. */
#ifndef BROKER_MACHINE_MACHINE_POPPED_H
#define BROKER_MACHINE_MACHINE_POPPED_H

#include "broker/machine/machine_internal.h"

struct popped {
    struct heap_node due; /* In its queue's schedule, by (due_ms, offset). */
    struct map_node node; /* Among its queue's, by offset. */
    struct list dirty;
    struct pop_place *place;
    int64_t offset;
    int32_t queue_id;
    uint32_t repeats;
    uint64_t pop_ms;
    uint64_t first_pop_ms;
    bool stored; /* The store has a row for it. */
};

/* What of one queue a group has popped. */
struct pop_queue {
    struct map popped; /* struct popped */
    struct heap due;
};

/* What of a topic a group has popped; exists while there is any. */
struct pop_place {
    struct map_node node; /* By key: group, 0, topic (as key_offsets). */
    struct list in_topic;
    size_t count;
    uint32_t queue_count;
    struct pop_queue *queues;
    struct slice group;
    struct slice topic;
    uint32_t key_size;
    uint8_t key[]; /* Group and topic point into it. */
};

struct pop_place *pop_place_find(const struct machine *machine, struct slice group,
                                 struct slice topic);
/* The same; begun if there is none, with room for all queues of the topic. What it holds must not
 * stay nothing. */
struct pop_place *pop_place_get(struct machine *machine, struct slice group, struct topic *topic);
/* NULL if nothing of that queue can be popped there, or there is no place. */
struct pop_queue *pop_queue_of(const struct pop_place *place, int32_t queue_id);

/* NULL if it does not wait there, or there is no place. */
struct popped *popped_find(const struct pop_place *place, int32_t queue_id, int64_t offset);
/* It is to be delivered at once. */
struct popped *popped_add(struct machine *machine, struct pop_place *place, int32_t queue_id,
                          int64_t offset, uint64_t due_ms);
/* Now, so that it is due at due_ms. */
void popped_deliver(struct machine *machine, struct popped *popped, uint64_t due_ms);
/* The last one takes its place along. */
void popped_remove(struct machine *machine, struct popped *popped);

#endif
