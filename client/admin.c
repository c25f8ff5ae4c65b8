/* Administration: routes, clusters, topics, groups, and any request at all. */
#include "client/leaders.h"
#include "common/remoting/body_group.h"
#include "common/remoting/body_list.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum { QUEUES_DEFAULT = 8, PERM_DEFAULT = 6 };

/* What the free functions free; the public part comes first. */
struct owned_route {
    struct raftmq_route route;
    struct arena arena;
};

struct owned_queues {
    struct raftmq_queues queues;
    struct arena arena;
};

struct owned_names {
    struct raftmq_names names;
    struct arena arena;
    size_t capacity;
    const char **list;
};

struct owned_response {
    struct raftmq_response response;
    struct reply reply;
    struct arena arena;
};

static const char *copy(struct arena *arena, struct slice text)
{
    return (const char *)arena_copy(arena, text).data;
}

/* Ask a nameserver; an answer other than SUCCESS is RAFTMQ_REFUSED, 17 RAFTMQ_NO_ROUTE. */
static enum raftmq_status ask_nameserver(struct raftmq_client *client, struct command *request,
                                         struct reply *reply, struct raftmq_error *error)
{
    enum raftmq_status status = invoke_nameserver(client, request, 0, reply, error);
    if (status == RAFTMQ_OK && reply->command.code != RESPONSE_SUCCESS) {
        status = error_of_response(error, &reply->command);
        if (reply->command.code == RESPONSE_TOPIC_NOT_EXIST) {
            status = RAFTMQ_NO_ROUTE;
            if (error != NULL) {
                error->status = status;
            }
        }
    }
    return status;
}

static struct raftmq_broker *copy_brokers(struct arena *arena, const struct broker_data *brokers,
                                          size_t count)
{
    struct raftmq_broker *to = arena_array(arena, count + 1, sizeof *to);
    for (size_t i = 0; i < count; i++) {
        struct raftmq_broker_address *addresses =
            arena_array(arena, brokers[i].address_count + 1, sizeof *addresses);
        for (size_t j = 0; j < brokers[i].address_count; j++) {
            addresses[j].id = brokers[i].addresses[j].id;
            addresses[j].address = copy(arena, brokers[i].addresses[j].address);
        }
        to[i] = (struct raftmq_broker){
            .cluster = copy(arena, brokers[i].cluster),
            .name = copy(arena, brokers[i].name),
            .address_count = brokers[i].address_count,
            .addresses = addresses,
        };
    }
    return to;
}

enum raftmq_status raftmq_topic_route(struct raftmq_client *client, const char *topic,
                                      struct raftmq_route **out, struct raftmq_error *error)
{
    struct reply reply = {0};
    struct body body;
    struct topic_route route;
    struct command request;
    command_init_request(&request, REQUEST_GET_ROUTEINFO_BY_TOPIC, 0);
    command_add(&request, "topic", slice_text(topic));
    command_add(&request, "acceptStandardJsonOnly", slice_text("true"));
    enum raftmq_status status = ask_nameserver(client, &request, &reply, error);
    if (status == RAFTMQ_OK && topic_route_decode(reply.command.body, &body, &route) != STATUS_OK) {
        status = error_of_status(error, STATUS_MALFORMED);
    }
    if (status == RAFTMQ_OK) {
        struct owned_route *owned = mem_zalloc(sizeof *owned);
        struct raftmq_topic_queues_of *queues =
            arena_array(&owned->arena, route.queue_count + 1, sizeof *queues);
        for (size_t i = 0; i < route.queue_count; i++) {
            queues[i] = (struct raftmq_topic_queues_of){
                .broker = copy(&owned->arena, route.queues[i].broker),
                .read_queues = route.queues[i].read_queues,
                .write_queues = route.queues[i].write_queues,
                .perm = route.queues[i].perm,
            };
        }
        owned->route = (struct raftmq_route){
            .broker_count = route.broker_count,
            .brokers = copy_brokers(&owned->arena, route.brokers, route.broker_count),
            .queue_count = route.queue_count,
            .queues = queues,
        };
        body_close(&body);
        *out = &owned->route;
    }
    reply_close(&reply);
    return status;
}

enum raftmq_status raftmq_cluster_info(struct raftmq_client *client, struct raftmq_route **out,
                                       struct raftmq_error *error)
{
    struct reply reply = {0};
    struct body body;
    struct cluster_info info;
    struct command request;
    command_init_request(&request, REQUEST_GET_BROKER_CLUSTER_INFO, 0);
    enum raftmq_status status = ask_nameserver(client, &request, &reply, error);
    if (status == RAFTMQ_OK && cluster_info_decode(reply.command.body, &body, &info) != STATUS_OK) {
        status = error_of_status(error, STATUS_MALFORMED);
    }
    if (status == RAFTMQ_OK) {
        struct owned_route *owned = mem_zalloc(sizeof *owned);
        owned->route.broker_count = info.broker_count;
        owned->route.brokers = copy_brokers(&owned->arena, info.brokers, info.broker_count);
        body_close(&body);
        *out = &owned->route;
    }
    reply_close(&reply);
    return status;
}

