/* libuv's threads, semaphores, mutexes and conditions on simulated threads. What uv keeps inline is
 * a pointer here, to memory of the process. */
#include "tests/sim/os/sim_thread.h"

#include "common/base/buf.h"

#include <stdlib.h>
#include <uv.h>

struct gate {
    struct list waiters;
    unsigned value; /* Of a semaphore; 1: a mutex is held. */
};

static struct gate *gate_new(void *place, unsigned value)
{
    struct gate *gate = mem_zalloc(sizeof *gate);
    list_init(&gate->waiters);
    gate->value = value;
    memcpy(place, &gate, sizeof gate);
    return gate;
}

static struct gate *gate_of(const void *place)
{
    struct gate *gate;
    memcpy(&gate, place, sizeof gate);
    return gate;
}

static void gate_free(void *place)
{
    struct gate *gate = gate_of(place);
    ASSERT(list_empty(&gate->waiters));
    free(gate);
}

int uv_thread_create(uv_thread_t *thread, uv_thread_cb entry, void *argument)
{
    struct sim_thread *started = sim_thread_start(sim_process_current(), entry, argument);
    memcpy(thread, &started, sizeof started);
    return 0;
}

int uv_thread_join(uv_thread_t *thread)
{
    struct sim_thread *ended;
    memcpy(&ended, thread, sizeof ended);
    sim_thread_join(ended);
    return 0;
}

int uv_sem_init(uv_sem_t *sem, unsigned value)
{
    gate_new(sem, value);
    return 0;
}

void uv_sem_destroy(uv_sem_t *sem)
{
    gate_free(sem);
}

void uv_sem_post(uv_sem_t *sem)
{
    struct gate *gate = gate_of(sem);
    gate->value++;
    sim_thread_wake_first(&gate->waiters);
}

void uv_sem_wait(uv_sem_t *sem)
{
    struct gate *gate = gate_of(sem);
    while (gate->value == 0) {
        sim_thread_wait_in(&gate->waiters);
    }
    gate->value--;
}

int uv_mutex_init(uv_mutex_t *mutex)
{
    gate_new(mutex, 0);
    return 0;
}

void uv_mutex_destroy(uv_mutex_t *mutex)
{
    gate_free(mutex);
}

void uv_mutex_lock(uv_mutex_t *mutex)
{
    struct gate *gate = gate_of(mutex);
    while (gate->value != 0) {
        sim_thread_wait_in(&gate->waiters);
    }
    gate->value = 1;
}

void uv_mutex_unlock(uv_mutex_t *mutex)
{
    struct gate *gate = gate_of(mutex);
    ASSERT(gate->value == 1);
    gate->value = 0;
    sim_thread_wake_first(&gate->waiters);
}

int uv_cond_init(uv_cond_t *condition)
{
    gate_new(condition, 0);
    return 0;
}

void uv_cond_destroy(uv_cond_t *condition)
{
    gate_free(condition);
}

void uv_cond_signal(uv_cond_t *condition)
{
    sim_thread_wake_first(&gate_of(condition)->waiters);
}

void uv_cond_broadcast(uv_cond_t *condition)
{
    while (sim_thread_wake_first(&gate_of(condition)->waiters)) {
    }
}

void uv_cond_wait(uv_cond_t *condition, uv_mutex_t *mutex)
{
    uv_mutex_unlock(mutex);
    sim_thread_wait_in(&gate_of(condition)->waiters);
    uv_mutex_lock(mutex);
}
