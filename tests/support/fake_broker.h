/* A nameserver and two brokers in a thread of their own: enough of RocketMQ's behaviour for the
 * client library's tests, and the misbehaviour they need. Knobs and counters are atomic: tests set
 * and read them while it runs. */
#ifndef TESTS_SUPPORT_FAKE_BROKER_H
#define TESTS_SUPPORT_FAKE_BROKER_H

#include "tests/support/loop_peer.h"

#include "common/base/name.h"

#include <stdatomic.h>

/* base64url of "v1 T broker-b 1 id": of every timer message. */
#define FAKE_RECALL_HANDLE "djEgVCBicm9rZXItYiAxIGlk"

/* A request that is answered by the largest frame there can be, with the shortest header. */
enum { FAKE_REQUEST_LARGEST = 4712 };

enum { FAKE_BROKERS = 2, FAKE_QUEUES = 2, FAKE_MESSAGES_MAX = 4096, FAKE_HALVES_MAX = 64 };

/* What became of a message by popping. */
struct fake_popped {
    int64_t pop_ms; /* Of the last delivery; 0: none yet. */
    int64_t first;  /* Where the broker began to look in that queue. */
    uint64_t due_ms;
    int32_t times;
    bool done;
};

struct fake_queue {
    size_t count;
    struct buf messages[FAKE_MESSAGES_MAX]; /* Encoded. */
    struct fake_popped popped[FAKE_MESSAGES_MAX];
    int64_t committed;  /* Offset of the one group; -1: none. */
    struct name holder; /* Client that has the lock; empty: none. */
};

struct fake_half {
    struct buf encoded;
    int32_t outcome; /* -1: none yet. */
};

struct fake_held {
    struct list node;
    int broker;
    uint64_t conn_id;
    struct command request; /* Only opaque and form are kept. */
    int peer;               /* That it came to. */
    int32_t queue_id;
    int64_t offset;
    uint64_t since;
    bool counted; /* In pulls_held. */
};

/* One who waits to be told of messages. */
struct fake_watch {
    struct list node;
    int broker;
    uint64_t conn_id;
    struct command request; /* Only opaque and form are kept. */
    uint64_t until;
};

/* One who waits for a route. */
struct fake_late {
    struct list node;
    int broker;
    uint64_t conn_id;
    struct command request; /* Only opaque and form are kept. */
    struct name topic;
    uint64_t due;
};

/* One who waits to hear of the members. */
struct fake_curious {
    struct list node;
    int broker;
    uint64_t conn_id;
    struct command request; /* Only opaque and form are kept. */
    struct buf members;     /* As they were when it asked. */
};

struct fake_broker {
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t tick;
    atomic_bool stopping;
    atomic_bool drop_connections;         /* Once: close all connections. */
    atomic_int drops;                     /* How often that was done. */
    struct loop_peer peers[FAKE_BROKERS]; /* The first one is the nameserver, too. */
    struct fake_queue queues[FAKE_BROKERS][FAKE_QUEUES];
    struct fake_half halves[FAKE_HALVES_MAX];
    size_t half_count;
    struct list held;
    struct list watches;
    struct list late;
    struct list curious;
    int64_t last_pop_ms;
    struct buf members; /* JSON list of client ids. */
    size_t member_count;

