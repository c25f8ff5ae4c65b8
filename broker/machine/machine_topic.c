/* Topics: create, change, delete. */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

enum {
    TOPIC_ROW_OVERHEAD = 128,
    PERM_MAX = 7,
    /* All topics together are registered in one frame (16 MiB): bytes of one there, without its
     * name, which is there twice, and its attributes. */
    TOPIC_TOLD_OVERHEAD = 160,
    TOPICS_TOLD_MAX = 14 * 1024 * 1024,
};

static enum status config_check(const struct machine *machine, const struct topic *topic,
                                const struct topic_spec *config);
static bool config_equals(const struct topic *topic, const struct topic_spec *config);
static void config_set(struct machine *machine, struct topic *topic,
                       const struct topic_spec *config);
static void topic_mark_dirty(struct machine *machine, struct topic *topic);
static void topic_changed(struct machine *machine, struct topic *topic, bool deleted);
static void topic_free(struct machine *machine, struct topic *topic);

void apply_topic_put(struct machine *machine, const struct operation_topic_put *put,
                     struct operation_result *result)
{
    const struct topic_spec *config = &put->config;
    struct topic *topic = topic_find(machine, config->name);
    if (topic != NULL && put->create_only) {
        result->status = STATUS_OK;
        return;
    }
    result->status = config_check(machine, topic, config);
    if (result->status != STATUS_OK) {
        return;
    }
    if (topic == NULL) {
        topic_create(machine, config);
    } else if (!config_equals(topic, config)) {
        config_set(machine, topic, config);
        topic_changed(machine, topic, false);
    }
}

void apply_topic_delete(struct machine *machine, struct slice name, struct operation_result *result)
{
    struct topic *topic = topic_find(machine, name);
    if (topic == NULL) {
        result->status = STATUS_TOPIC_UNKNOWN;
        return;
    }
    queues_report_grown(machine);
    topic_changed(machine, topic, true);
    transactions_topic_deleted(machine, topic);
    delayed_topic_deleted(machine, topic);
    offsets_delete_topic(machine, name);
    locks_delete_topic(machine, name);
    popped_delete_topic(machine, topic);
    modes_delete_topic(machine, name);
    struct key key = key_topic(topic->id);
    kv_batch_delete(machine->deletes, key_slice(&key));
    struct key from = key_queue(topic->id, 0);
    struct key to = key_queue_end(topic->id);
    kv_batch_delete_range(machine->deletes, key_slice(&from), key_slice(&to));
    from = key_index_first(topic->id);
    to = key_index_end(topic->id);
    kv_batch_delete_range(machine->deletes, key_slice(&from), key_slice(&to));
    map_remove(&machine->topics, &topic->node);
    map_remove(&machine->topics_by_id, &topic->by_id);
    topic_free(machine, topic);
    machine->topic_last = NULL;
    result->status = STATUS_OK;
}

struct topic *topic_find(const struct machine *machine, struct slice name)
{
    struct map_node *node = map_find(&machine->topics, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct topic, node);
}

/* Name and id are set. */
static void topic_link(struct machine *machine, struct topic *topic)
{
    list_init(&topic->pop_places);
    map_put(&machine->topics, &topic->node, name_slice(&topic->name));
    map_put(&machine->topics_by_id, &topic->by_id, slice_of(&topic->id, sizeof topic->id));
}

struct topic *topic_create(struct machine *machine, const struct topic_spec *config)
{
    struct topic *topic = mem_zalloc(sizeof *topic);
    bool fits = name_set(&topic->name, config->name);
    ASSERT(fits);
    topic->id = machine->meta.next_id++;
    topic_link(machine, topic);
    config_set(machine, topic, config);
    transactions_topic_created(machine, topic);
    topic_changed(machine, topic, false);
    return topic;
}

/* Bytes of a registration. Attributes are JSON already. */
static size_t told_size(struct slice name, struct slice attributes)
{
    return TOPIC_TOLD_OVERHEAD + 2 * name.size + attributes.size;
}

static int32_t queues_of(const struct topic_spec *config)
{
    return config->read_queue_count > config->write_queue_count ? config->read_queue_count
                                                                : config->write_queue_count;
}

