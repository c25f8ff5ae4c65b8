#include "admin/replay.h"

#include "common/base/limits.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

/* What a message keeps of itself: how the body is packed. All else says how it was stored. */
enum { SYS_FLAG_COMPRESSION_TYPE = 0x700 };

static enum cli_exit send_copy(struct cli *cli, const struct letter_queue *queue,
                               const struct message *letter, struct slice properties,
                               int64_t *position);
static enum cli_exit look_where_it_went(struct cli *cli, const struct letter_queue *queue,
                                        int64_t position, enum replay *outcome);

enum cli_exit replay_letter(struct cli *cli, const struct letter_queue *queue,
                            const struct message *letter, enum replay *outcome)
{
    bool found = false;
    int64_t position = 0;
    struct buf properties = {0};
    *outcome = REPLAY_BEFORE;
    enum cli_exit code = letter_has_copy(cli, queue, letter, &found);
    if (code != CLI_OK || found) {
        return code;
    }
    if (replay_properties(queue, letter, &properties)) {
        code = send_copy(cli, queue, letter, buf_slice(&properties), &position);
    } else {
        code = cli_fail(cli, CLI_FAILED,
                        "the letter at offset %lld has no room for one property "
                        "more: take it from %s with a consumer of your own",
                        (long long)letter->queue_offset, queue->topic.text);
    }
    buf_close(&properties);
    *outcome = REPLAY_SENT;
    return code == CLI_OK ? look_where_it_went(cli, queue, position, outcome) : code;
}

bool replay_properties(const struct letter_queue *queue, const struct message *letter,
                       struct buf *out)
{
    // What would delay it, make it part of a transaction, or count its deliveries on.
    static const char *const unwanted[] = {
        PROPERTY_DEAD_LETTER,    PROPERTY_DELAY,
        PROPERTY_WAIT,           PROPERTY_REAL_TOPIC,
        PROPERTY_REAL_QUEUE_ID,  PROPERTY_TIMER_DELAY_SEC,
        PROPERTY_TIMER_DELAY_MS, PROPERTY_TIMER_DELIVER_MS,
        PROPERTY_TIMER_OUT_MS,   PROPERTY_TRANSACTION_PREPARED,
        PROPERTY_POP_RECEIPT,    "RECONSUME_TIME",
        "MAX_RECONSUME_TIMES",   "CONSUME_START_TIME",
    };
    char id[LETTER_ID_SIZE];
    struct slice unique;
    properties_copy_without(out, letter->properties, unwanted,
                            sizeof unwanted / sizeof unwanted[0]);
    if (!properties_find(letter->properties, PROPERTY_UNIQUE_KEY, &unique)) {
        struct buf key = {0};
        letter_key(queue, letter, &key);
        properties_append(out, 0, PROPERTY_UNIQUE_KEY, buf_slice(&key));
        buf_close(&key);
    }
    letter_id_format(queue, letter->queue_offset, id);
    properties_append(out, 0, PROPERTY_DEAD_LETTER, slice_text(id));
    return out->size <= MESSAGE_PROPERTIES_MAX;
}

static enum cli_exit send_copy(struct cli *cli, const struct letter_queue *queue,
                               const struct message *letter, struct slice properties,
                               int64_t *position)
{
    struct command request;
    struct buf scratch = {0};
    struct cli_reply reply = {0};
    struct slice id = {0};
    struct host host;
    buf_reserve(&scratch, 256);
    command_init_request(&request, REQUEST_SEND_MESSAGE_V2, 1);
    command_add(&request, "a", slice_text("raftmq-admin"));
    command_add(&request, "b", name_slice(&queue->retry));
    command_add(&request, "c", slice_text(TOPIC_DEFAULT));
    command_add(&request, "d", slice_text("1"));
    command_add(&request, "e", slice_text("-1")); // Any queue of the retry topic.
    command_add_i64(&request, "f",
                    letter->sys_flag & (SYS_FLAG_COMPRESSED | SYS_FLAG_COMPRESSION_TYPE), &scratch);
    command_add_i64(&request, "g", letter->born_time_ms, &scratch);
    command_add_i64(&request, "h", letter->flag, &scratch);
    command_add(&request, "i", properties);
    command_add(&request, "j", slice_text("0")); // Not delivered yet.
    command_add(&request, "k", slice_text("false"));
    request.body = letter->body;
    enum cli_exit code = call_leader_once(cli, queue->broker, &request, &reply);
    const struct command *answer = &reply.command;
    if (code == CLI_OK && !is_stored(answer)) {
        code = cli_refused(cli, queue->broker->name, answer);
    } else if (code == CLI_OK && (!command_find(answer, "msgId", &id) ||
                                  offset_message_id_parse(id, &host, position) != STATUS_OK)) {
        code = cli_nonsense(cli, queue->broker->name);
    }
    cli_reply_close(&reply);
    buf_close(&scratch);
    return code;
}

static enum cli_exit look_where_it_went(struct cli *cli, const struct letter_queue *queue,
                                        int64_t position, enum replay *outcome)
{
    struct command request;
    struct buf scratch = {0};
    struct cli_reply reply = {0};
    struct message copy;
    size_t size;
    buf_reserve(&scratch, 64);
    command_init_request(&request, REQUEST_VIEW_MESSAGE_BY_ID, 1);
    command_add_i64(&request, "offset", position, &scratch);
    enum cli_exit code = ask_leader(cli, queue->broker, &request, &reply);
    if (code == CLI_OK && message_decode(reply.command.body, &copy, &size) != STATUS_OK) {
        code = cli_nonsense(cli, queue->broker->name);
    } else if (code == CLI_OK && topic_is_dead_letter(copy.topic)) {
        *outcome = REPLAY_DIVERTED;
    }
    cli_reply_close(&reply);
    buf_close(&scratch);
    return code;
}
