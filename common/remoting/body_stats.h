/* Tables keyed by queue, whose keys are objects on the wire: TopicStatsTable (202), ConsumeStats
 * (208) and the offsets of a reset (220, 222). */
#ifndef COMMON_REMOTING_BODY_STATS_H
#define COMMON_REMOTING_BODY_STATS_H

#include "common/remoting/body.h"

enum { QUEUE_ENTRIES_MAX = 65536 }; /* In one table that is read. */

struct topic_stats_entry {
    struct queue_name queue;
    int64_t offset_min;
    int64_t offset_max;
    int64_t updated_ms; /* Store time of the newest message; 0 if unknown. */
};

struct topic_stats {
    double put_tps;
    size_t count;
    const struct topic_stats_entry *entries;
};

WARN_UNUSED enum status topic_stats_decode(struct slice text, struct body *body,
                                           struct topic_stats *out);
void topic_stats_encode(const struct topic_stats *stats, struct buf *out);

struct consume_stats_entry {
    struct queue_name queue;
    int64_t broker_offset;   /* Next to be written. */
    int64_t consumer_offset; /* Next to be consumed. */
    int64_t pull_offset;
    int64_t consumed_ms; /* Store time of the message last consumed; 0 if unknown. */
};

struct consume_stats {
    double tps;
    size_t count;
    const struct consume_stats_entry *entries;
};

WARN_UNUSED enum status consume_stats_decode(struct slice text, struct body *body,
                                             struct consume_stats *out);
void consume_stats_encode(const struct consume_stats *stats, struct buf *out);

struct queue_offset {
    struct queue_name queue;
    int64_t offset;
};

/* {"offsetTable":{MQ:offset}} */
void offset_table_encode(const struct queue_offset *offsets, size_t count, struct buf *out);
/* {"offsetTable":[{…,"offset":n}]}: the form for C++ clients. */
void offset_table_encode_for_cpp(const struct queue_offset *offsets, size_t count, struct buf *out);
/* The first form. */
WARN_UNUSED enum status offset_table_decode(struct slice text, struct body *body,
                                            struct queue_offset **offsets, size_t *count);

#endif
