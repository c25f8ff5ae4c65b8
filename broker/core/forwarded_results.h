/* Batches on their way from a follower to the leader, and their results on the way back.
 *
 * The request's body is the entry as it would go into the log; the answer's body holds one
 * fixed-size record per operation, little-endian (docs/protocol.md): u32 status, u8 kind (0 none, 1
 * message, 2 transaction, 3 lock, 4 pop), u8 flag (duplicate or changed), u8 state, u8 zero, i64
 * queue_offset (lock: u64 places taken; pop: u64 pop_ms), u64 position, u32 count, i32 queue_id
 * = 32 bytes */
#ifndef BROKER_CORE_FORWARDED_RESULTS_H
#define BROKER_CORE_FORWARDED_RESULTS_H

#include "broker/machine/machine.h"

struct proposer;
struct batch;

enum { FORWARDED_RESULT_SIZE = 32 };

/* Append the frame of a REQUEST_RAFTMQ_PROPOSE. Copies entry. */
void forwarded_batch_encode(int32_t opaque, struct slice entry, struct buf *out);

void forwarded_result_encode(enum operation_type type, const struct operation_result *result,
                             uint8_t to[FORWARDED_RESULT_SIZE]);
void forwarded_result_decode(const uint8_t from[FORWARDED_RESULT_SIZE],
                             struct operation_result *result);

/* Hand the results of an answer to the batch's waiters; false (none called) if the body does not
 * hold exactly one result for each. */
bool forwarded_results_deliver(struct proposer *proposer, struct batch *batch, struct slice body);

#endif
