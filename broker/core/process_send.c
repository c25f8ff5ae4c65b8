/* SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320).
 *
 * Checks in RocketMQ's order, then the message is built in its stored layout right inside the open
 * batch: its body is copied once from the frame and never again on this replica.
 * Source: SendMessageProcessor, AbstractSendMessageProcessor.msgCheck, HookUtils, MessageDecoder.
 */
#include "broker/core/auto_create.h"
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "broker/core/recall_handle.h"
#include "broker/core/retry.h"
#include "broker/core/send_batch.h"
#include "broker/core/send_delay.h"
#include "broker/core/send_header.h"
#include "common/base/decimal.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct send {
    struct send_header header;
    struct topic_spec created; /* If the topic is yet to be created. */
    bool create;
    bool half;
    struct send_delay delay;
    struct name dead_letter; /* Where it goes instead, if it was tried often enough; else empty. */
    int32_t queue_id;
    struct slice unique_key; /* Borrows; empty if the client gave none. */
};

static enum status check(struct broker *broker, struct request *request, struct send *send);
static enum status check_retry(struct broker *broker, struct request *request, struct send *send);
static enum status check_queue(struct broker *broker, struct request *request, struct send *send);
static enum status check_kind(struct broker *broker, struct request *request, struct send *send);
static enum status check_transaction(struct broker *broker, struct request *request,
                                     struct send *send);
static enum status append_single(struct broker *broker, struct request *request,
                                 const struct send *send);
static enum status append_batch(struct broker *broker, struct request *request,
                                const struct send *send);
static void on_stored(struct broker *broker, const struct waiter *waiter,
                      const struct operation *operation, const struct operation_result *result);

enum status process_send(struct broker *broker, struct request *request)
{
    struct send send = {0};
    enum status status = send_header_decode(request->command, &send.header);
    if (status != STATUS_OK) {
        return request_fail(request, status,
                            "a send needs producerGroup, topic, queueId, sysFlag, bornTimestamp "
                            "and flag");
    }
    status = check(broker, request, &send);
    if (status != STATUS_OK) {
        return status;
    }
    return send.header.batch ? append_batch(broker, request, &send)
                             : append_single(broker, request, &send);
}

static enum status check(struct broker *broker, struct request *request, struct send *send)
{
    const struct send_header *header = &send->header;
    size_t body_size = request->command->body.size;
    enum status status = broker_accepts_writes(broker);
    if (status != STATUS_OK) {
        return status;
    }
    if (!topic_name_valid(header->topic)) {
        return request_fail(request, STATUS_TOPIC_INVALID,
                            "a topic name has 1 to 127 characters of A-Z a-z 0-9 _ - %% |");
    }
    if (topic_closed_to_clients(header->topic)) {
        return request_fail(request, STATUS_NO_PERMISSION,
                            "clients may not send to the system topic %.*s",
                            SLICE_ARGS(header->topic));
    }
    if (body_size > broker->settings->message_body_max) {
        return request_fail(request, STATUS_MESSAGE_ILLEGAL,
                            "the body has %zu bytes, maxMessageSize is %u", body_size,
                            broker->settings->message_body_max);
    }
    if (header->properties.size > MESSAGE_PROPERTIES_MAX) {
        return request_fail(request, STATUS_MESSAGE_ILLEGAL,
                            "the properties have %zu bytes, at most %d are possible",
                            header->properties.size, MESSAGE_PROPERTIES_MAX);
    }
    status = check_retry(broker, request, send);
    if (status == STATUS_OK) {
        status = check_queue(broker, request, send);
    }
    return status == STATUS_OK ? check_kind(broker, request, send) : status;
}

/* A consumer that cannot send a message back sends it to its retry topic itself, and some do so
 * always. How often it may come again is the same. */
