/* Operations: what a log entry says, and the only thing that changes the state machine.
 *
 * An entry's payload is a header and one or more operations:
 *
 *   u64 time_ms   the leader's wall clock when it closed the batch; apply clamps it, so that the
 *                 machine's clock never goes back
 *   u32 count
 *   count times:  u32 size of the body, u8 type, u8 version, u16 zero, body
 *
 * Our own integers are little-endian. The body of MESSAGE, HALF, DELAYED and HALF_DELAYED ends with
 * raw bytes in RocketMQ's stored layout, that of all others is a msgpack map with integer keys (the
 * enum of fields below; unknown keys are refused: a new meaning is a new operation). Pure; any
 * thread. */
#ifndef BROKER_MACHINE_OPERATION_H
#define BROKER_MACHINE_OPERATION_H

#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/base/status.h"

enum operation_type {
    OPERATION_MESSAGE = 1,   /* One message, or the messages of one batch: all or none. */
    OPERATION_HALF = 2,      /* One half message. */
    OPERATION_END = 3,       /* A producer's decision on a half message. */
    OPERATION_CHECKED = 4,   /* Checks that were handed to producers. */
    OPERATION_EXPIRE = 5,    /* A half message is given up until a person settles it. */
    OPERATION_SETTLE = 6,    /* A person's decision (or: start checking anew). */
    OPERATION_OFFSETS = 7,   /* Consumer offsets. */
    OPERATION_TOPIC_PUT = 8, /* Create or change a topic. */
    OPERATION_TOPIC_DELETE = 9,
    OPERATION_GROUP_PUT = 10, /* Create or change a consumer group. */
    OPERATION_GROUP_DELETE = 11,
    OPERATION_TICK = 12,         /* Time passes: lets the machine forget old outcomes. */
    OPERATION_CUT = 13,          /* Retention: the oldest segments of the log go. */
    OPERATION_LOCK = 14,         /* Queue locks of orderly consumers. */
    OPERATION_DELAYED = 15,      /* One message that is to become visible later. */
    OPERATION_FIRE = 16,         /* A delayed message is due and becomes visible. */
    OPERATION_HALF_DELAYED = 17, /* One half message whose delay begins when it is committed. */
    OPERATION_RECALL = 18,       /* A delayed message is taken back by its sender. */
    OPERATION_POP = 19,          /* Messages of a queue are handed to a consumer of a group. */
    OPERATION_ACK = 20,          /* Popped messages are done with. */
    OPERATION_INVISIBLE = 21,    /* A popped message is to come again at another time. */
    OPERATION_MODE_PUT = 22,     /* How a group gets the messages of a topic: pull or pop. */
    OPERATION_LAST = OPERATION_MODE_PUT,
};

enum decision {
    DECISION_UNKNOWN = 0, /* Nothing is logged for it. */
    DECISION_COMMIT = 8,  /* MessageSysFlag.TRANSACTION_COMMIT_TYPE */
    DECISION_ROLLBACK = 12,
    DECISION_RECHECK = 100, /* SETTLE only: attempts back to 0, due at once, age anew. */
};

/* MESSAGE body: the stored messages back to back (each begins with its size). Queue offset,
 * physical offset, store time are zero there: apply gives them, reading fills them in. The leader
 * has filled everything else, the queue id too. */

/* HALF body: u64 first_check_ms (after the entry's time), u32 zero, then one stored message with
 * its *real* topic and queue. Apply takes PGROUP and UNIQ_KEY from its properties. */
enum { HALF_PREFIX_SIZE = 12 };
/* No half waits longer for a check, whatever its message or the settings say. */
#define CHECK_WAIT_MAX_MS (UINT64_C(366) * 24 * 3600 * 1000)

/* How long a message stays invisible. On the disk: u64 ms, u32 absolute. */
struct delay {
    uint64_t ms;   /* After the time of the entry that begins it; 0: not at all. */
    bool absolute; /* ms is since the epoch instead. */
};
enum { DELAY_SIZE = 12 };
/* No message is delayed for longer, whatever its delay says. */
#define DELAY_MAX_MS (UINT64_C(366) * 24 * 3600 * 1000)

/* DELAYED body: its delay, then one stored message with its real topic and queue. The stored
 * message's prepared offset is DELAYED_PREPARED_OFFSET, by which readers know that what was made
 * visible later is no half.
 * HALF_DELAYED body: u64 first_check_ms, the delay, then one stored message as in HALF. */
enum {
    DELAYED_PREFIX_SIZE = DELAY_SIZE,
    HALF_DELAYED_PREFIX_SIZE = 8 + DELAY_SIZE,
    DELAYED_PREPARED_OFFSET = -1,
};

