/* Offsets that a broadcasting consumer keeps itself, in a file. Pure; any thread.
 *
 * The file is text: a line "raftmq offsets 1", for each queue a line "QUEUE OFFSET TOPIC BROKER"
 * (the broker's name is the rest of its line), and a line "end COUNT CRC", the CRC-32C in hex of
 * all before it. */
#ifndef CLIENT_LOCAL_OFFSETS_H
#define CLIENT_LOCAL_OFFSETS_H

#include "common/base/buf.h"
#include "common/base/name.h"
#include "common/base/status.h"

enum { LOCAL_OFFSETS_MAX = 65536, LOCAL_OFFSETS_FILE_MAX = 48 * 1024 * 1024 };

struct local_offset {
    struct name topic;
    struct name broker;
    int32_t queue_id;
    int64_t offset;
};

/* A zeroed one is empty and valid. */
struct local_offsets {
    size_t count;
    size_t capacity;
    struct local_offset *items;
};

void local_offsets_close(struct local_offsets *offsets);

/* -1 if it is not known. */
int64_t local_offsets_find(const struct local_offsets *offsets, struct slice topic,
                           struct slice broker, int32_t queue_id);

/* Set an offset; *changed if it was another or unknown, else as it was. False, and nothing is
 * changed, beyond LOCAL_OFFSETS_MAX queues or if a name cannot be written. */
bool local_offsets_set(struct local_offsets *offsets, struct slice topic, struct slice broker,
                       int32_t queue_id, int64_t offset, bool *changed);

/* Append the file's content. */
void local_offsets_encode(const struct local_offsets *offsets, struct buf *out);

/* Add what a file says to offsets, which is empty.
 * Errors: STATUS_CORRUPT  anything but what was encoded; offsets is undefined, to be closed. */
WARN_UNUSED enum status local_offsets_decode(struct slice text, struct local_offsets *offsets);

#endif
