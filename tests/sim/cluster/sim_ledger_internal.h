/* Between sim_ledger.c (logs, leaders, what clients are told) and sim_ledger_model.c (queues and
 * transactions as the log says). */
#ifndef TESTS_SIM_CLUSTER_SIM_LEDGER_INTERNAL_H
#define TESTS_SIM_CLUSTER_SIM_LEDGER_INTERNAL_H

#include "tests/sim/cluster/sim_ledger.h"

void ledger_model_apply(struct ledger_group *group, const struct ledger_entry *entry);
void ledger_model_close(struct ledger_group *group);

bool ledger_queue_exists(const struct ledger_group *group, struct slice topic, int32_t queue_id);
/* A message becomes visible. Copies item. */
void ledger_append(struct ledger_group *group, struct slice topic, int32_t queue_id,
                   const struct ledger_item *item);
/* A client's message is in the log once more. */
void ledger_count_copy(struct ledger_group *group, uint64_t id);

/* sim_ledger_delay.c. Positions are those of the operations' bodies; of a FIRE, of its header. */
void ledger_apply_delayed(struct ledger_group *group, const struct operation *operation,
                          uint64_t position);
void ledger_apply_fire(struct ledger_group *group, const struct operation_fire *fire,
                       uint64_t position);
void ledger_apply_recall(struct ledger_group *group, const struct operation_recall *recall);
/* When a delay that begins now ends. */
uint64_t ledger_delay_end(const struct ledger_group *group, const struct delay *delay);
/* Copies what. */
void ledger_delay_begin(struct ledger_group *group, const struct ledger_delayed *what);
void ledger_delays_close(struct ledger_group *group);

/* sim_ledger_unique.c */
/* Was a message of that UNIQ_KEY stored in the topic less than a window ago? If not, this one is.
 */
bool ledger_recognises(struct ledger_group *group, struct slice topic, uint32_t window_s,
                       struct slice properties);
void ledger_recognised_close(struct ledger_group *group);
/* A topic's window; 0 without. */
uint32_t ledger_window(const struct ledger_group *group, struct slice topic);

/* sim_ledger_pop.c */
void ledger_apply_pop(struct ledger_group *group, const struct operation_pop *pop);
void ledger_apply_ack(struct ledger_group *group, const struct operation_ack *ack);
void ledger_apply_invisible(struct ledger_group *group,
                            const struct operation_invisible *invisible);
/* Messages have gone from the front of queues. */
void ledger_pops_cut(struct ledger_group *group);
void ledger_pops_close(struct ledger_group *group);

/* Where a consumer group stands; -1: it never said. */
int64_t ledger_offset_find(const struct ledger_group *group, struct slice consumers,
                           struct slice topic, int32_t queue_id);
void ledger_offset_set(struct ledger_group *group, struct slice consumers, struct slice topic,
                       int32_t queue_id, int64_t offset);

/* A CUT up to `wanted` applies, as the entry at that position. */
void ledger_cut(struct ledger_group *group, uint64_t wanted, uint64_t entry_position);

/* Attempts before a half may be given up. */
uint32_t ledger_check_max(void);

#endif
