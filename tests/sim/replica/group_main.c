/* The simulator's command: sim_replica [--seed N] [--count N] [--actions N] [--changes] [--trace].
 *
 * Runs seeds N, N + 1, ...; each 16th twice, to prove that a seed replays exactly. */
#include "tests/sim/replica/group_sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEAT_EVERY = 16 };

static void add(struct sim_result *total, const struct sim_result *one)
{
    total->events += one->events;
    total->committed += one->committed;
    total->acknowledged += one->acknowledged;
    total->refused += one->refused;
    total->unknown += one->unknown;
    total->elections += one->elections;
    total->crashes += one->crashes;
    total->transfers += one->transfers;
    total->changes += one->changes;
    total->loads += one->loads;
}

static uint64_t number_after(int argc, char **argv, int *at)
{
    if (*at + 1 >= argc) {
        fprintf(stderr, "%s wants a number\n", argv[*at]);
        exit(2);
    }
    return strtoull(argv[++*at], NULL, 10);
}

int main(int argc, char **argv)
{
    struct sim_options options = {.seed = 1, .actions = 300};
    uint64_t count = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0) {
            options.seed = number_after(argc, argv, &i);
        } else if (strcmp(argv[i], "--count") == 0) {
            count = number_after(argc, argv, &i);
        } else if (strcmp(argv[i], "--actions") == 0) {
            options.actions = (unsigned)number_after(argc, argv, &i);
        } else if (strcmp(argv[i], "--trace") == 0) {
            options.trace = true;
        } else if (strcmp(argv[i], "--changes") == 0) {
            options.changes = true;
        } else {
            fprintf(stderr, "unknown option %s\n", argv[i]);
            return 2;
        }
    }
    struct sim_result total = {0};
    for (uint64_t i = 0; i < count; i++, options.seed++) {
        struct sim_result result;
        sim_run(&options, &result);
        add(&total, &result);
        if (i % REPEAT_EVERY == 0 && !options.trace) {
            struct sim_result again;
            sim_run(&options, &again);
            if (again.trace_hash != result.trace_hash) {
                fprintf(stderr, "seed %" PRIu64 " does not replay\n", options.seed);
                return 1;
            }
        }
    }
    printf("seeds %" PRIu64 " events %" PRIu64 " committed %" PRIu64 " acknowledged %" PRIu64
           " refused %" PRIu64 " unknown %" PRIu64 " elections %" PRIu64 " crashes %" PRIu64
           " transfers %" PRIu64 " changes %" PRIu64 " loads %" PRIu64 "\n",
           count, total.events, total.committed, total.acknowledged, total.refused, total.unknown,
           total.elections, total.crashes, total.transfers, total.changes, total.loads);
    return 0;
}
