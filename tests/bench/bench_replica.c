/* Measures replica_host: bench_replica [MEMBERS] [ENTRY_KIB] [SECONDS] [OUTSTANDING].
 *
 * Members run in one process, each on its own loop and thread, with their data under the working
 * directory. OUTSTANDING entries are kept under way; 1 measures latency. */
#include "raft-glue/replica_host.h"

#include "tests/support/temp_directory.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS = 3, SAMPLES_MAX = 1 << 20, PORT_BASE = 21870 };

struct bench {
    struct log log;
    struct replica_member members[MEMBERS_MAX];
    size_t member_count;
    size_t entry_size;
    unsigned outstanding;
    atomic_bool stop;
};

struct bench_node {
    struct bench *bench;
    size_t number;
    struct temp_directory directory;
    uv_thread_t thread;
    uv_loop_t loop;
    uv_timer_t timer;
    struct replica_host *host;
    bool leads;
    bool closing;
    unsigned under_way;
    uint64_t done;
    uint64_t first_ns;
    uint64_t last_ns;
    uint64_t *samples_ns;
    size_t sample_count;
};

struct bench_proposal {
    uint64_t begin_ns;
};

static void propose_more(struct bench_node *node)
{
    while (node->leads && !node->closing && node->under_way < node->bench->outstanding) {
        struct bench_proposal *proposal = malloc(sizeof *proposal);
        uint8_t *payload = malloc(node->bench->entry_size);
        memset(payload, 'x', node->bench->entry_size);
        proposal->begin_ns = clock_measure_ns();
        if (replica_host_propose(node->host, payload, node->bench->entry_size, proposal) !=
            STATUS_OK) {
            free(payload);
            free(proposal);
            return;
        }
        node->under_way++;
    }
}

static void on_apply(void *context, const struct replica_entry *entry, void *context_proposal)
{
    (void)entry;
    struct bench_node *node = context;
    struct bench_proposal *proposal = context_proposal;
    if (proposal == NULL) {
        return;
    }
    uint64_t now = clock_measure_ns();
    if (node->done++ == 0) {
        node->first_ns = now;
    }
    node->last_ns = now;
    node->samples_ns[node->sample_count++ % SAMPLES_MAX] = now - proposal->begin_ns;
    free(proposal);
    node->under_way--;
    propose_more(node);
}

static void on_drop(void *context, void *proposal, enum status why)
{
    (void)why;
    struct bench_node *node = context;
    node->under_way--;
    free(proposal);
}

static void on_state(void *context, const struct replica_state *state)
{
    struct bench_node *node = context;
    node->leads = state->role == REPLICA_LEADER;
}

static void on_closed(void *context)
{
    struct bench_node *node = context;
    uv_close((uv_handle_t *)&node->timer, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    struct bench_node *node = timer->data;
    if (atomic_load(&node->bench->stop) && !node->closing) {
        node->closing = true;
        replica_host_close(node->host, on_closed, node);
        return;
    }
    propose_more(node);
}

static void run_node(void *argument)
{
    struct bench_node *node = argument;
    struct bench *bench = node->bench;
    uv_loop_init(&node->loop);
    uv_timer_init(&node->loop, &node->timer);
    node->timer.data = node;
    uv_timer_start(&node->timer, on_timer, 50, 50);
    struct replica_host_options options = {
        .loop = &node->loop,
        .log = &bench->log,
        .clock = clock_system(),
        .directory = node->directory.path,
        .cluster = slice_text("bench"),
        .group = slice_text("bench"),
        .id = bench->members[node->number].id,
        .members = bench->members,
        .member_count = bench->member_count,
        .election_timeout_ms = 1000,
        .heartbeat_timeout_ms = 100,
        .machine = {.context = node, .apply = on_apply, .drop = on_drop, .on_state = on_state},
    };
    char *error = NULL;
    if (replica_host_start(&options, &node->host, &error) != STATUS_OK) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    uv_run(&node->loop, UV_RUN_DEFAULT);
    uv_loop_close(&node->loop);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void report(const struct bench_node *node)
{
    size_t count = node->sample_count < SAMPLES_MAX ? node->sample_count : SAMPLES_MAX;
    if (count < 2) {
        return;
    }
    qsort(node->samples_ns, count, sizeof *node->samples_ns, compare);
    double seconds = (double)(node->last_ns - node->first_ns) / 1e9;
    double bytes = (double)node->done * (double)node->bench->entry_size;
    printf("leader %zu: %.0f entries/s %.1f MB/s latency us p50 %.0f p99 %.0f max %.0f\n",
           node->number + 1, (double)node->done / seconds, bytes / seconds / 1e6,
           (double)node->samples_ns[count / 2] / 1e3,
           (double)node->samples_ns[count * 99 / 100] / 1e3,
           (double)node->samples_ns[count - 1] / 1e3);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    static struct bench_node nodes[MEMBERS_MAX];
    bench.member_count = argc > 1 ? strtoul(argv[1], NULL, 10) : MEMBERS;
    bench.entry_size = (argc > 2 ? strtoul(argv[2], NULL, 10) : 1) * 1024;
    unsigned seconds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 5;
    bench.outstanding = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 1;
    if (bench.member_count < 1 || bench.member_count > MEMBERS_MAX) {
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    log_init(&bench.log, stderr, LOG_WARN, "bench");
    for (size_t i = 0; i < bench.member_count; i++) {
        bench.members[i] = (struct replica_member){
            .id = i + 1, .raft_host = {INADDR_LOOPBACK, PORT_BASE + (uint32_t)i}};
    }
    for (size_t i = 0; i < bench.member_count; i++) {
        nodes[i].bench = &bench;
        nodes[i].number = i;
        nodes[i].samples_ns = malloc(SAMPLES_MAX * sizeof(uint64_t));
        temp_directory_make(&nodes[i].directory);
        uv_thread_create(&nodes[i].thread, run_node, &nodes[i]);
    }
    uv_sleep(seconds * 1000 + 2000);
    atomic_store(&bench.stop, true);
    for (size_t i = 0; i < bench.member_count; i++) {
        uv_thread_join(&nodes[i].thread);
        report(&nodes[i]);
        free(nodes[i].samples_ns);
        temp_directory_remove(&nodes[i].directory);
    }
    return 0;
}
