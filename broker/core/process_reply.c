/* SEND_REPLY_MESSAGE (324, 325): the answer to a message that its sender waits for.
 *
 * The message named its sender's client id; the broker pushes the reply to that client's connection
 * (326) and says how that went. Nothing is stored: a reply is worth something to one waiting call
 * and for as long as it waits. Source: ReplyMessageProcessor. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "broker/core/send_header.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What is added to them must fit. */
enum { REPLY_PROPERTIES_MAX = MESSAGE_PROPERTIES_MAX - 64 };

struct reply_call {
    struct reply_to to;
    int32_t queue_id;
};

static void on_pushed(struct broker *broker, void *context, enum status status,
                      const struct command *answer)
{
    struct reply_call *call = context;
    const struct settings *settings = broker->settings;
    if (answer == NULL) {
        broker_reply_status(broker, &call->to, STATUS_INTERNAL,
                            status == STATUS_TIMED_OUT
                                ? "the client that waits did not acknowledge the reply in time"
                                : "the client that waits was lost");
    } else if (answer->code != 0) {
        broker_reply_status(broker, &call->to, STATUS_INTERNAL,
                            "the client that waits did not take the reply");
    } else {
        struct command response;
        char queue[16];
        snprintf(queue, sizeof queue, "%" PRId32, call->queue_id);
        reply_init(&response, &call->to, 0);
        command_add(&response, "msgId", slice_text("0"));
        command_add(&response, "queueId", slice_text(queue));
        command_add(&response, "queueOffset", slice_text("0"));
        command_add(&response, PROPERTY_REGION, name_slice(&settings->region));
        command_add(&response, PROPERTY_TRACE, slice_text(settings->trace_on ? "true" : "false"));
        broker_reply(broker, &call->to, &response);
    }
    free(call);
}

/* The fields of a push: those of the send, and where and when it came by. */
static enum status push(struct broker *broker, const struct request *request,
                        const struct send_header *header, struct channel *channel)
{
    char now[24];
    char numbers[6][24];
    struct buf hosts = {0};
    struct buf *properties = &broker->properties;
    snprintf(now, sizeof now, "%" PRIu64, clock_wall_ms(broker->ports->clock));
    buf_clear(properties);
    buf_put_slice(properties, header->properties);
    properties_append(properties, 0, PROPERTY_PUSH_REPLY_TIME, slice_text(now));
    host_format(request->channel->host, &hosts);
    size_t born_size = hosts.size;
    host_format(broker->self->client_host, &hosts);
    const int64_t values[6] = {
        header->default_queue_count, header->queue_id, header->sys_flag,
        header->born_time_ms,        header->flag,     header->reconsume_times};
    static const char *const names[6] = {"defaultTopicQueueNums", "queueId", "sysFlag",
                                         "bornTimestamp",         "flag",    "reconsumeTimes"};
    struct command command;
    command_init_request(&command, REQUEST_PUSH_REPLY_MESSAGE_TO_CLIENT, 0);
    command_add(&command, "producerGroup", header->producer_group);
    command_add(&command, "topic", header->topic);
    command_add(&command, "defaultTopic", header->default_topic);
    for (size_t i = 0; i < 6; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%" PRId64, values[i]);
        command_add(&command, names[i], slice_text(numbers[i]));
    }
    command_add(&command, "properties", buf_slice(properties));
    command_add(&command, "unitMode", slice_text("false"));
    command_add(&command, "bornHost", slice_of(hosts.data, born_size));
    command_add(&command, "storeHost", slice_from(buf_slice(&hosts), born_size));
    command_add(&command, "storeTimestamp", slice_text(now));
    command.body = request->command->body;

    struct reply_call *call = mem_alloc(sizeof *call);
    *call = (struct reply_call){request->to, header->queue_id};
    enum status status = client_call(&broker->client_calls, channel, &command, on_pushed, call);
    if (status != STATUS_OK) {
        free(call);
    }
    buf_close(&hosts);
    return status == STATUS_OK ? STATUS_PENDING : status;
}

enum status process_send_reply(struct broker *broker, struct request *request)
{
    struct send_header header;
    struct slice client;
    enum status status = send_header_decode(request->command, &header);
    if (status != STATUS_OK || header.producer_group.size > GROUP_NAME_MAX ||
        header.default_topic.size > TOPIC_NAME_DERIVED_MAX) {
        return request_fail(request, STATUS_FIELD_MISSING,
                            "a reply needs producerGroup, topic, queueId, sysFlag, bornTimestamp "
                            "and flag");
    }
    if (!topic_name_valid(header.topic)) {
        return request_fail(request, STATUS_TOPIC_INVALID, "the reply's topic has no valid name");
    }
    if (request->command->body.size > broker->settings->message_body_max ||
        header.properties.size > REPLY_PROPERTIES_MAX) {
        return request_fail(request, STATUS_MESSAGE_ILLEGAL,
                            "a reply has at most %u bytes, and %d of properties",
                            broker->settings->message_body_max, REPLY_PROPERTIES_MAX);
    }
    if (!properties_find(header.properties, PROPERTY_REPLY_TO_CLIENT, &client)) {
        return request_fail(request, STATUS_INTERNAL,
                            "a reply names the client that waits in property REPLY_TO_CLIENT");
    }
    struct channel *channel = channels_find_client(&broker->channels, client);
    if (channel == NULL) {
        return request_fail(request, STATUS_INTERNAL, "client %.*s is not connected to %s",
                            (int)(client.size < CLIENT_ID_MAX ? client.size : CLIENT_ID_MAX),
                            (const char *)client.data, broker->group->name.text);
    }
    return push(broker, request, &header, channel);
}
