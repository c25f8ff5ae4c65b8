/* Where a broadcasting consumer is in its queues: known to nobody but its own file.
 *
 * Written in libuv's thread pool, one write at a time. Loop thread but where something else is
 * said. */
#ifndef CLIENT_BROADCAST_H
#define CLIENT_BROADCAST_H

#include "client/error.h"
#include "client/local_offsets.h"

#include <uv.h>

struct consumed_queue;
struct raftmq_consumer;

/* A zeroed one is closed. */
struct broadcast {
    bool open;
    int lock_fd; /* Holds the file for this process. */
    struct buf path;
    struct local_offsets offsets;
    bool news; /* Not written yet. */
    bool writing;
    uv_work_t work;
    struct buf content; /* Being written. */
    enum status written;
};

/* Read the offsets of a group from a directory, which must exist. Blocks; before the consumer
 * starts. RAFTMQ_INVALID_ARGUMENT: another consumer has them, or they are damaged or not to be
 * read. */
enum raftmq_status broadcast_open(struct broadcast *broadcast, const char *directory,
                                  const struct name *group, struct raftmq_error *error);
void broadcast_close(struct broadcast *broadcast);

/* Note how far a queue is. */
void broadcast_note(struct consumed_queue *queue);

/* Write what is new of all queues, unless a write is under way. True if a write is under way now:
 * consumer_finish_if_idle() is called at its end. */
bool broadcast_store(struct raftmq_consumer *consumer);

#endif
