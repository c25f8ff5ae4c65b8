/* Reading the segment log: by position without waiting, and loads for the thread pool. */
#include "raft-glue/segment_log_internal.h"

#include <stdlib.h>

enum { READERS_MAX = 64 };

static void reader_close(struct segment_log *log, size_t at)
{
    struct segment_reader *reader = log->readers[at];
    directory_close_file(&log->options.directory, reader->file);
    free(reader);
    log->readers[at] = log->readers[--log->reader_count];
}

/* Close the idle reader that was used longest ago, if there are too many. */
static void reader_make_room(struct segment_log *log)
{
    if (log->reader_count < READERS_MAX) {
        return;
    }
    size_t oldest = log->reader_count;
    for (size_t i = 0; i < log->reader_count; i++) {
        if (log->readers[i]->references == 0 &&
            (oldest == log->reader_count || log->readers[i]->used < log->readers[oldest]->used)) {
            oldest = i;
        }
    }
    if (oldest < log->reader_count) {
        reader_close(log, oldest);
    }
}

/* The open segment; give it back by lowering references. */
static enum status reader_get(struct segment_log *log, uint64_t number, struct segment_reader **out)
{
    for (size_t i = 0; i < log->reader_count; i++) {
        if (log->readers[i]->number == number) {
            *out = log->readers[i];
            (*out)->references++;
            (*out)->used = ++log->reader_tick;
            return STATUS_OK;
        }
    }
    char name[DIRECTORY_NAME_MAX];
    segment_name_format(number, name);
    struct file *file = NULL;
    enum status status = directory_open(&log->options.directory, name, &file);
    if (status != STATUS_OK) {
        return status;
    }
    reader_make_room(log);
    struct segment_reader *reader = mem_alloc(sizeof *reader);
    *reader = (struct segment_reader){
        .number = number, .file = file, .references = 1, .used = ++log->reader_tick};
    log->readers = mem_realloc(log->readers, (log->reader_count + 1) * sizeof(void *));
    log->readers[log->reader_count++] = reader;
    *out = reader;
    return STATUS_OK;
}

void segment_readers_close(struct segment_log *log)
{
    while (log->reader_count > 0) {
        ASSERT(log->readers[log->reader_count - 1]->references == 0);
        reader_close(log, log->reader_count - 1);
    }
    free(log->readers);
    log->readers = NULL;
}

bool segment_readers_busy_below(struct segment_log *log, uint64_t number)
{
    for (size_t i = log->reader_count; i > 0; i--) {
        struct segment_reader *reader = log->readers[i - 1];
        if (reader->number < number && reader->references > 0) {
            return true;
        }
    }
    for (size_t i = log->reader_count; i > 0; i--) {
        if (log->readers[i - 1]->number < number) {
            reader_close(log, i - 1);
        }
    }
    return false;
}

/* Copy from the cached record that holds the whole range, if there is one. */
static bool copy_cached(const struct segment_log *log, uint64_t position, size_t size, uint8_t *to)
{
    struct log_record *oldest = segment_log_cached(log, log->cache_first);
    if (oldest == NULL || position < oldest->position) {
        return false;
    }
    struct log_record *record = segment_log_cached(log, log_entries_find(&log->entries, position));
    if (record == NULL) {
        return false;
    }
    uint64_t payload_at = record->position + LOG_FRAME_HEADER_SIZE;
    if (position < payload_at || position + size > payload_at + record->payload_size) {
        return false;
    }
    memcpy(to, record->payload + (position - payload_at), size);
    return true;
}

static bool readable(const struct segment_log *log, uint64_t position, size_t size)
{
    uint32_t segment_size = log->options.segment_size;
    return position >= log->first_position && position < log->durable_position &&
           size <= log->durable_position - position &&
           position % segment_size + size <= segment_size;
}

enum status segment_log_read_now(struct segment_log *log, uint64_t position, size_t size,
                                 uint8_t *to)
{
    if (!readable(log, position, size)) {
        return STATUS_NOT_FOUND;
    }
    if (copy_cached(log, position, size, to)) {
        return STATUS_OK;
    }
    struct segment_reader *reader = NULL;
    enum status status = reader_get(log, position / log->options.segment_size, &reader);
    if (status != STATUS_OK) {
        return status;
    }
    status = directory_read_now(&log->options.directory, reader->file,
                                position % log->options.segment_size, to, size);
    reader->references--;
    return status;
}

enum status segment_log_read_begin(struct segment_log *log, uint64_t position, size_t size,
                                   uint8_t *to, struct log_read *read)
{
    if (!readable(log, position, size)) {
        return STATUS_NOT_FOUND;
    }
    *read = (struct log_read){
        .position = position,
        .size = size,
        .to = to,
        .directory = &log->options.directory,
        .offset = position % log->options.segment_size,
    };
    return reader_get(log, position / log->options.segment_size, &read->reader);
}

enum status log_read_run(struct log_read *read)
{
    return directory_read(read->directory, read->reader->file, read->offset, read->to, read->size);
}

void segment_log_read_end(struct segment_log *log, struct log_read *read)
{
    (void)log;
    read->reader->references--;
}

enum status segment_log_load_begin(struct segment_log *log, uint64_t first, uint64_t last,
                                   size_t bytes_max, struct log_load *load)
{
    struct log_entry entry;
    if (last > log->durable_index || !log_entries_get(&log->entries, first, &entry)) {
        return STATUS_NOT_FOUND;
    }
    uint32_t segment_size = log->options.segment_size;
    uint64_t number = entry.position / segment_size;
    *load = (struct log_load){
        .first_index = first,
        .position = entry.position,
        .seed = log->seed,
        .directory = &log->options.directory,
    };
    for (uint64_t i = first; i <= last && log_entries_get(&log->entries, i, &entry); i++) {
        size_t size = log_frame_size(entry.payload_size);
        if (load->count > 0 &&
            (load->size + size > bytes_max || entry.position / segment_size != number)) {
            break;
        }
        load->size += size;
        load->count++;
    }
    enum status status = reader_get(log, number, &load->reader);
    if (status == STATUS_OK) {
        load->block = block_new(load->size);
        load->status = STATUS_PENDING;
        load->offset = load->position % segment_size;
    }
    return status;
}

void log_load_run(struct log_load *load)
{
    uint8_t *data = load->block->data;
    load->status =
        directory_read(load->directory, load->reader->file, load->offset, data, load->size);
    size_t at = 0;
    for (uint64_t i = 0; i < load->count && load->status == STATUS_OK; i++) {
        struct log_frame frame;
        struct slice payload;
        enum status status = log_frame_decode_whole(slice_of(data + at, load->size - at),
                                                    load->seed, &frame, &payload);
        if (status != STATUS_OK || frame.index != load->first_index + i ||
            frame.position != load->position + at) {
            load->status = STATUS_CORRUPT;
            return;
        }
        at += log_frame_size(frame.payload_size);
        load->verified++;
    }
}

void segment_log_load_end(struct segment_log *log, struct log_load *load)
{
    (void)log;
    load->reader->references--;
    block_release(load->block);
    load->block = NULL;
}
