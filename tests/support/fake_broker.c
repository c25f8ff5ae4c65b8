#include "tests/support/fake_broker.h"

#include "tests/support/test.h"

#include "common/remoting/body_heartbeat.h"
#include "common/remoting/body_list.h"
#include "common/remoting/body_lock.h"
#include "common/remoting/body_route.h"
#include "common/remoting/body_stats.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <stdio.h>

enum { HOLD_MS = 40, TICK_MS = 5, REPLY_OPAQUE = 326326 };

static const char *const broker_names[FAKE_BROKERS] = {"broker-a", "broker-b"};

static void on_command(struct loop_peer *peer, struct conn *conn, const struct command *command);
static void on_tick(uv_timer_t *timer);
static void on_wake(uv_async_t *async);

static void run(void *argument)
{
    struct fake_broker *fake = argument;
    uv_run(&fake->loop, UV_RUN_DEFAULT);
}

void fake_broker_start(struct fake_broker *fake)
{
    memset(fake, 0, sizeof *fake);
    list_init(&fake->held);
    atomic_store(&fake->refuse_broker, -1);
    uv_loop_init(&fake->loop);
    for (int i = 0; i < FAKE_BROKERS; i++) {
        fake->peers[i].on_command = on_command;
        fake->peers[i].context = fake;
        loop_peer_open(&fake->peers[i], &fake->loop, 0);
        for (int q = 0; q < FAKE_QUEUES; q++) {
            fake->queues[i][q].committed = -1;
            atomic_store(&fake->last_offset[i][q], -1);
        }
    }
    uv_async_init(&fake->loop, &fake->wake, on_wake);
    fake->wake.data = fake;
    uv_timer_init(&fake->loop, &fake->tick);
    fake->tick.data = fake;
    uv_timer_start(&fake->tick, on_tick, TICK_MS, TICK_MS);
    uv_thread_create(&fake->thread, run, fake);
}

void fake_broker_stop(struct fake_broker *fake)
{
    atomic_store(&fake->stopping, true);
    uv_async_send(&fake->wake);
    uv_thread_join(&fake->thread);
    if (uv_loop_close(&fake->loop) != 0) {
        fail_msg("the fake broker's loop has handles left");
    }
    for (int b = 0; b < FAKE_BROKERS; b++) {
        for (int q = 0; q < FAKE_QUEUES; q++) {
            for (size_t i = 0; i < fake->queues[b][q].count; i++) {
                buf_close(&fake->queues[b][q].messages[i]);
            }
        }
    }
    for (size_t i = 0; i < fake->half_count; i++) {
        buf_close(&fake->halves[i].encoded);
    }
    LIST_FOREACH(at, &fake->held)
    {
        free(CONTAINER_OF(at, struct fake_held, node));
    }
    buf_close(&fake->members);
}

const char *fake_broker_address(const struct fake_broker *fake, char text[32])
{
    snprintf(text, 32, "127.0.0.1:%u", fake->peers[0].listener.port);
    return text;
}

void fake_broker_drop(struct fake_broker *fake)
{
    atomic_store(&fake->drop_connections, true);
    uv_async_send(&fake->wake);
}

void fake_broker_reset(struct fake_broker *fake)
{
    atomic_store(&fake->reset, true);
    uv_async_send(&fake->wake);
}

/* RESET_CONSUMER_CLIENT_OFFSET to whoever is connected, as Apache RocketMQ does. */
static void send_resets(struct fake_broker *fake)
{
    struct queue_offset offsets[FAKE_BROKERS * FAKE_QUEUES];
    struct command request;
    struct buf body = {0};
    size_t count = 0;
    for (int b = 0; b < FAKE_BROKERS; b++) {
        for (int q = 0; q < FAKE_QUEUES; q++) {
            offsets[count++] =
                (struct queue_offset){{slice_text("T"), slice_text(broker_names[b]), q}, 0};
        }
    }
    offset_table_encode(offsets, count, &body);
    command_init_request(&request, REQUEST_RESET_CONSUMER_CLIENT_OFFSET, 1);
    request.flag = COMMAND_FLAG_ONEWAY;
    command_add(&request, "topic", slice_text("T"));
    command_add(&request, "group", slice_text("c"));
    request.body = buf_slice(&body);
    LIST_FOREACH(at, &fake->peers[1].conns) // Over one connection of each client.
    {
        conn_send_command(CONTAINER_OF(at, struct loop_peer_conn, in_peer)->conn, &request);
    }
    buf_close(&body);
}

