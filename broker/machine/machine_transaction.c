/* Transactions: half messages and their one outcome.
 *
 * PENDING -> COMMITTED | ROLLED_BACK    a decision of its producer group, or of a person
 * PENDING -> EXPIRED                    checks or age exhausted, or its topic is gone
 * EXPIRED -> COMMITTED | ROLLED_BACK    a late decision is still one
 * EXPIRED -> PENDING                    a person has the checks begin anew
 * EXPIRED -> ROLLED_BACK                retention cuts the half itself
 *
 * The first decision in the log stands. Outcomes are remembered for a while, so that the same
 * decision again is answered alike and a contrary one refused. */
#include "broker/machine/machine_internal.h"

#include "common/remoting/message.h"

#include <stdlib.h>

enum { EXPIRED_TOPIC_PERM = 6 };

static struct transaction *find(const struct machine *machine, uint64_t position);
static enum status half_check(struct machine *machine, const struct message *message,
                              const struct message_terms *terms, struct queue **queue);
static struct transaction *half_write(struct machine *machine, uint64_t position,
                                      const struct operation *operation,
                                      const struct message_terms *terms, struct queue *queue);
static void answer_half(const struct transaction *transaction, bool duplicate,
                        struct operation_result *result);
static void decide(struct machine *machine, struct transaction *transaction, enum decision decision,
                   uint64_t position, struct operation_result *result);
static enum status commit(struct machine *machine, struct transaction *transaction,
                          uint64_t position);
static void expire(struct machine *machine, struct transaction *transaction, bool age,
                   uint64_t position);
static void count_end(struct machine *machine, const struct operation_result *result);

/* In the log's time: a time that somebody's clock made up may lie far ahead of it. */
static uint64_t check_due_ms(const struct machine *machine, uint64_t wait_ms)
{
    return machine->meta.clock_ms + (wait_ms < CHECK_WAIT_MAX_MS ? wait_ms : CHECK_WAIT_MAX_MS);
}

void apply_half(struct machine *machine, const struct operation *operation,
                struct operation_result *result)
{
    struct slice bytes = operation->half.message;
    struct message message;
    size_t size;
    if (message_decode(bytes, &message, &size) != STATUS_OK || size != bytes.size) {
        result->status = STATUS_MESSAGE_ILLEGAL;
        return;
    }
    // The topic's hash is part of the keys; without the topic the half is refused anyway.
    const struct topic *topic = topic_find(machine, message.topic);
    struct message_terms terms;
    message_terms_read(message.properties, topic == NULL ? 0 : topic_hash_of(topic), &terms);
    const struct transaction *first =
        terms.unique_key.size == 0
            ? NULL
            : machine_transaction_find_unique(machine, terms.producer_group, terms.unique_key);
    if (first != NULL) {
        machine->meta.counters.half_duplicates++;
        answer_half(first, true, result);
        return;
    }
    struct queue *queue;
    result->status = half_check(machine, &message, &terms, &queue);
    if (result->status == STATUS_OK && operation->half.delay.ms != 0 &&
        !delayed_has_room(machine)) {
        result->status = STATUS_OVERLOADED;
    }
    if (result->status != STATUS_OK) {
        return;
    }
    uint64_t prefix = (uint64_t)(operation->half.message.data - operation->body.data);
    uint64_t position =
        machine->entry_position + operation->offset + OPERATION_HEADER_SIZE + prefix;
    struct transaction *transaction = half_write(machine, position, operation, &terms, queue);
    transaction_schedule(machine, transaction,
                         check_due_ms(machine, operation->half.first_check_ms));
    answer_half(transaction, false, result);
}

