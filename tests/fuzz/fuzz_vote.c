/* The twin files of term and vote, as bytes of a disk.
 *
 * First byte: bit 0, 1: make the checksum of file 0, 1 right; bit 2, 3: leave file 0, 1 out. Then
 * the files, half of the rest each. Whatever is there: an answer, and if it is a vote, a next one
 * can be stored and is what is found from then on, also if the write after that tears. */
#include "common/base/crc32c.h"
#include "raft-glue/term_vote.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/sim_disk.h"

enum { GROUP = 7, REPLICA = 2, CRC_AT = 4, CRC_FROM = 8, SEQUENCE_END = 15, FILE_SIZE = 24 + 56 };

static void put_file(struct sim_disk *disk, const char *name, struct slice bytes, bool fix)
{
    struct directory directory = sim_disk_directory(disk);
    struct file *file = NULL;
    enum status status = directory_create(&directory, name, bytes.size, &file);
    ASSERT(status == STATUS_OK);
    directory_close_file(&directory, file);
    size_t size = 0;
    uint8_t *to = sim_disk_bytes(disk, name, &size);
    if (size > 0) {
        memcpy(to, bytes.data, size);
    }
    if (fix && size >= FILE_SIZE) {
        to[SEQUENCE_END] &= 0x7F; // Nobody wrote 2^63 votes.
        le32_put(to + CRC_AT, crc32c(0, to + CRC_FROM, FILE_SIZE - CRC_FROM));
    }
}

static enum status open_vote(struct sim_disk *disk, struct term_vote *vote,
                             struct term_vote_state *state)
{
    static struct directory directory; // Borrowed by the vote.
    directory = sim_disk_directory(disk);
    return term_vote_open(vote, &directory, GROUP, REPLICA, state);
}

/* The disk dies during the write that follows `kept`. */
static void tear(struct sim_disk *disk, const struct term_vote_state *kept, unsigned operations)
{
    struct term_vote vote;
    struct term_vote_state found;
    const struct term_vote_state next = {.term = kept->term + 1, .voted_for = 3};
    enum status status = open_vote(disk, &vote, &found);
    ASSERT(status == STATUS_OK && found.term == kept->term);
    sim_disk_die_after(disk, operations);
    status = term_vote_store(&vote, &next);
    ASSERT(status != STATUS_OK);
    term_vote_close(&vote);
    sim_disk_crash(disk);
    status = open_vote(disk, &vote, &found);
    ASSERT(status == STATUS_OK);
    ASSERT(found.term == kept->term || found.term == next.term);
    term_vote_close(&vote);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    uint8_t how = fuzz_u8(&input);
    struct sim_disk *disk = sim_disk_new(how);
    struct slice first = fuzz_take(&input, input.rest.size / 2);
    if ((how & 4) == 0) {
        put_file(disk, "vote.0", first, (how & 1) != 0);
    }
    if ((how & 8) == 0) {
        put_file(disk, "vote.1", input.rest, (how & 2) != 0);
    }
    sim_disk_crash(disk); // What is there is there for good.
    struct term_vote vote;
    struct term_vote_state found;
    enum status status = open_vote(disk, &vote, &found);
    if (status == STATUS_OK) {
        const struct term_vote_state next = {.term = found.term / 2, .voted_for = 1};
        status = term_vote_store(&vote, &next);
        ASSERT(status == STATUS_OK);
        term_vote_close(&vote);
        tear(disk, &next, how >> 4 & 3);
    } else {
        ASSERT(status == STATUS_NOT_FOUND || status == STATUS_CORRUPT || status == STATUS_REFUSED);
    }
    sim_disk_free(disk);
    return 0;
}
