#include "broker/core/pops.h"

#include "broker/core/broker.h"
#include "broker/core/pop_answer.h"
#include "broker/core/pop_look.h"
#include "broker/core/sieve.h"
#include "common/remoting/codes.h"

#include <stdlib.h>

enum {
    LANE_KEY_MAX = 4 + 1 + 2 * NAME_MAX_SIZE,
    POP_SIZE_ABOUT = 64 + 9 * POP_OFFSETS_MAX, /* In an entry, without names. */
    REFUSALS_MAX = 8,
    /* So often a pop that does not wait moves its group past what it does not want; the next one
     * goes on there. */
    MOVES_MAX = 16,
    /* A client hears of what comes this much after its time; source: isTimeoutTooMuch(). */
    LATE_MAX_MS = 500,
};

/* A topic at which pops are parked. */
struct parked_topic {
    struct map_node node;
    struct name name;
    struct list parked;
    struct map groups; /* struct parked_group */
    struct list woken;
    uint64_t look; /* How often those parked here were looked at. */
    bool again;    /* At the next tick: too much is not acknowledged, or more are to be told. */
};

/* A group with pops that are parked at a topic, and the last look that found this out for all of
 * them: */
struct parked_group {
    struct map_node node;
    struct name name;
    size_t count;
    uint64_t nothing; /* there is nothing, whichever the queue; */
    uint64_t told;    /* one of them has been told. */
};

struct parked_pop {
    struct pop pop;
    struct parked_topic *topic;
    struct parked_group *group;
    struct list at_topic;
    struct list at_channel;
    struct heap_node timer;
};

/* A pop that has chosen a queue. */
struct popping {
    struct pop pop;
    struct pop_choice choice;
    struct list again;
    struct map_node lane;
    uint8_t lane_key[LANE_KEY_MAX];
};

static void start(struct pops *pops, const struct pop *pop, const struct pop_choice *choice);
static void propose(struct broker *broker, struct popping *popping);
static void on_popped(struct broker *broker, const struct waiter *waiter,
                      const struct operation *operation, const struct operation_result *result);
static void on_sieved(struct broker *broker, void *context, const struct sieved *sieved);
static void park(struct pops *pops, struct pop *pop, bool again);
static struct pop unpark(struct pops *pops, struct parked_pop *parked);
static void wake(struct pops *pops, struct slice topic);

void pops_init(struct pops *pops, struct broker *broker)
{
    *pops = (struct pops){.broker = broker};
    list_init(&pops->woken);
    list_init(&pops->again);
}

void pops_close(struct pops *pops)
{
    for (struct heap_node *node; (node = heap_first(&pops->due)) != NULL;) {
        struct pop pop = unpark(pops, CONTAINER_OF(node, struct parked_pop, timer));
        message_filter_release(pop.filter);
    }
    for (struct list *node; (node = list_pop(&pops->again)) != NULL;) {
        struct popping *popping = CONTAINER_OF(node, struct popping, again);
        message_filter_release(popping->pop.filter);
        free(popping);
    }
    ASSERT(pops->lanes.count == 0);
    heap_close(&pops->due);
    map_close(&pops->topics);
    map_close(&pops->lanes);
}

/* --- Which queue -------------------------------------------------------------------------- */

static struct slice lane_key(const struct pop *pop, int32_t queue_id, uint8_t key[LANE_KEY_MAX])
{
    be32_put(key, (uint32_t)queue_id);
    key[4] = pop->group.size;
    memcpy(key + 5, pop->group.text, pop->group.size);
    memcpy(key + 5 + pop->group.size, pop->topic.text, pop->topic.size);
    return slice_of(key, 5 + (size_t)pop->group.size + pop->topic.size);
}

/* Is anybody popping there? Who only looks does not mind. */
static bool lane_busy(const struct pops *pops, const struct pop *pop, int32_t queue_id)
{
    uint8_t key[LANE_KEY_MAX];
    return pop->purpose != POP_TO_SHOW &&
           map_find(&pops->lanes, lane_key(pop, queue_id, key)) != NULL;
}

