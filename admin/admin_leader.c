/* raftmq leader: who leads, and who shall. */
#include "admin/output.h"
#include "admin/replica_status.h"
#include "common/remoting/codes.h"
#include "common/remoting/extension.h"

struct transfer_options {
    int64_t target;
};

static const struct cli_flag transfer_flags[] = {
    {'m', "member", CLI_NUMBER, "ID", "to this member (else to the one that is best informed)",
     offsetof(struct transfer_options, target), 0, INT64_MAX},
    {0},
};

static const struct column leader_columns[] = {
    {"GROUP", "group"}, {"LEADER", "leader"}, {"TERM", "term"}, {"HEALTH", "health"}};

static enum cli_exit run_show(struct cli *cli, const void *options, char **arguments)
{
    (void)options;
    (void)arguments;
    struct brokers brokers;
    enum cli_exit code = brokers_find(cli, &brokers);
    json_t *rows = json_array();
    for (size_t i = 0; code == CLI_OK && i < brokers.info.broker_count; i++) {
        json_t *group = group_status(cli, &brokers.info.brokers[i]);
        json_object_del(group, "replicas");
        json_array_append_new(rows, group);
    }
    brokers_close(&brokers);
    if (code != CLI_OK) {
        json_decref(rows);
        return code;
    }
    output_rows(cli, rows, leader_columns, OUTPUT_COUNT(leader_columns));
    return CLI_OK;
}

static enum cli_exit transfer(struct cli *cli, const struct broker_data *group, int64_t target)
{
    struct command request;
    struct buf scratch = {0};
    struct cli_reply reply = {0};
    buf_reserve(&scratch, 64);
    command_init_request(&request, REQUEST_RAFTMQ_TRANSFER, 1);
    command_add_i64(&request, "target", target, &scratch);
    // Once: who leads by then would hand it on.
    enum cli_exit code = call_leader_once(cli, group, &request, &reply);
    if (code == CLI_OK && reply.command.code != RESPONSE_SUCCESS) {
        code = cli_refused(cli, group->name, &reply.command);
    }
    cli_reply_close(&reply);
    buf_close(&scratch);
    return code;
}

static enum cli_exit run_transfer(struct cli *cli, const void *opaque, char **arguments)
{
    const struct transfer_options *options = opaque;
    struct brokers brokers;
    enum cli_exit code = brokers_find(cli, &brokers);
    const struct broker_data *group = code == CLI_OK ? brokers_group(&brokers, arguments[0]) : NULL;
    if (code == CLI_OK && group == NULL) {
        code =
            cli_fail(cli, CLI_NOT_FOUND, "the nameserver knows no broker group %s", arguments[0]);
    } else if (code == CLI_OK) {
        code = transfer(cli, group, options->target);
    }
    if (code == CLI_OK) {
        json_t *result = group_status(cli, group);
        json_object_del(result, "replicas");
        output_object(cli, result, leader_columns, OUTPUT_COUNT(leader_columns));
    }
    brokers_close(&brokers);
    return code;
}

const struct cli_command leader_commands[] = {
    {
        .noun = "leader",
        .verb = "show",
        .arguments = "",
        .summary = "Show the leader of every broker group",
        .run = run_show,
    },
    {
        .noun = "leader",
        .verb = "transfer",
        .arguments = "GROUP",
        .summary = "Hand the leadership of a broker group to another replica",
        .flags = transfer_flags,
        .options_size = sizeof(struct transfer_options),
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_transfer,
    },
    {.noun = NULL},
};
