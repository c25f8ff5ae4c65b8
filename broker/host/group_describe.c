#include "broker/host/group_describe.h"

#include "common/remoting/json_text.h"

static const char *role_name(enum replica_role role)
{
    switch (role) {
    case REPLICA_FOLLOWER:
        return "follower";
    case REPLICA_CANDIDATE:
        return "candidate";
    case REPLICA_ELECTED:
        return "elected";
    case REPLICA_LEADER:
        return "leader";
    }
    return "unknown";
}

static const char *room_name(enum replica_room room)
{
    switch (room) {
    case REPLICA_ROOM_FINE:
        return "fine";
    case REPLICA_ROOM_LOW:
        return "low";
    case REPLICA_ROOM_NONE:
        return "none";
    }
    return "unknown";
}

static void put_host(struct json_writer *json, const char *name, struct host host)
{
    struct buf text = {0};
    host_format(host, &text);
    json_member_text(json, name, buf_slice(&text));
    buf_close(&text);
}

static const char *membership_name(enum replica_member_role role)
{
    switch (role) {
    case REPLICA_MEMBER_VOTER:
        return "voter";
    case REPLICA_MEMBER_STANDBY:
        return "standby";
    case REPLICA_MEMBER_STRANGER:
        return "none";
    }
    return "unknown";
}

/* What a member said of itself, or what we are configured with. */
static struct host client_host_of(const struct broker *broker,
                                  const struct replica_member_view *member)
{
    const struct member_settings *known = group_settings_member(broker->group, member->id);
    if (member->client_host.port != 0 || known == NULL) {
        return member->client_host;
    }
    return known->client_host;
}

static void put_members(struct json_writer *json, const struct broker *broker,
                        const struct replica_view *view)
{
    json_key(json, "members");
    json_begin(json, '[');
    for (size_t i = 0; i < view->member_count; i++) {
        const struct replica_member_view *member = &view->members[i];
        json_begin(json, '{');
        json_member_int(json, "id", (int64_t)member->id);
        json_member_text(json, "membership", slice_text(membership_name(member->role)));
        put_host(json, "clientAddr", client_host_of(broker, member));
        put_host(json, "raftAddr", member->raft_host);
        json_member_bool(json, "draining", member->draining);
        json_member_bool(json, "connected", member->connected);
        json_member_int(json, "matchIndex", (int64_t)member->match_index);
        json_member_int(json, "lastContactMsAgo", (int64_t)member->last_contact_ms_ago);
        json_end(json, '}');
    }
    json_end(json, ']');
}

static void put_counters(struct json_writer *json, const struct broker *broker)
{
    struct machine_counters counters;
    machine_counters(broker->machine, &counters);
    json_key(json, "counters");
    json_begin(json, '{');
    json_member_int(json, "messages", (int64_t)counters.messages);
    json_member_int(json, "messageBytes", (int64_t)counters.message_bytes);
    json_member_int(json, "halves", (int64_t)counters.halves);
    json_member_int(json, "halfDuplicates", (int64_t)counters.half_duplicates);
    json_member_int(json, "messageDuplicates", (int64_t)counters.message_duplicates);
    json_member_int(json, "commits", (int64_t)counters.commits);
    json_member_int(json, "rollbacks", (int64_t)counters.rollbacks);
    json_member_int(json, "expirations", (int64_t)counters.expirations);
    json_member_int(json, "endRepeated", (int64_t)counters.end_repeated);
    json_member_int(json, "endRefused", (int64_t)counters.end_refused);
    json_member_int(json, "checks", (int64_t)counters.checks);
    json_member_int(json, "delayed", (int64_t)counters.delayed);
    json_member_int(json, "delayedFired", (int64_t)counters.delayed_fired);
    json_member_int(json, "delayedDropped", (int64_t)counters.delayed_dropped);
    json_member_int(json, "delayedWaiting", (int64_t)counters.delayed_waiting);
    json_member_int(json, "pending", (int64_t)counters.pending);
    json_member_int(json, "expired", (int64_t)counters.expired);
    json_end(json, '}');
}

/* Where messages begin: from there on they can be read; the log is needed a little further back. */
static void put_retention(struct json_writer *json, const struct broker *broker)
{
    struct machine_cut cut = machine_cut_done(broker->machine);
    struct machine_segment segment = {0};
    machine_segment_find(broker->machine, cut.position / SEGMENT_SIZE, &segment);
    json_member_int(json, "logNeededPosition", (int64_t)cut.log_first);
    json_member_int(json, "messagesFirstPosition", (int64_t)cut.position);
    json_member_int(json, "messagesFirstTime", (int64_t)segment.first_ms);
}

void group_describe(const struct broker *broker, const struct replica_host *replica,
                    size_t connection_count, struct buf *out)
{
    struct replica_view view;
    struct json_writer json = {.out = out};
    replica_host_view(replica, &view);
    json_begin(&json, '{');
    json_member_text(&json, "cluster", name_slice(&broker->settings->cluster));
    json_member_text(&json, "group", name_slice(&broker->group->name));
    json_member_int(&json, "memberId", (int64_t)broker->self->id);
    json_member_text(&json, "role", slice_text(role_name(view.state.role)));
    json_member_int(&json, "term", (int64_t)view.state.term);
    json_member_int(&json, "leaderId", (int64_t)view.state.leader_id);
    json_member_int(&json, "commitIndex", (int64_t)view.commit_index);
    json_member_int(&json, "appliedIndex", (int64_t)view.applied_index);
    json_member_int(&json, "lastTerm", (int64_t)view.last_term);
    json_member_int(&json, "lastIndex", (int64_t)view.last_index);
    json_member_int(&json, "firstIndex", (int64_t)view.first_index);
    json_member_int(&json, "changeIndex", (int64_t)view.change_index);
    json_member_bool(&json, "changePending", view.change_pending);
    json_member_bool(&json, "abstaining", view.abstaining);
    json_member_bool(&json, "removed", view.removed);
    json_member_int(&json, "logFirstPosition", (int64_t)view.log_first_position);
    put_retention(&json, broker);
    json_member_int(&json, "logEndPosition", (int64_t)view.log_end_position);
    json_member_int(&json, "writtenBytes", (int64_t)view.written_bytes);
    json_member_int(&json, "syncCount", (int64_t)view.sync_count);
    json_member_int(&json, "scrubPasses", (int64_t)view.scrub_passes);
    json_member_int(&json, "scrubbedBytes", (int64_t)view.scrubbed_bytes);
    json_member_int(&json, "damagedFrames", (int64_t)view.damaged_frames);
    json_member_bool(&json, "quorumFresh", replica_host_quorum_fresh(replica));
    json_member_bool(&json, "diskFull", broker->disk_full);
    json_member_text(&json, "logRoom", slice_text(room_name(view.log_room)));
    put_members(&json, broker, &view);
    put_counters(&json, broker);
    json_member_int(&json, "clientConnections", (int64_t)connection_count);
    json_member_text(&json, "version", slice_text(RAFTMQ_VERSION));
    json_end(&json, '}');
}
