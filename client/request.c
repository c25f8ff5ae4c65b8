/* Requests: messages whose senders wait for a reply, which a broker pushes to them (326).
 * Source: RequestFutureHolder, MessageUtil.createReplyMessage, ReplyMessageRequestHeader. */
#include "client/invoke.h"
#include "client/outgoing.h"
#include "client/producer.h"
#include "client/received.h"
#include "common/base/decimal.h"
#include "common/base/limits.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <stdlib.h>

#define REPLY_TOPIC_SUFFIX "_REPLY_TOPIC"
#define MESSAGE_TYPE_REPLY "reply"

/* One that waits; the waiting thread owns it. */
struct request_call {
    struct list in_producer; /* Not linked: it is over. */
    struct raftmq_client *client;
    struct raftmq_producer *producer; /* Gone once it is over. */
    uint64_t timeout_ms;
    char id[UNIQUE_KEY_SIZE + 1]; /* CORRELATION_ID: the message's own. */
    struct alarm deadline;
    uv_sem_t done; /* Posted once, unless the call is forgotten first. */
    struct raftmq_error error;
    struct received received;
};

/* What raftmq_reply_free() frees; the public part comes first. */
struct public_reply {
    struct raftmq_reply reply;
    struct received received;
};

static void register_call(void *argument);
static void forget_call(void *argument);
static void on_deadline(struct alarm *alarm);
static void end_call(struct request_call *call);
static bool read_reply(const struct command *command, struct received *received);

enum raftmq_status raftmq_request(struct raftmq_producer *producer,
                                  const struct raftmq_message *message, uint64_t timeout_ms,
                                  struct raftmq_reply **out, struct raftmq_error *error)
{
    struct raftmq_client *client = producer->client;
    struct send *send = NULL;
    char ttl[DECIMAL_SIZE_MAX];
    if (outgoing_delayed(message)) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "a request cannot be delayed");
    }
    struct request_call call = {
        .client = client,
        .producer = producer,
        .timeout_ms = timeout_ms == 0 ? client->options.timeout_ms : timeout_ms,
        .deadline.ring = on_deadline,
    };
    enum raftmq_status status = send_make(producer, message, call.timeout_ms, false, &send, error);
    if (status != RAFTMQ_OK) {
        return status;
    }
    memcpy(call.id, send->result.message_id, UNIQUE_KEY_SIZE);
    size_t ttl_size = decimal_format((int64_t)call.timeout_ms, ttl);
    properties_append(&send->properties, 0, PROPERTY_CORRELATION_ID, slice_text(call.id));
    properties_append(&send->properties, 0, PROPERTY_REPLY_TO_CLIENT, name_slice(&client->id));
    properties_append(&send->properties, 0, PROPERTY_TTL, slice_of(ttl, ttl_size));
    ASSERT(uv_sem_init(&call.done, 0) == 0);
    tasks_run(&client->tasks, register_call, &call);
    status = send_and_wait(send, NULL, error);
    if (status == RAFTMQ_OK) {
        uv_sem_wait(&call.done);
        status = call.error.status;
        if (error != NULL) {
            *error = call.error;
        }
    } else {
        tasks_run(&client->tasks, forget_call, &call);
    }
    uv_sem_destroy(&call.done);
    if (status != RAFTMQ_OK) {
        received_close(&call.received);
        return status;
    }
    struct public_reply *reply = mem_zalloc(sizeof *reply);
    reply->received = call.received;
    reply->reply.message = &reply->received.message;
    *out = &reply->reply;
    return RAFTMQ_OK;
}

void raftmq_reply_free(struct raftmq_reply *public)
{
    if (public != NULL) {
        struct public_reply *reply = CONTAINER_OF(public, struct public_reply, reply);
        received_close(&reply->received);
        free(reply);
    }
}

static void register_call(void *argument)
{
    struct request_call *call = argument;
    struct raftmq_producer *producer = call->producer;
    list_append(&producer->requests, &call->in_producer);
    if (producer->closing) {
        error_of_status(&call->error, STATUS_CANCELED);
        end_call(call);
    } else {
        alarms_set(&call->client->alarms, &call->deadline, call->timeout_ms);
    }
}

static void forget_call(void *argument)
{
    struct request_call *call = argument;
    alarms_cancel(&call->client->alarms, &call->deadline);
    list_remove(&call->in_producer);
}

static void on_deadline(struct alarm *alarm)
{
    struct request_call *call = CONTAINER_OF(alarm, struct request_call, deadline);
    error_of_status(&call->error, STATUS_TIMED_OUT);
    end_call(call);
}

/* The waiting thread may go on as soon as this posts. */
static void end_call(struct request_call *call)
{
    forget_call(call);
    uv_sem_post(&call->done);
}

void requests_cancel(struct raftmq_producer *producer)
{
    LIST_FOREACH(at, &producer->requests)
    {
        struct request_call *call = CONTAINER_OF(at, struct request_call, in_producer);
        error_of_status(&call->error, STATUS_CANCELED);
        end_call(call);
    }
}

