/* TCP links between the members of a group, on a libuv loop.
 *
 * For each pair one connection per direction: whoever sends connects. A link keeps order and never
 * repeats; what cannot be sent is lost. A new connection of a sender replaces its old one, and
 * everything unread or unsent on the old one is thrown away. Reconnects by itself. Strangers are
 * closed after a bounded number of bytes and a bounded time. The same port answers probes and
 * gives copies of the data. Loop thread only. */
#ifndef RAFT_GLUE_REPLICA_PEERS_H
#define RAFT_GLUE_REPLICA_PEERS_H

#include "raft-glue/fetch_server.h"
#include "raft-glue/replica.h"
#include "raft-glue/replica_host.h"
#include "raft-glue/replica_probe.h"

struct replica_peers;

struct replica_peers_options {
    uv_loop_t *loop;
    const struct log *log;
    uint64_t self;
    struct host raft_host;        /* Ours: listened on. */
    struct host client_host;      /* Ours: told to the others. */
    uint64_t members_hash;        /* hello_members_hash() of the configured ones. */
    uint64_t identity;            /* Of our disk. */
    struct slice cluster;         /* Copied. */
    struct slice group;           /* Copied. */
    struct segment_log *segments; /* Where entries to be sent are. */
    void *context;
    void (*on_message)(void *context, const struct replica_inbound *inbound);
    /* Are AppendEntries of this term still what the log holds? */
    bool (*may_send)(void *context, uint64_t term);
    /* A connection of our cluster and group, meant for us: what is the answer? After WELCOME, a
     * LINK's sender is known (replica_peers_set() may be called from here). */
    enum hello_answer (*judge)(void *context, const struct hello *hello);
    /* Entries to be sent, from this one on, are damaged on disk. */
    void (*on_damage)(void *context, uint64_t index);
    /* We were told that we are no member, or not yet. True if we were one. */
    bool (*on_removed)(void *context, uint64_t by);
    /* Index of the newest change of membership that we know. */
    uint64_t (*change_index)(void *context);
    /* The answer to a PROBE. */
    void (*describe)(void *context, const struct hello *hello, struct probe *probe);
    /* What serves FETCH connections. */
    struct fetch_server *fetch;
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

/* Have a link to this server, at this address; a link to another address of it ends. */
void replica_peers_set(struct replica_peers *peers, uint64_t id, struct host raft_host);
/* End the links to all servers but these. */
void replica_peers_keep(struct replica_peers *peers, const uint64_t *ids, size_t count);

/* Where a server's clients connect, as it said itself; port 0: not known. */
struct host replica_peers_client_host(const struct replica_peers *peers, uint64_t id);

/* Tell all other servers that we want no leadership, or do again; and what one of them said. */
void replica_peers_drain(struct replica_peers *peers, bool draining);
bool replica_peers_draining(const struct replica_peers *peers, uint64_t id);

/* Close what a server has connected to us: it comes back, and is judged anew. */
void replica_peers_renew_from(struct replica_peers *peers, uint64_t id);

/* Is our link to this member up? */
bool replica_peers_connected(const struct replica_peers *peers, uint64_t id);

#endif
