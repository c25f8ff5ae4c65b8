/* What mqadmin asks besides: groups in a list (225), offsets taken over from another group (314), a
 * queue's index (321), all producers (328), settings (25), and housekeeping that happens by itself
 * here (306, 316, 329). Source: AdminBrokerProcessor. */
#include "broker/core/broker.h"
#include "broker/core/convert.h"
#include "broker/core/processors.h"
#include "broker/core/several.h"
#include "common/remoting/json_text.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum status process_housekeeping(struct broker *broker, struct request *request)
{
    (void)broker;
    (void)request;
    return STATUS_OK; // Indexes go with the log, and the log by retention, which looks every
                      // second.
}

enum status process_update_config(struct broker *broker, struct request *request)
{
    (void)broker;
    return request_fail(request, STATUS_NO_PERMISSION,
                        "settings are read at the start: change broker.conf on this node and "
                        "restart it");
}

/* --- Groups in a list ----------------------------------------------------------------------- */

static void propose_groups(struct broker *broker, const struct request *request,
                           const struct group_table *table)
{
    struct several *several = mem_alloc(sizeof *several);
    several_begin(several, &request->to, several_answer);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < table->count; i++) {
        struct buf *entry;
        const struct operation_group_put put = {.config = group_spec_of(&table->groups[i])};
        status = proposer_begin(&broker->proposer, 512, &entry);
        if (status != STATUS_OK) {
            break;
        }
        entry_put_group_put(entry, &put);
        const struct waiter waiter = several_waiter(several);
        proposer_add(&broker->proposer, &waiter);
    }
    several_proposed(broker, several, status);
}

enum status process_put_groups(struct broker *broker, struct request *request)
{
    struct body body = {0};
    struct group_table table;
    enum status status = group_config_list_decode(request->command->body, &body, &table);
    if (status != STATUS_OK) {
        return request_fail(request, status, "the body is no list of SubscriptionGroupConfig");
    }
    for (size_t i = 0; status == STATUS_OK && i < table.count; i++) {
        status = group_config_check(request, &table.groups[i]);
    }
    if (status == STATUS_OK) {
        propose_groups(broker, request, &table);
        status = STATUS_PENDING;
    }
    body_close(&body);
    return status;
}

/* --- Offsets of another group --------------------------------------------------------------- */

/* The offsets of a group that are to become another's. */
struct cloned {
    struct slice from;
    struct slice to;
    struct slice topic; /* Empty: all. */
    struct several *several;
    struct broker *broker;
    enum status status;
    struct operation_offsets *offsets;
};

static void flush_cloned(struct cloned *cloned)
{
    struct buf *entry;
    struct broker *broker = cloned->broker;
    if (cloned->offsets->count == 0 || cloned->status != STATUS_OK) {
        return;
    }
    size_t size = 64 + (size_t)cloned->offsets->count *
                           (32 + (size_t)GROUP_NAME_MAX + TOPIC_NAME_DERIVED_MAX);
    cloned->status = proposer_begin(&broker->proposer, size, &entry);
    if (cloned->status == STATUS_OK) {
        entry_put_offsets(entry, cloned->offsets);
        const struct waiter waiter = several_waiter(cloned->several);
        proposer_add(&broker->proposer, &waiter);
    }
    cloned->offsets->count = 0;
}

static void clone_offset(void *context, struct slice group, struct slice topic, int32_t queue_id,
                         int64_t offset)
{
    struct cloned *cloned = context;
    bool wanted = slice_equals(group, cloned->from) && !topic_is_retry(topic) &&
                  (cloned->topic.size == 0 || slice_equals(topic, cloned->topic));
    if (!wanted || cloned->status != STATUS_OK) {
        return; // After a refusal nothing is flushed any more, so there is no room either.
    }
    ASSERT(cloned->offsets->count < OFFSETS_MAX);
    cloned->offsets->commits[cloned->offsets->count++] = (struct offset_commit){
        .group = cloned->to,
        .topic = topic,
        .queue_id = queue_id,
        .offset = offset,
        .reset = true,
    };
    if (cloned->offsets->count == OFFSETS_MAX) {
        flush_cloned(cloned);
    }
}

