/* Between sim_faults.c (when, how often, until when) and sim_fault_kinds.c (what). */
#ifndef TESTS_SIM_CLUSTER_SIM_FAULTS_INTERNAL_H
#define TESTS_SIM_CLUSTER_SIM_FAULTS_INTERNAL_H

#include "tests/sim/cluster/sim_faults.h"

/* Let it happen to whom chance has it; false if there was nobody. */
bool fault_strike(enum sim_fault kind);

/* Call end(a, b) after so long, or when all is healed. */
void fault_until(uint64_t us, void (*end)(size_t a, size_t b), size_t a, size_t b);
/* How long a trouble lasts. */
uint64_t fault_a_while(void);
const struct sim_plan *fault_plan(void);

#endif
