/* raftmq node: the servers of a cluster, and which groups they belong to. */
#include "admin/member_change.h"
#include "admin/output.h"
#include "admin/replica_status.h"
#include "common/base/clock.h"
#include "common/base/decimal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct node_options {
    const char *broker;
    int64_t wait_s;
    bool standby;
    bool force;
    bool off;
    bool wait;
};

static const struct node_options defaults = {.wait_s = 600};

#define FLAG_BROKER                                                                                \
    {                                                                                              \
        'b', "broker", CLI_TEXT, "GROUP", "only this broker group",                                \
            offsetof(struct node_options, broker), 0, 0                                            \
    }
#define FLAG_WITHIN                                                                                \
    {                                                                                              \
        'W', "within", CLI_NUMBER, "SECONDS", "give up after so long (600)",                       \
            offsetof(struct node_options, wait_s), 1, 86400                                        \
    }

static const struct cli_flag list_flags[] = {FLAG_BROKER, {0}};
static const struct cli_flag change_flags[] = {FLAG_BROKER, FLAG_WITHIN, {0}};
static const struct cli_flag add_flags[] = {
    FLAG_BROKER,
    FLAG_WITHIN,
    {'s', "standby", CLI_SWITCH, NULL, "leave it without a vote (then: node promote)",
     offsetof(struct node_options, standby), 0, 0},
    {0},
};
static const struct cli_flag drain_flags[] = {
    FLAG_BROKER,
    FLAG_WITHIN,
    {'w', "wait", CLI_SWITCH, NULL, "until it leads nothing", offsetof(struct node_options, wait),
     0, 0},
    {'u', "undo", CLI_SWITCH, NULL, "let it lead again", offsetof(struct node_options, off), 0, 0},
    {'f', "force", CLI_SWITCH, NULL, "even if a group could not do without it",
     offsetof(struct node_options, force), 0, 0},
    {0},
};

static const struct column node_columns[] = {
    {"GROUP", "group"}, {"NODE", "id"},         {"MEMBER", "membership"}, {"ROLE", "role"},
    {"LAG", "lag"},     {"DRAINED", "drained"}, {"ADDRESS", "address"},   {"RAFT", "raftAddr"},
};

/* ---- Groups ---- */

static uint64_t deadline(const struct node_options *options)
{
    return clock_monotonic_ms(clock_system()) + (uint64_t)options->wait_s * 1000;
}

static enum cli_exit parse_id(struct cli *cli, const char *text, int64_t *id)
{
    if (!decimal_parse(slice_text(text), id) || *id <= 0) {
        return cli_fail(cli, CLI_USAGE, "a node is named by its nodeId, a positive number: %s",
                        text);
    }
    return CLI_OK;
}

/* Do something for every chosen group in turn; the first failure ends it. */
static enum cli_exit
for_groups(struct cli *cli, const struct node_options *options,
           enum cli_exit (*work)(struct cli *cli, const struct broker_data *group, void *context),
           void *context)
{
    struct brokers brokers;
    enum cli_exit code = brokers_find(cli, &brokers);
    size_t count = 0;
    for (size_t i = 0; code == CLI_OK && i < brokers.info.broker_count; i++) {
        const struct broker_data *group = &brokers.info.brokers[i];
        if (broker_chosen(group, options->broker)) {
            code = work(cli, group, context);
            count++;
        }
    }
    if (code == CLI_OK && count == 0) {
        code = cli_fail(cli, CLI_NOT_FOUND, "the nameserver knows no such broker group");
    }
    brokers_close(&brokers);
    return code;
}

/* ---- list ---- */

static json_t *find_row(json_t *rows, json_int_t id)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (json_integer_value(json_object_get(row, "memberId")) == id) {
            return row;
        }
    }
    return NULL;
}

static void copy(json_t *to, const char *name, const json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);
    if (value != NULL) {
        json_object_set(to, name, value);
    }
}

/* What the best informed replica knows of the members: the leader, or anybody. */
static const json_t *best_answer(const json_t *status)
{
    const char *leader = json_string_value(json_object_get(status, "leader"));
    const json_t *best = NULL;
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(status, "replicas"), i, row)
    {
        const char *address = json_string_value(json_object_get(row, "address"));
        const json_t *answer = json_object_get(row, "status");
        if (answer != NULL && (best == NULL || (leader != NULL && strcmp(leader, address) == 0))) {
            best = answer;
        }
    }
    return best;
}

static enum cli_exit list_group(struct cli *cli, const struct broker_data *group, void *context)
{
    json_t *rows = context;
    json_t *status = group_status(cli, group);
    json_t *replicas = json_object_get(status, "replicas");
    size_t i;
    json_t *member;
    json_array_foreach(json_object_get(best_answer(status), "members"), i, member)
    {
        json_t *row = json_pack("{s:o}", "group", json_slice(group->name));
        copy(row, "id", member, "id");
        copy(row, "membership", member, "membership");
        copy(row, "drained", member, "draining");
        copy(row, "raftAddr", member, "raftAddr");
        copy(row, "address", member, "clientAddr");
        const json_t *replica =
            find_row(replicas, json_integer_value(json_object_get(member, "id")));
        copy(row, "role", replica, "role");
        copy(row, "lag", replica, "lag");
        json_array_append_new(rows, row);
    }
    json_decref(status);
    return CLI_OK;
}

