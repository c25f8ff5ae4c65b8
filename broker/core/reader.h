/* Messages out of the log: bytes as stored, with the fields that were not known when they were
 * written patched in (queue offset, physical offset, sysFlag, store time and host).
 *
 * Reads that need the disk go through the thread pool, as many at a time as there is room for
 * (cold_reads.h); all others finish within the call. Loop thread only. */
#ifndef BROKER_CORE_READER_H
#define BROKER_CORE_READER_H

#include "broker/core/broker.h"

/* One message to read. */
struct message_ref {
    struct index_entry entry;
    int64_t queue_offset;
    bool given_up; /* A half in the queue of those that nobody decided. */
};

/* What a queue has at an offset. */
struct message_ref message_ref_of(const struct queue *queue, const struct index_entry *entry,
                                  int64_t queue_offset);

/* Patch a stored message in place. */
void message_patch(const struct broker *broker, uint8_t *message, const struct message_ref *ref);

/* May consumers see a message that was read from its physical offset? A half, or what is delayed,
 * was never given to one: whoever names it guesses. */
bool message_visible(struct broker *broker, const struct message *message);

/* data holds the messages back to back, `size` bytes, valid until it returns. Or status says why
 * not: STATUS_CORRUPT, STATUS_IO, STATUS_NOT_FOUND (no longer in the log), STATUS_OVERLOADED (the
 * disk is, with reads), STATUS_SHUTTING_DOWN. */
typedef void reader_cb(struct broker *broker, void *context, enum status status, uint8_t *data,
                       size_t size);

enum { READ_MESSAGES_MAX = 256, READ_BYTES_MAX = 8 * 1024 * 1024 };

static_assert((int)READ_BYTES_MAX > (int)MESSAGE_SIZE_MAX &&
                  (int)READ_BYTES_MAX + (int)HEADER_SIZE_MAX < (int)FRAME_SIZE_MAX,
              "what is read together holds any message and fits into a frame");

/* Will a further message of `size` bytes be read together with those of `*bytes`? Then it is
 * counted. */
static inline bool read_has_room(size_t *bytes, size_t size)
{
    if (*bytes + size > READ_BYTES_MAX) {
        return false;
    }
    *bytes += size;
    return true;
}

/* Read up to READ_MESSAGES_MAX messages, of READ_BYTES_MAX bytes together; done is called exactly
 * once, maybe before this returns. Copies refs. */
void read_messages(struct broker *broker, const struct message_ref *refs, uint32_t count,
                   reader_cb *done, void *context);

/* The same for one who goes on reading, and keeps `kept` bytes of what was read: they count as
 * well. It does not wait for room: STATUS_OVERLOADED. */
void read_more_messages(struct broker *broker, const struct message_ref *refs, uint32_t count,
                        size_t kept, reader_cb *done, void *context);

/* Read whatever lies at a physical offset that a client names: a message itself, or one made
 * visible by a later operation. Delivers the message patched; STATUS_NOT_FOUND if nothing begins
 * there. */
void read_position(struct broker *broker, uint64_t position, reader_cb *done, void *context);

#endif