/* The first queue with something for it, beginning with another one each time. */
static bool choose(struct pops *pops, const struct pop *pop, struct pop_choice *choice, bool *full)
{
    struct broker *broker = pops->broker;
    struct slice name = name_slice(&pop->topic);
    const struct topic *topic = machine_topic_find(broker->machine, name);
    *full = false;
    uint32_t queues = topic == NULL ? 0 : (uint32_t)topic->read_queue_count;
    uint32_t first = pop->queue_id < 0 ? pops->turn++ : (uint32_t)pop->queue_id;
    uint32_t looks = pop->queue_id < 0 || queues == 0 ? queues : 1;
    for (uint32_t i = 0; i < looks; i++) {
        int32_t queue_id = (int32_t)((first + i) % queues);
        const struct queue *queue = machine_queue_find(broker->machine, name, queue_id);
        if (queue == NULL || lane_busy(pops, pop, queue_id)) {
            continue;
        }
        pop_look(broker, pop, queue, choice);
        *full |= choice->full;
        if (choice->found == POP_TAKE ||
            (choice->found != POP_NOTHING && pop->purpose != POP_TO_SHOW)) {
            return true;
        }
    }
    return false;
}

static bool may_park(const struct pops *pops, const struct pop *pop)
{
    const struct broker *broker = pops->broker;
    return pop->deadline_ms > clock_monotonic_ms(broker->ports->clock) && broker_leads(broker) &&
           pops->count < broker->settings->held_pulls_max && !broker->stopping;
}

static void answer_none(struct pops *pops, struct pop *pop)
{
    int32_t code = RESPONSE_PULL_NOT_FOUND;
    if (pop->deadline_ms > clock_monotonic_ms(pops->broker->ports->clock) &&
        pops->count >= pops->broker->settings->held_pulls_max) {
        code = RESPONSE_POLLING_FULL;
    } else if (pop->deadline_ms > 0) {
        code = RESPONSE_POLLING_TIMEOUT;
    }
    pop_answer_none(pops->broker, pop, code);
    message_filter_release(pop->filter);
}

/* There is something for it. Takes the pop. */
static void serve_choice(struct pops *pops, struct pop *pop, const struct pop_choice *choice)
{
    struct broker *broker = pops->broker;
    if (pop->purpose == POP_TO_TAKE && cold_reads_crowded(&broker->cold_reads)) {
        // What is taken and cannot be read then is nobody's until its time is over.
        broker_reply_status(broker, &pop->to, STATUS_OVERLOADED, NULL);
        message_filter_release(pop->filter);
        return;
    }
    if (pop->purpose == POP_TO_TAKE) {
        start(pops, pop, choice);
        return;
    }
    if (pop->purpose == POP_TO_SHOW) {
        pop_answer(broker, pop, choice, 0);
    } else {
        pop_answer_some(broker, pop);
    }
    message_filter_release(pop->filter);
}

void pops_serve(struct pops *pops, struct pop *pop)
{
    struct pop_choice choice;
    bool full;
    if (channels_find(&pops->broker->channels, pop->to.channel_id) == NULL) {
        message_filter_release(pop->filter); // It went while this was under way: take nothing.
    } else if (choose(pops, pop, &choice, &full)) {
        serve_choice(pops, pop, &choice);
    } else if (may_park(pops, pop)) {
        park(pops, pop, full);
    } else {
        answer_none(pops, pop);
    }
}

/* --- Under way ---------------------------------------------------------------------------- */

/* Takes the pop. */
static void start(struct pops *pops, const struct pop *pop, const struct pop_choice *choice)
{
    struct popping *popping = mem_zalloc(sizeof *popping);
    popping->pop = *pop;
    popping->choice = *choice;
    map_put(&pops->lanes, &popping->lane,
            lane_key(&popping->pop, choice->queue_id, popping->lane_key));
    if (choice->found != POP_SIEVE) {
        propose(pops->broker, popping);
        return;
    }
    const struct sieve_request request = {
        .topic = pop->topic,
        .queue_id = choice->queue_id,
        .offset = choice->start,
        .messages_max = choice->room,
        .bytes_max = pops->broker->settings->pull_bytes_max,
        .filter = pop->filter,
    };
    sieve_start(pops->broker, &request, on_sieved, popping);
}

