/* What the client knows of topics and brokers, as nameservers tell it: asked for on first use,
 * polled afterwards, and asked for anew when something failed. A known route is kept when no
 * nameserver answers. Loop thread only. */
#ifndef CLIENT_ROUTES_H
#define CLIENT_ROUTES_H

#include "client/alarms.h"
#include "common/base/check.h"
#include "common/base/map.h"
#include "common/base/name.h"
#include "common/net/rpc.h"
#include "common/remoting/body_route.h"

enum { CLIENT_TOPICS_MAX = 65536, CLIENT_BROKERS_MAX = 4096, BROKER_ADDRESSES_MAX = 32 };

struct raftmq_client;

struct known_route {
    struct map_node node;
    struct routes *routes;
    struct name topic;
    struct body body;
    struct topic_route route; /* Borrows from body. */
    bool known;               /* A nameserver has given it. */
    bool fetching;
    uint32_t first;      /* Of the nameservers asked in this round, */
    uint32_t tried;      /* how many there were, */
    uint32_t asked;      /* and the last. */
    uint32_t turn;       /* Publish queues take turns. */
    uint64_t fetched_ms; /* Loop time of the last round's end. */
    struct list waiters; /* struct route_waiter */
};

struct known_broker {
    struct map_node node;
    struct name name;
    size_t address_count; /* Ascending by id. */
    struct {
        int64_t id;
        struct host host;
    } addresses[BROKER_ADDRESSES_MAX];
};

struct routes {
    struct raftmq_client *client;
    struct map topics;
    struct map brokers;
    struct alarm poll;
    struct host nameservers[16];
    uint32_t nameserver_count;
    uint32_t nameserver; /* The one that calls begin with: none since has found it failing. */
    bool closing;
};

/* One who waits for a route. `done` may be called from within routes_get(). */
struct route_waiter {
    struct list node;
    /* STATUS_OK: the route is known. STATUS_TOPIC_UNKNOWN: nameservers say there is none. Others:
     * no nameserver answered, or STATUS_CANCELED. Ends exactly once. */
    void (*done)(struct route_waiter *waiter, enum status status, struct known_route *route);
};

void routes_init(struct routes *routes, struct raftmq_client *client);

/* Forget everything; waiters end with STATUS_CANCELED. */
void routes_close(struct routes *routes);

/* The route of a topic, asked for if it is not known. */
void routes_get(struct routes *routes, struct slice topic, struct route_waiter *waiter);
void routes_forget(struct route_waiter *waiter);

/* The known route; NULL if there is none. Asks for nothing. */
struct known_route *routes_find(const struct routes *routes, struct slice topic);

/* Something failed: ask again, unless that happened a moment ago. */
void routes_refresh(struct routes *routes, struct slice topic);

/* The address with that id of a broker; false if not known. */
bool routes_host(const struct routes *routes, struct slice broker, int64_t id, struct host *host);

/* Call a nameserver, by its place. Whoever has to find one that answers begins with
 * routes->nameserver, and goes on through all of them. */
WARN_UNUSED enum status routes_call_nameserver(struct routes *routes, uint32_t place,
                                               struct command *request, uint64_t timeout_ms,
                                               rpc_cb *cb, void *context);

/* That one failed: later calls begin with the next, unless they begin with another already. */
void routes_nameserver_failed(struct routes *routes, uint32_t place);

#endif
