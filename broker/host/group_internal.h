/* Inside broker/host/group*.c: what a running group consists of. */
#ifndef BROKER_HOST_GROUP_INTERNAL_H
#define BROKER_HOST_GROUP_INTERNAL_H

#include "broker/core/broker.h"
#include "broker/host/checkpointer.h"
#include "broker/host/group.h"
#include "broker/host/group_data.h"
#include "broker/host/leader_link.h"
#include "broker/host/registrar.h"
#include "broker/host/store_image.h"
#include "common/net/conn.h"
#include "common/net/listener.h"
#include "raft-glue/replica_host.h"

/* Order of stopping; each step starts the next from its callback. */
enum stopping {
    NOT_OPEN,
    RUNNING,
    TRANSFERRING,
    CLOSING_NETWORK,
    CLOSING_REPLICA,
    CHECKPOINTING,
    STOPPED
};

struct group_host {
    const struct settings *settings;
    const struct group_settings *group;
    struct log log;
    uv_thread_t thread;
    uv_sem_t started;
    enum status start_status; /* Once start_told. */
    bool start_told;
    char directory[GROUP_PATH_SIZE];

    uv_loop_t loop; /* Everything below belongs to the loop's thread. */
    uv_async_t stop;
    bool stop_wanted;
    struct group_data data;
    bool recover_alone;      /* Closed, or to be closed, to become the only member. */
    bool damaged;            /* Its log is: to be closed for a copy, once the others are up. */
    uint64_t damage_wait_ms; /* Since when it waits for that; 0: it does not. */
    bool damage_wait_told;
    bool replace;            /* Closed, or being closed, for that. */
    bool store_damaged;      /* Closed, or to be closed, because its store is damaged. */
    bool store_complained;   /* It is damaged, and cannot be built again, or not yet. */
    unsigned rebuilds;       /* Of the store, one soon after the other. */
    uint64_t rebuild_due_ms; /* No other one before that. */
    uint64_t hand_over_ms;   /* When leadership began to be handed over for that; 0: not yet. */
    bool behind;             /* Closed, or to be closed, for a copy of another member's data. */
    struct group_copy copy;  /* That one: since the replica began to close. */
    uv_timer_t tick;
    uv_check_t turn_end;
    uv_idle_t again; /* Active: the next turn follows at once. */
    struct kv *kv;
    struct store_source store_source;
    struct machine *machine;
    struct replica_host *replica;
    struct broker_ports ports;
    struct broker broker;
    struct checkpointer checkpointer;
    struct leader_link leader;
    struct registrar *registrar;
    struct listener listener;
    struct list clients; /* struct client_conn */
    size_t connection_count;
    enum stopping stopping;
    uint64_t stop_deadline_ms;
    char remark[128]; /* Why a change of the membership was refused. */
    uint64_t disk_looked_ms;
    uint64_t disk_available; /* At the last look, */
    uint64_t disk_total;     /* 0 before the first one. */
    bool disk_low;
    bool drained; /* Also when it was opened anew. */
    bool lags;    /* Has much to apply yet. */
    bool unfit;   /* To lead: it lags, or is damaged. */
    bool handing_over;
    uint64_t hand_over_due_ms;
};

/* Open everything, if need be with a copy of another member's data. Errors (logged; nothing is
 * open): as group_data_prepare(), STATUS_REFUSED, STATUS_LOCKED. */
WARN_UNUSED enum status group_open(struct group_host *host);
/* Say what failed, and return the status. Takes error, which may be NULL. */
enum status group_fail(struct group_host *host, const char *what, enum status status, char *error);

/* Store and machine. Errors: as kv_open_rocksdb() and machine_open(), logged. */
WARN_UNUSED enum status group_open_store(struct group_host *host);
void group_close_store(struct group_host *host);
/* Each tick: is it damaged? */
void group_look_at_store(struct group_host *host, uint64_t now);
/* Are there others to copy from, if log or store are damaged, who can do without us? Voters count,
 * whatever is configured; before the replica has said who they are, those of the configuration. */
bool group_can_copy(struct group_host *host);
/* Are they all up, as far as can be seen from here, and led? Then the group goes on without us. */
bool group_others_up(struct group_host *host);

void group_on_tick(uv_timer_t *timer);
void group_on_turn_end(uv_check_t *check);

/* The broker core's ports: replica, log, nameservers and connections of this group. */
void group_ports_init(struct group_host *host);

/* What the core is told of the members, and can do to them. */
struct member_ports group_member_ports(struct group_host *host);
/* Each tick: refuse what the disk has no room for, hand over if even the log has none. */
void group_look_at_disk(struct group_host *host, uint64_t now);

/* Each tick: decline leadership while much is to be applied, or something is damaged. */
void group_look_at_fitness(struct group_host *host, uint64_t now);
/* A member that could take over at once, 0: none. */
uint64_t group_ready_member(const struct group_host *host);
/* Tell the other members whether this replica wants no leadership: drained, or unfit. */
void group_tell_drained(struct group_host *host);

/* A listener's on_pending: accept a client. */
void group_on_pending(struct listener *listener);
/* Ask all clients' connections to close; group_on_clients_gone() follows if there are any. */
void group_close_clients(struct group_host *host);
/* While the network is being closed: the last client is gone. */
void group_on_clients_gone(struct group_host *host);

#endif
