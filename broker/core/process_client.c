/* HEART_BEAT (34), UNREGISTER_CLIENT (35), GET_CONSUMER_LIST_BY_GROUP (38), CHECK_CLIENT_CONFIG
 * (46) and the notice to consumers (40).
 *
 * A follower keeps what its own connections say and passes a copy to the leader, which therefore
 * knows everybody. Source: ClientManageProcessor, ConsumerManageProcessor, ConsumerManager. */
#include "broker/core/process_client.h"

#include "broker/core/auto_create.h"
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "broker/core/relay.h"
#include "common/remoting/body_heartbeat.h"
#include "common/remoting/body_list.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <stdlib.h>

static void keep_heartbeat(struct channel *channel, struct slice body)
{
    buf_clear(&channel->heartbeat);
    if (body.size <= HEARTBEAT_KEPT_MAX) {
        buf_put_slice(&channel->heartbeat, body);
    }
}

/* False: it has to wait. */
static bool announce(struct broker *broker, struct channel *channel)
{
    if (relay_congested(broker->relay)) {
        return false;
    }
    struct command heartbeat;
    command_init_request(&heartbeat, REQUEST_HEART_BEAT, 0);
    heartbeat.language = channel->language;
    heartbeat.version = channel->version;
    heartbeat.body = buf_slice(&channel->heartbeat);
    struct request request = {.command = &heartbeat, .channel = channel};
    request.to.channel_id = channel->id;
    enum status status = relay_request(broker->relay, &request, true);
    (void)status; // What does not fit now comes with the client's next heartbeat.
    channel->announced = broker->leader_connection;
    return true;
}

void client_announce(struct broker *broker)
{
    if (!broker->announcing || relay_congested(broker->relay)) {
        return;
    }
    MAP_FOREACH(node, &broker->channels.by_id)
    {
        struct channel *channel = CONTAINER_OF(node, struct channel, node);
        if (channel->via == NULL && channel->heartbeat.size > 0 &&
            channel->announced != broker->leader_connection && !announce(broker, channel)) {
            return;
        }
    }
    broker->announcing = false;
}

static void join_producers(struct broker *broker, struct channel *channel,
                           const struct heartbeat *heartbeat, uint64_t now)
{
    for (size_t i = 0; i < heartbeat->producer_count; i++) {
        struct client_group *group;
        bool joined;
        if (!group_name_valid(heartbeat->producers[i])) {
            continue; // No half message could name it.
        }
        enum status status =
            channels_join(&broker->channels, channel, MEMBER_PRODUCER, heartbeat->producers[i],
                          heartbeat->client_id, now, &group, &joined);
        if (status != STATUS_OK) {
            log_warn(broker->log, "too many client groups, heartbeat not taken in full",
                     "producer_group=%.*s", SLICE_ARGS(heartbeat->producers[i]));
            return;
        }
    }
}

static void join_consumer(struct broker *broker, struct channel *channel,
                          const struct heartbeat *heartbeat, const struct consumer_data *data,
                          uint64_t now)
{
    struct group_spec fallback;
    const struct group_spec *spec = auto_create_group(broker, data->group, &fallback);
    if (spec == NULL) {
        return; // As RocketMQ: the entry is skipped, pulls say 26.
    }
    auto_create_retry_topic(broker, spec);
    struct client_group *group;
    bool joined;
    if (channels_join(&broker->channels, channel, MEMBER_CONSUMER, data->group,
                      heartbeat->client_id, now, &group, &joined) != STATUS_OK) {
        log_warn(broker->log, "too many client groups, heartbeat not taken in full",
                 "consumer_group=%.*s", SLICE_ARGS(data->group));
        return;
    }
    group->consume_type = data->consume_type;
    group->message_model = data->message_model;
    group->consume_from = data->consume_from;
    bool changed = joined;
    if (!heartbeat->without_subscriptions) {
        struct subscription_offer *offers =
            mem_alloc((data->subscription_count + 1) * sizeof *offers);
        for (size_t i = 0; i < data->subscription_count; i++) {
            const struct subscription_data *subscription = &data->subscriptions[i];
            offers[i] = (struct subscription_offer){
                .topic = subscription->topic,
                .expression_type = subscription->expression_type,
                .expression = subscription->expression,
                .version = subscription->version,
            };
        }
        changed |=
            client_group_subscribe(&broker->channels, group, offers, data->subscription_count);
        free(offers);
    }
    if (changed && spec->notify_changes) {
        client_notify_changed(broker, group);
    }
}

enum status process_heartbeat(struct broker *broker, struct request *request)
{
    struct body body = {0};
    struct heartbeat heartbeat;
    enum status status = heartbeat_decode(request->command->body, &body, &heartbeat);
    if (status != STATUS_OK || heartbeat.client_id.size > CLIENT_ID_MAX) {
        if (status == STATUS_OK) {
            body_close(&body);
        }
        return request_fail(request, STATUS_MALFORMED,
                            "the body is no HeartbeatData with a clientID of at most %d bytes",
                            CLIENT_ID_MAX);
    }
    struct channel *channel = request->channel;
    uint64_t now = clock_monotonic_ms(broker->ports->clock);
    channel->language = request->command->language;
    channel->version = request->command->version;
    if (channel->via == NULL) {
        keep_heartbeat(channel, request->command->body);
        if (broker->state.leader_id == 0) {
            channel->announced = 0; // It was not copied, and the leader may be the same again.
            broker->announcing = true;
        }
    }
    if (heartbeat.producer_count > 0) {
        channels_name(&broker->channels, channel, heartbeat.client_id);
    }
    join_producers(broker, channel, &heartbeat, now);
    for (size_t i = 0; i < heartbeat.consumer_count; i++) {
        join_consumer(broker, channel, &heartbeat, &heartbeat.consumers[i], now);
    }
    body_close(&body);
    return STATUS_OK;
}

