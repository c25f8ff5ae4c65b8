/* Calls for which the calling thread waits. Any thread but the client's own. */
#ifndef CLIENT_INVOKE_H
#define CLIENT_INVOKE_H

#include "client/client.h"

/* An answer. A zeroed one is empty and valid; `command` borrows from bytes. */
struct reply {
    struct command command;
    struct buf bytes;
};

void reply_close(struct reply *reply);

/* Call a server. RAFTMQ_OK: it answered, whatever the code. timeout_ms 0: the client's default. */
enum raftmq_status invoke_host(struct raftmq_client *client, struct host host,
                               struct command *request, uint64_t timeout_ms, struct reply *reply,
                               struct raftmq_error *error);

/* Call the nameservers, one after the other until one answers. */
enum raftmq_status invoke_nameserver(struct raftmq_client *client, struct command *request,
                                     uint64_t timeout_ms, struct reply *reply,
                                     struct raftmq_error *error);

/* Call the leader of a broker group that serves a topic; waits for a new one if there is none or it
 * cannot be reached, as long as time is left. An answer with another code than SUCCESS is
 * RAFTMQ_REFUSED, unless `codes_ok` (ends with -1, may be NULL) has it. */
enum raftmq_status invoke_broker(struct raftmq_client *client, struct slice topic,
                                 struct slice broker, struct command *request, uint64_t timeout_ms,
                                 const int32_t *codes_ok, struct reply *reply,
                                 struct raftmq_error *error);

#endif
