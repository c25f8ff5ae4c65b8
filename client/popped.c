/* Source: PopMessageRequestHeader, PopMessageResponseHeader, ExtraInfoUtil, and what Java's client
 * makes of them. */
#include "client/popped.h"

#include "client/expression.h"
#include "client/invoke.h"
#include "client/received.h"
#include "common/base/decimal.h"
#include "common/remoting/codes.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"
#include "common/remoting/pop_handle.h"
#include "common/remoting/properties.h"

#include <stdlib.h>

enum { INIT_MIN = 0, INIT_MAX = 1 }; /* ConsumeInitMode */

/* What raftmq_messages_free() frees; the public part comes first. */
struct popped {
    struct raftmq_messages messages;
    struct received received[RAFTMQ_RECEIVE_MAX];
    struct raftmq_received list[RAFTMQ_RECEIVE_MAX];
};

/* What the answer says of all its messages. Borrows from it. */
struct delivered {
    struct slice broker;
    struct slice start_offsets; /* "kind queue offset;…"; may be empty. */
    struct slice messages;
    int64_t pop_ms;
    int64_t invisible_ms;
    int32_t revive_queue;
};

static enum raftmq_status ask(const struct place *place, struct host host,
                              const struct popped_request *wanted, struct reply *reply,
                              struct raftmq_error *error);
static bool decode(const struct place *place, const struct command *response, struct popped *popped,
                   size_t *unwanted);

enum raftmq_status popped_ask(const struct place *place, struct host host,
                              const struct popped_request *wanted,
                              struct raftmq_messages **messages, struct raftmq_error *error)
{
    struct popped *popped = mem_zalloc(sizeof *popped);
    enum raftmq_status status = RAFTMQ_OK;
    // Nothing but unwanted ones: the broker is beyond them now.
    for (size_t unwanted = 1; unwanted > 0 && popped->messages.count == 0 && status == RAFTMQ_OK;) {
        struct reply reply = {0};
        unwanted = 0;
        status = ask(place, host, wanted, &reply, error);
        if (status == RAFTMQ_OK && reply.command.code == RESPONSE_SUCCESS &&
            !decode(place, &reply.command, popped, &unwanted)) {
            status = error_set(error, RAFTMQ_MALFORMED, "the answer to a pop lacks fields");
        }
        reply_close(&reply);
    }
    popped->messages.messages = popped->list;
    *messages = NULL;
    if (popped->messages.count > 0) {
        *messages = &popped->messages;
    } else {
        free(popped);
    }
    return status;
}

struct raftmq_messages *popped_nothing(void)
{
    struct popped *popped = mem_zalloc(sizeof *popped);
    return &popped->messages;
}

void raftmq_messages_free(struct raftmq_messages *public)
{
    if (public == NULL) {
        return;
    }
    struct popped *popped = CONTAINER_OF(public, struct popped, messages);
    for (size_t i = 0; i < popped->messages.count; i++) {
        received_close(&popped->received[i]);
    }
    free(popped);
}

static enum raftmq_status ask(const struct place *place, struct host host,
                              const struct popped_request *wanted, struct reply *reply,
                              struct raftmq_error *error)
{
    struct raftmq_simple_consumer *consumer = place->consumer;
    bool from_first = consumer->from == RAFTMQ_FROM_FIRST;
    struct command request;
    struct buf scratch = {0};
    uint64_t invisible_ms = wanted->invisible_ms < INT64_MAX ? wanted->invisible_ms : INT64_MAX;
    buf_reserve(&scratch, 128);
    command_init_request(&request, REQUEST_POP_MESSAGE, 0);
    command_add(&request, "consumerGroup", name_slice(&consumer->group));
    command_add(&request, "topic", name_slice(&place->topic->topic));
    command_add(&request, "queueId", slice_text("-1"));
    command_add_i64(&request, "maxMsgNums", wanted->messages_max, &scratch);
    command_add_i64(&request, "invisibleTime", (int64_t)invisible_ms, &scratch);
    command_add(&request, "pollTime", slice_text("0"));
    command_add_i64(&request, "bornTime", (int64_t)clock_wall_ms(consumer->client->clock),
                    &scratch);
    command_add_i64(&request, "initMode", from_first ? INIT_MIN : INIT_MAX, &scratch);
    command_add(&request, "expType", expression_type_name(place->topic->type));
    command_add(&request, "exp", buf_slice(&place->topic->expression));
    command_add(&request, "order", slice_text("false"));
    command_add(&request, "bname", name_slice(&place->broker));
    enum raftmq_status status = invoke_host(consumer->client, host, &request, 0, reply, error);
    buf_close(&scratch);
    int32_t code = reply->command.code;
    if (status == RAFTMQ_OK && code != RESPONSE_SUCCESS && code != RESPONSE_PULL_NOT_FOUND &&
        code != RESPONSE_POLLING_FULL && code != RESPONSE_POLLING_TIMEOUT) {
        status = error_of_response(error, &reply->command);
    }
    return status;
}

/* --- Messages and their handles ----------------------------------------------------------- */

