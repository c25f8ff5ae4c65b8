#include "tests/sim/cluster/sim_order.h"

#include "tests/sim/cluster/sim_ledger.h"
#include "tests/sim/os/sim_world.h"

#include <inttypes.h>

enum { QUEUES_MAX = 64 };

struct order_queue {
    struct ledger_group *group;
    int32_t id;
    int64_t next;       /* The first that was not consumed yet. */
    const char *holder; /* At work on it; NULL: nobody. */
};

static struct {
    struct order_queue queues[QUEUES_MAX];
    size_t count;
    uint64_t consumed;
} order;

void order_open(void)
{
    memset(&order, 0, sizeof order);
}

static struct order_queue *queue_of(struct ledger_group *group, int32_t id)
{
    for (size_t i = 0; i < order.count; i++) {
        if (order.queues[i].group == group && order.queues[i].id == id) {
            return &order.queues[i];
        }
    }
    ASSERT(order.count < QUEUES_MAX);
    struct order_queue *queue = &order.queues[order.count++];
    *queue = (struct order_queue){.group = group, .id = id};
    return queue;
}

/* What was cut before it was consumed is passed over. */
static void pass_over(struct order_queue *queue)
{
    const struct ledger_queue *known =
        ledger_queue_find(queue->group, slice_text(ORDER_TOPIC), queue->id);
    if (known != NULL && queue->next < (int64_t)known->first) {
        queue->next = (int64_t)known->first;
    }
}

void order_begins(const char *who, struct slice broker, int32_t queue_id, int64_t offset)
{
    struct order_queue *queue = queue_of(ledger_group(broker), queue_id);
    sim_trace(who, "begins step", (uint64_t)(queue - order.queues), (uint64_t)offset);
    pass_over(queue);
    if (queue->holder != NULL) {
        sim_violation("one holder", "%s is given offset %" PRId64 " of %.*s/%d while %s is at work",
                      who, offset, SLICE_ARGS(broker), queue_id, queue->holder);
    }
    if (offset > queue->next) {
        sim_violation("order",
                      "%s is given offset %" PRId64 " of %.*s/%d, but %" PRId64
                      " was not consumed yet",
                      who, offset, SLICE_ARGS(broker), queue_id, queue->next);
    }
    queue->holder = who;
}

void order_ends(const char *who, struct slice broker, int32_t queue_id, int64_t offset,
                bool consumed)
{
    struct order_queue *queue = queue_of(ledger_group(broker), queue_id);
    ASSERT(queue->holder == who);
    sim_trace(who, consumed ? "consumed step" : "puts off step", (uint64_t)(queue - order.queues),
              (uint64_t)offset);
    queue->holder = NULL;
    if (consumed && offset == queue->next) {
        queue->next++;
        order.consumed++;
    }
}

void order_died(const char *who)
{
    for (size_t i = 0; i < order.count; i++) {
        if (order.queues[i].holder == who) {
            order.queues[i].holder = NULL;
        }
    }
}

bool order_done(const char **why)
{
    for (size_t i = 0; i < ledger_group_count(); i++) {
        struct ledger_group *group = ledger_group_at(i);
        MAP_FOREACH(node, &group->queues)
        {
            const struct ledger_queue *known = CONTAINER_OF(node, struct ledger_queue, by_key);
            if (!slice_equals_text(name_slice(&known->topic), ORDER_TOPIC)) {
                continue;
            }
            struct order_queue *queue = queue_of(group, known->queue_id);
            pass_over(queue);
            if (queue->next < (int64_t)known->count) {
                *why = "not everything was consumed in order";
                return false;
            }
        }
    }
    return true;
}

uint64_t order_consumed(void)
{
    return order.consumed;
}
