/* What a replica needs of the world. All else it is asked for: replica_due_ms(),
 * replica_disk_take() and replica_load_take() tell what there is to do. */
#ifndef RAFT_GLUE_REPLICA_PORTS_H
#define RAFT_GLUE_REPLICA_PORTS_H

#include "common/base/clock.h"

#include <raft.h>

/* A message to another member. AppendEntries carries no entries: whoever sends it takes entries
 * prev_log_index + 1 and so on from the log, which has them in memory or durable. */
struct replica_outbound {
    uint64_t to;
    struct raft_message message; /* server_address is NULL. */
};

struct replica_ports {
    void *context;
    const struct clock *clock;
    /* Send, in order for each receiver, or lose it. Copies. Does not call back into the replica. */
    void (*send)(void *context, const struct replica_outbound *outbound);
};

#endif
