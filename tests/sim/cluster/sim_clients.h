/* Clients: processes that use libraftmq as an application would. What they are told is compared
 * with the ledger at once. */
#ifndef TESTS_SIM_CLUSTER_SIM_CLIENTS_H
#define TESTS_SIM_CLUSTER_SIM_CLIENTS_H

#include "tests/sim/cluster/sim_plan.h"

enum { SIM_CLIENTS_MAX = 12 };

struct sim_client_counts {
    uint64_t sends;
    uint64_t acknowledged;
    uint64_t refused;
    uint64_t unknown; /* Whoever sent it cannot know whether it is stored. */
    uint64_t transactions;
    uint64_t ends_answered;
    uint64_t checks_answered;
    uint64_t received;
    uint64_t deaths;
};

/* Start them all. Borrows plan. */
void sim_clients_open(const struct sim_plan *plan);
/* Begin nothing new; finish, answer check-backs, go on consuming. */
void sim_clients_hush(void);
/* Have all threads come to the end of what they were doing? */
bool sim_clients_hushed(void);
/* Ask all to close in order and end; then sim_clients_gone() comes true. */
void sim_clients_stop(void);
bool sim_clients_gone(void);
void sim_clients_close(void);

/* Are there any that pop? */
bool sim_clients_pop(void);
size_t sim_client_count(void);
struct sim_host *sim_client_host(size_t client);
const struct sim_client_counts *sim_client_counts(void);

#endif
