#include "raft-glue/replica_storage.h"

#include "common/base/crc32c.h"
#include "raft-glue/segment_file.h"

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

/* ---- A first look ---- */

static void on_name(void *argument, const char *name)
{
    bool *log = argument;
    uint64_t number = 0;
    *log = *log || segment_name_parse(name, &number);
}

enum status replica_storage_look(const struct directory *directory, uint64_t group,
                                 uint64_t replica, enum replica_contents *contents,
                                 struct term_vote_state *state)
{
    bool log = false;
    struct term_vote vote;
    *state = (struct term_vote_state){0};
    enum status status = directory_list(directory, on_name, &log);
    if (status != STATUS_OK || log) {
        *contents = REPLICA_VOTE_LOG;
        return status;
    }
    status = term_vote_open(&vote, directory, group, replica, state);
    *contents = REPLICA_VOTE;
    if (status == STATUS_OK) {
        term_vote_close(&vote);
    } else if (status == STATUS_NOT_FOUND || status == STATUS_CORRUPT) {
        *contents = REPLICA_BLANK;
    }
    return status == STATUS_IO ? STATUS_IO : STATUS_OK;
}

/* ---- Term and vote ---- */

/* The first words of a replica without a log. */
static enum status create_vote(struct replica_storage *storage,
                               const struct replica_storage_options *options)
{
    storage->state = options->origin == REPLICA_ORIGIN_BOOTSTRAP
                         ? (struct term_vote_state){.term = 1}
                         : options->origin_state;
    storage->state.empty_origin = options->origin == REPLICA_ORIGIN_EMPTY;
    return term_vote_create(&storage->term_vote, &options->log.directory, options->log.group,
                            options->replica, &storage->state);
}

/* A vote without a log: a first start that was interrupted, a server that waits for its first
 * entries, or a replica whose log is gone. */
static enum status judge_vote_alone(struct replica_storage *storage,
                                    const struct replica_storage_options *options, char **error)
{
    struct term_vote_state *state = &storage->state;
    bool first_start = state->term == 1 && state->voted_for == 0;
    if (options->origin == REPLICA_ORIGIN_BOOTSTRAP) {
        if (state->empty_origin || first_start) {
            return STATUS_OK;
        }
        *error = sentence("this replica has voted, but its log is gone", STATUS_CORRUPT);
        return STATUS_CORRUPT;
    }
    *state = options->origin_state;
    state->empty_origin = true;
    enum status status = term_vote_store(&storage->term_vote, state);
    if (status != STATUS_OK) {
        *error = sentence("cannot store the term", status);
    }
    return status;
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
    switch (status) {
    case STATUS_OK:
        return new_log ? judge_vote_alone(storage, options, error) : STATUS_OK;
    case STATUS_NOT_FOUND:
    case STATUS_CORRUPT:
        *error = sentence("the term and vote files (vote.0, vote.1) beside a log that is not empty "
                          "cannot be used; this replica must not start on them",
                          status);
        return STATUS_CORRUPT;
    case STATUS_REFUSED:
        *error = sentence("the data directory belongs to another replica or broker group, or was "
                          "written by another version of raftmq",
                          status);
        return STATUS_REFUSED;
    default:
        *error = sentence("cannot open the term and vote files", status);
        return status;
    }
}

/* ---- The log's beginning ---- */

static enum status open_base(struct replica_storage *storage,
                             const struct replica_storage_options *options, char **error)
{
    enum status status =
        replica_base_open(&storage->base_file, &options->log.directory, &storage->base);
    bool cut = segment_log_first_index(storage->log) > 1;
    if (status == STATUS_CORRUPT && !cut) {
        return STATUS_OK; // Torn while it was first made: nothing was cut yet.
    }
    if (status != STATUS_OK) {
        *error = sentence("the files base.0 and base.1 cannot be used, and the log was cut at its "
                          "front; this replica must not start on it",
                          status);
    }
    return status;
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
    if (status == STATUS_OK) {
        segment_log_write_end(log, write);
        status = segment_log_room(log) == LOG_ROOM_NONE ? STATUS_DISK_FULL : STATUS_OK;
    } else {
        segment_log_write_abandon(log, write);
    }
    if (status != STATUS_OK) {
        *error = sentence("cannot begin the log", status);
    }
    return status;
}

/* Does what the base says of its entry agree with the log? */
static bool base_fits(const struct replica_storage *storage)
{
    const struct segment_log *log = storage->log;
    const struct replica_base *base = &storage->base;
    return base->index + 1 >= segment_log_first_index(log) &&
           base->index <= segment_log_last_index(log) &&
           segment_log_term(log, base->index) == base->term;
}

/* Judge log, base and term together. */
static enum status check(const struct replica_storage *storage, char **error)
{
    const struct segment_log *log = storage->log;
    struct buf text = {0};
    uint64_t at = 0;
    if (segment_log_last_index(log) == 0) {
        return STATUS_OK; // The leader will fill it.
    }
    if (segment_log_first_index(log) > 1 && storage->base.index == 0) {
        buf_printf(&text, "the log begins at entry %" PRIu64 ": its first segments are missing",
                   segment_log_first_index(log));
    } else if (storage->base.index != 0 && !base_fits(storage)) {
        buf_printf(&text,
                   "the log holds entries %" PRIu64 " to %" PRIu64
                   ", which does not fit its base, entry %" PRIu64 " of term %" PRIu64,
                   segment_log_first_index(log), segment_log_last_index(log), storage->base.index,
                   storage->base.term);
    } else if (segment_log_term(log, segment_log_last_index(log)) > storage->state.term) {
        buf_printf(&text,
                   "the log is of term %" PRIu64 ", the stored term is %" PRIu64
                   ": the term and vote files are too old",
                   segment_log_term(log, segment_log_last_index(log)), storage->state.term);
    } else if (!configuration_valid(replica_storage_change(storage, UINT64_MAX, &at))) {
        buf_printf(&text, "the log holds no valid membership");
    } else {
        return STATUS_OK;
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
    if (status == STATUS_OK) {
        status = open_base(storage, options, error);
    }
    if (status == STATUS_OK && segment_log_last_index(storage->log) == 0 &&
        !storage->state.empty_origin) {
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
    replica_base_close(&storage->base_file);
}

struct slice replica_storage_change(const struct replica_storage *storage, uint64_t index,
                                    uint64_t *at)
{
    struct slice change = segment_log_change(storage->log, index, at);
    const struct replica_base *base = &storage->base;
    if (*at == 0 && base->index != 0 && base->change_index <= index) {
        *at = base->change_index;
        return replica_base_change(base);
    }
    return change;
}