static enum status half_check(struct machine *machine, const struct message *message,
                              const struct message_terms *terms, struct queue **queue)
{
    struct name group;
    if (terms->producer_group.size == 0 || !name_set(&group, terms->producer_group)) {
        return STATUS_MESSAGE_ILLEGAL; // Nobody could ever be asked about it.
    }
    enum status status = message_queue_find(machine, message->topic, message->queue_id, queue);
    if (status != STATUS_OK) {
        return status;
    }
    const struct machine_counters *counters = &machine->meta.counters;
    return counters->pending + counters->expired >= TRANSACTIONS_OPEN_MAX ? STATUS_OVERLOADED
                                                                          : STATUS_OK;
}

static struct transaction *half_write(struct machine *machine, uint64_t position,
                                      const struct operation *operation,
                                      const struct message_terms *terms, struct queue *queue)
{
    struct transaction *transaction = transaction_new(machine);
    transaction->position = position;
    transaction->half_offset = machine->meta.half_offset_next++;
    transaction->size = (uint32_t)operation->half.message.size;
    transaction->crc = stored_message_crc(operation->half.message);
    transaction->queue_id = queue->id;
    transaction->topic = queue->topic;
    transaction->topic_hash = topic_hash_of(queue->topic);
    transaction->group = producer_group_get(machine, terms->producer_group);
    transaction->state = TRANSACTION_PENDING;
    transaction->delay = operation->half.delay;
    transaction->stored_ms = machine->meta.clock_ms;
    transaction->tags_hash = terms->tags_hash;
    transaction->key_count = (uint8_t)terms->key_count;
    transaction->keys = transaction->keys_inline;
    size_t inline_max = sizeof transaction->keys_inline / sizeof transaction->keys_inline[0];
    if (terms->key_count > inline_max) {
        transaction->keys = mem_alloc(terms->key_count * sizeof *transaction->keys);
    }
    memcpy(transaction->keys, terms->keys, terms->key_count * sizeof *transaction->keys);
    if (terms->unique_key.size > 0) {
        transaction->has_unique = true;
        unique_hash_of(terms->producer_group, terms->unique_key, transaction->unique_hash);
    }
    transaction_link(machine, transaction);
    transaction_mark_dirty(machine, transaction);
    machine->meta.counters.halves++;
    return transaction;
}

static void answer_half(const struct transaction *transaction, bool duplicate,
                        struct operation_result *result)
{
    result->status = STATUS_OK;
    result->message.queue_offset = transaction->half_offset;
    result->message.position = transaction->position;
    result->message.count = 1;
    result->message.queue_id = transaction->queue_id;
    result->message.duplicate = duplicate;
}

void apply_end(struct machine *machine, const struct operation *operation,
               struct operation_result *result)
{
    const struct operation_end *end = &operation->end;
    struct transaction *transaction = find(machine, end->half_position);
    if (transaction == NULL) {
        result->status = STATUS_TRANSACTION_UNKNOWN;
    } else if (!slice_equals(name_slice(&transaction->group->name), end->producer_group)) {
        result->status = STATUS_TRANSACTION_GROUP_WRONG;
    } else if (transaction->half_offset != end->half_offset) {
        result->status = STATUS_TRANSACTION_OFFSET_WRONG;
    } else {
        uint64_t position = machine->entry_position + operation->offset;
        decide(machine, transaction, end->decision, position, result);
    }
    count_end(machine, result);
}

static void count_end(struct machine *machine, const struct operation_result *result)
{
    if (result->status != STATUS_OK) {
        machine->meta.counters.end_refused++;
    } else if (!result->transaction.changed) {
        machine->meta.counters.end_repeated++;
    }
}

/* COMMIT or ROLLBACK, from whoever may say so. */
static void decide(struct machine *machine, struct transaction *transaction, enum decision decision,
                   uint64_t position, struct operation_result *result)
{
    enum transaction_state wanted =
        decision == DECISION_COMMIT ? TRANSACTION_COMMITTED : TRANSACTION_ROLLED_BACK;
    if (transaction->state == TRANSACTION_COMMITTED ||
        transaction->state == TRANSACTION_ROLLED_BACK) {
        result->status = transaction->state == wanted ? STATUS_OK : STATUS_TRANSACTION_DECIDED;
    } else if (wanted == TRANSACTION_COMMITTED) {
        result->status = commit(machine, transaction, position);
        result->transaction.changed = result->status == STATUS_OK;
    } else {
        transaction_set_state(machine, transaction, TRANSACTION_ROLLED_BACK, 0);
        machine->meta.counters.rollbacks++;
        result->status = STATUS_OK;
        result->transaction.changed = true;
    }
    result->transaction.state = transaction->state;
    result->transaction.queue_offset = transaction->visible_offset;
}

