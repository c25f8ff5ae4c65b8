/* raftmq cluster: how all groups and replicas are. */
#include "admin/output.h"
#include "admin/replica_status.h"

#include <string.h>
#include <unistd.h>

struct status_options {
    const char *broker;
    int64_t watch_s;
};

static const struct cli_flag status_flags[] = {
    {'b', "broker", CLI_TEXT, "GROUP", "only this broker group",
     offsetof(struct status_options, broker), 0, 0},
    {'w', "watch", CLI_NUMBER, "SECONDS", "show it again every so many seconds",
     offsetof(struct status_options, watch_s), 1, 3600},
    {0},
};

static const struct column replica_columns[] = {
    {"GROUP", "group"}, {"ID", "memberId"},     {"ADDRESS", "address"}, {"ROLE", "role"},
    {"TERM", "term"},   {"LAST", "last"},       {"COMMIT", "commit"},   {"APPLIED", "applied"},
    {"LAG", "lag"},     {"CLIENTS", "clients"}, {"HEALTH", "health"},
};

static const struct column group_columns[] = {
    {"GROUP", "group"},       {"CLUSTER", "cluster"}, {"LEADER", "leader"},   {"TERM", "term"},
    {"MESSAGES", "messages"}, {"PENDING", "pending"}, {"EXPIRED", "expired"}, {"HEALTH", "health"},
};

/* Counters of the leader, for the line of the group. */
static void add_counters(json_t *group)
{
    const char *leader = json_string_value(json_object_get(group, "leader"));
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(group, "replicas"), i, row)
    {
        const char *address = json_string_value(json_object_get(row, "address"));
        const json_t *counters = json_object_get(json_object_get(row, "status"), "counters");
        if (leader == NULL || counters == NULL || strcmp(leader, address) != 0) {
            continue;
        }
        static const char *const names[] = {"messages", "pending", "expired"};
        for (size_t n = 0; n < OUTPUT_COUNT(names); n++) {
            json_t *value = json_object_get(counters, names[n]);
            if (value != NULL) {
                json_object_set(group, names[n], value);
            }
        }
    }
}

static void print(struct cli *cli, json_t *groups)
{
    if (cli->json) {
        output_json(cli, groups);
        return;
    }
    json_t *replicas = json_array();
    size_t i;
    json_t *group;
    json_array_foreach(groups, i, group)
    {
        json_array_extend(replicas, json_object_get(group, "replicas"));
    }
    output_table(cli->out, groups, group_columns, OUTPUT_COUNT(group_columns));
    fprintf(cli->out, "\n");
    output_table(cli->out, replicas, replica_columns, OUTPUT_COUNT(replica_columns));
    json_decref(replicas);
    json_decref(groups);
}

static enum cli_exit show(struct cli *cli, const struct status_options *options, bool clear)
{
    struct brokers brokers;
    enum cli_exit code = brokers_find(cli, &brokers);
    if (code != CLI_OK) {
        brokers_close(&brokers);
        return code;
    }
    json_t *groups = json_array();
    for (size_t i = 0; i < brokers.info.broker_count; i++) {
        if (broker_chosen(&brokers.info.brokers[i], options->broker)) {
            json_t *group = group_status(cli, &brokers.info.brokers[i]);
            add_counters(group);
            code = json_is_true(json_object_get(group, "healthy")) ? code : CLI_DEGRADED;
            json_array_append_new(groups, group);
        }
    }
    brokers_close(&brokers);
    if (json_array_size(groups) == 0) {
        json_decref(groups);
        return cli_fail(cli, CLI_NOT_FOUND, "the nameserver knows no such broker group");
    }
    if (clear && !cli->json) {
        fprintf(cli->out, "\033[H\033[2J");
    }
    print(cli, groups);
    fflush(cli->out);
    return code;
}

static enum cli_exit run_status(struct cli *cli, const void *opaque, char **arguments)
{
    (void)arguments;
    const struct status_options *options = opaque;
    enum cli_exit code = show(cli, options, options->watch_s > 0);
    while (options->watch_s > 0) { // Until interrupted.
        sleep((unsigned)options->watch_s);
        code = show(cli, options, true);
    }
    return code;
}

const struct cli_command cluster_commands[] = {
    {
        .noun = "cluster",
        .verb = "status",
        .arguments = "",
        .summary = "Show every broker group and replica, and whether all is well",
        .flags = status_flags,
        .options_size = sizeof(struct status_options),
        .run = run_status,
    },
    {.noun = NULL},
};
