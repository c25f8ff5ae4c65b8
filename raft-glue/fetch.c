#include "raft-glue/fetch.h"

#include "common/base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RETRY_MS = 300,
    PROGRESS_MS = 5000,
    PATIENCE_MS = 5000, /* Since somebody gave a piece of a copy that has to reach somewhere. */
    CACHE_SIZE = 8 * 1024 * 1024,
    NAMES_MAX = 4096, /* Removed in one go. */
};

struct fetch {
    const struct fetch_options *options;
    struct fetch_client client;
    struct segment_log *log;
    bool begun;           /* The last server that was asked gave us something. */
    uint64_t heard_ms;    /* When somebody did. */
    uint64_t first_index; /* Of its log. */
    uint64_t applied;     /* What its image contains. */
    uint64_t bytes;
    uint64_t begun_ms;
    uint64_t told_ms;
    uint64_t told_bytes;
    struct term_vote_state state;
    bool local; /* The last error is our own disk's. */
    bool unfit; /* An entry that was sent does not join what an interrupted copy left. */
};

static uint64_t now_ms(const struct fetch *fetch)
{
    return clock_monotonic_ms(fetch->options->clock);
}

static void heard(struct fetch *fetch)
{
    fetch->begun = true;
    fetch->heard_ms = now_ms(fetch);
}

/* ---- Files ---- */

struct names {
    char (*names)[DIRECTORY_NAME_MAX];
    size_t count;
    bool more;
};

static void on_name(void *argument, const char *name)
{
    struct names *names = argument;
    if (names->count == NAMES_MAX) {
        names->more = true;
        return;
    }
    snprintf(names->names[names->count++], DIRECTORY_NAME_MAX, "%s", name);
}

enum status fetch_wipe(const struct directory *directory)
{
    struct names names = {.names = mem_alloc((size_t)NAMES_MAX * DIRECTORY_NAME_MAX)};
    enum status status = STATUS_OK;
    do {
        names.count = 0;
        names.more = false;
        status = directory_list(directory, on_name, &names);
        for (size_t i = 0; i < names.count && status == STATUS_OK; i++) {
            status = directory_remove(directory, names.names[i]);
        }
    } while (names.more && status == STATUS_OK);
    free(names.names);
    return status == STATUS_OK ? directory_sync_names(directory) : status;
}

static enum status own(struct fetch *fetch, enum status status)
{
    fetch->local = fetch->local || status != STATUS_OK;
    return status;
}

static enum status open_log(struct fetch *fetch)
{
    const struct fetch_options *options = fetch->options;
    struct segment_log_options log_options = {
        .directory = options->directory,
        .log = options->log,
        .group = replica_group_identity(options->cluster, options->group),
        .segment_size = options->segment_size,
        .cache_size = CACHE_SIZE,
    };
    char *error = NULL;
    enum status status = segment_log_open(&log_options, &fetch->log, &error);
    free(error);
    if (status == STATUS_CORRUPT || status == STATUS_REFUSED) {
        status = fetch_wipe(&options->directory);
        if (status == STATUS_OK) {
            status = segment_log_open(&log_options, &fetch->log, &error);
            free(error);
        }
    }
    return own(fetch, status);
}

/* ---- The log ---- */

static enum status write_log(struct fetch *fetch)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && segment_log_wants_write(fetch->log)) {
        struct log_write *write = segment_log_write_begin(fetch->log);
        status = log_write_run(write);
        if (status == STATUS_OK) {
            segment_log_write_end(fetch->log, write);
        } else {
            segment_log_write_abandon(fetch->log, write);
        }
    }
    if (status == STATUS_OK && segment_log_room(fetch->log) == LOG_ROOM_NONE) {
        status = STATUS_DISK_FULL;
    }
    return own(fetch, status);
}

