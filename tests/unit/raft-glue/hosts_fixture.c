#include "tests/unit/raft-glue/hosts_fixture.h"

#include <signal.h>

enum { PATIENCE_MS = 20000 };

static void on_apply(void *context, const struct replica_entry *entry, void *proposal)
{
    struct node *node = context;
    assert_true(entry->index > node->applied_index);
    assert_true(entry->payload.size >= 8);
    assert_true(node->applied_count < ENTRIES_MAX);
    node->applied_index = entry->index;
    node->position_last = entry->position;
    memcpy(&node->applied[node->applied_count++], entry->payload.data, 8);
    node->own_applied += proposal != NULL;
}

static void on_drop(void *context, void *proposal, enum status why)
{
    struct node *node = context;
    assert_non_null(proposal);
    node->dropped++;
    node->dropped_why = why;
}

static void on_state(void *context, const struct replica_state *state)
{
    struct node *node = context;
    node->state = *state;
}

static void on_damaged(void *context, bool stuck)
{
    struct node *node = context;
    (void)stuck;
    node->damaged = true;
}

enum status start_node_as(struct cluster *cluster, size_t i, const char *name, char **error)
{
    struct node *node = &cluster->nodes[i];
    struct replica_host_options options = {
        .loop = &cluster->loop,
        .log = &cluster->log,
        .clock = &cluster->clock,
        .directory = node->directory.path,
        .cluster = slice_text(name),
        .group = slice_text("broker-a"),
        .id = cluster->members[i].id,
        .members = cluster->members,
        .member_count = cluster->count,
        .election_timeout_ms = cluster->election_timeout_ms,
        .heartbeat_timeout_ms = cluster->election_timeout_ms / 6,
        .applied_index = node->applied_index,
        .on_damaged = on_damaged,
        .needs_context = node,
        .machine = {.context = node, .apply = on_apply, .drop = on_drop, .on_state = on_state},
    };
    node->closed = false;
    node->state = (struct replica_state){0};
    return replica_host_start(&options, &node->host, error);
}

void start_node(struct cluster *cluster, size_t i)
{
    char *error = NULL;
    enum status status = start_node_as(cluster, i, "test", &error);
    if (status != STATUS_OK) {
        fail_msg("start: %s", error);
    }
}

static void on_patience(uv_timer_t *timer)
{
    struct cluster *cluster = timer->data;
    cluster->out_of_patience = true;
}

static uint64_t monotonic_ms(void *context)
{
    return clock_monotonic_ms(clock_system()) + ((struct cluster *)context)->ahead_ms;
}

static uint64_t wall_ms(void *context)
{
    (void)context;
    return clock_wall_ms(clock_system());
}

static void member_open(struct cluster *cluster, size_t i)
{
    struct node *node = &cluster->nodes[i];
    temp_directory_make(&node->directory);
    held_port_take(&node->port);
    cluster->members[i] =
        (struct replica_member){.id = i + 1, .raft_host = {INADDR_LOOPBACK, node->port.number}};
}

struct cluster *cluster_open(size_t count)
{
    signal(SIGPIPE, SIG_IGN); // As the daemons do.
    struct cluster *cluster = calloc(1, sizeof *cluster);
    cluster->clock = (struct clock){monotonic_ms, wall_ms, cluster};
    cluster->count = count;
    cluster->election_timeout_ms = count == 1 ? 50 : 200;
    log_init(&cluster->log, stderr, getenv("VERBOSE") ? LOG_DEBUG : LOG_SILENT, "test");
    uv_loop_init(&cluster->loop);
    uv_timer_init(&cluster->loop, &cluster->patience);
    cluster->patience.data = cluster;
    for (size_t i = 0; i < count; i++) {
        member_open(cluster, i);
    }
    return cluster;
}

struct cluster *cluster_with_leader(size_t count)
{
    struct cluster *cluster = cluster_open(count);
    for (size_t i = 0; i < count; i++) {
        start_node(cluster, i);
    }
    run_until(cluster, has_leader);
    return cluster;
}

void on_node_closed(void *context)
{
    struct node *node = context;
    node->closed = true;
    node->host = NULL;
}

void run_until(struct cluster *cluster, bool (*condition)(struct cluster *cluster))
{
    cluster->out_of_patience = false;
    uv_timer_start(&cluster->patience, on_patience, PATIENCE_MS, 0);
    while (!condition(cluster)) {
        uv_run(&cluster->loop, UV_RUN_ONCE);
        if (cluster->out_of_patience) {
            fail_msg("waited too long");
        }
    }
    uv_timer_stop(&cluster->patience);
}

void stop_node(struct cluster *cluster, size_t i)
{
    struct node *node = &cluster->nodes[i];
    if (node->host == NULL) {
        return;
    }
    replica_host_close(node->host, on_node_closed, node);
    while (!node->closed) {
        uv_run(&cluster->loop, UV_RUN_ONCE);
    }
}

void cluster_close(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++) {
        stop_node(cluster, i);
        temp_directory_remove(&cluster->nodes[i].directory);
        held_port_release(&cluster->nodes[i].port);
    }
    uv_close((uv_handle_t *)&cluster->patience, NULL);
    uv_run(&cluster->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&cluster->loop), 0);
    free(cluster);
}

struct node *leader(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++) {
        struct node *node = &cluster->nodes[i];
        if (node->host != NULL && node->state.role == REPLICA_LEADER) {
            return node;
        }
    }
    return NULL;
}

bool has_leader(struct cluster *cluster)
{
    return leader(cluster) != NULL;
}

enum status propose(struct node *node, uint64_t number, size_t size)
{
    uint8_t *payload = calloc(1, size);
    memcpy(payload, &number, 8);
    enum status status = replica_host_propose(node->host, payload, size, node);
    if (status != STATUS_OK) {
        free(payload);
    }
    return status;
}

static bool all_running_have_wanted(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++) {
        if (cluster->nodes[i].host != NULL && cluster->nodes[i].applied_count < cluster->wanted) {
            return false;
        }
    }
    return true;
}

void run_until_applied(struct cluster *cluster, size_t count)
{
    cluster->wanted = count;
    run_until(cluster, all_running_have_wanted);
}

void assert_equal_histories(struct cluster *cluster)
{
    struct node *first = NULL;
    for (size_t i = 0; i < cluster->count; i++) {
        struct node *node = &cluster->nodes[i];
        if (node->host == NULL) {
            continue;
        }
        first = first == NULL ? node : first;
        assert_int_equal(node->applied_count, first->applied_count);
        assert_int_equal(node->applied_index, first->applied_index);
        assert_int_equal(node->position_last, first->position_last);
        assert_memory_equal(node->applied, first->applied, node->applied_count * 8);
    }
}
