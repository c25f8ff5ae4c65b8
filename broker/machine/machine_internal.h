/* The machine from within: what its modules share. Private to broker/machine.
 *
 * machine.c applies entries and makes checkpoints; each other module owns one kind of state, with
 * the same verbs: apply_x for an operation, x_load for a row of the store, x_checkpoint for the
 * changed rows, x_hash for the content, x_close. */
#ifndef BROKER_MACHINE_MACHINE_INTERNAL_H
#define BROKER_MACHINE_MACHINE_INTERNAL_H

#include "broker/machine/keys.h"
#include "broker/machine/machine.h"
#include "broker/machine/operation_fields.h"
#include "broker/machine/rows.h"
#include "broker/machine/transaction_index.h"

/* Expired half messages are copied here, by reference, for whoever looks after them. */
#define TOPIC_CHECK_EXPIRED "TRANS_CHECK_MAX_TIME_TOPIC"

enum {
    CHUNK_ENTRIES_MAX = LIMITS_PICK(256, 20),
    /* Of indexes, what is written and kept for reading. The rest is bounded by how often
     * checkpoints are made. */
    PARTS_CLEAN_MAX = LIMITS_PICK(4 * 1024, 4) * 1024,
    /* Words of KEYS (and the UNIQ_KEY) by which one message can be found. */
    MESSAGE_KEYS_MAX = TRANSACTION_KEYS_MAX,
    /* (group, topic) pairs with offsets. */
    OFFSET_ROWS_MAX = 1024 * 1024,
    /* Outcomes forgotten for their age in one entry: a long pause must not cost a long stall. */
    FORGET_MAX = LIMITS_PICK(4096, 4),
    TRANSACTIONS_PER_SLAB = 256,
    /* Messages recognised when they are sent again, of all topics: about 110 MB. */
    UNIQUES_MAX = 1000000,
    /* What a row costs besides its content, for machine_dirty_size(). */
    INDEX_KEY_OVERHEAD = 40,
    QUEUE_ROW_OVERHEAD = 48,
    /* Bytes of change that are worth writing the rows of a queue. */
    QUEUE_ROWS_WORTH = 2048,
};

/* One message of a MESSAGE operation, checked but not yet written. */
struct checked_message {
    struct queue *queue;
    struct slice properties;
    uint32_t size;
    uint32_t crc;
};

/* What the index needs of a message's properties. */
struct message_terms {
    int32_t tags_hash;
    uint32_t key_count;
    uint64_t keys[MESSAGE_KEYS_MAX];
    struct slice unique_key;     /* Empty without. */
    struct slice producer_group; /* Empty without. */
};

/* Keys since a checkpoint, in log order. */
struct key_run {
    struct key_entry *entries;
    size_t count;
    size_t capacity;
};

/* A message whose bytes are in the log, but that is not visible yet. */
struct hidden_message {
    uint64_t position;
    uint32_t size;
    uint32_t crc;
    int32_t tags_hash;
    const uint64_t *keys; /* Hashed: what finds it once it is visible. */
    uint32_t key_count;
    bool recallable; /* While it is delayed. */
};

/* A message that is recognised when it is sent again. */
struct unique {
    struct map_node node; /* If it is the newest of its key. */
    bool newest;
    uint8_t hash[UNIQUE_HASH_SIZE];
    int32_t queue_id;
    int64_t queue_offset;
    uint64_t position;
    uint64_t until_ms;
};

/* A segment of the log. */
struct segment {
    struct segment_row row;
    uint32_t held_count; /* Pending halves and delayed messages in it. */
    bool dirty;
    bool ends_writing; /* In the batch being written. */
    uint8_t *ends; /* row.ends_count packed ones; NULL if there are none or the store has them. */
};

/* While loading: what has been read so far, by id. Rows come in order of their ids. */
struct loader {
    struct producer_group **groups;
    size_t group_count;
    uint64_t unique_next; /* As the head says. */
};

struct machine {
    struct kv *kv;
    struct machine_events events;
    struct meta_row meta; /* counters.pending and .expired included */

    /* The entry being applied. */
    uint64_t entry_index;
    uint64_t entry_position;
    struct checked_message *batch;
    size_t batch_capacity;

    struct map topics;
    struct list topics_dirty;
    const struct topic *topic_last; /* Of the message before: mostly that of the next, too. */
    struct map topics_by_id;

