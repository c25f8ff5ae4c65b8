/* How much goes through this replica a second: sums of the last minute, hour and day, by topic, by
 * consumer group, and of the broker as a whole.
 *
 * Soft state of whoever serves: the leader counts what becomes visible, whoever answers a pull what
 * it delivers. Loop thread only. Source: StatsItem, BrokerStatsManager, StoreStatsService. */
#ifndef BROKER_CORE_RATES_H
#define BROKER_CORE_RATES_H

#include "common/base/map.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    RATES_MAX = 16384, /* Keys; one more is not counted. Some 700 bytes each. */
    RATE_KEY_MAX = 511,
};

enum rate_kind {
    RATE_TOPIC_PUT_NUMS, /* Key: topic */
    RATE_TOPIC_PUT_SIZE,
    RATE_GROUP_GET_NUMS, /* Key: topic@group */
    RATE_GROUP_GET_SIZE,
    RATE_BROKER_PUT_NUMS, /* Key: cluster */
    RATE_BROKER_GET_NUMS,
    RATE_PULLS_FOUND, /* Key: cluster; not RocketMQ's names from here on. */
    RATE_PULLS_MISSED,
};

struct rates {
    struct map by_key;
    uint64_t sampled_ms; /* Monotonic time of the last sample; 0: none yet. */
    uint64_t samples;    /* How many were taken, one every ten seconds. */
};

struct rate_sum {
    uint64_t sum;
    uint64_t times;
    double per_second;
};

struct rate_view {
    struct rate_sum ten_seconds;
    struct rate_sum minute;
    struct rate_sum ten_minutes;
    struct rate_sum hour;
    struct rate_sum day;
};

/* Totals as a day (UTC) began: of this process, or as it started. */
struct day_totals {
    uint64_t day; /* Days since 1970; 0: none was seen yet. */
    uint64_t put_today;
    uint64_t put_yesterday;
    uint64_t got_today;
    uint64_t got_yesterday;
};

/* Another day? Then keep the totals it begins with. */
void day_totals_tick(struct day_totals *totals, uint64_t wall_ms, uint64_t put, uint64_t got);

void rates_close(struct rates *rates);

/* Count something once. Copies key. */
void rates_add(struct rates *rates, enum rate_kind kind, struct slice key, uint64_t amount);

/* As of the last sample. False if nothing of it was counted in the last day. */
bool rates_find(const struct rates *rates, enum rate_kind kind, struct slice key,
                struct rate_view *view);

/* Take a sample when it is time; forgets what stood still for a day. */
void rates_tick(struct rates *rates, uint64_t now_ms);

#endif
