/* Consumer offsets: per group and topic one row with the offsets of all its queues.
 *
 * An offset that was reset is held: running consumers go on committing where they were, which must
 * not undo it. A commit of the very offset shows that one has taken note, and ends that. */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

enum { OFFSETS_ROW_OVERHEAD = 64, OFFSET_NONE = -1 };

struct offset_row {
    struct map_node node; /* By key: group, 0, topic (as key_offsets). */
    struct list dirty;
    uint32_t count;
    int64_t *offsets; /* OFFSET_NONE: never committed; | OFFSET_HELD. */
    struct slice group;
    struct slice topic;
    uint32_t key_size;
    uint8_t key[]; /* Group and topic point into it. */
};

static struct offset_row *row_find(const struct machine *machine, struct slice group,
                                   struct slice topic);
static struct offset_row *row_new(struct machine *machine, const struct key *key);
static void row_grow(struct machine *machine, struct offset_row *row, uint32_t count);
static void row_free(struct offset_row *row);
static void row_delete(struct machine *machine, struct offset_row *row);
static struct offset_row *row_get(struct machine *machine, struct slice group,
                                  const struct topic *topic, int32_t queue_id);
static int64_t row_at(const struct offset_row *row, int32_t queue_id);
static void row_set(struct machine *machine, struct offset_row *row, int32_t queue_id,
                    int64_t after);
static enum status commit_apply(struct machine *machine, const struct offset_commit *commit);

void apply_offsets(struct machine *machine, const struct operation_offsets *offsets,
                   struct operation_result *result)
{
    // Commits of many clients share an operation: one that is refused does not harm the others.
    result->status = STATUS_OK;
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < offsets->count; i++) {
        enum status status = commit_apply(machine, &offsets->commits[i]);
        if (status == STATUS_OK) {
            accepted++;
        } else if (result->status == STATUS_OK) {
            result->status = status;
        }
    }
    if (accepted > 0) {
        result->status = STATUS_OK;
    }
}

static bool held(int64_t stored)
{
    return stored != OFFSET_NONE && (stored & OFFSET_HELD) != 0;
}

static int64_t offset_after(int64_t stored, const struct offset_commit *commit)
{
    if (commit->reset) {
        return commit->offset | OFFSET_HELD;
    }
    if (held(stored)) {
        return (commit->offset | OFFSET_HELD) == stored ? commit->offset : stored;
    }
    return commit->offset > stored ? commit->offset : stored;
}

static enum status commit_apply(struct machine *machine, const struct offset_commit *commit)
{
    struct topic *topic = topic_find(machine, commit->topic);
    if (topic == NULL) {
        return STATUS_TOPIC_UNKNOWN;
    }
    if (commit->queue_id < 0 || (uint32_t)commit->queue_id >= topic->queue_count) {
        return STATUS_QUEUE_INVALID;
    }
    struct name group;
    if (commit->group.size == 0 || !name_set(&group, commit->group)) {
        return STATUS_GROUP_INVALID;
    }
    if (commit->offset < 0) {
        return STATUS_OK; // Some clients say -1 for "nothing yet".
    }
    if (commit->offset > OFFSET_MAX) {
        return STATUS_INVALID_ARGUMENT;
    }
    struct offset_row *row = row_get(machine, commit->group, topic, commit->queue_id);
    if (row == NULL) {
        return STATUS_LIMIT;
    }
    if (commit->reset) {
        popped_reset(machine, commit->group, commit->topic, commit->queue_id);
    }
    int64_t before = row_at(row, commit->queue_id);
    int64_t after = offset_after(before, commit);
    if (after != before) {
        row_set(machine, row, commit->queue_id, after);
        if (commit->reset) {
            queue_report(machine, &topic->queues[commit->queue_id]);
        }
    }
    return STATUS_OK;
}

enum status offset_move(struct machine *machine, struct slice group, struct topic *topic,
                        int32_t queue_id, int64_t offset)
{
    struct offset_row *row = row_get(machine, group, topic, queue_id);
    if (row == NULL) {
        return STATUS_LIMIT;
    }
    row_set(machine, row, queue_id, offset);
    return STATUS_OK;
}

