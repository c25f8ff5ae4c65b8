#include "tests/sim/os/sim_loop.h"

#include "common/base/buf.h"
#include "tests/sim/os/sim_socket.h"
#include "tests/sim/os/sim_thread.h"

#include <stdlib.h>

enum { TURN_US = 15, POOL_THREADS = 4 };

/* ---- Loops ---- */

struct sim_loop *sim_loop_of(const uv_loop_t *loop)
{
    ASSERT(loop->internal_fields != NULL);
    return loop->internal_fields;
}

struct sim_handle *sim_handle_of(const uv_handle_t *handle)
{
    ASSERT(handle->u.reserved[0] != NULL);
    return handle->u.reserved[0];
}

int uv_loop_init(uv_loop_t *uv)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    struct sim_loop *loop = mem_zalloc(sizeof *loop);
    sim_memory_use(owner);
    *uv = (uv_loop_t){.internal_fields = loop};
    loop->process = sim_process_current();
    list_append(&loop->process->loops, &loop->in_process);
    list_init(&loop->idles);
    list_init(&loop->checks);
    list_init(&loop->ready);
    list_init(&loop->closing);
    list_init(&loop->handles);
    uv_update_time(uv);
    return 0;
}

static void loop_free(struct sim_loop *loop)
{
    LIST_FOREACH(at, &loop->handles)
    {
        free(CONTAINER_OF(at, struct sim_handle, in_loop));
    }
    heap_close(&loop->timers);
    list_remove(&loop->in_process);
    free(loop);
}

int uv_loop_close(uv_loop_t *uv)
{
    struct sim_loop *loop = sim_loop_of(uv);
    if (!list_empty(&loop->handles)) {
        return UV_EBUSY;
    }
    uv->internal_fields = NULL;
    loop_free(loop);
    return 0;
}

void sim_loops_free(struct sim_process *process)
{
    while (!list_empty(&process->loops)) {
        loop_free(CONTAINER_OF(process->loops.next, struct sim_loop, in_process));
    }
}

void uv_update_time(uv_loop_t *uv)
{
    struct sim_loop *loop = sim_loop_of(uv);
    loop->now_ms = sim_host_monotonic_us(loop->process->host) / SIM_MS;
}

uint64_t uv_now(const uv_loop_t *uv)
{
    return sim_loop_of(uv)->now_ms;
}

uint64_t uv_hrtime(void)
{
    struct sim_process *process = sim_process_current();
    return sim_host_monotonic_us(process->host) * 1000 + process->next_number++ % 1000;
}

void sim_loop_ready(struct sim_loop *loop, struct sim_ready *ready)
{
    if (!list_linked(&ready->link)) {
        list_append(&loop->ready, &ready->link);
    }
    if (loop->thread != NULL) {
        sim_thread_wake(loop->thread);
    }
}

/* ---- A turn ---- */

static void run_timers(struct sim_loop *loop)
{
    struct heap_node *first;
    while ((first = heap_first(&loop->timers)) != NULL && first->due <= loop->now_ms) {
        struct sim_handle *handle = CONTAINER_OF(first, struct sim_handle, timer);
        uv_timer_t *timer = (uv_timer_t *)handle->uv;
        uv_timer_cb call = handle->call.timer;
        uv_timer_stop(timer);
        if (handle->repeat_ms > 0) {
            uv_timer_start(timer, call, handle->repeat_ms, handle->repeat_ms);
        }
        call(timer);
    }
}

/* Call each handle that is in the list now; the list may change meanwhile. */
static void run_active(struct list *active, bool idle)
{
    struct list batch;
    list_init(&batch);
    while (!list_empty(active)) {
        list_append(&batch, list_pop(active));
    }
    while (!list_empty(&batch)) {
        struct list *node = list_pop(&batch);
        struct sim_handle *handle = CONTAINER_OF(node, struct sim_handle, active_link);
        list_append(active, node);
        if (idle) {
            handle->call.idle((uv_idle_t *)handle->uv);
        } else {
            handle->call.check((uv_check_t *)handle->uv);
        }
    }
}

static void run_ready(struct sim_loop *loop)
{
    struct list batch;
    list_init(&batch);
    while (!list_empty(&loop->ready)) {
        list_append(&batch, list_pop(&loop->ready));
    }
    while (!list_empty(&batch)) {
        struct sim_ready *ready = CONTAINER_OF(list_pop(&batch), struct sim_ready, link);
        ready->run(ready);
    }
}

