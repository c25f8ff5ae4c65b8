/* What clients do: send, transfer, race for decisions, consume. */
#include "broker/core/recall_handle.h"
#include "common/base/limits.h"
#include "common/base/name.h"
#include "common/remoting/codes.h"
#include "common/remoting/message.h"
#include "tests/sim/cluster/sim_bank.h"
#include "tests/sim/cluster/sim_client.h"
#include "tests/sim/cluster/sim_ledger.h"
#include "tests/sim/cluster/sim_nodes.h"
#include "tests/sim/cluster/sim_order.h"
#include "tests/sim/os/sim_thread.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    BATCH_MAX = 5,
    BATCH_SHARE = MESSAGE_BODY_MAX / BATCH_MAX, /* All together are no larger than one may be. */
    PORT_STEP = 10,
    LATER_MAX_MS = 5000,
    HALF_DELAY_MS = 1500,
    LEVEL_MAX = 8, /* One more than there are: that counts as the highest. */
};

static uint64_t next_id(struct sim_client *client)
{
    return ((uint64_t)client->host->index << 40) + ++client->counts->sends;
}

/* A body that says what it is, of some length. */
static size_t fill(const struct sim_client *client, enum ledger_kind kind, uint64_t id,
                   char body[MESSAGE_BODY_MAX])
{
    size_t most = client->plan->body_max - LEDGER_TAG_SIZE;
    size_t size = LEDGER_TAG_SIZE + sim_draw(SIM_LOAD, sim_one_in(SIM_LOAD, 4) ? most : 40);
    ledger_tag(kind, id, body);
    memset(body + LEDGER_TAG_SIZE, 'a' + (int)(id % 26), size - LEDGER_TAG_SIZE);
    return size;
}

static void count_end(struct sim_client *client, enum raftmq_status status)
{
    switch (status) {
    case RAFTMQ_OK:
        client->counts->acknowledged++;
        return;
    case RAFTMQ_CONNECTION_LOST:
    case RAFTMQ_TIMED_OUT:
    case RAFTMQ_CLOSED:
        client->counts->unknown++;
        return;
    case RAFTMQ_INVALID_ARGUMENT:
        sim_violation("client", "the library refuses what %s does: then nothing is tested by it",
                      client->host->name);
    default:
        client->counts->refused++;
    }
}

static struct ledger_group *group_named(const char *broker)
{
    return ledger_group(slice_text(broker));
}

void sim_client_some_replica(const struct sim_client *client, const char *broker, char *address,
                             size_t size)
{
    uint32_t node = (uint32_t)sim_draw(SIM_LOAD, client->plan->nodes);
    int group = broker[strlen(broker) - 1] - 'a';
    snprintf(address, size, "10.0.1.%u:%d", node + 1, SIM_CLIENT_PORT + PORT_STEP * group);
}

/* ---- Plain messages ---- */

static void send_one(struct sim_client *client)
{
    char body[MESSAGE_BODY_MAX];
    struct raftmq_send_result result;
    struct raftmq_error error;
    uint64_t id = next_id(client);
    const struct raftmq_message message = {
        .topic = "plain", .body = body, .body_size = fill(client, LEDGER_PLAIN, id, body)};
    enum raftmq_status status = raftmq_send(client->producer, &message, 0, &result, &error);
    count_end(client, status);
    sim_trace(client->host->name, "sent", id, (uint64_t)status);
    if (status == RAFTMQ_OK) {
        ledger_acknowledged(group_named(result.broker), slice_text("plain"), result.queue_id,
                            result.queue_offset, id, result.attempts);
    }
}

/* One of some that have an order among each other. */
static void send_step(struct sim_client *client)
{
    char body[MESSAGE_BODY_MAX];
    char account[8];
    struct raftmq_send_result result;
    struct raftmq_error error;
    uint64_t id = next_id(client);
    snprintf(account, sizeof account, "a%d", (int)sim_draw(SIM_LOAD, 8));
    const struct raftmq_message message = {.topic = ORDER_TOPIC,
                                           .body = body,
                                           .body_size = fill(client, LEDGER_PLAIN, id, body),
                                           .shard_key = account};
    enum raftmq_status status = raftmq_send(client->producer, &message, 0, &result, &error);
    count_end(client, status);
    if (status == RAFTMQ_OK) {
        ledger_acknowledged(group_named(result.broker), slice_text(ORDER_TOPIC), result.queue_id,
                            result.queue_offset, id, result.attempts);
    }
}

