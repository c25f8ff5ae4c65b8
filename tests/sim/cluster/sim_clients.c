#include "tests/sim/cluster/sim_clients.h"

#include "tests/sim/cluster/sim_client.h"
#include "tests/sim/cluster/sim_nodes.h"
#include "tests/sim/cluster/sim_order.h"
#include "tests/sim/os/sim_thread.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLIENT_ADDRESS = 0x0A000300 /* 10.0.3.0 */, GREET_AGAIN_US = 300 * SIM_MS };

static struct {
    const struct sim_plan *plan;
    struct sim_client clients[SIM_CLIENTS_MAX];
    size_t count;
    struct sim_client_counts counts;
    bool hush;
    bool stop;
} all;

static void start(struct sim_event *event);

static void add(enum sim_client_kind kind, uint32_t count)
{
    static const char *const names[] = {"plain", "bank", "race", "consumer", "orderly", "popper"};
    char name[SIM_HOST_NAME_SIZE];
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(all.count < SIM_CLIENTS_MAX);
        struct sim_client *client = &all.clients[all.count++];
        snprintf(name, sizeof name, "%s-%u", names[kind], i + 1);
        client->kind = kind;
        client->plan = all.plan;
        client->counts = &all.counts;
        client->host = sim_host_new(name, CLIENT_ADDRESS + (uint32_t)all.count);
        client->restart.run = start;
        start(&client->restart);
    }
}

void sim_clients_open(const struct sim_plan *plan)
{
    memset(&all, 0, sizeof all);
    all.plan = plan;
    add(SIM_CLIENT_PLAIN, plan->plain_clients);
    add(SIM_CLIENT_BANK, plan->bank_clients);
    add(SIM_CLIENT_RACE, plan->race_clients);
    add(SIM_CLIENT_CONSUMER, plan->consumers);
    add(SIM_CLIENT_ORDERLY, plan->orderly_consumers);
    add(SIM_CLIENT_POPPER, plan->poppers);
}

void sim_clients_close(void)
{
    all.stop = true;
    for (size_t i = 0; i < all.count; i++) {
        struct sim_client *client = &all.clients[i];
        sim_event_cancel(&client->restart);
        if (client->host->process != NULL) {
            sim_process_kill(client->host->process, SIM_KILL);
        }
    }
}

/* ---- A client's process ---- */

/* Learn the topic's route, and with it whom to send heartbeats to: a producer that has just started
 * and sends nothing would be asked nothing. */
static void greet(struct sim_client *client)
{
    static const char *const topics[] = {"plain", "bank", "race"};
    const struct raftmq_message message = {
        .topic = topics[client->kind], .body = "hello", .body_size = 5};
    struct raftmq_send_result result;
    struct raftmq_error error;
    while (!client->stopping &&
           raftmq_send(client->producer, &message, 0, &result, &error) != RAFTMQ_OK) {
        sim_sleep(GREET_AGAIN_US);
    }
}

/* They go on while the others are hushed: all there is must be popped. */
static void popper_main(void *argument)
{
    struct sim_client *client = argument;
    while (!client->stopping) {
        sim_client_pop(client);
        sim_sleep(1 + sim_draw(SIM_LOAD, 2 * client->plan->think_us));
    }
}

static void thread_main(void *argument)
{
    struct sim_client *client = argument;
    static void (*const steps[])(struct sim_client *) = {sim_client_send_plain, sim_client_transfer,
                                                         sim_client_race};
    greet(client);
    client->busy++;
    while (!all.hush && !client->stopping) {
        steps[client->kind](client);
        sim_sleep(1 + sim_draw(SIM_LOAD, 2 * client->plan->think_us));
    }
    client->busy--;
}

