#include "raft-glue/replica_storage.h"

#include "common/base/crc32c.h"

#include <inttypes.h>

/* FNV-1a over the bytes. */
static uint64_t hash_bytes(uint64_t hash, struct slice bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        hash = (hash ^ bytes.data[i]) * UINT64_C(0x100000001B3);
    }
    return hash;
}

uint64_t replica_group_identity(struct slice cluster, struct slice group)
{
    uint64_t hash = hash_bytes(UINT64_C(0xCBF29CE484222325), cluster);
    hash = hash_bytes(hash, slice_of("\0", 1)); // "a"+"bc" is another group than "ab"+"c".
    return hash_bytes(hash, group);
}

static char *sentence(const char *text, enum status status)
{
    struct buf out = {0};
    buf_printf(&out, "%s: %s", text, status_text(status));
    buf_text(&out);
    return (char *)buf_take(&out);
}

static enum status create_vote(struct replica_storage *storage,
                               const struct replica_storage_options *options)
{
    storage->state = (struct term_vote_state){.term = 1};
    return term_vote_create(&storage->term_vote, &options->log.directory, options->log.group,
                            options->replica, &storage->state);
}

static enum status open_vote(struct replica_storage *storage,
                             const struct replica_storage_options *options, char **error)
{
    enum status status = term_vote_open(&storage->term_vote, &options->log.directory,
                                        options->log.group, options->replica, &storage->state);
    bool new_log = segment_log_last_index(storage->log) == 0;
    if (new_log && (status == STATUS_NOT_FOUND || status == STATUS_CORRUPT)) {
        // The vote files are made before the log's first entry, and nothing was said before that:
        // a crash in between left these.
        status = create_vote(storage, options);
    }
    if (new_log && status == STATUS_OK &&
        (storage->state.term != 1 || storage->state.voted_for != 0)) {
        *error = sentence("this replica has voted, but its log is gone", STATUS_CORRUPT);
        return STATUS_CORRUPT;
    }
    switch (status) {
    case STATUS_OK:
        return STATUS_OK;
    case STATUS_NOT_FOUND:
    case STATUS_CORRUPT:
        *error = sentence("the term and vote files (vote.0, vote.1) beside a log that is not empty "
                          "cannot be used; this replica must not start on them",
                          status);
        return STATUS_CORRUPT;
    case STATUS_REFUSED:
        *error = sentence("the data directory belongs to another replica or broker group", status);
        return STATUS_CORRUPT;
    default:
        *error = sentence("cannot open the term and vote files", status);
        return status;
    }
}

static enum status begin_log(struct segment_log *log, const struct raft_configuration *bootstrap,
                             char **error)
{
    struct raft_buffer encoded = configuration_encode(bootstrap);
    struct block *block = block_new(encoded.len);
    memcpy(block->data, encoded.base, encoded.len);
    raft_free(encoded.base);
    struct slice payload = slice_of(block->data, block->size);
    segment_log_append(log, 1, LOG_FRAME_CHANGE, block, payload,
                       crc32c(0, payload.data, payload.size));
    block_release(block);
    struct log_write *write = segment_log_write_begin(log);
    enum status status = log_write_run(write);
    if (status != STATUS_OK) {
        segment_log_write_abandon(log, write);
        *error = sentence("cannot begin the log", status);
        return status;
    }
    segment_log_write_end(log, write);
    return STATUS_OK;
}

/* Judge log and term together. */
static enum status check(const struct replica_storage *storage, char **error)
{
    const struct segment_log *log = storage->log;
    struct buf text = {0};
    if (segment_log_first_index(log) != 1) {
        buf_printf(&text, "the log begins at entry %" PRIu64 ": its first segments are missing",
                   segment_log_first_index(log));
    } else if (segment_log_term(log, segment_log_last_index(log)) > storage->state.term) {
        buf_printf(&text,
                   "the log is of term %" PRIu64 ", the stored term is %" PRIu64
                   ": the term and vote files are too old",
                   segment_log_term(log, segment_log_last_index(log)), storage->state.term);
    } else {
        uint64_t at = 0;
        struct slice change = segment_log_change(log, UINT64_MAX, &at);
        if (at != 0 && configuration_valid(change)) {
            return STATUS_OK;
        }
        buf_printf(&text, "the log holds no valid membership");
    }
    buf_text(&text);
    *error = (char *)buf_take(&text);
    return STATUS_CORRUPT;
}

enum status replica_storage_open(struct replica_storage *storage,
                                 const struct replica_storage_options *options, char **error)
{
    *storage = (struct replica_storage){0};
    *error = NULL;
    enum status status = segment_log_open(&options->log, &storage->log, error);
    if (status == STATUS_OK) {
        status = open_vote(storage, options, error);
    }
    if (status == STATUS_OK && segment_log_last_index(storage->log) == 0) {
        status = begin_log(storage->log, options->bootstrap, error);
    }
    if (status == STATUS_OK) {
        status = check(storage, error);
    }
    if (status != STATUS_OK) {
        replica_storage_close(storage);
    }
    return status;
}

void replica_storage_close(struct replica_storage *storage)
{
    segment_log_close(storage->log);
    storage->log = NULL;
    term_vote_close(&storage->term_vote);
}
