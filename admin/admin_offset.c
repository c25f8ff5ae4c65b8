/* raftmq offset: where a consumer group goes on. How far it is tells `group describe`. */
#include "admin/brokers.h"
#include "admin/output.h"
#include "admin/time_text.h"
#include "common/remoting/body_stats.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

enum { TIME_LATEST = -1, TIME_EARLIEST = 0, UNSET = -1 };

struct reset_options {
    const char *group;
    const char *topic;
    const char *time;
    const char *broker;
    bool earliest;
    bool latest;
    int64_t offset;
    int64_t queue_id;
};

static const struct reset_options reset_defaults = {.offset = UNSET, .queue_id = UNSET};

static const struct cli_flag reset_flags[] = {
    {'g', "group", CLI_TEXT, "NAME", "the consumer group", offsetof(struct reset_options, group), 0,
     0},
    {'T', "topic", CLI_TEXT, "TOPIC", "the topic", offsetof(struct reset_options, topic), 0, 0},
    {'w', "time", CLI_TEXT, "TIME",
     "to the first message stored at or after it: 2026-11-22T20:57:26Z, or ms since the epoch",
     offsetof(struct reset_options, time), 0, 0},
    {'e', "earliest", CLI_SWITCH, NULL, "to the oldest messages",
     offsetof(struct reset_options, earliest), 0, 0},
    {'l', "latest", CLI_SWITCH, NULL, "to the messages sent from now on",
     offsetof(struct reset_options, latest), 0, 0},
    {'O', "offset", CLI_NUMBER, "OFFSET", "to this offset of the queue (--queue, --broker)",
     offsetof(struct reset_options, offset), 0, INT64_MAX},
    {'q', "queue", CLI_NUMBER, "ID", "only this queue", offsetof(struct reset_options, queue_id), 0,
     QUEUES_PER_TOPIC_MAX - 1},
    {'b', "broker", CLI_TEXT, "GROUP", "only at this broker group",
     offsetof(struct reset_options, broker), 0, 0},
    {0},
};

static const struct column reset_columns[] = {
    {"BROKER", "broker"}, {"QUEUE", "queue"}, {"OFFSET", "offset"}};

/* One request, which also Apache RocketMQ understands, to one broker group. */
static enum cli_exit reset_broker(struct cli *cli, const struct broker_data *broker,
                                  const struct reset_options *options, int64_t time_ms,
                                  json_t *rows)
{
    struct command request;
    struct buf scratch = {0};
    struct cli_reply reply = {0};
    struct body body = {0};
    struct queue_offset *offsets = NULL;
    size_t count = 0;
    buf_reserve(&scratch, 128);
    command_init_request(&request, REQUEST_INVOKE_BROKER_TO_RESET_OFFSET, 1);
    command_add(&request, "group", slice_text(options->group));
    command_add(&request, "topic", slice_text(options->topic));
    command_add(&request, "isForce", slice_text("true"));
    command_add_i64(&request, "timestamp", time_ms, &scratch);
    command_add_i64(&request, "queueId", options->queue_id, &scratch);
    if (options->offset != UNSET) {
        command_add_i64(&request, "offset", options->offset, &scratch);
    }
    enum cli_exit code = ask_leader(cli, broker, &request, &reply);
    if (code == CLI_OK &&
        offset_table_decode(reply.command.body, &body, &offsets, &count) != STATUS_OK) {
        code = cli_nonsense(cli, broker->name);
    }
    for (size_t i = 0; code == CLI_OK && i < count; i++) {
        json_array_append_new(rows, json_pack("{s:o, s:i, s:I}", "broker", json_slice(broker->name),
                                              "queue", offsets[i].queue.queue_id, "offset",
                                              (json_int_t)offsets[i].offset));
    }
    body_close(&body);
    cli_reply_close(&reply);
    buf_close(&scratch);
    return code;
}

/* To which time; with an offset, which wins, any will do. */
static enum cli_exit target_of(struct cli *cli, const struct reset_options *options,
                               int64_t *time_ms)
{
    bool by_offset = options->offset != UNSET;
    int ways = (options->time != NULL) + options->earliest + options->latest + by_offset;
    if (options->group == NULL || options->topic == NULL || ways != 1 ||
        !group_name_valid(slice_text(options->group))) {
        return cli_fail(cli, CLI_USAGE,
                        "--group and --topic are wanted, and one of --time, --earliest, --latest "
                        "and --offset");
    }
    if (by_offset && (options->queue_id == UNSET || options->broker == NULL)) {
        return cli_fail(cli, CLI_USAGE,
                        "--offset is one of one queue: --broker and --queue are wanted, too");
    }
    *time_ms = options->latest ? TIME_LATEST : TIME_EARLIEST;
    if (options->time != NULL && !time_parse(options->time, time_ms)) {
        return cli_fail(cli, CLI_USAGE,
                        "--time: 2026-11-22T20:57:26Z or milliseconds since the epoch are wanted, "
                        "not \"%s\"",
                        options->time);
    }
    return CLI_OK;
}

static enum cli_exit run_reset(struct cli *cli, const void *opaque, char **arguments)
{
    (void)arguments;
    const struct reset_options *options = opaque;
    struct route route = {0};
    int64_t time_ms = 0;
    bool any = false;
    enum cli_exit code = target_of(cli, options, &time_ms);
    if (code == CLI_OK) {
        code = route_find(cli, options->topic, &route);
    }
    json_t *rows = json_array();
    for (size_t i = 0; code == CLI_OK && i < route.route.broker_count; i++) {
        if (broker_chosen(&route.route.brokers[i], options->broker)) {
            any = true;
            code = reset_broker(cli, &route.route.brokers[i], options, time_ms, rows);
        }
    }
    if (code == CLI_OK && !any) {
        code = cli_fail(cli, CLI_NOT_FOUND, "no such broker group has topic %s", options->topic);
    }
    route_close(&route);
    if (json_array_size(rows) > 0 || code == CLI_OK) { // Also what was reset before it failed.
        output_sort(rows, reset_columns, 2);
        output_rows(cli, rows, reset_columns, OUTPUT_COUNT(reset_columns));
    } else {
        json_decref(rows);
    }
    return code;
}

const struct cli_command offset_commands[] = {
    {
        .noun = "offset",
        .verb = "reset",
        .arguments = "-g GROUP -T TOPIC --time TIME|--earliest|--latest|--offset OFFSET",
        .summary = "Have a consumer group go on elsewhere in a topic",
        .notes = "Its consumers may run: they go on there with their next pull, and what they had\n"
                 "in work is not counted. (Apache RocketMQ 4.9 needs one to run,\n"
                 "and to have an offset of each queue.) If it fails at\n"
                 "one broker group, those before it are reset: run it again. Where the group is,\n"
                 "`raftmq group describe` tells.\n",
        .flags = reset_flags,
        .defaults = &reset_defaults,
        .options_size = sizeof reset_defaults,
        .run = run_reset,
    },
    {.noun = NULL},
};
