/* Layout of every value in the machine's store. Pure.
 *
 * Integers are little-endian; text is preceded by its size (u16). Decoded rows borrow from the
 * value. All decoders answer STATUS_CORRUPT for a value that is not exactly such a row: the store
 * has its own checksums, so that is a bug or another version. */
#ifndef BROKER_MACHINE_ROWS_H
#define BROKER_MACHINE_ROWS_H

#include "broker/machine/machine.h"

enum { STORE_VERSION = 4 };

struct meta_row {
    uint64_t applied_index;
    uint64_t clock_ms;
    uint64_t next_id; /* Of topics, groups and producer groups alike. */
    int64_t half_offset_next;
    uint64_t outcome_first; /* [first, next): the outcomes that are remembered. */
    uint64_t outcome_next;
    uint64_t unique_first; /* [first, next): the messages that are recognised when sent again. */
    uint64_t unique_next;
    uint64_t cut_position; /* Index entries below are gone. */
    uint64_t log_first;    /* No byte of the log below is needed. */
    uint64_t cut_ms;       /* Time and index of the last entry below cut_position. */
    uint64_t cut_index;
    struct machine_version topics_version;
    struct machine_version groups_version;
    struct machine_counters counters; /* What is open is counted anew on loading. */
};
void meta_row_encode(const struct meta_row *row, struct buf *out);
WARN_UNUSED enum status meta_row_decode(struct slice value, struct meta_row *row);

struct topic_row {
    struct topic_spec config;
    uint64_t changed_index;
    uint32_t queue_count;
};
void topic_row_encode(const struct topic_row *row, struct buf *out);
WARN_UNUSED enum status topic_row_decode(struct slice value, struct topic_row *row);

struct queue_row {
    int64_t offset_first;
    int64_t offset_next;
    uint64_t grew_segment; /* Of its last entry. */
};
void queue_row_encode(const struct queue_row *row, struct buf *out);
WARN_UNUSED enum status queue_row_decode(struct slice value, struct queue_row *row);

/* A chunk's value is entries back to back. */
enum { INDEX_ENTRY_SIZE = 36 };
void index_entry_encode(const struct index_entry *entry, uint8_t to[INDEX_ENTRY_SIZE]);
void index_entry_decode(const uint8_t from[INDEX_ENTRY_SIZE], struct index_entry *entry);

void group_row_encode(const struct group_spec *config, struct buf *out);
WARN_UNUSED enum status group_row_decode(struct slice value, struct group_spec *config);

/* Offsets of queues 0 … count - 1, -1 for none, 8 bytes each. An offset that was reset and is held
 * (machine_offset.c) has OFFSET_HELD set. */
#define OFFSET_HELD (INT64_C(1) << 62)
#define OFFSET_MAX (OFFSET_HELD - 1)
void offsets_row_encode(const int64_t *offsets, uint32_t count, struct buf *out);
WARN_UNUSED enum status offsets_row_decode(struct slice value, uint32_t *count);
int64_t offsets_row_get(struct slice value, uint32_t queue_id);

struct lock_row {
    uint64_t until_ms;
    struct slice client; /* At most NAME_MAX_SIZE bytes. */
};
void lock_row_encode(const struct lock_row *row, struct buf *out);
/* Borrows from value. */
WARN_UNUSED enum status lock_row_decode(struct slice value, struct lock_row *row);

/* How a group gets the messages of a topic. */
struct mode_row {
    enum request_mode mode;
    int32_t share_count;
};
void mode_row_encode(const struct mode_row *row, struct buf *out);
WARN_UNUSED enum status mode_row_decode(struct slice value, struct mode_row *row);

/* A message that was popped and is not acknowledged. */
struct popped_row {
    uint64_t pop_ms; /* Of its last delivery. */
    uint64_t due_ms; /* When it may be delivered again. */
    uint64_t first_pop_ms;
    uint32_t repeats; /* Deliveries but the first. */
};
void popped_row_encode(const struct popped_row *row, struct buf *out);
WARN_UNUSED enum status popped_row_decode(struct slice value, struct popped_row *row);

/* A producer group's value is its name. */

