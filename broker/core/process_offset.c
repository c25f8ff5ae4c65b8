/* Consumer offsets (14, 15) and the ends of queues (29, 30, 31, 32).
 *
 * Asked of the leader: a consumer that takes a queue over must see the last commit.
 * Source: ConsumerManageProcessor, AdminBrokerProcessor. */
#include "broker/core/broker.h"
#include "broker/core/offset_commit.h"
#include "broker/core/processors.h"
#include "broker/core/queue_start.h"
#include "common/remoting/names.h"

#include <strings.h>

struct place_header {
    struct slice group;
    struct slice topic;
    int32_t queue_id;
};

static enum status place_decode(struct request *request, bool group_required,
                                struct place_header *place)
{
    const struct command *command = request->command;
    enum status status = STATUS_OK;
    *place = (struct place_header){0};
    if (group_required) {
        status = command_text(command, "consumerGroup", GROUP_NAME_MAX, &place->group);
    }
    if (status == STATUS_OK) {
        status = command_text(command, "topic", TOPIC_NAME_DERIVED_MAX, &place->topic);
    }
    if (status == STATUS_OK) {
        status = command_i32(command, "queueId", true, &place->queue_id);
    }
    if (status != STATUS_OK) {
        return request_fail(request, STATUS_FIELD_MISSING, "%stopic and queueId are required",
                            group_required ? "consumerGroup, " : "");
    }
    return STATUS_OK;
}

enum status process_query_offset(struct broker *broker, struct request *request)
{
    struct place_header place;
    int64_t offset = 0;
    enum status status = place_decode(request, true, &place);
    if (status != STATUS_OK) {
        return status;
    }
    if (machine_offset_find(broker->machine, place.group, place.topic, place.queue_id, &offset)) {
        request_add_i64(request, "offset", offset);
        return STATUS_OK;
    }
    // 22 makes a client apply its own rule where to begin.
    bool zero = true;
    status = command_bool(request->command, "setZeroIfNotFound", &zero);
    const struct queue *queue = machine_queue_find(broker->machine, place.topic, place.queue_id);
    if (status == STATUS_OK && zero && queue != NULL && queue_is_young(broker, queue)) {
        request_add_i64(request, "offset", 0);
        return STATUS_OK;
    }
    return request_fail(request, STATUS_NOT_FOUND, "the group has no offset for this queue yet");
}

enum status process_update_offset(struct broker *broker, struct request *request)
{
    struct place_header place;
    struct offset_commit commit = {0};
    enum status status = place_decode(request, true, &place);
    if (status == STATUS_OK &&
        command_i64(request->command, "commitOffset", true, &commit.offset) != STATUS_OK) {
        status = request_fail(request, STATUS_FIELD_MISSING, "commitOffset is required");
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (commit.offset < 0) {
        return STATUS_OK; // Go and ali-ons send -1 for "none yet".
    }
    if (!group_name_valid(place.group)) {
        return request_fail(request, STATUS_GROUP_INVALID, "%.*s is no name of a group",
                            SLICE_ARGS(place.group));
    }
    if (machine_queue_find(broker->machine, place.topic, place.queue_id) == NULL) {
        return request_fail(request, STATUS_TOPIC_UNKNOWN, "topic %.*s has no queue %d here",
                            SLICE_ARGS(place.topic), place.queue_id);
    }
    commit.group = place.group;
    commit.topic = place.topic;
    commit.queue_id = place.queue_id;
    const struct waiter waiter = {.done = reply_with_status, .to = request->to};
    return offset_commit_propose(broker, &commit, &waiter);
}

enum status process_search_offset(struct broker *broker, struct request *request)
{
    struct place_header place;
    int64_t time_ms = 0;
    int64_t offset = 0;
    struct slice boundary = {0};
    enum status status = place_decode(request, false, &place);
    if (status == STATUS_OK) {
        status = command_i64(request->command, "timestamp", true, &time_ms);
    }
    if (status != STATUS_OK) {
        return status;
    }
    command_find(request->command, "boundaryType", &boundary);
    bool upper = boundary.size == 5 && strncasecmp((const char *)boundary.data, "upper", 5) == 0;
    const struct queue *queue = machine_queue_find(broker->machine, place.topic, place.queue_id);
    if (queue != NULL) {
        status = machine_queue_find_time(broker->machine, queue,
                                         time_ms < 0 ? 0 : (uint64_t)time_ms, upper, &offset);
    }
    if (status == STATUS_OK) {
        request_add_i64(request, "offset", offset);
    }
    return status;
}

enum status process_max_offset(struct broker *broker, struct request *request)
{
    struct place_header place;
    enum status status = place_decode(request, false, &place);
    if (status != STATUS_OK) {
        return status;
    }
    const struct queue *queue = machine_queue_find(broker->machine, place.topic, place.queue_id);
    request_add_i64(request, "offset", queue == NULL ? 0 : queue->offset_next);
    return STATUS_OK;
}

enum status process_min_offset(struct broker *broker, struct request *request)
{
    struct place_header place;
    enum status status = place_decode(request, false, &place);
    if (status != STATUS_OK) {
        return status;
    }
    const struct queue *queue = machine_queue_find(broker->machine, place.topic, place.queue_id);
    request_add_i64(request, "offset", queue == NULL ? 0 : queue->offset_first);
    return STATUS_OK;
}

enum status process_earliest_time(struct broker *broker, struct request *request)
{
    struct place_header place;
    struct index_entry entry;
    uint32_t count = 0;
    int64_t time_ms = -1;
    enum status status = place_decode(request, false, &place);
    if (status != STATUS_OK) {
        return status;
    }
    const struct queue *queue = machine_queue_find(broker->machine, place.topic, place.queue_id);
    if (queue != NULL && queue->offset_next > queue->offset_first) {
        status = machine_queue_read(broker->machine, queue, queue->offset_first, 1, &entry, &count);
        if (status != STATUS_OK) {
            return status;
        }
        time_ms = count == 1 ? (int64_t)entry.store_time_ms : -1;
    }
    request_add_i64(request, "timestamp", time_ms);
    return STATUS_OK;
}
