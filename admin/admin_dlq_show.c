/* raftmq dlq list and show. */
#include "admin/admin_dlq.h"
#include "admin/message_json.h"
#include "common/base/clock.h"
#include "common/remoting/body_topic.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <string.h>

enum { LOOK_AT_MAX = 1000 }; /* Letters of a queue that `list` looks at one by one. */

static const struct column list_columns[] = {{"GROUP", "group"},
                                             {"LETTERS", "letters"},
                                             {"EXACT", "exact"},
                                             {"AGE", "age"},
                                             {"OLDEST", "oldestTime"}};

static const struct column letter_columns[] = {{"LETTER", "letter"},       {"STATE", "state"},
                                               {"TOPIC", "originTopic"},   {"KEYS", "keys"},
                                               {"DELIVERED", "delivered"}, {"BORN", "bornTime"},
                                               {"DIED", "diedTime"},       {"MESSAGE ID", "id"}};

static const struct column letter_members[] = {
    {"letter", "letter"},     {"state", "state"},
    {"topic", "originTopic"}, {"first offset id", "originId"},
    {"died", "diedTime"},     {"why", "why"}};

/* --- List --------------------------------------------------------------------------------- */

/* Add the groups with a dead-letter topic on one broker group to the object's members. */
static enum cli_exit collect_groups(struct cli *cli, const struct broker_data *broker,
                                    json_t *groups)
{
    struct command request;
    struct cli_reply reply = {0};
    struct body body = {0};
    struct topic_table table;
    command_init_request(&request, REQUEST_GET_ALL_TOPIC_CONFIG, 1);
    enum cli_exit code = ask_leader(cli, broker, &request, &reply);
    if (code == CLI_OK && topic_table_decode(reply.command.body, &body, &table) != STATUS_OK) {
        code = cli_nonsense(cli, broker->name);
    } else if (code == CLI_OK) {
        for (size_t i = 0; i < table.count; i++) {
            struct name group;
            if (topic_is_dead_letter(table.topics[i].name) &&
                group_name_valid(topic_group(table.topics[i].name)) &&
                name_set(&group, topic_group(table.topics[i].name))) {
                json_object_set_new(groups, group.text, json_true());
            }
        }
    }
    body_close(&body);
    cli_reply_close(&reply);
    return code;
}

struct letter_count {
    int64_t letters;
    int64_t oldest_ms; /* 0: none. */
    bool exact;
};

/* Add what one queue has. */
static enum cli_exit count_queue(struct cli *cli, const struct letter_queue *queue,
                                 struct letter_count *count)
{
    struct letter_reader reader = {.queue = queue, .next = queue->mark, .end = queue->next};
    struct message letter;
    enum cli_exit code = CLI_OK;
    bool few = queue->next - queue->mark <= LOOK_AT_MAX;
    while (letter_reader_next(cli, &reader, &letter, &code)) {
        bool replayed = false;
        code = few ? letter_has_copy(cli, queue, &letter, &replayed) : CLI_OK;
        if (code != CLI_OK) {
            break;
        }
        if (!replayed) {
            count->letters++;
            count->oldest_ms = count->oldest_ms == 0 || letter.store_time_ms < count->oldest_ms
                                   ? letter.store_time_ms
                                   : count->oldest_ms;
        }
        if (!few) { // The first one tells the age; the rest are as many as there are offsets.
            count->letters += queue->next - reader.next;
            count->exact = false;
            break;
        }
    }
    letter_reader_close(&reader);
    return code;
}

static enum cli_exit count_group(struct cli *cli, const struct brokers *brokers, const char *group,
                                 const char *broker, json_t *rows)
{
    struct letter_queues queues;
    struct letter_count count = {.exact = true};
    enum cli_exit code = letter_queues_find(cli, brokers, group, broker, &queues);
    for (size_t i = 0; code == CLI_OK && i < queues.count; i++) {
        code = count_queue(cli, &queues.queues[i], &count);
    }
    if (code == CLI_OK && count.letters > 0) {
        json_int_t age_ms = (json_int_t)clock_wall_ms(clock_system()) - count.oldest_ms;
        json_array_append_new(rows,
                              json_pack("{s:s, s:I, s:b, s:I, s:I, s:o}", "group", group, "letters",
                                        (json_int_t)count.letters, "exact", count.exact,
                                        "oldestTime", (json_int_t)count.oldest_ms, "ageMs", age_ms,
                                        "age", json_duration(age_ms)));
    }
    letter_queues_close(&queues);
    return code;
}

enum cli_exit run_dlq_list(struct cli *cli, const void *opaque, char **arguments)
{
    (void)arguments;
    const struct dlq_list_options *options = opaque;
    struct brokers brokers;
    enum cli_exit code = brokers_find(cli, &brokers);
    json_t *groups = json_object();
    json_t *rows = json_array();
    code = code == CLI_OK ? broker_check(cli, &brokers, options->broker) : code;
    for (size_t i = 0; code == CLI_OK && i < brokers.info.broker_count; i++) {
        if (broker_chosen(&brokers.info.brokers[i], options->broker)) {
            code = collect_groups(cli, &brokers.info.brokers[i], groups);
        }
    }
    const char *group;
    json_t *unused;
    json_object_foreach(groups, group, unused)
    {
        code = code == CLI_OK ? count_group(cli, &brokers, group, options->broker, rows) : code;
    }
    json_decref(groups);
    brokers_close(&brokers);
    if (code != CLI_OK) {
        json_decref(rows);
        return code;
    }
    output_sort(rows, list_columns, 1);
    output_rows(cli, rows, list_columns, OUTPUT_COUNT(list_columns));
    return CLI_OK;
}

