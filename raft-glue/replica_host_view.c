#include "raft-glue/replica_host_internal.h"

#include "raft-glue/replica_address.h"

#include <stdlib.h>

static void view_member(const struct replica_host *host, const struct replica_known *known,
                        struct replica_member_view *member)
{
    uint64_t id = known->server.id;
    bool self = id == host->options.id;
    struct log_entry match = {0};
    (void)segment_log_entry(host->storage.log, replica_match_index(host->replica, id), &match);
    *member = (struct replica_member_view){
        .id = id,
        .client_host = self ? host->options.client_host : (struct host){0},
        .role = known->role < 0 ? REPLICA_MEMBER_STRANGER : (enum replica_member_role)known->role,
        .draining = self && host->draining,
        .connected = self,
        .match_index = replica_match_index(host->replica, id),
        .match_position = match.position,
        .last_contact_ms_ago = self ? 0 : replica_contact_ms_ago(host->replica, id),
    };
    if (!self && host->peers != NULL) {
        member->client_host = replica_peers_client_host(host->peers, id);
        member->draining = replica_peers_draining(host->peers, id);
        member->connected = replica_peers_connected(host->peers, id);
    }
    if (replica_address_parse(known->server.address, &member->raft_host) != STATUS_OK) {
        member->raft_host = (struct host){0};
    }
}

static int compare_members(const void *a, const void *b)
{
    uint64_t left = ((const struct replica_member_view *)a)->id;
    uint64_t right = ((const struct replica_member_view *)b)->id;
    return (left > right) - (left < right);
}

static_assert((int)REPLICA_MEMBERS_KNOWN == (int)REPLICA_KNOWN_MAX, "a view shows all servers");

static enum replica_room room_of(const struct segment_log *segments)
{
    switch (segment_log_room(segments)) {
    case LOG_ROOM_FINE:
        return REPLICA_ROOM_FINE;
    case LOG_ROOM_LOW:
        return REPLICA_ROOM_LOW;
    case LOG_ROOM_NONE:
        break;
    }
    return REPLICA_ROOM_NONE;
}

void replica_host_view(const struct replica_host *host, struct replica_view *view)
{
    const struct segment_log *segments = host->storage.log;
    struct replica_known known[REPLICA_KNOWN_MAX];
    uint64_t version = 0;
    *view = (struct replica_view){
        .state = replica_state(host->replica),
        .commit_index = replica_commit_index(host->replica),
        .applied_index = replica_applied_index(host->replica),
        .first_index = segment_log_first_index(segments),
        .last_index = segment_log_last_index(segments),
        .last_term = segment_log_term(segments, segment_log_last_index(segments)),
        .log_first_position = segment_log_first_position(segments),
        .log_end_position = segment_log_end_position(segments),
        .written_bytes = segment_log_appended_bytes(segments),
        .sync_count = host->disk.sync_count,
        .behind = replica_behind(host->replica),
        .abstaining = replica_abstaining(host->replica),
        .removed = host->removed,
        .member_count = replica_known(host->replica, known, &version),
        .log_room = room_of(segments),
        .scrub_passes = host->disk.scrub.passes,
        .scrubbed_bytes = host->disk.scrub.bytes,
        .damaged_frames = host->disk.scrub.damage_count,
    };
    view->change_index = replica_change_index(host->replica, &view->change_pending);
    for (size_t i = 0; i < view->member_count; i++) {
        view_member(host, &known[i], &view->members[i]);
    }
    qsort(view->members, view->member_count, sizeof *view->members, compare_members);
}
