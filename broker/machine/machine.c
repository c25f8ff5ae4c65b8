/* Opening, applying and checkpointing: the frame around what the modules do. */
#include "broker/machine/machine_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static enum status load(struct machine *machine, char **error);
static enum status load_meta(struct machine *machine);
static void operation_apply(struct machine *machine, const struct operation *operation,
                            struct operation_result *result);

enum status machine_open(struct kv *kv, const struct machine_events *events, struct machine **out,
                         char **error)
{
    struct machine *machine = mem_zalloc(sizeof *machine);
    machine->kv = kv;
    if (events != NULL) {
        machine->events = *events;
    }
    machine->meta.next_id = 1;
    machine->uniques.kind = INDEX_BY_UNIQUE;
    machine->deletes = kv_batch_new();
    struct list *const heads[] = {
        &machine->topics_dirty,       &machine->queues_dirty,          &machine->queues_grown,
        &machine->parts_dirty,        &machine->parts_writing,         &machine->parts_clean,
        &machine->groups_dirty,       &machine->offsets_dirty,         &machine->outcomes,
        &machine->transactions_dirty, &machine->producer_groups_dirty, &machine->slabs,
        &machine->queues_touched,     &machine->locks_dirty,           &machine->delayed_dirty,
        &machine->popped_dirty,       &machine->modes_dirty,
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        list_init(heads[i]);
    }
    for (size_t i = 0; i < sizeof machine->ages / sizeof machine->ages[0]; i++) {
        list_init(&machine->ages[i]);
    }
    struct loader loader = {0};
    machine->loader = &loader;
    enum status status = load(machine, error);
    machine->loader = NULL;
    free(loader.groups);
    if (status != STATUS_OK) {
        machine_close(machine);
        return status;
    }
    *out = machine;
    return STATUS_OK;
}

void machine_close(struct machine *machine)
{
    if (machine == NULL) {
        return;
    }
    transactions_close(machine);
    delayed_close(machine);
    uniques_close(machine);
    popped_close(machine);
    modes_close(machine);
    topics_close(machine);
    queue_indexes_close(machine);
    groups_close(machine);
    offsets_close(machine);
    locks_close(machine);
    keys_close(machine);
    segments_close(machine);
    kv_batch_free(machine->deletes);
    free(machine->batch);
    free(machine);
}

enum status machine_note_damage(struct machine *machine)
{
    kv_note_damage(machine->kv);
    return STATUS_CORRUPT;
}

uint64_t machine_applied_index(const struct machine *machine)
{
    return machine->meta.applied_index;
}

uint64_t machine_clock_ms(const struct machine *machine)
{
    return machine->meta.clock_ms;
}

void machine_counters(const struct machine *machine, struct machine_counters *counters)
{
    *counters = machine->meta.counters;
}

/* --- Loading ------------------------------------------------------------------------------ */

/* The families in the order in which they refer to each other. */
static const struct {
    enum key_family family;
    const char *what;
    enum status (*load)(struct machine *machine, struct slice key, struct slice value);
} families[] = {
    {KEY_SEGMENT, "a segment of the log", segment_load},
    {KEY_TOPIC, "a topic", topic_load},
    {KEY_QUEUE, "a queue", queue_load},
    {KEY_GROUP, "a consumer group", group_load},
    {KEY_OFFSETS, "consumer offsets", offsets_load},
    {KEY_LOCK, "a queue lock", lock_load},
    {KEY_MODE, "a request mode", mode_load},
    {KEY_POPPED, "a popped message", popped_load},
    {KEY_PRODUCER_GROUP, "a producer group", producer_group_load},
    {KEY_TRANSACTION, "a transaction", transaction_load},
    {KEY_OUTCOMES, "transaction outcomes", outcomes_load},
    {KEY_DELAYED, "a delayed message", delayed_load},
    {KEY_UNIQUES, "messages recognised when sent again", uniques_load},
};

static enum status load_failed(enum status status, const char *what, char **error)
{
    struct buf text = {0};
    buf_printf(&text, "the state store holds %s that cannot be read (%s); it has to be built again",
               what, status_text(status));
    *error = mem_copy_text(buf_slice(&text));
    buf_close(&text);
    return status;
}

