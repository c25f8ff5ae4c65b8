/* The disk's side of the segment log: cuts, writes, recycling. */
#include "raft-glue/segment_log_internal.h"

#include "common/base/bytes.h"

#include <stdlib.h>

enum {
    WRITE_BYTES_MAX = 32 * 1024 * 1024,
    /* Segments removed from the front that one write takes away: entries wait for it. */
    RECYCLE_MAX = LIMITS_PICK(8, 1),
    /* Chunks of entries packed after one: it must not hold the loop. */
    CHUNKS_PACKED = 8,
    /* Spares kept of them: more than the log will need soon is better free. */
    SPARES_KEPT = 2,
};

static const uint8_t padding[LOG_FRAME_ALIGNMENT];

struct log_write {
    struct log_writer *writer;
    uint64_t cut_from;
    uint64_t cut_until; // 0: nothing to cut.
    bool lowers_mark;
    struct log_mark cut_keeps;
    uint64_t recycle_from;
    uint64_t recycle_until;
    struct log_record **records;
    size_t record_count;
    size_t done_count;     // Of them written; less than all if there was no room for the rest.
    uint64_t dirty_before; // The log's dirty_end before them.
    uint64_t last_index;   // Lowered if the entries are truncated meanwhile.
};

bool segment_log_wants_write(const struct segment_log *log)
{
    bool has_entries = log->handed_index < segment_log_last_index(log) && !log->blocked;
    if (log->cut_until != 0 && log->mark_under_way) {
        return false; // The mark that is on its way to the disk may have to be lowered.
    }
    return log->write == NULL && (has_entries || log->cut_until != 0 || log->recycle_until != 0);
}

uint64_t segment_log_unwritten(const struct segment_log *log)
{
    return log->end_position - log->durable_position;
}

uint64_t segment_log_waiting(const struct segment_log *log)
{
    return log->end_position > log->dirty_end ? log->end_position - log->dirty_end : 0;
}

struct log_write *segment_log_write_begin(struct segment_log *log)
{
    ASSERT(segment_log_wants_write(log));
    struct log_write *write = mem_zalloc(sizeof *write);
    write->writer = &log->writer;
    write->cut_from = log->cut_from;
    write->cut_until = log->cut_until;
    write->recycle_from = log->recycle_from;
    write->recycle_until = log->recycle_until;
    write->cut_keeps = log->cut_keeps;
    write->lowers_mark = log->cut_until != 0 && log->marked.position > log->cut_keeps.position;
    log->marked = write->lowers_mark ? log->cut_keeps : log->marked;
    log->cutting = log->cut_until != 0;
    log->cut_from = log->cut_until = 0;
    if (log->recycle_until > log->recycle_from + RECYCLE_MAX) {
        write->recycle_until = log->recycle_from = log->recycle_from + RECYCLE_MAX;
    } else {
        log->recycle_from = log->recycle_until = 0;
    }
    if (log->spare_ready != 0) {
        log_writer_add_spare(&log->writer, log->spare_ready);
        log->spare_ready = 0;
    }
    if (log->reserve == RESERVE_READY) {
        log->writer.has_reserve = true;
        log->reserve = RESERVE_HELD;
    }
    log->blocked = false;
    write->dirty_before = log->dirty_end;
    uint64_t first = log->handed_index + 1;
    size_t most = (size_t)(log->entries.next_index - first);
    write->records = mem_alloc((most + 1) * sizeof(void *));
    size_t bytes = 0;
    for (uint64_t i = first; i < log->entries.next_index && bytes < WRITE_BYTES_MAX; i++) {
        struct log_record *record = segment_log_cached(log, i);
        ASSERT(record != NULL); // What is not durable is never evicted.
        write->records[write->record_count++] = log_record_hold(record);
        size_t size = log_frame_size(record->payload_size);
        bytes += size;
        log->handed_index = i;
        log->dirty_end = record->position + size;
    }
    write->last_index = log->handed_index;
    log->write_bytes = bytes;
    log->write = write;
    return write;
}

