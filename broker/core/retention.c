#include "broker/core/retention.h"

#include "broker/core/broker.h"

#include <inttypes.h>

enum {
    /* An age counts once it has been reached for a while: the sixtieth part of it, at most: */
    DOUBT_DIVISOR = 60,
    DOUBT_MAX_MS = 60 * 1000,
    /* Segments cut at a time for the disk's sake: what fills it may be gone the next moment. */
    FORCED_MAX = 4,
};

static uint64_t wanted_position(struct retention *retention);
static void propose(struct retention *retention, uint64_t position);
static void on_cut(struct broker *broker, const struct waiter *waiter,
                   const struct operation *operation, const struct operation_result *result);

void retention_init(struct retention *retention, struct broker *broker)
{
    *retention = (struct retention){.broker = broker};
}

void retention_tick(struct retention *retention)
{
    struct broker *broker = retention->broker;
    uint64_t now = clock_monotonic_ms(broker->ports->clock);
    if (retention->proposed || !broker_leads(broker) ||
        now - retention->looked_ms < RETENTION_PERIOD_MS) {
        return;
    }
    retention->looked_ms = now;
    uint64_t position = wanted_position(retention);
    struct machine_cut done = machine_cut_done(broker->machine);
    struct machine_cut plan = machine_cut_plan(broker->machine, position);
    if (plan.position != done.position || plan.log_first != done.log_first) {
        propose(retention, position);
    }
}

/* How many segments the disk wants back: none if it has not felt the last cut yet. All groups of
 * the node see the same disk. */
static uint64_t forced_segments(struct retention *retention, const struct storage_view *storage)
{
    const struct broker *broker = retention->broker;
    const struct settings *settings = broker->settings;
    uint64_t used = storage->disk_total - storage->disk_available;
    uint64_t allowed = storage->disk_total / 100 * settings->disk_ratio_forced;
    bool filling = settings->disk_ratio_forced != 0 && storage->disk_total != 0 && used >= allowed;
    if (filling && !retention->forced) {
        log_warn(broker->log, "disk filling up, old messages go before their time",
                 "available=%" PRIu64 " total=%" PRIu64 "; make room, or lower logSizeMax",
                 storage->disk_available, storage->disk_total);
    }
    retention->forced = filling;
    if (!filling || storage->log_first < machine_cut_done(broker->machine).log_first) {
        return 0;
    }
    uint64_t count = (used - allowed) / SEGMENT_SIZE / settings->group_count + 1;
    return count < FORCED_MAX ? count : FORCED_MAX;
}

/* Up to which segment all are old, by a clock that has said so for a while: one that is wrong for a
 * moment must not cost messages. */
static uint64_t old_until(struct retention *retention, uint64_t first, uint64_t end)
{
    const struct broker *broker = retention->broker;
    uint64_t kept_ms = broker->settings->retention_ms;
    uint64_t wall = clock_wall_ms(broker->ports->clock);
    uint64_t now = clock_monotonic_ms(broker->ports->clock);
    uint64_t doubt =
        kept_ms / DOUBT_DIVISOR < DOUBT_MAX_MS ? kept_ms / DOUBT_DIVISOR : DOUBT_MAX_MS;
    uint64_t at = first;
    struct machine_segment segment;
    while (kept_ms != 0 && at < end && machine_segment_find(broker->machine, at, &segment) &&
           segment.last_ms + kept_ms <= wall) {
        at++;
    }
    if (at == first) {
        retention->old_since_ms = 0;
    } else if (retention->old_since_ms == 0) {
        retention->old_since_ms = now;
    }
    return at > first && now - retention->old_since_ms >= doubt ? at : first;
}

/* Up to which segment the log is to go for it to be no larger than it may. */
static uint64_t beyond_size_until(const struct retention *retention, uint64_t first, uint64_t end)
{
    uint64_t size_max = retention->broker->settings->log_size_max;
    uint64_t kept = size_max / SEGMENT_SIZE;
    return size_max == 0 || end - first <= kept ? first : end - kept;
}

static uint64_t wanted_position(struct retention *retention)
{
    const struct broker *broker = retention->broker;
    uint64_t first = machine_cut_done(broker->machine).position / SEGMENT_SIZE;
    uint64_t end = machine_segment_newest(broker->machine) + 1;
    struct storage_view storage;
    broker->ports->storage(broker->ports->context, &storage);
    uint64_t at = old_until(retention, first, end);
    uint64_t beyond = beyond_size_until(retention, first, end);
    at = at > beyond ? at : beyond;
    uint64_t forced = first + forced_segments(retention, &storage);
    at = at > forced ? at : forced;
    uint64_t last = end > RETENTION_SEGMENTS_MIN ? end - RETENTION_SEGMENTS_MIN : 0;
    return (at < last ? at : last) * SEGMENT_SIZE;
}

static void propose(struct retention *retention, uint64_t position)
{
    struct broker *broker = retention->broker;
    struct buf *entry;
    if (proposer_begin(&broker->proposer, 64, &entry) != STATUS_OK) {
        return; // The next look repeats it.
    }
    entry_put_cut(entry, &(struct operation_cut){position});
    retention->proposed = true;
    proposer_add(&broker->proposer, &(struct waiter){.done = on_cut, .context = retention});
}

static void on_cut(struct broker *broker, const struct waiter *waiter,
                   const struct operation *operation, const struct operation_result *result)
{
    struct retention *retention = waiter->context;
    retention->proposed = false;
    if (operation != NULL && result->status == STATUS_OK) {
        log_info(broker->log, "old messages cut",
                 "position=%" PRIu64 " log_first=%" PRIu64 " wanted=%" PRIu64, result->cut.position,
                 result->cut.log_first, operation->cut.position);
    }
}
