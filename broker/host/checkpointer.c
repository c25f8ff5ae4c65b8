#include "broker/host/checkpointer.h"

#include <inttypes.h>

enum {
    FLUSH_SIZE = 64 * 1024 * 1024,
    FLUSH_INTERVAL_MS = 60000,
};

static void run(uv_work_t *work);
static void on_done(uv_work_t *work, int uv_status);

void checkpointer_start(struct checkpointer *checkpointer)
{
    checkpointer->work.data = checkpointer;
    checkpointer->written_index = machine_applied_index(checkpointer->machine);
    checkpointer->last_ms = clock_monotonic_ms(checkpointer->clock);
    checkpointer->flushed_ms = checkpointer->last_ms;
    checkpointer->flushed_log_first = machine_cut_done(checkpointer->machine).log_first;
}

static void begin(struct checkpointer *checkpointer, bool flush)
{
    int failed;
    checkpointer->busy = true;
    checkpointer->batch_index = machine_applied_index(checkpointer->machine);
    checkpointer->batch_log_first = machine_cut_done(checkpointer->machine).log_first;
    checkpointer->batch = machine_checkpoint(checkpointer->machine);
    checkpointer->unflushed_size += kv_batch_size(checkpointer->batch);
    checkpointer->flushing = flush;
    failed = uv_queue_work(checkpointer->loop, &checkpointer->work, run, on_done);
    ASSERT(failed == 0);
}

void checkpointer_tick(struct checkpointer *checkpointer)
{
    uint64_t now = clock_monotonic_ms(checkpointer->clock);
    if (checkpointer->busy ||
        machine_applied_index(checkpointer->machine) == checkpointer->written_index) {
        return;
    }
    bool large = machine_dirty_size(checkpointer->machine) >= checkpointer->size_max;
    bool late = now - checkpointer->last_ms >= checkpointer->interval_ms;
    if (large || late) {
        // A cut waits for it, and the disk may be short of what the cut gives back.
        uint64_t log_first = machine_cut_done(checkpointer->machine).log_first;
        bool flush = checkpointer->unflushed_size >= FLUSH_SIZE ||
                     now - checkpointer->flushed_ms >= FLUSH_INTERVAL_MS ||
                     log_first > checkpointer->flushed_log_first;
        checkpointer->last_ms = now;
        begin(checkpointer, flush);
    }
}

void checkpointer_finish(struct checkpointer *checkpointer, void (*on_idle)(void *context))
{
    checkpointer->on_idle = on_idle;
    if (!checkpointer->busy) {
        begin(checkpointer, true);
    }
}

/* Pool thread: touches nothing but the batch and the store. */
static void run(uv_work_t *work)
{
    struct checkpointer *checkpointer = work->data;
    checkpointer->status = kv_write(checkpointer->kv, checkpointer->batch);
    if (checkpointer->status == STATUS_OK && checkpointer->flushing) {
        checkpointer->status = kv_flush(checkpointer->kv);
    }
}

static void on_done(uv_work_t *work, int uv_status)
{
    struct checkpointer *checkpointer = work->data;
    (void)uv_status; // Work is never canceled.
    if (checkpointer->status != STATUS_OK) {
        FATAL("%s: the state machine's store cannot be written (%s); check the disk below "
              "storePathRootDir, then restart: the log is intact and will be replayed",
              checkpointer->log->name, status_text(checkpointer->status));
    }
    machine_checkpoint_written(checkpointer->machine);
    kv_batch_free(checkpointer->batch);
    checkpointer->batch = NULL;
    checkpointer->busy = false;
    checkpointer->written_index = checkpointer->batch_index;
    if (checkpointer->flushing) {
        checkpointer->unflushed_size = 0;
        checkpointer->flushed_ms = clock_monotonic_ms(checkpointer->clock);
        checkpointer->flushed_log_first = checkpointer->batch_log_first;
        checkpointer->on_durable(checkpointer->context, checkpointer->batch_index,
                                 checkpointer->batch_log_first);
    }
    if (checkpointer->on_idle == NULL) {
        return;
    }
    bool complete = checkpointer->flushing &&
                    machine_applied_index(checkpointer->machine) == checkpointer->batch_index;
    if (complete) {
        checkpointer->on_idle(checkpointer->context);
    } else {
        begin(checkpointer, true);
    }
}