    struct list queues_dirty;
    size_t queues_dirty_count; /* Since the last checkpoint, also of those deleted since. */
    struct list queues_grown;
    struct list queues_touched; /* Those that grew in the newest segment. */
    struct list parts_dirty;    /* Of indexes of queues. */
    struct list parts_writing;
    struct part_write *parts_frozen; /* What of those that are being written is new. */
    size_t parts_frozen_count;
    struct list parts_clean; /* Least recently used first. */
    size_t parts_clean_size;

    struct map groups;
    struct list groups_dirty;

    struct map offsets;
    struct list offsets_dirty;
    size_t offset_count; /* In all rows, with those that are OFFSET_NONE. */
    size_t queue_count;  /* Of all topics. */
    size_t topics_told;  /* Bytes of all topics in a registration, about. */
    size_t offsets_held; /* Asked for by every pull, and nearly always 0. */

    struct map locks;
    struct map lock_groups;
    struct heap locks_due; /* By when they run out. */
    struct list locks_dirty;

    struct map pop_places; /* By group and topic. */
    struct list popped_dirty;
    uint64_t popped_count;

    struct map modes;
    struct list modes_dirty;

    struct map producer_groups;
    struct list producer_groups_dirty;
    struct transaction_index transactions; /* By position. */
    struct transaction_index uniques;      /* By producer group and UNIQ_KEY. */
    struct list ages[TRANSACTION_EXPIRED + 1];
    struct heap expired; /* struct transaction.due by position */
    struct list outcomes;
    struct list transactions_dirty;
    struct list slabs;          /* Those with room. */
    uint64_t orphans;           /* Open ones whose topic is deleted. */
    uint64_t outcomes_written;  /* Number of the first that no checkpoint has. */
    uint64_t outcome_row_first; /* Number of the first row in the store. */

    struct map delayed;   /* By position. */
    struct heap schedule; /* struct delayed.due */
    struct list delayed_dirty;

    struct map unique_keys; /* By hash. */
    struct unique *unique_ring;
    uint64_t unique_capacity;  /* A power of two; 0 at first. */
    uint64_t uniques_written;  /* Number of the first that no checkpoint has. */
    uint64_t unique_row_first; /* Number of the first row in the store. */

    struct key_run keys;
    struct key_run keys_frozen;   /* In the batch being written. */
    uint64_t keys_frozen_applied; /* Its applied index, */
    uint64_t keys_frozen_ms;      /* and its clock. */
    uint32_t trim_bucket;         /* Next one whose old runs go; see keys_trim(). */
    uint64_t trim_ms;             /* Runs not younger than that go in this round. */
    uint64_t trim_index;

    /* From the segment of meta.log_first to that of the newest entry. */
    struct segment *segments;
    size_t segment_count;
    size_t segment_capacity;

    struct loader *loader; /* Only within machine_open(). */

    struct kv_batch *deletes; /* For the next checkpoint, before its puts. */
    size_t dirty_size;
    bool checkpointing;
};

/* --- machine.c ---------------------------------------------------------------------------- */

/* What the store gave contradicts what was written to it. Returns STATUS_CORRUPT. */
enum status machine_note_damage(struct machine *machine);

/* Commutative hash of one item of the state. */
uint64_t machine_item_hash(enum key_family family, struct slice key, struct slice value);

/* --- machine_message.c -------------------------------------------------------------------- */

void apply_message(struct machine *machine, const struct operation *operation,
                   struct operation_result *result);
/* Tags, keys and names of a message; keys are hashed for the topic. */
void message_terms_read(struct slice properties, uint64_t topic_hash, struct message_terms *terms);
/* Make a message visible: by the operation at `position`, at whose place it is read from now on.
 * The queue offset it got. */
int64_t message_show(struct machine *machine, struct queue *queue,
                     const struct hidden_message *message, uint64_t position);
/* It is applied soon: have its queue in the cache by then, if that is of the topic of the message
 * before it, as it mostly is. */
void message_foresee(const struct machine *machine, const struct operation *operation);
/* The queue of a stored message, as far as it may be stored. */
enum status message_queue_find(struct machine *machine, struct slice topic, int32_t queue_id,
                               struct queue **queue);

/* --- machine_topic.c ---------------------------------------------------------------------- */

void apply_topic_put(struct machine *machine, const struct operation_topic_put *put,
                     struct operation_result *result);
void apply_topic_delete(struct machine *machine, struct slice name,
                        struct operation_result *result);
