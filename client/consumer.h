/* Inside the library: push consumers, their queues and deliveries. Loop thread only.
 *
 *   rebalance.c  which queues are ours
 *   queue.c      where a queue begins, pulling it, telling the broker how far we are
 *   delivery.c   one message: to the listener, and again if it says so */
#ifndef CLIENT_CONSUMER_H
#define CLIENT_CONSUMER_H

#include "client/client.h"
#include "client/received.h"
#include "common/remoting/body_heartbeat.h"

#include <stdatomic.h>

struct consumer_topic {
    struct name topic;
    struct buf expression;
    enum raftmq_expression type;
};

struct raftmq_consumer {
    struct raftmq_client *client;
    struct raftmq_consumer_options options; /* Defaults filled in; pointers not valid. */
    struct name group;
    raftmq_listener_cb *listener;
    void *context;
    int64_t version; /* Of the subscriptions: when it was made. */
    size_t topic_count;
    struct consumer_topic *topics; /* The last one is the group's retry topic. */
    struct list in_client;
    struct list queues; /* struct consumed_queue, ours now. */
    struct list rounds; /* struct round, see rebalance.c */
    struct alarm rebalance;
    struct alarm persist;
    size_t jobs_running;  /* Deliveries at the workers. */
    size_t calls_running; /* Last words to brokers while closing. */
    atomic_bool stopping; /* Read by workers: do not begin with another message. */
    bool closing;
    uv_sem_t *closed;
};

struct consumed_queue {
    struct list in_consumer;
    struct raftmq_consumer *consumer;
    const struct consumer_topic *topic;
    struct name broker;
    int32_t queue_id;
    bool located;           /* next_offset is known. */
    bool pulling;           /* A pull is under way. */
    bool dropped;           /* Not ours any more; goes with its last running delivery. */
    bool refusal_told;      /* That the broker does not take the expression. */
    bool keeps_failures;    /* The broker does not take messages back. */
    int64_t next_offset;    /* To be pulled. */
    int64_t stored_offset;  /* The broker knows; -1: nothing. */
    int64_t storing_offset; /* Being told to it; -1: nothing. */
    int storing;            /* Only its address is used: context of that call. */
    struct list deliveries; /* Ascending by offset: the first is the oldest not done. */
    size_t delivery_count;
    size_t delivery_size;
    size_t running_count;
    struct alarm again;
};

struct delivery {
    struct list in_queue;
    struct consumed_queue *queue;
    struct received received;
    struct job job;
    struct alarm again;
    enum raftmq_consumed verdict;
    uint32_t failures;
    bool running;
};

/* For the heartbeat. Borrows from consumer and arena. */
void consumer_describe(const struct raftmq_consumer *consumer, struct arena *arena,
                       struct consumer_data *out);

/* A broker says that a group's members changed. */
void consumers_on_members_changed(struct raftmq_client *client, struct slice group);

/* The alarm consumer->rebalance. */
void rebalance_on_alarm(struct alarm *alarm);
/* End the rounds under way. */
void rebalance_cancel(struct raftmq_consumer *consumer);

/* Begin with a queue. */
void queue_take(struct raftmq_consumer *consumer, const struct consumer_topic *topic,
                struct slice broker, int32_t queue_id);
/* Give a queue up, after telling the broker how far we got. */
void queue_drop(struct consumed_queue *queue);
/* All before this offset is done. */
int64_t queue_committed(const struct consumed_queue *queue);
/* Tell the broker, if there is news. */
void queue_store(struct consumed_queue *queue);
/* A delivery is done: pull on if it was what held us up; free the queue if it was the last of a
 * dropped one. */
void queue_delivery_done(struct consumed_queue *queue);
/* Where to send requests for this queue: its leader or else any replica; false if unknown. */
bool queue_host(const struct consumed_queue *queue, struct host *host);

/* Hand a message to the workers. Takes received. */
void delivery_begin(struct consumed_queue *queue, struct received *received);
/* Forget a delivery that is not running. */
void delivery_forget(struct delivery *delivery);

/* Closing: go on once no job runs. */
void consumer_finish_if_idle(struct raftmq_consumer *consumer);

#endif
