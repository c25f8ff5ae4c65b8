/* raftmq topic: create, list, describe, delete. */
#include "admin/brokers.h"
#include "admin/output.h"
#include "common/remoting/body_stats.h"
#include "common/remoting/body_topic.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <string.h>

struct create_options {
    const char *broker;
    const char *attributes;
    int64_t queues;
    int64_t perm;
    bool order;
};

static const struct create_options create_defaults = {.queues = 8, .perm = PERM_READ | PERM_WRITE};

static const struct cli_flag create_flags[] = {
    {'b', "broker", CLI_TEXT, "GROUP", "only on this broker group (else on all)",
     offsetof(struct create_options, broker), 0, 0},
    {'q', "queues", CLI_NUMBER, "COUNT", "queues per broker group (8)",
     offsetof(struct create_options, queues), 1, QUEUES_PER_TOPIC_MAX},
    {'p', "perm", CLI_NUMBER, "BITS", "4 read + 2 write (6)", offsetof(struct create_options, perm),
     0, 7},
    {'O', "order", CLI_SWITCH, NULL, "mark it as an order topic",
     offsetof(struct create_options, order), 0, 0},
    {'A', "attributes", CLI_TEXT, "CHANGES",
     "+key=value,-key; unique.key.window=SECONDS: a message sent again within is not stored again",
     offsetof(struct create_options, attributes), 0, 0},
    {0},
};

struct list_options {
    bool all;
};

static const struct cli_flag list_flags[] = {
    {'a', "all", CLI_SWITCH, NULL, "also topics of the system, of retries and of dead letters",
     offsetof(struct list_options, all), 0, 0},
    {0},
};

static const struct column list_columns[] = {{"TOPIC", "topic"},     {"BROKER", "broker"},
                                             {"READ", "readQueues"}, {"WRITE", "writeQueues"},
                                             {"PERM", "perm"},       {"ORDER", "order"}};

static const struct column queue_columns[] = {{"BROKER", "broker"},     {"QUEUE", "queue"},
                                              {"MIN", "min"},           {"MAX", "max"},
                                              {"MESSAGES", "messages"}, {"UPDATED", "updatedTime"}};

/* Send a request to the leaders of the chosen groups; all must say yes. */
static enum cli_exit call_leaders(struct cli *cli, const struct brokers *brokers,
                                  const char *chosen, const struct command *request)
{
    enum cli_exit worst = CLI_OK;
    size_t count = 0;
    for (size_t i = 0; i < brokers->info.broker_count; i++) {
        const struct broker_data *group = &brokers->info.brokers[i];
        if (!broker_chosen(group, chosen)) {
            continue;
        }
        struct cli_reply reply = {0};
        enum cli_exit code = ask_leader(cli, group, request, &reply);
        worst = code != CLI_OK ? code : worst;
        count++;
        cli_reply_close(&reply);
    }
    return count == 0 ? cli_fail(cli, CLI_NOT_FOUND, "the nameserver knows no such broker group")
                      : worst;
}

static enum cli_exit run_create(struct cli *cli, const void *opaque, char **arguments)
{
    const struct create_options *options = opaque;
    struct slice name = slice_text(arguments[0]);
    if (!topic_name_valid(name)) {
        return cli_fail(cli, CLI_USAGE, "%s is no valid topic name", arguments[0]);
    }
    struct brokers brokers;
    enum cli_exit code = brokers_find(cli, &brokers);
    if (code == CLI_OK) {
        struct command request;
        struct buf scratch = {0};
        buf_reserve(&scratch, 128);
        command_init_request(&request, REQUEST_UPDATE_AND_CREATE_TOPIC, 1);
        command_add(&request, "topic", name);
        command_add(&request, "defaultTopic", slice_text(TOPIC_DEFAULT));
        command_add_i64(&request, "readQueueNums", options->queues, &scratch);
        command_add_i64(&request, "writeQueueNums", options->queues, &scratch);
        command_add_i64(&request, "perm", options->perm, &scratch);
        command_add(&request, "topicFilterType", slice_text("SINGLE_TAG"));
        command_add_i64(&request, "topicSysFlag", 0, &scratch);
        command_add(&request, "order", slice_text(options->order ? "true" : "false"));
        if (options->attributes != NULL) {
            command_add(&request, "attributes", slice_text(options->attributes));
        }
        code = call_leaders(cli, &brokers, options->broker, &request);
        buf_close(&scratch);
    }
    brokers_close(&brokers);
    return code;
}

