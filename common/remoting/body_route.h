/* Bodies of the nameserver's answers: TopicRouteData (105), ClusterInfo (106), member group (901).
 */
#ifndef COMMON_REMOTING_BODY_ROUTE_H
#define COMMON_REMOTING_BODY_ROUTE_H

#include "common/remoting/body.h"

enum { ROUTE_ITEMS_MAX = 4096 }; /* Brokers, queues or addresses in one route that is read. */

struct broker_address {
    int64_t id; /* 0: the one that is written to. */
    struct slice address;
};

struct broker_data {
    struct slice cluster;
    struct slice name;
    size_t address_count;
    struct broker_address *addresses;
};

struct queue_data {
    struct slice broker;
    int32_t read_queues;
    int32_t write_queues;
    int32_t perm;
    int32_t sys_flag;
};

struct topic_route {
    size_t broker_count;
    struct broker_data *brokers;
    size_t queue_count;
    struct queue_data *queues;
    struct slice order_config; /* Empty: none. */
};

/* Errors: STATUS_MALFORMED */
WARN_UNUSED enum status topic_route_decode(struct slice text, struct body *body,
                                           struct topic_route *out);
void topic_route_encode(const struct topic_route *route, struct buf *out);

struct cluster_info {
    size_t broker_count;
    struct broker_data *brokers;
};

/* Clusters are written in the order in which brokers first name them. */
WARN_UNUSED enum status cluster_info_decode(struct slice text, struct body *body,
                                            struct cluster_info *out);
void cluster_info_encode(const struct cluster_info *info, struct buf *out);

/* {"brokerMemberGroup":…}; a NULL broker writes none. */
void member_group_encode(const struct broker_data *broker, struct buf *out);

#endif