/* --- Show --------------------------------------------------------------------------------- */

static json_t *letter_json(const struct letter_queue *queue, const struct message *letter,
                           const char *state)
{
    char id[LETTER_ID_SIZE];
    struct slice value;
    json_t *json = message_json(letter);
    letter_id_format(queue, letter->queue_offset, id);
    json_object_set_new(json, "letter", json_string(id));
    json_object_set_new(json, "state", json_string(state));
    json_object_set_new(json, "broker", json_slice(queue->broker->name));
    json_object_set_new(json, "group", json_string(queue->group.text));
    json_object_set_new(json, "diedTime", json_integer((json_int_t)letter->store_time_ms));
    json_object_set_new(json, "delivered", json_integer(letter->reconsume_times));
    json_object_set_new(json, "why",
                        json_sprintf("delivered %d times, each failed", letter->reconsume_times));
    if (properties_find(letter->properties, PROPERTY_RETRY_TOPIC, &value)) {
        json_object_set_new(json, "originTopic", json_slice(value));
    }
    if (properties_find(letter->properties, PROPERTY_ORIGIN_MESSAGE_ID, &value)) {
        json_object_set_new(json, "originId", json_slice(value));
    }
    return json;
}

static enum cli_exit state_of(struct cli *cli, const struct letter_queue *queue,
                              const struct message *letter, const char **state)
{
    bool replayed = false;
    if (letter->queue_offset < queue->mark) {
        *state = "settled";
        return CLI_OK;
    }
    enum cli_exit code = letter_has_copy(cli, queue, letter, &replayed);
    *state = replayed ? "replayed" : "open";
    return code;
}

static enum cli_exit show_queue(struct cli *cli, const struct letter_queue *queue,
                                const struct dlq_show_options *options, json_t *rows)
{
    struct letter_reader reader = {
        .queue = queue,
        .next = options->all ? queue->first : queue->mark,
        .end = queue->next,
    };
    struct message letter;
    enum cli_exit code = CLI_OK;
    while ((int64_t)json_array_size(rows) < options->max &&
           letter_reader_next(cli, &reader, &letter, &code)) {
        const char *state;
        if (!letter_selected(&options->selection, &letter)) {
            continue;
        }
        code = state_of(cli, queue, &letter, &state);
        if (code != CLI_OK) {
            break;
        }
        if (options->all || strcmp(state, "open") == 0) {
            json_array_append_new(rows, letter_json(queue, &letter, state));
        }
    }
    letter_reader_close(&reader);
    return code;
}

static enum cli_exit show_one(struct cli *cli, const struct letter_queues *queues, const char *id)
{
    int64_t offset = 0;
    struct message letter;
    const char *state;
    const struct letter_queue *queue = letter_queue_named(queues, id, &offset);
    struct letter_reader reader = {.queue = queue, .next = offset, .end = offset + 1};
    enum cli_exit code = CLI_OK;
    if (queue == NULL || !letter_reader_next(cli, &reader, &letter, &code)) {
        letter_reader_close(&reader);
        return code != CLI_OK ? code : cli_fail(cli, CLI_NOT_FOUND, "no such letter: %s", id);
    }
    code = state_of(cli, queue, &letter, &state);
    if (code == CLI_OK) {
        struct column members[OUTPUT_COUNT(letter_members) + MESSAGE_MEMBER_COUNT];
        memcpy(members, letter_members, sizeof letter_members);
        memcpy(members + OUTPUT_COUNT(letter_members), message_members,
               MESSAGE_MEMBER_COUNT * sizeof *members);
        output_object(cli, letter_json(queue, &letter, state), members, OUTPUT_COUNT(members));
    }
    letter_reader_close(&reader);
    return code;
}

enum cli_exit run_dlq_show(struct cli *cli, const void *opaque, char **arguments)
{
    const struct dlq_show_options *options = opaque;
    struct brokers brokers;
    struct letter_queues queues = {0};
    enum cli_exit code = brokers_find(cli, &brokers);
    if (code == CLI_OK) {
        code = letter_queues_find(cli, &brokers, arguments[0], options->selection.broker, &queues);
    }
    if (code == CLI_OK && arguments[1] != NULL) {
        code = show_one(cli, &queues, arguments[1]);
    } else if (code == CLI_OK) {
        json_t *rows = json_array();
        for (size_t i = 0; code == CLI_OK && i < queues.count; i++) {
            code = show_queue(cli, &queues.queues[i], options, rows);
        }
        if (code == CLI_OK) {
            output_rows(cli, rows, letter_columns, OUTPUT_COUNT(letter_columns));
        } else {
            json_decref(rows);
        }
    }
    letter_queues_close(&queues);
    brokers_close(&brokers);
    return code;
}
