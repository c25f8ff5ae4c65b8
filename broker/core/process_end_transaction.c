/* END_TRANSACTION (37): a producer's decision on a half message.
 *
 * Only apply decides. UNKNOWN is no decision: nothing is logged and, as in RocketMQ, nothing is
 * answered. Source: EndTransactionProcessor, EndTransactionRequestHeader. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"

#include <inttypes.h>

static enum status decode(const struct command *command, struct operation_end *end,
                          int64_t *position, int32_t *decision)
{
    enum status status = command_i64(command, "commitLogOffset", true, position);
    if (status == STATUS_OK) {
        status = command_i64(command, "tranStateTableOffset", true, &end->half_offset);
    }
    if (status == STATUS_OK) {
        status = command_i32(command, "commitOrRollback", true, decision);
    }
    if (status == STATUS_OK) {
        status = command_text(command, "producerGroup", GROUP_NAME_MAX, &end->producer_group);
    }
    if (status == STATUS_OK) {
        status = command_bool(command, "fromTransactionCheck", &end->from_check);
    }
    return status;
}

enum status process_end_transaction(struct broker *broker, struct request *request)
{
    struct operation_end end = {0};
    int64_t position = 0;
    int32_t decision = 0;
    enum status status = decode(request->command, &end, &position, &decision);
    if (status != STATUS_OK) {
        return request_fail(request, status,
                            "END_TRANSACTION needs producerGroup, tranStateTableOffset, "
                            "commitLogOffset and commitOrRollback");
    }
    if (decision == DECISION_UNKNOWN) {
        return STATUS_PENDING;
    }
    if ((decision != DECISION_COMMIT && decision != DECISION_ROLLBACK) || position < 0) {
        return request_fail(request, STATUS_INVALID_ARGUMENT,
                            "commitOrRollback must be 0, 8 or 12 and commitLogOffset >= 0, not %d "
                            "and %" PRId64,
                            decision, position);
    }
    end.half_position = (uint64_t)position;
    end.decision = (enum decision)decision;

    // Decisions are taken even when the disk is nearly full: space is kept for them.
    struct buf *entry;
    status = proposer_begin(&broker->proposer, 128 + end.producer_group.size, &entry);
    if (status != STATUS_OK) {
        return status;
    }
    entry_put_end(entry, &end);
    const struct waiter waiter = {.done = reply_with_status, .to = request->to};
    proposer_add(&broker->proposer, &waiter);
    return STATUS_PENDING;
}