size_t offsets_delete_topic(struct machine *machine, struct slice topic)
{
    size_t count = 0;
    MAP_FOREACH(node, &machine->offsets)
    {
        struct offset_row *row = CONTAINER_OF(node, struct offset_row, node);
        if (slice_equals(row->topic, topic)) {
            row_delete(machine, row);
            count++;
        }
    }
    return count;
}

size_t offsets_delete_group(struct machine *machine, struct slice group)
{
    size_t count = 0;
    MAP_FOREACH(node, &machine->offsets)
    {
        struct offset_row *row = CONTAINER_OF(node, struct offset_row, node);
        if (slice_equals(row->group, group)) {
            row_delete(machine, row);
            count++;
        }
    }
    return count;
}

static struct offset_row *row_find(const struct machine *machine, struct slice group,
                                   struct slice topic)
{
    if (group.size > NAME_MAX_SIZE || topic.size > NAME_MAX_SIZE) {
        return NULL;
    }
    struct key key = key_offsets(group, topic);
    struct map_node *node = map_find(&machine->offsets, key_slice(&key));
    return node == NULL ? NULL : CONTAINER_OF(node, struct offset_row, node);
}

static struct offset_row *row_new(struct machine *machine, const struct key *key)
{
    struct offset_row *row = mem_zalloc(sizeof *row + key->size);
    row->key_size = key->size;
    memcpy(row->key, key->bytes, key->size);
    struct slice bytes = slice_of(row->key, row->key_size);
    bool whole = key_offsets_parse(bytes, &row->group, &row->topic);
    ASSERT(whole);
    map_put(&machine->offsets, &row->node, bytes);
    return row;
}

static void row_grow(struct machine *machine, struct offset_row *row, uint32_t count)
{
    if (count <= row->count) {
        return;
    }
    row->offsets = mem_realloc(row->offsets, count * sizeof *row->offsets);
    for (uint32_t i = row->count; i < count; i++) {
        row->offsets[i] = OFFSET_NONE;
    }
    machine->offset_count += count - row->count;
    row->count = count;
}

/* A row in which this queue's offset can be set; NULL: there are too many, of rows or in them. */
static struct offset_row *row_get(struct machine *machine, struct slice group,
                                  const struct topic *topic, int32_t queue_id)
{
    struct key key = key_offsets(group, name_slice(&topic->name));
    struct map_node *node = map_find(&machine->offsets, key_slice(&key));
    struct offset_row *row = node == NULL ? NULL : CONTAINER_OF(node, struct offset_row, node);
    uint32_t count = row == NULL ? 0 : row->count;
    uint32_t needed = (uint32_t)queue_id + 1;
    if ((row == NULL && machine->offsets.count >= OFFSET_ROWS_MAX) ||
        (needed > count && machine->offset_count + (needed - count) > OFFSETS_TOTAL_MAX)) {
        return NULL;
    }
    return row == NULL ? row_new(machine, &key) : row;
}

static int64_t row_at(const struct offset_row *row, int32_t queue_id)
{
    return (uint32_t)queue_id < row->count ? row->offsets[queue_id] : OFFSET_NONE;
}

/* Only now it gets a place for the queue: what is not written may not change. */
static void row_set(struct machine *machine, struct offset_row *row, int32_t queue_id,
                    int64_t after)
{
    int64_t before = row_at(row, queue_id);
    row_grow(machine, row, (uint32_t)queue_id + 1);
    row->offsets[queue_id] = after;
    machine->offsets_held += held(after);
    machine->offsets_held -= held(before);
    if (!list_linked(&row->dirty)) {
        list_append(&machine->offsets_dirty, &row->dirty);
        machine->dirty_size += OFFSETS_ROW_OVERHEAD + (size_t)row->count * sizeof *row->offsets;
    }
}

static void row_free(struct offset_row *row)
{
    list_remove(&row->dirty);
    free(row->offsets);
    free(row);
}

