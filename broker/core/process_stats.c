/* What tools ask about topics, groups and the broker (26, 28, 202, 203, 204, 208, 300, 317).
 * Source: AdminBrokerProcessor. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "common/remoting/body_connections.h"
#include "common/remoting/body_list.h"
#include "common/remoting/body_stats.h"
#include "common/remoting/json_text.h"
#include "common/remoting/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Store time of the message at an offset; 0 if there is none. */
static int64_t store_time_of(struct broker *broker, const struct queue *queue, int64_t offset)
{
    struct index_entry entry;
    uint32_t count = 0;
    if (offset < queue->offset_first || offset >= queue->offset_next ||
        machine_queue_read(broker->machine, queue, offset, 1, &entry, &count) != STATUS_OK ||
        count == 0) {
        return 0;
    }
    return (int64_t)entry.store_time_ms;
}

static struct queue_name queue_name_of(const struct broker *broker, const struct queue *queue)
{
    return (struct queue_name){
        .topic = name_slice(&queue->topic->name),
        .broker = name_slice(&broker->group->name),
        .queue_id = queue->id,
    };
}

enum status process_topic_stats(struct broker *broker, struct request *request)
{
    struct slice name;
    enum status status = command_text(request->command, "topic", TOPIC_NAME_DERIVED_MAX, &name);
    if (status != STATUS_OK) {
        return status;
    }
    const struct topic *topic = machine_topic_find(broker->machine, name);
    if (topic == NULL) {
        return request_fail(request, STATUS_TOPIC_UNKNOWN, "topic %.*s does not exist on %s",
                            SLICE_ARGS(name), broker->group->name.text);
    }
    size_t count = topic->write_queue_count > 0 ? (size_t)topic->write_queue_count : 0;
    struct topic_stats_entry *entries = mem_alloc((count + 1) * sizeof *entries);
    struct topic_stats stats = {.entries = entries};
    for (size_t id = 0; id < count; id++) {
        const struct queue *queue = machine_queue_find(broker->machine, name, (int32_t)id);
        if (queue != NULL) {
            entries[stats.count++] = (struct topic_stats_entry){
                .queue = queue_name_of(broker, queue),
                .offset_min = queue->offset_first,
                .offset_max = queue->offset_next,
                .updated_ms = store_time_of(broker, queue, queue->offset_next - 1),
            };
        }
    }
    topic_stats_encode(&stats, &request->body);
    free(entries);
    return STATUS_OK;
}

/* --- Consumption -------------------------------------------------------------------------- */

struct consumed {
    struct broker *broker;
    struct slice group;
    struct slice topic; /* Empty: all. */
    struct slice last;  /* That was looked at. */
    struct consume_stats_entry *entries;
    size_t count;
    size_t capacity;
};

/* One entry for each queue of a topic, consumed or not. */
static void add_topic(struct consumed *consumed, const struct topic *topic)
{
    struct broker *broker = consumed->broker;
    struct slice name = name_slice(&topic->name);
    for (int32_t id = 0; id < topic->read_queue_count; id++) {
        const struct queue *queue = machine_queue_find(broker->machine, name, id);
        if (queue == NULL) {
            continue;
        }
        if (consumed->count == consumed->capacity) {
            consumed->capacity = consumed->capacity == 0 ? 64 : consumed->capacity * 2;
            consumed->entries =
                mem_realloc(consumed->entries, consumed->capacity * sizeof *consumed->entries);
        }
        int64_t offset = 0;
        machine_offset_find(broker->machine, consumed->group, name, id, &offset);
        // What was popped and is not acknowledged is not consumed: tools see it as in flight.
        uint32_t popped = machine_popped_count(broker->machine, consumed->group, name, id);
        consumed->entries[consumed->count++] = (struct consume_stats_entry){
            .queue = queue_name_of(broker, queue),
            .broker_offset = queue->offset_next,
            .consumer_offset = offset - popped,
            .pull_offset = offset,
            .consumed_ms = store_time_of(broker, queue, offset - 1),
        };
    }
}

