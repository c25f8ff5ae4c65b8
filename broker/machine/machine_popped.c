/* Popped messages: by group and topic, then by queue; in memory, and their rows in the store. */
#include "broker/machine/machine_popped.h"

#include <stdlib.h>

enum { POPPED_DIRTY_SIZE = 96 };

static void place_grow(struct pop_place *place, uint32_t count);

/* --- Places ------------------------------------------------------------------------------- */

struct pop_place *pop_place_find(const struct machine *machine, struct slice group,
                                 struct slice topic)
{
    if (group.size > NAME_MAX_SIZE || topic.size > NAME_MAX_SIZE) {
        return NULL;
    }
    struct key key = key_offsets(group, topic);
    struct map_node *node = map_find(&machine->pop_places, key_slice(&key));
    return node == NULL ? NULL : CONTAINER_OF(node, struct pop_place, node);
}

struct pop_place *pop_place_get(struct machine *machine, struct slice group, struct topic *topic)
{
    struct pop_place *place = pop_place_find(machine, group, name_slice(&topic->name));
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

struct pop_queue *pop_queue_of(const struct pop_place *place, int32_t queue_id)
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

struct popped *popped_find(const struct pop_place *place, int32_t queue_id, int64_t offset)
{
    const struct pop_queue *queue = pop_queue_of(place, queue_id);
    struct map_node *node = queue == NULL ? NULL : map_find(&queue->popped, key_of(&offset));
    return node == NULL ? NULL : CONTAINER_OF(node, struct popped, node);
}

struct popped *popped_add(struct machine *machine, struct pop_place *place, int32_t queue_id,
                          int64_t offset, uint64_t due_ms)
{
    struct pop_queue *queue = pop_queue_of(place, queue_id);
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

void popped_deliver(struct machine *machine, struct popped *popped, uint64_t due_ms)
{
    struct heap *due = &pop_queue_of(popped->place, popped->queue_id)->due;
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

static void popped_free(struct machine *machine, struct popped *popped)
{
    struct pop_place *place = popped->place;
    struct pop_queue *queue = pop_queue_of(place, popped->queue_id);
    map_remove(&queue->popped, &popped->node);
    heap_remove(&queue->due, &popped->due);
    list_remove(&popped->dirty);
    free(popped);
    machine->popped_count--;
    if (--place->count == 0) {
        place_free(machine, place);
    }
}

void popped_remove(struct machine *machine, struct popped *popped)
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
    struct pop_place *place = pop_place_get(machine, group, topic);
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
    const struct popped *popped =
        popped_find(pop_place_find(machine, group, topic), queue_id, offset);
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
    const struct pop_queue *queue = pop_queue_of(pop_place_find(machine, group, topic), queue_id);
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
    const struct pop_place *place = pop_place_find(machine, group, topic);
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
    const struct pop_queue *queue = pop_queue_of(pop_place_find(machine, group, topic), queue_id);
    return queue == NULL ? 0 : (uint32_t)queue->popped.count;
}
