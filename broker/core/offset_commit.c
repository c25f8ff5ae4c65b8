#include "broker/core/offset_commit.h"

#include "broker/core/broker.h"

/* Offsets only rise, and an idle consumer repeats itself every few seconds. One that was reset
 * waits for a commit of just that offset. */
static bool is_settled(const struct machine *machine, const struct offset_commit *commit)
{
    int64_t known;
    if (machine_offset_held(machine, commit->group, commit->topic, commit->queue_id, &known)) {
        return commit->offset != known;
    }
    return machine_offset_find(machine, commit->group, commit->topic, commit->queue_id, &known) &&
           commit->offset <= known;
}

enum status offset_commit_propose(struct broker *broker, const struct offset_commit *commit,
                                  const struct waiter *waiter)
{
    if (!commit->reset && is_settled(broker->machine, commit)) {
        return STATUS_OK;
    }
    struct buf *entry;
    size_t size = 64 + commit->group.size + commit->topic.size;
    enum status status = proposer_begin(&broker->proposer, size, &entry);
    if (status != STATUS_OK) {
        return status;
    }
    struct operation_offsets offsets;
    offsets.count = 1;
    offsets.commits[0] = *commit;
    entry_put_offsets(entry, &offsets);
    proposer_add(&broker->proposer, waiter != NULL ? waiter : &(struct waiter){0});
    return STATUS_PENDING;
}
