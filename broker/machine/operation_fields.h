/* Keys of the msgpack maps in operations: the log's format. A number is never given a new meaning;
 * every map has all of its keys, 1 … n. */
#ifndef BROKER_MACHINE_OPERATION_FIELDS_H
#define BROKER_MACHINE_OPERATION_FIELDS_H

enum {
    OPERATION_VERSION = 1, /* Of every type so far. */
    ENTRY_HEADER_SIZE = 8 + 4,
    OPERATION_HEADER_SIZE = 4 + 1 + 1 + 2,
};

enum end_field {
    END_POSITION = 1,
    END_OFFSET,
    END_DECISION,
    END_FROM_CHECK,
    END_GROUP,
    END_FIELDS = END_GROUP,
};

enum checked_field {
    CHECKED_NEXT_CHECK = 1,
    CHECKED_POSITIONS,
    CHECKED_FIELDS = CHECKED_POSITIONS
};

enum expire_field { EXPIRE_POSITION = 1, EXPIRE_AGE, EXPIRE_FIELDS = EXPIRE_AGE };

enum settle_field { SETTLE_POSITION = 1, SETTLE_DECISION, SETTLE_FIELDS = SETTLE_DECISION };

/* OFFSETS is a map with one field, an array in which each commit takes five places in a row:
 * group, topic, queue id, offset, reset. */
enum offsets_field { OFFSETS_COMMITS = 1, OFFSETS_FIELDS = OFFSETS_COMMITS };
enum { OFFSET_COMMIT_PLACES = 5 };

enum topic_put_field {
    TOPIC_PUT_NAME = 1,
    TOPIC_PUT_READ_QUEUES,
    TOPIC_PUT_WRITE_QUEUES,
    TOPIC_PUT_PERM,
    TOPIC_PUT_SYS_FLAG,
    TOPIC_PUT_ORDER,
    TOPIC_PUT_MULTI_TAG,
    TOPIC_PUT_ATTRIBUTES,
    TOPIC_PUT_CREATE_ONLY,
    TOPIC_PUT_UNIQUE_WINDOW,
    TOPIC_PUT_FIELDS = TOPIC_PUT_UNIQUE_WINDOW,
};

enum topic_delete_field { TOPIC_DELETE_NAME = 1, TOPIC_DELETE_FIELDS = TOPIC_DELETE_NAME };

enum group_put_field {
    GROUP_PUT_NAME = 1,
    GROUP_PUT_CONSUME_ENABLE,
    GROUP_PUT_FROM_MIN_ENABLE,
    GROUP_PUT_BROADCAST_ENABLE,
    GROUP_PUT_ORDERLY,
    GROUP_PUT_RETRY_QUEUES,
    GROUP_PUT_RETRY_MAX,
    GROUP_PUT_BROKER_ID,
    GROUP_PUT_BROKER_ID_WHEN_SLOW,
    GROUP_PUT_NOTIFY_CHANGES,
    GROUP_PUT_SYS_FLAG,
    GROUP_PUT_TIMEOUT,
    GROUP_PUT_CREATE_ONLY,
    GROUP_PUT_FIELDS = GROUP_PUT_CREATE_ONLY,
};

enum group_delete_field {
    GROUP_DELETE_NAME = 1,
    GROUP_DELETE_CLEAN,
    GROUP_DELETE_FIELDS = GROUP_DELETE_CLEAN,
};

enum cut_field { CUT_POSITION = 1, CUT_FIELDS = CUT_POSITION };

/* Each place takes two of the array: topic, queue id. */
enum lock_field {
    LOCK_ACTION = 1,
    LOCK_GROUP,
    LOCK_CLIENT,
    LOCK_LEASE,
    LOCK_SINCE,
    LOCK_PLACES,
    LOCK_FIELDS = LOCK_PLACES,
};
enum { LOCK_PLACE_PLACES = 2 };

enum fire_field { FIRE_POSITION = 1, FIRE_FIELDS = FIRE_POSITION };

enum recall_field {
    RECALL_POSITION = 1,
    RECALL_TOPIC,
    RECALL_UNIQUE_KEY,
    RECALL_FIELDS = RECALL_UNIQUE_KEY,
};

enum pop_field {
    POP_GROUP = 1,
    POP_TOPIC,
    POP_QUEUE,
    POP_FROM,
    POP_NEXT,
    POP_INVISIBLE,
    POP_OFFSETS,
    POP_FIELDS = POP_OFFSETS,
};

/* Each delivery takes three of the array: queue id, offset, time. */
enum ack_field { ACK_GROUP = 1, ACK_TOPIC, ACK_DELIVERIES, ACK_FIELDS = ACK_DELIVERIES };
enum { DELIVERY_PLACES = 3 };

/* The delivery is an array of three, as in ACK. */
enum invisible_field {
    INVISIBLE_GROUP = 1,
    INVISIBLE_TOPIC,
    INVISIBLE_DELIVERY,
    INVISIBLE_FOR,
    INVISIBLE_FIELDS = INVISIBLE_FOR,
};

enum mode_put_field {
    MODE_PUT_GROUP = 1,
    MODE_PUT_TOPIC,
    MODE_PUT_MODE,
    MODE_PUT_SHARE,
    MODE_PUT_FIELDS = MODE_PUT_SHARE,
};

#endif
