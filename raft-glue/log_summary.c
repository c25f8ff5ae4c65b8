/* Summaries of complete segments: written behind the log's back, trusted at a start only as far as
 * the segments themselves agree.
 *
 * The checksum in a frame's header covers that of the header before it. So if the first and the
 * last frame of a segment and the header of the next segment are those that a summary names, all
 * headers in between are, too: a summary of what was truncated or recycled since then is found out.
 * Payloads are not looked at; the scrub does that (log_scrub.h). */
#include "raft-glue/segment_log_internal.h"
#include "raft-glue/segment_summary.h"

#include <stdlib.h>

struct summary_change {
    struct log_frame frame;
    struct buf bytes; /* The whole frame. */
    struct slice payload;
};

struct log_summary {
    struct buf bytes;
    struct segment_summary summary;
    struct summary_walk walk;
    uint64_t index; /* Of the next frame, */
    uint64_t position;
    struct summary_change *changes; /* In order. */
    size_t change_count;
    size_t change_next;
};

/* ---- Writing ---- */

static void add_unsummarized(struct segment_log *log, uint64_t number)
{
    if (log->unsummarized_count == log->unsummarized_capacity) {
        size_t capacity = log->unsummarized_capacity == 0 ? 16 : 2 * log->unsummarized_capacity;
        log->unsummarized = mem_realloc(log->unsummarized, capacity * sizeof *log->unsummarized);
        log->unsummarized_capacity = capacity;
    }
    log->unsummarized[log->unsummarized_count++] = number;
}

void log_summaries_lack(struct segment_log *log, uint64_t number)
{
    add_unsummarized(log, number);
}

void log_summaries_completed(struct segment_log *log)
{
    uint64_t newest = log->durable_position / log->options.segment_size;
    for (; log->complete_until < newest; log->complete_until++) {
        add_unsummarized(log, log->complete_until);
    }
}

void log_summaries_truncated(struct segment_log *log)
{
    uint64_t number = log->end_position / log->options.segment_size;
    if (number < log->complete_until) {
        log->complete_until = number;
        log_summaries_forget(log, number, UINT64_MAX);
    }
}

void log_summaries_forget(struct segment_log *log, uint64_t first, uint64_t end)
{
    size_t kept = 0;
    for (size_t i = 0; i < log->unsummarized_count; i++) {
        uint64_t number = log->unsummarized[i];
        if (number < first || number >= end) {
            log->unsummarized[kept++] = number;
        }
    }
    log->unsummarized_count = kept;
}

/* First index of a segment of the log, or of all. */
static uint64_t first_of(const struct segment_log *log, uint64_t number)
{
    uint64_t before = log_entries_find(&log->entries, number * log->options.segment_size);
    return before == 0 ? log->entries.first_index : before + 1;
}

uint64_t log_summaries_reach(const struct segment_log *log)
{
    uint64_t number = log->complete_until;
    for (size_t i = 0; i < log->unsummarized_count; i++) {
        number = log->unsummarized[i] < number ? log->unsummarized[i] : number;
    }
    return first_of(log, number);
}

static void build(const struct segment_log *log, uint64_t number, struct buf *out)
{
    uint64_t size = log->options.segment_size;
    uint64_t first = first_of(log, number);
    struct segment_summary head = {
        .group = log->options.group,
        .number = number,
        .first_index = first,
        .segment_size = log->options.segment_size,
    };
    struct summary_builder builder = {0};
    struct log_entry entry;
    for (uint64_t i = first; log_entries_get(&log->entries, i, &entry); i++) {
        if (entry.position / size != number) {
            break;
        }
        const struct summary_frame frame = {
            .term = entry.term,
            .payload_size = entry.payload_size,
            .header_crc = entry.header_crc,
            .type = entry.type,
        };
        summary_builder_add(&builder, &frame);
    }
    summary_builder_finish(&builder, &head, out);
    summary_builder_close(&builder);
}

bool segment_log_summary_begin(struct segment_log *log, struct log_summary_job *job)
{
    if (log->summary_under_way || log->unsummarized_count == 0) {
        return false;
    }
    uint64_t number = log->unsummarized[0];
    log_summaries_forget(log, number, number + 1);
    log->summary_under_way = true;
    *job = (struct log_summary_job){.directory = &log->options.directory, .number = number};
    build(log, number, &job->bytes);
    return true;
}

