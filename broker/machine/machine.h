/* The replicated state machine of one broker group.
 *
 * Given the same entries it has the same state and gives the same results on every replica, today
 * and in replay: no clock, no chance, no configuration, no knowledge of being leader. Time is the
 * entry's, clamped never to go back.
 *
 * The working state is in memory; the store behind it (common/store/kv.h) is a checkpoint. What
 * changed since the last checkpoint is written as one batch together with the applied index, so a
 * crash finds the state as of some entry and the log is applied again from there. Old parts of the
 * queue index and the key index live in the store only. Loop thread only (the batch is written by
 * whoever takes it). */
#ifndef BROKER_MACHINE_MACHINE_H
#define BROKER_MACHINE_MACHINE_H

#include "broker/machine/operation.h"
#include "common/base/crc32c.h"
#include "common/base/heap.h"
#include "common/base/map.h"
#include "common/base/name.h"
#include "common/store/kv.h"

struct machine;

/* --- What is kept ------------------------------------------------------------------------- */

/* Queue index entry: where the message with some queue offset lies. 32 bytes packed. */
struct index_entry {
    uint64_t position; /* Its physical offset: of the message, or of the operation (END, SETTLE,
                          EXPIRE) that made a half message visible here. */
    uint64_t
        body_position; /* Of the stored message's bytes; equal to position unless by reference. */
    uint32_t size;     /* Of the stored message, */
    uint32_t crc;      /* and CRC-32C of its bytes as they are in the log. */
    int32_t tags_hash; /* Java hash of TAGS, 0 without. */
    uint64_t store_time_ms;
};

/* What an index entry's crc is. */
static inline uint32_t stored_message_crc(struct slice bytes)
{
    return crc32c(0, bytes.data, bytes.size);
}

struct queue {
    struct topic *topic;
    int32_t id;
    uint32_t grown_count; /* private: messages since it was linked in `grown`. */
    int64_t offset_first; /* [first, next) */
    int64_t offset_next;
    /* private from here, to machine_queue.c and machine_queue_index.c */
    struct queue_index *index; /* What of it is in memory. */
    struct part *open;         /* The part of it that goes on; NULL: not known. */
    uint8_t *open_end;         /* Where that goes on, or did: to be fetched early. */
    int64_t chunk_first;       /* Where the last chunk of the index begins; -1: not known. */
    struct list dirty;
    struct list grown;     /* Linked while on_queue_grown is due. */
    uint64_t grown_size;   /* Bytes of those messages: for on_queue_grown. */
    struct list touched;   /* Linked if it grew in the newest segment of the log, */
    uint64_t grew_segment; /* and which segment it last grew in. */
};

static_assert(sizeof(struct queue) == 128, "one of thousands costs two cache lines");

struct topic {
    struct map_node node; /* By name. */
    struct name name;
    int32_t read_queue_count;
    int32_t write_queue_count;
    int32_t perm;
    int32_t sys_flag;
    bool order;
    bool multi_tag;
    struct buf attributes;
    uint32_t unique_window_s; /* 0: messages are not recognised when they are sent again. */
    uint64_t changed_index;   /* Log index of the last change. */
    uint32_t queue_count;     /* max(read, write) ever: size of queues. */
    struct queue *queues;
    uint64_t id;            /* private: never given twice, also not under the same name */
    struct list dirty;      /* private */
    struct map_node by_id;  /* private */
    struct list pop_places; /* private */
    size_t told;            /* private: bytes in a registration, about */
};

struct group {
    struct map_node node; /* By name. */
    struct name name;
    struct group_spec config; /* name points to this->name */
    uint64_t id;              /* private */
    struct list dirty;        /* private */
};

enum transaction_state {
    TRANSACTION_PENDING = 1,
    TRANSACTION_COMMITTED = 2,
    TRANSACTION_ROLLED_BACK = 3,
    TRANSACTION_EXPIRED = 4,
};

