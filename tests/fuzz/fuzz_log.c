/* The log under a script: appends, truncations, syncs, crashes, and damage at the end.
 *
 * Each step is a byte and its arguments; the simulated disk forgets what was not synced. A model
 * says what must be there: after a crash every entry that was durable, with its bytes; after damage
 * either a refusal, or a log that reaches the highest mark that an undamaged frame vouches for. */
#include "common/base/crc32c.h"
#include "raft-glue/segment_file.h"
#include "raft-glue/segment_log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/sim_disk.h"

#include <stdlib.h>

enum { GROUP = 42, SEGMENT_BYTES = 8192, ENTRIES_MAX = 256, STEPS_MAX = 200, PAYLOAD_MAX = 3000 };

struct model {
    struct sim_disk *disk;
    struct segment_log *log;
    uint64_t term;
    uint64_t first;
    uint64_t last;
    uint64_t terms[ENTRIES_MAX]; /* By index. */
    uint32_t sizes[ENTRIES_MAX];
};

static enum status open_log(struct model *model)
{
    struct segment_log_options options = {.directory = sim_disk_directory(model->disk),
                                          .group = GROUP,
                                          .segment_size = SEGMENT_BYTES,
                                          .cache_size = 4096};
    char *error = NULL;
    enum status status = segment_log_open(&options, &model->log, &error);
    ASSERT((status == STATUS_OK) == (error == NULL));
    free(error);
    return status;
}

static uint8_t byte_of(uint64_t index, uint64_t term)
{
    return (uint8_t)(1 + (index * 7 + term * 31) % 255);
}

/* Compare entries of the log up to `last` with the model. Those that were damaged may be refused
 * when they are read: complete segments are opened by their summaries. */
static void assert_entries(struct model *model, uint64_t last, bool damaged)
{
    for (uint64_t i = segment_log_first_index(model->log); i <= last; i++) {
        struct log_load load;
        enum status status = segment_log_load_begin(model->log, i, i, 1, &load);
        ASSERT(status == STATUS_OK);
        log_load_run(&load);
        ASSERT(load.status == STATUS_OK || (damaged && load.status == STATUS_CORRUPT));
        if (load.status != STATUS_OK) {
            segment_log_load_end(model->log, &load);
            continue;
        }
        ASSERT(load.count == 1);
        struct log_entry entry;
        ASSERT(segment_log_entry(model->log, i, &entry));
        ASSERT(entry.term == model->terms[i] && entry.payload_size == model->sizes[i]);
        const uint8_t *payload = load.block->data + LOG_FRAME_HEADER_SIZE;
        for (size_t at = 0; at < entry.payload_size; at++) {
            ASSERT(payload[at] == byte_of(i, entry.term));
        }
        segment_log_load_end(model->log, &load);
    }
}

static void append(struct model *model, struct fuzz_input *input, bool new_term)
{
    size_t size = fuzz_u16(input) % PAYLOAD_MAX;
    if (model->last + 1 == ENTRIES_MAX) {
        return;
    }
    model->term += new_term;
    uint64_t index = ++model->last;
    model->terms[index] = model->term;
    model->sizes[index] = (uint32_t)size;
    struct block *block = block_new(size);
    memset(block->data, byte_of(index, model->term), size);
    uint64_t expected = segment_log_next_position(model->log, size);
    uint64_t position =
        segment_log_append(model->log, model->term, LOG_FRAME_COMMAND, block,
                           slice_of(block->data, size), crc32c(0, block->data, size));
    ASSERT(position == expected && segment_log_last_index(model->log) == index);
    block_release(block);
}

static void truncate(struct model *model, uint8_t back)
{
    uint64_t count = model->last - model->first; // The first entry stays.
    if (model->last <= model->first) {
        return;
    }
    model->last -= back % count + 1;
    model->term++; // Only a new leader cuts, and its entries have a new term.
    segment_log_truncate(model->log, model->last + 1);
}

/* Returns false when the disk died meanwhile. */
static bool write_all(struct model *model)
{
    while (segment_log_wants_write(model->log)) {
        struct log_write *write = segment_log_write_begin(model->log);
        if (log_write_run(write) != STATUS_OK) {
            segment_log_write_abandon(model->log, write);
            return false;
        }
        segment_log_write_end(model->log, write);
    }
    return true;
}

static void make_spare(struct model *model)
{
    struct log_spare spare;
    if (segment_log_spare_begin(model->log, &spare)) {
        enum status status = log_spare_run(&spare);
        segment_log_spare_end(model->log, &spare, status);
    }
}

static void remove_prefix(struct model *model, uint8_t index)
{
    if (index >= model->first && index <= segment_log_durable_index(model->log)) {
        model->first = segment_log_remove_prefix(model->log, index);
        ASSERT(model->first <= index);
    }
}

