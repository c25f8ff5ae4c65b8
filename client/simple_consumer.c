#include "client/simple_consumer.h"

#include "client/invoke.h"
#include "client/popped.h"
#include "client/subscriptions.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <stdlib.h>

#define AWAIT_MAX_MS (UINT64_C(366) * 24 * 3600 * 1000) /* So that times do not overflow. */

/* One call of raftmq_receive(). Whose turn it is, may use it: its thread or the loop. */
struct receive {
    struct task task;
    struct raftmq_simple_consumer *consumer;
    uint64_t deadline_ms;    /* Monotonic. */
    bool everywhere;         /* It does not wait: it asks each place itself, watched or not. */
    size_t topics_looked_up; /* So many have a route, or none to be had. */
    struct route_waiter route;
    struct alarm routes_late;
    enum status route_status; /* Of the last that has none. */
    size_t first;             /* The place that it begins with. */
    size_t looked;            /* So many were looked at in this round. */
    struct place *place;      /* To be asked, or what was; NULL: none. */
    struct host host;
    enum place_found found;
    bool answered; /* Some place could be asked. */
    bool over;
    struct raftmq_error failure; /* The last one. */
    struct list in_consumer;     /* Waiting for a place to open. */
    struct alarm deadline;
    uv_sem_t turn;
};

static enum raftmq_status check(const struct raftmq_simple_consumer_options *options,
                                struct raftmq_error *error);
static void close_places(void *argument);
static void begin(struct task *task);
static void look_up(struct receive *receive);
static void on_route(struct route_waiter *waiter, enum status status, struct known_route *route);
static void on_routes_late(struct alarm *alarm);
static void go_on(struct task *task);
static void seek(struct receive *receive);
static void on_deadline(struct alarm *alarm);

enum raftmq_status raftmq_simple_consumer_new(struct raftmq_client *client,
                                              const struct raftmq_simple_consumer_options *options,
                                              struct raftmq_simple_consumer **out,
                                              struct raftmq_error *error)
{
    enum raftmq_status status = check(options, error);
    if (status != RAFTMQ_OK) {
        return status;
    }
    struct raftmq_simple_consumer *consumer = mem_zalloc(sizeof *consumer);
    consumer->client = client;
    consumer->from = options->from;
    (void)name_set(&consumer->group, slice_text(options->group));
    consumer->topic_count = options->subscription_count;
    consumer->topics = mem_zalloc(consumer->topic_count * sizeof *consumer->topics);
    for (size_t i = 0; i < consumer->topic_count; i++) {
        const struct raftmq_subscription *subscription = &options->subscriptions[i];
        struct slice expression = slice_text(subscription->expression);
        (void)name_set(&consumer->topics[i].topic, slice_text(subscription->topic));
        consumer->topics[i].type = subscription->type;
        buf_put_slice(&consumer->topics[i].expression,
                      expression.size == 0 ? slice_text("*") : expression);
    }
    list_init(&consumer->waiting);
    *out = consumer;
    return error_none(error);
}

static enum raftmq_status check(const struct raftmq_simple_consumer_options *options,
                                struct raftmq_error *error)
{
    if (!group_name_valid(slice_text(options->group)) || options->subscription_count == 0 ||
        options->subscription_count > SIMPLE_TOPICS_MAX) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                         "a simple consumer needs a valid group name and 1 to %d subscriptions",
                         SIMPLE_TOPICS_MAX);
    }
    if (!subscriptions_differ(options->subscriptions, options->subscription_count)) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "a topic is subscribed to twice");
    }
    for (size_t i = 0; i < options->subscription_count; i++) {
        struct slice topic = slice_text(options->subscriptions[i].topic);
        if (!topic_name_valid(topic) || topic_is_retry(topic)) {
            return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                             "a topic name is not valid, or is that of a retry topic");
        }
        if (options->subscriptions[i].type == RAFTMQ_SQL92 &&
            slice_text(options->subscriptions[i].expression).size == 0) {
            return error_set(error, RAFTMQ_INVALID_ARGUMENT, "an SQL92 expression is missing");
        }
    }
    return RAFTMQ_OK;
}

void raftmq_simple_consumer_close(struct raftmq_simple_consumer *consumer)
{
    if (consumer == NULL) {
        return;
    }
    tasks_run_anywhere(&consumer->client->tasks, close_places, consumer);
    for (size_t i = 0; i < consumer->topic_count; i++) {
        buf_close(&consumer->topics[i].expression);
    }
    free(consumer->topics);
    free(consumer);
}

