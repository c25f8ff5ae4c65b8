#include "broker/core/assignment.h"

#include "common/base/check.h"

enum assignment_strategy assignment_strategy_of(struct slice name)
{
    if (slice_equals_text(name, "AVG")) {
        return STRATEGY_AVERAGE;
    }
    return slice_equals_text(name, "AVG_BY_CIRCLE") ? STRATEGY_CIRCLE : STRATEGY_UNKNOWN;
}

/* Is a queue, by its place, that member's? */
static bool belongs_to(const struct assignment *assignment, size_t queue, size_t member)
{
    if (assignment->strategy == STRATEGY_CIRCLE) {
        return queue % assignment->member_count == member;
    }
    size_t share = assignment->queue_count / assignment->member_count;
    size_t larger = assignment->queue_count % assignment->member_count;
    size_t first = member * share + (member < larger ? member : larger);
    return queue >= first && queue < first + share + (member < larger ? 1 : 0);
}

size_t assign(const struct assignment *assignment, struct queue_name *out)
{
    size_t count = 0;
    ASSERT(assignment->member < assignment->member_count);
    for (size_t i = 0; i < assignment->queue_count; i++) {
        if (belongs_to(assignment, i, assignment->member)) {
            out[count++] = assignment->queues[i];
        }
    }
    return count;
}

static size_t every_broker(const struct assignment *assignment, struct queue_name *out)
{
    size_t count = 0;
    for (size_t i = 0; i < assignment->queue_count; i++) {
        const struct queue_name *queue = &assignment->queues[i];
        if (count == 0 || !slice_equals(out[count - 1].broker, queue->broker)) {
            out[count] = *queue;
            out[count++].queue_id = -1;
        }
    }
    return count;
}

bool assignment_is_shared(const struct assignment *assignment, int32_t share_count)
{
    return share_count <= 0 || (size_t)share_count + 1 >= assignment->member_count;
}

size_t assign_pop(const struct assignment *assignment, int32_t share_count, struct queue_name *out)
{
    size_t members = assignment->member_count;
    size_t count = 0;
    if (assignment_is_shared(assignment, share_count)) {
        return every_broker(assignment, out);
    }
    ASSERT(assignment->member < members);
    if (members > assignment->queue_count) {
        if (assignment->queue_count > 0) { // So that each has one.
            out[count++] = assignment->queues[assignment->member % assignment->queue_count];
        }
        return count;
    }
    for (size_t i = 0; i < assignment->queue_count; i++) {
        bool mine = false;
        for (size_t next = 0; next <= (size_t)share_count && !mine; next++) {
            mine = belongs_to(assignment, i, (assignment->member + next) % members);
        }
        if (mine) {
            out[count++] = assignment->queues[i];
        }
    }
    return count;
}
