/* Inside of the replica, shared by its files. */
#ifndef RAFT_GLUE_REPLICA_INTERNAL_H
#define RAFT_GLUE_REPLICA_INTERNAL_H

#include "common/base/list.h"
#include "raft-glue/replica.h"
#include "raft-glue/replica_proposals.h"

enum {
    /* Two RAFT_TIMEOUT are at least this far apart. */
    TIMEOUT_GAP_MS = 2,
    /* After a log write for which the disk had no room. */
    WRITE_RETRY_MS = 500,
    /* Entries between two RAFT_SNAPSHOT events. */
    COMPACT_EVERY = LIMITS_PICK(4096, 40),
    /* Entries that C-Raft is told of at a start, 40 bytes each for a moment. */
    START_ENTRIES_MAX = LIMITS_PICK(1024 * 1024, 200),
    /* Servers we know of: the membership's, and some that contacted us. */
    KNOWN_MAX = REPLICA_KNOWN_MAX,
};

struct replica_member_state {
    struct replica_voter voter;
    uint64_t contact_ms; /* Last message of it; 0: none. */
    uint64_t result_ms;  /* Last AppendEntries result of our term. */
    uint64_t short_term; /* As leader of this term we saw that it lost what it had acknowledged. */
};

/* A message that must not leave before what it rests on is durable. */
struct held_message {
    struct list queue;
    uint64_t vote_sequence; /* Term and vote of this number must be durable. */
    struct replica_outbound outbound;
};

/* A proposal that is not submitted yet. */
struct submission {
    struct list queue;
    uint8_t *payload;
    size_t size;
    void *proposal;
};

enum transfer_phase {
    TRANSFER_NONE,
    TRANSFER_WAITING, /* Until the target has the whole log. */
    TRANSFER_STARTED, /* RAFT_TRANSFER was given. */
};

struct replica_transfer {
    enum transfer_phase phase;
    uint64_t target; /* 0: the best. */
    uint64_t deadline_ms;
    void (*done)(void *context, enum status status);
    void *context;
};

/* That a member has less than it acknowledged, and what was done about it. */
struct replica_shortfall {
    uint64_t term; /* We led in it; 0: there is none. */
    uint64_t member;
    bool asked; /* Leadership was to be handed over. */
};

enum cut_phase {
    CUT_NONE,
    CUT_STORING, /* The base is on its way to disk. */
    CUT_STORED,
};

/* Shortening the log at its front. */
struct replica_cut {
    enum cut_phase phase;
    uint64_t position; /* Bytes below it are not needed by the machine; */
    uint64_t pin;      /* those from here on are needed by somebody who copies them. */
    struct replica_base base;
};

/* Entries given to the step under way, so that the update knows whose memory they are. */
struct step_entries {
    const struct raft_entry *entries; /* NULL: none; then an update's entry is C-Raft's barrier. */
    unsigned count;
    struct block *block;           /* Holds the payloads. */
    const struct wire_entry *wire; /* Received ones; NULL for a submission. */
};

struct replica {
    struct raft raft;
    struct replica_options options;
    struct segment_log *log;
    struct replica_member_state members[KNOWN_MAX];
    size_t member_count;
    uint64_t learned_change;  /* The membership whose addresses are in it. */
    uint64_t members_version; /* Counts changes of the ids and addresses in it. */

    bool busy;     /* Inside an event: what the machine calls is queued. */
    bool stepping; /* Inside raft_step(). */
    bool shut;
    bool guard_checked; /* Ownership contract of C-Raft verified. */
    uint64_t now_ms;
    uint64_t timeout_fired_ms;

    uint64_t commit;
    uint64_t applied;
    uint64_t reported;    /* Durable index as told to C-Raft. */
    uint64_t conf_scan;   /* RAFT_CONFIGURATION was given up to here. */
    uint64_t serve_first; /* A leader serves when this is applied. */
    uint64_t floor;       /* Before the first entry of C-Raft's trail. */
    uint64_t snapshot_index;
    uint64_t snapshot_term;
    uint64_t machine_durable;
    uint64_t change_index;      /* Our own CHANGE entry: nothing leaves before it is durable. */
    struct replica_state shown; /* As last told to the machine. */