static enum status check_retry(struct broker *broker, struct request *request, struct send *send)
{
    struct send_header *header = &send->header;
    if (header->batch || !topic_is_retry(header->topic)) {
        return STATUS_OK;
    }
    struct group_spec fallback;
    const struct group_spec *group =
        auto_create_group(broker, topic_group(header->topic), &fallback);
    if (group == NULL) {
        return request_fail(request, STATUS_GROUP_UNKNOWN,
                            "the group of topic %.*s does not exist and may not be created",
                            SLICE_ARGS(header->topic));
    }
    int32_t max = retry_times_max(group, request->command->version, header->max_reconsume_times);
    // Orderly consumers send here only what they have given up: after it the queue goes on.
    bool given_up = machine_group_holds_lock(broker->machine, group->name, broker_now_ms(broker));
    if ((header->reconsume_times > max || given_up) &&
        topic_dead_letter_of(group->name, &send->dead_letter)) {
        header->topic = name_slice(&send->dead_letter);
        header->queue_id = 0;
    }
    return STATUS_OK;
}

static enum status check_queue(struct broker *broker, struct request *request, struct send *send)
{
    const struct send_header *header = &send->header;
    const struct topic *topic = machine_topic_find(broker->machine, header->topic);
    int32_t read_count;
    int32_t write_count;
    if (topic != NULL) {
        read_count = topic->read_queue_count;
        write_count = topic->write_queue_count;
    } else {
        send->create = auto_topic_spec(broker, header->topic, header->default_topic,
                                       header->default_queue_count, &send->created);
        if (send->dead_letter.size > 0) {
            send->created = derived_topic_spec(header->topic, DEAD_LETTER_QUEUE_COUNT);
            send->create = true;
        }
        if (!send->create) {
            return request_fail(request, STATUS_TOPIC_UNKNOWN,
                                "topic %.*s does not exist on %s and may not be created by a send",
                                SLICE_ARGS(header->topic), broker->group->name.text);
        }
        read_count = send->created.read_queue_count;
        write_count = send->created.write_queue_count;
    }
    int32_t count = read_count > write_count ? read_count : write_count;
    if (header->queue_id >= count) {
        return request_fail(request, STATUS_QUEUE_INVALID,
                            "queue id %d is not within the %d queues of topic %.*s",
                            header->queue_id, count, SLICE_ARGS(header->topic));
    }
    send->queue_id = header->queue_id;
    if (header->queue_id < 0) {
        uint64_t choice = write_count > 0 ? (uint64_t)write_count : 1;
        send->queue_id = (int32_t)random_below(&broker->random, choice);
    }
    return STATUS_OK;
}

static bool is_true(struct slice value)
{
    return value.size == 4 && strncasecmp((const char *)value.data, "true", 4) == 0;
}

static enum status check_kind(struct broker *broker, struct request *request, struct send *send)
{
    const struct send_header *header = &send->header;
    if ((header->sys_flag & SYS_FLAG_INNER_BATCH) != 0) {
        return request_fail(request, STATUS_MESSAGE_ILLEGAL, "inner batches are not supported");
    }
    if (header->batch) {
        bool transaction = (header->sys_flag & SYS_FLAG_TRANSACTION_MASK) != 0;
        if (transaction || topic_is_retry(header->topic) || send_delay_asked(header->properties)) {
            return request_fail(request, STATUS_MESSAGE_ILLEGAL,
                                "a batch can neither be transactional nor delayed, nor go to a "
                                "retry topic");
        }
        return STATUS_OK;
    }
    if (send->dead_letter.size == 0) {
        enum status status = send_delay_read(broker->settings, header->properties,
                                             broker_now_ms(broker), &send->delay);
        if (status != STATUS_OK) {
            return request_fail(request, status, "%s", send->delay.trouble);
        }
    }
    return check_transaction(broker, request, send);
}

