/* Getting a copy of a group's data: the machine's state and the committed part of the log, as an
 * empty or hopelessly late replica needs it. From the leader, or if it is known how far the copy
 * must reach, from any member that has committed as much: while there is no leader, one may be
 * waiting for us to be elected.
 *
 * The copy is made beside whatever is there, and nothing of it counts before all of it is durable.
 * Entries are appended to a log of our own, so an interrupted copy goes on where it stopped,
 * whoever leads then; the machine's state begins anew with each connection. Runs the loop of the
 * thread that will run the replica, and blocks it with writes. */
#ifndef RAFT_GLUE_FETCH_H
#define RAFT_GLUE_FETCH_H

#include "common/base/clock.h"
#include "common/base/log.h"
#include "raft-glue/fetch_client.h"
#include "raft-glue/fetch_image.h"
#include "raft-glue/replica.h"
#include "raft-glue/replica_identity.h"
#include "raft-glue/replica_storage.h"

struct fetch_options {
    uv_loop_t *loop;
    const struct log *log;
    const struct clock *clock;
    struct directory directory; /* Of the log to be: empty, or what an interrupted copy left. */
    uint32_t segment_size;
    struct slice cluster;
    struct slice group;
    uint64_t id;
    const struct replica_identity *identity; /* Stored with the copy. */
    struct host client_host;
    const struct replica_voter *servers; /* Who may have a copy; without ourselves. */
    size_t server_count;
    uint64_t reach; /* An entry known to be committed that the copy must contain; 0: the leader's
                       copy is wanted. */
    struct image_sink sink;
    /* Stored with the copy. If rejoin_term is set and rejoin_index is not, the index is learned
     * from the leader, if it leads in this term or a later one. */
    struct term_vote_state state;
    const bool *canceled; /* Looked at after each event. */
};

/* Try until it is done.
 * Errors: STATUS_CANCELED; STATUS_IO, STATUS_DISK_FULL of our own disk; with `reach`
 * STATUS_TIMED_OUT: nobody gives such a copy now. */
WARN_UNUSED enum status fetch_run(const struct fetch_options *options);

/* Remove all files of a directory. Errors: STATUS_IO. */
WARN_UNUSED enum status fetch_wipe(const struct directory *directory);

#endif
