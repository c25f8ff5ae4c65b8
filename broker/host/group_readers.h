/* Who can serve consumers that are far behind: rules over what a replica knows. Pure. */
#ifndef BROKER_HOST_GROUP_READERS_H
#define BROKER_HOST_GROUP_READERS_H

#include "raft-glue/replica_host.h"

/* On the leader: can this follower serve whoever reads on from `position` of the log? It is
 * connected and was heard of lately, stays, lacks few entries (one whose log waits for room soon
 * lacks more), and has acknowledged half of what the reader has before it, or more. */
bool reader_may_follow(const struct replica_view *view, const struct replica_member_view *member,
                       uint64_t position, uint32_t election_timeout_ms);

/* On a follower: is there a leader, and was it heard of before others would stand for election? */
bool reader_may_stay(const struct replica_view *view, uint32_t election_timeout_ms);

#endif
