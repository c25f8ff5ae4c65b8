/* Transactions for people: list, show, settle (extension.h). docs/protocol.md has the bodies. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "broker/core/reader.h"
#include "common/remoting/json_text.h"
#include "common/remoting/properties.h"

#include <inttypes.h>
#include <stdlib.h>

enum { LIST_DEFAULT = 100 };

static const struct {
    const char *name;
    enum transaction_state state;
} states[] = {
    {"pending", TRANSACTION_PENDING},
    {"expired", TRANSACTION_EXPIRED},
    {"committed", TRANSACTION_COMMITTED},
    {"rolledback", TRANSACTION_ROLLED_BACK},
};
enum { STATE_COUNT = sizeof states / sizeof states[0] };

/* A list while the halves are read, for their transaction ids. */
struct listing {
    struct reply_to to;
    bool more;
    uint32_t count;
    uint64_t positions[READ_MESSAGES_MAX];
    bool cut[READ_MESSAGES_MAX]; /* Its message is gone, its outcome is remembered. */
};

static const char *state_name(enum transaction_state state)
{
    for (size_t i = 0; i < STATE_COUNT; i++) {
        if (states[i].state == state) {
            return states[i].name;
        }
    }
    return "unknown";
}

static void put_transaction(struct broker *broker, struct json_writer *json,
                            const struct transaction *transaction, const struct message *half)
{
    uint64_t now = broker_now_ms(broker);
    struct slice id = {0};
    properties_find(half->properties, PROPERTY_UNIQUE_KEY, &id);
    bool pending = transaction->state == TRANSACTION_PENDING;
    bool open = pending || transaction->state == TRANSACTION_EXPIRED;
    int64_t due = (int64_t)transaction->due.due - (int64_t)now;
    json_begin(json, '{');
    json_member_int(json, "position", (int64_t)transaction->position);
    json_member_int(json, "halfOffset", transaction->half_offset);
    json_member_text(json, "topic", half->topic);
    json_member_int(json, "queueId", transaction->queue_id);
    json_member_text(json, "producerGroup", name_slice(&transaction->group->name));
    json_member_text(json, "transactionId", id);
    json_member_text(json, "state", slice_text(state_name(transaction->state)));
    json_member_int(json, "attempts", transaction->attempts);
    json_member_int(json, "storedTime", (int64_t)transaction->stored_ms);
    json_member_int(json, "ageMs", (int64_t)(now - transaction->stored_ms));
    json_member_int(json, "nextCheckInMs", pending && due > 0 ? due : 0);
    json_member_int(json, "lastCheckTime", (int64_t)transaction->last_check_ms);
    json_member_int(json, "decidedTime", open ? 0 : (int64_t)transaction->decided_ms);
    json_member_int(json, "visibleOffset", transaction->visible_offset);
    json_member_text(json, "why", slice_text(checker_reason(&broker->checker, transaction)));
    json_end(json, '}');
}

static void on_halves_read(struct broker *broker, void *context, enum status status, uint8_t *data,
                           size_t size)
{
    struct listing *listing = context;
    struct buf body = {0};
    struct json_writer json = {.out = &body};
    json_begin(&json, '{');
    json_key(&json, "transactions");
    json_begin(&json, '[');
    size_t at = 0;
    for (uint32_t i = 0; status == STATUS_OK && i < listing->count; i++) {
        struct message half = {0};
        size_t used = 0;
        const struct transaction *transaction =
            machine_transaction_find(broker->machine, listing->positions[i]);
        if (!listing->cut[i]) {
            status = message_decode(slice_of(data + at, size - at), &half, &used);
        } else if (transaction != NULL && transaction->topic != NULL) {
            half.topic = name_slice(&transaction->topic->name);
        }
        if (status == STATUS_OK) {
            at += used;
            if (transaction != NULL) {
                put_transaction(broker, &json, transaction, &half);
            }
        }
    }
    json_end(&json, ']');
    json_member_bool(&json, "more", listing->more);
    json_end(&json, '}');
    if (status == STATUS_OK) {
        struct command response;
        reply_init(&response, &listing->to, 0);
        response.body = buf_slice(&body);
        broker_reply(broker, &listing->to, &response);
    } else {
        broker_reply_status(broker, &listing->to, status, NULL);
    }
    buf_close(&body);
    free(listing);
}

static void read_listing(struct broker *broker, struct listing *listing)
{
    struct message_ref refs[READ_MESSAGES_MAX];
    uint64_t log_first = machine_cut_done(broker->machine).log_first;
    uint32_t count = 0;
    for (uint32_t i = 0; i < listing->count; i++) {
        const struct transaction *transaction =
            machine_transaction_find(broker->machine, listing->positions[i]);
        listing->cut[i] = transaction->position < log_first;
        if (listing->cut[i]) {
            continue;
        }
        refs[count++] = (struct message_ref){
            .entry = {.position = transaction->position,
                      .body_position = transaction->position,
                      .size = transaction->size,
                      .crc = transaction->crc,
                      .store_time_ms = transaction->stored_ms},
            .queue_offset = transaction->half_offset,
        };
    }
    if (count == 0) {
        on_halves_read(broker, listing, STATUS_OK, NULL, 0);
    } else {
        read_messages(broker, refs, count, on_halves_read, listing);
    }
}

/* What a list is to have. */
struct wish {
    enum transaction_state state;
    struct slice producer_group; /* Empty: all. */
    int64_t after;               /* A position. */
    uint32_t max;
};

