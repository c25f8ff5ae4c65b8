/* raftmq message pop, ack: one receives messages of a group, another may say that they are done. */
#include "admin/admin_message.h"
#include "admin/brokers.h"
#include "admin/message_json.h"
#include "common/remoting/codes.h"

static const struct column popped_columns[] = {
    {"HANDLE", "handle"}, {"ATTEMPT", "attempt"},  {"TAG", "tag"},
    {"KEYS", "keys"},     {"STORED", "storeTime"}, {"BODY", "body"},
};

static const struct column acked_members[] = {
    {"acknowledged", "acknowledged"},
    {"over before", "over"},
};

/* Tells the person if there is none. */
static enum cli_exit check_topic(struct cli *cli, const char *topic)
{
    struct route route;
    enum cli_exit code = route_find(cli, topic, &route);
    route_close(&route);
    return code;
}

static void set_text(json_t *json, const char *name, const char *text)
{
    if (text[0] != '\0') {
        json_object_set_new(json, name, json_slice(slice_text(text)));
    }
}

static json_t *received_json(const struct raftmq_received *message)
{
    json_t *json = json_pack("{s:i, s:I, s:i, s:I, s:I}", "queue", message->queue_id, "offset",
                             (json_int_t)message->queue_offset, "attempt",
                             message->delivery_attempt, "bornTime", (json_int_t)message->born_ms,
                             "storeTime", (json_int_t)message->stored_ms);
    set_text(json, "handle", message->handle);
    set_text(json, "id", message->message_id);
    set_text(json, "offsetId", message->offset_message_id);
    set_text(json, "topic", message->topic);
    set_text(json, "broker", message->broker);
    set_text(json, "tag", message->tags);
    set_text(json, "keys", message->keys);
    json_set_body(json, slice_of(message->body, message->body_size));
    return json;
}

static enum raftmq_status ack_printed(struct cli *cli, char **arguments,
                                      const struct raftmq_messages *messages,
                                      struct raftmq_error *error)
{
    const char *handles[RAFTMQ_RECEIVE_MAX];
    for (size_t i = 0; i < messages->count; i++) {
        handles[i] = messages->messages[i].handle;
    }
    return raftmq_ack_all(cli->client, arguments[1], arguments[0], handles, messages->count, 0,
                          error);
}

static enum cli_exit receive(struct cli *cli, const struct pop_options *options, char **arguments,
                             struct raftmq_simple_consumer *consumer)
{
    struct raftmq_messages *messages;
    struct raftmq_error error;
    json_t *rows = json_array();
    enum raftmq_status status =
        raftmq_receive(consumer, (uint32_t)options->max, (uint64_t)options->hidden_ms,
                       (uint64_t)options->wait_ms, &messages, &error);
    if (status != RAFTMQ_OK) {
        json_decref(rows);
        return cli_client_failed(cli, &error);
    }
    for (size_t i = 0; i < messages->count; i++) {
        json_array_append_new(rows, received_json(&messages->messages[i]));
    }
    output_rows(cli, rows, popped_columns, OUTPUT_COUNT(popped_columns));
    if (options->ack && messages->count > 0) {
        status = ack_printed(cli, arguments, messages, &error);
    }
    raftmq_messages_free(messages);
    return status == RAFTMQ_OK ? CLI_OK : cli_client_failed(cli, &error);
}

enum cli_exit run_pop(struct cli *cli, const void *opaque, char **arguments)
{
    const struct pop_options *options = opaque;
    if (options->tags != NULL && options->sql != NULL) {
        return cli_fail(cli, CLI_USAGE, "only one of --tags and --sql can be");
    }
    const struct raftmq_subscription subscription = {
        .topic = arguments[0],
        .expression = options->sql != NULL ? options->sql : options->tags,
        .type = options->sql != NULL ? RAFTMQ_SQL92 : RAFTMQ_TAGS,
    };
    const struct raftmq_simple_consumer_options consumer_options = {
        .group = arguments[1],
        .subscriptions = &subscription,
        .subscription_count = 1,
        .from = options->last ? RAFTMQ_FROM_LAST : RAFTMQ_FROM_FIRST,
    };
    struct raftmq_simple_consumer *consumer;
    struct raftmq_error error;
    if (raftmq_simple_consumer_new(cli->client, &consumer_options, &consumer, &error) !=
        RAFTMQ_OK) {
        return cli_client_failed(cli, &error);
    }
    enum cli_exit code = check_topic(cli, arguments[0]);
    if (code == CLI_OK) {
        code = receive(cli, options, arguments, consumer);
    }
    raftmq_simple_consumer_close(consumer);
    return code;
}

enum cli_exit run_ack(struct cli *cli, const void *opaque, char **arguments)
{
    (void)opaque;
    int acknowledged = 0;
    int over = 0;
    enum cli_exit code = check_topic(cli, arguments[0]);
    for (char **handle = &arguments[2]; *handle != NULL && code == CLI_OK; handle++) {
        struct raftmq_error error;
        enum raftmq_status status =
            raftmq_ack(cli->client, arguments[1], arguments[0], *handle, 0, &error);
        if (status == RAFTMQ_OK) {
            acknowledged++;
        } else if (status == RAFTMQ_REFUSED && error.code == RESPONSE_NO_MESSAGE) {
            over++;
        } else {
            code = cli_client_failed(cli, &error);
        }
    }
    if (code == CLI_OK || acknowledged + over > 0) {
        output_object(cli, json_pack("{s:i, s:i}", "acknowledged", acknowledged, "over", over),
                      acked_members, OUTPUT_COUNT(acked_members));
    }
    return code == CLI_OK && over > 0 ? CLI_FAILED : code;
}
