#include "client/producer.h"

#include "client/heartbeat.h"
#include "client/outgoing.h"
#include "common/base/limits.h"
#include "common/remoting/names.h"

#include <stdlib.h>

/* A synchronous send waits for this. */
struct outcome {
    uv_sem_t done;
    struct raftmq_send_result result;
    struct raftmq_error error;
};

static void register_producer(void *argument);
static void close_producer(void *argument);
static struct send *send_new(struct raftmq_producer *producer, const struct raftmq_message *first,
                             uint64_t timeout_ms);
static void signal_outcome(struct send *send);
static void call_back(struct send *send);

enum raftmq_status raftmq_producer_new(struct raftmq_client *client, const char *group,
                                       raftmq_check_cb *check, void *context,
                                       struct raftmq_producer **out, struct raftmq_error *error)
{
    if (!group_name_valid(slice_text(group))) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "the group name is not valid");
    }
    struct raftmq_producer *producer = mem_zalloc(sizeof *producer);
    producer->client = client;
    producer->check = check;
    producer->context = context;
    list_init(&producer->sends);
    list_init(&producer->requests);
    (void)name_set(&producer->group, slice_text(group));
    tasks_run_anywhere(&client->tasks, register_producer, producer);
    if (!list_linked(&producer->in_client)) {
        free(producer);
        return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                         "this client has a producer of that group already");
    }
    *out = producer;
    return error_none(error);
}

/* Brokers know one member per client and group: a second producer would be unregistered with the
 * first. */
static void register_producer(void *argument)
{
    struct raftmq_producer *producer = argument;
    if (producer_find(producer->client, name_slice(&producer->group)) != NULL) {
        return;
    }
    list_append(&producer->client->producers, &producer->in_client);
    heartbeat_all(producer->client); // Those connected already must learn of the new group.
}

void raftmq_producer_close(struct raftmq_producer *producer)
{
    uv_sem_t closed;
    if (producer == NULL) {
        return;
    }
    ASSERT(uv_sem_init(&closed, 0) == 0);
    producer->closed = &closed;
    tasks_run(&producer->client->tasks, close_producer, producer);
    uv_sem_wait(&closed);
    uv_sem_destroy(&closed);
    free(producer);
}

static void close_producer(void *argument)
{
    struct raftmq_producer *producer = argument;
    producer->closing = true;
    producer->checks_running++; // Keeps it from finishing within the loop below.
    while (!list_empty(&producer->sends)) {
        struct send *send = CONTAINER_OF(producer->sends.next, struct send, in_producer);
        if (rpc_cancel(producer->client->rpc, send) == 0) { // Else on_answer() has ended it.
            error_of_status(&send->error, STATUS_CANCELED);
            send_end(send);
        }
    }
    producer->checks_running--;
    requests_cancel(producer);
    list_remove(&producer->in_client);
    heartbeat_leave(producer->client, name_slice(&producer->group), (struct slice){0});
    producer_finish_if_idle(producer);
}

void producer_finish_if_idle(struct raftmq_producer *producer)
{
    if (producer->closing && producer->checks_running == 0 && list_empty(&producer->sends)) {
        uv_sem_post(producer->closed); // The waiting thread frees it.
    }
}

struct raftmq_producer *producer_find(const struct raftmq_client *client, struct slice group)
{
    LIST_FOREACH(at, &client->producers)
    {
        struct raftmq_producer *producer = CONTAINER_OF(at, struct raftmq_producer, in_client);
        if (slice_equals(name_slice(&producer->group), group)) {
            return producer;
        }
    }
    return NULL;
}

bool client_admit_send(struct raftmq_client *client, size_t count, char (*ids)[UNIQUE_KEY_SIZE])
{
    uint64_t now_ms = clock_wall_ms(client->clock);
    uv_mutex_lock(&client->tasks.lock);
    bool admitted = client->sends_in_flight < client->options.sends_max;
    if (admitted) {
        client->sends_in_flight++;
        for (size_t i = 0; i < count; i++) {
            unique_keys_next(&client->keys, now_ms, ids[i]);
        }
    }
    uv_mutex_unlock(&client->tasks.lock);
    return admitted;
}

