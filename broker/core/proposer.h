/* The open batch: operations gather here and become one log entry.
 *
 * Batches without a timer: whatever came while the last write was in flight leaves with the next.
 * On the leader a batch goes to the replica; on a follower, as it is, to the leader, so every
 * replica takes writes. While no leader is known it waits for a bounded time. Each operation's
 * waiter is called exactly once: with the result of apply, or with why there is none. Loop thread
 * only. */
#ifndef BROKER_CORE_PROPOSER_H
#define BROKER_CORE_PROPOSER_H

#include "broker/core/request.h"
#include "broker/machine/machine.h"

struct broker;
struct waiter;

enum {
    /* Bytes that may wait to be proposed or forwarded. */
    PROPOSER_READY_MAX = 64 * 1024 * 1024,
    /* Forwarded bytes without an answer at which further batches wait: well below what ends a
     * connection that does not drain. */
    PROPOSER_FORWARDED_MAX = 8 * 1024 * 1024,
    /* Before a leader that said it is none is asked again. */
    PROPOSER_REFUSED_PAUSE_MS = 10,
};

/* The end of an operation: its result, or in result->status why there is none. `operation` is NULL
 * unless it was applied from a batch of this very replica. It may add further operations. */
typedef void waiter_cb(struct broker *broker, const struct waiter *waiter,
                       const struct operation *operation, const struct operation_result *result);

struct waiter {
    waiter_cb *done; /* NULL: nobody waits. */
    struct reply_to to;
    void *context;
    uint64_t number; /* The waiter's own. */
};

struct batch {
    struct list link;
    struct buf entry;
    struct waiter *waiters; /* One per operation. */
    uint32_t waiter_count;
    uint32_t waiter_capacity;
    size_t counted;      /* Its bytes in ready_size or forwarded_size. */
    uint64_t opened_ms;  /* Monotonic. */
    int32_t opaque;      /* Of the request to the leader, when forwarded, */
    uint64_t connection; /* and the number of the connection that it went over. */
};

struct proposer {
    struct broker *broker;
    struct list ready;     /* Closed or open batches not yet handed on, oldest first. */
    struct list proposed;  /* With the replica. */
    struct list forwarded; /* With the leader. */
    struct list spare;     /* For reuse. */
    uint32_t spare_count;
    uint32_t operation_count; /* Waiting, in all batches. */
    size_t ready_size;        /* Bytes in ready batches, */
    size_t forwarded_size;    /* and in forwarded ones. */
    int32_t next_opaque;
    uint64_t refused_ms;        /* Monotonic: the leader we know said it is none; 0: it did not. */
    uint64_t silent_connection; /* The last one on which a batch was not answered in time. */
};

void proposer_init(struct proposer *proposer, struct broker *broker);
void proposer_close(struct proposer *proposer);

/* Start adding operations of `size` bytes (about): the buffer to use with entry_operation_begin()
 * and friends. Each operation added must be followed by proposer_add() at once.
 * Errors: STATUS_OVERLOADED  inflight_max operations or PROPOSER_READY_MAX bytes are waiting;
 *         STATUS_DISK_FULL   we lead, and the log has no room. */
WARN_UNUSED enum status proposer_begin(struct proposer *proposer, size_t size, struct buf **entry);
/* Who waits for the operation just added. Copies. */
void proposer_add(struct proposer *proposer, const struct waiter *waiter);

/* Hand on what can be. */
void proposer_turn(struct proposer *proposer);
/* Another leader, or another connection to it: what was refused need not wait. */
void proposer_on_leader_changed(struct proposer *proposer);
/* Give up what waited too long for a leader. */
void proposer_tick(struct proposer *proposer);

/* From apply: result of an operation of the batch that is being applied. */
void proposer_result(struct proposer *proposer, struct batch *batch, uint32_t ordinal,
                     const struct operation *operation, const struct operation_result *result);
/* The batch was applied, or dropped. */
void proposer_applied(struct proposer *proposer, struct batch *batch);
void proposer_dropped(struct proposer *proposer, struct batch *batch, enum status why);

/* A REQUEST_RAFTMQ_PROPOSE of another replica. */
enum status proposer_process_forwarded(struct broker *broker, struct request *request);
/* The leader's answer to one of ours; false if the opaque is not ours. */
bool proposer_on_answer(struct proposer *proposer, const struct command *answer);
/* A connection to the leader is gone: what was sent over it has an unknown outcome; what was not
 * waits for the next connection. */
void proposer_on_leader_lost(struct proposer *proposer, uint64_t connection, enum status why);
bool proposer_awaits_leader(const struct proposer *proposer, uint64_t connection);

#endif
