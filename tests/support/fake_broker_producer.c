#include "tests/support/fake_broker_roles.h"

#include "common/remoting/codes.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

enum { REPLY_OPAQUE = 326326 };

static struct message message_of(const struct fake_broker *fake, int broker,
                                 const struct command *command)
{
    return (struct message){
        .queue_id = (int32_t)fake_number(command, "e"),
        .flag = (int32_t)fake_number(command, "h"),
        .sys_flag = (int32_t)fake_number(command, "f"),
        .born_time_ms = fake_number(command, "g"),
        .born_host = {LOOPBACK, 1},
        .store_time_ms = 1700000000000,
        .store_host = loop_peer_host(&fake->peers[broker]),
        .body = command->body,
        .topic = fake_field(command, "b"),
        .properties = fake_field(command, "i"),
    };
}

static int64_t append(struct fake_broker *fake, int broker, struct message *message)
{
    struct fake_queue *queue = &fake->queues[broker][message->queue_id];
    if (queue->count == FAKE_MESSAGES_MAX) {
        fail_msg("too many messages for the fake broker");
    }
    message->queue_offset = (int64_t)queue->count;
    message->physical_offset = (int64_t)queue->count * 1000 + message->queue_id;
    message_encode(message, &queue->messages[queue->count++]);
    return message->queue_offset;
}

/* The items of a batch, one after the other. */
static int64_t append_batch(struct fake_broker *fake, int broker, const struct command *command)
{
    struct slice rest = command->body;
    int64_t first = -1;
    while (rest.size > 22) {
        struct message message = message_of(fake, broker, command);
        uint32_t body_size = be32_get(rest.data + 16);
        uint16_t properties_size = be16_get(rest.data + 20 + body_size);
        message.flag = (int32_t)be32_get(rest.data + 12);
        message.body = slice_of(rest.data + 20, body_size);
        message.properties = slice_of(rest.data + 22 + body_size, properties_size);
        int64_t offset = append(fake, broker, &message);
        first = first < 0 ? offset : first;
        rest = slice_from(rest, be32_get(rest.data));
    }
    return first;
}

static void answer_send(struct fake_broker *fake, int broker, struct conn *conn,
                        const struct command *command, int64_t queue_offset,
                        int64_t physical_offset)
{
    struct command response;
    struct buf scratch = {0};
    struct slice delay;
    char id[OFFSET_MESSAGE_ID_SIZE];
    buf_reserve(&scratch, 64);
    offset_message_id_format(loop_peer_host(&fake->peers[broker]), physical_offset, id);
    command_init_response(&response, command, atomic_load(&fake->send_status));
    command_add(&response, "msgId", slice_of(id, sizeof id));
    command_add_i64(&response, "queueId", fake_number(command, "e"), &scratch);
    command_add_i64(&response, "queueOffset", queue_offset, &scratch);
    if (properties_find(fake_field(command, "i"), PROPERTY_TIMER_DELAY_MS, &delay)) {
        command_add(&response, "recallHandle", slice_text(FAKE_RECALL_HANDLE));
    }
    conn_send_command(conn, &response);
    buf_close(&scratch);
}

static void refuse_send(struct fake_broker *fake, int broker, struct conn *conn,
                        const struct command *command)
{
    struct command response;
    struct buf hint = {0};
    command_init_response(&response, command, atomic_load(&fake->refuse_code));
    response.remark = slice_text("refused as told");
    if (atomic_load(&fake->hint_other)) {
        fake_broker_host(fake, 1 - broker, &hint);
        command_add(&response, "leaderHint", buf_slice(&hint));
    }
    conn_send_command(conn, &response);
    buf_close(&hint);
}

static void on_send(struct fake_broker *fake, int broker, struct conn *conn,
                    const struct command *command)
{
    struct slice prepared;
    int refuse_broker = atomic_load(&fake->refuse_broker);
    atomic_fetch_add(&fake->sends, 1);
    atomic_fetch_add(&fake->sends_of[broker], 1);
    if (atomic_load(&fake->swallow_sends)) {
        return;
    }
    if (atomic_load(&fake->lose_sends) > 0) {
        atomic_fetch_sub(&fake->lose_sends, 1);
        conn_close(conn, STATUS_CANCELED);
        return;
    }
    if ((refuse_broker < 0 || refuse_broker == broker) && atomic_load(&fake->refuse_sends) > 0) {
        atomic_fetch_sub(&fake->refuse_sends, 1);
        refuse_send(fake, broker, conn, command);
        return;
    }
    struct message message = message_of(fake, broker, command);
    struct slice waiting;
    struct buf properties = {0};
    int64_t offset;
    if (properties_find(message.properties, PROPERTY_REPLY_TO_CLIENT, &waiting)) {
        buf_put_slice(&properties, message.properties);
        properties_append(&properties, 0, PROPERTY_CLUSTER, slice_text("C1"));
        message.properties = buf_slice(&properties);
    }
    if (properties_find(message.properties, PROPERTY_TRANSACTION_PREPARED, &prepared)) {
        offset = (int64_t)fake->half_count;
        struct fake_half *half = &fake->halves[fake->half_count++];
        message.queue_offset = offset;
        message.physical_offset = 100000 + offset;
        half->outcome = -1;
        message_encode(&message, &half->encoded);
        answer_send(fake, broker, conn, command, offset, message.physical_offset);
        return;
    }
    offset = slice_equals_text(fake_field(command, "m"), "true")
                 ? append_batch(fake, broker, command)
                 : append(fake, broker, &message);
    buf_close(&properties);
    if (command_is_oneway(command)) {
        atomic_fetch_add(&fake->oneways, 1);
    } else {
        answer_send(fake, broker, conn, command, offset, offset * 1000);
    }
}

