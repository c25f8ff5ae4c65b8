/* Retention: which messages are old enough, or too many, to go.
 *
 * The leader decides and proposes a CUT; what may really go, apply decides, the same on every
 * replica. Messages go segment by segment, at any hour: by age (fileReservedTime), by the size of
 * the log (logSizeMax), and early when the leader's disk fills up (diskSpaceCleanForciblyRatio),
 * then a few segments at a time, after those before have left the disk. Loop thread only. */
#ifndef BROKER_CORE_RETENTION_H
#define BROKER_CORE_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

struct broker;

enum {
    RETENTION_PERIOD_MS = 1000,
    /* The newest segments of the log that stay in any case. */
    RETENTION_SEGMENTS_MIN = 2,
};

struct retention {
    struct broker *broker;
    uint64_t looked_ms;    /* Monotonic. */
    uint64_t old_since_ms; /* Since when some segment has been too old; 0: none is. Monotonic. */
    bool proposed;         /* A CUT is on its way. */
    bool forced;           /* The disk has been filling up. */
};

void retention_init(struct retention *retention, struct broker *broker);
void retention_tick(struct retention *retention);

#endif
