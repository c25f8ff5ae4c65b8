/* Questions about routes, and what operators change in them. */
#include "nameserver/nameserver_internal.h"

static enum status topics(struct request *request, enum topic_filter filter, struct slice cluster);

enum status nameserver_route(struct request *request)
{
    struct nameserver *nameserver = request->nameserver;
    struct slice topic;
    struct slice order = {0};
    struct slice encoded;
    enum status status = command_text(request->command, "topic", NAME_MAX_SIZE, &topic);
    if (status != STATUS_OK) {
        return status;
    }
    if (config_boolean(nameserver->options.settings, "orderMessageEnable")) {
        (void)kv_config_get(nameserver->kv, slice_text(NAMESPACE_ORDER_TOPIC), topic, &order);
    }
    if (!route_table_route(nameserver->routes, topic, order, &encoded)) {
        buf_printf(&nameserver->remark, "No topic route info in name server for the topic: %.*s",
                   SLICE_ARGS(topic));
        return STATUS_TOPIC_UNKNOWN;
    }
    buf_put_slice(&nameserver->body, encoded);
    return STATUS_OK;
}

enum status nameserver_cluster_info(struct request *request)
{
    route_table_clusters(request->nameserver->routes, &request->nameserver->body);
    return STATUS_OK;
}

enum status nameserver_member_group(struct request *request)
{
    struct slice cluster;
    struct slice broker;
    enum status status = command_text(request->command, "clusterName", NAME_MAX_SIZE, &cluster);
    if (status == STATUS_OK) {
        status = command_text(request->command, "brokerName", NAME_MAX_SIZE, &broker);
    }
    if (status == STATUS_OK) {
        route_table_members(request->nameserver->routes, cluster, broker,
                            &request->nameserver->body);
    }
    return status;
}

static enum status topics(struct request *request, enum topic_filter filter, struct slice cluster)
{
    route_table_topics(request->nameserver->routes, filter, cluster, &request->nameserver->body);
    return STATUS_OK;
}

enum status nameserver_topic_list(struct request *request)
{
    return topics(request, TOPICS_ALL, (struct slice){0});
}

enum status nameserver_topics_by_cluster(struct request *request)
{
    struct slice cluster;
    enum status status = command_text(request->command, "cluster", NAME_MAX_SIZE, &cluster);
    if (status == STATUS_OK && cluster.size == 0) {
        status = STATUS_FIELD_MISSING;
    }
    return status == STATUS_OK ? topics(request, TOPICS_ALL, cluster) : status;
}

enum status nameserver_system_topics(struct request *request)
{
    route_table_system_topics(request->nameserver->routes, &request->nameserver->body);
    return STATUS_OK;
}

enum status nameserver_unit_topics(struct request *request)
{
    return topics(request, TOPICS_UNIT, (struct slice){0});
}

enum status nameserver_unit_sub_topics(struct request *request)
{
    return topics(request, TOPICS_UNIT_SUB, (struct slice){0});
}

enum status nameserver_unit_sub_alone_topics(struct request *request)
{
    return topics(request, TOPICS_UNIT_SUB_ALONE, (struct slice){0});
}

enum status nameserver_delete_topic(struct request *request)
{
    struct slice topic;
    struct slice cluster = {0};
    enum status status = command_text(request->command, "topic", NAME_MAX_SIZE, &topic);
    if (status != STATUS_OK) {
        return status;
    }
    // Absent means everywhere; too long a name is no reason to delete everywhere.
    if (command_find(request->command, "clusterName", &cluster) && cluster.size > NAME_MAX_SIZE) {
        return STATUS_INVALID_ARGUMENT;
    }
    route_table_delete_topic(request->nameserver->routes, topic, cluster);
    return STATUS_OK;
}

enum status nameserver_register_topic(struct request *request)
{
    struct slice topic;
    struct body body;
    struct topic_route route;
    enum status status = command_text(request->command, "topic", NAME_MAX_SIZE, &topic);
    if (status == STATUS_OK) {
        status = topic_route_decode(request->command->body, &body, &route);
    }
    if (status == STATUS_OK) {
        status = route_table_put_topic(request->nameserver->routes, topic, route.queues,
                                       route.queue_count);
        body_close(&body);
    }
    return status;
}

static enum status change_write(struct request *request,
                                size_t (*change)(struct route_table *table, struct slice broker),
                                const char *field)
{
    struct slice broker;
    enum status status = command_text(request->command, "brokerName", NAME_MAX_SIZE, &broker);
    if (status == STATUS_OK) {
        size_t count = change(request->nameserver->routes, broker);
        command_add_i64(request->response, field, (int64_t)count, &request->nameserver->scratch);
        log_info(request->nameserver->options.log, "write permission changed by an operator",
                 "broker=%.*s count=%zu reply=%s", SLICE_ARGS(broker), count, field);
    }
    return status;
}

enum status nameserver_wipe_write(struct request *request)
{
    return change_write(request, route_table_wipe_write, "wipeTopicCount");
}

enum status nameserver_add_write(struct request *request)
{
    return change_write(request, route_table_add_write, "addTopicCount");
}