static void ask_check(const struct fake_half *half, int64_t offset, struct conn *conn)
{
    struct command request;
    struct buf scratch = {0};
    buf_reserve(&scratch, 128);
    command_init_request(&request, REQUEST_CHECK_TRANSACTION_STATE, 1);
    request.flag = COMMAND_FLAG_ONEWAY;
    command_add(&request, "topic", slice_text(TOPIC_HALF));
    command_add_i64(&request, "tranStateTableOffset", offset, &scratch);
    command_add_i64(&request, "commitLogOffset", 100000 + offset, &scratch);
    command_add(&request, "transactionId", slice_text("t"));
    command_add(&request, "bname", slice_text("broker-a"));
    request.body = buf_slice(&half->encoded);
    conn_send_command(conn, &request);
    buf_close(&scratch);
}

static void on_end_transaction(struct fake_broker *fake, int broker, struct conn *conn,
                               const struct command *command)
{
    int64_t offset = fake_number(command, "tranStateTableOffset");
    int32_t outcome = (int32_t)fake_number(command, "commitOrRollback");
    if (offset < 0 || (size_t)offset >= fake->half_count ||
        fake_number(command, "commitLogOffset") != 100000 + offset) {
        fail_msg("END_TRANSACTION names no half message");
    }
    struct fake_half *half = &fake->halves[offset];
    if (slice_equals_text(fake_field(command, "fromTransactionCheck"), "true")) {
        atomic_fetch_add(&fake->checks_answered, 1);
    }
    half->outcome = outcome;
    if (outcome == 8) {
        struct message message;
        size_t size;
        if (message_decode(buf_slice(&half->encoded), &message, &size) != STATUS_OK) {
            fail_msg("a half message does not decode");
        }
        (void)append(fake, broker, &message);
        atomic_fetch_add(&fake->commits, 1);
    } else if (outcome == 12) {
        atomic_fetch_add(&fake->rollbacks, 1);
    } else {
        atomic_fetch_add(&fake->unknowns, 1);
        if (atomic_load(&fake->ask_unknown)) {
            ask_check(half, offset, conn);
        }
    }
}

/* Push a reply to all clients, to one of which it belongs. */
static void on_reply(struct fake_broker *fake, int broker, struct conn *conn,
                     const struct command *command)
{
    struct command request;
    struct slice type;
    command_init_request(&request, REQUEST_PUSH_REPLY_MESSAGE_TO_CLIENT, REPLY_OPAQUE);
    command_add(&request, "topic", fake_field(command, "b"));
    command_add(&request, "properties", fake_field(command, "i"));
    command_add(&request, "bornTimestamp", fake_field(command, "g"));
    command_add(&request, "bornHost", slice_text("127.0.0.1:1"));
    command_add(&request, "sysFlag", fake_field(command, "f"));
    request.body = command->body;
    if (!slice_equals_text(fake_field(command, "b"), "C1_REPLY_TOPIC") ||
        !properties_find(fake_field(command, "i"), PROPERTY_MESSAGE_TYPE, &type) ||
        !slice_equals_text(type, "reply")) {
        fail_msg("a reply is not marked as one");
    }
    atomic_fetch_add(&fake->replies, 1);
    LIST_FOREACH(at, &fake->peers[broker].conns)
    {
        conn_send_command(CONTAINER_OF(at, struct loop_peer_conn, in_peer)->conn, &request);
    }
    loop_peer_answer(conn, command, 0, (struct slice){0});
}

static void on_recall(struct fake_broker *fake, int broker, struct conn *conn,
                      const struct command *command)
{
    bool known = slice_equals_text(fake_field(command, "recallHandle"), FAKE_RECALL_HANDLE);
    atomic_fetch_add(&fake->recalls_of[broker], 1);
    loop_peer_answer(conn, command, known ? RESPONSE_SUCCESS : RESPONSE_ILLEGAL_OPERATION,
                     (struct slice){0});
}

void fake_producer_on_answer(struct fake_broker *fake, const struct command *answer)
{
    if (answer->opaque == REPLY_OPAQUE) {
        atomic_fetch_add(answer->code == 0 ? &fake->replies_taken : &fake->replies_refused, 1);
    }
}

bool fake_producer_on_command(struct fake_broker *fake, int broker, struct conn *conn,
                              const struct command *command)
{
    switch (command->code) {
    case REQUEST_SEND_MESSAGE_V2:
    case REQUEST_SEND_BATCH_MESSAGE:
        on_send(fake, broker, conn, command);
        return true;
    case REQUEST_END_TRANSACTION:
        on_end_transaction(fake, broker, conn, command);
        return true;
    case REQUEST_SEND_REPLY_MESSAGE_V2:
        on_reply(fake, broker, conn, command);
        return true;
    case REQUEST_RECALL_MESSAGE:
        on_recall(fake, broker, conn, command);
        return true;
    default:
        return false;
    }
}
