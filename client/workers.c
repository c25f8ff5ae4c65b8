#include "client/workers.h"

#include "common/base/check.h"

static void work(void *argument);
static void bring_back(struct task *task);

bool workers_init(struct workers *workers, struct tasks *tasks, uint32_t threads)
{
    ASSERT(threads <= WORKERS_MAX);
    ASSERT(uv_mutex_init(&workers->lock) == 0);
    ASSERT(uv_cond_init(&workers->some) == 0);
    list_init(&workers->queue);
    workers->tasks = tasks;
    workers->closing = false;
    workers->thread_count = 0;
    while (workers->thread_count < threads &&
           uv_thread_create(&workers->threads[workers->thread_count], work, workers) == 0) {
        workers->thread_count++;
    }
    if (workers->thread_count == 0) {
        workers_close(workers);
        return false;
    }
    return true; // Fewer than asked for are slower, not wrong.
}

void workers_post(struct workers *workers, struct job *job)
{
    job->task.run = bring_back;
    uv_mutex_lock(&workers->lock);
    list_append(&workers->queue, &job->node);
    uv_cond_signal(&workers->some);
    uv_mutex_unlock(&workers->lock);
}

static void work(void *argument)
{
    struct workers *workers = argument;
    uv_mutex_lock(&workers->lock);
    while (true) {
        struct list *node = list_pop(&workers->queue);
        if (node == NULL && workers->closing) {
            break;
        }
        if (node == NULL) {
            uv_cond_wait(&workers->some, &workers->lock);
            continue;
        }
        uv_mutex_unlock(&workers->lock);
        struct job *job = CONTAINER_OF(node, struct job, node);
        job->run(job);
        tasks_post(workers->tasks, &job->task);
        uv_mutex_lock(&workers->lock);
    }
    uv_mutex_unlock(&workers->lock);
}

static void bring_back(struct task *task)
{
    struct job *job = CONTAINER_OF(task, struct job, task);
    job->done(job);
}

void workers_close(struct workers *workers)
{
    uv_mutex_lock(&workers->lock);
    workers->closing = true;
    uv_cond_broadcast(&workers->some);
    uv_mutex_unlock(&workers->lock);
    for (uint32_t i = 0; i < workers->thread_count; i++) {
        uv_thread_join(&workers->threads[i]);
    }
    uv_cond_destroy(&workers->some);
    uv_mutex_destroy(&workers->lock);
}
