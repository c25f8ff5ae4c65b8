/* Transactions: decisions on their way to brokers, and brokers' questions. */
#include "client/producer.h"
#include "client/received.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <stdlib.h>

enum { CHECKS_MAX = 2000 }; /* Waiting or running, of one producer (checkRequestHoldMax). */

/* The wire's numbers of what was decided. */
enum { END_UNKNOWN = 0, END_COMMIT = 8, END_ROLLBACK = 12 };

/* All that END_TRANSACTION says. Borrows. */
struct end {
    struct slice topic;
    struct slice group;
    struct slice broker;
    struct slice message_id;
    struct slice transaction_id;
    int64_t half_offset; /* tranStateTableOffset */
    int64_t log_offset;
    enum raftmq_transaction outcome;
    bool from_check;
};

/* A question being answered on a worker. */
struct check {
    struct job job;
    struct raftmq_producer *producer;
    struct host host;
    struct received received;
    struct arena arena; /* What `end` borrows from. */
    struct end end;
};

static void send_end_command(struct raftmq_client *client, struct host host, const struct end *end);
static bool read_check(struct raftmq_client *client, const struct command *command,
                       struct check *check);
static void run_check(struct job *job);
static void finish_check(struct job *job);

void transaction_end(struct raftmq_producer *producer, const struct raftmq_send_result *result,
                     const char *topic, enum raftmq_transaction outcome)
{
    struct raftmq_client *client = producer->client;
    struct host stored_at;
    struct host host;
    int64_t log_offset;
    if (offset_message_id_parse(slice_text(result->offset_message_id), &stored_at, &log_offset) !=
        STATUS_OK) {
        log_warn(&client->log, "outcome not sent: the broker gave no offset id", "id=%s",
                 result->offset_message_id);
        return; // The broker will ask.
    }
    // Whoever leads the broker group now; the address in the id is that of the past.
    if (!routes_host(&client->routes, slice_text(result->broker), 0, &host)) {
        host = stored_at;
    }
    const struct end end = {
        .topic = slice_text(topic),
        .group = name_slice(&producer->group),
        .broker = slice_text(result->broker),
        .message_id = slice_text(result->message_id),
        .transaction_id = slice_text(result->message_id),
        .half_offset = result->queue_offset,
        .log_offset = log_offset,
        .outcome = outcome,
    };
    send_end_command(client, host, &end);
}

static void send_end_command(struct raftmq_client *client, struct host host, const struct end *end)
{
    static const int32_t codes[] = {END_UNKNOWN, END_COMMIT, END_ROLLBACK};
    struct command request;
    struct buf scratch = {0};
    buf_reserve(&scratch, 128);
    command_init_request(&request, REQUEST_END_TRANSACTION, 0);
    command_add(&request, "topic", end->topic);
    command_add(&request, "producerGroup", end->group);
    command_add_i64(&request, "tranStateTableOffset", end->half_offset, &scratch);
    command_add_i64(&request, "commitLogOffset", end->log_offset, &scratch);
    command_add_i64(&request, "commitOrRollback", codes[end->outcome], &scratch);
    command_add(&request, "fromTransactionCheck", slice_text(end->from_check ? "true" : "false"));
    command_add(&request, "msgId", end->message_id);
    command_add(&request, "transactionId", end->transaction_id);
    command_add(&request, "bname", end->broker);
    connections_send(&client->connections, host, &request);
    buf_close(&scratch);
}

void transaction_on_check(struct raftmq_client *client, struct host host,
                          const struct command *command)
{
    struct check *check = mem_zalloc(sizeof *check);
    check->host = host;
    if (!read_check(client, command, check)) {
        received_close(&check->received);
        arena_close(&check->arena);
        free(check);
        return; // Not ours to answer, or not now: the broker asks again.
    }
    check->producer->checks_running++;
    check->job.run = run_check;
    check->job.done = finish_check;
    workers_post(&client->workers, &check->job);
}

static bool read_check(struct raftmq_client *client, const struct command *command,
                       struct check *check)
{
    struct slice rest = command->body;
    struct slice broker = {0};
    struct slice topic = {0};
    struct slice transaction_id = {0};
    struct end *end = &check->end;
    (void)command_find(command, "bname", &broker);
    (void)command_find(command, "topic", &topic);
    (void)command_find(command, "transactionId", &transaction_id);
    if (received_decode(&rest, broker, &check->received) != STATUS_OK ||
        command_i64(command, "tranStateTableOffset", true, &end->half_offset) != STATUS_OK ||
        command_i64(command, "commitLogOffset", true, &end->log_offset) != STATUS_OK) {
        log_warn(&client->log, "transaction check dropped: it cannot be read", "%s", "");
        return false;
    }
    const char *group = raftmq_received_property(&check->received.message, PROPERTY_PRODUCER_GROUP);
    check->producer = group == NULL ? NULL : producer_find(client, slice_text(group));
    if (check->producer == NULL || check->producer->check == NULL || check->producer->closing ||
        check->producer->checks_running >= CHECKS_MAX) {
        return false;
    }
    end->topic = arena_copy(&check->arena, topic);
    end->broker = arena_copy(&check->arena, broker);
    end->transaction_id = arena_copy(&check->arena, transaction_id);
    end->group = name_slice(&check->producer->group);
    end->message_id = slice_text(check->received.message.message_id);
    end->from_check = true;
    return true;
}

/* On a worker. */
static void run_check(struct job *job)
{
    struct check *check = CONTAINER_OF(job, struct check, job);
    check->end.outcome = check->producer->check(check->producer->context, &check->received.message);
}

static void finish_check(struct job *job)
{
    struct check *check = CONTAINER_OF(job, struct check, job);
    struct raftmq_producer *producer = check->producer;
    // To where it came from: that broker waits for it.
    send_end_command(producer->client, check->host, &check->end);
    received_close(&check->received);
    arena_close(&check->arena);
    free(check);
    producer->checks_running--;
    producer_finish_if_idle(producer);
}