static void write_free(struct segment_log *log, struct log_write *write)
{
    ASSERT(log->write == write);
    log->write = NULL;
    log->cutting = false;
    for (size_t i = 0; i < write->record_count; i++) {
        log_record_release(write->records[i]);
    }
    free(write->records);
    free(write);
}

enum log_room segment_log_room(const struct segment_log *log)
{
    return log->blocked ? LOG_ROOM_NONE : log->reserve_short ? LOG_ROOM_LOW : LOG_ROOM_FINE;
}

void segment_log_retry(struct segment_log *log)
{
    log->blocked = false;
}

/* Records that found no room were not given to the disk after all. */
static void take_back(struct segment_log *log, const struct log_write *write)
{
    const struct log_record *next = write->records[write->done_count];
    uint64_t end = write->dirty_before;
    if (write->done_count > 0) {
        const struct log_record *last = write->records[write->done_count - 1];
        end = last->position + log_frame_size(last->payload_size);
    }
    // A truncation meanwhile may have gone back further than that.
    log->handed_index = log->handed_index < next->index ? log->handed_index : next->index - 1;
    log->dirty_end = log->dirty_end < end ? log->dirty_end : end;
    log->blocked = true;
}

void segment_log_write_end(struct segment_log *log, struct log_write *write)
{
    if (log->reserve == RESERVE_HELD && !log->writer.has_reserve) {
        log->reserve = RESERVE_NONE;
        log->reserve_short = true;
    }
    if (write->done_count < write->record_count) {
        take_back(log, write);
    }
    // What was truncated meanwhile was superseded: handed_index has gone back below it, and entries
    // appended since then are not handed before the next write begins.
    uint64_t reached =
        log->handed_index < write->last_index ? log->handed_index : write->last_index;
    struct log_entry entry;
    if (reached > log->durable_index && log_entries_get(&log->entries, reached, &entry)) {
        log->durable_index = reached;
        log->durable_position = entry.position + log_frame_size(entry.payload_size);
        log_summaries_completed(log);
    }
    log_pack_settled(log, CHUNKS_PACKED);
    write_free(log, write);
}

void segment_log_write_abandon(struct segment_log *log, struct log_write *write)
{
    write_free(log, write);
}

void log_writer_add_spare(struct log_writer *writer, uint64_t number)
{
    if (writer->spare_count == writer->spare_capacity) {
        size_t capacity = writer->spare_capacity == 0 ? 8 : 2 * writer->spare_capacity;
        writer->spares = mem_realloc(writer->spares, capacity * sizeof *writer->spares);
        writer->spare_capacity = capacity;
    }
    writer->spares[writer->spare_count++] = number;
}

void log_writer_close(struct log_writer *writer)
{
    directory_close_file(writer->directory, writer->file);
    log_stage_close(&writer->stage);
    twin_file_close(&writer->cut_mark);
    log_mark_close(&writer->mark_file);
    free(writer->spares);
    *writer = (struct log_writer){0};
}

static enum status mark_cut(struct log_writer *writer, uint64_t from, uint64_t until)
{
    uint8_t record[16];
    le64_put(record, from);
    le64_put(record + 8, until);
    return twin_file_write(&writer->cut_mark, record);
}

/* Zero the part of one segment that is to be cut. A segment that is not there holds nothing. */
static enum status cut_segment(struct log_writer *writer, uint64_t number, uint64_t offset,
                               uint64_t size)
{
    char name[DIRECTORY_NAME_MAX];
    segment_name_format(number, name);
    struct file *file = NULL;
    enum status status = directory_open(writer->directory, name, &file);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    }
    status = segment_write_zeros(writer->directory, file, offset, size);
    if (status == STATUS_OK) {
        status = directory_sync(writer->directory, file);
    }
    directory_close_file(writer->directory, file);
    return status;
}

