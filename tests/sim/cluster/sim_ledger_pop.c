/* Popped messages as the log alone decides them, and what poppers may be told of them. */
#include "tests/sim/cluster/sim_ledger_internal.h"
#include "tests/sim/os/sim_world.h"

#include <inttypes.h>
#include <stdlib.h>

/* A message of a queue that a group has popped. */
struct popped {
    struct map_node by_key;
    struct buf key;
    struct name topic;
    int32_t queue_id;
    int64_t offset;
    uint64_t pop_ms;
    uint64_t due_ms;
};

/* One delivery of it. */
struct told {
    struct map_node by_key;
    struct buf key;
    bool told;
    bool acknowledged;
};

static void place_put(struct buf *key, struct slice group, struct slice topic, int32_t queue_id,
                      int64_t offset)
{
    buf_put_slice(key, group);
    buf_put_u8(key, 0);
    buf_put_slice(key, topic);
    buf_put_u8(key, 0);
    buf_put_be32(key, (uint32_t)queue_id);
    buf_put_be64(key, (uint64_t)offset);
}

static struct popped *popped_find(const struct ledger_group *group, struct slice consumers,
                                  struct slice topic, int32_t queue_id, int64_t offset)
{
    struct buf key = {0};
    place_put(&key, consumers, topic, queue_id, offset);
    struct map_node *node = map_find(&group->popped, buf_slice(&key));
    buf_close(&key);
    return node == NULL ? NULL : CONTAINER_OF(node, struct popped, by_key);
}

static struct told *told_find(const struct ledger_group *group, struct slice consumers,
                              struct slice topic, const struct delivery *delivery)
{
    struct buf key = {0};
    place_put(&key, consumers, topic, delivery->queue_id, delivery->offset);
    buf_put_be64(&key, delivery->pop_ms);
    struct map_node *node = map_find(&group->deliveries, buf_slice(&key));
    buf_close(&key);
    return node == NULL ? NULL : CONTAINER_OF(node, struct told, by_key);
}

static void popped_drop(struct ledger_group *group, struct popped *popped)
{
    map_remove(&group->popped, &popped->by_key);
    buf_close(&popped->key);
    free(popped);
}

/* Could an entry have popped this, by what was so when it was applied? */
static bool fits(const struct ledger_group *group, const struct operation_pop *pop,
                 const struct ledger_queue *queue)
{
    int64_t first = queue == NULL ? 0 : (int64_t)queue->first;
    int64_t count = queue == NULL ? 0 : (int64_t)queue->count;
    int64_t previous = -1;
    if (pop->next < pop->from || (pop->next != pop->from && pop->next > count)) {
        return false;
    }
    for (uint32_t i = 0; i < pop->count; i++) {
        int64_t offset = pop->offsets[i];
        const struct popped *popped =
            popped_find(group, pop->group, pop->topic, pop->queue_id, offset);
        bool again = offset < pop->from;
        if (offset <= previous || offset < first || offset >= pop->next ||
            (again && (popped == NULL || popped->due_ms > group->clock_ms))) {
            return false;
        }
        previous = offset;
    }
    return true;
}

/* Poppers take whatever comes, so nothing may be passed over. */
static void check_none_passed_over(const struct ledger_group *group,
                                   const struct operation_pop *pop,
                                   const struct ledger_queue *queue)
{
    int64_t expected = queue == NULL ? 0 : (int64_t)queue->first;
    expected = pop->from > expected ? pop->from : expected;
    for (uint32_t i = 0; i < pop->count; i++) {
        expected += pop->offsets[i] == expected;
    }
    if (expected < pop->next) {
        sim_violation("popped", "%.*s pops %.*s/%d of %s up to %" PRId64 ", but not %" PRId64,
                      SLICE_ARGS(pop->group), SLICE_ARGS(pop->topic), pop->queue_id,
                      group->name.text, pop->next, expected);
    }
}

static void deliver(struct ledger_group *group, const struct operation_pop *pop, int64_t offset)
{
    struct popped *popped = popped_find(group, pop->group, pop->topic, pop->queue_id, offset);
    if (popped == NULL) {
        popped = mem_zalloc(sizeof *popped);
        place_put(&popped->key, pop->group, pop->topic, pop->queue_id, offset);
        ASSERT(name_set(&popped->topic, pop->topic));
        popped->queue_id = pop->queue_id;
        popped->offset = offset;
        map_put(&group->popped, &popped->by_key, buf_slice(&popped->key));
        ledger_counts()->popped++;
    } else {
        ledger_counts()->popped_again++;
    }
    popped->pop_ms = group->clock_ms;
    popped->due_ms = group->clock_ms + pop->invisible_ms;
    struct told *told = mem_zalloc(sizeof *told);
    place_put(&told->key, pop->group, pop->topic, pop->queue_id, offset);
    buf_put_be64(&told->key, popped->pop_ms);
    map_put(&group->deliveries, &told->by_key, buf_slice(&told->key));
}

