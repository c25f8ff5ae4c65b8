/* Delayed messages: one schedule, ordered by time, of messages that are in the log but not visible.
 *
 * A message is written once. When its time has come by the log's clock, whoever leads says FIRE,
 * and apply makes the stored bytes visible at FIRE's place: once, whatever how many leaders say it.
 */
#include "broker/machine/machine_internal.h"

#include "common/remoting/message.h"

#include <stdlib.h>

enum { DELAYED_DIRTY_SIZE = 96 };

static struct delayed *find(const struct machine *machine, uint64_t position);
static struct delayed *delayed_new(const struct hidden_message *message);
static void delayed_link(struct machine *machine, struct delayed *delayed, uint64_t due_ms);
static void delayed_remove(struct machine *machine, struct delayed *delayed);
static void delayed_free(struct machine *machine, struct delayed *delayed);
static bool has_key(const struct delayed *delayed, uint64_t hash);
static void row_of(const struct delayed *delayed, struct delayed_row *row);

void apply_delayed(struct machine *machine, const struct operation *operation,
                   struct operation_result *result)
{
    struct slice bytes = operation->delayed.message;
    struct message message;
    struct queue *queue;
    size_t size;
    if (message_decode(bytes, &message, &size) != STATUS_OK || size != bytes.size ||
        message.prepared_offset != DELAYED_PREPARED_OFFSET) {
        result->status = STATUS_MESSAGE_ILLEGAL;
        return;
    }
    result->status = message_queue_find(machine, message.topic, message.queue_id, &queue);
    if (result->status == STATUS_OK && !delayed_has_room(machine)) {
        result->status = STATUS_OVERLOADED;
    }
    if (result->status != STATUS_OK) {
        return;
    }
    struct message_terms terms;
    message_terms_read(message.properties, topic_hash_of(queue->topic), &terms);
    const struct unique *known = unique_find(machine, queue->topic, terms.unique_key);
    result->message.count = 1;
    if (known != NULL) {
        unique_answer(machine, known, result);
        return;
    }
    const struct hidden_message hidden = {
        .position = machine->entry_position + operation->offset + OPERATION_HEADER_SIZE +
                    DELAYED_PREFIX_SIZE,
        .size = (uint32_t)size,
        .crc = stored_message_crc(bytes),
        .tags_hash = terms.tags_hash,
        .keys = terms.keys,
        .key_count = terms.key_count,
        .recallable = true,
    };
    result->message.queue_offset = (int64_t)machine->meta.counters.delayed;
    result->message.position = hidden.position;
    result->message.queue_id = queue->id;
    unique_add(machine, queue->topic, terms.unique_key, result);
    delayed_add(machine, queue->topic, queue->id, &hidden,
                delay_end_ms(machine, &operation->delayed.delay));
}

/* A commit is never refused, so a half with a delay has its place from the beginning. */
bool delayed_has_room(const struct machine *machine)
{
    const struct machine_counters *counters = &machine->meta.counters;
    return counters->delayed_waiting + counters->delayed_halves < DELAYED_MAX;
}

uint64_t delay_end_ms(const struct machine *machine, const struct delay *delay)
{
    uint64_t now_ms = machine->meta.clock_ms;
    uint64_t latest_ms = now_ms + DELAY_MAX_MS;
    if (delay->absolute) {
        return delay->ms < latest_ms ? delay->ms : latest_ms;
    }
    return delay->ms < DELAY_MAX_MS ? now_ms + delay->ms : latest_ms;
}

void apply_fire(struct machine *machine, const struct operation *operation,
                struct operation_result *result)
{
    struct delayed *delayed = find(machine, operation->fire.position);
    if (delayed == NULL) {
        result->status = STATUS_NOT_FOUND; // Fired before, or gone with its topic.
        return;
    }
    if (delayed->due.due > machine->meta.clock_ms) {
        result->status = STATUS_INVALID_ARGUMENT; // Said by a leader whose clock was ahead.
        return;
    }
    const struct hidden_message message = {
        .position = delayed->position,
        .size = delayed->size,
        .crc = delayed->crc,
        .tags_hash = delayed->tags_hash,
        .keys = delayed->keys,
        .key_count = delayed->key_count,
    };
    uint64_t position = machine->entry_position + operation->offset;
    struct queue *queue = &delayed->topic->queues[delayed->queue_id];
    result->status = STATUS_OK;
    result->message.queue_offset = message_show(machine, queue, &message, position);
    result->message.position = position;
    result->message.count = 1;
    result->message.queue_id = queue->id;
    machine->meta.counters.delayed_fired++;
    delayed_remove(machine, delayed);
}

