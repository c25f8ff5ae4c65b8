#include "broker/core/retention.h"

#include "broker/core/broker.h"

#include <inttypes.h>

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

/* Does the leader's disk fill up, and has it felt the last cut already? */
static bool is_forced(struct retention *retention, const struct storage_view *storage)
{
    const struct broker *broker = retention->broker;
    uint32_t ratio = broker->settings->disk_ratio_forced;
    uint64_t used = storage->disk_total - storage->disk_available;
    bool filling =
        ratio != 0 && storage->disk_total != 0 && used / ratio >= storage->disk_total / 100;
    if (filling && !retention->forced) {
        log_warn(broker->log, "disk filling up, old messages go before their time",
                 "available=%" PRIu64 " total=%" PRIu64 "; make room, or lower logSizeMax",
                 storage->disk_available, storage->disk_total);
    }
    retention->forced = filling;
    return filling && storage->log_first >= machine_cut_done(broker->machine).log_first;
}

static uint64_t wanted_position(struct retention *retention)
{
    const struct broker *broker = retention->broker;
    const struct settings *settings = broker->settings;
    uint64_t now = clock_wall_ms(broker->ports->clock);
    uint64_t first = machine_cut_done(broker->machine).position / SEGMENT_SIZE;
    uint64_t end = machine_segment_newest(broker->machine) + 1;
    uint64_t at = first;
    struct storage_view storage;
    broker->ports->storage(broker->ports->context, &storage);
    bool forced = is_forced(retention, &storage);
    for (; at + RETENTION_SEGMENTS_MIN < end; at++) {
        struct machine_segment segment;
        bool known = machine_segment_find(broker->machine, at, &segment);
        ASSERT(known);
        bool old = settings->retention_ms != 0 && segment.last_ms + settings->retention_ms <= now;
        bool large =
            settings->log_size_max != 0 && (end - at) * SEGMENT_SIZE > settings->log_size_max;
        if (!old && !large && !(forced && at == first)) {
            break;
        }
    }
    return at * SEGMENT_SIZE;
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
