#include "broker/host/checkpointer.h"

#include <inttypes.h>

enum {
    FLUSH_SIZE = 64 * 1024 * 1024,
    FLUSH_INTERVAL_MS = 60000,
    RETRY_MS = 1000,
    /* Changes that may gather in memory while the store has no room. */
    WAITING_SIZE_MAX = 512 * 1024 * 1024,
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

static void write_batch(struct checkpointer *checkpointer)
{
    int failed = uv_queue_work(checkpointer->loop, &checkpointer->work, run, on_done);
    ASSERT(failed == 0);
}

static void begin(struct checkpointer *checkpointer, bool flush)
{
    checkpointer->busy = true;
    checkpointer->batch_index = machine_applied_index(checkpointer->machine);
    checkpointer->batch_log_first = machine_cut_done(checkpointer->machine).log_first;
    checkpointer->batch = machine_checkpoint_begin(checkpointer->machine);
    checkpointer->filled = false;
    checkpointer->flushing = flush;
    write_batch(checkpointer);
}

void checkpointer_tick(struct checkpointer *checkpointer)
{
    uint64_t now = clock_monotonic_ms(checkpointer->clock);
    if (checkpointer->waiting && now >= checkpointer->retry_due_ms) {
        checkpointer->retry_due_ms = UINT64_MAX; // Under way.
        write_batch(checkpointer);
    }
    if (checkpointer->busy || checkpointer->given_up ||
        machine_applied_index(checkpointer->machine) == checkpointer->written_index) {
        return;
    }
    bool large = machine_checkpoint_due(checkpointer->machine, checkpointer->size_max);
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
    if (checkpointer->given_up) {
        on_idle(checkpointer->context);
    } else if (checkpointer->waiting && checkpointer->retry_due_ms != UINT64_MAX) {
        write_batch(checkpointer); // A last try.
    } else if (!checkpointer->busy) {
        begin(checkpointer, true);
    }
}

bool checkpointer_waits(const struct checkpointer *checkpointer)
{
    return checkpointer->waiting;
}

bool checkpointer_ended(const struct checkpointer *checkpointer)
{
    return checkpointer->given_up;
}

/* Pool thread: touches nothing but the batch, what was frozen for it, and the store. */
static void run(uv_work_t *work)
{
    struct checkpointer *checkpointer = work->data;
    if (!checkpointer->filled) {
        machine_checkpoint_fill(checkpointer->machine, checkpointer->batch);
        checkpointer->filled = true;
    }
    checkpointer->status = kv_write(checkpointer->kv, checkpointer->batch);
    if (checkpointer->status == STATUS_OK && checkpointer->flushing) {
        checkpointer->status = kv_flush(checkpointer->kv);
    }
}

/* The batch stays as it is: writing it twice is writing it once. False if it cannot wait. */
static bool wait_for_room(struct checkpointer *checkpointer)
{
    if (checkpointer->on_idle != NULL) {
        // Stopping: what is not in the store is in the log.
        log_warn(checkpointer->log, "no room for a last checkpoint", "");
        kv_batch_free(checkpointer->batch);
        checkpointer->batch = NULL;
        checkpointer->busy = false;
        checkpointer->on_idle(checkpointer->context);
        return true;
    }
    if (machine_dirty_size(checkpointer->machine) > WAITING_SIZE_MAX) {
        return false;
    }
    if (!checkpointer->waiting) {
        log_warn(checkpointer->log, "no room for the state machine's store",
                 "checkpoints wait; make room, they go on by themselves");
    }
    checkpointer->waiting = true;
    checkpointer->retry_due_ms = clock_monotonic_ms(checkpointer->clock) + RETRY_MS;
    return true;
}

/* The store is damaged, and its owner closes it: what it would have got is in the log. */
static void give_up(struct checkpointer *checkpointer)
{
    checkpointer->given_up = true;
    checkpointer->waiting = false;
    kv_batch_free(checkpointer->batch);
    checkpointer->batch = NULL;
    checkpointer->busy = false;
    if (checkpointer->on_idle != NULL) {
        checkpointer->on_idle(checkpointer->context);
    }
}

static void on_done(uv_work_t *work, int uv_status)
{
    struct checkpointer *checkpointer = work->data;
    (void)uv_status; // Work is never canceled.
    if (checkpointer->status == STATUS_CORRUPT) {
        give_up(checkpointer);
        return;
    }
    if (checkpointer->status == STATUS_DISK_FULL && wait_for_room(checkpointer)) {
        return;
    }
    if (checkpointer->status != STATUS_OK) {
        FATAL("%s: the state machine's store cannot be written (%s); check the disk below "
              "storePathRootDir, then restart: the log is intact and will be replayed",
              checkpointer->log->name, status_text(checkpointer->status));
    }
    if (checkpointer->waiting) {
        checkpointer->waiting = false;
        log_info(checkpointer->log, "the state machine's store has room again", "");
    }
    checkpointer->unflushed_size += kv_batch_size(checkpointer->batch);
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