void raftmq_route_free(struct raftmq_route *route)
{
    if (route != NULL) {
        struct owned_route *owned = CONTAINER_OF(route, struct owned_route, route);
        arena_close(&owned->arena);
        free(owned);
    }
}

enum raftmq_status raftmq_topic_queues(struct raftmq_client *client, const char *topic,
                                       struct raftmq_queues **out, struct raftmq_error *error)
{
    struct raftmq_route *route;
    enum raftmq_status status = raftmq_topic_route(client, topic, &route, error);
    if (status != RAFTMQ_OK) {
        return status;
    }
    struct owned_queues *owned = mem_zalloc(sizeof *owned);
    size_t total = 0;
    for (size_t i = 0; i < route->queue_count; i++) {
        int32_t count = route->queues[i].read_queues;
        total += count < 0                      ? 0
                 : count > QUEUES_PER_TOPIC_MAX ? QUEUES_PER_TOPIC_MAX
                                                : (size_t)count;
    }
    struct raftmq_queue *queues = arena_array(&owned->arena, total + 1, sizeof *queues);
    const char *name = copy(&owned->arena, slice_text(topic));
    owned->queues.queues = queues;
    for (size_t i = 0; i < route->queue_count; i++) {
        const struct raftmq_topic_queues_of *of = &route->queues[i];
        const char *broker = copy(&owned->arena, slice_text(of->broker));
        for (int32_t j = 0;
             (of->perm & PERM_READ) != 0 && j < of->read_queues && j < QUEUES_PER_TOPIC_MAX; j++) {
            queues[owned->queues.count++] = (struct raftmq_queue){name, broker, j};
        }
    }
    raftmq_route_free(route);
    *out = &owned->queues;
    return RAFTMQ_OK;
}

void raftmq_queues_free(struct raftmq_queues *queues)
{
    if (queues != NULL) {
        struct owned_queues *owned = CONTAINER_OF(queues, struct owned_queues, queues);
        arena_close(&owned->arena);
        free(owned);
    }
}

enum raftmq_status raftmq_topic_create(struct raftmq_client *client, const char *cluster,
                                       const struct raftmq_topic_config *config,
                                       struct raftmq_error *error)
{
    struct command request;
    struct buf scratch = {0};
    if (!topic_name_valid(slice_text(config->topic))) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "the topic name is not valid");
    }
    buf_reserve(&scratch, 128);
    command_init_request(&request, REQUEST_UPDATE_AND_CREATE_TOPIC, 0);
    command_add(&request, "topic", slice_text(config->topic));
    command_add(&request, "defaultTopic", slice_text(TOPIC_DEFAULT));
    command_add_i64(&request, "readQueueNums",
                    config->read_queues == 0 ? QUEUES_DEFAULT : config->read_queues, &scratch);
    command_add_i64(&request, "writeQueueNums",
                    config->write_queues == 0 ? QUEUES_DEFAULT : config->write_queues, &scratch);
    command_add_i64(&request, "perm", config->perm == 0 ? PERM_DEFAULT : config->perm, &scratch);
    command_add(&request, "topicFilterType", slice_text("SINGLE_TAG"));
    command_add(&request, "topicSysFlag", slice_text("0"));
    command_add(&request, "order", slice_text(config->order ? "true" : "false"));
    enum raftmq_status status =
        leaders_ask(client, cluster, &request, RESPONSE_SUCCESS, NULL, NULL, error);
    buf_close(&scratch);
    return status;
}

enum raftmq_status raftmq_topic_delete(struct raftmq_client *client, const char *cluster,
                                       const char *topic, struct raftmq_error *error)
{
    struct command request;
    command_init_request(&request, REQUEST_DELETE_TOPIC_IN_BROKER, 0);
    command_add(&request, "topic", slice_text(topic));
    enum raftmq_status status =
        leaders_ask(client, cluster, &request, RESPONSE_SUCCESS, NULL, NULL, error);
    command_init_request(&request, REQUEST_DELETE_TOPIC_IN_NAMESRV, 0);
    command_add(&request, "topic", slice_text(topic));
    if (cluster != NULL) {
        command_add(&request, "clusterName", slice_text(cluster));
    }
    // At each of them: nameservers do not know of each other.
    for (uint32_t i = 0; i < client->routes.nameserver_count && status == RAFTMQ_OK; i++) {
        struct reply reply = {0};
        status = invoke_host(client, client->routes.nameservers[i], &request, 0, &reply, error);
        if (status == RAFTMQ_OK && reply.command.code != RESPONSE_SUCCESS) {
            status = error_of_response(error, &reply.command);
        }
        reply_close(&reply);
    }
    return status;
}

