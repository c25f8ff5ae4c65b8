/* Opening a log: scan forward, cut a torn tail, refuse damage.
 *
 * Complete segments are taken from their summaries, where they have one that can be trusted.
 * A frame is taken if it is whole and continues the one before it. Where that ends, the log ends,
 * unless some frame behind it says, by its durable mark, that this place was once synced, or the
 * stored mark (log_mark.h) does: then something that may have been acknowledged is lost, and
 * nothing is cut. What is taken is synced: a process that was killed may have left it written only.
 */
#include "raft-glue/log_window.h"
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
    uint64_t number;          // The segment that is looked at,
    uint8_t head[HEAD_SIZE];  // its beginning
    struct log_window window; // and, once it is opened, all of it.
    uint64_t position;        // Where the next frame is looked for.
    uint64_t last_term;
    uint64_t mark; // The highest durable mark of the frames taken.
};

/* What lies in a segment behind some place. */
struct behind {
    uint64_t mark;       // The highest durable mark of frames in their place, 0 without any;
    uint64_t stray_mark; // of frames anywhere.
    uint64_t data_end;   // Offset behind the last word that is not zero, 0 without any.
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

/* Open the segment scan->number. */
static enum status open_segment(struct scan *scan)
{
    char name[DIRECTORY_NAME_MAX];
    segment_name_format(scan->number, name);
    log_window_close(&scan->window);
    enum status status = log_window_open(&scan->window, &scan->log->options.directory, name,
                                         scan->log->options.segment_size);
    status = status == STATUS_NOT_FOUND ? STATUS_IO : status;
    return status == STATUS_OK ? status : fail(scan, status, "open a segment of the log");
}

/* Bytes of the segment from `offset` on: at least `need`, or what is left of a file that may be
 * shorter than a segment (a crash while it was made). */
static enum status look(struct scan *scan, uint64_t offset, size_t need, struct slice *out)
{
    enum status status = log_window_look(&scan->window, offset, need, out);
    return status == STATUS_OK ? status : fail(scan, status, "read a segment of the log");
}

/* Read a segment's head. A file that is shorter reads as zeros. */
static enum status read_head(struct scan *scan, uint64_t number)
{
    const struct directory *directory = &scan->log->options.directory;
    char name[DIRECTORY_NAME_MAX];
    struct file *file = NULL;
    segment_name_format(number, name);
    scan->number = number;
    enum status status = directory_open(directory, name, &file);
    if (status == STATUS_OK) {
        uint64_t file_size = 0;
        status = directory_file_size(directory, file, &file_size);
        size_t present = file_size < HEAD_SIZE ? (size_t)file_size : HEAD_SIZE;
        memset(scan->head + present, 0, HEAD_SIZE - present);
        if (status == STATUS_OK && present > 0) {
            status = directory_read(directory, file, 0, scan->head, present);
        }
        directory_close_file(directory, file);
    }
    status = status == STATUS_NOT_FOUND ? STATUS_IO : status;
    return status == STATUS_OK ? status : fail(scan, status, "read a segment of the log");
}

/* Bytes before the first word that is not zero; all if there is none. */
static size_t zeros_before_data(struct slice bytes)
{
    size_t at = 0;
    while (at + 8 <= bytes.size && le64_get(bytes.data + at) == 0) {
        at += 8;
    }
    size_t word = at;
    while (at < bytes.size && bytes.data[at] == 0) {
        at++;
    }
    return at == bytes.size ? at : word;
}

/* Look through the rest of the segment, most of which is zeros where it is not full. A frame
 * begins at a word, and with something else. */
static enum status look_behind(struct scan *scan, uint64_t offset, struct behind *behind)
{
    *behind = (struct behind){0};
    uint64_t start = scan->number * scan->log->options.segment_size;
    for (;;) {
        struct slice bytes;
        enum status status = look(scan, offset, 8, &bytes);
        if (status != STATUS_OK || bytes.size == 0) {
            return status;
        }
        size_t zeros = zeros_before_data(bytes);
        offset += zeros;
        if (zeros == bytes.size) {
            continue;
        }
        status = look(scan, offset, LOG_FRAME_HEADER_SIZE, &bytes);
        struct log_frame frame;
        if (status != STATUS_OK) {
            return status;
        }
        if (log_frame_decode(bytes, scan->log->seed, &frame) == STATUS_OK) {
            uint64_t mark = frame.durable_mark;
            bool in_place = frame.position == start + offset;
            behind->mark = in_place && mark > behind->mark ? mark : behind->mark;
            behind->stray_mark = mark > behind->stray_mark ? mark : behind->stray_mark;
        }
        offset += LOG_FRAME_ALIGNMENT;
        behind->data_end = offset;
    }
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

/* Take frames of the segment from scan->position on, as long as they continue. */
static enum status scan_frames(struct scan *scan)
{
    struct segment_log *log = scan->log;
    uint32_t size = log->options.segment_size;
    for (;;) {
        uint64_t offset = scan->position - scan->number * size;
        struct log_frame frame;
        struct slice bytes;
        struct slice payload;
        enum status status = look(scan, offset, LOG_FRAME_HEADER_SIZE, &bytes);
        if (status != STATUS_OK || log_frame_decode(bytes, log->seed, &frame) != STATUS_OK) {
            return status;
        }
        status = look(scan, offset, log_frame_size(frame.payload_size), &bytes);
        if (status != STATUS_OK ||
            log_frame_decode_whole(bytes, log->seed, &frame, &payload) != STATUS_OK ||
            frame.position != scan->position || frame.index != log->entries.next_index ||
            frame.previous != log->last_crc || frame.term < scan->last_term) {
            return status;
        }
        accept_frame(scan, &frame, payload);
    }
}

/* The only segment's header cannot be read: torn while the file was first made, or damaged, then it
 * holds frames. */
static enum status judge_headless(struct scan *scan, bool *empty)
{
    struct behind behind = {0};
    *empty = scan->number == 0 && scan->segments.count == 1;
    if (*empty) {
        enum status status = open_segment(scan);
        status = status == STATUS_OK ? look_behind(scan, SEGMENT_HEADER_SIZE, &behind) : status;
        if (status != STATUS_OK) {
            return status;
        }
        *empty = behind.stray_mark <= SEGMENT_HEADER_SIZE;
    }
    return *empty ? STATUS_OK
                  : refuse(scan, "the first segment's header is damaged",
                           scan->number * scan->log->options.segment_size);
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
    log_summaries_lack(log, number);
    enum status status = open_segment(scan);
    return status == STATUS_OK ? scan_frames(scan) : status;
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
        enum status status = read_head(scan, number);
        if (status != STATUS_OK) {
            return status;
        }
        bool empty = false;
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

/* Behind the end: refuse if it was synced, else make sure that it reads as zeros. */
static enum status cut_tail(struct scan *scan, size_t stopped)
{
    struct segment_log *log = scan->log;
    uint32_t size = log->options.segment_size;
    uint64_t end = log->end_position;
    uint64_t until = 0; // End of the last byte that is not zero.
    for (size_t i = stopped; i < scan->segments.count; i++) {
        scan->number = scan->segments.numbers[i];
        uint64_t start = scan->number * size;
        struct behind behind = {0};
        enum status status = open_segment(scan);
        status = status == STATUS_OK ? look_behind(scan, end > start ? end - start : 0, &behind)
                                     : status;
        if (status != STATUS_OK) {
            return status;
        }
        if (behind.mark > end) {
            return refuse(scan, damaged, end);
        }
        until = behind.data_end > 0 ? start + behind.data_end : until;
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
    log_window_close(&scan.window);
    free(scan.segments.numbers);
    free(scan.summaries.numbers);
    return status;
}
