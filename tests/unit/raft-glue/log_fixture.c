#include "tests/unit/raft-glue/log_fixture.h"

#include "common/base/crc32c.h"

const char first_segment[] = "segment-0000000000000000";

struct segment_log_options log_options(struct sim_disk *disk)
{
    return (struct segment_log_options){.directory = sim_disk_directory(disk),
                                        .group = GROUP,
                                        .segment_size = SEGMENT_BYTES,
                                        .cache_size = CACHE_BYTES};
}

enum status try_open_with(const struct segment_log_options *options, struct segment_log **log)
{
    char *error = NULL;
    enum status status = segment_log_open(options, log, &error);
    assert_true((status == STATUS_OK) == (error == NULL));
    free(error);
    return status;
}

enum status try_open(struct sim_disk *disk, struct segment_log **log)
{
    const struct segment_log_options options = log_options(disk);
    return try_open_with(&options, log);
}

struct segment_log *open_log(struct sim_disk *disk)
{
    struct segment_log *log = NULL;
    assert_int_equal(try_open(disk, &log), STATUS_OK);
    return log;
}

static uint8_t payload_byte(uint64_t index, uint64_t term)
{
    return (uint8_t)(1 + (index * 7 + term * 31) % 255);
}

void append_typed(struct segment_log *log, uint64_t term, enum log_frame_type type, size_t size)
{
    struct block *block = block_new(size);
    memset(block->data, payload_byte(segment_log_last_index(log) + 1, term), size);
    segment_log_append(log, term, (uint8_t)type, block, slice_of(block->data, size),
                       crc32c(0, block->data, size));
    block_release(block);
}

void append(struct segment_log *log, uint64_t term, size_t size)
{
    append_typed(log, term, LOG_FRAME_COMMAND, size);
}

enum status try_write_all(struct segment_log *log)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && segment_log_wants_write(log)) {
        struct log_write *write = segment_log_write_begin(log);
        status = log_write_run(write);
        if (status == STATUS_OK) {
            segment_log_write_end(log, write);
        } else {
            segment_log_write_abandon(log, write);
        }
    }
    return status;
}

void write_all(struct segment_log *log)
{
    assert_int_equal(try_write_all(log), STATUS_OK);
}

void fill(struct segment_log *log, unsigned count, uint64_t term)
{
    for (unsigned i = 0; i < count; i++) {
        append(log, term, 20 + i % 11);
        write_all(log);
    }
}

struct sim_disk *disk_with(unsigned count)
{
    struct sim_disk *disk = sim_disk_new(1);
    struct segment_log *log = open_log(disk);
    fill(log, count, 1);
    segment_log_close(log);
    return disk;
}

void assert_entry_on_disk(struct segment_log *log, uint64_t index, uint64_t term)
{
    struct log_load load;
    assert_int_equal(segment_log_load_begin(log, index, index, 1, &load), STATUS_OK);
    log_load_run(&load);
    assert_int_equal(load.status, STATUS_OK);
    assert_int_equal(load.count, 1);
    assert_int_equal(load.block->data[LOG_FRAME_HEADER_SIZE], payload_byte(index, term));
    segment_log_load_end(log, &load);
}

void log_places(struct sim_disk *disk, uint64_t first, struct log_entry *entries, size_t count)
{
    struct segment_log *log = open_log(disk);
    for (size_t i = 0; i < count; i++) {
        assert_true(segment_log_entry(log, first + i, &entries[i]));
    }
    segment_log_close(log);
}

uint8_t *file_byte(struct sim_disk *disk, const char *name, size_t at)
{
    size_t size = 0;
    uint8_t *bytes = sim_disk_bytes(disk, name, &size);
    assert_non_null(bytes);
    assert_true(at < size);
    return bytes + at;
}

uint8_t *log_byte(struct sim_disk *disk, uint64_t position)
{
    char name[DIRECTORY_NAME_MAX];
    segment_name_format(position / SEGMENT_BYTES, name);
    return file_byte(disk, name, position % SEGMENT_BYTES);
}
