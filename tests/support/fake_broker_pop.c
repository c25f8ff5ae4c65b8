#include "tests/support/fake_broker_roles.h"

#include "common/remoting/body_pop.h"
#include "common/remoting/codes.h"
#include "common/remoting/pop_handle.h"
#include "common/remoting/properties.h"

#include <inttypes.h>

enum { POP_EPOCH = 1700000000, REVIVE_QUEUE = 7 };

/* What an answer to a pop is made of. */
struct pop_answer {
    int64_t pop_ms;
    int64_t invisible_ms;
    int64_t left; /* Messages that may still go into it. */
    size_t count;
    struct buf starts;
    struct buf body;
};

/* The time of a delivery; each has its own, also of two within one ms. */
static int64_t next_pop_ms(struct fake_broker *fake)
{
    int64_t now_ms = (int64_t)POP_EPOCH * 1000 + (int64_t)uv_now(&fake->loop);
    fake->last_pop_ms = now_ms > fake->last_pop_ms ? now_ms : fake->last_pop_ms + 1;
    return fake->last_pop_ms;
}

static bool visible(const struct fake_broker *fake, const struct fake_queue *queue, size_t offset)
{
    const struct fake_popped *popped = &queue->popped[offset];
    return !popped->done && (popped->pop_ms == 0 || popped->due_ms <= uv_now(&fake->loop));
}

static bool any_visible(const struct fake_broker *fake, int broker)
{
    for (int q = 0; q < FAKE_QUEUES; q++) {
        for (size_t i = 0; i < fake->queues[broker][q].count; i++) {
            if (visible(fake, &fake->queues[broker][q], i)) {
                return true;
            }
        }
    }
    return false;
}

/* A message with how often it came; in Apache's way, with its handle if it came before. */
static void put_message(const struct fake_broker *fake, int broker, int queue_id, size_t offset,
                        const struct pop_answer *answer, struct buf *out)
{
    const struct fake_queue *queue = &fake->queues[broker][queue_id];
    const struct fake_popped *popped = &queue->popped[offset];
    struct message message;
    struct buf properties = {0};
    struct buf handle = {0};
    size_t size;
    if (message_decode(buf_slice(&queue->messages[offset]), &message, &size) != STATUS_OK) {
        fail_msg("a stored message does not decode");
    }
    message.reconsume_times = popped->times - 1;
    if (atomic_load(&fake->pop_as_apache) && popped->times > 1) {
        buf_put_slice(&properties, message.properties);
        buf_printf(&handle, "%" PRId64 " %" PRId64 " %" PRId64 " %d 1 %s %d %zu", popped->first,
                   answer->pop_ms, answer->invisible_ms, REVIVE_QUEUE, fake_broker_name(broker),
                   queue_id, offset);
        properties_append(&properties, 0, PROPERTY_POP_RECEIPT, buf_slice(&handle));
        message.properties = buf_slice(&properties);
    }
    message_encode(&message, out);
    buf_close(&handle);
    buf_close(&properties);
}

/* The broker says where it began to look: not at the first message that it gives, if it may. */
static void take_from(struct fake_broker *fake, int broker, int queue_id, struct pop_answer *answer)
{
    struct fake_queue *queue = &fake->queues[broker][queue_id];
    bool bare = atomic_load(&fake->pop_bare);
    int64_t start = -1;
    for (size_t i = 0; i < queue->count && answer->left > 0; i++) {
        if (!visible(fake, queue, i)) {
            continue;
        }
        start = start >= 0 ? start : bare ? (int64_t)i : 0;
        queue->popped[i] = (struct fake_popped){
            .pop_ms = answer->pop_ms,
            .first = start,
            .due_ms = uv_now(&fake->loop) + (uint64_t)answer->invisible_ms,
            .times = queue->popped[i].times + 1,
        };
        put_message(fake, broker, queue_id, i, answer, &answer->body);
        answer->count++;
        answer->left--;
    }
    if (start >= 0) {
        buf_printf(&answer->starts, "%s0 %d %" PRId64, answer->starts.size == 0 ? "" : ";",
                   queue_id, start);
    }
}

