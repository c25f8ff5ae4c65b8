/* raftmq dlq replay and purge. */
#include "admin/admin_dlq.h"
#include "admin/output.h"
#include "admin/replay.h"
#include "common/base/clock.h"
#include "common/remoting/codes.h"

#include <inttypes.h>

enum { MARK_EVERY = 32 }; /* Letters. */

static const struct column replayed_members[] = {{"replayed", "replayed"},
                                                 {"settled before", "settledBefore"}};

static const struct column purged_columns[] = {
    {"BROKER", "broker"}, {"QUEUE", "queue"}, {"LETTERS", "letters"}};

/* --- Replay ------------------------------------------------------------------------------- */

struct replay_run {
    struct cli *cli;
    const struct dlq_replay_options *options;
    const struct letter_queues *queues;
    char **letters; /* Names, ended by NULL; none: all that are selected. */
    int64_t sent;
    int64_t before;
};

/* The first letter asked for by name at or after `offset` of a queue; INT64_MAX if there is none.
 */
static int64_t next_named(const struct replay_run *run, const struct letter_queue *queue,
                          int64_t offset)
{
    int64_t next = INT64_MAX;
    for (char **at = run->letters; *at != NULL; at++) {
        int64_t named;
        if (letter_queue_named(run->queues, *at, &named) == queue && named >= offset &&
            named < next) {
            next = named;
        }
    }
    return next;
}

static bool wanted(const struct replay_run *run, const struct letter_queue *queue,
                   const struct message *letter)
{
    if (run->sent >= run->options->max) {
        return false;
    }
    return run->letters[0] == NULL
               ? letter_selected(&run->options->selection, letter)
               : next_named(run, queue, letter->queue_offset) == letter->queue_offset;
}

/* Replay it if it is wanted; is it settled now? One that is not wanted is asked about only if that
 * could move the mark. */
static enum cli_exit handle(struct replay_run *run, const struct letter_queue *queue,
                            const struct message *letter, bool ask, bool *settled)
{
    enum replay outcome;
    *settled = false;
    if (!wanted(run, queue, letter)) {
        return ask ? letter_has_copy(run->cli, queue, letter, settled) : CLI_OK;
    }
    enum cli_exit code = replay_letter(run->cli, queue, letter, &outcome);
    if (code != CLI_OK) {
        return code;
    }
    *settled = true;
    if (outcome == REPLAY_DIVERTED) {
        return cli_fail(run->cli, CLI_FAILED,
                        "%.*s has put the letter among the dead ones again: group %s holds queue "
                        "locks; stop its consumers and run this again in a minute",
                        SLICE_ARGS(queue->broker->name), queue->group.text);
    }
    run->sent += outcome == REPLAY_SENT;
    run->before += outcome == REPLAY_BEFORE;
    return CLI_OK;
}

/* From the mark on; the mark follows as long as every letter so far is settled. */
static enum cli_exit replay_queue(struct replay_run *run, struct letter_queue *queue)
{
    struct letter_reader reader = {.queue = queue, .next = queue->mark, .end = queue->next};
    struct message letter;
    int64_t mark = queue->mark;
    bool unbroken = true;
    enum cli_exit code = CLI_OK;
    while (letter_reader_next(run->cli, &reader, &letter, &code)) {
        bool settled;
        code = handle(run, queue, &letter, unbroken, &settled);
        unbroken = unbroken && settled;
        mark = unbroken ? letter.queue_offset + 1 : mark;
        if (code == CLI_OK && mark - queue->mark >= MARK_EVERY) {
            code = letter_queue_settle(run->cli, queue, mark);
        }
        if (code != CLI_OK || (!unbroken && run->sent >= run->options->max)) {
            break;
        }
        if (!unbroken && run->letters[0] != NULL) { // Nothing between the named ones matters.
            reader.next = next_named(run, queue, reader.next);
        }
    }
    letter_reader_close(&reader);
    enum cli_exit marked = letter_queue_settle(run->cli, queue, mark);
    return code != CLI_OK ? code : marked;
}

/* All names are those of letters; what the mark has passed is settled. */
static enum cli_exit check_names(struct replay_run *run)
{
    for (char **at = run->letters; *at != NULL; at++) {
        struct slice broker;
        int32_t number;
        int64_t offset;
        if (!letter_id_parse(*at, &broker, &number, &offset)) {
            return cli_fail(run->cli, CLI_USAGE,
                            "BROKER:QUEUE:OFFSET is wanted, as `dlq show` has it, not %s", *at);
        }
        const struct letter_queue *queue = letter_queue_named(run->queues, *at, &offset);
        if (queue == NULL || offset < queue->first || offset >= queue->next) {
            return cli_fail(run->cli, CLI_NOT_FOUND, "no such letter: %s", *at);
        }
        run->before += offset < queue->mark;
    }
    return CLI_OK;
}