enum status process_clone_offsets(struct broker *broker, struct request *request)
{
    struct cloned cloned = {.broker = broker};
    enum status status = command_text(request->command, "srcGroup", GROUP_NAME_MAX, &cloned.from);
    if (status == STATUS_OK) {
        status = command_text(request->command, "destGroup", GROUP_NAME_MAX, &cloned.to);
    }
    if (status != STATUS_OK) {
        return request_fail(request, status, "srcGroup and destGroup are required");
    }
    command_find(request->command, "topic", &cloned.topic);
    if (!group_name_valid(cloned.to)) {
        return request_fail(request, STATUS_GROUP_INVALID, "%.*s is no name of a group",
                            SLICE_ARGS(cloned.to));
    }
    cloned.several = mem_alloc(sizeof *cloned.several);
    cloned.offsets = mem_alloc(sizeof *cloned.offsets);
    cloned.offsets->count = 0;
    several_begin(cloned.several, &request->to, several_answer);
    machine_offsets_visit(broker->machine, clone_offset, &cloned);
    flush_cloned(&cloned);
    free(cloned.offsets);
    several_proposed(broker, cloned.several, cloned.status);
    return STATUS_PENDING;
}

/* --- A queue's index ------------------------------------------------------------------------ */

static void put_entries(struct json_writer *json, const struct index_entry *entries, uint32_t count)
{
    json_key(json, "queueData");
    json_begin(json, '[');
    for (uint32_t i = 0; i < count; i++) {
        json_begin(json, '{');
        json_member_int(json, "physicOffset", (int64_t)entries[i].position);
        json_member_int(json, "physicSize", entries[i].size);
        json_member_int(json, "tagsCode", entries[i].tags_hash);
        json_member_bool(json, "eval", true);
        json_end(json, '}');
    }
    json_end(json, ']');
}

enum status process_query_queue(struct broker *broker, struct request *request)
{
    enum { COUNT_MAX = 256 };
    struct slice topic;
    int32_t queue_id = 0;
    int64_t index = 0;
    int32_t count = 0;
    const struct command *command = request->command;
    enum status status = command_text(command, "topic", TOPIC_NAME_DERIVED_MAX, &topic);
    if (status == STATUS_OK) {
        status = command_i32(command, "queueId", true, &queue_id);
    }
    if (status == STATUS_OK) {
        status = command_i64(command, "index", true, &index);
    }
    if (status == STATUS_OK) {
        status = command_i32(command, "count", true, &count);
    }
    if (status != STATUS_OK || count <= 0) {
        return request_fail(request, STATUS_FIELD_MISSING,
                            "topic, queueId, index and count (> 0) are required");
    }
    const struct queue *queue = machine_queue_find(broker->machine, topic, queue_id);
    if (queue == NULL) {
        return request_fail(request, STATUS_TOPIC_UNKNOWN, "topic %.*s has no queue %d here",
                            SLICE_ARGS(topic), queue_id);
    }
    if (index < 0) {
        index = queue->offset_next + index; // From the end.
    }
    struct index_entry entries[COUNT_MAX];
    uint32_t found = 0;
    if (index >= queue->offset_first && index < queue->offset_next) {
        status =
            machine_queue_read(broker->machine, queue, index,
                               (uint32_t)(count < COUNT_MAX ? count : COUNT_MAX), entries, &found);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct json_writer json = {.out = &request->body};
    json_begin(&json, '{');
    json_member_int(&json, "maxQueueIndex", queue->offset_next);
    json_member_int(&json, "minQueueIndex", queue->offset_first);
    put_entries(&json, entries, found);
    json_end(&json, '}');
    return STATUS_OK;
}

/* --- Producers ------------------------------------------------------------------------------ */

static void put_producer(struct json_writer *json, const struct membership *member, uint64_t now_ms,
                         uint64_t wall_ms)
{
    struct buf address = {0};
    host_format(member->channel->host, &address);
    json_begin(json, '{');
    json_member_text(json, "clientId", name_slice(&member->client_id));
    json_member_text(json, "language", slice_text(language_name(member->channel->language)));
    json_member_int(json, "lastUpdateTimestamp", (int64_t)(wall_ms - (now_ms - member->seen_ms)));
    json_member_text(json, "remoteIP", buf_slice(&address));
    json_member_int(json, "version", member->channel->version);
    json_end(json, '}');
    buf_close(&address);
}

enum status process_all_producers(struct broker *broker, struct request *request)
{
    struct json_writer json = {.out = &request->body};
    uint64_t now_ms = clock_monotonic_ms(broker->ports->clock);
    uint64_t wall_ms = clock_wall_ms(broker->ports->clock);
    json_begin(&json, '{');
    json_key(&json, "data");
    json_begin(&json, '{');
    MAP_FOREACH(node, &broker->channels.producers)
    {
        const struct client_group *group = CONTAINER_OF(node, struct client_group, node);
        json_key_slice(&json, name_slice(&group->name));
        json_begin(&json, '[');
        LIST_FOREACH(at, &group->members)
        {
            put_producer(&json, CONTAINER_OF(at, struct membership, in_group), now_ms, wall_ms);
        }
        json_end(&json, ']');
    }
    json_end(&json, '}');
    json_end(&json, '}');
    return STATUS_OK;
}
