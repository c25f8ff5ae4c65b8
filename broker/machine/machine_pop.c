/* Popped messages: handed to a consumer, invisible to others until acknowledged or due again.
 *
 * A group's offset in a queue is how far it has popped; what lies below and is not acknowledged
 * has an entry here. It is delivered again from its queue once it is due, without a copy. A
 * delivery is named by (group, topic, queue, offset, time): one that is no longer the last of its
 * message can do nothing. Places hang off their topic, so that they move with its queues. */
#include "broker/machine/machine_popped.h"

/* Which of the offsets were popped before: those below, [0, *again). False if one is out of order,
 * not in the queue, not popped, or not due. */
static bool offsets_fit(const struct machine *machine, const struct operation_pop *pop,
                        const struct queue *queue, uint32_t *again)
{
    const struct pop_place *place = pop_place_find(machine, pop->group, pop->topic);
    int64_t previous = -1;
    *again = 0;
    for (uint32_t i = 0; i < pop->count; i++) {
        int64_t offset = pop->offsets[i];
        if (offset <= previous || offset < queue->offset_first || offset >= pop->next) {
            return false;
        }
        previous = offset;
        if (offset >= pop->from) {
            continue;
        }
        const struct popped *popped = popped_find(place, pop->queue_id, offset);
        if (popped == NULL || popped->due.due > machine->meta.clock_ms) {
            return false;
        }
        *again = i + 1;
    }
    return true;
}

static enum status pop_check(const struct machine *machine, const struct operation_pop *pop,
                             const struct topic *topic, uint32_t *again)
{
    struct name name;
    int64_t stands = POP_FROM_NOWHERE;
    if (pop->group.size == 0 || !name_set(&name, pop->group)) {
        return STATUS_GROUP_INVALID;
    }
    if (topic == NULL) {
        return STATUS_TOPIC_UNKNOWN;
    }
    if (pop->queue_id < 0 || (uint32_t)pop->queue_id >= topic->queue_count) {
        return STATUS_QUEUE_INVALID;
    }
    if (pop->invisible_ms == 0) {
        return STATUS_INVALID_ARGUMENT; // It would be with two consumers at once.
    }
    const struct queue *queue = &topic->queues[pop->queue_id];
    machine_offset_find(machine, pop->group, pop->topic, pop->queue_id, &stands);
    // A group may stand beyond the end: commits say so.
    bool moves = pop->next != pop->from;
    if (pop->from != stands || pop->next < pop->from || pop->next < 0 ||
        (moves && pop->next > queue->offset_next) || !offsets_fit(machine, pop, queue, again)) {
        return STATUS_STALE; // Somebody was quicker.
    }
    uint32_t fresh = pop->count - *again;
    uint32_t waiting = machine_popped_count(machine, pop->group, pop->topic, pop->queue_id);
    return machine->popped_count + fresh > POPPED_MAX || waiting + fresh > POPPED_PER_QUEUE_MAX
               ? STATUS_OVERLOADED
               : STATUS_OK;
}

void apply_pop(struct machine *machine, const struct operation_pop *pop,
               struct operation_result *result)
{
    uint32_t again = 0;
    struct topic *topic = topic_find(machine, pop->topic);
    result->status = pop_check(machine, pop, topic, &again);
    if (result->status == STATUS_OK && pop->next != pop->from) {
        result->status = offset_move(machine, pop->group, topic, pop->queue_id, pop->next);
    }
    if (result->status != STATUS_OK) {
        return;
    }
    uint64_t due_ms = machine->meta.clock_ms + pop->invisible_ms;
    result->pop_ms = machine->meta.clock_ms;
    if (pop->count == 0) {
        return; // Nothing passed the filter.
    }
    struct pop_place *place = pop_place_get(machine, pop->group, topic);
    for (uint32_t i = 0; i < pop->count; i++) {
        if (i < again) {
            struct popped *popped = popped_find(place, pop->queue_id, pop->offsets[i]);
            popped->repeats++;
            popped_deliver(machine, popped, due_ms);
        } else {
            struct popped *popped =
                popped_add(machine, place, pop->queue_id, pop->offsets[i], due_ms);
            popped->first_pop_ms = machine->meta.clock_ms;
            popped_deliver(machine, popped, due_ms);
        }
    }
}