/* What has fired cannot be recalled; what is recalled does not fire. */
void apply_recall(struct machine *machine, const struct operation_recall *recall,
                  struct operation_result *result)
{
    struct delayed *delayed = find(machine, recall->position);
    if (delayed == NULL || !delayed->recallable ||
        !slice_equals(name_slice(&delayed->topic->name), recall->topic) ||
        !has_key(delayed, message_key_hash(topic_hash_of(delayed->topic), recall->unique_key))) {
        result->status = STATUS_NOT_FOUND;
        return;
    }
    result->status = STATUS_OK;
    machine->meta.counters.delayed_dropped++;
    delayed_remove(machine, delayed);
}

static bool has_key(const struct delayed *delayed, uint64_t hash)
{
    for (uint32_t i = 0; i < delayed->key_count; i++) {
        if (delayed->keys[i] == hash) {
            return true;
        }
    }
    return false;
}

/* --- The schedule ------------------------------------------------------------------------- */

void delayed_add(struct machine *machine, struct topic *topic, int32_t queue_id,
                 const struct hidden_message *message, uint64_t due_ms)
{
    struct delayed *delayed = delayed_new(message);
    delayed->topic = topic;
    delayed->queue_id = queue_id;
    delayed->stored_ms = machine->meta.clock_ms;
    delayed_link(machine, delayed, due_ms);
    list_append(&machine->delayed_dirty, &delayed->dirty);
    machine->dirty_size += DELAYED_DIRTY_SIZE;
    machine->meta.counters.delayed++;
}

/* Copies message; topic, queue and times are yet to be set. */
static struct delayed *delayed_new(const struct hidden_message *message)
{
    struct delayed *delayed = mem_zalloc(sizeof *delayed);
    delayed->position = message->position;
    delayed->size = message->size;
    delayed->crc = message->crc;
    delayed->tags_hash = message->tags_hash;
    delayed->recallable = message->recallable;
    delayed->key_count = (uint8_t)message->key_count;
    delayed->keys = delayed->keys_inline;
    size_t size = message->key_count * sizeof *delayed->keys;
    if (size > sizeof delayed->keys_inline) {
        delayed->keys = mem_alloc(size);
    }
    memcpy(delayed->keys, message->keys, size);
    return delayed;
}

static struct slice key_of(const uint64_t *position)
{
    return slice_of(position, sizeof *position);
}

static struct delayed *find(const struct machine *machine, uint64_t position)
{
    struct map_node *node = map_find(&machine->delayed, key_of(&position));
    return node == NULL ? NULL : CONTAINER_OF(node, struct delayed, node);
}

static void delayed_link(struct machine *machine, struct delayed *delayed, uint64_t due_ms)
{
    map_put(&machine->delayed, &delayed->node, key_of(&delayed->position));
    heap_put(&machine->schedule, &delayed->due, due_ms, delayed->position);
    segment_at(machine, delayed->position)->held_count++;
    machine->meta.counters.delayed_waiting++;
}

/* It is not to come back with the store either. */
static void delayed_remove(struct machine *machine, struct delayed *delayed)
{
    if (delayed->stored) {
        struct key key = key_delayed(delayed->position);
        kv_batch_delete(machine->deletes, key_slice(&key));
        machine->dirty_size += DELAYED_DIRTY_SIZE;
    }
    segment_at(machine, delayed->position)->held_count--;
    machine->meta.counters.delayed_waiting--;
    delayed_free(machine, delayed);
}

static void delayed_free(struct machine *machine, struct delayed *delayed)
{
    map_remove(&machine->delayed, &delayed->node);
    heap_remove(&machine->schedule, &delayed->due);
    list_remove(&delayed->dirty);
    if (delayed->keys != delayed->keys_inline) {
        free(delayed->keys);
    }
    free(delayed);
}

