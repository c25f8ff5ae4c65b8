#include "tests/sim/os/sim_world.h"

#include "common/base/crc32c.h"
#include "tests/sim/os/sim_memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    struct sim_world_options options;
    struct heap events;
    uint64_t now_us;
    uint64_t tie;
    uint64_t event_count;
    struct random streams[SIM_STREAMS];
    uint64_t trace_hash;
} world;

void sim_world_open(const struct sim_world_options *options)
{
    memset(&world, 0, sizeof world);
    world.options = *options;
    for (int i = 0; i < SIM_STREAMS; i++) {
        world.streams[i].state = sim_mix(options->seed, (uint64_t)i + 1);
    }
}

void sim_world_close(void)
{
    ASSERT(heap_first(&world.events) == NULL);
    heap_close(&world.events);
}

uint64_t sim_now_us(void)
{
    return world.now_us;
}

void sim_event_set(struct sim_event *event, uint64_t at_us)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    heap_remove(&world.events, &event->node);
    heap_put(&world.events, &event->node, at_us > world.now_us ? at_us : world.now_us, ++world.tie);
    sim_memory_use(owner);
}

void sim_event_cancel(struct sim_event *event)
{
    heap_remove(&world.events, &event->node);
}

void sim_run_until(uint64_t until_us)
{
    struct heap_node *first;
    while ((first = heap_first(&world.events)) != NULL && first->due <= until_us) {
        heap_remove(&world.events, first);
        world.now_us = first->due;
        world.event_count++;
        struct sim_event *event = CONTAINER_OF(first, struct sim_event, node);
        event->run(event);
    }
    world.now_us = until_us;
}

uint64_t sim_event_count(void)
{
    return world.event_count;
}

uint64_t sim_draw(enum sim_stream stream, uint64_t bound)
{
    return random_below(&world.streams[stream], bound);
}

uint64_t sim_between(enum sim_stream stream, uint64_t least, uint64_t most)
{
    ASSERT(least <= most);
    return least + sim_draw(stream, most - least + 1);
}

bool sim_one_in(enum sim_stream stream, uint64_t n)
{
    return n != 0 && sim_draw(stream, n) == 0;
}

void sim_trace(const char *who, const char *phrase, uint64_t a, uint64_t b)
{
    uint32_t words = crc32c(crc32c(0, who, strlen(who)), phrase, strlen(phrase));
    world.trace_hash = sim_mix(world.trace_hash, sim_mix(world.now_us ^ words, sim_mix(a, b)));
    if (world.options.trace) {
        printf("%10.6f  %-12s %s %" PRIu64 " %" PRIu64 "\n", (double)world.now_us / SIM_SECOND, who,
               phrase, a, b);
    }
}

void sim_tell(const char *who, const char *format, ...)
{
    if (!world.options.trace) {
        return;
    }
    va_list args;
    printf("%10.6f  %-12s ", (double)world.now_us / SIM_SECOND, who);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

bool sim_tracing(void)
{
    return world.options.trace;
}

uint64_t sim_trace_hash(void)
{
    return world.trace_hash;
}

noreturn void sim_violation(const char *checker, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fprintf(stderr, "violation: %s: seed %" PRIu64 " at %.6f s: ", checker, world.options.seed,
            (double)world.now_us / SIM_SECOND);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nreplay: %s\n", world.options.replay);
    fflush(stderr);
    _exit(1); // The world is as it broke: nothing of it can be tidied up.
}
