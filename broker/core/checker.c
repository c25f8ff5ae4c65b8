#include "broker/core/checker.h"

#include "broker/core/broker.h"
#include "broker/core/reader.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ROUND_MAX = 256, /* Checks handed out before the next log entry. */
};

static_assert((int)ROUND_MAX <= (int)CHECKED_MAX, "one operation records a whole round");

/* One half message of a round. */
struct check {
    struct check_round *round;
    uint64_t position;
};

/* A round: due halves are read, handed out, and then logged in one operation. */
struct check_round {
    struct checker *checker;
    bool abandoned; /* The checker was closed meanwhile. */
    uint32_t reading;
    uint32_t count;
    struct check checks[ROUND_MAX];
    struct operation_checked handed;
};

static void gather(struct checker *checker, struct check_round *round);
static void give_up_exhausted(struct checker *checker);
static void on_half_read(struct broker *broker, void *context, enum status status, uint8_t *data,
                         size_t size);
static void round_finish(struct check_round *round);

void checker_init(struct checker *checker, struct broker *broker)
{
    *checker = (struct checker){.broker = broker, .next_opaque = 1};
}

void checker_close(struct checker *checker)
{
    if (checker->round == NULL) {
        return;
    }
    if (checker->round->reading > 0) {
        checker->round->abandoned = true; // The last read frees it.
    } else {
        free(checker->round);
    }
    checker->round = NULL;
}

void checker_tick(struct checker *checker)
{
    struct broker *broker = checker->broker;
    if (checker->round != NULL || !broker_leads(broker) ||
        !broker->ports->quorum_fresh(broker->ports->context)) {
        return;
    }
    give_up_exhausted(checker);
    struct check_round *round = mem_alloc(sizeof *round);
    round->checker = checker;
    round->abandoned = false;
    round->count = 0;
    round->handed.count = 0;
    gather(checker, round);
    if (round->count == 0) {
        free(round);
        return;
    }
    checker->round = round;
    // Held at one above zero so that reads that finish at once do not end the round early.
    round->reading = 1;
    for (uint32_t i = 0; i < round->count; i++) {
        const struct transaction *transaction =
            machine_transaction_find(broker->machine, round->checks[i].position);
        const struct message_ref ref = {
            .entry = {.position = transaction->position,
                      .body_position = transaction->position,
                      .size = transaction->size,
                      .crc = transaction->crc,
                      .store_time_ms = transaction->stored_ms},
            .queue_offset = transaction->half_offset,
        };
        round->reading++;
        read_messages(broker, &ref, 1, on_half_read, &round->checks[i]);
    }
    if (--round->reading == 0) {
        round_finish(round);
    }
}

/* Only groups that have somebody who reads: those that do not would take all places. */
static void gather(struct checker *checker, struct check_round *round)
{
    struct broker *broker = checker->broker;
    const struct transaction *due[ROUND_MAX];
    uint64_t now = broker_now_ms(broker);
    size_t bytes = 0;
    const struct map *groups = machine_producer_groups(broker->machine);
    MAP_FOREACH(node, groups)
    {
        const struct producer_group *group = CONTAINER_OF(node, struct producer_group, node);
        const struct client_group *producers =
            channels_group(&broker->channels, MEMBER_PRODUCER, name_slice(&group->name));
        if (group->pending_count == 0 || producers == NULL ||
            !client_group_reachable(producers, &broker->channels)) {
            continue;
        }
        uint32_t count =
            machine_transactions_due(broker->machine, group, now, ROUND_MAX - round->count, due);
        for (uint32_t i = 0; i < count; i++) {
            if (due[i]->attempts < broker->settings->transaction_check_max &&
                read_has_room(&bytes, due[i]->size)) {
                round->checks[round->count++] = (struct check){round, due[i]->position};
            }
        }
    }
}

