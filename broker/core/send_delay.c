#include "broker/core/send_delay.h"

#include "common/base/decimal.h"
#include "common/remoting/properties.h"

#include <stdlib.h>

/* What the properties say, each empty if absent. */
struct wishes {
    struct slice level;
    struct slice delay_sec;
    struct slice delay_ms;
    struct slice deliver_ms;
    struct slice out_ms;
};

/* One pass instead of a search per name: this is the hot path. */
static void collect(struct slice properties, struct wishes *wishes)
{
    struct slice name;
    struct slice value;
    *wishes = (struct wishes){0};
    while (properties_next(&properties, &name, &value)) {
        if (name.data[0] != 'D' && name.data[0] != 'T') {
            continue;
        }
        if (slice_equals_text(name, PROPERTY_DELAY)) {
            wishes->level = value;
        } else if (slice_equals_text(name, PROPERTY_TIMER_DELAY_SEC)) {
            wishes->delay_sec = value;
        } else if (slice_equals_text(name, PROPERTY_TIMER_DELAY_MS)) {
            wishes->delay_ms = value;
        } else if (slice_equals_text(name, PROPERTY_TIMER_DELIVER_MS)) {
            wishes->deliver_ms = value;
        } else if (slice_equals_text(name, PROPERTY_TIMER_OUT_MS)) {
            wishes->out_ms = value;
        }
    }
}

static bool wants_timer(const struct wishes *wishes)
{
    // A message that has its end from a broker was delayed before: it is passed on, not delayed.
    return wishes->out_ms.size == 0 &&
           (wishes->delay_sec.size > 0 || wishes->delay_ms.size > 0 || wishes->deliver_ms.size > 0);
}

static enum status timer_read(const struct settings *settings, const struct wishes *wishes,
                              uint64_t now_ms, struct send_delay *out)
{
    bool in_seconds = wishes->delay_sec.size > 0;
    bool absolute = !in_seconds && wishes->delay_ms.size == 0;
    struct slice text = in_seconds ? wishes->delay_sec
                        : absolute ? wishes->deliver_ms
                                   : wishes->delay_ms;
    int64_t value;
    if (!settings->timers_enabled) {
        out->trouble = "timer messages are switched off (timerWheelEnable)";
        return STATUS_INTERNAL;
    }
    if (!decimal_parse(text, &value)) {
        out->trouble = "TIMER_DELAY_SEC, TIMER_DELAY_MS and TIMER_DELIVER_MS are whole numbers";
        return STATUS_MESSAGE_ILLEGAL;
    }
    if (value <= 0 || (absolute && (uint64_t)value <= now_ms)) {
        return STATUS_OK; // Due already.
    }
    uint64_t left = absolute ? (uint64_t)value - now_ms : (uint64_t)value;
    uint64_t left_max = settings->timer_delay_max_ms / (in_seconds ? 1000 : 1);
    if (left > left_max) {
        out->trouble = "the delay is longer than timerMaxDelaySec allows";
        return STATUS_MESSAGE_ILLEGAL;
    }
    left *= in_seconds ? 1000 : 1;
    out->delay = (struct delay){absolute ? (uint64_t)value : left, absolute};
    out->out_ms = now_ms + left;
    return STATUS_OK;
}

enum status send_delay_read(const struct settings *settings, struct slice properties,
                            uint64_t now_ms, struct send_delay *out)
{
    struct wishes wishes;
    collect(properties, &wishes);
    *out = (struct send_delay){0};
    if (wishes.level.size > 0 && !decimal_parse(wishes.level, &out->level)) {
        out->trouble = "DELAY is the number of a level";
        return STATUS_MESSAGE_ILLEGAL;
    }
    if (out->level > 0) {
        out->delay.ms = delay_level_ms(&settings->delay_levels, out->level);
        return STATUS_OK;
    }
    out->level = 0;
    return wants_timer(&wishes) ? timer_read(settings, &wishes, now_ms, out) : STATUS_OK;
}

bool send_delay_asked(struct slice properties)
{
    struct wishes wishes;
    collect(properties, &wishes);
    return (wishes.level.size > 0 && !slice_equals_text(wishes.level, "0")) || wants_timer(&wishes);
}

size_t send_delay_unwanted(const struct send_delay *delay, const char **names)
{
    size_t count = 0;
    if (delay->delay.ms == 0) {
        return 0;
    }
    names[count++] = PROPERTY_REAL_TOPIC;
    names[count++] = PROPERTY_REAL_QUEUE_ID;
    names[count++] = PROPERTY_TIMER_OUT_MS;
    if (delay->level > 0) {
        names[count++] = PROPERTY_TIMER_DELAY_SEC;
        names[count++] = PROPERTY_TIMER_DELAY_MS;
        names[count++] = PROPERTY_TIMER_DELIVER_MS;
    }
    ASSERT(count <= SEND_DELAY_NAMES_MAX);
    return count;
}

void send_delay_append(const struct send_delay *delay, struct slice topic, int32_t queue_id,
                       struct buf *properties)
{
    char text[DECIMAL_SIZE_MAX];
    properties_append(properties, 0, PROPERTY_REAL_TOPIC, topic);
    size_t size = decimal_format(queue_id, text);
    properties_append(properties, 0, PROPERTY_REAL_QUEUE_ID, slice_of(text, size));
    if (delay->out_ms > 0) {
        size = decimal_format((int64_t)delay->out_ms, text);
        properties_append(properties, 0, PROPERTY_TIMER_OUT_MS, slice_of(text, size));
    }
}
