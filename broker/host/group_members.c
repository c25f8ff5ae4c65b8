/* The broker core's port to the group's members: what the replica knows of them. */
#include "broker/host/group_internal.h"
#include "broker/host/group_readers.h"

#include <stdio.h>

/* Entries that a member may lack and still be promoted: under load it never has all. */
enum { PROMOTION_LAG_MAX = 2048 };

static const struct replica_member_view *find(const struct replica_view *view, uint64_t id)
{
    for (size_t i = 0; i < view->member_count; i++) {
        if (view->members[i].id == id) {
            return &view->members[i];
        }
    }
    return NULL;
}

static bool is_well(const struct group_host *host, const struct replica_view *view,
                    const struct replica_member_view *member)
{
    if (member->id == host->settings->node_id) {
        return true;
    }
    return member->connected && member->match_index + PROMOTION_LAG_MAX >= view->commit_index &&
           member->last_contact_ms_ago < 4 * (uint64_t)host->settings->election_timeout_ms;
}

/* Would a majority of the voters be well without this one? */
static bool majority_without(const struct group_host *host, const struct replica_view *view,
                             uint64_t id, unsigned *well, unsigned *voters)
{
    *well = *voters = 0;
    for (size_t i = 0; i < view->member_count; i++) {
        const struct replica_member_view *member = &view->members[i];
        if (member->role == REPLICA_MEMBER_VOTER && member->id != id) {
            ++*voters;
            *well += is_well(host, view, member);
        }
    }
    return *well > *voters / 2;
}

static enum status add(struct group_host *host, const struct replica_member_view *member,
                       const char **why)
{
    if (member == NULL) {
        *why = "no server of that id has contacted the leader; start it first, configured with "
               "all nodes of the cluster";
        return STATUS_NOT_FOUND;
    }
    if (member->role != REPLICA_MEMBER_STRANGER) {
        return STATUS_OK;
    }
    return replica_host_change(host->replica, member->id, member->raft_host,
                               REPLICA_MEMBER_STANDBY);
}

static enum status promote(struct group_host *host, const struct replica_view *view,
                           const struct replica_member_view *member, const char **why)
{
    if (member == NULL || member->role == REPLICA_MEMBER_STRANGER) {
        *why = "it is no member; add it first";
        return STATUS_NOT_FOUND;
    }
    if (member->role == REPLICA_MEMBER_VOTER) {
        return STATUS_OK;
    }
    if (!is_well(host, view, member)) {
        *why = "it is still catching up; try again";
        return STATUS_BUSY;
    }
    return replica_host_change(host->replica, member->id, member->raft_host, REPLICA_MEMBER_VOTER);
}

static enum status remove_member(struct group_host *host, const struct replica_view *view,
                                 const struct replica_member_view *member, const char **why)
{
    unsigned well = 0;
    unsigned voters = 0;
    if (member == NULL || member->role == REPLICA_MEMBER_STRANGER) {
        return STATUS_OK;
    }
    if (member->id == host->settings->node_id) {
        *why = "it leads the group; transfer leadership first";
        return STATUS_INVALID_ARGUMENT;
    }
    if (member->role == REPLICA_MEMBER_VOTER &&
        !majority_without(host, view, member->id, &well, &voters)) {
        snprintf(host->remark, sizeof host->remark,
                 "only %u of the %u voters that would be left are well and caught up", well,
                 voters);
        *why = host->remark;
        return STATUS_REFUSED;
    }
    return replica_host_change(host->replica, member->id, member->raft_host,
                               REPLICA_MEMBER_STRANGER);
}

static enum status change(void *context, uint64_t id, enum member_action action, const char **why)
{
    struct group_host *host = context;
    struct replica_view view;
    replica_host_view(host->replica, &view);
    const struct replica_member_view *member = find(&view, id);
    enum status status = STATUS_NOT_LEADER;
    if (view.state.role == REPLICA_LEADER) {
        switch (action) {
        case MEMBER_ADD:
            status = add(host, member, why);
            break;
        case MEMBER_PROMOTE:
            status = promote(host, &view, member, why);
            break;
        case MEMBER_REMOVE:
            status = remove_member(host, &view, member, why);
            break;
        }
    }
    if (status == STATUS_BUSY && *why == NULL) {
        *why = "another change of the membership is under way; try again";
    }
    return status;
}

