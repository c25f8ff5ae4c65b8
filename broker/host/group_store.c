/* The state machine and its store: opened, closed, and built again when the store is damaged.
 *
 * A start finds damage of what it loads. What is found later (a pull reads it, RocksDB compacts it,
 * a member wants a copy) closes the group, and its opening sets the store aside. */
#include "broker/host/group_internal.h"

enum {
    /* Between two times that the store is built again: at first, and at most. */
    REBUILD_REST_MS = 1000,
    REBUILD_REST_MAX_MS = 60 * 60 * 1000,
};

static size_t other_voters(const struct group_host *host)
{
    struct replica_view view;
    size_t count = 0;
    replica_host_view(host->replica, &view);
    for (size_t i = 0; i < view.member_count; i++) {
        count += view.members[i].role == REPLICA_MEMBER_VOTER &&
                 view.members[i].id != host->settings->node_id;
    }
    return count;
}

bool group_can_copy(struct group_host *host)
{
    if (host->replica != NULL) {
        host->data.others = other_voters(host);
    }
    return host->data.others >= 2;
}

/* A follower hears nothing of the others, except that their links are up: whoever closes for a copy
 * takes its links down. A leader hears of all. */
static bool is_up(const struct group_host *host, const struct replica_view *view,
                  const struct replica_member_view *member)
{
    uint64_t patience = 4 * (uint64_t)host->settings->election_timeout_ms;
    bool heard = view->state.role == REPLICA_FOLLOWER || member->last_contact_ms_ago < patience;
    return member->connected && heard;
}

bool group_others_up(struct group_host *host)
{
    struct replica_view view;
    if (host->replica == NULL) {
        return false;
    }
    replica_host_view(host->replica, &view);
    bool up = group_can_copy(host) && view.state.leader_id != 0;
    for (size_t i = 0; i < view.member_count; i++) {
        const struct replica_member_view *member = &view.members[i];
        if (member->role == REPLICA_MEMBER_VOTER && member->id != host->settings->node_id) {
            up = up && is_up(host, &view, member);
        }
    }
    return up;
}

static bool may_rebuild(struct group_host *host)
{
    return group_can_copy(host) && clock_monotonic_ms(clock_system()) >= host->rebuild_due_ms;
}

enum status group_open_store(struct group_host *host)
{
    char path[GROUP_PATH_SIZE];
    char *error = NULL;
    group_data_path(&host->data, "store", path);
    enum status status = kv_open_rocksdb(path, host->settings->store_cache_size, &host->kv, &error);
    if (status != STATUS_OK) {
        return group_fail(host, "cannot open the state machine's store", status, error);
    }
    const struct machine_events events = broker_machine_events(&host->broker);
    status = machine_open(host->kv, &events, &host->machine, &error);
    if (status != STATUS_OK) {
        return group_fail(host, "cannot load the state machine", status, error);
    }
    host->store_complained = false;
    if (may_rebuild(host)) {
        kv_condemn_on_damage(host->kv); // Should a CUT not be able to go on, the next start can.
    }
    host->broker.machine = host->machine;
    host->store_source.kv = host->kv;
    return STATUS_OK;
}

void group_close_store(struct group_host *host)
{
    if (host->machine != NULL) {
        machine_close(host->machine);
        host->machine = NULL;
    }
    if (host->kv != NULL) {
        kv_close(host->kv);
        host->kv = NULL;
    }
}

/* Should the store be found damaged again and again, it is not the disk's fault, and to build it is
 * no remedy: then it is tried ever less often. */
static void rebuild(struct group_host *host, uint64_t now)
{
    bool rested = now >= host->rebuild_due_ms + REBUILD_REST_MAX_MS;
    host->rebuilds = rested ? 0 : host->rebuilds;
    uint64_t rest = (uint64_t)REBUILD_REST_MS << host->rebuilds;
    host->rebuild_due_ms = now + (rest < REBUILD_REST_MAX_MS ? rest : REBUILD_REST_MAX_MS);
    host->rebuilds += rest < REBUILD_REST_MAX_MS;
    host->store_damaged = true;
    kv_condemn_on_damage(host->kv);
    log_error(&host->log, "the state machine's store is damaged",
              "directory=%s; closing to build it again from the log, or from a copy",
              host->directory);
}

static void complain(struct group_host *host)
{
    static const char advice[] = "If the log was never cut, stop this node, remove the directory "
                                 "store, and start: it is built again";
    if (!group_can_copy(host) && checkpointer_ended(&host->checkpointer)) {
        FATAL("%s: the state machine's store is damaged and cannot be written, and there is no "
              "majority to copy it from. %s",
              host->log.name, advice);
    }
    if (!host->store_complained) {
        host->store_complained = true;
        log_error(&host->log, "the state machine's store is damaged, and is used on",
                  "directory=%s; %s", host->directory,
                  group_can_copy(host) ? "it is built again once all other voters are up and some "
                                         "time has passed since the last time"
                                       : advice);
    }
}

void group_look_at_store(struct group_host *host, uint64_t now)
{
    if (!kv_damaged(host->kv) || host->store_damaged) {
        return;
    }
    // Without checkpoints it cannot go on for long.
    bool must = checkpointer_ended(&host->checkpointer);
    if (group_others_up(host) && (must || may_rebuild(host))) {
        rebuild(host, now);
    } else {
        complain(host);
    }
}
