/* CONSUMER_SEND_MSG_BACK (36): a consumer could not handle a message.
 *
 * The message is read where the consumer got it, and stored again: delayed, in the retry topic of
 * its group, or, if it was tried often enough, among the group's dead letters. It is a message of
 * its own, with another topic and other properties, so its body is written again. Unlike in
 * RocketMQ it is answered once that is in the log, so no failover loses it.
 * Source: AbstractSendMessageProcessor.consumerSendMsgBack, ConsumerSendMsgBackRequestHeader. */
#include "broker/core/auto_create.h"
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "broker/core/reader.h"
#include "broker/core/retry.h"
#include "broker/core/send_delay.h"
#include "common/base/decimal.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <inttypes.h>
#include <stdlib.h>

/* While the message is read. */
struct send_back {
    struct reply_to to;
    struct name group;
    int32_t level; /* As asked: < 0 a dead letter, 0 the broker's choice. */
    int32_t asked; /* Limit of attempts that the client gave, or -1. */
    int32_t version;
};

/* The message that is stored, and where. */
struct returned {
    struct name topic;
    int32_t queue_count;
    bool dead_letter;
    struct send_delay delay;
    struct message message;
};

static enum status decode(struct request *request, struct send_back *back, int64_t *position);
static enum status check_group(struct broker *broker, struct request *request,
                               struct send_back *back, bool *dropped);
static void on_read(struct broker *broker, void *context, enum status status, uint8_t *data,
                    size_t size);
static enum status put_back(struct broker *broker, const struct send_back *back,
                            struct slice bytes);
static enum status choose_place(struct broker *broker, const struct send_back *back,
                                const struct message *message, struct returned *returned);
static void build_properties(struct broker *broker, const struct message *message,
                             const struct returned *returned, struct buf *out);
static enum status append(struct broker *broker, const struct send_back *back,
                          const struct returned *returned);

enum status process_send_back(struct broker *broker, struct request *request)
{
    struct send_back back = {.to = request->to, .version = request->command->version};
    int64_t position = 0;
    bool dropped = false;
    enum status status = decode(request, &back, &position);
    if (status == STATUS_OK) {
        status = broker_accepts_writes(broker);
    }
    if (status == STATUS_OK) {
        status = check_group(broker, request, &back, &dropped);
    }
    if (status != STATUS_OK || dropped) {
        return status;
    }
    struct send_back *kept = mem_alloc(sizeof *kept);
    *kept = back;
    read_position(broker, (uint64_t)position, on_read, kept);
    return STATUS_PENDING;
}

static enum status decode(struct request *request, struct send_back *back, int64_t *position)
{
    const struct command *command = request->command;
    struct slice group;
    back->asked = -1;
    enum status status = command_i64(command, "offset", true, position);
    if (status == STATUS_OK) {
        status = command_i32(command, "delayLevel", true, &back->level);
    }
    if (status == STATUS_OK) {
        status = command_i32(command, "maxReconsumeTimes", false, &back->asked);
    }
    if (status == STATUS_OK) {
        status = command_text(command, "group", GROUP_NAME_MAX, &group);
    }
    if (status != STATUS_OK || *position < 0) {
        return request_fail(request, STATUS_FIELD_MISSING,
                            "CONSUMER_SEND_MSG_BACK needs offset (>= 0), group and delayLevel");
    }
    return name_set(&back->group, group) ? STATUS_OK : STATUS_GROUP_INVALID;
}

static enum status check_group(struct broker *broker, struct request *request,
                               struct send_back *back, bool *dropped)
{
    struct group_spec fallback;
    struct name retry_topic;
    const struct group_spec *group = auto_create_group(broker, name_slice(&back->group), &fallback);
    if (group == NULL || !topic_retry_of(group->name, &retry_topic)) {
        return request_fail(request, STATUS_GROUP_UNKNOWN,
                            "group %s does not exist and may not be created", back->group.text);
    }
    const struct topic *topic = machine_topic_find(broker->machine, name_slice(&retry_topic));
    if (topic != NULL && (topic->perm & PERM_WRITE) == 0) {
        return request_fail(request, STATUS_NO_PERMISSION, "topic %s may not be written",
                            retry_topic.text);
    }
    *dropped = group->retry_queue_count <= 0; // So says its configuration: no retries.
    return STATUS_OK;
}

static void on_read(struct broker *broker, void *context, enum status status, uint8_t *data,
                    size_t size)
{
    struct send_back *back = context;
    const char *remark = NULL;
    if (status == STATUS_OK) {
        status = put_back(broker, back, slice_of(data, size));
    }
    if (status == STATUS_NOT_FOUND) {
        status = STATUS_INTERNAL;
        remark = "no message that a consumer can have begins at that offset";
    }
    if (status != STATUS_PENDING) {
        broker_reply_status(broker, &back->to, status, remark);
    }
    free(back);
}

