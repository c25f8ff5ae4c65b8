/* Segment files as bytes of a disk: opening a log may answer that it is whole, or refuse; it may
 * not crash, read what it must not, or drop frames that some durable mark vouches for.
 *
 * First byte: bit 0: checksums of frames are made right; bit 1: their positions too; bit 2: index
 * and link to the frame before too; bit 3: checksums of segment headers; bit 4: a cut mark. */
#include "common/base/crc32c.h"
#include "raft-glue/segment_file.h"
#include "raft-glue/segment_log.h"
#include "raft-glue/twin_file.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/sim_disk.h"

#include <stdlib.h>

enum { GROUP = 42, SEGMENT_BYTES = 4096, SEGMENTS = 3 };
enum { FIX_CRC = 1, FIX_PLACE = 2, FIX_CHAIN = 4, FIX_HEADER = 8, WITH_CUT = 16 };

static void crc_put(uint8_t *bytes, size_t size, uint32_t seed)
{
    le32_put(bytes + 4, crc32c(seed, bytes + 8, size - 8));
}

struct chain {
    uint64_t index;
    uint32_t previous;
};

static size_t fix_frame(uint8_t *bytes, size_t room, uint64_t position, uint8_t how,
                        struct chain *chain)
{
    uint32_t payload = le32_get(bytes + 8) % 512;
    payload = payload <= room - LOG_FRAME_HEADER_SIZE ? payload : 0;
    le32_put(bytes + 8, payload);
    le32_put(bytes + 12, crc32c(0, bytes + LOG_FRAME_HEADER_SIZE, payload));
    if ((how & FIX_PLACE) != 0) {
        le64_put(bytes + 32, position);
    }
    if ((how & FIX_CHAIN) != 0) {
        le64_put(bytes + 16, chain->index++);
        le32_put(bytes + 48, chain->previous);
        bytes[53] = bytes[54] = bytes[55] = 0;
    }
    crc_put(bytes, LOG_FRAME_HEADER_SIZE, GROUP);
    chain->previous = le32_get(bytes + 4);
    size_t size = log_frame_size(payload);
    size_t end = LOG_FRAME_HEADER_SIZE + payload;
    memset(bytes + end, 0, size <= room ? size - end : 0);
    return size;
}

static void fix_segment(uint8_t *bytes, size_t size, uint64_t number, uint8_t how,
                        struct chain *chain)
{
    if ((how & FIX_HEADER) != 0 && size >= SEGMENT_HEADER_SIZE) {
        le64_put(bytes + 24, number);
        crc_put(bytes, SEGMENT_HEADER_SIZE, 0);
    }
    size_t at = SEGMENT_HEADER_SIZE;
    while ((how & FIX_CRC) != 0 && at + LOG_FRAME_HEADER_SIZE <= size) {
        bool frame = memcmp(bytes + at, "RMQf", 4) == 0;
        at += frame ? fix_frame(bytes + at, size - at, number * SEGMENT_BYTES + at, how, chain)
                    : LOG_FRAME_ALIGNMENT;
    }
}

static void put_file(struct sim_disk *disk, const char *name, struct slice bytes)
{
    struct directory directory = sim_disk_directory(disk);
    struct file *file = NULL;
    size_t size = 0;
    enum status status = directory_create(&directory, name, bytes.size, &file);
    ASSERT(status == STATUS_OK);
    directory_close_file(&directory, file);
    uint8_t *to = sim_disk_bytes(disk, name, &size);
    if (size > 0) {
        memcpy(to, bytes.data, size);
    }
}

static void put_cut(struct sim_disk *disk, struct fuzz_input *input)
{
    uint8_t record[16];
    struct directory directory = sim_disk_directory(disk);
    struct twin_file twin;
    uint64_t until = fuzz_u16(input) % (SEGMENTS * SEGMENT_BYTES);
    le64_put(record, until == 0 ? 0 : fuzz_u16(input) % until);
    le64_put(record + 8, until);
    enum status status = twin_file_create(&twin, &directory, "cut", 1, record, sizeof record);
    ASSERT(status == STATUS_OK);
    twin_file_close(&twin);
}

