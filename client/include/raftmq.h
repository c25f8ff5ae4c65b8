/* libraftmq: producers, transactions, consumers and administration over RocketMQ's remoting
 * protocol. Works with raftmq and with Apache RocketMQ 4.9 and 5.x.
 *
 * Threads. A client runs one thread of its own, on which all network work happens, and the worker
 * threads on which listeners and transaction checks are called. Every function may be called from
 * any thread of the program but, where it says "waits", not from a send callback, which runs on the
 * client's own thread and must not block. Different threads may use one client, producer or
 * consumer at the same time; closing it must be the last call on it.
 *
 * Memory. Arguments are borrowed until the function returns, unless it says "copies". What a
 * function hands out is freed with the function named beside it. Texts are UTF-8 and end with NUL;
 * bodies are bytes with a size.
 *
 * Errors. Functions return RAFTMQ_OK or what went wrong; `error` (which may always be NULL) tells
 * more. A lost answer is an unknown outcome, not a failure: RAFTMQ_TIMED_OUT and
 * RAFTMQ_CONNECTION_LOST mean that it may have happened. That is also how a send ends of which one
 * attempt was lost and a later one refused: error.code and error.remark tell the refusal.
 *
 * Times are milliseconds; a timeout of 0 stands for the client's default. */
#ifndef RAFTMQ_H
#define RAFTMQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RAFTMQ_API __attribute__((visibility("default")))

enum raftmq_status {
    RAFTMQ_OK = 0,
    RAFTMQ_INVALID_ARGUMENT = 1, /* A parameter is not valid; nothing was sent. */
    RAFTMQ_NO_ROUTE = 2,         /* No nameserver told, in time, of a broker for the topic. */
    RAFTMQ_REFUSED = 3,          /* The server's answer was a refusal: see error.code. */
    RAFTMQ_CONNECT_FAILED = 4,   /* No connection could be made; nothing was sent. */
    RAFTMQ_CONNECTION_LOST = 5,  /* The connection broke before the answer: outcome unknown. */
    RAFTMQ_TIMED_OUT = 6,        /* No answer in time: outcome unknown. */
    RAFTMQ_OVERLOADED = 7,       /* Too much is in flight in this client; nothing was sent. */
    RAFTMQ_CLOSED = 8,           /* The producer was closed meanwhile: outcome unknown. */
    RAFTMQ_MALFORMED = 9,        /* The answer cannot be understood. */
};

enum { RAFTMQ_REMARK_SIZE = 256 };

struct raftmq_error {
    enum raftmq_status status;
    int32_t code;                    /* The server's response code if it answered, else -1. */
    char remark[RAFTMQ_REMARK_SIZE]; /* A sentence for people; cut to fit. */
};

/* Name of a status, "TIMED_OUT"; static text. */
RAFTMQ_API const char *raftmq_status_name(enum raftmq_status status);

/* Version of this library, "0.1.0"; static text. */
RAFTMQ_API const char *raftmq_version(void);

/* ---- Client ---------------------------------------------------------------------------------- */

struct raftmq_client;

struct raftmq_client_options {
    /* "host:port" of the nameservers, separated by ';'. Required. Names are resolved once; those
     * that cannot be are left out, as long as one can. */
    const char *nameservers;
    /* Distinguishes clients of one process; NULL: made up. At most 64 characters. */
    const char *instance_name;
    /* Default timeout of calls, including retries of sends. 0: 3000. */
    uint64_t timeout_ms;
    /* Attempts of a send whose outcome was unknown or that a broker refused for reasons of its own.
     * 0: 3. Attempts that surely stored nothing (no leader, busy, no connection) do not count, they
     * go on until the timeout. */
    uint32_t send_attempts_max;
    /* Bodies larger than this are deflated; 0: never. */
    size_t compress_above;
    /* Sends in flight at one time, of all producers. 0: 10000. */
    size_t sends_max;
    /* Threads for listeners and checks. 0: 8. At most 256. */
    uint32_t worker_threads;
    /* Route poll, heartbeat, rebalance and offset periods; 0: 30000, 30000, 20000, 5000. */
    uint64_t poll_routes_ms;
    uint64_t heartbeat_ms;
    uint64_t rebalance_ms;
    uint64_t persist_offsets_ms;
    /* Write warnings to standard error. */
    bool verbose;
};