void delayed_topic_deleted(struct machine *machine, const struct topic *topic)
{
    MAP_FOREACH(node, &machine->delayed)
    {
        struct delayed *delayed = CONTAINER_OF(node, struct delayed, node);
        if (delayed->topic == topic) {
            machine->meta.counters.delayed_dropped++;
            delayed_remove(machine, delayed);
        }
    }
}

void delayed_close(struct machine *machine)
{
    for (struct map_node *node; (node = map_first(&machine->delayed)) != NULL;) {
        delayed_free(machine, CONTAINER_OF(node, struct delayed, node));
    }
    map_close(&machine->delayed);
    heap_close(&machine->schedule);
}

/* --- The store ---------------------------------------------------------------------------- */

enum status delayed_load(struct machine *machine, struct slice key, struct slice value)
{
    uint64_t position;
    struct delayed_row row;
    if (!key_id_parse(key, &position) || delayed_row_decode(value, &row) != STATUS_OK ||
        row.position != position || segment_at(machine, position) == NULL) {
        return STATUS_CORRUPT;
    }
    struct topic *topic = topic_by_id(machine, row.topic_id);
    if (topic == NULL || (uint32_t)row.queue_id >= topic->queue_count) {
        return STATUS_CORRUPT;
    }
    struct delayed *delayed = delayed_new(&(struct hidden_message){
        .position = row.position,
        .size = row.size,
        .crc = row.crc,
        .tags_hash = row.tags_hash,
        .keys = row.keys,
        .key_count = row.key_count,
        .recallable = row.recallable,
    });
    delayed->topic = topic;
    delayed->queue_id = row.queue_id;
    delayed->stored_ms = row.stored_ms;
    delayed->stored = true;
    delayed_link(machine, delayed, row.due_ms);
    return STATUS_OK;
}

/* Most short delays are over before a checkpoint sees them: then there is no row. */
void delayed_checkpoint(struct machine *machine, struct kv_batch *batch)
{
    struct buf value = {0};
    for (struct list *node; (node = list_pop(&machine->delayed_dirty)) != NULL;) {
        struct delayed *delayed = CONTAINER_OF(node, struct delayed, dirty);
        struct delayed_row row;
        row_of(delayed, &row);
        struct key key = key_delayed(delayed->position);
        buf_clear(&value);
        delayed_row_encode(&row, &value);
        kv_batch_put(batch, key_slice(&key), buf_slice(&value));
        delayed->stored = true;
    }
    buf_close(&value);
}

static void row_of(const struct delayed *delayed, struct delayed_row *row)
{
    row->position = delayed->position;
    row->size = delayed->size;
    row->crc = delayed->crc;
    row->queue_id = delayed->queue_id;
    row->topic_id = delayed->topic->id;
    row->tags_hash = delayed->tags_hash;
    row->due_ms = delayed->due.due;
    row->stored_ms = delayed->stored_ms;
    row->recallable = delayed->recallable;
    row->key_count = delayed->key_count;
    memcpy(row->keys, delayed->keys, delayed->key_count * sizeof *row->keys);
}

uint64_t delayed_hash(const struct machine *machine)
{
    uint64_t hash = 0;
    struct buf value = {0};
    MAP_FOREACH(node, &machine->delayed)
    {
        const struct delayed *delayed = CONTAINER_OF(node, struct delayed, node);
        struct delayed_row row;
        row_of(delayed, &row);
        struct key key = key_delayed(delayed->position);
        buf_clear(&value);
        delayed_row_encode(&row, &value);
        hash += machine_item_hash(KEY_DELAYED, key_slice(&key), buf_slice(&value));
    }
    buf_close(&value);
    return hash;
}

/* --- Reading ------------------------------------------------------------------------------ */

const struct delayed *machine_delayed_find(const struct machine *machine, uint64_t position)
{
    return find(machine, position);
}

uint32_t machine_delayed_due(const struct machine *machine, uint64_t now_ms, uint32_t max,
                             uint64_t *positions)
{
    struct heap_node **nodes = mem_alloc(((size_t)max + 1) * sizeof(struct heap_node *));
    uint32_t count = (uint32_t)heap_find_due(&machine->schedule, now_ms, max, nodes);
    for (uint32_t i = 0; i < count; i++) {
        positions[i] = CONTAINER_OF(nodes[i], struct delayed, due)->position;
    }
    free(nodes);
    return count;
}