static bool propose_expire(struct broker *broker, uint64_t position, bool age)
{
    struct buf *entry;
    if (proposer_begin(&broker->proposer, 64, &entry) != STATUS_OK) {
        return false;
    }
    const struct operation_expire expire = {.half_position = position, .age = age};
    entry_put_expire(entry, &expire);
    proposer_add(&broker->proposer, &(struct waiter){0});
    return true;
}

/* A person who has the checks begin anew starts its age anew, as well. */
static uint64_t waits_since_ms(const struct transaction *pending)
{
    return pending->decided_ms == 0 ? pending->stored_ms : pending->decided_ms;
}

/* Asked often enough, or simply too old: given up visibly, until a person or its producer settles
 * it. Proposing one twice does no harm: the second finds it expired. */
static void give_up_exhausted(struct checker *checker)
{
    struct broker *broker = checker->broker;
    const struct settings *settings = broker->settings;
    const struct transaction *due[ROUND_MAX];
    uint64_t now = broker_now_ms(broker);
    uint32_t given_up = 0;
    const struct map *groups = machine_producer_groups(broker->machine);
    MAP_FOREACH(node, groups)
    {
        const struct producer_group *group = CONTAINER_OF(node, struct producer_group, node);
        uint32_t count = machine_transactions_due(broker->machine, group, now, ROUND_MAX, due);
        for (uint32_t i = 0; i < count && given_up < ROUND_MAX; i++) {
            if (due[i]->attempts >= settings->transaction_check_max) {
                given_up += propose_expire(broker, due[i]->position, false);
            }
        }
    }
    const struct transaction *oldest =
        machine_transaction_next(broker->machine, TRANSACTION_PENDING, NULL);
    while (oldest != NULL && given_up < ROUND_MAX) {
        if (waits_since_ms(oldest) + settings->transaction_age_max_ms < now) {
            given_up += propose_expire(broker, oldest->position, true);
        } else if (oldest->decided_ms == 0) {
            break; // Those behind it wait no longer than it does.
        }
        oldest = machine_transaction_next(broker->machine, TRANSACTION_PENDING, oldest);
    }
    if (given_up > 0) {
        log_warn(broker->log, "transactions given up, see raftmq txn list --state expired",
                 "count=%u", given_up);
    }
}

/* The client that sent the half: UNIQ_KEY begins with its address and process, but a client id does
 * not; the born host is what both sides know. */
static struct channel *pick(struct broker *broker, const struct message *half,
                            struct slice producer_group)
{
    struct client_group *group = channels_group(&broker->channels, MEMBER_PRODUCER, producer_group);
    if (group == NULL) {
        return NULL;
    }
    LIST_FOREACH(at, &group->members)
    {
        struct channel *channel = CONTAINER_OF(at, struct membership, in_group)->channel;
        if (channel->host.address == half->born_host.address &&
            channel->host.port == half->born_host.port &&
            channel_writable(&broker->channels, channel)) {
            return channel;
        }
    }
    return client_group_pick(group, &broker->channels, slice_of(NULL, 0));
}

/* CHECK_TRANSACTION_STATE: the half with its real topic, under the offsets given when it was sent.
 */
static bool hand_out(struct checker *checker, const struct transaction *transaction,
                     const uint8_t *data, size_t size)
{
    struct broker *broker = checker->broker;
    struct message half;
    size_t used;
    if (message_decode(slice_of(data, size), &half, &used) != STATUS_OK) {
        return false;
    }
    struct channel *channel = pick(broker, &half, name_slice(&transaction->group->name));
    if (channel == NULL) {
        return false;
    }
    struct command request;
    struct slice unique_key = {0};
    char half_offset[24];
    char position[24];
    char id[OFFSET_MESSAGE_ID_SIZE];
    properties_find(half.properties, PROPERTY_UNIQUE_KEY, &unique_key);
    snprintf(half_offset, sizeof half_offset, "%" PRId64, transaction->half_offset);
    snprintf(position, sizeof position, "%" PRIu64, transaction->position);
    offset_message_id_format(broker->self->client_host, (int64_t)transaction->position, id);

    command_init_request(&request, REQUEST_CHECK_TRANSACTION_STATE, checker->next_opaque);
    checker->next_opaque = checker->next_opaque == INT32_MAX ? 1 : checker->next_opaque + 1;
    request.flag = COMMAND_FLAG_ONEWAY;
    command_add(&request, "topic", slice_text(TOPIC_HALF));
    command_add(&request, "tranStateTableOffset", slice_text(half_offset));
    command_add(&request, "commitLogOffset", slice_text(position));
    command_add(&request, "msgId", unique_key);
    command_add(&request, "transactionId", unique_key);
    command_add(&request, "offsetMsgId", slice_of(id, sizeof id));
    command_add(&request, "bname", name_slice(&broker->group->name));
    request.body = slice_of(data, size);
    return channel_send_request(&broker->channels, channel, &request);
}

