/* Queues and transactions as the log alone decides them, written without a look at the machine:
 * everything in memory, nothing forgotten. */
#include "common/base/crc32c.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"
#include "tests/sim/cluster/sim_ledger_internal.h"
#include "tests/sim/os/sim_world.h"

#include <inttypes.h>
#include <stdlib.h>

enum { OPERATION_HEADER = 8 };

struct topic {
    struct map_node by_name;
    struct name name;
    int32_t queues;
    uint32_t window_s; /* In which a UNIQ_KEY is recognised. */
};

struct copies {
    struct map_node by_id;
    uint64_t id;
    uint32_t count;
};

/* ---- Finding ---- */

struct ledger_half *ledger_half_find(const struct ledger_group *group, uint64_t position)
{
    struct map_node *node = map_find(&group->halves, slice_of(&position, sizeof position));
    return node == NULL ? NULL : CONTAINER_OF(node, struct ledger_half, by_position);
}

static void queue_key(struct slice topic, int32_t queue_id, struct buf *key)
{
    buf_put_slice(key, topic);
    buf_put_u8(key, 0);
    buf_put_le32(key, (uint32_t)queue_id);
}

struct ledger_queue *ledger_queue_find(const struct ledger_group *group, struct slice topic,
                                       int32_t queue_id)
{
    struct buf key = {0};
    queue_key(topic, queue_id, &key);
    struct map_node *node = map_find(&group->queues, buf_slice(&key));
    buf_close(&key);
    return node == NULL ? NULL : CONTAINER_OF(node, struct ledger_queue, by_key);
}

uint32_t ledger_copies(const struct ledger_group *group, uint64_t id)
{
    struct map_node *node = map_find(&group->copies, slice_of(&id, sizeof id));
    return node == NULL ? 0 : CONTAINER_OF(node, struct copies, by_id)->count;
}

static struct topic *topic_find(const struct ledger_group *group, struct slice name)
{
    struct map_node *node = map_find(&group->topics, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct topic, by_name);
}

bool ledger_queue_exists(const struct ledger_group *group, struct slice topic, int32_t queue_id)
{
    const struct topic *known = topic_find(group, topic);
    return known != NULL && queue_id >= 0 && queue_id < known->queues;
}

uint32_t ledger_window(const struct ledger_group *group, struct slice topic)
{
    const struct topic *known = topic_find(group, topic);
    return known == NULL ? 0 : known->window_s;
}

/* ---- Messages ---- */

void ledger_append(struct ledger_group *group, struct slice topic, int32_t queue_id,
                   const struct ledger_item *item)
{
    struct ledger_queue *queue = ledger_queue_find(group, topic, queue_id);
    if (queue == NULL) {
        queue = mem_zalloc(sizeof *queue);
        queue_key(topic, queue_id, &queue->key);
        ASSERT(name_set(&queue->topic, topic));
        queue->queue_id = queue_id;
        map_put(&group->queues, &queue->by_key, buf_slice(&queue->key));
    }
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity == 0 ? 32 : queue->capacity * 2;
        queue->items = mem_realloc(queue->items, queue->capacity * sizeof *queue->items);
    }
    queue->items[queue->count++] = *item;
    ledger_counts()->messages++;
}

void ledger_count_copy(struct ledger_group *group, uint64_t id)
{
    struct map_node *node = map_find(&group->copies, slice_of(&id, sizeof id));
    if (node == NULL) {
        struct copies *copies = mem_zalloc(sizeof *copies);
        copies->id = id;
        copies->count = 1;
        map_put(&group->copies, &copies->by_id, slice_of(&copies->id, sizeof copies->id));
        return;
    }
    CONTAINER_OF(node, struct copies, by_id)->count++;
    ledger_counts()->duplicates++;
}