static void close_places(void *argument)
{
    struct raftmq_simple_consumer *consumer = argument;
    ASSERT(list_empty(&consumer->waiting)); // No call may be under way.
    places_close(consumer);
}

/* --- The thread's turns ------------------------------------------------------------------- */

/* Hand over to the loop and wait until it hands back. */
static void take_turn(struct receive *receive, void (*run)(struct task *task))
{
    receive->task = (struct task){.run = run};
    tasks_post(&receive->consumer->client->tasks, &receive->task);
    uv_sem_wait(&receive->turn);
}

/* Will asking again, or another broker, not help? */
static bool refused_for_good(const struct raftmq_error *error)
{
    return error->status == RAFTMQ_REFUSED && error->code != RESPONSE_SERVICE_NOT_AVAILABLE &&
           error->code != RESPONSE_SYSTEM_BUSY && error->code != RESPONSE_SYSTEM_ERROR &&
           error->code != RESPONSE_TOPIC_NOT_EXIST;
}

/* Ask the place whose turn it is. True if the call is over by that. */
static bool ask(struct receive *receive, const struct popped_request *wanted,
                struct raftmq_messages **messages)
{
    enum raftmq_status status =
        popped_ask(receive->place, receive->host, wanted, messages, &receive->failure);
    receive->answered |= status == RAFTMQ_OK;
    if (status == RAFTMQ_OK) {
        receive->found = *messages == NULL ? FOUND_NONE : FOUND_SOME;
        return receive->found == FOUND_SOME;
    }
    receive->found = FOUND_FAILURE;
    return refused_for_good(&receive->failure);
}

static enum raftmq_status result(const struct receive *receive, struct raftmq_messages **messages,
                                 struct raftmq_error *error)
{
    if (*messages == NULL && (!receive->answered || refused_for_good(&receive->failure))) {
        if (error != NULL) {
            *error = receive->failure;
        }
        return receive->failure.status;
    }
    if (*messages == NULL) {
        *messages = popped_nothing();
    }
    return error_none(error);
}

enum raftmq_status raftmq_receive(struct raftmq_simple_consumer *consumer, uint32_t messages_max,
                                  uint64_t invisible_ms, uint64_t await_ms,
                                  struct raftmq_messages **messages, struct raftmq_error *error)
{
    if (messages_max > RAFTMQ_RECEIVE_MAX || invisible_ms == 0) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                         "at most %d messages can be received, and hidden for 1 ms at least",
                         RAFTMQ_RECEIVE_MAX);
    }
    const struct popped_request wanted = {
        .messages_max = messages_max == 0 ? RAFTMQ_RECEIVE_MAX : messages_max,
        .invisible_ms = invisible_ms,
    };
    uint64_t now_ms = clock_monotonic_ms(consumer->client->clock);
    struct receive receive = {
        .consumer = consumer,
        .deadline_ms = now_ms + (await_ms < AWAIT_MAX_MS ? await_ms : AWAIT_MAX_MS),
        .everywhere = await_ms == 0,
        .route.done = on_route,
        .routes_late.ring = on_routes_late,
        .deadline.ring = on_deadline,
    };
    struct raftmq_messages *found = NULL;
    error_set(&receive.failure, RAFTMQ_CONNECT_FAILED, "no broker could be asked");
    ASSERT(uv_sem_init(&receive.turn, 0) == 0);
    take_turn(&receive, begin);
    while (!receive.over) {
        receive.over = ask(&receive, &wanted, &found);
        take_turn(&receive, go_on);
    }
    uv_sem_destroy(&receive.turn);
    enum raftmq_status status = result(&receive, &found, error);
    if (status == RAFTMQ_OK) {
        *messages = found;
    }
    return status;
}

/* --- The loop's turns --------------------------------------------------------------------- */

static void hand_back(struct receive *receive)
{
    uv_sem_post(&receive->turn); // It may be gone when this returns.
}

static void begin(struct task *task)
{
    struct receive *receive = CONTAINER_OF(task, struct receive, task);
    struct raftmq_client *client = receive->consumer->client;
    alarms_set(&client->alarms, &receive->routes_late, client->options.timeout_ms);
    look_up(receive);
}

/* See to it that the routes are known, one topic after the other. */
static void look_up(struct receive *receive)
{
    struct raftmq_simple_consumer *consumer = receive->consumer;
    struct routes *routes = &consumer->client->routes;
    while (receive->topics_looked_up < consumer->topic_count) {
        struct slice topic = name_slice(&consumer->topics[receive->topics_looked_up].topic);
        if (routes_find(routes, topic) == NULL) {
            routes_get(routes, topic, &receive->route);
            return; // on_route() goes on.
        }
        receive->topics_looked_up++;
    }
    alarms_cancel(&consumer->client->alarms, &receive->routes_late);
    receive->first = consumer->turn++;
    seek(receive);
}

