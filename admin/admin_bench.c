/* raftmq bench: what a cluster can do. Also works against Apache RocketMQ. */
#include "admin/bench.h"

#include "common/remoting/names.h"

#define FLAG_TOPIC                                                                                 \
    {                                                                                              \
        'T', "topic", CLI_TEXT, "TOPIC", "topic, which must exist (" TOPIC_BENCHMARK ")",          \
            offsetof(struct bench_send_options, topic), 0, 0                                       \
    }
#define FLAG_CONNECTIONS                                                                           \
    {                                                                                              \
        'c', "connections", CLI_NUMBER, "COUNT", "connections per broker (4)",                     \
            offsetof(struct bench_send_options, common.connections), 1, BENCH_CONNECTIONS_MAX      \
    }
#define FLAG_DEPTH                                                                                 \
    {                                                                                              \
        'd', "depth", CLI_NUMBER, "COUNT", "requests in flight per connection (64)",               \
            offsetof(struct bench_send_options, common.depth), 1, BENCH_DEPTH_MAX                  \
    }
#define FLAG_RATE                                                                                  \
    {                                                                                              \
        'r', "rate", CLI_NUMBER, "PER-SECOND",                                                     \
            "open loop: begin so many per second, answered or not (0: closed loop)",               \
            offsetof(struct bench_send_options, common.rate), 0, 100000000                         \
    }
#define FLAG_SECONDS                                                                               \
    {                                                                                              \
        's', "seconds", CLI_NUMBER, "SECONDS", "how long to measure (10)",                         \
            offsetof(struct bench_send_options, common.seconds), 1, 86400                          \
    }
#define FLAG_WARMUP                                                                                \
    {                                                                                              \
        'w', "warmup", CLI_NUMBER, "SECONDS", "load before that, not counted (2)",                 \
            offsetof(struct bench_send_options, common.warmup_s), 0, 3600                          \
    }
#define FLAG_SIZE                                                                                  \
    {                                                                                              \
        'S', "size", CLI_NUMBER, "BYTES", "size of message bodies (1024)",                         \
            offsetof(struct bench_send_options, common.size), 1, MESSAGE_BODY_MAX                  \
    }
#define FLAG_GROUP                                                                                 \
    {                                                                                              \
        'g', "group", CLI_TEXT, "NAME", "producer or consumer group",                              \
            offsetof(struct bench_send_options, common.group), 0, 0                                \
    }

static const struct cli_flag send_flags[] = {
    FLAG_TOPIC,  FLAG_CONNECTIONS, FLAG_DEPTH, FLAG_RATE, FLAG_SECONDS,
    FLAG_WARMUP, FLAG_SIZE,        FLAG_GROUP, {0},
};

static const struct cli_flag pull_flags[] = {
    FLAG_TOPIC, FLAG_CONNECTIONS, FLAG_SECONDS, FLAG_GROUP, {0},
};

static const struct bench_send_options send_defaults = {
    .common =
        {
            .group = "raftmq-bench",
            .connections = 4,
            .depth = 64,
            .seconds = 10,
            .warmup_s = 2,
            .size = 1024,
        },
    .topic = TOPIC_BENCHMARK,
    .verify = true,
};

static const struct bench_send_options pull_defaults = {
    .common =
        {
            .group = GROUP_TOOLS,
            .connections = 2,
            .depth = 1,
            .seconds = 60,
        },
    .topic = TOPIC_BENCHMARK,
};

/* A connection closes itself when too much waits in it: half of that is what one may be given. */
static enum cli_exit check_depth(struct cli *cli, const struct bench_send_options *options)
{
    int64_t depth_max = CONN_OUT_MAX / 2 / options->common.size;
    if (options->common.depth > depth_max) {
        return cli_fail(cli, CLI_USAGE,
                        "with bodies of %lld bytes at most %lld requests can be in flight per "
                        "connection: --depth %lld",
                        (long long)options->common.size, (long long)depth_max,
                        (long long)depth_max);
    }
    return CLI_OK;
}

static enum cli_exit run_send(struct cli *cli, const void *options, char **arguments)
{
    enum cli_exit code = check_depth(cli, options);
    return code == CLI_OK ? bench_send(cli, options, arguments) : code;
}

static enum cli_exit run_txn(struct cli *cli, const void *options, char **arguments)
{
    enum cli_exit code = check_depth(cli, options);
    return code == CLI_OK ? bench_txn(cli, options, arguments) : code;
}

const struct cli_command bench_commands[] = {
    {
        .noun = "bench",
        .verb = "send",
        .arguments = "",
        .summary = "Send messages and measure",
        .flags = send_flags,
        .defaults = &send_defaults,
        .options_size = sizeof send_defaults,
        .run = run_send,
    },
    {
        .noun = "bench",
        .verb = "txn",
        .arguments = "",
        .summary = "Run transactions (half message and commit), measure, verify the commits",
        .flags = send_flags,
        .defaults = &send_defaults,
        .options_size = sizeof send_defaults,
        .run = run_txn,
    },
    {
        .noun = "bench",
        .verb = "pull",
        .arguments = "",
        .summary = "Read a topic from its beginning and measure",
        .flags = pull_flags,
        .defaults = &pull_defaults,
        .options_size = sizeof pull_defaults,
        .run = bench_pull,
    },
    {.noun = NULL},
};