static enum cli_exit run_delete(struct cli *cli, const void *options, char **arguments)
{
    (void)options;
    struct brokers brokers;
    struct route route;
    enum cli_exit code = route_find(cli, arguments[0], &route);
    route_close(&route);
    if (code != CLI_OK) {
        return code;
    }
    code = brokers_find(cli, &brokers);
    if (code == CLI_OK) {
        struct command request;
        command_init_request(&request, REQUEST_DELETE_TOPIC_IN_BROKER, 1);
        command_add(&request, "topic", slice_text(arguments[0]));
        code = call_leaders(cli, &brokers, NULL, &request);
    }
    if (code == CLI_OK) { // Brokers first: what they still have they would register again.
        struct command request;
        command_init_request(&request, REQUEST_DELETE_TOPIC_IN_NAMESRV, 1);
        command_add(&request, "topic", slice_text(arguments[0]));
        if (call_all_nameservers(cli, &request) == 0) {
            code = cli_fail(cli, CLI_UNREACHABLE, "deleted, but no nameserver could be told");
        }
    }
    brokers_close(&brokers);
    return code;
}

/* Append the topics of one group to rows. */
static enum cli_exit list_group(struct cli *cli, const struct broker_data *group, bool all,
                                json_t *rows)
{
    struct command request;
    struct cli_reply reply = {0};
    struct body body = {0};
    struct topic_table table;
    command_init_request(&request, REQUEST_GET_ALL_TOPIC_CONFIG, 1);
    enum cli_exit code = ask_leader(cli, group, &request, &reply);
    if (code == CLI_OK && topic_table_decode(reply.command.body, &body, &table) != STATUS_OK) {
        code = cli_nonsense(cli, group->name);
    } else if (code == CLI_OK) {
        for (size_t i = 0; i < table.count; i++) {
            const struct topic_config *topic = &table.topics[i];
            if (!all && (topic_is_system(topic->name) || topic_is_retry(topic->name) ||
                         topic_is_dead_letter(topic->name))) {
                continue;
            }
            json_array_append_new(
                rows, json_pack("{s:o, s:o, s:i, s:i, s:i, s:b}", "topic", json_slice(topic->name),
                                "broker", json_slice(group->name), "readQueues", topic->read_queues,
                                "writeQueues", topic->write_queues, "perm", topic->perm, "order",
                                topic->order));
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
        code = list_group(cli, &brokers.info.brokers[i], options->all, rows);
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

/* Append the queues of one broker to rows. */
static enum cli_exit describe_group(struct cli *cli, const char *topic,
                                    const struct broker_data *group, json_t *rows)
{
    struct command request;
    struct cli_reply reply = {0};
    struct body body = {0};
    struct topic_stats stats;
    command_init_request(&request, REQUEST_GET_TOPIC_STATS_INFO, 1);
    command_add(&request, "topic", slice_text(topic));
    enum cli_exit code = ask_leader(cli, group, &request, &reply);
    if (code == CLI_OK && topic_stats_decode(reply.command.body, &body, &stats) != STATUS_OK) {
        code = cli_nonsense(cli, group->name);
    } else if (code == CLI_OK) {
        for (size_t i = 0; i < stats.count; i++) {
            const struct topic_stats_entry *entry = &stats.entries[i];
            json_array_append_new(
                rows, json_pack("{s:o, s:i, s:I, s:I, s:I, s:I}", "broker", json_slice(group->name),
                                "queue", entry->queue.queue_id, "min",
                                (json_int_t)entry->offset_min, "max", (json_int_t)entry->offset_max,
                                "messages", (json_int_t)(entry->offset_max - entry->offset_min),
                                "updatedTime", (json_int_t)entry->updated_ms));
        }
    }
    body_close(&body);
    cli_reply_close(&reply);
    return code;
}

static enum cli_exit run_describe(struct cli *cli, const void *options, char **arguments)
{
    (void)options;
    struct route route;
    enum cli_exit code = route_find(cli, arguments[0], &route);
    json_t *rows = json_array();
    for (size_t i = 0; code == CLI_OK && i < route.route.broker_count; i++) {
        code = describe_group(cli, arguments[0], &route.route.brokers[i], rows);
    }
    route_close(&route);
    if (code != CLI_OK) {
        json_decref(rows);
        return code;
    }
    output_sort(rows, queue_columns, 2);
    output_rows(cli, rows, queue_columns, OUTPUT_COUNT(queue_columns));
    return CLI_OK;
}

const struct cli_command topic_commands[] = {
    {
        .noun = "topic",
        .verb = "create",
        .arguments = "TOPIC",
        .summary = "Create or change a topic",
        .flags = create_flags,
        .defaults = &create_defaults,
        .options_size = sizeof create_defaults,
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_create,
    },
    {
        .noun = "topic",
        .verb = "list",
        .arguments = "",
        .summary = "List topics per broker group",
        .flags = list_flags,
        .options_size = sizeof(struct list_options),
        .run = run_list,
    },
    {
        .noun = "topic",
        .verb = "describe",
        .arguments = "TOPIC",
        .summary = "Show the queues of a topic and what is in them",
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_describe,
    },
    {
        .noun = "topic",
        .verb = "delete",
        .arguments = "TOPIC",
        .summary = "Delete a topic with all its messages",
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_delete,
    },
    {.noun = NULL},
};
