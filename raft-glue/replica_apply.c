/* From committed to applied. */
#include "raft-glue/replica_internal.h"

void replica_deliver_configurations(struct replica *replica)
{
    while (replica->conf_scan < replica->commit &&
           replica->conf_scan < segment_log_last_index(replica->log)) {
        uint64_t index = ++replica->conf_scan;
        struct log_entry entry;
        if (!segment_log_entry(replica->log, index, &entry) || entry.type != LOG_FRAME_CHANGE) {
            continue;
        }
        uint64_t at = 0;
        struct slice change = segment_log_change(replica->log, index, &at);
        ASSERT(at == index);
        struct raft_event event = {.type = RAFT_CONFIGURATION};
        event.configuration.index = index;
        event.configuration.conf = configuration_decode(change);
        replica_step(replica, &event);
    }
}

static uint64_t apply_limit(const struct replica *replica)
{
    // R11: committed is not yet durable here.
    return replica->commit < replica->reported ? replica->commit : replica->reported;
}

static void apply_command(struct replica *replica, const struct log_entry *entry,
                          struct slice payload)
{
    uint64_t index = ++replica->applied;
    struct replica_entry out = {
        .index = index,
        .term = entry->term,
        .position = entry->position + LOG_FRAME_HEADER_SIZE,
        .payload = payload,
    };
    void *proposal = replica_proposal_for(replica, index, entry->term);
    const struct replica_machine *machine = &replica->options.machine;
    machine->apply(machine->context, &out, proposal);
}

/* Payload of the next entry, if a load has brought it. */
static bool find_loaded(const struct replica *replica, uint64_t index, struct slice *payload)
{
    const struct log_load *load = replica->loaded;
    if (load == NULL || index < load->first_index || index >= load->first_index + load->count) {
        return false;
    }
    struct log_entry first;
    struct log_entry entry;
    if (!segment_log_entry(replica->log, load->first_index, &first) ||
        !segment_log_entry(replica->log, index, &entry)) {
        return false;
    }
    size_t at = (size_t)(entry.position - first.position);
    *payload = slice_of(load->block->data + at + LOG_FRAME_HEADER_SIZE, entry.payload_size);
    return true;
}

bool replica_apply(struct replica *replica)
{
    uint64_t before = replica->applied;
    while (replica->applied < apply_limit(replica) && !replica->shut) {
        uint64_t index = replica->applied + 1;
        struct log_entry entry;
        ASSERT(segment_log_entry(replica->log, index, &entry));
        if (entry.type != LOG_FRAME_COMMAND) {
            replica->applied = index;
            continue;
        }
        struct slice payload;
        struct log_record *record = segment_log_cached(replica->log, index);
        if (record != NULL) {
            log_record_hold(record);
            apply_command(replica, &entry, slice_of(record->payload, record->payload_size));
            log_record_release(record);
        } else if (find_loaded(replica, index, &payload)) {
            apply_command(replica, &entry, payload);
        } else {
            break; // replica_load_take() asks for it.
        }
    }
    return replica->applied > before;
}

bool replica_load_take(struct replica *replica, struct log_load *load)
{
    uint64_t index = replica->applied + 1;
    if (replica->load_under_way || replica->damaged || index > apply_limit(replica) ||
        segment_log_cached(replica->log, index) != NULL) {
        return false;
    }
    enum status status = segment_log_load_begin(replica->log, index, apply_limit(replica),
                                                REPLICA_LOAD_BYTES_MAX, load);
    if (status != STATUS_OK) {
        FATAL("committed entries cannot be read from the log (%s); check the disk, then restart "
              "this node",
              status_text(status));
    }
    replica->load_under_way = true;
    return true;
}

void replica_load_done(struct replica *replica, struct log_load *load)
{
    replica->load_under_way = false;
    if (load->status == STATUS_CORRUPT) {
        replica->damaged = true; // It cannot go on; whoever hosts it gets a copy.
    } else if (load->status != STATUS_OK && !replica->shut) {
        FATAL("committed entries cannot be read from the log (%s); check the disk, then restart "
              "this node",
              status_text(load->status));
    }
    if (!replica->shut && !replica->damaged) {
        replica_enter(replica);
        replica->loaded = load;
        replica_leave(replica);
        replica->loaded = NULL;
    }
    segment_log_load_end(replica->log, load);
}
