/* Segments made ahead: spares, because writes into them sync faster, and the reserve, because a
 * full disk has no other. */
#include "raft-glue/segment_log_internal.h"

enum { SPARE_PIECE = 1024 * 1024, BUSY_WRITE = 64 * 1024 };

bool segment_log_reserve_begin(struct segment_log *log, struct log_reserve_job *job)
{
    if (log->reserve != RESERVE_NONE) {
        return false;
    }
    log->reserve = RESERVE_MAKING;
    *job = (struct log_reserve_job){&log->options.directory, log->options.segment_size};
    return true;
}

enum status log_reserve_run(struct log_reserve_job *job)
{
    static const char unfinished[] = RESERVE_NAME ".tmp";
    struct file *file = NULL;
    enum status status = directory_create(job->directory, unfinished, job->size, &file);
    if (status != STATUS_OK) {
        return status;
    }
    directory_close_file(job->directory, file);
    status = directory_rename(job->directory, unfinished, RESERVE_NAME);
    return status == STATUS_OK ? directory_sync_names(job->directory) : status;
}

void segment_log_reserve_end(struct segment_log *log, enum status status)
{
    log->reserve = status == STATUS_OK ? RESERVE_READY : RESERVE_NONE;
    log->reserve_short = status == STATUS_DISK_FULL || (log->reserve_short && status != STATUS_OK);
}

bool segment_log_spare_begin(struct segment_log *log, struct log_spare *spare)
{
    // The writer's list may be looked at only between writes. And a log with much to write shall
    // have the disk for itself: its next segment is then merely allocated, which makes small writes
    // half as slow again, but costs large ones little.
    if (log->spare_under_way || log->spare_ready != 0 || log->write != NULL ||
        segment_log_wants_write(log) || log->write_bytes > BUSY_WRITE ||
        log->writer.spare_count > 0 || log->end_position < log->spare_not_before ||
        log->end_position % log->options.segment_size < log->options.segment_size / 4) {
        return false;
    }
    uint64_t rest = log->options.segment_size - log->spare_written;
    log->spare_under_way = true;
    *spare = (struct log_spare){
        .directory = &log->options.directory,
        .number = log->spare_next,
        .offset = log->spare_written,
        .size = rest < SPARE_PIECE ? rest : SPARE_PIECE,
        .segment_size = log->options.segment_size,
    };
    return true;
}

enum status log_spare_run(struct log_spare *spare)
{
    static const char unfinished[] = "spare.tmp";
    struct file *file = NULL;
    enum status status = STATUS_OK;
    if (spare->offset == 0) {
        status = directory_create(spare->directory, unfinished, spare->segment_size, &file);
        directory_close_file(spare->directory, file);
    }
    if (status == STATUS_OK) {
        status = directory_open_direct(spare->directory, unfinished, &file);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = segment_write_zeros(spare->directory, file, spare->offset, spare->size);
    if (status == STATUS_OK) {
        status = directory_sync(spare->directory, file);
    }
    directory_close_file(spare->directory, file);
    if (status == STATUS_OK && spare->offset + spare->size == spare->segment_size) {
        char name[DIRECTORY_NAME_MAX];
        spare_name_format(spare->number, name);
        status = directory_rename(spare->directory, unfinished, name);
        status = status == STATUS_OK ? directory_sync_names(spare->directory) : status;
    }
    return status;
}

void segment_log_spare_end(struct segment_log *log, struct log_spare *spare, enum status status)
{
    log->spare_under_way = false;
    log->spare_written = status == STATUS_OK ? spare->offset + spare->size : 0;
    if (status != STATUS_OK) {
        log->spare_not_before = log->end_position + log->options.segment_size / 2;
    }
    if (log->spare_written == log->options.segment_size) {
        log->spare_ready = spare->number;
        log->spare_next++;
        log->spare_written = 0;
    }
}