/* Append the frames of an answer, each verified, and in the place it has on the leader. */
static enum status take_entries(struct fetch *fetch, const struct fetch_answer *answer)
{
    size_t size = fetch->client.body.size;
    struct block *block = block_take(buf_take(&fetch->client.body), size);
    struct slice bytes = slice_of(block->data, size);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < answer->count && status == STATUS_OK; i++) {
        struct log_frame frame;
        struct slice payload;
        status = log_frame_decode_whole(bytes, segment_log_seed(fetch->log), &frame, &payload);
        bool fits = status == STATUS_OK && frame.index == segment_log_last_index(fetch->log) + 1 &&
                    frame.position == segment_log_next_position(fetch->log, payload.size);
        fetch->unfit = status == STATUS_OK && !fits;
        if (!fits || (frame.type == LOG_FRAME_CHANGE && !configuration_valid(payload))) {
            status = STATUS_MALFORMED;
            break;
        }
        segment_log_append(fetch->log, frame.term, frame.type, block, payload, frame.payload_crc);
        bytes = slice_from(bytes, log_frame_size(payload.size));
    }
    block_release(block);
    fetch->bytes += size;
    return status == STATUS_OK ? write_log(fetch) : status;
}

static void tell_progress(struct fetch *fetch, uint64_t last)
{
    uint64_t now = now_ms(fetch);
    if (now < fetch->told_ms + PROGRESS_MS) {
        return;
    }
    uint64_t rate = (fetch->bytes - fetch->told_bytes) * 1000 / (now - fetch->told_ms);
    log_info(fetch->options->log, "copying entries",
             "entry=%" PRIu64 " of=%" PRIu64 " bytes=%" PRIu64 " bytes_per_second=%" PRIu64,
             segment_log_last_index(fetch->log), last, fetch->bytes, rate);
    fetch->told_ms = now;
    fetch->told_bytes = fetch->bytes;
}

/* Is what we have so far a whole copy? An interrupted one may have come from somebody who knew of
 * more committed entries than this server does, which is then not asked for more. */
static enum status judge_end(const struct fetch *fetch, enum status status)
{
    uint64_t last = segment_log_last_index(fetch->log);
    bool reached = last >= fetch->applied && last >= fetch->options->reach;
    if (status == STATUS_NOT_FOUND && reached && fetch->options->reach != 0) {
        return STATUS_OK;
    }
    return status != STATUS_OK || reached ? status : STATUS_MALFORMED;
}

/* All committed entries, until there is nothing new. */
static enum status copy_entries(struct fetch *fetch)
{
    for (;;) {
        uint64_t index = segment_log_last_index(fetch->log) + 1;
        struct fetch_answer answer;
        enum status status = fetch_client_call(
            &fetch->client, &(struct fetch_request){.type = FETCH_ENTRIES, .index = index},
            &answer);
        if (status != STATUS_OK || answer.count == 0) {
            return judge_end(fetch, status);
        }
        heard(fetch);
        status = take_entries(fetch, &answer);
        if (status != STATUS_OK) {
            return status;
        }
        tell_progress(fetch, answer.last_index);
    }
}

/* ---- The machine's state ---- */

static enum status copy_image(struct fetch *fetch)
{
    const struct image_sink *sink = &fetch->options->sink;
    enum status status = own(fetch, sink->begin(sink->context));
    bool end = false;
    while (status == STATUS_OK && !end) {
        struct fetch_answer answer;
        status = fetch_client_call(&fetch->client, &(struct fetch_request){.type = FETCH_IMAGE},
                                   &answer);
        if (status != STATUS_OK) {
            return status;
        }
        heard(fetch);
        fetch->bytes += fetch->client.body.size;
        end = answer.end;
        status = sink->put(sink->context, buf_slice(&fetch->client.body));
        fetch->local = fetch->local || (status != STATUS_OK && status != STATUS_MALFORMED);
    }
    return status == STATUS_OK ? own(fetch, sink->end(sink->context)) : status;
}

/* ---- Beginning and end ---- */

