/* What must hold once all is healed and quiet. */
#ifndef TESTS_SIM_CLUSTER_SIM_AUDIT_H
#define TESTS_SIM_CLUSTER_SIM_AUDIT_H

#include "tests/sim/cluster/sim_plan.h"

#include <stdbool.h>

/* Has everything come to rest: every group led, all replicas at one index, no transaction open,
 * every transfer arrived? `why` tells what is missing, static text. */
bool sim_audit_at_rest(const char **why);

/* Replicas equal each other, the ledger, and a machine that replays the log from nothing; the
 * bank's sum is right; memory is below its cap. */
void sim_audit_state(void);

/* Begin to read every message back from every replica that is up, over the wire; done when
 * sim_audit_read() says so. */
void sim_audit_read_begin(void);
bool sim_audit_read_done(void);
void sim_audit_close(void);

#endif
