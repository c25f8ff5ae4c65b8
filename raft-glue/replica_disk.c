#include "raft-glue/replica_disk.h"

#include <stdlib.h>

void replica_disk_init(struct replica_disk *disk, uv_loop_t *loop, const struct clock *clock,
                       struct replica *replica, struct segment_log *segments,
                       void (*on_done)(void *context), void *context)
{
    *disk = (struct replica_disk){
        .loop = loop,
        .clock = clock,
        .replica = replica,
        .segments = segments,
        .on_done = on_done,
        .context = context,
    };
    disk->job_work.data = disk;
    disk->load_work.data = disk;
    disk->spare_work.data = disk;
    disk->summary_work.data = disk;
    disk->scrub_work.data = disk;
    disk->reserve_work.data = disk;
    disk->mark_work.data = disk;
    list_init(&disk->reads_waiting);
}

void replica_disk_scrub(struct replica_disk *disk, const struct log *logger, uint64_t rate)
{
    log_scrub_init(&disk->scrub, disk->segments, logger, rate);
}

static void start(struct replica_disk *disk, uv_work_t *work, uv_work_cb run,
                  uv_after_work_cb after)
{
    disk->under_way++;
    int result = uv_queue_work(disk->loop, work, run, after);
    if (result != 0) {
        FATAL("libuv does not take work: %s", uv_strerror(result));
    }
}

static void start_last_mark(struct replica_disk *disk);

static void done(struct replica_disk *disk)
{
    disk->under_way--;
    start_last_mark(disk);
    disk->on_done(disk->context);
}

static void run_job(uv_work_t *work)
{
    struct replica_disk *disk = work->data;
    replica_disk_run(&disk->job);
}

static void after_job(uv_work_t *work, int status)
{
    (void)status;
    struct replica_disk *disk = work->data;
    disk->sync_count++;
    if (disk->closing) {
        replica_disk_check(&disk->job);
        replica_disk_abandon(disk->replica, &disk->job);
    } else {
        replica_disk_done(disk->replica, &disk->job);
    }
    done(disk);
}

static void run_load(uv_work_t *work)
{
    struct replica_disk *disk = work->data;
    log_load_run(&disk->load);
}

static void after_load(uv_work_t *work, int status)
{
    (void)status;
    struct replica_disk *disk = work->data;
    replica_load_done(disk->replica, &disk->load);
    done(disk);
}

static void run_spare(uv_work_t *work)
{
    struct replica_disk *disk = work->data;
    disk->spare_status = log_spare_run(&disk->spare);
}

static void after_spare(uv_work_t *work, int status)
{
    (void)status;
    struct replica_disk *disk = work->data;
    segment_log_spare_end(disk->segments, &disk->spare, disk->spare_status);
    disk->idle_work = false;
    done(disk);
}

static void run_summary(uv_work_t *work)
{
    struct replica_disk *disk = work->data;
    enum status status = log_summary_run(&disk->summary);
    (void)status; // Without it the next start reads the segment.
}

static void after_summary(uv_work_t *work, int status)
{
    (void)status;
    struct replica_disk *disk = work->data;
    segment_log_summary_end(disk->segments, &disk->summary);
    disk->idle_work = false;
    done(disk);
}

static void run_mark(uv_work_t *work)
{
    struct replica_disk *disk = work->data;
    disk->mark_status = log_mark_run(&disk->mark);
}

static void after_mark(uv_work_t *work, int status)
{
    (void)status;
    struct replica_disk *disk = work->data;
    if (disk->mark_status != STATUS_OK && disk->mark_status != STATUS_DISK_FULL) {
        FATAL("the log's durable end cannot be stored (%s); check the disk, then restart this node",
              status_text(disk->mark_status));
    }
    segment_log_mark_end(disk->segments, disk->mark_status);
    disk->idle_work = false;
    done(disk);
}

/* Time to store the mark, and possible? */
static bool begin_mark(struct replica_disk *disk, uint64_t now_ms)
{
    if (!segment_log_mark_lags(disk->segments)) {
        disk->mark_due_ms = 0;
    } else if (disk->mark_due_ms == 0) {
        disk->mark_due_ms = now_ms + MARK_DELAY_MS;
    } else if (now_ms >= disk->mark_due_ms && segment_log_mark_begin(disk->segments, &disk->mark)) {
        disk->mark_due_ms = 0;
        return true;
    }
    return false;
}

/* An orderly end leaves nothing unmarked. */
static void start_last_mark(struct replica_disk *disk)
{
    if (!disk->closing || disk->under_way > 0 || disk->mark_last) {
        return;
    }
    disk->mark_last = true;
    if (segment_log_mark_begin(disk->segments, &disk->mark)) {
        start(disk, &disk->mark_work, run_mark, after_mark);
    }
}

uint64_t replica_disk_due_ms(const struct replica_disk *disk)
{
    // What is due and was not started waits for something whose end is a reason to pump.
    bool ahead = disk->mark_due_ms > clock_monotonic_ms(disk->clock);
    return ahead ? disk->mark_due_ms : UINT64_MAX;
}