static bool selects(const struct letter_selection *selection)
{
    return selection->topic != NULL || selection->key != NULL || selection->message_id != NULL ||
           selection->since_s != 0;
}

enum cli_exit run_dlq_replay(struct cli *cli, const void *opaque, char **arguments)
{
    const struct dlq_replay_options *options = opaque;
    struct brokers brokers;
    struct letter_queues queues = {0};
    struct replay_run run = {
        .cli = cli, .options = options, .queues = &queues, .letters = arguments + 1};
    int ways = (arguments[1] != NULL) + selects(&options->selection) + options->all;
    if (ways != 1) {
        return cli_fail(cli, CLI_USAGE,
                        "which letters: name them, or select them by --topic, --key, --message-id "
                        "or --since, or say --all");
    }
    enum cli_exit code = brokers_find(cli, &brokers);
    if (code == CLI_OK) {
        code = letter_queues_find(cli, &brokers, arguments[0], options->selection.broker, &queues);
    }
    if (code == CLI_OK) {
        code = check_names(&run);
    }
    bool begun = code == CLI_OK;
    for (size_t i = 0; code == CLI_OK && i < queues.count; i++) {
        if (run.letters[0] == NULL || next_named(&run, &queues.queues[i], 0) != INT64_MAX) {
            code = replay_queue(&run, &queues.queues[i]);
        }
    }
    if (begun) { // Also what was done before it failed.
        output_object(cli,
                      json_pack("{s:I, s:I}", "replayed", (json_int_t)run.sent, "settledBefore",
                                (json_int_t)run.before),
                      replayed_members, OUTPUT_COUNT(replayed_members));
    }
    letter_queues_close(&queues);
    brokers_close(&brokers);
    return code;
}

/* --- Purge -------------------------------------------------------------------------------- */

/* Up to where: all that is there now, or the first letter that is too young. */
static enum cli_exit purge_end(struct cli *cli, const struct letter_queue *queue,
                               const struct dlq_purge_options *options, int64_t *end)
{
    struct command request;
    struct buf scratch = {0};
    struct cli_reply reply = {0};
    *end = queue->next;
    if (options->older_s == 0) {
        return CLI_OK;
    }
    int64_t time_ms = (int64_t)clock_wall_ms(clock_system()) - options->older_s * 1000;
    buf_reserve(&scratch, 64);
    command_init_request(&request, REQUEST_SEARCH_OFFSET_BY_TIMESTAMP, 1);
    command_add(&request, "topic", name_slice(&queue->topic));
    command_add_i64(&request, "queueId", queue->id, &scratch);
    command_add_i64(&request, "timestamp", time_ms, &scratch);
    enum cli_exit code = ask_leader(cli, queue->broker, &request, &reply);
    if (code == CLI_OK && command_i64(&reply.command, "offset", true, end) != STATUS_OK) {
        code = cli_nonsense(cli, queue->broker->name);
    }
    *end = *end > queue->next ? queue->next : *end < queue->mark ? queue->mark : *end;
    cli_reply_close(&reply);
    buf_close(&scratch);
    return code;
}

static enum cli_exit purge_queue(struct cli *cli, struct letter_queue *queue,
                                 const struct dlq_purge_options *options, json_t *rows)
{
    int64_t end;
    enum cli_exit code = purge_end(cli, queue, options, &end);
    if (code != CLI_OK || end == queue->mark) {
        return code;
    }
    json_array_append_new(rows, json_pack("{s:o, s:i, s:I}", "broker",
                                          json_slice(queue->broker->name), "queue", queue->id,
                                          "letters", (json_int_t)(end - queue->mark)));
    return options->yes ? letter_queue_settle(cli, queue, end) : CLI_OK;
}

enum cli_exit run_dlq_purge(struct cli *cli, const void *opaque, char **arguments)
{
    const struct dlq_purge_options *options = opaque;
    struct brokers brokers;
    struct letter_queues queues = {0};
    json_t *rows = json_array();
    enum cli_exit code = brokers_find(cli, &brokers);
    if (code == CLI_OK) {
        code = letter_queues_find(cli, &brokers, arguments[0], options->broker, &queues);
    }
    for (size_t i = 0; code == CLI_OK && i < queues.count; i++) {
        code = purge_queue(cli, &queues.queues[i], options, rows);
    }
    bool any = json_array_size(rows) > 0;
    if (code == CLI_OK) {
        output_rows(cli, rows, purged_columns, OUTPUT_COUNT(purged_columns));
    } else {
        json_decref(rows);
    }
    if (code == CLI_OK && any && !options->yes) {
        code = cli_fail(cli, CLI_FAILED, "nothing was changed; --yes settles these");
    }
    letter_queues_close(&queues);
    brokers_close(&brokers);
    return code;
}