static enum status load(struct machine *machine, char **error)
{
    enum status status = load_meta(machine);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK; // A new one.
    }
    if (status != STATUS_OK) {
        return load_failed(status, "a head", error);
    }
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        struct key from = key_family_first(families[i].family);
        struct key to = key_family_end(families[i].family);
        struct kv_iterator *iterator = kv_iterate(machine->kv, key_slice(&from), key_slice(&to));
        struct slice key;
        struct slice value;
        while (status == STATUS_OK && kv_iterator_next(iterator, &key, &value)) {
            status = families[i].load(machine, key, value);
        }
        enum status closed = kv_iterator_close(iterator);
        status = status == STATUS_OK ? closed : status;
        if (status != STATUS_OK) {
            return load_failed(status, families[i].what, error);
        }
    }
    status = outcomes_check(machine);
    if (status != STATUS_OK) {
        return load_failed(status, "a gap in transaction outcomes", error);
    }
    status = uniques_check(machine);
    if (status != STATUS_OK) {
        return load_failed(status, "a gap in recognised messages", error);
    }
    machine->uniques_written = machine->meta.unique_next;
    machine->queues_dirty_count = 0;
    machine->dirty_size = 0; // Creating marks as changed what came from the store just now.
    struct list *const dirty[] = {&machine->topics_dirty, &machine->queues_dirty};
    for (size_t i = 0; i < sizeof dirty / sizeof dirty[0]; i++) {
        while (list_pop(dirty[i]) != NULL) {
        }
    }
    return STATUS_OK;
}

static enum status load_meta(struct machine *machine)
{
    struct buf value = {0};
    struct key key = key_meta();
    enum status status = kv_get(machine->kv, key_slice(&key), &value);
    if (status == STATUS_OK) {
        status = meta_row_decode(buf_slice(&value), &machine->meta);
        machine->outcomes_written = machine->meta.outcome_first;
        machine->outcome_row_first = machine->meta.outcome_first / OUTCOMES_PER_ROW;
        machine->unique_row_first = machine->meta.unique_first / UNIQUES_PER_ROW;
        machine->loader->unique_next = machine->meta.unique_next;
        machine->meta.unique_next = machine->meta.unique_first; // Counted up by what is loaded.
    }
    buf_close(&value);
    return status;
}

