/* Between sim_ledger.c (logs, leaders, what clients are told) and sim_ledger_model.c (queues and
 * transactions as the log says). */
#ifndef TESTS_SIM_CLUSTER_SIM_LEDGER_INTERNAL_H
#define TESTS_SIM_CLUSTER_SIM_LEDGER_INTERNAL_H

#include "tests/sim/cluster/sim_ledger.h"

void ledger_model_apply(struct ledger_group *group, const struct ledger_entry *entry);
void ledger_model_close(struct ledger_group *group);

/* A CUT up to `wanted` applies, as the entry at that position. */
void ledger_cut(struct ledger_group *group, uint64_t wanted, uint64_t entry_position);

/* Attempts before a half may be given up. */
uint32_t ledger_check_max(void);

#endif