static void run_closings(struct sim_loop *loop)
{
    struct list batch;
    list_init(&batch);
    while (!list_empty(&loop->closing)) {
        list_append(&batch, list_pop(&loop->closing));
    }
    while (!list_empty(&batch)) {
        struct list *node = list_pop(&batch);
        struct sim_handle *handle = CONTAINER_OF(node, struct sim_handle, closing_link);
        uv_handle_t *uv = handle->uv;
        uv_close_cb on_closed = handle->on_closed;
        if (handle->socket != NULL) {
            sim_socket_cancel_requests(handle->socket);
            sim_socket_close(handle->socket);
        }
        list_remove(&handle->in_loop);
        free(handle);
        if (on_closed != NULL) {
            on_closed(uv);
        }
    }
}

static bool alive(const struct sim_loop *loop)
{
    return loop->active > 0 || !list_empty(&loop->closing);
}

/* One round of everything that is due. */
static void turn(uv_loop_t *uv, struct sim_loop *loop)
{
    uv_update_time(uv);
    run_timers(loop);
    run_active(&loop->idles, true);
    run_ready(loop);
    run_active(&loop->checks, false);
    run_closings(loop);
}

/* Sleep until something is due. */
static void wait_for_turn(struct sim_loop *loop)
{
    struct heap_node *timer = heap_first(&loop->timers);
    if (!list_empty(&loop->idles) || !list_empty(&loop->closing)) {
        sim_thread_wake_at(loop->thread, sim_now_us() + TURN_US);
    } else if (timer != NULL) {
        uint64_t at = sim_host_when(loop->process->host, timer->due * SIM_MS);
        uint64_t soonest = sim_now_us() + TURN_US;
        sim_thread_wake_at(loop->thread, at > soonest ? at : soonest);
    }
    sim_thread_block();
}

int uv_run(uv_loop_t *uv, uv_run_mode mode)
{
    struct sim_loop *loop = sim_loop_of(uv);
    ASSERT(mode != UV_RUN_NOWAIT && loop->thread == NULL);
    loop->thread = sim_thread_current();
    if (mode == UV_RUN_ONCE) {
        // What is due already is worth a turn of its own; else that of what comes next.
        bool due = !list_empty(&loop->ready) || !list_empty(&loop->closing);
        if (!due && alive(loop)) {
            wait_for_turn(loop);
        }
        turn(uv, loop);
    }
    while (mode == UV_RUN_DEFAULT && alive(loop)) {
        turn(uv, loop);
        if (alive(loop)) {
            wait_for_turn(loop);
        }
    }
    loop->thread = NULL;
    return 0;
}

void uv_unref(uv_handle_t *handle)
{
    sim_handle_activate(sim_handle_of(handle), false);
}

/* ---- Handles ---- */

struct sim_handle *sim_handle_new(uv_loop_t *loop, uv_handle_t *uv, uv_handle_type type)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    struct sim_handle *handle = mem_zalloc(sizeof *handle);
    sim_memory_use(owner);
    handle->uv = uv;
    handle->loop = sim_loop_of(loop);
    list_append(&handle->loop->handles, &handle->in_loop);
    uv->loop = loop;
    uv->type = type;
    uv->u.reserved[0] = handle;
    return handle;
}

void sim_handle_activate(struct sim_handle *handle, bool active)
{
    if (active && !handle->active) {
        handle->loop->active++;
    } else if (!active && handle->active) {
        handle->loop->active--;
    }
    handle->active = active;
}

void uv_close(uv_handle_t *uv, uv_close_cb on_closed)
{
    struct sim_handle *handle = sim_handle_of(uv);
    ASSERT(!handle->closing);
    sim_handle_activate(handle, false);
    heap_remove(&handle->loop->timers, &handle->timer);
    list_remove(&handle->active_link);
    list_remove(&handle->ready.link);
    if (handle->socket != NULL) {
        sim_socket_silence(handle->socket);
    }
    handle->closing = true;
    handle->on_closed = on_closed;
    list_append(&handle->loop->closing, &handle->closing_link);
    if (handle->loop->thread != NULL && handle->loop->thread != sim_thread_current()) {
        sim_thread_wake(handle->loop->thread);
    }
}