static enum cli_exit run_list(struct cli *cli, const void *opaque, char **arguments)
{
    (void)arguments;
    json_t *rows = json_array();
    enum cli_exit code = for_groups(cli, opaque, list_group, rows);
    if (code != CLI_OK) {
        json_decref(rows);
        return code;
    }
    output_rows(cli, rows, node_columns, OUTPUT_COUNT(node_columns));
    return CLI_OK;
}

/* ---- add, promote, remove, replace ---- */

struct change {
    const enum member_step *steps; /* Of ids, one after the other. */
    const int64_t *ids;
    size_t count;
    uint64_t deadline_ms;
};

static enum cli_exit change_group(struct cli *cli, const struct broker_data *group, void *context)
{
    static const char *const done[] = {"has node %" PRId64 " as standby",
                                       "has node %" PRId64 " as voter", "is without node %" PRId64};
    const struct change *change = context;
    enum cli_exit code = CLI_OK;
    for (size_t i = 0; i < change->count && code == CLI_OK; i++) {
        code = member_step(cli, group, change->ids[i], change->steps[i], change->deadline_ms);
        if (code == CLI_OK && !cli->json) {
            fprintf(cli->out, "%.*s ", SLICE_ARGS(group->name));
            fprintf(cli->out, done[change->steps[i]], change->ids[i]);
            fprintf(cli->out, "\n");
            fflush(cli->out);
        }
    }
    return code;
}

static enum cli_exit run_change(struct cli *cli, const struct node_options *options,
                                const enum member_step *steps, const int64_t *ids, size_t count)
{
    struct change change = {steps, ids, count, deadline(options)};
    enum cli_exit code = for_groups(cli, options, change_group, &change);
    if (code == CLI_OK && cli->json) {
        return run_list(cli, options, NULL);
    }
    return code;
}

static enum cli_exit run_add(struct cli *cli, const void *opaque, char **arguments)
{
    static const enum member_step steps[] = {STEP_ADD, STEP_PROMOTE};
    const struct node_options *options = opaque;
    int64_t ids[2];
    enum cli_exit code = parse_id(cli, arguments[0], &ids[0]);
    ids[1] = ids[0];
    return code != CLI_OK ? code : run_change(cli, options, steps, ids, options->standby ? 1 : 2);
}

static enum cli_exit run_promote(struct cli *cli, const void *opaque, char **arguments)
{
    static const enum member_step steps[] = {STEP_PROMOTE};
    int64_t id = 0;
    enum cli_exit code = parse_id(cli, arguments[0], &id);
    return code != CLI_OK ? code : run_change(cli, opaque, steps, &id, 1);
}

static enum cli_exit run_remove(struct cli *cli, const void *opaque, char **arguments)
{
    static const enum member_step steps[] = {STEP_REMOVE};
    int64_t id = 0;
    enum cli_exit code = parse_id(cli, arguments[0], &id);
    return code != CLI_OK ? code : run_change(cli, opaque, steps, &id, 1);
}

static enum cli_exit run_replace(struct cli *cli, const void *opaque, char **arguments)
{
    static const enum member_step steps[] = {STEP_ADD, STEP_PROMOTE, STEP_REMOVE};
    int64_t ids[3];
    enum cli_exit code = parse_id(cli, arguments[0], &ids[2]);
    if (code == CLI_OK) {
        code = parse_id(cli, arguments[1], &ids[0]);
    }
    ids[1] = ids[0];
    if (code == CLI_OK && ids[0] == ids[2]) {
        code = cli_fail(cli, CLI_USAGE,
                        "a node cannot replace itself; a new disk is enough: it "
                        "gets a copy when it starts");
    }
    return code != CLI_OK ? code : run_change(cli, opaque, steps, ids, 3);
}

/* ---- drain ---- */

struct drain {
    int64_t id;
    bool on;
};

