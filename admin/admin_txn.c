/* raftmq txn: open transactions, why they wait, and settling them by hand.
 *
 * A transaction is named GROUP:POSITION, the broker group and the position of its half message in
 * that group's log. */
#include "admin/brokers.h"
#include "admin/output.h"
#include "common/base/decimal.h"
#include "common/remoting/extension.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_SIZE = 200, LIST_MAX = 1000000 };

struct list_options {
    const char *state;
    const char *producer_group;
    const char *broker;
    int64_t max;
};

static const struct list_options list_defaults = {.state = "pending", .max = 100};

static const struct cli_flag list_flags[] = {
    {'s', "state", CLI_TEXT, "STATE", "pending, expired, committed or rolledback (pending)",
     offsetof(struct list_options, state), 0, 0},
    {'g', "producer-group", CLI_TEXT, "NAME", "only those of this producer group",
     offsetof(struct list_options, producer_group), 0, 0},
    {'b', "broker", CLI_TEXT, "GROUP", "only those of this broker group",
     offsetof(struct list_options, broker), 0, 0},
    {'m', "max", CLI_NUMBER, "COUNT", "at most so many per broker group (100)",
     offsetof(struct list_options, max), 1, LIST_MAX},
    {0},
};

static const struct column columns[] = {
    {"TRANSACTION", "id"},  {"STATE", "state"},     {"AGE", "age"},
    {"CHECKS", "attempts"}, {"NEXT CHECK", "next"}, {"PRODUCER GROUP", "producerGroup"},
    {"TOPIC", "topic"},     {"QUEUE", "queueId"},   {"WHY", "why"},
};

static const struct column members[] = {
    {"transaction", "id"},
    {"state", "state"},
    {"why", "why"},
    {"age", "age"},
    {"topic", "topic"},
    {"queue", "queueId"},
    {"offset in queue", "visibleOffset"},
    {"producer group", "producerGroup"},
    {"transaction id", "transactionId"},
    {"half offset", "halfOffset"},
    {"checks", "attempts"},
    {"next check", "next"},
    {"stored", "storedTime"},
    {"last check", "lastCheckTime"},
    {"decided", "decidedTime"},
};

/* Add what people want to read: the name, and times as durations. */
static void decorate(json_t *transaction, struct slice broker)
{
    json_object_set_new(transaction, "broker", json_slice(broker));
    json_object_set_new(
        transaction, "id",
        json_sprintf("%.*s:%lld", SLICE_ARGS(broker),
                     (long long)json_integer_value(json_object_get(transaction, "position"))));
    json_t *age = json_object_get(transaction, "ageMs");
    if (json_is_integer(age)) {
        json_object_set_new(transaction, "age", json_duration(json_integer_value(age)));
    }
    json_t *next = json_object_get(transaction, "nextCheckInMs");
    const char *state = json_string_value(json_object_get(transaction, "state"));
    if (json_is_integer(next) && state != NULL && strcmp(state, "pending") == 0) {
        json_object_set_new(transaction, "next",
                            json_integer_value(next) <= 0
                                ? json_string("due")
                                : json_duration(json_integer_value(next)));
    }
}

/* Send a request about transactions; the object in its answer (a new reference), or NULL. */
static json_t *call(struct cli *cli, const struct broker_data *broker,
                    const struct command *request, enum cli_exit *code)
{
    struct cli_reply reply = {0};
    json_t *answer = NULL;
    *code = ask_leader(cli, broker, request, &reply);
    if (*code == CLI_OK && reply.command.body.size > 0) {
        answer = json_parse(reply.command.body);
        if (!json_is_object(answer)) {
            *code = cli_nonsense(cli, broker->name);
            json_decref(answer);
            answer = NULL;
        }
    }
    cli_reply_close(&reply);
    return answer;
}

/* Append those of one broker group, page by page. */
static enum cli_exit list_broker(struct cli *cli, const struct broker_data *broker,
                                 const struct list_options *options, json_t *rows)
{
    enum cli_exit code = CLI_OK;
    json_int_t after = -1;
    int64_t left = options->max;
    bool more = true;
    while (code == CLI_OK && more && left > 0) {
        struct command request;
        struct buf scratch = {0};
        buf_reserve(&scratch, 64);
        command_init_request(&request, REQUEST_RAFTMQ_TXN_LIST, 1);
        command_add(&request, "state", slice_text(options->state));
        if (options->producer_group != NULL) {
            command_add(&request, "producerGroup", slice_text(options->producer_group));
        }
        command_add_i64(&request, "max", left < PAGE_SIZE ? left : PAGE_SIZE, &scratch);
        if (after >= 0) {
            command_add_i64(&request, "after", after, &scratch);
        }
        json_t *answer = call(cli, broker, &request, &code);
        size_t i;
        json_t *transaction;
        json_t *page = json_object_get(answer, "transactions");
        json_array_foreach(page, i, transaction)
        {
            decorate(transaction, broker->name);
            json_array_append(rows, transaction);
            after = json_integer_value(json_object_get(transaction, "position"));
            left--;
        }
        more = json_is_true(json_object_get(answer, "more")) && json_array_size(page) > 0;
        json_decref(answer);
        buf_close(&scratch);
    }
    return code;
}

