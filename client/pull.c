/* Pulling by hand, and offsets. */
#include "client/expression.h"
#include "client/invoke.h"
#include "client/received.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum {
    PULL_SUSPEND = 2,
    PULL_SUBSCRIPTION = 4,
    MESSAGES_DEFAULT = 32,
    MESSAGES_MAX = 1024,
    /* Apache RocketMQ looks at pulls that wait once in so long, and answers them that much late. */
    HOLD_LATE_MS = 5000,
};

/* What raftmq_pulled_free() frees; the public part comes first. */
struct pulled {
    struct raftmq_pulled pulled;
    struct received *received;
    struct raftmq_received *messages;
};

static void decode_messages(struct pulled *pulled, struct slice body,
                            const struct raftmq_pull_options *options);
static enum raftmq_status ask_offset(struct raftmq_client *client, const struct raftmq_queue *queue,
                                     struct command *request, struct buf *scratch, int64_t *offset,
                                     struct raftmq_error *error);

static bool queue_valid(const struct raftmq_queue *queue)
{
    return queue->topic != NULL && queue->broker != NULL &&
           topic_name_valid(slice_text(queue->topic)) && queue->queue_id >= 0;
}

enum raftmq_status raftmq_pull(struct raftmq_client *client,
                               const struct raftmq_pull_options *options,
                               struct raftmq_pulled **out, struct raftmq_error *error)
{
    static const int32_t codes_ok[] = {RESPONSE_PULL_NOT_FOUND, RESPONSE_PULL_RETRY_IMMEDIATELY,
                                       RESPONSE_PULL_OFFSET_MOVED, -1};
    if (!queue_valid(&options->queue) || !group_name_valid(slice_text(options->group)) ||
        options->messages_max > MESSAGES_MAX) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "queue, group or maximum is not valid");
    }
    struct slice expression = slice_text(options->expression);
    struct slice broker = slice_text(options->queue.broker);
    struct slice topic = slice_text(options->queue.topic);
    struct command request;
    struct buf scratch = {0};
    struct reply reply = {0};
    buf_reserve(&scratch, 256);
    command_init_request(&request, REQUEST_PULL_MESSAGE, 0);
    command_add(&request, "consumerGroup", slice_text(options->group));
    command_add(&request, "topic", topic);
    command_add_i64(&request, "queueId", options->queue.queue_id, &scratch);
    command_add_i64(&request, "queueOffset", options->offset, &scratch);
    command_add_i64(&request, "maxMsgNums",
                    options->messages_max == 0 ? MESSAGES_DEFAULT : options->messages_max,
                    &scratch);
    command_add_i64(&request, "sysFlag",
                    PULL_SUBSCRIPTION | (options->hold_ms > 0 ? PULL_SUSPEND : 0), &scratch);
    command_add(&request, "commitOffset", slice_text("0"));
    command_add_i64(&request, "suspendTimeoutMillis", (int64_t)options->hold_ms, &scratch);
    command_add(&request, "subscription", expression.size == 0 ? slice_text("*") : expression);
    command_add(&request, "subVersion", slice_text("0"));
    command_add(&request, "expressionType", expression_type_name(options->expression_type));
    command_add(&request, "bname", broker);
    uint64_t hold_ms = options->hold_ms > 0 ? options->hold_ms + HOLD_LATE_MS : 0;
    enum raftmq_status status =
        invoke_broker(client, topic, broker, &request, client->options.timeout_ms + hold_ms,
                      codes_ok, &reply, error);
    buf_close(&scratch);
    struct pulled *pulled = mem_zalloc(sizeof *pulled);
    if (status == RAFTMQ_OK &&
        (command_i64(&reply.command, "nextBeginOffset", true, &pulled->pulled.next_offset) !=
             STATUS_OK ||
         command_i64(&reply.command, "minOffset", true, &pulled->pulled.offset_min) != STATUS_OK ||
         command_i64(&reply.command, "maxOffset", true, &pulled->pulled.offset_max) != STATUS_OK)) {
        status = error_set(error, RAFTMQ_MALFORMED, "the answer to a pull lacks fields");
    }
    if (status == RAFTMQ_OK) {
        static const enum raftmq_pull_status statuses[] = {RAFTMQ_PULL_NONE, RAFTMQ_PULL_NO_MATCH,
                                                           RAFTMQ_PULL_OFFSET_MOVED};
        int32_t code = reply.command.code;
        if (code == RESPONSE_SUCCESS) {
            decode_messages(pulled, reply.command.body, options);
            pulled->pulled.status =
                pulled->pulled.count > 0 ? RAFTMQ_PULL_FOUND : RAFTMQ_PULL_NO_MATCH;
        } else {
            pulled->pulled.status = statuses[code - RESPONSE_PULL_NOT_FOUND];
        }
        *out = &pulled->pulled;
    } else {
        free(pulled);
    }
    reply_close(&reply);
    return status;
}