static bool is_ready(const struct group_host *host, const struct replica_view *view,
                     const struct replica_member_view *member)
{
    return member->role == REPLICA_MEMBER_VOTER && member->connected && !member->draining &&
           member->match_index >= view->commit_index &&
           member->last_contact_ms_ago < host->settings->election_timeout_ms;
}

static bool ready(void *context, uint64_t id)
{
    const struct group_host *host = context;
    struct replica_view view;
    replica_host_view(host->replica, &view);
    const struct replica_member_view *member = find(&view, id);
    return member != NULL && is_ready(host, &view, member);
}

uint64_t group_ready_member(const struct group_host *host)
{
    struct replica_view view;
    replica_host_view(host->replica, &view);
    for (size_t i = 0; i < view.member_count; i++) {
        const struct replica_member_view *member = &view.members[i];
        if (member->id != host->settings->node_id && is_ready(host, &view, member)) {
            return member->id;
        }
    }
    return 0;
}

/* Whom the configuration prefers, or if that one is no voter (any more), one that the group's name
 * picks: so that groups whose nodes were replaced spread over the others. */
static uint64_t preferred(void *context)
{
    const struct group_host *host = context;
    struct replica_view view;
    uint64_t voters[REPLICA_MEMBERS_KNOWN];
    size_t count = 0;
    uint64_t hash = 0;
    replica_host_view(host->replica, &view);
    for (size_t i = 0; i < view.member_count; i++) {
        if (view.members[i].role == REPLICA_MEMBER_VOTER) {
            voters[count++] = view.members[i].id;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (voters[i] == host->group->preferred_id) {
            return voters[i];
        }
    }
    for (size_t i = 0; i < host->group->name.size; i++) {
        hash = hash * 31 + (uint8_t)host->group->name.text[i];
    }
    return count == 0 ? 0 : voters[hash % count];
}

static size_t followers(void *context, uint64_t position, struct follower *to)
{
    const struct group_host *host = context;
    struct replica_view view;
    size_t count = 0;
    if (host->replica == NULL) {
        return 0;
    }
    replica_host_view(host->replica, &view);
    for (size_t i = 0; i < view.member_count && count < MEMBERS_MAX; i++) {
        const struct replica_member_view *member = &view.members[i];
        if (member->id != host->settings->node_id && member->role != REPLICA_MEMBER_STRANGER) {
            bool ready =
                reader_may_follow(&view, member, position, host->settings->election_timeout_ms);
            to[count++] = (struct follower){member->id, ready};
        }
    }
    return count;
}

static bool hears_leader(void *context)
{
    const struct group_host *host = context;
    struct replica_view view;
    if (host->replica == NULL) {
        return false;
    }
    replica_host_view(host->replica, &view);
    return reader_may_stay(&view, host->settings->election_timeout_ms);
}

static bool client_host(void *context, uint64_t id, struct host *out)
{
    const struct group_host *host = context;
    struct replica_view view;
    if (host->replica == NULL) {
        return false;
    }
    replica_host_view(host->replica, &view);
    const struct replica_member_view *member = find(&view, id);
    if (member == NULL || member->client_host.port == 0) {
        return false;
    }
    *out = member->client_host;
    return true;
}

static bool belongs(void *context)
{
    const struct group_host *host = context;
    struct replica_view view;
    if (host->replica == NULL) {
        return false;
    }
    replica_host_view(host->replica, &view);
    const struct replica_member_view *self = find(&view, host->settings->node_id);
    return self != NULL && self->role != REPLICA_MEMBER_STRANGER && !view.removed;
}

void group_tell_drained(struct group_host *host)
{
    replica_host_drain(host->replica, host->broker.draining || host->unfit);
}

static void drain(void *context, bool draining)
{
    struct group_host *host = context;
    ASSERT(host->broker.draining == draining);
    host->drained = draining;
    group_tell_drained(host);
}

static enum status recover(void *context, uint64_t last_index)
{
    struct group_host *host = context;
    struct replica_view view;
    replica_host_view(host->replica, &view);
    if (view.state.leader_id != 0 || view.state.role == REPLICA_LEADER) {
        return STATUS_REFUSED;
    }
    if (view.last_index != last_index) {
        return STATUS_STALE;
    }
    host->recover_alone = true; // The next tick begins to close.
    return STATUS_OK;
}

struct member_ports group_member_ports(struct group_host *host)
{
    return (struct member_ports){host,         change,      ready,   preferred, followers,
                                 hears_leader, client_host, belongs, recover,   drain};
}
