#include "tests/support/fake_broker_roles.h"

#include "common/remoting/body_heartbeat.h"
#include "common/remoting/body_lock.h"
#include "common/remoting/body_stats.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

enum { HOLD_MS = 40 };

static void end_curious(struct fake_broker *fake, bool answer);

void fake_consumer_send_resets(struct fake_broker *fake)
{
    struct queue_offset offsets[FAKE_BROKERS * FAKE_QUEUES];
    struct command request;
    struct buf body = {0};
    size_t count = 0;
    for (int b = 0; b < FAKE_BROKERS; b++) {
        for (int q = 0; q < FAKE_QUEUES; q++) {
            offsets[count++] =
                (struct queue_offset){{slice_text("T"), slice_text(fake_broker_name(b)), q}, 0};
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

void fake_consumer_send_notices(struct fake_broker *fake)
{
    struct command request;
    command_init_request(&request, REQUEST_NOTIFY_CONSUMER_IDS_CHANGED, 1);
    request.flag = COMMAND_FLAG_ONEWAY;
    command_add(&request, "consumerGroup", slice_text("c"));
    LIST_FOREACH(at, &fake->peers[0].conns) // Over one connection of each client.
    {
        conn_send_command(CONTAINER_OF(at, struct loop_peer_conn, in_peer)->conn, &request);
    }
    atomic_fetch_add(&fake->notices, 1);
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
        slice_equals_text(fake_field(command, "bname"), fake_broker_name(peer))) {
        atomic_fetch_add(&fake->pulls_led, 1);
        return peer;
    }
    atomic_fetch_add(&fake->pulls_followed, 1);
    atomic_fetch_add(&fake->commits_followed, (int)(fake_number(command, "sysFlag") & 1));
    return 1 - peer;
}

static void on_pull(struct fake_broker *fake, int peer, struct conn *conn,
                    const struct command *command)
{
    int broker = pulled_broker(fake, peer, command);
    int32_t queue_id = (int32_t)fake_number(command, "queueId");
    int64_t offset = fake_number(command, "queueOffset");
    bool may_hold = (fake_number(command, "sysFlag") & 2) != 0;
    if (slice_equals_text(fake_field(command, "expressionType"), "SQL92")) {
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
    held->counted = slice_equals_text(fake_field(command, "topic"), "T");
    atomic_fetch_add(&fake->pulls_held, held->counted);
}

void fake_consumer_on_tick(struct fake_broker *fake)
{
    if (!atomic_load(&fake->hold_members)) {
        end_curious(fake, true);
    }
    LIST_FOREACH(at, &fake->held)
    {
        struct fake_held *held = CONTAINER_OF(at, struct fake_held, node);
        bool some = held->offset < (int64_t)fake->queues[held->broker][held->queue_id].count;
        if (!some && uv_now(&fake->loop) - held->since < HOLD_MS) {
            continue;
        }
        struct conn *conn = fake_broker_conn(fake, held->peer, held->conn_id);
        if (conn != NULL) {
            answer_pull(fake, held->broker, held->broker == held->peer, conn, &held->request,
                        held->queue_id, held->offset);
        }
        list_remove(&held->node);
        atomic_fetch_sub(&fake->pulls_held, held->counted);
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

static void answer_members(struct conn *conn, const struct command *request, struct slice members)
{
    struct buf out = {0};
    buf_printf(&out, "{\"consumerIdList\":[%.*s]}", SLICE_ARGS(members));
    loop_peer_answer(conn, request, members.size == 0 ? RESPONSE_SYSTEM_ERROR : 0, buf_slice(&out));
    buf_close(&out);
}

static void on_curious(struct fake_broker *fake, int broker, struct conn *conn,
                       const struct command *command)
{
    atomic_fetch_add(&fake->members_asked, 1);
    if (!atomic_load(&fake->hold_members)) {
        answer_members(conn, command, buf_slice(&fake->members));
        return;
    }
    struct fake_curious *curious = mem_zalloc(sizeof *curious);
    curious->broker = broker;
    curious->conn_id = conn_id(conn);
    curious->request.opaque = command->opaque;
    curious->request.serialize_type = command->serialize_type;
    buf_put_slice(&curious->members, buf_slice(&fake->members));
    list_append(&fake->curious, &curious->node);
}

/* Answer them, or forget them. */
static void end_curious(struct fake_broker *fake, bool answer)
{
    LIST_FOREACH(at, &fake->curious)
    {
        struct fake_curious *curious = CONTAINER_OF(at, struct fake_curious, node);
        struct conn *conn =
            answer ? fake_broker_conn(fake, curious->broker, curious->conn_id) : NULL;
        if (conn != NULL) {
            answer_members(conn, &curious->request, buf_slice(&curious->members));
        }
        list_remove(&curious->node);
        buf_close(&curious->members);
        free(curious);
    }
}

static void on_update_offset(struct fake_broker *fake, int broker, struct conn *conn,
                             const struct command *command)
{
    int32_t queue_id = (int32_t)fake_number(command, "queueId");
    int64_t offset = fake_number(command, "commitOffset");
    if (!topic_is_retry(fake_field(command, "topic"))) {
        fake->queues[broker][queue_id].committed = offset;
        atomic_store(&fake->last_offset[broker][queue_id], (int)offset);
        if ((int)offset > atomic_load(&fake->most_offset)) {
            atomic_store(&fake->most_offset, (int)offset);
        }
    }
    if (!command_is_oneway(command) && !atomic_load(&fake->swallow_offsets)) {
        loop_peer_answer(conn, command, 0, (struct slice){0});
    }
}

/* Retry topics are empty, and their offsets 0. */
static bool on_retry_topic(struct conn *conn, const struct command *command)
{
    if (!topic_is_retry(fake_field(command, "topic"))) {
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

static void on_given_back(struct fake_broker *fake, struct conn *conn,
                          const struct command *command)
{
    bool takes = atomic_load(&fake->takes_back);
    int64_t max = -1;
    int32_t level = (int32_t)fake_number(command, "delayLevel");
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

void fake_consumer_close(struct fake_broker *fake)
{
    LIST_FOREACH(at, &fake->held)
    {
        free(CONTAINER_OF(at, struct fake_held, node));
    }
    end_curious(fake, false);
    buf_close(&fake->members);
}

static bool on_offset(struct fake_broker *fake, int broker, struct conn *conn,
                      const struct command *command)
{
    const struct fake_queue *queue = &fake->queues[broker][fake_number(command, "queueId")];
    switch (command->code) {
    case REQUEST_QUERY_CONSUMER_OFFSET:
        answer_offset(conn, command, queue->committed);
        return true;
    case REQUEST_UPDATE_CONSUMER_OFFSET:
        on_update_offset(fake, broker, conn, command);
        return true;
    case REQUEST_GET_MIN_OFFSET:
    case REQUEST_SEARCH_OFFSET_BY_TIMESTAMP:
        answer_offset(conn, command, 0);
        return true;
    case REQUEST_GET_MAX_OFFSET:
        answer_offset(conn, command, (int64_t)queue->count);
        return true;
    default:
        return false;
    }
}

bool fake_consumer_on_command(struct fake_broker *fake, int broker, struct conn *conn,
                              const struct command *command)
{
    if (on_retry_topic(conn, command)) {
        return true;
    }
    switch (command->code) {
    case REQUEST_PULL_MESSAGE:
        on_pull(fake, broker, conn, command);
        return true;
    case REQUEST_HEART_BEAT:
        on_heartbeat(fake, conn, command);
        return true;
    case REQUEST_CHECK_CLIENT_CONFIG:
        on_check(fake, conn, command);
        return true;
    case REQUEST_UNREGISTER_CLIENT:
        atomic_fetch_add(&fake->unregisters, 1);
        buf_clear(&fake->members); // Those that stay are back with their next heartbeat.
        return true;
    case REQUEST_GET_CONSUMER_LIST_BY_GROUP:
        on_curious(fake, broker, conn, command);
        return true;
    case REQUEST_CONSUMER_SEND_MSG_BACK:
        on_given_back(fake, conn, command);
        return true;
    case REQUEST_LOCK_BATCH_MQ:
    case REQUEST_UNLOCK_BATCH_MQ:
        on_lock(fake, broker, conn, command, command->code == REQUEST_LOCK_BATCH_MQ);
        return true;
    default:
        return on_offset(fake, broker, conn, command);
    }
}