/* Make a client and start its threads. Copies options. No connection is made yet. */
RAFTMQ_API enum raftmq_status raftmq_client_new(const struct raftmq_client_options *options,
                                                struct raftmq_client **client,
                                                struct raftmq_error *error);

/* Close and free the client. All its producers and consumers must be closed, and all other calls
 * have returned, before this is called. Waits for the threads to end. NULL is harmless. */
RAFTMQ_API void raftmq_client_close(struct raftmq_client *client);

/* "10.0.0.9:9876": a nameserver of the options, by place from 0, as raftmq_invoke() takes it; NULL
 * after the last. Valid as long as the client. */
RAFTMQ_API const char *raftmq_client_nameserver(const struct raftmq_client *client, size_t place);

/* "10.0.0.9@4711@name": how brokers know this client. Valid as long as the client. */
RAFTMQ_API const char *raftmq_client_id(const struct raftmq_client *client);

/* ---- Messages -------------------------------------------------------------------------------- */

struct raftmq_property {
    const char *name;
    const char *value;
};

/* A message to send. Zero all that is not used. */
struct raftmq_message {
    const char *topic; /* Required. */
    const void *body;
    size_t body_size;
    const char *tags; /* One tag; NULL: none. */
    const char *keys; /* Keys to find it by, separated by spaces; NULL: none. */
    /* Messages with equal shard keys go to the same queue, as long as the route is the same, and
     * are not moved to another by retries; NULL: queues take turns. */
    const char *shard_key;
    /* At most one of these may be set, and none in a batch. Of a transaction the delay begins when
     * it is committed. 0: at once. */
    int32_t delay_level;    /* 1 (1 s) to 18 (2 h), as the brokers' messageDelayLevel says. */
    uint64_t delay_ms;      /* So long after it is stored. Brokers have a maximum (3 days). */
    uint64_t deliver_at_ms; /* At this wall-clock time; one that is past: at once. */
    int32_t flag;           /* For the application; not looked at. */
    /* Names and values must not be empty nor contain the bytes 1 and 2; names of the system's own
     * properties (KEYS, TAGS, UNIQ_KEY, ...) are refused. */
    const struct raftmq_property *properties;
    size_t property_count;
};

/* A message received. It and all it points to is valid until the callback returns, or until the
 * result it belongs to is freed. */
struct raftmq_received {
    const char *topic;
    const char *broker;
    int32_t queue_id;
    int64_t queue_offset;
    int64_t physical_offset; /* Within the broker's log. */
    const char *message_id;  /* The sender's unique key, or else the offset id. */
    const char *offset_message_id;
    const void *body; /* Inflated if it was deflated. */
    size_t body_size;
    const char *tags; /* "" if none. */
    const char *keys;
    int64_t born_ms;
    int64_t stored_ms;
    int32_t flag;
    int32_t reconsume_times;  /* Deliveries before this one that failed, as far as is known. */
    int32_t delivery_attempt; /* The same with this one: 1 the first time. */
    const char *handle;       /* Of raftmq_receive(): for raftmq_ack(). Else "". */
    const void *properties;   /* For raftmq_received_property(). */
};

/* A property's value; NULL if absent. Valid as long as the message. */
RAFTMQ_API const char *raftmq_received_property(const struct raftmq_received *message,
                                                const char *name);

/* ---- Producer -------------------------------------------------------------------------------- */

struct raftmq_producer;

enum raftmq_transaction {
    RAFTMQ_TRANSACTION_UNKNOWN = 0, /* Not decided yet: the broker will ask again. */
    RAFTMQ_TRANSACTION_COMMIT = 1,
    RAFTMQ_TRANSACTION_ROLLBACK = 2,
};

/* The broker asks what became of a transaction whose outcome it did not learn: perhaps of another
 * process of the same group. Called on a worker thread. */
typedef enum raftmq_transaction raftmq_check_cb(void *context,
                                                const struct raftmq_received *message);

/* Make a producer of a group, of which a client may have one. Copies group. `check` is needed for
 * transactions only, else NULL; it and context must stay valid until the producer is closed. */
