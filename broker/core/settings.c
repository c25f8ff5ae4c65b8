#include "broker/core/settings.h"

#include "broker/core/settings_addresses.h"
#include "broker/machine/operation.h"
#include "common/base/config.h"
#include "common/base/decimal.h"
#include "common/remoting/names.h"

#include <stdio.h>
#include <string.h>

#define MINUTE_MS (60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define MIB (1024 * 1024)
#define COPY_RATE_MIN MIB

static const struct config_key keys[] = {
    {"brokerClusterName", CONFIG_TEXT, "DefaultCluster", 0, 0, "name of the cluster"},
    {"nodeId", CONFIG_INTEGER, "1", 1, 255, "which of `nodes` this process is"},
    {"nodes", CONFIG_TEXT, "1@127.0.0.1:10911:20911", 0, 0,
     "all nodes: id@ip:clientPort:raftPort;… with the addresses that clients and peers use"},
    {"groups", CONFIG_TEXT, "broker-a", 0, 0,
     "broker groups (the broker names clients see): [room@]name[@nodeId,…];… without ids: on all "
     "nodes"},
    {"portStep", CONFIG_INTEGER, "10", 1, 1000,
     "the n-th group listens n times this above its node's ports"},
    {"listenAddress", CONFIG_TEXT, "", 0, 0,
     "IPv4 address to listen on for clients; empty: the node's own"},
    {"namesrvAddr", CONFIG_TEXT, "127.0.0.1:9876", 0, 0, "nameservers: ip:port;…"},
    {"storePathRootDir", CONFIG_TEXT, "/var/lib/raftmq", 0, 0, "data directory of this node"},
    {"maxMessageSize", CONFIG_INTEGER, LIMITS_PICK("4194304", "8192"), 1024, MESSAGE_BODY_MAX,
     "largest message body, bytes"},
    {"autoCreateTopicEnable", CONFIG_BOOLEAN, "true", 0, 0, "a send may create its topic"},
    {"autoCreateSubscriptionGroup", CONFIG_BOOLEAN, "true", 0, 0,
     "a consumer may create its group"},
    {"defaultTopicQueueNums", CONFIG_INTEGER, "8", 1, QUEUES_PER_TOPIC_MAX,
     "queues of the template for created topics (TBW102)"},
    {"rejectTransactionMessage", CONFIG_BOOLEAN, "false", 0, 0, "refuse half messages"},
    {"transactionTimeOut", CONFIG_INTEGER, "6000", 100, HOUR_MS,
     "age of an undecided half message at its first check, ms"},
    {"transactionCheckInterval", CONFIG_INTEGER, "30000", 100, HOUR_MS,
     "time between checks of one half message, ms"},
    {"transactionCheckMax", CONFIG_INTEGER, "15", 1, 100000,
     "checks handed to a producer before a half message is given up"},
    {"transactionAgeMax", CONFIG_INTEGER, "259200000", 1000, 365LL * 24 * HOUR_MS,
     "age at which an undecided half message is given up, ms"},
    {"lockMaxLiveTime", CONFIG_INTEGER, "60000", 1000, HOUR_MS,
     "a queue lock of an orderly consumer that is not renewed is anybody's after, ms"},
    {"messageDelayLevel", CONFIG_TEXT, DELAY_LEVELS_USUAL, 0, 0,
     "delays of the levels 1, 2, 3 …: numbers with s, m, h or d, separated by spaces"},
    {"timerWheelEnable", CONFIG_BOOLEAN, "true", 0, 0,
     "take messages with TIMER_DELAY_SEC, TIMER_DELAY_MS, TIMER_DELIVER_MS"},
    {"timerMaxDelaySec", CONFIG_INTEGER, "259200", 1, DELAY_MAX_MS / 1000,
     "longest delay by these, seconds"},
    {"recallMessageEnable", CONFIG_BOOLEAN, "false", 0, 0, "let them be recalled until then"},
    {"channelExpiredTimeout", CONFIG_INTEGER, "120000", 1000, HOUR_MS,
     "a client without heartbeat for so long is forgotten, ms"},
    {"registerNameServerPeriod", CONFIG_INTEGER, "10000", 1000, MINUTE_MS,
     "time between registrations at the nameservers, ms"},
    {"longPollingEnable", CONFIG_BOOLEAN, "true", 0, 0,
     "hold empty pulls as long as the client asks for; otherwise 1 s"},
    {"maxTransferCountOnMessageInMemory", CONFIG_INTEGER, "32", 1, 256,
     "most messages in one pull"},
    {"maxTransferBytesOnMessageInMemory", CONFIG_INTEGER, "262144", 1024, 8 * MIB,
     "most bytes in one pull (a single larger message still goes)"},
    {"slaveReadEnable", CONFIG_BOOLEAN, "false", 0, 0, "send consumers that lag far to followers"},
    {"accessMessageInMemoryMaxRatio", CONFIG_INTEGER, "40", 1, 100,
     "percent of the memory, shared by the node's groups: a consumer that lags by more lags far"},
    {"slaveReadLagSize", CONFIG_INTEGER, "0", 0, 1024LL * 1024 * MIB,
     "if not 0, stands for that share, bytes"},
    {"leaderWaitMs", CONFIG_INTEGER, "1000", 10, 2500,
     "how long a request waits for a leader before it is refused with 14, ms"},
    {"maxConnections", CONFIG_INTEGER, "10000", 1, 1000000, "client connections of one group"},
    {"maxInflight", CONFIG_INTEGER, "65536", 128, 1000000,
     "operations of one group that wait for their outcome"},
    {"maxHeldPulls", CONFIG_INTEGER, "100000", 0, 10000000, "parked pulls of one group"},
    {"electionTimeoutMs", CONFIG_INTEGER, "200", 50, MINUTE_MS,
     "a follower that hears nothing for so long (up to twice that) starts an election, ms"},
    {"raftHeartbeatMs", CONFIG_INTEGER, "20", 5, MINUTE_MS / 2,
     "time between a leader's heartbeats, ms; at most a third of electionTimeoutMs"},
    {"storeCacheSize", CONFIG_INTEGER, "8388608", MIB, 64LL * 1024 * MIB,
     "block cache of one group's store, bytes"},
    {"checkpointSize", CONFIG_INTEGER, "8388608", 64 * 1024, 1024 * MIB,
     "changed state that starts a checkpoint, bytes"},
    {"checkpointIntervalMs", CONFIG_INTEGER, "5000", 50, HOUR_MS,
     "time after which a checkpoint is made if anything changed, ms"},
    {"leaderBalanceDelayMs", CONFIG_INTEGER, "1000", 0, HOUR_MS,
     "a group's preferred node that is well for so long gets its leadership back, ms; 0: never"},
    {"diskReserveSize", CONFIG_INTEGER, "268435456", 0, 1024LL * 1024 * MIB,
     "with less free space, bytes, messages are refused; it is kept for decisions and Raft"},
    {"copyBytesPerSecond", CONFIG_INTEGER, "104857600", 0, 1024LL * 1024 * MIB,
     "rate at which a leader gives copies of its data to members without any, bytes, 1 MiB or "
     "more; "
     "0: no limit"},
    {"fileReservedTime", CONFIG_INTEGER, "72", 0, 100LL * 365 * 24,
     "messages are kept at least so long, hours, and go at any hour after that; 0: for ever"},
    {"fileReservedTimeMs", CONFIG_INTEGER, "0", 0, 100LL * 365 * 24 * HOUR_MS,
     "if not 0, stands for fileReservedTime, ms"},
    {"logSizeMax", CONFIG_INTEGER, "0", 0, 1024LL * 1024 * 1024 * MIB,
     "log of one group, bytes, above which its oldest messages go; 0: no limit"},
    {"cleanFileForciblyEnable", CONFIG_BOOLEAN, "true", 0, 0,
     "the oldest messages go, whatever their age, when the leader's disk fills up"},
    {"diskSpaceCleanForciblyRatio", CONFIG_INTEGER, "85", 10, 99,
     "percent of the disk used at which it counts as filling up"},
    {"deleteWhen", CONFIG_TEXT, "04", 0, 0, "means nothing here: old messages go at any hour"},
    {"diskMaxUsedSpaceRatio", CONFIG_INTEGER, "75", 1, 100,
     "means nothing here: old messages go whether the disk is full or not"},
    {"logScrubRate", CONFIG_INTEGER, "16", 0, 4096,
     "MB of its log that each group reads and verifies per second, once a day; 0: never"},
    {"regionId", CONFIG_TEXT, "DefaultRegion", 0, 0, "region that answers name"},
    {"traceOn", CONFIG_BOOLEAN, "true", 0, 0, "let clients trace messages"},
    {"traceTopicEnable", CONFIG_BOOLEAN, "false", 0, 0,
     "make RMQ_SYS_TRACE_TOPIC, where clients put their traces, at the start; else the first trace "
     "makes it, if autoCreateTopicEnable lets it"},
    {"logLevel", CONFIG_TEXT, "info", 0, 0, "debug, info, warn or error"},
};

