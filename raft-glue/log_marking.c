/* When a log's mark (log_mark.h) is stored, and what it says of a log that was found. */
#include "raft-glue/segment_log_internal.h"

struct log_mark log_mark_at(const struct segment_log *log, uint64_t index)
{
    struct log_entry entry;
    bool found = log_entries_get(&log->entries, index, &entry);
    ASSERT(found);
    return (struct log_mark){
        .index = index,
        .term = entry.term,
        .position = entry.position + log_frame_size(entry.payload_size),
    };
}

bool log_reaches_mark(const struct segment_log *log)
{
    const struct log_mark *mark = &log->marked;
    if (mark->index < log->entries.first_index) {
        return true; // There is none; or the log was cut beyond it at its front, so it went on.
    }
    if (mark->index >= log->entries.next_index) {
        return false;
    }
    struct log_mark found = log_mark_at(log, mark->index);
    return found.term == mark->term && found.position == mark->position;
}

bool segment_log_mark_lags(const struct segment_log *log)
{
    bool empty = log->durable_index < log->entries.first_index;
    bool moved = log->durable_position != log->marked.position;
    return !empty && !log->mark_under_way && (moved || log->mark_failed);
}

bool segment_log_mark_begin(struct segment_log *log, struct log_mark_job *job)
{
    // A truncation is about to lower it, or does so now.
    if (log->cut_until != 0 || log->cutting || !segment_log_mark_lags(log)) {
        return false;
    }
    log->mark_under_way = true;
    log->marked = log_mark_at(log, log->durable_index);
    *job = (struct log_mark_job){&log->writer.mark_file, log->marked};
    return true;
}

enum status log_mark_run(struct log_mark_job *job)
{
    return log_mark_store(job->file, &job->mark);
}

void segment_log_mark_end(struct segment_log *log, enum status status)
{
    log->mark_under_way = false;
    log->mark_failed = status != STATUS_OK;
}