/* Offsets of one group in one topic come one after the other: its queues are added once. */
static void visit_offset(void *context, struct slice group, struct slice topic, int32_t queue_id,
                         int64_t offset)
{
    struct consumed *consumed = context;
    (void)queue_id;
    (void)offset;
    if (!slice_equals(group, consumed->group) || slice_equals(topic, consumed->last) ||
        (consumed->topic.size > 0 && !slice_equals(topic, consumed->topic))) {
        return;
    }
    consumed->last = topic;
    const struct topic *found = machine_topic_find(consumed->broker->machine, topic);
    if (found != NULL) {
        add_topic(consumed, found);
    }
}

enum status process_consume_stats(struct broker *broker, struct request *request)
{
    struct consumed consumed = {.broker = broker};
    enum status status =
        command_text(request->command, "consumerGroup", GROUP_NAME_MAX, &consumed.group);
    if (status != STATUS_OK) {
        return status;
    }
    command_find(request->command, "topic", &consumed.topic);
    machine_offsets_visit(broker->machine, visit_offset, &consumed);
    const struct consume_stats stats = {.entries = consumed.entries, .count = consumed.count};
    consume_stats_encode(&stats, &request->body);
    free(consumed.entries);
    return STATUS_OK;
}

/* What groups are yet to consume, and how much of that is popped. */
struct behind {
    int64_t all;
    int64_t in_flight;
};

/* A group and the topics in which it has offsets. */
struct group_topics {
    struct map_node node; /* By name. */
    struct slice group;
    struct slice *topics;
    size_t count;
    size_t capacity;
};

/* All groups: their offsets are gone through once, not once for each. */
struct all_topics {
    struct group_topics *groups;
    struct map by_name;
};

static void visit_any(void *context, struct slice group, struct slice topic, int32_t queue_id,
                      int64_t offset)
{
    struct all_topics *all = context;
    struct map_node *node = map_find(&all->by_name, group);
    (void)queue_id;
    (void)offset;
    if (node == NULL) {
        return;
    }
    struct group_topics *topics = CONTAINER_OF(node, struct group_topics, node);
    if (topics->count > 0 && slice_equals(topics->topics[topics->count - 1], topic)) {
        return; // Offsets of one group in one topic come one after the other.
    }
    if (topics->count == topics->capacity) {
        topics->capacity = topics->capacity == 0 ? 4 : topics->capacity * 2;
        topics->topics = mem_realloc(topics->topics, topics->capacity * sizeof *topics->topics);
    }
    topics->topics[topics->count++] = topic;
}

static void all_topics_open(struct broker *broker, struct all_topics *all)
{
    const struct map *groups = machine_groups(broker->machine);
    struct group_topics *next = mem_zalloc((groups->count + 1) * sizeof *next);
    *all = (struct all_topics){.groups = next};
    MAP_FOREACH(node, groups)
    {
        next->group = CONTAINER_OF(node, struct group, node)->config.name;
        map_put(&all->by_name, &next->node, next->group);
        next++;
    }
    machine_offsets_visit(broker->machine, visit_any, all);
}

static void all_topics_close(struct all_topics *all)
{
    for (size_t i = 0; i < all->by_name.count; i++) {
        free(all->groups[i].topics);
    }
    map_close(&all->by_name);
    free(all->groups);
}

/* The offsets of one group in all its topics, one ConsumeStats for each topic; what it is behind is
 * added. */