/* Keep a position, unless there are enough below it. */
static void list_position(struct listing *listing, uint64_t position, uint32_t max)
{
    uint32_t at = listing->count;
    while (at > 0 && listing->positions[at - 1] > position) {
        at--;
    }
    if (listing->count == max) {
        listing->more = true;
        if (at == max) {
            return;
        }
        listing->count--;
    }
    memmove(&listing->positions[at + 1], &listing->positions[at],
            (listing->count - at) * sizeof listing->positions[0]);
    listing->positions[at] = position;
    listing->count++;
}

/* The lowest positions of all: the next page begins after the last one, whatever the order in which
 * transactions got into their state. */
static void gather(struct broker *broker, const struct wish *wish, struct listing *listing)
{
    const struct machine *machine = broker->machine;
    const struct transaction *at = NULL;
    while ((at = machine_transaction_next(machine, wish->state, at)) != NULL) {
        if ((int64_t)at->position > wish->after &&
            (wish->producer_group.size == 0 ||
             slice_equals(wish->producer_group, name_slice(&at->group->name)))) {
            list_position(listing, at->position, wish->max);
        }
    }
    size_t bytes = 0;
    for (uint32_t i = 0; i < listing->count; i++) {
        if (!read_has_room(&bytes,
                           machine_transaction_find(machine, listing->positions[i])->size)) {
            listing->count = i;
            listing->more = true;
        }
    }
}

enum status process_txn_list(struct broker *broker, struct request *request)
{
    const struct command *command = request->command;
    struct slice state_text = slice_text("pending");
    struct slice producer_group = {0};
    int32_t max = LIST_DEFAULT;
    int64_t after = -1;
    command_find(command, "state", &state_text);
    command_find(command, "producerGroup", &producer_group);
    enum status status = command_i32(command, "max", false, &max);
    if (status == STATUS_OK) {
        status = command_i64(command, "after", false, &after);
    }
    size_t state = 0;
    while (state < STATE_COUNT && !slice_equals_text(state_text, states[state].name)) {
        state++;
    }
    if (status != STATUS_OK || state == STATE_COUNT || max < 1) {
        return request_fail(request, STATUS_INVALID_ARGUMENT,
                            "state is pending, expired, committed or rolledback; max at least 1");
    }
    struct listing *listing = mem_zalloc(sizeof *listing);
    listing->to = request->to;
    gather(broker,
           &(struct wish){
               .state = states[state].state,
               .producer_group = producer_group,
               .after = after,
               .max = max < READ_MESSAGES_MAX ? (uint32_t)max : READ_MESSAGES_MAX,
           },
           listing);
    read_listing(broker, listing);
    return STATUS_PENDING;
}

/* The transaction a request names, by position or by transaction id and producer group. */
static enum status find_named(struct broker *broker, struct request *request,
                              const struct transaction **out)
{
    const struct command *command = request->command;
    struct slice id = {0};
    struct slice group = {0};
    int64_t position = -1;
    enum status status = command_i64(command, "position", false, &position);
    *out = NULL;
    if (status == STATUS_OK && position >= 0) {
        *out = machine_transaction_find(broker->machine, (uint64_t)position);
    } else if (command_find(command, "transactionId", &id) &&
               command_find(command, "producerGroup", &group)) {
        *out = machine_transaction_find_unique(broker->machine, group, id);
    } else {
        return request_fail(request, STATUS_INVALID_ARGUMENT,
                            "name a transaction by position, or by transactionId and "
                            "producerGroup");
    }
    return *out != NULL ? STATUS_OK
                        : request_fail(request, STATUS_NOT_FOUND,
                                       "%s knows no such transaction, or no longer remembers its "
                                       "outcome",
                                       broker->group->name.text);
}

enum status process_txn_show(struct broker *broker, struct request *request)
{
    const struct transaction *transaction;
    enum status status = find_named(broker, request, &transaction);
    if (status != STATUS_OK) {
        return status;
    }
    struct listing *listing = mem_zalloc(sizeof *listing);
    listing->to = request->to;
    listing->count = 1;
    listing->positions[0] = transaction->position;
    read_listing(broker, listing);
    return STATUS_PENDING;
}

enum status process_txn_settle(struct broker *broker, struct request *request)
{
    struct operation_settle settle = {0};
    struct slice action = {0};
    int64_t position = -1;
    struct buf *entry;
    enum status status = command_i64(request->command, "position", true, &position);
    command_find(request->command, "action", &action);
    if (slice_equals_text(action, "commit")) {
        settle.decision = DECISION_COMMIT;
    } else if (slice_equals_text(action, "rollback")) {
        settle.decision = DECISION_ROLLBACK;
    } else if (slice_equals_text(action, "recheck")) {
        settle.decision = DECISION_RECHECK;
    } else {
        status = STATUS_INVALID_ARGUMENT;
    }
    if (status != STATUS_OK || position < 0) {
        return request_fail(request, STATUS_INVALID_ARGUMENT,
                            "position and action (commit, rollback, recheck) are required");
    }
    status = proposer_begin(&broker->proposer, 64, &entry);
    if (status != STATUS_OK) {
        return status;
    }
    settle.half_position = (uint64_t)position;
    entry_put_settle(entry, &settle);
    log_info(broker->log, "operator settles a transaction", "position=%" PRId64 " action=%.*s",
             position, SLICE_ARGS(action));
    const struct waiter waiter = {.done = reply_with_status, .to = request->to};
    proposer_add(&broker->proposer, &waiter);
    return STATUS_PENDING;
}
