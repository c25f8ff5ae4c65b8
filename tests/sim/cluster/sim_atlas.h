/* The atlas of damage: what may be destroyed so that the promise still holds.
 *
 * One node at a time may have lost something of its disks, and only while all others have what
 * they acknowledged. It counts as hurt until nothing that was damaged is in use any more and its
 * replicas vote again. Damage to the log stays below a durable mark, of a frame or beside the log,
 * that is sure to stay: a bad frame beyond the last mark is, to anybody, a write that was torn. */
#ifndef TESTS_SIM_CLUSTER_SIM_ATLAS_H
#define TESTS_SIM_CLUSTER_SIM_ATLAS_H

#include "tests/sim/cluster/sim_plan.h"

void atlas_open(void);

/* The node that is hurt; -1: all have all that they should. */
int atlas_hurt(void);
/* Does this node's replica of a group vote, if it may, and has it applied all up to `last`? */
bool atlas_has(size_t node, size_t group, uint64_t last);
/* Has this node, of each group that it is a member of, a replica that votes and lacks nothing? */
bool atlas_is_well(size_t node);
/* May this node's disks be damaged (more)? */
bool atlas_may_hurt(size_t node);

/* All of a node's disks, or one group's data, are blank. It is not running. */
void atlas_lose_disks(size_t node);
/* A group's store is gone; the log is not. It is not running. */
void atlas_lose_store(size_t node);
/* A group's store, though it is there, cannot be read any more. False if there is none. */
bool atlas_rot_store(size_t node);
/* Does a node that runs use one? */
bool atlas_rots(size_t *node);
/* Bits change, or a sector is written to where it does not belong, in a file of a group's log.
 * False if chance has found nothing to damage. */
bool atlas_damage(size_t node);

#endif