static void apply_message(struct ledger_group *group, const struct operation *operation,
                          uint64_t position)
{
    struct message message;
    size_t size;
    for (struct slice rest = operation->body; rest.size > 0; rest = slice_from(rest, size)) {
        if (message_decode(rest, &message, &size) != STATUS_OK) {
            sim_violation("log", "a message at %" PRIu64 " of %s cannot be decoded", position,
                          group->name.text);
        }
        if (!ledger_queue_exists(group, message.topic, message.queue_id)) {
            return; // Refused as a whole: the simulator's batches go to one queue.
        }
        if (ledger_recognises(group, message.topic, ledger_window(group, message.topic),
                              message.properties)) {
            position += size;
            continue;
        }
        struct ledger_item item = {.position = position};
        item.kind = ledger_tag_read(message.body, &item.id);
        item.body_crc = crc32c(0, message.body.data, message.body.size);
        ledger_append(group, message.topic, message.queue_id, &item);
        bool dead = topic_is_dead_letter(message.topic);
        if (item.kind == LEDGER_PLAIN && !dead) {
            ledger_count_copy(group, item.id);
        }
        position += size;
    }
}

/* ---- Transactions ---- */

static void apply_half(struct ledger_group *group, const struct operation *operation,
                       uint64_t position)
{
    struct message message;
    struct slice producers = {0};
    struct slice key = {0};
    size_t size;
    if (message_decode(operation->half.message, &message, &size) != STATUS_OK) {
        sim_violation("log", "a half at %" PRIu64 " of %s cannot be decoded", position,
                      group->name.text);
    }
    properties_find(message.properties, PROPERTY_PRODUCER_GROUP, &producers);
    properties_find(message.properties, PROPERTY_UNIQUE_KEY, &key);
    struct buf unique = {0};
    buf_put_slice(&unique, producers);
    buf_put_u8(&unique, 0);
    buf_put_slice(&unique, key);
    if (map_find(&group->uniques, buf_slice(&unique)) != NULL) {
        ledger_counts()->half_duplicates++; // A client's retry: the first one stands.
        buf_close(&unique);
        return;
    }
    if (!ledger_queue_exists(group, message.topic, message.queue_id)) {
        buf_close(&unique);
        return;
    }
    struct ledger_half *half = mem_zalloc(sizeof *half);
    half->position =
        position +
        (operation->type == OPERATION_HALF_DELAYED ? HALF_DELAYED_PREFIX_SIZE : HALF_PREFIX_SIZE);
    half->delay = operation->half.delay;
    half->half_offset = group->next_half_offset++;
    ASSERT(name_set(&half->producer_group, producers) && name_set(&half->topic, message.topic));
    half->unique = unique;
    half->queue_id = message.queue_id;
    half->kind = ledger_tag_read(message.body, &half->id);
    half->body_crc = crc32c(0, message.body.data, message.body.size);
    map_put(&group->halves, &half->by_position, slice_of(&half->position, sizeof half->position));
    map_put(&group->uniques, &half->by_unique, buf_slice(&half->unique));
    list_append(&group->order, &half->in_order);
    group->pending++;
    ledger_counts()->halves++;
    ledger_counts()->halves_delayed += half->delay.ms != 0;
}

/* The first decision stands; later ones change nothing. */
static void decide(struct ledger_group *group, struct ledger_half *half, enum decision decision,
                   uint64_t position)
{
    if (half->state == LEDGER_COMMITTED || half->state == LEDGER_ROLLED_BACK) {
        ledger_counts()->late_ends++;
        return;
    }
    group->pending -= half->state == LEDGER_PENDING;
    if (decision == DECISION_ROLLBACK) {
        half->state = LEDGER_ROLLED_BACK;
        ledger_counts()->rollbacks++;
        return;
    }
    half->state = LEDGER_COMMITTED;
    ledger_counts()->commits++;
    const struct ledger_item item = {half->kind, half->id, position, half->body_crc};
    struct ledger_delayed delayed = {
        .position = half->position,
        .topic = half->topic,
        .queue_id = half->queue_id,
        .due_ms = half->delay.ms == 0 ? 0 : ledger_delay_end(group, &half->delay),
        .item = item,
    };
    if (delayed.due_ms > group->clock_ms) {
        ledger_delay_begin(group, &delayed);
        return;
    }
    half->referred_from = position;
    ledger_append(group, name_slice(&half->topic), half->queue_id, &item);
}

static void apply_end(struct ledger_group *group, const struct operation_end *end,
                      uint64_t position)
{
    struct ledger_half *half = ledger_half_find(group, end->half_position);
    if (half == NULL || half->half_offset != end->half_offset ||
        !slice_equals(name_slice(&half->producer_group), end->producer_group)) {
        ledger_counts()->late_ends++;
        return;
    }
    decide(group, half, end->decision, position);
}