/* Others may pop there. */
static void leave_lane(struct pops *pops, struct popping *popping)
{
    map_remove(&pops->lanes, &popping->lane);
    wake(pops, name_slice(&popping->pop.topic));
}

static void end(struct pops *pops, struct popping *popping, enum status status)
{
    if (status != STATUS_OK) {
        broker_reply_status(pops->broker, &popping->pop.to, status, NULL);
    }
    message_filter_release(popping->pop.filter);
    free(popping);
}

/* Nothing was taken. */
static void end_without(struct pops *pops, struct popping *popping)
{
    leave_lane(pops, popping);
    answer_none(pops, &popping->pop);
    free(popping);
}

static void on_sieved(struct broker *broker, void *context, const struct sieved *sieved)
{
    struct popping *popping = context;
    struct pop_choice *choice = &popping->choice;
    const struct queue *queue =
        machine_queue_find(broker->machine, name_slice(&popping->pop.topic), choice->queue_id);
    choice->found = POP_NOTHING;
    if (sieved->status == STATUS_OK && queue != NULL) {
        pop_choose_sieved(broker, queue, sieved->messages, sieved->offset_next, choice);
    }
    if (choice->found != POP_NOTHING) {
        propose(broker, popping);
        return;
    }
    if (sieved->status == STATUS_OK) {
        end_without(&broker->pops, popping);
    } else {
        leave_lane(&broker->pops, popping);
        end(&broker->pops, popping, sieved->status);
    }
}

/* Would what is taken now be nobody's, because the client has given up? Moving on does no harm, and
 * spares the next pop the work. */
static bool too_late(const struct broker *broker, const struct popping *popping)
{
    uint64_t deadline_ms = popping->pop.deadline_ms;
    return popping->choice.count > 0 && deadline_ms > 0 &&
           clock_monotonic_ms(broker->ports->clock) > deadline_ms + LATE_MAX_MS;
}

static void propose(struct broker *broker, struct popping *popping)
{
    const struct pop_choice *choice = &popping->choice;
    if (too_late(broker, popping)) {
        end_without(&broker->pops, popping);
        return;
    }
    struct operation_pop operation = {
        .group = name_slice(&popping->pop.group),
        .topic = name_slice(&popping->pop.topic),
        .queue_id = choice->queue_id,
        .from = choice->from,
        .next = choice->next,
        .invisible_ms = popping->pop.invisible_ms,
        .count = choice->count,
    };
    for (uint32_t i = 0; i < choice->count; i++) {
        operation.offsets[i] = choice->messages[i].ref.queue_offset;
    }
    struct buf *entry;
    size_t size = POP_SIZE_ABOUT + operation.group.size + operation.topic.size;
    enum status status = proposer_begin(&broker->proposer, size, &entry);
    if (status != STATUS_OK) {
        leave_lane(&broker->pops, popping);
        end(&broker->pops, popping, status);
        return;
    }
    entry_put_pop(entry, &operation);
    proposer_add(&broker->proposer, &(struct waiter){.done = on_popped, .context = popping});
}

/* Is it not to look once more? */
static bool is_over(const struct pops *pops, const struct pop *pop)
{
    return pop->deadline_ms > 0 ? pop->deadline_ms <= clock_monotonic_ms(pops->broker->ports->clock)
                                : pop->moves >= MOVES_MAX;
}

