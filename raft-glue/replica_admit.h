/* Admission (replica_admission.h) over the network: asks the other members what they are, answers
 * those who ask, until it is decided how to begin.
 *
 * Runs before anything else is open, in the thread that will run the replica. */
#ifndef RAFT_GLUE_REPLICA_ADMIT_H
#define RAFT_GLUE_REPLICA_ADMIT_H

#include "common/base/log.h"
#include "raft-glue/replica_admission.h"
#include "raft-glue/replica_host.h"

struct replica_admit_options {
    uv_loop_t *loop; /* Run until it is decided; other handles on it are served meanwhile. */
    const struct log *log;
    struct slice cluster;
    struct slice group;
    uint64_t id;
    const struct replica_member *members; /* With ourselves. */
    size_t member_count;
    struct host client_host;
    const struct replica_identity *identity;
    bool set_aside; /* There was data here: we begin no group, and tell nobody that we are blank. */
    const bool *canceled; /* Looked at after each event. */
};

/* Blocks. The decision is never WAIT; *admission is what it rests on.
 *
 * Errors (*error is a sentence to be freed, or NULL):
 *   STATUS_CANCELED
 *   STATUS_IO  our port cannot be listened on */
WARN_UNUSED enum status replica_admit(const struct replica_admit_options *options,
                                      struct admission *admission,
                                      struct admission_decision *decision, char **error);

#endif