void client_release_send(struct raftmq_client *client)
{
    uv_mutex_lock(&client->tasks.lock);
    client->sends_in_flight--;
    uv_mutex_unlock(&client->tasks.lock);
}

static struct send *send_new(struct raftmq_producer *producer, const struct raftmq_message *first,
                             uint64_t timeout_ms)
{
    struct raftmq_client *client = producer->client;
    struct send *send = mem_zalloc(sizeof *send);
    send->task.run = send_start;
    send->producer = producer;
    send->timeout_ms = timeout_ms == 0 ? client->options.timeout_ms : timeout_ms;
    send->flag = first->flag;
    send->born_ms = (int64_t)clock_wall_ms(client->clock);
    (void)name_set(&send->topic, slice_text(first->topic)); // Checked before.
    if (first->shard_key != NULL && first->shard_key[0] != '\0') {
        send->sharded = true;
        send->shard = (uint32_t)java_hash_code(slice_text(first->shard_key));
    }
    return send;
}

enum raftmq_status send_make(struct raftmq_producer *producer, const struct raftmq_message *message,
                             uint64_t timeout_ms, bool transaction, struct send **out,
                             struct raftmq_error *error)
{
    struct raftmq_client *client = producer->client;
    char id[1][UNIQUE_KEY_SIZE];
    enum raftmq_status status = outgoing_check(message, error);
    if (status != RAFTMQ_OK) {
        return status;
    }
    if (!client_admit_send(client, 1, id)) {
        (void)error_of_status(error, STATUS_OVERLOADED);
        return RAFTMQ_OVERLOADED; // As such, for analysers: *out is set with RAFTMQ_OK only.
    }
    struct send *send = send_new(producer, message, timeout_ms);
    send->sys_flag = outgoing_body(message, client->options.compress_above, &send->body) |
                     (transaction ? SYS_FLAG_PREPARED : 0);
    outgoing_properties(message, slice_of(id[0], UNIQUE_KEY_SIZE),
                        transaction ? producer->group.text : NULL, &send->properties);
    memcpy(send->result.message_id, id[0], UNIQUE_KEY_SIZE);
    *out = send;
    return RAFTMQ_OK;
}

enum raftmq_status send_and_wait(struct send *send, struct raftmq_send_result *result,
                                 struct raftmq_error *error)
{
    struct outcome outcome;
    ASSERT(uv_sem_init(&outcome.done, 0) == 0);
    send->done = signal_outcome;
    send->done_context = &outcome;
    tasks_post(&send->producer->client->tasks, &send->task);
    uv_sem_wait(&outcome.done);
    uv_sem_destroy(&outcome.done);
    if (result != NULL) {
        *result = outcome.result;
    }
    if (error != NULL) {
        *error = outcome.error;
    }
    return outcome.error.status;
}

static void signal_outcome(struct send *send)
{
    struct outcome *outcome = send->done_context;
    outcome->result = send->result;
    outcome->error = send->error;
    send_free(send);
    uv_sem_post(&outcome->done);
}

enum raftmq_status raftmq_send(struct raftmq_producer *producer,
                               const struct raftmq_message *message, uint64_t timeout_ms,
                               struct raftmq_send_result *result, struct raftmq_error *error)
{
    struct send *send = NULL;
    enum raftmq_status status = send_make(producer, message, timeout_ms, false, &send, error);
    return status == RAFTMQ_OK ? send_and_wait(send, result, error) : status;
}

enum raftmq_status raftmq_send_async(struct raftmq_producer *producer,
                                     const struct raftmq_message *message, uint64_t timeout_ms,
                                     raftmq_send_cb *cb, void *context)
{
    struct send *send = NULL;
    enum raftmq_status status = send_make(producer, message, timeout_ms, false, &send, NULL);
    if (status == RAFTMQ_OK) {
        send->done = call_back;
        send->callback = cb;
        send->done_context = context;
        tasks_post(&producer->client->tasks, &send->task);
    }
    return status;
}

static void call_back(struct send *send)
{
    if (send->callback != NULL) {
        tasks_call_back(&send->producer->client->tasks);
        send->callback(send->done_context, send->error.status == RAFTMQ_OK ? &send->result : NULL,
                       &send->error);
        tasks_called_back(&send->producer->client->tasks);
    }
    send_free(send);
}

