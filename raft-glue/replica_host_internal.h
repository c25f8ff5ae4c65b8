/* Inside of replica_host, shared by its files: replica_host.c runs it, replica_host_peers.c
 * connects it to the others, replica_host_view.c shows what it is. */
#ifndef RAFT_GLUE_REPLICA_HOST_INTERNAL_H
#define RAFT_GLUE_REPLICA_HOST_INTERNAL_H

#include "raft-glue/replica_disk.h"
#include "raft-glue/replica_host.h"
#include "raft-glue/replica_peers.h"

struct replica_host {
    struct replica_host_options options;
    struct replica_member members[MEMBERS_MAX];
    struct replica_identity identity;
    struct directory directory;
    struct replica_storage storage;
    struct replica *replica;
    struct replica_peers *peers;
    uint64_t linked_version; /* Of the known servers that there are links to. */
    uint64_t settled_change; /* The committed membership that the links were looked through for. */
    bool draining;
    struct fetch_server *fetch;
    struct replica_disk disk;
    uv_timer_t timer;
    uint64_t armed_ms; /* When the timer fires; UINT64_MAX: it is not armed. */
    bool had_room;
    void (*on_room)(void *context);
    void *room_context;
    bool behind_told;
    bool damage_seen; /* In what others need. */
    bool damage_told;
    bool stuck_told;
    bool removed;
    uint64_t removed_change; /* The newest membership that it knew when it was told so. */
    bool closing;
    bool timer_closed;
    bool peers_closed;
    bool fetch_closed;
    void (*on_closed)(void *context);
    void *closed_context;
};

/* After anything that happened: start what there is to do. */
void replica_host_pump(struct replica_host *host);

/* Listen, and connect to all servers that are known. Errors: as replica_peers_start(). */
WARN_UNUSED enum status replica_host_start_peers(struct replica_host *host, char **error);
/* Have a link to every server that is known, and to no other. */
void replica_host_keep_links(struct replica_host *host);
/* Entries that another member needs, from this one on, are damaged on disk. */
void replica_host_on_damage(void *context, uint64_t index);
/* The replica's way out. */
void replica_host_send(void *context, const struct replica_outbound *outbound);

#endif