/* Could this group go on without the node? */
static enum cli_exit check_group(struct cli *cli, const struct broker_data *group, void *context)
{
    const struct drain *drain = context;
    json_t *status = group_status(cli, group);
    const json_t *answer = best_answer(status);
    json_t *replicas = json_object_get(status, "replicas");
    unsigned voters = 0;
    unsigned well = 0;
    bool member = false;
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(answer, "members"), i, row)
    {
        const char *is = json_string_value(json_object_get(row, "membership"));
        json_int_t id = json_integer_value(json_object_get(row, "id"));
        if (is == NULL || strcmp(is, "voter") != 0) {
            continue;
        }
        const json_t *replica = find_row(replicas, id);
        const char *health = json_string_value(json_object_get(replica, "health"));
        voters++;
        member = member || id == drain->id;
        well += id != drain->id && health != NULL && strcmp(health, "ok") == 0;
    }
    json_decref(status);
    if (member && well <= voters / 2) {
        return cli_fail(cli, CLI_FAILED,
                        "%.*s: without node %" PRId64 " only %u of %u voters are well, so it "
                        "cannot be spared; --force drains it all the same",
                        SLICE_ARGS(group->name), drain->id, well, voters);
    }
    return CLI_OK;
}

static enum cli_exit drain_group(struct cli *cli, const struct broker_data *group, void *context)
{
    const struct drain *drain = context;
    return member_drain(cli, group, drain->id, drain->on);
}

/* Counts groups that the node leads, or may lead for all that is known. */
struct leading {
    int64_t id;
    unsigned count;
};

/* A node that does not answer leads nothing once another one does, with a quorum. */
static bool may_lead(const json_t *status, int64_t id)
{
    const json_t *row = find_row(json_object_get(status, "replicas"), id);
    const char *role = json_string_value(json_object_get(row, "role"));
    const char *health = json_string_value(json_object_get(status, "health"));
    return role != NULL ? strcmp(role, "leader") == 0
                        : strcmp(health, "no leader") == 0 || strcmp(health, "no quorum") == 0;
}

static enum cli_exit count_led(struct cli *cli, const struct broker_data *group, void *context)
{
    struct leading *leading = context;
    json_t *status = group_status(cli, group);
    leading->count += may_lead(status, leading->id);
    json_decref(status);
    return CLI_OK;
}

static enum cli_exit wait_until_it_leads_nothing(struct cli *cli,
                                                 const struct node_options *options, int64_t id)
{
    uint64_t until = deadline(options);
    struct leading leading = {.id = id, .count = 1};
    while (leading.count > 0) {
        leading.count = 0;
        enum cli_exit code = for_groups(cli, options, count_led, &leading);
        if (code != CLI_OK) {
            return code;
        }
        if (leading.count > 0 && clock_monotonic_ms(clock_system()) >= until) {
            return cli_fail(cli, CLI_FAILED,
                            "node %" PRId64 " still leads %u groups, or does not answer for them",
                            id, leading.count);
        }
        usleep(leading.count > 0 ? 200000 : 0);
    }
    return CLI_OK;
}

static enum cli_exit run_drain(struct cli *cli, const void *opaque, char **arguments)
{
    const struct node_options *options = opaque;
    struct drain drain = {.on = !options->off};
    enum cli_exit code = parse_id(cli, arguments[0], &drain.id);
    if (code == CLI_OK && drain.on && !options->force) {
        code = for_groups(cli, options, check_group, &drain);
    }
    if (code == CLI_OK) {
        code = for_groups(cli, options, drain_group, &drain);
    }
    if (code == CLI_OK && drain.on && options->wait) {
        code = wait_until_it_leads_nothing(cli, options, drain.id);
    }
    return code;
}

const struct cli_command node_commands[] = {
    {
        .noun = "node",
        .verb = "list",
        .arguments = "",
        .summary = "Show which nodes belong to which broker groups",
        .flags = list_flags,
        .defaults = &defaults,
        .options_size = sizeof(struct node_options),
        .run = run_list,
    },
    {
        .noun = "node",
        .verb = "add",
        .arguments = "ID",
        .summary = "Make a started node a member of the broker groups: it gets a copy, then a vote",
        .flags = add_flags,
        .defaults = &defaults,
        .options_size = sizeof(struct node_options),
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_add,
    },
    {
        .noun = "node",
        .verb = "promote",
        .arguments = "ID",
        .summary = "Give a standby node a vote",
        .flags = change_flags,
        .defaults = &defaults,
        .options_size = sizeof(struct node_options),
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_promote,
    },
    {
        .noun = "node",
        .verb = "remove",
        .arguments = "ID",
        .summary = "Take a node out of the broker groups; leadership is handed over first",
        .flags = change_flags,
        .defaults = &defaults,
        .options_size = sizeof(struct node_options),
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_remove,
    },
    {
        .noun = "node",
        .verb = "replace",
        .arguments = "OLD NEW",
        .summary = "Add a started node and take another one out, group by group",
        .flags = change_flags,
        .defaults = &defaults,
        .options_size = sizeof(struct node_options),
        .arguments_min = 2,
        .arguments_max = 2,
        .run = run_replace,
    },
    {
        .noun = "node",
        .verb = "drain",
        .arguments = "ID",
        .summary = "Move all leadership away from a node, before maintenance; until it restarts",
        .flags = drain_flags,
        .defaults = &defaults,
        .options_size = sizeof(struct node_options),
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_drain,
    },
    {.noun = NULL},
};
