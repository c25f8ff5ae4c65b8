#include "admin/admin_recover.h"

#include "admin/output.h"
#include "admin/replica_status.h"
#include "common/base/clock.h"
#include "common/remoting/codes.h"
#include "common/remoting/extension.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { PENDING_SHOWN = 100, WAIT_MS = 30000, POLL_MS = 200 };

static const struct column survivor_columns[] = {
    {"NODE", "memberId"}, {"ADDRESS", "address"}, {"LAST TERM", "lastTerm"},
    {"LAST", "last"},     {"COMMIT", "commit"},   {"HEALTH", "health"},
};

static const struct column transaction_columns[] = {
    {"POSITION", "position"},
    {"STATE", "state"},
    {"PRODUCER GROUP", "producerGroup"},
    {"TOPIC", "topic"},
    {"TRANSACTION ID", "transactionId"},
};

static json_int_t integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* The replica with the most of the log: by the term of its last entry, then by its index, as
 * elections judge; or that of the chosen node. Borrowed from rows; NULL: none. */
static json_t *choose(json_t *rows, int64_t node)
{
    json_t *best = NULL;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const json_t *status = json_object_get(row, "status");
        if (status == NULL || (node != 0 && integer(row, "memberId") != node)) {
            continue;
        }
        json_object_set(row, "lastTerm", json_object_get(status, "lastTerm"));
        bool better = best == NULL || integer(row, "lastTerm") > integer(best, "lastTerm") ||
                      (integer(row, "lastTerm") == integer(best, "lastTerm") &&
                       integer(row, "last") > integer(best, "last"));
        best = better ? row : best;
    }
    return best;
}

/* Transactions that a replica knows as open; a new array. */
static json_t *pending_of(struct cli *cli, const char *address)
{
    struct command request;
    struct cli_reply reply = {0};
    struct buf scratch = {0};
    buf_reserve(&scratch, 64);
    command_init_request(&request, REQUEST_RAFTMQ_TXN_LIST_HERE, 1);
    command_add(&request, "state", slice_text("pending"));
    command_add_i64(&request, "max", PENDING_SHOWN, &scratch);
    json_t *answer = NULL;
    if (cli_call(cli, address, &request, &reply) && reply.command.code == RESPONSE_SUCCESS) {
        answer = json_parse(reply.command.body);
    }
    json_t *transactions = json_object_get(answer, "transactions");
    transactions = transactions == NULL ? json_array() : json_incref(transactions);
    json_decref(answer);
    cli_reply_close(&reply);
    buf_close(&scratch);
    return transactions;
}

static void print_plan(struct cli *cli, const char *group, json_t *rows, const json_t *chosen,
                       json_t *pending)
{
    json_int_t commit = integer(chosen, "commit");
    json_int_t last = integer(chosen, "last");
    if (cli->json) {
        output_json(cli, json_pack("{s:s, s:I, s:I, s:I, s:O, s:O}", "group", group, "node",
                                   integer(chosen, "memberId"), "commitIndex", commit, "lastIndex",
                                   last, "survivors", rows, "uncertainTransactions", pending));
        return;
    }
    fprintf(cli->out, "Broker group %s has no leader. What answers of it:\n\n", group);
    output_table(cli->out, rows, survivor_columns, OUTPUT_COUNT(survivor_columns));
    fprintf(cli->out,
            "\nNode %lld would become its only member and go on from what it has:\n"
            "  entries up to %lld, of which it knows that those up to %lld were committed;\n"
            "  the %lld after that count from then on, whether they were acknowledged or not;\n"
            "  what the lost nodes acknowledged without it is LOST.\n"
            "The other nodes must not serve with the data that they have: empty their data\n"
            "directories before they start again, then use 'raftmq node add'.\n",
            (long long)integer(chosen, "memberId"), (long long)last, (long long)commit,
            (long long)(last - commit));
    if (json_array_size(pending) > 0) {
        fprintf(cli->out,
                "\nThese transactions are open here. A lost node may have been told their outcome, "
                "so it is\nuncertain; their producers will be asked again:\n\n");
        output_table(cli->out, pending, transaction_columns, OUTPUT_COUNT(transaction_columns));
    }
}

/* Tell the replica, and wait until it leads. */
static enum cli_exit recover(struct cli *cli, const struct broker_data *group, const json_t *chosen)
{
    struct command request;
    struct cli_reply reply = {0};
    struct buf scratch = {0};
    const char *address = json_string_value(json_object_get(chosen, "address"));
    buf_reserve(&scratch, 64);
    command_init_request(&request, REQUEST_RAFTMQ_RECOVER, 1);
    command_add_i64(&request, "lastIndex", integer(chosen, "last"), &scratch);
    enum cli_exit code = CLI_OK;
    if (!cli_call(cli, address, &request, &reply)) {
        code = cli_fail(cli, CLI_UNREACHABLE, "%s: %s", address, reply.error.remark);
    } else if (reply.command.code != RESPONSE_SUCCESS) {
        code = cli_refused(cli, group->name, &reply.command);
    }
    cli_reply_close(&reply);
    buf_close(&scratch);
    uint64_t until = clock_monotonic_ms(clock_system()) + WAIT_MS;
    while (code == CLI_OK) {
        json_t *status = group_status(cli, group);
        bool led = json_object_get(status, "leader") != NULL;
        json_decref(status);
        if (led) {
            fprintf(cli->err, "raftmq: %.*s: node %lld is its only member and leads it\n",
                    SLICE_ARGS(group->name), (long long)integer(chosen, "memberId"));
            return CLI_OK;
        }
        if (clock_monotonic_ms(clock_system()) >= until) {
            return cli_fail(cli, CLI_UNREACHABLE, "%.*s: it does not lead yet; look at its log",
                            SLICE_ARGS(group->name));
        }
        usleep(POLL_MS * 1000);
    }
    return code;
}

static enum cli_exit plan_and_recover(struct cli *cli, const struct broker_data *group,
                                      const struct recover_options *options, const char *name)
{
    json_t *status = group_status(cli, group);
    json_t *rows = json_object_get(status, "replicas");
    json_t *chosen = choose(rows, options->node);
    enum cli_exit code = CLI_OK;
    if (json_object_get(status, "leader") != NULL) {
        code = cli_fail(cli, CLI_FAILED,
                        "%s has a leader: nothing is to be recovered; to take lost nodes out of "
                        "it use 'raftmq node remove'",
                        name);
    } else if (chosen == NULL) {
        code = cli_fail(cli, CLI_UNREACHABLE, "no such replica of %s answers", name);
    } else {
        json_t *pending = pending_of(cli, json_string_value(json_object_get(chosen, "address")));
        print_plan(cli, name, rows, chosen, pending);
        json_decref(pending);
        code = options->yes
                   ? recover(cli, group, chosen)
                   : cli_fail(cli, CLI_FAILED, "nothing was changed; --yes-lose-data does it");
    }
    json_decref(status);
    return code;
}

enum cli_exit run_unsafe_recover(struct cli *cli, const void *opaque, char **arguments)
{
    struct brokers brokers;
    enum cli_exit code = brokers_find(cli, &brokers);
    const struct broker_data *group = code == CLI_OK ? brokers_group(&brokers, arguments[0]) : NULL;
    if (code == CLI_OK && group == NULL) {
        code =
            cli_fail(cli, CLI_NOT_FOUND, "the nameserver knows no broker group %s", arguments[0]);
    } else if (code == CLI_OK) {
        code = plan_and_recover(cli, group, opaque, arguments[0]);
    }
    brokers_close(&brokers);
    return code;
}
