/* One member of a Raft group, without I/O: the only owner of struct raft and the only caller of
 * raft_step().
 *
 * It is told what happened (a message, the time, a finished write) and says what there is to do;
 * replica_host.c does it on a libuv loop, the simulator on a virtual clock. Obeys the rules R1-R22
 * of docs/decisions/0002-driving-c-raft.md. After each call that may have changed something the
 * caller looks at replica_disk_take(), replica_load_take() and replica_due_ms(). One thread. */
#ifndef RAFT_GLUE_REPLICA_H
#define RAFT_GLUE_REPLICA_H

#include "common/base/limits.h"
#include "raft-glue/replica_machine.h"
#include "raft-glue/replica_ports.h"
#include "raft-glue/replica_storage.h"
#include "raft-glue/replica_wire.h"

enum {
    /* Entries proposed or received by a leader and not yet committed: each acknowledgement scans
     * them. */
    REPLICA_UNCOMMITTED_MAX = LIMITS_PICK(1000, 50),
    REPLICA_UNCOMMITTED_BYTES_MAX = 64 * 1024 * 1024,
    /* Bytes of one load of entries that are no longer in memory. */
    REPLICA_LOAD_BYTES_MAX = LIMITS_PICK(1024, 16) * 1024,
    /* Servers that a replica knows of: the membership's, and some that contacted it. */
    REPLICA_KNOWN_MAX = MEMBERS_MAX + 4,
};

struct replica;

struct replica_voter {
    uint64_t id;
    char address[24]; /* "10.1.2.3:10912" */
};

struct replica_options {
    uint64_t id;
    const struct replica_voter *voters; /* Sorted by id, copied. */
    size_t voter_count;
    uint32_t election_timeout_ms;
    uint32_t heartbeat_timeout_ms;
    uint64_t applied_index; /* What the machine already contains durably. */
    unsigned seed;          /* Of election timers. */
    uint32_t start_entries; /* Most that C-Raft is told of at the start; 0: as many as usual. */
    const struct log *log;
    struct replica_storage *storage; /* Borrowed until close. */
    struct replica_machine machine;
    struct replica_ports ports;
};

/* The first membership, for replica_storage_options.bootstrap; the caller closes it. */
struct raft_configuration replica_bootstrap(const struct replica_voter *voters, size_t count);

/* Start on an opened storage.
 *
 * Errors (*error is a sentence to be freed):
 *   STATUS_CORRUPT  the machine's store and the log do not meet
 *   STATUS_IO */
WARN_UNUSED enum status replica_start(const struct replica_options *options, struct replica **out,
                                      char **error);

/* Drop what waits and free. No disk job or load may be under way. Accepts NULL. */
void replica_close(struct replica *replica);

/* End all waiting proposals now (SHUTTING_DOWN or UNKNOWN_OUTCOME) and take none any more. */
void replica_shut(struct replica *replica);

/* ---- Events ---- */

struct replica_inbound {
    uint64_t from;
    struct wire_header header;
    struct block *body;         /* Borrowed: the frames of AppendEntries, or NULL. */
    struct wire_entry *entries; /* Borrowed: header.message.append_entries.n_entries. */
};
void replica_receive(struct replica *replica, const struct replica_inbound *inbound);

/* A server says where it is: it can be answered from now on. */
void replica_meet(struct replica *replica, uint64_t id, const char *address);

/* Monotonic time at which replica_tick() is wanted. */
uint64_t replica_due_ms(const struct replica *replica);
void replica_tick(struct replica *replica);

/* As replica_host_propose(). May be called from the machine. */
WARN_UNUSED enum status replica_propose(struct replica *replica, uint8_t *payload, size_t size,
                                        void *proposal);

/* As replica_host_transfer(). */
void replica_transfer(struct replica *replica, uint64_t target_id,
                      void (*done)(void *context, enum status status), void *context);

/* Change one server's role or presence: a server of the same id gets the role, a new one is added,
 * a NULL address removes it. Leader only; one at a time.
 *
 * Errors (nothing changes): STATUS_NOT_LEADER, STATUS_BUSY (another change is under way, or no
 * entry of our own term is committed yet: a barrier was proposed, try again),
 * STATUS_INVALID_ARGUMENT (no change, ourselves, or the last voter). */
WARN_UNUSED enum status replica_change(struct replica *replica, uint64_t id, const char *address,
                                       int role);

/* The machine's store is durable up to index. */
void replica_machine_durable(struct replica *replica, uint64_t index);

