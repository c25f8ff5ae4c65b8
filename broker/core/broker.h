/* The broker core of one group: everything between a decoded request and the replica.
 *
 * Pure: clock, chance, network, log and replica are ports (struct broker_ports), so that the same
 * code runs behind sockets (group.c) and in a simulator. It owns the soft state (channels, parked
 * pulls, open batch); the machine is the replicated state. Loop thread only, no locks. */
#ifndef BROKER_CORE_BROKER_H
#define BROKER_CORE_BROKER_H

#include "broker/core/balancer.h"
#include "broker/core/channel.h"
#include "broker/core/checker.h"
#include "broker/core/client_calls.h"
#include "broker/core/cold_reads.h"
#include "broker/core/key_searches.h"
#include "broker/core/log_clock.h"
#include "broker/core/members.h"
#include "broker/core/pops.h"
#include "broker/core/proposer.h"
#include "broker/core/pulls.h"
#include "broker/core/rates.h"
#include "broker/core/retention.h"
#include "broker/core/scheduler.h"
#include "broker/core/settings.h"
#include "broker/machine/machine.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "raft-glue/replica_machine.h"

/* A read of the log that may take its time. Owned by the caller until done is called. */
struct position_read {
    uint64_t position;
    size_t size;
    uint8_t *to;
    void (*done)(struct position_read *read, enum status status);
    void *context;
};

/* The disk below this replica, in bytes. disk_total 0: not known (yet). */
struct storage_view {
    uint64_t disk_available;
    uint64_t disk_total;
    uint64_t log_first; /* Positions: the log on disk is [first, end). */
    uint64_t log_end;
};

/* The answer of a nameserver, borrowed until this returns; NULL: none answers. */
typedef void nameserver_cb(void *context, const struct command *response);

struct broker_ports {
    void *context;
    const struct clock *clock;
    /* As replica_host_propose(). */
    enum status (*propose)(void *context, uint8_t *payload, size_t size, void *proposal);
    bool (*has_room)(void *context);
    bool (*quorum_fresh)(void *context);
    /* We lead, and no other replica has applied more: what our machine lacks nobody was given. */
    bool (*knows_all)(void *context);
    /* As replica_host_read_now() and replica_host_read(). */
    enum status (*read_now)(void *context, uint64_t position, size_t size, uint8_t *to);
    void (*read)(void *context, struct position_read *read);
    /* What was read there is damaged, or looks so. */
    void (*suspect)(void *context, uint64_t position);
    /* Hand leadership over; done once. */
    void (*transfer)(void *context, uint64_t target_id,
                     void (*done)(void *done_context, enum status status), void *done_context);
    struct member_ports members;
    /* Cheap: may be asked often. */
    void (*storage)(void *context, struct storage_view *view);
    /* JSON object of what only the host knows (replica view), appended to out. */
    void (*describe)(void *context, struct buf *out);
    /* Where frames for the leader go: NULL if there is no connection to it (now). */
    struct buf *(*leader_out)(void *context);
    void (*leader_flush)(void *context);
    /* The set of topics changed, or our role: tell the nameservers soon. */
    void (*register_soon)(void *context);
    /* Send one of them a request, under a number of the host's own; done is called once, maybe
     * before this returns. Copies the request. */
    void (*ask_nameserver)(void *context, struct command *request, nameserver_cb *done,
                           void *done_context);
    /* There is more to do: end another turn soon, though nothing else happens. */
    void (*turn_again)(void *context);
    struct transport_ports transport;
};

struct broker_counters {
    uint64_t requests;
    uint64_t requests_refused;
    uint64_t messages_in;
    uint64_t bytes_in;
    uint64_t messages_out;
    uint64_t bytes_out;
    uint64_t bytes_read; /* Of messages out of the log, whether anybody got them or not. */
    uint64_t pulls_held;
    uint64_t readers_sent; /* Answers that named a follower: by the leader, or itself. */
    uint64_t forwarded;
    uint64_t checks_sent;
    uint64_t sent_back;    /* By consumers: to be tried again, */
    uint64_t dead_letters; /* or no more. */
};

/* What queues of one topic grew by, while an entry is applied. */
struct topic_growth {
    const struct topic *topic; /* NULL: none. */
    uint64_t messages;
    uint64_t bytes;
};

