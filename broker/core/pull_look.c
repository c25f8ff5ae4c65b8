#include "broker/core/pull_look.h"

#include "broker/core/broker.h"

#include <inttypes.h>

enum {
    /* Index entries one look at a queue may go through, as in RocketMQ (maxFilterMessageSize / 20).
     */
    SCAN_MAX = 800,
    SCAN_STEP = 64,
};

/* Which entries from the pull's offset on go into the answer. Errors: what came before one that
 * cannot be read is found all the same. */
static enum status scan(struct broker *broker, const struct pull *pull, const struct queue *queue,
                        struct pull_found *found, struct message_ref *refs)
{
    struct index_entry entries[SCAN_STEP];
    size_t bytes = 0;
    int64_t offset = pull->offset;
    uint32_t messages_max =
        pull->messages_max < READ_MESSAGES_MAX ? pull->messages_max : READ_MESSAGES_MAX;
    bool full = false;
    enum status status = STATUS_OK;
    for (uint32_t scanned = 0; scanned < SCAN_MAX && !full && offset < queue->offset_next;) {
        uint32_t count = 0;
        status = machine_queue_read(broker->machine, queue, offset, SCAN_STEP, entries, &count);
        if (status != STATUS_OK) {
            log_error(broker->log, "queue index cannot be read",
                      "topic=%s queue=%d offset=%" PRId64 " status=%s", queue->topic->name.text,
                      queue->id, offset, status_name(status));
            break;
        }
        for (uint32_t i = 0; i < count && !full; i++) {
            if (tag_filter_matches(&pull->filter->tags, entries[i].tags_hash)) {
                full = found->count == messages_max ||
                       (found->count > 0 && bytes + entries[i].size > pull->bytes_max);
                if (full) {
                    break;
                }
                refs[found->count++] = message_ref_of(queue, &entries[i], offset);
                bytes += entries[i].size;
            }
            found->position = entries[i].position;
            offset++;
            scanned++;
        }
    }
    if (found->count > 0) {
        found->first = refs[0];
    }
    found->offset_next = offset;
    return status;
}

/* Source of codes and next offsets: DefaultMessageStore.getMessage, PullMessageProcessor. */
static void look_at_queue(struct broker *broker, const struct pull *pull, struct pull_found *found,
                          struct message_ref *refs)
{
    found->reset = false;
    found->status = STATUS_OK;
    found->count = 0;
    found->offset_next = 0;
    found->offset_min = 0;
    found->offset_max = 0;
    found->position = 0;
    const struct queue *queue =
        machine_queue_find(broker->machine, name_slice(&pull->topic), pull->queue_id);
    if (queue == NULL || queue->offset_next == 0) {
        found->code = pull->offset == 0 ? PULL_NOT_FOUND : PULL_OFFSET_MOVED;
        return;
    }
    found->offset_min = queue->offset_first;
    found->offset_max = queue->offset_next;
    if (pull->offset < queue->offset_first) {
        found->code = PULL_OFFSET_MOVED;
        found->offset_next = queue->offset_first;
    } else if (pull->offset == queue->offset_next || pull->homeward) {
        found->code = PULL_NOT_FOUND;
        found->offset_next = pull->offset;
    } else if (pull->offset > queue->offset_next) {
        found->code = PULL_OFFSET_MOVED;
        found->offset_next = queue->offset_next;
    } else if (pull->filter->sql != NULL) {
        found->code = PULL_SIEVE;
    } else {
        found->status = scan(broker, pull, queue, found, refs);
        bool stuck = found->status != STATUS_OK && found->offset_next == pull->offset;
        found->code = found->count > 0 ? PULL_FOUND
                      : stuck          ? PULL_UNREADABLE
                                       : PULL_RETRY_IMMEDIATELY;
    }
}

/* A replica may be behind what its client was given by another one, the leader too if its disk is
 * slow: an offset beyond its end is no reason to move the consumer back. */
static void trust_only_who_knows_all(const struct broker *broker, const struct pull *pull,
                                     struct pull_found *found)
{
    if (found->code == PULL_OFFSET_MOVED && pull->offset > found->offset_max &&
        !broker->ports->knows_all(broker->ports->context)) {
        found->code = PULL_NOT_FOUND;
        found->offset_next = pull->offset;
    }
}

/* An operator has put the group elsewhere, and this consumer does not know yet. */
static void move_where_reset(struct broker *broker, const struct pull *pull,
                             struct pull_found *found)
{
    int64_t target;
    if (!pull->homeward &&
        machine_offset_held(broker->machine, name_slice(&pull->group), name_slice(&pull->topic),
                            pull->queue_id, &target) &&
        target != pull->offset) {
        found->code = PULL_OFFSET_MOVED;
        found->reset = true;
        found->offset_next = target;
    }
}

void pull_look(struct broker *broker, const struct pull *pull, struct pull_found *found,
               struct message_ref *refs)
{
    look_at_queue(broker, pull, found, refs);
    trust_only_who_knows_all(broker, pull, found);
    move_where_reset(broker, pull, found);
}
