#include "client/tasks.h"

#include "common/base/check.h"

/* A task that somebody waits for. */
struct visit {
    struct task task;
    void (*fn)(void *argument);
    void *argument;
    uv_sem_t done;
};

/* Those on whose loop this thread calls the application: it must not wait for itself. */
static _Thread_local const struct tasks *calling_back;

static void on_wake(uv_async_t *wake);
static void run_all(struct tasks *tasks);
static void on_closed(uv_handle_t *handle);
static void run_visit(struct task *task);

void tasks_init(struct tasks *tasks, uv_loop_t *loop)
{
    ASSERT(uv_mutex_init(&tasks->lock) == 0);
    ASSERT(uv_async_init(loop, &tasks->wake, on_wake) == 0);
    tasks->wake.data = tasks;
    list_init(&tasks->queue);
}

void tasks_post(struct tasks *tasks, struct task *task)
{
    uv_mutex_lock(&tasks->lock);
    bool was_empty = list_empty(&tasks->queue);
    list_append(&tasks->queue, &task->node);
    uv_mutex_unlock(&tasks->lock);
    if (was_empty) {
        uv_async_send(&tasks->wake);
    }
}

static void on_wake(uv_async_t *wake)
{
    run_all(wake->data);
}

/* Take all at once: the lock is held for moments only, and tasks may post others. */
static void run_all(struct tasks *tasks)
{
    struct list batch;
    list_init(&batch);
    uv_mutex_lock(&tasks->lock);
    for (struct list *node = list_pop(&tasks->queue); node != NULL;
         node = list_pop(&tasks->queue)) {
        list_append(&batch, node);
    }
    uv_mutex_unlock(&tasks->lock);
    for (struct list *node = list_pop(&batch); node != NULL; node = list_pop(&batch)) {
        struct task *task = CONTAINER_OF(node, struct task, node);
        task->run(task);
    }
}

void tasks_close(struct tasks *tasks)
{
    run_all(tasks);
    uv_close((uv_handle_t *)&tasks->wake, on_closed);
}

static void on_closed(uv_handle_t *handle)
{
    struct tasks *tasks = handle->data;
    uv_mutex_destroy(&tasks->lock);
}

void tasks_run(struct tasks *tasks, void (*fn)(void *argument), void *argument)
{
    struct visit visit = {.task.run = run_visit, .fn = fn, .argument = argument};
    ASSERT(uv_sem_init(&visit.done, 0) == 0);
    tasks_post(tasks, &visit.task);
    uv_sem_wait(&visit.done);
    uv_sem_destroy(&visit.done);
}

static void run_visit(struct task *task)
{
    struct visit *visit = CONTAINER_OF(task, struct visit, task);
    visit->fn(visit->argument);
    uv_sem_post(&visit->done);
}

void tasks_run_anywhere(struct tasks *tasks, void (*fn)(void *argument), void *argument)
{
    if (calling_back == tasks) {
        fn(argument);
    } else {
        tasks_run(tasks, fn, argument);
    }
}

void tasks_call_back(struct tasks *tasks)
{
    ASSERT(calling_back == NULL);
    calling_back = tasks;
}

void tasks_called_back(struct tasks *tasks)
{
    ASSERT(calling_back == tasks);
    calling_back = NULL;
}