static void send_batch(struct sim_client *client)
{
    char bodies[BATCH_MAX][MESSAGE_BODY_MAX];
    uint64_t ids[BATCH_MAX];
    struct raftmq_message messages[BATCH_MAX];
    struct raftmq_send_result result;
    struct raftmq_error error;
    size_t count = 2 + sim_draw(SIM_LOAD, BATCH_MAX - 1);
    for (size_t i = 0; i < count; i++) {
        ids[i] = next_id(client);
        size_t size = fill(client, LEDGER_PLAIN, ids[i], bodies[i]);
        messages[i] = (struct raftmq_message){.topic = "plain",
                                              .body = bodies[i],
                                              .body_size = size < BATCH_SHARE ? size : BATCH_SHARE};
    }
    enum raftmq_status status =
        raftmq_send_batch(client->producer, messages, count, 0, &result, &error);
    count_end(client, status);
    for (size_t i = 0; status == RAFTMQ_OK && i < count; i++) {
        ledger_acknowledged(group_named(result.broker), slice_text("plain"), result.queue_id,
                            result.queue_offset + (int64_t)i, ids[i], result.attempts);
    }
}

/* Take it back, maybe too late. */
static void recall(struct sim_client *client, const struct raftmq_send_result *result,
                   uint64_t position)
{
    char address[32];
    struct buf begun = {0};
    struct buf handle = {0};
    struct raftmq_response *response;
    struct raftmq_error error;
    sim_sleep(sim_draw(SIM_LOAD, LATER_MAX_MS * SIM_MS));
    bool possible = recall_handle_begin(slice_text("later"), slice_text(result->broker), INT64_MAX,
                                        slice_text(result->message_id), &begun);
    ASSERT(possible);
    recall_handle_end(buf_slice(&begun), position, &handle);
    const struct raftmq_property fields[] = {{"topic", "later"},
                                             {"recallHandle", buf_text(&handle)}};
    sim_client_some_replica(client, result->broker, address, sizeof address);
    if (raftmq_invoke(client->raftmq, address, REQUEST_RECALL_MESSAGE, fields, 2, NULL, 0, 0,
                      &response, &error) == RAFTMQ_OK) {
        if (response->code == RESPONSE_SUCCESS) {
            ledger_recalled(group_named(result->broker), position);
        }
        raftmq_response_free(response);
    }
    buf_close(&begun);
    buf_close(&handle);
}

/* By level or by time, up to some seconds. */
static void send_later(struct sim_client *client)
{
    char body[MESSAGE_BODY_MAX];
    struct raftmq_send_result result;
    struct raftmq_error error;
    struct host host;
    int64_t position = -1;
    uint64_t id = next_id(client);
    bool timed = sim_one_in(SIM_LOAD, 2);
    uint64_t delay_ms = 1 + sim_draw(SIM_LOAD, LATER_MAX_MS);
    const struct raftmq_message message = {
        .topic = "later",
        .body = body,
        .body_size = fill(client, LEDGER_LATER, id, body),
        .delay_level = timed ? 0 : (int32_t)(1 + sim_draw(SIM_LOAD, LEVEL_MAX)),
        .delay_ms = timed ? delay_ms : 0,
    };
    enum raftmq_status status = raftmq_send(client->producer, &message, 0, &result, &error);
    count_end(client, status);
    sim_trace(client->host->name, "sent later", id, (uint64_t)status);
    if (status != RAFTMQ_OK) {
        return;
    }
    if (offset_message_id_parse(slice_text(result.offset_message_id), &host, &position) !=
        STATUS_OK) {
        sim_violation("client", "a delayed message was acknowledged with a bad id");
    }
    ledger_delay_acknowledged(group_named(result.broker), (uint64_t)position, id, result.attempts);
    if (sim_one_in(SIM_LOAD, 4)) {
        recall(client, &result, (uint64_t)position);
    }
}

