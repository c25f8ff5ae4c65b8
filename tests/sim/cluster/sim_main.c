/* The simulator's command:
 *
 *   sim_cluster --seed N [--count N]   run seeds N, N + 1, ...
 *               [--chaos-ms N]         so long until all is healed, instead of what the seed draws
 *               [--glacial]            on a slow time scale: an hour of little work each
 *               [--trace]              print all that happens
 *               [--hash]               run each seed twice and compare; print the trace's hash
 *               [--quiet]              no statistics
 *               [--json]               statistics as one line of JSON
 *
 * Exit status: 0 all promises held, 1 a promise was broken (its checker is named on standard
 * error), 2 wrong usage. */
#include "common/base/decimal.h"
#include "common/base/slice.h"
#include "tests/sim/cluster/sim_run.h"
#include "tests/sim/os/sim_memory.h"
#include "tests/sim/os/sim_thread.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { EXIT_USAGE = 2 };

struct program {
    struct sim_run_options run;
    uint64_t count;
    bool hash;
    bool quiet;
    bool json;
};

static void add(uint64_t *to, const uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] += from[i];
    }
}

/* All of a result but its hash are counters. */
static void add_result(struct sim_result *total, const struct sim_result *one)
{
    static_assert(sizeof *total % sizeof(uint64_t) == 0, "nothing but numbers of 64 bits");
    add((uint64_t *)total, (const uint64_t *)one, sizeof *one / sizeof(uint64_t));
}

/* The statistics by name; faults by kind follow. */
#define STATISTICS_TABLE(X)                                                                        \
    X("events", r->events)                                                                         \
    X("elections", r->ledger.elections)                                                            \
    X("faults", r->faults_total)                                                                   \
    X("processes started", r->processes)                                                           \
    X("nodes killed", r->deaths.of_nodes[SIM_KILL])                                                \
    X("nodes cut from power", r->deaths.of_nodes[SIM_POWER_CUT])                                   \
    X("nodes that gave up", r->deaths.of_nodes[SIM_FATAL])                                         \
    X("members added", r->added)                                                                   \
    X("members promoted", r->promoted)                                                             \
    X("members removed", r->removed)                                                               \
    X("copies", r->copies)                                                                         \
    X("stores set aside", r->stores_set_aside)                                                     \
    X("leadership declined", r->laggards)                                                          \
    X("calls acknowledged", r->clients.acknowledged)                                               \
    X("calls refused", r->clients.refused)                                                         \
    X("calls of unknown outcome", r->clients.unknown)                                              \
    X("messages received", r->clients.received)                                                    \
    X("messages consumed in order", r->in_order)                                                   \
    X("readers sent to followers", r->readers_sent)                                                \
    X("readers kept by followers", r->readers_kept)                                                \
    X("check-backs answered", r->clients.checks_answered)                                          \
    X("raced decisions answered", r->clients.ends_answered)                                        \
    X("entries", r->ledger.entries)                                                                \
    X("messages", r->ledger.messages)                                                              \
    X("messages stored again", r->ledger.duplicates)                                               \
    X("messages recognised", r->ledger.recognised)                                                 \
    X("halves", r->ledger.halves)                                                                  \
    X("halves sent again", r->ledger.half_duplicates)                                              \
    X("halves with a delay", r->ledger.halves_delayed)                                             \
    X("commits", r->ledger.commits)                                                                \
    X("rollbacks", r->ledger.rollbacks)                                                            \
    X("expirations", r->ledger.expirations)                                                        \
    X("decisions too late", r->ledger.late_ends)                                                   \
    X("checks counted", r->ledger.checks)                                                          \
    X("delayed messages", r->ledger.delayed)                                                       \
    X("delayed messages fired", r->ledger.fired)                                                   \
    X("fires in vain", r->ledger.vain_fires)                                                       \
    X("recalls", r->ledger.recalls)                                                                \
    X("messages popped", r->ledger.popped)                                                         \
    X("messages popped again", r->ledger.popped_again)                                             \
    X("pops too late", r->ledger.vain_pops)                                                        \
    X("popped messages acknowledged", r->ledger.acks)                                              \
    X("messages sent back", r->ledger.sent_back)                                                   \
    X("segments cut", r->ledger.cuts)                                                              \
    X("messages cut", r->ledger.cut_messages)

