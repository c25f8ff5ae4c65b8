#include "admin/dead_letters.h"

#include "common/base/decimal.h"
#include "common/remoting/body_group.h"
#include "common/remoting/body_stats.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    PULL_MESSAGES = 32,
    PULL_FLAG_SUBSCRIPTION = 4,
    COPIES_MAX = 64, /* That one query finds. */
    /* Apache RocketMQ's key index has times by the second, and replicas' clocks differ. */
    CLOCK_MARGIN_MS = 10000,
};

static enum cli_exit add_queues(struct cli *cli, const struct broker_data *broker,
                                const struct name *group, struct letter_queues *out);
static enum cli_exit read_mark(struct cli *cli, struct letter_queue *queue);
static enum cli_exit store_mark(struct cli *cli, const struct letter_queue *queue, int64_t mark,
                                int32_t *code);
static enum cli_exit create_group(struct cli *cli, const struct broker_data *broker);
static enum cli_exit pull(struct cli *cli, struct letter_reader *reader);
static enum cli_exit find_copy(struct cli *cli, const struct letter_queue *queue,
                               const struct message *letter, struct slice topic, bool *found);

void letter_queues_close(struct letter_queues *queues)
{
    free(queues->queues);
    *queues = (struct letter_queues){0};
}

static int compare_queues(const void *a, const void *b)
{
    const struct letter_queue *x = a;
    const struct letter_queue *y = b;
    int order = slice_compare(x->broker->name, y->broker->name);
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

enum cli_exit letter_queues_find(struct cli *cli, const struct brokers *brokers, const char *group,
                                 const char *broker, struct letter_queues *out)
{
    struct name name;
    *out = (struct letter_queues){0};
    if (!group_name_valid(slice_text(group)) || !name_set(&name, slice_text(group))) {
        return cli_fail(cli, CLI_USAGE, "%s is no valid group name", group);
    }
    enum cli_exit code = broker_check(cli, brokers, broker);
    for (size_t i = 0; code == CLI_OK && i < brokers->info.broker_count; i++) {
        if (broker_chosen(&brokers->info.brokers[i], broker)) {
            code = add_queues(cli, &brokers->info.brokers[i], &name, out);
        }
    }
    if (out->count > 0) {
        qsort(out->queues, out->count, sizeof *out->queues, compare_queues);
    }
    return code;
}

static enum cli_exit add_queues(struct cli *cli, const struct broker_data *broker,
                                const struct name *group, struct letter_queues *out)
{
    struct letter_queue queue = {.broker = broker, .group = *group};
    struct command request;
    struct cli_reply reply = {0};
    struct body body = {0};
    struct topic_stats stats = {0};
    ASSERT(topic_dead_letter_of(name_slice(group), &queue.topic));
    ASSERT(topic_retry_of(name_slice(group), &queue.retry));
    command_init_request(&request, REQUEST_GET_TOPIC_STATS_INFO, 1);
    command_add(&request, "topic", name_slice(&queue.topic));
    enum cli_exit code = call_leader(cli, broker, &request, &reply);
    if (code == CLI_OK && reply.command.code == RESPONSE_SUCCESS) {
        if (topic_stats_decode(reply.command.body, &body, &stats) != STATUS_OK) {
            code = cli_nonsense(cli, broker->name);
        }
    } else if (code == CLI_OK && reply.command.code != RESPONSE_TOPIC_NOT_EXIST) {
        code = cli_refused(cli, broker->name, &reply.command);
    }
    if (code == CLI_OK && stats.count > 0) {
        out->queues = mem_realloc(out->queues, (out->count + stats.count) * sizeof *out->queues);
    }
    for (size_t i = 0; code == CLI_OK && i < stats.count; i++) {
        queue.id = stats.entries[i].queue.queue_id;
        queue.first = stats.entries[i].offset_min;
        queue.next = stats.entries[i].offset_max;
        code = read_mark(cli, &queue);
        out->queues[out->count++] = queue;
    }
    body_close(&body);
    cli_reply_close(&reply);
    return code;
}

/* --- The mark ----------------------------------------------------------------------------- */

/* What both requests about it begin with; scratch has room for two numbers. */
static void begin_mark(const struct letter_queue *queue, int32_t code, struct buf *scratch,
                       struct command *request)
{
    buf_reserve(scratch, 64);
    command_init_request(request, code, 1);
    command_add(request, "consumerGroup", slice_text(GROUP_DEAD_LETTERS));
    command_add(request, "topic", name_slice(&queue->topic));
    command_add_i64(request, "queueId", queue->id, scratch);
}

static enum cli_exit read_mark(struct cli *cli, struct letter_queue *queue)
{
    struct command request;
    struct buf scratch = {0};
    struct cli_reply reply = {0};
    int64_t mark = 0;
    begin_mark(queue, REQUEST_QUERY_CONSUMER_OFFSET, &scratch, &request);
    command_add(&request, "setZeroIfNotFound", slice_text("false"));
    enum cli_exit code = call_leader(cli, queue->broker, &request, &reply);
    if (code == CLI_OK && reply.command.code == RESPONSE_SUCCESS) {
        if (command_i64(&reply.command, "offset", true, &mark) != STATUS_OK) {
            code = cli_nonsense(cli, queue->broker->name);
        }
    } else if (code == CLI_OK && reply.command.code != RESPONSE_QUERY_NOT_FOUND) {
        code = cli_refused(cli, queue->broker->name, &reply.command);
    }
    // Beyond the end: the topic was deleted and made anew, and the mark is of the one before.
    queue->mark = mark < queue->first || mark > queue->next ? queue->first : mark;
    cli_reply_close(&reply);
    buf_close(&scratch);
    return code;
}

enum cli_exit letter_queue_settle(struct cli *cli, struct letter_queue *queue, int64_t mark)
{
    int32_t answer = RESPONSE_SUCCESS;
    if (mark <= queue->mark) {
        return CLI_OK;
    }
    enum cli_exit code = store_mark(cli, queue, mark, &answer);
    if (code == CLI_OK && answer == RESPONSE_SUBSCRIPTION_GROUP_NOT_EXIST) {
        code = create_group(cli, queue->broker); // Apache RocketMQ 5.x wants to know it first.
        if (code == CLI_OK) {
            code = store_mark(cli, queue, mark, &answer);
        }
    }
    if (code == CLI_OK && answer != RESPONSE_SUCCESS) {
        code = cli_fail(cli, CLI_FAILED,
                        "%.*s does not take the offset of " GROUP_DEAD_LETTERS " (%d)",
                        SLICE_ARGS(queue->broker->name), answer);
    }
    if (code == CLI_OK) {
        queue->mark = mark;
    }
    return code;
}

static enum cli_exit store_mark(struct cli *cli, const struct letter_queue *queue, int64_t mark,
                                int32_t *answer)
{
    struct command request;
    struct buf scratch = {0};
    struct cli_reply reply = {0};
    begin_mark(queue, REQUEST_UPDATE_CONSUMER_OFFSET, &scratch, &request);
    command_add_i64(&request, "commitOffset", mark, &scratch);
    enum cli_exit code = call_leader(cli, queue->broker, &request, &reply);
    if (code == CLI_OK) {
        *answer = reply.command.code;
    }
    cli_reply_close(&reply);
    buf_close(&scratch);
    return code;
}

static enum cli_exit create_group(struct cli *cli, const struct broker_data *broker)
{
    struct command request;
    struct buf body = {0};
    struct cli_reply reply = {0};
    const struct group_config config = group_config_default(slice_text(GROUP_DEAD_LETTERS));
    group_config_encode(&config, &body);
    command_init_request(&request, REQUEST_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, 1);
    request.body = buf_slice(&body);
    enum cli_exit code = ask_leader(cli, broker, &request, &reply);
    cli_reply_close(&reply);
    buf_close(&body);
    return code;
}

/* --- Reading ------------------------------------------------------------------------------ */

bool letter_reader_next(struct cli *cli, struct letter_reader *reader, struct message *letter,
                        enum cli_exit *code)
{
    *code = CLI_OK;
    for (;;) {
        size_t size;
        while (reader->rest.size > 0 && message_decode(reader->rest, letter, &size) == STATUS_OK) {
            reader->rest = slice_from(reader->rest, size);
            if (letter->queue_offset >= reader->end) {
                return false;
            }
            if (letter->queue_offset >= reader->next) { // Not one from before, by a lenient broker.
                reader->next = letter->queue_offset + 1;
                return true;
            }
        }
        int64_t before = reader->next;
        if (reader->next >= reader->end) {
            return false;
        }
        *code = pull(cli, reader);
        if (*code != CLI_OK || (reader->rest.size == 0 && reader->next <= before)) {
            return false;
        }
    }
}

static enum cli_exit pull(struct cli *cli, struct letter_reader *reader)
{
    const struct letter_queue *queue = reader->queue;
    struct command request;
    struct buf scratch = {0};
    int64_t next = reader->next;
    buf_reserve(&scratch, 128);
    command_init_request(&request, REQUEST_PULL_MESSAGE, 1);
    command_add(&request, "consumerGroup", slice_text(GROUP_TOOLS));
    command_add(&request, "topic", name_slice(&queue->topic));
    command_add_i64(&request, "queueId", queue->id, &scratch);
    command_add_i64(&request, "queueOffset", reader->next, &scratch);
    command_add_i64(&request, "maxMsgNums", PULL_MESSAGES, &scratch);
    command_add_i64(&request, "sysFlag", PULL_FLAG_SUBSCRIPTION, &scratch);
    command_add(&request, "commitOffset", slice_text("0"));
    command_add(&request, "suspendTimeoutMillis", slice_text("0"));
    command_add(&request, "subscription", slice_text("*"));
    command_add(&request, "subVersion", slice_text("0"));
    command_add(&request, "expressionType", slice_text("TAG"));
    reader->rest = (struct slice){0};
    enum cli_exit code = call_leader(cli, queue->broker, &request, &reader->reply);
    buf_close(&scratch);
    if (code != CLI_OK) {
        return code;
    }
    const struct command *answer = &reader->reply.command;
    switch (answer->code) {
    case RESPONSE_SUCCESS:
        reader->rest = answer->body;
        return CLI_OK;
    case RESPONSE_PULL_NOT_FOUND:
    case RESPONSE_PULL_RETRY_IMMEDIATELY:
    case RESPONSE_PULL_OFFSET_MOVED:
        // What retention has taken meanwhile is passed over.
        if (command_i64(answer, "nextBeginOffset", true, &next) != STATUS_OK) {
            return cli_nonsense(cli, queue->broker->name);
        }
        reader->next = next > reader->next ? next : reader->next;
        return CLI_OK;
    default:
        return cli_refused(cli, queue->broker->name, answer);
    }
}

void letter_reader_close(struct letter_reader *reader)
{
    cli_reply_close(&reader->reply);
}

/* --- Names and copies --------------------------------------------------------------------- */

void letter_id_format(const struct letter_queue *queue, int64_t offset, char id[LETTER_ID_SIZE])
{
    snprintf(id, LETTER_ID_SIZE, "%.*s:%" PRId32 ":%" PRId64, SLICE_ARGS(queue->broker->name),
             queue->id, offset);
}

bool letter_id_parse(const char *id, struct slice *broker, int32_t *queue, int64_t *offset)
{
    const char *last = strrchr(id, ':');
    const char *middle = last;
    while (middle != NULL && middle > id && middle[-1] != ':') {
        middle--;
    }
    int64_t number;
    if (last == NULL || middle <= id + 1 ||
        !decimal_parse(slice_of(middle, (size_t)(last - middle)), &number) || number < 0 ||
        number >= QUEUES_PER_TOPIC_MAX || !decimal_parse(slice_text(last + 1), offset) ||
        *offset < 0) {
        return false;
    }
    *broker = slice_of(id, (size_t)(middle - 1 - id));
    *queue = (int32_t)number;
    return true;
}

void letter_key(const struct letter_queue *queue, const struct message *letter, struct buf *key)
{
    struct slice unique;
    char id[LETTER_ID_SIZE];
    buf_clear(key);
    if (properties_find(letter->properties, PROPERTY_UNIQUE_KEY, &unique) &&
        unique.size <= KEY_SIZE_MAX) {
        buf_put_slice(key, unique);
        return;
    }
    letter_id_format(queue, letter->queue_offset, id);
    buf_printf(key, "DEAD-%s", id);
}

enum cli_exit letter_has_copy(struct cli *cli, const struct letter_queue *queue,
                              const struct message *letter, bool *found)
{
    *found = false;
    enum cli_exit code = find_copy(cli, queue, letter, name_slice(&queue->retry), found);
    if (code == CLI_OK && !*found) {
        code = find_copy(cli, queue, letter, name_slice(&queue->topic), found);
    }
    return code;
}

/* Does one of the messages found name this letter? */
static bool any_names(struct slice messages, const char *id)
{
    struct message message;
    size_t size;
    while (message_decode(messages, &message, &size) == STATUS_OK) {
        struct slice named;
        if (properties_find(message.properties, PROPERTY_DEAD_LETTER, &named) &&
            slice_equals_text(named, id)) {
            return true;
        }
        messages = slice_from(messages, size);
    }
    return false;
}

static enum cli_exit find_copy(struct cli *cli, const struct letter_queue *queue,
                               const struct message *letter, struct slice topic, bool *found)
{
    struct command request;
    struct buf scratch = {0};
    struct buf key = {0};
    struct cli_reply reply = {0};
    char id[LETTER_ID_SIZE];
    int64_t since_ms = letter->store_time_ms - CLOCK_MARGIN_MS;
    letter_id_format(queue, letter->queue_offset, id);
    letter_key(queue, letter, &key);
    buf_reserve(&scratch, 128);
    command_init_request(&request, REQUEST_QUERY_MESSAGE, 1);
    command_add(&request, "topic", topic);
    command_add(&request, "key", buf_slice(&key));
    command_add_i64(&request, "maxNum", COPIES_MAX, &scratch);
    command_add_i64(&request, "beginTimestamp", since_ms > 0 ? since_ms : 0, &scratch);
    command_add_i64(&request, "endTimestamp", INT64_MAX, &scratch);
    enum cli_exit code = call_leader(cli, queue->broker, &request, &reply);
    if (code == CLI_OK && reply.command.code == RESPONSE_SUCCESS) {
        *found = any_names(reply.command.body, id);
    } else if (code == CLI_OK && reply.command.code != RESPONSE_QUERY_NOT_FOUND &&
               reply.command.code != RESPONSE_TOPIC_NOT_EXIST) {
        code = cli_refused(cli, queue->broker->name, &reply.command);
    }
    cli_reply_close(&reply);
    buf_close(&key);
    buf_close(&scratch);
    return code;
}
