/* Messages between nodes: late, lost, in order for each pair. */
#include "tests/sim/replica/group_sim_internal.h"

#include <inttypes.h>

/* ---- Network ---- */

static struct node *node_of(struct sim *sim, uint64_t id)
{
    return &sim->nodes[id - 1];
}

/* The frames of an AppendEntries as one body, from memory or from disk; NULL: cannot be had. */
static struct block *gather(struct node *node, const struct raft_append_entries *append,
                            uint64_t *position)
{
    struct segment_log *log = node->storage.log;
    struct log_entry entry;
    if (!segment_log_entry(log, append->prev_log_index + 1, &entry)) {
        return NULL;
    }
    *position = entry.position;
    struct buf bytes = {0};
    for (unsigned i = 0; i < append->n_entries; i++) {
        struct log_record *record = segment_log_cached(log, append->prev_log_index + 1 + i);
        if (record == NULL) {
            buf_close(&bytes);
            struct log_load load;
            if (segment_log_load_begin(log, append->prev_log_index + 1,
                                       append->prev_log_index + append->n_entries, WIRE_BODY_MAX,
                                       &load) != STATUS_OK) {
                return NULL;
            }
            log_load_run(&load);
            struct block *block = NULL;
            if (load.status == STATUS_OK && load.count == append->n_entries) {
                block = block_hold(load.block);
            }
            segment_log_load_end(log, &load);
            node->sim->result->loads++;
            return block;
        }
        size_t size = log_frame_size(record->payload_size);
        uint8_t *to = buf_extend(&bytes, size);
        memset(to, 0, size);
        memcpy(to, record->header, LOG_FRAME_HEADER_SIZE);
        memcpy(to + LOG_FRAME_HEADER_SIZE, record->payload, record->payload_size);
    }
    size_t size = bytes.size;
    return block_take(buf_take(&bytes), size);
}

void network_send(void *context, const struct replica_outbound *outbound)
{
    struct node *node = context;
    struct sim *sim = node->sim;
    struct node *to = node_of(sim, outbound->to);
    struct wire_header header = {.message = outbound->message};
    struct block *body = NULL;
    const struct raft_message *message = &outbound->message;
    if (message->type == RAFT_APPEND_ENTRIES && message->append_entries.n_entries > 0) {
        body = gather(node, &message->append_entries, &header.position);
        if (body == NULL) {
            return;
        }
        header.body_size = body->size;
    }
    if (sim->cut[node->number][to->number] || !to->up ||
        (!sim->calm && group_chance(sim, 100) < 2)) {
        block_release(body);
        return;
    }
    uint64_t *last = &sim->last_at[node->number][to->number];
    uint64_t at = sim->now + (group_chance(sim, 20) == 0 ? 10 + group_chance(sim, 70)
                                                         : 1 + group_chance(sim, 8));
    *last = at > *last ? at : *last; // In order.
    struct event *event = group_event(sim, EVENT_MESSAGE, to, *last);
    event->from = node->number;
    event->link = sim->links[node->number][to->number];
    event->body = body;
    wire_header_encode(&header, event->header);
}

void network_deliver(struct sim *sim, struct event *event)
{
    struct node *node = &sim->nodes[event->to];
    if (sim->cut[event->from][event->to] || event->link != sim->links[event->from][event->to]) {
        return;
    }
    struct wire_entry entries[WIRE_ENTRIES_MAX];
    struct replica_inbound inbound = {
        .from = sim->nodes[event->from].id, .body = event->body, .entries = entries};
    if (wire_header_decode(slice_of(event->header, WIRE_HEADER_SIZE), &inbound.header) !=
        STATUS_OK) {
        group_violation(sim, "a message cannot be decoded");
    }
    if (event->body != NULL &&
        wire_entries_decode(&inbound.header, slice_of(event->body->data, event->body->size), GROUP,
                            entries) != STATUS_OK) {
        group_violation(sim, "entries cannot be decoded");
    }
    group_trace(sim, "%u -> %u message %d", event->from + 1, event->to + 1,
                (int)inbound.header.message.type);
    replica_receive(node->replica, &inbound);
}

void network_break(struct sim *sim, unsigned from, unsigned to)
{
    sim->links[from][to]++;
    sim->last_at[from][to] = 0;
}

static void network_cut(struct sim *sim, unsigned from, unsigned to, bool cut)
{
    if (sim->cut[from][to] != cut) {
        sim->cut[from][to] = cut;
        network_break(sim, from, to);
    }
}

void network_partition(struct sim *sim)
{
    uint64_t side = group_chance(sim, UINT64_C(1) << sim->count);
    unsigned lonely = (unsigned)group_chance(sim, sim->count);
    uint64_t kind = group_chance(sim, 3);
    for (unsigned i = 0; i < sim->count; i++) {
        for (unsigned j = 0; j < sim->count; j++) {
            if (i == j) {
                continue;
            }
            bool cut = kind == 0 ? ((side >> i) & 1) != ((side >> j) & 1)
                                 : (kind == 1 ? i == lonely : i == lonely || j == lonely);
            network_cut(sim, i, j, cut);
        }
    }
    group_trace(sim, "partition kind %" PRIu64, kind);
}

void network_heal(struct sim *sim)
{
    for (unsigned i = 0; i < sim->count; i++) {
        for (unsigned j = 0; j < sim->count; j++) {
            network_cut(sim, i, j, false);
        }
    }
}
