/* CUT: the front of the log goes, and with it what refers there.
 *
 * Two lines move through the log. `position` is where the readable part begins: all index entries
 * below are gone. `log_first` is where the needed part begins; it stays behind while a message that
 * can be read has its body further back. A pending half and a delayed message hold both; an expired
 * half waits for a person, but not for ever: it is rolled back when log_first passes it. */
#include "broker/machine/machine_internal.h"

static void queues_cut(struct machine *machine, uint64_t number);
static uint64_t expired_drop(struct machine *machine, uint64_t log_first);

struct machine_cut machine_cut_done(const struct machine *machine)
{
    return (struct machine_cut){machine->meta.cut_position, machine->meta.log_first};
}

struct machine_cut machine_cut_plan(const struct machine *machine, uint64_t position)
{
    const struct meta_row *meta = &machine->meta;
    struct machine_cut plan = {meta->cut_position, meta->log_first};
    uint64_t queues = 0;
    bool held = false;
    for (uint64_t at = meta->log_first; at < meta->cut_position && !held; at += SEGMENT_SIZE) {
        held = segment_at(machine, at)->held_count > 0;
    }
    uint64_t newest = machine_segment_newest(machine) * SEGMENT_SIZE;
    while (!held && plan.position < newest && plan.position + SEGMENT_SIZE <= position) {
        const struct segment *segment = segment_at(machine, plan.position);
        queues += segment->row.ends_count;
        if (segment->held_count > 0 ||
            (queues > CUT_QUEUES_MAX && plan.position > meta->cut_position)) {
            break;
        }
        plan.position += SEGMENT_SIZE;
    }
    while (plan.log_first < plan.position) {
        const struct segment *segment = segment_at(machine, plan.log_first);
        if (segment->held_count > 0 || segment->row.referred_from >= plan.position) {
            break;
        }
        plan.log_first += SEGMENT_SIZE;
    }
    return plan;
}

void apply_cut(struct machine *machine, const struct operation_cut *cut,
               struct operation_result *result)
{
    struct meta_row *meta = &machine->meta;
    struct machine_cut plan = machine_cut_plan(machine, cut->position);
    if (plan.position > meta->cut_position) {
        for (uint64_t at = meta->cut_position; at < plan.position; at += SEGMENT_SIZE) {
            queues_cut(machine, at / SEGMENT_SIZE);
        }
        const struct segment *last = segment_at(machine, plan.position - SEGMENT_SIZE);
        meta->cut_ms = last->row.last_ms;
        meta->cut_index = last->row.last_index;
        segments_forget_ends(machine, plan.position);
        meta->cut_position = plan.position;
    }
    segments_drop(machine, expired_drop(machine, plan.log_first));
    result->status = STATUS_OK;
    result->cut = machine_cut_done(machine);
}

/* Move the queues that grew in a segment to where they stood at its end. */
static void queues_cut(struct machine *machine, uint64_t number)
{
    struct buf packed = {0};
    enum status status = segment_ends_read(machine, number, &packed);
    if (status != STATUS_OK) {
        FATAL("the state machine's store cannot be read (%s); if it is damaged, the next start "
              "builds "
              "it again, else check the disk",
              status_text(status));
    }
    struct topic *topic = NULL;
    for (size_t at = 0; at < packed.size; at += QUEUE_END_SIZE) {
        struct queue_end end;
        queue_end_decode(packed.data + at, &end);
        if (topic == NULL || topic->id != end.topic_id) {
            topic = topic_by_id(machine, end.topic_id);
        }
        if (topic != NULL) { // Not deleted meanwhile.
            ASSERT((uint32_t)end.queue_id < topic->queue_count);
            queue_cut(machine, &topic->queues[end.queue_id], end.offset_next);
        }
    }
    buf_close(&packed);
}

/* Roll back what waits for a person below log_first, but not too much at once: returns how far the
 * log may be cut now. */
static uint64_t expired_drop(struct machine *machine, uint64_t log_first)
{
    for (uint32_t count = 0;; count++) {
        struct heap_node *node = heap_first(&machine->expired);
        if (node == NULL || node->due >= log_first) {
            return log_first;
        }
        if (count == CUT_EXPIRED_MAX) {
            return node->due / SEGMENT_SIZE * SEGMENT_SIZE;
        }
        struct transaction *transaction = CONTAINER_OF(node, struct transaction, due);
        transaction->dropped_by_cut = true;
        transaction_set_state(machine, transaction, TRANSACTION_ROLLED_BACK, 0);
        machine->meta.counters.rollbacks++;
    }
}
