/* What brokers ask of clients. Loop thread only. */
#ifndef CLIENT_SERVER_REQUESTS_H
#define CLIENT_SERVER_REQUESTS_H

#include "common/net/conn.h"

struct raftmq_client;

/* Act on a request that came over our connection to host; answer on conn if it wants an answer. */
void server_request(struct raftmq_client *client, struct host host, struct conn *conn,
                    const struct command *command);

#endif
