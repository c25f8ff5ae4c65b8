/* What route_table.c (changes) and route_query.c (answers) share. */
#ifndef NAMESERVER_ROUTE_TABLE_INTERNAL_H
#define NAMESERVER_ROUTE_TABLE_INTERNAL_H

#include "common/base/map.h"
#include "nameserver/route_table.h"

/* Invariants: an address is in exactly one broker's list and in `addresses`; a topic has at least
 * one entry; every entry's broker is in `brokers` and has an address; generation rises whenever an
 * answer could change. */
struct route_table {
    struct map brokers;   /* By name; also those that are only remembered. */
    struct map addresses; /* By address. */
    struct map topics;    /* By name. */
    size_t entry_count;   /* Of all topics. */
    uint64_t generation;
};

struct broker {
    struct map_node node;
    struct name name;
    struct name cluster;
    struct list addresses; /* Ascending by id; empty: only remembered. */
    size_t address_count;
    struct list entries;  /* Its topics. */
    int64_t term;         /* Highest stateVersion registered with id 0. */
    uint64_t accepted_ms; /* Of the last accepted registration. */
};

struct address {
    struct map_node node;
    struct list in_broker;
    struct broker *broker;
    struct name text;
    struct name ha_address;
    int64_t id;
    struct data_version version;
    uint64_t lease_ms;
    uint64_t expires_ms;
    uint64_t owner;
};

struct topic {
    struct map_node node;
    struct name name;
    struct list entries; /* Ascending by broker name: clients compare routes in order. */
    struct buf encoded;  /* The answer, of that generation and order configuration. */
    struct buf order_config;
    uint64_t generation;
};

struct entry {
    struct list in_topic;
    struct list in_broker;
    struct topic *topic;
    struct broker *broker;
    struct queue_data queues; /* .broker borrows from the broker. */
    bool kept;                /* Mark while a registration drops what it does not name. */
};

struct broker *route_find_broker(const struct route_table *table, struct slice name);
struct address *route_find_address(const struct route_table *table, struct slice address);
struct topic *route_find_topic(const struct route_table *table, struct slice name);

#endif
