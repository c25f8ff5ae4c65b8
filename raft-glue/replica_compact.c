/* The front of the log: how far back C-Raft's trail reaches, and where the log itself begins. */
#include "raft-glue/replica_internal.h"

/* Everything up to here is applied, durable in the machine's store, and settled in C-Raft. */
static uint64_t settled(const struct replica *replica)
{
    uint64_t index = replica->machine_durable;
    index = index < replica->applied ? index : replica->applied;
    return index < replica->conf_scan ? index : replica->conf_scan;
}

/* Tell C-Raft of a snapshot at index whose trail keeps all entries behind `floor`. */
static void take_snapshot(struct replica *replica, uint64_t index, uint64_t floor)
{
    uint64_t at = 0;
    struct slice change = replica_storage_change(replica->options.storage, index, &at);
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    event.snapshot.metadata.index = index;
    event.snapshot.metadata.term = segment_log_term(replica->log, index);
    event.snapshot.metadata.configuration = configuration_decode(change);
    event.snapshot.metadata.configuration_index = at;
    event.snapshot.trailing = (unsigned)(index - floor);
    replica->snapshot_index = index;
    replica->snapshot_term = event.snapshot.metadata.term;
    replica->floor = floor;
    replica_step(replica, &event);
}

/* Where the log is to begin after a cut that is asked for: an index, or 0 if there is nothing to
 * cut or it must wait. */
static uint64_t cut_target(const struct replica *replica)
{
    const struct replica_cut *cut = &replica->cut;
    uint64_t position = cut->position < cut->pin ? cut->position : cut->pin;
    uint64_t first = segment_log_segment_first(replica->log, position);
    // What lies below the base goes already, as soon as nobody reads it.
    if (first <= replica->options.storage->base.index + 1 || first > replica->reported ||
        first - 1 > settled(replica)) {
        return 0;
    }
    return first;
}

/* Membership and term as of the entry before the cut, to be durable before anything goes. */
static void begin_cut(struct replica *replica, uint64_t first)
{
    struct replica_base *base = &replica->cut.base;
    uint64_t at = 0;
    struct slice change = replica_storage_change(replica->options.storage, first - 1, &at);
    ASSERT(change.size <= REPLICA_BASE_CHANGE_MAX); // replica_change() sees to that.
    *base = (struct replica_base){
        .index = first - 1,
        .term = segment_log_term(replica->log, first - 1),
        .change_index = at,
        .change_size = (uint32_t)change.size,
    };
    memcpy(base->change, change.data, change.size);
    replica->cut.phase = CUT_STORING;
}

/* C-Raft's floor is lifted, if it is not higher anyway. */
static void finish_cut(struct replica *replica)
{
    uint64_t index = settled(replica);
    uint64_t floor = replica->cut.base.index;
    if (floor <= replica->floor) {
        replica->cut.phase = CUT_NONE;
        return;
    }
    if (index <= replica->snapshot_index || index < floor) {
        return; // R16: a snapshot point only moves forward.
    }
    replica->cut.phase = CUT_NONE;
    take_snapshot(replica, index, floor);
}

/* The first entry that somebody copies; UINT64_MAX: nobody copies any. */
static uint64_t pinned(const struct replica *replica)
{
    uint64_t pin = replica->cut.pin;
    if (pin <= segment_log_first_position(replica->log)) {
        return segment_log_first_index(replica->log);
    }
    uint64_t first = segment_log_segment_first(replica->log, pin);
    return first == 0 ? UINT64_MAX : first;
}

/* Segments go for which the base stands, and that neither C-Raft knows nor the machine needs nor
 * anybody copies, who may have begun after the base was stored. C-Raft's floor alone says nothing:
 * a start does not tell it of all that the log holds. */
static void remove_prefix(struct replica *replica)
{
    uint64_t base = replica->options.storage->base.index;
    uint64_t copied = pinned(replica);
    uint64_t last = base < replica->floor ? base : replica->floor;
    last = last < copied ? last : copied - 1;
    if (segment_log_first_index(replica->log) <= last && last <= settled(replica)) {
        segment_log_remove_prefix(replica->log, last + 1);
    }
}

void replica_compact(struct replica *replica)
{
    // Before another snapshot takes the point at which it could have lifted the floor.
    if (replica->cut.phase == CUT_STORED) {
        finish_cut(replica);
    }
    uint64_t index = settled(replica);
    if (index >= replica->snapshot_index + COMPACT_EVERY && index >= replica->floor) {
        take_snapshot(replica, index, replica->floor);
    }
    uint64_t first = replica->cut.phase == CUT_NONE ? cut_target(replica) : 0;
    if (first != 0) {
        begin_cut(replica, first);
    }
    remove_prefix(replica);
}

void replica_cut(struct replica *replica, uint64_t position)
{
    if (position > replica->cut.position) {
        replica->cut.position = position;
    }
}

void replica_pin(struct replica *replica, uint64_t position)
{
    replica->cut.pin = position;
}
