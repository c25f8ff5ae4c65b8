/* Who is connected: ConsumerConnection (203), ProducerConnection (204). Written only: tools show
 * what they need of them through the client library's generic call. */
#ifndef COMMON_REMOTING_BODY_CONNECTIONS_H
#define COMMON_REMOTING_BODY_CONNECTIONS_H

#include "common/remoting/body_heartbeat.h"

struct connection_data {
    struct slice client_id;
    struct slice address; /* "ip:port", no leading slash. */
    int32_t language;
    int32_t version;
};

struct consumer_connections {
    size_t connection_count;
    const struct connection_data *connections;
    int32_t consume_type;
    int32_t message_model;
    int32_t consume_from;
    size_t subscription_count;
    const struct subscription_data *subscriptions;
};

void consumer_connections_encode(const struct consumer_connections *connections, struct buf *out);
void producer_connections_encode(const struct connection_data *connections, size_t count,
                                 struct buf *out);

#endif
