/* Popped messages: handed to a consumer, invisible to others until acknowledged or due again.
 *
 * A group's offset in a queue is how far it has popped; what lies below and is not acknowledged
 * has an entry here. It is delivered again from its queue once it is due, without a copy. A
 * delivery is named by (group, topic, queue, offset, time): one that is no longer the last of its
 * message can do nothing. Places hang off their topic, so that they move with its queues. */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

enum { POPPED_DIRTY_SIZE = 96 };

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

static struct pop_place *place_find(const struct machine *machine, struct slice group,
                                    struct slice topic);
static struct pop_place *place_get(struct machine *machine, struct slice group,
                                   struct topic *topic);
static void place_grow(struct pop_place *place, uint32_t count);
static void place_free(struct machine *machine, struct pop_place *place);
static struct pop_queue *queue_of(const struct pop_place *place, int32_t queue_id);
static struct popped *popped_find(const struct pop_place *place, int32_t queue_id, int64_t offset);
static struct popped *popped_add(struct machine *machine, struct pop_place *place, int32_t queue_id,
                                 int64_t offset, uint64_t due_ms);
static void popped_deliver(struct machine *machine, struct popped *popped, uint64_t due_ms);
static void popped_remove(struct machine *machine, struct popped *popped);

/* --- Applying ----------------------------------------------------------------------------- */

/* Which of the offsets were popped before: those below, [0, *again). False if one is out of order,
 * not in the queue, not popped, or not due. */
