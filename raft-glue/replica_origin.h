/* How a replica begins that has no log yet. */
#ifndef RAFT_GLUE_REPLICA_ORIGIN_H
#define RAFT_GLUE_REPLICA_ORIGIN_H

#include "raft-glue/term_vote.h"

enum replica_origin {
    /* With entry 1, the membership, as all first members do. */
    REPLICA_ORIGIN_BOOTSTRAP,
    /* With nothing, to be filled by the leader: a server that joins a group which exists, or a
     * member that lost its log or its whole disk (replica_admission.h). */
    REPLICA_ORIGIN_EMPTY,
};

#endif
