/* Which queues are ours: for each topic the queues of its route, shared evenly among the members
 * that a broker lists, or all of them if it is broadcasting. A round that fails changes nothing and
 * is repeated soon. */
#include "client/allocate.h"
#include "client/consumer.h"
#include "client/heartbeat.h"
#include "common/remoting/body_list.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum { REPEAT_MS = 500, MEMBERS_TIMEOUT_MS = 3000 };

/* One topic's turn. */
struct round {
    struct list in_consumer;
    struct raftmq_consumer *consumer;
    const struct consumer_topic *topic;
    struct route_waiter waiter;
};

/* A queue that can be read, from the route. */
struct readable {
    struct slice broker;
    int32_t queue_id;
};

static void round_begin(struct raftmq_consumer *consumer, const struct consumer_topic *topic);
static void round_end(struct round *round, bool repeat);
static void on_route(struct route_waiter *waiter, enum status status, struct known_route *route);
static bool any_broker(const struct round *round, const struct known_route *route,
                       struct host *host);
static void on_members(void *context, enum status status, const struct command *response);
static bool share(struct round *round, const struct name_list *members);
static void share_all(struct round *round, const struct topic_route *route);
static size_t readable_queues(const struct topic_route *route, struct readable *out);
static void apply(struct round *round, const struct readable *queues, size_t count);

void rebalance_on_alarm(struct alarm *alarm)
{
    struct raftmq_consumer *consumer = CONTAINER_OF(alarm, struct raftmq_consumer, rebalance);
    struct raftmq_client *client = consumer->client;
    alarms_set(&client->alarms, alarm, client->options.rebalance_ms);
    if (list_empty(&consumer->rounds)) { // Else those under way do.
        consumer->members_changed = false;
        for (size_t i = 0; i < consumer->topic_count; i++) {
            round_begin(consumer, &consumer->topics[i]);
        }
    }
}

void rebalance_anew(struct raftmq_consumer *consumer)
{
    if (list_empty(&consumer->rounds)) {
        alarms_set(&consumer->client->alarms, &consumer->rebalance, 0);
    } else {
        consumer->members_changed = true; // They may have been told of the members of before.
    }
}

void rebalance_cancel(struct raftmq_consumer *consumer)
{
    while (!list_empty(&consumer->rounds)) {
        struct round *round = CONTAINER_OF(consumer->rounds.next, struct round, in_consumer);
        if (rpc_cancel(consumer->client->rpc, round) == 0) { // Else on_members() has ended it.
            routes_forget(&round->waiter);
            round_end(round, false);
        }
    }
}

static void round_begin(struct raftmq_consumer *consumer, const struct consumer_topic *topic)
{
    struct round *round = mem_zalloc(sizeof *round);
    round->consumer = consumer;
    round->topic = topic;
    round->waiter.done = on_route;
    list_append(&consumer->rounds, &round->in_consumer);
    routes_get(&consumer->client->routes, name_slice(&topic->topic), &round->waiter);
}

static void round_end(struct round *round, bool repeat)
{
    struct raftmq_consumer *consumer = round->consumer;
    list_remove(&round->in_consumer);
    free(round);
    if (repeat && !consumer->closing) {
        alarms_set(&consumer->client->alarms, &consumer->rebalance, REPEAT_MS);
    }
    if (consumer->members_changed && !consumer->closing) {
        rebalance_anew(consumer);
    }
}

static void on_route(struct route_waiter *waiter, enum status status, struct known_route *route)
{
    struct round *round = CONTAINER_OF(waiter, struct round, waiter);
    struct raftmq_client *client = round->consumer->client;
    struct host host;
    struct command request;
    if (status != STATUS_OK) {
        // A retry topic comes into being with the group, or never: the next period will do.
        round_end(round,
                  status != STATUS_CANCELED && !topic_is_retry(name_slice(&round->topic->topic)));
        return;
    }
    if (round->consumer->options.broadcasting) {
        share_all(round, &route->route);
        round_end(round, false);
        return;
    }
    if (!any_broker(round, route, &host)) {
        routes_refresh(&client->routes, name_slice(&round->topic->topic));
        round_end(round, true);
        return;
    }
    command_init_request(&request, REQUEST_GET_CONSUMER_LIST_BY_GROUP, 0);
    command_add(&request, "consumerGroup", name_slice(&round->consumer->group));
    if (connections_call(&client->connections, host, &request, MEMBERS_TIMEOUT_MS, on_members,
                         round) != STATUS_PENDING) {
        routes_refresh(&client->routes, name_slice(&round->topic->topic));
        round_end(round, true);
    }
}

