/* Work handed from any thread to the client's loop thread. */
#ifndef CLIENT_TASKS_H
#define CLIENT_TASKS_H

#include "common/base/list.h"

#include <uv.h>

/* Embedded in what is to be done; runs once on the loop thread. */
struct task {
    struct list node;
    void (*run)(struct task *task);
};

struct tasks {
    uv_mutex_t lock;
    uv_async_t wake;
    struct list queue;
};

void tasks_init(struct tasks *tasks, uv_loop_t *loop);

/* Any thread. Tasks run in the order in which they were posted. */
void tasks_post(struct tasks *tasks, struct task *task);

/* Loop thread: no more tasks may come; those posted have run. */
void tasks_close(struct tasks *tasks);

/* Run fn(argument) on the loop thread and wait until it has returned. Any other thread. */
void tasks_run(struct tasks *tasks, void (*fn)(void *argument), void *argument);

/* The same for what the application may also do in a callback on the loop thread: it is run at
 * once there. */
void tasks_run_anywhere(struct tasks *tasks, void (*fn)(void *argument), void *argument);

/* Loop thread: the application is called from here on, and has returned. */
void tasks_call_back(struct tasks *tasks);
void tasks_called_back(struct tasks *tasks);

#endif
