/* Inside the library: simple consumers, and the calls of raftmq_receive() that wait.
 *
 *   simple_consumer.c  the object; one call: which place is asked next, what came of it
 *   places.c           what is known of each place; watching those that have nothing
 *   popped.h           the request that takes messages, and what it brings
 *   ack.c              acknowledging by handles, which needs no consumer
 *
 * A calling thread and the loop take turns: the loop says which place is to be asked, the thread
 * asks it and says what came of it. */
#ifndef CLIENT_SIMPLE_CONSUMER_H
#define CLIENT_SIMPLE_CONSUMER_H

#include "client/client.h"

enum { SIMPLE_TOPICS_MAX = 64, PLACES_MAX = 4096 };

struct simple_topic {
    struct name topic;
    struct buf expression;
    enum raftmq_expression type;
};

/* A broker that serves one of the topics, and what we know of messages there.
 *
 *   PLACE_OPEN ──nothing there──► PLACE_WATCHED ──there is something──► PLACE_OPEN
 *     │    ▲                           │
 *     │    └──after a pause──┐         └──failed──┐
 *     └──────failed────► PLACE_RESTING ◄──────────┘ */
enum place_state {
    PLACE_OPEN,    /* It may have some. */
    PLACE_WATCHED, /* It had none; the broker holds a request and will tell. */
    PLACE_RESTING, /* It failed, or told of messages too often that were not there. */
};

/* Lives as long as the consumer. */
struct place {
    struct raftmq_simple_consumer *consumer;
    const struct simple_topic *topic;
    struct name broker;
    enum place_state state;
    bool served;       /* The route has it. */
    uint32_t vain;     /* How often in a row we were told of messages and found none. */
    uint64_t asked_ms; /* Loop time at which watching began. */
    struct alarm rest;
};

struct raftmq_simple_consumer {
    struct raftmq_client *client;
    struct name group;
    enum raftmq_consume_from from;
    size_t topic_count;
    struct simple_topic *topics;
    /* The rest belongs to the loop thread. */
    size_t place_count;
    struct place *places[PLACES_MAX];
    size_t turn;         /* The place that the next call begins with. */
    struct list waiting; /* struct receive: for a place to open. */
};

/* What a thread found at a place. */
enum place_found { FOUND_SOME, FOUND_NONE, FOUND_FAILURE };

/* Take the places of the known routes; those that no route has any more are not served. How many
 * are. */
size_t places_learn(struct raftmq_simple_consumer *consumer);

/* Something was looked for there. If nothing was found and `wait`, the place is watched from now
 * on. */
void place_found(struct place *place, enum place_found found, bool wait);

/* Closing: stop watching and free all. */
void places_close(struct raftmq_simple_consumer *consumer);

/* A place is open: have somebody who waits ask it. */
void simple_consumer_wake(struct raftmq_simple_consumer *consumer);

#endif
