/* The client's connections: one for each server address, made on demand. What servers ask over them
 * is passed on. Loop thread only. */
#ifndef CLIENT_CONNECTIONS_H
#define CLIENT_CONNECTIONS_H

#include "common/base/map.h"
#include "common/net/remote.h"

enum { CONNECTIONS_MAX = 4096 };

struct raftmq_client;

struct connections {
    struct raftmq_client *client;
    struct map by_host;
    size_t closing_count;
    void (*closed)(struct raftmq_client *client);
};

void connections_init(struct connections *connections, struct raftmq_client *client);

/* Close all; `closed` is called from the loop when none is left. */
void connections_close(struct connections *connections,
                       void (*closed)(struct raftmq_client *client));

/* Call a server. As remote_call(), and STATUS_LIMIT beyond CONNECTIONS_MAX addresses. */
WARN_UNUSED enum status connections_call(struct connections *connections, struct host host,
                                         struct command *request, uint64_t timeout_ms, rpc_cb *cb,
                                         void *context);

/* Send a oneway request. A failure is in the log, and need not be looked at: as remote_send(), and
 * STATUS_LIMIT. */
enum status connections_send(struct connections *connections, struct host host,
                             struct command *request);

#endif
