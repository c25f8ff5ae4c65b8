#include "tests/sim/os/sim_thread.h"

#include "common/base/buf.h"

#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
enum { STACK_SIZE = 1024 * 1024 };
#else
enum { STACK_SIZE = 256 * 1024 };
#endif

enum { GUARD_SIZE = 4096, STACKS_KEPT_MAX = 256, WAKE_MIN_US = 5, WAKE_MAX_US = 60 };

struct sim_thread {
    struct list in_process;
    struct sim_process *process;
    struct sim_event wake;
    ucontext_t context; // To begin with; later switches do without the kernel.
    jmp_buf place;      // Where it gave way.
    uint8_t *stack;
    void *fake_stack; // Of the sanitizer.
    bool begun;
    void (*entry)(void *argument);
    void *argument;
    struct list waiting;
    struct list joiners;
    bool ended;
};

static jmp_buf scheduler;
static struct sim_thread *running;
static uint8_t *stacks[STACKS_KEPT_MAX];
static size_t stack_count;
#if defined(__SANITIZE_ADDRESS__)
static const void *scheduler_bottom;
static size_t scheduler_size;
static void *scheduler_fake;
#endif

/* ---- Stacks ---- */

static uint8_t *stack_take(void)
{
    if (stack_count > 0) {
        return stacks[--stack_count];
    }
    uint8_t *stack = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(stack != MAP_FAILED);
    ASSERT(mprotect(stack, GUARD_SIZE, PROT_NONE) == 0);
    return stack;
}

static void stack_give(uint8_t *stack)
{
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack + GUARD_SIZE, STACK_SIZE); // It may have died anywhere.
#endif
    if (stack_count < STACKS_KEPT_MAX) {
        stacks[stack_count++] = stack;
    } else {
        munmap(stack, GUARD_SIZE + STACK_SIZE);
    }
}

void sim_stacks_free(void)
{
    while (stack_count > 0) {
        munmap(stacks[--stack_count], GUARD_SIZE + STACK_SIZE);
    }
}

/* ---- Switching ---- */

static void to_scheduler(struct sim_thread *thread)
{
    running = NULL;
    sim_process_switch(NULL);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(thread->ended ? NULL : &thread->fake_stack, scheduler_bottom,
                                   scheduler_size);
#endif
    if (_setjmp(thread->place) == 0) {
        _longjmp(scheduler, 1);
    }
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(thread->fake_stack, NULL, NULL);
#endif
}

static void begin(void)
{
    struct sim_thread *thread = running;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(NULL, &scheduler_bottom, &scheduler_size);
#endif
    thread->entry(thread->argument);
    thread->ended = true;
    sim_event_cancel(&thread->wake); // It may have woken itself, by its own loop's async handle.
    while (sim_thread_wake_first(&thread->joiners)) {
    }
    to_scheduler(thread);
    UNREACHABLE();
}

static void on_wake(struct sim_event *event)
{
    struct sim_thread *thread = CONTAINER_OF(event, struct sim_thread, wake);
    struct sim_process *process = thread->process;
    ASSERT(!thread->ended);
    if (process->dying) {
        return;
    }
    if (sim_now_us() < process->paused_until_us) {
        sim_event_set(event, process->paused_until_us);
        return;
    }
    running = thread;
    sim_process_switch(process);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&scheduler_fake, thread->stack + GUARD_SIZE, STACK_SIZE);
#endif
    if (_setjmp(scheduler) == 0) {
        if (thread->begun) {
            _longjmp(thread->place, 1);
        }
        thread->begun = true;
        setcontext(&thread->context);
        UNREACHABLE();
    }
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(scheduler_fake, NULL, NULL);
#endif
}

struct sim_thread *sim_thread_start(struct sim_process *process, void (*entry)(void *argument),
                                    void *argument)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    struct sim_thread *thread = mem_zalloc(sizeof *thread);
    thread->process = process;
    thread->entry = entry;
    thread->argument = argument;
    thread->wake.run = on_wake;
    thread->stack = stack_take();
    list_init(&thread->joiners);
    list_append(&process->threads, &thread->in_process);
    ASSERT(getcontext(&thread->context) == 0);
    thread->context.uc_stack.ss_sp = thread->stack + GUARD_SIZE;
    thread->context.uc_stack.ss_size = STACK_SIZE;
    makecontext(&thread->context, begin, 0);
    sim_memory_use(owner);
    sim_thread_wake(thread);
    return thread;
}

struct sim_thread *sim_thread_current(void)
{
    return running;
}

bool sim_thread_ended(const struct sim_thread *thread)
{
    return thread->ended;
}

void sim_thread_block(void)
{
    ASSERT(running != NULL); // The world itself cannot wait.
    to_scheduler(running);
}

noreturn void sim_thread_stop(void)
{
    for (;;) {
        sim_thread_block();
    }
}

void sim_thread_wake_at(struct sim_thread *thread, uint64_t at_us)
{
    if (!thread->ended && (!sim_event_is_set(&thread->wake) || thread->wake.node.due > at_us)) {
        sim_event_set(&thread->wake, at_us);
    }
}

void sim_thread_wake(struct sim_thread *thread)
{
    sim_thread_wake_at(thread, sim_now_us() + sim_between(SIM_SCHEDULE, WAKE_MIN_US, WAKE_MAX_US));
}

void sim_sleep(uint64_t us)
{
    uint64_t until = sim_now_us() + us;
    while (sim_now_us() < until) {
        sim_thread_wake_at(running, until);
        sim_thread_block();
    }
}

void sim_thread_wait_in(struct list *waiters)
{
    struct sim_thread *thread = running;
    ASSERT(thread != NULL);
    list_append(waiters, &thread->waiting);
    while (list_linked(&thread->waiting)) {
        sim_thread_block();
    }
}

bool sim_thread_wake_first(struct list *waiters)
{
    struct list *first = list_pop(waiters);
    if (first != NULL) {
        sim_thread_wake(CONTAINER_OF(first, struct sim_thread, waiting));
    }
    return first != NULL;
}

static void thread_free(struct sim_thread *thread)
{
    sim_event_cancel(&thread->wake);
    list_remove(&thread->in_process);
    stack_give(thread->stack);
    free(thread);
}

void sim_thread_join(struct sim_thread *thread)
{
    while (!thread->ended) {
        sim_thread_wait_in(&thread->joiners);
    }
    thread_free(thread);
}

void sim_threads_free(struct sim_process *process)
{
    while (!list_empty(&process->threads)) {
        thread_free(CONTAINER_OF(process->threads.next, struct sim_thread, in_process));
    }
}
