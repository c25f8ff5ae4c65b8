/* Time as an object one is given, so that tests and the simulator can turn its hands. */
#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    /* Milliseconds of a clock that never goes back; its zero means nothing. */
    uint64_t (*monotonic_ms)(void *context);
    /* Milliseconds since the epoch; may jump. */
    uint64_t (*wall_ms)(void *context);
    void *context;
};

/* The machine's clocks. Static, shared by all, thread-safe. */
const struct clock *clock_system(void);

static inline uint64_t clock_monotonic_ms(const struct clock *clock)
{
    return clock->monotonic_ms(clock->context);
}

static inline uint64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock->context);
}

/* Nanoseconds of the monotonic clock, for measuring only. */
uint64_t clock_measure_ns(void);

#endif
