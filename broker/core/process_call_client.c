/* What a tool asks of one client: how it runs (307), that it consumes a message again (309).
 *
 * The client's answer goes back as it is: its body is in the dialect of the client's version, and
 * the tool's business. Source: AdminBrokerProcessor. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "broker/core/reader.h"
#include "common/remoting/codes.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CODE_CONSUME_TIMEOUT = 207,
    VERSION_ANSWERS = 62, /* V3_1_8_SNAPSHOT: clients before have no answer. */
};

/* The client that a request names; NULL, and why. */
static struct channel *named_client(struct broker *broker, struct request *request,
                                    enum status *status)
{
    struct slice group_name;
    struct slice id = {0};
    *status = command_text(request->command, "consumerGroup", GROUP_NAME_MAX, &group_name);
    if (*status == STATUS_OK) {
        *status = command_text(request->command, "clientId", CLIENT_ID_MAX, &id);
    }
    if (*status != STATUS_OK) {
        return NULL;
    }
    struct channel *channel =
        client_group_find(channels_group(&broker->channels, MEMBER_CONSUMER, group_name), id);
    if (channel == NULL) {
        *status = request_fail(request, STATUS_INTERNAL,
                               "no consumer %.*s of group %.*s is connected to %s", SLICE_ARGS(id),
                               SLICE_ARGS(group_name), broker->group->name.text);
    } else if (channel->version < VERSION_ANSWERS) {
        *status =
            request_fail(request, STATUS_INTERNAL,
                         "the client's version, %d, is too low to be asked", channel->version);
        channel = NULL;
    }
    return channel;
}

static void on_answered(struct broker *broker, void *context, enum status status,
                        const struct command *answer)
{
    struct reply_to *to = context;
    struct command response;
    if (answer != NULL) {
        response = *answer;
        response.opaque = to->opaque;
        response.serialize_type = (enum serialize_type)to->serialize_type;
    } else {
        reply_init(&response, to,
                   status == STATUS_TIMED_OUT ? CODE_CONSUME_TIMEOUT
                                              : status_response_code(status));
        response.remark = slice_text(status_text(status));
    }
    broker_reply(broker, to, &response);
    free(to);
}

/* Pass a request on; what the client answers is the answer. */
static enum status pass_on(struct broker *broker, const struct reply_to *to,
                           struct channel *channel, struct command *request)
{
    struct reply_to *kept = mem_alloc(sizeof *kept);
    *kept = *to;
    enum status status = client_call(&broker->client_calls, channel, request, on_answered, kept);
    if (status != STATUS_OK) {
        free(kept);
    }
    return status == STATUS_OK ? STATUS_PENDING : status;
}

enum status process_running_info(struct broker *broker, struct request *request)
{
    enum status status;
    struct channel *channel = named_client(broker, request, &status);
    if (channel == NULL) {
        return status;
    }
    static const char *const names[] = {"consumerGroup", "clientId", "jstackEnable"};
    struct command call;
    command_init_request(&call, REQUEST_GET_CONSUMER_RUNNING_INFO, 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct slice value;
        if (command_find(request->command, names[i], &value)) {
            command_add(&call, names[i], value);
        }
    }
    return pass_on(broker, &request->to, channel, &call);
}

/* --- Consuming a message again -------------------------------------------------------------- */

/* While the message is read. */
struct consume_call {
    struct reply_to to;
    uint64_t channel_id;
    uint64_t position;
    struct name group;
    struct name client_id;
    char id[OFFSET_MESSAGE_ID_SIZE];
};

static enum status consume(struct broker *broker, const struct consume_call *call,
                           struct slice stored)
{
    struct message message;
    size_t used;
    char topic_flag[16];
    char group_flag[16];
    if (message_decode(stored, &message, &used) != STATUS_OK ||
        !message_visible(broker, &message)) {
        return STATUS_NOT_FOUND;
    }
    struct channel *channel = channels_find(&broker->channels, call->channel_id);
    if (channel == NULL) {
        return STATUS_CONSUMER_OFFLINE;
    }
    const struct topic *topic = machine_topic_find(broker->machine, message.topic);
    const struct group *group = machine_group_find(broker->machine, name_slice(&call->group));
    snprintf(topic_flag, sizeof topic_flag, "%d", topic == NULL ? 0 : topic->sys_flag);
    snprintf(group_flag, sizeof group_flag, "%d", group == NULL ? 0 : group->config.sys_flag);
    struct command request;
    command_init_request(&request, REQUEST_CONSUME_MESSAGE_DIRECTLY, 0);
    command_add(&request, "consumerGroup", name_slice(&call->group));
    command_add(&request, "clientId", name_slice(&call->client_id));
    command_add(&request, "msgId", slice_of(call->id, sizeof call->id));
    command_add(&request, "brokerName", name_slice(&broker->group->name));
    command_add(&request, "topic", message.topic);
    command_add(&request, "topicSysFlag", slice_text(topic_flag));
    command_add(&request, "groupSysFlag", slice_text(group_flag));
    request.body = stored;
    return pass_on(broker, &call->to, channel, &request);
}

static void on_message_read(struct broker *broker, void *context, enum status status, uint8_t *data,
                            size_t size)
{
    struct consume_call *call = context;
    if (status == STATUS_OK) {
        status = consume(broker, call, slice_of(data, size));
    }
    if (status != STATUS_PENDING) {
        broker_reply_status(broker, &call->to,
                            status == STATUS_NOT_FOUND ? STATUS_INTERNAL : status,
                            status == STATUS_NOT_FOUND ? "no message has that id" : NULL);
    }
    free(call);
}

enum status process_consume_directly(struct broker *broker, struct request *request)
{
    enum status status;
    struct slice id;
    struct slice text;
    struct host host;
    int64_t position;
    struct channel *channel = named_client(broker, request, &status);
    if (channel == NULL) {
        return status;
    }
    if (command_text(request->command, "msgId", OFFSET_MESSAGE_ID_SIZE, &id) != STATUS_OK ||
        offset_message_id_parse(id, &host, &position) != STATUS_OK || position < 0) {
        return request_fail(request, STATUS_INVALID_ARGUMENT,
                            "msgId must be the %d digits of an offset message id",
                            OFFSET_MESSAGE_ID_SIZE);
    }
    struct consume_call *call = mem_zalloc(sizeof *call);
    call->to = request->to;
    call->channel_id = channel->id;
    call->position = (uint64_t)position;
    memcpy(call->id, id.data, sizeof call->id);
    command_find(request->command, "consumerGroup", &text);
    bool named = name_set(&call->group, text);
    command_find(request->command, "clientId", &text);
    named = name_set(&call->client_id, text) && named;
    ASSERT(named);
    read_position(broker, call->position, on_message_read, call);
    return STATUS_PENDING;
}
