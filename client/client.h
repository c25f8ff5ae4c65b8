/* Inside the library: one client and its parts. All but `options`, `id`, `tasks`, `workers` and
 * `sends_in_flight` belongs to the loop thread. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "client/alarms.h"
#include "client/connections.h"
#include "client/error.h"
#include "client/routes.h"
#include "client/tasks.h"
#include "client/unique_key.h"
#include "client/workers.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/net/remote.h"

enum {
    NAMESERVERS_MAX = 16,
    CALLS_MAX = 65536, /* In flight on all connections of a client. */
    HOST_TEXT_SIZE = 24,
};

struct raftmq_client {
    struct raftmq_client_options options; /* Defaults filled in; texts not valid. */
    struct name id;
    char nameservers[NAMESERVERS_MAX][HOST_TEXT_SIZE]; /* Of routes.nameservers, for people. */
    struct log log;
    const struct clock *clock;
    uv_thread_t thread;
    uv_loop_t loop;
    struct tasks tasks;
    struct workers workers;
    struct alarms alarms;
    struct rpc *rpc;
    struct random random;
    struct unique_keys keys;
    struct connections connections;
    struct routes routes;
    struct list producers; /* struct raftmq_producer */
    struct list consumers; /* struct raftmq_consumer */
    struct alarm heartbeat;
    size_t sends_in_flight; /* Under tasks.lock. */
    bool closing;
};

#endif
