/* The ledger: what the committed log of each group says, kept apart from the code under test.
 *
 * Every replica that applies an entry is compared with the first one that did. The first sight of
 * an entry is also carried into a plain model of queues and transactions, which decides alone what
 * an acknowledgement, a delivery or a check-back may say. Every function ends the program by
 * sim_violation() if a promise is broken. */
#ifndef TESTS_SIM_CLUSTER_SIM_LEDGER_H
#define TESTS_SIM_CLUSTER_SIM_LEDGER_H

#include "broker/machine/operation.h"
#include "common/base/map.h"
#include "common/base/name.h"
#include "raft-glue/replica_machine.h"

enum { LEDGER_GROUPS_MAX = 8 };

/* What the simulator's own messages say of themselves, at the begin of their bodies. */
enum ledger_kind {
    LEDGER_PLAIN = 'M',
    LEDGER_BANK = 'B',  /* A transfer: a transaction decided by the bank's books. */
    LEDGER_LATER = 'L', /* Sent with a delay. */
    LEDGER_RACE = 'R',  /* A transaction that several decide at once. */
    LEDGER_FOREIGN = '?',
};

/* "M0000000000000007 "; at least LEDGER_TAG_SIZE bytes, not NUL-terminated. */
enum { LEDGER_TAG_SIZE = 18 };
void ledger_tag(enum ledger_kind kind, uint64_t id, char to[LEDGER_TAG_SIZE]);
/* LEDGER_FOREIGN if the body is not of ours. */
enum ledger_kind ledger_tag_read(struct slice body, uint64_t *id);

enum ledger_state { LEDGER_PENDING, LEDGER_COMMITTED, LEDGER_ROLLED_BACK, LEDGER_EXPIRED };

struct ledger_half {
    struct map_node by_position;
    struct map_node by_unique;
    struct list in_order;
    uint64_t position;
    int64_t half_offset;
    struct name producer_group;
    struct buf unique; /* Producer group, NUL, unique key. */
    struct name topic;
    int32_t queue_id;
    enum ledger_kind kind;
    uint64_t id;
    uint32_t body_crc;
    enum ledger_state state;
    struct delay delay;     /* Begins when it is committed. */
    uint64_t referred_from; /* Where an entry made it visible, or gave it up; 0: none did. */
    uint32_t handed;        /* Checks that the leader gave to a connection, */
    uint32_t attempts;      /* and how many of them are in the log. */
};

/* One message that can be seen. */
struct ledger_item {
    enum ledger_kind kind;
    uint64_t id;
    uint64_t position;
    uint32_t body_crc;
};

/* A message that becomes visible later. */
struct ledger_delayed {
    struct map_node by_position;
    uint64_t position; /* Of its stored message. */
    struct name topic;
    int32_t queue_id;
    uint64_t due_ms;
    uint64_t fired_at; /* 0: it waits. */
    bool recalled;
    bool recallable;
    struct slice unique_key; /* In the entry's payload. */
    struct ledger_item item;
};

struct ledger_queue {
    struct map_node by_key;
    struct buf key;
    struct name topic;
    int32_t queue_id;
    struct ledger_item *items; /* By queue offset, also those that were cut. */
    size_t first;              /* The first that was not. */
    size_t count;
    size_t capacity;
};

struct ledger_entry {
    uint64_t term; /* 0: no operations are known to be there. */
    uint64_t position;
    uint64_t hash;
    uint8_t *payload;
    size_t size;
};

/* How far a consumer group said it got in a queue. */
struct ledger_offset {
    struct map_node by_key;
    struct buf key;
    struct name group;
    struct name topic;
    int32_t queue_id;
    int64_t offset;
};

struct ledger_group {
    struct name name;
    struct ledger_entry *entries; /* By log index. */
    size_t entry_capacity;
    uint64_t last_index;
    struct map topics;
    struct map queues;
    struct map halves;
    struct map uniques;
    struct map copies;     /* Of plain messages, by id. */
    struct map offsets;    /* Of consumer groups. */
    struct list order;     /* struct ledger_half.in_order */
    struct map recognised; /* Messages of topics with a window, by topic and UNIQ_KEY. */
    struct map delayed;    /* By position, also those that have fired. */
    uint64_t delayed_waiting;
    struct map popped;     /* By consumer groups, and not acknowledged. */
    struct map deliveries; /* All there were of them. */
    uint64_t clock_ms;     /* The latest time of an entry. */
    int64_t next_half_offset;
    uint64_t *leaders; /* By term. */
    size_t term_capacity;
    uint64_t pending;
    uint64_t cut_position; /* As in struct machine_cut. */
    uint64_t log_first;
};

