#include "broker/core/channel.h"

#include "common/remoting/extension.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void channel_free(struct channels *channels, struct channel *channel);
static void membership_end(struct channels *channels, struct membership *membership,
                           channels_changed_cb *changed, void *context);
static void group_free(struct channels *channels, struct client_group *group);
static void subscription_free(struct client_group *group, struct subscription *subscription);

static struct slice id_key(const uint64_t *id)
{
    return slice_of(id, sizeof *id);
}

void channels_init(struct channels *channels, const struct transport_ports *transport)
{
    *channels = (struct channels){.transport = transport, .next_id = 1};
}

void channels_close(struct channels *channels)
{
    while (channels->by_id.count > 0) {
        struct map_node *node = map_first(&channels->by_id);
        channels_drop(channels, CONTAINER_OF(node, struct channel, node), NULL, NULL);
    }
    map_close(&channels->by_id);
    map_close(&channels->remotes);
    map_close(&channels->by_client);
    map_close(&channels->producers);
    map_close(&channels->consumers);
}

struct channel *channels_open(struct channels *channels, void *transport, struct host host)
{
    struct channel *channel = mem_zalloc(sizeof *channel);
    channel->id = channels->next_id++;
    channel->transport = transport;
    channel->host = host;
    list_init(&channel->remotes);
    list_init(&channel->memberships);
    list_init(&channel->left_pulls);
    list_init(&channel->held);
    list_init(&channel->held_pops);
    map_put(&channels->by_id, &channel->node, id_key(&channel->id));
    return channel;
}

struct channel *channels_find_remote(const struct channels *channels, const struct channel *via,
                                     uint64_t via_id)
{
    const uint64_t key[2] = {via->id, via_id};
    struct map_node *node = map_find(&channels->remotes, slice_of(key, sizeof key));
    return node == NULL ? NULL : CONTAINER_OF(node, struct channel, remote_node);
}

struct channel *channels_open_remote(struct channels *channels, struct channel *via,
                                     uint64_t via_id, struct host host)
{
    struct channel *known = channels_find_remote(channels, via, via_id);
    if (known != NULL) {
        return known;
    }
    if (via->remote_count >= REMOTE_CHANNELS_MAX) {
        return NULL;
    }
    struct channel *channel = channels_open(channels, NULL, host);
    channel->via = via;
    channel->via_id = via_id;
    channel->remote_key[0] = via->id;
    channel->remote_key[1] = via_id;
    map_put(&channels->remotes, &channel->remote_node,
            slice_of(channel->remote_key, sizeof channel->remote_key));
    list_append(&via->remotes, &channel->behind);
    via->remote_count++;
    return channel;
}

struct channel *channels_find(const struct channels *channels, uint64_t id)
{
    struct map_node *node = map_find(&channels->by_id, id_key(&id));
    return node == NULL ? NULL : CONTAINER_OF(node, struct channel, node);
}

static void unname(struct channels *channels, struct channel *channel)
{
    if (channel->named) {
        map_remove(&channels->by_client, &channel->client_node);
        channel->named = false;
    }
}

void channels_name(struct channels *channels, struct channel *channel, struct slice client_id)
{
    struct channel *known = channels_find_client(channels, client_id);
    if (known == channel || (known != NULL && known->via == NULL && channel->via != NULL)) {
        return;
    }
    unname(channels, channel);
    if (client_id.size == 0 || !name_set(&channel->client_id, client_id)) {
        return;
    }
    if (known != NULL) {
        unname(channels, known);
    }
    map_put(&channels->by_client, &channel->client_node, name_slice(&channel->client_id));
    channel->named = true;
}

struct channel *channels_find_client(const struct channels *channels, struct slice client_id)
{
    struct map_node *node = map_find(&channels->by_client, client_id);
    return node == NULL ? NULL : CONTAINER_OF(node, struct channel, client_node);
}

void channels_drop(struct channels *channels, struct channel *channel, channels_changed_cb *changed,
                   void *context)
{
    while (!list_empty(&channel->remotes)) {
        struct channel *remote = CONTAINER_OF(channel->remotes.next, struct channel, behind);
        channels_drop(channels, remote, changed, context);
    }
    while (!list_empty(&channel->memberships)) {
        struct membership *membership =
            CONTAINER_OF(channel->memberships.next, struct membership, in_channel);
        membership_end(channels, membership, changed, context);
    }
    channel_free(channels, channel);
}

static void channel_free(struct channels *channels, struct channel *channel)
{
    // pulls_drop_channel() and pops_drop_channel() come first.
    ASSERT(list_empty(&channel->held) && list_empty(&channel->held_pops));
    ASSERT(list_empty(&channel->left_pulls));
    list_remove(&channel->full);
    if (channel->via != NULL) {
        map_remove(&channels->remotes, &channel->remote_node);
        list_remove(&channel->behind);
        channel->via->remote_count--;
    }
    unname(channels, channel);
    buf_close(&channel->heartbeat);
    map_remove(&channels->by_id, &channel->node);
    free(channel);
}