static void put_group_stats(struct broker *broker, struct json_writer *json,
                            const struct group_topics *topics, struct behind *behind)
{
    struct consumed consumed = {.broker = broker, .group = topics->group};
    for (size_t i = 0; i < topics->count; i++) {
        const struct topic *topic = machine_topic_find(broker->machine, topics->topics[i]);
        if (topic != NULL) {
            add_topic(&consumed, topic);
        }
    }
    json_begin(json, '[');
    for (size_t at = 0, next; at < consumed.count; at = next) {
        struct slice topic = consumed.entries[at].queue.topic;
        for (next = at;
             next < consumed.count && slice_equals(consumed.entries[next].queue.topic, topic);
             next++) {
            const struct consume_stats_entry *entry = &consumed.entries[next];
            behind->all += entry->broker_offset - entry->consumer_offset;
            behind->in_flight += entry->pull_offset - entry->consumer_offset;
        }
        const struct consume_stats stats = {.entries = consumed.entries + at, .count = next - at};
        struct buf text = {0};
        consume_stats_encode(&stats, &text);
        json_raw(json, buf_slice(&text));
        buf_close(&text);
    }
    json_end(json, ']');
    free(consumed.entries);
}

enum status process_all_consume_stats(struct broker *broker, struct request *request)
{
    struct json_writer json = {.out = &request->body};
    struct buf address = {0};
    struct behind behind = {0};
    host_format(broker->self->client_host, &address);
    json_begin(&json, '{');
    json_member_text(&json, "brokerAddr", buf_slice(&address));
    json_key(&json, "consumeStatsList");
    json_begin(&json, '[');
    struct all_topics all;
    all_topics_open(broker, &all);
    for (size_t i = 0; i < all.by_name.count; i++) {
        json_begin(&json, '{');
        json_key_slice(&json, all.groups[i].group);
        put_group_stats(broker, &json, &all.groups[i], &behind);
        json_end(&json, '}');
    }
    all_topics_close(&all);
    json_end(&json, ']');
    json_member_int(&json, "totalDiff", behind.all);
    json_member_int(&json, "totalInflightDiff", behind.in_flight);
    json_end(&json, '}');
    buf_close(&address);
    return STATUS_OK;
}

struct consumers {
    struct slice topic;
    struct slice *groups;
    size_t count;
    size_t capacity;
};

static void add_group(struct consumers *consumers, struct slice group)
{
    for (size_t i = 0; i < consumers->count; i++) {
        if (slice_equals(consumers->groups[i], group)) {
            return;
        }
    }
    if (consumers->count == consumers->capacity) {
        consumers->capacity = consumers->capacity == 0 ? 16 : consumers->capacity * 2;
        consumers->groups =
            mem_realloc(consumers->groups, consumers->capacity * sizeof *consumers->groups);
    }
    consumers->groups[consumers->count++] = group;
}

static void visit_consumer(void *context, struct slice group, struct slice topic, int32_t queue_id,
                           int64_t offset)
{
    struct consumers *consumers = context;
    (void)queue_id;
    (void)offset;
    if (slice_equals(topic, consumers->topic)) {
        add_group(consumers, group);
    }
}

enum status process_topic_consumers(struct broker *broker, struct request *request)
{
    struct consumers consumers = {0};
    enum status status =
        command_text(request->command, "topic", TOPIC_NAME_DERIVED_MAX, &consumers.topic);
    if (status != STATUS_OK) {
        return status;
    }
    MAP_FOREACH(node, &broker->channels.consumers)
    {
        const struct client_group *group = CONTAINER_OF(node, struct client_group, node);
        if (client_group_subscription(group, consumers.topic) != NULL) {
            add_group(&consumers, name_slice(&group->name));
        }
    }
    machine_offsets_visit(broker->machine, visit_consumer, &consumers);
    const struct name_list list = {.names = consumers.groups, .count = consumers.count};
    group_list_encode(&list, &request->body);
    free(consumers.groups);
    return STATUS_OK;
}

/* --- Connections -------------------------------------------------------------------------- */

