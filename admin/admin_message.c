/* raftmq message: send one, take it back, get one by its id, find some by key. What a consumer does
 * is in admin_message_pop.c. */
#include "admin/admin_message.h"
#include "admin/brokers.h"
#include "admin/message_json.h"
#include "admin/output.h"
#include "admin/time_text.h"
#include "common/base/clock.h"
#include "common/base/decimal.h"
#include "common/base/random.h"
#include "common/remoting/codes.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct send_options {
    const char *tags;
    const char *keys;
    const char *broker;
    int64_t queue_id; /* -1: the broker chooses. */
    int64_t delay_level;
    int64_t delay_ms;
    const char *deliver_at;
};

enum { DELAY_LEVEL_MAX = 1024, ACKS_MAX = 1024 };

static const struct send_options send_defaults = {.queue_id = -1};

static const struct cli_flag send_flags[] = {
    {'T', "tag", CLI_TEXT, "TAG", "tag of the message", offsetof(struct send_options, tags), 0, 0},
    {'k', "keys", CLI_TEXT, "KEYS", "keys, parted by spaces", offsetof(struct send_options, keys),
     0, 0},
    {'b', "broker", CLI_TEXT, "GROUP", "to this broker group (else to one with the topic)",
     offsetof(struct send_options, broker), 0, 0},
    {'q', "queue", CLI_NUMBER, "ID", "to this queue (else the broker chooses)",
     offsetof(struct send_options, queue_id), -1, QUEUES_PER_TOPIC_MAX - 1},
    {'l', "delay-level", CLI_NUMBER, "LEVEL", "delayed by this level of messageDelayLevel",
     offsetof(struct send_options, delay_level), 1, DELAY_LEVEL_MAX},
    {'d', "delay-ms", CLI_NUMBER, "MS", "delayed by so much",
     offsetof(struct send_options, delay_ms), 1, INT64_MAX},
    {'a', "deliver-at", CLI_TEXT, "TIME",
     "delayed until 2026-11-22T20:57:26Z, or ms since the epoch",
     offsetof(struct send_options, deliver_at), 0, 0},
    {0},
};

struct query_options {
    int64_t max;
    int64_t since_s; /* 0: however old. */
    bool unique;
};

static const struct query_options query_defaults = {.max = 32};

static const struct cli_flag query_flags[] = {
    {'m', "max", CLI_NUMBER, "COUNT", "at most so many per broker group (32)",
     offsetof(struct query_options, max), 1, 64},
    {'s', "since", CLI_NUMBER, "SECONDS", "only messages of the last so many seconds",
     offsetof(struct query_options, since_s), 1, INT32_MAX},
    {'u', "unique", CLI_SWITCH, NULL, "KEY is a message id that the producer gave",
     offsetof(struct query_options, unique), 0, 0},
    {0},
};

static const struct pop_options pop_defaults = {.max = RAFTMQ_RECEIVE_MAX, .hidden_ms = 60000};

static const struct cli_flag pop_flags[] = {
    {'m', "max", CLI_NUMBER, "COUNT", "at most so many (32)", offsetof(struct pop_options, max), 1,
     RAFTMQ_RECEIVE_MAX},
    {'i', "invisible-ms", CLI_NUMBER, "MS", "hide them from the group for so long (60000)",
     offsetof(struct pop_options, hidden_ms), 1, INT64_MAX},
    {'w', "wait-ms", CLI_NUMBER, "MS", "if there are none, wait for some for so long (0)",
     offsetof(struct pop_options, wait_ms), 0, INT64_MAX},
    {'e', "tags", CLI_TEXT, "TAGS", "only those with one of these tags: \"a || b\"",
     offsetof(struct pop_options, tags), 0, 0},
    {'s', "sql", CLI_TEXT, "CONDITION", "only those whose properties meet this SQL92 condition",
     offsetof(struct pop_options, sql), 0, 0},
    {'l', "last", CLI_SWITCH, NULL, "a new group begins with what is sent from now on",
     offsetof(struct pop_options, last), 0, 0},
    {'a', "ack", CLI_SWITCH, NULL, "acknowledge them once they are printed",
     offsetof(struct pop_options, ack), 0, 0},
    {0},
};

static const struct column sent_members[] = {
    {"message id", "id"},          {"offset id", "offsetId"},
    {"broker", "broker"},          {"queue", "queue"},
    {"offset", "offset"},          {"recall handle", "recallHandle"},
    {"send status", "sendStatus"},
};

static const struct column found_columns[] = {
    {"OFFSET ID", "offsetId"}, {"QUEUE", "queue"},      {"OFFSET", "offset"}, {"TAG", "tag"},
    {"KEYS", "keys"},          {"STORED", "storeTime"}, {"SIZE", "bodySize"}};

