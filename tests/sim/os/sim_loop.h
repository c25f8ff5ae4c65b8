/* Event loops of simulated processes: what stands behind uv_loop_t and uv_handle_t.
 *
 * A turn runs due timers, idle handles, whatever became ready, check handles and closings, in
 * libuv's order; then the thread waits for the next timer or for something to become ready. */
#ifndef TESTS_SIM_OS_SIM_LOOP_H
#define TESTS_SIM_OS_SIM_LOOP_H

#include "tests/sim/os/sim_process.h"

#include <uv.h>

struct sim_thread;
struct sim_socket;

struct sim_loop {
    struct list in_process;
    struct sim_process *process;
    struct sim_thread *thread; /* In uv_run(); NULL: nobody runs it. */
    uint64_t now_ms;           /* As of the turn's begin. */
    struct heap timers;
    uint64_t timer_tie;
    struct list idles;
    struct list checks;
    struct list ready; /* struct sim_ready */
    struct list closing;
    struct list handles;
    size_t active; /* Handles and requests that keep it alive. */
};

/* Something for the next turn; in the loop's list at most once. */
struct sim_ready {
    struct list link;
    void (*run)(struct sim_ready *ready);
};

struct sim_handle {
    struct list in_loop;
    uv_handle_t *uv;
    struct sim_loop *loop;
    struct heap_node timer;
    uint64_t repeat_ms;
    struct list active_link; /* In idles or checks. */
    struct sim_ready ready;  /* Of an async. */
    struct list closing_link;
    uv_close_cb on_closed;
    union {
        uv_timer_cb timer;
        uv_idle_cb idle;
        uv_check_cb check;
        uv_async_cb async;
    } call;
    struct sim_socket *socket;
    bool active;
    bool closing;
};

/* Let it run in the loop's next turn. Any context. */
void sim_loop_ready(struct sim_loop *loop, struct sim_ready *ready);
struct sim_loop *sim_loop_of(const uv_loop_t *loop);
struct sim_handle *sim_handle_of(const uv_handle_t *handle);
struct sim_handle *sim_handle_new(uv_loop_t *loop, uv_handle_t *handle, uv_handle_type type);
void sim_handle_activate(struct sim_handle *handle, bool active);

void sim_loops_free(struct sim_process *process);

#endif