/* Within apply: whoever is to look once more does so at the end of the turn. */
static void on_popped(struct broker *broker, const struct waiter *waiter,
                      const struct operation *operation, const struct operation_result *result)
{
    struct pops *pops = &broker->pops;
    struct popping *popping = waiter->context;
    (void)operation;
    bool moved = result->status == STATUS_OK && popping->choice.count == 0;
    bool late = result->status == STATUS_STALE || result->status == STATUS_OVERLOADED;
    popping->pop.moves += moved;
    popping->pop.refusals += late;
    bool open = (moved || late) && broker_leads(broker);
    if (open && is_over(pops, &popping->pop)) {
        end_without(pops, popping);
        return;
    }
    leave_lane(pops, popping);
    if (open && popping->pop.refusals < REFUSALS_MAX) {
        list_append(&pops->again, &popping->again);
        return;
    }
    if (result->status == STATUS_OK && popping->choice.count > 0) {
        pop_answer(broker, &popping->pop, &popping->choice, result->pop_ms);
    } else if (moved || late) {
        pop_answer_none(broker, &popping->pop, RESPONSE_POLLING_TIMEOUT);
    }
    end(pops, popping, moved || late ? STATUS_OK : result->status);
}

/* --- Parking ------------------------------------------------------------------------------ */

static struct parked_topic *topic_find(const struct pops *pops, struct slice name)
{
    struct map_node *node = map_find(&pops->topics, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct parked_topic, node);
}

/* Of one more pop. */
static struct parked_group *group_enter(struct parked_topic *topic, const struct name *name)
{
    struct map_node *node = map_find(&topic->groups, name_slice(name));
    struct parked_group *group;
    if (node != NULL) {
        group = CONTAINER_OF(node, struct parked_group, node);
    } else {
        group = mem_zalloc(sizeof *group);
        group->name = *name;
        map_put(&topic->groups, &group->node, name_slice(&group->name));
    }
    group->count++;
    return group;
}

static void group_leave(struct parked_topic *topic, struct parked_group *group)
{
    if (--group->count == 0) {
        map_remove(&topic->groups, &group->node);
        free(group);
    }
}

/* Takes the pop. */
static void park(struct pops *pops, struct pop *pop, bool again)
{
    struct channel *channel = channels_find(&pops->broker->channels, pop->to.channel_id);
    struct parked_topic *topic = topic_find(pops, name_slice(&pop->topic));
    if (topic == NULL) {
        topic = mem_zalloc(sizeof *topic);
        topic->name = pop->topic;
        list_init(&topic->parked);
        map_put(&pops->topics, &topic->node, name_slice(&topic->name));
    }
    topic->again |= again;
    struct parked_pop *parked = mem_zalloc(sizeof *parked);
    parked->pop = *pop;
    parked->topic = topic;
    parked->group = group_enter(topic, &pop->group);
    list_append(&topic->parked, &parked->at_topic);
    list_append(&channel->held_pops, &parked->at_channel);
    heap_put(&pops->due, &parked->timer, pop->deadline_ms, pops->next_tie++);
    pops->count++;
}

/* Unlink and free. Gives the pop back. */
static struct pop unpark(struct pops *pops, struct parked_pop *parked)
{
    struct pop pop = parked->pop;
    struct parked_topic *topic = parked->topic;
    list_remove(&parked->at_topic);
    list_remove(&parked->at_channel);
    heap_remove(&pops->due, &parked->timer);
    pops->count--;
    group_leave(topic, parked->group);
    if (list_empty(&topic->parked)) {
        list_remove(&topic->woken);
        map_remove(&pops->topics, &topic->node);
        map_close(&topic->groups);
        free(topic);
    }
    free(parked);
    return pop;
}

static void wake(struct pops *pops, struct slice name)
{
    struct parked_topic *topic = topic_find(pops, name);
    if (topic != NULL && !list_linked(&topic->woken)) {
        list_append(&pops->woken, &topic->woken);
    }
}

void pops_on_topic_grown(struct pops *pops, struct slice topic)
{
    wake(pops, topic);
}

/* Look for each that waits at a topic, the longest first. If there is nothing for one, whichever
 * the queue, there is nothing for others of its group. */