struct operation_end {
    uint64_t half_position; /* commitLogOffset */
    int64_t half_offset;    /* tranStateTableOffset */
    enum decision decision; /* COMMIT or ROLLBACK */
    bool from_check;
    struct slice producer_group;
};

enum { CHECKED_MAX = 512 };
struct operation_checked {
    uint64_t next_check_ms; /* After the entry's time; at most CHECK_WAIT_MAX_MS. */
    uint32_t count;
    uint64_t half_positions[CHECKED_MAX];
};

struct operation_expire {
    uint64_t half_position;
    bool age; /* Too old, else too many checks. */
};

struct operation_settle {
    uint64_t half_position;
    enum decision decision; /* COMMIT, ROLLBACK or RECHECK */
};

struct offset_commit {
    struct slice group;
    struct slice topic;
    int32_t queue_id;
    int64_t offset;
    bool reset; /* May go back, and is held; otherwise offsets only rise. */
};

enum { OFFSETS_MAX = 1024 };
struct operation_offsets {
    uint32_t count;
    struct offset_commit commits[OFFSETS_MAX];
};

enum { TOPIC_ATTRIBUTES_MAX = 4096, UNIQUE_WINDOW_MAX_S = 24 * 3600 };

/* The fields of TopicConfig. */
struct topic_spec {
    struct slice name;
    int32_t read_queue_count;
    int32_t write_queue_count;
    int32_t perm;
    int32_t sys_flag;
    bool order;
    bool multi_tag;          /* topicFilterType MULTI_TAG */
    struct slice attributes; /* JSON object text, "" = {}; at most TOPIC_ATTRIBUTES_MAX. */
    int32_t unique_window_s; /* For how long a UNIQ_KEY is recognised; 0: it is not. */
};

struct operation_topic_put {
    struct topic_spec config;
    bool create_only; /* Auto-creation: an existing topic is left as it is, with STATUS_OK. */
};

/* The fields of SubscriptionGroupConfig that mean something here; the rest of the JSON is kept. */
struct group_spec {
    struct slice name;
    bool consume_enable;
    bool consume_from_min_enable;
    bool consume_broadcast_enable;
    bool consume_orderly;
    int32_t retry_queue_count;
    int32_t retry_max_times;
    int64_t broker_id;
    int64_t broker_id_when_slow;
    bool notify_changes;
    int32_t sys_flag;
    int32_t consume_timeout_minutes;
};

struct operation_group_put {
    struct group_spec config;
    bool create_only;
};

struct operation_group_delete {
    struct slice name;
    bool clean_offsets;
};

/* What lies in the log below this position (rounded down to a segment) is no longer wanted. Apply
 * clamps it to what may go. */
struct operation_cut {
    uint64_t position;
};

enum lock_action {
    LOCK_TAKE = 1, /* For lease_ms from the entry's time; by the holder: for so long again. */
    LOCK_RELEASE = 2,
    LOCK_EXTEND = 3, /* What had not run out at since_ms: then nobody led, to renew it with. */
};

enum { LOCK_PLACES_MAX = 64, LOCK_LEASE_MAX_MS = 60 * 60 * 1000 };
struct operation_lock {
    enum lock_action action;
    struct slice group; /* Empty, like client and places, to EXTEND. */
    struct slice client;
    uint32_t lease_ms;
    uint64_t since_ms; /* In the log's time; 0 but to EXTEND. */
    uint32_t count;
    struct {
        struct slice topic;
        int32_t queue_id;
    } places[LOCK_PLACES_MAX];
};

struct operation_fire {
    uint64_t position; /* Of the stored message. */
};

/* Who takes it back must know more of it than where it is. */
struct operation_recall {
    uint64_t position;       /* Of the stored message. */
    struct slice topic;      /* Its topic, */
    struct slice unique_key; /* and its UNIQ_KEY, at most KEY_SIZE_MAX. */
};

/* Nothing is invisible for longer, whatever a consumer asks for. */
#define INVISIBLE_MAX_MS (UINT64_C(3) * 24 * 3600 * 1000)

enum { POP_OFFSETS_MAX = 32, POP_FROM_NOWHERE = -1 };

/* Whoever proposes it has chosen the messages; apply takes all of them or none. */
struct operation_pop {
    struct slice group;
    struct slice topic;
    int32_t queue_id;
    int64_t from; /* Where the group stands in the queue; POP_FROM_NOWHERE: it never began. */
    int64_t next; /* Where it is to stand: what lies between and is not popped is passed over. */
    uint64_t invisible_ms; /* After the entry's time; at most INVISIBLE_MAX_MS. */
    uint32_t count;
    int64_t offsets[POP_OFFSETS_MAX]; /* Rising. Those below `from` come again. */
};