static enum cli_exit run_list(struct cli *cli, const void *opaque, char **arguments)
{
    (void)arguments;
    static const char *const states[] = {"pending", "expired", "committed", "rolledback"};
    const struct list_options *options = opaque;
    size_t s = 0;
    while (s < OUTPUT_COUNT(states) && strcmp(options->state, states[s]) != 0) {
        s++;
    }
    if (s == OUTPUT_COUNT(states)) {
        return cli_fail(cli, CLI_USAGE,
                        "--state: %s is not one of pending, expired, committed, "
                        "rolledback",
                        options->state);
    }
    struct brokers brokers;
    enum cli_exit code = brokers_find(cli, &brokers);
    json_t *rows = json_array();
    code = code == CLI_OK ? broker_check(cli, &brokers, options->broker) : code;
    for (size_t i = 0; code == CLI_OK && i < brokers.info.broker_count; i++) {
        if (broker_chosen(&brokers.info.brokers[i], options->broker)) {
            code = list_broker(cli, &brokers.info.brokers[i], options, rows);
        }
    }
    brokers_close(&brokers);
    if (code != CLI_OK) {
        json_decref(rows);
        return code;
    }
    output_rows(cli, rows, columns, OUTPUT_COUNT(columns));
    return CLI_OK;
}

/* Take GROUP:POSITION apart and find the group. */
static enum cli_exit target_find(struct cli *cli, const char *id, struct brokers *brokers,
                                 const struct broker_data **broker, struct slice *position)
{
    const char *colon = strrchr(id, ':');
    int64_t number;
    if (colon == NULL || colon == id || !decimal_parse(slice_text(colon + 1), &number) ||
        number < 0) {
        *brokers = (struct brokers){0};
        return cli_fail(cli, CLI_USAGE, "GROUP:POSITION is wanted, as `txn list` shows it, not %s",
                        id);
    }
    *position = slice_text(colon + 1);
    enum cli_exit code = brokers_find(cli, brokers);
    if (code != CLI_OK) {
        return code;
    }
    char *name = mem_copy_text(slice_of(id, (size_t)(colon - id)));
    *broker = brokers_group(brokers, name);
    if (*broker == NULL) {
        code = cli_fail(cli, CLI_NOT_FOUND, "the nameserver knows no broker group %s", name);
    }
    free(name);
    return code;
}

static enum cli_exit run_show(struct cli *cli, const void *options, char **arguments)
{
    (void)options;
    struct brokers brokers;
    const struct broker_data *broker = NULL;
    struct slice position;
    enum cli_exit code = target_find(cli, arguments[0], &brokers, &broker, &position);
    if (code == CLI_OK) {
        struct command request;
        command_init_request(&request, REQUEST_RAFTMQ_TXN_SHOW, 1);
        command_add(&request, "position", position);
        json_t *transaction = call(cli, broker, &request, &code);
        if (transaction != NULL) {
            decorate(transaction, broker->name);
            output_object(cli, transaction, members, OUTPUT_COUNT(members));
        }
    }
    brokers_close(&brokers);
    return code;
}

static enum cli_exit settle(struct cli *cli, const char *id, const char *action)
{
    struct brokers brokers;
    const struct broker_data *broker = NULL;
    struct slice position;
    enum cli_exit code = target_find(cli, id, &brokers, &broker, &position);
    if (code == CLI_OK) {
        struct command request;
        command_init_request(&request, REQUEST_RAFTMQ_TXN_SETTLE, 1);
        command_add(&request, "position", position);
        command_add(&request, "action", slice_text(action));
        json_decref(call(cli, broker, &request, &code));
    }
    brokers_close(&brokers);
    return code;
}

static enum cli_exit run_commit(struct cli *cli, const void *options, char **arguments)
{
    (void)options;
    return settle(cli, arguments[0], "commit");
}

static enum cli_exit run_rollback(struct cli *cli, const void *options, char **arguments)
{
    (void)options;
    return settle(cli, arguments[0], "rollback");
}

static enum cli_exit run_recheck(struct cli *cli, const void *options, char **arguments)
{
    (void)options;
    return settle(cli, arguments[0], "recheck");
}

const struct cli_command txn_commands[] = {
    {
        .noun = "txn",
        .verb = "list",
        .arguments = "",
        .summary = "List transactions and why they wait",
        .flags = list_flags,
        .defaults = &list_defaults,
        .options_size = sizeof list_defaults,
        .run = run_list,
    },
    {
        .noun = "txn",
        .verb = "show",
        .arguments = "GROUP:POSITION",
        .summary = "Show one transaction",
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_show,
    },
    {
        .noun = "txn",
        .verb = "commit",
        .arguments = "GROUP:POSITION",
        .summary = "Decide it: deliver its message",
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_commit,
    },
    {
        .noun = "txn",
        .verb = "rollback",
        .arguments = "GROUP:POSITION",
        .summary = "Decide it: never deliver its message",
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_rollback,
    },
    {
        .noun = "txn",
        .verb = "recheck",
        .arguments = "GROUP:POSITION",
        .summary = "Have its producer group asked anew, from the first check on",
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_recheck,
    },
    {.noun = NULL},
};
