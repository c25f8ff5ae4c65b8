/* The delay that a client asks for in the properties of a message.
 *
 * DELAY names a level and wins over TIMER_DELAY_SEC, that over TIMER_DELAY_MS, that over
 * TIMER_DELIVER_MS. Pure. Source: HookUtils.handleScheduleMessage, transformTimerMessage. */
#ifndef BROKER_CORE_SEND_DELAY_H
#define BROKER_CORE_SEND_DELAY_H

#include "broker/core/settings.h"
#include "broker/machine/operation.h"
#include "common/base/status.h"

enum { SEND_DELAY_NAMES_MAX = 6 };

struct send_delay {
    struct delay delay;  /* ms 0: deliver at once. */
    int64_t level;       /* Of DELAY; 0: none. */
    uint64_t out_ms;     /* When a timer ends, by now_ms, or a little later; 0: no timer. */
    const char *trouble; /* On error: what is wrong, for the client. */
};

/* Read what is asked for; now_ms is the time of the log.
 * Errors: STATUS_MESSAGE_ILLEGAL  no number, or longer than timerMaxDelaySec;
 *         STATUS_INTERNAL         timers are switched off. */
WARN_UNUSED enum status send_delay_read(const struct settings *settings, struct slice properties,
                                        uint64_t now_ms, struct send_delay *out);

/* Does the message ask for any delay at all? */
bool send_delay_asked(struct slice properties);

/* Names of properties that are not stored as the client sent them, because of the delay: into names
 * (of SEND_DELAY_NAMES_MAX places); how many. */
size_t send_delay_unwanted(const struct send_delay *delay, const char **names);

/* Append what a hidden message carries besides: where it belongs, and when its timer ends. */
void send_delay_append(const struct send_delay *delay, struct slice topic, int32_t queue_id,
                       struct buf *properties);

#endif