static void on_pop(struct fake_broker *fake, int broker, struct conn *conn,
                   const struct command *command)
{
    struct command response;
    struct buf scratch = {0};
    struct pop_answer answer = {
        .pop_ms = next_pop_ms(fake),
        .invisible_ms = fake_number(command, "invisibleTime"),
        .left = fake_number(command, "maxMsgNums"),
    };
    bool sql = slice_equals_text(fake_field(command, "expType"), "SQL92");
    atomic_fetch_add(&fake->pops_of[broker], 1);
    atomic_fetch_add(&fake->sql_pops, sql ? 1 : 0);
    for (int q = 0; q < FAKE_QUEUES; q++) {
        if (answer.count == 0 || atomic_load(&fake->pop_as_apache)) {
            take_from(fake, broker, q, &answer);
        }
    }
    buf_reserve(&scratch, 128);
    command_init_response(&response, command, answer.count > 0 ? 0 : RESPONSE_POLLING_TIMEOUT);
    command_add_i64(&response, "popTime", answer.pop_ms, &scratch);
    command_add_i64(&response, "invisibleTime", answer.invisible_ms, &scratch);
    command_add_i64(&response, "reviveQid", REVIVE_QUEUE, &scratch);
    command_add_i64(&response, "restNum", 0, &scratch);
    if (!atomic_load(&fake->pop_bare)) {
        command_add(&response, "startOffsetInfo", buf_slice(&answer.starts));
    }
    response.body = buf_slice(&answer.body);
    conn_send_command(conn, &response);
    buf_close(&scratch);
    buf_close(&answer.starts);
    buf_close(&answer.body);
}

/* --- Being told --------------------------------------------------------------------------- */

static void tell(const struct fake_broker *fake, int broker, struct conn *conn,
                 const struct command *request)
{
    struct command response;
    bool some = atomic_load(&fake->false_notices) || any_visible(fake, broker);
    command_init_response(&response, request, 0);
    command_add(&response, "hasMsg", slice_text(some ? "true" : "false"));
    command_add(&response, "pollingFull", slice_text("false"));
    conn_send_command(conn, &response);
}

static void on_watch(struct fake_broker *fake, int broker, struct conn *conn,
                     const struct command *command)
{
    int held = 1;
    atomic_fetch_add(&fake->watches_of[broker], 1);
    if (atomic_load(&fake->false_notices) || any_visible(fake, broker)) {
        tell(fake, broker, conn, command);
        return;
    }
    LIST_FOREACH(at, &fake->watches)
    {
        const struct fake_watch *other = CONTAINER_OF(at, struct fake_watch, node);
        held += other->broker == broker && fake_broker_conn(fake, broker, other->conn_id) == conn;
    }
    if (held > atomic_load(&fake->watches_held_most)) {
        atomic_store(&fake->watches_held_most, held);
    }
    struct fake_watch *watch = mem_zalloc(sizeof *watch);
    watch->broker = broker;
    watch->conn_id = conn_id(conn);
    watch->request.opaque = command->opaque;
    watch->request.serialize_type = command->serialize_type;
    int most_ms = atomic_load(&fake->watch_ms);
    watch->until =
        uv_now(&fake->loop) + (uint64_t)(most_ms > 0 ? most_ms : fake_number(command, "pollTime"));
    list_append(&fake->watches, &watch->node);
}

void fake_pop_on_tick(struct fake_broker *fake)
{
    LIST_FOREACH(at, &fake->watches)
    {
        struct fake_watch *watch = CONTAINER_OF(at, struct fake_watch, node);
        if (uv_now(&fake->loop) < watch->until && !any_visible(fake, watch->broker)) {
            continue;
        }
        struct conn *conn = fake_broker_conn(fake, watch->broker, watch->conn_id);
        if (conn != NULL) {
            tell(fake, watch->broker, conn, &watch->request);
        }
        list_remove(&watch->node);
        free(watch);
    }
}

void fake_pop_close(struct fake_broker *fake)
{
    LIST_FOREACH(at, &fake->watches)
    {
        free(CONTAINER_OF(at, struct fake_watch, node));
    }
}

/* --- By handles --------------------------------------------------------------------------- */

/* The delivery that a handle is of, if it is the last one; NULL. */
static struct fake_popped *delivery_of(struct fake_broker *fake, int broker, int32_t queue_id,
                                       int64_t offset, int64_t pop_ms)
{
    if (queue_id < 0 || queue_id >= FAKE_QUEUES || offset < 0 ||
        (size_t)offset >= fake->queues[broker][queue_id].count) {
        fail_msg("a handle names no message");
    }
    struct fake_popped *popped = &fake->queues[broker][queue_id].popped[offset];
    return popped->done || popped->pop_ms != pop_ms ? NULL : popped;
}

/* What a request about one message names; its header and its handle must agree. */
static struct fake_popped *named_by(struct fake_broker *fake, int broker,
                                    const struct command *command, struct pop_handle *handle)
{
    const char *topic = "T";
    if (!pop_handle_parse(fake_field(command, "extraInfo"), handle) ||
        handle->queue_id != fake_number(command, "queueId") ||
        handle->offset != fake_number(command, "offset") ||
        !slice_equals_text(handle->broker, fake_broker_name(broker)) ||
        !slice_equals_text(fake_field(command, "consumerGroup"), "c") ||
        handle->revive_queue != REVIVE_QUEUE) {
        fail_msg("a handle is not whole, or of another message");
    }
    if (handle->kind == POP_KIND_RETRY) {
        topic = "%RETRY%c_T";
    }
    if (!slice_equals_text(fake_field(command, "topic"), topic)) {
        fail_msg("%s was expected as the topic", topic);
    }
    return delivery_of(fake, broker, handle->queue_id, handle->offset, (int64_t)handle->pop_ms);
}

