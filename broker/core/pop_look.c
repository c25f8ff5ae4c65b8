#include "broker/core/pop_look.h"

#include "broker/core/queue_start.h"

#include <inttypes.h>

enum {
    /* Index entries that one look may go through, as a pull's. */
    SCAN_MAX = 800,
    SCAN_STEP = 64,
};

static void log_unreadable(struct broker *broker, const struct queue *queue, int64_t offset,
                           enum status status)
{
    log_error(broker->log, "queue index cannot be read",
              "topic=%s queue=%d offset=%" PRId64 " status=%s", queue->topic->name.text, queue->id,
              offset, status_name(status));
}

/* False if it cannot be read. */
static bool entry_of(struct broker *broker, const struct queue *queue, int64_t offset,
                     struct index_entry *entry)
{
    uint32_t count = 0;
    enum status status = machine_queue_read(broker->machine, queue, offset, 1, entry, &count);
    if (status != STATUS_OK || count == 0) {
        log_unreadable(broker, queue, offset, status);
        return false;
    }
    return true;
}

static void sort_by_offset(struct machine_popped *popped, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct machine_popped moved = popped[i];
        uint32_t at = i;
        for (; at > 0 && popped[at - 1].offset > moved.offset; at--) {
            popped[at] = popped[at - 1];
        }
        popped[at] = moved;
    }
}

/* What may come again goes first; *bytes is their size. */
static void take_due(struct broker *broker, const struct pop *pop, const struct queue *queue,
                     struct pop_choice *choice, size_t *bytes)
{
    struct machine_popped due[POP_OFFSETS_MAX];
    uint32_t count =
        machine_popped_due(broker->machine, name_slice(&pop->group), name_slice(&pop->topic),
                           queue->id, broker_now_ms(broker), pop->messages_max, due);
    sort_by_offset(due, count);
    for (uint32_t i = 0; i < count; i++) {
        struct index_entry entry;
        if (!entry_of(broker, queue, due[i].offset, &entry) ||
            (choice->count > 0 && *bytes + entry.size > broker->settings->pull_bytes_max)) {
            return;
        }
        *bytes += entry.size;
        struct pop_message *message = &choice->messages[choice->count];
        message->ref = message_ref_of(queue, &entry, due[i].offset);
        message->repeats = due[i].repeats + 1;
        message->first_pop_ms = due[i].first_pop_ms;
        choice->count++;
    }
}

/* New ones by tags; choice->next is how far it has looked. */
static void scan(struct broker *broker, const struct pop *pop, const struct queue *queue,
                 struct pop_choice *choice, size_t bytes)
{
    struct index_entry entries[SCAN_STEP];
    uint32_t taken = 0;
    for (uint32_t scanned = 0; scanned < SCAN_MAX && choice->next < queue->offset_next;) {
        uint32_t count = 0;
        enum status status =
            machine_queue_read(broker->machine, queue, choice->next, SCAN_STEP, entries, &count);
        if (status != STATUS_OK || count == 0) {
            log_unreadable(broker, queue, choice->next, status);
            return;
        }
        for (uint32_t i = 0; i < count; i++) {
            if (tag_filter_matches(&pop->filter->tags, entries[i].tags_hash)) {
                if (taken == choice->room ||
                    (choice->count > 0 &&
                     bytes + entries[i].size > broker->settings->pull_bytes_max)) {
                    return;
                }
                bytes += entries[i].size;
                choice->messages[choice->count++] =
                    (struct pop_message){.ref = message_ref_of(queue, &entries[i], choice->next)};
                taken++;
            }
            choice->next++;
            scanned++;
        }
    }
}

/* Where a group goes on that stands at choice->from. */
static int64_t start_of(struct broker *broker, const struct pop *pop, const struct queue *queue,
                        int64_t from)
{
    if (from == POP_FROM_NOWHERE) {
        return pop->from_max && !queue_is_young(broker, queue) ? queue->offset_next
                                                               : queue->offset_first;
    }
    return from > queue->offset_first ? from : queue->offset_first;
}

/* A group that begins with what is there first needs no note of it. */
static bool begins_there_anyway(const struct pop_choice *choice, const struct queue *queue)
{
    return choice->from == POP_FROM_NOWHERE && choice->next == queue->offset_first;
}

void pop_look(struct broker *broker, const struct pop *pop, const struct queue *queue,
              struct pop_choice *choice)
{
    struct slice group = name_slice(&pop->group);
    struct slice topic = name_slice(&pop->topic);
    size_t bytes = 0;
    choice->found = POP_NOTHING;
    choice->full = false;
    choice->queue_id = queue->id;
    choice->count = 0;
    choice->from = POP_FROM_NOWHERE;
    machine_offset_find(broker->machine, group, topic, queue->id, &choice->from);
    choice->start = start_of(broker, pop, queue, choice->from);
    take_due(broker, pop, queue, choice, &bytes);
    uint32_t waiting = machine_popped_count(broker->machine, group, topic, queue->id);
    uint32_t allowed = waiting < POPPED_PER_QUEUE_MAX ? POPPED_PER_QUEUE_MAX - waiting : 0;
    uint64_t total = machine_popped_total(broker->machine);
    if (total + allowed > POPPED_MAX) {
        allowed = total < POPPED_MAX ? (uint32_t)(POPPED_MAX - total) : 0;
    }
    uint32_t wanted = pop->messages_max - choice->count;
    bool more = choice->start < queue->offset_next;
    choice->room = wanted < allowed ? wanted : allowed;
    choice->full = more && allowed == 0;
    choice->next = choice->start;
    if (more && choice->room > 0 && pop->filter->sql == NULL) {
        scan(broker, pop, queue, choice, bytes);
    } else if (more && choice->room > 0 && choice->count == 0) {
        choice->found = POP_SIEVE;
        return;
    }
    if (choice->count > 0) {
        choice->found = POP_TAKE;
    } else if (choice->next != choice->from && !begins_there_anyway(choice, queue)) {
        choice->found = POP_MOVE;
    }
}

void pop_choose_sieved(struct broker *broker, const struct queue *queue, struct slice messages,
                       int64_t offset_next, struct pop_choice *choice)
{
    struct message message;
    size_t size;
    choice->count = 0;
    choice->next = offset_next;
    while (messages.size > 0 && message_decode(messages, &message, &size) == STATUS_OK) {
        struct index_entry entry;
        if (!entry_of(broker, queue, message.queue_offset, &entry)) {
            choice->next = message.queue_offset;
            break;
        }
        choice->messages[choice->count++] =
            (struct pop_message){.ref = message_ref_of(queue, &entry, message.queue_offset)};
        messages = slice_from(messages, size);
    }
    choice->found = choice->count > 0              ? POP_TAKE
                    : choice->next != choice->from ? POP_MOVE
                                                   : POP_NOTHING;
}
