/* Route table: which brokers serve which topics, and at which addresses.
 *
 * Soft state: brokers register anew every few seconds, so nothing is stored and a restarted
 * nameserver is complete after one period. Fenced by term: of a broker name, address id 0 (the one
 * that clients write to) goes to the highest stateVersion ever seen for that name, also after its
 * holder has lapsed, so a deposed leader cannot win the route back. The name and its term are
 * forgotten BROKER_MEMORY_MS after the last accepted registration.
 *
 * Pure: no I/O; time is an argument, monotonic milliseconds. Loop thread only.
 * Source: RouteInfoManager (semantics of registration; fencing goes further). */
#ifndef NAMESERVER_ROUTE_TABLE_H
#define NAMESERVER_ROUTE_TABLE_H

#include "common/base/name.h"
#include "common/remoting/body_list.h"
#include "common/remoting/body_route.h"
#include "common/remoting/body_topic.h"

enum {
    BROKERS_MAX = 1024,
    ADDRESSES_PER_BROKER_MAX = 32,
    ROUTE_ENTRIES_MAX = 1000000, /* Pairs of topic and broker. */
    LEASE_DEFAULT_MS = 120 * 1000,
    LEASE_MAX_MS = 3600 * 1000,
    BROKER_MEMORY_MS = 600 * 1000,
};

struct route_table;

struct route_table *route_table_new(void);
void route_table_free(struct route_table *table);

/* What one broker says of itself. Borrowed during the call. */
struct registration {
    struct slice cluster;
    struct slice broker;
    struct slice address;
    int64_t id;
    struct slice ha_address;
    uint64_t lease_ms; /* 0: LEASE_DEFAULT_MS */
    uint64_t owner;    /* The connection it came on, see route_table_disconnect(). */
    bool drop_absent;  /* Topics of this broker that are not in `topics` go (id 0 only). */
    struct topic_table topics;
};

/* Register a broker's address, or renew its lease. Copies.
 *
 * An address has one id of one broker: registering it under another moves it. Topics are taken from
 * id 0 only, and only if their version differs from that address' last one, or for topics not yet
 * known; they are merged.
 *
 * Errors (the table is unchanged):
 *   STATUS_STALE             id 0 is claimed with a lower stateVersion than was seen before
 *   STATUS_REFUSED           first registration of an id with exactly one topic: the whole table
 *                            must come first
 *   STATUS_INVALID_ARGUMENT  a name or address that is empty, too long or has bad characters
 *   STATUS_LIMIT             one of the maxima above, or TOPICS_MAX */
WARN_UNUSED enum status route_table_register(struct route_table *table,
                                             const struct registration *registration,
                                             uint64_t now_ms);

/* Remove an address at once. Harmless if it is not registered under that name and id. */
void route_table_unregister(struct route_table *table, struct slice broker, struct slice address,
                            int64_t id);

/* Renew the lease of an address; false if it is not registered. */
bool route_table_renew(struct route_table *table, struct slice address, uint64_t lease_ms,
                       uint64_t now_ms);

/* Remove the addresses that were last registered over this connection. */
void route_table_disconnect(struct route_table *table, uint64_t owner);

/* Remove lapsed addresses and forget broker names long unheard of. */
void route_table_expire(struct route_table *table, uint64_t now_ms);

/* The last version that an address registered with; false if it is not registered. */
bool route_table_version(const struct route_table *table, struct slice address,
                         struct data_version *version);

/* The address with id 0 of a broker and its HA address; false if it has none. Borrows until the
 * table changes. */
bool route_table_master(const struct route_table *table, struct slice broker, struct slice *address,
                        struct slice *ha_address);

/* Change the write permission of all queues of a broker; returns how many topics it has. */
size_t route_table_wipe_write(struct route_table *table, struct slice broker);
size_t route_table_add_write(struct route_table *table, struct slice broker);

/* Forget a topic, for the brokers of one cluster only if cluster is not empty. */
void route_table_delete_topic(struct route_table *table, struct slice topic, struct slice cluster);

/* Enter queues by hand (217); those of brokers without an address are passed over.
 * Errors: STATUS_INVALID_ARGUMENT, STATUS_LIMIT  nothing changed. */
WARN_UNUSED enum status route_table_put_topic(struct route_table *table, struct slice topic,
                                              const struct queue_data *queues, size_t count);

/* The encoded TopicRouteData of a topic, with order_config in it unless empty; false if no broker
 * with an address serves it. Borrows until the table changes or it is asked again. */
bool route_table_route(struct route_table *table, struct slice topic, struct slice order_config,
                       struct slice *encoded);

/* Appended: the encoded ClusterInfo. */
void route_table_clusters(const struct route_table *table, struct buf *out);

/* Appended: the encoded member group of a broker, {} if there is none of that name and cluster. */
void route_table_members(const struct route_table *table, struct slice cluster, struct slice broker,
                         struct buf *out);

/* Which topics a list is of. */
enum topic_filter {
    TOPICS_ALL,
    TOPICS_UNIT,           /* 311 */
    TOPICS_UNIT_SUB,       /* 312 */
    TOPICS_UNIT_SUB_ALONE, /* 313: unit sub and not unit */
};

/* Appended: an encoded TopicList of the topics that pass, of one cluster unless it is empty. */
void route_table_topics(const struct route_table *table, enum topic_filter filter,
                        struct slice cluster, struct buf *out);

/* Appended: the encoded TopicList of cluster and broker names, with any broker's address (304). */
void route_table_system_topics(const struct route_table *table, struct buf *out);

/* Broker names with an address, and topics: for the log and tests. */
size_t route_table_broker_count(const struct route_table *table);
size_t route_table_topic_count(const struct route_table *table);

#endif