static struct hidden_message hidden_of(const struct transaction *transaction)
{
    return (struct hidden_message){
        .position = transaction->position,
        .size = transaction->size,
        .crc = transaction->crc,
        .tags_hash = transaction->tags_hash,
        .keys = transaction->keys,
        .key_count = transaction->key_count,
    };
}

/* Make the half visible in its queue, or begin its delay. Its body stays where it is. */
static enum status commit(struct machine *machine, struct transaction *transaction,
                          uint64_t position)
{
    struct topic *topic = transaction->topic;
    if (topic == NULL) {
        // Nowhere to go, and not to be lost either: a person has to look at it.
        if (transaction->state == TRANSACTION_PENDING) {
            expire(machine, transaction, false, position);
        }
        return STATUS_TOPIC_UNKNOWN;
    }
    const struct hidden_message message = hidden_of(transaction);
    uint64_t due_ms = delay_end_ms(machine, &transaction->delay);
    if (due_ms > machine->meta.clock_ms) {
        delayed_add(machine, topic, transaction->queue_id, &message, due_ms);
    } else {
        struct queue *queue = &topic->queues[transaction->queue_id];
        transaction->visible_offset = message_show(machine, queue, &message, position);
    }
    transaction_set_state(machine, transaction, TRANSACTION_COMMITTED, 0);
    machine->meta.counters.commits++;
    return STATUS_OK;
}

void apply_checked(struct machine *machine, const struct operation_checked *checked,
                   struct operation_result *result)
{
    uint64_t due_ms = check_due_ms(machine, checked->next_check_ms);
    for (uint32_t i = 0; i < checked->count; i++) {
        struct transaction *transaction = find(machine, checked->half_positions[i]);
        if (transaction == NULL || transaction->state != TRANSACTION_PENDING) {
            continue; // Decided while the check was on its way.
        }
        struct heap *due = &transaction->group->due;
        heap_remove(due, &transaction->due);
        heap_put(due, &transaction->due, due_ms, transaction->position);
        transaction->attempts++;
        transaction->last_check_ms = machine->meta.clock_ms;
        transaction_mark_dirty(machine, transaction);
        machine->meta.counters.checks++;
    }
    result->status = STATUS_OK;
}

void apply_expire(struct machine *machine, const struct operation *operation,
                  struct operation_result *result)
{
    struct transaction *transaction = find(machine, operation->expire.half_position);
    if (transaction == NULL) {
        result->status = STATUS_TRANSACTION_UNKNOWN;
        return;
    }
    if (transaction->state == TRANSACTION_PENDING) {
        expire(machine, transaction, operation->expire.age,
               machine->entry_position + operation->offset);
        result->status = STATUS_OK;
        result->transaction.changed = true;
    } else {
        result->status =
            transaction->state == TRANSACTION_EXPIRED ? STATUS_OK : STATUS_TRANSACTION_DECIDED;
    }
    result->transaction.state = transaction->state;
    result->transaction.queue_offset = transaction->visible_offset;
}

/* Give it up for now, and show it to whoever looks after such messages. */
static void expire(struct machine *machine, struct transaction *transaction, bool age,
                   uint64_t position)
{
    struct topic *topic = topic_find(machine, slice_text(TOPIC_CHECK_EXPIRED));
    if (topic == NULL) {
        topic = topic_create(machine, &(struct topic_spec){
                                          .name = slice_text(TOPIC_CHECK_EXPIRED),
                                          .read_queue_count = 1,
                                          .write_queue_count = 1,
                                          .perm = EXPIRED_TOPIC_PERM,
                                      });
    }
    topic_queues_grow(machine, topic, 1);
    struct hidden_message message = hidden_of(transaction);
    message.key_count = 0; // Found by key where it belongs, or not at all.
    message_show(machine, &topic->queues[0], &message, position);
    transaction->expired_by_age = age;
    transaction_set_state(machine, transaction, TRANSACTION_EXPIRED, 0);
    machine->meta.counters.expirations++;
}

