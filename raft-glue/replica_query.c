/* What a replica knows, for those who only look. */
#include "raft-glue/replica_internal.h"

struct replica_state replica_state(const struct replica *replica)
{
    raft_id leader = 0;
    const char *address = NULL;
    raft_leader((struct raft *)(uintptr_t)&replica->raft, &leader, &address);
    struct replica_state state = {
        .role = REPLICA_FOLLOWER,
        .term = raft_current_term(&replica->raft),
        .leader_id = leader,
    };
    switch (replica_raft_state(replica)) {
    case RAFT_LEADER:
        state.leader_id = replica->options.id; // C-Raft says 0 during a transfer.
        state.role =
            replica->commit >= replica->serve_first && replica->applied >= replica->serve_first
                ? REPLICA_LEADER
                : REPLICA_ELECTED;
        break;
    case RAFT_CANDIDATE:
        state.role = REPLICA_CANDIDATE;
        break;
    default:
        break;
    }
    return state;
}

bool replica_quorum_fresh(const struct replica *replica)
{
    if (replica_raft_state(replica) != RAFT_LEADER) {
        return false;
    }
    uint64_t now = clock_monotonic_ms(replica->options.ports.clock);
    const struct raft_configuration *configuration = &replica->raft.configuration;
    unsigned fresh = 0;
    for (size_t i = 0; i < replica->member_count; i++) {
        const struct replica_member_state *member = &replica->members[i];
        const struct raft_server *server = configuration_find(configuration, member->voter.id);
        if (server != NULL && server->role == RAFT_VOTER &&
            (member->voter.id == replica->options.id ||
             (member->result_ms != 0 &&
              now < member->result_ms + replica->options.election_timeout_ms))) {
            fresh++;
        }
    }
    return fresh > configuration_voters(configuration) / 2;
}

bool replica_knows_all(const struct replica *replica)
{
    return replica_state(replica).role == REPLICA_LEADER && replica->applied == replica->commit &&
           replica_quorum_fresh(replica);
}

bool replica_write_under_way(const struct replica *replica)
{
    return replica->disk_under_way;
}

uint64_t replica_commit_index(const struct replica *replica)
{
    return replica->commit;
}

uint64_t replica_applied_index(const struct replica *replica)
{
    return replica->applied;
}

uint64_t replica_match_index(const struct replica *replica, uint64_t id)
{
    raft_index index = 0;
    if (replica_raft_state(replica) != RAFT_LEADER) {
        return 0;
    }
    if (id == replica->options.id) {
        return replica->reported;
    }
    return raft_match_index(&replica->raft, id, &index) == 0 ? index : 0;
}

bool replica_abstaining(const struct replica *replica)
{
    return replica_abstains(replica);
}

uint64_t replica_contact_ms_ago(const struct replica *replica, uint64_t id)
{
    uint64_t now = clock_monotonic_ms(replica->options.ports.clock);
    for (size_t i = 0; i < replica->member_count; i++) {
        const struct replica_member_state *member = &replica->members[i];
        if (member->voter.id == id && member->contact_ms != 0) {
            return now > member->contact_ms ? now - member->contact_ms : 0;
        }
    }
    return UINT64_MAX;
}

bool replica_leads_term(const struct replica *replica, uint64_t term)
{
    return !replica->reopening && replica_raft_state(replica) == RAFT_LEADER &&
           raft_current_term(&replica->raft) == term;
}

unsigned replica_voter_count(const struct replica *replica)
{
    return configuration_voters(&replica->raft.configuration);
}

bool replica_busy(const struct replica *replica)
{
    return replica->busy;
}

uint64_t replica_uncommitted(const struct replica *replica)
{
    uint64_t last = segment_log_last_index(replica->log);
    return last > replica->commit ? last - replica->commit : 0;
}

size_t replica_known(const struct replica *replica, struct replica_known to[REPLICA_KNOWN_MAX],
                     uint64_t *version)
{
    for (size_t i = 0; i < replica->member_count; i++) {
        const struct raft_server *server =
            configuration_find(&replica->raft.configuration, replica->members[i].voter.id);
        to[i].server = replica->members[i].voter;
        to[i].role = server == NULL ? -1 : server->role;
    }
    *version = replica->members_version;
    return replica->member_count;
}

bool replica_knows(const struct replica *replica, uint64_t id)
{
    for (size_t i = 0; i < replica->member_count; i++) {
        if (replica->members[i].voter.id == id) {
            return true;
        }
    }
    return false;
}

uint64_t replica_change_index(const struct replica *replica, bool *pending)
{
    const struct raft *raft = &replica->raft;
    *pending = raft->configuration_uncommitted_index != 0;
    return *pending ? raft->configuration_uncommitted_index : raft->configuration_committed_index;
}

struct slice replica_membership(const struct replica *replica)
{
    uint64_t at = 0;
    return replica_storage_change(replica->options.storage, UINT64_MAX, &at);
}

bool replica_outside(const struct replica *replica, uint64_t id, uint64_t its_change_index)
{
    const struct raft *raft = &replica->raft;
    return its_change_index != 0 && raft->configuration_uncommitted_index == 0 &&
           raft->configuration_committed_index > its_change_index &&
           configuration_find(&raft->configuration, id) == NULL;
}

bool replica_damaged(const struct replica *replica)
{
    return replica->damaged;
}

uint64_t replica_behind(const struct replica *replica)
{
    const struct segment_log *log = replica->log;
    uint64_t index = replica->offered_index;
    bool cut = index + 1 < segment_log_first_index(log); // So it was committed here, too.
    bool held = index <= segment_log_last_index(log) &&
                (cut || segment_log_term(log, index) == replica->offered_term);
    return held ? 0 : index;
}

struct term_vote_state replica_vote(const struct replica *replica)
{
    return replica->vote;
}