static void answer_ack(struct fake_broker *fake, struct conn *conn, const struct command *command,
                       int32_t code)
{
    atomic_fetch_add(&fake->ack_requests, 1);
    if (!atomic_load(&fake->swallow_acks)) {
        loop_peer_answer(conn, command, code, (struct slice){0});
    }
}

static void on_ack(struct fake_broker *fake, int broker, struct conn *conn,
                   const struct command *command)
{
    struct pop_handle handle;
    struct fake_popped *popped = named_by(fake, broker, command, &handle);
    if (popped != NULL) {
        popped->done = true;
        atomic_fetch_add(&fake->acks, 1);
    }
    answer_ack(fake, conn, command, popped == NULL ? RESPONSE_NO_MESSAGE : 0);
}

static void ack_some(struct fake_broker *fake, int broker, const struct batch_ack *ack)
{
    for (size_t bit = 0; bit < ack->bits.size * 8; bit++) {
        if ((ack->bits.data[bit / 8] >> bit % 8 & 1) == 0) {
            continue;
        }
        struct fake_popped *popped =
            delivery_of(fake, broker, ack->queue_id, ack->offset_first + (int64_t)bit, ack->pop_ms);
        if (popped == NULL) {
            continue;
        }
        if (popped->first != ack->offset_first || ack->revive_queue != REVIVE_QUEUE) {
            fail_msg("Apache RocketMQ would not find what is acknowledged");
        }
        popped->done = true;
        atomic_fetch_add(&fake->acks, 1);
    }
}

static void on_batch_ack(struct fake_broker *fake, int broker, struct conn *conn,
                         const struct command *command)
{
    struct body body = {0};
    struct batch_ack_request request;
    if (batch_ack_decode(command->body, &body, &request) != STATUS_OK ||
        !slice_equals_text(request.broker, fake_broker_name(broker))) {
        fail_msg("a BATCH_ACK does not decode, or is for another broker");
    }
    for (size_t i = 0; i < request.count; i++) {
        if (!slice_equals_text(request.acks[i].topic, "T") ||
            !slice_equals_text(request.acks[i].group, "c")) {
            fail_msg("a BATCH_ACK is of another topic or group");
        }
        ack_some(fake, broker, &request.acks[i]);
    }
    body_close(&body);
    answer_ack(fake, conn, command, 0);
}

static void on_invisible(struct fake_broker *fake, int broker, struct conn *conn,
                         const struct command *command)
{
    struct pop_handle handle;
    struct command response;
    struct buf scratch = {0};
    int64_t invisible_ms = fake_number(command, "invisibleTime");
    struct fake_popped *popped = named_by(fake, broker, command, &handle);
    if (popped == NULL) {
        loop_peer_answer(conn, command, RESPONSE_NO_MESSAGE, (struct slice){0});
        return;
    }
    popped->pop_ms = next_pop_ms(fake);
    popped->first = handle.offset;
    popped->due_ms = uv_now(&fake->loop) + (uint64_t)invisible_ms;
    buf_reserve(&scratch, 64);
    command_init_response(&response, command, 0);
    command_add_i64(&response, "popTime", popped->pop_ms, &scratch);
    command_add_i64(&response, "invisibleTime", invisible_ms, &scratch);
    command_add_i64(&response, "reviveQid", REVIVE_QUEUE, &scratch);
    conn_send_command(conn, &response);
    buf_close(&scratch);
}

bool fake_pop_on_command(struct fake_broker *fake, int broker, struct conn *conn,
                         const struct command *command)
{
    bool looks = command->code == REQUEST_POP_MESSAGE || command->code == REQUEST_NOTIFICATION;
    int refusal = atomic_load(&fake->pop_code[broker]);
    if (looks && refusal != 0) {
        loop_peer_answer(conn, command, refusal, (struct slice){0});
        return true;
    }
    switch (command->code) {
    case REQUEST_POP_MESSAGE:
        on_pop(fake, broker, conn, command);
        return true;
    case REQUEST_NOTIFICATION:
        on_watch(fake, broker, conn, command);
        return true;
    case REQUEST_ACK_MESSAGE:
        on_ack(fake, broker, conn, command);
        return true;
    case REQUEST_BATCH_ACK_MESSAGE:
        on_batch_ack(fake, broker, conn, command);
        return true;
    case REQUEST_CHANGE_MESSAGE_INVISIBLETIME:
        on_invisible(fake, broker, conn, command);
        return true;
    default:
        return false;
    }
}
