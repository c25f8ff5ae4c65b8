/* Names of topics and groups: which are valid, which are the system's, which derive from others.
 * Pure; any thread. Source: TopicValidator, MixAll, NamespaceUtil, TopicConfigManager. */
#ifndef COMMON_REMOTING_NAMES_H
#define COMMON_REMOTING_NAMES_H

#include "common/base/name.h"

#define RETRY_PREFIX "%RETRY%"
#define DEAD_LETTER_PREFIX "%DLQ%"
#define TOPIC_DEFAULT "TBW102" /* The template of topics created on first use. */
#define TOPIC_HALF "RMQ_SYS_TRANS_HALF_TOPIC"
#define TOPIC_HALF_OP "RMQ_SYS_TRANS_OP_HALF_TOPIC"
#define TOPIC_CHECK_MAX "TRANS_CHECK_MAX_TIME_TOPIC"
#define TOPIC_SCHEDULE "SCHEDULE_TOPIC_XXXX"
#define TOPIC_TIMER "rmq_sys_wheel_timer"
#define TOPIC_TRACE "RMQ_SYS_TRACE_TOPIC"
#define TOPIC_SELF_TEST "SELF_TEST_TOPIC"
#define TOPIC_BENCHMARK "BenchmarkTest"
#define TOPIC_OFFSET_MOVED "OFFSET_MOVED_EVENT"
#define GROUP_TOOLS                                                                                \
    "TOOLS_CONSUMER" /* mqadmin pulls with it, often before its first heartbeat.                   \
                      */
#define GROUP_CLIENT_INNER_PRODUCER "CLIENT_INNER_PRODUCER"

/* Topic permissions (PermName). */
enum { PERM_INHERIT = 1, PERM_WRITE = 2, PERM_READ = 4 };

/* Not empty, only characters of names, and not longer than TOPIC_NAME_MAX, or
 * TOPIC_NAME_DERIVED_MAX for retry and dead-letter topics. */
bool topic_name_valid(struct slice topic);

/* Not empty, only characters of names, and not longer than GROUP_NAME_MAX less the longest prefix,
 * so that the derived topics have valid names. */
bool group_name_valid(struct slice group);

bool topic_is_retry(struct slice topic);
bool topic_is_dead_letter(struct slice topic);

/* Topics that exist by themselves, which nobody may create, change or delete: those of the table
 * above and all that begin with "rmq_sys_". Cluster and broker names are not known here. */
bool topic_is_system(struct slice topic);

/* Topics that clients may not send to. */
bool topic_closed_to_clients(struct slice topic);

/* Groups that exist by themselves. */
bool group_is_system(struct slice group);

/* The retry or dead-letter topic of a group; false if the name would be too long. */
bool topic_retry_of(struct slice group, struct name *topic);
bool topic_dead_letter_of(struct slice group, struct name *topic);

/* The group of a retry or dead-letter topic; borrows from topic. Empty for other topics. */
struct slice topic_group(struct slice topic);

#endif
