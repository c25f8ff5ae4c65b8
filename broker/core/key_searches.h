/* Searches by key that are under way. One for an old message, or for one that there is not, looks
 * through all that the index has; it takes a step in each turn of the loop, and searches that come
 * together take turns. Loop thread only. */
#ifndef BROKER_CORE_KEY_SEARCHES_H
#define BROKER_CORE_KEY_SEARCHES_H

#include "broker/machine/machine.h"

enum { KEY_SEARCHES_MAX = 1000 };

struct broker;
struct key_job;

typedef void key_job_cb(struct broker *broker, struct key_job *job, enum status status);

/* Embedded by who searches. */
struct key_job {
    struct key_search search;
    uint64_t channel_id; /* For whom: if it is gone, the search ends. */
    key_job_cb *done;    /* Called once: it is over, with what it has found so far. */
    struct list line;
};

struct key_searches {
    struct broker *broker;
    struct list line;
    size_t count;
};

void key_searches_init(struct key_searches *searches, struct broker *broker);
/* Ends those under way with STATUS_SHUTTING_DOWN. */
void key_searches_close(struct key_searches *searches);

/* Begin. done() may be called before this returns.
 * Errors (nothing is begun): STATUS_OVERLOADED  too many are under way. */
WARN_UNUSED enum status key_searches_start(struct key_searches *searches, struct slice topic,
                                           struct slice key, struct key_job *job);

/* At the end of a turn. */
void key_searches_turn(struct key_searches *searches);

#endif