static bool copy_name(struct name *name, const struct config *config, const char *key,
                      const struct log *log)
{
    if (!name_set(name, slice_text(config_text(config, key)))) {
        log_error(log, "value too long", "key=%s; at most %d bytes", key, NAME_MAX_SIZE);
        return false;
    }
    return true;
}

/* An IPv4 address without a port, or nothing. */
static bool is_bindable(const struct name *address)
{
    struct host host;
    char text[NAME_MAX_SIZE + 8];
    snprintf(text, sizeof text, "%s:1", address->text);
    return address->size == 0 || host_parse(slice_text(text), &host) == STATUS_OK;
}

static void take_numbers(struct settings *settings, const struct config *config)
{
    settings->node_id = (uint64_t)config_integer(config, "nodeId");
    settings->message_body_max = (uint32_t)config_integer(config, "maxMessageSize");
    settings->auto_create_topic = config_boolean(config, "autoCreateTopicEnable");
    settings->auto_create_group = config_boolean(config, "autoCreateSubscriptionGroup");
    settings->default_queue_count = (int32_t)config_integer(config, "defaultTopicQueueNums");
    settings->reject_transactions = config_boolean(config, "rejectTransactionMessage");
    settings->transaction_timeout_ms = (uint64_t)config_integer(config, "transactionTimeOut");
    settings->transaction_check_interval_ms =
        (uint64_t)config_integer(config, "transactionCheckInterval");
    settings->lock_lease_ms = (uint32_t)config_integer(config, "lockMaxLiveTime");
    settings->transaction_check_max = (uint32_t)config_integer(config, "transactionCheckMax");
    settings->transaction_age_max_ms = (uint64_t)config_integer(config, "transactionAgeMax");
    settings->timers_enabled = config_boolean(config, "timerWheelEnable");
    settings->recall_enabled = config_boolean(config, "recallMessageEnable");
    settings->timer_delay_max_ms = (uint64_t)config_integer(config, "timerMaxDelaySec") * 1000;
    settings->channel_expiry_ms = (uint64_t)config_integer(config, "channelExpiredTimeout");
    settings->register_period_ms = (uint64_t)config_integer(config, "registerNameServerPeriod");
    settings->long_polling = config_boolean(config, "longPollingEnable");
    settings->pull_messages_max =
        (uint32_t)config_integer(config, "maxTransferCountOnMessageInMemory");
    settings->pull_bytes_max =
        (uint32_t)config_integer(config, "maxTransferBytesOnMessageInMemory");
    settings->slave_read = config_boolean(config, "slaveReadEnable");
    settings->lag_ratio = (uint32_t)config_integer(config, "accessMessageInMemoryMaxRatio");
    settings->lag_size = (uint64_t)config_integer(config, "slaveReadLagSize");
    settings->hold_ms = (uint64_t)config_integer(config, "leaderWaitMs");
    settings->connections_max = (uint32_t)config_integer(config, "maxConnections");
    settings->inflight_max = (uint32_t)config_integer(config, "maxInflight");
    settings->held_pulls_max = (uint32_t)config_integer(config, "maxHeldPulls");
    settings->election_timeout_ms = (uint32_t)config_integer(config, "electionTimeoutMs");
    settings->heartbeat_interval_ms = (uint32_t)config_integer(config, "raftHeartbeatMs");
    settings->store_cache_size = (size_t)config_integer(config, "storeCacheSize");
    settings->checkpoint_size = (size_t)config_integer(config, "checkpointSize");
    settings->checkpoint_interval_ms = (uint64_t)config_integer(config, "checkpointIntervalMs");
    settings->balance_delay_ms = (uint64_t)config_integer(config, "leaderBalanceDelayMs");
    settings->disk_reserve_size = (uint64_t)config_integer(config, "diskReserveSize");
    settings->copy_rate = (uint64_t)config_integer(config, "copyBytesPerSecond");
    uint64_t reserved_ms = (uint64_t)config_integer(config, "fileReservedTimeMs");
    uint64_t reserved_hours = (uint64_t)config_integer(config, "fileReservedTime");
    settings->retention_ms = reserved_ms != 0 ? reserved_ms : reserved_hours * HOUR_MS;
    settings->log_size_max = (uint64_t)config_integer(config, "logSizeMax");
    settings->disk_ratio_forced =
        config_boolean(config, "cleanFileForciblyEnable")
            ? (uint32_t)config_integer(config, "diskSpaceCleanForciblyRatio")
            : 0;
    settings->scrub_rate = (uint64_t)config_integer(config, "logScrubRate") * 1000 * 1000;
    settings->trace_on = config_boolean(config, "traceOn");
    settings->trace_topic = config_boolean(config, "traceTopicEnable");
}

