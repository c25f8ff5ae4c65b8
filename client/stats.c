/* Statistics of topics and groups, gathered from all leaders. */
#include "client/leaders.h"
#include "common/base/arena.h"
#include "common/remoting/body_stats.h"
#include "common/remoting/codes.h"

#include <stdlib.h>

/* What raftmq_stats_free() frees; the public part comes first. */
struct owned_stats {
    struct raftmq_stats stats;
    struct arena arena;
    size_t capacity;
    struct raftmq_queue_stats *list;
};

static const char *copy(struct arena *arena, struct slice text)
{
    return (const char *)arena_copy(arena, text).data;
}

static struct raftmq_queue_stats *add_stats(struct owned_stats *owned,
                                            const struct queue_name *queue)
{
    if (owned->stats.count == owned->capacity) {
        owned->capacity = owned->capacity == 0 ? 64 : owned->capacity * 2;
        owned->list = mem_realloc(owned->list, owned->capacity * sizeof *owned->list);
        owned->stats.queues = owned->list;
    }
    struct raftmq_queue_stats *entry = &owned->list[owned->stats.count++];
    *entry = (struct raftmq_queue_stats){
        .queue = {copy(&owned->arena, queue->topic), copy(&owned->arena, queue->broker),
                  queue->queue_id},
        .consumer_offset = -1,
    };
    return entry;
}

static int compare_stats(const void *a, const void *b)
{
    const struct raftmq_queue *left = &((const struct raftmq_queue_stats *)a)->queue;
    const struct raftmq_queue *right = &((const struct raftmq_queue_stats *)b)->queue;
    int order = strcmp(left->topic, right->topic);
    order = order != 0 ? order : strcmp(left->broker, right->broker);
    return order != 0 ? order
                      : (left->queue_id > right->queue_id) - (left->queue_id < right->queue_id);
}

static bool add_topic_stats(void *context, const struct reply *reply)
{
    struct body body;
    struct topic_stats stats;
    if (topic_stats_decode(reply->command.body, &body, &stats) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < stats.count; i++) {
        struct raftmq_queue_stats *entry = add_stats(context, &stats.entries[i].queue);
        entry->offset_min = stats.entries[i].offset_min;
        entry->offset_max = stats.entries[i].offset_max;
        entry->updated_ms = stats.entries[i].updated_ms;
    }
    body_close(&body);
    return true;
}

static bool add_consume_stats(void *context, const struct reply *reply)
{
    struct body body;
    struct consume_stats stats;
    if (consume_stats_decode(reply->command.body, &body, &stats) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < stats.count; i++) {
        struct raftmq_queue_stats *entry = add_stats(context, &stats.entries[i].queue);
        entry->offset_max = stats.entries[i].broker_offset;
        entry->consumer_offset = stats.entries[i].consumer_offset;
        entry->updated_ms = stats.entries[i].consumed_ms;
    }
    body_close(&body);
    return true;
}

static enum raftmq_status gather_stats(struct raftmq_client *client, struct command *request,
                                       leaders_cb *each, struct raftmq_stats **out,
                                       struct raftmq_error *error)
{
    struct owned_stats *owned = mem_zalloc(sizeof *owned);
    // Not every broker has every topic.
    enum raftmq_status status =
        leaders_ask(client, NULL, request, RESPONSE_TOPIC_NOT_EXIST, each, owned, error);
    if (status != RAFTMQ_OK) {
        raftmq_stats_free(&owned->stats);
        return status;
    }
    if (owned->stats.count > 0) {
        qsort(owned->list, owned->stats.count, sizeof *owned->list, compare_stats);
    }
    *out = &owned->stats;
    return RAFTMQ_OK;
}

enum raftmq_status raftmq_topic_stats(struct raftmq_client *client, const char *topic,
                                      struct raftmq_stats **out, struct raftmq_error *error)
{
    struct command request;
    command_init_request(&request, REQUEST_GET_TOPIC_STATS_INFO, 0);
    command_add(&request, "topic", slice_text(topic));
    return gather_stats(client, &request, add_topic_stats, out, error);
}

enum raftmq_status raftmq_consume_stats(struct raftmq_client *client, const char *group,
                                        const char *topic, struct raftmq_stats **out,
                                        struct raftmq_error *error)
{
    struct command request;
    command_init_request(&request, REQUEST_GET_CONSUME_STATS, 0);
    command_add(&request, "consumerGroup", slice_text(group));
    if (topic != NULL) {
        command_add(&request, "topic", slice_text(topic));
    }
    return gather_stats(client, &request, add_consume_stats, out, error);
}

void raftmq_stats_free(struct raftmq_stats *stats)
{
    if (stats != NULL) {
        struct owned_stats *owned = CONTAINER_OF(stats, struct owned_stats, stats);
        arena_close(&owned->arena);
        free(owned->list);
        free(owned);
    }
}
