/* Which disk this is: a random number that is born with a replica's data directory and lost with
 * it, and those of the disks that were there when the group began.
 *
 * A member whose disk comes back blank is told from one that never had any data by this number: it
 * forgot what it promised, the other did not (replica_admission.h). Stored in the twin file
 * "identity". Blocking; one thread at a time.
 *
 *   at  size  field          (little-endian)
 *    0     8  number         not 0
 *    8     4  begun          1: a log was begun or copied here
 *   12     4  count          of disks that follow
 *   16    16  each: u64 member, u64 number; zeros behind the last */
#ifndef RAFT_GLUE_REPLICA_IDENTITY_H
#define RAFT_GLUE_REPLICA_IDENTITY_H

#include "common/base/limits.h"
#include "raft-glue/twin_file.h"

#include <stdbool.h>

enum { REPLICA_IDENTITY_RECORD_SIZE = 16 + 16 * MEMBERS_MAX };

struct replica_identity {
    uint64_t number;
    bool begun; /* There was a log here: if it is gone, this is not the disk that it was. */
    size_t count;
    struct {
        uint64_t member;
        uint64_t number;
    } counted[MEMBERS_MAX];
};

/* Read it, or give this directory the number `fresh`.
 * Errors: STATUS_IO, STATUS_DISK_FULL. Damage reads as a new disk: that is the careful side. */
WARN_UNUSED enum status replica_identity_open(const struct directory *directory, uint64_t fresh,
                                              struct replica_identity *identity);

/* Durable when it returns OK. Errors: STATUS_IO, STATUS_DISK_FULL. */
WARN_UNUSED enum status replica_identity_store(const struct directory *directory,
                                               const struct replica_identity *identity);

/* Was that disk of that member there when the group began? */
bool replica_identity_counts(const struct replica_identity *identity, uint64_t member,
                             uint64_t number);

#endif