/* Have what is sent again recognised from now on, for a while, or never again. */
static void change_window(struct sim_client *client)
{
    char address[32];
    char broker[] = "broker-a";
    char attribute[40];
    char queues[12];
    struct raftmq_response *response;
    struct raftmq_error error;
    broker[sizeof broker - 2] += (char)sim_draw(SIM_LOAD, client->plan->groups);
    sim_client_some_replica(client, broker, address, sizeof address);
    snprintf(attribute, sizeof attribute, "+unique.key.window=%d", 1 << sim_draw(SIM_LOAD, 6));
    snprintf(queues, sizeof queues, "%u", client->plan->queues);
    bool ends = sim_one_in(SIM_LOAD, 4);
    const struct raftmq_property fields[] = {
        {"topic", sim_one_in(SIM_LOAD, 3) ? "later" : "plain"},
        {"readQueueNums", queues},
        {"writeQueueNums", queues},
        {"perm", "6"},
        {"attributes", ends ? "-unique.key.window" : attribute},
    };
    if (raftmq_invoke(client->raftmq, address, REQUEST_UPDATE_AND_CREATE_TOPIC, fields,
                      sizeof fields / sizeof fields[0], NULL, 0, 0, &response,
                      &error) == RAFTMQ_OK) {
        raftmq_response_free(response);
    }
}

void sim_client_send_plain(struct sim_client *client)
{
    if (client->plan->orderly_consumers > 0 && sim_one_in(SIM_LOAD, 3)) {
        send_step(client);
        return;
    }
    if (client->plan->recognises && sim_one_in(SIM_LOAD, 8)) {
        change_window(client);
    }
    if (sim_one_in(SIM_LOAD, 6)) {
        send_later(client);
    } else if (sim_one_in(SIM_LOAD, 8)) {
        send_batch(client);
    } else {
        send_one(client);
    }
}

/* ---- Transactions ---- */

struct attempt {
    struct sim_client *client;
    uint64_t id;
    bool raced; /* Decided later, by others. */
    uint64_t position;
    int64_t half_offset;
    char broker[RAFTMQ_NAME_SIZE];
};

static enum raftmq_transaction execute(void *context, const struct raftmq_send_result *result)
{
    struct attempt *attempt = context;
    struct host host;
    int64_t position = -1;
    if (offset_message_id_parse(slice_text(result->offset_message_id), &host, &position) !=
        STATUS_OK) {
        sim_violation("client", "a half was acknowledged with a bad id");
    }
    attempt->position = (uint64_t)position;
    attempt->half_offset = result->queue_offset;
    snprintf(attempt->broker, sizeof attempt->broker, "%s", result->broker);
    ledger_half_acknowledged(group_named(result->broker), attempt->position, result->queue_offset,
                             attempt->id);
    if (attempt->raced) {
        return RAFTMQ_TRANSACTION_UNKNOWN;
    }
    if (sim_one_in(SIM_LOAD, 8)) {
        return RAFTMQ_TRANSACTION_UNKNOWN; // As if it died before it did anything.
    }
    sim_sleep(sim_draw(SIM_LOAD, 5 * SIM_MS)); // A database takes its time.
    enum bank_state state =
        sim_one_in(SIM_LOAD, 5) ? bank_abort(attempt->id) : bank_execute(attempt->id);
    if (sim_one_in(SIM_LOAD, 6)) {
        return RAFTMQ_TRANSACTION_UNKNOWN; // As if it died before it could tell.
    }
    return state == BANK_DONE ? RAFTMQ_TRANSACTION_COMMIT : RAFTMQ_TRANSACTION_ROLLBACK;
}

static enum raftmq_status send_half(struct attempt *attempt, const char *topic,
                                    enum ledger_kind kind)
{
    struct sim_client *client = attempt->client;
    char body[MESSAGE_BODY_MAX];
    struct raftmq_send_result result;
    struct raftmq_error error;
    enum raftmq_transaction outcome;
    const struct raftmq_message message = {
        .topic = topic,
        .body = body,
        .body_size = fill(client, kind, attempt->id, body),
        .delay_ms = sim_one_in(SIM_LOAD, 8) ? HALF_DELAY_MS : 0,
    };
    client->counts->transactions++;
    enum raftmq_status status = raftmq_send_transaction(client->producer, &message, 0, execute,
                                                        attempt, &result, &outcome, &error);
    count_end(client, status);
    sim_trace(client->host->name, "sent half", attempt->id, (uint64_t)status);
    return status;
}