/* The members of a group as the wire wants them; addresses live in `texts`. */
static struct connection_data *connections_of(const struct client_group *group, struct buf *texts,
                                              size_t *count)
{
    enum { ADDRESS_SIZE = 24 };
    struct connection_data *connections =
        mem_zalloc((group->member_count + 1) * sizeof *connections);
    buf_reserve(texts, (group->member_count + 1) * ADDRESS_SIZE); // It must not move.
    *count = 0;
    LIST_FOREACH(at, &group->members)
    {
        const struct membership *member = CONTAINER_OF(at, struct membership, in_group);
        size_t start = texts->size;
        host_format(member->channel->host, texts);
        connections[(*count)++] = (struct connection_data){
            .client_id = name_slice(&member->client_id),
            .address = slice_of(texts->data + start, texts->size - start),
            .language = member->channel->language,
            .version = member->channel->version,
        };
    }
    return connections;
}

enum status process_consumer_connections(struct broker *broker, struct request *request)
{
    struct slice name;
    struct buf texts = {0};
    enum status status = command_text(request->command, "consumerGroup", GROUP_NAME_MAX, &name);
    if (status != STATUS_OK) {
        return status;
    }
    const struct client_group *group = channels_group(&broker->channels, MEMBER_CONSUMER, name);
    if (group == NULL) {
        return request_fail(request, STATUS_CONSUMER_OFFLINE,
                            "no consumer of group %.*s is connected", SLICE_ARGS(name));
    }
    struct consumer_connections out = {
        .consume_type = group->consume_type,
        .message_model = group->message_model,
        .consume_from = group->consume_from,
    };
    struct connection_data *connections = connections_of(group, &texts, &out.connection_count);
    struct subscription_data *subscriptions =
        mem_zalloc((group->subscriptions.count + 1) * sizeof *subscriptions);
    MAP_FOREACH(node, &group->subscriptions)
    {
        const struct subscription *known = CONTAINER_OF(node, struct subscription, node);
        subscriptions[out.subscription_count++] = (struct subscription_data){
            .topic = name_slice(&known->topic),
            .expression = buf_slice(&known->expression),
            .expression_type = slice_text(known->tags ? "TAG" : "SQL92"),
            .version = known->version,
        };
    }
    out.connections = connections;
    out.subscriptions = subscriptions;
    consumer_connections_encode(&out, &request->body);
    free(connections);
    free(subscriptions);
    buf_close(&texts);
    return STATUS_OK;
}

enum status process_producer_connections(struct broker *broker, struct request *request)
{
    struct slice name;
    struct buf texts = {0};
    size_t count = 0;
    enum status status = command_text(request->command, "producerGroup", GROUP_NAME_MAX, &name);
    if (status != STATUS_OK) {
        return status;
    }
    const struct client_group *group = channels_group(&broker->channels, MEMBER_PRODUCER, name);
    if (group == NULL) {
        return request_fail(request, STATUS_INTERNAL, "no producer of group %.*s is connected",
                            SLICE_ARGS(name));
    }
    struct connection_data *connections = connections_of(group, &texts, &count);
    producer_connections_encode(connections, count, &request->body);
    free(connections);
    buf_close(&texts);
    return STATUS_OK;
}

/* --- The broker itself -------------------------------------------------------------------- */

enum status process_broker_config(struct broker *broker, struct request *request)
{
    struct buf version = {0};
    const struct data_version data_version = {.state = (int64_t)broker->state.term};
    data_version_encode(&data_version, &version);
    settings_print(broker->settings, &request->body);
    buf_printf(&request->body, "brokerName=%s\nbrokerId=%" PRIu64 "\nlistenPort=%u\n",
               broker->group->name.text, broker_leads(broker) ? 0 : broker->self->id,
               broker->self->client_host.port);
    // What RocketMQ sets and this broker simply is.
    buf_printf(&request->body,
               "brokerRole=%s\nflushDiskType=SYNC_FLUSH\nfilterServerNums=0\nmsgTraceTopicName=%s\n"
               "useTLS=false\n",
               broker_leads(broker) ? "SYNC_MASTER" : "SLAVE", TOPIC_TRACE);
    ASSERT(version.size < sizeof request->scratch);
    memcpy(request->scratch, version.data, version.size);
    request_add_text(request, "version", slice_of(request->scratch, version.size));
    buf_close(&version);
    return STATUS_OK;
}