static enum status check_transaction(struct broker *broker, struct request *request,
                                     struct send *send)
{
    const struct send_header *header = &send->header;
    struct slice value;
    // A committed message that an old client sends to be tried again still says TRAN_MSG.
    bool again =
        header->reconsume_times > 0 && (send->delay.level > 0 || send->dead_letter.size > 0);
    send->half = !again &&
                 properties_find(header->properties, PROPERTY_TRANSACTION_PREPARED, &value) &&
                 is_true(value);
    if (!send->half) {
        return STATUS_OK;
    }
    if (!send->delay.delay.absolute) {
        send->delay.out_ms = 0; // Known once it is committed.
    }
    if (broker->settings->reject_transactions) {
        return request_fail(request, STATUS_NO_PERMISSION,
                            "this broker takes no transactional messages "
                            "(rejectTransactionMessage)");
    }
    if (!properties_find(header->properties, PROPERTY_PRODUCER_GROUP, &value) ||
        !group_name_valid(value)) {
        return request_fail(request, STATUS_MESSAGE_ILLEGAL,
                            "a half message needs its producer group in property PGROUP");
    }
    return STATUS_OK;
}

/* --- Building ----------------------------------------------------------------------------- */

/* An id in RocketMQ's layout for a message whose client gave none. */
static struct slice make_unique_key(struct broker *broker, char key[33])
{
    snprintf(key, 33, "%08X%04X%08X%012" PRIX64, broker->self->client_host.address,
             broker->self->client_host.port & 0xFFFF, (uint32_t)random_next(&broker->random),
             random_next(&broker->random) & 0xFFFFFFFFFFFF);
    return slice_of(key, 32);
}

/* The client's, less what is not for it to say. */
static void copy_properties(const struct send *send, struct buf *out)
{
    const char *unwanted[SEND_DELAY_NAMES_MAX + 2];
    struct slice value;
    size_t count = send_delay_unwanted(&send->delay, unwanted);
    if (properties_find(send->header.properties, PROPERTY_POP_RECEIPT, &value)) {
        unwanted[count++] = PROPERTY_POP_RECEIPT;
    }
    if (send->dead_letter.size > 0) {
        unwanted[count++] = PROPERTY_DELAY;
    }
    if (count == 0) {
        buf_put_slice(out, send->header.properties);
    } else {
        properties_copy_without(out, send->header.properties, unwanted, count);
    }
}

/* The property string as stored: the client's, plus what the broker knows. */
static struct slice build_properties(struct broker *broker, struct send *send, char key[33],
                                     struct buf *out)
{
    const struct settings *settings = broker->settings;
    buf_clear(out);
    copy_properties(send, out);
    if (!properties_find(send->header.properties, PROPERTY_UNIQUE_KEY, &send->unique_key)) {
        send->unique_key = make_unique_key(broker, key);
        properties_append(out, 0, PROPERTY_UNIQUE_KEY, send->unique_key);
    }
    if (send->half || send->delay.delay.ms > 0) {
        send_delay_append(&send->delay, send->header.topic, send->queue_id, out);
    }
    if (send->half) {
        properties_append(out, 0, PROPERTY_TRANSACTION_ID, send->unique_key);
    }
    properties_append(out, 0, PROPERTY_REGION, name_slice(&settings->region));
    properties_append(out, 0, PROPERTY_TRACE, slice_text(settings->trace_on ? "true" : "false"));
    properties_append(out, 0, PROPERTY_CLUSTER, name_slice(&settings->cluster));
    return buf_slice(out);
}

/* The transaction bits are ours to set: a half shows none until it is committed. Addresses are
 * always stored as IPv4. */
static int32_t stored_sys_flag(const struct send_header *header)
{
    const int32_t ours = SYS_FLAG_TRANSACTION_MASK | SYS_FLAG_BORN_HOST_V6 | SYS_FLAG_STORE_HOST_V6;
    return header->sys_flag & ~ours;
}

/* How long a half waits for its first check: the timeout, or the immunity its producer asked for.
 * Relative, so that no clock but the leader's is looked at. */