/* NULL if the delivery is not the last one of a message that waits. */
static struct popped *delivered_find(const struct machine *machine, struct slice group,
                                     struct slice topic, const struct delivery *delivery)
{
    struct popped *popped =
        popped_find(pop_place_find(machine, group, topic), delivery->queue_id, delivery->offset);
    return popped != NULL && popped->pop_ms == delivery->pop_ms ? popped : NULL;
}

/* Deliveries of many messages share an operation: one that is stale does not harm the others. */
void apply_ack(struct machine *machine, const struct operation_ack *ack,
               struct operation_result *result)
{
    result->status = ack->count == 0 ? STATUS_OK : STATUS_NOT_FOUND;
    for (uint32_t i = 0; i < ack->count; i++) {
        struct popped *popped =
            delivered_find(machine, ack->group, ack->topic, &ack->deliveries[i]);
        if (popped != NULL) {
            popped_remove(machine, popped);
            result->status = STATUS_OK;
        }
    }
}

void apply_invisible(struct machine *machine, const struct operation_invisible *invisible,
                     struct operation_result *result)
{
    struct popped *popped =
        delivered_find(machine, invisible->group, invisible->topic, &invisible->delivery);
    if (popped == NULL) {
        result->status = STATUS_NOT_FOUND;
        return;
    }
    result->status = STATUS_OK;
    result->pop_ms = machine->meta.clock_ms;
    popped_deliver(machine, popped, machine->meta.clock_ms + invisible->invisible_ms);
}

/* --- What takes them along ---------------------------------------------------------------- */

static void queue_drop(struct machine *machine, struct pop_place *place, int32_t queue_id,
                       int64_t below)
{
    struct pop_queue *queue = pop_queue_of(place, queue_id);
    if (queue == NULL) {
        return;
    }
    size_t left = queue->popped.count; // The last one takes the place along.
    for (struct map_node *node = map_first(&queue->popped); left > 0; left--) {
        struct popped *popped = CONTAINER_OF(node, struct popped, node);
        node = left == 1 ? NULL : CONTAINER_OF(node->order.next, struct map_node, order);
        if (popped->offset < below) {
            popped_remove(machine, popped);
        }
    }
}

static void place_drop(struct machine *machine, struct pop_place *place)
{
    for (uint32_t i = place->queue_count; i > 0; i--) {
        bool last = pop_queue_of(place, (int32_t)i - 1)->popped.count == place->count;
        queue_drop(machine, place, (int32_t)i - 1, INT64_MAX);
        if (last) {
            return;
        }
    }
}

void popped_cut(struct machine *machine, const struct queue *queue, int64_t offset_first)
{
    LIST_FOREACH(at, &queue->topic->pop_places)
    {
        queue_drop(machine, CONTAINER_OF(at, struct pop_place, in_topic), queue->id, offset_first);
    }
}

void popped_reset(struct machine *machine, struct slice group, struct slice topic, int32_t queue_id)
{
    struct pop_place *place = pop_place_find(machine, group, topic);
    if (place != NULL) {
        queue_drop(machine, place, queue_id, INT64_MAX);
    }
}

/* Of a queue that has any. */
static int64_t offset_least(const struct pop_queue *queue)
{
    int64_t least = INT64_MAX;
    MAP_FOREACH(node, &queue->popped)
    {
        int64_t offset = CONTAINER_OF(node, struct popped, node)->offset;
        least = offset < least ? offset : least;
    }
    return least;
}

void popped_return(struct machine *machine, struct slice group, struct topic *topic)
{
    for (uint32_t i = 0; i < topic->queue_count; i++) {
        struct pop_place *place = pop_place_find(machine, group, name_slice(&topic->name));
        const struct pop_queue *queue = pop_queue_of(place, (int32_t)i);
        if (queue != NULL && queue->popped.count > 0) {
            enum status status =
                offset_move(machine, group, topic, (int32_t)i, offset_least(queue));
            ASSERT(status == STATUS_OK); // What was popped has an offset above it.
            queue_drop(machine, place, (int32_t)i, INT64_MAX);
        }
    }
}

void popped_delete_topic(struct machine *machine, struct topic *topic)
{
    LIST_FOREACH(at, &topic->pop_places)
    {
        place_drop(machine, CONTAINER_OF(at, struct pop_place, in_topic));
    }
}

void popped_delete_group(struct machine *machine, struct slice group)
{
    MAP_FOREACH(node, &machine->pop_places)
    {
        struct pop_place *place = CONTAINER_OF(node, struct pop_place, node);
        if (slice_equals(place->group, group)) {
            place_drop(machine, place);
        }
    }
}
