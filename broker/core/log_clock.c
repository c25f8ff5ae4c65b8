#include "broker/core/log_clock.h"

enum { CATCH_UP_DIVISOR = 2 };

void log_clock_init(struct log_clock *log_clock, const struct clock *clock)
{
    *log_clock = (struct log_clock){.clock = clock, .since_ms = clock_monotonic_ms(clock)};
}

static uint64_t passed_ms(const struct log_clock *log_clock)
{
    return clock_monotonic_ms(log_clock->clock) - log_clock->since_ms;
}

void log_clock_saw(struct log_clock *log_clock, uint64_t log_ms)
{
    // The leader's own entries, stamped with slowed time, must not make it any slower.
    if (log_ms > log_clock->log_ms + passed_ms(log_clock) / CATCH_UP_DIVISOR) {
        log_clock->log_ms = log_ms;
        log_clock->since_ms = clock_monotonic_ms(log_clock->clock);
    }
}

uint64_t log_clock_now_ms(const struct log_clock *log_clock)
{
    uint64_t wall_ms = clock_wall_ms(log_clock->clock);
    uint64_t slowed_ms = log_clock->log_ms + passed_ms(log_clock) / CATCH_UP_DIVISOR;
    return wall_ms > slowed_ms ? wall_ms : slowed_ms;
}