static enum status put_back(struct broker *broker, const struct send_back *back, struct slice bytes)
{
    struct message message;
    struct returned returned = {0};
    size_t size;
    enum status status = message_decode(bytes, &message, &size);
    if (status == STATUS_OK && !message_visible(broker, &message)) {
        status = STATUS_NOT_FOUND;
    }
    if (status == STATUS_OK) {
        status = choose_place(broker, back, &message, &returned);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct buf *properties = &broker->properties;
    build_properties(broker, &message, &returned, properties);
    if (properties->size > MESSAGE_PROPERTIES_MAX) {
        return STATUS_MESSAGE_ILLEGAL;
    }
    returned.message.properties = buf_slice(properties);
    return append(broker, back, &returned);
}

static enum status choose_place(struct broker *broker, const struct send_back *back,
                                const struct message *message, struct returned *returned)
{
    struct group_spec fallback;
    const struct group_spec *group = auto_create_group(broker, name_slice(&back->group), &fallback);
    if (group == NULL) {
        return STATUS_GROUP_UNKNOWN; // Deleted while the message was read.
    }
    int32_t times = message->reconsume_times;
    returned->dead_letter =
        back->level < 0 || times >= retry_times_max(group, back->version, back->asked);
    bool named = returned->dead_letter ? topic_dead_letter_of(group->name, &returned->topic)
                                       : topic_retry_of(group->name, &returned->topic);
    if (!named) {
        return STATUS_GROUP_INVALID;
    }
    returned->queue_count =
        returned->dead_letter ? DEAD_LETTER_QUEUE_COUNT : group->retry_queue_count;
    if (!returned->dead_letter) {
        int64_t level = retry_level(back->level, times);
        returned->delay.level = level;
        returned->delay.delay.ms = delay_level_ms(&broker->settings->delay_levels, level);
    }
    const struct topic *topic = machine_topic_find(broker->machine, name_slice(&returned->topic));
    int32_t count = topic == NULL ? returned->queue_count : topic->write_queue_count;
    count = count < returned->queue_count ? count : returned->queue_count;
    uint64_t choices = count > 0 ? (uint64_t)count : 1;
    returned->message = (struct message){
        .queue_id = (int32_t)random_below(&broker->random, choices),
        .flag = message->flag,
        .sys_flag = message->sys_flag & ~(SYS_FLAG_BORN_HOST_V6 | SYS_FLAG_STORE_HOST_V6),
        .born_time_ms = message->born_time_ms,
        .born_host = message->born_host,
        .reconsume_times = times < INT32_MAX ? times + 1 : INT32_MAX,
        .prepared_offset = returned->dead_letter ? 0 : DELAYED_PREPARED_OFFSET,
        .body = message->body,
        .topic = name_slice(&returned->topic),
    };
    return STATUS_OK;
}

/* The message's own, with where it first was (set once), and its delay. */
static void build_properties(struct broker *broker, const struct message *message,
                             const struct returned *returned, struct buf *out)
{
    const char *unwanted[SEND_DELAY_NAMES_MAX + 2];
    struct slice value;
    size_t count = send_delay_unwanted(&returned->delay, unwanted);
    unwanted[count++] = PROPERTY_DELAY;
    unwanted[count++] = PROPERTY_WAIT;
    buf_clear(out);
    properties_copy_without(out, message->properties, unwanted, count);
    if (!properties_find(message->properties, PROPERTY_RETRY_TOPIC, &value)) {
        properties_append(out, 0, PROPERTY_RETRY_TOPIC, message->topic);
    }
    if (!properties_find(message->properties, PROPERTY_ORIGIN_MESSAGE_ID, &value)) {
        char id[OFFSET_MESSAGE_ID_SIZE];
        offset_message_id_format(broker->self->client_host, message->physical_offset, id);
        properties_append(out, 0, PROPERTY_ORIGIN_MESSAGE_ID, slice_of(id, sizeof id));
    }
    properties_append(out, 0, PROPERTY_WAIT, slice_text("false"));
    if (!returned->dead_letter) {
        char level[DECIMAL_SIZE_MAX];
        size_t size = decimal_format(returned->delay.level, level);
        properties_append(out, 0, PROPERTY_DELAY, slice_of(level, size));
        send_delay_append(&returned->delay, name_slice(&returned->topic),
                          returned->message.queue_id, out);
    }
}

static enum status append(struct broker *broker, const struct send_back *back,
                          const struct returned *returned)
{
    struct buf *entry;
    size_t size = message_size(&returned->message);
    enum status status = proposer_begin(&broker->proposer, size + 256, &entry);
    if (status != STATUS_OK) {
        return status;
    }
    if (machine_topic_find(broker->machine, name_slice(&returned->topic)) == NULL) {
        const struct operation_topic_put put = {
            .config = derived_topic_spec(name_slice(&returned->topic), returned->queue_count),
            .create_only = true,
        };
        entry_put_topic_put(entry, &put);
        proposer_add(&broker->proposer, &(struct waiter){0});
    }
    size_t begin =
        entry_operation_begin(entry, returned->dead_letter ? OPERATION_MESSAGE : OPERATION_DELAYED);
    if (!returned->dead_letter) {
        entry_put_delay(entry, &returned->delay.delay);
        broker->counters.sent_back++;
    } else {
        broker->counters.dead_letters++;
    }
    broker->counters.messages_in++;
    broker->counters.bytes_in += size;
    message_encode(&returned->message, entry);
    entry_operation_end(entry, begin);
    const struct waiter waiter = {.done = reply_with_status, .to = back->to};
    proposer_add(&broker->proposer, &waiter);
    return STATUS_PENDING;
}
