/* A running replica: the sans-I/O replica.h with its disk, network and timer on a libuv loop.
 *
 * One data directory, one log, one Raft port, all on the loop of the thread that starts it. Synced
 * writes run in the thread pool, one at a time, in order; everything that was proposed meanwhile
 * goes into the next one (group commit without a timer). A failed write or fsync of log or vote is
 * FATAL: the process stops, other replicas take over. The process must ignore SIGPIPE (libuv
 * writes to sockets that may be closed). Loop thread only. */
#ifndef RAFT_GLUE_REPLICA_HOST_H
#define RAFT_GLUE_REPLICA_HOST_H

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "common/remoting/message.h"
#include "raft-glue/fetch_image.h"
#include "raft-glue/replica_identity.h"
#include "raft-glue/replica_machine.h"
#include "raft-glue/replica_origin.h"

#include <uv.h>

struct replica_member {
    uint64_t id; /* > 0 */
    struct host raft_host;
};

/* As in memberships (replica_configuration.h). */
enum replica_member_role {
    REPLICA_MEMBER_STANDBY = 0, /* Gets the log, has no vote. */
    REPLICA_MEMBER_VOTER = 1,
    REPLICA_MEMBER_STRANGER = 255, /* Known, but not of the membership. */
};

enum { REPLICA_MEMBERS_KNOWN = MEMBERS_MAX + 4 };

struct replica_host_options {
    uv_loop_t *loop;
    const struct log *log;
    const struct clock *clock;
    const char *directory; /* Exists, ours alone (the caller holds its lock). */
    struct slice cluster;  /* Peers must name the same cluster and group. */
    struct slice group;
    uint64_t id; /* Which of members we are. */
    /* With ourselves; copied, sorted by id. They are the voters of a new group; later the log's
     * membership says who belongs, and this where it says other addresses. */
    const struct replica_member *members;
    size_t member_count;
    struct host client_host;                 /* Told to the other members. */
    const struct replica_identity *identity; /* Of our data directory; copied. */
    enum replica_origin origin;              /* If there is no log yet: see replica_storage.h. */
    struct term_vote_state origin_state;
    uint32_t election_timeout_ms;  /* E; timers are drawn from [E, 2E]. */
    uint32_t heartbeat_timeout_ms; /* H < E */
    uint64_t applied_index;        /* What the machine's store already contains durably. */
    uint64_t scrub_rate;           /* Bytes per second of the log's scrub; 0: none. */
    struct replica_machine machine;
    struct image_source image; /* For members that need a copy of our data. */
    uint64_t copy_rate;        /* Bytes a second of such copies; 0: no limit. */
    /* The leader no longer has what we lack: close the host, and get a copy with fetch_run().
     * Called once, from the loop. */
    void (*on_behind)(void *context);
    /* The log is damaged where it was synced: a copy is needed here, too. `stuck`: this replica
     * cannot go on without; else only some old entries cannot be read. Called once for each. */
    void (*on_damaged)(void *context, bool stuck);
    void *needs_context; /* Of both. */
};

struct replica_host;

/* Recover the log, start the replica, listen on our raft_host. Applies committed entries after
 * applied_index as soon as the leader (maybe we) tells how far the log is committed.
 *
 * Errors (nothing is open; *error is a sentence for the operator, to be freed):
 *   STATUS_IO       the directory or port cannot be used
 *   STATUS_CORRUPT  the log is damaged where it was synced, or the machine's store does not fit it
 *   STATUS_REFUSED  these are another group's files, or another replica's */
WARN_UNUSED enum status replica_host_start(const struct replica_host_options *options,
                                           struct replica_host **out, char **error);

/* Stop: drops waiting proposals, closes handles; on_closed is called from the loop, then free. */
void replica_host_close(struct replica_host *host, void (*on_closed)(void *context), void *context);

/* Propose one entry. Copies nothing: takes `payload` (malloc'ed, `size` bytes) on success; on
 * failure it stays the caller's. Ends exactly once: machine.apply with `proposal`, or machine.drop.
 * At most ENTRY_SIZE_MAX bytes.
 *
 * Errors: STATUS_NOT_LEADER, STATUS_NO_LEADER, STATUS_OVERLOADED (window full),
 * STATUS_SHUTTING_DOWN: drop is not called. */
WARN_UNUSED enum status replica_host_propose(struct replica_host *host, uint8_t *payload,
                                             size_t size, void *proposal);

/* Is it a good moment to propose the open batch? True when no synced write is in flight, or enough
 * room is left in the pipeline; otherwise `on_room` (set once) is called when it is. */