enum status log_summary_run(struct log_summary_job *job)
{
    static const char unfinished[] = "summary.tmp";
    struct file *file = NULL;
    enum status status = directory_create(job->directory, unfinished, 0, &file);
    if (status != STATUS_OK) {
        return status;
    }
    struct iovec part = {.iov_base = job->bytes.data, .iov_len = job->bytes.size};
    status = directory_write(job->directory, file, 0, &part, 1);
    if (status == STATUS_OK) {
        status = directory_sync(job->directory, file);
    }
    directory_close_file(job->directory, file);
    if (status == STATUS_OK) {
        char name[DIRECTORY_NAME_MAX];
        summary_name_format(job->number, name);
        status = directory_rename(job->directory, unfinished, name);
    }
    return status;
}

void segment_log_summary_end(struct segment_log *log, struct log_summary_job *job)
{
    log->summary_under_way = false;
    buf_close(&job->bytes);
}

void log_summary_remove(const struct directory *directory, uint64_t number)
{
    char name[DIRECTORY_NAME_MAX];
    summary_name_format(number, name);
    enum status status = directory_remove(directory, name);
    (void)status; // Mostly there is none; one that stays is found out.
}

/* ---- Reading ---- */

/* Append the bytes of a file; false if they cannot be had. */
static bool read_range(const struct directory *directory, struct file *file, uint64_t offset,
                       size_t size, struct buf *out)
{
    return directory_read(directory, file, offset, buf_extend(out, size), size) == STATUS_OK;
}

static bool read_summary(const struct segment_log *log, uint64_t number, struct log_summary *into)
{
    const struct directory *directory = &log->options.directory;
    char name[DIRECTORY_NAME_MAX];
    struct file *file = NULL;
    uint64_t size = 0;
    summary_name_format(number, name);
    if (directory_open(directory, name, &file) != STATUS_OK) {
        return false;
    }
    bool read = directory_file_size(directory, file, &size) == STATUS_OK &&
                size >= SUMMARY_HEADER_SIZE &&
                size <= segment_summary_size_max(log->options.segment_size) &&
                read_range(directory, file, 0, (size_t)size, &into->bytes) &&
                segment_summary_decode(buf_slice(&into->bytes), &into->summary) == STATUS_OK;
    directory_close_file(directory, file);
    return read && into->summary.group == log->options.group && into->summary.number == number &&
           into->summary.segment_size == log->options.segment_size &&
           into->summary.first_index == log->entries.next_index;
}

/* Read a frame's header, and its payload too if `payload` is not NULL; is it the frame named? */
static bool read_frame(const struct segment_log *log, struct file *file, uint64_t position,
                       uint64_t index, const struct summary_frame *named, struct buf *bytes,
                       struct log_frame *frame, struct slice *payload)
{
    size_t size = payload == NULL ? LOG_FRAME_HEADER_SIZE : log_frame_size(named->payload_size);
    buf_clear(bytes);
    if (!read_range(&log->options.directory, file, position % log->options.segment_size, size,
                    bytes)) {
        return false;
    }
    enum status status = payload == NULL
                             ? log_frame_decode(buf_slice(bytes), log->seed, frame)
                             : log_frame_decode_whole(buf_slice(bytes), log->seed, frame, payload);
    return status == STATUS_OK && frame->header_crc == named->header_crc &&
           frame->position == position && frame->index == index && frame->term == named->term &&
           frame->payload_size == named->payload_size && frame->type == named->type;
}

static bool keep_change(const struct segment_log *log, struct file *file, uint64_t position,
                        uint64_t index, const struct summary_frame *named, struct log_summary *into)
{
    into->changes = mem_realloc(into->changes, (into->change_count + 1) * sizeof *into->changes);
    struct summary_change *change = &into->changes[into->change_count++];
    *change = (struct summary_change){0};
    return read_frame(log, file, position, index, named, &change->bytes, &change->frame,
                      &change->payload);
}

