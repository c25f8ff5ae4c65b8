/* TCP links between the members of a group, on a libuv loop.
 *
 * For each pair one connection per direction: whoever sends connects. A link keeps order and never
 * repeats; what cannot be sent is lost. A new connection of a sender replaces its old one, and
 * everything unread or unsent on the old one is thrown away. Reconnects by itself. Strangers are
 * closed after a bounded number of bytes and a bounded time. Loop thread only. */
#ifndef RAFT_GLUE_REPLICA_PEERS_H
#define RAFT_GLUE_REPLICA_PEERS_H

#include "raft-glue/replica.h"
#include "raft-glue/replica_host.h"

struct replica_peers;

struct replica_peers_options {
    uv_loop_t *loop;
    const struct log *log;
    uint64_t self;
    const struct replica_member *members; /* Copied. */
    size_t member_count;
    struct slice cluster;         /* Copied. */
    struct slice group;           /* Copied. */
    struct segment_log *segments; /* Where entries to be sent are. */
    void *context;
    void (*on_message)(void *context, const struct replica_inbound *inbound);
    /* Are AppendEntries of this term still what the log holds? */
    bool (*may_send)(void *context, uint64_t term);
};

/* Errors (*error is a sentence to be freed): STATUS_IO  the port cannot be listened on. */
WARN_UNUSED enum status replica_peers_start(const struct replica_peers_options *options,
                                            struct replica_peers **out, char **error);

/* Ends all links; on_closed is called later, from the loop, when nothing is left. */
void replica_peers_close(struct replica_peers *peers, void (*on_closed)(void *context),
                         void *context);

/* The port of replica_ports: queue a message, or lose it. */
void replica_peers_send(struct replica_peers *peers, const struct replica_outbound *outbound);

/* Stop or resume reading from all members, when the disk cannot follow. */
void replica_peers_pause(struct replica_peers *peers, bool pause);

/* Is our link to this member up? */
bool replica_peers_connected(const struct replica_peers *peers, uint64_t id);

#endif
