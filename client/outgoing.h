/* Messages on their way out: checks, the property string, batches and the send header.
 * Pure; any thread. Source: SendMessageRequestHeaderV2, MessageDecoder.encodeMessages, Validators.
 */
#ifndef CLIENT_OUTGOING_H
#define CLIENT_OUTGOING_H

#include "client/error.h"
#include "common/base/buf.h"

/* Queues that a topic gets which is made by its first message. */
enum { DEFAULT_TOPIC_QUEUES = 4 };

/* Is this a message that a broker would take? */
enum raftmq_status outgoing_check(const struct raftmq_message *message, struct raftmq_error *error);

/* Does it ask for a delay of any kind? */
bool outgoing_delayed(const struct raftmq_message *message);

/* Append the property string. A group makes it a half message of that producer group. */
void outgoing_properties(const struct raftmq_message *message, struct slice unique_key,
                         const char *transaction_group, struct buf *out);

/* Append one message to the body of a batch. */
void outgoing_batch_item(const struct raftmq_message *message, struct slice unique_key,
                         struct buf *out);

/* Append the body, deflated if it is larger than compress_above (not 0) and that makes it smaller;
 * returns the sysFlag bits that say so. */
int32_t outgoing_body(const struct raftmq_message *message, size_t compress_above, struct buf *out);

/* Whatever a send request says. Borrows. */
struct outgoing {
    struct slice group;
    struct slice topic;
    struct slice broker;
    int32_t queue_id;
    int32_t sys_flag;
    int32_t flag;
    int64_t born_ms;
    struct slice properties;
    struct slice body;
    bool batch;
    bool reply; /* To a request. */
};

/* Make the request; texts of numbers go to scratch, which is cleared first. */
void outgoing_request(const struct outgoing *outgoing, struct buf *scratch,
                      struct command *request);

#endif