/* A half message whose outcome is open, or is remembered. */
struct transaction {
    struct heap_node due; /* In its producer group's schedule while PENDING; among all that wait for
                             a person, by position, while EXPIRED. */
    struct list age;      /* Of its state's list, oldest first. */
    uint64_t position;    /* Of the half's stored message: commitLogOffset. */
    int64_t half_offset;  /* tranStateTableOffset: dense, never changes. */
    uint32_t size;
    uint32_t crc; /* As in struct index_entry. */
    int32_t queue_id;
    struct topic *topic; /* NULL once that topic is deleted. */
    struct producer_group *group;
    enum transaction_state state;
    uint32_t attempts; /* Checks handed to a producer. */
    uint64_t stored_ms;
    uint64_t last_check_ms; /* 0: never. */
    uint64_t decided_ms;    /* While open: when a person had its checks begin anew; 0: never. */
    int64_t visible_offset; /* Queue offset if its commit made it visible, else -1. */
    bool settled_by_hand;
    bool expired_by_age;
    bool dropped_by_cut; /* Rolled back because retention cut its message while EXPIRED. */
    struct delay delay;  /* Begins when it is committed. */
    /* private from here */
    bool has_unique;
    bool stored; /* The store has a row of its own for it. */
    uint8_t key_count;
    int32_t tags_hash;
    uint64_t topic_hash; /* Of its topic's name, also when that is deleted. */
    uint64_t *keys;      /* What a commit adds to the key index; gone once decided. */
    uint64_t keys_inline[2];
    uint8_t unique_hash[16]; /* Of producer group and UNIQ_KEY. */
    uint64_t outcome_number; /* Once decided. */
    struct list outcome;     /* Decided ones, oldest first. */
    struct list dirty;
    struct transaction *next[2]; /* In its bucket, by position and by unique_hash. */
    struct transaction_slab *slab;
};

/* A producer group with half messages: what the checker walks. */
struct producer_group {
    struct map_node node; /* By name. */
    struct name name;
    struct heap due; /* struct transaction.due by (due_ms, position) */
    uint64_t pending_count;
    uint64_t expired_count;
    /* private from here */
    uint64_t transaction_count; /* Open and remembered; at 0 the group is forgotten. */
    uint64_t id;
    bool stored;
    struct list dirty;
};

/* A message that is not visible yet: sent with a delay, or a half committed that had one. */
struct delayed {
    struct heap_node due; /* In the schedule, by (due_ms, position). */
    uint64_t position;    /* Of its stored message. */
    struct topic *topic;
    int32_t queue_id;
    uint32_t size;
    uint32_t crc;       /* As in struct index_entry. */
    uint64_t stored_ms; /* When its delay began. */
    bool recallable;    /* Not if it is a transaction's: what is committed is delivered. */
    /* private from here */
    struct map_node node; /* By position. */
    struct list dirty;
    bool stored; /* The store has a row for it. */
    uint8_t key_count;
    int32_t tags_hash;
    uint64_t *keys; /* What is added to the key index when it fires. */
    uint64_t keys_inline[2];
};

enum {
    DELAYED_MAX = 1000000, /* Waiting, or halves that will when committed; more are refused. */
};

enum {
    POPPED_MAX = 1000000,         /* Popped and not acknowledged; more are not popped, */
    POPPED_PER_QUEUE_MAX = 10000, /* nor more by one group in one queue. */
    MODES_MAX = 65536,            /* Groups that pop, or were told not to, times topics. */
};

enum {
    TRANSACTIONS_OPEN_MAX = 1000000, /* Pending and expired; more halves are refused. */
    OUTCOMES_MAX = 262144,           /* Remembered decisions; the oldest go first. */
    OUTCOME_RETENTION_MS = 30 * 60 * 1000,
};

/* --- Retention ---------------------------------------------------------------------------- */

/* How far a CUT went, or would go; both are multiples of SEGMENT_SIZE and never fall.
 *
 * Half messages lie below the entries that make them visible, so the log is needed a little further
 * back than it is readable: log_first <= position. */
struct machine_cut {
    uint64_t position;  /* Messages whose position is below are gone from queues and key index. */
    uint64_t log_first; /* No byte of the log below is needed any more. */
};

/* Times of the entries of one segment of the log. */
struct machine_segment {
    uint64_t first_ms;
    uint64_t last_ms;
};

enum {
    CUT_QUEUES_MAX = 65536, /* Queues moved by one CUT, if it is more than one segment's. */
    /* Expired halves rolled back by one. The next one goes on. */
    CUT_EXPIRED_MAX = LIMITS_PICK(4096, 2),
};

/* --- Results ------------------------------------------------------------------------------ */

