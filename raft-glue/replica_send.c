/* Messages on their way out: split, held, sent. */
#include "raft-glue/replica_internal.h"

#include <stdlib.h>

static void send_or_hold(struct replica *replica, const struct replica_outbound *outbound)
{
    bool durable =
        replica->vote_durable == replica->vote_wanted && replica->change_index <= replica->reported;
    if (durable && list_empty(&replica->held)) {
        replica->options.ports.send(replica->options.ports.context, outbound);
        return;
    }
    struct held_message *held = mem_alloc(sizeof *held);
    *held = (struct held_message){
        .vote_sequence = replica->vote_wanted,
        .outbound = *outbound,
    };
    list_append(&replica->held, &held->queue);
}

void replica_send_held(struct replica *replica)
{
    while (!list_empty(&replica->held) && replica->change_index <= replica->reported) {
        struct held_message *held = CONTAINER_OF(replica->held.next, struct held_message, queue);
        if (held->vote_sequence > replica->vote_durable) {
            return;
        }
        list_remove(&held->queue);
        const struct raft_message *message = &held->outbound.message;
        // Entries of a leadership that ended meanwhile may be others now.
        if (message->type != RAFT_APPEND_ENTRIES ||
            replica_leads_term(replica, message->append_entries.term)) {
            replica->options.ports.send(replica->options.ports.context, &held->outbound);
        }
        free(held);
    }
}

/* How many entries from `first` on, of at most `count`, go into one message: bounded bytes, all in
 * one segment, all in memory or none, so that they can be read in one piece. */
static unsigned one_message(const struct replica *replica, uint64_t first, unsigned count)
{
    size_t bytes = 0;
    uint64_t end = 0;
    bool cached = segment_log_cached(replica->log, first) != NULL;
    for (unsigned i = 0; i < count; i++) {
        struct log_entry entry;
        ASSERT(segment_log_entry(replica->log, first + i, &entry));
        size_t size = log_frame_size(entry.payload_size);
        if (i > 0 && (bytes + size > WIRE_BODY_TARGET || entry.position != end ||
                      (segment_log_cached(replica->log, first + i) != NULL) != cached)) {
            return i;
        }
        bytes += size;
        end = entry.position + size;
    }
    return count;
}

/* One AppendEntries as several consecutive ones. */
static void send_append(struct replica *replica, struct replica_outbound *outbound)
{
    struct raft_append_entries *append = &outbound->message.append_entries;
    append->entries = NULL;
    unsigned rest = append->n_entries;
    if (rest == 0) {
        send_or_hold(replica, outbound);
        return;
    }
    while (rest > 0) {
        append->n_entries = one_message(replica, append->prev_log_index + 1, rest);
        send_or_hold(replica, outbound);
        rest -= append->n_entries;
        append->prev_log_index += append->n_entries;
        append->prev_log_term = segment_log_term(replica->log, append->prev_log_index);
    }
}

void replica_queue_message(struct replica *replica, const struct raft_message *message)
{
    struct replica_outbound outbound = {.to = message->server_id, .message = *message};
    outbound.message.server_address = NULL;
    if (message->server_id == replica->options.id ||
        replica_member(replica, message->server_id) == NULL) {
        return; // A server of the membership that we have no address of.
    }
    switch (message->type) {
    case RAFT_APPEND_ENTRIES:
        send_append(replica, &outbound);
        return;
    default:
        send_or_hold(replica, &outbound);
        return;
    }
}