RAFTMQ_API enum raftmq_status raftmq_producer_new(struct raftmq_client *client, const char *group,
                                                  raftmq_check_cb *check, void *context,
                                                  struct raftmq_producer **producer,
                                                  struct raftmq_error *error);

/* Close and free. Waits: sends of it that are under way end with RAFTMQ_CLOSED, running checks are
 * waited for. NULL is harmless. */
RAFTMQ_API void raftmq_producer_close(struct raftmq_producer *producer);

/* How the broker stored it. All but SENT come from Apache RocketMQ only: stored, but not as safely
 * as asked for. */
enum raftmq_send_status {
    RAFTMQ_SENT = 0,
    RAFTMQ_SENT_FLUSH_DISK_TIMEOUT = 10,
    RAFTMQ_SENT_SLAVE_NOT_AVAILABLE = 11,
    RAFTMQ_SENT_FLUSH_SLAVE_TIMEOUT = 12,
};

enum { RAFTMQ_ID_SIZE = 72, RAFTMQ_NAME_SIZE = 256, RAFTMQ_HANDLE_SIZE = 1024 };

struct raftmq_send_result {
    enum raftmq_send_status status;
    char message_id[RAFTMQ_ID_SIZE]; /* Unique key made by this client; of a batch, the first. */
    char offset_message_id[RAFTMQ_ID_SIZE]; /* Where the broker stored it; of a batch, the first. */
    char broker[RAFTMQ_NAME_SIZE];
    int32_t queue_id;
    int64_t queue_offset;
    uint32_t attempts; /* How often it was sent. */
    /* For raftmq_recall(); "" unless the message has delay_ms or deliver_at_ms and the broker gives
     * handles. */
    char recall_handle[RAFTMQ_HANDLE_SIZE];
};

/* Send and wait for the answer. See raftmq_client_options.send_attempts_max for what is retried;
 * retries carry the same message id. */
RAFTMQ_API enum raftmq_status raftmq_send(struct raftmq_producer *producer,
                                          const struct raftmq_message *message, uint64_t timeout_ms,
                                          struct raftmq_send_result *result,
                                          struct raftmq_error *error);

/* Send messages of one topic as one: all or none are stored, one after the other in one queue.
 * At most 4096 messages and 4 MiB of bodies; none may be delayed. Waits. */
RAFTMQ_API enum raftmq_status raftmq_send_batch(struct raftmq_producer *producer,
                                                const struct raftmq_message *messages, size_t count,
                                                uint64_t timeout_ms,
                                                struct raftmq_send_result *result,
                                                struct raftmq_error *error);

/* The end of an asynchronous send. Called on the client's own thread: must not block. result is
 * NULL unless error->status is RAFTMQ_OK; both are valid until it returns. */
typedef void raftmq_send_cb(void *context, const struct raftmq_send_result *result,
                            const struct raftmq_error *error);

/* Send without waiting. Copies message. If it returns RAFTMQ_OK, cb is called exactly once, else
 * never. */
RAFTMQ_API enum raftmq_status raftmq_send_async(struct raftmq_producer *producer,
                                                const struct raftmq_message *message,
                                                uint64_t timeout_ms, raftmq_send_cb *cb,
                                                void *context);

/* Send without answer: nobody learns whether it was stored. Copies message. */
RAFTMQ_API enum raftmq_status raftmq_send_oneway(struct raftmq_producer *producer,
                                                 const struct raftmq_message *message);

/* Take back a message with delay_ms or deliver_at_ms before it is delivered, by the handle of its
 * send result. With raftmq, RAFTMQ_OK means that it will never be delivered; Apache RocketMQ has
 * recorded the wish by then. RAFTMQ_REFUSED with code 604: it was delivered or recalled before, or
 * the handle is of another topic; with 16: the broker's recallMessageEnable is not set. Waits. */
RAFTMQ_API enum raftmq_status raftmq_recall(struct raftmq_client *client, const char *topic,
                                            const char *handle, uint64_t timeout_ms,
                                            struct raftmq_error *error);

/* The local half of a transaction, called on the calling thread once the broker holds the message
 * back. What it returns decides. */
