/* What the disk has left for a group, and what follows.
 *
 * Messages are refused before anything breaks, and taken again when there is clearly room:
 * decisions, offsets and Raft itself live from what is kept free, then from the log's reserve. When
 * that is used up, too, the log waits for room; a leader then hands over to a member that has some.
 */
#include "broker/host/group_internal.h"

#include <sys/statvfs.h>

enum {
    DISK_LOOK_PERIOD_MS = 1000,
    HAND_OVER_PERIOD_MS = 2000, /* Between attempts of a leader whose log waits for room. */
};

static bool free_space_low(struct group_host *host, uint64_t now);
static void say(struct group_host *host, enum replica_room room);
static void hand_over(struct group_host *host, uint64_t now);

void group_look_at_disk(struct group_host *host, uint64_t now)
{
    struct replica_view view;
    struct broker *broker = &host->broker;
    replica_host_view(host->replica, &view);
    bool full = free_space_low(host, now) || view.log_room != REPLICA_ROOM_FINE ||
                checkpointer_waits(&host->checkpointer);
    bool log_full = view.log_room == REPLICA_ROOM_NONE;
    bool changed = full != broker->disk_full || log_full != broker->log_full;
    broker->disk_full = full;
    broker->log_full = log_full;
    if (changed) {
        say(host, view.log_room);
    }
    if (log_full && broker_leads(broker) && host->group->member_count > 1) {
        hand_over(host, now);
    }
}

/* Less free than is to be kept; once it is so, a quarter more than that is wanted. */
static bool free_space_low(struct group_host *host, uint64_t now)
{
    struct statvfs disk;
    if (now - host->disk_looked_ms >= DISK_LOOK_PERIOD_MS && statvfs(host->directory, &disk) == 0) {
        host->disk_looked_ms = now;
        host->disk_available = (uint64_t)disk.f_bavail * disk.f_frsize;
        host->disk_total = (uint64_t)disk.f_blocks * disk.f_frsize;
    }
    uint64_t reserve = host->settings->disk_reserve_size;
    uint64_t wanted = host->disk_low ? reserve + reserve / 4 : reserve;
    host->disk_low = host->disk_total != 0 && host->disk_available < wanted;
    return host->disk_low;
}

static void say(struct group_host *host, enum replica_room room)
{
    unsigned long long available = host->disk_available;
    unsigned long long reserve = host->settings->disk_reserve_size;
    if (host->broker.log_full) {
        log_error(
            &host->log, "disk full, the log waits for room",
            "available=%llu directory=%s; nothing is acknowledged meanwhile, nothing is lost; "
            "make room, the log goes on by itself",
            available, host->directory);
    } else if (host->broker.disk_full) {
        log_error(
            &host->log, "disk nearly full, refusing messages",
            "available=%llu reserve=%llu log_reserve=%s directory=%s; make room, writes resume "
            "by themselves",
            available, reserve, room == REPLICA_ROOM_FINE ? "kept" : "used", host->directory);
    } else {
        log_info(&host->log, "disk has room again, taking messages", "available=%llu", available);
    }
}

static void on_handed_over(void *context, enum status status)
{
    struct group_host *host = context;
    host->handing_over = false;
    if (status != STATUS_OK) {
        log_warn(&host->log, "no member takes over from this full disk", "why=%s",
                 status_name(status));
    }
}

static void hand_over(struct group_host *host, uint64_t now)
{
    if (host->handing_over || host->stopping != RUNNING || now < host->hand_over_due_ms) {
        return;
    }
    host->handing_over = true;
    host->hand_over_due_ms = now + HAND_OVER_PERIOD_MS;
    replica_host_transfer(host->replica, 0, on_handed_over, host);
}