/* A leader of the topic if there is one, else any of its replicas. */
static bool any_broker(const struct round *round, const struct known_route *route,
                       struct host *host)
{
    const struct routes *routes = &round->consumer->client->routes;
    for (size_t i = 0; i < route->route.broker_count; i++) {
        if (routes_host(routes, route->route.brokers[i].name, 0, host)) {
            return true;
        }
    }
    for (size_t i = 0; i < route->route.broker_count; i++) {
        const struct broker_data *broker = &route->route.brokers[i];
        for (size_t j = 0; j < broker->address_count; j++) {
            if (host_parse(broker->addresses[j].address, host) == STATUS_OK) {
                return true;
            }
        }
    }
    return false;
}

static void on_members(void *context, enum status status, const struct command *response)
{
    struct round *round = context;
    struct raftmq_client *client = round->consumer->client;
    struct body body;
    struct name_list members;
    bool shared = false;
    if (status == STATUS_CANCELED) {
        round_end(round, false);
        return;
    }
    if (status != STATUS_OK) {
        routes_refresh(&client->routes, name_slice(&round->topic->topic));
    } else if (response->code == RESPONSE_SUCCESS &&
               consumer_list_decode(response->body, &body, &members) == STATUS_OK) {
        shared = share(round, &members);
        body_close(&body);
    }
    if (status == STATUS_OK && !shared) {
        heartbeat_all(client); // That broker does not know us (any more).
    }
    round_end(round, !shared);
}

static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static int compare_queues(const void *a, const void *b)
{
    const struct readable *left = a;
    const struct readable *right = b;
    int order = slice_compare(left->broker, right->broker);
    return order != 0 ? order
                      : (left->queue_id > right->queue_id) - (left->queue_id < right->queue_id);
}

/* Take our share; false if we are not among the members. */
static bool share(struct round *round, const struct name_list *members)
{
    struct raftmq_client *client = round->consumer->client;
    struct known_route *route = routes_find(&client->routes, name_slice(&round->topic->topic));
    size_t place = members->count;
    size_t first;
    size_t count;
    struct slice *ids = mem_alloc((members->count + 1) * sizeof *ids);
    for (size_t i = 0; i < members->count; i++) {
        ids[i] = members->names[i];
    }
    qsort(ids, members->count, sizeof *ids, compare_names);
    for (size_t i = 0; i < members->count; i++) {
        if (slice_equals(ids[i], name_slice(&client->id))) {
            place = i;
        }
    }
    free(ids);
    if (place == members->count || route == NULL) {
        return false;
    }
    size_t total = readable_queues(&route->route, NULL);
    struct readable *queues = mem_alloc((total + 1) * sizeof *queues);
    (void)readable_queues(&route->route, queues);
    qsort(queues, total, sizeof *queues, compare_queues);
    allocate_averagely(total, members->count, place, &first, &count);
    apply(round, queues + first, count);
    free(queues);
    return true;
}

/* Take all queues. */
static void share_all(struct round *round, const struct topic_route *route)
{
    size_t total = readable_queues(route, NULL);
    struct readable *queues = mem_alloc((total + 1) * sizeof *queues);
    (void)readable_queues(route, queues);
    apply(round, queues, total);
    free(queues);
}

/* Count, and write unless out is NULL. */
static size_t readable_queues(const struct topic_route *route, struct readable *out)
{
    size_t count = 0;
    for (size_t i = 0; i < route->queue_count; i++) {
        const struct queue_data *data = &route->queues[i];
        int32_t queues = (data->perm & PERM_READ) == 0              ? 0
                         : data->read_queues > QUEUES_PER_TOPIC_MAX ? QUEUES_PER_TOPIC_MAX
                                                                    : data->read_queues;
        for (int32_t j = 0; j < queues; j++, count++) {
            if (out != NULL) {
                out[count] = (struct readable){data->broker, j};
            }
        }
    }
    return count;
}

/* Drop what is not in our share any more, take what is new. */
static void apply(struct round *round, const struct readable *queues, size_t count)
{
    struct raftmq_consumer *consumer = round->consumer;
    bool *held = mem_zalloc((count + 1) * sizeof *held);
    LIST_FOREACH(at, &consumer->queues)
    {
        struct consumed_queue *queue = CONTAINER_OF(at, struct consumed_queue, in_consumer);
        bool keep = queue->topic != round->topic;
        for (size_t i = 0; i < count && !keep; i++) {
            if (queues[i].queue_id == queue->queue_id &&
                slice_equals(queues[i].broker, name_slice(&queue->broker))) {
                keep = true;
                held[i] = true;
            }
        }
        if (!keep) {
            queue_drop(queue);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!held[i]) {
            queue_take(consumer, round->topic, queues[i].broker, queues[i].queue_id);
        }
    }
    free(held);
}