static void on_wake(uv_async_t *async)
{
    struct fake_broker *fake = async->data;
    if (atomic_load(&fake->stopping)) {
        uv_close((uv_handle_t *)&fake->wake, NULL);
        uv_close((uv_handle_t *)&fake->tick, NULL);
        for (int i = 0; i < FAKE_BROKERS; i++) {
            loop_peer_close(&fake->peers[i]);
        }
    } else if (atomic_exchange(&fake->reset, false)) {
        send_resets(fake);
    } else if (atomic_exchange(&fake->drop_connections, false)) {
        for (int i = 0; i < FAKE_BROKERS; i++) {
            loop_peer_drop(&fake->peers[i]);
        }
    }
}

static int broker_of(const struct fake_broker *fake, const struct loop_peer *peer)
{
    return peer == &fake->peers[0] ? 0 : 1;
}

static struct slice field(const struct command *command, const char *name)
{
    struct slice value = {0};
    (void)command_find(command, name, &value);
    return value;
}

static int64_t number(const struct command *command, const char *name)
{
    int64_t value = 0;
    if (command_i64(command, name, false, &value) != STATUS_OK) {
        return 0;
    }
    return value;
}

static void answer_offset(struct conn *conn, const struct command *command, int64_t offset)
{
    struct command response;
    struct buf scratch = {0};
    buf_reserve(&scratch, 64);
    command_init_response(&response, command, offset < 0 ? RESPONSE_QUERY_NOT_FOUND : 0);
    if (offset >= 0) {
        command_add_i64(&response, "offset", offset, &scratch);
    }
    conn_send_command(conn, &response);
    buf_close(&scratch);
}

static void address_of(const struct fake_broker *fake, int broker, struct buf *out)
{
    host_format(loop_peer_host(&fake->peers[broker]), out);
}

static void answer_route(struct fake_broker *fake, struct conn *conn, const struct command *command,
                         bool clusters)
{
    struct buf text[FAKE_BROKERS] = {{0}};
    struct buf out = {0};
    struct broker_address addresses[FAKE_BROKERS][2];
    struct broker_data brokers[FAKE_BROKERS];
    struct queue_data queues[FAKE_BROKERS];
    struct slice topic = field(command, "topic");
    bool template = slice_equals_text(topic, TOPIC_DEFAULT);
    if (!clusters &&
        ((atomic_load(&fake->unknown_topic) && !template) || slice_equals_text(topic, "Nowhere"))) {
        loop_peer_answer(conn, command, RESPONSE_TOPIC_NOT_EXIST, (struct slice){0});
        return;
    }
    int follower_id = atomic_load(&fake->follower_id);
    for (int i = 0; i < FAKE_BROKERS; i++) {
        address_of(fake, i, &text[i]);
    }
    for (int i = 0; i < FAKE_BROKERS; i++) {
        addresses[i][0] = (struct broker_address){0, buf_slice(&text[i])};
        addresses[i][1] = (struct broker_address){follower_id, buf_slice(&text[1 - i])};
        brokers[i] = (struct broker_data){slice_text("C1"), slice_text(broker_names[i]),
                                          follower_id == 0 ? 1 : 2, addresses[i]};
        queues[i] = (struct queue_data){slice_text(broker_names[i]), FAKE_QUEUES, FAKE_QUEUES,
                                        template ? 7 : 6, 0};
    }
    if (clusters) {
        const struct cluster_info info = {FAKE_BROKERS, brokers};
        cluster_info_encode(&info, &out);
    } else {
        const struct topic_route route = {FAKE_BROKERS, brokers, FAKE_BROKERS, queues, {0}};
        topic_route_encode(&route, &out);
    }
    loop_peer_answer(conn, command, 0, buf_slice(&out));
    buf_close(&out);
    buf_close(&text[0]);
    buf_close(&text[1]);
}

