#include "broker/core/forwarded_results.h"

#include "broker/core/broker.h"
#include "common/remoting/extension.h"

#include <stdio.h>
#include <stdlib.h>

enum result_kind {
    RESULT_NONE = 0,
    RESULT_MESSAGE = 1,
    RESULT_TRANSACTION = 2,
    RESULT_LOCK = 3,
    RESULT_POP = 4
};

/* A batch of another replica on the leader, until all its operations have results. */
struct forwarded_batch {
    struct reply_to to;
    uint32_t count;
    uint32_t left;
    enum status why; /* Not OK: it was not applied (in no log, or nobody knows). */
    uint8_t *results;
};

static void on_result(struct broker *broker, const struct waiter *waiter,
                      const struct operation *operation, const struct operation_result *result);
static void finish(struct broker *broker, struct forwarded_batch *batch);
static void refuse(struct broker *broker, const struct reply_to *to, enum status why,
                   const char *remark);

void forwarded_batch_encode(int32_t opaque, struct slice entry, struct buf *out)
{
    struct command request;
    command_init_request(&request, REQUEST_RAFTMQ_PROPOSE, opaque);
    request.serialize_type = SERIALIZE_BINARY;
    request.body = entry;
    command_encode(&request, out);
}

static enum result_kind kind_of(enum operation_type type)
{
    switch (type) {
    case OPERATION_MESSAGE:
    case OPERATION_HALF:
    case OPERATION_DELAYED:
    case OPERATION_HALF_DELAYED:
        return RESULT_MESSAGE;
    case OPERATION_END:
    case OPERATION_SETTLE:
    case OPERATION_EXPIRE:
        return RESULT_TRANSACTION;
    case OPERATION_LOCK:
        return RESULT_LOCK;
    case OPERATION_POP:
    case OPERATION_INVISIBLE:
        return RESULT_POP;
    default:
        return RESULT_NONE;
    }
}

void forwarded_result_encode(enum operation_type type, const struct operation_result *result,
                             uint8_t to[FORWARDED_RESULT_SIZE])
{
    memset(to, 0, FORWARDED_RESULT_SIZE);
    le32_put(to, (uint32_t)result->status);
    to[4] = (uint8_t)kind_of(type);
    if (to[4] == RESULT_MESSAGE) {
        to[5] = result->message.duplicate;
        le64_put(to + 8, (uint64_t)result->message.queue_offset);
        le64_put(to + 16, result->message.position);
        le32_put(to + 24, result->message.count);
        le32_put(to + 28, (uint32_t)result->message.queue_id);
    } else if (to[4] == RESULT_TRANSACTION) {
        to[5] = result->transaction.changed;
        to[6] = (uint8_t)result->transaction.state;
        le64_put(to + 8, (uint64_t)result->transaction.queue_offset);
    } else if (to[4] == RESULT_LOCK) {
        le64_put(to + 8, result->locked);
    } else if (to[4] == RESULT_POP) {
        le64_put(to + 8, result->pop_ms);
    }
}

void forwarded_result_decode(const uint8_t from[FORWARDED_RESULT_SIZE],
                             struct operation_result *result)
{
    *result = (struct operation_result){.status = (enum status)le32_get(from)};
    if (from[4] == RESULT_MESSAGE) {
        result->message.duplicate = from[5] != 0;
        result->message.queue_offset = (int64_t)le64_get(from + 8);
        result->message.position = le64_get(from + 16);
        result->message.count = le32_get(from + 24);
        result->message.queue_id = (int32_t)le32_get(from + 28);
    } else if (from[4] == RESULT_TRANSACTION) {
        result->transaction.changed = from[5] != 0;
        result->transaction.state = (enum transaction_state)from[6];
        result->transaction.queue_offset = (int64_t)le64_get(from + 8);
    } else if (from[4] == RESULT_LOCK) {
        result->locked = le64_get(from + 8);
    } else if (from[4] == RESULT_POP) {
        result->pop_ms = le64_get(from + 8);
    }
}

bool forwarded_results_deliver(struct proposer *proposer, struct batch *batch, struct slice body)
{
    if (body.size != (size_t)batch->waiter_count * FORWARDED_RESULT_SIZE) {
        return false;
    }
    for (uint32_t i = 0; i < batch->waiter_count; i++) {
        struct operation_result result;
        forwarded_result_decode(body.data + (size_t)i * FORWARDED_RESULT_SIZE, &result);
        proposer_result(proposer, batch, i, NULL, &result);
    }
    return true;
}