/* The highest durable mark of a frame that lies in its place; no frame can vouch for itself. */
static uint64_t vouched(struct sim_disk *disk)
{
    uint64_t highest = 0;
    for (uint64_t number = 0; number < SEGMENTS; number++) {
        char name[DIRECTORY_NAME_MAX];
        size_t size = 0;
        segment_name_format(number, name);
        const uint8_t *bytes = sim_disk_bytes(disk, name, &size);
        for (size_t at = SEGMENT_HEADER_SIZE; bytes != NULL && at < size; at += 8) {
            struct log_frame frame;
            if (log_frame_decode(slice_of(bytes + at, size - at), GROUP, &frame) == STATUS_OK &&
                frame.position == number * SEGMENT_BYTES + at &&
                frame.durable_mark <= frame.position && frame.durable_mark > highest) {
                highest = frame.durable_mark;
            }
        }
    }
    return highest;
}

static enum status open_log(struct sim_disk *disk, struct segment_log **log)
{
    struct segment_log_options options = {.directory = sim_disk_directory(disk),
                                          .group = GROUP,
                                          .segment_size = SEGMENT_BYTES,
                                          .cache_size = 65536};
    char *error = NULL;
    enum status status = segment_log_open(&options, log, &error);
    ASSERT((status == STATUS_OK) == (error == NULL));
    free(error);
    return status;
}

/* A log that opened can be read to its end, written to and opened again. */
static void use(struct sim_disk *disk, struct segment_log *log)
{
    uint64_t last = segment_log_last_index(log);
    bool empty = last + 1 == segment_log_first_index(log);
    for (uint64_t i = segment_log_first_index(log); i <= last; i++) {
        struct log_load load;
        enum status status = segment_log_load_begin(log, i, i, 1, &load);
        ASSERT(status == STATUS_OK);
        log_load_run(&load);
        ASSERT(load.status == STATUS_OK);
        segment_log_load_end(log, &load);
    }
    struct block *block = block_new(64);
    memset(block->data, 'x', block->size);
    uint64_t term = segment_log_term(log, last);
    if (term < UINT64_MAX && last < UINT64_MAX - 1) {
        segment_log_append(log, term + 1, LOG_FRAME_COMMAND, block,
                           slice_of(block->data, block->size), crc32c(0, block->data, block->size));
        struct log_write *write = segment_log_write_begin(log);
        enum status status = log_write_run(write);
        ASSERT(status == STATUS_OK);
        segment_log_write_end(log, write);
        last++;
    }
    block_release(block);
    segment_log_close(log);
    enum status status = open_log(disk, &log);
    // Where an empty log begins is not kept when what lies behind its header is cut.
    ASSERT(status == STATUS_OK && (empty || segment_log_last_index(log) == last));
    segment_log_close(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    uint8_t how = fuzz_u8(&input);
    struct sim_disk *disk = sim_disk_new(1);
    struct chain chain = {1, GROUP};
    if ((how & WITH_CUT) != 0) {
        put_cut(disk, &input);
    }
    for (uint64_t number = 0; number < SEGMENTS && fuzz_left(&input); number++) {
        uint8_t bytes[SEGMENT_BYTES] = {0};
        char name[DIRECTORY_NAME_MAX];
        struct slice part = fuzz_take(&input, SEGMENT_BYTES);
        memcpy(bytes, part.data, part.size);
        fix_segment(bytes, part.size, number, how, &chain);
        segment_name_format(number, name);
        put_file(disk, name, slice_of(bytes, part.size));
    }
    uint64_t mark = vouched(disk);
    struct segment_log *log = NULL;
    enum status status = open_log(disk, &log);
    if (status == STATUS_OK) {
        ASSERT((how & WITH_CUT) != 0 || mark <= SEGMENT_HEADER_SIZE ||
               segment_log_end_position(log) >= mark);
        use(disk, log);
    } else {
        ASSERT(status == STATUS_CORRUPT || status == STATUS_REFUSED);
    }
    sim_disk_free(disk);
    return 0;
}
