/* The transaction table in the store.
 *
 * Most transactions are decided between two checkpoints, so only those that a checkpoint finds open
 * get a row of their own. Outcomes are a numbered sequence, packed many to a row and never
 * rewritten once the row is full: remembering one costs a few bytes, not a row and its deletion. */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

static struct producer_group *producer_group_by_id(const struct machine *machine, uint64_t id);
static enum status row_load(struct machine *machine, const struct transaction_row *row,
                            struct transaction **out);
static void row_of(const struct transaction *transaction, struct transaction_row *row);
static void open_checkpoint(struct machine *machine, struct kv_batch *batch, struct buf *value);
static void outcomes_checkpoint(struct machine *machine, struct kv_batch *batch, struct buf *value);

static bool is_open(const struct transaction *transaction)
{
    return transaction->state == TRANSACTION_PENDING || transaction->state == TRANSACTION_EXPIRED;
}

enum status producer_group_load(struct machine *machine, struct slice key, struct slice value)
{
    uint64_t id;
    struct name name;
    if (!key_id_parse(key, &id) || !name_set(&name, value) || value.size == 0 ||
        map_find(&machine->producer_groups, value) != NULL) {
        return STATUS_CORRUPT;
    }
    struct producer_group *group = mem_zalloc(sizeof *group);
    group->id = id;
    group->name = name;
    group->stored = true;
    map_put(&machine->producer_groups, &group->node, name_slice(&group->name));
    struct loader *loader = machine->loader;
    loader->groups =
        mem_realloc(loader->groups, (loader->group_count + 1) * sizeof(struct producer_group *));
    loader->groups[loader->group_count++] = group;
    return STATUS_OK;
}

enum status transaction_load(struct machine *machine, struct slice key, struct slice value)
{
    uint64_t position;
    struct transaction_row row;
    if (!key_id_parse(key, &position) || transaction_row_decode(value, &row) != STATUS_OK ||
        row.position != position ||
        (row.state != TRANSACTION_PENDING && row.state != TRANSACTION_EXPIRED)) {
        return STATUS_CORRUPT;
    }
    struct transaction *transaction;
    enum status status = row_load(machine, &row, &transaction);
    if (status != STATUS_OK) {
        return status;
    }
    transaction->stored = true;
    transaction_schedule(machine, transaction, row.due_ms);
    return STATUS_OK;
}

enum status outcomes_load(struct machine *machine, struct slice key, struct slice value)
{
    uint64_t row_number;
    if (!key_id_parse(key, &row_number) || value.size < OUTCOMES_HEADER_SIZE ||
        (value.size - OUTCOMES_HEADER_SIZE) % TRANSACTION_ROW_SIZE != 0) {
        return STATUS_CORRUPT;
    }
    uint64_t number = le64_get(value.data);
    value = slice_from(value, OUTCOMES_HEADER_SIZE);
    for (; value.size > 0; number++, value = slice_from(value, TRANSACTION_ROW_SIZE)) {
        if (number / OUTCOMES_PER_ROW != row_number) {
            return STATUS_CORRUPT;
        }
        if (number < machine->meta.outcome_first) {
            continue; // Forgotten since the row was written.
        }
        struct transaction_row row;
        struct transaction *transaction;
        if (number != machine->outcomes_written ||
            transaction_row_decode(slice_of(value.data, TRANSACTION_ROW_SIZE), &row) != STATUS_OK ||
            (row.state != TRANSACTION_COMMITTED && row.state != TRANSACTION_ROLLED_BACK) ||
            row_load(machine, &row, &transaction) != STATUS_OK) {
            return STATUS_CORRUPT;
        }
        transaction->outcome_number = number;
        machine->outcomes_written++;
    }
    return STATUS_OK;
}

enum status outcomes_check(const struct machine *machine)
{
    return machine->outcomes_written == machine->meta.outcome_next ? STATUS_OK : STATUS_CORRUPT;
}

