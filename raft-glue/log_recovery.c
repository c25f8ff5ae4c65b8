/* Opening a log: scan forward, cut a torn tail, refuse damage.
 *
 * Complete segments are taken from their summaries, where they have one that can be trusted.
 * A frame is taken if it is whole and continues the one before it. Where that ends, the log ends,
 * unless some frame behind it says, by its durable mark, that this place was once synced, or the
 * stored mark (log_mark.h) does: then something that may have been acknowledged is lost, and
 * nothing is cut. What is taken is synced: a process that was killed may have left it written only.
 */
#include "raft-glue/segment_log_internal.h"

#include "common/base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CUT_MARK_SIZE = 16,
    CUT_MARK_VERSION = 1,
    /* Of a segment: its header and that of its first frame. */
    HEAD_SIZE = SEGMENT_HEADER_SIZE + LOG_FRAME_HEADER_SIZE,
};

struct number_list {
    uint64_t *numbers;
    size_t count;
    size_t capacity;
};

struct scan {
    struct segment_log *log;
    char **error;
    struct number_list segments;
    struct number_list summaries;
    uint8_t head[HEAD_SIZE]; // The beginning of one,
    uint8_t *bytes;          // and a whole one; NULL before the first.
    size_t present;          // Its file's size, if less: behind are zeros that nobody can read.
    uint64_t number;         // Which one is in `bytes`,
    bool loaded;             // and that it is.
    uint64_t position;       // Where the next frame is looked for.
    uint64_t last_term;
    uint64_t mark; // The highest durable mark of the frames taken.
};

static const char damaged[] = "the log is damaged where it was already synced";

static enum status refuse(struct scan *scan, const char *what, uint64_t position)
{
    struct buf text = {0};
    buf_printf(&text, "%s (at position %" PRIu64 " of the log); this replica must not start on it",
               what, position);
    buf_text(&text);
    *scan->error = (char *)buf_take(&text);
    return STATUS_CORRUPT;
}

/* Not damaged: not ours. */
static enum status foreign(struct scan *scan, const char *what)
{
    *scan->error = mem_copy_text(slice_text(what));
    return STATUS_REFUSED;
}

static enum status fail(struct scan *scan, enum status status, const char *what)
{
    if (*scan->error == NULL) {
        struct buf text = {0};
        buf_printf(&text, "cannot %s: %s", what, status_text(status));
        buf_text(&text);
        *scan->error = (char *)buf_take(&text);
    }
    return status;
}

static void add_number(struct number_list *list, uint64_t number)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        list->numbers = mem_realloc(list->numbers, list->capacity * sizeof *list->numbers);
    }
    list->numbers[list->count++] = number;
}