static struct map *groups_of(struct channels *channels, enum member_kind kind)
{
    return kind == MEMBER_PRODUCER ? &channels->producers : &channels->consumers;
}

struct client_group *channels_group(const struct channels *channels, enum member_kind kind,
                                    struct slice name)
{
    const struct map *map = kind == MEMBER_PRODUCER ? &channels->producers : &channels->consumers;
    struct map_node *node = map_find(map, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct client_group, node);
}

static struct membership *membership_find(const struct channel *channel,
                                          const struct client_group *group)
{
    LIST_FOREACH(at, &channel->memberships)
    {
        struct membership *membership = CONTAINER_OF(at, struct membership, in_channel);
        if (membership->group == group) {
            return membership;
        }
    }
    return NULL;
}

static struct client_group *group_get(struct channels *channels, enum member_kind kind,
                                      struct slice name)
{
    struct client_group *group = channels_group(channels, kind, name);
    struct map *map = groups_of(channels, kind);
    if (group != NULL || map->count >= CLIENT_GROUPS_MAX) {
        return group;
    }
    group = mem_zalloc(sizeof *group);
    if (!name_set(&group->name, name)) {
        free(group);
        return NULL;
    }
    group->kind = kind;
    list_init(&group->members);
    group->turn = &group->members;
    map_put(map, &group->node, name_slice(&group->name));
    return group;
}

static size_t membership_count(const struct channel *channel)
{
    size_t count = 0;
    LIST_FOREACH(at, &channel->memberships)
    {
        count++;
    }
    return count;
}

enum status channels_join(struct channels *channels, struct channel *channel, enum member_kind kind,
                          struct slice group_name, struct slice client_id, uint64_t now_ms,
                          struct client_group **out, bool *joined)
{
    struct client_group *group = group_get(channels, kind, group_name);
    if (group == NULL) {
        return STATUS_LIMIT;
    }
    struct membership *membership = membership_find(channel, group);
    *joined = membership == NULL;
    if (membership == NULL) {
        if (membership_count(channel) >= MEMBERSHIPS_PER_CHANNEL_MAX) {
            if (group->member_count == 0) {
                group_free(channels, group);
            }
            return STATUS_LIMIT;
        }
        membership = mem_zalloc(sizeof *membership);
        membership->channel = channel;
        membership->group = group;
        list_append(&group->members, &membership->in_group);
        list_append(&channel->memberships, &membership->in_channel);
        group->member_count++;
    }
    if (!name_set(&membership->client_id, client_id)) {
        membership->client_id = (struct name){0};
    }
    membership->seen_ms = now_ms;
    *out = group;
    return STATUS_OK;
}

bool channels_leave(struct channels *channels, struct channel *channel, enum member_kind kind,
                    struct slice group_name, channels_changed_cb *changed, void *context)
{
    struct client_group *group = channels_group(channels, kind, group_name);
    struct membership *membership = group == NULL ? NULL : membership_find(channel, group);
    if (membership == NULL) {
        return false;
    }
    membership_end(channels, membership, changed, context);
    return true;
}

static void membership_end(struct channels *channels, struct membership *membership,
                           channels_changed_cb *changed, void *context)
{
    struct client_group *group = membership->group;
    if (group->turn == &membership->in_group) {
        group->turn = membership->in_group.prev;
    }
    list_remove(&membership->in_group);
    list_remove(&membership->in_channel);
    free(membership);
    group->member_count--;
    if (group->member_count == 0) {
        group_free(channels, group);
    } else if (group->kind == MEMBER_CONSUMER && changed != NULL) {
        changed(context, group);
    }
}

static void group_free(struct channels *channels, struct client_group *group)
{
    while (group->subscriptions.count > 0) {
        struct map_node *node = map_first(&group->subscriptions);
        subscription_free(group, CONTAINER_OF(node, struct subscription, node));
    }
    map_close(&group->subscriptions);
    map_remove(groups_of(channels, group->kind), &group->node);
    free(group);
}

static void subscription_free(struct client_group *group, struct subscription *subscription)
{
    map_remove(&group->subscriptions, &subscription->node);
    message_filter_release(subscription->filter);
    buf_close(&subscription->expression);
    free(subscription);
}

static void expire_kind(struct channels *channels, struct map *groups, uint64_t before_ms,
                        channels_changed_cb *changed, void *context)
{
    MAP_FOREACH(node, groups)
    {
        struct client_group *group = CONTAINER_OF(node, struct client_group, node);
        size_t left = group->member_count; // The last one to go frees the group.
        for (struct list *at = group->members.next, *next; left > 0; at = next, left--) {
            next = at->next;
            struct membership *membership = CONTAINER_OF(at, struct membership, in_group);
            if (membership->seen_ms < before_ms) {
                membership_end(channels, membership, changed, context);
            }
        }
    }
}

void channels_expire(struct channels *channels, uint64_t before_ms, channels_changed_cb *changed,
                     void *context)
{
    expire_kind(channels, &channels->producers, before_ms, changed, context);
    expire_kind(channels, &channels->consumers, before_ms, changed, context);
}

