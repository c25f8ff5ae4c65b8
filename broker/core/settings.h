/* What an operator can set, under RocketMQ's broker.conf names where they mean the same.
 * Filled by settings_load() from file and command line; constant afterwards, shared by all groups.
 */
#ifndef BROKER_CORE_SETTINGS_H
#define BROKER_CORE_SETTINGS_H

#include "broker/core/delay_levels.h"
#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "common/remoting/message.h"

enum { NAMESERVERS_MAX = 16 };

struct member_settings {
    uint64_t id;
    struct host client_host; /* Advertised: what routes say. */
    struct host raft_host;
};

struct group_settings {
    struct name name; /* The broker name that clients see. */
    size_t member_count;
    struct member_settings members[MEMBERS_MAX]; /* Ascending by id. */
    uint64_t preferred_id;                       /* Who should lead when all are well. */
};

struct config;

struct settings {
    struct config *config; /* Owned: the values as texts. */
    struct name cluster;
    uint64_t node_id;
    struct name store_path;
    struct name listen_address; /* To bind; empty: that of the advertised host. */
    size_t nameserver_count;
    struct host nameservers[NAMESERVERS_MAX];
    size_t group_count;
    struct group_settings groups[GROUPS_PER_NODE_MAX];

    uint32_t message_body_max;       /* maxMessageSize, bytes */
    bool auto_create_topic;          /* autoCreateTopicEnable */
    bool auto_create_group;          /* autoCreateSubscriptionGroup */
    int32_t default_queue_count;     /* defaultTopicQueueNums */
    bool reject_transactions;        /* rejectTransactionMessage */
    uint64_t transaction_timeout_ms; /* transactionTimeOut: first check not before */
    uint64_t transaction_check_interval_ms;
    uint32_t lock_lease_ms; /* Of orderly consumers' queue locks. */
    uint32_t transaction_check_max;
    uint64_t transaction_age_max_ms;  /* Then EXPIRED, whether asked about or not. */
    struct delay_levels delay_levels; /* messageDelayLevel */
    bool timers_enabled;              /* timerWheelEnable */
    uint64_t timer_delay_max_ms;      /* timerMaxDelaySec */
    bool recall_enabled;              /* recallMessageEnable */
    uint64_t channel_expiry_ms;       /* channelExpiredTimeout: no heartbeat */
    uint64_t register_period_ms;      /* registerNameServerPeriod */
    bool long_polling;
    uint32_t pull_messages_max;
    uint32_t pull_bytes_max;
    bool slave_read;          /* slaveReadEnable: readers that lag are sent to followers. */
    uint32_t lag_ratio;       /* accessMessageInMemoryMaxRatio: percent of memory_size */
    uint64_t lag_size;        /* slaveReadLagSize, bytes; 0: by the ratio */
    uint64_t memory_size;     /* Of this machine, bytes. No key: main() sets it; 0: not known. */
    uint64_t hold_ms;         /* How long a request waits for a leader. */
    uint32_t connections_max; /* Per group. */
    uint32_t inflight_max;    /* Operations per group waiting for their outcome. */
    uint32_t held_pulls_max;  /* Per group. */
    uint32_t election_timeout_ms;
    uint32_t heartbeat_interval_ms;
    size_t store_cache_size; /* Bytes of RocksDB block cache per group. */
    size_t checkpoint_size;  /* Bytes of change that start a checkpoint. */
    uint64_t checkpoint_interval_ms;
    uint64_t balance_delay_ms;  /* 0: leadership stays where it is. */
    uint64_t copy_rate;         /* Bytes a second; 0: no limit. */
    uint64_t disk_reserve_size; /* Bytes kept free: below, messages are refused. */
    uint64_t retention_ms;      /* fileReservedTime, or fileReservedTimeMs; 0: no limit by age */
    uint64_t log_size_max;      /* Bytes of messages kept per group; 0: no limit by size. */
    uint32_t disk_ratio_forced; /* Percent of the disk used at which the oldest go; 0: never. */
    uint64_t scrub_rate;        /* Bytes per second of each group's log; 0: no scrub. */
    struct name region;         /* regionId */
    bool trace_on;              /* traceOn: sent with answers, clients trace by it */
    bool trace_topic;           /* traceTopicEnable */
    enum log_level log_level;
};

/* Read `path` (NULL: none) and then `overrides` ("key=value"), complain through log, check that all
 * of it makes sense together.
 * Errors (each trouble was logged with what is allowed, and nothing is held):
 *   STATUS_IO                the file cannot be read
 *   STATUS_INVALID_ARGUMENT  a value is bad, or contradicts another one */
WARN_UNUSED enum status settings_load(struct settings *settings, const char *path,
                                      const char *const *overrides, size_t override_count,
                                      const struct log *log);

void settings_close(struct settings *settings);

/* Append a page that tells every key. */
void settings_help(struct buf *out);

/* Append the effective values as "key=value" lines, for GET_BROKER_CONFIG. */
void settings_print(const struct settings *settings, struct buf *out);

/* This node's entry of a group. */
const struct member_settings *group_settings_member(const struct group_settings *group,
                                                    uint64_t id);

#endif
