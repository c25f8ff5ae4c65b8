#include "broker/core/request.h"

#include "broker/core/broker.h"
#include "common/remoting/extension.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void request_add_i64(struct request *request, const char *name, int64_t value)
{
    size_t room = sizeof request->scratch - request->scratch_size;
    char *at = request->scratch + request->scratch_size;
    int size = snprintf(at, room, "%" PRId64, value);
    ASSERT(size > 0 && (size_t)size < room);
    request->scratch_size += (size_t)size;
    command_add(&request->response, name, slice_of(at, (size_t)size));
}

void request_add_text(struct request *request, const char *name, struct slice value)
{
    command_add(&request->response, name, value);
}

enum status request_fail(struct request *request, enum status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(request->remark, sizeof request->remark, format, args);
    va_end(args);
    return status;
}

void reply_init(struct command *response, const struct reply_to *to, int32_t code)
{
    struct command request;
    request.code = to->code;
    request.opaque = to->opaque;
    request.flag = 0;
    request.serialize_type = (enum serialize_type)to->serialize_type;
    command_init_response(response, &request, code);
}

void broker_reply(struct broker *broker, const struct reply_to *to, struct command *response)
{
    if (to->oneway) {
        return;
    }
    struct channel *channel = channels_find(&broker->channels, to->channel_id);
    struct buf *out = channel == NULL ? NULL : channel_out(&broker->channels, channel);
    if (out == NULL) {
        return;
    }
    if (response->body.size > FRAME_SIZE_MAX - HEADER_SIZE_MAX) {
        // A larger frame would break the connection, and with it all that share it.
        broker_reply_status(broker, to, STATUS_INTERNAL, "the answer is larger than a frame");
        return;
    }
    command_encode(response, out);
    channel_flush(&broker->channels, channel);
}

void broker_reply_status(struct broker *broker, const struct reply_to *to, enum status status,
                         const char *remark)
{
    struct command response;
    struct host leader;
    struct buf hint = {0};
    reply_init(&response, to, status_response_code(status));
    response.remark =
        slice_text(remark != NULL && remark[0] != '\0' ? remark : status_text(status));
    bool elsewhere = status == STATUS_NOT_LEADER || status == STATUS_NO_LEADER;
    if (elsewhere && !broker_leads(broker) && broker_leader_host(broker, &leader)) {
        host_format(leader, &hint);
        command_add(&response, FIELD_LEADER_HINT, buf_slice(&hint));
    }
    if (status != STATUS_OK) {
        broker->counters.requests_refused++;
    }
    broker_reply(broker, to, &response);
    buf_close(&hint);
}

void reply_with_status(struct broker *broker, const struct waiter *waiter,
                       const struct operation *operation, const struct operation_result *result)
{
    (void)operation;
    if (result->status != STATUS_OK) {
        broker_reply_status(broker, &waiter->to, result->status, NULL);
        return;
    }
    struct command response;
    reply_init(&response, &waiter->to, 0);
    broker_reply(broker, &waiter->to, &response);
}

void reply_deleted(struct broker *broker, const struct waiter *waiter,
                   const struct operation *operation, const struct operation_result *result)
{
    struct operation_result outcome = {.status = result->status};
    if (outcome.status == STATUS_TOPIC_UNKNOWN || outcome.status == STATUS_GROUP_UNKNOWN ||
        outcome.status == STATUS_NOT_FOUND) {
        outcome.status = STATUS_OK;
    }
    reply_with_status(broker, waiter, operation, &outcome);
}