static uint64_t first_check_ms(const struct broker *broker, struct slice properties)
{
    enum { IMMUNITY_MAX_S = 365 * 24 * 3600 };
    uint64_t wait = broker->settings->transaction_timeout_ms;
    struct slice value;
    int64_t seconds;
    if (properties_find(properties, PROPERTY_CHECK_IMMUNITY, &value) &&
        decimal_parse(value, &seconds) && seconds >= 0 && seconds <= IMMUNITY_MAX_S) {
        wait = (uint64_t)seconds * 1000;
    }
    return wait;
}

static void put_topic(struct broker *broker, const struct send *send, struct buf *entry)
{
    if (send->create) {
        const struct operation_topic_put put = {.config = send->created, .create_only = true};
        entry_put_topic_put(entry, &put);
        proposer_add(&broker->proposer, &(struct waiter){0});
    }
}

static enum operation_type operation_of(const struct send *send)
{
    if (send->delay.delay.ms > 0) {
        return send->half ? OPERATION_HALF_DELAYED : OPERATION_DELAYED;
    }
    return send->half ? OPERATION_HALF : OPERATION_MESSAGE;
}

/* What stands before the message in the operation. */
static void put_prefix(const struct broker *broker, const struct send *send, struct buf *entry)
{
    if (send->half) {
        buf_put_le64(entry, first_check_ms(broker, send->header.properties));
    }
    if (send->delay.delay.ms > 0) {
        entry_put_delay(entry, &send->delay.delay);
    } else if (send->half) {
        buf_put_le32(entry, 0);
    }
}

/* What the answer needs and apply does not know. */
static struct stored_context *context_new(const struct broker *broker, const struct send *send)
{
    size_t size =
        send->unique_key.size < UNIQUE_KEY_KEPT_MAX ? send->unique_key.size : UNIQUE_KEY_KEPT_MAX;
    struct stored_context *context = mem_alloc(sizeof *context);
    context->sizes = NULL;
    context->count = 1;
    context->recall = (struct buf){0};
    if (send->delay.out_ms > 0 && !send->half && !topic_is_retry(send->header.topic)) {
        (void)recall_handle_begin(send->header.topic, name_slice(&broker->group->name),
                                  send->delay.out_ms, send->unique_key, &context->recall);
    }
    context->unique_key_size = (uint8_t)size;
    memcpy(context->unique_key, send->unique_key.data, size);
    return context;
}

static enum status append_single(struct broker *broker, struct request *request,
                                 const struct send *checked)
{
    struct send send = *checked;
    char key[33];
    struct buf *properties = &broker->properties;
    struct message message = {
        .queue_id = send.queue_id,
        .flag = send.header.flag,
        .sys_flag = stored_sys_flag(&send.header),
        .born_time_ms = send.header.born_time_ms,
        .born_host = request->channel->host,
        .reconsume_times = send.header.reconsume_times,
        .body = request->command->body,
        .topic = send.header.topic,
    };
    message.properties = build_properties(broker, &send, key, properties);
    if (message.properties.size > MESSAGE_PROPERTIES_MAX) {
        return request_fail(request, STATUS_MESSAGE_ILLEGAL,
                            "the properties have %zu bytes with those the broker adds, at most %d "
                            "are possible",
                            message.properties.size, MESSAGE_PROPERTIES_MAX);
    }
    struct buf *entry;
    size_t size = message_size(&message);
    enum status status = proposer_begin(&broker->proposer, size + 256, &entry);
    if (status != STATUS_OK) {
        return status;
    }
    put_topic(broker, &send, entry);
    enum operation_type type = operation_of(&send);
    size_t begin = entry_operation_begin(entry, type);
    put_prefix(broker, &send, entry);
    message.prepared_offset = type == OPERATION_DELAYED ? DELAYED_PREPARED_OFFSET : 0;
    message_encode(&message, entry);
    entry_operation_end(entry, begin);
    broker->counters.messages_in++;
    broker->counters.dead_letters += send.dead_letter.size > 0;
    broker->counters.bytes_in += size;
    struct waiter waiter = {.done = on_stored, .to = request->to};
    if (!request->to.oneway) {
        waiter.context = context_new(broker, &send);
    }
    proposer_add(&broker->proposer, &waiter);
    return STATUS_PENDING;
}