void client_notify_changed(void *context, struct client_group *consumers)
{
    struct broker *broker = context;
    if (consumers->message_model == MODEL_BROADCASTING || broker->stopping) {
        return;
    }
    LIST_FOREACH(at, &consumers->members)
    {
        struct membership *member = CONTAINER_OF(at, struct membership, in_group);
        struct command notice;
        command_init_request(&notice, REQUEST_NOTIFY_CONSUMER_IDS_CHANGED, 0);
        notice.flag = COMMAND_FLAG_ONEWAY;
        command_add(&notice, "consumerGroup", name_slice(&consumers->name));
        channel_send_request(&broker->channels, member->channel, &notice);
    }
}

static size_t without(struct slice *names, size_t count, struct slice gone)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!slice_equals(names[i], gone)) {
            names[kept++] = names[i];
        }
    }
    return kept;
}

/* A new leader is not to be told of groups that the client has left. */
static void leave_in_heartbeat(struct channel *channel, struct slice producer,
                               struct slice consumer)
{
    struct body body = {0};
    struct heartbeat heartbeat;
    if (channel->heartbeat.size == 0 ||
        heartbeat_decode(buf_slice(&channel->heartbeat), &body, &heartbeat) != STATUS_OK) {
        return;
    }
    heartbeat.producer_count = without(heartbeat.producers, heartbeat.producer_count, producer);
    size_t kept = 0;
    for (size_t i = 0; i < heartbeat.consumer_count; i++) {
        if (!slice_equals(heartbeat.consumers[i].group, consumer)) {
            heartbeat.consumers[kept++] = heartbeat.consumers[i];
        }
    }
    heartbeat.consumer_count = kept;
    struct buf rest = {0};
    heartbeat_encode(&heartbeat, &rest);
    keep_heartbeat(channel, buf_slice(&rest));
    buf_close(&rest);
    body_close(&body);
}

enum status process_unregister(struct broker *broker, struct request *request)
{
    struct channel *channel = request->channel;
    struct slice producer = {0};
    struct slice consumer = {0};
    if (command_find(request->command, "producerGroup", &producer) && producer.size > 0) {
        channels_leave(&broker->channels, channel, MEMBER_PRODUCER, producer, NULL, NULL);
    }
    if (command_find(request->command, "consumerGroup", &consumer) && consumer.size > 0) {
        channels_leave(&broker->channels, channel, MEMBER_CONSUMER, consumer, client_notify_changed,
                       broker);
    }
    if (list_empty(&channel->memberships)) {
        buf_clear(&channel->heartbeat);
    } else {
        leave_in_heartbeat(channel, producer, consumer);
    }
    return STATUS_OK;
}

enum status process_consumer_list(struct broker *broker, struct request *request)
{
    struct slice name;
    enum status status = command_text(request->command, "consumerGroup", GROUP_NAME_MAX, &name);
    if (status != STATUS_OK) {
        return status;
    }
    struct client_group *group = channels_group(&broker->channels, MEMBER_CONSUMER, name);
    if (group == NULL) {
        return request_fail(request, STATUS_INTERNAL,
                            "no consumer of group %.*s is connected to %s", SLICE_ARGS(name),
                            broker->group->name.text);
    }
    // A client that is connected to several replicas is one consumer.
    struct slice *ids = mem_alloc(group->member_count * sizeof *ids);
    struct map_node *nodes = mem_alloc(group->member_count * sizeof *nodes);
    struct map known = {0};
    LIST_FOREACH(at, &group->members)
    {
        struct slice id = name_slice(&CONTAINER_OF(at, struct membership, in_group)->client_id);
        if (map_find(&known, id) == NULL) {
            ids[known.count] = id;
            map_put(&known, &nodes[known.count], id);
        }
    }
    const struct name_list list = {.count = known.count, .names = ids};
    consumer_list_encode(&list, &request->body);
    map_close(&known);
    free(nodes);
    free(ids);
    return STATUS_OK;
}

enum status process_check_client_config(struct broker *broker, struct request *request)
{
    struct body body = {0};
    struct client_check check;
    if (client_check_decode(request->command->body, &body, &check) != STATUS_OK) {
        return request_fail(request, STATUS_MALFORMED, "the body is no CheckClientRequestBody");
    }
    const struct subscription_data *subscription = &check.subscription;
    struct sql_trouble trouble;
    enum status status = STATUS_OK;
    // As RocketMQ: tags are not looked at.
    if (!expression_is_tags(subscription->expression_type)) {
        struct message_filter *filter;
        status = message_filter_new(&broker->channels.filters, subscription->expression_type,
                                    subscription->expression, &filter, &trouble);
        message_filter_release(filter);
    }
    body_close(&body);
    return status == STATUS_OK ? STATUS_OK : request_fail(request, status, "%s", trouble.text);
}