static void on_half_read(struct broker *broker, void *context, enum status status, uint8_t *data,
                         size_t size)
{
    struct check *check = context;
    struct check_round *round = check->round;
    // Meanwhile it may have been decided, or we may lead no longer.
    const struct transaction *transaction =
        round->abandoned || !broker_leads(broker)
            ? NULL
            : machine_transaction_find(broker->machine, check->position);
    if (status == STATUS_OK && transaction != NULL && transaction->state == TRANSACTION_PENDING &&
        hand_out(round->checker, transaction, data, size)) {
        round->handed.half_positions[round->handed.count++] = check->position;
        broker->counters.checks_sent++;
    }
    if (--round->reading == 0) {
        round_finish(round);
    }
}

/* The attempts are in the log (or never will be): the next round may start. */
static void on_round_logged(struct broker *broker, const struct waiter *waiter,
                            const struct operation *operation,
                            const struct operation_result *result)
{
    (void)operation;
    (void)result;
    if (broker->checker.round == waiter->context) {
        broker->checker.round = NULL;
        free(waiter->context);
    }
}

static void round_finish(struct check_round *round)
{
    struct broker *broker = round->checker->broker;
    struct buf *entry;
    if (round->abandoned) {
        free(round);
        return;
    }
    if (round->handed.count == 0 ||
        proposer_begin(&broker->proposer, 16 + 9 * (size_t)round->handed.count, &entry) !=
            STATUS_OK) {
        round->checker->round = NULL;
        free(round);
        return;
    }
    // Not as a time of ours: the entry, begun earlier, may have been stamped by another clock.
    round->handed.next_check_ms = broker->settings->transaction_check_interval_ms;
    entry_put_checked(entry, &round->handed);
    const struct waiter waiter = {.done = on_round_logged, .context = round};
    proposer_add(&broker->proposer, &waiter);
}

const char *checker_reason(const struct checker *checker, const struct transaction *transaction)
{
    const struct broker *broker = checker->broker;
    switch (transaction->state) {
    case TRANSACTION_COMMITTED:
        if (machine_delayed_find(broker->machine, transaction->position) != NULL) {
            return "committed, and not yet visible: its delay has begun";
        }
        return transaction->settled_by_hand ? "committed by an operator" : "committed";
    case TRANSACTION_ROLLED_BACK:
        if (transaction->dropped_by_cut) {
            return "rolled back by retention: given up before, and too old to be kept";
        }
        return transaction->settled_by_hand ? "rolled back by an operator" : "rolled back";
    case TRANSACTION_EXPIRED:
        return transaction->expired_by_age ? "given up: too old; settle it with txn commit|rollback"
                                           : "given up: no decision after the last check; settle "
                                             "it with txn commit|rollback";
    case TRANSACTION_PENDING:
        break;
    }
    if (channels_group(&broker->channels, MEMBER_PRODUCER, name_slice(&transaction->group->name)) ==
        NULL) {
        return "parked: no producer of its group is connected";
    }
    if (transaction->due.due > broker_now_ms(broker)) {
        return transaction->attempts == 0 ? "waiting for its producer's decision"
                                          : "asked, waiting for the answer or the next check";
    }
    return "due: about to be asked";
}