typedef enum raftmq_transaction raftmq_execute_cb(void *context,
                                                  const struct raftmq_send_result *result);

/* Send a message that becomes visible only if execute() (or a later check) commits it. Waits for
 * the broker, not for the outcome to be stored: that is sent without answer, and if it is lost the
 * broker asks through the check callback. *outcome is what execute() said; it is ROLLBACK without
 * execute() having been called if the broker stored the message less safely than asked for. */
RAFTMQ_API enum raftmq_status
raftmq_send_transaction(struct raftmq_producer *producer, const struct raftmq_message *message,
                        uint64_t timeout_ms, raftmq_execute_cb *execute, void *context,
                        struct raftmq_send_result *result, enum raftmq_transaction *outcome,
                        struct raftmq_error *error);

/* ---- Requests and replies -------------------------------------------------------------------- */

/* The reply to a request. Free with raftmq_reply_free(). */
struct raftmq_reply {
    const struct raftmq_received *message;
};

/* Send a message and wait for the reply of a consumer of its topic; timeout_ms is for both
 * together. Any one of the consumers may reply, also one of another language. RAFTMQ_TIMED_OUT:
 * the request may have been handled. The reply is not stored by raftmq: it is lost if the broker
 * that brings it fails. The message may not be delayed. Free *reply with raftmq_reply_free(). */
RAFTMQ_API enum raftmq_status raftmq_request(struct raftmq_producer *producer,
                                             const struct raftmq_message *message,
                                             uint64_t timeout_ms, struct raftmq_reply **reply,
                                             struct raftmq_error *error);
RAFTMQ_API void raftmq_reply_free(struct raftmq_reply *reply);

/* Reply to a message whose sender waits for it; a listener may call this. Waits until the sender
 * has the reply. RAFTMQ_INVALID_ARGUMENT: nobody waits for a reply to this message. RAFTMQ_REFUSED:
 * its sender is gone or does not wait any longer. */
RAFTMQ_API enum raftmq_status raftmq_answer(struct raftmq_producer *producer,
                                            const struct raftmq_received *request, const void *body,
                                            size_t body_size, uint64_t timeout_ms,
                                            struct raftmq_error *error);

/* ---- Push consumer --------------------------------------------------------------------------- */

struct raftmq_consumer;

enum raftmq_consumed {
    RAFTMQ_CONSUMED = 0,
    RAFTMQ_CONSUME_LATER = 1,   /* Deliver it again after a while. */
    RAFTMQ_CONSUME_GIVE_UP = 2, /* Never again: a dead letter at once; broadcasting: dropped. */
};

/* Called on a worker thread, for several messages at the same time; of an orderly consumer, for one
 * message of a queue at a time. */
typedef enum raftmq_consumed raftmq_listener_cb(void *context,
                                                const struct raftmq_received *message);

enum raftmq_consume_from {
    RAFTMQ_FROM_LAST = 0,  /* A new group begins with messages sent from now on. */
    RAFTMQ_FROM_FIRST = 1, /* A new group begins with the oldest message there is. */
};

enum raftmq_expression {
    RAFTMQ_TAGS = 0, /* "*" or NULL: all messages; "a || b": those with one of these tags. */
    /* Conditions on properties: "region = 'eu' AND price BETWEEN 5 AND 9". Apache RocketMQ refuses
     * it unless its enablePropertyFilter is set. */
    RAFTMQ_SQL92 = 1,
};

struct raftmq_subscription {
    const char *topic;
    const char *expression;
    enum raftmq_expression type; /* Of the expression. */
};