enum status log_writer_cut(struct log_writer *writer, uint64_t from, uint64_t until)
{
    enum status status = mark_cut(writer, from, until);
    uint64_t size = writer->segment_size;
    for (uint64_t number = from / size; number * size < until && status == STATUS_OK; number++) {
        uint64_t start = number * size;
        // Of a later segment the header goes too: its first index may be another one next time.
        uint64_t begin = from > start + SEGMENT_HEADER_SIZE ? from - start : 0;
        uint64_t end = until - start < size ? until - start : size;
        log_summary_remove(writer->directory, number);
        status = cut_segment(writer, number, begin, end - begin);
    }
    return status == STATUS_OK ? mark_cut(writer, 0, 0) : status;
}

/* Is the file for a segment there, with all its blocks? A crash may have left one without; as
 * nothing of the segment was written, that one goes. */
static enum status find_segment(struct log_writer *writer, const char *name, bool begun)
{
    struct file *file = NULL;
    uint64_t size = 0;
    enum status status = directory_open(writer->directory, name, &file);
    if (status == STATUS_OK) {
        status = directory_file_size(writer->directory, file, &size);
    }
    directory_close_file(writer->directory, file);
    if (status != STATUS_OK || begun || size >= writer->segment_size) {
        return status;
    }
    status = directory_remove(writer->directory, name);
    return status == STATUS_OK ? STATUS_NOT_FOUND : status;
}

/* A new file for a segment; the reserve if the disk has no room for one. */
static enum status make_segment(struct log_writer *writer, const char *name)
{
    struct file *file = NULL;
    enum status status = directory_create(writer->directory, name, writer->segment_size, &file);
    directory_close_file(writer->directory, file);
    if (status == STATUS_DISK_FULL && writer->has_reserve) {
        status = directory_rename(writer->directory, RESERVE_NAME, name);
        status = status == STATUS_NOT_FOUND ? STATUS_DISK_FULL : status; // Somebody removed it.
        writer->has_reserve = false;
    }
    writer->no_room = status == STATUS_DISK_FULL;
    return status;
}

/* Make the file for a segment be there: it is (after a cut), was a spare, or is new. */
static enum status provide_segment(struct log_writer *writer, const char *name, bool begun)
{
    enum status status = find_segment(writer, name, begun);
    if (status == STATUS_NOT_FOUND && writer->spare_count > 0) {
        char spare[DIRECTORY_NAME_MAX];
        spare_name_format(writer->spares[--writer->spare_count], spare);
        status = directory_rename(writer->directory, spare, name);
    } else if (status == STATUS_NOT_FOUND) {
        status = make_segment(writer, name);
    }
    return status == STATUS_OK ? directory_sync_names(writer->directory) : status;
}

static void leave_segment(struct log_writer *writer)
{
    directory_close_file(writer->directory, writer->file);
    writer->file = NULL;
}

/* Open a segment to be written from an offset on. */
static enum status open_segment(struct log_writer *writer, uint64_t number, uint64_t offset)
{
    leave_segment(writer);
    char name[DIRECTORY_NAME_MAX];
    segment_name_format(number, name);
    enum status status = provide_segment(writer, name, offset > 0);
    if (status == STATUS_OK) {
        status =
            log_stage_begin(&writer->stage, writer->directory, name, writer->segment_size, offset);
    }
    if (status == STATUS_OK) {
        status = directory_open_direct(writer->directory, name, &writer->file);
    }
    writer->number = number;
    return status;
}

static enum status write_segment_header(struct log_writer *writer, const struct log_record *record)
{
    struct segment_header header = {
        .group = writer->group,
        .number = writer->number,
        .first_index = record->index,
        .previous_term = record->previous_term,
        .previous = record->previous,
        .segment_size = writer->segment_size,
        .version = SEGMENT_VERSION,
    };
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    segment_header_encode(&header, bytes);
    return log_stage_put(&writer->stage, writer->directory, writer->file, bytes, sizeof bytes);
}

/* Make the writer stand where a record begins, behind the header if it is the segment's first. */
static enum status enter_segment(struct log_writer *writer, const struct log_record *record)
{
    uint64_t number = record->position / writer->segment_size;
    uint64_t offset = record->position % writer->segment_size;
    if (writer->file != NULL && writer->number == number &&
        log_stage_offset(&writer->stage) == offset) {
        return STATUS_OK;
    }
    bool first = offset == SEGMENT_HEADER_SIZE;
    enum status status = open_segment(writer, number, first ? 0 : offset);
    return status == STATUS_OK && first ? write_segment_header(writer, record) : status;
}