struct topic *topic_find(const struct machine *machine, struct slice name);
struct topic *topic_create(struct machine *machine, const struct topic_spec *config);
/* NULL if there is none. */
struct topic *topic_by_id(const struct machine *machine, uint64_t id);
/* Give it at least `count` queues. */
void topic_queues_grow(struct machine *machine, struct topic *topic, uint32_t count);
enum status topic_load(struct machine *machine, struct slice key, struct slice value);
void topics_checkpoint(struct machine *machine, struct kv_batch *batch);
uint64_t topics_hash(const struct machine *machine);
void topics_close(struct machine *machine);
/* Of the name, as in keys of messages. */
static inline uint64_t topic_hash_of(const struct topic *topic)
{
    return topic->node.hash;
}

/* --- machine_queue.c ---------------------------------------------------------------------- */

/* Make a message visible: it takes the queue's next offset. */
int64_t queue_append(struct machine *machine, struct queue *queue, const struct index_entry *entry);
/* Have those who wait at it look again. */
void queue_report(struct machine *machine, struct queue *queue);
/* Tell of all queues that grew. */
void queues_report_grown(struct machine *machine);
void queue_init(struct queue *queue, struct topic *topic, int32_t id);
/* It is about to get a message. One of thousands is in no cache. */
static inline void queue_prefetch(const struct queue *queue)
{
    enum { LINE = 64 };
    for (size_t at = 0; at < sizeof *queue; at += LINE) {
        __builtin_prefetch((const uint8_t *)queue + at, 1);
    }
}
void queue_mark_dirty(struct machine *machine, struct queue *queue);
/* The queue lies elsewhere now; `from` is what it was. */
void queue_moved(struct machine *machine, struct queue *queue, struct queue *from);
void queue_close(struct machine *machine, struct queue *queue);
/* Messages before this offset are gone. */
void queue_cut(struct machine *machine, struct queue *queue, int64_t offset_first);
enum status queue_load(struct machine *machine, struct slice key, struct slice value);
void queues_checkpoint(struct machine *machine, struct kv_batch *batch);
/* Added to *sum. Errors: as machine_queue_read(). */
WARN_UNUSED enum status queue_hash(struct machine *machine, const struct queue *queue,
                                   uint64_t *sum);

/* --- machine_queue_index.c ---------------------------------------------------------------- */

/* As queue_prefetch(), for its last part. */
void queue_index_prefetch(const struct queue *queue);
/* The entry of offset_next. */
void queue_index_append(struct machine *machine, struct queue *queue,
                        const struct index_entry *entry);
/* The queue lies elsewhere now. */
void queue_index_moved(struct queue *queue);
/* What is below offset_first is gone; `before` is what that was. */
void queue_index_cut(struct machine *machine, struct queue *queue, int64_t before);
void queue_index_close(struct machine *machine, struct queue *queue);
/* What is new is the next checkpoint's: it stays as it is until that is in the store. */
void queue_indexes_freeze(struct machine *machine);
void queue_indexes_fill(const struct machine *machine, struct kv_batch *batch); /* Any thread. */
void queue_indexes_written(struct machine *machine);
/* After all queues are closed. */
void queue_indexes_close(struct machine *machine);

/* --- machine_group.c ---------------------------------------------------------------------- */

void apply_group_put(struct machine *machine, const struct operation_group_put *put,
                     struct operation_result *result);
void apply_group_delete(struct machine *machine, const struct operation_group_delete *del,
                        struct operation_result *result);
enum status group_load(struct machine *machine, struct slice key, struct slice value);
void groups_checkpoint(struct machine *machine, struct kv_batch *batch);
uint64_t groups_hash(const struct machine *machine);
void groups_close(struct machine *machine);

/* --- machine_offset.c --------------------------------------------------------------------- */

void apply_offsets(struct machine *machine, const struct operation_offsets *offsets,
                   struct operation_result *result);
/* Set the offset of a group that pops: it may go anywhere, and nobody need take note.
 * Errors: STATUS_LIMIT. */
WARN_UNUSED enum status offset_move(struct machine *machine, struct slice group,
                                    struct topic *topic, int32_t queue_id, int64_t offset);
/* Forget all offsets in a topic, or all of a group; how many rows. */
size_t offsets_delete_topic(struct machine *machine, struct slice topic);
size_t offsets_delete_group(struct machine *machine, struct slice group);
enum status offsets_load(struct machine *machine, struct slice key, struct slice value);
void offsets_checkpoint(struct machine *machine, struct kv_batch *batch);
uint64_t offsets_hash(const struct machine *machine);
void offsets_close(struct machine *machine);

/* --- machine_transaction.c ---------------------------------------------------------------- */

void apply_half(struct machine *machine, const struct operation *operation,
                struct operation_result *result);