struct raftmq_consumer_options {
    const char *group; /* Required. */
    /* At least one, each of another topic. The retry topic of the group is subscribed to without
     * being asked for, and must not be among them unless it is broadcasting. */
    const struct raftmq_subscription *subscriptions;
    size_t subscription_count;
    raftmq_listener_cb *listener; /* Required; valid, with context, until the consumer is closed. */
    void *context;
    enum raftmq_consume_from from;
    uint32_t pull_messages_max;  /* Messages of one pull. 0: 32 */
    uint32_t queue_messages_max; /* Messages of one queue held here at one time. 0: 1000 */
    /* Orderly: messages of a queue are delivered one at a time, in their order, by the one member
     * of the group that has the queue's lock. LATER has the queue wait for redeliver_ms; then the
     * same message comes again. A queue goes to another member only after the listener has
     * returned and the offset is stored. The lock is renewed as long as the broker answers; if it
     * does not for 30 s, no further message is delivered. A listener that goes on for 30 s more
     * then, may have company. Members that are killed keep their locks for a minute. */
    bool orderly;
    /* Broadcasting: this consumer gets the messages of all queues, whoever else is in the group.
     * How far it is, is kept in a file of offsets_directory, which is required and must exist; one
     * consumer of a group has it at a time. A message that fails is delivered again here and
     * given up, with a warning, after retries_max. There are no dead letters and no locks. Brokers
     * know no offsets of it, so `raftmq offset reset` means nothing to it. */
    bool broadcasting;
    const char *offsets_directory;
    /* A message that fails once more after so many retries is a dead letter of the group. 0: as the
     * group's configuration says (16); orderly: never; broadcasting: 16. The retries of orderly and
     * broadcasting consumers are counted here, and anew by another member or process. */
    uint32_t retries_max;
    /* Level of the delay (1 to 18) before a message that failed comes again; 0: the broker's
     * choice, longer each time. Not for orderly consumers. */
    int32_t retry_level;
    /* Before a message whose listener said LATER is delivered again by this consumer itself: an
     * orderly or broadcasting one, or any if the broker did not take the message back. Unless it
     * is orderly, or longer, this doubles each time up to a minute. 0: 1000 */
    uint64_t redeliver_ms;
};

/* Start consuming: join the group (of which a client may have one consumer), share its queues with
 * the other members, pull, call the listener. A message is done when the listener says so; it is
 * delivered at least once, again after LATER and after a crash of this process. If the group is
 * reset, it goes on where that says: what was pulled before is forgotten, and what listeners that
 * run say does not count. It pulls, whatever brokers were told by SET_MESSAGE_REQUEST_MODE. Copies
 * options.
 *
 * Waits if there is an SQL92 expression, to ask a broker about it: RAFTMQ_REFUSED if that does not
 * take it (code 23: it is not valid, error.remark has the place). It is not asked about while the
 * topic has no broker that answers. */
RAFTMQ_API enum raftmq_status raftmq_consumer_new(struct raftmq_client *client,
                                                  const struct raftmq_consumer_options *options,
                                                  struct raftmq_consumer **consumer,
                                                  struct raftmq_error *error);

/* Leave the group and free. Waits for listeners that run and, up to the client's timeout, for the
 * brokers to store how far it got. NULL is harmless. */
RAFTMQ_API void raftmq_consumer_close(struct raftmq_consumer *consumer);

/* Queues that it consumes at the moment. */
RAFTMQ_API size_t raftmq_consumer_queue_count(const struct raftmq_consumer *consumer);

/* ---- Pulling by hand ------------------------------------------------------------------------- */

struct raftmq_queue {
    const char *topic;
    const char *broker;
    int32_t queue_id;
};

struct raftmq_queues {
    size_t count;
    const struct raftmq_queue *queues;
};

/* The queues of a topic that can be read. Waits. Free with raftmq_queues_free(). */
RAFTMQ_API enum raftmq_status raftmq_topic_queues(struct raftmq_client *client, const char *topic,
                                                  struct raftmq_queues **queues,
                                                  struct raftmq_error *error);
RAFTMQ_API void raftmq_queues_free(struct raftmq_queues *queues);

enum raftmq_pull_status {
    RAFTMQ_PULL_FOUND = 0,
    RAFTMQ_PULL_NONE = 1,         /* Nothing (more) there. */
    RAFTMQ_PULL_NO_MATCH = 2,     /* Messages, but none that passes: pull on at next_offset. */
    RAFTMQ_PULL_OFFSET_MOVED = 3, /* No such offset: next_offset is the nearest. */
};

struct raftmq_pulled {
    enum raftmq_pull_status status;
    int64_t next_offset;
    int64_t offset_min;
    int64_t offset_max;
    size_t count;
    const struct raftmq_received *messages;
};

