/* A group's data directory, brought into a state that a replica can start from.
 *
 *   <group>/log     the replica's files: log, term and vote, identity
 *   <group>/store   the state machine's store
 *   <group>/copy    a copy of another member's data, as long as it is not whole; with the directory
 *                   "complete" in it, it takes the place of the two above
 *   <group>/damaged what was set aside because it was damaged: for a person to look at, or delete
 *
 * Each step may be interrupted by a crash at any moment and is finished by the next start. Blocks,
 * and runs the group's loop while it waits for other members. */
#ifndef BROKER_HOST_GROUP_DATA_H
#define BROKER_HOST_GROUP_DATA_H

#include "broker/core/settings.h"
#include "raft-glue/fetch.h"
#include "raft-glue/replica_host.h"

enum { GROUP_PATH_SIZE = 1024 };

struct group_data {
    uv_loop_t *loop;
    const struct log *log;
    const struct settings *settings;
    const struct group_settings *group;
    const char *directory; /* <storePathRootDir>/<group> */
    const bool *canceled;  /* Looked at while waiting. */
    /* Called once, when it begins to wait for other members: that may take long. */
    void (*on_wait)(void *context);
    void *context;
    size_t others; /* Voters but us: as configured, until a membership is known. */
    struct replica_identity identity; /* Of the log's directory, after prepare. */
};

/* A copy of the group's data that is wanted. */
struct group_copy {
    struct term_vote_state state; /* To carry on with. */
    uint64_t reach;               /* As in fetch.h. */
    struct replica_voter servers[REPLICA_MEMBERS_KNOWN];
    size_t server_count;
};

/* Name a path below the directory. */
void group_data_path(const struct group_data *data, const char *name, char to[GROUP_PATH_SIZE]);

/* Finish what was interrupted; of a blank directory find out how to begin, and copy the group's
 * data if there is a group. After OK log and store can be opened.
 *
 * Errors (logged with the operator's next step): STATUS_CANCELED, STATUS_IO, STATUS_DISK_FULL,
 * STATUS_CORRUPT. */
WARN_UNUSED enum status group_data_prepare(struct group_data *data);

/* Replace log and store by a copy of another member's data. Errors as above, and STATUS_TIMED_OUT
 * as fetch_run(): what there was is still there. */
WARN_UNUSED enum status group_data_copy(struct group_data *data, const struct group_copy *copy);

/* The store cannot be used: set it aside; it is built again from the log, or copied.
 * Errors: STATUS_IO. */
WARN_UNUSED enum status group_data_set_store_aside(struct group_data *data);

/* The log, or term and vote, cannot be used: set all aside and get a copy, as a member that lost
 * what it acknowledged. Refused with STATUS_CORRUPT where no majority is left without us. */
WARN_UNUSED enum status group_data_replace(struct group_data *data);

/* Make this replica the only member of its group (raft-glue/replica_recover.h). Errors: as
 * group_data_prepare(). */
WARN_UNUSED enum status group_data_recover_alone(struct group_data *data);

#endif
