/* Inside the library: producers and their sends. Loop thread only, where nothing else is said. */
#ifndef CLIENT_PRODUCER_H
#define CLIENT_PRODUCER_H

#include "client/client.h"

struct raftmq_producer {
    struct raftmq_client *client;
    struct name group; /* Constant. */
    raftmq_check_cb *check;
    void *context;
    struct list in_client;
    struct list sends;     /* struct send */
    struct list requests;  /* struct request_call, see request.c */
    size_t checks_running; /* Jobs that may call `check`. */
    bool closing;
    uv_sem_t *closed; /* Posted when closing and nothing runs any more. */
};

/* One message, or one batch, until its outcome is known. */
struct send {
    struct task task;
    struct list in_producer;
    struct raftmq_producer *producer;
    struct name topic;
    struct buf body;
    struct buf properties;
    int32_t sys_flag;
    int32_t flag;
    int64_t born_ms;
    bool batch;
    bool oneway;
    bool sharded;
    uint32_t shard;
    uint64_t timeout_ms;

    uint64_t deadline_ms;  /* Loop time. */
    uint32_t attempts;     /* How often it was sent. */
    uint32_t counted;      /* Attempts that may have stored it. */
    uint32_t free_retries; /* Those that surely did not. */
    enum status lost;      /* How the last attempt ended that was not answered; STATUS_OK: none. */
    bool default_topic;    /* The topic is unknown: routed as the template for new topics. */
    struct name broker;    /* Of the last attempt. */
    int32_t queue_id;
    bool hinted; /* The next attempt goes to hint, for the same queue. */
    struct host hint;
    struct route_waiter waiter;
    struct alarm alarm;
    struct buf scratch;

    struct raftmq_send_result result;
    struct raftmq_error error;
    void (*done)(struct send *send); /* Loop thread; the send is unlinked and its to free. */
    void *done_context;
    raftmq_send_cb *callback; /* Of an asynchronous one. */
};

/* Start a send (from its task). */
void send_start(struct task *task);

/* End it as it stands in result and error. */
void send_end(struct send *send);

void send_free(struct send *send);

/* Any thread: check a message and make the send of it. */
enum raftmq_status send_make(struct raftmq_producer *producer, const struct raftmq_message *message,
                             uint64_t timeout_ms, bool transaction, struct send **out,
                             struct raftmq_error *error);
/* Any thread but the client's own: carry it out. Takes send; result and error may be NULL. */
enum raftmq_status send_and_wait(struct send *send, struct raftmq_send_result *result,
                                 struct raftmq_error *error);

/* Closing: end the requests that wait. */
void requests_cancel(struct raftmq_producer *producer);
/* A broker brings a reply (326): was somebody waiting for it? */
bool requests_on_reply(struct raftmq_client *client, const struct command *command);

/* Post producer->closed if it is closing and nothing of it runs. */
void producer_finish_if_idle(struct raftmq_producer *producer);

/* The producer of a group; NULL if there is none. */
struct raftmq_producer *producer_find(const struct raftmq_client *client, struct slice group);

/* The broker asks what became of a transaction (39). */
void transaction_on_check(struct raftmq_client *client, struct host host,
                          const struct command *command);

/* Tell the broker that stored a half message what was decided. */
void transaction_end(struct raftmq_producer *producer, const struct raftmq_send_result *result,
                     const char *topic, enum raftmq_transaction outcome);

/* Any thread: take a place among the sends in flight and `count` message ids; false if there is no
 * place. */
bool client_admit_send(struct raftmq_client *client, size_t count, char (*ids)[UNIQUE_KEY_SIZE]);
void client_release_send(struct raftmq_client *client);

#endif
