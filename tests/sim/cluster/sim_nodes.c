#include "tests/sim/cluster/sim_nodes.h"

#include "broker/host/group_internal.h"
#include "nameserver/nameserver.h"
#include "nameserver/settings.h"
#include "tests/sim/cluster/sim_ledger.h"
#include "tests/sim/os/sim_thread.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    NODE_ADDRESS = 0x0A000100, /* 10.0.1.0 */
    NAMESERVER_ADDRESS = 0x0A000200,
    TEXT_SIZE = 256,
    SETTINGS_MAX = 32,
};

struct node {
    size_t number;
    struct sim_host *host;
    bool wanted;
    bool stopping;
    uint64_t rest_us;
    struct sim_event restart;
    struct sim_event relapse;
    /* Of the process that runs: */
    struct group_host *groups[SIM_GROUPS_MAX];
    bool ready;
    uv_sem_t stop;
};

struct server {
    struct sim_host *host;
    struct sim_event restart;
};

static struct {
    const struct sim_plan *plan;
    struct node nodes[SIM_NODES_MAX];
    struct server servers[SIM_NAMESERVERS_MAX];
    char node_list[TEXT_SIZE];
    char spare_list[TEXT_SIZE]; /* As a spare node has it: with itself. */
    char group_list[TEXT_SIZE];
    char server_list[TEXT_SIZE];
    struct sim_deaths deaths;
    bool spared;
    bool closing;
} cluster;

static void start_node(struct sim_event *event);
static void on_relapse(struct sim_event *event);
static void start_server(struct sim_event *event);

/* ---- Names ---- */

const char *sim_group_name(size_t group)
{
    static const char *const names[SIM_GROUPS_MAX] = {"broker-a", "broker-b", "broker-c"};
    return names[group];
}

size_t sim_group_count(void)
{
    return cluster.plan->groups;
}

static void add_text(char *list, const char *text)
{
    size_t used = strlen(list);
    snprintf(list + used, TEXT_SIZE - used, "%s;", text);
}

static void make_names(void)
{
    char text[64];
    for (uint32_t i = 0; i < sim_node_count(); i++) {
        snprintf(text, sizeof text, "%u@10.0.1.%u:%d:%d", i + 1, i + 1, SIM_CLIENT_PORT,
                 SIM_RAFT_PORT);
        add_text(cluster.spare_list, text);
        if (i < cluster.plan->nodes) {
            add_text(cluster.node_list, text);
        }
    }
    for (uint32_t i = 0; i < cluster.plan->groups; i++) {
        add_text(cluster.group_list, sim_group_name(i));
    }
    for (uint32_t i = 0; i < cluster.plan->nameservers; i++) {
        snprintf(text, sizeof text, "10.0.2.%u:%d", i + 1, SIM_NAMESERVER_PORT);
        add_text(cluster.server_list, text);
    }
}

const char *sim_nameserver_addresses(void)
{
    return cluster.server_list;
}

void sim_nodes_open(const struct sim_plan *plan)
{
    char name[SIM_HOST_NAME_SIZE];
    memset(&cluster, 0, sizeof cluster);
    cluster.plan = plan;
    make_names();
    for (uint32_t i = 0; i < plan->nameservers; i++) {
        snprintf(name, sizeof name, "names-%u", i + 1);
        cluster.servers[i].host = sim_host_new(name, NAMESERVER_ADDRESS + i + 1);
        cluster.servers[i].restart.run = start_server;
        start_server(&cluster.servers[i].restart);
    }
    for (uint32_t i = 0; i < sim_node_count(); i++) {
        struct node *node = &cluster.nodes[i];
        snprintf(name, sizeof name, "node-%u", i + 1);
        node->number = i;
        node->host = sim_host_new(name, NODE_ADDRESS + i + 1);
        node->host->disk_faults.sync_us = plan->sync_us;
        node->restart.run = start_node;
        node->relapse.run = on_relapse;
        if (i < plan->nodes) {
            sim_node_want(i, true);
        }
    }
}

void sim_nodes_close(void)
{
    cluster.closing = true;
    for (uint32_t i = 0; i < sim_node_count(); i++) {
        sim_event_cancel(&cluster.nodes[i].restart);
        sim_event_cancel(&cluster.nodes[i].relapse);
        if (cluster.nodes[i].host->process != NULL) {
            sim_process_kill(cluster.nodes[i].host->process, SIM_KILL);
        }
    }
    for (uint32_t i = 0; i < cluster.plan->nameservers; i++) {
        sim_event_cancel(&cluster.servers[i].restart);
        if (cluster.servers[i].host->process != NULL) {
            sim_process_kill(cluster.servers[i].host->process, SIM_KILL);
        }
    }
}

/* ---- Nodes ---- */