    /* Knobs. */
    atomic_int refuse_sends;     /* So many sends are refused, */
    atomic_int refuse_code;      /* with this code, */
    atomic_int refuse_broker;    /* by this broker; -1: by any. */
    atomic_bool hint_other;      /* Refusals with 14 name the other broker as leader. */
    atomic_bool swallow_sends;   /* Sends are not answered. */
    atomic_int lose_sends;       /* Upon so many sends the connection is closed. */
    atomic_int routes_late_ms;   /* Questions for routes are answered so much later. */
    atomic_bool unknown_topic;   /* Only the template topic has a route. */
    atomic_bool takes_back;      /* CONSUMER_SEND_MSG_BACK is supported. */
    atomic_bool ask_unknown;     /* An undecided outcome is asked about at once. */
    atomic_int send_status;      /* Code of successful sends. */
    atomic_int check_code;       /* Answer to CHECK_CLIENT_CONFIG. */
    atomic_bool swallow_offsets; /* Offsets are stored, but that is not answered. */
    atomic_bool hold_members;    /* Who asks for the members has to wait. */
    atomic_bool notify;          /* Once: tell all clients that the members changed. */
    atomic_bool deny_locks;      /* No queue is locked, whoever had it. */
    atomic_bool reset;           /* Once: tell all clients to go on at offset 0. */
    /* Pops are answered as Apache RocketMQ does: of several queues at once, and with the handle
     * inside messages that come again, which are of a retry topic then. */
    atomic_bool pop_as_apache;
    atomic_bool pop_bare;              /* Answers do not name the offsets. */
    atomic_int pop_code[FAKE_BROKERS]; /* All pops and watches there are refused; 0: none. */
    atomic_bool swallow_acks;          /* They are done but not answered. */
    atomic_bool false_notices;         /* Whoever watches is told of messages. */
    atomic_int watch_ms;       /* Watches end after so long, whatever they asked for; 0: not. */
    atomic_int skip_to;        /* Pulls below are moved to this offset; 0: none. */
    atomic_int follower_id;    /* Each broker is a follower of the other by that id, if not 0, */
    atomic_int suggest;        /* and leaders suggest this id to pulls. */
    atomic_bool keep_readers;  /* Followers suggest themselves, not the leader. */
    atomic_int refuse_readers; /* So many pulls from followers fail. */

    /* Counters. */
    atomic_int sends;
    atomic_int oneways;
    atomic_int heartbeats;
    atomic_int unregisters;
    atomic_int commits;
    atomic_int rollbacks;
    atomic_int unknowns;
    atomic_int checks_answered; /* END_TRANSACTIONs with fromTransactionCheck. */
    atomic_int given_back;
    atomic_int dead_letters;     /* Given back with level -1. */
    atomic_int last_retry_level; /* Of the last one that was given back. */
    atomic_int last_retries_max; /* -1: it named none. */
    atomic_int notices;          /* How often clients were told of changed members. */
    atomic_int members_asked;    /* Questions for them. */
    atomic_int locks;            /* Requests. */
    atomic_int unlocks;
    atomic_int sql_checks; /* CHECK_CLIENT_CONFIG about an SQL92 expression. */
    atomic_int sql_pulls;
    atomic_int skips;       /* Pulls that were moved by skip_to. */
    atomic_int pulls_ahead; /* Pulls at or above it. */
    atomic_int pulls_held;  /* Now, at ends of queues of T. */
    atomic_int pulls_led;   /* From leaders, and */
    atomic_int pulls_followed;
    atomic_int commits_followed; /* of these, with an offset to commit. */
    atomic_int sends_of[FAKE_BROKERS];
    atomic_int last_offset[FAKE_BROKERS][FAKE_QUEUES]; /* Committed by the group. */
    atomic_int most_offset;                            /* Ever committed in any queue. */
    atomic_int replies;                                /* Sent to whoever waits. */
    atomic_int replies_taken;                          /* What clients said of them. */
    atomic_int replies_refused;
    atomic_int pops_of[FAKE_BROKERS];
    atomic_int watches_of[FAKE_BROKERS];
    atomic_int watches_held_most; /* At one broker, at one time. */
    atomic_int acks;              /* Messages that were acknowledged. */
    atomic_int ack_requests;      /* ACK_MESSAGE and BATCH_ACK_MESSAGE. */
    atomic_int sql_pops;
    atomic_int recalls_of[FAKE_BROKERS];
    atomic_int admin_calls;
};

/* Start; it listens when this returns. */
void fake_broker_start(struct fake_broker *fake);
void fake_broker_stop(struct fake_broker *fake);

/* "127.0.0.1:port" of the nameserver. Static storage of the caller: at least 32 bytes. */
const char *fake_broker_address(const struct fake_broker *fake, char text[32]);

/* Set fake->reset and see to it. */
void fake_broker_reset(struct fake_broker *fake);

/* Set fake->notify and see to it. */
void fake_broker_notify(struct fake_broker *fake);

/* Close all connections, as a restart would. */
void fake_broker_drop(struct fake_broker *fake);

#endif
