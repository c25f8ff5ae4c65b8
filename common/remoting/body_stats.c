#include "common/remoting/body_stats.h"

#include "common/remoting/body_json.h"

/* One entry of a table: the queue of its key and the value. */
struct entry {
    struct queue_name queue;
    const json_t *value;
};

static enum status entries_decode(struct slice text, struct body *body, json_t **root,
                                  struct entry **entries, size_t *count);
static void put_key(struct json_writer *writer, const struct queue_name *queue);

/* Read the object-keyed "offsetTable". */
static enum status entries_decode(struct slice text, struct body *body, json_t **root,
                                  struct entry **entries, size_t *count)
{
    const char *key;
    json_t *value;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, root);
    if (status != STATUS_OK) {
        return status;
    }
    json_t *table = json_object_get(*root, "offsetTable");
    if (json_object_size(table) > QUEUE_ENTRIES_MAX) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    *count = 0;
    *entries = arena_array(&body->arena, json_object_size(table) + 1, sizeof **entries);
    json_object_foreach(table, key, value)
    {
        json_t *queue = json_parse_key(key);
        if (queue != NULL) {
            struct queue_name name = json_get_queue(queue);
            name.topic = arena_copy(&body->arena, name.topic);
            name.broker = arena_copy(&body->arena, name.broker);
            (*entries)[(*count)++] = (struct entry){name, value};
            json_decref(queue);
        }
    }
    return STATUS_OK;
}

static void put_key(struct json_writer *writer, const struct queue_name *queue)
{
    json_queue(writer, queue);
    json_key_was_object(writer);
}

enum status topic_stats_decode(struct slice text, struct body *body, struct topic_stats *out)
{
    json_t *root;
    struct entry *entries;
    size_t count;
    enum status status = entries_decode(text, body, &root, &entries, &count);
    if (status != STATUS_OK) {
        return status;
    }
    struct topic_stats_entry *stats = arena_array(&body->arena, count + 1, sizeof *stats);
    for (size_t i = 0; i < count; i++) {
        stats[i] = (struct topic_stats_entry){
            .queue = entries[i].queue,
            .offset_min = json_get_i64(entries[i].value, "minOffset", 0),
            .offset_max = json_get_i64(entries[i].value, "maxOffset", 0),
            .updated_ms = json_get_i64(entries[i].value, "lastUpdateTimestamp", 0),
        };
    }
    *out =
        (struct topic_stats){json_number_value(json_object_get(root, "topicPutTps")), count, stats};
    return STATUS_OK;
}

void topic_stats_encode(const struct topic_stats *stats, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_key(&writer, "offsetTable");
    json_begin(&writer, '{');
    for (size_t i = 0; i < stats->count; i++) {
        const struct topic_stats_entry *entry = &stats->entries[i];
        put_key(&writer, &entry->queue);
        json_begin(&writer, '{');
        json_member_int(&writer, "lastUpdateTimestamp", entry->updated_ms);
        json_member_int(&writer, "maxOffset", entry->offset_max);
        json_member_int(&writer, "minOffset", entry->offset_min);
        json_end(&writer, '}');
    }
    json_end(&writer, '}');
    json_key(&writer, "topicPutTps");
    json_double(&writer, stats->put_tps);
    json_end(&writer, '}');
}

enum status consume_stats_decode(struct slice text, struct body *body, struct consume_stats *out)
{
    json_t *root;
    struct entry *entries;
    size_t count;
    enum status status = entries_decode(text, body, &root, &entries, &count);
    if (status != STATUS_OK) {
        return status;
    }
    struct consume_stats_entry *stats = arena_array(&body->arena, count + 1, sizeof *stats);
    for (size_t i = 0; i < count; i++) {
        stats[i] = (struct consume_stats_entry){
            .queue = entries[i].queue,
            .broker_offset = json_get_i64(entries[i].value, "brokerOffset", 0),
            .consumer_offset = json_get_i64(entries[i].value, "consumerOffset", 0),
            .pull_offset = json_get_i64(entries[i].value, "pullOffset", 0),
            .consumed_ms = json_get_i64(entries[i].value, "lastTimestamp", 0),
        };
    }
    *out = (struct consume_stats){json_number_value(json_object_get(root, "consumeTps")), count,
                                  stats};
    return STATUS_OK;
}

void consume_stats_encode(const struct consume_stats *stats, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_key(&writer, "consumeTps");
    json_double(&writer, stats->tps);
    json_key(&writer, "offsetTable");
    json_begin(&writer, '{');
    for (size_t i = 0; i < stats->count; i++) {
        const struct consume_stats_entry *entry = &stats->entries[i];
        put_key(&writer, &entry->queue);
        json_begin(&writer, '{');
        json_member_int(&writer, "brokerOffset", entry->broker_offset);
        json_member_int(&writer, "consumerOffset", entry->consumer_offset);
        json_member_int(&writer, "lastTimestamp", entry->consumed_ms);
        json_member_int(&writer, "pullOffset", entry->pull_offset);
        json_end(&writer, '}');
    }
    json_end(&writer, '}');
    json_end(&writer, '}');
}

void offset_table_encode(const struct queue_offset *offsets, size_t count, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_key(&writer, "offsetTable");
    json_begin(&writer, '{');
    for (size_t i = 0; i < count; i++) {
        put_key(&writer, &offsets[i].queue);
        json_int(&writer, offsets[i].offset);
    }
    json_end(&writer, '}');
    json_end(&writer, '}');
}

void offset_table_encode_for_cpp(const struct queue_offset *offsets, size_t count, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_key(&writer, "offsetTable");
    json_begin(&writer, '[');
    for (size_t i = 0; i < count; i++) {
        json_begin(&writer, '{');
        json_member_text(&writer, "brokerName", offsets[i].queue.broker);
        json_member_int(&writer, "offset", offsets[i].offset);
        json_member_int(&writer, "queueId", offsets[i].queue.queue_id);
        json_member_text(&writer, "topic", offsets[i].queue.topic);
        json_end(&writer, '}');
    }
    json_end(&writer, ']');
    json_end(&writer, '}');
}

enum status offset_table_decode(struct slice text, struct body *body, struct queue_offset **offsets,
                                size_t *count)
{
    json_t *root;
    struct entry *entries;
    enum status status = entries_decode(text, body, &root, &entries, count);
    if (status != STATUS_OK) {
        return status;
    }
    *offsets = arena_array(&body->arena, *count + 1, sizeof **offsets);
    for (size_t i = 0; i < *count; i++) {
        (*offsets)[i].queue = entries[i].queue;
        json_as_i64(entries[i].value, &(*offsets)[i].offset);
    }
    return STATUS_OK;
}
