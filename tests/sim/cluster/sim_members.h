/* Changes of the membership, asked for as an operator would: a spare node is started, added and
 * promoted, others are removed, and come back with an empty disk. Requests may be refused, or lost
 * with the leader that took them; the next one looks at what there is. */
#ifndef TESTS_SIM_CLUSTER_SIM_MEMBERS_H
#define TESTS_SIM_CLUSTER_SIM_MEMBERS_H

#include "tests/sim/cluster/sim_plan.h"

void sim_members_open(const struct sim_plan *plan);

/* The next step for some group; false if there is none to take now. */
bool sim_members_change(void);

/* Is a node a member of a group, as its leader says? Others may remember a change that was lost. */
bool sim_is_member(size_t node, size_t group);
/* Nobody is a member who was not added, or none who was not removed. */
void sim_members_audit(void);

/* Steps that leaders took on: added, promoted, removed. */
uint64_t sim_members_added(void);
uint64_t sim_members_promoted(void);
uint64_t sim_members_removed(void);

#endif