struct raftmq_pull_options {
    const char *group; /* Required. */
    struct raftmq_queue queue;
    int64_t offset;
    uint32_t messages_max;  /* 0: 32 */
    const char *expression; /* NULL: all. */
    enum raftmq_expression expression_type;
    uint64_t hold_ms; /* How long the broker may wait for a message to come. 0: not at all. */
};

/* Pull once. Waits, for the timeout beyond hold_ms (Apache RocketMQ may hold it 5000 ms longer, and
 * is given that time). Free with raftmq_pulled_free(). */
RAFTMQ_API enum raftmq_status raftmq_pull(struct raftmq_client *client,
                                          const struct raftmq_pull_options *options,
                                          struct raftmq_pulled **pulled,
                                          struct raftmq_error *error);
RAFTMQ_API void raftmq_pulled_free(struct raftmq_pulled *pulled);

/* The oldest offset, the next one to be written, and the first of a message stored at or after a
 * time (if there is none, the next one to be written; Apache RocketMQ 4.9 answers the last). Wait.
 */
RAFTMQ_API enum raftmq_status raftmq_offset_min(struct raftmq_client *client,
                                                const struct raftmq_queue *queue, int64_t *offset,
                                                struct raftmq_error *error);
RAFTMQ_API enum raftmq_status raftmq_offset_max(struct raftmq_client *client,
                                                const struct raftmq_queue *queue, int64_t *offset,
                                                struct raftmq_error *error);
RAFTMQ_API enum raftmq_status raftmq_offset_search(struct raftmq_client *client,
                                                   const struct raftmq_queue *queue,
                                                   int64_t time_ms, int64_t *offset,
                                                   struct raftmq_error *error);

/* How far a group got, as the broker knows it: RAFTMQ_REFUSED with code 22 if it never said
 * (Apache RocketMQ 4.9: 0, as long as it has the queue's oldest messages in memory). Wait. Apache
 * RocketMQ 5.x refuses an update (code 26) for a group of which there was never a consumer. */
RAFTMQ_API enum raftmq_status raftmq_offset_query(struct raftmq_client *client, const char *group,
                                                  const struct raftmq_queue *queue, int64_t *offset,
                                                  struct raftmq_error *error);
RAFTMQ_API enum raftmq_status raftmq_offset_update(struct raftmq_client *client, const char *group,
                                                   const struct raftmq_queue *queue, int64_t offset,
                                                   struct raftmq_error *error);

/* ---- Simple consumer ------------------------------------------------------------------------- */

/* Consuming without having queues (RocketMQ's SimpleConsumer; POP on the wire): the broker hands
 * each message to one member of the group that asks, and hides it from the others for an invisible
 * time. Who is done with it acknowledges it by its handle; if nobody has by then, it is delivered
 * again, to anyone. All of that is with the broker: a member that ends has nothing to give back,
 * and is seen by nobody while it asks for nothing. There are no dead letters: who gives a message
 * up acknowledges it. A group should be consumed in one way only, this or pulling.
 *
 * Needs raftmq or Apache RocketMQ 5.x. */
struct raftmq_simple_consumer;

struct raftmq_simple_consumer_options {
    const char *group;                               /* Required. */
    const struct raftmq_subscription *subscriptions; /* 1 to 64, each of another topic. */
    size_t subscription_count;
    enum raftmq_consume_from from;
};

/* Make a simple consumer; any number may be of one group. Copies options. Nothing is sent: an
 * expression that brokers do not take is refused by raftmq_receive(). */
RAFTMQ_API enum raftmq_status
raftmq_simple_consumer_new(struct raftmq_client *client,
                           const struct raftmq_simple_consumer_options *options,
                           struct raftmq_simple_consumer **consumer, struct raftmq_error *error);

/* Free. No raftmq_receive() of it may be under way. What was received may still be acknowledged.
 * NULL is harmless. */
RAFTMQ_API void raftmq_simple_consumer_close(struct raftmq_simple_consumer *consumer);

/* Messages received; free with raftmq_messages_free(). */
struct raftmq_messages {
    size_t count;
    const struct raftmq_received *messages;
};

enum { RAFTMQ_RECEIVE_MAX = 32 };