    struct replica_cut cut;
    struct term_vote_state vote; /* The last one that was handed to the disk. */
    bool damaged;                /* An entry to be applied cannot be read as it was written. */
    uint64_t offered_index;      /* Of the snapshot that a leader offered last; 0: none. */
    uint64_t offered_term;
    uint64_t begun_term;   /* As leader of this term a barrier was seen to. */
    uint64_t vote_wanted;  /* Sequence of the newest term and vote ... */
    uint64_t vote_durable; /* ... and of what is on disk. */
    bool reopening;        /* Lone voter: waits for the raised term to be durable. */
    bool disk_under_way;
    uint64_t base_retry_ms;  /* Not before that, after a base that found no room. */
    uint64_t write_retry_ms; /* Not before that, after a write that found no room. */
    struct list held;

    struct step_entries given;
    bool rejected; /* The last step answered AppendEntries with a rejection. */
    int step_result;

    struct proposals proposals;
    struct list submissions;
    size_t submission_count;
    size_t submission_bytes;
    uint64_t doubt_deadline_ms; /* Proposals of a lost leadership end then; 0: none. */
    struct replica_transfer transfer;
    struct replica_shortfall shortfall;

    bool load_under_way;
    struct log_load *loaded; /* While its entries are being applied. */
};

/* replica.c */
struct replica_member_state *replica_member(struct replica *replica, uint64_t id);
const char *replica_address(struct replica *replica, uint64_t id);
/* One raft_step() and all that follows from it. Returns C-Raft's code for SUBMIT and TRANSFER, 0
 * for all others (they must not fail). */
int replica_step(struct replica *replica, struct raft_event *event);
void replica_enter(struct replica *replica);
/* Bring everything up to date after an event: configurations, apply, submissions, transfer. */
void replica_leave(struct replica *replica);
/* Know a server's address. A full table forgets one that is not of the membership. */
void replica_learn(struct replica *replica, uint64_t id, const char *address);
/* Is it kept from voting and standing for election, because it lost what it acknowledged? */
bool replica_abstains(const struct replica *replica);
enum raft_state replica_raft_state(const struct replica *replica);

/* replica_start.c */
void replica_open_raft(struct replica *replica, const struct term_vote_state *state);

/* replica_compact.c */
void replica_compact(struct replica *replica);

/* replica_update.c */
void replica_carry_out(struct replica *replica, const struct raft_event *event,
                       const struct raft_update *update);

/* replica_send.c */
/* Send, or hold until what it rests on is durable; large AppendEntries are split. */
void replica_queue_message(struct replica *replica, const struct raft_message *message);
/* Send what was held and may leave now. */
void replica_send_held(struct replica *replica);

/* replica_apply.c */
void replica_deliver_configurations(struct replica *replica);
/* true if anything was applied. */
bool replica_apply(struct replica *replica);

/* replica_submit.c */
bool replica_submit_queued(struct replica *replica);
void replica_drop_truncated(struct replica *replica, uint64_t index);
/* Those of lost leaderships, after a time. */
void replica_drop_doubtful(struct replica *replica);
void replica_drop_all(struct replica *replica, enum status why_queued);
/* The proposal that waits for this entry, or NULL. */
void *replica_proposal_for(struct replica *replica, uint64_t index, uint64_t term);
int replica_submit_entry(struct replica *replica, uint8_t type, uint8_t *payload, size_t size,
                         uint64_t *index);

/* An entry that says nothing. */
void replica_propose_barrier(struct replica *replica);

/* replica_transfer.c */
void replica_transfer_advance(struct replica *replica);

/* replica_shortfall.c */
/* As leader: look whether an answer contradicts what the member acknowledged in our term. */
void replica_judge_rejection(struct replica *replica, uint64_t from,
                             const struct raft_append_entries_result *result);
/* Give up leadership if one did: to another voter, or else to whom the next election finds. */
void replica_settle_shortfall(struct replica *replica);

#endif