static enum status row_load(struct machine *machine, const struct transaction_row *row,
                            struct transaction **out)
{
    struct producer_group *group = producer_group_by_id(machine, row->group_id);
    if (group == NULL || machine_transaction_find(machine, row->position) != NULL ||
        row->queue_id < 0 ||
        ((row->state == TRANSACTION_PENDING || row->state == TRANSACTION_EXPIRED) &&
         segment_at(machine, row->position) == NULL)) {
        return STATUS_CORRUPT;
    }
    struct topic *topic = row->topic_id == 0 ? NULL : topic_by_id(machine, row->topic_id);
    if (topic != NULL && (uint32_t)row->queue_id >= topic->queue_count) {
        return STATUS_CORRUPT;
    }
    struct transaction *transaction = transaction_new(machine);
    transaction->position = row->position;
    transaction->half_offset = row->half_offset;
    transaction->size = row->size;
    transaction->crc = row->crc;
    transaction->queue_id = row->queue_id;
    transaction->topic = topic;
    transaction->topic_hash = row->topic_hash;
    transaction->group = group;
    transaction->state = row->state;
    transaction->attempts = row->attempts;
    transaction->stored_ms = row->stored_ms;
    transaction->last_check_ms = row->last_check_ms;
    transaction->decided_ms = row->decided_ms;
    transaction->visible_offset = row->visible_offset;
    memcpy(transaction->unique_hash, row->unique_hash, sizeof transaction->unique_hash);
    transaction->has_unique = row->has_unique;
    transaction->settled_by_hand = row->settled_by_hand;
    transaction->expired_by_age = row->expired_by_age;
    transaction->dropped_by_cut = row->dropped_by_cut;
    transaction->delay = row->delay;
    transaction->tags_hash = row->tags_hash;
    transaction->key_count = (uint8_t)row->key_count;
    transaction->keys = transaction->keys_inline;
    if (row->key_count * sizeof *transaction->keys > sizeof transaction->keys_inline) {
        transaction->keys = mem_alloc(row->key_count * sizeof *transaction->keys);
    }
    memcpy(transaction->keys, row->keys, row->key_count * sizeof *transaction->keys);
    transaction_link(machine, transaction);
    *out = transaction;
    return STATUS_OK;
}