/* --- Sending ------------------------------------------------------------------------------ */

/* Choose where to send: the named broker, or the first in the route that can be written to. */
static const struct broker_data *choose(const struct route *route, const char *name)
{
    for (size_t i = 0; i < route->route.queue_count; i++) {
        const struct queue_data *queue = &route->route.queues[i];
        const struct broker_data *broker = route_broker(route, queue->broker);
        if (broker != NULL && (queue->perm & PERM_WRITE) != 0 && broker_chosen(broker, name)) {
            return broker;
        }
    }
    return NULL;
}

static void random_id_format(char id[33])
{
    struct random random = random_system();
    snprintf(id, 33, "%016" PRIX64 "%016" PRIX64, random_next(&random), random_next(&random));
}

static enum cli_exit print_sent(struct cli *cli, const struct broker_data *broker, const char *id,
                                const struct command *response)
{
    struct slice offset_id = {0};
    struct slice handle = {0};
    int64_t queue_offset = -1;
    int32_t queue_id = -1;
    if (!command_find(response, "msgId", &offset_id) ||
        command_i64(response, "queueOffset", true, &queue_offset) != STATUS_OK ||
        command_i32(response, "queueId", true, &queue_id) != STATUS_OK) {
        return cli_nonsense(cli, broker->name);
    }
    // The names of RocketMQ's SendStatus.
    const char *status =
        response->code == RESPONSE_SUCCESS ? "SEND_OK" : response_code_name(response->code);
    json_t *sent = json_pack("{s:s, s:o, s:o, s:i, s:I, s:s}", "id", id, "offsetId",
                             json_slice(offset_id), "broker", json_slice(broker->name), "queue",
                             queue_id, "offset", (json_int_t)queue_offset, "sendStatus", status);
    if (command_find(response, "recallHandle", &handle) && handle.size > 0) {
        json_object_set_new(sent, "recallHandle", json_slice(handle));
    }
    output_object(cli, sent, sent_members, OUTPUT_COUNT(sent_members));
    return CLI_OK;
}

/* At most one of the three is there. */
static void add_delay(const struct send_options *options, int64_t deliver_ms,
                      struct buf *properties)
{
    const struct {
        const char *name;
        int64_t value;
    } delays[] = {
        {PROPERTY_DELAY, options->delay_level},
        {PROPERTY_TIMER_DELAY_MS, options->delay_ms},
        {PROPERTY_TIMER_DELIVER_MS, deliver_ms},
    };
    for (size_t i = 0; i < OUTPUT_COUNT(delays); i++) {
        if (delays[i].value > 0) {
            char text[DECIMAL_SIZE_MAX];
            size_t size = decimal_format(delays[i].value, text);
            properties_append(properties, 0, delays[i].name, slice_of(text, size));
        }
    }
}

static enum cli_exit send(struct cli *cli, const struct send_options *options, int64_t deliver_ms,
                          const struct broker_data *broker, char **arguments)
{
    char id[33];
    struct command request;
    struct buf properties = {0};
    struct buf scratch = {0};
    struct cli_reply reply = {0};
    random_id_format(id);
    buf_reserve(&scratch, 128);
    properties_append(&properties, 0, PROPERTY_UNIQUE_KEY, slice_text(id));
    if (options->tags != NULL) {
        properties_append(&properties, 0, PROPERTY_TAGS, slice_text(options->tags));
    }
    if (options->keys != NULL) {
        properties_append(&properties, 0, PROPERTY_KEYS, slice_text(options->keys));
    }
    add_delay(options, deliver_ms, &properties);
    command_init_request(&request, REQUEST_SEND_MESSAGE_V2, 1);
    command_add(&request, "a", slice_text("raftmq-admin"));
    command_add(&request, "b", slice_text(arguments[0]));
    command_add(&request, "c", slice_text(TOPIC_DEFAULT));
    command_add(&request, "d", slice_text("4"));
    command_add_i64(&request, "e", options->queue_id, &scratch);
    command_add(&request, "f", slice_text("0"));
    command_add_i64(&request, "g", (int64_t)clock_wall_ms(clock_system()), &scratch);
    command_add(&request, "h", slice_text("0"));
    command_add(&request, "i", buf_slice(&properties));
    command_add(&request, "j", slice_text("0"));
    request.body = slice_text(arguments[1]);
    enum cli_exit code = call_leader_once(cli, broker, &request, &reply);
    if (code == CLI_OK && !is_stored(&reply.command)) {
        code = cli_refused(cli, broker->name, &reply.command);
    } else if (code == CLI_OK) {
        code = print_sent(cli, broker, id, &reply.command);
    }
    cli_reply_close(&reply);
    buf_close(&scratch);
    buf_close(&properties);
    return code;
}