/* All operations must be readable before the first is taken over. */
static enum status count_operations(struct slice payload, uint32_t *count)
{
    struct entry_reader reader;
    struct operation operation;
    enum status status = entry_reader_init(&reader, payload);
    *count = 0;
    while (status == STATUS_OK) {
        status = entry_reader_next(&reader, &operation);
        *count += status == STATUS_OK;
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static bool brings_messages(enum operation_type type)
{
    return type == OPERATION_MESSAGE || type == OPERATION_HALF || type == OPERATION_DELAYED ||
           type == OPERATION_HALF_DELAYED;
}

enum status proposer_process_forwarded(struct broker *broker, struct request *request)
{
    struct slice payload = request->command->body;
    uint32_t count = 0;
    if (request->channel->member_id == 0) {
        // One of which we have not heard yet keeps it, and says hello again.
        refuse(broker, &request->to, STATUS_NOT_LEADER, "only replicas of this group propose");
        return STATUS_PENDING;
    }
    enum status status =
        broker_leads(broker) ? count_operations(payload, &count) : STATUS_NOT_LEADER;
    struct buf *entry = NULL;
    if (status == STATUS_OK) {
        status =
            count == 0 ? STATUS_MALFORMED : proposer_begin(&broker->proposer, payload.size, &entry);
    }
    if (status != STATUS_OK) {
        refuse(broker, &request->to, status, status_text(status));
        return STATUS_PENDING;
    }
    struct forwarded_batch *batch = mem_zalloc(sizeof *batch);
    *batch = (struct forwarded_batch){.to = request->to, .count = count, .left = count};
    batch->results = mem_zalloc((size_t)count * FORWARDED_RESULT_SIZE);

    // The follower has asked its own disk, not ours.
    enum status accepts = broker_accepts_writes(broker);
    struct entry_reader reader;
    struct operation operation;
    status = entry_reader_init(&reader, payload);
    ASSERT(status == STATUS_OK);
    for (uint32_t i = 0; i < count; i++) {
        status = entry_reader_next(&reader, &operation);
        ASSERT(status == STATUS_OK);
        if (brings_messages(operation.type) && accepts != STATUS_OK) {
            const struct operation_result refused = {.status = accepts};
            forwarded_result_encode(operation.type, &refused,
                                    batch->results + (size_t)i * FORWARDED_RESULT_SIZE);
            batch->left--;
            continue;
        }
        size_t begin = entry_operation_begin(entry, operation.type);
        buf_put_slice(entry, operation.body);
        entry_operation_end(entry, begin);
        const struct waiter waiter = {
            .done = on_result,
            .context = batch,
            .number = (uint64_t)operation.type << 32 | i,
        };
        proposer_add(&broker->proposer, &waiter);
    }
    if (batch->left == 0) {
        finish(broker, batch);
    }
    return STATUS_PENDING;
}

/* A refusal names the exact status: the other replica has to tell "in no log" from "nobody knows".
 */
static void refuse(struct broker *broker, const struct reply_to *to, enum status why,
                   const char *remark)
{
    struct command response;
    char number[16];
    snprintf(number, sizeof number, "%d", (int)why);
    reply_init(&response, to, status_response_code(why));
    response.remark = slice_text(remark);
    command_add(&response, FIELD_STATUS, slice_text(number));
    broker_reply(broker, to, &response);
}

static void on_result(struct broker *broker, const struct waiter *waiter,
                      const struct operation *operation, const struct operation_result *result)
{
    struct forwarded_batch *batch = waiter->context;
    (void)operation;
    if (result->status == STATUS_UNKNOWN_OUTCOME || result->status == STATUS_NO_LEADER ||
        result->status == STATUS_NOT_LEADER || result->status == STATUS_SHUTTING_DOWN) {
        batch->why = result->status; // All share one entry here, so they share its fate.
    }
    forwarded_result_encode((enum operation_type)(waiter->number >> 32), result,
                            batch->results +
                                (uint32_t)waiter->number * (size_t)FORWARDED_RESULT_SIZE);
    if (--batch->left == 0) {
        finish(broker, batch);
    }
}

/* All results are there: answer and free. */
static void finish(struct broker *broker, struct forwarded_batch *batch)
{
    if (batch->why != STATUS_OK) {
        refuse(broker, &batch->to, batch->why, status_text(batch->why));
    } else {
        struct command response;
        reply_init(&response, &batch->to, 0);
        response.body = slice_of(batch->results, (size_t)batch->count * FORWARDED_RESULT_SIZE);
        broker_reply(broker, &batch->to, &response);
    }
    free(batch->results);
    free(batch);
}