/* An open transaction, or a remembered outcome (then without keys). */
enum { TRANSACTION_ROW_SIZE = 128, TRANSACTION_KEYS_MAX = 64 };
struct transaction_row {
    uint64_t position;
    int64_t half_offset;
    uint32_t size;
    uint32_t crc;
    int32_t queue_id;
    uint64_t topic_id; /* 0: deleted. */
    uint64_t topic_hash;
    uint64_t group_id;
    enum transaction_state state;
    bool has_unique;
    bool settled_by_hand;
    bool expired_by_age;
    bool dropped_by_cut;
    uint32_t attempts;
    int32_t tags_hash;
    uint64_t stored_ms;
    uint64_t last_check_ms;
    uint64_t decided_ms;
    uint64_t due_ms;
    struct delay delay; /* Begins at the commit. */
    int64_t visible_offset;
    uint8_t unique_hash[16];
    uint32_t key_count;
    uint64_t keys[TRANSACTION_KEYS_MAX];
};
void transaction_row_encode(const struct transaction_row *row, struct buf *out);
WARN_UNUSED enum status transaction_row_decode(struct slice value, struct transaction_row *row);

/* A delayed message. */
struct delayed_row {
    uint64_t position;
    uint32_t size;
    uint32_t crc;
    int32_t queue_id;
    uint64_t topic_id;
    int32_t tags_hash;
    uint64_t due_ms;
    uint64_t stored_ms;
    bool recallable;
    uint32_t key_count;
    uint64_t keys[TRANSACTION_KEYS_MAX];
};
void delayed_row_encode(const struct delayed_row *row, struct buf *out);
WARN_UNUSED enum status delayed_row_decode(struct slice value, struct delayed_row *row);

/* A row of outcomes: number of the first (u64), then transaction rows back to back. */
enum { OUTCOMES_PER_ROW = 256, OUTCOMES_HEADER_SIZE = 8 };

/* A row of messages that are recognised: number of the first (u64), then entries back to back. */
enum {
    UNIQUE_HASH_SIZE = 16,
    UNIQUE_ROW_SIZE = 44,
    UNIQUES_PER_ROW = 256,
    UNIQUES_HEADER_SIZE = 8
};
struct unique_row {
    uint8_t hash[UNIQUE_HASH_SIZE]; /* Of topic and UNIQ_KEY. */
    int32_t queue_id;
    int64_t queue_offset; /* As it was answered, */
    uint64_t position;    /* and where it was stored. */
    uint64_t until_ms;    /* Then its window is over. */
};
void unique_row_encode(const struct unique_row *row, uint8_t to[UNIQUE_ROW_SIZE]);
WARN_UNUSED enum status unique_row_decode(const uint8_t from[UNIQUE_ROW_SIZE],
                                          struct unique_row *row);

/* A run of the key index: entries back to back, oldest first. */
enum { KEY_ENTRY_SIZE = 40 };
struct key_entry {
    uint64_t hash;
    uint64_t position;
    uint64_t body_position;
    uint64_t store_time_ms;
    uint32_t size;
    uint32_t crc;
};
void key_entry_encode(const struct key_entry *entry, uint8_t to[KEY_ENTRY_SIZE]);
void key_entry_decode(const uint8_t from[KEY_ENTRY_SIZE], struct key_entry *entry);

struct segment_row {
    uint64_t first_ms; /* Time of its first entry, */
    uint64_t last_ms;  /* and of its last one. */
    uint64_t last_index;
    /* Highest position, in a later segment, of an index entry that refers to a message in this one;
     * 0: there is none. */
    uint64_t referred_from;
    uint32_t ends_count; /* Queues that grew in it, once it is complete. */
};
void segment_row_encode(const struct segment_row *row, struct buf *out);
WARN_UNUSED enum status segment_row_decode(struct slice value, struct segment_row *row);

/* Where a queue that grew in a segment stood at its end. A row has up to ENDS_PER_ROW of them, by
 * topic and queue. */
enum { QUEUE_END_SIZE = 20, ENDS_PER_ROW = 1024 };
struct queue_end {
    uint64_t topic_id;
    int32_t queue_id;
    int64_t offset_next;
};
void queue_end_encode(const struct queue_end *end, uint8_t to[QUEUE_END_SIZE]);
void queue_end_decode(const uint8_t from[QUEUE_END_SIZE], struct queue_end *end);

#endif