void apply_settle(struct machine *machine, const struct operation *operation,
                  struct operation_result *result)
{
    const struct operation_settle *settle = &operation->settle;
    struct transaction *transaction = find(machine, settle->half_position);
    if (transaction == NULL) {
        result->status = STATUS_TRANSACTION_UNKNOWN;
        return;
    }
    if (settle->decision != DECISION_RECHECK) {
        decide(machine, transaction, settle->decision, machine->entry_position + operation->offset,
               result);
        if (result->transaction.changed) {
            transaction->settled_by_hand = true;
        }
        return;
    }
    result->transaction.state = transaction->state;
    result->transaction.queue_offset = transaction->visible_offset;
    if (transaction->state != TRANSACTION_PENDING && transaction->state != TRANSACTION_EXPIRED) {
        result->status = STATUS_TRANSACTION_DECIDED;
        return;
    }
    transaction->attempts = 0;
    transaction->expired_by_age = false;
    transaction->decided_ms = machine->meta.clock_ms; // Its age begins anew, too.
    transaction_set_state(machine, transaction, TRANSACTION_PENDING, machine->meta.clock_ms);
    result->status = STATUS_OK;
    result->transaction.state = TRANSACTION_PENDING;
    result->transaction.changed = true;
}

void transactions_forget(struct machine *machine)
{
    const struct meta_row *meta = &machine->meta;
    for (uint32_t count = 0; !list_empty(&machine->outcomes); count++) {
        struct transaction *oldest =
            CONTAINER_OF(machine->outcomes.next, struct transaction, outcome);
        bool too_many = meta->outcome_next - meta->outcome_first > OUTCOMES_MAX;
        bool too_old = oldest->decided_ms + OUTCOME_RETENTION_MS <= meta->clock_ms;
        if (!too_many && !(too_old && count < FORGET_MAX)) {
            return;
        }
        machine->meta.outcome_first = oldest->outcome_number + 1;
        transaction_free(machine, oldest);
    }
}

void transactions_topic_deleted(struct machine *machine, const struct topic *topic)
{
    struct transaction *transaction = NULL;
    while ((transaction = transaction_walk(machine, transaction)) != NULL) {
        if (transaction->topic != topic) {
            continue;
        }
        transaction->topic = NULL;
        if (transaction->state == TRANSACTION_PENDING ||
            transaction->state == TRANSACTION_EXPIRED) {
            machine->orphans++;
            transaction_mark_dirty(machine, transaction);
        }
    }
}

/* Open transactions of a deleted topic find their way again when it is created anew. */
static void adopt(struct machine *machine, enum transaction_state state, struct topic *topic)
{
    LIST_FOREACH(node, &machine->ages[state])
    {
        struct transaction *transaction = CONTAINER_OF(node, struct transaction, age);
        if (transaction->topic == NULL && transaction->topic_hash == topic_hash_of(topic)) {
            transaction->topic = topic;
            topic_queues_grow(machine, topic, (uint32_t)transaction->queue_id + 1);
            machine->orphans--;
            transaction_mark_dirty(machine, transaction);
        }
    }
}

void transactions_topic_created(struct machine *machine, struct topic *topic)
{
    if (machine->orphans > 0) {
        adopt(machine, TRANSACTION_PENDING, topic);
        adopt(machine, TRANSACTION_EXPIRED, topic);
    }
}

static struct transaction *find(const struct machine *machine, uint64_t position)
{
    return transaction_index_find_position(&machine->transactions, position);
}