static void print(uint64_t seeds, const struct sim_result *r, bool json)
{
    const char *format = json ? ", \"%s\": %" PRIu64 : "%-26s %12" PRIu64 "\n";
    printf(json ? "{\"seeds\": %" PRIu64 ", \"simulated seconds\": %.1f"
                : "seeds                      %12" PRIu64 "\nsimulated seconds          %12.1f\n",
           seeds, (double)r->simulated_us / SIM_SECOND);
#define PRINT(name, value) printf(format, name, value);
    STATISTICS_TABLE(PRINT)
#undef PRINT
    for (int i = 0; i < SIM_FAULTS; i++) {
        char name[64];
        snprintf(name, sizeof name, "fault: %s", sim_fault_name((enum sim_fault)i));
        printf(format, name, r->faults[i]);
    }
    printf(json ? "}\n" : "");
}

static bool number(int argc, char **argv, int *at, uint64_t *out)
{
    int64_t value;
    if (*at + 1 >= argc || !decimal_parse(slice_text(argv[*at + 1]), &value) || value < 0) {
        fprintf(stderr, "%s wants a number\n", argv[*at]);
        return false;
    }
    *out = (uint64_t)value;
    ++*at;
    return true;
}

static bool read_options(int argc, char **argv, struct program *program)
{
    bool good = true;
    for (int i = 1; good && i < argc; i++) {
        struct slice option = slice_text(argv[i]);
        if (slice_equals_text(option, "--seed")) {
            good = number(argc, argv, &i, &program->run.seed);
        } else if (slice_equals_text(option, "--count")) {
            good = number(argc, argv, &i, &program->count);
        } else if (slice_equals_text(option, "--chaos-ms")) {
            good = number(argc, argv, &i, &program->run.chaos_ms);
        } else if (slice_equals_text(option, "--glacial")) {
            program->run.glacial = true;
        } else if (slice_equals_text(option, "--trace")) {
            program->run.trace = true;
        } else if (slice_equals_text(option, "--hash")) {
            program->hash = true;
        } else if (slice_equals_text(option, "--quiet")) {
            program->quiet = true;
        } else if (slice_equals_text(option, "--json")) {
            program->json = true;
        } else {
            fprintf(stderr, "unknown option %s\n", argv[i]);
            good = false;
        }
    }
    return good;
}

/* Does it come out the same? */
static bool repeat(const struct sim_run_options *options, uint64_t expected)
{
    struct sim_result again;
    sim_run(options, &again);
    printf("seed %" PRIu64 " hash %016" PRIx64 "\n", options->seed, again.trace_hash);
    if (again.trace_hash != expected) {
        fprintf(stderr,
                "violation: replay: seed %" PRIu64 " comes out as %016" PRIx64
                ", then as %016" PRIx64 "\n",
                options->seed, expected, again.trace_hash);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct program program = {.run.seed = 1, .count = 1};
    struct sim_result total = {0};
    int code = EXIT_SUCCESS;
    if (!read_options(argc, argv, &program)) {
        return EXIT_USAGE;
    }
    setenv("TZ", "UTC", 1); // Unique keys tell the month.
    tzset();
    sim_memory_adopt_libraries();
    for (uint64_t i = 0; i < program.count && code == EXIT_SUCCESS; i++, program.run.seed++) {
        struct sim_result result;
        sim_run(&program.run, &result);
        add_result(&total, &result);
        if (program.hash && !repeat(&program.run, result.trace_hash)) {
            code = EXIT_FAILURE;
        }
    }
    if (!program.quiet) {
        print(program.count, &total, program.json);
    }
    sim_stacks_free();
    return code;
}
