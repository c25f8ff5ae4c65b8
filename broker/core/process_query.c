/* QUERY_MESSAGE (12) and VIEW_MESSAGE_BY_ID (33).
 * Source: QueryMessageProcessor, QueryMessageRequestHeader. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "broker/core/reader.h"
#include "common/remoting/properties.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    QUERY_MAX = KEY_FOUND_MAX,
    UNIQUE_QUERY_MAX = 32, /* defaultQueryMaxNum */
};

struct query {
    struct key_job job;
    struct reply_to to;
    uint8_t key[KEY_SIZE_MAX];
    size_t key_size;
    bool unique;
};

/* The index finds by hash: what it found must have the key itself. */
static bool has_key(const struct query *query, const struct message *message)
{
    struct slice key = slice_of(query->key, query->key_size);
    struct slice value;
    if (properties_find(message->properties, PROPERTY_UNIQUE_KEY, &value) &&
        slice_equals(value, key)) {
        return true;
    }
    if (query->unique || !properties_find(message->properties, PROPERTY_KEYS, &value)) {
        return false;
    }
    while (value.size > 0) {
        const uint8_t *space = memchr(value.data, ' ', value.size);
        struct slice word = value;
        word.size = space == NULL ? value.size : (size_t)(space - value.data);
        if (slice_equals(word, key)) {
            return true;
        }
        value = slice_from(value, word.size + (space == NULL ? 0 : 1));
    }
    return false;
}

/* Queue offsets are not in the key index; which queue it is, the message itself tells. */
static bool locate(struct broker *broker, const struct message *message, uint8_t *bytes)
{
    struct index_entry entry;
    int64_t offset = 0;
    const struct queue *queue =
        machine_queue_find(broker->machine, message->topic, message->queue_id);
    if (queue == NULL ||
        machine_queue_find_position(broker->machine, queue, (uint64_t)message->physical_offset,
                                    &offset, &entry) != STATUS_OK) {
        return false;
    }
    be64_put(bytes + MESSAGE_AT_QUEUE_OFFSET, (uint64_t)offset);
    return true;
}

static void on_found(struct broker *broker, void *context, enum status status, uint8_t *data,
                     size_t size)
{
    struct query *query = context;
    struct buf body = {0};
    int64_t last_time = 0;
    int64_t last_position = 0;
    for (size_t at = 0; status == STATUS_OK && at < size;) {
        struct message message;
        size_t used;
        if (message_decode(slice_of(data + at, size - at), &message, &used) != STATUS_OK) {
            break;
        }
        if (has_key(query, &message) && locate(broker, &message, data + at)) {
            buf_put(&body, data + at, used);
            last_time = message.store_time_ms > last_time ? message.store_time_ms : last_time;
            last_position =
                message.physical_offset > last_position ? message.physical_offset : last_position;
        }
        at += used;
    }
    if (status != STATUS_OK) {
        broker_reply_status(broker, &query->to, status, NULL);
    } else if (body.size == 0) {
        broker_reply_status(broker, &query->to, STATUS_NOT_FOUND, "no message has that key");
    } else {
        struct command response;
        char time[24];
        char position[24];
        snprintf(time, sizeof time, "%" PRId64, last_time);
        snprintf(position, sizeof position, "%" PRId64, last_position);
        reply_init(&response, &query->to, 0);
        command_add(&response, "indexLastUpdateTimestamp", slice_text(time));
        command_add(&response, "indexLastUpdatePhyoffset", slice_text(position));
        response.body = buf_slice(&body);
        broker_reply(broker, &query->to, &response);
    }
    buf_close(&body);
    free(query);
}

static void on_searched(struct broker *broker, struct key_job *job, enum status status)
{
    struct query *query = CONTAINER_OF(job, struct query, job);
    const struct key_search *search = &job->search;
    struct message_ref refs[KEY_FOUND_MAX];
    size_t bytes = 0;
    uint32_t taken = 0;
    while (taken < search->count && read_has_room(&bytes, search->entries[taken].size)) {
        refs[taken] = (struct message_ref){.entry = search->entries[taken]}; // Offset: locate().
        taken++;
    }
    if (status != STATUS_OK || taken == 0) {
        on_found(broker, query, status, NULL, 0);
        return;
    }
    read_messages(broker, refs, taken, on_found, query);
}

enum status process_query_message(struct broker *broker, struct request *request)
{
    const struct command *command = request->command;
    struct slice topic;
    struct slice key;
    int32_t max = QUERY_MAX;
    int64_t begin = 0;
    int64_t end = INT64_MAX;
    bool unique = false;
    enum status status = command_text(command, "topic", TOPIC_NAME_DERIVED_MAX, &topic);
    if (status == STATUS_OK) {
        status = command_text(command, "key", KEY_SIZE_MAX, &key);
    }
    if (status == STATUS_OK) {
        status = command_i32(command, "maxNum", false, &max);
    }
    if (status == STATUS_OK) {
        status = command_i64(command, "beginTimestamp", false, &begin);
    }
    if (status == STATUS_OK) {
        status = command_i64(command, "endTimestamp", false, &end);
    }
    if (status == STATUS_OK) {
        status = command_bool(command, "_UNIQUE_KEY_QUERY", &unique);
    }
    if (status != STATUS_OK) {
        return request_fail(request, status, "topic and key (at most %d bytes) are required",
                            KEY_SIZE_MAX);
    }
    uint32_t wanted = unique ? UNIQUE_QUERY_MAX : (uint32_t)(max > 0 ? max : 1);
    struct query *query = mem_alloc(sizeof *query);
    query->to = request->to;
    query->unique = unique;
    query->key_size = key.size;
    memcpy(query->key, key.data, key.size);
    query->job.channel_id = request->to.channel_id;
    query->job.done = on_searched;
    query->job.search.begin_ms = begin < 0 ? 0 : (uint64_t)begin;
    query->job.search.end_ms = end < 0 ? 0 : (uint64_t)end;
    query->job.search.max = wanted < QUERY_MAX ? wanted : QUERY_MAX;
    status = key_searches_start(&broker->key_searches, topic, key, &query->job);
    if (status != STATUS_OK) {
        free(query);
        return status;
    }
    return STATUS_PENDING;
}

static void on_viewed(struct broker *broker, void *context, enum status status, uint8_t *data,
                      size_t size)
{
    struct reply_to *to = context;
    if (status == STATUS_OK) {
        struct command response;
        reply_init(&response, to, 0);
        response.body = slice_of(data, size);
        broker_reply(broker, to, &response);
    } else {
        broker_reply_status(broker, to, status == STATUS_NOT_FOUND ? STATUS_INTERNAL : status,
                            status == STATUS_NOT_FOUND ? "no message begins at that offset" : NULL);
    }
    free(to);
}

enum status process_view_message(struct broker *broker, struct request *request)
{
    int64_t offset = 0;
    enum status status = command_i64(request->command, "offset", true, &offset);
    if (status != STATUS_OK || offset < 0) {
        return request_fail(request, STATUS_INVALID_ARGUMENT, "offset must be a number >= 0");
    }
    struct reply_to *to = mem_alloc(sizeof *to);
    *to = request->to;
    read_position(broker, (uint64_t)offset, on_viewed, to);
    return STATUS_PENDING;
}