void ledger_apply_pop(struct ledger_group *group, const struct operation_pop *pop)
{
    const struct ledger_queue *queue = ledger_queue_find(group, pop->topic, pop->queue_id);
    if (!ledger_queue_exists(group, pop->topic, pop->queue_id) ||
        ledger_offset_find(group, pop->group, pop->topic, pop->queue_id) != pop->from ||
        !fits(group, pop, queue)) {
        ledger_counts()->vain_pops++;
        return;
    }
    check_none_passed_over(group, pop, queue);
    ledger_offset_set(group, pop->group, pop->topic, pop->queue_id, pop->next);
    for (uint32_t i = 0; i < pop->count; i++) {
        deliver(group, pop, pop->offsets[i]);
    }
}

void ledger_apply_ack(struct ledger_group *group, const struct operation_ack *ack)
{
    for (uint32_t i = 0; i < ack->count; i++) {
        const struct delivery *delivery = &ack->deliveries[i];
        struct popped *popped =
            popped_find(group, ack->group, ack->topic, delivery->queue_id, delivery->offset);
        if (popped != NULL && popped->pop_ms == delivery->pop_ms) {
            struct told *told = told_find(group, ack->group, ack->topic, delivery);
            ASSERT(told != NULL);
            told->acknowledged = true;
            popped_drop(group, popped);
            ledger_counts()->acks++;
        }
    }
}

void ledger_apply_invisible(struct ledger_group *group, const struct operation_invisible *invisible)
{
    const struct delivery *delivery = &invisible->delivery;
    struct popped *popped = popped_find(group, invisible->group, invisible->topic,
                                        delivery->queue_id, delivery->offset);
    if (popped == NULL || popped->pop_ms != delivery->pop_ms) {
        return;
    }
    popped->pop_ms = group->clock_ms;
    popped->due_ms = group->clock_ms + invisible->invisible_ms;
    if (popped->pop_ms == delivery->pop_ms) {
        return; // Still the same delivery by its name.
    }
    struct told *told = mem_zalloc(sizeof *told);
    place_put(&told->key, invisible->group, invisible->topic, delivery->queue_id, delivery->offset);
    buf_put_be64(&told->key, popped->pop_ms);
    told->told = true; // It is with that consumer already.
    map_put(&group->deliveries, &told->by_key, buf_slice(&told->key));
}

void ledger_pops_cut(struct ledger_group *group)
{
    MAP_FOREACH(node, &group->popped)
    {
        struct popped *popped = CONTAINER_OF(node, struct popped, by_key);
        const struct ledger_queue *queue =
            ledger_queue_find(group, name_slice(&popped->topic), popped->queue_id);
        if (queue != NULL && popped->offset < (int64_t)queue->first) {
            popped_drop(group, popped);
        }
    }
}

void ledger_popped(struct ledger_group *group, const char *who, struct slice consumers,
                   struct slice topic, const struct delivery *delivery)
{
    struct told *told = told_find(group, consumers, topic, delivery);
    if (told == NULL || told->told) {
        sim_violation(
            "popped",
            "%s was given %" PRId64 " of %.*s/%d of %s as popped at %" PRIu64 ", which %s", who,
            delivery->offset, SLICE_ARGS(topic), delivery->queue_id, group->name.text,
            delivery->pop_ms, told == NULL ? "the log does not say" : "somebody was given before");
    }
    told->told = true;
}

void ledger_pop_acknowledged(struct ledger_group *group, const char *who, struct slice consumers,
                             struct slice topic, const struct delivery *delivery)
{
    const struct told *told = told_find(group, consumers, topic, delivery);
    if (told == NULL || !told->acknowledged) {
        sim_violation("popped",
                      "%s was told that %" PRId64 " of %.*s/%d of %s is acknowledged, but the log "
                      "does not say so",
                      who, delivery->offset, SLICE_ARGS(topic), delivery->queue_id,
                      group->name.text);
    }
}

const char *ledger_pop_left(const struct ledger_group *group, struct slice consumers,
                            struct slice topic)
{
    if (group->popped.count > 0) {
        return "a popped message is not acknowledged";
    }
    MAP_FOREACH(node, &group->queues)
    {
        const struct ledger_queue *queue = CONTAINER_OF(node, struct ledger_queue, by_key);
        if (queue->count > queue->first && slice_equals(name_slice(&queue->topic), topic) &&
            ledger_offset_find(group, consumers, topic, queue->queue_id) < (int64_t)queue->count) {
            return "a message is not popped";
        }
    }
    return NULL;
}

void ledger_pops_close(struct ledger_group *group)
{
    MAP_FOREACH(node, &group->popped)
    {
        popped_drop(group, CONTAINER_OF(node, struct popped, by_key));
    }
    MAP_FOREACH(node, &group->deliveries)
    {
        struct told *told = CONTAINER_OF(node, struct told, by_key);
        buf_close(&told->key);
        free(told);
    }
    map_close(&group->popped);
    map_close(&group->deliveries);
}
