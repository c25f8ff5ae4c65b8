/* Consumer group configurations: SubscriptionGroupConfig (200, 225, 352) and their table (201). */
#ifndef COMMON_REMOTING_BODY_GROUP_H
#define COMMON_REMOTING_BODY_GROUP_H

#include "common/remoting/body.h"

struct group_config {
    struct slice name;
    bool consume_enable;
    bool consume_from_min_enable;
    bool consume_broadcast_enable;
    bool consume_orderly;
    int32_t retry_queues;
    int32_t retry_times_max;
    int64_t broker_id;
    int64_t broker_id_when_slow;
    bool notify_changes; /* notifyConsumerIdsChangedEnable */
    int32_t sys_flag;
    int32_t consume_timeout_min;
    size_t attribute_count;
    const struct text_pair *attributes;
};

/* Java's defaults for a group of that name (borrowed). */
struct group_config group_config_default(struct slice name);

/* Defaults stand for absent members. Errors: STATUS_MALFORMED  no object or no name. */
WARN_UNUSED enum status group_config_decode(struct slice text, struct body *body,
                                            struct group_config *out);
void group_config_encode(const struct group_config *config, struct buf *out);

struct group_table {
    struct data_version version;
    size_t count;
    const struct group_config *groups;
};

/* SubscriptionGroupWrapper (201). Errors: STATUS_MALFORMED  also beyond GROUPS_MAX. */
WARN_UNUSED enum status group_table_decode(struct slice text, struct body *body,
                                           struct group_table *out);
void group_table_encode(const struct group_table *table, struct buf *out);

/* {"groupConfigList":[…]} (225). */
WARN_UNUSED enum status group_config_list_decode(struct slice text, struct body *body,
                                                 struct group_table *out);

#endif