struct broker {
    const struct settings *settings;
    const struct group_settings *group;
    const struct member_settings *self;
    const struct broker_ports *ports;
    const struct log *log;
    struct random random;
    struct machine *machine;
    struct replica_state state;
    struct channels channels;
    struct proposer proposer;
    struct relay *relay;
    uint64_t leader_connection; /* Number of the newest one. */
    bool announcing;            /* It has not heard of all our clients. */
    struct cold_reads cold_reads;
    struct key_searches key_searches;
    struct pulls pulls;
    struct pops pops;
    struct client_calls client_calls;
    struct checker checker;
    struct scheduler scheduler;
    struct balancer balancer;
    struct retention retention;
    struct log_clock log_clock;
    struct rates rates;
    struct day_totals day_totals;
    uint64_t started_ms; /* Wall clock. */
    uint64_t expired_ms; /* Monotonic time of the last look for silent clients. */
    uint64_t ticked_ms;
    uint64_t stranger_ms;   /* Monotonic time of the last line about one that wanted to forward. */
    bool draining;          /* Gives leadership away and takes none. */
    bool disk_full;         /* Messages are refused until there is room, */
    bool log_full;          /* and everything else, too, while we lead. */
    struct batch *applying; /* The batch whose entry is being applied. */
    struct topic_growth grown;
    struct map topics_changing; /* topic_changes.c */
    bool stopping;
    struct buf properties; /* Scratch of whoever stores a message. */
    struct buf ids;        /* Scratch of process_send.c. */
    struct broker_counters counters;
};

/* Borrows all pointers. The machine is attached by the caller before the replica starts. */
void broker_init(struct broker *broker, const struct settings *settings,
                 const struct group_settings *group, const struct broker_ports *ports,
                 const struct log *log, struct random random);
/* Answers what waits with STATUS_SHUTTING_DOWN as far as connections are still open. */
void broker_close(struct broker *broker);

/* What machine_open() is to be given. */
struct machine_events broker_machine_events(struct broker *broker);

/* --- From the network --------------------------------------------------------------------- */

struct channel *broker_channel_open(struct broker *broker, void *transport, struct host host);
void broker_channel_close(struct broker *broker, struct channel *channel);
/* A frame from a client (or a replica that forwards). Borrows until it returns. */
void broker_on_command(struct broker *broker, struct channel *channel,
                       const struct command *command);
/* A frame from the leader, over our connection to it. False: it does not know us (yet), and took
 * nothing of what came over it; say hello again over another one. */
bool broker_on_leader_command(struct broker *broker, uint64_t connection,
                              const struct command *command);
/* A connection to the leader is there: say hello. Frames go there from now on; answers may still
 * come over the one before. Returns its number. */
uint64_t broker_on_leader_connected(struct broker *broker);
/* A connection is gone; with STATUS_CONNECT_FAILED nothing was ever sent over it. */
void broker_on_leader_lost(struct broker *broker, uint64_t connection, enum status why);
/* Was the leader not told what it must know of our clients, or is the connection to it silent? A
 * new one tells it all. */
bool broker_wants_new_link(const struct broker *broker);
/* Is anything that was sent over it yet to be answered? */
bool broker_awaits_leader(const struct broker *broker, uint64_t connection);

/* --- From the replica --------------------------------------------------------------------- */

void broker_apply(struct broker *broker, const struct replica_entry *entry, void *proposal);
void broker_drop(struct broker *broker, void *proposal, enum status why);
void broker_on_state(struct broker *broker, const struct replica_state *state);

/* --- Time --------------------------------------------------------------------------------- */

/* At the end of each loop turn: propose what was gathered, wake what was waited for. */
void broker_turn_end(struct broker *broker);
/* Every BROKER_TICK_MS or so. */
enum { BROKER_TICK_MS = 50 };
void broker_tick(struct broker *broker);

/* --- For processors ----------------------------------------------------------------------- */

static inline bool broker_leads(const struct broker *broker)
{
    return broker->state.role == REPLICA_LEADER;
}

/* The time of what is due, and of entries: see log_clock.h. */
static inline uint64_t broker_now_ms(const struct broker *broker)
{
    return log_clock_now_ms(&broker->log_clock);
}

/* The leader's client address; false if unknown. */
bool broker_leader_host(const struct broker *broker, struct host *host);

/* Is there a server of that id, by the configuration or because it has contacted us? */
bool broker_knows_member(const struct broker *broker, uint64_t id);

/* May a client's write be taken? STATUS_DISK_FULL, STATUS_SHUTTING_DOWN, STATUS_OK. */
enum status broker_accepts_writes(const struct broker *broker);

#endif
