/* Faults: one now and then, as the plan's weights have it, and healing. */
#ifndef TESTS_SIM_CLUSTER_SIM_FAULTS_H
#define TESTS_SIM_CLUSTER_SIM_FAULTS_H

#include "tests/sim/cluster/sim_plan.h"

/* Borrows plan. */
void sim_faults_open(const struct sim_plan *plan);
/* Let the next one happen; returns when to come again. */
uint64_t sim_faults_strike(void);
/* End all troubles: everything is connected, fast and awake again, and comes back when it died. But
 * for a bare majority of the nodes, if the plan says so, those beyond it stay down. */
void sim_faults_heal(void);
void sim_faults_close(void);

/* How often each happened. */
const uint64_t *sim_faults_counts(void);

#endif