struct ledger_counts {
    uint64_t entries;
    uint64_t elections;
    uint64_t messages;
    uint64_t halves;
    uint64_t half_duplicates;
    uint64_t halves_delayed; /* Those whose commit begins a delay. */
    uint64_t commits;
    uint64_t rollbacks;
    uint64_t expirations;
    uint64_t late_ends; /* Of decided, foreign or unknown transactions. */
    uint64_t checks;
    uint64_t cuts; /* Segments that went. */
    uint64_t cut_messages;
    uint64_t duplicates; /* Plain messages that a client's retry stored again. */
    uint64_t recognised; /* Messages sent again that were not stored again. */
    uint64_t delayed;
    uint64_t fired;
    uint64_t vain_fires; /* FIREs of what had fired, or was not due. */
    uint64_t recalls;
    uint64_t sent_back; /* By consumers, to be tried again. */
    uint64_t popped;
    uint64_t popped_again;
    uint64_t acks;      /* Of popped messages. */
    uint64_t vain_pops; /* POPs that somebody was quicker than. */
    uint64_t seen;
};

void ledger_open(uint32_t check_max);
void ledger_close(void);
struct ledger_counts *ledger_counts(void);

struct ledger_group *ledger_group(struct slice name);
size_t ledger_group_count(void);
struct ledger_group *ledger_group_at(size_t place);

/* A replica applies an entry. */
void ledger_apply(struct ledger_group *group, const char *who, const struct replica_entry *entry);
/* A replica's role changed; `applied` is its applied index. */
void ledger_role(struct ledger_group *group, const char *who, uint64_t id,
                 const struct replica_state *state, uint64_t applied);
/* The leader handed a check-back to a connection. */
void ledger_handed(struct ledger_group *group, const char *who, uint64_t position);

/* A client was told that a message is stored there, after so many attempts. */
void ledger_acknowledged(struct ledger_group *group, struct slice topic, int32_t queue_id,
                         int64_t offset, uint64_t id, uint32_t attempts);
/* The same of a half message. */
void ledger_half_acknowledged(struct ledger_group *group, uint64_t position, int64_t half_offset,
                              uint64_t id);
/* The same of a delayed message. */
void ledger_delay_acknowledged(struct ledger_group *group, uint64_t position, uint64_t id,
                               uint32_t attempts);
/* A client was told that it took a delayed message back. */
void ledger_recalled(struct ledger_group *group, uint64_t position);
/* A client was told that a decision stands. */
void ledger_decided(struct ledger_group *group, uint64_t position, enum ledger_state outcome);
/* A client was given a message. */
void ledger_seen(struct ledger_group *group, const char *who, struct slice topic, int32_t queue_id,
                 int64_t offset, struct slice body);

/* A popper was given a message by that delivery; that it has acknowledged it. */
void ledger_popped(struct ledger_group *group, const char *who, struct slice consumers,
                   struct slice topic, const struct delivery *delivery);
void ledger_pop_acknowledged(struct ledger_group *group, const char *who, struct slice consumers,
                             struct slice topic, const struct delivery *delivery);
/* What of a topic is yet to be popped or acknowledged; NULL: nothing. */
const char *ledger_pop_left(const struct ledger_group *group, struct slice consumers,
                            struct slice topic);

struct ledger_half *ledger_half_find(const struct ledger_group *group, uint64_t position);
struct ledger_delayed *ledger_delayed_find(const struct ledger_group *group, uint64_t position);
struct ledger_queue *ledger_queue_find(const struct ledger_group *group, struct slice topic,
                                       int32_t queue_id);
/* Copies of a plain message in the log. */
uint32_t ledger_copies(const struct ledger_group *group, uint64_t id);

#endif