static void row_delete(struct machine *machine, struct offset_row *row)
{
    kv_batch_delete(machine->deletes, slice_of(row->key, row->key_size));
    for (uint32_t i = 0; i < row->count; i++) {
        machine->offsets_held -= held(row->offsets[i]);
    }
    machine->offset_count -= row->count;
    map_remove(&machine->offsets, &row->node);
    row_free(row);
}

enum status offsets_load(struct machine *machine, struct slice key, struct slice value)
{
    struct slice group;
    struct slice topic;
    uint32_t count;
    if (!key_offsets_parse(key, &group, &topic) || group.size > NAME_MAX_SIZE ||
        topic.size > NAME_MAX_SIZE || offsets_row_decode(value, &count) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    struct key own = key_offsets(group, topic);
    struct offset_row *row = row_new(machine, &own);
    row_grow(machine, row, count);
    for (uint32_t i = 0; i < count; i++) {
        row->offsets[i] = offsets_row_get(value, i);
        machine->offsets_held += held(row->offsets[i]);
    }
    return STATUS_OK;
}

void offsets_checkpoint(struct machine *machine, struct kv_batch *batch)
{
    struct buf value = {0};
    for (struct list *node; (node = list_pop(&machine->offsets_dirty)) != NULL;) {
        const struct offset_row *row = CONTAINER_OF(node, struct offset_row, dirty);
        buf_clear(&value);
        offsets_row_encode(row->offsets, row->count, &value);
        kv_batch_put(batch, slice_of(row->key, row->key_size), buf_slice(&value));
    }
    buf_close(&value);
}

uint64_t offsets_hash(const struct machine *machine)
{
    uint64_t hash = 0;
    struct buf value = {0};
    MAP_FOREACH(node, &machine->offsets)
    {
        const struct offset_row *row = CONTAINER_OF(node, struct offset_row, node);
        buf_clear(&value);
        offsets_row_encode(row->offsets, row->count, &value);
        hash +=
            machine_item_hash(KEY_OFFSETS, slice_of(row->key, row->key_size), buf_slice(&value));
    }
    buf_close(&value);
    return hash;
}

void offsets_close(struct machine *machine)
{
    for (struct map_node *node; (node = map_first(&machine->offsets)) != NULL;) {
        map_remove(&machine->offsets, node);
        row_free(CONTAINER_OF(node, struct offset_row, node));
    }
    map_close(&machine->offsets);
}

bool machine_offset_find(const struct machine *machine, struct slice group, struct slice topic,
                         int32_t queue_id, int64_t *offset)
{
    const struct offset_row *row = row_find(machine, group, topic);
    if (row == NULL || queue_id < 0 || (uint32_t)queue_id >= row->count ||
        row->offsets[queue_id] == OFFSET_NONE) {
        return false;
    }
    *offset = row->offsets[queue_id] & ~OFFSET_HELD;
    return true;
}

bool machine_offset_held(const struct machine *machine, struct slice group, struct slice topic,
                         int32_t queue_id, int64_t *offset)
{
    const struct offset_row *row =
        machine->offsets_held == 0 ? NULL : row_find(machine, group, topic);
    if (row == NULL || queue_id < 0 || (uint32_t)queue_id >= row->count ||
        !held(row->offsets[queue_id])) {
        return false;
    }
    *offset = row->offsets[queue_id] & ~OFFSET_HELD;
    return true;
}

void machine_offsets_visit(const struct machine *machine,
                           void (*visit)(void *context, struct slice group, struct slice topic,
                                         int32_t queue_id, int64_t offset),
                           void *context)
{
    MAP_FOREACH(node, &machine->offsets)
    {
        const struct offset_row *row = CONTAINER_OF(node, struct offset_row, node);
        for (uint32_t i = 0; i < row->count; i++) {
            if (row->offsets[i] != OFFSET_NONE) {
                visit(context, row->group, row->topic, (int32_t)i, row->offsets[i] & ~OFFSET_HELD);
            }
        }
    }
}