/* Does the segment have the frames that the summary names? *last_crc is that of the last one. */
static bool agrees(const struct segment_log *log, struct file *file, uint64_t last_term,
                   struct log_summary *into, uint32_t *last_crc)
{
    const struct segment_summary *summary = &into->summary;
    uint64_t position = summary->number * log->options.segment_size + SEGMENT_HEADER_SIZE;
    struct summary_walk walk;
    struct summary_frame named;
    struct buf bytes = {0};
    bool good = true;
    summary_walk_begin(&walk, summary);
    for (uint32_t i = 0; good && summary_walk_next(&walk, &named); i++) {
        struct log_frame frame;
        uint64_t index = summary->first_index + i;
        if (i == 0 || i + 1 == summary->frame_count) {
            good = read_frame(log, file, position, index, &named, &bytes, &frame, NULL);
        }
        if (i == 0) {
            good = good && frame.previous == log->last_crc && frame.term >= last_term &&
                   segment_place(log->end_position, log_frame_size(frame.payload_size),
                                 log->options.segment_size) == position;
        }
        if (good && named.type == LOG_FRAME_CHANGE) {
            good = keep_change(log, file, position, index, &named, into);
        }
        position += log_frame_size(named.payload_size);
        *last_crc = named.header_crc;
    }
    buf_close(&bytes);
    return good;
}

/* Does a segment's header say that the log goes on there after such a frame? */
static bool header_continues(const struct segment_log *log, struct file *file, uint64_t number,
                             uint64_t first_index, uint32_t previous)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    struct segment_header header;
    return directory_read(&log->options.directory, file, 0, bytes, sizeof bytes) == STATUS_OK &&
           segment_header_decode(slice_of(bytes, sizeof bytes), &header) == STATUS_OK &&
           header.version == SEGMENT_VERSION && header.group == log->options.group &&
           header.number == number && header.segment_size == log->options.segment_size &&
           header.first_index == first_index && header.previous == previous;
}

static bool open_segment(const struct segment_log *log, uint64_t number, struct file **file)
{
    char name[DIRECTORY_NAME_MAX];
    segment_name_format(number, name);
    return directory_open(&log->options.directory, name, file) == STATUS_OK;
}

bool log_summary_open(const struct segment_log *log, uint64_t number, uint64_t last_term,
                      struct log_summary **out)
{
    struct log_summary *opened = mem_zalloc(sizeof *opened);
    struct file *segment = NULL;
    struct file *next = NULL;
    uint32_t last_crc = 0;
    bool good =
        read_summary(log, number, opened) && open_segment(log, number, &segment) &&
        header_continues(log, segment, number, opened->summary.first_index, log->last_crc) &&
        agrees(log, segment, last_term, opened, &last_crc) &&
        open_segment(log, number + 1, &next) &&
        header_continues(log, next, number + 1,
                         opened->summary.first_index + opened->summary.frame_count, last_crc);
    directory_close_file(&log->options.directory, segment);
    directory_close_file(&log->options.directory, next);
    if (!good) {
        log_summary_close(opened);
        return false;
    }
    summary_walk_begin(&opened->walk, &opened->summary);
    opened->index = opened->summary.first_index;
    opened->position = number * log->options.segment_size + SEGMENT_HEADER_SIZE;
    *out = opened;
    return true;
}

bool log_summary_next(struct log_summary *summary, struct log_frame *frame, struct slice *payload)
{
    struct summary_frame named;
    if (!summary_walk_next(&summary->walk, &named)) {
        return false;
    }
    *payload = slice_of(NULL, 0);
    *frame = (struct log_frame){
        .index = summary->index++,
        .term = named.term,
        .position = summary->position,
        .payload_size = named.payload_size,
        .header_crc = named.header_crc,
        .type = named.type,
    };
    summary->position += log_frame_size(named.payload_size);
    if (named.type == LOG_FRAME_CHANGE) {
        const struct summary_change *change = &summary->changes[summary->change_next++];
        *frame = change->frame;
        *payload = change->payload;
    }
    return true;
}

void log_summary_close(struct log_summary *summary)
{
    for (size_t i = 0; i < summary->change_count; i++) {
        buf_close(&summary->changes[i].bytes);
    }
    free(summary->changes);
    buf_close(&summary->bytes);
    free(summary);
}