void apply_end(struct machine *machine, const struct operation *operation,
               struct operation_result *result);
void apply_checked(struct machine *machine, const struct operation_checked *checked,
                   struct operation_result *result);
void apply_expire(struct machine *machine, const struct operation *operation,
                  struct operation_result *result);
void apply_settle(struct machine *machine, const struct operation *operation,
                  struct operation_result *result);
/* Outcomes that are too many or too old. */
void transactions_forget(struct machine *machine);
/* A topic goes, or comes (again). */
void transactions_topic_deleted(struct machine *machine, const struct topic *topic);
void transactions_topic_created(struct machine *machine, struct topic *topic);

/* --- machine_transaction_table.c ---------------------------------------------------------- */

struct transaction *transaction_new(struct machine *machine);
/* Take it out of every list, map and schedule, and free it. */
void transaction_free(struct machine *machine, struct transaction *transaction);
void transaction_mark_dirty(struct machine *machine, struct transaction *transaction);
/* Into the maps and counts; its fields are set. */
void transaction_link(struct machine *machine, struct transaction *transaction);
/* Change its state, with lists, schedule and counts. due_ms matters for PENDING only. */
void transaction_set_state(struct machine *machine, struct transaction *transaction,
                           enum transaction_state state, uint64_t due_ms);
/* Into the schedule of its state, if that has one. */
void transaction_schedule(struct machine *machine, struct transaction *transaction,
                          uint64_t due_ms);
/* Walk all, of any state: NULL to begin with, NULL at the end. The present one must stay where it
 * is until the next step. */
struct transaction *transaction_walk(const struct machine *machine, struct transaction *previous);
struct producer_group *producer_group_get(struct machine *machine, struct slice name);
void unique_hash_of(struct slice producer_group, struct slice unique_key, uint8_t hash[16]);
void transactions_close(struct machine *machine);

/* --- machine_transaction_store.c ---------------------------------------------------------- */

enum status producer_group_load(struct machine *machine, struct slice key, struct slice value);
enum status transaction_load(struct machine *machine, struct slice key, struct slice value);
enum status outcomes_load(struct machine *machine, struct slice key, struct slice value);
/* After all rows: is the sequence of outcomes whole? */
enum status outcomes_check(const struct machine *machine);
void transactions_checkpoint(struct machine *machine, struct kv_batch *batch);
uint64_t transactions_hash(const struct machine *machine);

/* --- machine_lock.c ----------------------------------------------------------------------- */

void apply_lock(struct machine *machine, const struct operation_lock *operation,
                struct operation_result *result);
/* Drop what ran out long ago. */
void locks_forget(struct machine *machine);
void locks_delete_topic(struct machine *machine, struct slice topic);
void locks_delete_group(struct machine *machine, struct slice group);
enum status lock_load(struct machine *machine, struct slice key, struct slice value);
void locks_checkpoint(struct machine *machine, struct kv_batch *batch);
uint64_t locks_hash(const struct machine *machine);
void locks_close(struct machine *machine);

/* --- machine_pop.c ------------------------------------------------------------------------ */

void apply_pop(struct machine *machine, const struct operation_pop *pop,
               struct operation_result *result);
void apply_ack(struct machine *machine, const struct operation_ack *ack,
               struct operation_result *result);
void apply_invisible(struct machine *machine, const struct operation_invisible *invisible,
                     struct operation_result *result);
/* Messages of a queue before this offset are gone. */
void popped_cut(struct machine *machine, const struct queue *queue, int64_t offset_first);
/* The group begins anew in a queue. */
void popped_reset(struct machine *machine, struct slice group, struct slice topic,
                  int32_t queue_id);
/* The group pulls from now on: it goes back to what is not acknowledged. */
void popped_return(struct machine *machine, struct slice group, struct topic *topic);
void popped_delete_topic(struct machine *machine, struct topic *topic);
void popped_delete_group(struct machine *machine, struct slice group);

/* --- machine_popped.c --------------------------------------------------------------------- */

enum status popped_load(struct machine *machine, struct slice key, struct slice value);
void popped_checkpoint(struct machine *machine, struct kv_batch *batch);
uint64_t popped_hash(const struct machine *machine);
void popped_close(struct machine *machine);

/* --- machine_mode.c ----------------------------------------------------------------------- */

void apply_mode_put(struct machine *machine, const struct operation_mode_put *put,
                    struct operation_result *result);
