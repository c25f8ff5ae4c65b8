#include "client/heartbeat.h"

#include "client/consumer.h"
#include "client/producer.h"
#include "common/remoting/body_heartbeat.h"
#include "common/remoting/codes.h"

#include <stdlib.h>

enum { HEARTBEAT_TIMEOUT_MS = 3000 };

static bool encode(const struct raftmq_client *client, struct buf *out);
static void transmit(struct raftmq_client *client, struct host host, struct slice body);
static void on_answer(void *context, enum status status, const struct command *response);
static size_t brokers(const struct raftmq_client *client, bool all, struct host *hosts,
                      size_t hosts_max);

enum { HOSTS_MAX = CLIENT_BROKERS_MAX };

void heartbeat_greet(struct raftmq_client *client, struct host host)
{
    struct host *hosts = mem_alloc(HOSTS_MAX * sizeof *hosts);
    struct buf body = {0};
    size_t count = brokers(client, !list_empty(&client->consumers), hosts, HOSTS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (hosts[i].address == host.address && hosts[i].port == host.port) {
            if (encode(client, &body)) {
                transmit(client, host, buf_slice(&body));
            }
            break;
        }
    }
    buf_close(&body);
    free(hosts);
}

void heartbeat_all(struct raftmq_client *client)
{
    struct buf body = {0};
    if (encode(client, &body)) {
        struct host *hosts = mem_alloc(HOSTS_MAX * sizeof *hosts);
        size_t count = brokers(client, !list_empty(&client->consumers), hosts, HOSTS_MAX);
        for (size_t i = 0; i < count; i++) {
            transmit(client, hosts[i], buf_slice(&body));
        }
        free(hosts);
    }
    buf_close(&body);
}

void heartbeat_leave(struct raftmq_client *client, struct slice producer_group,
                     struct slice consumer_group)
{
    struct host *hosts = mem_alloc(HOSTS_MAX * sizeof *hosts);
    size_t count = brokers(client, true, hosts, HOSTS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct command request;
        command_init_request(&request, REQUEST_UNREGISTER_CLIENT, 0);
        command_add(&request, "clientID", name_slice(&client->id));
        if (producer_group.size > 0) {
            command_add(&request, "producerGroup", producer_group);
        }
        if (consumer_group.size > 0) {
            command_add(&request, "consumerGroup", consumer_group);
        }
        connections_send(&client->connections, hosts[i], &request);
    }
    free(hosts);
}

void heartbeat_on_alarm(struct alarm *alarm)
{
    struct raftmq_client *client = CONTAINER_OF(alarm, struct raftmq_client, heartbeat);
    heartbeat_all(client);
    alarms_set(&client->alarms, alarm, client->options.heartbeat_ms);
}

/* Addresses of the known brokers: of all replicas, or of leaders. */
static size_t brokers(const struct raftmq_client *client, bool all, struct host *hosts,
                      size_t hosts_max)
{
    size_t count = 0;
    MAP_FOREACH(node, &client->routes.brokers)
    {
        const struct known_broker *broker = CONTAINER_OF(node, struct known_broker, node);
        for (size_t i = 0; i < broker->address_count && count < hosts_max; i++) {
            if (all || broker->addresses[i].id == 0) {
                hosts[count++] = broker->addresses[i].host;
            }
        }
    }
    return count;
}

static void transmit(struct raftmq_client *client, struct host host, struct slice body)
{
    struct command request;
    command_init_request(&request, REQUEST_HEART_BEAT, 0);
    request.body = body;
    enum status status = connections_call(&client->connections, host, &request,
                                          HEARTBEAT_TIMEOUT_MS, on_answer, client);
    if (status != STATUS_PENDING) {
        log_debug(&client->log, "heartbeat not sent", "error=%s", status_name(status));
    }
}

static void on_answer(void *context, enum status status, const struct command *response)
{
    struct raftmq_client *client = context;
    if (status == STATUS_OK && response->code != RESPONSE_SUCCESS) {
        log_warn(&client->log, "a broker refused a heartbeat", "code=%d remark=\"%.*s\"",
                 response->code, SLICE_ARGS(response->remark));
    }
}

/* False (nothing appended) if there are no groups. */
static bool encode(const struct raftmq_client *client, struct buf *out)
{
    struct arena arena = {0};
    size_t producer_count = 0;
    size_t consumer_count = 0;
    LIST_FOREACH(at, &client->producers)
    {
        producer_count++;
    }
    LIST_FOREACH(at, &client->consumers)
    {
        consumer_count++;
    }
    struct heartbeat heartbeat = {
        .client_id = name_slice(&client->id),
        .producers = arena_array(&arena, producer_count + 1, sizeof *heartbeat.producers),
        .consumers = arena_array(&arena, consumer_count + 1, sizeof *heartbeat.consumers),
    };
    LIST_FOREACH(at, &client->producers)
    {
        heartbeat.producers[heartbeat.producer_count++] =
            name_slice(&CONTAINER_OF(at, struct raftmq_producer, in_client)->group);
    }
    LIST_FOREACH(at, &client->consumers)
    {
        consumer_describe(CONTAINER_OF(at, struct raftmq_consumer, in_client), &arena,
                          &heartbeat.consumers[heartbeat.consumer_count++]);
    }
    bool any = producer_count + consumer_count > 0;
    if (any) {
        heartbeat_encode(&heartbeat, out);
    }
    arena_close(&arena);
    return any;
}
