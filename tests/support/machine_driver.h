/* Drives a state machine the way a log does: entries at rising indexes and positions, kept so that
 * they can be applied again. */
#ifndef TESTS_SUPPORT_MACHINE_DRIVER_H
#define TESTS_SUPPORT_MACHINE_DRIVER_H

#include "broker/machine/keys.h"
#include "broker/machine/machine.h"

enum { ENTRY_TIME_STEP_MS = 10 }; /* From one entry to the next. */

struct driver_entry {
    uint64_t index;
    uint64_t position;
    uint8_t *payload;
    size_t size;
};

struct driver {
    struct machine *machine;
    struct kv *kv;
    struct buf entry; /* The open one. */
    uint64_t time_ms;
    uint64_t position_next;
    uint64_t index_last;
    struct driver_entry *log; /* Since the last durable checkpoint. */
    size_t log_count;
    struct operation_result results[4096]; /* Of the last entry. */
    uint32_t result_count;
};

/* A machine on an empty store in memory, or on `kv` (then taken). */
void driver_open(struct driver *driver, struct kv *kv);
void driver_close(struct driver *driver);

/* Close the open entry and apply it; the first result. */
struct operation_result driver_apply(struct driver *driver);

/* The next entry begins the next segment of the log. */
void driver_next_segment(struct driver *driver);

/* Write a checkpoint; durable = with kv_flush. */
void driver_checkpoint(struct driver *driver, bool durable);

/* Close the machine and open it on the same store; then apply what of the log it lacks. */
void driver_reopen(struct driver *driver);
/* A durable checkpoint, then a restart from it; fails the test unless the state stays what it is.
 */
void driver_restart_unchanged(struct driver *driver);
/* How many rows of a family the store has. */
uint32_t driver_rows(const struct driver *driver, enum key_family family);

/* --- Pieces of the open entry --- */

struct driver_message {
    const char *topic;
    int32_t queue_id;
    const char *tags; /* NULL: none, as below. */
    const char *keys;
    const char *unique_key;
    const char *producer_group;
    size_t body_size;
    int64_t prepared_offset;
};
/* The stored message alone. */
void driver_message_encode(const struct driver_message *message, struct buf *out);
void driver_message(struct driver *driver, const struct driver_message *message);
/* `count` of the same in one operation. */
void driver_batch(struct driver *driver, const struct driver_message *message, uint32_t count);
void driver_half(struct driver *driver, const struct driver_message *message,
                 uint64_t first_check_ms);
void driver_half_delayed(struct driver *driver, const struct driver_message *message,
                         const struct delay *delay);
/* Its prepared offset is set as it has to be. */
void driver_delayed(struct driver *driver, const struct driver_message *message,
                    const struct delay *delay);
void driver_topic(struct driver *driver, const char *name, int32_t queues);

/* --- Whole entries --- */

struct operation_result driver_put_topic(struct driver *driver, const char *name, int32_t queues);
struct operation_result driver_send(struct driver *driver, const struct driver_message *message);
struct operation_result driver_send_half(struct driver *driver, const char *topic, int32_t queue_id,
                                         const char *group, const char *unique_key);
struct operation_result driver_end(struct driver *driver, const struct operation_result *half,
                                   const char *group, enum decision decision);
struct operation_result driver_settle(struct driver *driver, uint64_t position,
                                      enum decision decision);
struct operation_result driver_expire(struct driver *driver, uint64_t position);
struct operation_result driver_send_delayed(struct driver *driver, const char *topic,
                                            int32_t queue_id, const struct delay *delay);
struct operation_result driver_fire(struct driver *driver, uint64_t position);
/* Ask for a CUT to the beginning of a segment, given by its number. */
struct operation_result driver_cut(struct driver *driver, uint64_t segment);
struct operation_result driver_commit_offset(struct driver *driver, const char *group,
                                             const char *topic, int32_t queue_id, int64_t offset,
                                             bool reset);

/* A queue's next offset; fails the test without such a queue. */
int64_t driver_next(const struct driver *driver, const char *topic, int32_t queue_id);
/* One entry of a queue's index; fails the test if it cannot be read. */
struct index_entry driver_read(struct driver *driver, const char *topic, int32_t queue_id,
                               int64_t offset);

#endif