static bool offsets_fit(const struct machine *machine, const struct operation_pop *pop,
                        const struct queue *queue, uint32_t *again)
{
    const struct pop_place *place = place_find(machine, pop->group, pop->topic);
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
    struct pop_place *place = place_get(machine, pop->group, topic);
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
        popped_find(place_find(machine, group, topic), delivery->queue_id, delivery->offset);
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
    struct pop_queue *queue = queue_of(place, queue_id);
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
        bool last = queue_of(place, (int32_t)i - 1)->popped.count == place->count;
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
    struct pop_place *place = place_find(machine, group, topic);
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
        struct pop_place *place = place_find(machine, group, name_slice(&topic->name));
        const struct pop_queue *queue = queue_of(place, (int32_t)i);
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

/* --- Places ------------------------------------------------------------------------------- */

static struct pop_place *place_find(const struct machine *machine, struct slice group,
                                    struct slice topic)
{
    if (group.size > NAME_MAX_SIZE || topic.size > NAME_MAX_SIZE) {
        return NULL;
    }
    struct key key = key_offsets(group, topic);
    struct map_node *node = map_find(&machine->pop_places, key_slice(&key));
    return node == NULL ? NULL : CONTAINER_OF(node, struct pop_place, node);
}

static struct pop_place *place_get(struct machine *machine, struct slice group, struct topic *topic)
{
    struct pop_place *place = place_find(machine, group, name_slice(&topic->name));
    if (place == NULL) {
        struct key key = key_offsets(group, name_slice(&topic->name));
        place = mem_zalloc(sizeof *place + key.size);
        place->key_size = key.size;
        memcpy(place->key, key.bytes, key.size);
        struct slice bytes = slice_of(place->key, place->key_size);
        bool whole = key_offsets_parse(bytes, &place->group, &place->topic);
        ASSERT(whole);
        map_put(&machine->pop_places, &place->node, bytes);
        list_append(&topic->pop_places, &place->in_topic);
    }
    place_grow(place, topic->queue_count);
    return place;
}

static void place_grow(struct pop_place *place, uint32_t count)
{
    if (count <= place->queue_count) {
        return;
    }
    // Heads of maps lie in their entries' lists, so they cannot move: build anew.
    struct pop_queue *queues = mem_zalloc(count * sizeof *queues);
    for (uint32_t i = 0; i < place->queue_count; i++) {
        struct pop_queue *from = &place->queues[i];
        for (struct map_node *node; (node = map_first(&from->popped)) != NULL;) {
            map_remove(&from->popped, node);
            map_put(&queues[i].popped, node, node->key);
        }
        map_close(&from->popped);
        queues[i].due = from->due;
    }
    free(place->queues);
    place->queues = queues;
    place->queue_count = count;
}

static void place_free(struct machine *machine, struct pop_place *place)
{
    for (uint32_t i = 0; i < place->queue_count; i++) {
        map_close(&place->queues[i].popped);
        heap_close(&place->queues[i].due);
    }
    list_remove(&place->in_topic);
    map_remove(&machine->pop_places, &place->node);
    free(place->queues);
    free(place);
}

/* NULL if nothing of that queue can be popped there. */
static struct pop_queue *queue_of(const struct pop_place *place, int32_t queue_id)
{
    return place == NULL || queue_id < 0 || (uint32_t)queue_id >= place->queue_count
               ? NULL
               : &place->queues[queue_id];
}

/* --- One message -------------------------------------------------------------------------- */

static struct slice key_of(const int64_t *offset)
{
    return slice_of(offset, sizeof *offset);
}

static struct popped *popped_find(const struct pop_place *place, int32_t queue_id, int64_t offset)
{
    const struct pop_queue *queue = queue_of(place, queue_id);
    struct map_node *node = queue == NULL ? NULL : map_find(&queue->popped, key_of(&offset));
    return node == NULL ? NULL : CONTAINER_OF(node, struct popped, node);
}

static struct popped *popped_add(struct machine *machine, struct pop_place *place, int32_t queue_id,
                                 int64_t offset, uint64_t due_ms)
{
    struct pop_queue *queue = queue_of(place, queue_id);
    struct popped *popped = mem_zalloc(sizeof *popped);
    popped->place = place;
    popped->queue_id = queue_id;
    popped->offset = offset;
    map_put(&queue->popped, &popped->node, key_of(&popped->offset));
    heap_put(&queue->due, &popped->due, due_ms, (uint64_t)offset);
    place->count++;
    machine->popped_count++;
    return popped;
}

static void popped_deliver(struct machine *machine, struct popped *popped, uint64_t due_ms)
{
    struct heap *due = &queue_of(popped->place, popped->queue_id)->due;
    popped->pop_ms = machine->meta.clock_ms;
    heap_remove(due, &popped->due);
    heap_put(due, &popped->due, due_ms, (uint64_t)popped->offset);
    if (!list_linked(&popped->dirty)) {
        list_append(&machine->popped_dirty, &popped->dirty);
        machine->dirty_size += POPPED_DIRTY_SIZE;
    }
}

static struct key row_key(const struct popped *popped)
{
    return key_popped(popped->place->group, popped->place->topic, popped->queue_id, popped->offset);
}

/* The last one takes its place along. */
static void popped_free(struct machine *machine, struct popped *popped)
{
    struct pop_place *place = popped->place;
    struct pop_queue *queue = queue_of(place, popped->queue_id);
    map_remove(&queue->popped, &popped->node);
    heap_remove(&queue->due, &popped->due);
    list_remove(&popped->dirty);
    free(popped);
    machine->popped_count--;
    if (--place->count == 0) {
        place_free(machine, place);
    }
}

static void popped_remove(struct machine *machine, struct popped *popped)
{
    if (popped->stored) {
        struct key key = row_key(popped);
        kv_batch_delete(machine->deletes, key_slice(&key));
        machine->dirty_size += POPPED_DIRTY_SIZE;
    }
    popped_free(machine, popped);
}

void popped_close(struct machine *machine)
{
    for (struct map_node *node; (node = map_first(&machine->pop_places)) != NULL;) {
        struct pop_place *place = CONTAINER_OF(node, struct pop_place, node);
        for (uint32_t i = 0; i < place->queue_count; i++) {
            struct map *all = &place->queues[i].popped;
            for (struct map_node *each; (each = map_first(all)) != NULL;) {
                map_remove(all, each);
                free(CONTAINER_OF(each, struct popped, node));
            }
        }
        place_free(machine, place);
    }
    map_close(&machine->pop_places);
}

/* --- The store ---------------------------------------------------------------------------- */

enum status popped_load(struct machine *machine, struct slice key, struct slice value)
{
    struct slice group;
    struct slice name;
    int32_t queue_id;
    int64_t offset;
    struct popped_row row;
    if (!key_popped_parse(key, &group, &name, &queue_id, &offset) || group.size > NAME_MAX_SIZE ||
        name.size > NAME_MAX_SIZE || popped_row_decode(value, &row) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    struct topic *topic = topic_find(machine, name);
    if (topic == NULL || queue_id < 0 || (uint32_t)queue_id >= topic->queue_count || offset < 0) {
        return STATUS_CORRUPT;
    }
    struct pop_place *place = place_get(machine, group, topic);
    struct popped *popped = popped_add(machine, place, queue_id, offset, row.due_ms);
    popped->pop_ms = row.pop_ms;
    popped->first_pop_ms = row.first_pop_ms;
    popped->repeats = row.repeats;
    popped->stored = true;
    return STATUS_OK;
}

static void encode(const struct popped *popped, struct buf *out)
{
    const struct popped_row row = {
        .pop_ms = popped->pop_ms,
        .due_ms = popped->due.due,
        .first_pop_ms = popped->first_pop_ms,
        .repeats = popped->repeats,
    };
    popped_row_encode(&row, out);
}

/* Most are acknowledged before a checkpoint sees them: then there is no row. */
void popped_checkpoint(struct machine *machine, struct kv_batch *batch)
{
    struct buf value = {0};
    for (struct list *node; (node = list_pop(&machine->popped_dirty)) != NULL;) {
        struct popped *popped = CONTAINER_OF(node, struct popped, dirty);
        struct key key = row_key(popped);
        buf_clear(&value);
        encode(popped, &value);
        kv_batch_put(batch, key_slice(&key), buf_slice(&value));
        popped->stored = true;
    }
    buf_close(&value);
}

uint64_t popped_hash(const struct machine *machine)
{
    uint64_t hash = 0;
    struct buf value = {0};
    MAP_FOREACH(node, &machine->pop_places)
    {
        const struct pop_place *place = CONTAINER_OF(node, struct pop_place, node);
        for (uint32_t i = 0; i < place->queue_count; i++) {
            MAP_FOREACH(each, &place->queues[i].popped)
            {
                const struct popped *popped = CONTAINER_OF(each, struct popped, node);
                struct key key = row_key(popped);
                buf_clear(&value);
                encode(popped, &value);
                hash += machine_item_hash(KEY_POPPED, key_slice(&key), buf_slice(&value));
            }
        }
    }
    buf_close(&value);
    return hash;
}

/* --- Reading ------------------------------------------------------------------------------ */

static struct machine_popped view_of(const struct popped *popped)
{
    return (struct machine_popped){
        .offset = popped->offset,
        .pop_ms = popped->pop_ms,
        .due_ms = popped->due.due,
        .first_pop_ms = popped->first_pop_ms,
        .repeats = popped->repeats,
    };
}

bool machine_popped_find(const struct machine *machine, struct slice group, struct slice topic,
                         int32_t queue_id, int64_t offset, struct machine_popped *out)
{
    const struct popped *popped = popped_find(place_find(machine, group, topic), queue_id, offset);
    if (popped == NULL) {
        return false;
    }
    *out = view_of(popped);
    return true;
}

uint32_t machine_popped_due(const struct machine *machine, struct slice group, struct slice topic,
                            int32_t queue_id, uint64_t now_ms, uint32_t max,
                            struct machine_popped *out)
{
    struct heap_node *nodes[POP_OFFSETS_MAX];
    const struct pop_queue *queue = queue_of(place_find(machine, group, topic), queue_id);
    ASSERT(max <= POP_OFFSETS_MAX);
    if (queue == NULL) {
        return 0;
    }
    uint32_t count = (uint32_t)heap_find_due(&queue->due, now_ms, max, nodes);
    for (uint32_t i = 0; i < count; i++) {
        out[i] = view_of(CONTAINER_OF(nodes[i], struct popped, due));
    }
    return count;
}

uint64_t machine_popped_total(const struct machine *machine)
{
    return machine->popped_count;
}

bool machine_popped_any_due(const struct machine *machine, struct slice group, struct slice topic,
                            uint64_t now_ms)
{
    const struct pop_place *place = place_find(machine, group, topic);
    for (uint32_t i = 0; place != NULL && i < place->queue_count; i++) {
        const struct heap_node *first = heap_first(&place->queues[i].due);
        if (first != NULL && first->due <= now_ms) {
            return true;
        }
    }
    return false;
}

uint32_t machine_popped_count(const struct machine *machine, struct slice group, struct slice topic,
                              int32_t queue_id)
{
    const struct pop_queue *queue = queue_of(place_find(machine, group, topic), queue_id);
    return queue == NULL ? 0 : (uint32_t)queue->popped.count;
}
