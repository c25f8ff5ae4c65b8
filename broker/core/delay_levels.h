/* The table of delay levels: what DELAY=1, 2, 3 … mean. Pure.
 * Source: ScheduleMessageService.parseDelayLevel. */
#ifndef BROKER_CORE_DELAY_LEVELS_H
#define BROKER_CORE_DELAY_LEVELS_H

#include "common/base/slice.h"

enum { DELAY_LEVELS_MAX = 64 };

struct delay_levels {
    uint32_t count; /* At least 1. */
    uint64_t ms[DELAY_LEVELS_MAX];
};

/* RocketMQ's own, as messageDelayLevel would say it. */
#define DELAY_LEVELS_USUAL "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"

/* Numbers with a unit (s, m, h, d), separated by spaces; none is 0 or longer than DELAY_MAX_MS.
 * False if it is anything else. */
bool delay_levels_parse(struct slice text, struct delay_levels *levels);

/* The delay of a level from 1 on; a level above the table is the highest one. */
uint64_t delay_level_ms(const struct delay_levels *levels, int64_t level);

#endif