/* The log to be does not fit the server's (goes_on()): begin where that does. */
static enum status begin_log(struct fetch *fetch, uint64_t position)
{
    const struct fetch_options *options = fetch->options;
    struct replica_base base = {0};
    if (fetch->first_index > 1) {
        struct slice record = slice_from(buf_slice(&fetch->client.body), 8);
        if (record.size != REPLICA_BASE_RECORD_SIZE ||
            replica_base_decode(record.data, &base) != STATUS_OK ||
            base.index != fetch->first_index - 1) {
            return STATUS_MALFORMED;
        }
    }
    segment_log_close(fetch->log);
    fetch->log = NULL;
    fetch->unfit = false;
    enum status status = own(fetch, fetch_wipe(&options->directory));
    if (status == STATUS_OK) {
        status = open_log(fetch);
    }
    if (status != STATUS_OK || fetch->first_index == 1) {
        return status;
    }
    struct replica_base_file file;
    struct replica_base before;
    status = own(fetch, replica_base_open(&file, &options->directory, &before));
    if (status == STATUS_OK) {
        status = own(fetch, replica_base_store(&file, &base));
        replica_base_close(&file);
    }
    if (status == STATUS_OK) {
        segment_log_begin(fetch->log, fetch->first_index, base.term, position);
    }
    return status;
}

/* Can what an interrupted copy left be gone on with? Not if there is a gap, nor if the server's log
 * reaches back further: its state may need what lies there. Nor if what follows has turned out not
 * to join it: then it is of another history, which was given up. */
static bool goes_on(const struct fetch *fetch)
{
    uint64_t first = segment_log_first_index(fetch->log);
    uint64_t last = segment_log_last_index(fetch->log);
    bool empty = last == 0 || last < first;
    return !empty && !fetch->unfit && last + 1 >= fetch->first_index && first <= fetch->first_index;
}

static enum status open_copy(struct fetch *fetch, uint64_t from)
{
    struct fetch_answer answer;
    enum status status = fetch_client_call(
        &fetch->client, &(struct fetch_request){.type = FETCH_OPEN, .index = fetch->options->reach},
        &answer);
    if (status == STATUS_OK && (fetch->client.body.size < 8 || answer.first_index == 0)) {
        status = STATUS_MALFORMED;
    }
    if (status != STATUS_OK) {
        return status;
    }
    heard(fetch);
    log_info(fetch->options->log, "copying the group's data", "from member=%" PRIu64 " leader=%s",
             from, answer.term != 0 ? "true" : "false");
    uint64_t position = le64_get(fetch->client.body.data);
    fetch->first_index = answer.first_index;
    fetch->applied = answer.applied;
    fetch->state = fetch->options->state;
    if (fetch->state.rejoin_term != 0 && fetch->state.rejoin_index == 0 &&
        answer.term >= fetch->state.term) {
        fetch->state.rejoin_index = answer.last_index;
    }
    if (!goes_on(fetch)) {
        return begin_log(fetch, position);
    }
    log_info(fetch->options->log, "going on with an interrupted copy", "entry=%" PRIu64,
             segment_log_last_index(fetch->log));
    return STATUS_OK;
}

/* From the start on, the log vouches for all that was copied. */
static enum status mark_log(struct segment_log *log)
{
    struct log_mark_job job;
    if (!segment_log_mark_begin(log, &job)) {
        return STATUS_OK; // It was marked by an earlier try.
    }
    enum status status = log_mark_run(&job);
    segment_log_mark_end(log, status);
    return status;
}

/* Term and vote are the last file: with them it is a replica's directory. */
static enum status finish(struct fetch *fetch)
{
    const struct fetch_options *options = fetch->options;
    enum status status = mark_log(fetch->log);
    if (status == STATUS_OK) {
        status = replica_identity_store(&options->directory, options->identity);
    }
    if (status != STATUS_OK) {
        return own(fetch, status);
    }
    struct term_vote vote;
    struct term_vote_state state = fetch->state;
    uint64_t last_term = segment_log_term(fetch->log, segment_log_last_index(fetch->log));
    if (state.term < last_term) {
        state.term = last_term; // No vote was given in it: we have only now heard of it.
        state.voted_for = 0;
    }
    state.empty_origin = true;
    status = term_vote_create(&vote, &options->directory,
                              replica_group_identity(options->cluster, options->group), options->id,
                              &state);
    if (status == STATUS_OK) {
        term_vote_close(&vote);
    }
    return own(fetch, status);
}

static enum status copy(struct fetch *fetch, uint64_t from)
{
    enum status status = fetch->log == NULL ? open_log(fetch) : STATUS_OK;
    if (status == STATUS_OK) {
        status = open_copy(fetch, from);
    }
    if (status == STATUS_OK) {
        status = copy_image(fetch);
    }
    if (status == STATUS_OK) {
        status = copy_entries(fetch);
    }
    return status == STATUS_OK ? finish(fetch) : status;
}

