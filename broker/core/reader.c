#include "broker/core/reader.h"

#include "broker/core/cold_reads.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <stdlib.h>

enum {
    /* What whoever reads keeps of its request meanwhile, about. */
    REQUEST_HELD = 4096,
};

/* A run of reads. Messages that need the disk are read one after the other. */
struct message_reader {
    struct broker *broker;
    struct cold_read cold;
    struct position_read read;
    reader_cb *done;
    void *context;
    uint8_t *data; /* NULL while it waits for its turn. */
    size_t size;
    size_t at; /* Of the next message in data. */
    uint32_t next;
    uint32_t count;
    struct message_ref refs[];
};

static void start(struct message_reader *reader);
static void on_turn(struct cold_read *cold, enum status status);
static void go_on(struct message_reader *reader);
static void on_read(struct position_read *read, enum status status);
static void finish(struct message_reader *reader, enum status status);

struct message_ref message_ref_of(const struct queue *queue, const struct index_entry *entry,
                                  int64_t queue_offset)
{
    return (struct message_ref){
        .entry = *entry,
        .queue_offset = queue_offset,
        .given_up = entry->position != entry->body_position &&
                    slice_equals_text(name_slice(&queue->topic->name), TOPIC_CHECK_MAX),
    };
}

void message_patch(const struct broker *broker, uint8_t *message, const struct message_ref *ref)
{
    uint32_t sys_flag = be32_get(message + MESSAGE_AT_SYS_FLAG);
    be64_put(message + MESSAGE_AT_QUEUE_OFFSET, (uint64_t)ref->queue_offset);
    be64_put(message + MESSAGE_AT_PHYSICAL_OFFSET, ref->entry.position);
    be64_put(message + MESSAGE_AT_STORE_TIME, ref->entry.store_time_ms);
    // The reader's own address: an id made of it can be asked for as long as this replica lives,
    // and positions are the same on all of them.
    be32_put(message + MESSAGE_AT_STORE_HOST, broker->self->client_host.address);
    be32_put(message + MESSAGE_AT_STORE_HOST + 4, broker->self->client_host.port);
    bool delayed = (int64_t)be64_get(message + MESSAGE_AT_PREPARED_OFFSET) == //
                   DELAYED_PREPARED_OFFSET;
    if (delayed) {
        be64_put(message + MESSAGE_AT_PREPARED_OFFSET, 0); // It was no half.
    } else if (ref->given_up) {
        // As in RocketMQ: a message of its own, which nobody committed.
        sys_flag &= ~(uint32_t)SYS_FLAG_TRANSACTION_MASK;
        be32_put(message + MESSAGE_AT_SYS_FLAG, sys_flag);
        be64_put(message + MESSAGE_AT_PREPARED_OFFSET, 0);
    } else if (ref->entry.position != ref->entry.body_position) {
        sys_flag = (sys_flag & ~(uint32_t)SYS_FLAG_TRANSACTION_MASK) | SYS_FLAG_COMMIT;
        be32_put(message + MESSAGE_AT_SYS_FLAG, sys_flag);
        be64_put(message + MESSAGE_AT_PREPARED_OFFSET, ref->entry.body_position);
    }
}

/* What is in the log must be what was applied: a flipped bit on the disk must not reach a client.
 */
static bool intact(const uint8_t *bytes, size_t size, const struct index_entry *entry)
{
    return size == entry->size && stored_message_crc(slice_of(bytes, size)) == entry->crc;
}

static void suspect(struct broker *broker, uint64_t position)
{
    log_error(broker->log, "a message in the log is not what was written",
              "position=%llu; the scrub looks at it now", (unsigned long long)position);
    broker->ports->suspect(broker->ports->context, position);
}

static struct message_reader *reader_new(struct broker *broker, const struct message_ref *refs,
                                         uint32_t count, reader_cb *done, void *context)
{
    ASSERT(count > 0 && count <= READ_MESSAGES_MAX);
    size_t refs_size = count * sizeof refs[0];
    struct message_reader *reader = mem_zalloc(sizeof *reader + refs_size);
    reader->broker = broker;
    reader->read = (struct position_read){.done = on_read, .context = reader};
    reader->done = done;
    reader->context = context;
    reader->count = count;
    memcpy(reader->refs, refs, refs_size);
    for (uint32_t i = 0; i < count; i++) {
        reader->size += refs[i].entry.size;
    }
    ASSERT(reader->size <= READ_BYTES_MAX);
    reader->cold.go_on = on_turn;
    reader->cold.held = sizeof *reader + 2 * refs_size + REQUEST_HELD; // Some have them, too.
    reader->cold.size = reader->cold.held + reader->size;
    return reader;
}

