#include "broker/core/suggestion.h"

#include "broker/core/broker.h"

/* Bytes of the log that a reader may be behind; UINT64_MAX if there is nothing to go by. The page
 * cache is all groups' together. */
static uint64_t lag_max(const struct settings *settings)
{
    if (settings->lag_size != 0) {
        return settings->lag_size;
    }
    return settings->memory_size == 0
               ? UINT64_MAX
               : settings->memory_size / 100 * settings->lag_ratio / settings->group_count;
}

static bool lags(const struct broker *broker, uint64_t position)
{
    struct storage_view view;
    broker->ports->storage(broker->ports->context, &view);
    return view.log_end > position && view.log_end - position > lag_max(broker->settings);
}

/* The reader's name among the consumers of its group; empty if it sent no heartbeat here. */
static struct slice client_id(const struct broker *broker, const struct pull *pull,
                              const struct client_group *group)
{
    const struct channel *channel = channels_find(&broker->channels, pull->to.channel_id);
    if (channel != NULL && group != NULL) {
        LIST_FOREACH(at, &channel->memberships)
        {
            const struct membership *member = CONTAINER_OF(at, struct membership, in_channel);
            if (member->group == group) {
                return name_slice(&member->client_id);
            }
        }
    }
    return (struct slice){0};
}

/* Would the follower know what the reader subscribes to? Then it has passed the reader's heartbeat
 * on to us, or does not need it. */
static bool knows_reader(const struct broker *broker, const struct pull *pull, uint64_t follower)
{
    const struct client_group *group =
        channels_group(&broker->channels, MEMBER_CONSUMER, name_slice(&pull->group));
    struct slice reader = client_id(broker, pull, group);
    if (pull->brings_filter || reader.size == 0) {
        return pull->brings_filter;
    }
    LIST_FOREACH(at, &group->members)
    {
        const struct membership *member = CONTAINER_OF(at, struct membership, in_group);
        const struct channel *via = member->channel->via;
        if (via != NULL && via->member_id == follower &&
            slice_equals(name_slice(&member->client_id), reader)) {
            return true;
        }
    }
    return false;
}

/* Followers take turns by queue, and a queue whose follower is not ready goes to the next one:
 * the others stay where they are, and it comes back. */
static uint64_t follower_for(const struct broker *broker, const struct pull *pull,
                             uint64_t position)
{
    const struct member_ports *members = &broker->ports->members;
    struct follower followers[MEMBERS_MAX];
    size_t count = members->followers(members->context, position, followers);
    uint64_t first = (uint32_t)pull->queue_id;
    for (size_t i = 0; i < pull->topic.size; i++) {
        first += (uint8_t)pull->topic.text[i]; // Topics of one queue spread, too.
    }
    for (size_t i = 0; i < count; i++) {
        const struct follower *follower = &followers[(first + i) % count];
        if (follower->ready && knows_reader(broker, pull, follower->id)) {
            return follower->id;
        }
    }
    return LEADER_BROKER_ID;
}

uint64_t suggest_broker(struct broker *broker, const struct pull *pull, uint64_t position)
{
    const struct member_ports *members = &broker->ports->members;
    uint64_t id = LEADER_BROKER_ID;
    if (!broker->settings->slave_read || !pull->may_leave || position == 0 ||
        !lags(broker, position)) {
        return id;
    }
    if (broker_leads(broker)) {
        id = follower_for(broker, pull, position);
    } else if (!broker->draining && members->hears_leader(members->context)) {
        id = broker->self->id;
    }
    broker->counters.readers_sent += id != LEADER_BROKER_ID;
    return id;
}
