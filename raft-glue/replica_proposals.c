#include "raft-glue/replica_proposals.h"

#include "common/base/buf.h"
#include "common/base/check.h"

#include <stdlib.h>

void proposals_close(struct proposals *proposals)
{
    free(proposals->ring);
    *proposals = (struct proposals){0};
}

static struct proposal *at(const struct proposals *proposals, size_t place)
{
    return &proposals->ring[(proposals->first + place) & (proposals->capacity - 1)];
}

static void grow(struct proposals *proposals)
{
    size_t capacity = proposals->capacity == 0 ? 64 : 2 * proposals->capacity;
    struct proposal *ring = mem_alloc(capacity * sizeof *ring);
    for (size_t i = 0; i < proposals->count; i++) {
        ring[i] = *at(proposals, i);
    }
    free(proposals->ring);
    proposals->ring = ring;
    proposals->capacity = capacity;
    proposals->first = 0;
}

void proposals_put(struct proposals *proposals, const struct proposal *proposal)
{
    if (proposals->count == proposals->capacity) {
        grow(proposals);
    }
    if (proposals->count > 0) {
        ASSERT(at(proposals, proposals->count - 1)->index < proposal->index);
    }
    *at(proposals, proposals->count++) = *proposal;
}

static void take_oldest(struct proposals *proposals, struct proposal *proposal)
{
    *proposal = *at(proposals, 0);
    proposals->first = (proposals->first + 1) & (proposals->capacity - 1);
    proposals->count--;
}

bool proposals_take_until(struct proposals *proposals, uint64_t index, struct proposal *proposal)
{
    if (proposals->count == 0 || at(proposals, 0)->index > index) {
        return false;
    }
    take_oldest(proposals, proposal);
    return true;
}

bool proposals_take_before_term(struct proposals *proposals, uint64_t term,
                                struct proposal *proposal)
{
    if (proposals->count == 0 || at(proposals, 0)->term >= term) {
        return false;
    }
    take_oldest(proposals, proposal);
    return true;
}

bool proposals_take_from(struct proposals *proposals, uint64_t index, struct proposal *proposal)
{
    if (proposals->count == 0 || at(proposals, proposals->count - 1)->index < index) {
        return false;
    }
    *proposal = *at(proposals, --proposals->count);
    return true;
}
