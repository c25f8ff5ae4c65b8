/* Memberships of a Raft group in C-Raft's encoding, which is the payload of CHANGE entries.
 *
 * C-Raft's decoder trusts its input, so bytes are checked here first.
 *
 *   u8 1, u64 count, then for each server: u64 id, address with NUL, u8 role; little-endian,
 *   zeros up to a multiple of 8. Roles: 0 standby, 1 voter, 2 spare. */
#ifndef RAFT_GLUE_REPLICA_CONFIGURATION_H
#define RAFT_GLUE_REPLICA_CONFIGURATION_H

#include "common/base/check.h"
#include "common/base/slice.h"

#include <raft.h>

enum { CONFIGURATION_SERVERS_MAX = 64, CONFIGURATION_ADDRESS_MAX = 255 };

/* Can it be decoded, with ids and addresses that are not empty and not repeated? */
bool configuration_valid(struct slice bytes);

/* Decode bytes that are valid; the caller closes (or C-Raft takes) the result. */
struct raft_configuration configuration_decode(struct slice bytes);

/* Encode into memory of raft_malloc(). */
struct raft_buffer configuration_encode(const struct raft_configuration *configuration);

unsigned configuration_voters(const struct raft_configuration *configuration);

/* NULL if there is no such server. */
struct raft_server *configuration_find(const struct raft_configuration *configuration, uint64_t id);

/* Is `id` the only voter? */
bool configuration_lone_voter(const struct raft_configuration *configuration, uint64_t id);

#endif