static struct request_call *find_call(const struct raftmq_client *client, struct slice id)
{
    LIST_FOREACH(at, &client->producers)
    {
        struct raftmq_producer *producer = CONTAINER_OF(at, struct raftmq_producer, in_client);
        LIST_FOREACH(call_at, &producer->requests)
        {
            struct request_call *call = CONTAINER_OF(call_at, struct request_call, in_producer);
            if (slice_equals_text(id, call->id)) {
                return call;
            }
        }
    }
    return NULL;
}

bool requests_on_reply(struct raftmq_client *client, const struct command *command)
{
    struct slice properties;
    struct slice id;
    if (!command_find(command, "properties", &properties) ||
        !properties_find(properties, PROPERTY_CORRELATION_ID, &id)) {
        return false;
    }
    struct request_call *call = find_call(client, id);
    if (call == NULL || !read_reply(command, &call->received)) {
        return false;
    }
    error_none(&call->error);
    end_call(call);
    return true;
}

/* A push has a message's fields in its header: put together as brokers store it, and read. */
static bool read_reply(const struct command *command, struct received *received)
{
    struct message message = {.body = command->body};
    struct slice host;
    struct buf encoded = {0};
    if (command_text(command, "topic", TOPIC_NAME_DERIVED_MAX, &message.topic) != STATUS_OK ||
        command_text(command, "properties", MESSAGE_PROPERTIES_MAX, &message.properties) !=
            STATUS_OK ||
        command_i32(command, "queueId", false, &message.queue_id) != STATUS_OK ||
        command_i32(command, "flag", false, &message.flag) != STATUS_OK ||
        command_i32(command, "sysFlag", false, &message.sys_flag) != STATUS_OK ||
        command_i64(command, "bornTimestamp", false, &message.born_time_ms) != STATUS_OK ||
        command_i64(command, "storeTimestamp", false, &message.store_time_ms) != STATUS_OK) {
        return false;
    }
    if (command_find(command, "bornHost", &host) &&
        host_parse(host, &message.born_host) != STATUS_OK) {
        message.born_host = (struct host){0};
    }
    message.sys_flag &= SYS_FLAG_COMPRESSED; // The rest is about how a message is stored.
    message_encode(&message, &encoded);
    struct slice rest = buf_slice(&encoded);
    bool read = received_decode(&rest, (struct slice){0}, received) == STATUS_OK;
    buf_close(&encoded);
    return read;
}

/* The properties of a reply; false if the message does not ask for one. */
static bool answer_properties(const struct raftmq_received *request, struct slice unique_key,
                              struct buf *out)
{
    static const char *const copied[] = {PROPERTY_CORRELATION_ID, PROPERTY_REPLY_TO_CLIENT,
                                         PROPERTY_TTL};
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        const char *value = raftmq_received_property(request, copied[i]);
        if (value != NULL) {
            properties_append(out, 0, copied[i], slice_text(value));
        } else if (strcmp(copied[i], PROPERTY_TTL) != 0) {
            return false;
        }
    }
    properties_append(out, 0, PROPERTY_MESSAGE_TYPE, slice_text(MESSAGE_TYPE_REPLY));
    properties_append(out, 0, PROPERTY_UNIQUE_KEY, unique_key);
    return true;
}

enum raftmq_status raftmq_answer(struct raftmq_producer *producer,
                                 const struct raftmq_received *request, const void *body,
                                 size_t body_size, uint64_t timeout_ms, struct raftmq_error *error)
{
    struct raftmq_client *client = producer->client;
    char id[1][UNIQUE_KEY_SIZE];
    struct buf properties = {0};
    struct buf topic = {0};
    struct buf scratch = {0};
    struct reply reply = {0};
    const char *cluster = raftmq_received_property(request, PROPERTY_CLUSTER);
    if (body_size > MESSAGE_BODY_MAX || (body == NULL && body_size > 0)) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "the body is larger than %d bytes",
                         MESSAGE_BODY_MAX);
    }
    if (!client_admit_send(client, 1, id)) {
        return error_of_status(error, STATUS_OVERLOADED);
    }
    enum raftmq_status status;
    if (cluster == NULL ||
        !answer_properties(request, slice_of(id[0], UNIQUE_KEY_SIZE), &properties)) {
        status =
            error_set(error, RAFTMQ_INVALID_ARGUMENT, "nobody waits for a reply to this message");
    } else {
        struct command command;
        buf_printf(&topic, "%s" REPLY_TOPIC_SUFFIX, cluster);
        const struct outgoing outgoing = {
            .group = name_slice(&producer->group),
            .topic = buf_slice(&topic),
            .broker = slice_text(request->broker),
            .born_ms = (int64_t)clock_wall_ms(client->clock),
            .properties = buf_slice(&properties),
            .body = slice_of(body, body_size),
            .reply = true,
        };
        outgoing_request(&outgoing, &scratch, &command);
        // By the broker that had the request: its sender is connected there.
        status = invoke_broker(client, slice_text(request->topic), slice_text(request->broker),
                               &command, timeout_ms, NULL, &reply, error);
    }
    client_release_send(client);
    reply_close(&reply);
    buf_close(&scratch);
    buf_close(&topic);
    buf_close(&properties);
    return status;
}
