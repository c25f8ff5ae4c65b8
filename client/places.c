/* Where simple consumers find messages. A place without any is watched by NOTIFICATION, which takes
 * no message: one may come there while nobody receives. Source: NotificationRequestHeader. */
#include "client/expression.h"
#include "client/simple_consumer.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum {
    WATCH_MS = 10000,
    WATCH_LATE_MS = 5000, /* For the answer, beyond that. */
    REST_MS = 200,
    /* Watching that ends sooner without a message is tried again after a rest only: the broker is
     * about to lose its leadership, say. */
    WATCH_MIN_MS = 100,
    /* Others were quicker so often in a row, or Apache RocketMQ counts messages that nobody can
     * have: rest before looking again. */
    VAIN_MAX = 3,
};

static struct place *place_of(const struct raftmq_simple_consumer *consumer,
                              const struct simple_topic *topic, struct slice broker);
static void place_add(struct raftmq_simple_consumer *consumer, const struct simple_topic *topic,
                      struct slice broker);
static void rest(struct place *place);
static void on_rested(struct alarm *alarm);
static void watch(struct place *place);
static void on_watched(void *context, enum status status, const struct command *response);

size_t places_learn(struct raftmq_simple_consumer *consumer)
{
    size_t served = 0;
    for (size_t i = 0; i < consumer->place_count; i++) {
        consumer->places[i]->served = false;
    }
    for (size_t i = 0; i < consumer->topic_count; i++) {
        const struct simple_topic *topic = &consumer->topics[i];
        const struct known_route *known =
            routes_find(&consumer->client->routes, name_slice(&topic->topic));
        for (size_t j = 0; known != NULL && j < known->route.queue_count; j++) {
            const struct queue_data *queues = &known->route.queues[j];
            if ((queues->perm & PERM_READ) != 0 && queues->read_queues > 0) {
                place_add(consumer, topic, queues->broker);
            }
        }
    }
    for (size_t i = 0; i < consumer->place_count; i++) {
        served += consumer->places[i]->served;
    }
    return served;
}

static struct place *place_of(const struct raftmq_simple_consumer *consumer,
                              const struct simple_topic *topic, struct slice broker)
{
    for (size_t i = 0; i < consumer->place_count; i++) {
        struct place *place = consumer->places[i];
        if (place->topic == topic && slice_equals(name_slice(&place->broker), broker)) {
            return place;
        }
    }
    return NULL;
}

static void place_add(struct raftmq_simple_consumer *consumer, const struct simple_topic *topic,
                      struct slice broker)
{
    struct place *place = place_of(consumer, topic, broker);
    struct name name;
    if (place == NULL && consumer->place_count < PLACES_MAX && name_set(&name, broker)) {
        place = mem_zalloc(sizeof *place);
        place->consumer = consumer;
        place->topic = topic;
        place->broker = name;
        place->rest.ring = on_rested;
        consumer->places[consumer->place_count++] = place;
    }
    if (place != NULL) {
        place->served = true;
    }
}

void places_close(struct raftmq_simple_consumer *consumer)
{
    for (size_t i = 0; i < consumer->place_count; i++) {
        struct place *place = consumer->places[i];
        alarms_cancel(&consumer->client->alarms, &place->rest);
        rpc_cancel(consumer->client->rpc, place);
        free(place);
    }
    consumer->place_count = 0;
}

void place_found(struct place *place, enum place_found found, bool wait)
{
    if (found == FOUND_FAILURE) {
        routes_refresh(&place->consumer->client->routes, name_slice(&place->topic->topic));
        rest(place);
    } else if (found == FOUND_SOME) {
        place->vain = 0;
        simple_consumer_wake(place->consumer); // There may be more.
    } else if (wait && place->state == PLACE_OPEN) {
        if (place->vain < VAIN_MAX) {
            watch(place);
        } else {
            rest(place);
        }
    }
}

static void rest(struct place *place)
{
    if (place->state == PLACE_OPEN) {
        place->state = PLACE_RESTING;
        place->vain = 0;
        alarms_set(&place->consumer->client->alarms, &place->rest, REST_MS);
    }
}

static void reopen(struct place *place)
{
    place->state = PLACE_OPEN;
    simple_consumer_wake(place->consumer);
}

static void on_rested(struct alarm *alarm)
{
    reopen(CONTAINER_OF(alarm, struct place, rest));
}

static void watch(struct place *place)
{
    struct raftmq_simple_consumer *consumer = place->consumer;
    struct raftmq_client *client = consumer->client;
    struct command request;
    struct buf scratch = {0};
    struct host host;
    enum status status = STATUS_CONNECT_FAILED;
    buf_reserve(&scratch, 64);
    command_init_request(&request, REQUEST_NOTIFICATION, 0);
    command_add(&request, "consumerGroup", name_slice(&consumer->group));
    command_add(&request, "topic", name_slice(&place->topic->topic));
    command_add(&request, "queueId", slice_text("-1"));
    command_add_i64(&request, "pollTime", WATCH_MS, &scratch);
    command_add_i64(&request, "bornTime", (int64_t)clock_wall_ms(client->clock), &scratch);
    command_add(&request, "order", slice_text("false"));
    command_add(&request, "expType", expression_type_name(place->topic->type));
    command_add(&request, "exp", buf_slice(&place->topic->expression));
    command_add(&request, "bname", name_slice(&place->broker));
    if (routes_host(&client->routes, name_slice(&place->broker), 0, &host)) {
        status = connections_call(&client->connections, host, &request, WATCH_MS + WATCH_LATE_MS,
                                  on_watched, place);
    }
    buf_close(&scratch);
    if (status == STATUS_PENDING) {
        place->state = PLACE_WATCHED;
        place->asked_ms = uv_now(&client->loop);
    } else {
        place_found(place, FOUND_FAILURE, false);
    }
}

static void on_watched(void *context, enum status status, const struct command *response)
{
    struct place *place = context;
    struct raftmq_simple_consumer *consumer = place->consumer;
    bool some = false;
    if (status == STATUS_CANCELED) {
        return;
    }
    place->state = PLACE_OPEN;
    if (status != STATUS_OK || response->code != RESPONSE_SUCCESS ||
        command_bool(response, "hasMsg", &some) != STATUS_OK) {
        place_found(place, FOUND_FAILURE, false);
    } else if (some) {
        place->vain++;
        reopen(place);
    } else if (uv_now(&consumer->client->loop) - place->asked_ms < WATCH_MIN_MS) {
        rest(place);
    } else if (!list_empty(&consumer->waiting)) {
        watch(place);
    }
}