/* ---- Finding who gives it ---- */

static struct hello our_hello(const struct fetch *fetch, enum hello_kind kind, uint64_t receiver)
{
    const struct fetch_options *options = fetch->options;
    return (struct hello){
        .version = HELLO_VERSION,
        .kind = kind,
        .sender = options->id,
        .receiver = receiver,
        .identity = options->identity->number,
        .client_host = options->client_host,
        .cluster = options->cluster,
        .group = options->group,
    };
}

static enum status ask_for_leader(struct fetch *fetch, struct host host, uint64_t id)
{
    struct probe probe;
    struct hello hello = our_hello(fetch, HELLO_PROBE, id);
    enum status status = fetch_client_probe(&fetch->client, host, &hello, &probe);
    bool leads = status == STATUS_OK && probe.answer == HELLO_WELCOME && probe.leader;
    return status == STATUS_OK && !leads ? STATUS_NOT_LEADER : status;
}

static enum status copy_from(struct fetch *fetch, const struct replica_voter *server, bool leader)
{
    struct host host;
    if (replica_address_parse(server->address, &host) != STATUS_OK) {
        return STATUS_INVALID_ARGUMENT;
    }
    enum status status = leader ? ask_for_leader(fetch, host, server->id) : STATUS_OK;
    if (status != STATUS_OK) {
        return status;
    }
    enum hello_answer answer = HELLO_WELCOME;
    struct hello hello = our_hello(fetch, HELLO_FETCH, server->id);
    fetch->begun = leader;
    status = fetch_client_connect(&fetch->client, host, &hello, &answer);
    if (status == STATUS_OK) {
        status = copy(fetch, server->id);
    }
    if (status != STATUS_OK && fetch->begun) {
        log_warn(fetch->options->log, "copy interrupted", "member=%" PRIu64 ": %s; trying again",
                 server->id,
                 status == STATUS_REFUSED ? hello_answer_text(answer) : status_text(status));
    }
    return status;
}

/* Ask one after the other: who leads, or everybody. */
static enum status copy_from_any(struct fetch *fetch, bool leader)
{
    const struct fetch_options *options = fetch->options;
    enum status status = STATUS_NO_LEADER;
    for (size_t i = 0; i < options->server_count && status != STATUS_OK; i++) {
        if (fetch->local || *options->canceled) {
            break;
        }
        status = copy_from(fetch, &options->servers[i], leader);
        fetch_client_close(&fetch->client);
    }
    return status;
}

/* Until it is done, or there is no point in going on. */
static enum status try_again_and_again(struct fetch *fetch)
{
    const struct fetch_options *options = fetch->options;
    for (;;) {
        enum status status = copy_from_any(fetch, true);
        if (status != STATUS_OK && options->reach != 0) {
            status = copy_from_any(fetch, false);
        }
        if (status == STATUS_OK || fetch->local) {
            return status;
        }
        if (*options->canceled || !fetch_client_pause(&fetch->client, RETRY_MS)) {
            return STATUS_CANCELED;
        }
        if (options->reach != 0 && now_ms(fetch) >= fetch->heard_ms + PATIENCE_MS) {
            return STATUS_TIMED_OUT;
        }
    }
}

enum status fetch_run(const struct fetch_options *options)
{
    struct fetch fetch = {.options = options};
    fetch.client = (struct fetch_client){.loop = options->loop, .canceled = options->canceled};
    fetch.begun_ms = fetch.told_ms = fetch.heard_ms = now_ms(&fetch);
    enum status status = try_again_and_again(&fetch);
    if (status == STATUS_OK) {
        log_info(options->log, "copy complete",
                 "entries=%" PRIu64 "-%" PRIu64 " bytes=%" PRIu64 " ms=%" PRIu64,
                 segment_log_first_index(fetch.log), segment_log_last_index(fetch.log), fetch.bytes,
                 now_ms(&fetch) - fetch.begun_ms);
    }
    segment_log_close(fetch.log);
    return status;
}