static void run_reserve(uv_work_t *work)
{
    struct replica_disk *disk = work->data;
    disk->reserve_status = log_reserve_run(&disk->reserve);
}

static void after_reserve(uv_work_t *work, int status)
{
    (void)status;
    struct replica_disk *disk = work->data;
    segment_log_reserve_end(disk->segments, disk->reserve_status);
    disk->idle_work = false;
    done(disk);
}

static void run_scrub(uv_work_t *work)
{
    struct replica_disk *disk = work->data;
    log_load_run(&disk->scrub_load);
}

static void after_scrub(uv_work_t *work, int status)
{
    (void)status;
    struct replica_disk *disk = work->data;
    disk->reads--;
    log_scrub_end(&disk->scrub, clock_monotonic_ms(disk->clock), &disk->scrub_load);
    done(disk);
}

static void start_reads(struct replica_disk *disk);

/* What can wait, one at a time: the mark first, then the reserve. */
static void start_idle_work(struct replica_disk *disk, uint64_t now_ms)
{
    if (disk->idle_work) {
        return;
    }
    disk->idle_work = true;
    if (begin_mark(disk, now_ms)) {
        start(disk, &disk->mark_work, run_mark, after_mark);
    } else if (now_ms >= disk->reserve_due_ms &&
               segment_log_reserve_begin(disk->segments, &disk->reserve)) {
        disk->reserve_due_ms = now_ms + RESERVE_RETRY_MS;
        start(disk, &disk->reserve_work, run_reserve, after_reserve);
    } else if (segment_log_spare_begin(disk->segments, &disk->spare)) {
        start(disk, &disk->spare_work, run_spare, after_spare);
    } else if (segment_log_summary_begin(disk->segments, &disk->summary)) {
        start(disk, &disk->summary_work, run_summary, after_summary);
    } else {
        disk->idle_work = false;
    }
}

void replica_disk_pump(struct replica_disk *disk)
{
    if (disk->closing) {
        return;
    }
    uint64_t now_ms = clock_monotonic_ms(disk->clock);
    // Before the write: the writer's spares may be looked at only between writes.
    start_idle_work(disk, now_ms);
    if (replica_disk_take(disk->replica, &disk->job)) {
        start(disk, &disk->job_work, run_job, after_job);
    }
    if (replica_load_take(disk->replica, &disk->load)) {
        start(disk, &disk->load_work, run_load, after_load);
    }
    start_reads(disk);
    if (disk->reads == 0 && log_scrub_begin(&disk->scrub, now_ms, &disk->scrub_load)) {
        disk->reads++;
        start(disk, &disk->scrub_work, run_scrub, after_scrub);
    }
}

/* A read by position in the pool. */
struct read_job {
    struct replica_disk *disk;
    struct replica_read *read;
    struct log_read range;
};

static void run_read(uv_work_t *work)
{
    struct read_job *job = work->data;
    job->read->status = log_read_run(&job->range);
}

static void after_read(uv_work_t *work, int status)
{
    (void)status;
    struct read_job *job = work->data;
    struct replica_disk *disk = job->disk;
    struct replica_read *read = job->read;
    segment_log_read_end(disk->segments, &job->range);
    free(job);
    disk->reads--;
    read->done(read, read->status);
    done(disk);
}

static void start_read(struct replica_disk *disk, struct replica_read *read)
{
    struct read_job *job = mem_alloc(sizeof *job);
    *job = (struct read_job){.disk = disk, .read = read};
    enum status status =
        segment_log_read_begin(disk->segments, read->position, read->size, read->to, &job->range);
    if (status != STATUS_OK) {
        free(job);
        read->done(read, status);
        return;
    }
    read->work.data = job;
    disk->reads++;
    start(disk, &read->work, run_read, after_read);
}

static void start_reads(struct replica_disk *disk)
{
    while (disk->reads < DISK_READS_MAX && !disk->closing) {
        struct list *node = list_pop(&disk->reads_waiting);
        if (node == NULL) {
            return;
        }
        start_read(disk, CONTAINER_OF(node, struct replica_read, queue));
    }
}

void replica_disk_read(struct replica_disk *disk, struct replica_read *read)
{
    if (disk->closing) { // Asked for by what followed on one that was still in the pool.
        read->done(read, STATUS_CANCELED);
        return;
    }
    list_append(&disk->reads_waiting, &read->queue);
}

void replica_disk_close(struct replica_disk *disk)
{
    disk->closing = true;
    struct list *node = NULL;
    while ((node = list_pop(&disk->reads_waiting)) != NULL) {
        struct replica_read *read = CONTAINER_OF(node, struct replica_read, queue);
        read->done(read, STATUS_CANCELED);
    }
    start_last_mark(disk);
}

bool replica_disk_idle(const struct replica_disk *disk)
{
    return disk->under_way == 0;
}
