#include "raft-glue/segment_log_internal.h"

#include "common/base/limits.h"

#include <stdlib.h>

enum { RING_CAPACITY_MIN = 1024, RECORD_OVERHEAD = sizeof(struct log_record) + 64 };

static_assert(SEGMENT_SIZE % LOG_FRAME_ALIGNMENT == 0, "frames stay aligned across segments");
static_assert(SEGMENT_HEADER_SIZE % LOG_FRAME_ALIGNMENT == 0, "the first frame is aligned");

struct log_record *log_record_hold(struct log_record *record)
{
    ASSERT(record->references > 0);
    record->references++;
    return record;
}

void log_record_release(struct log_record *record)
{
    if (record == NULL) {
        return;
    }
    ASSERT(record->references > 0);
    if (--record->references == 0) {
        block_release(record->block);
        free(record);
    }
}

struct log_record *log_record_new(struct log_frame *frame, uint64_t previous_term, uint32_t seed,
                                  struct block *block, const uint8_t *payload)
{
    struct log_record *record = mem_alloc(sizeof *record);
    *record = (struct log_record){
        .references = 1,
        .payload_size = frame->payload_size,
        .index = frame->index,
        .term = frame->term,
        .position = frame->position,
        .previous_term = previous_term,
        .previous = frame->previous,
        .type = frame->type,
        .payload = payload,
        .block = block_hold(block),
    };
    log_frame_encode(frame, seed, record->header);
    return record;
}

static struct log_record **ring_slot(const struct segment_log *log, uint64_t index)
{
    return &log->ring[index & (log->ring_capacity - 1)];
}

enum status segment_log_open(const struct segment_log_options *options, struct segment_log **out,
                             char **error)
{
    ASSERT(options->segment_size % LOG_FRAME_ALIGNMENT == 0);
    struct segment_log *log = mem_zalloc(sizeof *log);
    log->options = *options;
    log->settled_index = options->settled_index;
    log->seed = (uint32_t)options->group;
    log->last_crc = log->seed;
    log->spare_next = 1;
    log->ring_capacity = RING_CAPACITY_MIN;
    log->ring = mem_zalloc(log->ring_capacity * sizeof(void *));
    log->writer = (struct log_writer){
        .directory = &log->options.directory,
        .group = options->group,
        .segment_size = options->segment_size,
    };
    log_entries_init(&log->entries, 1);
    enum status status = log_recover(log, error);
    if (status != STATUS_OK) {
        segment_log_close(log);
        return status;
    }
    uint64_t last = segment_log_last_index(log);
    log->cache_first = last + 1;
    log->durable_index = last;
    log->handed_index = last;
    log->durable_position = log->end_position;
    log->dirty_end = log->end_position;
    *out = log;
    return STATUS_OK;
}

void segment_log_close(struct segment_log *log)
{
    if (log == NULL) {
        return;
    }
    ASSERT(log->write == NULL && !log->mark_under_way);
    for (uint64_t i = log->cache_first; i > 0 && i < log->entries.next_index; i++) {
        log_record_release(*ring_slot(log, i));
    }
    for (size_t i = 0; i < log->change_count; i++) {
        log_record_release(log->changes[i].record);
    }
    segment_readers_close(log);
    log_writer_close(&log->writer);
    log_entries_close(&log->entries);
    free(log->changes);
    free(log->unsummarized);
    free(log->ring);
    free(log);
}

uint32_t segment_log_seed(const struct segment_log *log)
{
    return log->seed;
}

uint64_t segment_log_first_index(const struct segment_log *log)
{
    return log->entries.first_index;
}

uint64_t segment_log_last_index(const struct segment_log *log)
{
    return log->entries.next_index - 1;
}

uint64_t segment_log_durable_index(const struct segment_log *log)
{
    return log->durable_index;
}

uint64_t segment_log_complete_index(const struct segment_log *log)
{
    uint64_t end = log->complete_until * log->options.segment_size;
    uint64_t last = log_entries_find(&log->entries, end);
    return last == 0 ? log->entries.first_index - 1 : last;
}

uint64_t segment_log_first_position(const struct segment_log *log)
{
    return log->first_position;
}

uint64_t segment_log_end_position(const struct segment_log *log)
{
    return log->end_position;
}

uint64_t segment_log_appended_bytes(const struct segment_log *log)
{
    return log->appended_bytes;
}

bool segment_log_entry(const struct segment_log *log, uint64_t index, struct log_entry *entry)
{
    return log_entries_get(&log->entries, index, entry);
}

