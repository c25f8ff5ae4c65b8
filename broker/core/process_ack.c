/* ACK_MESSAGE (200051), BATCH_ACK_MESSAGE (200151), CHANGE_MESSAGE_INVISIBLETIME (200053).
 *
 * Taken by any replica: they are operations on a delivery, and apply knows whether that is still
 * the last one of its message. Source: AckMessageProcessor, ChangeInvisibleTimeProcessor. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "broker/core/several.h"
#include "common/remoting/body_pop.h"
#include "common/remoting/names.h"
#include "common/remoting/pop_handle.h"

#include <stdlib.h>

enum { SIZE_ABOUT = 96, DELIVERY_SIZE_ABOUT = 24 };

/* What both single requests name. Borrows from the command. */
struct named {
    struct slice group;
    struct slice topic;
    struct delivery delivery;
};

static enum status check_place(struct broker *broker, struct request *request, struct slice name,
                               int32_t queue_id)
{
    const struct topic *topic = machine_topic_find(broker->machine, name);
    if (topic == NULL) {
        return request_fail(request, STATUS_TOPIC_UNKNOWN, "topic %.*s does not exist on %s",
                            SLICE_ARGS(name), broker->group->name.text);
    }
    if (queue_id < 0 || (uint32_t)queue_id >= topic->queue_count) {
        return request_fail(request, STATUS_QUEUE_INVALID, "topic %s has no queue %d",
                            topic->name.text, queue_id);
    }
    return STATUS_OK;
}

/* The handle must be of the message that the header names. */
static enum status check_handle(struct broker *broker, struct request *request, struct slice text,
                                struct delivery *delivery)
{
    struct pop_handle handle;
    if (!pop_handle_parse(text, &handle)) {
        return request_fail(request, STATUS_INVALID_ARGUMENT, "extraInfo is no handle of a pop");
    }
    if (!slice_equals(handle.broker, name_slice(&broker->group->name)) ||
        handle.queue_id != delivery->queue_id || handle.offset != delivery->offset) {
        return request_fail(request, STATUS_INVALID_ARGUMENT,
                            "extraInfo is the handle of another message");
    }
    delivery->pop_ms = handle.pop_ms;
    return handle.kind == POP_KIND_TOPIC ? STATUS_OK : STATUS_DELIVERY_OVER;
}

static enum status named_decode(struct broker *broker, struct request *request, struct named *named)
{
    const struct command *command = request->command;
    struct slice handle = {0};
    *named = (struct named){0};
    if (command_text(command, "consumerGroup", GROUP_NAME_MAX, &named->group) != STATUS_OK ||
        command_text(command, "topic", TOPIC_NAME_DERIVED_MAX, &named->topic) != STATUS_OK ||
        command_text(command, "extraInfo", POP_HANDLE_SIZE_MAX, &handle) != STATUS_OK ||
        command_i32(command, "queueId", true, &named->delivery.queue_id) != STATUS_OK ||
        command_i64(command, "offset", true, &named->delivery.offset) != STATUS_OK) {
        return request_fail(request, STATUS_FIELD_MISSING,
                            "consumerGroup, topic, queueId, extraInfo and offset are required");
    }
    enum status status = check_place(broker, request, named->topic, named->delivery.queue_id);
    return status == STATUS_OK ? check_handle(broker, request, handle, &named->delivery) : status;
}

static enum status status_of(const struct operation_result *result)
{
    return result->status == STATUS_NOT_FOUND ? STATUS_DELIVERY_OVER : result->status;
}

/* --- ACK_MESSAGE -------------------------------------------------------------------------- */

static void on_acked(struct broker *broker, const struct waiter *waiter,
                     const struct operation *operation, const struct operation_result *result)
{
    const struct operation_result outcome = {.status = status_of(result)};
    reply_with_status(broker, waiter, operation, &outcome);
}

static enum status propose_ack(struct broker *broker, const struct operation_ack *ack,
                               const struct waiter *waiter)
{
    struct buf *entry;
    size_t size = SIZE_ABOUT + ack->group.size + ack->topic.size + //
                  ack->count * (size_t)DELIVERY_SIZE_ABOUT;
    enum status status = proposer_begin(&broker->proposer, size, &entry);
    if (status != STATUS_OK) {
        return status;
    }
    entry_put_ack(entry, ack);
    proposer_add(&broker->proposer, waiter);
    return STATUS_PENDING;
}

enum status process_ack(struct broker *broker, struct request *request)
{
    struct named named;
    enum status status = named_decode(broker, request, &named);
    if (status != STATUS_OK) {
        return status;
    }
    const struct operation_ack ack = {
        .group = named.group,
        .topic = named.topic,
        .count = 1,
        .deliveries = {named.delivery},
    };
    const struct waiter waiter = {.done = on_acked, .to = request->to};
    return propose_ack(broker, &ack, &waiter);
}

/* --- BATCH_ACK_MESSAGE -------------------------------------------------------------------- */

/* A delivery that is over is nobody's trouble here: the others count. */
static void on_some_acked(struct broker *broker, const struct waiter *waiter,
                          const struct operation *operation, const struct operation_result *result)
{
    (void)operation;
    several_result(broker, waiter->context,
                   result->status == STATUS_NOT_FOUND ? STATUS_OK : result->status);
}

