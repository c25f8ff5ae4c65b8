/* Threads of simulated processes: coroutines that run one at a time and only give way where they
 * wait. uv_thread_create(), semaphores, mutexes and conditions stand on them (sim_uv_thread.c). */
#ifndef TESTS_SIM_OS_SIM_THREAD_H
#define TESTS_SIM_OS_SIM_THREAD_H

#include "tests/sim/os/sim_process.h"

struct sim_thread;

struct sim_thread *sim_thread_start(struct sim_process *process, void (*entry)(void *argument),
                                    void *argument);
/* The one that runs; NULL: the world itself. */
struct sim_thread *sim_thread_current(void);
bool sim_thread_ended(const struct sim_thread *thread);

/* Give way until woken; wakes may come for nothing. */
void sim_thread_block(void);
/* Give way for good: the process is being ended. */
noreturn void sim_thread_stop(void);
/* Go on at that time, or earlier if that was set before. */
void sim_thread_wake_at(struct sim_thread *thread, uint64_t at_us);
/* Go on soon, as a scheduler would have it. */
void sim_thread_wake(struct sim_thread *thread);
void sim_sleep(uint64_t us);

/* A place to wait at: each thread is in one at most. */
void sim_thread_wait_in(struct list *waiters);
/* Wake the first that waits; false if none does. */
bool sim_thread_wake_first(struct list *waiters);
/* Wait until it has ended, then free it. */
void sim_thread_join(struct sim_thread *thread);

void sim_threads_free(struct sim_process *process);
/* Free the stacks that are kept for reuse. */
void sim_stacks_free(void);

#endif
