/* MESSAGE: ordinary messages get the next offsets of their queues. */
#include "broker/machine/machine_internal.h"

#include "common/remoting/message.h"
#include "common/remoting/properties.h"

static enum status batch_check(struct machine *machine, struct slice body, uint32_t *count);
static void batch_write(struct machine *machine, uint32_t count, uint64_t position,
                        struct operation_result *result);
static void terms_add_key(struct message_terms *terms, uint64_t topic_hash, struct slice key);
static void terms_add_words(struct message_terms *terms, uint64_t topic_hash, struct slice words);
static bool is_name(struct slice name, const char *text, size_t size);

void apply_message(struct machine *machine, const struct operation *operation,
                   struct operation_result *result)
{
    uint32_t count = 0;
    result->status = batch_check(machine, operation->body, &count);
    if (result->status == STATUS_OK) {
        uint64_t position = machine->entry_position + operation->offset + OPERATION_HEADER_SIZE;
        batch_write(machine, count, position, result);
    }
}

/* Check all messages of the operation before any is written. */
static enum status batch_check(struct machine *machine, struct slice body, uint32_t *count)
{
    while (body.size > 0) {
        struct message message;
        size_t size;
        if (*count == BATCH_MESSAGES_MAX || message_decode(body, &message, &size) != STATUS_OK) {
            return STATUS_MESSAGE_ILLEGAL;
        }
        if (*count == machine->batch_capacity) {
            machine->batch_capacity = machine->batch_capacity == 0 ? 16 : 2 * *count;
            machine->batch =
                mem_realloc(machine->batch, machine->batch_capacity * sizeof *machine->batch);
        }
        struct checked_message *checked = &machine->batch[*count];
        enum status status =
            message_queue_find(machine, message.topic, message.queue_id, &checked->queue);
        if (status != STATUS_OK) {
            return status;
        }
        queue_index_prefetch(checked->queue);
        checked->properties = message.properties;
        checked->size = (uint32_t)size;
        checked->crc = stored_message_crc(slice_of(body.data, size));
        body = slice_from(body, size);
        *count += 1;
    }
    return STATUS_OK;
}

/* It gets the next offset of its queue. */
static void message_write(struct machine *machine, const struct checked_message *message,
                          const struct message_terms *terms, uint64_t position,
                          struct operation_result *result)
{
    const struct index_entry entry = {
        .position = position,
        .body_position = position,
        .size = message->size,
        .crc = message->crc,
        .tags_hash = terms->tags_hash,
        .store_time_ms = machine->meta.clock_ms,
    };
    result->message.queue_offset = queue_append(machine, message->queue, &entry);
    result->message.position = position;
    result->message.queue_id = message->queue->id;
    for (uint32_t k = 0; k < terms->key_count; k++) {
        key_add(machine, terms->keys[k], &entry);
    }
    machine->meta.counters.messages++;
    machine->meta.counters.message_bytes += message->size;
    unique_add(machine, message->queue->topic, terms->unique_key, result);
}

/* The answer is that of the first message. */
static void batch_write(struct machine *machine, uint32_t count, uint64_t position,
                        struct operation_result *result)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct checked_message *message = &machine->batch[i];
        const struct topic *topic = message->queue->topic;
        struct operation_result one = {.status = STATUS_OK};
        struct message_terms terms;
        message_terms_read(message->properties, topic_hash_of(topic), &terms);
        const struct unique *known = unique_find(machine, topic, terms.unique_key);
        if (known != NULL) {
            unique_answer(machine, known, &one);
        } else {
            message_write(machine, message, &terms, position, &one);
        }
        if (i == 0) {
            *result = one;
            result->message.count = count;
        }
        position += message->size;
    }
}