bool replica_host_has_room(const struct replica_host *host);
void replica_host_on_room(struct replica_host *host, void (*on_room)(void *context), void *context);

struct replica_state replica_host_state(const struct replica_host *host);
/* Leader that has heard from a majority within the election timeout. */
bool replica_host_quorum_fresh(const struct replica_host *host);
/* As replica_knows_all(). */
bool replica_host_knows_all(const struct replica_host *host);

/* Copy [position, position + size) of the log into `to` if that needs no disk: from the cached
 * tail or the page cache. STATUS_BUSY if it would block (use replica_host_read), STATUS_NOT_FOUND
 * if it is outside the log. Only positions of applied entries may be asked for. */
WARN_UNUSED enum status replica_host_read_now(struct replica_host *host, uint64_t position,
                                              size_t size, uint8_t *to);

/* The same through the thread pool. `to` and `request` belong to the caller and stay until
 * `done` is called from the loop, exactly once, maybe from in here; STATUS_CANCELED while the
 * replica is closing. */
struct replica_read {
    struct list queue; /* Private. */
    uint64_t position;
    size_t size;
    uint8_t *to;
    void (*done)(struct replica_read *read, enum status status);
    void *context;
    uv_work_t work;            /* Private. */
    struct replica_host *host; /* Private. */
    enum status status;        /* Private. */
};
void replica_host_read(struct replica_host *host, struct replica_read *read);

/* What was read at a position is not what was written: let the scrub look there next. */
void replica_host_suspect(struct replica_host *host, uint64_t position);

/* Hand leadership to a member (0: the best one). Stops taking proposals, waits until the target has
 * everything, transfers. `done` once: STATUS_OK, STATUS_NOT_LEADER, STATUS_TIMED_OUT (we still
 * lead), STATUS_INVALID_ARGUMENT (no such voter), STATUS_BUSY. */
void replica_host_transfer(struct replica_host *host, uint64_t target_id,
                           void (*done)(void *context, enum status status), void *context);

/* The machine's store durably contains everything up to index: lets the log be cut at its front
 * later and bounds replay. */
void replica_host_machine_durable(struct replica_host *host, uint64_t index);

/* The machine needs no log byte below this position any more, and its durable store says so:
 * entries below may be dropped and their segments used again. Takes effect when it is safe. */
void replica_host_cut(struct replica_host *host, uint64_t position);

/* Term and vote as last handed to the disk. */
struct term_vote_state replica_host_vote(const struct replica_host *host);

/* As replica_change(), by id and role; REPLICA_MEMBER_STRANGER removes the server. */
WARN_UNUSED enum status replica_host_change(struct replica_host *host, uint64_t id,
                                            struct host raft_host, enum replica_member_role role);

/* Want no leadership any more, or again: the others are told, and hand none over. It does not give
 * away what it has: see replica_host_transfer(). */
void replica_host_drain(struct replica_host *host, bool draining);

struct replica_member_view {
    uint64_t id;
    struct host raft_host;
    struct host client_host; /* Port 0: not known yet. */
    enum replica_member_role role;
    bool connected;
    bool draining;           /* Wants no leadership. */
    uint64_t match_index;    /* Leader only. */
    uint64_t match_position; /* Of that entry in our log; 0 if it is not there. */
    uint64_t last_contact_ms_ago;
};

/* What the disk has left for the log. */
enum replica_room {
    REPLICA_ROOM_FINE,
    REPLICA_ROOM_LOW,  /* The reserve is in use. */
    REPLICA_ROOM_NONE, /* Writes of the log wait for room; nothing is lost or acknowledged. */
};

struct replica_view {
    struct replica_state state;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t last_index;
    uint64_t last_term;          /* Of that entry. */
    uint64_t log_first_position; /* Lowest byte position still on disk. */
    uint64_t log_end_position;
    uint64_t written_bytes; /* Payload bytes appended to the log since start. */
    uint64_t sync_count;
    uint64_t first_index;  /* Lowest entry still in the log. */
    uint64_t change_index; /* The entry that the membership is of. */
    bool change_pending;   /* It is not committed yet. */
    uint64_t behind;       /* See replica_behind(). */
    bool abstaining;       /* See replica_abstaining(). */
    bool removed;          /* Others say that we are no member any more. */
    enum replica_room log_room;
    uint64_t scrub_passes; /* Of the log, since start. */
    uint64_t scrubbed_bytes;
    uint64_t damaged_frames; /* Found by the scrub. */
    size_t member_count;
    struct replica_member_view members[REPLICA_MEMBERS_KNOWN]; /* Ascending by id. */
};
void replica_host_view(const struct replica_host *host, struct replica_view *view);

#endif
