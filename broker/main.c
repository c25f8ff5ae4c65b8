/* raftmq-broker: options, settings, signals. */
#include "broker/host/node.h"
#include "common/base/buf.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <uv.h>

enum { EXIT_USAGE = 2, OVERRIDES_MAX = 64 };

static const char usage[] =
    "Usage: raftmq-broker [-c FILE] [--set KEY=VALUE]... [-n ADDR[;ADDR...]]\n"
    "\n"
    "Runs one node of a raftmq cluster: a replica of each of its broker groups.\n"
    "\n"
    "  -c, --config FILE     properties file, as RocketMQ's broker.conf\n"
    "  -n, --namesrv ADDRS   nameservers, instead of namesrvAddr\n"
    "  -s, --set KEY=VALUE   one setting, over the file's; may be repeated\n"
    "      --settings        tell every setting with its meaning and default, and end\n"
    "  -h, --help            this text\n"
    "  -V, --version         version\n"
    "\n"
    "SIGTERM and SIGINT stop it in an orderly way: leadership is handed over first.\n"
    "Exit status: 0 stopped, 1 could not start, 2 wrong usage, 70 a disk or log failed.\n";

struct options {
    const char *config;
    const char *overrides[OVERRIDES_MAX];
    size_t override_count;
    char namesrv[1024];
};

static int print_settings(void)
{
    struct buf text = {0};
    settings_help(&text);
    fwrite(text.data, 1, text.size, stdout);
    buf_close(&text);
    return EXIT_SUCCESS;
}

/* -1: go on; otherwise the exit status. */
static int parse(int argc, char **argv, struct options *options)
{
    enum { OPTION_SETTINGS = 256 };
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"namesrv", required_argument, NULL, 'n'},
        {"set", required_argument, NULL, 's'},
        {"settings", no_argument, NULL, OPTION_SETTINGS},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "c:n:s:hV", longs, NULL)) != -1) {
        if ((option == 's' || option == 'n') && options->override_count == OVERRIDES_MAX) {
            fprintf(stderr, "raftmq-broker: more than %d settings\n", OVERRIDES_MAX);
            return EXIT_USAGE;
        }
        switch (option) {
        case 'c':
            options->config = optarg;
            break;
        case 'n':
            snprintf(options->namesrv, sizeof options->namesrv, "namesrvAddr=%s", optarg);
            options->overrides[options->override_count++] = options->namesrv;
            break;
        case 's':
            options->overrides[options->override_count++] = optarg;
            break;
        case OPTION_SETTINGS:
            return print_settings();
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        case 'V':
            puts("raftmq-broker " RAFTMQ_VERSION);
            return EXIT_SUCCESS;
        default:
            fputs("Try raftmq-broker --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "raftmq-broker: unexpected argument '%s'\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

/* Bytes that this process may use; 0 if that is not known. */
static uint64_t memory_size(void)
{
    uint64_t all = uv_get_total_memory();
    uint64_t allowed = uv_get_constrained_memory(); // 0: not known.
    return allowed != 0 && allowed < all ? allowed : all;
}

/* Every connection and log segment is a file. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* What one thread takes and another gives back stays in the arena of the first: with an arena for
 * each of the pool's threads, as glibc would have it, a node under load grows to several times what
 * it uses (docs/performance.md). One for each group, and one, is no slower. */
static void limit_arenas(size_t group_count)
{
#ifdef __GLIBC__
    if (getenv("MALLOC_ARENA_MAX") == NULL) {
        mallopt(M_ARENA_MAX, (int)group_count + 1);
    }
#else
    (void)group_count;
#endif
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct settings settings;
    struct log log;
    struct node *node;
    sigset_t signals;
    int signal_number;

    int status = parse(argc, argv, &options);
    if (status >= 0) {
        return status;
    }
    log_init(&log, stderr, LOG_INFO, "raftmq-broker");
    if (settings_load(&settings, options.config, options.overrides, options.override_count, &log) !=
        STATUS_OK) {
        return EXIT_FAILURE;
    }
    log.level = settings.log_level;
    settings.memory_size = memory_size();
    raise_file_limit();
    limit_arenas(settings.group_count);
    // Each group keeps one thread of the pool busy with synced writes and needs some for reads.
    setenv("UV_THREADPOOL_SIZE", "16", 0);
    // Before any thread starts, so that all inherit it and only sigwait() below sees them.
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    if (node_start(&settings, &log, &node) != STATUS_OK) {
        settings_close(&settings);
        return EXIT_FAILURE;
    }
    log_info(&log, "node started", "node=%llu groups=%zu version=" RAFTMQ_VERSION,
             (unsigned long long)settings.node_id, settings.group_count);
    sigwait(&signals, &signal_number);
    log_info(&log, "stopping", "signal=%d", signal_number);
    node_stop(node);
    settings_close(&settings);
    return EXIT_SUCCESS;
}
