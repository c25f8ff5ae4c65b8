#include "client/routes.h"

#include "client/client.h"
#include "client/heartbeat.h"
#include "common/remoting/codes.h"

#include <stdlib.h>

enum {
    NAMESERVER_TIMEOUT_MS = 3000,
    REFRESH_PAUSE_MS = 100, /* Failures come in crowds: one question is enough for all. */
};

static struct known_route *take(struct routes *routes, struct slice topic);
static void fetch(struct known_route *route);
static void ask(struct known_route *route);
static void on_answer(void *context, enum status status, const struct command *response);
static enum status learn(struct known_route *route, struct slice text);
static void learn_broker(struct routes *routes, const struct broker_data *data);
static void greet_new(struct raftmq_client *client, const struct known_broker *before,
                      const struct known_broker *now);
static void finish(struct known_route *route, enum status status);
static void on_poll(struct alarm *alarm);

void routes_init(struct routes *routes, struct raftmq_client *client)
{
    routes->client = client;
    routes->topics = (struct map){0};
    routes->brokers = (struct map){0};
    routes->closing = false;
    routes->poll = (struct alarm){.ring = on_poll};
    alarms_set(&client->alarms, &routes->poll, client->options.poll_routes_ms);
}

void routes_close(struct routes *routes)
{
    routes->closing = true;
    alarms_cancel(&routes->client->alarms, &routes->poll);
    MAP_FOREACH(node, &routes->topics)
    {
        struct known_route *route = CONTAINER_OF(node, struct known_route, node);
        rpc_cancel(routes->client->rpc, route);
        finish(route, STATUS_CANCELED);
        map_remove(&routes->topics, node);
        body_close(&route->body);
        free(route);
    }
    MAP_FOREACH(node, &routes->brokers)
    {
        map_remove(&routes->brokers, node);
        free(CONTAINER_OF(node, struct known_broker, node));
    }
    map_close(&routes->topics);
    map_close(&routes->brokers);
}

struct known_route *routes_find(const struct routes *routes, struct slice topic)
{
    struct map_node *node = map_find(&routes->topics, topic);
    struct known_route *route = node == NULL ? NULL : CONTAINER_OF(node, struct known_route, node);
    return route != NULL && route->known ? route : NULL;
}

void routes_get(struct routes *routes, struct slice topic, struct route_waiter *waiter)
{
    waiter->node = (struct list){0};
    struct known_route *route = routes->closing ? NULL : take(routes, topic);
    if (route == NULL) {
        waiter->done(waiter, routes->closing ? STATUS_CANCELED : STATUS_LIMIT, NULL);
    } else if (route->known) {
        waiter->done(waiter, STATUS_OK, route);
    } else {
        list_append(&route->waiters, &waiter->node);
        fetch(route);
    }
}

void routes_forget(struct route_waiter *waiter)
{
    list_remove(&waiter->node);
}

void routes_refresh(struct routes *routes, struct slice topic)
{
    struct known_route *route = routes->closing ? NULL : take(routes, topic);
    if (route != NULL && uv_now(&routes->client->loop) - route->fetched_ms >= REFRESH_PAUSE_MS) {
        fetch(route);
    }
}

static struct known_route *take(struct routes *routes, struct slice topic)
{
    struct map_node *node = map_find(&routes->topics, topic);
    if (node != NULL) {
        return CONTAINER_OF(node, struct known_route, node);
    }
    struct known_route *route = mem_zalloc(sizeof *route);
    if (routes->topics.count >= CLIENT_TOPICS_MAX || !name_set(&route->topic, topic)) {
        free(route);
        return NULL;
    }
    route->routes = routes;
    list_init(&route->waiters);
    map_put(&routes->topics, &route->node, name_slice(&route->topic));
    return route;
}

static void fetch(struct known_route *route)
{
    if (!route->fetching) {
        route->fetching = true;
        route->first = route->routes->nameserver;
        route->tried = 0;
        ask(route);
    }
}

/* Ask the next nameserver; when each was tried once, the round is over. */
static void ask(struct known_route *route)
{
    struct routes *routes = route->routes;
    enum status status = STATUS_CONNECT_FAILED;
    while (route->tried < routes->nameserver_count) {
        struct command request;
        route->asked = (route->first + route->tried++) % routes->nameserver_count;
        command_init_request(&request, REQUEST_GET_ROUTEINFO_BY_TOPIC, 0);
        command_add(&request, "topic", name_slice(&route->topic));
        command_add(&request, "acceptStandardJsonOnly", slice_text("true"));
        status = routes_call_nameserver(routes, route->asked, &request, NAMESERVER_TIMEOUT_MS,
                                        on_answer, route);
        if (status == STATUS_PENDING) {
            return;
        }
        routes_nameserver_failed(routes, route->asked);
    }
    finish(route, status);
}