struct operation_result {
    enum status status;
    union {
        struct {
            int64_t queue_offset; /* Of the first message; half offset for a half; for a delayed
                                     one, how many were delayed before it. */
            uint64_t position;    /* Of the first stored message; they lie back to back. */
            uint32_t count;
            int32_t queue_id; /* As stored. For a duplicate: the first one's. */
            bool duplicate;   /* With a UNIQ_KEY seen before: answers are the first one's. */
        } message;
        struct {
            enum transaction_state state; /* The outcome that stands. */
            bool changed;                 /* This operation decided it. */
            int64_t queue_offset;         /* If it is COMMITTED. */
        } transaction;
        struct machine_cut cut; /* After it. */
        uint64_t locked;        /* LOCK: bit i for place i that was taken, or released. */
        uint64_t pop_ms;        /* POP, INVISIBLE: names the delivery from now on. */
    };
};

/* What applying tells the shell; all optional (NULL). Called within machine_apply. */
struct machine_events {
    void *context;
    /* The result of an operation of this entry, by its ordinal. */
    void (*on_result)(void *context, uint32_t ordinal, const struct operation *operation,
                      const struct operation_result *result);
    /* Messages became visible: [first, next) of a queue are new; or an offset was reset. */
    void (*on_queue_grown)(void *context, const struct queue *queue, int64_t first);
    /* A topic was created, changed or deleted (then topic is about to go). */
    void (*on_topic_changed)(void *context, const struct topic *topic, bool deleted);
};

/* --- Life --------------------------------------------------------------------------------- */

/* Load the state from its store. Borrows kv.
 * Errors: STATUS_CORRUPT, STATUS_IO: *error says what, to be freed. */
WARN_UNUSED enum status machine_open(struct kv *kv, const struct machine_events *events,
                                     struct machine **out, char **error);
void machine_close(struct machine *machine);

/* Index up to which a store that no machine needs to have open is complete; 0 in an empty one.
 * Errors: STATUS_CORRUPT, STATUS_IO. */
WARN_UNUSED enum status machine_stored_index(struct kv *kv, uint64_t *index);

/* Log index up to which the state is complete; 0 in an empty one. */
uint64_t machine_applied_index(const struct machine *machine);
uint64_t machine_clock_ms(const struct machine *machine);

/* Apply an entry; index above all before. FATAL if it cannot be decoded: the node is older than the
 * log. position is that of the payload's first byte. */
void machine_apply(struct machine *machine, uint64_t index, uint64_t position,
                   struct slice payload);

/* --- Checkpoint --------------------------------------------------------------------------- */

/* Bytes (about) that a checkpoint now would write. */
size_t machine_dirty_size(const struct machine *machine);

/* Have enough changes gathered for a checkpoint, if that is size_max bytes? Where thousands of
 * queues grew by little each, it is up to four times that: two rows of the store for each of them
 * cost more than what is in them. */
bool machine_checkpoint_due(const struct machine *machine, size_t size_max);

/* Everything that changed since the last call, as one batch with the applied index, but for what is
 * large. In a pool thread the caller has machine_checkpoint_fill() add that, once, and writes the
 * batch with kv_write (and now and then kv_flush): one at a time, in order. Then it frees the batch
 * and calls machine_checkpoint_written() from the loop. Reads by the machine see the frozen changes
 * meanwhile. A batch that cannot be written is FATAL. */
struct kv_batch *machine_checkpoint_begin(struct machine *machine);
/* Any thread: reads only what the machine leaves alone until machine_checkpoint_written(). */
void machine_checkpoint_fill(const struct machine *machine, struct kv_batch *batch);
void machine_checkpoint_written(struct machine *machine);
/* Begun and filled at once, for those who have one thread. */
struct kv_batch *machine_checkpoint(struct machine *machine);

/* Hash over the whole logical state (not of how it is cached): equal on replicas at one index.
 * 0 if the store cannot be read. */
uint64_t machine_hash(struct machine *machine);

/* --- The log below the state -------------------------------------------------------------- */

/* How far the log has been cut. What lies below log_first may be dropped once a durable checkpoint
 * says so, too. */
struct machine_cut machine_cut_done(const struct machine *machine);

/* How far a CUT to `position` would go now (log_first: by this and further ones). What stays: the
 * newest segment, all from the first one with a pending half or a delayed message on, and those
 * that hold the body of a message that stays. */
struct machine_cut machine_cut_plan(const struct machine *machine, uint64_t position);

/* Number (position / SEGMENT_SIZE) of the newest entry's segment. */
uint64_t machine_segment_newest(const struct machine *machine);

/* False for a segment that is cut, or not begun. */
bool machine_segment_find(const struct machine *machine, uint64_t number,
                          struct machine_segment *segment);