static enum cli_exit run_send(struct cli *cli, const void *opaque, char **arguments)
{
    const struct send_options *options = opaque;
    struct route route;
    int64_t deliver_ms = 0;
    if (strlen(arguments[1]) > MESSAGE_BODY_MAX) {
        return cli_fail(cli, CLI_USAGE, "the message is too large");
    }
    if ((options->delay_level > 0) + (options->delay_ms > 0) + (options->deliver_at != NULL) > 1) {
        return cli_fail(cli, CLI_USAGE,
                        "only one of --delay-level, --delay-ms and --deliver-at can be");
    }
    if (options->deliver_at != NULL && !time_parse(options->deliver_at, &deliver_ms)) {
        return cli_fail(cli, CLI_USAGE,
                        "--deliver-at: 2026-11-22T20:57:26Z or milliseconds since the epoch are "
                        "wanted, not \"%s\"",
                        options->deliver_at);
    }
    enum cli_exit code = route_find(cli, arguments[0], &route);
    if (code == CLI_OK) {
        const struct broker_data *broker = choose(&route, options->broker);
        code = broker == NULL ? cli_fail(cli, CLI_NOT_FOUND, "no broker group takes messages of %s",
                                         arguments[0])
                              : send(cli, options, deliver_ms, broker, arguments);
    }
    route_close(&route);
    return code;
}

static enum cli_exit run_recall(struct cli *cli, const void *options, char **arguments)
{
    (void)options;
    struct raftmq_error error;
    return raftmq_recall(cli->client, arguments[0], arguments[1], 0, &error) == RAFTMQ_OK
               ? CLI_OK
               : cli_client_failed(cli, &error);
}

/* --- Showing ------------------------------------------------------------------------------ */

static enum cli_exit run_get(struct cli *cli, const void *options, char **arguments)
{
    (void)options;
    struct host host;
    int64_t offset;
    if (offset_message_id_parse(slice_text(arguments[0]), &host, &offset) != STATUS_OK) {
        return cli_fail(cli, CLI_USAGE,
                        "an offset id has 32 hex digits; for the id that a producer "
                        "gave use `raftmq message query --unique TOPIC ID`");
    }
    struct command request;
    struct buf scratch = {0};
    struct buf address = {0};
    struct cli_reply reply = {0};
    struct message message;
    size_t size;
    buf_reserve(&scratch, 64);
    command_init_request(&request, REQUEST_VIEW_MESSAGE_BY_ID, 1);
    command_add_i64(&request, "offset", offset, &scratch);
    enum cli_exit code = CLI_OK;
    host_format(host, &address);
    if (!cli_call(cli, buf_text(&address), &request, &reply)) {
        code =
            cli_fail(cli, CLI_UNREACHABLE, "the broker that the id names: %s", reply.error.remark);
    } else if (reply.command.code == RESPONSE_SYSTEM_ERROR) {
        code =
            cli_fail(cli, CLI_NOT_FOUND, "no such message: %.*s", SLICE_ARGS(reply.command.remark));
    } else if (reply.command.code != RESPONSE_SUCCESS) {
        code = cli_refused(cli, slice_text("broker"), &reply.command);
    } else if (message_decode(reply.command.body, &message, &size) != STATUS_OK) {
        code = cli_nonsense(cli, slice_text("broker"));
    } else {
        output_object(cli, message_json(&message), message_members, MESSAGE_MEMBER_COUNT);
    }
    cli_reply_close(&reply);
    buf_close(&scratch);
    buf_close(&address);
    return code;
}

/* Does the message really have that key? Brokers find by hash. */
static bool has_key(const struct message *message, struct slice key, bool unique)
{
    struct slice words;
    if (properties_find(message->properties, PROPERTY_UNIQUE_KEY, &words) &&
        slice_equals(words, key)) {
        return true;
    }
    if (unique || !properties_find(message->properties, PROPERTY_KEYS, &words)) {
        return false;
    }
    while (words.size > 0) {
        const uint8_t *end = memchr(words.data, ' ', words.size);
        size_t size = end == NULL ? words.size : (size_t)(end - words.data);
        if (slice_equals(slice_of(words.data, size), key)) {
            return true;
        }
        words = slice_from(words, end == NULL ? size : size + 1);
    }
    return false;
}

