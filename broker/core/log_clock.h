/* The time that the log goes by: the leader's wall clock, made steady.
 *
 * What is due is due in this time, so a wall clock that was wrong for a while must not keep
 * check-backs waiting once it is right again. Where the log is ahead of the wall clock its time
 * goes on half as fast, until the wall clock has caught up. For leaders; pure, loop thread only. */
#ifndef BROKER_CORE_LOG_CLOCK_H
#define BROKER_CORE_LOG_CLOCK_H

#include "common/base/clock.h"

#include <stdint.h>

struct log_clock {
    const struct clock *clock;
    uint64_t log_ms;   /* The log's time when it was last seen to be ahead of ours; 0: never. */
    uint64_t since_ms; /* Monotonic time of that. */
};

/* Borrows clock. */
void log_clock_init(struct log_clock *log_clock, const struct clock *clock);

/* The machine's clock stands at log_ms: call after each entry. */
void log_clock_saw(struct log_clock *log_clock, uint64_t log_ms);

/* Milliseconds since the epoch, as the log has it. */
uint64_t log_clock_now_ms(const struct log_clock *log_clock);

#endif