int64_t message_show(struct machine *machine, struct queue *queue,
                     const struct hidden_message *message, uint64_t position)
{
    const struct index_entry entry = {
        .position = position,
        .body_position = message->position,
        .size = message->size,
        .crc = message->crc,
        .tags_hash = message->tags_hash,
        .store_time_ms = machine->meta.clock_ms,
    };
    segment_refer(machine, message->position, position);
    int64_t offset = queue_append(machine, queue, &entry);
    for (uint32_t i = 0; i < message->key_count; i++) {
        key_add(machine, message->keys[i], &entry);
    }
    return offset;
}

void message_foresee(const struct machine *machine, const struct operation *operation)
{
    const struct topic *topic = machine->topic_last;
    if (operation->type == OPERATION_MESSAGE && operation->body.size >= MESSAGE_FIXED_SIZE &&
        topic != NULL) {
        uint32_t queue_id = be32_get(operation->body.data + MESSAGE_AT_QUEUE_ID);
        if (queue_id < topic->queue_count) {
            queue_prefetch(&topic->queues[queue_id]);
        }
    }
}

enum status message_queue_find(struct machine *machine, struct slice topic_name, int32_t queue_id,
                               struct queue **queue)
{
    const struct topic *topic = machine->topic_last;
    if (topic == NULL || !slice_equals(name_slice(&topic->name), topic_name)) {
        topic = topic_find(machine, topic_name);
        if (topic == NULL) {
            return STATUS_TOPIC_UNKNOWN;
        }
        machine->topic_last = topic;
    }
    int32_t count = topic->read_queue_count > topic->write_queue_count ? topic->read_queue_count
                                                                       : topic->write_queue_count;
    if (queue_id < 0 || queue_id >= count) {
        return STATUS_QUEUE_INVALID;
    }
    *queue = &topic->queues[queue_id];
    return STATUS_OK;
}

void message_terms_read(struct slice properties, uint64_t topic_hash, struct message_terms *terms)
{
    struct slice tags = {0};
    struct slice words = {0};
    struct slice name;
    struct slice value;
    terms->unique_key = (struct slice){0};
    terms->producer_group = (struct slice){0};
    while (properties_next(&properties, &name, &value)) {
        if (is_name(name, PROPERTY_TAGS, sizeof PROPERTY_TAGS - 1)) {
            tags = value;
        } else if (is_name(name, PROPERTY_KEYS, sizeof PROPERTY_KEYS - 1)) {
            words = value;
        } else if (is_name(name, PROPERTY_UNIQUE_KEY, sizeof PROPERTY_UNIQUE_KEY - 1)) {
            terms->unique_key = value;
        } else if (is_name(name, PROPERTY_PRODUCER_GROUP, sizeof PROPERTY_PRODUCER_GROUP - 1)) {
            terms->producer_group = value;
        }
    }
    terms->tags_hash = tags.size == 0 ? 0 : java_hash_code(tags);
    terms->key_count = 0;
    terms_add_key(terms, topic_hash, terms->unique_key);
    terms_add_words(terms, topic_hash, words);
}

/* The words of KEYS are separated by single spaces. */
static void terms_add_words(struct message_terms *terms, uint64_t topic_hash, struct slice words)
{
    while (words.size > 0) {
        const uint8_t *space = memchr(words.data, ' ', words.size);
        size_t size = space == NULL ? words.size : (size_t)(space - words.data);
        terms_add_key(terms, topic_hash, slice_of(words.data, size));
        words = slice_from(words, space == NULL ? size : size + 1);
    }
}

static void terms_add_key(struct message_terms *terms, uint64_t topic_hash, struct slice key)
{
    if (key.size == 0 || terms->key_count == MESSAGE_KEYS_MAX) {
        return;
    }
    uint64_t hash = message_key_hash(topic_hash, key);
    for (uint32_t i = 0; i < terms->key_count; i++) {
        if (terms->keys[i] == hash) {
            return; // Found once is enough.
        }
    }
    terms->keys[terms->key_count++] = hash;
}

static bool is_name(struct slice name, const char *text, size_t size)
{
    return name.size == size && memcmp(name.data, text, size) == 0;
}