static void open_all(struct sim_client *client)
{
    struct raftmq_error error;
    const struct raftmq_client_options options = {
        .nameservers = sim_nameserver_addresses(),
        .instance_name = client->host->name,
        .timeout_ms = sim_between(SIM_LOAD, 800, 4000),
        .worker_threads = 2,
        .poll_routes_ms = 1000 * client->plan->scale,
        .heartbeat_ms = 1000 * client->plan->scale,
        .rebalance_ms = 2000 * client->plan->scale,
        .persist_offsets_ms = 500 * client->plan->scale,
    };
    if (raftmq_client_new(&options, &client->raftmq, &error) != RAFTMQ_OK) {
        sim_violation("client", "%s cannot be made: %s", client->host->name, error.remark);
    }
    if (client->kind == SIM_CLIENT_CONSUMER) {
        sim_client_consume(client);
        return;
    }
    if (client->kind == SIM_CLIENT_ORDERLY) {
        sim_client_consume_in_order(client);
        return;
    }
    if (client->kind == SIM_CLIENT_POPPER) {
        return;
    }
    static const char *const groups[] = {"PLAIN", "BANK", "RACE"};
    raftmq_check_cb *check =
        client->kind == SIM_CLIENT_BANK ? sim_client_check_bank : sim_client_check_race;
    if (raftmq_producer_new(client->raftmq, groups[client->kind], check, client, &client->producer,
                            &error) != RAFTMQ_OK) {
        sim_violation("client", "%s gets no producer: %s", client->host->name, error.remark);
    }
}

static void client_main(void *argument)
{
    struct sim_client *client = argument;
    uv_thread_t threads[8];
    bool consumes = client->kind == SIM_CLIENT_CONSUMER || client->kind == SIM_CLIENT_ORDERLY;
    uint32_t count = consumes ? 0 : client->plan->threads;
    ASSERT(uv_sem_init(&client->stop, 0) == 0);
    open_all(client);
    client->ready = true;
    for (uint32_t i = 0; i < count; i++) {
        void (*body)(void *) = client->kind == SIM_CLIENT_POPPER ? popper_main : thread_main;
        ASSERT(uv_thread_create(&threads[i], body, client) == 0);
    }
    uv_sem_wait(&client->stop);
    for (uint32_t i = 0; i < count; i++) {
        uv_thread_join(&threads[i]);
    }
    raftmq_consumer_close(client->consumer);
    raftmq_producer_close(client->producer);
    raftmq_client_close(client->raftmq);
    uv_sem_destroy(&client->stop);
    sim_process_die(SIM_EXIT);
}

static void on_death(void *context, enum sim_death death)
{
    struct sim_client *client = context;
    order_died(client->host->name);
    client->ready = false;
    client->stopping = false;
    client->busy = 0;
    client->raftmq = NULL;
    client->producer = NULL;
    client->consumer = NULL;
    all.counts.deaths += death != SIM_EXIT;
    if (!all.stop) {
        sim_event_set(&client->restart, sim_now_us() + sim_draw(SIM_FAULT, 3 * SIM_SECOND));
    }
}

static void start(struct sim_event *event)
{
    struct sim_client *client = CONTAINER_OF(event, struct sim_client, restart);
    if (client->host->process == NULL && !all.stop) {
        sim_process_start(client->host, client_main, client, on_death, client);
    }
}

/* ---- From outside ---- */

void sim_clients_hush(void)
{
    all.hush = true;
}

bool sim_hushed(void)
{
    return all.hush;
}

bool sim_clients_hushed(void)
{
    for (size_t i = 0; i < all.count; i++) {
        if (!all.clients[i].ready || all.clients[i].busy > 0) {
            return false;
        }
    }
    return true;
}

void sim_clients_stop(void)
{
    all.stop = true;
    for (size_t i = 0; i < all.count; i++) {
        struct sim_client *client = &all.clients[i];
        sim_event_cancel(&client->restart);
        if (client->ready && !client->stopping) {
            client->stopping = true;
            uv_sem_post(&client->stop);
        }
    }
}

bool sim_clients_gone(void)
{
    for (size_t i = 0; i < all.count; i++) {
        if (all.clients[i].host->process != NULL) {
            return false;
        }
    }
    return true;
}

bool sim_clients_pop(void)
{
    return all.plan->poppers > 0;
}

size_t sim_client_count(void)
{
    return all.count;
}

struct sim_host *sim_client_host(size_t client)
{
    return all.clients[client].host;
}

const struct sim_client_counts *sim_client_counts(void)
{
    return &all.counts;
}