static void put_number(struct json_writer *json, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    json_member_text(json, name, slice_text(text));
}

/* The log and its disk, in RocketMQ's words. */
static void put_storage(const struct broker *broker, struct json_writer *json)
{
    struct storage_view storage;
    struct machine_cut cut = machine_cut_done(broker->machine);
    struct machine_segment segment;
    char ratio[16] = "0.0";
    broker->ports->storage(broker->ports->context, &storage);
    put_number(json, "commitLogMinOffset", cut.position);
    put_number(json, "commitLogMaxOffset", storage.log_end);
    bool any = machine_segment_find(broker->machine, cut.position / SEGMENT_SIZE, &segment);
    if (any) {
        put_number(json, "earliestMessageTimeStamp", segment.first_ms);
    } else {
        json_member_text(json, "earliestMessageTimeStamp", slice_text("-1"));
    }
    if (storage.disk_total != 0) {
        uint64_t used = storage.disk_total - storage.disk_available;
        snprintf(ratio, sizeof ratio, "%.3f", (double)used / (double)storage.disk_total);
    }
    json_member_text(json, "commitLogDiskRatio", slice_text(ratio));
    json_member_text(json, "consumeQueueDiskRatio", slice_text(ratio)); // The same disk.
}

enum status process_runtime_info(struct broker *broker, struct request *request)
{
    struct machine_counters counters;
    struct json_writer json = {.out = &request->body};
    char average[32];
    uint64_t now = clock_wall_ms(broker->ports->clock);
    machine_counters(broker->machine, &counters);
    json_begin(&json, '{');
    json_key(&json, "table");
    json_begin(&json, '{');
    json_member_text(&json, "brokerVersionDesc", slice_text("raftmq " RAFTMQ_VERSION));
    json_member_text(&json, "brokerActive", slice_text("true"));
    put_number(&json, "bootTimestamp", broker->started_ms);
    put_number(&json, "runtimeMs", now - broker->started_ms);
    put_number(&json, "msgPutTotalYesterdayMorning", broker->day_totals.put_yesterday);
    put_number(&json, "msgPutTotalTodayMorning", broker->day_totals.put_today);
    put_number(&json, "msgPutTotalTodayNow", counters.messages);
    put_number(&json, "msgGetTotalYesterdayMorning", broker->day_totals.got_yesterday);
    put_number(&json, "msgGetTotalTodayMorning", broker->day_totals.got_today);
    put_number(&json, "msgGetTotalTodayNow", broker->counters.messages_out);
    put_number(&json, "putMessageSizeTotal", counters.message_bytes);
    put_number(&json, "putMessageTimesTotal", counters.messages);
    snprintf(average, sizeof average, "%.1f",
             counters.messages == 0 ? 0
                                    : (double)counters.message_bytes / (double)counters.messages);
    json_member_text(&json, "putMessageAverageSize", slice_text(average));
    put_rates(broker, &json);
    put_storage(broker, &json);
    put_number(&json, "raftmqTerm", broker->state.term);
    put_number(&json, "raftmqLeaderId", broker->state.leader_id);
    put_number(&json, "raftmqTransactionsPending", counters.pending);
    put_number(&json, "raftmqTransactionsExpired", counters.expired);
    put_number(&json, "raftmqChecksSent", broker->counters.checks_sent);
    put_number(&json, "raftmqDelayed", counters.delayed_waiting);
    put_number(&json, "raftmqSentBack", broker->counters.sent_back);
    put_number(&json, "raftmqDeadLetters", broker->counters.dead_letters);
    put_number(&json, "raftmqReadersSent", broker->counters.readers_sent);
    put_number(&json, "raftmqForwarded", broker->counters.forwarded);
    json_end(&json, '}');
    json_end(&json, '}');
    return STATUS_OK;
}
