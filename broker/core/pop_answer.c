#include "broker/core/pop_answer.h"

#include "broker/core/delivered.h"
#include "common/remoting/codes.h"
#include "common/remoting/message.h"
#include "common/remoting/properties.h"

#include <inttypes.h>
#include <stdlib.h>

/* An answer whose messages are being read. */
struct pop_reading {
    struct reply_to to;
    struct name group;
    struct name topic;
    uint64_t pop_ms;
    uint64_t invisible_ms;
    struct pop_choice choice;
};

static const char *remark_of(int32_t code)
{
    switch (code) {
    case RESPONSE_SUCCESS:
        return "FOUND";
    case RESPONSE_POLLING_FULL:
        return "too many consumers wait here already";
    case RESPONSE_POLLING_TIMEOUT:
        return "no message came in time";
    default:
        return "no message";
    }
}

/* RocketMQ's clients want the numbers in every answer, and both lists or none. */
static void send(struct broker *broker, const struct reply_to *to, int32_t code,
                 const struct pop_reading *reading, uint64_t rest, struct slice body)
{
    enum { NUMBERS_SIZE = 4 * 24 };
    struct command response;
    struct buf numbers = {0};
    struct buf start = {0};
    struct buf offsets = {0};
    buf_reserve(&numbers, NUMBERS_SIZE);
    reply_init(&response, to, code);
    response.remark = slice_text(remark_of(code));
    command_add_i64(&response, "popTime", reading == NULL ? 0 : (int64_t)reading->pop_ms, &numbers);
    command_add_i64(&response, "invisibleTime",
                    reading == NULL ? 0 : (int64_t)reading->invisible_ms, &numbers);
    command_add_i64(&response, "reviveQid", 0, &numbers);
    command_add_i64(&response, "restNum", (int64_t)rest, &numbers);
    if (reading != NULL && reading->pop_ms > 0) {
        const struct pop_choice *choice = &reading->choice;
        buf_printf(&start, "0 %d %" PRId64, choice->queue_id, choice->messages[0].ref.queue_offset);
        buf_printf(&offsets, "0 %d ", choice->queue_id);
        for (uint32_t i = 0; i < choice->count; i++) {
            buf_printf(&offsets, "%s%" PRId64, i == 0 ? "" : ",",
                       choice->messages[i].ref.queue_offset);
        }
        command_add(&response, "startOffsetInfo", buf_slice(&start));
        command_add(&response, "msgOffsetInfo", buf_slice(&offsets));
    }
    response.body = body;
    broker_reply(broker, to, &response);
    buf_close(&numbers);
    buf_close(&start);
    buf_close(&offsets);
}

static void tell(struct broker *broker, const struct pop *pop, bool some, bool full)
{
    struct command response;
    reply_init(&response, &pop->to, RESPONSE_SUCCESS);
    command_add(&response, "hasMsg", slice_text(some ? "true" : "false"));
    command_add(&response, "pollingFull", slice_text(full ? "true" : "false"));
    broker_reply(broker, &pop->to, &response);
}

void pop_answer_none(struct broker *broker, const struct pop *pop, int32_t code)
{
    if (pop->purpose == POP_TO_TELL) {
        tell(broker, pop, false, code == RESPONSE_POLLING_FULL);
    } else {
        send(broker, &pop->to, code, NULL, 0, slice_of(NULL, 0));
    }
}

void pop_answer_some(struct broker *broker, const struct pop *pop)
{
    tell(broker, pop, true, false);
}

/* A message that comes again says how often it came, and when it first did. */
static void put_repeated(struct slice bytes, const struct pop_message *repeated, struct buf *out)
{
    struct message message;
    size_t size;
    struct buf properties = {0};
    struct buf number = {0};
    bool whole = message_decode(bytes, &message, &size) == STATUS_OK && size == bytes.size;
    ASSERT(whole); // The reader has seen to that.
    buf_printf(&number, "%" PRIu64, repeated->first_pop_ms);
    buf_put_slice(&properties, message.properties);
    properties_append(&properties, 0, PROPERTY_FIRST_POP_TIME, buf_slice(&number));
    if (properties.size <= MESSAGE_PROPERTIES_MAX) {
        message.properties = buf_slice(&properties);
    }
    uint32_t times = (uint32_t)message.reconsume_times + repeated->repeats;
    message.reconsume_times = times > INT32_MAX ? INT32_MAX : (int32_t)times;
    message_encode(&message, out);
    buf_close(&properties);
    buf_close(&number);
}

static uint64_t rest_of(const struct broker *broker, const struct pop_reading *reading)
{
    const struct queue *queue =
        machine_queue_find(broker->machine, name_slice(&reading->topic), reading->choice.queue_id);
    return queue == NULL || queue->offset_next < reading->choice.next
               ? 0
               : (uint64_t)(queue->offset_next - reading->choice.next);
}

static void on_read(struct broker *broker, void *context, enum status status, uint8_t *data,
                    size_t size)
{
    struct pop_reading *reading = context;
    struct buf body = {0};
    size_t at = 0;
    if (status == STATUS_OK) {
        buf_reserve(&body, size);
        for (uint32_t i = 0; i < reading->choice.count; i++) {
            const struct pop_message *message = &reading->choice.messages[i];
            struct slice bytes = slice_of(data + at, message->ref.entry.size);
            if (message->repeats > 0) {
                put_repeated(bytes, message, &body);
            } else {
                buf_put_slice(&body, bytes);
            }
            at += bytes.size;
        }
        if (reading->pop_ms > 0) {
            delivered_count(broker, name_slice(&reading->group), name_slice(&reading->topic),
                            reading->choice.count, body.size);
        }
        broker->counters.messages_out += reading->choice.count;
        broker->counters.bytes_out += body.size;
        send(broker, &reading->to, RESPONSE_SUCCESS, reading, rest_of(broker, reading),
             buf_slice(&body));
    } else if (status == STATUS_NOT_FOUND) {
        send(broker, &reading->to, RESPONSE_PULL_NOT_FOUND, NULL, 0, slice_of(NULL, 0)); // Cut.
    } else {
        broker_reply_status(broker, &reading->to, status, NULL);
    }
    buf_close(&body);
    free(reading);
}

void pop_answer(struct broker *broker, const struct pop *pop, const struct pop_choice *choice,
                uint64_t pop_ms)
{
    struct message_ref refs[POP_OFFSETS_MAX];
    struct pop_reading *reading = mem_alloc(sizeof *reading);
    ASSERT(choice->count > 0);
    reading->to = pop->to;
    reading->group = pop->group;
    reading->topic = pop->topic;
    reading->pop_ms = pop_ms;
    reading->invisible_ms = pop_ms > 0 ? pop->invisible_ms : 0;
    reading->choice = *choice;
    for (uint32_t i = 0; i < choice->count; i++) {
        refs[i] = choice->messages[i].ref;
    }
    read_messages(broker, refs, choice->count, on_read, reading);
}