static struct subscription *subscription_new(struct client_group *group, struct slice topic)
{
    struct subscription *subscription = mem_zalloc(sizeof *subscription);
    if (group->subscriptions.count >= SUBSCRIPTIONS_PER_GROUP_MAX ||
        !name_set(&subscription->topic, topic)) {
        free(subscription);
        return NULL;
    }
    map_put(&group->subscriptions, &subscription->node, name_slice(&subscription->topic));
    return subscription;
}

static bool subscription_set(struct channels *channels, struct client_group *group,
                             const struct subscription_offer *offer)
{
    struct subscription *known = client_group_subscription(group, offer->topic);
    bool is_new = known == NULL;
    if (!is_new && offer->version <= known->version) {
        return false;
    }
    struct message_filter *filter;
    struct sql_trouble trouble = {{0}};
    enum status status = message_filter_new(&channels->filters, offer->expression_type,
                                            offer->expression, &filter, &trouble);
    if (is_new && status != STATUS_OVERLOADED) {
        known = subscription_new(group, offer->topic);
    }
    if (known == NULL || status == STATUS_OVERLOADED) {
        message_filter_release(filter); // A later heartbeat may find room.
        return false;
    }
    // One that is not valid is kept, too: the pull says what is wrong with it.
    message_filter_release(known->filter);
    known->filter = filter;
    known->trouble = trouble;
    known->tags = expression_is_tags(offer->expression_type);
    known->version = offer->version;
    buf_clear(&known->expression);
    buf_put_slice(&known->expression, offer->expression);
    return is_new;
}

bool client_group_subscribe(struct channels *channels, struct client_group *group,
                            const struct subscription_offer *offers, size_t count)
{
    bool changed = false;
    for (size_t i = 0; i < count; i++) {
        changed |= subscription_set(channels, group, &offers[i]);
    }
    MAP_FOREACH(node, &group->subscriptions)
    {
        struct subscription *subscription = CONTAINER_OF(node, struct subscription, node);
        bool offered = false;
        for (size_t i = 0; i < count && !offered; i++) {
            offered = slice_equals(offers[i].topic, name_slice(&subscription->topic));
        }
        if (!offered) {
            subscription_free(group, subscription);
            changed = true;
        }
    }
    return changed;
}

struct subscription *client_group_subscription(const struct client_group *group, struct slice topic)
{
    struct map_node *node = map_find(&group->subscriptions, topic);
    return node == NULL ? NULL : CONTAINER_OF(node, struct subscription, node);
}

static void *transport_of(const struct channel *channel)
{
    return channel->via != NULL ? channel->via->transport : channel->transport;
}

bool channel_writable(const struct channels *channels, const struct channel *channel)
{
    return !channels->transport->congested(transport_of(channel));
}

bool client_group_reachable(const struct client_group *group, const struct channels *channels)
{
    LIST_FOREACH(at, &group->members)
    {
        if (channel_writable(channels, CONTAINER_OF(at, struct membership, in_group)->channel)) {
            return true;
        }
    }
    return false;
}

struct channel *client_group_find(const struct client_group *group, struct slice client_id)
{
    if (group == NULL) {
        return NULL;
    }
    struct channel *found = NULL;
    LIST_FOREACH(at, &group->members)
    {
        const struct membership *member = CONTAINER_OF(at, struct membership, in_group);
        bool better = found == NULL || found->via != NULL; // One of our own is the shorter way.
        if (better && slice_equals(name_slice(&member->client_id), client_id)) {
            found = member->channel;
        }
    }
    return found;
}

struct channel *client_group_pick(struct client_group *group, const struct channels *channels,
                                  struct slice preferred_client)
{
    struct channel *best = NULL;
    int best_rank = 0;
    struct list *at = group->turn;
    for (size_t i = 0; i < group->member_count; i++) {
        at = at->next == &group->members ? group->members.next : at->next;
        struct membership *membership = CONTAINER_OF(at, struct membership, in_group);
        if (!channel_writable(channels, membership->channel)) {
            continue;
        }
        bool preferred = preferred_client.size > 0 &&
                         slice_equals(preferred_client, name_slice(&membership->client_id));
        int rank = 1 + (membership->channel->via == NULL ? 1 : 0) + (preferred ? 2 : 0);
        if (rank > best_rank) {
            best_rank = rank;
            best = membership->channel;
            group->turn = at;
        }
    }
    return best;
}

struct buf *channel_out(const struct channels *channels, struct channel *channel)
{
    return channels->transport->out(transport_of(channel));
}

void channel_flush(const struct channels *channels, struct channel *channel)
{
    channels->transport->flush(transport_of(channel));
}

bool channel_send_request(const struct channels *channels, struct channel *channel,
                          struct command *request)
{
    void *transport = transport_of(channel);
    struct buf *out = channels->transport->out(transport);
    if (out == NULL || channels->transport->congested(transport)) {
        return false;
    }
    char number[24];
    if (channel->via != NULL) {
        snprintf(number, sizeof number, "%" PRIu64, channel->via_id);
        command_add(request, FIELD_FORWARD_CHANNEL, slice_text(number));
    }
    command_encode(request, out);
    channels->transport->flush(transport);
    return true;
}
