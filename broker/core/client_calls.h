/* Requests to clients that are answered (307, 309, 326): until the answer, or for a while.
 *
 * A client behind another replica is called through it: that replica calls its client and passes
 * the answer on (relay.h). What is oneway (39, 40) needs none of this: channel_send_request().
 * Loop thread only. Source: Broker2Client.callClient. */
#ifndef BROKER_CORE_CLIENT_CALLS_H
#define BROKER_CORE_CLIENT_CALLS_H

#include "broker/core/channel.h"
#include "common/base/list.h"

enum {
    CLIENT_CALLS_MAX = 10000,
    CLIENT_CALL_TIMEOUT_MS = 10000, /* As Java's broker waits. */
};

struct client_calls {
    struct broker *broker;
    struct map by_opaque;
    struct list waiting; /* Oldest first. */
    int32_t next_opaque;
};

/* With the client's answer (code, remark, body; no fields), borrowed, or NULL and why there is
 * none: STATUS_TIMED_OUT, STATUS_CONNECTION_LOST, STATUS_SHUTTING_DOWN, STATUS_MALFORMED (too
 * large). */
typedef void client_answered(struct broker *broker, void *context, enum status status,
                             const struct command *answer);

void client_calls_init(struct client_calls *calls, struct broker *broker);
/* Ends what waits with STATUS_SHUTTING_DOWN. */
void client_calls_close(struct client_calls *calls);

/* Ask a client; sets the request's opaque. `done` is called once, later.
 * Errors (then `done` is not called): STATUS_OVERLOADED (CLIENT_CALLS_MAX, or the client reads too
 * slowly), STATUS_CONNECTION_LOST. */
WARN_UNUSED enum status client_call(struct client_calls *calls, struct channel *channel,
                                    struct command *request, client_answered *done, void *context);

/* A response from a connection; one that nobody waits for is passed over. */
void client_calls_on_answer(struct client_calls *calls, const struct channel *from,
                            const struct command *answer);
/* A connection is gone. */
void client_calls_drop(struct client_calls *calls, const struct channel *connection);
void client_calls_tick(struct client_calls *calls, uint64_t now_ms);

#endif