static void apply_checked(struct ledger_group *group, const struct operation_checked *checked)
{
    for (uint32_t i = 0; i < checked->count; i++) {
        struct ledger_half *half = ledger_half_find(group, checked->half_positions[i]);
        if (half == NULL || half->state != LEDGER_PENDING) {
            continue;
        }
        half->attempts++;
        ledger_counts()->checks++;
        if (half->attempts > half->handed) {
            sim_violation("attempts",
                          "attempt %u of the half at %" PRIu64 " of %s counts, but only %u "
                          "questions were handed to a producer",
                          half->attempts, half->position, group->name.text, half->handed);
        }
    }
}

static void apply_expire(struct ledger_group *group, const struct operation_expire *expire,
                         uint64_t position)
{
    struct ledger_half *half = ledger_half_find(group, expire->half_position);
    if (half == NULL || half->state != LEDGER_PENDING) {
        return;
    }
    if (!expire->age && half->attempts < ledger_check_max()) {
        sim_violation("attempts",
                      "the half at %" PRIu64 " of %s is given up after %u of %u attempts",
                      half->position, group->name.text, half->attempts, ledger_check_max());
    }
    half->state = LEDGER_EXPIRED;
    half->referred_from = position;
    group->pending--;
    ledger_counts()->expirations++;
}

static void apply_settle(struct ledger_group *group, const struct operation_settle *settle,
                         uint64_t position)
{
    struct ledger_half *half = ledger_half_find(group, settle->half_position);
    if (half == NULL) {
        return;
    }
    if (settle->decision != DECISION_RECHECK) {
        decide(group, half, settle->decision, position);
    } else if (half->state == LEDGER_EXPIRED || half->state == LEDGER_PENDING) {
        group->pending += half->state == LEDGER_EXPIRED;
        half->state = LEDGER_PENDING;
        half->attempts = 0;
        half->handed = 0;
    }
}

/* ---- Topics and offsets ---- */

static void apply_topic_put(struct ledger_group *group, const struct operation_topic_put *put)
{
    struct topic *topic = topic_find(group, put->config.name);
    int32_t most = put->config.read_queue_count > put->config.write_queue_count
                       ? put->config.read_queue_count
                       : put->config.write_queue_count;
    if (topic != NULL && put->create_only) {
        return;
    }
    if (topic == NULL) {
        topic = mem_zalloc(sizeof *topic);
        ASSERT(name_set(&topic->name, put->config.name));
        map_put(&group->topics, &topic->by_name, name_slice(&topic->name));
    }
    topic->queues = most;
    topic->window_s = (uint32_t)put->config.unique_window_s;
}

static struct ledger_offset *offset_find(const struct ledger_group *group, struct slice consumers,
                                         struct slice topic, int32_t queue_id, struct buf *key)
{
    buf_put_slice(key, consumers);
    buf_put_u8(key, 0);
    queue_key(topic, queue_id, key);
    struct map_node *node = map_find(&group->offsets, buf_slice(key));
    return node == NULL ? NULL : CONTAINER_OF(node, struct ledger_offset, by_key);
}

int64_t ledger_offset_find(const struct ledger_group *group, struct slice consumers,
                           struct slice topic, int32_t queue_id)
{
    struct buf key = {0};
    const struct ledger_offset *known = offset_find(group, consumers, topic, queue_id, &key);
    buf_close(&key);
    return known == NULL ? -1 : known->offset;
}

void ledger_offset_set(struct ledger_group *group, struct slice consumers, struct slice topic,
                       int32_t queue_id, int64_t offset)
{
    struct buf key = {0};
    struct ledger_offset *known = offset_find(group, consumers, topic, queue_id, &key);
    if (known != NULL) {
        buf_close(&key);
        known->offset = offset;
        return;
    }
    known = mem_zalloc(sizeof *known);
    known->key = key;
    ASSERT(name_set(&known->group, consumers) && name_set(&known->topic, topic));
    known->queue_id = queue_id;
    known->offset = offset;
    map_put(&group->offsets, &known->by_key, buf_slice(&known->key));
}