void topic_queues_grow(struct machine *machine, struct topic *topic, uint32_t count)
{
    if (count <= topic->queue_count) {
        return;
    }
    queues_report_grown(machine);
    struct queue *queues = mem_alloc(count * sizeof *queues);
    for (uint32_t i = 0; i < count; i++) {
        if (i < topic->queue_count) {
            queue_moved(machine, &queues[i], &topic->queues[i]);
        } else {
            queue_init(&queues[i], topic, (int32_t)i);
            queue_mark_dirty(machine, &queues[i]);
        }
    }
    free(topic->queues);
    machine->queue_count += count - topic->queue_count;
    topic->queues = queues;
    topic->queue_count = count;
    topic_mark_dirty(machine, topic);
}

/* Is there room for the topic (NULL: a new one) with this configuration? */
static bool has_room(const struct machine *machine, const struct topic *topic,
                     const struct topic_spec *config)
{
    size_t told = told_size(config->name, config->attributes);
    size_t told_now = topic == NULL ? 0 : topic->told;
    uint32_t queues = (uint32_t)queues_of(config);
    uint32_t queues_now = topic == NULL ? 0 : topic->queue_count;
    if (topic == NULL && machine->topics.count >= TOPICS_MAX) {
        return false;
    }
    return (told <= told_now || machine->topics_told + (told - told_now) <= TOPICS_TOLD_MAX) &&
           (queues <= queues_now ||
            machine->queue_count + (queues - queues_now) <= QUEUES_TOTAL_MAX);
}

static enum status config_check(const struct machine *machine, const struct topic *topic,
                                const struct topic_spec *config)
{
    struct name name;
    if (config->name.size == 0 || !name_set(&name, config->name)) {
        return STATUS_TOPIC_INVALID;
    }
    if (config->read_queue_count < 0 || config->read_queue_count > QUEUES_PER_TOPIC_MAX ||
        config->write_queue_count < 0 || config->write_queue_count > QUEUES_PER_TOPIC_MAX ||
        config->perm < 0 || config->perm > PERM_MAX || config->unique_window_s < 0 ||
        config->unique_window_s > UNIQUE_WINDOW_MAX_S) {
        return STATUS_INVALID_ARGUMENT;
    }
    return has_room(machine, topic, config) ? STATUS_OK : STATUS_LIMIT;
}

static bool config_equals(const struct topic *topic, const struct topic_spec *config)
{
    return topic->read_queue_count == config->read_queue_count &&
           topic->write_queue_count == config->write_queue_count && topic->perm == config->perm &&
           topic->sys_flag == config->sys_flag && topic->order == config->order &&
           topic->multi_tag == config->multi_tag &&
           slice_equals(buf_slice(&topic->attributes), config->attributes) &&
           topic->unique_window_s == (uint32_t)config->unique_window_s;
}

static void config_set(struct machine *machine, struct topic *topic,
                       const struct topic_spec *config)
{
    topic->read_queue_count = config->read_queue_count;
    topic->write_queue_count = config->write_queue_count;
    topic->perm = config->perm;
    topic->sys_flag = config->sys_flag;
    topic->order = config->order;
    topic->multi_tag = config->multi_tag;
    buf_clear(&topic->attributes);
    buf_put_slice(&topic->attributes, config->attributes);
    size_t told = told_size(name_slice(&topic->name), config->attributes);
    machine->topics_told += told - topic->told;
    topic->told = told;
    topic->unique_window_s = (uint32_t)config->unique_window_s;
    topic_queues_grow(machine, topic, (uint32_t)queues_of(config));
}

static void topic_mark_dirty(struct machine *machine, struct topic *topic)
{
    if (!list_linked(&topic->dirty)) {
        list_append(&machine->topics_dirty, &topic->dirty);
        machine->dirty_size += TOPIC_ROW_OVERHEAD;
    }
}

