/* The same request to the leader of every broker group. Any thread but the client's own. */
#ifndef CLIENT_LEADERS_H
#define CLIENT_LEADERS_H

#include "client/invoke.h"

/* Called with each answer of code SUCCESS; false ends the walk with RAFTMQ_MALFORMED. */
typedef bool leaders_cb(void *context, const struct reply *reply);

/* Ask the leader of each broker group of a cluster (NULL: all). The first refusal ends it; answers
 * with code `skip` count as nothing. `each` may be NULL. RAFTMQ_NO_ROUTE if a group has no leader,
 * or there is no group at all. */
enum raftmq_status leaders_ask(struct raftmq_client *client, const char *cluster,
                               struct command *request, int32_t skip, leaders_cb *each,
                               void *context, struct raftmq_error *error);

#endif