uint64_t segment_log_term(const struct segment_log *log, uint64_t index)
{
    struct log_entry entry;
    if (log_entries_get(&log->entries, index, &entry)) {
        return entry.term;
    }
    return index + 1 == log->entries.first_index ? log->base_term : 0;
}

uint64_t segment_log_next_position(const struct segment_log *log, size_t payload_size)
{
    return segment_place(log->end_position, log_frame_size(payload_size),
                         log->options.segment_size);
}

/* What a record counts in the cache. */
static size_t record_cost(const struct log_record *record)
{
    return record->payload_size + RECORD_OVERHEAD;
}

/* Drop the oldest durable records until the cache is within its size. */
static void evict(struct segment_log *log)
{
    while (log->cache_bytes > log->options.cache_size && log->cache_first <= log->durable_index) {
        struct log_record **slot = ring_slot(log, log->cache_first++);
        log->cache_bytes -= record_cost(*slot);
        log_record_release(*slot);
        *slot = NULL;
    }
}

static void cache_put(struct segment_log *log, struct log_record *record)
{
    if (record->index - log->cache_first == log->ring_capacity) {
        size_t capacity = 2 * log->ring_capacity;
        struct log_record **ring = mem_zalloc(capacity * sizeof(void *));
        for (uint64_t i = log->cache_first; i < record->index; i++) {
            ring[i & (capacity - 1)] = *ring_slot(log, i);
        }
        free(log->ring);
        log->ring = ring;
        log->ring_capacity = capacity;
    }
    *ring_slot(log, record->index) = record;
    log->cache_bytes += record_cost(record);
    evict(log);
}

void segment_log_keep_change(struct segment_log *log, struct log_record *record)
{
    if (log->change_count == log->change_capacity) {
        size_t capacity = log->change_capacity == 0 ? 8 : 2 * log->change_capacity;
        log->changes = mem_realloc(log->changes, capacity * sizeof *log->changes);
        log->change_capacity = capacity;
    }
    log->changes[log->change_count++] =
        (struct log_change){.index = record->index, .record = log_record_hold(record)};
}

uint64_t segment_log_append(struct segment_log *log, uint64_t term, uint8_t type,
                            struct block *block, struct slice payload, uint32_t payload_crc)
{
    ASSERT(payload.size <= ENTRY_SIZE_MAX);
    size_t size = log_frame_size(payload.size);
    ASSERT(size + SEGMENT_HEADER_SIZE <= log->options.segment_size);
    uint64_t index = log->entries.next_index;
    struct log_frame frame = {
        .index = index,
        .term = term,
        .position = segment_log_next_position(log, payload.size),
        .durable_mark = log->durable_position,
        .payload_size = (uint32_t)payload.size,
        .payload_crc = payload_crc,
        .previous = log->last_crc,
        .type = type,
    };
    uint64_t previous_term = segment_log_term(log, index - 1);
    struct log_record *record =
        log_record_new(&frame, previous_term, log->seed, block, payload.data);
    struct log_entry entry = {
        .position = frame.position,
        .term = term,
        .payload_size = frame.payload_size,
        .header_crc = frame.header_crc,
        .type = type,
    };
    log_entries_append(&log->entries, &entry);
    log->last_crc = frame.header_crc;
    log->end_position = frame.position + size;
    log->appended_bytes += payload.size;
    if (type == LOG_FRAME_CHANGE) {
        segment_log_keep_change(log, record);
    }
    cache_put(log, record);
    return frame.position;
}

/* Position where the entry ends, or where the log begins for the entry before the first. */
static uint64_t end_of(const struct segment_log *log, uint64_t index)
{
    struct log_entry entry;
    if (!log_entries_get(&log->entries, index, &entry)) {
        return log->first_position;
    }
    return entry.position + log_frame_size(entry.payload_size);
}

static void cache_truncate(struct segment_log *log, uint64_t index)
{
    uint64_t from = index < log->cache_first ? log->cache_first : index;
    for (uint64_t i = from; i < log->entries.next_index; i++) {
        struct log_record **slot = ring_slot(log, i);
        log->cache_bytes -= record_cost(*slot);
        log_record_release(*slot);
        *slot = NULL;
    }
    if (index < log->cache_first) {
        log->cache_first = index;
    }
    while (log->change_count > 0 && log->changes[log->change_count - 1].index >= index) {
        log_record_release(log->changes[--log->change_count].record);
    }
}

void segment_log_settle(struct segment_log *log, uint64_t index)
{
    log->settled_index = index > log->settled_index ? index : log->settled_index;
}