/* --- Reading ------------------------------------------------------------------------------ */

const struct topic *machine_topic_find(const struct machine *machine, struct slice name);
const struct map *machine_topics(const struct machine *machine); /* struct topic.node */
const struct group *machine_group_find(const struct machine *machine, struct slice name);
const struct map *machine_groups(const struct machine *machine); /* struct group.node */

/* Counter and time of the last change of any topic or group, for DataVersion. */
struct machine_version {
    uint64_t counter;
    uint64_t time_ms;
};
struct machine_version machine_topics_version(const struct machine *machine);
struct machine_version machine_groups_version(const struct machine *machine);

/* The queue, or NULL if the topic has no such queue. */
const struct queue *machine_queue_find(const struct machine *machine, struct slice topic,
                                       int32_t queue_id);

/* Read index entries [offset, …) of a queue, at most `max`; *count is how many. May read the store.
 * Errors: STATUS_IO, STATUS_CORRUPT. */
WARN_UNUSED enum status machine_queue_read(struct machine *machine, const struct queue *queue,
                                           int64_t offset, uint32_t max,
                                           struct index_entry *entries, uint32_t *count);

/* First offset whose store time is >= time_ms (upper: last whose is <= time_ms), as
 * SEARCH_OFFSET_BY_TIMESTAMP answers at both ends. */
WARN_UNUSED enum status machine_queue_find_time(struct machine *machine, const struct queue *queue,
                                                uint64_t time_ms, bool upper, int64_t *offset);

/* Which offset the message with this physical offset has. STATUS_NOT_FOUND. */
WARN_UNUSED enum status machine_queue_find_position(struct machine *machine,
                                                    const struct queue *queue, uint64_t position,
                                                    int64_t *offset, struct index_entry *entry);

/* Offset of a group in a queue; false if it never committed one. */
bool machine_offset_find(const struct machine *machine, struct slice group, struct slice topic,
                         int32_t queue_id, int64_t *offset);
/* The same if it was reset and its consumers have not taken note yet; else false. */
bool machine_offset_held(const struct machine *machine, struct slice group, struct slice topic,
                         int32_t queue_id, int64_t *offset);
/* All topics for which a group has offsets: calls visit for each (group, topic, queue). */
void machine_offsets_visit(const struct machine *machine,
                           void (*visit)(void *context, struct slice group, struct slice topic,
                                         int32_t queue_id, int64_t offset),
                           void *context);

/* A lease on a queue; it has run out if until_ms is not above the machine's clock. */
struct machine_lock {
    struct slice client; /* Borrowed until the next apply. */
    uint64_t until_ms;
};
/* The lock of a group on a queue; false if there is none. Tests alone ask: to a client it shows in
 * what LOCK takes. */
bool machine_lock_find(const struct machine *machine, struct slice group, struct slice topic,
                       int32_t queue_id, struct machine_lock *out);
/* Does a group hold any lock that runs out after now_ms, in the log's time? Then its consumers are
 * orderly. */
bool machine_group_holds_lock(const struct machine *machine, struct slice group, uint64_t now_ms);
bool machine_has_locks(const struct machine *machine);

/* A message that a group has popped and not acknowledged. */
struct machine_popped {
    int64_t offset;
    uint64_t pop_ms; /* Of its last delivery. */
    uint64_t due_ms; /* From then on it may be delivered again. */
    uint64_t first_pop_ms;
    uint32_t repeats; /* Deliveries but the first. */
};
/* One of them; false if it is not. Tests alone ask. */
bool machine_popped_find(const struct machine *machine, struct slice group, struct slice topic,
                         int32_t queue_id, int64_t offset, struct machine_popped *out);
/* Those of a queue that are due at now_ms, soonest first, at most max (POP_OFFSETS_MAX); how many.
 */
uint32_t machine_popped_due(const struct machine *machine, struct slice group, struct slice topic,
                            int32_t queue_id, uint64_t now_ms, uint32_t max,
                            struct machine_popped *out);
/* Is any of a topic due? */
bool machine_popped_any_due(const struct machine *machine, struct slice group, struct slice topic,
                            uint64_t now_ms);
/* How many of a queue are not acknowledged. */
uint32_t machine_popped_count(const struct machine *machine, struct slice group, struct slice topic,
                              int32_t queue_id);

/* How many are not acknowledged, of all groups. */
uint64_t machine_popped_total(const struct machine *machine);

