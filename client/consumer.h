/* Inside the library: push consumers, their queues and deliveries. Loop thread only.
 *
 *   rebalance.c  which queues are ours
 *   queue.c      where a queue begins, pulling it, telling the broker how far we are
 *   delivery.c   one message: to the listener, and again if it says so
 *   broadcast.h  where a broadcasting consumer is
 *   locks.c      of orderly consumers: the locks of our queues, taken, renewed, given up */
#ifndef CLIENT_CONSUMER_H
#define CLIENT_CONSUMER_H

#include "client/broadcast.h"
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
    struct consumer_topic *topics; /* The last one is the group's retry topic, if it has one. */
    struct broadcast broadcast;
    struct list in_client;
    struct list queues;     /* struct consumed_queue, ours now. */
    struct list rounds;     /* struct round, see rebalance.c */
    struct list leaving;    /* struct consumed_queue: not ours any more, but still locked. */
    struct list lock_calls; /* struct lock_call, see locks.c */
    struct alarm locks;
    struct alarm rebalance;
    bool members_changed; /* Since the rounds under way began. */
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
    int64_t pull_from;      /* Broker id that the last answer to a pull suggested; 0: the leader. */
    int64_t next_offset;    /* To be pulled. */
    int64_t stored_offset;  /* The broker knows; -1: nothing. */
    int64_t storing_offset; /* Being told to it; -1: nothing. */
    int storing;            /* Only its address is used: context of that call. */
    bool suspended;         /* Orderly: the first delivery has to wait. */
    bool lock_asked;        /* In the lock request under way. */
    /* Monotonic time up to which we rely on our lock; 0: not held. Read by workers. */
    atomic_uint_least64_t lock_until_ms;
    struct list deliveries; /* Ascending by offset: the first is the oldest not done. */
    struct list stale;      /* Deliveries that run but do not count: the queue was rewound. */
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
    bool skipped;      /* The worker did not call the listener. */
    atomic_bool stale; /* The queue was rewound: how it ends does not matter. Read by workers. */
};

/* For the heartbeat. Borrows from consumer and arena. */
void consumer_describe(const struct raftmq_consumer *consumer, struct arena *arena,
                       struct consumer_data *out);

/* A broker says where a group shall go on (220). */
void consumers_on_reset(struct raftmq_client *client, const struct command *command);

/* A broker says that a group's members changed. */
void consumers_on_members_changed(struct raftmq_client *client, struct slice group);

/* The alarm consumer->rebalance. */
void rebalance_on_alarm(struct alarm *alarm);
/* The group's members changed: look at our share, when the rounds under way have ended. */
void rebalance_anew(struct raftmq_consumer *consumer);
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
/* Forget deliveries that are not running; next_offset goes back to the first of them. */
void queue_forget_waiting(struct consumed_queue *queue);
/* Go on at another offset (-1: where the broker says), as if nothing had been pulled. Deliveries
 * that run do not count any more. */
void queue_rewind(struct consumed_queue *queue, int64_t offset);
/* The same at the wish of an operator, of which the broker may not know: it is told at once. */
void queue_reset(struct consumed_queue *queue, int64_t offset);
/* Orderly: hand over the next message, unless one runs or has to wait, or the lock is not ours. */
void queue_serve(struct consumed_queue *queue);
/* Store how far we are; PENDING as connections_call(). */
WARN_UNUSED enum status queue_tell_offset(struct consumed_queue *queue, int64_t offset, rpc_cb *cb,
                                          void *context);
/* A delivery (a stale one?) is done: go on with what waited for it; free the queue if it was the
 * last of a dropped one. */
void queue_delivery_done(struct consumed_queue *queue, bool stale);
/* Where to send requests for this queue: its leader or else any replica; false if unknown. */
bool queue_host(const struct consumed_queue *queue, struct host *host);

/* Hand a message to the workers, of an orderly queue when its turn comes. Takes received. */
void delivery_begin(struct consumed_queue *queue, struct received *received);
void delivery_hand_over(struct delivery *delivery);
/* Forget a delivery that is not running. */
void delivery_forget(struct delivery *delivery);
/* Before a message that failed so often before is delivered again here: doubles each time, unless
 * others wait behind it. */
uint64_t delivery_pause_ms(const struct raftmq_consumer_options *options, uint32_t failures);

/* The alarm consumer->locks. */
void locks_on_alarm(struct alarm *alarm);
/* Closing: no more requests for locks. */
void locks_cancel(struct raftmq_consumer *consumer);
/* Does this consumer need locks? */
static inline bool consumer_locks(const struct raftmq_consumer *consumer)
{
    return consumer->options.orderly && !consumer->options.broadcasting;
}
/* Any thread: may messages of this queue be delivered? Always true if no locks are needed. */
bool lock_held(const struct consumed_queue *queue);
/* An orderly queue was dropped and nothing of it runs: store its offset, then unlock and free it.
 */
void lock_leave(struct consumed_queue *queue);
/* Tell the broker that we do not want the lock any more. */
void lock_release(struct consumed_queue *queue);

/* Closing: go on once no job runs. */
void consumer_finish_if_idle(struct raftmq_consumer *consumer);

#endif