static enum status append_batch(struct broker *broker, struct request *request,
                                const struct send *send)
{
    struct stored_context *context = NULL;
    const struct message common = {
        .queue_id = send->queue_id,
        .sys_flag = stored_sys_flag(&send->header),
        .born_time_ms = send->header.born_time_ms,
        .born_host = request->channel->host,
        .reconsume_times = send->header.reconsume_times,
        .topic = send->header.topic,
    };
    struct batch_shape shape;
    enum status status = send_batch_measure(request->command->body, &common, &shape);
    if (status != STATUS_OK) {
        return request_fail(request, status, "%s", shape.trouble);
    }
    struct buf *entry;
    status = proposer_begin(&broker->proposer, shape.stored_size + 256, &entry);
    if (status != STATUS_OK) {
        return status;
    }
    put_topic(broker, send, entry);
    size_t begin = entry_operation_begin(entry, OPERATION_MESSAGE);
    context = send_batch_append(request->command->body, &common, &shape, entry);
    entry_operation_end(entry, begin);
    broker->counters.messages_in += shape.count;
    broker->counters.bytes_in += shape.stored_size;
    const struct waiter waiter = {.done = on_stored, .to = request->to, .context = context};
    proposer_add(&broker->proposer, &waiter);
    return STATUS_PENDING;
}

/* --- Answering ---------------------------------------------------------------------------- */

/* offsetMsgIds of what was stored, comma-joined for a batch. */
static void format_ids(const struct broker *broker, const struct stored_context *context,
                       uint64_t position, struct buf *out)
{
    for (uint32_t i = 0; i < context->count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        offset_message_id_format(broker->self->client_host, (int64_t)position,
                                 (char *)buf_extend(out, OFFSET_MESSAGE_ID_SIZE));
        position += context->sizes == NULL ? 0 : context->sizes[i];
    }
}

static void answer_stored(struct broker *broker, const struct waiter *waiter,
                          const struct operation_result *result)
{
    const struct stored_context *context = waiter->context;
    const struct settings *settings = broker->settings;
    struct command response;
    char queue[16];
    char offset[24];
    struct buf *ids = &broker->ids;
    buf_clear(ids);
    format_ids(broker, context, result->message.position, ids);
    snprintf(queue, sizeof queue, "%d", result->message.queue_id);
    snprintf(offset, sizeof offset, "%" PRId64, result->message.queue_offset);
    reply_init(&response, &waiter->to, 0);
    command_add(&response, "msgId", buf_slice(ids));
    command_add(&response, "queueId", slice_text(queue));
    command_add(&response, "queueOffset", slice_text(offset));
    if (context->unique_key_size > 0) {
        command_add(&response, "transactionId",
                    slice_of(context->unique_key, context->unique_key_size));
    }
    struct buf handle = {0};
    if (context->recall.size > 0) {
        recall_handle_end(buf_slice(&context->recall), result->message.position, &handle);
        command_add(&response, "recallHandle", buf_slice(&handle));
    }
    command_add(&response, "MSG_REGION", name_slice(&settings->region));
    command_add(&response, "TRACE_ON", slice_text(settings->trace_on ? "true" : "false"));
    broker_reply(broker, &waiter->to, &response);
    buf_close(&handle);
}

static void on_stored(struct broker *broker, const struct waiter *waiter,
                      const struct operation *operation, const struct operation_result *result)
{
    (void)operation;
    if (result->status != STATUS_OK) {
        broker_reply_status(broker, &waiter->to, result->status, NULL);
    } else if (!waiter->to.oneway) {
        answer_stored(broker, waiter, result);
    }
    stored_context_free(waiter->context);
}
