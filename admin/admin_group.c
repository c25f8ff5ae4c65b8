/* raftmq group: consumer groups, who is in them and how far they are. */
#include "admin/admin_recover.h"
#include "admin/brokers.h"
#include "admin/output.h"
#include "common/remoting/body_group.h"
#include "common/remoting/body_stats.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <stdlib.h>
#include <string.h>

struct list_options {
    bool all;
};

static const struct cli_flag list_flags[] = {
    {'a', "all", CLI_SWITCH, NULL, "also groups of the system", offsetof(struct list_options, all),
     0, 0},
    {0},
};

static const struct column list_columns[] = {{"GROUP", "group"},
                                             {"BROKER", "broker"},
                                             {"ENABLED", "enabled"},
                                             {"RETRIES", "retriesMax"},
                                             {"ORDERLY", "orderly"}};

static const struct column queue_columns[] = {{"TOPIC", "topic"},
                                              {"BROKER", "broker"},
                                              {"QUEUE", "queue"},
                                              {"END", "end"},
                                              {"CONSUMED", "consumed"},
                                              {"LAG", "lag"},
                                              {"LAST CONSUMED", "consumedTime"}};

static const struct column member_columns[] = {{"CLIENT", "clientId"},
                                               {"ADDRESS", "clientAddr"},
                                               {"LANGUAGE", "language"},
                                               {"VERSION", "version"}};

static enum cli_exit list_broker(struct cli *cli, const struct broker_data *broker, bool all,
                                 json_t *rows)
{
    struct command request;
    struct cli_reply reply = {0};
    struct body body = {0};
    struct group_table table;
    command_init_request(&request, REQUEST_GET_ALL_SUBSCRIPTIONGROUP_CONFIG, 1);
    enum cli_exit code = ask_leader(cli, broker, &request, &reply);
    if (code == CLI_OK && group_table_decode(reply.command.body, &body, &table) != STATUS_OK) {
        code = cli_nonsense(cli, broker->name);
    } else if (code == CLI_OK) {
        for (size_t i = 0; i < table.count; i++) {
            const struct group_config *group = &table.groups[i];
            if (!all && group_is_system(group->name)) {
                continue;
            }
            json_array_append_new(
                rows,
                json_pack("{s:o, s:o, s:b, s:i, s:b}", "group", json_slice(group->name), "broker",
                          json_slice(broker->name), "enabled", group->consume_enable, "retriesMax",
                          group->retry_times_max, "orderly", group->consume_orderly));
        }
    }
    body_close(&body);
    cli_reply_close(&reply);
    return code;
}

static enum cli_exit run_list(struct cli *cli, const void *opaque, char **arguments)
{
    (void)arguments;
    const struct list_options *options = opaque;
    struct brokers brokers;
    enum cli_exit code = brokers_find(cli, &brokers);
    json_t *rows = json_array();
    for (size_t i = 0; code == CLI_OK && i < brokers.info.broker_count; i++) {
        code = list_broker(cli, &brokers.info.brokers[i], options->all, rows);
    }
    brokers_close(&brokers);
    if (code != CLI_OK) {
        json_decref(rows);
        return code;
    }
    output_sort(rows, list_columns, 2);
    output_rows(cli, rows, list_columns, OUTPUT_COUNT(list_columns));
    return CLI_OK;
}

/* Append a group's queues on one broker to rows, and their lag to *lag. */
static enum cli_exit queues_of(struct cli *cli, const char *group, const struct broker_data *broker,
                               json_t *rows, int64_t *lag)
{
    struct command request;
    struct cli_reply reply = {0};
    struct body body = {0};
    struct consume_stats stats;
    command_init_request(&request, REQUEST_GET_CONSUME_STATS, 1);
    command_add(&request, "consumerGroup", slice_text(group));
    enum cli_exit code = ask_leader(cli, broker, &request, &reply);
    if (code == CLI_OK && consume_stats_decode(reply.command.body, &body, &stats) != STATUS_OK) {
        code = cli_nonsense(cli, broker->name);
    } else if (code == CLI_OK) {
        for (size_t i = 0; i < stats.count; i++) {
            const struct consume_stats_entry *entry = &stats.entries[i];
            int64_t behind = entry->broker_offset - entry->consumer_offset;
            *lag += behind;
            json_array_append_new(
                rows,
                json_pack("{s:o, s:o, s:i, s:I, s:I, s:I, s:I}", "topic",
                          json_slice(entry->queue.topic), "broker", json_slice(broker->name),
                          "queue", entry->queue.queue_id, "end", (json_int_t)entry->broker_offset,
                          "consumed", (json_int_t)entry->consumer_offset, "lag", (json_int_t)behind,
                          "consumedTime", (json_int_t)entry->consumed_ms));
        }
    }
    body_close(&body);
    cli_reply_close(&reply);
    return code;
}

