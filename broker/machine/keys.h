/* Layout of every key in the machine's store. Pure.
 *
 * The first byte is the family; integers are big-endian, so that bytes sort as numbers do. A few
 * are complemented, so that walking forward goes back in time or down in offsets.
 *
 *   a                                                   what the machine is as a whole
 *   t  topic id                                         topic
 *   q  topic id, queue id (4)                           head of a queue
 *   i  topic id, queue id (4), ~first offset            chunk of a queue's index
 *   g  group id                                         consumer group
 *   o  group name, 0, topic name                        its offsets in all queues of a topic
 *   l  group name, 0, topic name, 0, queue id (4)       queue lock
 *   m  group name, 0, topic name                        pull or pop
 *   u  group name, 0, topic name, 0, queue id (4), offset   popped message, not acknowledged
 *   p  producer group id                                producer group with transactions
 *   x  position                                         open transaction
 *   d  position                                         delayed message
 *   y  number of the row (outcome number / OUTCOMES_PER_ROW)   remembered outcomes
 *   w  number of the row (number / UNIQUES_PER_ROW)     messages recognised when sent again
 *   k  bucket (2), ~time, ~applied index                run of the key index
 *   s  number of the segment                            segment of the log
 *   e  number of the segment, part (4)                  where queues stood at its end
 *
 * Ids are given in order of creation and never again, so what is left of a deleted topic cannot be
 * taken for its successor's. 8 bytes where nothing is said. */
#ifndef BROKER_MACHINE_KEYS_H
#define BROKER_MACHINE_KEYS_H

#include "common/base/slice.h"

enum key_family {
    KEY_META = 'a',
    KEY_TOPIC = 't',
    KEY_QUEUE = 'q',
    KEY_INDEX = 'i',
    KEY_GROUP = 'g',
    KEY_OFFSETS = 'o',
    KEY_LOCK = 'l',
    KEY_MODE = 'm',
    KEY_POPPED = 'u',
    KEY_PRODUCER_GROUP = 'p',
    KEY_TRANSACTION = 'x',
    KEY_DELAYED = 'd',
    KEY_OUTCOMES = 'y',
    KEY_UNIQUES = 'w',
    KEY_RUN = 'k',
    KEY_SEGMENT = 's',
    KEY_ENDS = 'e',
};

enum { KEY_NAMES_MAX = 1 + 255 + 1 + 255, KEY_BYTES_MAX = KEY_NAMES_MAX + 1 + 4 + 8 };

struct key {
    uint32_t size;
    uint8_t bytes[KEY_BYTES_MAX];
};

static inline struct slice key_slice(const struct key *key)
{
    return slice_of(key->bytes, key->size);
}

struct key key_meta(void);
struct key key_topic(uint64_t topic_id);
struct key key_queue(uint64_t topic_id, int32_t queue_id);
struct key key_index(uint64_t topic_id, int32_t queue_id, int64_t offset_first);
struct key key_group(uint64_t group_id);
struct key key_offsets(struct slice group, struct slice topic);
struct key key_lock(struct slice group, struct slice topic, int32_t queue_id);
struct key key_mode(struct slice group, struct slice topic);
struct key key_popped(struct slice group, struct slice topic, int32_t queue_id, int64_t offset);
struct key key_producer_group(uint64_t id);
struct key key_transaction(uint64_t position);
struct key key_delayed(uint64_t position);
struct key key_outcomes(uint64_t row);
struct key key_uniques(uint64_t row);
struct key key_run(uint16_t bucket, uint64_t time_ms, uint64_t applied_index);
struct key key_segment(uint64_t number);
struct key key_ends(uint64_t segment, uint32_t part);

/* The least key of a family, and the end of the family: [first, end). */
struct key key_family_first(enum key_family family);
struct key key_family_end(enum key_family family);

/* The end of all queue heads, or of all index chunks, of a topic or of one of its queues. */
struct key key_queue_end(uint64_t topic_id);
struct key key_index_first(uint64_t topic_id);
struct key key_index_end(uint64_t topic_id);
struct key key_index_queue_end(uint64_t topic_id, int32_t queue_id);

/* Take keys apart. False if the size is not that of the family. */
bool key_id_parse(struct slice key, uint64_t *id); /* t, g, p, x, d, y, w, s */
bool key_queue_parse(struct slice key, uint64_t *topic_id, int32_t *queue_id);
bool key_index_parse(struct slice key, uint64_t *topic_id, int32_t *queue_id,
                     int64_t *offset_first);
bool key_offsets_parse(struct slice key, struct slice *group, struct slice *topic); /* m, too */
bool key_lock_parse(struct slice key, struct slice *group, struct slice *topic, int32_t *queue_id);
bool key_popped_parse(struct slice key, struct slice *group, struct slice *topic, int32_t *queue_id,
                      int64_t *offset);
bool key_run_parse(struct slice key, uint16_t *bucket, uint64_t *time_ms, uint64_t *applied_index);

#endif