static void on_route(struct route_waiter *waiter, enum status status, struct known_route *route)
{
    struct receive *receive = CONTAINER_OF(waiter, struct receive, route);
    (void)route;
    if (status != STATUS_OK) {
        receive->route_status = status;
    }
    receive->topics_looked_up++;
    look_up(receive);
}

/* Go on with the topics whose routes are known. */
static void on_routes_late(struct alarm *alarm)
{
    struct receive *receive = CONTAINER_OF(alarm, struct receive, routes_late);
    routes_forget(&receive->route);
    receive->route_status = STATUS_TIMED_OUT;
    receive->topics_looked_up = receive->consumer->topic_count;
    look_up(receive);
}

static void go_on(struct task *task)
{
    struct receive *receive = CONTAINER_OF(task, struct receive, task);
    struct place *place = receive->place;
    bool wait = !receive->everywhere && !receive->over;
    receive->place = NULL;
    place_found(place, receive->found, wait);
    if (receive->over) {
        hand_back(receive);
    } else {
        seek(receive);
    }
}

/* Is this place to be asked? */
static bool is_next(struct receive *receive, struct place *place)
{
    if (!place->served || (!receive->everywhere && place->state != PLACE_OPEN)) {
        return false;
    }
    struct raftmq_client *client = receive->consumer->client;
    if (!routes_host(&client->routes, name_slice(&place->broker), 0, &receive->host)) {
        error_set(&receive->failure, RAFTMQ_NO_ROUTE, "broker %s has no leader",
                  place->broker.text);
        place_found(place, FOUND_FAILURE, false);
        return false;
    }
    receive->place = place;
    return true;
}

/* A round has found nobody to ask. Is another one worth it at once? */
static bool any_open(struct raftmq_simple_consumer *consumer)
{
    for (size_t i = 0; i < consumer->place_count; i++) {
        if (consumer->places[i]->served && consumer->places[i]->state == PLACE_OPEN) {
            return true;
        }
    }
    return false;
}

static void finish(struct receive *receive)
{
    struct raftmq_simple_consumer *consumer = receive->consumer;
    for (size_t i = 0; i < consumer->place_count; i++) {
        receive->answered |= consumer->places[i]->state == PLACE_WATCHED;
    }
    receive->over = true;
    hand_back(receive);
}

/* No place is known: why? */
static void fail_without_places(struct receive *receive)
{
    if (receive->route_status == STATUS_TIMED_OUT) {
        error_set(&receive->failure, RAFTMQ_NO_ROUTE, "no nameserver answered in time");
    } else {
        error_of_status(&receive->failure, receive->route_status == STATUS_OK
                                               ? STATUS_TOPIC_UNKNOWN
                                               : receive->route_status);
    }
    receive->over = true;
    hand_back(receive);
}

/* Go on to the next place, or wait. */
static void seek(struct receive *receive)
{
    struct raftmq_simple_consumer *consumer = receive->consumer;
    uint64_t now_ms = clock_monotonic_ms(consumer->client->clock);
    do {
        if (receive->looked == 0 && places_learn(consumer) == 0) {
            fail_without_places(receive);
            return;
        }
        while (receive->looked < consumer->place_count) {
            size_t at = (receive->first + receive->looked++) % consumer->place_count;
            if (is_next(receive, consumer->places[at])) {
                hand_back(receive);
                return;
            }
        }
        receive->looked = 0;
    } while (!receive->everywhere && now_ms < receive->deadline_ms && any_open(consumer));
    if (receive->everywhere || now_ms >= receive->deadline_ms) {
        finish(receive);
        return;
    }
    list_append(&consumer->waiting, &receive->in_consumer);
    alarms_set(&consumer->client->alarms, &receive->deadline, receive->deadline_ms - now_ms);
}

static void on_deadline(struct alarm *alarm)
{
    struct receive *receive = CONTAINER_OF(alarm, struct receive, deadline);
    list_remove(&receive->in_consumer);
    finish(receive);
}

void simple_consumer_wake(struct raftmq_simple_consumer *consumer)
{
    struct list *node = list_pop(&consumer->waiting);
    if (node != NULL) {
        struct receive *receive = CONTAINER_OF(node, struct receive, in_consumer);
        alarms_cancel(&consumer->client->alarms, &receive->deadline);
        seek(receive);
    }
}
