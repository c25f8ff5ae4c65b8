/* What a CUT takes away, as the log alone decides it: looked up anew in all halves and queues,
 * where the machine counts and remembers. */
#include "broker/machine/machine.h"
#include "tests/sim/cluster/sim_ledger_internal.h"

/* Must this segment stay: does a half or a delayed message lie in it that is undecided, or waits,
 * or begins to be seen at `visible_from` or later? */
static bool holds(const struct ledger_group *group, uint64_t segment, uint64_t visible_from)
{
    LIST_FOREACH(at, &group->order)
    {
        const struct ledger_half *half = CONTAINER_OF(at, struct ledger_half, in_order);
        if (half->position / SEGMENT_SIZE == segment / SEGMENT_SIZE &&
            (half->state == LEDGER_PENDING || half->referred_from >= visible_from)) {
            return true;
        }
    }
    MAP_FOREACH(node, &group->delayed)
    {
        const struct ledger_delayed *delayed =
            CONTAINER_OF(node, struct ledger_delayed, by_position);
        if (delayed->position / SEGMENT_SIZE == segment / SEGMENT_SIZE &&
            (delayed->fired_at == 0 ? !delayed->recalled : delayed->fired_at >= visible_from)) {
            return true;
        }
    }
    return false;
}

static void cut_queues(struct ledger_group *group)
{
    MAP_FOREACH(node, &group->queues)
    {
        struct ledger_queue *queue = CONTAINER_OF(node, struct ledger_queue, by_key);
        while (queue->first < queue->count &&
               queue->items[queue->first].position < group->cut_position) {
            queue->first++;
            ledger_counts()->cut_messages++;
        }
    }
}

/* Nobody can settle what is no longer there; what one cut does not get to keeps its segment. */
static void drop_expired(struct ledger_group *group)
{
    uint32_t count = 0;
    LIST_FOREACH(at, &group->order)
    {
        struct ledger_half *half = CONTAINER_OF(at, struct ledger_half, in_order);
        if (half->state != LEDGER_EXPIRED || half->position >= group->log_first) {
            continue;
        }
        if (count++ == CUT_EXPIRED_MAX) {
            group->log_first = half->position / SEGMENT_SIZE * SEGMENT_SIZE;
            return;
        }
        half->state = LEDGER_ROLLED_BACK;
    }
}

void ledger_cut(struct ledger_group *group, uint64_t wanted, uint64_t entry_position)
{
    uint64_t newest = entry_position / SEGMENT_SIZE * SEGMENT_SIZE;
    bool held = false;
    for (uint64_t at = group->log_first; at < group->cut_position && !held; at += SEGMENT_SIZE) {
        held = holds(group, at, UINT64_MAX);
    }
    while (!held && group->cut_position < newest && group->cut_position + SEGMENT_SIZE <= wanted &&
           !holds(group, group->cut_position, UINT64_MAX)) {
        group->cut_position += SEGMENT_SIZE;
        ledger_counts()->cuts++;
    }
    while (group->log_first < group->cut_position &&
           !holds(group, group->log_first, group->cut_position)) {
        group->log_first += SEGMENT_SIZE;
    }
    cut_queues(group);
    ledger_pops_cut(group);
    drop_expired(group);
}