/* Receive at most messages_max messages (0: RAFTMQ_RECEIVE_MAX, which is the most), hidden from
 * others for invisible_ms (at least 1; brokers cut it at some days). Any queue of any broker that
 * serves one of the topics may have them; those of one call are of one topic and one broker. If
 * there are none, waits up to await_ms for some to come, or to become visible again. RAFTMQ_OK with
 * a count of 0: none came. Several threads may receive at the same time.
 *
 * A broker that fails or has no leader is passed over and asked again a little later: messages of
 * the others are received meanwhile. What it handed out by an answer that was lost comes again
 * after the invisible time. So an error is returned only if no broker could be asked until then, or
 * if one refused for good. A broker that does not answer is waited for as long as the client's
 * timeout_ms says, beyond await_ms if need be.
 *
 * Errors (nothing is to be freed):
 *   RAFTMQ_NO_ROUTE  no nameserver knows a broker of any of the topics: told at once. None answers:
 *                    told after the client's timeout_ms. No broker has a leader: told after
 *                    await_ms
 *   RAFTMQ_REFUSED   by error.code: 16 the group or topic may not be read, 23 the expression is not
 *                    valid, 26 there is no such group and brokers do not make one */
RAFTMQ_API enum raftmq_status raftmq_receive(struct raftmq_simple_consumer *consumer,
                                             uint32_t messages_max, uint64_t invisible_ms,
                                             uint64_t await_ms, struct raftmq_messages **messages,
                                             struct raftmq_error *error);
RAFTMQ_API void raftmq_messages_free(struct raftmq_messages *messages);

/* Acknowledge a message that the group received: it is done, and will not come again. `topic` and
 * `handle` are the message's. A handle is a text without line breaks, shorter than
 * RAFTMQ_HANDLE_SIZE: another thread, client or process may acknowledge by it, at whichever broker
 * leads by then. Waits.
 *
 * RAFTMQ_REFUSED with code 208: that delivery is over, and nothing was done. The message was
 * acknowledged before, or its invisible time is over and somebody else has it, or it is gone.
 * (Apache RocketMQ does not look: it answers RAFTMQ_OK and may deliver the message once more.)
 * RAFTMQ_CONNECTION_LOST and RAFTMQ_TIMED_OUT: it may have been done. Call it again: RAFTMQ_OK, or
 * 208 if the first call did it or the time was over. */
RAFTMQ_API enum raftmq_status raftmq_ack(struct raftmq_client *client, const char *group,
                                         const char *topic, const char *handle, uint64_t timeout_ms,
                                         struct raftmq_error *error);

enum { RAFTMQ_ACKS_MAX = 1024 };

/* Acknowledge up to RAFTMQ_ACKS_MAX messages of a topic with as few requests as there are brokers
 * that they are of. Deliveries that are over are passed over without a word: for them see
 * raftmq_ack(). The first failure is returned, after the other brokers were told. Calling it again
 * does no harm. Waits, timeout_ms for each broker. */
RAFTMQ_API enum raftmq_status raftmq_ack_all(struct raftmq_client *client, const char *group,
                                             const char *topic, const char *const *handles,
                                             size_t count, uint64_t timeout_ms,
                                             struct raftmq_error *error);

/* Have a received message hidden for invisible_ms from now on, instead of until when it was: longer
 * for work that takes longer, 0 for it to be delivered again at once. The handle is good for
 * nothing any more; new_handle is in its place. Waits. Errors as raftmq_ack(), with new_handle left
 * as it is; after an unknown outcome no handle may be good, and the message comes again by itself.
 */
RAFTMQ_API enum raftmq_status
raftmq_change_invisible(struct raftmq_client *client, const char *group, const char *topic,
                        const char *handle, uint64_t invisible_ms, uint64_t timeout_ms,
                        char new_handle[RAFTMQ_HANDLE_SIZE], struct raftmq_error *error);

/* ---- Administration -------------------------------------------------------------------------- */

struct raftmq_broker_address {
    int64_t id; /* 0: the leader. */
    const char *address;
};

struct raftmq_broker {
    const char *cluster;
    const char *name;
    size_t address_count;
    const struct raftmq_broker_address *addresses;
};

struct raftmq_topic_queues_of {
    const char *broker;
    int32_t read_queues;
    int32_t write_queues;
    int32_t perm; /* 4 read, 2 write, 1 template for topics made on first use. */
};

