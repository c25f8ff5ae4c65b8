/* The thread pool's side of a replica: its ordered disk queue (one job at a time: term and vote,
 * then the log), loads of entries for apply, plain reads by position, and what can wait: the log's
 * mark, spare segments, summaries, the scrub.
 *
 * A failed write is FATAL. Loop thread only. */
#ifndef RAFT_GLUE_REPLICA_DISK_H
#define RAFT_GLUE_REPLICA_DISK_H

#include "common/base/clock.h"
#include "common/base/list.h"
#include "raft-glue/log_scrub.h"
#include "raft-glue/replica.h"
#include "raft-glue/replica_host.h"

enum {
    /* Reads in the pool at once, the scrub's too: synced writes must always find a thread. */
    DISK_READS_MAX = 2,
    /* From a move of the log's durable end until its mark is stored. */
    MARK_DELAY_MS = 1000,
    RESERVE_RETRY_MS = 1000,
};

struct replica_disk {
    uv_loop_t *loop;
    const struct clock *clock;
    struct replica *replica;
    struct segment_log *segments;
    void (*on_done)(void *context); /* Something ended: there may be more to do. */
    void *context;
    bool closing;
    unsigned under_way; /* Works in the pool. */
    unsigned reads;
    struct list reads_waiting;
    uint64_t sync_count;
    uv_work_t job_work;
    struct replica_disk_job job;
    uv_work_t load_work;
    struct log_load load;
    bool idle_work; /* The mark, a spare, a summary or the reserve is being made. */
    uv_work_t mark_work;
    struct log_mark_job mark;
    enum status mark_status;
    uint64_t mark_due_ms; /* 0: the mark is where it should be. */
    bool mark_last;       /* Closing: it was seen to. */
    uv_work_t reserve_work;
    struct log_reserve_job reserve;
    enum status reserve_status;
    uint64_t reserve_due_ms;
    uv_work_t spare_work;
    struct log_spare spare;
    enum status spare_status;
    uv_work_t summary_work;
    struct log_summary_job summary;
    uv_work_t scrub_work;
    struct log_load scrub_load;
    struct log_scrub scrub;
};

void replica_disk_init(struct replica_disk *disk, uv_loop_t *loop, const struct clock *clock,
                       struct replica *replica, struct segment_log *segments,
                       void (*on_done)(void *context), void *context);

/* Have the log scrubbed, at that many bytes per second (0: not at all). Borrows. */
void replica_disk_scrub(struct replica_disk *disk, const struct log *logger, uint64_t rate);

/* Start whatever there is to do. */
void replica_disk_pump(struct replica_disk *disk);

/* Monotonic time at which replica_disk_pump() is wanted even if nothing happens. */
uint64_t replica_disk_due_ms(const struct replica_disk *disk);

/* As replica_host_read(). */
void replica_disk_read(struct replica_disk *disk, struct replica_read *read);

/* Start nothing more, but when all has ended, store the log's mark; waiting reads end with
 * STATUS_CANCELED. */
void replica_disk_close(struct replica_disk *disk);

/* Nothing in the pool any more? on_done() is called when this becomes true. */
bool replica_disk_idle(const struct replica_disk *disk);

#endif