static void on_answer(void *context, enum status status, const struct command *response)
{
    struct known_route *route = context;
    if (status == STATUS_CANCELED) {
        finish(route, status);
    } else if (status != STATUS_OK) {
        routes_nameserver_failed(route->routes, route->asked);
        ask(route);
    } else if (response->code == RESPONSE_SUCCESS) {
        finish(route, learn(route, response->body));
    } else {
        finish(route,
               response->code == RESPONSE_TOPIC_NOT_EXIST ? STATUS_TOPIC_UNKNOWN : STATUS_INTERNAL);
    }
}

static enum status learn(struct known_route *route, struct slice text)
{
    struct body body;
    struct topic_route decoded;
    enum status status = topic_route_decode(text, &body, &decoded);
    if (status != STATUS_OK) {
        return status;
    }
    body_close(&route->body);
    route->body = body;
    route->route = decoded;
    route->known = true;
    for (size_t i = 0; i < decoded.broker_count; i++) {
        learn_broker(route->routes, &decoded.brokers[i]);
    }
    return STATUS_OK;
}

static void learn_broker(struct routes *routes, const struct broker_data *data)
{
    struct map_node *node = map_find(&routes->brokers, data->name);
    struct known_broker *broker;
    if (node != NULL) {
        broker = CONTAINER_OF(node, struct known_broker, node);
    } else {
        broker = mem_zalloc(sizeof *broker);
        if (routes->brokers.count >= CLIENT_BROKERS_MAX || !name_set(&broker->name, data->name)) {
            free(broker);
            return;
        }
        map_put(&routes->brokers, &broker->node, name_slice(&broker->name));
    }
    const struct known_broker before = *broker;
    broker->address_count = 0;
    for (size_t i = 0; i < data->address_count && broker->address_count < BROKER_ADDRESSES_MAX;
         i++) {
        struct host host;
        if (host_parse(data->addresses[i].address, &host) != STATUS_OK) {
            continue; // Brokers advertise addresses, not names.
        }
        size_t at = broker->address_count++;
        while (at > 0 && broker->addresses[at - 1].id > data->addresses[i].id) {
            broker->addresses[at] = broker->addresses[at - 1];
            at--;
        }
        broker->addresses[at].id = data->addresses[i].id;
        broker->addresses[at].host = host;
    }
    greet_new(routes->client, &before, broker);
}

/* An address we did not know: it should know our groups before it must ask for them. */
static void greet_new(struct raftmq_client *client, const struct known_broker *before,
                      const struct known_broker *now)
{
    for (size_t i = 0; i < now->address_count; i++) {
        bool known = false;
        for (size_t j = 0; j < before->address_count; j++) {
            known |= before->addresses[j].id == now->addresses[i].id &&
                     before->addresses[j].host.address == now->addresses[i].host.address &&
                     before->addresses[j].host.port == now->addresses[i].host.port;
        }
        if (!known) {
            heartbeat_greet(client, now->addresses[i].host);
        }
    }
}

static void finish(struct known_route *route, enum status status)
{
    struct list waiters;
    route->fetching = false;
    route->fetched_ms = uv_now(&route->routes->client->loop);
    list_init(&waiters);
    for (struct list *node = list_pop(&route->waiters); node != NULL;
         node = list_pop(&route->waiters)) {
        list_append(&waiters, node);
    }
    for (struct list *node = list_pop(&waiters); node != NULL; node = list_pop(&waiters)) {
        struct route_waiter *waiter = CONTAINER_OF(node, struct route_waiter, node);
        waiter->done(waiter, status, status == STATUS_OK ? route : NULL);
    }
}

static void on_poll(struct alarm *alarm)
{
    struct routes *routes = CONTAINER_OF(alarm, struct routes, poll);
    MAP_FOREACH(node, &routes->topics)
    {
        fetch(CONTAINER_OF(node, struct known_route, node));
    }
    alarms_set(&routes->client->alarms, alarm, routes->client->options.poll_routes_ms);
}

bool routes_host(const struct routes *routes, struct slice broker, int64_t id, struct host *host)
{
    struct map_node *node = map_find(&routes->brokers, broker);
    if (node == NULL) {
        return false;
    }
    const struct known_broker *known = CONTAINER_OF(node, struct known_broker, node);
    for (size_t i = 0; i < known->address_count; i++) {
        if (known->addresses[i].id == id) {
            *host = known->addresses[i].host;
            return true;
        }
    }
    return false;
}

enum status routes_call_nameserver(struct routes *routes, uint32_t place, struct command *request,
                                   uint64_t timeout_ms, rpc_cb *cb, void *context)
{
    return connections_call(&routes->client->connections, routes->nameservers[place], request,
                            timeout_ms, cb, context);
}

void routes_nameserver_failed(struct routes *routes, uint32_t place)
{
    if (routes->nameserver == place) {
        routes->nameserver = (place + 1) % routes->nameserver_count;
    }
}