void read_messages(struct broker *broker, const struct message_ref *refs, uint32_t count,
                   reader_cb *done, void *context)
{
    start(reader_new(broker, refs, count, done, context));
}

void read_more_messages(struct broker *broker, const struct message_ref *refs, uint32_t count,
                        size_t kept, reader_cb *done, void *context)
{
    struct message_reader *reader = reader_new(broker, refs, count, done, context);
    reader->cold.hurried = true;
    reader->cold.size += kept;
    start(reader);
}

static void start(struct message_reader *reader)
{
    reader->data = mem_alloc(reader->size);
    go_on(reader);
}

static void on_turn(struct cold_read *cold, enum status status)
{
    struct message_reader *reader = CONTAINER_OF(cold, struct message_reader, cold);
    if (status == STATUS_OK) {
        start(reader);
    } else {
        finish(reader, status);
    }
}

/* Begins anew when its turn has come: what it has read by now is given up. */
static void give_up(struct message_reader *reader)
{
    free(reader->data);
    reader->data = NULL;
    reader->at = 0;
    reader->next = 0;
}

/* The next message has been read, or not. Is it what it should be? */
static enum status take(struct message_reader *reader, enum status status)
{
    const struct message_ref *ref = &reader->refs[reader->next];
    uint8_t *bytes = reader->data + reader->at;
    if (status != STATUS_OK) {
        return status;
    }
    reader->broker->counters.bytes_read += ref->entry.size;
    if (!intact(bytes, ref->entry.size, &ref->entry)) {
        return STATUS_CORRUPT;
    }
    message_patch(reader->broker, bytes, ref);
    reader->at += ref->entry.size;
    reader->next++;
    return STATUS_OK;
}

static void go_on(struct message_reader *reader)
{
    const struct broker_ports *ports = reader->broker->ports;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && reader->next < reader->count) {
        struct position_read *read = &reader->read;
        read->position = reader->refs[reader->next].entry.body_position;
        read->size = reader->refs[reader->next].entry.size;
        read->to = reader->data + reader->at;
        status = ports->read_now(ports->context, read->position, read->size, read->to);
        if (status != STATUS_BUSY) {
            status = take(reader, status);
            continue;
        }
        status = cold_reads_enter(&reader->broker->cold_reads, &reader->cold);
        if (status == STATUS_OK) {
            ports->read(ports->context, read);
            return;
        }
        if (status == STATUS_PENDING) {
            give_up(reader);
            return;
        }
    }
    finish(reader, status);
}

static void on_read(struct position_read *read, enum status status)
{
    struct message_reader *reader = read->context;
    status = take(reader, status);
    if (status == STATUS_OK) {
        go_on(reader);
    } else {
        finish(reader, status);
    }
}

static void finish(struct message_reader *reader, enum status status)
{
    uint64_t log_first = machine_cut_done(reader->broker->machine).log_first;
    if (status != STATUS_OK && reader->refs[reader->next].entry.body_position < log_first) {
        status = STATUS_NOT_FOUND; // Cut meanwhile; its place may hold anything by now.
    }
    if (status == STATUS_CORRUPT) {
        suspect(reader->broker, reader->refs[reader->next].entry.body_position);
    }
    cold_reads_leave(&reader->broker->cold_reads, &reader->cold);
    reader->done(reader->broker, reader->context, status, reader->data, reader->size);
    free(reader->data);
    free(reader);
}

/* What is at a position, if it is in that queue. */
static enum status find_in(struct broker *broker, struct slice topic, int32_t queue_id,
                           uint64_t position, struct message_ref *ref)
{
    struct index_entry entry;
    int64_t offset;
    const struct queue *queue = machine_queue_find(broker->machine, topic, queue_id);
    enum status status = queue == NULL ? STATUS_NOT_FOUND
                                       : machine_queue_find_position(broker->machine, queue,
                                                                     position, &offset, &entry);
    if (status == STATUS_OK) {
        *ref = message_ref_of(queue, &entry, offset);
    }
    return status;
}

/* Where consumers see the message with this position: in its own queue, or, given up, in that of
 * those. */
static enum status visible_find(struct broker *broker, const struct message *message,
                                uint64_t position, struct message_ref *ref)
{
    enum status status = find_in(broker, message->topic, message->queue_id, position, ref);
    return status == STATUS_NOT_FOUND
               ? find_in(broker, slice_text(TOPIC_CHECK_MAX), 0, position, ref)
               : status;
}

bool message_visible(struct broker *broker, const struct message *message)
{
    struct message_ref ref;
    return visible_find(broker, message, (uint64_t)message->physical_offset, &ref) == STATUS_OK;
}