enum raftmq_status raftmq_send_oneway(struct raftmq_producer *producer,
                                      const struct raftmq_message *message)
{
    struct send *send = NULL;
    enum raftmq_status status = send_make(producer, message, 0, false, &send, NULL);
    if (status == RAFTMQ_OK) {
        send->oneway = true;
        send->done = call_back;
        tasks_post(&producer->client->tasks, &send->task);
    }
    return status;
}

/* May these be sent as one? */
static enum raftmq_status check_batch(const struct raftmq_message *messages, size_t count,
                                      struct raftmq_error *error)
{
    size_t size = 0;
    if (count == 0 || count > BATCH_MESSAGES_MAX) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "a batch has 1 to %d messages",
                         BATCH_MESSAGES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        enum raftmq_status status = outgoing_check(&messages[i], error);
        if (status != RAFTMQ_OK) {
            return status;
        }
        if (strcmp(messages[i].topic, messages[0].topic) != 0 || outgoing_delayed(&messages[i]) ||
            topic_is_retry(slice_text(messages[i].topic))) {
            return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                             "a batch has one ordinary topic and no delay");
        }
        size += messages[i].body_size;
    }
    return size > MESSAGE_BODY_MAX
               ? error_set(error, RAFTMQ_INVALID_ARGUMENT, "the batch is larger than %d bytes",
                           MESSAGE_BODY_MAX)
               : RAFTMQ_OK;
}

enum raftmq_status raftmq_send_batch(struct raftmq_producer *producer,
                                     const struct raftmq_message *messages, size_t count,
                                     uint64_t timeout_ms, struct raftmq_send_result *result,
                                     struct raftmq_error *error)
{
    enum raftmq_status status = check_batch(messages, count, error);
    if (status != RAFTMQ_OK) {
        return status;
    }
    char(*ids)[UNIQUE_KEY_SIZE] = mem_alloc(count * sizeof *ids);
    if (!client_admit_send(producer->client, count, ids)) {
        free(ids);
        return error_of_status(error, STATUS_OVERLOADED);
    }
    struct send *send = send_new(producer, &messages[0], timeout_ms);
    send->batch = true;
    for (size_t i = 0; i < count; i++) {
        outgoing_batch_item(&messages[i], slice_of(ids[i], UNIQUE_KEY_SIZE), &send->body);
    }
    const struct raftmq_message none = {0};
    outgoing_properties(&none, slice_of(ids[0], UNIQUE_KEY_SIZE), NULL, &send->properties);
    memcpy(send->result.message_id, ids[0], UNIQUE_KEY_SIZE);
    free(ids);
    return send_and_wait(send, result, error);
}

/* What was decided, on its way to the broker. */
struct decision {
    struct raftmq_producer *producer;
    const struct raftmq_send_result *result;
    enum raftmq_transaction outcome;
    const char *topic;
};

static void send_decision(void *argument)
{
    const struct decision *decision = argument;
    transaction_end(decision->producer, decision->result, decision->topic, decision->outcome);
}

enum raftmq_status raftmq_send_transaction(struct raftmq_producer *producer,
                                           const struct raftmq_message *message,
                                           uint64_t timeout_ms, raftmq_execute_cb *execute,
                                           void *context, struct raftmq_send_result *result,
                                           enum raftmq_transaction *outcome,
                                           struct raftmq_error *error)
{
    struct send *send = NULL;
    struct raftmq_send_result own;
    if (producer->check == NULL) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                         "a producer without check callback cannot send transactions");
    }
    enum raftmq_status status = send_make(producer, message, timeout_ms, true, &send, error);
    if (status == RAFTMQ_OK) {
        status = send_and_wait(send, &own, error);
    }
    if (status != RAFTMQ_OK) {
        return status;
    }
    enum raftmq_transaction decided =
        own.status == RAFTMQ_SENT ? execute(context, &own) : RAFTMQ_TRANSACTION_ROLLBACK;
    struct decision decision = {producer, &own, decided, message->topic};
    tasks_run(&producer->client->tasks, send_decision, &decision);
    if (result != NULL) {
        *result = own;
    }
    if (outcome != NULL) {
        *outcome = decided;
    }
    return RAFTMQ_OK;
}