/* Power goes after some more operations of the disk, or now; what was durable is there again. */
static void crash(struct model *model, uint8_t operations, bool writing)
{
    if (writing) {
        sim_disk_die_after(model->disk, operations % 16);
        write_all(model);
    }
    uint64_t durable = segment_log_durable_index(model->log);
    durable = durable < model->last ? durable : model->last;
    segment_log_close(model->log);
    sim_disk_crash(model->disk);
    enum status status = open_log(model);
    ASSERT(status == STATUS_OK);
    uint64_t found = segment_log_last_index(model->log);
    ASSERT(found >= durable && segment_log_first_index(model->log) <= model->first);
    // Beyond what was durable it may be of a suffix that was being cut; then it is what counts.
    for (uint64_t i = durable + 1; i <= found; i++) {
        struct log_entry entry;
        ASSERT(i < ENTRIES_MAX && segment_log_entry(model->log, i, &entry));
        model->terms[i] = entry.term;
        model->sizes[i] = entry.payload_size;
    }
    model->first = segment_log_first_index(model->log);
    model->last = found;
    model->term = model->term + 1;
    assert_entries(model, found, false);
}

static void step(struct model *model, struct fuzz_input *input)
{
    uint8_t what = fuzz_u8(input);
    switch (what % 8) {
    case 0:
    case 1:
        append(model, input, (what & 0x80) != 0);
        break;
    case 2:
    case 3:
        ASSERT(write_all(model));
        ASSERT(segment_log_durable_index(model->log) == model->last);
        break;
    case 4:
        truncate(model, what >> 3);
        break;
    case 5:
        crash(model, what >> 3, (what & 0x80) != 0);
        break;
    case 6:
        make_spare(model);
        break;
    default:
        remove_prefix(model, fuzz_u8(input));
        break;
    }
}

struct place {
    uint64_t number; /* Of its segment. */
    size_t offset;
    uint64_t mark;
};

/* Change bytes of segments as the rest of the input says: which, where, how. */
static void damage(struct model *model, struct fuzz_input *input, uint64_t segments)
{
    while (fuzz_left(input)) {
        char name[DIRECTORY_NAME_MAX];
        size_t size = 0;
        uint64_t number = fuzz_u8(input) % segments;
        size_t offset = fuzz_u16(input);
        uint8_t change = fuzz_u8(input);
        segment_name_format(number, name);
        uint8_t *bytes = sim_disk_bytes(model->disk, name, &size);
        if (bytes != NULL) {
            bytes[offset % size] ^= change;
        }
    }
}

/* The highest durable mark of a frame in its place that is undamaged. */
static uint64_t vouched(struct model *model, const struct place *places)
{
    uint64_t highest = 0;
    for (uint64_t i = model->first; i <= model->last; i++) {
        char name[DIRECTORY_NAME_MAX];
        size_t size = 0;
        struct log_frame frame;
        segment_name_format(places[i].number, name);
        const uint8_t *bytes = sim_disk_bytes(model->disk, name, &size);
        ASSERT(bytes != NULL);
        struct slice rest = slice_of(bytes + places[i].offset, size - places[i].offset);
        if (log_frame_decode(rest, GROUP, &frame) == STATUS_OK && frame.durable_mark > highest) {
            highest = frame.durable_mark;
        }
    }
    return highest;
}

static void damage_and_open(struct model *model, struct fuzz_input *input)
{
    struct place places[ENTRIES_MAX] = {{0}};
    ASSERT(write_all(model));
    for (uint64_t i = model->first; i <= model->last; i++) {
        struct log_entry entry;
        ASSERT(segment_log_entry(model->log, i, &entry));
        places[i].number = entry.position / SEGMENT_BYTES;
        places[i].offset = (size_t)(entry.position % SEGMENT_BYTES);
    }
    uint64_t segments = segment_log_end_position(model->log) / SEGMENT_BYTES + 1;
    segment_log_close(model->log);
    damage(model, input, segments);
    uint64_t mark = vouched(model, places);
    enum status status = open_log(model);
    if (status != STATUS_OK) {
        ASSERT(status == STATUS_CORRUPT);
        model->log = NULL;
        return;
    }
    ASSERT(segment_log_end_position(model->log) >= mark || mark <= SEGMENT_HEADER_SIZE);
    ASSERT(segment_log_last_index(model->log) <= model->last);
    assert_entries(model, segment_log_last_index(model->log), true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    struct model model = {.disk = sim_disk_new(fuzz_u8(&input)), .term = 1, .first = 1};
    size_t steps = fuzz_u8(&input) % STEPS_MAX;
    enum status status = open_log(&model);
    ASSERT(status == STATUS_OK);
    for (size_t i = 0; i < steps && fuzz_left(&input); i++) {
        step(&model, &input);
    }
    if (fuzz_left(&input)) {
        damage_and_open(&model, &input);
    }
    segment_log_close(model.log);
    sim_disk_free(model.disk);
    return 0;
}