static enum status put_record(struct log_writer *writer, const struct log_record *record)
{
    struct log_stage *stage = &writer->stage;
    size_t pad =
        log_frame_size(record->payload_size) - LOG_FRAME_HEADER_SIZE - record->payload_size;
    enum status status = log_stage_put(stage, writer->directory, writer->file, record->header,
                                       LOG_FRAME_HEADER_SIZE);
    if (status == STATUS_OK) {
        status = log_stage_put(stage, writer->directory, writer->file, record->payload,
                               record->payload_size);
    }
    return status == STATUS_OK ? log_stage_put(stage, writer->directory, writer->file, padding, pad)
                               : status;
}

/* Write and sync the records that lie in the segment of the first; *done is how many. */
static enum status write_one_segment(struct log_writer *writer, struct log_record **records,
                                     size_t count, size_t *done)
{
    enum status status = enter_segment(writer, records[0]);
    size_t taken = 0;
    while (status == STATUS_OK && taken < count &&
           records[taken]->position / writer->segment_size == writer->number) {
        status = put_record(writer, records[taken++]);
    }
    *done = taken;
    if (status == STATUS_OK) {
        status = log_stage_flush(&writer->stage, writer->directory, writer->file);
    }
    return status == STATUS_OK ? directory_sync(writer->directory, writer->file) : status;
}

/* Take away segments that were removed from the front, oldest first, so that what is left never has
 * a gap: some become spares. */
static enum status recycle(struct log_writer *writer, uint64_t from, uint64_t until)
{
    enum status status = STATUS_OK;
    for (uint64_t number = from; number < until && status == STATUS_OK; number++) {
        char name[DIRECTORY_NAME_MAX];
        char spare[DIRECTORY_NAME_MAX];
        segment_name_format(number, name);
        if (writer->spare_count < SPARES_KEPT) {
            // Spares made ahead count from 1; these carry their old number with a high bit.
            uint64_t spare_number = number | UINT64_C(1) << 63;
            spare_name_format(spare_number, spare);
            status = directory_rename(writer->directory, name, spare);
            if (status == STATUS_OK) {
                log_writer_add_spare(writer, spare_number);
            }
        } else {
            status = directory_remove(writer->directory, name);
        }
        if (status == STATUS_OK) {
            status = directory_sync_names(writer->directory);
        }
        log_summary_remove(writer->directory, number);
    }
    return status;
}

void log_writer_trim_spares(struct log_writer *writer)
{
    while (writer->spare_count > SPARES_KEPT) {
        char name[DIRECTORY_NAME_MAX];
        spare_name_format(writer->spares[--writer->spare_count], name);
        enum status status = directory_remove(writer->directory, name);
        (void)status; // It is only in the way; the next start tries again.
    }
}

enum status log_write_run(struct log_write *write)
{
    struct log_writer *writer = write->writer;
    enum status status = STATUS_OK;
    if (write->lowers_mark) {
        status = log_mark_lower(&writer->mark_file, &write->cut_keeps);
    }
    if (status == STATUS_OK && write->cut_until != 0) {
        leave_segment(writer); // What the stage keeps of its last block may be cut.
        status = log_writer_cut(writer, write->cut_from, write->cut_until);
    }
    // First: on a full disk these are the segments in which the log goes on.
    if (status == STATUS_OK && write->recycle_until != 0) {
        status = recycle(writer, write->recycle_from, write->recycle_until);
    }
    writer->no_room = false;
    while (write->done_count < write->record_count && status == STATUS_OK) {
        size_t taken = 0;
        status = write_one_segment(writer, write->records + write->done_count,
                                   write->record_count - write->done_count, &taken);
        write->done_count += taken;
    }
    return status == STATUS_DISK_FULL && writer->no_room ? STATUS_OK : status;
}
