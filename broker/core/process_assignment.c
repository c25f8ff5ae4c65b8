/* QUERY_ASSIGNMENT (400).
 *
 * A topic's queues lie at several brokers, so a nameserver is asked for its route each time;
 * clients ask every 20 s. Who belongs to the group is known from heartbeats, how it consumes from
 * the state. Source: QueryAssignmentProcessor, TopicRouteInfoManager. */
#include "broker/core/assignment.h"
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "common/remoting/body_pop.h"
#include "common/remoting/body_route.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum { QUEUES_MAX = 65536 };

/* A request until a nameserver has answered. */
struct asking {
    struct broker *broker;
    struct reply_to to;
    struct name topic;
    struct name group;
    struct name client_id;
    enum assignment_strategy strategy;
    bool broadcasting;
};

static void on_route(void *context, const struct command *response);

enum status process_query_assignment(struct broker *broker, struct request *request)
{
    struct body body = {0};
    struct assignment_request wanted;
    enum status status = assignment_request_decode(request->command->body, &body, &wanted);
    if (status != STATUS_OK) {
        return request_fail(request, status, "the body is no QueryAssignmentRequestBody");
    }
    struct asking *asking = mem_zalloc(sizeof *asking);
    bool named = wanted.topic.size > 0 && wanted.group.size > 0 &&
                 name_set(&asking->topic, wanted.topic) && name_set(&asking->group, wanted.group) &&
                 name_set(&asking->client_id, wanted.client_id);
    asking->broker = broker;
    asking->to = request->to;
    asking->strategy = assignment_strategy_of(wanted.strategy);
    asking->broadcasting = wanted.broadcasting;
    body_close(&body);
    if (!named) {
        free(asking);
        return request_fail(request, STATUS_FIELD_MISSING,
                            "topic, consumerGroup and clientId are required");
    }
    struct command ask;
    command_init_request(&ask, REQUEST_GET_ROUTEINFO_BY_TOPIC, 0);
    command_add(&ask, "topic", name_slice(&asking->topic));
    broker->ports->ask_nameserver(broker->ports->context, &ask, on_route, asking);
    return STATUS_PENDING;
}

/* --- Queues ------------------------------------------------------------------------------- */

static int compare_queues(const void *a, const void *b)
{
    const struct queue_name *one = a;
    const struct queue_name *other = b;
    int order = slice_compare(one->broker, other->broker);
    return order != 0 ? order
                      : (one->queue_id > other->queue_id) - (one->queue_id < other->queue_id);
}

/* All that can be read of a topic, sorted as Java sorts them; NULL if they are too many. The caller
 * frees. */
static struct queue_name *queues_of(const struct topic_route *route, struct slice topic,
                                    size_t *count)
{
    size_t total = 0;
    for (size_t i = 0; i < route->queue_count; i++) {
        int32_t queues = route->queues[i].read_queues;
        bool readable = (route->queues[i].perm & PERM_READ) != 0 && queues > 0;
        total += readable ? (size_t)queues : 0;
    }
    if (total > QUEUES_MAX) {
        return NULL;
    }
    struct queue_name *queues = mem_alloc((total + 1) * sizeof *queues);
    *count = 0;
    for (size_t i = 0; i < route->queue_count; i++) {
        const struct queue_data *data = &route->queues[i];
        for (int32_t id = 0; (data->perm & PERM_READ) != 0 && id < data->read_queues; id++) {
            queues[(*count)++] = (struct queue_name){topic, data->broker, id};
        }
    }
    qsort(queues, *count, sizeof *queues, compare_queues);
    return queues;
}

/* --- Members ------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* The place of a client among the members of its group, each counted once. False if it is none:
 * its heartbeat is yet to come. */
static bool member_find(const struct client_group *group, struct slice client_id,
                        struct assignment *assignment)
{
    struct slice *names = mem_alloc((group->member_count + 1) * sizeof *names);
    size_t count = 0;
    bool found = false;
    LIST_FOREACH(at, &group->members)
    {
        names[count++] = name_slice(&CONTAINER_OF(at, struct membership, in_group)->client_id);
    }
    qsort(names, count, sizeof *names, compare_names);
    assignment->member_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && slice_equals(names[i], names[i - 1])) {
            continue;
        }
        if (slice_equals(names[i], client_id)) {
            assignment->member = assignment->member_count;
            found = true;
        }
        assignment->member_count++;
    }
    free(names);
    return found;
}

/* --- The answer --------------------------------------------------------------------------- */

static void reply(struct asking *asking, const struct queue_name *queues, size_t count, bool pop)
{
    struct command response;
    struct buf body = {0};
    reply_init(&response, &asking->to, 0);
    assignment_response_encode(queues, count, pop, &body);
    response.body = buf_slice(&body);
    broker_reply(asking->broker, &asking->to, &response);
    buf_close(&body);
}

/* No queues is an answer, too: the client gives up those it has. */
static void answer(struct asking *asking, const struct queue_name *queues, size_t count)
{
    struct broker *broker = asking->broker;
    const struct machine_mode mode =
        machine_mode_find(broker->machine, name_slice(&asking->group), name_slice(&asking->topic));
    bool pop = mode.mode == REQUEST_MODE_POP;
    if (asking->broadcasting) {
        reply(asking, queues, count, pop);
        return;
    }
    struct assignment assignment = {
        .strategy = asking->strategy,
        .queue_count = count,
        .queues = queues,
    };
    const struct client_group *members =
        channels_group(&broker->channels, MEMBER_CONSUMER, name_slice(&asking->group));
    if (members == NULL || asking->strategy == STRATEGY_UNKNOWN) {
        reply(asking, NULL, 0, pop);
        return;
    }
    struct queue_name *mine = mem_alloc((count + 1) * sizeof *mine);
    size_t mine_count = 0;
    bool member = member_find(members, name_slice(&asking->client_id), &assignment);
    if (pop && (member || assignment_is_shared(&assignment, mode.share_count))) {
        mine_count = assign_pop(&assignment, mode.share_count, mine);
    } else if (member) {
        mine_count = assign(&assignment, mine);
    }
    reply(asking, mine, mine_count, pop);
    free(mine);
}

/* Without a route the client is to keep what it has. */
static void on_route(void *context, const struct command *response)
{
    struct asking *asking = context;
    struct body body = {0};
    struct topic_route route;
    struct queue_name *queues = NULL;
    size_t count = 0;
    if (response != NULL && response->code == 0 &&
        topic_route_decode(response->body, &body, &route) == STATUS_OK) {
        queues = queues_of(&route, name_slice(&asking->topic), &count);
    }
    if (queues == NULL) {
        reply(asking, NULL, 0, false);
    } else {
        answer(asking, queues, count);
    }
    free(queues);
    body_close(&body);
    free(asking);
}
