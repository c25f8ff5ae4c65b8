/* One seed from begin to end: chaos, heal, drain, check. */
#ifndef TESTS_SIM_CLUSTER_SIM_RUN_H
#define TESTS_SIM_CLUSTER_SIM_RUN_H

#include "tests/sim/cluster/sim_clients.h"
#include "tests/sim/cluster/sim_ledger.h"
#include "tests/sim/cluster/sim_nodes.h"

struct sim_run_options {
    uint64_t seed;
    uint64_t chaos_ms; /* 0: as the seed has it. */
    bool glacial;      /* On a slow time scale: much time for little work. */
    bool trace;
};

struct sim_result {
    uint64_t trace_hash;
    uint64_t simulated_us;
    uint64_t events;
    uint64_t processes; /* Started. */
    uint64_t added;     /* To groups, as */
    uint64_t promoted;  /* leaders said. */
    uint64_t removed;
    uint64_t copies; /* Replicas that got one. */
    uint64_t stores_set_aside;
    uint64_t laggards;     /* Replicas that declined leadership because of what is to be applied. */
    uint64_t readers_sent; /* To followers, and */
    uint64_t readers_kept; /* by them. */
    uint64_t faults[SIM_FAULTS];
    uint64_t faults_total;
    struct sim_deaths deaths;
    struct ledger_counts ledger;
    struct sim_client_counts clients;
    uint64_t in_order; /* Messages consumed in order. */
};

/* Ends the program if a promise is broken. */
void sim_run(const struct sim_run_options *options, struct sim_result *result);

#endif
