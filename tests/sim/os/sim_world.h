/* The simulated world: virtual time, an order of all that happens, chance, and a trace.
 *
 * One world at a time in a process, because the code under test reaches its operating system
 * through functions without a context (uv_hrtime(), clock_system(), malloc()). Everything runs on
 * one real thread; equal events happen in the order in which they were set. All that is random
 * follows from the seed, and every trace line goes into a hash: two runs of one binary and seed
 * must agree on it. */
#ifndef TESTS_SIM_OS_SIM_WORLD_H
#define TESTS_SIM_OS_SIM_WORLD_H

#include "common/base/check.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/random.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>

enum { SIM_MS = 1000, SIM_SECOND = 1000 * 1000 }; /* In microseconds, the unit of all times here. */

struct sim_world_options {
    uint64_t seed;
    bool trace;         /* Print every line. */
    const char *replay; /* The command that shows a failure again; borrowed. */
};

/* Begin a new world, at time 0. */
void sim_world_open(const struct sim_world_options *options);
/* End it; all processes are gone and no event is set. */
void sim_world_close(void);

uint64_t sim_now_us(void);

/* Something that will happen once. Embedded; zeroed is "not set". */
struct sim_event {
    struct heap_node node;
    void (*run)(struct sim_event *event);
};

/* Let it happen at that time (now at the earliest), instead of when it was set for before. */
void sim_event_set(struct sim_event *event, uint64_t at_us);
/* Harmless if it is not set. */
void sim_event_cancel(struct sim_event *event);
static inline bool sim_event_is_set(const struct sim_event *event)
{
    return heap_linked(&event->node);
}

/* Let the world go on until then. */
void sim_run_until(uint64_t until_us);
uint64_t sim_event_count(void);

/* Streams of chance, so that a fault more does not change the clients' choices. */
enum sim_stream { SIM_SCHEDULE, SIM_NETWORK, SIM_DISK, SIM_FAULT, SIM_LOAD, SIM_STREAMS };

uint64_t sim_draw(enum sim_stream stream, uint64_t bound); /* In [0, bound). */
uint64_t sim_between(enum sim_stream stream, uint64_t least, uint64_t most);
/* True once in n times; never if n is 0. */
bool sim_one_in(enum sim_stream stream, uint64_t n);

/* A line of the trace: who, a constant phrase, two numbers. */
void sim_trace(const char *who, const char *phrase, uint64_t a, uint64_t b);
/* The same in words, not hashed and only made if the trace is printed. */
void sim_tell(const char *who, const char *format, ...) PRINTF_LIKE(2, 3);
bool sim_tracing(void);
uint64_t sim_trace_hash(void);

/* A promise is broken: name the checker, tell how to see it again, end the program with status 1.
 */
noreturn void sim_violation(const char *checker, const char *format, ...) PRINTF_LIKE(2, 3);

/* Mix two numbers into one. */
static inline uint64_t sim_mix(uint64_t a, uint64_t b)
{
    struct random random = {a * UINT64_C(0x9E3779B97F4A7C15) ^ b};
    return random_next(&random);
}

#endif