static enum status take_texts(struct settings *settings, const struct config *config,
                              const struct log *log)
{
    if (!copy_name(&settings->cluster, config, "brokerClusterName", log) ||
        !copy_name(&settings->store_path, config, "storePathRootDir", log) ||
        !copy_name(&settings->listen_address, config, "listenAddress", log) ||
        !copy_name(&settings->region, config, "regionId", log)) {
        return STATUS_INVALID_ARGUMENT;
    }
    if (!is_bindable(&settings->listen_address)) {
        log_error(log, "bad address to listen on", "listenAddress=%s; use an IPv4 address",
                  settings->listen_address.text);
        return STATUS_INVALID_ARGUMENT;
    }
    if (!topic_name_valid(name_slice(&settings->cluster))) {
        log_error(log, "bad cluster name", "brokerClusterName=%s; use A-Z a-z 0-9 _ -",
                  config_text(config, "brokerClusterName"));
        return STATUS_INVALID_ARGUMENT;
    }
    if (settings->store_path.size == 0) {
        log_error(log, "bad data directory", "storePathRootDir must have 1 to %d bytes",
                  NAME_MAX_SIZE);
        return STATUS_INVALID_ARGUMENT;
    }
    if (!log_level_parse(config_text(config, "logLevel"), &settings->log_level)) {
        log_error(log, "bad log level", "logLevel=%s; use debug, info, warn or error",
                  config_text(config, "logLevel"));
        return STATUS_INVALID_ARGUMENT;
    }
    if (!delay_levels_parse(slice_text(config_text(config, "messageDelayLevel")),
                            &settings->delay_levels)) {
        log_error(log, "bad delay levels",
                  "messageDelayLevel=%s; use 1 to %d numbers with s, m, h or d, like: " //
                  DELAY_LEVELS_USUAL,
                  config_text(config, "messageDelayLevel"), DELAY_LEVELS_MAX);
        return STATUS_INVALID_ARGUMENT;
    }
    return settings_parse_nameservers(settings, log);
}

