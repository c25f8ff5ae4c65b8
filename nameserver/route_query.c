/* The answers that the route table gives. */
#include "nameserver/route_table_internal.h"

#include <stdlib.h>

enum { SYS_FLAG_UNIT = 1, SYS_FLAG_UNIT_SUB = 2 };

static struct broker_data broker_data_of(const struct broker *broker, struct arena *arena);
static void encode_route(const struct topic *topic, struct slice order_config, struct buf *out);
static bool topic_passes(const struct topic *topic, enum topic_filter filter, struct slice cluster);

static bool is_served(const struct topic *topic)
{
    LIST_FOREACH(at, &topic->entries)
    {
        if (CONTAINER_OF(at, struct entry, in_topic)->broker->address_count > 0) {
            return true;
        }
    }
    return false;
}

bool route_table_route(struct route_table *table, struct slice name, struct slice order_config,
                       struct slice *encoded)
{
    struct topic *topic = route_find_topic(table, name);
    if (topic == NULL || !is_served(topic)) {
        return false;
    }
    if (topic->encoded.size == 0 || topic->generation != table->generation ||
        !slice_equals(buf_slice(&topic->order_config), order_config)) {
        buf_clear(&topic->encoded);
        buf_clear(&topic->order_config);
        buf_put_slice(&topic->order_config, order_config);
        encode_route(topic, order_config, &topic->encoded);
        topic->generation = table->generation;
    }
    *encoded = buf_slice(&topic->encoded);
    return true;
}

static void encode_route(const struct topic *topic, struct slice order_config, struct buf *out)
{
    struct arena arena = {0};
    struct topic_route route = {.order_config = order_config};
    size_t count = 0;
    LIST_FOREACH(at, &topic->entries)
    {
        count++;
    }
    route.brokers = arena_array(&arena, count, sizeof *route.brokers);
    route.queues = arena_array(&arena, count, sizeof *route.queues);
    LIST_FOREACH(at, &topic->entries)
    {
        const struct entry *entry = CONTAINER_OF(at, struct entry, in_topic);
        if (entry->broker->address_count > 0) {
            route.brokers[route.broker_count++] = broker_data_of(entry->broker, &arena);
            route.queues[route.queue_count++] = entry->queues;
        }
    }
    topic_route_encode(&route, out);
    arena_close(&arena);
}

static struct broker_data broker_data_of(const struct broker *broker, struct arena *arena)
{
    struct broker_data data = {
        .cluster = name_slice(&broker->cluster),
        .name = name_slice(&broker->name),
        .addresses = arena_array(arena, broker->address_count, sizeof *data.addresses),
    };
    LIST_FOREACH(at, &broker->addresses)
    {
        const struct address *address = CONTAINER_OF(at, struct address, in_broker);
        data.addresses[data.address_count++] =
            (struct broker_address){address->id, name_slice(&address->text)};
    }
    return data;
}

void route_table_clusters(const struct route_table *table, struct buf *out)
{
    struct arena arena = {0};
    struct cluster_info info = {
        .brokers = arena_array(&arena, table->brokers.count + 1, sizeof *info.brokers),
    };
    MAP_FOREACH(node, &table->brokers)
    {
        const struct broker *broker = CONTAINER_OF(node, struct broker, node);
        if (broker->address_count > 0) {
            info.brokers[info.broker_count++] = broker_data_of(broker, &arena);
        }
    }
    cluster_info_encode(&info, out);
    arena_close(&arena);
}

void route_table_members(const struct route_table *table, struct slice cluster, struct slice name,
                         struct buf *out)
{
    struct arena arena = {0};
    const struct broker *broker = route_find_broker(table, name);
    if (broker == NULL || broker->address_count == 0 ||
        !slice_equals(name_slice(&broker->cluster), cluster)) {
        member_group_encode(NULL, out);
    } else {
        struct broker_data data = broker_data_of(broker, &arena);
        member_group_encode(&data, out);
    }
    arena_close(&arena);
}

void route_table_topics(const struct route_table *table, enum topic_filter filter,
                        struct slice cluster, struct buf *out)
{
    struct slice *names = mem_alloc((table->topics.count + 1) * sizeof *names);
    struct name_list list = {0, names};
    MAP_FOREACH(node, &table->topics)
    {
        const struct topic *topic = CONTAINER_OF(node, struct topic, node);
        if (topic_passes(topic, filter, cluster)) {
            names[list.count++] = name_slice(&topic->name);
        }
    }
    topic_list_encode(&list, (struct slice){0}, out);
    free(names);
}

static bool topic_passes(const struct topic *topic, enum topic_filter filter, struct slice cluster)
{
    const struct entry *first = CONTAINER_OF(topic->entries.next, struct entry, in_topic);
    bool unit = (first->queues.sys_flag & SYS_FLAG_UNIT) != 0;
    bool unit_sub = (first->queues.sys_flag & SYS_FLAG_UNIT_SUB) != 0;
    if ((filter == TOPICS_UNIT && !unit) || (filter == TOPICS_UNIT_SUB && !unit_sub) ||
        (filter == TOPICS_UNIT_SUB_ALONE && (unit || !unit_sub))) {
        return false;
    }
    LIST_FOREACH(at, &topic->entries)
    {
        const struct broker *broker = CONTAINER_OF(at, struct entry, in_topic)->broker;
        if (broker->address_count > 0 &&
            (cluster.size == 0 || slice_equals(name_slice(&broker->cluster), cluster))) {
            return true;
        }
    }
    return false;
}

void route_table_system_topics(const struct route_table *table, struct buf *out)
{
    struct slice *names = mem_alloc((2 * table->brokers.count + 1) * sizeof *names);
    struct name_list list = {0, names};
    struct slice any = {0};
    MAP_FOREACH(node, &table->brokers)
    {
        const struct broker *broker = CONTAINER_OF(node, struct broker, node);
        if (broker->address_count == 0) {
            continue;
        }
        bool cluster_listed = false;
        for (size_t i = 0; i < list.count; i++) {
            cluster_listed |= slice_equals(names[i], name_slice(&broker->cluster));
        }
        if (!cluster_listed) {
            names[list.count++] = name_slice(&broker->cluster);
        }
        names[list.count++] = name_slice(&broker->name);
        if (any.size == 0) {
            any =
                name_slice(&CONTAINER_OF(broker->addresses.next, struct address, in_broker)->text);
        }
    }
    topic_list_encode(&list, any, out);
    free(names);
}

size_t route_table_broker_count(const struct route_table *table)
{
    size_t count = 0;
    MAP_FOREACH(node, &table->brokers)
    {
        count += CONTAINER_OF(node, struct broker, node)->address_count > 0;
    }
    return count;
}

size_t route_table_topic_count(const struct route_table *table)
{
    return table->topics.count;
}