/* The machine needs no byte of the log below this position any more, and says so in a store that is
 * durable: whole segments below it are dropped as soon as that is safe. */
void replica_cut(struct replica *replica, uint64_t position);

/* Somebody copies the log from this position on: it is not cut there. UINT64_MAX: nobody does. */
void replica_pin(struct replica *replica, uint64_t position);

/* ---- What there is to do ---- */

/* Term and vote first, then the base of a cut, then the log: one job, blocking, in order; one at a
 * time. */
struct replica_disk_job {
    bool has_vote;
    struct term_vote_state vote;
    const struct replica_base *base; /* Or NULL. */
    bool base_waits;                 /* The disk had no room for it: the cut waits. */
    struct log_write *write;         /* Or NULL. */
    struct term_vote *term_vote;
    struct replica_base_file *base_file;
    uint64_t vote_sequence; /* Private. */
    enum status status;
};
/* false: nothing to write, or a job is under way. */
bool replica_disk_take(struct replica *replica, struct replica_disk_job *job);
/* Any thread; sets job->status. */
void replica_disk_run(struct replica_disk_job *job);
/* An error ends the process: whoever opened the files again would take for durable what the system
 * has given up to write. */
void replica_disk_check(const struct replica_disk_job *job);
/* With that check. */
void replica_disk_done(struct replica *replica, struct replica_disk_job *job);
/* Instead of done, when the replica is being closed: only frees. */
void replica_disk_abandon(struct replica *replica, struct replica_disk_job *job);

/* Committed entries that are not in memory: begin a load for them? Then run, then done. */
bool replica_load_take(struct replica *replica, struct log_load *load);
void replica_load_done(struct replica *replica, struct log_load *load);

/* ---- What is known ---- */

struct replica_state replica_state(const struct replica *replica);
bool replica_quorum_fresh(const struct replica *replica);
/* A leader that has applied all it knows to be committed and has heard from a majority lately: what
 * its machine lacks was given to nobody. Followers may apply an entry before the leader, whose disk
 * is slower. */
bool replica_knows_all(const struct replica *replica);
bool replica_write_under_way(const struct replica *replica);
uint64_t replica_commit_index(const struct replica *replica);
uint64_t replica_applied_index(const struct replica *replica);
/* Leader only; 0 if unknown. */
uint64_t replica_match_index(const struct replica *replica, uint64_t id);
/* Does this replica stay out of elections, because it lost what it had acknowledged and has not got
 * it back yet (struct term_vote_state)? */
bool replica_abstaining(const struct replica *replica);
/* Milliseconds since a message of that member; UINT64_MAX if none came yet. */
uint64_t replica_contact_ms_ago(const struct replica *replica, uint64_t id);
/* May an AppendEntries of this term still be sent: are its entries what the log holds? */
bool replica_leads_term(const struct replica *replica, uint64_t term);
/* All servers that are known, and how many; *version changes whenever they do. `role` is that of
 * the newest membership, -1 for a server that is not of it. */
struct replica_known {
    struct replica_voter server;
    int role;
};
size_t replica_known(const struct replica *replica, struct replica_known to[REPLICA_KNOWN_MAX],
                     uint64_t *version);
bool replica_knows(const struct replica *replica, uint64_t id);
/* Index of the newest change of membership that is known; *pending: it is not committed. */
uint64_t replica_change_index(const struct replica *replica, bool *pending);
/* Encoded as in the log, or empty; borrowed until the log changes. */
struct slice replica_membership(const struct replica *replica);
/* Is this server no member of a membership that is committed and newer than the one it knows? By
 * that one it may have been a member, or one who waits to be added. */
bool replica_outside(const struct replica *replica, uint64_t id, uint64_t its_change_index);
/* Is an entry that is to be applied damaged on disk? Nothing is applied any more then. */
bool replica_damaged(const struct replica *replica);
/* A committed entry that we lack, of a leader that no longer has what leads up to it: a copy must
 * reach at least that far. What we ever acknowledged lies before it, or is of no group's log any
 * more. 0: there is none, or we got there meanwhile. */
uint64_t replica_behind(const struct replica *replica);
struct term_vote_state replica_vote(const struct replica *replica);
/* Voters of the newest membership that this replica knows. */
unsigned replica_voter_count(const struct replica *replica);
/* Is the call made from within one of the machine's functions? */
bool replica_busy(const struct replica *replica);
/* Entries of the log that are not known to be committed. */
uint64_t replica_uncommitted(const struct replica *replica);

#endif