/* The kind of topic that a message was stored in. */
static char kind_of(struct slice topic)
{
    if (!topic_is_retry(topic)) {
        return POP_KIND_TOPIC;
    }
    return memchr(topic.data, '+', topic.size) == NULL ? POP_KIND_RETRY : POP_KIND_RETRY_2;
}

/* The next item of "a b c;d e f", taken apart. False at the end, or if there is none. */
static bool next_start(struct slice *rest, struct slice words[3])
{
    const uint8_t *end = rest->size == 0 ? NULL : memchr(rest->data, ';', rest->size);
    struct slice item = slice_of(rest->data, end == NULL ? rest->size : (size_t)(end - rest->data));
    *rest = slice_from(*rest, item.size + (end == NULL ? 0 : 1));
    for (size_t i = 0; i < 3; i++) {
        const uint8_t *space = item.size == 0 ? NULL : memchr(item.data, ' ', item.size);
        words[i] = slice_of(item.data, space == NULL ? item.size : (size_t)(space - item.data));
        item = slice_from(item, words[i].size + (space == NULL ? 0 : 1));
    }
    return words[2].size > 0;
}

/* The first offset that the broker took of the queue of a message; Apache RocketMQ wants it back.
 * Without a word of it, that of the first message of the queue. */
static int64_t start_of(const struct delivered *delivered, const struct message *message)
{
    struct slice rest = delivered->start_offsets;
    struct slice words[3];
    char kind = kind_of(message->topic);
    while (next_start(&rest, words)) {
        int64_t queue_id;
        int64_t offset;
        if (words[0].size == 1 && (char)words[0].data[0] == kind &&
            decimal_parse(words[1], &queue_id) && queue_id == message->queue_id &&
            decimal_parse(words[2], &offset)) {
            return offset;
        }
    }
    struct slice body = delivered->messages;
    struct message first;
    size_t size;
    while (message_decode(body, &first, &size) == STATUS_OK) {
        if (first.queue_id == message->queue_id && slice_equals(first.topic, message->topic)) {
            return first.queue_offset;
        }
        body = slice_from(body, size);
    }
    return message->queue_offset;
}

/* Brokers put it into messages of their retry topics; for others it is to be made. */
static void give_handle(struct received *received, const struct delivered *delivered,
                        const struct message *message)
{
    struct slice given;
    struct buf text = {0};
    const struct pop_handle handle = {
        .offset_first = start_of(delivered, message),
        .pop_ms = (uint64_t)delivered->pop_ms,
        .invisible_ms = (uint64_t)delivered->invisible_ms,
        .revive_queue = delivered->revive_queue,
        .kind = kind_of(message->topic),
        .broker = delivered->broker,
        .queue_id = message->queue_id,
        .offset = message->queue_offset,
    };
    if (!properties_find(message->properties, PROPERTY_POP_RECEIPT, &given)) {
        pop_handle_format(&handle, &text);
        given = buf_slice(&text);
    }
    received_set_handle(received, given);
    buf_close(&text);
}

static void acknowledge_unwanted(const struct place *place, const struct received *unwanted,
                                 size_t count)
{
    const char *handles[RAFTMQ_RECEIVE_MAX];
    for (size_t i = 0; i < count; i++) {
        handles[i] = unwanted[i].message.handle;
    }
    // If that fails they come again, and so does this.
    (void)raftmq_ack_all(place->consumer->client, place->consumer->group.text,
                         place->topic->topic.text, handles, count, 0, NULL);
}

/* False if the answer lacks what handles need. */
static bool decode(const struct place *place, const struct command *response, struct popped *popped,
                   size_t *unwanted)
{
    struct delivered delivered = {.broker = name_slice(&place->broker), .messages = response->body};
    struct received others[RAFTMQ_RECEIVE_MAX];
    struct slice rest = response->body;
    size_t count = 0;
    (void)command_find(response, "startOffsetInfo", &delivered.start_offsets);
    if (command_i64(response, "popTime", true, &delivered.pop_ms) != STATUS_OK ||
        command_i64(response, "invisibleTime", true, &delivered.invisible_ms) != STATUS_OK ||
        command_i32(response, "reviveQid", true, &delivered.revive_queue) != STATUS_OK ||
        delivered.pop_ms < 0 || delivered.invisible_ms < 0) {
        return false;
    }
    while (rest.size > 0 && popped->messages.count + count < RAFTMQ_RECEIVE_MAX) {
        struct message message;
        size_t size;
        struct received received;
        bool whole = message_decode(rest, &message, &size) == STATUS_OK;
        if (received_decode(&rest, delivered.broker, &received) != STATUS_OK || !whole) {
            continue;
        }
        give_handle(&received, &delivered, &message);
        if (expression_passes(place->topic->type, buf_slice(&place->topic->expression),
                              &received.message)) {
            size_t at = popped->messages.count++;
            popped->received[at] = received;
            popped->list[at] = received.message;
        } else {
            others[count++] = received;
        }
    }
    if (count > 0) {
        acknowledge_unwanted(place, others, count);
    }
    for (size_t i = 0; i < count; i++) {
        received_close(&others[i]);
    }
    *unwanted = count;
    return true;
}
