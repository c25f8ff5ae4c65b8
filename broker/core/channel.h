/* Channels: who is connected, directly or behind another replica, and which groups they belong to.
 *
 * A channel is one client connection. A client connected to a follower is known to the leader too,
 * as a remote channel behind the follower's forwarding connection, so that checks and notices reach
 * it. Connections cannot be replicated: this is soft state, rebuilt by heartbeats. Pure: bytes
 * leave through a transport port. Loop thread only. Source: ProducerManager, ConsumerManager,
 * ClientManageProcessor. */
#ifndef BROKER_CORE_CHANNEL_H
#define BROKER_CORE_CHANNEL_H

#include "broker/core/message_filter.h"
#include "common/base/map.h"
#include "common/base/name.h"
#include "common/base/status.h"
#include "common/remoting/command.h"
#include "common/remoting/message.h"

enum {
    REMOTE_CHANNELS_MAX = 65536, /* Behind one forwarding replica. */
    CLIENT_GROUPS_MAX = 65536,
    MEMBERSHIPS_PER_CHANNEL_MAX = 4096,
    SUBSCRIPTIONS_PER_GROUP_MAX = 1024,
    HEARTBEAT_KEPT_MAX = 64 * 1024,
};

/* How bytes get to a connection. */
struct transport_ports {
    /* Buffer to append whole frames to; NULL if the connection is closing. */
    struct buf *(*out)(void *transport);
    /* Write it at the end of the loop turn. */
    void (*flush)(void *transport);
    /* Is so much waiting that nothing unasked should be added? */
    bool (*congested)(void *transport);
};

struct channel {
    struct map_node node; /* In channels.by_id. */
    uint64_t id;
    void *transport;             /* NULL for a remote channel. */
    struct channel *via;         /* The forwarding replica's channel, for a remote one. */
    uint64_t via_id;             /* Its number there. */
    uint64_t remote_key[2];      /* via's id, via_id. */
    struct map_node remote_node; /* In channels.remotes. */
    struct list behind;          /* In via->remotes. */
    struct list remotes;         /* Remote channels behind this one. */
    size_t remote_count;
    uint64_t member_id; /* > 0: another replica forwards over it. */
    bool relayed;       /* The leader has heard of it from us. */
    uint64_t announced; /* The connection to the leader that its heartbeat went over; 0: none. */
    struct host host;   /* The client's address. */
    int32_t language;
    int32_t version;
    struct list memberships;
    struct list held;            /* Parked pulls, see pulls.h, */
    struct list held_pops;       /* and pops, see pops.h. */
    struct list left_pulls;      /* Of it and of `remotes`: wait until it is writable; */
    struct list full;            /* in pulls.full then. */
    struct name client_id;       /* Of a producer; empty. */
    struct map_node client_node; /* In channels.by_client, if `named`. */
    bool named;
    struct buf
        heartbeat; /* The last one it sent, for a new leader; bounded by HEARTBEAT_KEPT_MAX. */
};

enum member_kind { MEMBER_PRODUCER, MEMBER_CONSUMER };

struct membership {
    struct list in_group;
    struct list in_channel;
    struct client_group *group;
    struct channel *channel;
    struct name client_id;
    uint64_t seen_ms; /* Monotonic time of the last heartbeat. */
};

/* What a consumer group subscribes to: one table per group, the last writer wins. */
struct subscription {
    struct map_node node; /* By topic. */
    struct name topic;
    int64_t version;
    bool tags;                     /* expressionType TAG, else SQL92 or one that is not known. */
    struct buf expression;         /* subString */
    struct message_filter *filter; /* NULL: the expression is not valid, */
    struct sql_trouble trouble;    /* for this reason. */
};

/* One subscription of a heartbeat. Borrows. */
struct subscription_offer {
    struct slice topic;
    struct slice expression_type;
    struct slice expression;
    int64_t version;
};

struct client_group {
    struct map_node node; /* By name. */
    struct name name;
    enum member_kind kind;
    struct list members;
    size_t member_count;
    struct list *turn; /* Round robin: the member after which to go on. */
    /* Consumers only. */
    int32_t consume_type;
    int32_t message_model;
    int32_t consume_from;
    struct map subscriptions;
};