/* One delivery of a message: a later one of the same message has a later time. */
struct delivery {
    int32_t queue_id;
    int64_t offset;
    uint64_t pop_ms; /* What POP, or INVISIBLE, was told. */
};

enum { ACKS_MAX = 256 };
struct operation_ack {
    struct slice group;
    struct slice topic;
    uint32_t count;
    struct delivery deliveries[ACKS_MAX];
};

struct operation_invisible {
    struct slice group;
    struct slice topic;
    struct delivery delivery;
    uint64_t invisible_ms; /* From the entry's time on; at most INVISIBLE_MAX_MS. */
};

enum request_mode { REQUEST_MODE_PULL = 1, REQUEST_MODE_POP = 2 };

struct operation_mode_put {
    struct slice group;
    struct slice topic;
    enum request_mode mode;
    int32_t share_count; /* popShareQueueNum: of how many further members one pops the queues. */
};

/* A decoded operation; borrows from the entry. */
struct operation {
    enum operation_type type;
    uint8_t version;
    struct slice body;
    size_t offset; /* Of the operation's header in the payload. */
    union {
        struct {
            uint64_t first_check_ms;
            struct delay delay; /* HALF: none. */
            struct slice message;
        } half; /* HALF and HALF_DELAYED */
        struct {
            struct delay delay;
            struct slice message;
        } delayed;
        struct operation_fire fire;
        struct operation_recall recall;
        struct operation_end end;
        struct operation_checked checked;
        struct operation_expire expire;
        struct operation_settle settle;
        struct operation_offsets offsets;
        struct operation_topic_put topic_put;
        struct slice topic_delete; /* Name. */
        struct operation_group_put group_put;
        struct operation_group_delete group_delete;
        struct operation_cut cut;
        struct operation_lock lock;
        struct operation_pop pop;
        struct operation_ack ack;
        struct operation_invisible invisible;
        struct operation_mode_put mode_put;
    };
};

/* Begin an entry: appends the header with count 0. */
void entry_begin(struct buf *entry);

/* Append an operation; the body of one with a message is appended by the caller between
 * entry_operation_begin and _end. Counts it. */
size_t entry_operation_begin(struct buf *entry, enum operation_type type);
void entry_operation_end(struct buf *entry, size_t begin);

/* A delay as part of such a body. */
void entry_put_delay(struct buf *entry, const struct delay *delay);

void entry_put_end(struct buf *entry, const struct operation_end *end);
void entry_put_checked(struct buf *entry, const struct operation_checked *checked);
void entry_put_expire(struct buf *entry, const struct operation_expire *expire);
void entry_put_settle(struct buf *entry, const struct operation_settle *settle);
void entry_put_offsets(struct buf *entry, const struct operation_offsets *offsets);
void entry_put_topic_put(struct buf *entry, const struct operation_topic_put *put);
void entry_put_topic_delete(struct buf *entry, struct slice name);
void entry_put_group_put(struct buf *entry, const struct operation_group_put *put);
void entry_put_group_delete(struct buf *entry, const struct operation_group_delete *del);
void entry_put_tick(struct buf *entry);
void entry_put_cut(struct buf *entry, const struct operation_cut *cut);
void entry_put_lock(struct buf *entry, const struct operation_lock *lock);
void entry_put_fire(struct buf *entry, const struct operation_fire *fire);
void entry_put_recall(struct buf *entry, const struct operation_recall *recall);
void entry_put_pop(struct buf *entry, const struct operation_pop *pop);
void entry_put_ack(struct buf *entry, const struct operation_ack *ack);
void entry_put_invisible(struct buf *entry, const struct operation_invisible *invisible);
void entry_put_mode_put(struct buf *entry, const struct operation_mode_put *put);

/* How many operations are in it (the ordinal of the next). */
uint32_t entry_count(const struct buf *entry);

/* Stamp the time when the batch is closed. */
void entry_finish(struct buf *entry, uint64_t time_ms);

/* Read an entry: header, then operations one by one.
 * Errors: STATUS_MALFORMED (truncated, unknown type, version or field: on replay the node must stop
 * before it diverges). */
struct entry_reader {
    struct slice payload;
    size_t at;
    uint32_t left;
    uint64_t time_ms;
};
WARN_UNUSED enum status entry_reader_init(struct entry_reader *reader, struct slice payload);
/* STATUS_NOT_FOUND after the last one. */
WARN_UNUSED enum status entry_reader_next(struct entry_reader *reader, struct operation *operation);

/* Decode the single operation at the start of bytes (as read back from a position of the log). */
WARN_UNUSED enum status operation_decode(struct slice bytes, struct operation *operation);

#endif