static enum status load(struct settings *settings, const struct node *node, const struct log *log)
{
    const struct sim_plan *plan = cluster.plan;
    static char texts[SETTINGS_MAX][TEXT_SIZE + 32]; // Read before anything else can run.
    const char *pointers[SETTINGS_MAX];
    size_t count = 0;
#define SET(...) snprintf(texts[count++], sizeof texts[0], __VA_ARGS__)
    SET("brokerClusterName=sim");
    SET("nodeId=%zu", node->number + 1);
    SET("nodes=%s", node->number < plan->nodes ? cluster.node_list : cluster.spare_list);
    SET("groups=%s", cluster.group_list);
    SET("namesrvAddr=%s", cluster.server_list);
    SET("storePathRootDir=/data");
    SET("defaultTopicQueueNums=%u", plan->queues);
    SET("transactionTimeOut=%u", plan->transaction_timeout_ms);
    SET("transactionCheckInterval=%u", plan->check_interval_ms);
    SET("transactionCheckMax=%u", plan->check_max);
    SET("registerNameServerPeriod=%u", plan->register_ms);
    SET("leaderWaitMs=%u", plan->leader_wait_ms);
    SET("electionTimeoutMs=%u", plan->election_ms);
    SET("raftHeartbeatMs=%u", plan->heartbeat_ms);
    SET("checkpointSize=65536");
    SET("checkpointIntervalMs=%u", plan->checkpoint_ms);
    SET("leaderBalanceDelayMs=%u", plan->balance_ms);
    SET("fileReservedTime=0");
    SET("fileReservedTimeMs=%" PRIu64, plan->retention_ms);
    SET("logSizeMax=%" PRIu64, plan->log_size_max);
    SET("diskReserveSize=%" PRIu64, plan->reserve_size);
    SET("messageDelayLevel=1s 1s 2s 2s 3s 3s 4s");
    SET("recallMessageEnable=true");
    SET("channelExpiredTimeout=%" PRIu64, 20000 * plan->scale);
    if (plan->slave_read_lag > 0) {
        SET("slaveReadEnable=true");
        SET("slaveReadLagSize=%" PRIu64, plan->slave_read_lag);
        SET("maxTransferCountOnMessageInMemory=3"); // So that something is left behind a pull.
    }
    SET("logLevel=%s", sim_tracing() ? "info" : "error");
#undef SET
    ASSERT(count <= SETTINGS_MAX);
    for (size_t i = 0; i < count; i++) {
        pointers[i] = texts[i];
    }
    return settings_load(settings, NULL, pointers, count, log);
}

/* Its main thread. */
static void node_main(void *argument)
{
    struct node *node = argument;
    struct log log;
    struct settings *settings = mem_zalloc(sizeof *settings);
    log_init(&log, stderr, LOG_INFO, node->host->name);
    if (load(settings, node, &log) != STATUS_OK) {
        sim_violation("settings", "%s does not take its settings", node->host->name);
    }
    ASSERT(uv_sem_init(&node->stop, 0) == 0);
    for (size_t i = 0; i < settings->group_count; i++) {
        node->groups[i] = group_host_start(settings, &settings->groups[i]);
    }
    for (size_t i = 0; i < settings->group_count; i++) {
        enum status status = group_host_started(node->groups[i]);
        if (status != STATUS_OK && node->host->disk_faults.failed) {
            sim_process_die(SIM_FATAL);
        }
        if (status != STATUS_OK) {
            sim_violation("recovery", "%s cannot start %s again: %s", node->host->name,
                          settings->groups[i].name.text, status_text(status));
        }
    }
    node->ready = true;
    if (!node->stopping) {
        uv_sem_wait(&node->stop);
    }
    node->ready = false;
    for (size_t i = 0; i < settings->group_count; i++) {
        group_host_stop(node->groups[i]);
    }
    for (size_t i = 0; i < settings->group_count; i++) {
        group_host_join(node->groups[i]);
        node->groups[i] = NULL;
    }
    uv_sem_destroy(&node->stop);
    settings_close(settings);
    free(settings);
    sim_process_die(SIM_EXIT);
}

static void on_node_death(void *context, enum sim_death death)
{
    struct node *node = context;
    node->ready = false;
    node->stopping = false;
    memset(node->groups, 0, sizeof node->groups);
    cluster.deaths.of_nodes[death]++;
    if (node->wanted && !cluster.closing) {
        // Whoever gave up needs somebody to look after the disk first.
        uint64_t rest = node->rest_us + (death == SIM_FATAL ? sim_draw(SIM_FAULT, SIM_SECOND) : 0);
        sim_event_set(&node->restart, sim_now_us() + rest);
    }
}

static void on_relapse(struct sim_event *event)
{
    struct node *node = CONTAINER_OF(event, struct node, relapse);
    if (node->host->process != NULL && !cluster.spared) {
        sim_process_kill(node->host->process, SIM_POWER_CUT);
    }
}