static void topic_changed(struct machine *machine, struct topic *topic, bool deleted)
{
    topic->changed_index = machine->entry_index;
    machine->meta.topics_version.counter++;
    machine->meta.topics_version.time_ms = machine->meta.clock_ms;
    if (!deleted) {
        topic_mark_dirty(machine, topic);
    }
    if (machine->events.on_topic_changed != NULL) {
        machine->events.on_topic_changed(machine->events.context, topic, deleted);
    }
}

static void topic_free(struct machine *machine, struct topic *topic)
{
    machine->topics_told -= topic->told;
    machine->queue_count -= topic->queue_count;
    for (uint32_t i = 0; i < topic->queue_count; i++) {
        queue_close(machine, &topic->queues[i]);
    }
    list_remove(&topic->dirty);
    buf_close(&topic->attributes);
    free(topic->queues);
    free(topic);
}

enum status topic_load(struct machine *machine, struct slice key, struct slice value)
{
    uint64_t id;
    struct topic_row row;
    struct name name;
    if (!key_id_parse(key, &id) || topic_row_decode(value, &row) != STATUS_OK ||
        !name_set(&name, row.config.name) || topic_find(machine, row.config.name) != NULL ||
        topic_by_id(machine, id) != NULL) {
        return STATUS_CORRUPT;
    }
    struct topic *topic = mem_zalloc(sizeof *topic);
    topic->name = name;
    topic->id = id;
    topic_link(machine, topic);
    config_set(machine, topic, &row.config);
    topic_queues_grow(machine, topic, row.queue_count);
    topic->changed_index = row.changed_index;
    return STATUS_OK;
}

struct topic *topic_by_id(const struct machine *machine, uint64_t id)
{
    struct map_node *node = map_find(&machine->topics_by_id, slice_of(&id, sizeof id));
    return node == NULL ? NULL : CONTAINER_OF(node, struct topic, by_id);
}

static void topic_row_of(const struct topic *topic, struct topic_row *row)
{
    *row = (struct topic_row){
        .config =
            {
                .name = name_slice(&topic->name),
                .read_queue_count = topic->read_queue_count,
                .write_queue_count = topic->write_queue_count,
                .perm = topic->perm,
                .sys_flag = topic->sys_flag,
                .order = topic->order,
                .multi_tag = topic->multi_tag,
                .attributes = buf_slice(&topic->attributes),
                .unique_window_s = (int32_t)topic->unique_window_s,
            },
        .changed_index = topic->changed_index,
        .queue_count = topic->queue_count,
    };
}

void topics_checkpoint(struct machine *machine, struct kv_batch *batch)
{
    struct buf value = {0};
    for (struct list *node; (node = list_pop(&machine->topics_dirty)) != NULL;) {
        const struct topic *topic = CONTAINER_OF(node, struct topic, dirty);
        struct topic_row row;
        topic_row_of(topic, &row);
        struct key key = key_topic(topic->id);
        buf_clear(&value);
        topic_row_encode(&row, &value);
        kv_batch_put(batch, key_slice(&key), buf_slice(&value));
    }
    buf_close(&value);
}

uint64_t topics_hash(const struct machine *machine)
{
    uint64_t hash = 0;
    struct buf value = {0};
    MAP_FOREACH(node, &machine->topics)
    {
        const struct topic *topic = CONTAINER_OF(node, struct topic, node);
        struct topic_row row;
        topic_row_of(topic, &row);
        struct key key = key_topic(topic->id);
        buf_clear(&value);
        topic_row_encode(&row, &value);
        hash += machine_item_hash(KEY_TOPIC, key_slice(&key), buf_slice(&value));
    }
    buf_close(&value);
    return hash;
}

void topics_close(struct machine *machine)
{
    for (struct map_node *node; (node = map_first(&machine->topics)) != NULL;) {
        map_remove(&machine->topics, node);
        topic_free(machine, CONTAINER_OF(node, struct topic, node));
    }
    map_close(&machine->topics);
    map_close(&machine->topics_by_id);
}

const struct topic *machine_topic_find(const struct machine *machine, struct slice name)
{
    return topic_find(machine, name);
}

const struct map *machine_topics(const struct machine *machine)
{
    return &machine->topics;
}

struct machine_version machine_topics_version(const struct machine *machine)
{
    return machine->meta.topics_version;
}