enum status machine_stored_index(struct kv *kv, uint64_t *index)
{
    struct buf value = {0};
    struct meta_row meta = {0};
    struct key key = key_meta();
    enum status status = kv_get(kv, key_slice(&key), &value);
    if (status == STATUS_OK) {
        status = meta_row_decode(buf_slice(&value), &meta);
    }
    buf_close(&value);
    *index = status == STATUS_OK ? meta.applied_index : 0;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* --- Applying ----------------------------------------------------------------------------- */

void machine_apply(struct machine *machine, uint64_t index, uint64_t position, struct slice payload)
{
    ASSERT(index > machine->meta.applied_index);
    struct entry_reader reader;
    struct operation operations[2]; // The one that is applied, and the one behind it.
    enum status status = entry_reader_init(&reader, payload);
    if (status == STATUS_OK && reader.time_ms > machine->meta.clock_ms) {
        machine->meta.clock_ms = reader.time_ms;
    }
    machine->entry_index = index;
    machine->entry_position = position;
    segments_enter(machine);
    status = status == STATUS_OK ? entry_reader_next(&reader, &operations[0]) : status;
    for (uint32_t ordinal = 0; status == STATUS_OK; ordinal++) {
        const struct operation *operation = &operations[ordinal % 2];
        struct operation *next = &operations[(ordinal + 1) % 2];
        status = entry_reader_next(&reader, next);
        if (status == STATUS_OK) {
            message_foresee(machine, next);
        }
        struct operation_result result = {0};
        operation_apply(machine, operation, &result);
        if (machine->events.on_result != NULL) {
            machine->events.on_result(machine->events.context, ordinal, operation, &result);
        }
    }
    if (status != STATUS_NOT_FOUND) {
        FATAL("log entry %llu cannot be read by this version of raftmq; upgrade this node",
              (unsigned long long)index);
    }
    queues_report_grown(machine);
    transactions_forget(machine);
    locks_forget(machine);
    uniques_forget(machine);
    segments_leave(machine);
    machine->meta.applied_index = index;
}

static void operation_apply(struct machine *machine, const struct operation *operation,
                            struct operation_result *result)
{
    switch (operation->type) {
    case OPERATION_MESSAGE:
        apply_message(machine, operation, result);
        return;
    case OPERATION_HALF:
    case OPERATION_HALF_DELAYED:
        apply_half(machine, operation, result);
        return;
    case OPERATION_END:
        apply_end(machine, operation, result);
        return;
    case OPERATION_CHECKED:
        apply_checked(machine, &operation->checked, result);
        return;
    case OPERATION_EXPIRE:
        apply_expire(machine, operation, result);
        return;
    case OPERATION_SETTLE:
        apply_settle(machine, operation, result);
        return;
    case OPERATION_OFFSETS:
        apply_offsets(machine, &operation->offsets, result);
        return;
    case OPERATION_TOPIC_PUT:
        apply_topic_put(machine, &operation->topic_put, result);
        return;
    case OPERATION_TOPIC_DELETE:
        apply_topic_delete(machine, operation->topic_delete, result);
        return;
    case OPERATION_GROUP_PUT:
        apply_group_put(machine, &operation->group_put, result);
        return;
    case OPERATION_GROUP_DELETE:
        apply_group_delete(machine, &operation->group_delete, result);
        return;
    case OPERATION_TICK:
        return; // Its time is all it says.
    case OPERATION_CUT:
        apply_cut(machine, &operation->cut, result);
        return;
    case OPERATION_LOCK:
        apply_lock(machine, &operation->lock, result);
        return;
    case OPERATION_DELAYED:
        apply_delayed(machine, operation, result);
        return;
    case OPERATION_FIRE:
        apply_fire(machine, operation, result);
        return;
    case OPERATION_RECALL:
        apply_recall(machine, &operation->recall, result);
        return;
    case OPERATION_POP:
        apply_pop(machine, &operation->pop, result);
        return;
    case OPERATION_ACK:
        apply_ack(machine, &operation->ack, result);
        return;
    case OPERATION_INVISIBLE:
        apply_invisible(machine, &operation->invisible, result);
        return;
    case OPERATION_MODE_PUT:
        apply_mode_put(machine, &operation->mode_put, result);
        return;
    }
    UNREACHABLE();
}

/* --- Checkpoint --------------------------------------------------------------------------- */

size_t machine_dirty_size(const struct machine *machine)
{
    return machine->dirty_size;
}

bool machine_checkpoint_due(const struct machine *machine, size_t size_max)
{
    size_t more = machine->queues_dirty_count * QUEUE_ROWS_WORTH;
    return machine->dirty_size >= size_max + (more < 3 * size_max ? more : 3 * size_max);
}

struct kv_batch *machine_checkpoint_begin(struct machine *machine)
{
    ASSERT(!machine->checkpointing);
    machine->checkpointing = true;
    struct kv_batch *batch = machine->deletes;
    machine->deletes = kv_batch_new();
    topics_checkpoint(machine, batch);
    queues_checkpoint(machine, batch);
    queue_indexes_freeze(machine);
    groups_checkpoint(machine, batch);
    offsets_checkpoint(machine, batch);
    locks_checkpoint(machine, batch);
    modes_checkpoint(machine, batch);
    popped_checkpoint(machine, batch);
    transactions_checkpoint(machine, batch);
    delayed_checkpoint(machine, batch);
    uniques_checkpoint(machine, batch);
    keys_freeze(machine, batch);
    segments_checkpoint(machine, batch);
    struct buf value = {0};
    meta_row_encode(&machine->meta, &value);
    struct key key = key_meta();
    kv_batch_put(batch, key_slice(&key), buf_slice(&value));
    buf_close(&value);
    machine->dirty_size = 0;
    machine->queues_dirty_count = 0;
    return batch;
}

void machine_checkpoint_fill(const struct machine *machine, struct kv_batch *batch)
{
    queue_indexes_fill(machine, batch);
    keys_fill(machine, batch);
}

struct kv_batch *machine_checkpoint(struct machine *machine)
{
    struct kv_batch *batch = machine_checkpoint_begin(machine);
    machine_checkpoint_fill(machine, batch);
    return batch;
}

void machine_checkpoint_written(struct machine *machine)
{
    ASSERT(machine->checkpointing);
    machine->checkpointing = false;
    queue_indexes_written(machine);
    keys_checkpoint_written(machine);
    segments_checkpoint_written(machine);
}

/* --- Hash --------------------------------------------------------------------------------- */

uint64_t machine_item_hash(enum key_family family, struct slice key, struct slice value)
{
    uint64_t hash = XXH3_64bits_withSeed(key.data, key.size, (uint64_t)family);
    return XXH3_64bits_withSeed(value.data, value.size, hash);
}

/* Items are hashed one by one and summed up, so that no order of any table matters. */
uint64_t machine_hash(struct machine *machine)
{
    struct buf value = {0};
    meta_row_encode(&machine->meta, &value);
    struct key key = key_meta();
    uint64_t hash = machine_item_hash(KEY_META, key_slice(&key), buf_slice(&value));
    buf_close(&value);
    MAP_FOREACH(node, &machine->topics)
    {
        const struct topic *topic = CONTAINER_OF(node, struct topic, node);
        for (uint32_t i = 0; i < topic->queue_count; i++) {
            if (queue_hash(machine, &topic->queues[i], &hash) != STATUS_OK) {
                return 0;
            }
        }
    }
    hash += topics_hash(machine) + groups_hash(machine) + offsets_hash(machine) +
            locks_hash(machine) + transactions_hash(machine) + delayed_hash(machine) +
            uniques_hash(machine) + modes_hash(machine) + popped_hash(machine);
    enum status status = keys_hash(machine, &hash);
    if (status == STATUS_OK) {
        status = segments_hash(machine, &hash);
    }
    return status == STATUS_OK ? hash : 0;
}