static enum status propose_some(struct broker *broker, struct several *several,
                                const struct operation_ack *ack)
{
    const struct waiter waiter = {.done = on_some_acked, .context = several};
    several_expect(several);
    enum status status = propose_ack(broker, ack, &waiter);
    if (status != STATUS_PENDING) {
        several_result(broker, several, status);
    }
    return status;
}

static enum status propose_batch(struct broker *broker, struct several *several,
                                 const struct batch_ack *batch)
{
    struct operation_ack ack = {.group = batch->group, .topic = batch->topic};
    enum status status = STATUS_PENDING;
    size_t bits = batch->bits.size * 8;
    if (batch->group.size > GROUP_NAME_MAX || batch->topic.size > TOPIC_NAME_DERIVED_MAX ||
        !slice_equals_text(batch->retry, "0") || batch->offset_first < 0 ||
        batch->offset_first > INT64_MAX - (int64_t)bits) {
        return STATUS_PENDING; // Names nothing that was popped here.
    }
    for (size_t i = 0; i < bits && status == STATUS_PENDING; i++) {
        if ((batch->bits.data[i / 8] >> i % 8 & 1) == 0) {
            continue;
        }
        ack.deliveries[ack.count++] = (struct delivery){
            .queue_id = batch->queue_id,
            .offset = batch->offset_first + (int64_t)i,
            .pop_ms = batch->pop_ms < 0 ? 0 : (uint64_t)batch->pop_ms,
        };
        if (ack.count == ACKS_MAX) {
            status = propose_some(broker, several, &ack);
            ack.count = 0;
        }
    }
    return ack.count > 0 && status == STATUS_PENDING ? propose_some(broker, several, &ack) : status;
}

enum status process_batch_ack(struct broker *broker, struct request *request)
{
    struct body body = {0};
    struct batch_ack_request acks;
    enum status status = batch_ack_decode(request->command->body, &body, &acks);
    if (status != STATUS_OK) {
        return request_fail(request, status, "the body is no BatchAckMessageRequestBody");
    }
    if (acks.count == 0) {
        status = request_fail(request, STATUS_DELIVERY_OVER, "nothing is acknowledged");
    } else if (!slice_equals(acks.broker, name_slice(&broker->group->name))) {
        status = request_fail(request, STATUS_INVALID_ARGUMENT,
                              "what is acknowledged was popped at another broker");
    }
    if (status != STATUS_OK) {
        body_close(&body);
        return status;
    }
    struct several *several = mem_alloc(sizeof *several);
    several_begin(several, &request->to, several_answer);
    status = STATUS_PENDING;
    for (size_t i = 0; i < acks.count && status == STATUS_PENDING; i++) {
        status = propose_batch(broker, several, &acks.acks[i]);
    }
    several_proposed(broker, several, STATUS_OK);
    body_close(&body);
    return STATUS_PENDING;
}

/* --- CHANGE_MESSAGE_INVISIBLETIME --------------------------------------------------------- */

static void on_changed(struct broker *broker, const struct waiter *waiter,
                       const struct operation *operation, const struct operation_result *result)
{
    enum { NUMBERS_SIZE = 3 * 24 };
    (void)operation;
    if (result->status != STATUS_OK) {
        broker_reply_status(broker, &waiter->to, status_of(result), NULL);
        return;
    }
    struct command response;
    struct buf numbers = {0};
    buf_reserve(&numbers, NUMBERS_SIZE);
    reply_init(&response, &waiter->to, 0);
    command_add_i64(&response, "popTime", (int64_t)result->pop_ms, &numbers);
    command_add_i64(&response, "invisibleTime", (int64_t)waiter->number, &numbers);
    command_add_i64(&response, "reviveQid", 0, &numbers);
    broker_reply(broker, &waiter->to, &response);
    buf_close(&numbers);
}

enum status process_change_invisible(struct broker *broker, struct request *request)
{
    struct named named;
    int64_t invisible_ms = -1;
    enum status status = named_decode(broker, request, &named);
    if (status != STATUS_OK) {
        return status;
    }
    if (command_i64(request->command, "invisibleTime", true, &invisible_ms) != STATUS_OK ||
        invisible_ms < 0) {
        return request_fail(request, STATUS_FIELD_MISSING, "invisibleTime is required");
    }
    bool allowed = (uint64_t)invisible_ms < INVISIBLE_MAX_MS;
    const struct operation_invisible invisible = {
        .group = named.group,
        .topic = named.topic,
        .delivery = named.delivery,
        .invisible_ms = allowed ? (uint64_t)invisible_ms : INVISIBLE_MAX_MS,
    };
    struct buf *entry;
    size_t size = SIZE_ABOUT + named.group.size + named.topic.size;
    status = proposer_begin(&broker->proposer, size, &entry);
    if (status != STATUS_OK) {
        return status;
    }
    entry_put_invisible(entry, &invisible);
    const struct waiter waiter = {
        .done = on_changed,
        .to = request->to,
        .number = invisible.invisible_ms,
    };
    proposer_add(&broker->proposer, &waiter);
    return STATUS_PENDING;
}