static enum status check_numbers(const struct settings *settings, const struct log *log)
{
    if (settings->heartbeat_interval_ms * 3 > settings->election_timeout_ms) {
        log_error(log, "bad timeouts",
                  "raftHeartbeatMs=%u electionTimeoutMs=%u; the first may be "
                  "at most a third of the second",
                  settings->heartbeat_interval_ms, settings->election_timeout_ms);
        return STATUS_INVALID_ARGUMENT;
    }
    // Slower, and who copies gives up before a piece of some MiB is there.
    if (settings->copy_rate > 0 && settings->copy_rate < COPY_RATE_MIN) {
        log_error(log, "bad rate of copies", "copyBytesPerSecond=%llu; use %d or more, or 0",
                  (unsigned long long)settings->copy_rate, COPY_RATE_MIN);
        return STATUS_INVALID_ARGUMENT;
    }
    return STATUS_OK;
}

enum status settings_load(struct settings *settings, const char *path, const char *const *overrides,
                          size_t override_count, const struct log *log)
{
    *settings = (struct settings){0};
    settings->config = config_new(keys, sizeof keys / sizeof keys[0], log);
    enum status status = path == NULL ? STATUS_OK : config_load(settings->config, path);
    for (size_t i = 0; status == STATUS_OK && i < override_count; i++) {
        status = config_set(settings->config, overrides[i]);
    }
    if (status == STATUS_OK) {
        take_numbers(settings, settings->config);
        status = take_texts(settings, settings->config, log);
    }
    if (status == STATUS_OK) {
        status = check_numbers(settings, log);
    }
    if (status == STATUS_OK) {
        status = settings_parse_groups(settings, log);
    }
    if (status != STATUS_OK) {
        settings_close(settings);
    }
    return status;
}

void settings_close(struct settings *settings)
{
    if (settings->config != NULL) {
        config_free(settings->config);
        settings->config = NULL;
    }
}

void settings_print(const struct settings *settings, struct buf *out)
{
    config_print(settings->config, out);
}

void settings_help(struct buf *out)
{
    struct config *config = config_new(keys, sizeof keys / sizeof keys[0], NULL);
    config_help(config, out);
    config_free(config);
}
