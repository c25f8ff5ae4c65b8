#include "broker/host/group_readers.h"

enum {
    /* Entries that are on their way under load are some tens. */
    LAG_MAX = 256,
    /* A follower that is busy for a moment keeps its readers. */
    SILENT_TIMEOUTS = 4,
    /* The longest election timer. */
    LEADERLESS_TIMEOUTS = 2,
};

bool reader_may_follow(const struct replica_view *view, const struct replica_member_view *member,
                       uint64_t position, uint32_t election_timeout_ms)
{
    uint64_t end = view->log_end_position;
    return position < end && member->connected && !member->draining &&
           member->last_contact_ms_ago < SILENT_TIMEOUTS * (uint64_t)election_timeout_ms &&
           member->match_index + LAG_MAX >= view->commit_index &&
           member->match_position >= position + (end - position) / 2;
}

bool reader_may_stay(const struct replica_view *view, uint32_t election_timeout_ms)
{
    for (size_t i = 0; i < view->member_count; i++) {
        const struct replica_member_view *member = &view->members[i];
        if (member->id == view->state.leader_id) {
            return member->last_contact_ms_ago <
                   LEADERLESS_TIMEOUTS * (uint64_t)election_timeout_ms;
        }
    }
    return false;
}