static void decode_messages(struct pulled *pulled, struct slice body,
                            const struct raftmq_pull_options *options)
{
    struct slice broker = slice_text(options->queue.broker);
    struct slice expression = slice_text(options->expression);
    size_t capacity = body.size / MESSAGE_SIZE_MIN + 1;
    capacity = capacity > MESSAGES_MAX ? MESSAGES_MAX : capacity;
    pulled->received = mem_zalloc(capacity * sizeof *pulled->received);
    pulled->messages = mem_zalloc(capacity * sizeof *pulled->messages);
    pulled->pulled.messages = pulled->messages;
    while (body.size > 0 && pulled->pulled.count < capacity) {
        struct received *received = &pulled->received[pulled->pulled.count];
        if (received_decode(&body, broker, received) != STATUS_OK) {
            continue; // Unreadable ones are left out.
        }
        if (expression_passes(options->expression_type, expression, &received->message)) {
            pulled->messages[pulled->pulled.count++] = received->message;
        } else {
            received_close(received);
        }
    }
}

void raftmq_pulled_free(struct raftmq_pulled *public)
{
    if (public == NULL) {
        return;
    }
    struct pulled *pulled = CONTAINER_OF(public, struct pulled, pulled);
    for (size_t i = 0; i < pulled->pulled.count; i++) {
        received_close(&pulled->received[i]);
    }
    free(pulled->received);
    free(pulled->messages);
    free(pulled);
}

/* Begin a request about a queue. */
static void begin(const struct raftmq_queue *queue, int32_t code, struct buf *scratch,
                  struct command *request)
{
    buf_reserve(scratch, 64);
    command_init_request(request, code, 0);
    command_add(request, "topic", slice_text(queue->topic));
    command_add_i64(request, "queueId", queue->queue_id, scratch);
    command_add(request, "bname", slice_text(queue->broker));
}

/* Closes scratch. */
static enum raftmq_status ask_offset(struct raftmq_client *client, const struct raftmq_queue *queue,
                                     struct command *request, struct buf *scratch, int64_t *offset,
                                     struct raftmq_error *error)
{
    struct reply reply = {0};
    enum raftmq_status status =
        queue_valid(queue)
            ? invoke_broker(client, slice_text(queue->topic), slice_text(queue->broker), request, 0,
                            NULL, &reply, error)
            : error_set(error, RAFTMQ_INVALID_ARGUMENT, "the queue is not valid");
    if (status == RAFTMQ_OK && offset != NULL &&
        command_i64(&reply.command, "offset", true, offset) != STATUS_OK) {
        status = error_set(error, RAFTMQ_MALFORMED, "the answer has no offset");
    }
    reply_close(&reply);
    buf_close(scratch);
    return status;
}

enum raftmq_status raftmq_offset_min(struct raftmq_client *client, const struct raftmq_queue *queue,
                                     int64_t *offset, struct raftmq_error *error)
{
    struct command request;
    struct buf scratch = {0};
    begin(queue, REQUEST_GET_MIN_OFFSET, &scratch, &request);
    return ask_offset(client, queue, &request, &scratch, offset, error);
}

enum raftmq_status raftmq_offset_max(struct raftmq_client *client, const struct raftmq_queue *queue,
                                     int64_t *offset, struct raftmq_error *error)
{
    struct command request;
    struct buf scratch = {0};
    begin(queue, REQUEST_GET_MAX_OFFSET, &scratch, &request);
    return ask_offset(client, queue, &request, &scratch, offset, error);
}

enum raftmq_status raftmq_offset_search(struct raftmq_client *client,
                                        const struct raftmq_queue *queue, int64_t time_ms,
                                        int64_t *offset, struct raftmq_error *error)
{
    struct command request;
    struct buf scratch = {0};
    begin(queue, REQUEST_SEARCH_OFFSET_BY_TIMESTAMP, &scratch, &request);
    command_add_i64(&request, "timestamp", time_ms, &scratch);
    return ask_offset(client, queue, &request, &scratch, offset, error);
}

enum raftmq_status raftmq_offset_query(struct raftmq_client *client, const char *group,
                                       const struct raftmq_queue *queue, int64_t *offset,
                                       struct raftmq_error *error)
{
    struct command request;
    struct buf scratch = {0};
    begin(queue, REQUEST_QUERY_CONSUMER_OFFSET, &scratch, &request);
    command_add(&request, "consumerGroup", slice_text(group));
    command_add(&request, "setZeroIfNotFound", slice_text("false"));
    return ask_offset(client, queue, &request, &scratch, offset, error);
}

enum raftmq_status raftmq_offset_update(struct raftmq_client *client, const char *group,
                                        const struct raftmq_queue *queue, int64_t offset,
                                        struct raftmq_error *error)
{
    struct command request;
    struct buf scratch = {0};
    begin(queue, REQUEST_UPDATE_CONSUMER_OFFSET, &scratch, &request);
    command_add(&request, "consumerGroup", slice_text(group));
    command_add_i64(&request, "commitOffset", offset, &scratch);
    return ask_offset(client, queue, &request, &scratch, NULL, error);
}
