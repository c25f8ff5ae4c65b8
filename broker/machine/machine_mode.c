/* How consumer groups get the messages of a topic: by pulling, unless a row here says pop. */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

enum { MODE_ROW_OVERHEAD = 96 };

struct mode {
    struct map_node node; /* By key. */
    struct list dirty;
    struct mode_row row;
    struct slice group;
    struct slice topic;
    uint32_t key_size;
    uint8_t key[]; /* Group and topic point into it. */
};

static struct mode *find(const struct machine *machine, struct slice group, struct slice topic)
{
    if (group.size > NAME_MAX_SIZE || topic.size > NAME_MAX_SIZE) {
        return NULL;
    }
    struct key key = key_mode(group, topic);
    struct map_node *node = map_find(&machine->modes, key_slice(&key));
    return node == NULL ? NULL : CONTAINER_OF(node, struct mode, node);
}

static struct mode *mode_new(struct machine *machine, struct slice group, struct slice topic)
{
    struct key key = key_mode(group, topic);
    struct mode *mode = mem_zalloc(sizeof *mode + key.size);
    mode->key_size = key.size;
    memcpy(mode->key, key.bytes, key.size);
    struct slice bytes = slice_of(mode->key, mode->key_size);
    bool whole = key_offsets_parse(bytes, &mode->group, &mode->topic);
    ASSERT(whole);
    map_put(&machine->modes, &mode->node, bytes);
    return mode;
}

static void mode_free(struct machine *machine, struct mode *mode)
{
    map_remove(&machine->modes, &mode->node);
    list_remove(&mode->dirty);
    free(mode);
}

static void mode_delete(struct machine *machine, struct mode *mode)
{
    kv_batch_delete(machine->deletes, slice_of(mode->key, mode->key_size));
    machine->dirty_size += MODE_ROW_OVERHEAD;
    mode_free(machine, mode);
}

void apply_mode_put(struct machine *machine, const struct operation_mode_put *put,
                    struct operation_result *result)
{
    struct mode *mode = find(machine, put->group, put->topic);
    struct topic *topic = topic_find(machine, put->topic);
    result->status = STATUS_OK;
    if (topic == NULL) {
        result->status = STATUS_TOPIC_UNKNOWN;
    } else if (machine_group_find(machine, put->group) == NULL) {
        result->status = STATUS_GROUP_UNKNOWN;
    } else if (mode == NULL && machine->modes.count >= MODES_MAX) {
        result->status = STATUS_LIMIT;
    }
    if (result->status != STATUS_OK) {
        return;
    }
    if (mode == NULL) {
        mode = mode_new(machine, put->group, put->topic);
    }
    if (mode->row.mode == REQUEST_MODE_POP && put->mode == REQUEST_MODE_PULL) {
        popped_return(machine, put->group, topic);
    }
    mode->row = (struct mode_row){put->mode, put->share_count};
    if (!list_linked(&mode->dirty)) {
        list_append(&machine->modes_dirty, &mode->dirty);
        machine->dirty_size += MODE_ROW_OVERHEAD + mode->key_size;
    }
}

void modes_delete_topic(struct machine *machine, struct slice topic)
{
    MAP_FOREACH(node, &machine->modes)
    {
        struct mode *mode = CONTAINER_OF(node, struct mode, node);
        if (slice_equals(mode->topic, topic)) {
            mode_delete(machine, mode);
        }
    }
}

void modes_delete_group(struct machine *machine, struct slice group)
{
    MAP_FOREACH(node, &machine->modes)
    {
        struct mode *mode = CONTAINER_OF(node, struct mode, node);
        if (slice_equals(mode->group, group)) {
            mode_delete(machine, mode);
        }
    }
}

enum status mode_load(struct machine *machine, struct slice key, struct slice value)
{
    struct slice group;
    struct slice topic;
    struct mode_row row;
    if (!key_offsets_parse(key, &group, &topic) || group.size > NAME_MAX_SIZE ||
        topic.size > NAME_MAX_SIZE || mode_row_decode(value, &row) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    mode_new(machine, group, topic)->row = row;
    return STATUS_OK;
}

void modes_checkpoint(struct machine *machine, struct kv_batch *batch)
{
    struct buf value = {0};
    for (struct list *node; (node = list_pop(&machine->modes_dirty)) != NULL;) {
        const struct mode *mode = CONTAINER_OF(node, struct mode, dirty);
        buf_clear(&value);
        mode_row_encode(&mode->row, &value);
        kv_batch_put(batch, slice_of(mode->key, mode->key_size), buf_slice(&value));
    }
    buf_close(&value);
}

uint64_t modes_hash(const struct machine *machine)
{
    uint64_t hash = 0;
    struct buf value = {0};
    MAP_FOREACH(node, &machine->modes)
    {
        const struct mode *mode = CONTAINER_OF(node, struct mode, node);
        buf_clear(&value);
        mode_row_encode(&mode->row, &value);
        hash += machine_item_hash(KEY_MODE, slice_of(mode->key, mode->key_size), buf_slice(&value));
    }
    buf_close(&value);
    return hash;
}

void modes_close(struct machine *machine)
{
    for (struct map_node *node; (node = map_first(&machine->modes)) != NULL;) {
        mode_free(machine, CONTAINER_OF(node, struct mode, node));
    }
    map_close(&machine->modes);
}

struct machine_mode machine_mode_find(const struct machine *machine, struct slice group,
                                      struct slice topic)
{
    const struct mode *mode = find(machine, group, topic);
    return mode == NULL ? (struct machine_mode){REQUEST_MODE_PULL, 0}
                        : (struct machine_mode){mode->row.mode, mode->row.share_count};
}

size_t machine_mode_count(const struct machine *machine)
{
    return machine->modes.count;
}

void machine_modes(const struct machine *machine, struct machine_mode_of *out)
{
    MAP_FOREACH(node, &machine->modes)
    {
        const struct mode *mode = CONTAINER_OF(node, struct mode, node);
        *out++ = (struct machine_mode_of){
            mode->group,
            mode->topic,
            {mode->row.mode, mode->row.share_count},
        };
    }
}
