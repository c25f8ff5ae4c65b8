/* Writes the machine's checkpoints to its store, in the thread pool, one at a time.
 *
 * Nothing is acknowledged because it is in the store: a checkpoint only shortens replay and lets
 * the log be cut at its front. So one for which the disk has no room waits and is tried again,
 * while the changes gather in memory, up to a bound. One that finds the store damaged is the last:
 * kv_damaged() tells its owner. Loop thread only. */
#ifndef BROKER_HOST_CHECKPOINTER_H
#define BROKER_HOST_CHECKPOINTER_H

#include "broker/machine/machine.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#include <uv.h>

struct checkpointer {
    uv_loop_t *loop;
    const struct clock *clock;
    const struct log *log;
    struct kv *kv;
    struct machine *machine;
    size_t size_max;      /* Bytes of change that start one. */
    uint64_t interval_ms; /* Time that starts one if anything changed. */
    /* The store durably holds everything up to this log index, and needs no byte of the log below
     * that position. */
    void (*on_durable)(void *context, uint64_t index, uint64_t log_first);
    void *context;

    uv_work_t work; /* Private from here. */
    struct kv_batch *batch;
    bool filled;
    uint64_t batch_index;
    uint64_t batch_log_first;
    uint64_t flushed_log_first;
    uint64_t written_index;
    uint64_t last_ms;
    uint64_t flushed_ms;
    size_t unflushed_size;
    bool flushing;
    bool busy;
    bool waiting;  /* The store had no room; the batch is written again later. */
    bool given_up; /* The store is damaged. */
    uint64_t retry_due_ms;
    enum status status;
    void (*on_idle)(void *context);
};

/* The fields above the line are set by the caller. */
void checkpointer_start(struct checkpointer *checkpointer);

/* Begin one if it is time. Call every tick and after larger applies. */
void checkpointer_tick(struct checkpointer *checkpointer);

/* Does a checkpoint wait for room on the disk? */
bool checkpointer_waits(const struct checkpointer *checkpointer);
/* Did one find the store damaged? There is no other. */
bool checkpointer_ended(const struct checkpointer *checkpointer);

/* Write everything and flush, then call on_idle, perhaps at once; for an orderly stop. */
void checkpointer_finish(struct checkpointer *checkpointer, void (*on_idle)(void *context));

#endif