/* Append the members that are connected to a broker, each client once. */
static void members_of(struct cli *cli, const char *group, const struct broker_data *broker,
                       json_t *members)
{
    struct command request;
    struct cli_reply reply = {0};
    command_init_request(&request, REQUEST_GET_CONSUMER_CONNECTION_LIST, 1);
    command_add(&request, "consumerGroup", slice_text(group));
    json_t *answer = NULL;
    if (call_leader(cli, broker, &request, &reply) == CLI_OK &&
        reply.command.code == RESPONSE_SUCCESS) {
        answer = json_parse(reply.command.body);
    }
    size_t i;
    json_t *found;
    json_array_foreach(json_object_get(answer, "connectionSet"), i, found)
    {
        size_t m = 0;
        while (m < json_array_size(members) &&
               !json_equal(json_object_get(json_array_get(members, m), "clientId"),
                           json_object_get(found, "clientId"))) {
            m++;
        }
        if (m == json_array_size(members)) {
            json_array_append(members, found);
        }
    }
    json_decref(answer);
    cli_reply_close(&reply);
}

static void print(struct cli *cli, json_t *result)
{
    if (cli->json) {
        output_json(cli, result);
        return;
    }
    fprintf(cli->out, "%s: %lld messages behind, %zu clients\n\n",
            json_string_value(json_object_get(result, "group")),
            (long long)json_integer_value(json_object_get(result, "lag")),
            json_array_size(json_object_get(result, "members")));
    output_table(cli->out, json_object_get(result, "queues"), queue_columns,
                 OUTPUT_COUNT(queue_columns));
    if (json_array_size(json_object_get(result, "members")) > 0) {
        fprintf(cli->out, "\n");
        output_table(cli->out, json_object_get(result, "members"), member_columns,
                     OUTPUT_COUNT(member_columns));
    }
    json_decref(result);
}

static enum cli_exit run_describe(struct cli *cli, const void *options, char **arguments)
{
    (void)options;
    const char *group = arguments[0];
    struct brokers brokers;
    enum cli_exit code = brokers_find(cli, &brokers);
    json_t *queues = json_array();
    json_t *members = json_array();
    int64_t lag = 0;
    for (size_t i = 0; code == CLI_OK && i < brokers.info.broker_count; i++) {
        code = queues_of(cli, group, &brokers.info.brokers[i], queues, &lag);
        if (code == CLI_OK) {
            members_of(cli, group, &brokers.info.brokers[i], members);
        }
    }
    brokers_close(&brokers);
    bool nothing = json_array_size(queues) == 0 && json_array_size(members) == 0;
    json_t *result = json_pack("{s:s, s:I, s:o, s:o}", "group", group, "lag", (json_int_t)lag,
                               "members", members, "queues", queues);
    if (code != CLI_OK || nothing) {
        json_decref(result);
        return code != CLI_OK
                   ? code
                   : cli_fail(cli, CLI_NOT_FOUND,
                              "group %s has consumed nothing and nobody is in it", group);
    }
    output_sort(queues, queue_columns, 3);
    print(cli, result);
    return CLI_OK;
}

static const struct cli_flag recover_flags[] = {
    {'m', "node", CLI_NUMBER, "ID", "this node (else the best informed)",
     offsetof(struct recover_options, node), 0, INT64_MAX},
    {'y', "yes-lose-data", CLI_SWITCH, NULL, "do it; else the plan is only shown",
     offsetof(struct recover_options, yes), 0, 0},
    {0},
};

const struct cli_command group_commands[] = {
    {
        .noun = "group",
        .verb = "list",
        .arguments = "",
        .summary = "List consumer groups per broker group",
        .flags = list_flags,
        .options_size = sizeof(struct list_options),
        .run = run_list,
    },
    {
        .noun = "group",
        .verb = "describe",
        .arguments = "GROUP",
        .summary = "Show how far a consumer group is and who is in it",
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_describe,
    },
    {
        .noun = "group",
        .verb = "unsafe-recover",
        .arguments = "BROKERGROUP",
        .summary = "After the loss of a majority of a broker group: plan, and go on with one node",
        .flags = recover_flags,
        .options_size = sizeof(struct recover_options),
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_unsafe_recover,
    },
    {.noun = NULL},
};