void modes_delete_topic(struct machine *machine, struct slice topic);
void modes_delete_group(struct machine *machine, struct slice group);
enum status mode_load(struct machine *machine, struct slice key, struct slice value);
void modes_checkpoint(struct machine *machine, struct kv_batch *batch);
uint64_t modes_hash(const struct machine *machine);
void modes_close(struct machine *machine);

/* --- machine_delayed.c -------------------------------------------------------------------- */

void apply_delayed(struct machine *machine, const struct operation *operation,
                   struct operation_result *result);
void apply_fire(struct machine *machine, const struct operation *operation,
                struct operation_result *result);
void apply_recall(struct machine *machine, const struct operation_recall *recall,
                  struct operation_result *result);
/* When a delay that begins now ends; the clock's time or less if there is nothing to wait for. */
uint64_t delay_end_ms(const struct machine *machine, const struct delay *delay);
bool delayed_has_room(const struct machine *machine);
/* Into the schedule. */
void delayed_add(struct machine *machine, struct topic *topic, int32_t queue_id,
                 const struct hidden_message *message, uint64_t due_ms);
/* A topic goes: so do its messages, visible or not. */
void delayed_topic_deleted(struct machine *machine, const struct topic *topic);
enum status delayed_load(struct machine *machine, struct slice key, struct slice value);
void delayed_checkpoint(struct machine *machine, struct kv_batch *batch);
uint64_t delayed_hash(const struct machine *machine);
void delayed_close(struct machine *machine);

/* --- machine_unique.c --------------------------------------------------------------------- */

/* What became of a message of that UNIQ_KEY; NULL if the topic has no window or does not remember
 * one. Valid until the next is added or forgotten. */
const struct unique *unique_find(const struct machine *machine, const struct topic *topic,
                                 struct slice key);
/* Remember what is answered for a message, if its topic has a window. */
void unique_add(struct machine *machine, const struct topic *topic, struct slice key,
                const struct operation_result *result);
/* Answer as the first one was answered. */
void unique_answer(struct machine *machine, const struct unique *unique,
                   struct operation_result *result);
/* Drop those whose window is over. */
void uniques_forget(struct machine *machine);
enum status uniques_load(struct machine *machine, struct slice key, struct slice value);
/* After all rows: are all there that the head names? */
enum status uniques_check(const struct machine *machine);
void uniques_checkpoint(struct machine *machine, struct kv_batch *batch);
uint64_t uniques_hash(const struct machine *machine);
void uniques_close(struct machine *machine);

/* --- machine_key.c ------------------------------------------------------------------------ */

uint64_t message_key_hash(uint64_t topic_hash, struct slice key);
void key_add(struct machine *machine, uint64_t hash, const struct index_entry *entry);
/* What came is the next checkpoint's. */
void keys_freeze(struct machine *machine, struct kv_batch *batch);
void keys_fill(const struct machine *machine, struct kv_batch *batch); /* Any thread. */
void keys_checkpoint_written(struct machine *machine);
/* Errors as kv_iterator_close(). */
enum status keys_hash(struct machine *machine, uint64_t *hash);
void keys_close(struct machine *machine);

/* --- machine_segment.c -------------------------------------------------------------------- */

/* The entry to be applied lies in this segment: begin it if it is a new one. */
void segments_enter(struct machine *machine);
/* The entry was applied. */
void segments_leave(struct machine *machine);
/* The segment at a position; NULL if it is cut or not begun. */
struct segment *segment_at(const struct machine *machine, uint64_t position);
/* An index entry at `from` refers to the message at `body`. */
void segment_refer(struct machine *machine, uint64_t body, uint64_t from);
/* Where the queues that grew in a complete segment stood at its end, packed, appended to out.
 * Errors: STATUS_IO, STATUS_CORRUPT. */
WARN_UNUSED enum status segment_ends_read(struct machine *machine, uint64_t number,
                                          struct buf *out);
/* Forget where queues stood at the end of the segments below; then the segments. */
void segments_forget_ends(struct machine *machine, uint64_t position);
void segments_drop(struct machine *machine, uint64_t log_first);
enum status segment_load(struct machine *machine, struct slice key, struct slice value);
void segments_checkpoint(struct machine *machine, struct kv_batch *batch);
void segments_checkpoint_written(struct machine *machine);
/* Errors as segment_ends_read(). */
enum status segments_hash(struct machine *machine, uint64_t *hash);
void segments_close(struct machine *machine);

/* --- machine_cut.c ------------------------------------------------------------------------ */

void apply_cut(struct machine *machine, const struct operation_cut *cut,
               struct operation_result *result);

#endif