static void apply_offsets(struct ledger_group *group, const struct operation_offsets *offsets)
{
    for (uint32_t i = 0; i < offsets->count; i++) {
        const struct offset_commit *commit = &offsets->commits[i];
        int64_t known = ledger_offset_find(group, commit->group, commit->topic, commit->queue_id);
        if (commit->reset || commit->offset > known) {
            ledger_offset_set(group, commit->group, commit->topic, commit->queue_id,
                              commit->offset);
        }
    }
}

/* ---- Entries ---- */

static void apply_operation(struct ledger_group *group, const struct operation *operation,
                            uint64_t entry_position)
{
    uint64_t position = entry_position + operation->offset;
    switch (operation->type) {
    case OPERATION_MESSAGE:
        apply_message(group, operation, position + OPERATION_HEADER);
        return;
    case OPERATION_HALF:
    case OPERATION_HALF_DELAYED:
        apply_half(group, operation, position + OPERATION_HEADER);
        return;
    case OPERATION_END:
        apply_end(group, &operation->end, position);
        return;
    case OPERATION_CHECKED:
        apply_checked(group, &operation->checked);
        return;
    case OPERATION_EXPIRE:
        apply_expire(group, &operation->expire, position);
        return;
    case OPERATION_SETTLE:
        apply_settle(group, &operation->settle, position);
        return;
    case OPERATION_OFFSETS:
        apply_offsets(group, &operation->offsets);
        return;
    case OPERATION_TOPIC_PUT:
        apply_topic_put(group, &operation->topic_put);
        return;
    case OPERATION_TOPIC_DELETE:
    case OPERATION_GROUP_PUT:
    case OPERATION_GROUP_DELETE:
    case OPERATION_TICK:
    case OPERATION_LOCK:
    case OPERATION_MODE_PUT:
        return;
    case OPERATION_POP:
        ledger_apply_pop(group, &operation->pop);
        return;
    case OPERATION_ACK:
        ledger_apply_ack(group, &operation->ack);
        return;
    case OPERATION_INVISIBLE:
        ledger_apply_invisible(group, &operation->invisible);
        return;
    case OPERATION_CUT:
        ledger_cut(group, operation->cut.position, entry_position);
        return;
    case OPERATION_DELAYED:
        ledger_apply_delayed(group, operation, position + OPERATION_HEADER);
        return;
    case OPERATION_FIRE:
        ledger_apply_fire(group, &operation->fire, position);
        return;
    case OPERATION_RECALL:
        ledger_apply_recall(group, &operation->recall);
        return;
    }
}

void ledger_model_apply(struct ledger_group *group, const struct ledger_entry *entry)
{
    struct entry_reader reader;
    struct operation operation;
    enum status status = entry_reader_init(&reader, slice_of(entry->payload, entry->size));
    group->clock_ms = reader.time_ms > group->clock_ms ? reader.time_ms : group->clock_ms;
    while (status == STATUS_OK && (status = entry_reader_next(&reader, &operation)) == STATUS_OK) {
        apply_operation(group, &operation, entry->position);
    }
    if (status != STATUS_NOT_FOUND) {
        sim_violation("log", "an entry of %s at %" PRIu64 " cannot be decoded", group->name.text,
                      entry->position);
    }
}

void ledger_model_close(struct ledger_group *group)
{
    MAP_FOREACH(node, &group->topics)
    {
        free(CONTAINER_OF(node, struct topic, by_name));
    }
    MAP_FOREACH(node, &group->queues)
    {
        struct ledger_queue *queue = CONTAINER_OF(node, struct ledger_queue, by_key);
        buf_close(&queue->key);
        free(queue->items);
        free(queue);
    }
    MAP_FOREACH(node, &group->halves)
    {
        struct ledger_half *half = CONTAINER_OF(node, struct ledger_half, by_position);
        buf_close(&half->unique);
        free(half);
    }
    MAP_FOREACH(node, &group->copies)
    {
        free(CONTAINER_OF(node, struct copies, by_id));
    }
    MAP_FOREACH(node, &group->offsets)
    {
        struct ledger_offset *offset = CONTAINER_OF(node, struct ledger_offset, by_key);
        buf_close(&offset->key);
        free(offset);
    }
    ledger_delays_close(group);
    ledger_recognised_close(group);
    ledger_pops_close(group);
    map_close(&group->topics);
    map_close(&group->queues);
    map_close(&group->halves);
    map_close(&group->uniques);
    map_close(&group->copies);
    map_close(&group->offsets);
}
