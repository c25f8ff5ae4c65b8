/* Threads for callbacks of the application that may block: listeners and checks. */
#ifndef CLIENT_WORKERS_H
#define CLIENT_WORKERS_H

#include "client/tasks.h"

enum { WORKERS_MAX = 256 };

/* Runs on a worker, then `done` on the loop thread. */
struct job {
    struct list node;
    struct task task; /* Brings it back. */
    void (*run)(struct job *job);
    void (*done)(struct job *job);
};

struct workers {
    uv_mutex_t lock;
    uv_cond_t some;
    struct list queue;
    struct tasks *tasks;
    uv_thread_t threads[WORKERS_MAX];
    uint32_t thread_count;
    bool closing;
};

/* Borrows tasks. False if no thread can be started: nothing runs. */
bool workers_init(struct workers *workers, struct tasks *tasks, uint32_t threads);

/* Loop thread. */
void workers_post(struct workers *workers, struct job *job);

/* End the threads; the queue must be empty. Any thread but a worker. */
void workers_close(struct workers *workers);

#endif
