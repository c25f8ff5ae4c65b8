#include "broker/core/send_header.h"

#include "common/remoting/codes.h"

#include <stdlib.h>

/* What each field is called in V1; the letters of V2 are 'a' and on, in the same order. */
enum send_field {
    FIELD_PRODUCER_GROUP,
    FIELD_TOPIC,
    FIELD_DEFAULT_TOPIC,
    FIELD_DEFAULT_QUEUES,
    FIELD_QUEUE_ID,
    FIELD_SYS_FLAG,
    FIELD_BORN_TIME,
    FIELD_FLAG,
    FIELD_PROPERTIES,
    FIELD_RECONSUME_TIMES,
    FIELD_UNIT_MODE,
    FIELD_MAX_RECONSUME_TIMES,
    FIELD_BATCH,
    FIELD_COUNT,
};

static const char *const v1_names[FIELD_COUNT] = {
    "producerGroup", "topic",          "defaultTopic",  "defaultTopicQueueNums",
    "queueId",       "sysFlag",        "bornTimestamp", "flag",
    "properties",    "reconsumeTimes", "unitMode",      "maxReconsumeTimes",
    "batch",
};

/* One pass over the fields instead of a search per name: this is the hot path. */
static void collect_v2(const struct command *command, struct slice *values)
{
    for (uint32_t i = 0; i < command->field_count; i++) {
        const struct field *field = &command->fields[i];
        if (field->name.size == 1 && field->name.data[0] >= 'a' &&
            field->name.data[0] < 'a' + FIELD_COUNT) {
            values[field->name.data[0] - 'a'] = field->value;
        }
    }
}

static void collect_v1(const struct command *command, struct slice *values)
{
    for (int i = 0; i < FIELD_COUNT; i++) {
        struct slice value;
        if (command_find(command, v1_names[i], &value)) {
            values[i] = value;
        }
    }
}

/* Decimal with an optional minus; false if it is none or beyond 64 bits. */
static bool number_of(struct slice text, int64_t *value)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    size_t at = negative ? 1 : 0;
    uint64_t sum = 0;
    if (at == text.size || text.size - at > 18) {
        return false;
    }
    for (; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9') {
            return false;
        }
        sum = sum * 10 + (uint64_t)(text.data[at] - '0');
    }
    *value = negative ? -(int64_t)sum : (int64_t)sum;
    return true;
}

static bool small_number_of(struct slice text, int32_t *value)
{
    int64_t wide = 0;
    if (!number_of(text, &wide) || wide < INT32_MIN || wide > INT32_MAX) {
        return false;
    }
    *value = (int32_t)wide;
    return true;
}

static bool optional_number_of(struct slice text, int32_t fallback, int32_t *value)
{
    *value = fallback;
    return text.size == 0 || small_number_of(text, value);
}

enum status send_header_decode(const struct command *command, struct send_header *header)
{
    struct slice values[FIELD_COUNT] = {0};
    if (command->code == REQUEST_SEND_MESSAGE || command->code == REQUEST_SEND_REPLY_MESSAGE) {
        collect_v1(command, values);
    } else {
        collect_v2(command, values);
    }
    *header = (struct send_header){
        .producer_group = values[FIELD_PRODUCER_GROUP],
        .topic = values[FIELD_TOPIC],
        .default_topic = values[FIELD_DEFAULT_TOPIC],
        .properties = values[FIELD_PROPERTIES],
        .batch = slice_equals_text(values[FIELD_BATCH], "true"),
    };
    bool ok =
        header->producer_group.size > 0 &&
        optional_number_of(values[FIELD_DEFAULT_QUEUES], 0, &header->default_queue_count) &&
        small_number_of(values[FIELD_QUEUE_ID], &header->queue_id) &&
        small_number_of(values[FIELD_SYS_FLAG], &header->sys_flag) &&
        number_of(values[FIELD_BORN_TIME], &header->born_time_ms) &&
        small_number_of(values[FIELD_FLAG], &header->flag) &&
        optional_number_of(values[FIELD_RECONSUME_TIMES], 0, &header->reconsume_times) &&
        optional_number_of(values[FIELD_MAX_RECONSUME_TIMES], -1, &header->max_reconsume_times);
    return ok ? STATUS_OK : STATUS_FIELD_MISSING;
}
