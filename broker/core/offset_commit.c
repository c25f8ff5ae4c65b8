#include "broker/core/offset_commit.h"

#include "broker/core/broker.h"

enum status offset_commit_propose(struct broker *broker, const struct offset_commit *commit,
                                  const struct reply_to *to)
{
    int64_t known = -1;
    bool found = machine_offset_find(broker->machine, commit->group, commit->topic,
                                     commit->queue_id, &known);
    if (found && !commit->reset && commit->offset <= known) {
        return STATUS_OK; // Offsets only rise: an idle consumer repeats itself every few seconds.
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
    struct waiter waiter = {0};
    if (to != NULL) {
        waiter = (struct waiter){.done = reply_with_status, .to = *to};
    }
    proposer_add(&broker->proposer, &waiter);
    return STATUS_PENDING;
}