/* --- By physical offset ------------------------------------------------------------------- */

enum {
    /* Size and magic of a message, or the header of an operation: tells which of them it is, and
     * how much there is to read. No more is asked for: it may be the last thing in the log. */
    PEEK_SIZE = 8,
    /* An END, SETTLE, EXPIRE or FIRE, header and all, is smaller. */
    OPERATION_READ_MAX = 512,
};

struct position_reader {
    struct broker *broker;
    struct cold_read cold;
    reader_cb *done;
    void *context;
    uint64_t position;      /* As asked. */
    uint64_t body_position; /* Where the stored message is. */
    struct position_read read;
    uint8_t peek[OPERATION_READ_MAX];
    size_t size;
    uint8_t *whole;
    bool by_reference;
};

static void peek_at(struct position_reader *reader, uint64_t position, size_t size,
                    void (*done)(struct position_read *read, enum status status));
static void position_go_on(struct position_reader *reader);
static void on_position_turn(struct cold_read *cold, enum status status);
static void on_peeked(struct position_read *read, enum status status);
static void on_operation(struct position_read *read, enum status status);
static void on_whole(struct position_read *read, enum status status);
static void position_finish(struct position_reader *reader, enum status status);

void read_position(struct broker *broker, uint64_t position, reader_cb *done, void *context)
{
    struct position_reader *reader = mem_zalloc(sizeof *reader);
    reader->broker = broker;
    reader->done = done;
    reader->context = context;
    reader->position = position;
    reader->body_position = position;
    reader->read.context = reader;
    reader->cold.go_on = on_position_turn;
    reader->cold.size = sizeof *reader + REQUEST_HELD + MESSAGE_SIZE_MAX; // Not known before.
    peek_at(reader, position, PEEK_SIZE, on_peeked);
}

/* Read `size` bytes at a position into peek. */
static void peek_at(struct position_reader *reader, uint64_t position, size_t size,
                    void (*done)(struct position_read *read, enum status status))
{
    reader->read.position = position;
    reader->read.size = size;
    reader->read.to = reader->peek;
    reader->read.done = done;
    position_go_on(reader);
}

/* Read what is to be read next, through whatever way is needed. */
static void position_go_on(struct position_reader *reader)
{
    const struct broker_ports *ports = reader->broker->ports;
    struct position_read *read = &reader->read;
    enum status status = ports->read_now(ports->context, read->position, read->size, read->to);
    if (status != STATUS_BUSY) {
        read->done(read, status);
        return;
    }
    // Mostly it knows no size yet: one whose beginning lies in memory, and the rest does not, is
    // rare.
    reader->cold.held = sizeof *reader + REQUEST_HELD + reader->size;
    status = cold_reads_enter(&reader->broker->cold_reads, &reader->cold);
    if (status == STATUS_OK) {
        ports->read(ports->context, read);
    } else if (status != STATUS_PENDING) {
        position_finish(reader, status);
    }
}

static void on_position_turn(struct cold_read *cold, enum status status)
{
    struct position_reader *reader = CONTAINER_OF(cold, struct position_reader, cold);
    if (status == STATUS_OK) {
        position_go_on(reader);
    } else {
        position_finish(reader, status);
    }
}

static bool is_message(const struct position_reader *reader)
{
    int32_t magic = (int32_t)be32_get(reader->peek + MESSAGE_AT_MAGIC);
    uint32_t size = be32_get(reader->peek + MESSAGE_AT_SIZE);
    return (magic == MESSAGE_MAGIC_V1 || magic == MESSAGE_MAGIC_V2) && size >= MESSAGE_SIZE_MIN &&
           size <= MESSAGE_SIZE_MAX;
}

/* Size of the operation whose header was peeked at, header and all; 0 if it is none of those that
 * make a message visible. */
static size_t operation_size(const struct position_reader *reader)
{
    uint32_t body = le32_get(reader->peek);
    uint8_t type = reader->peek[4];
    bool refers = type == OPERATION_END || type == OPERATION_SETTLE || type == OPERATION_EXPIRE ||
                  type == OPERATION_FIRE;
    return refers && body <= OPERATION_READ_MAX - PEEK_SIZE ? PEEK_SIZE + (size_t)body : 0;
}

/* The message that the operation at this place made visible; 0 if it did not. */
static uint64_t shown_position_of(const struct position_reader *reader)
{
    struct operation operation;
    struct slice bytes = slice_of(reader->peek, reader->read.size);
    if (operation_decode(bytes, &operation) != STATUS_OK) {
        return 0;
    }
    switch (operation.type) {
    case OPERATION_END:
        return operation.end.half_position;
    case OPERATION_SETTLE:
        return operation.settle.half_position;
    case OPERATION_EXPIRE:
        return operation.expire.half_position;
    case OPERATION_FIRE:
        return operation.fire.position;
    default:
        return 0;
    }
}