static void start_node(struct sim_event *event)
{
    struct node *node = CONTAINER_OF(event, struct node, restart);
    if (!node->wanted || node->host->process != NULL) {
        return;
    }
    sim_process_start(node->host, node_main, node, on_node_death, node);
    // What a killed process had only written is still there for its successor, and gone for that
    // one's own: a power cut at once, or within a second or two, shows who went by it.
    if (node->host->starts > 1 && !cluster.spared &&
        sim_one_in(SIM_FAULT, cluster.plan->relapse_of)) {
        uint64_t soon_us = UINT64_C(200) << sim_draw(SIM_FAULT, 14);
        sim_event_set(&node->relapse, sim_now_us() + sim_draw(SIM_FAULT, soon_us));
    }
}

void sim_nodes_spare(void)
{
    cluster.spared = true;
}

size_t sim_node_count(void)
{
    return cluster.plan->nodes + cluster.plan->spares;
}

struct sim_host *sim_node_host(size_t node)
{
    return cluster.nodes[node].host;
}

bool sim_node_up(size_t node)
{
    return cluster.nodes[node].host->process != NULL;
}

void sim_node_want(size_t number, bool wanted)
{
    struct node *node = &cluster.nodes[number];
    node->wanted = wanted;
    if (wanted && node->host->process == NULL) {
        sim_event_set(&node->restart, sim_now_us());
    } else if (!wanted) {
        sim_event_cancel(&node->restart);
    }
}

bool sim_node_wanted(size_t node)
{
    return cluster.nodes[node].wanted;
}

void sim_node_rest(size_t node, uint64_t us)
{
    cluster.nodes[node].rest_us = us;
}

void sim_node_stop(size_t number)
{
    struct node *node = &cluster.nodes[number];
    if (node->host->process == NULL || node->stopping) {
        return;
    }
    // Like a signal: a node that still starts, behind a stalled disk, finds it when it has started.
    node->stopping = true;
    if (node->ready) {
        uv_sem_post(&node->stop);
    }
}

/* NULL while it waits for the others, or copies what they have. */
static struct group_host *open_group(size_t number, size_t group)
{
    const struct node *node = &cluster.nodes[number];
    struct group_host *host = node->ready ? node->groups[group] : NULL;
    return host == NULL || host->replica == NULL ? NULL : host;
}

struct broker *sim_node_broker(size_t number, size_t group)
{
    struct group_host *host = open_group(number, group);
    return host == NULL ? NULL : &host->broker;
}

bool sim_node_view(size_t number, size_t group, struct replica_view *view)
{
    const struct group_host *host = open_group(number, group);
    if (host != NULL) {
        struct sim_process *caller = sim_process_current();
        sim_process_switch(cluster.nodes[number].host->process);
        replica_host_view(host->replica, view);
        sim_process_switch(caller);
    }
    return host != NULL;
}

int sim_group_leader(size_t group)
{
    int leader = -1;
    uint64_t term = 0;
    for (size_t i = 0; i < sim_node_count(); i++) {
        const struct broker *broker = sim_node_broker(i, group);
        if (broker != NULL && broker_leads(broker) && broker->state.term > term) {
            leader = (int)i;
            term = broker->state.term;
        }
    }
    return leader;
}

const struct sim_deaths *sim_nodes_deaths(void)
{
    return &cluster.deaths;
}

/* ---- Nameservers ---- */

static void server_main(void *argument)
{
    const struct server *server = argument;
    struct log log;
    uv_loop_t loop;
    char address[64];
    struct nameserver *nameserver;
    log_init(&log, stderr, sim_tracing() ? LOG_INFO : LOG_ERROR, server->host->name);
    struct config *settings = nameserver_settings_new(&log);
    uint32_t ip = server->host->address;
    snprintf(address, sizeof address, "bindAddress=%u.%u.%u.%u", ip >> 24, ip >> 16 & 255,
             ip >> 8 & 255, ip & 255);
    ASSERT(config_set(settings, address) == STATUS_OK);
    ASSERT(uv_loop_init(&loop) == 0);
    const struct nameserver_options options = {&loop, settings, &log, clock_system()};
    ASSERT(nameserver_new(&options, &nameserver) == STATUS_OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    UNREACHABLE(); // It only ever gets killed.
}

static void on_server_death(void *context, enum sim_death death)
{
    struct server *server = context;
    (void)death;
    cluster.deaths.of_nameservers++;
    if (!cluster.closing) {
        sim_event_set(&server->restart, sim_now_us() + sim_draw(SIM_FAULT, 2 * SIM_SECOND));
    }
}

static void start_server(struct sim_event *event)
{
    struct server *server = CONTAINER_OF(event, struct server, restart);
    if (server->host->process == NULL) {
        sim_process_start(server->host, server_main, server, on_server_death, server);
    }
}

size_t sim_nameserver_count(void)
{
    return cluster.plan->nameservers;
}

struct sim_host *sim_nameserver_host(size_t nameserver)
{
    return cluster.servers[nameserver].host;
}