static void add_name(struct owned_names *owned, struct slice name)
{
    for (size_t i = 0; i < owned->names.count; i++) {
        if (slice_equals_text(name, owned->list[i])) {
            return;
        }
    }
    if (owned->names.count == owned->capacity) {
        owned->capacity = owned->capacity == 0 ? 64 : owned->capacity * 2;
        owned->list = mem_realloc(owned->list, owned->capacity * sizeof *owned->list);
    }
    owned->list[owned->names.count++] = copy(&owned->arena, name);
    owned->names.names = owned->list;
}

enum raftmq_status raftmq_topic_list(struct raftmq_client *client, struct raftmq_names **out,
                                     struct raftmq_error *error)
{
    struct reply reply = {0};
    struct body body;
    struct name_list list;
    struct command request;
    command_init_request(&request, REQUEST_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, 0);
    enum raftmq_status status = ask_nameserver(client, &request, &reply, error);
    if (status == RAFTMQ_OK && topic_list_decode(reply.command.body, &body, &list) != STATUS_OK) {
        status = error_of_status(error, STATUS_MALFORMED);
    }
    if (status == RAFTMQ_OK) {
        struct owned_names *owned = mem_zalloc(sizeof *owned);
        for (size_t i = 0; i < list.count; i++) {
            add_name(owned, list.names[i]);
        }
        body_close(&body);
        *out = &owned->names;
    }
    reply_close(&reply);
    return status;
}

static bool add_groups(void *context, const struct reply *reply)
{
    struct body body;
    struct group_table table;
    if (group_table_decode(reply->command.body, &body, &table) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < table.count; i++) {
        add_name(context, table.groups[i].name);
    }
    body_close(&body);
    return true;
}

enum raftmq_status raftmq_group_list(struct raftmq_client *client, struct raftmq_names **out,
                                     struct raftmq_error *error)
{
    struct command request;
    struct owned_names *owned = mem_zalloc(sizeof *owned);
    command_init_request(&request, REQUEST_GET_ALL_SUBSCRIPTIONGROUP_CONFIG, 0);
    enum raftmq_status status =
        leaders_ask(client, NULL, &request, RESPONSE_SUCCESS, add_groups, owned, error);
    if (status == RAFTMQ_OK) {
        *out = &owned->names;
    } else {
        raftmq_names_free(&owned->names);
    }
    return status;
}

void raftmq_names_free(struct raftmq_names *names)
{
    if (names != NULL) {
        struct owned_names *owned = CONTAINER_OF(names, struct owned_names, names);
        arena_close(&owned->arena);
        free(owned->list);
        free(owned);
    }
}

static void fill_response(struct owned_response *owned)
{
    const struct command *command = &owned->reply.command;
    struct raftmq_property *fields =
        arena_array(&owned->arena, command->field_count + 1, sizeof *fields);
    for (uint32_t i = 0; i < command->field_count; i++) {
        fields[i].name = copy(&owned->arena, command->fields[i].name);
        fields[i].value = copy(&owned->arena, command->fields[i].value);
    }
    owned->response = (struct raftmq_response){
        .code = command->code,
        .remark = copy(&owned->arena, command->remark),
        .field_count = command->field_count,
        .fields = fields,
        .body = command->body.data,
        .body_size = command->body.size,
    };
}

enum raftmq_status raftmq_invoke(struct raftmq_client *client, const char *address, int32_t code,
                                 const struct raftmq_property *fields, size_t field_count,
                                 const void *body, size_t body_size, uint64_t timeout_ms,
                                 struct raftmq_response **out, struct raftmq_error *error)
{
    struct command request;
    struct host host = {0};
    if (field_count > HEADER_FIELDS_MAX || body_size > FRAME_SIZE_MAX / 2 ||
        (address != NULL && host_parse(slice_text(address), &host) != STATUS_OK)) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                         "not an ip:port, or too many fields, or too large a body");
    }
    command_init_request(&request, code, 0);
    for (size_t i = 0; i < field_count; i++) {
        command_add(&request, fields[i].name, slice_text(fields[i].value));
    }
    request.body = slice_of(body, body_size);
    struct owned_response *owned = mem_zalloc(sizeof *owned);
    enum raftmq_status status =
        address == NULL ? invoke_nameserver(client, &request, timeout_ms, &owned->reply, error)
                        : invoke_host(client, host, &request, timeout_ms, &owned->reply, error);
    if (status != RAFTMQ_OK) {
        raftmq_response_free(&owned->response);
        return status;
    }
    fill_response(owned);
    *out = &owned->response;
    return RAFTMQ_OK;
}

void raftmq_response_free(struct raftmq_response *response)
{
    if (response != NULL) {
        struct owned_response *owned = CONTAINER_OF(response, struct owned_response, response);
        reply_close(&owned->reply);
        arena_close(&owned->arena);
        free(owned);
    }
}