/* Rows came in order of their ids. */
static struct producer_group *producer_group_by_id(const struct machine *machine, uint64_t id)
{
    const struct loader *loader = machine->loader;
    size_t low = 0;
    size_t high = loader->group_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (loader->groups[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < loader->group_count && loader->groups[low]->id == id ? loader->groups[low] : NULL;
}

void transactions_checkpoint(struct machine *machine, struct kv_batch *batch)
{
    for (struct list *node; (node = list_pop(&machine->producer_groups_dirty)) != NULL;) {
        struct producer_group *group = CONTAINER_OF(node, struct producer_group, dirty);
        struct key key = key_producer_group(group->id);
        kv_batch_put(batch, key_slice(&key), name_slice(&group->name));
        group->stored = true;
    }
    struct buf value = {0};
    open_checkpoint(machine, batch, &value);
    outcomes_checkpoint(machine, batch, &value);
    buf_close(&value);
}

static void open_checkpoint(struct machine *machine, struct kv_batch *batch, struct buf *value)
{
    for (struct list *node; (node = list_pop(&machine->transactions_dirty)) != NULL;) {
        struct transaction *transaction = CONTAINER_OF(node, struct transaction, dirty);
        struct key key = key_transaction(transaction->position);
        if (is_open(transaction)) {
            struct transaction_row row;
            row_of(transaction, &row);
            buf_clear(value);
            transaction_row_encode(&row, value);
            kv_batch_put(batch, key_slice(&key), buf_slice(value));
        } else if (transaction->stored) {
            kv_batch_delete(batch, key_slice(&key));
        }
        transaction->stored = is_open(transaction);
    }
}

/* Write the rows from the first new outcome on; that one's row may be in the store in part. */
static void outcomes_checkpoint(struct machine *machine, struct kv_batch *batch, struct buf *value)
{
    const struct meta_row *meta = &machine->meta;
    uint64_t row_first = meta->outcome_first / OUTCOMES_PER_ROW;
    if (row_first > machine->outcome_row_first) {
        struct key from = key_outcomes(machine->outcome_row_first);
        struct key to = key_outcomes(row_first);
        kv_batch_delete_range(batch, key_slice(&from), key_slice(&to));
        machine->outcome_row_first = row_first;
    }
    if (machine->outcomes_written == meta->outcome_next) {
        return;
    }
    uint64_t number = machine->outcomes_written / OUTCOMES_PER_ROW * OUTCOMES_PER_ROW;
    number = number < meta->outcome_first ? meta->outcome_first : number;
    struct list *node = &machine->outcomes;
    for (uint64_t left = meta->outcome_next - number; left > 0; left--) {
        node = node->prev;
    }
    while (number < meta->outcome_next) {
        uint64_t row_number = number / OUTCOMES_PER_ROW;
        buf_clear(value);
        buf_put_le64(value, number);
        for (; number < meta->outcome_next && number / OUTCOMES_PER_ROW == row_number; number++) {
            struct transaction_row row;
            row_of(CONTAINER_OF(node, struct transaction, outcome), &row);
            transaction_row_encode(&row, value);
            node = node->next;
        }
        struct key key = key_outcomes(row_number);
        kv_batch_put(batch, key_slice(&key), buf_slice(value));
    }
    machine->outcomes_written = meta->outcome_next;
}

static void row_of(const struct transaction *transaction, struct transaction_row *row)
{
    row->position = transaction->position;
    row->half_offset = transaction->half_offset;
    row->size = transaction->size;
    row->crc = transaction->crc;
    row->queue_id = transaction->queue_id;
    row->topic_id = transaction->topic == NULL ? 0 : transaction->topic->id;
    row->topic_hash = transaction->topic_hash;
    row->group_id = transaction->group->id;
    row->state = transaction->state;
    row->has_unique = transaction->has_unique;
    row->settled_by_hand = transaction->settled_by_hand;
    row->expired_by_age = transaction->expired_by_age;
    row->dropped_by_cut = transaction->dropped_by_cut;
    row->attempts = transaction->attempts;
    row->tags_hash = transaction->tags_hash;
    row->stored_ms = transaction->stored_ms;
    row->last_check_ms = transaction->last_check_ms;
    row->decided_ms = transaction->decided_ms;
    row->due_ms = transaction->state == TRANSACTION_PENDING ? transaction->due.due : 0;
    row->delay = transaction->delay;
    row->visible_offset = transaction->visible_offset;
    memcpy(row->unique_hash, transaction->unique_hash, sizeof row->unique_hash);
    row->key_count = transaction->key_count;
    memcpy(row->keys, transaction->keys, transaction->key_count * sizeof *row->keys);
}

uint64_t transactions_hash(const struct machine *machine)
{
    uint64_t hash = 0;
    struct buf value = {0};
    struct transaction *transaction = NULL;
    while ((transaction = transaction_walk(machine, transaction)) != NULL) {
        struct transaction_row row;
        row_of(transaction, &row);
        struct key key = key_transaction(transaction->position);
        buf_clear(&value);
        transaction_row_encode(&row, &value);
        buf_put_le64(&value, is_open(transaction) ? 0 : transaction->outcome_number);
        hash += machine_item_hash(KEY_TRANSACTION, key_slice(&key), buf_slice(&value));
    }
    MAP_FOREACH(node, &machine->producer_groups)
    {
        const struct producer_group *group = CONTAINER_OF(node, struct producer_group, node);
        struct key key = key_producer_group(group->id);
        hash += machine_item_hash(KEY_PRODUCER_GROUP, key_slice(&key), name_slice(&group->name));
    }
    buf_close(&value);
    return hash;
}