struct raftmq_route {
    size_t broker_count;
    const struct raftmq_broker *brokers;
    size_t queue_count;
    const struct raftmq_topic_queues_of *queues;
};

/* The route of a topic, and all brokers of all clusters (without queues), as a nameserver has them
 * now. Wait. Free with raftmq_route_free(). */
RAFTMQ_API enum raftmq_status raftmq_topic_route(struct raftmq_client *client, const char *topic,
                                                 struct raftmq_route **route,
                                                 struct raftmq_error *error);
RAFTMQ_API enum raftmq_status raftmq_cluster_info(struct raftmq_client *client,
                                                  struct raftmq_route **route,
                                                  struct raftmq_error *error);
RAFTMQ_API void raftmq_route_free(struct raftmq_route *route);

struct raftmq_topic_config {
    const char *topic;
    int32_t read_queues;  /* 0: 8 */
    int32_t write_queues; /* 0: 8 */
    int32_t perm;         /* 0: 6, read and write */
    bool order;
};

/* Create or change a topic at the leader of each broker of a cluster (NULL: of all clusters), or
 * delete it there and at all nameservers. The first refusal is returned. Wait. */
RAFTMQ_API enum raftmq_status raftmq_topic_create(struct raftmq_client *client, const char *cluster,
                                                  const struct raftmq_topic_config *config,
                                                  struct raftmq_error *error);
RAFTMQ_API enum raftmq_status raftmq_topic_delete(struct raftmq_client *client, const char *cluster,
                                                  const char *topic, struct raftmq_error *error);

struct raftmq_names {
    size_t count;
    const char *const *names;
};

/* All topics that nameservers know; all consumer groups that brokers know. Wait. Free with
 * raftmq_names_free(). */
RAFTMQ_API enum raftmq_status raftmq_topic_list(struct raftmq_client *client,
                                                struct raftmq_names **names,
                                                struct raftmq_error *error);
RAFTMQ_API enum raftmq_status raftmq_group_list(struct raftmq_client *client,
                                                struct raftmq_names **names,
                                                struct raftmq_error *error);
RAFTMQ_API void raftmq_names_free(struct raftmq_names *names);

struct raftmq_queue_stats {
    struct raftmq_queue queue;
    int64_t offset_min;
    int64_t offset_max;
    int64_t consumer_offset; /* Next to be consumed; -1 in statistics of a topic. */
    int64_t updated_ms;      /* Store time of the newest message, or of the last one consumed. */
};

struct raftmq_stats {
    size_t count;
    const struct raftmq_queue_stats *queues; /* By broker and queue. */
};

/* Offsets of all queues of a topic, and of those that a group consumes (topic NULL: all of its
 * topics). Wait. Free with raftmq_stats_free(). */
RAFTMQ_API enum raftmq_status raftmq_topic_stats(struct raftmq_client *client, const char *topic,
                                                 struct raftmq_stats **stats,
                                                 struct raftmq_error *error);
RAFTMQ_API enum raftmq_status raftmq_consume_stats(struct raftmq_client *client, const char *group,
                                                   const char *topic, struct raftmq_stats **stats,
                                                   struct raftmq_error *error);
RAFTMQ_API void raftmq_stats_free(struct raftmq_stats *stats);

struct raftmq_response {
    int32_t code;
    const char *remark; /* "" if none. */
    size_t field_count;
    const struct raftmq_property *fields;
    const void *body;
    size_t body_size;
};

/* Any request to any server: `address` is "ip:port", or NULL for a nameserver. RAFTMQ_OK means that
 * an answer came: its code may still be a refusal. Waits. Free with raftmq_response_free(). */
RAFTMQ_API enum raftmq_status raftmq_invoke(struct raftmq_client *client, const char *address,
                                            int32_t code, const struct raftmq_property *fields,
                                            size_t field_count, const void *body, size_t body_size,
                                            uint64_t timeout_ms, struct raftmq_response **response,
                                            struct raftmq_error *error);
RAFTMQ_API void raftmq_response_free(struct raftmq_response *response);

#ifdef __cplusplus
}
#endif

#endif