int uv_is_closing(const uv_handle_t *uv)
{
    return sim_handle_of(uv)->closing;
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer)
{
    sim_handle_new(loop, (uv_handle_t *)timer, UV_TIMER);
    return 0;
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb call, uint64_t timeout_ms, uint64_t repeat_ms)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)timer);
    if (handle->closing) {
        return UV_EINVAL;
    }
    struct sim_loop *loop = handle->loop;
    struct sim_owner *owner = sim_memory_use(NULL);
    heap_remove(&loop->timers, &handle->timer);
    heap_put(&loop->timers, &handle->timer, loop->now_ms + timeout_ms, ++loop->timer_tie);
    sim_memory_use(owner);
    handle->call.timer = call;
    handle->repeat_ms = repeat_ms;
    sim_handle_activate(handle, true);
    return 0;
}

int uv_timer_stop(uv_timer_t *timer)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)timer);
    heap_remove(&handle->loop->timers, &handle->timer);
    sim_handle_activate(handle, false);
    return 0;
}

int uv_idle_init(uv_loop_t *loop, uv_idle_t *idle)
{
    sim_handle_new(loop, (uv_handle_t *)idle, UV_IDLE);
    return 0;
}

int uv_idle_start(uv_idle_t *idle, uv_idle_cb call)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)idle);
    if (handle->active) {
        return 0;
    }
    handle->call.idle = call;
    list_append(&handle->loop->idles, &handle->active_link);
    sim_handle_activate(handle, true);
    return 0;
}

int uv_idle_stop(uv_idle_t *idle)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)idle);
    list_remove(&handle->active_link);
    sim_handle_activate(handle, false);
    return 0;
}

int uv_check_init(uv_loop_t *loop, uv_check_t *check)
{
    sim_handle_new(loop, (uv_handle_t *)check, UV_CHECK);
    return 0;
}

int uv_check_start(uv_check_t *check, uv_check_cb call)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)check);
    handle->call.check = call;
    list_append(&handle->loop->checks, &handle->active_link);
    sim_handle_activate(handle, true);
    return 0;
}

static void run_async(struct sim_ready *ready)
{
    struct sim_handle *handle = CONTAINER_OF(ready, struct sim_handle, ready);
    handle->call.async((uv_async_t *)handle->uv);
}

int uv_async_init(uv_loop_t *loop, uv_async_t *async, uv_async_cb call)
{
    struct sim_handle *handle = sim_handle_new(loop, (uv_handle_t *)async, UV_ASYNC);
    handle->call.async = call;
    handle->ready.run = run_async;
    sim_handle_activate(handle, true);
    return 0;
}

int uv_async_send(uv_async_t *async)
{
    struct sim_handle *handle = sim_handle_of((uv_handle_t *)async);
    if (!handle->closing) {
        sim_loop_ready(handle->loop, &handle->ready);
    }
    return 0;
}

/* ---- The thread pool ---- */

struct work {
    struct list queue;
    struct sim_ready ready;
    struct sim_loop *loop;
    uv_work_t *uv;
    uv_work_cb run;
    uv_after_work_cb after;
};

static void work_done(struct sim_ready *ready)
{
    struct work *work = CONTAINER_OF(ready, struct work, ready);
    uv_work_t *uv = work->uv;
    uv_after_work_cb after = work->after;
    work->loop->active--;
    free(work);
    after(uv, 0);
}

static void pool_main(void *argument)
{
    struct sim_process *process = argument;
    for (;;) {
        struct list *node = list_pop(&process->pool_queue);
        if (node == NULL) {
            sim_thread_wait_in(&process->pool_idle);
            continue;
        }
        struct work *work = CONTAINER_OF(node, struct work, queue);
        work->run(work->uv);
        work->ready.run = work_done;
        sim_loop_ready(work->loop, &work->ready);
    }
}

int uv_queue_work(uv_loop_t *loop, uv_work_t *uv, uv_work_cb run, uv_after_work_cb after)
{
    struct sim_process *process = sim_process_current();
    struct work *work = mem_zalloc(sizeof *work); // The process's: it dies with it.
    *work = (struct work){.loop = sim_loop_of(loop), .uv = uv, .run = run, .after = after};
    work->loop->active++;
    list_append(&process->pool_queue, &work->queue);
    if (!sim_thread_wake_first(&process->pool_idle) && process->pool_count < POOL_THREADS) {
        process->pool_count++;
        sim_thread_start(process, pool_main, process);
    }
    return 0;
}

const char *uv_strerror(int error)
{
    (void)error;
    return "simulated error";
}

uv_buf_t uv_buf_init(char *base, unsigned size)
{
    return (uv_buf_t){.base = base, .len = size};
}