struct channels {
    const struct transport_ports *transport;
    struct map by_id;
    struct map remotes;   /* By (forwarding channel, number there). */
    struct map by_client; /* By client id: producers, one connection of each. */
    struct map producers; /* struct client_group */
    struct map consumers;
    struct message_filters filters; /* Of subscriptions and of pulls. */
    uint64_t next_id;
};

void channels_init(struct channels *channels, const struct transport_ports *transport);
/* Frees everything that is left; no notices. */
void channels_close(struct channels *channels);

/* A new connection. The transport is borrowed until channel_close(). */
struct channel *channels_open(struct channels *channels, void *transport, struct host host);
/* The channel of a client behind a forwarding replica, made on first sight. NULL beyond
 * REMOTE_CHANNELS_MAX of that replica. */
struct channel *channels_open_remote(struct channels *channels, struct channel *via,
                                     uint64_t via_id, struct host host);
/* The same without making one; NULL. */
struct channel *channels_find_remote(const struct channels *channels, const struct channel *via,
                                     uint64_t via_id);
struct channel *channels_find(const struct channels *channels, uint64_t id);

/* A producer has said who it is. Of several connections that say the same, the newest is found, but
 * one of our own before one behind another replica. */
void channels_name(struct channels *channels, struct channel *channel, struct slice client_id);
/* The connection of a producer by its client id; NULL. */
struct channel *channels_find_client(const struct channels *channels, struct slice client_id);

/* Which consumer groups lost a member, so that the others can be told. */
typedef void channels_changed_cb(void *context, struct client_group *consumers);

/* Forget a channel, those behind it and all their memberships. */
void channels_drop(struct channels *channels, struct channel *channel, channels_changed_cb *changed,
                   void *context);

/* Join (or renew). *joined tells whether it was not a member before.
 * Errors: STATUS_LIMIT  GROUPS_MAX client groups or memberships of the channel. */
WARN_UNUSED enum status channels_join(struct channels *channels, struct channel *channel,
                                      enum member_kind kind, struct slice group,
                                      struct slice client_id, uint64_t now_ms,
                                      struct client_group **out, bool *joined);

/* Leave; true if it was a member. The group is freed when empty. */
bool channels_leave(struct channels *channels, struct channel *channel, enum member_kind kind,
                    struct slice group, channels_changed_cb *changed, void *context);

/* Remove memberships not renewed since `before_ms`. */
void channels_expire(struct channels *channels, uint64_t before_ms, channels_changed_cb *changed,
                     void *context);

struct client_group *channels_group(const struct channels *channels, enum member_kind kind,
                                    struct slice name);

/* Replace the subscriptions of a consumer group by those of a heartbeat, as RocketMQ does: a known
 * topic only by a newer version, absent ones go. What a limit leaves no room for is not taken.
 * True if the set of topics changed. */
bool client_group_subscribe(struct channels *channels, struct client_group *group,
                            const struct subscription_offer *offers, size_t count);

struct subscription *client_group_subscription(const struct client_group *group,
                                               struct slice topic);

/* The next member that can be asked something, round robin: own connections before remote ones,
 * the client that is named before the others. NULL if none is writable. */
struct channel *client_group_pick(struct client_group *group, const struct channels *channels,
                                  struct slice preferred_client);

/* The connection of a client; NULL. Accepts NULL. */
struct channel *client_group_find(const struct client_group *group, struct slice client_id);

/* Would client_group_pick() find anybody? */
bool client_group_reachable(const struct client_group *group, const struct channels *channels);

/* Can something unasked be sent to this client now? */
bool channel_writable(const struct channels *channels, const struct channel *channel);

/* Where to encode a frame for this channel; NULL if it is closing. Follow with channel_flush. */
struct buf *channel_out(const struct channels *channels, struct channel *channel);
void channel_flush(const struct channels *channels, struct channel *channel);

/* Send an unasked request; for a remote channel it travels with the channel's number. False if the
 * connection is closing or congested: nothing was sent. */
bool channel_send_request(const struct channels *channels, struct channel *channel,
                          struct command *request);

#endif