/* The newest that is settled stays as it is: what follows it may be truncated, and then its
 * header's checksum is asked for. */
void log_pack_settled(struct segment_log *log, size_t chunks)
{
    uint64_t index = log_summaries_reach(log);
    index = index < log->settled_index ? index : log->settled_index;
    log_entries_pack(&log->entries, index, chunks);
}

void segment_log_truncate(struct segment_log *log, uint64_t index)
{
    ASSERT(index > log->entries.first_index && index > log->settled_index);
    struct log_entry entry;
    if (!log_entries_get(&log->entries, index, &entry)) {
        return;
    }
    if (entry.position < log->dirty_end) {
        if (log->cut_until == 0 || entry.position < log->cut_from) {
            log->cut_from = entry.position;
            log->cut_keeps = log_mark_at(log, index - 1);
        }
        log->cut_until = log->dirty_end > log->cut_until ? log->dirty_end : log->cut_until;
        log->dirty_end = log->cut_from;
    }
    cache_truncate(log, index);
    log_entries_truncate(&log->entries, index);
    struct log_entry last;
    log->end_position = end_of(log, index - 1);
    log_summaries_truncated(log);
    log->last_crc = log_entries_get(&log->entries, index - 1, &last) ? last.header_crc : log->seed;
    if (log->durable_index >= index) {
        log->durable_index = index - 1;
        log->durable_position = log->end_position;
    }
    if (log->handed_index >= index) {
        log->handed_index = index - 1;
    }
}

struct log_record *segment_log_cached(const struct segment_log *log, uint64_t index)
{
    if (index < log->cache_first || index >= log->entries.next_index) {
        return NULL;
    }
    return *ring_slot(log, index);
}

struct slice segment_log_change(const struct segment_log *log, uint64_t index, uint64_t *at)
{
    for (size_t i = log->change_count; i > 0; i--) {
        const struct log_change *change = &log->changes[i - 1];
        if (change->index <= index) {
            *at = change->index;
            return slice_of(change->record->payload, change->record->payload_size);
        }
    }
    *at = 0;
    return slice_of(NULL, 0);
}

uint64_t segment_log_index_at(const struct segment_log *log, uint64_t position)
{
    return position >= log->end_position ? 0 : log_entries_find(&log->entries, position);
}

void segment_log_begin(struct segment_log *log, uint64_t index, uint64_t previous_term,
                       uint64_t position)
{
    ASSERT(log->entries.next_index == 1 && log->end_position == 0);
    ASSERT(index > 0 && position % log->options.segment_size == 0);
    log_entries_close(&log->entries);
    log_entries_init(&log->entries, index);
    log->base_term = previous_term;
    log->first_position = position;
    log->end_position = position;
    log->durable_position = position;
    log->dirty_end = position;
    log->cache_first = index;
    log->durable_index = index - 1;
    log->handed_index = index - 1;
}

uint64_t segment_log_segment_start(const struct segment_log *log, uint64_t position)
{
    return position / log->options.segment_size * log->options.segment_size;
}

uint64_t segment_log_segment_first(const struct segment_log *log, uint64_t position)
{
    uint64_t start = segment_log_segment_start(log, position);
    if (start <= log->first_position || start >= log->end_position) {
        return 0;
    }
    // The entry before lies in an earlier segment: frames do not straddle two.
    return log_entries_find(&log->entries, start) + 1;
}

uint64_t segment_log_remove_prefix(struct segment_log *log, uint64_t index)
{
    struct log_entry entry;
    if (index > log->durable_index || !log_entries_get(&log->entries, index, &entry)) {
        return log->entries.first_index;
    }
    uint64_t number = entry.position / log->options.segment_size;
    uint64_t old = log->first_position / log->options.segment_size;
    if (number == old || segment_readers_busy_below(log, number)) {
        return log->entries.first_index;
    }
    uint64_t start = number * log->options.segment_size;
    uint64_t first = log_entries_find(&log->entries, start) + 1;
    log->base_term = segment_log_term(log, first - 1);
    while (log->cache_first < first) {
        struct log_record **slot = ring_slot(log, log->cache_first++);
        log->cache_bytes -= record_cost(*slot);
        log_record_release(*slot);
        *slot = NULL;
    }
    log_entries_remove_prefix(&log->entries, first);
    log->first_position = start;
    log_summaries_forget(log, 0, number);
    if (log->recycle_until == 0) {
        log->recycle_from = old;
    }
    log->recycle_until = number;
    return first;
}