void sim_client_transfer(struct sim_client *client)
{
    struct attempt attempt = {.client = client, .id = bank_begin()};
    (void)send_half(&attempt, "bank", LEDGER_BANK);
}

enum raftmq_transaction sim_client_check_bank(void *context, const struct raftmq_received *message)
{
    struct sim_client *client = context;
    uint64_t id = 0;
    if (ledger_tag_read(slice_of(message->body, message->body_size), &id) != LEDGER_BANK ||
        id >= bank_count()) {
        sim_violation("check-back", "%s is asked about what it never sent", client->host->name);
    }
    client->counts->checks_answered++;
    if (!sim_hushed() && sim_one_in(SIM_LOAD, 5)) {
        return RAFTMQ_TRANSACTION_UNKNOWN;
    }
    // Whoever asks about a transfer that was not debited finds it ruled out from now on.
    return bank_abort(id) == BANK_DONE ? RAFTMQ_TRANSACTION_COMMIT : RAFTMQ_TRANSACTION_ROLLBACK;
}

enum raftmq_transaction sim_client_check_race(void *context, const struct raftmq_received *message)
{
    struct sim_client *client = context;
    (void)message;
    client->counts->checks_answered++;
    if (!sim_hushed() && sim_one_in(SIM_LOAD, 3)) {
        return RAFTMQ_TRANSACTION_UNKNOWN;
    }
    return sim_one_in(SIM_LOAD, 2) ? RAFTMQ_TRANSACTION_COMMIT : RAFTMQ_TRANSACTION_ROLLBACK;
}

/* ---- Races ---- */

/* END_TRANSACTION to any replica, with an answer; -1: none came. */
static int32_t send_end(struct sim_client *client, const struct attempt *attempt, bool commit,
                        int64_t wrong_by, const char *producers)
{
    char address[32];
    char half_offset[24];
    char position[24];
    struct raftmq_response *response;
    struct raftmq_error error;
    sim_client_some_replica(client, attempt->broker, address, sizeof address);
    snprintf(half_offset, sizeof half_offset, "%" PRId64, attempt->half_offset + wrong_by);
    snprintf(position, sizeof position, "%" PRIu64, attempt->position);
    const struct raftmq_property fields[] = {
        {"producerGroup", producers},
        {"tranStateTableOffset", half_offset},
        {"commitLogOffset", position},
        {"commitOrRollback", commit ? "8" : "12"},
        {"msgId", "x"},
    };
    if (raftmq_invoke(client->raftmq, address, REQUEST_END_TRANSACTION, fields,
                      sizeof fields / sizeof fields[0], NULL, 0, 0, &response,
                      &error) != RAFTMQ_OK) {
        return -1;
    }
    int32_t code = response->code;
    raftmq_response_free(response);
    client->counts->ends_answered++;
    return code;
}

/* A decision that names the wrong half or speaks for the wrong group must not be taken. */
static void send_wrong(struct sim_client *client, const struct attempt *attempt)
{
    bool foreign = sim_one_in(SIM_LOAD, 2);
    int32_t code = send_end(client, attempt, sim_one_in(SIM_LOAD, 2), foreign ? 0 : 1,
                            foreign ? "BANK" : "RACE");
    if (code == 0) {
        sim_violation("one outcome",
                      "%s decided the half at %" PRIu64 " of %s wrongly, and was let",
                      client->host->name, attempt->position, attempt->broker);
    }
}

void sim_client_race(struct sim_client *client)
{
    struct attempt attempt = {.client = client, .id = next_id(client), .raced = true};
    if (send_half(&attempt, "race", LEDGER_RACE) != RAFTMQ_OK) {
        return;
    }
    for (uint64_t ends = sim_draw(SIM_LOAD, 4); ends > 0; ends--) {
        if (sim_one_in(SIM_LOAD, 4)) {
            send_wrong(client, &attempt);
            continue;
        }
        if (sim_one_in(SIM_LOAD, 3)) {
            sim_sleep(sim_draw(SIM_LOAD, 3 * SIM_SECOND)); // As if delayed on its way.
        }
        bool commit = sim_one_in(SIM_LOAD, 2);
        if (send_end(client, &attempt, commit, 0, "RACE") == 0) {
            ledger_decided(group_named(attempt.broker), attempt.position,
                           commit ? LEDGER_COMMITTED : LEDGER_ROLLED_BACK);
        }
    }
}

