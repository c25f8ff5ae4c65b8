/* A whole group in one process: real replicas and logs, simulated disks, network and clock.
 *
 * Everything follows from the seed. A broken promise ends the program with one line that names the
 * seed. */
#ifndef TESTS_SIM_REPLICA_GROUP_SIM_H
#define TESTS_SIM_REPLICA_GROUP_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_options {
    uint64_t seed;
    unsigned actions; /* Proposals, crashes, partitions ... before all is healed. */
    bool trace;       /* Print what happens. */
    bool changes;     /* Also change the membership. */
};

struct sim_result {
    uint64_t trace_hash;
    uint64_t events;
    uint64_t committed;
    uint64_t acknowledged;
    uint64_t refused;
    uint64_t unknown;
    uint64_t elections;
    uint64_t crashes;
    uint64_t transfers;
    uint64_t changes;
    uint64_t loads;
};

/* Run one seed to its end and check everything. */
void sim_run(const struct sim_options *options, struct sim_result *result);

#endif