static void on_name(void *argument, const char *name)
{
    struct scan *scan = argument;
    uint64_t number = 0;
    if (segment_name_parse(name, &number)) {
        add_number(&scan->segments, number);
    } else if (strcmp(name, RESERVE_NAME) == 0) {
        scan->log->reserve = RESERVE_READY;
    } else if (summary_name_parse(name, &number)) {
        add_number(&scan->summaries, number);
    } else if (spare_name_parse(name, &number)) {
        log_writer_add_spare(&scan->log->writer, number);
        if (number >> 63 == 0 && number >= scan->log->spare_next) {
            scan->log->spare_next = number + 1;
        }
    }
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Read the first `size` bytes of a segment; a file that is shorter (a crash while it was made)
 * reads as zeros. */
static enum status read_front(struct scan *scan, uint64_t number, uint8_t *to, size_t size,
                              size_t *read)
{
    const struct directory *directory = &scan->log->options.directory;
    char name[DIRECTORY_NAME_MAX];
    struct file *file = NULL;
    segment_name_format(number, name);
    enum status status = directory_open(directory, name, &file);
    if (status != STATUS_OK) {
        return fail(scan, status, "open a segment of the log");
    }
    uint64_t file_size = 0;
    status = directory_file_size(directory, file, &file_size);
    size_t present = file_size < size ? (size_t)file_size : size;
    memset(to + present, 0, size - present);
    *read = present;
    if (status == STATUS_OK && present > 0) {
        status = directory_read(directory, file, 0, to, present);
    }
    directory_close_file(directory, file);
    status = status == STATUS_NOT_FOUND ? STATUS_IO : status;
    return status == STATUS_OK ? status : fail(scan, status, "read a segment of the log");
}

/* Have a whole segment in `bytes`. */
static enum status read_segment(struct scan *scan, uint64_t number)
{
    if (scan->loaded && scan->number == number) {
        return STATUS_OK;
    }
    if (scan->bytes == NULL) {
        scan->bytes = mem_alloc(scan->log->options.segment_size);
    }
    scan->number = number;
    enum status status =
        read_front(scan, number, scan->bytes, scan->log->options.segment_size, &scan->present);
    scan->loaded = status == STATUS_OK;
    return status;
}

static struct slice bytes_from(const struct scan *scan, uint64_t offset)
{
    return slice_of(scan->bytes + offset, offset < scan->present ? scan->present - offset : 0);
}

/* Does the segment in `bytes` hold any frame of this log, in its place, whose durable mark lies
 * behind `position`? */
static bool has_witness(const struct scan *scan, uint64_t position)
{
    uint32_t size = scan->log->options.segment_size;
    uint64_t start = scan->number * size;
    uint64_t offset = position > start ? position - start : SEGMENT_HEADER_SIZE;
    for (; offset + LOG_FRAME_HEADER_SIZE <= size; offset += LOG_FRAME_ALIGNMENT) {
        struct log_frame frame;
        if (le64_get(scan->bytes + offset) == 0) {
            continue; // Most of a segment that is not full; no frame begins with zeros.
        }
        if (log_frame_decode(bytes_from(scan, offset), scan->log->seed, &frame) == STATUS_OK &&
            frame.position == start + offset && frame.durable_mark > position) {
            return true;
        }
    }
    return false;
}

static void accept_frame(struct scan *scan, const struct log_frame *frame, struct slice payload)
{
    struct segment_log *log = scan->log;
    struct log_entry entry = {
        .position = frame->position,
        .term = frame->term,
        .payload_size = frame->payload_size,
        .header_crc = frame->header_crc,
        .type = frame->type,
    };
    if (frame->type == LOG_FRAME_CHANGE) {
        struct block *block = block_new(payload.size);
        memcpy(block->data, payload.data, payload.size);
        struct log_frame copy = *frame;
        struct log_record *record =
            log_record_new(&copy, scan->last_term, log->seed, block, block->data);
        segment_log_keep_change(log, record);
        log_record_release(record);
        block_release(block);
    }
    scan->mark = frame->durable_mark > scan->mark ? frame->durable_mark : scan->mark;
    log_entries_append(&log->entries, &entry);
    log->last_crc = frame->header_crc;
    scan->last_term = frame->term;
    log->end_position = frame->position + log_frame_size(frame->payload_size);
    scan->position = log->end_position;
}

/* Take frames of the segment in `bytes` from scan->position on, as long as they continue. */
static void scan_frames(struct scan *scan)
{
    struct segment_log *log = scan->log;
    uint32_t size = log->options.segment_size;
    for (;;) {
        uint64_t offset = scan->position - scan->number * size;
        struct log_frame frame;
        struct slice payload;
        if (offset + LOG_FRAME_HEADER_SIZE > size ||
            log_frame_decode_whole(bytes_from(scan, offset), log->seed, &frame, &payload) !=
                STATUS_OK ||
            frame.position != scan->position || frame.index != log->entries.next_index ||
            frame.previous != log->last_crc || frame.term < scan->last_term) {
            return;
        }
        accept_frame(scan, &frame, payload);
    }
}

/* The only segment's header cannot be read: torn while the file was first made, or damaged, then it
 * holds frames. */
static enum status judge_headless(struct scan *scan, bool *empty)
{
    const struct segment_log *log = scan->log;
    uint32_t size = log->options.segment_size;
    enum status status = read_segment(scan, scan->number);
    struct log_frame frame;
    *empty = scan->number == 0 && scan->segments.count == 1;
    for (uint64_t at = SEGMENT_HEADER_SIZE;
         status == STATUS_OK && at + LOG_FRAME_HEADER_SIZE <= size && *empty;
         at += LOG_FRAME_ALIGNMENT) {
        *empty = log_frame_decode(bytes_from(scan, at), log->seed, &frame) != STATUS_OK ||
                 frame.durable_mark <= SEGMENT_HEADER_SIZE;
    }
    return status != STATUS_OK || *empty
               ? status
               : refuse(scan, "the first segment's header is damaged", scan->number * size);
}

/* Judge the header of the lowest segment: it says where the log begins. *empty: nothing in it. */
static enum status begin(struct scan *scan, bool *empty)
{
    struct segment_log *log = scan->log;
    uint32_t size = log->options.segment_size;
    uint64_t start = scan->number * size;
    struct segment_header header;
    *empty = false;
    if (segment_header_decode(slice_of(scan->head, HEAD_SIZE), &header) != STATUS_OK) {
        return judge_headless(scan, empty);
    }
    if (header.version != SEGMENT_VERSION) {
        return foreign(scan, "the log was written by another version of raftmq");
    }
    if (header.group != log->options.group) {
        return foreign(scan, "the log belongs to another cluster or broker group");
    }
    if (header.segment_size != size || header.number != scan->number || header.first_index == 0) {
        return refuse(scan, "the first segment's header contradicts its file", start);
    }
    log_entries_init(&log->entries, header.first_index);
    log->base_term = header.previous_term;
    log->last_crc = header.previous;
    log->first_position = start;
    scan->last_term = header.previous_term;
    scan->position = start + SEGMENT_HEADER_SIZE;
    log->end_position = scan->position;
    return STATUS_OK;
}

/* Does the segment whose head was read continue the log, because its first frame had no room
 * before? */
static bool continues(const struct scan *scan)
{
    const struct segment_log *log = scan->log;
    uint32_t size = log->options.segment_size;
    struct segment_header header;
    struct log_frame frame;
    struct slice head = slice_of(scan->head, HEAD_SIZE);
    return segment_header_decode(head, &header) == STATUS_OK &&
           header.group == log->options.group && header.number == scan->number &&
           header.segment_size == size && header.first_index == log->entries.next_index &&
           header.previous == log->last_crc &&
           log_frame_decode(slice_from(head, SEGMENT_HEADER_SIZE), log->seed, &frame) ==
               STATUS_OK &&
           segment_place(log->end_position, log_frame_size(frame.payload_size), size) ==
               scan->number * size + SEGMENT_HEADER_SIZE;
}

/* Take the frames of the segment that continues the log: by its summary, or by reading it. */
static enum status take_segment(struct scan *scan, uint64_t number)
{
    struct segment_log *log = scan->log;
    struct log_summary *summary = NULL;
    if (log_summary_open(log, number, scan->last_term, &summary)) {
        struct log_frame frame;
        struct slice payload;
        while (log_summary_next(summary, &frame, &payload)) {
            accept_frame(scan, &frame, payload);
        }
        log_summary_close(summary);
        return STATUS_OK;
    }
    enum status status = read_segment(scan, number);
    if (status == STATUS_OK) {
        log_summaries_lack(log, number);
        scan_frames(scan);
    }
    return status;
}

/* Scan all segments; *stopped is the list's index of the one in which the log ends. */
static enum status scan_segments(struct scan *scan, size_t *stopped)
{
    struct segment_log *log = scan->log;
    uint32_t size = log->options.segment_size;
    for (size_t i = 0; i < scan->segments.count; i++) {
        uint64_t number = scan->segments.numbers[i];
        if (i > 0 && number != scan->segments.numbers[i - 1] + 1) {
            return STATUS_OK;
        }
        size_t head_size = 0;
        enum status status = read_front(scan, number, scan->head, HEAD_SIZE, &head_size);
        if (status != STATUS_OK) {
            return status;
        }
        bool empty = false;
        scan->number = number;
        scan->loaded = false;
        if (i == 0) {
            status = begin(scan, &empty);
            if (status != STATUS_OK || empty) {
                return status;
            }
        } else if (!continues(scan)) {
            return STATUS_OK;
        } else {
            scan->position = number * size + SEGMENT_HEADER_SIZE;
        }
        uint64_t before = log->entries.next_index;
        status = take_segment(scan, number);
        if (status != STATUS_OK) {
            return status;
        }
        if (i > 0 && log->entries.next_index == before) {
            return STATUS_OK; // Its first frame is torn: the log ends in the segment before.
        }
        *stopped = i;
        log->complete_until = number;
        log_pack_settled(log, SIZE_MAX);
    }
    return STATUS_OK;
}

/* End of the last word in [from, size) that is not zero; `from` if all are. Both are aligned. */
static uint64_t end_of_data(const uint8_t *bytes, uint64_t from, uint64_t size)
{
    while (size > from && le64_get(bytes + size - 8) == 0) {
        size -= 8;
    }
    return size;
}

/* Behind the end: refuse if it was synced, else make sure that it reads as zeros. */
static enum status cut_tail(struct scan *scan, size_t stopped)
{
    struct segment_log *log = scan->log;
    uint32_t size = log->options.segment_size;
    uint64_t end = log->end_position;
    uint64_t until = 0; // End of the last byte that is not zero.
    for (size_t i = stopped; i < scan->segments.count; i++) {
        enum status status = read_segment(scan, scan->segments.numbers[i]);
        if (status != STATUS_OK) {
            return status;
        }
        if (has_witness(scan, end)) {
            return refuse(scan, damaged, end);
        }
        uint64_t start = scan->number * size;
        uint64_t from = end > start ? end - start : 0;
        uint64_t last = end_of_data(scan->bytes, from, size);
        until = last > from ? start + last : until;
    }
    if (until == 0) {
        return STATUS_OK;
    }
    log_warn(log->options.log, "cut torn tail of the log", "from=%" PRIu64 " until=%" PRIu64, end,
             until);
    enum status status = log_writer_cut(&log->writer, end, until);
    return status == STATUS_OK ? status : fail(scan, status, "cut the torn tail of the log");
}

/* Make durable what lies behind the highest mark: it was read, but perhaps never synced. */
static enum status sync_found(struct scan *scan, size_t stopped)
{
    const struct directory *directory = &scan->log->options.directory;
    enum status status = STATUS_OK;
    for (size_t i = 0; i <= stopped && status == STATUS_OK; i++) {
        uint64_t number = scan->segments.numbers[i];
        if ((number + 1) * scan->log->options.segment_size <= scan->mark) {
            continue;
        }
        char name[DIRECTORY_NAME_MAX];
        struct file *file = NULL;
        segment_name_format(number, name);
        status = directory_open(directory, name, &file);
        if (status == STATUS_OK) {
            status = directory_sync(directory, file);
            directory_close_file(directory, file);
        }
    }
    status = status == STATUS_OK ? directory_sync_names(directory) : status;
    return status == STATUS_OK ? status : fail(scan, status, "sync the log that was found");
}

/* Open the mark of cuts, and finish one that a crash interrupted. */
static enum status finish_cut(struct scan *scan)
{
    struct log_writer *writer = &scan->log->writer;
    uint8_t record[CUT_MARK_SIZE] = {0};
    enum status status = twin_file_open(&writer->cut_mark, writer->directory, "cut",
                                        CUT_MARK_VERSION, record, sizeof record);
    if (status == STATUS_NOT_FOUND || (status == STATUS_CORRUPT && scan->segments.count == 0)) {
        status = twin_file_create(&writer->cut_mark, writer->directory, "cut", CUT_MARK_VERSION,
                                  record, sizeof record);
    }
    if (status == STATUS_CORRUPT) {
        return refuse(scan, "the files cut.0 and cut.1 are both damaged", 0);
    }
    if (status != STATUS_OK) {
        return fail(scan, status, "open the files cut.0 and cut.1");
    }
    uint64_t from = le64_get(record);
    uint64_t until = le64_get(record + 8);
    if (until != 0) {
        status = log_writer_cut(writer, from, until);
    }
    return status == STATUS_OK ? status : fail(scan, status, "finish an interrupted cut");
}

static enum status open_mark(struct scan *scan)
{
    struct segment_log *log = scan->log;
    enum status status = log_mark_open(&log->writer.mark_file, log->writer.directory, &log->marked);
    if (status == STATUS_REFUSED) {
        return foreign(scan, "the log was written by another version of raftmq");
    }
    return status == STATUS_OK ? status : fail(scan, status, "open durable.0 and durable.1");
}

/* A log that ends too early, or is another one, lost what was synced. */
static enum status check_mark(struct scan *scan)
{
    return log_reaches_mark(scan->log) ? STATUS_OK : refuse(scan, damaged, scan->log->end_position);
}

/* Segments [first, newest) are complete. Summaries of others are left over. */
static void settle_summaries(struct scan *scan, uint64_t first, uint64_t newest)
{
    struct segment_log *log = scan->log;
    log->complete_until = newest;
    log_summaries_forget(log, newest, UINT64_MAX);
    for (size_t i = 0; i < scan->summaries.count; i++) {
        uint64_t number = scan->summaries.numbers[i];
        if (number < first || number >= newest) {
            log_summary_remove(&log->options.directory, number);
        }
    }
}

enum status log_recover(struct segment_log *log, char **error)
{
    struct scan scan = {.log = log, .error = error};
    *error = NULL;
    enum status status = directory_list(&log->options.directory, on_name, &scan);
    if (status != STATUS_OK) {
        status = fail(&scan, status, "list the data directory");
        goto out;
    }
    if (scan.segments.count > 0) {
        qsort(scan.segments.numbers, scan.segments.count, sizeof *scan.segments.numbers,
              compare_numbers);
    }
    log_writer_trim_spares(&log->writer);
    status = finish_cut(&scan);
    if (status == STATUS_OK) {
        status = open_mark(&scan);
    }
    if (status != STATUS_OK) {
        goto out;
    }
    size_t stopped = 0;
    if (scan.segments.count == 0) {
        settle_summaries(&scan, 0, 0);
        status = check_mark(&scan);
        goto out;
    }
    status = scan_segments(&scan, &stopped);
    if (status == STATUS_OK) {
        status = check_mark(&scan);
    }
    if (status == STATUS_OK) {
        status = cut_tail(&scan, stopped);
    }
    if (status == STATUS_OK) {
        status = sync_found(&scan, stopped);
    }
    settle_summaries(&scan, scan.segments.numbers[0], scan.segments.numbers[stopped]);
out:
    free(scan.bytes);
    free(scan.segments.numbers);
    free(scan.summaries.numbers);
    return status;
}