/* How a group gets the messages of a topic: PULL unless it was told otherwise. */
struct machine_mode {
    enum request_mode mode;
    int32_t share_count;
};
struct machine_mode machine_mode_find(const struct machine *machine, struct slice group,
                                      struct slice topic);
/* All that were told, in no order; at most MODES_MAX. Borrows from the machine. */
struct machine_mode_of {
    struct slice group;
    struct slice topic;
    struct machine_mode mode;
};
size_t machine_mode_count(const struct machine *machine);
void machine_modes(const struct machine *machine, struct machine_mode_of *out);

/* A half message by its position, pending or remembered; NULL. */
const struct transaction *machine_transaction_find(const struct machine *machine,
                                                   uint64_t position);
/* By producer group and UNIQ_KEY; NULL. */
const struct transaction *machine_transaction_find_unique(const struct machine *machine,
                                                          struct slice producer_group,
                                                          struct slice unique_key);
const struct map *machine_producer_groups(const struct machine *machine); /* .node */
/* Pending ones of a group that are due at now_ms, soonest first, at most max; how many. */
uint32_t machine_transactions_due(const struct machine *machine, const struct producer_group *group,
                                  uint64_t now_ms, uint32_t max, const struct transaction **out);
/* Those in the given state (PENDING, EXPIRED, COMMITTED, ROLLED_BACK); NULL at the end. previous
 * NULL = start. Valid only until the next apply. They come in the order in which they got into that
 * state, but what was open when this replica started comes first, by position. */
const struct transaction *machine_transaction_next(const struct machine *machine,
                                                   enum transaction_state state,
                                                   const struct transaction *previous);

/* A delayed message by its position, as long as it is not visible; NULL. */
const struct delayed *machine_delayed_find(const struct machine *machine, uint64_t position);
/* Positions of those that are due at now_ms, soonest first, at most max; how many. */
uint32_t machine_delayed_due(const struct machine *machine, uint64_t now_ms, uint32_t max,
                             uint64_t *positions);

enum { KEY_FOUND_MAX = 64 };

/* A search for messages of a topic with a key (a word of KEYS, or the UNIQ_KEY), newest first: as
 * index entries (position, body_position, size, crc). Candidates by hash: the reader compares the
 * key. */
struct key_search {
    uint64_t begin_ms; /* Stored from then */
    uint64_t end_ms;   /* until then, both inclusive. */
    uint32_t max;      /* At most KEY_FOUND_MAX. */
    uint32_t count;
    struct index_entry entries[KEY_FOUND_MAX];
    enum { KEY_SEARCH_MEMORY, KEY_SEARCH_STORE, KEY_SEARCH_DONE } phase; /* private from here */
    uint64_t hash;
    uint64_t cut_position;
    uint64_t next_time_ms;
    uint64_t next_applied;
};

/* begin_ms, end_ms and max are the caller's to set. */
void machine_key_search_begin(const struct machine *machine, struct slice topic, struct slice key,
                              struct key_search *search);
/* One step of it: as much as may be done in a turn of the loop. STATUS_PENDING: there is more to
 * look at, call it again, in a later turn; else it is over.
 * Errors: STATUS_CORRUPT, STATUS_IO: of the store. */
WARN_UNUSED enum status machine_key_search(struct machine *machine, struct key_search *search);
/* All steps at once, however long that takes. */
WARN_UNUSED enum status machine_key_find(struct machine *machine, struct slice topic,
                                         struct slice key, struct key_search *search);

struct machine_counters {
    uint64_t messages;
    uint64_t message_bytes;
    uint64_t halves;
    uint64_t half_duplicates;
    uint64_t commits;
    uint64_t rollbacks;
    uint64_t expirations;
    uint64_t end_repeated; /* Same decision again. */
    uint64_t end_refused;  /* Contrary, foreign or unknown. */
    uint64_t checks;
    uint64_t delayed;            /* Messages that were given a delay, */
    uint64_t delayed_fired;      /* that became visible after it, */
    uint64_t delayed_dropped;    /* that went with their topic, or were recalled, */
    uint64_t delayed_waiting;    /* and the rest. */
    uint64_t message_duplicates; /* Recognised by their UNIQ_KEY, and not stored again. */
    uint64_t pending;
    uint64_t expired;
    uint64_t delayed_halves; /* Of both, those that have a delay. */
};
/* Since the log began: part of the state, equal on replicas. */
void machine_counters(const struct machine *machine, struct machine_counters *counters);

#endif