static struct message message_of(const struct fake_broker *fake, int broker,
                                 const struct command *command)
{
    return (struct message){
        .queue_id = (int32_t)number(command, "e"),
        .flag = (int32_t)number(command, "h"),
        .sys_flag = (int32_t)number(command, "f"),
        .born_time_ms = number(command, "g"),
        .born_host = {LOOPBACK, 1},
        .store_time_ms = 1700000000000,
        .store_host = loop_peer_host(&fake->peers[broker]),
        .body = command->body,
        .topic = field(command, "b"),
        .properties = field(command, "i"),
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
    command_add_i64(&response, "queueId", number(command, "e"), &scratch);
    command_add_i64(&response, "queueOffset", queue_offset, &scratch);
    if (properties_find(field(command, "i"), PROPERTY_TIMER_DELAY_MS, &delay)) {
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
        address_of(fake, 1 - broker, &hint);
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
    offset = slice_equals_text(field(command, "m"), "true") ? append_batch(fake, broker, command)
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
    int64_t offset = number(command, "tranStateTableOffset");
    int32_t outcome = (int32_t)number(command, "commitOrRollback");
    if (offset < 0 || (size_t)offset >= fake->half_count ||
        number(command, "commitLogOffset") != 100000 + offset) {
        fail_msg("END_TRANSACTION names no half message");
    }
    struct fake_half *half = &fake->halves[offset];
    if (slice_equals_text(field(command, "fromTransactionCheck"), "true")) {
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

static void answer_pull(struct fake_broker *fake, int broker, bool leads, struct conn *conn,
                        const struct command *request, int32_t queue_id, int64_t offset)
{
    struct fake_queue *queue = &fake->queues[broker][queue_id];
    struct command response;
    struct buf scratch = {0};
    struct buf body = {0};
    int64_t next = offset;
    int32_t code = RESPONSE_PULL_NOT_FOUND;
    if (offset > (int64_t)queue->count) {
        next = (int64_t)queue->count;
        code = RESPONSE_PULL_OFFSET_MOVED;
    }
    int skip_to = atomic_load(&fake->skip_to);
    if (offset < skip_to && skip_to <= (int)queue->count) {
        next = skip_to;
        code = RESPONSE_PULL_OFFSET_MOVED;
        atomic_fetch_add(&fake->skips, 1);
    } else if (skip_to > 0) {
        atomic_fetch_add(&fake->pulls_ahead, 1);
    }
    while (next < (int64_t)queue->count && next - offset < 32 &&
           code != RESPONSE_PULL_OFFSET_MOVED) {
        buf_put_slice(&body, buf_slice(&queue->messages[next++]));
        code = RESPONSE_SUCCESS;
    }
    buf_reserve(&scratch, 128);
    command_init_response(&response, request, code);
    bool suggests = leads || atomic_load(&fake->keep_readers);
    command_add_i64(&response, "suggestWhichBrokerId", suggests ? atomic_load(&fake->suggest) : 0,
                    &scratch);
    command_add_i64(&response, "nextBeginOffset", next, &scratch);
    command_add(&response, "minOffset", slice_text("0"));
    command_add_i64(&response, "maxOffset", (int64_t)queue->count, &scratch);
    response.body = buf_slice(&body);
    conn_send_command(conn, &response);
    buf_close(&scratch);
    buf_close(&body);
}

/* Who takes it, by name; a pull at the other one is a pull from a follower. */
static int pulled_broker(struct fake_broker *fake, int peer, const struct command *command)
{
    if (atomic_load(&fake->follower_id) == 0 ||
        slice_equals_text(field(command, "bname"), broker_names[peer])) {
        atomic_fetch_add(&fake->pulls_led, 1);
        return peer;
    }
    atomic_fetch_add(&fake->pulls_followed, 1);
    atomic_fetch_add(&fake->commits_followed, (int)(number(command, "sysFlag") & 1));
    return 1 - peer;
}

static void on_pull(struct fake_broker *fake, int peer, struct conn *conn,
                    const struct command *command)
{
    int broker = pulled_broker(fake, peer, command);
    int32_t queue_id = (int32_t)number(command, "queueId");
    int64_t offset = number(command, "queueOffset");
    bool may_hold = (number(command, "sysFlag") & 2) != 0;
    if (slice_equals_text(field(command, "expressionType"), "SQL92")) {
        atomic_fetch_add(&fake->sql_pulls, 1);
    }
    if (broker != peer && atomic_load(&fake->refuse_readers) > 0) {
        atomic_fetch_sub(&fake->refuse_readers, 1);
        loop_peer_answer(conn, command, RESPONSE_SYSTEM_ERROR, (struct slice){0});
        return;
    }
    if (!may_hold || offset != (int64_t)fake->queues[broker][queue_id].count) {
        answer_pull(fake, broker, broker == peer, conn, command, queue_id, offset);
        return;
    }
    struct fake_held *held = mem_zalloc(sizeof *held);
    held->broker = broker;
    held->peer = peer;
    held->conn_id = conn_id(conn);
    held->request.opaque = command->opaque;
    held->request.serialize_type = command->serialize_type;
    held->queue_id = queue_id;
    held->offset = offset;
    held->since = uv_now(&fake->loop);
    list_append(&fake->held, &held->node);
}

static void on_tick(uv_timer_t *timer)
{
    struct fake_broker *fake = timer->data;
    LIST_FOREACH(at, &fake->held)
    {
        struct fake_held *held = CONTAINER_OF(at, struct fake_held, node);
        bool some = held->offset < (int64_t)fake->queues[held->broker][held->queue_id].count;
        if (!some && uv_now(&fake->loop) - held->since < HOLD_MS) {
            continue;
        }
        LIST_FOREACH(peer_at, &fake->peers[held->peer].conns)
        {
            struct loop_peer_conn *entry = CONTAINER_OF(peer_at, struct loop_peer_conn, in_peer);
            if (conn_id(entry->conn) == held->conn_id) {
                answer_pull(fake, held->broker, held->broker == held->peer, entry->conn,
                            &held->request, held->queue_id, held->offset);
            }
        }
        list_remove(&held->node);
        free(held);
    }
}

static void on_heartbeat(struct fake_broker *fake, struct conn *conn, const struct command *command)
{
    struct body body;
    struct heartbeat heartbeat;
    atomic_fetch_add(&fake->heartbeats, 1);
    if (heartbeat_decode(command->body, &body, &heartbeat) != STATUS_OK) {
        fail_msg("a heartbeat does not decode");
    }
    if (heartbeat.consumer_count > 0 &&
        (fake->members.size == 0 ||
         memmem(fake->members.data, fake->members.size, heartbeat.client_id.data,
                heartbeat.client_id.size) == NULL)) {
        buf_printf(&fake->members, "%s\"%.*s\"", fake->members.size == 0 ? "" : ",",
                   SLICE_ARGS(heartbeat.client_id));
    }
    body_close(&body);
    loop_peer_answer(conn, command, 0, (struct slice){0});
}

static void answer_members(struct fake_broker *fake, struct conn *conn,
                           const struct command *command)
{
    struct buf out = {0};
    buf_printf(&out, "{\"consumerIdList\":[%.*s]}", SLICE_ARGS(fake->members));
    loop_peer_answer(conn, command, fake->members.size == 0 ? RESPONSE_SYSTEM_ERROR : 0,
                     buf_slice(&out));
    buf_close(&out);
}

static void answer_stats(struct fake_broker *fake, int broker, struct conn *conn,
                         const struct command *command)
{
    struct topic_stats_entry entries[FAKE_QUEUES];
    const struct topic_stats stats = {0, FAKE_QUEUES, entries};
    struct buf out = {0};
    for (int i = 0; i < FAKE_QUEUES; i++) {
        entries[i] = (struct topic_stats_entry){
            .queue = {field(command, "topic"), slice_text(broker_names[broker]), i},
            .offset_max = (int64_t)fake->queues[broker][i].count,
        };
    }
    topic_stats_encode(&stats, &out);
    loop_peer_answer(conn, command, 0, buf_slice(&out));
    buf_close(&out);
}

static void on_update_offset(struct fake_broker *fake, int broker, struct conn *conn,
                             const struct command *command)
{
    int32_t queue_id = (int32_t)number(command, "queueId");
    int64_t offset = number(command, "commitOffset");
    if (!topic_is_retry(field(command, "topic"))) {
        fake->queues[broker][queue_id].committed = offset;
        atomic_store(&fake->last_offset[broker][queue_id], (int)offset);
        if ((int)offset > atomic_load(&fake->most_offset)) {
            atomic_store(&fake->most_offset, (int)offset);
        }
    }
    if (!command_is_oneway(command)) {
        loop_peer_answer(conn, command, 0, (struct slice){0});
    }
}

/* Retry topics are empty, and their offsets 0. */
static bool on_retry_topic(struct conn *conn, const struct command *command)
{
    if (!topic_is_retry(field(command, "topic"))) {
        return false;
    }
    if (command->code == REQUEST_QUERY_CONSUMER_OFFSET || command->code == REQUEST_GET_MIN_OFFSET) {
        answer_offset(conn, command, 0);
        return true;
    }
    return command->code == REQUEST_PULL_MESSAGE; // Held for ever.
}

static void on_check(struct fake_broker *fake, struct conn *conn, const struct command *command)
{
    struct body body = {0};
    struct client_check check;
    if (client_check_decode(command->body, &body, &check) == STATUS_OK) {
        bool sql = slice_equals_text(check.subscription.expression_type, "SQL92") &&
                   check.subscription.expression.size > 0;
        atomic_fetch_add(&fake->sql_checks, sql ? 1 : 0);
        body_close(&body);
    }
    loop_peer_answer(conn, command, atomic_load(&fake->check_code), (struct slice){0});
}

/* Push a reply to all clients, to one of which it belongs. */
static void on_reply(struct fake_broker *fake, int broker, struct conn *conn,
                     const struct command *command)
{
    struct command request;
    struct slice type;
    command_init_request(&request, REQUEST_PUSH_REPLY_MESSAGE_TO_CLIENT, REPLY_OPAQUE);
    command_add(&request, "topic", field(command, "b"));
    command_add(&request, "properties", field(command, "i"));
    command_add(&request, "bornTimestamp", field(command, "g"));
    command_add(&request, "bornHost", slice_text("127.0.0.1:1"));
    command_add(&request, "sysFlag", field(command, "f"));
    request.body = command->body;
    if (!slice_equals_text(field(command, "b"), "C1_REPLY_TOPIC") ||
        !properties_find(field(command, "i"), PROPERTY_MESSAGE_TYPE, &type) ||
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

/* Queues of retry topics are always locked; of the others one client has each. */
static void on_lock(struct fake_broker *fake, int broker, struct conn *conn,
                    const struct command *command, bool take)
{
    struct body body = {0};
    struct lock_request request;
    struct queue_name granted[4 * FAKE_QUEUES];
    struct buf answer = {0};
    size_t count = 0;
    if (lock_request_decode(command->body, &body, &request) != STATUS_OK ||
        request.queue_count > sizeof granted / sizeof granted[0]) {
        fail_msg("a request for locks does not decode");
    }
    atomic_fetch_add(take ? &fake->locks : &fake->unlocks, 1);
    for (size_t i = 0; i < request.queue_count; i++) {
        const struct queue_name *queue = &request.queues[i];
        struct name *holder = &fake->queues[broker][queue->queue_id].holder;
        bool retry = topic_is_retry(queue->topic);
        bool ours = holder->size == 0 || slice_equals(name_slice(holder), request.client_id);
        if (atomic_load(&fake->deny_locks)) {
            (void)name_set(holder, (struct slice){0});
        } else if (take && (retry || ours)) {
            granted[count++] = *queue;
            (void)name_set(holder, retry ? name_slice(holder) : request.client_id);
        } else if (!take && !retry && ours) {
            (void)name_set(holder, (struct slice){0});
        }
    }
    if (!command_is_oneway(command)) {
        lock_response_encode(granted, count, &answer);
        loop_peer_answer(conn, command, 0, buf_slice(&answer));
    }
    buf_close(&answer);
    body_close(&body);
}

static void on_recall(struct fake_broker *fake, int broker, struct conn *conn,
                      const struct command *command)
{
    bool known = slice_equals_text(field(command, "recallHandle"), FAKE_RECALL_HANDLE);
    atomic_fetch_add(&fake->recalls_of[broker], 1);
    loop_peer_answer(conn, command, known ? RESPONSE_SUCCESS : RESPONSE_ILLEGAL_OPERATION,
                     (struct slice){0});
}

static void on_given_back(struct fake_broker *fake, struct conn *conn,
                          const struct command *command)
{
    bool takes = atomic_load(&fake->takes_back);
    int64_t max = -1;
    int32_t level = (int32_t)number(command, "delayLevel");
    if (takes) {
        assert_int_equal(command_i64(command, "maxReconsumeTimes", false, &max), STATUS_OK);
        atomic_store(&fake->last_retry_level, level);
        atomic_store(&fake->last_retries_max, (int)max);
        atomic_fetch_add(&fake->dead_letters, level < 0 ? 1 : 0);
        atomic_fetch_add(&fake->given_back, 1);
    }
    loop_peer_answer(conn, command, takes ? 0 : RESPONSE_REQUEST_CODE_NOT_SUPPORTED,
                     (struct slice){0});
}

static void on_admin(struct fake_broker *fake, int broker, struct conn *conn,
                     const struct command *command)
{
    static const char groups[] = "{\"subscriptionGroupTable\":{\"g1\":{\"groupName\":\"g1\"},"
                                 "\"g2\":{\"groupName\":\"g2\"}}}";
    static const char topics[] = "{\"topicList\":[\"T\",\"U\"]}";
    atomic_fetch_add(&fake->admin_calls, 1);
    switch (command->code) {
    case REQUEST_GET_TOPIC_STATS_INFO:
        answer_stats(fake, broker, conn, command);
        break;
    case REQUEST_GET_ALL_SUBSCRIPTIONGROUP_CONFIG:
        loop_peer_answer(conn, command, 0, slice_text(groups));
        break;
    case REQUEST_GET_ALL_TOPIC_LIST_FROM_NAMESERVER:
        loop_peer_answer(conn, command, 0, slice_text(topics));
        break;
    case REQUEST_UPDATE_AND_CREATE_TOPIC:
    case REQUEST_DELETE_TOPIC_IN_BROKER:
    case REQUEST_DELETE_TOPIC_IN_NAMESRV:
        loop_peer_answer(conn, command, 0, (struct slice){0});
        break;
    default:
        loop_peer_answer(conn, command, RESPONSE_REQUEST_CODE_NOT_SUPPORTED, (struct slice){0});
    }
}

static void on_command(struct loop_peer *peer, struct conn *conn, const struct command *command)
{
    struct fake_broker *fake = peer->context;
    int broker = broker_of(fake, peer);
    int32_t queue_id = (int32_t)number(command, "queueId");
    if (command_is_response(command) && command->opaque == REPLY_OPAQUE) {
        atomic_fetch_add(command->code == 0 ? &fake->replies_taken : &fake->replies_refused, 1);
    }
    if (command_is_response(command) || on_retry_topic(conn, command)) {
        return;
    }
    switch (command->code) {
    case REQUEST_GET_ROUTEINFO_BY_TOPIC:
    case REQUEST_GET_BROKER_CLUSTER_INFO:
        answer_route(fake, conn, command, command->code == REQUEST_GET_BROKER_CLUSTER_INFO);
        break;
    case REQUEST_SEND_MESSAGE_V2:
    case REQUEST_SEND_BATCH_MESSAGE:
        on_send(fake, broker, conn, command);
        break;
    case REQUEST_END_TRANSACTION:
        on_end_transaction(fake, broker, conn, command);
        break;
    case REQUEST_PULL_MESSAGE:
        on_pull(fake, broker, conn, command);
        break;
    case REQUEST_HEART_BEAT:
        on_heartbeat(fake, conn, command);
        break;
    case REQUEST_CHECK_CLIENT_CONFIG:
        on_check(fake, conn, command);
        break;
    case REQUEST_UNREGISTER_CLIENT:
        atomic_fetch_add(&fake->unregisters, 1);
        buf_clear(&fake->members); // Those that stay are back with their next heartbeat.
        break;
    case REQUEST_GET_CONSUMER_LIST_BY_GROUP:
        answer_members(fake, conn, command);
        break;
    case REQUEST_QUERY_CONSUMER_OFFSET:
        answer_offset(conn, command, fake->queues[broker][queue_id].committed);
        break;
    case REQUEST_UPDATE_CONSUMER_OFFSET:
        on_update_offset(fake, broker, conn, command);
        break;
    case REQUEST_GET_MIN_OFFSET:
    case REQUEST_SEARCH_OFFSET_BY_TIMESTAMP:
        answer_offset(conn, command, 0);
        break;
    case REQUEST_GET_MAX_OFFSET:
        answer_offset(conn, command, (int64_t)fake->queues[broker][queue_id].count);
        break;
    case REQUEST_CONSUMER_SEND_MSG_BACK:
        on_given_back(fake, conn, command);
        break;
    case REQUEST_SEND_REPLY_MESSAGE_V2:
        on_reply(fake, broker, conn, command);
        break;
    case REQUEST_LOCK_BATCH_MQ:
    case REQUEST_UNLOCK_BATCH_MQ:
        on_lock(fake, broker, conn, command, command->code == REQUEST_LOCK_BATCH_MQ);
        break;
    case REQUEST_RECALL_MESSAGE:
        on_recall(fake, broker, conn, command);
        break;
    default:
        on_admin(fake, broker, conn, command);
    }
}
