/* Consumer groups: create, change, delete. */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

enum { GROUP_ROW_OVERHEAD = 96 };

static struct group *group_find(const struct machine *machine, struct slice name);
static struct group *group_new(struct machine *machine, uint64_t id, const struct name *name);
static void config_set(struct group *group, const struct group_spec *config);
static bool config_equals(const struct group_spec *a, const struct group_spec *b);
static void groups_changed(struct machine *machine);
static void group_free(struct group *group);

void apply_group_put(struct machine *machine, const struct operation_group_put *put,
                     struct operation_result *result)
{
    struct name name;
    struct group *group = group_find(machine, put->config.name);
    result->status = STATUS_OK;
    if (group != NULL && (put->create_only || config_equals(&group->config, &put->config))) {
        return;
    }
    if (put->config.name.size == 0 || !name_set(&name, put->config.name)) {
        result->status = STATUS_GROUP_INVALID;
        return;
    }
    if (group == NULL) {
        if (machine->groups.count >= GROUPS_MAX) {
            result->status = STATUS_LIMIT;
            return;
        }
        group = group_new(machine, machine->meta.next_id++, &name);
    }
    config_set(group, &put->config);
    if (!list_linked(&group->dirty)) {
        list_append(&machine->groups_dirty, &group->dirty);
        machine->dirty_size += GROUP_ROW_OVERHEAD;
    }
    groups_changed(machine);
}

void apply_group_delete(struct machine *machine, const struct operation_group_delete *del,
                        struct operation_result *result)
{
    struct group *group = group_find(machine, del->name);
    // Offsets may be there without the group: clients that only pull never need one.
    size_t offsets = 0;
    if (del->clean_offsets) {
        offsets = offsets_delete_group(machine, del->name);
        popped_delete_group(machine, del->name); // What lies below an offset means nothing without.
    }
    if (group == NULL) {
        result->status = offsets > 0 ? STATUS_OK : STATUS_GROUP_UNKNOWN;
        return;
    }
    struct key key = key_group(group->id);
    kv_batch_delete(machine->deletes, key_slice(&key));
    locks_delete_group(machine, del->name);
    modes_delete_group(machine, del->name);
    map_remove(&machine->groups, &group->node);
    group_free(group);
    groups_changed(machine);
    result->status = STATUS_OK;
}

static struct group *group_find(const struct machine *machine, struct slice name)
{
    struct map_node *node = map_find(&machine->groups, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct group, node);
}

static struct group *group_new(struct machine *machine, uint64_t id, const struct name *name)
{
    struct group *group = mem_zalloc(sizeof *group);
    group->id = id;
    group->name = *name;
    map_put(&machine->groups, &group->node, name_slice(&group->name));
    return group;
}

static void config_set(struct group *group, const struct group_spec *config)
{
    group->config = *config;
    group->config.name = name_slice(&group->name);
}

static bool config_equals(const struct group_spec *a, const struct group_spec *b)
{
    return slice_equals(a->name, b->name) && a->consume_enable == b->consume_enable &&
           a->consume_from_min_enable == b->consume_from_min_enable &&
           a->consume_broadcast_enable == b->consume_broadcast_enable &&
           a->consume_orderly == b->consume_orderly &&
           a->retry_queue_count == b->retry_queue_count &&
           a->retry_max_times == b->retry_max_times && a->broker_id == b->broker_id &&
           a->broker_id_when_slow == b->broker_id_when_slow &&
           a->notify_changes == b->notify_changes && a->sys_flag == b->sys_flag &&
           a->consume_timeout_minutes == b->consume_timeout_minutes;
}

static void groups_changed(struct machine *machine)
{
    machine->meta.groups_version.counter++;
    machine->meta.groups_version.time_ms = machine->meta.clock_ms;
}

static void group_free(struct group *group)
{
    list_remove(&group->dirty);
    free(group);
}

enum status group_load(struct machine *machine, struct slice key, struct slice value)
{
    uint64_t id;
    struct group_spec config;
    struct name name;
    if (!key_id_parse(key, &id) || group_row_decode(value, &config) != STATUS_OK ||
        !name_set(&name, config.name) || group_find(machine, config.name) != NULL) {
        return STATUS_CORRUPT;
    }
    config_set(group_new(machine, id, &name), &config);
    return STATUS_OK;
}

void groups_checkpoint(struct machine *machine, struct kv_batch *batch)
{
    struct buf value = {0};
    for (struct list *node; (node = list_pop(&machine->groups_dirty)) != NULL;) {
        const struct group *group = CONTAINER_OF(node, struct group, dirty);
        struct key key = key_group(group->id);
        buf_clear(&value);
        group_row_encode(&group->config, &value);
        kv_batch_put(batch, key_slice(&key), buf_slice(&value));
    }
    buf_close(&value);
}

uint64_t groups_hash(const struct machine *machine)
{
    uint64_t hash = 0;
    struct buf value = {0};
    MAP_FOREACH(node, &machine->groups)
    {
        const struct group *group = CONTAINER_OF(node, struct group, node);
        struct key key = key_group(group->id);
        buf_clear(&value);
        group_row_encode(&group->config, &value);
        hash += machine_item_hash(KEY_GROUP, key_slice(&key), buf_slice(&value));
    }
    buf_close(&value);
    return hash;
}

void groups_close(struct machine *machine)
{
    for (struct map_node *node; (node = map_first(&machine->groups)) != NULL;) {
        map_remove(&machine->groups, node);
        group_free(CONTAINER_OF(node, struct group, node));
    }
    map_close(&machine->groups);
}

const struct group *machine_group_find(const struct machine *machine, struct slice name)
{
    return group_find(machine, name);
}

const struct map *machine_groups(const struct machine *machine)
{
    return &machine->groups;
}

struct machine_version machine_groups_version(const struct machine *machine)
{
    return machine->meta.groups_version;
}