/* ---- Consumers ---- */

/* The topic of the queue that it came from; the library tells the one that it was sent to. */
static struct slice queue_topic(const struct raftmq_received *message)
{
    bool again = raftmq_received_property(message, "ORIGIN_MESSAGE_ID") != NULL;
    return slice_text(again ? "%RETRY%READERS" : message->topic);
}

static enum raftmq_consumed on_message(void *context, const struct raftmq_received *message)
{
    struct sim_client *client = context;
    struct slice body = slice_of(message->body, message->body_size);
    uint64_t id;
    client->counts->received++;
    ledger_seen(group_named(message->broker), client->host->name, queue_topic(message),
                message->queue_id, message->queue_offset, body);
    if (!sim_hushed() && sim_one_in(SIM_LOAD, 15)) {
        return RAFTMQ_CONSUME_LATER; // What is sent back and lost never arrives.
    }
    if (ledger_tag_read(body, &id) == LEDGER_BANK) {
        bank_arrived(id, client->host->name);
    }
    return RAFTMQ_CONSUMED;
}

void sim_client_consume(struct sim_client *client)
{
    // Both let everything through.
    enum raftmq_expression type = client->plan->by_sql ? RAFTMQ_SQL92 : RAFTMQ_TAGS;
    const char *expression = client->plan->by_sql ? "UNIQ_KEY IS NOT NULL AND NOT (1 > 2)" : "*";
    const struct raftmq_subscription subscriptions[] = {{"plain", expression, type},
                                                        {"bank", expression, type},
                                                        {"race", expression, type},
                                                        {"later", expression, type}};
    struct raftmq_error error;
    const struct raftmq_consumer_options options = {
        .group = "READERS",
        .subscriptions = subscriptions,
        .subscription_count = sizeof subscriptions / sizeof subscriptions[0],
        .listener = on_message,
        .context = client,
        .from = RAFTMQ_FROM_FIRST,
        .redeliver_ms = 200,
    };
    if (raftmq_consumer_new(client->raftmq, &options, &client->consumer, &error) != RAFTMQ_OK) {
        sim_violation("client", "%s cannot consume: %s", client->host->name, error.remark);
    }
}

/* ---- In order ---- */

static enum raftmq_consumed on_step(void *context, const struct raftmq_received *message)
{
    struct sim_client *client = context;
    struct slice broker = slice_text(message->broker);
    client->counts->received++;
    ledger_seen(ledger_group(broker), client->host->name, slice_text(message->topic),
                message->queue_id, message->queue_offset,
                slice_of(message->body, message->body_size));
    order_begins(client->host->name, broker, message->queue_id, message->queue_offset);
    sim_sleep(sim_draw(SIM_LOAD, sim_one_in(SIM_LOAD, 20) ? 2 * SIM_SECOND : 10 * SIM_MS));
    bool consumed = sim_hushed() || !sim_one_in(SIM_LOAD, 15);
    order_ends(client->host->name, broker, message->queue_id, message->queue_offset, consumed);
    return consumed ? RAFTMQ_CONSUMED : RAFTMQ_CONSUME_LATER;
}

void sim_client_consume_in_order(struct sim_client *client)
{
    const struct raftmq_subscription subscription = {ORDER_TOPIC, "*", RAFTMQ_TAGS};
    struct raftmq_error error;
    const struct raftmq_consumer_options options = {
        .group = "STEPPERS",
        .subscriptions = &subscription,
        .subscription_count = 1,
        .listener = on_step,
        .context = client,
        .from = RAFTMQ_FROM_FIRST,
        .orderly = true,
        .redeliver_ms = 200,
    };
    if (raftmq_consumer_new(client->raftmq, &options, &client->consumer, &error) != RAFTMQ_OK) {
        sim_violation("client", "%s cannot consume: %s", client->host->name, error.remark);
    }
}