static void look_again(struct pops *pops, struct parked_topic *topic)
{
    struct pop_choice choice;
    size_t left = 0;
    LIST_FOREACH(at, &topic->parked)
    {
        left++; // The last one to go frees the topic, so its list cannot be the loop's end.
    }
    topic->again = false;
    uint64_t look = ++topic->look;
    for (struct list *at = topic->parked.next, *next; left > 0; at = next, left--) {
        next = at->next;
        struct parked_pop *parked = CONTAINER_OF(at, struct parked_pop, at_topic);
        struct parked_group *group = parked->group;
        bool full = false;
        if (group->nothing == look) {
            continue;
        }
        if (parked->pop.purpose == POP_TO_TELL && group->told == look) {
            topic->again = true;
            continue;
        }
        if (choose(pops, &parked->pop, &choice, &full)) {
            group->told = parked->pop.purpose == POP_TO_TELL ? look : group->told;
            struct pop pop = unpark(pops, parked);
            serve_choice(pops, &pop, &choice);
            continue;
        }
        topic->again |= full;
        if (parked->pop.queue_id < 0) {
            group->nothing = look;
        }
    }
}

size_t pops_waiting(const struct pops *pops, struct slice group, struct slice name,
                    int32_t queue_id)
{
    const struct parked_topic *topic = topic_find(pops, name);
    size_t count = 0;
    if (topic == NULL) {
        return 0;
    }
    LIST_FOREACH(at, &topic->parked)
    {
        const struct pop *pop = &CONTAINER_OF(at, struct parked_pop, at_topic)->pop;
        count += pop->purpose == POP_TO_TAKE && pop->queue_id == queue_id &&
                 slice_equals(name_slice(&pop->group), group);
    }
    return count;
}

void pops_turn(struct pops *pops)
{
    struct list again;
    list_init(&again);
    while (!list_empty(&pops->again)) {
        list_append(&again, list_pop(&pops->again));
    }
    for (struct list *node; (node = list_pop(&again)) != NULL;) {
        struct popping *popping = CONTAINER_OF(node, struct popping, again);
        pops_serve(pops, &popping->pop);
        free(popping);
    }
    struct list woken;
    list_init(&woken);
    while (!list_empty(&pops->woken)) {
        list_append(&woken, list_pop(&pops->woken));
    }
    while (!list_empty(&woken)) {
        look_again(pops, CONTAINER_OF(list_pop(&woken), struct parked_topic, woken));
    }
}

/* Is anything due for those who wait at a topic? */
static bool topic_is_due(const struct pops *pops, const struct parked_topic *topic)
{
    const struct broker *broker = pops->broker;
    MAP_FOREACH(at, &topic->groups)
    {
        const struct parked_group *group = CONTAINER_OF(at, struct parked_group, node);
        if (machine_popped_any_due(broker->machine, name_slice(&group->name),
                                   name_slice(&topic->name), broker_now_ms(broker))) {
            return true;
        }
    }
    return false;
}

void pops_tick(struct pops *pops, uint64_t now_ms)
{
    struct heap_node *node;
    while ((node = heap_first(&pops->due)) != NULL && node->due <= now_ms) {
        struct pop pop = unpark(pops, CONTAINER_OF(node, struct parked_pop, timer));
        answer_none(pops, &pop);
    }
    MAP_FOREACH(at, &pops->topics)
    {
        struct parked_topic *topic = CONTAINER_OF(at, struct parked_topic, node);
        if (topic->again || topic_is_due(pops, topic)) {
            wake(pops, name_slice(&topic->name));
        }
    }
}

void pops_on_deposed(struct pops *pops)
{
    struct heap_node *node;
    while ((node = heap_first(&pops->due)) != NULL) {
        struct pop pop = unpark(pops, CONTAINER_OF(node, struct parked_pop, timer));
        pop_answer_none(pops->broker, &pop, RESPONSE_POLLING_TIMEOUT);
        message_filter_release(pop.filter);
    }
}

void pops_drop_channel(struct pops *pops, struct channel *channel)
{
    while (!list_empty(&channel->held_pops)) {
        struct parked_pop *parked =
            CONTAINER_OF(channel->held_pops.next, struct parked_pop, at_channel);
        struct pop pop = unpark(pops, parked);
        message_filter_release(pop.filter);
    }
}
