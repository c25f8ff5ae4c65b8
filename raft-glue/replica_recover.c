#include "raft-glue/replica_recover.h"

#include "common/base/crc32c.h"

#include <inttypes.h>

enum { CACHE_SIZE = 1024 * 1024 };

/* The membership of one voter, as an entry's payload; one reference, the caller's. */
static struct block *membership_of_one(uint64_t id, const char *address)
{
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    if (raft_configuration_add(&configuration, id, address, RAFT_VOTER) != 0) {
        FATAL("out of memory; restart this node");
    }
    struct raft_buffer encoded = configuration_encode(&configuration);
    struct block *block = block_new(encoded.len);
    memcpy(block->data, encoded.base, encoded.len);
    raft_free(encoded.base);
    raft_configuration_close(&configuration);
    return block;
}

static enum status append(struct segment_log *log, uint64_t term, struct block *block)
{
    struct slice payload = slice_of(block->data, block->size);
    segment_log_append(log, term, LOG_FRAME_CHANGE, block, payload,
                       crc32c(0, payload.data, payload.size));
    struct log_write *write = segment_log_write_begin(log);
    enum status status = log_write_run(write);
    if (status != STATUS_OK) {
        segment_log_write_abandon(log, write);
        return status;
    }
    segment_log_write_end(log, write);
    bool durable = segment_log_durable_index(log) == segment_log_last_index(log);
    return durable ? STATUS_OK : STATUS_DISK_FULL;
}

enum status replica_recover_alone(const struct replica_recover_options *options, char **error)
{
    struct replica_storage_options storage_options = {
        .log = {.directory = options->directory,
                .log = options->log,
                .group = options->group,
                .segment_size = options->segment_size,
                .cache_size = CACHE_SIZE},
        .replica = options->id,
        .bootstrap = NULL, // There is a log: judged below.
    };
    struct replica_storage storage;
    enum replica_contents contents = REPLICA_BLANK;
    struct term_vote_state state;
    enum status status =
        replica_storage_look(&options->directory, options->group, options->id, &contents, &state);
    if (status == STATUS_OK && contents != REPLICA_VOTE_LOG) {
        *error = mem_copy_text(slice_text("there is no log to recover from"));
        return STATUS_NOT_FOUND;
    }
    if (status == STATUS_OK) {
        status = replica_storage_open(&storage, &storage_options, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    state = (struct term_vote_state){
        .term = storage.state.term + 1,
        .voted_for = options->id,
        .empty_origin = storage.state.empty_origin,
    };
    // The term first: an entry of a term that was never stored would be damage.
    status = term_vote_store(&storage.term_vote, &state);
    if (status == STATUS_OK) {
        struct block *block = membership_of_one(options->id, options->address);
        status = append(storage.log, state.term, block);
        block_release(block);
    }
    if (status == STATUS_OK) {
        log_warn(options->log, "made itself the only member", "entry=%" PRIu64 " term=%" PRIu64,
                 segment_log_last_index(storage.log), state.term);
    } else {
        *error = mem_copy_text(slice_text("cannot write log, or term and vote"));
    }
    replica_storage_close(&storage);
    return status;
}