/* Append what one broker group finds to rows. */
static enum cli_exit query_broker(struct cli *cli, const struct broker_data *broker,
                                  const struct query_options *options, char **arguments,
                                  json_t *rows)
{
    struct command request;
    struct buf scratch = {0};
    struct cli_reply reply = {0};
    struct slice key = slice_text(arguments[1]);
    int64_t now_ms = (int64_t)clock_wall_ms(clock_system());
    buf_reserve(&scratch, 128);
    command_init_request(&request, REQUEST_QUERY_MESSAGE, 1);
    command_add(&request, "topic", slice_text(arguments[0]));
    command_add(&request, "key", key);
    command_add_i64(&request, "maxNum", options->max, &scratch);
    command_add_i64(&request, "beginTimestamp",
                    options->since_s == 0 ? 0 : now_ms - options->since_s * 1000, &scratch);
    command_add_i64(&request, "endTimestamp", INT64_MAX, &scratch);
    if (options->unique) {
        command_add(&request, "_UNIQUE_KEY_QUERY", slice_text("true"));
    }
    enum cli_exit code = call_leader(cli, broker, &request, &reply);
    if (code == CLI_OK && reply.command.code == RESPONSE_SUCCESS) {
        struct slice rest = reply.command.body;
        struct message message;
        size_t size;
        while (message_decode(rest, &message, &size) == STATUS_OK) {
            if (has_key(&message, key, options->unique)) {
                json_array_append_new(rows, message_json(&message));
            }
            rest = slice_from(rest, size);
        }
    } else if (code == CLI_OK && reply.command.code != RESPONSE_QUERY_NOT_FOUND) {
        code = cli_refused(cli, broker->name, &reply.command);
    }
    cli_reply_close(&reply);
    buf_close(&scratch);
    return code;
}

static enum cli_exit run_query(struct cli *cli, const void *opaque, char **arguments)
{
    const struct query_options *options = opaque;
    struct route route;
    enum cli_exit code = route_find(cli, arguments[0], &route);
    json_t *rows = json_array();
    for (size_t i = 0; code == CLI_OK && i < route.route.broker_count; i++) {
        code = query_broker(cli, &route.route.brokers[i], options, arguments, rows);
    }
    route_close(&route);
    if (code == CLI_OK && json_array_size(rows) == 0) {
        code = cli_fail(cli, CLI_NOT_FOUND, "no message of %s has the key %s", arguments[0],
                        arguments[1]);
    }
    if (code != CLI_OK) {
        json_decref(rows);
        return code;
    }
    output_rows(cli, rows, found_columns, OUTPUT_COUNT(found_columns));
    return CLI_OK;
}

const struct cli_command message_commands[] = {
    {
        .noun = "message",
        .verb = "send",
        .arguments = "TOPIC BODY",
        .summary = "Send one message",
        .notes =
            "With any send status it is stored; any but SEND_OK tells what is not yet done for "
            "its\nsafety. 4: if the broker did not answer, it may be stored all the same.\n",
        .flags = send_flags,
        .defaults = &send_defaults,
        .options_size = sizeof send_defaults,
        .arguments_min = 2,
        .arguments_max = 2,
        .run = run_send,
    },
    {
        .noun = "message",
        .verb = "recall",
        .arguments = "TOPIC HANDLE",
        .summary = "Take back a message that is delayed to a time and has not come yet",
        .notes = "HANDLE is what `message send` printed, or the producer was given. Brokers allow "
                 "it if\nrecallMessageEnable is set. 1: it has come, was recalled before, or the "
                 "handle is wrong.\n",
        .arguments_min = 2,
        .arguments_max = 2,
        .run = run_recall,
    },
    {
        .noun = "message",
        .verb = "get",
        .arguments = "OFFSET-ID",
        .summary = "Show a message by its offset id",
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_get,
    },
    {
        .noun = "message",
        .verb = "query",
        .arguments = "TOPIC KEY",
        .summary = "Find messages by a key",
        .flags = query_flags,
        .defaults = &query_defaults,
        .options_size = sizeof query_defaults,
        .arguments_min = 2,
        .arguments_max = 2,
        .run = run_query,
    },
    {
        .noun = "message",
        .verb = "pop",
        .arguments = "TOPIC GROUP",
        .summary = "Receive messages as a consumer of a group, from any queue",
        .notes = "They are hidden from the rest of the group until they are acknowledged (`message "
                 "ack`), and\ncome again if they are not in time. The group should not pull. "
                 "None is no error.\n",
        .flags = pop_flags,
        .defaults = &pop_defaults,
        .options_size = sizeof pop_defaults,
        .arguments_min = 2,
        .arguments_max = 2,
        .run = run_pop,
    },
    {
        .noun = "message",
        .verb = "ack",
        .arguments = "TOPIC GROUP HANDLE...",
        .summary = "Say that messages are done which the group has popped",
        .notes =
            "HANDLE is what `message pop` printed, in quotes; POP_CK of RocketMQ's clients will "
            "do, too.\n1: a delivery was over before, acknowledged or with somebody else.\n",
        .arguments_min = 3,
        .arguments_max = ACKS_MAX,
        .run = run_ack,
    },
    {.noun = NULL},
};