static void on_peeked(struct position_read *read, enum status status)
{
    struct position_reader *reader = read->context;
    if (status != STATUS_OK) {
        position_finish(reader, STATUS_NOT_FOUND);
        return;
    }
    if (is_message(reader)) {
        reader->size = be32_get(reader->peek + MESSAGE_AT_SIZE);
        reader->whole = mem_alloc(reader->size);
        read->position = reader->body_position;
        read->size = reader->size;
        read->to = reader->whole;
        read->done = on_whole;
        position_go_on(reader);
        return;
    }
    size_t size = reader->by_reference ? 0 : operation_size(reader);
    if (size > 0) {
        peek_at(reader, reader->position, size, on_operation);
    } else {
        position_finish(reader, STATUS_NOT_FOUND);
    }
}

static void on_operation(struct position_read *read, enum status status)
{
    struct position_reader *reader = read->context;
    uint64_t shown = status == STATUS_OK ? shown_position_of(reader) : 0;
    if (shown != 0) {
        reader->by_reference = true;
        reader->body_position = shown;
        peek_at(reader, shown, PEEK_SIZE, on_peeked);
    } else {
        position_finish(reader, STATUS_NOT_FOUND);
    }
}

/* What is known of a message at its own position that no queue has there: a half, or one that was
 * delayed, yet to come or visible elsewhere by now. */
static enum status hidden_find(const struct position_reader *reader, const struct message *message,
                               struct message_ref *ref)
{
    struct machine *machine = reader->broker->machine;
    const struct transaction *transaction = machine_transaction_find(machine, reader->position);
    const struct delayed *delayed = machine_delayed_find(machine, reader->position);
    if (transaction != NULL) {
        ref->entry.size = transaction->size;
        ref->entry.crc = transaction->crc;
        ref->entry.store_time_ms = transaction->stored_ms;
        ref->queue_offset = transaction->half_offset;
        return STATUS_OK;
    }
    if (delayed != NULL) {
        ref->entry.size = delayed->size;
        ref->entry.crc = delayed->crc;
        ref->entry.store_time_ms = delayed->stored_ms;
        return STATUS_OK;
    }
    // Its sender knows this position; its key leads to the place where it fired.
    enum { CANDIDATES_MAX = 16 };
    struct key_search search = {
        .end_ms = UINT64_MAX,
        .max = CANDIDATES_MAX,
    };
    const struct index_entry *entries = search.entries;
    struct slice key;
    enum status status = properties_find(message->properties, PROPERTY_UNIQUE_KEY, &key)
                             ? machine_key_find(machine, message->topic, key, &search)
                             : STATUS_NOT_FOUND;
    for (uint32_t i = 0; status == STATUS_OK && i < search.count; i++) {
        if (entries[i].body_position == reader->position) {
            const struct queue *queue =
                machine_queue_find(machine, message->topic, message->queue_id);
            return queue == NULL ? STATUS_NOT_FOUND
                                 : machine_queue_find_position(machine, queue, entries[i].position,
                                                               &ref->queue_offset, &ref->entry);
        }
    }
    return status == STATUS_OK ? STATUS_NOT_FOUND : status;
}

/* A position is a message's only if the state says so: the bytes of a body that merely look like
 * one do not count. */
static void on_whole(struct position_read *read, enum status status)
{
    struct position_reader *reader = read->context;
    struct broker *broker = reader->broker;
    struct message message;
    size_t size;
    if (status != STATUS_OK ||
        message_decode(slice_of(reader->whole, reader->size), &message, &size) != STATUS_OK) {
        position_finish(reader, STATUS_NOT_FOUND);
        return;
    }
    struct message_ref ref = {
        .entry = {.position = reader->position, .body_position = reader->body_position},
    };
    status = visible_find(broker, &message, reader->position, &ref);
    if (status == STATUS_NOT_FOUND && !reader->by_reference) {
        status = hidden_find(reader, &message, &ref);
    }
    if (status == STATUS_OK && !intact(reader->whole, reader->size, &ref.entry)) {
        suspect(broker, reader->body_position);
        status = STATUS_CORRUPT;
    }
    if (status == STATUS_OK) {
        message_patch(broker, reader->whole, &ref);
    }
    position_finish(reader, status);
}

static void position_finish(struct position_reader *reader, enum status status)
{
    cold_reads_leave(&reader->broker->cold_reads, &reader->cold);
    reader->done(reader->broker, reader->context, status, reader->whole, reader->size);
    free(reader->whole);
    free(reader);
}
