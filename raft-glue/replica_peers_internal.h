/* Inside of the links, shared by their files. */
#ifndef RAFT_GLUE_REPLICA_PEERS_INTERNAL_H
#define RAFT_GLUE_REPLICA_PEERS_INTERNAL_H

#include "common/base/list.h"
#include "raft-glue/replica_hello.h"
#include "raft-glue/replica_peers.h"

enum {
    /* What may wait to be sent to one member; more is lost. */
    LINK_QUEUE_BYTES_MAX = 32 * 1024 * 1024,
    LINK_QUEUE_MESSAGES_MAX = 1024,
    BACKOFF_MIN_MS = 20,
    BACKOFF_MAX_MS = 250,
    /* To connect and be greeted; then, for data that nobody acknowledges. */
    CONNECT_TIMEOUT_MS = 1000,
    UNACKNOWLEDGED_TIMEOUT_MS = 5000,
    /* Connections that have not said a valid hello yet: their number and time. */
    STRANGERS_MAX = 16,
    STRANGER_TIMEOUT_MS = 3000,
    READ_BUFFER_SIZE = 64 * 1024,
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_GREETING, LINK_OPEN };

/* One attempt to reach a member; lives until libuv has closed it. */
struct link_connection {
    uv_tcp_t tcp;
    uv_connect_t connect;
    struct link *link; /* NULL once it was given up. */
    struct replica_peers *peers;
    struct buf hello;
    uv_write_t hello_write;
    uint8_t answer[HELLO_ANSWER_SIZE + 1]; /* Room for what must not come. */
    size_t answer_size;
};

/* Our direction to one member. */
struct link {
    struct replica_peers *peers;
    struct replica_member member;
    enum link_state state;
    struct link_connection *connection;
    uv_timer_t timer; /* Backoff while down, limit while connecting. */
    uint32_t backoff_ms;
    int refusal;         /* The last one that was logged, so that each is logged once. */
    struct list pending; /* Messages behind a load, in order. */
    size_t pending_count;
    size_t writing_bytes;
    size_t writing_count;
    struct link_load *load; /* Under way, for the first pending message. */
};

enum incoming_state { INCOMING_STRANGER, INCOMING_OPEN, INCOMING_CLOSING };

/* A connection of another member to us. */
struct incoming {
    struct list queue; /* In peers->incoming, oldest first. */
    uv_tcp_t tcp;
    struct replica_peers *peers;
    enum incoming_state state;
    uint64_t accepted_ms;
    uint64_t from;
    uint8_t *buffer;
    size_t buffer_size;
    size_t buffered;
    struct wire_header header; /* Of the message whose body is being read. */
    struct block *body;        /* NULL: a header comes next. */
    size_t body_filled;
    uint8_t answer[HELLO_ANSWER_SIZE];
    uv_write_t answer_write;
};

struct replica_peers {
    struct replica_peers_options options;
    struct replica_member members[MEMBERS_MAX];
    struct name cluster;
    struct name group;
    uint64_t members_hash;
    struct link links[MEMBERS_MAX];
    size_t link_count;
    uv_tcp_t listener;
    uv_timer_t sweep;
    struct list incoming;
    bool paused;
    bool closing;
    size_t handles; /* Not yet closed by libuv, and loads under way. */
    void (*on_closed)(void *context);
    void *closed_context;
};

/* replica_peers.c */
void peers_released(struct replica_peers *peers); /* One handle or load less. */
void peers_socket_options(uv_tcp_t *tcp);

/* replica_link.c */
void link_start(struct link *link, struct replica_peers *peers,
                const struct replica_member *member);
void link_close(struct link *link);
void link_send(struct link *link, const struct replica_outbound *outbound);
/* Give up the connection and try again after a while. */
void link_lost(struct link *link);

/* replica_link_send.c */
void link_pump(struct link *link);
void link_drop_pending(struct link *link);

/* replica_incoming.c */
void incoming_accept(struct replica_peers *peers);
void incoming_close(struct incoming *incoming);
void incoming_pause(struct incoming *incoming, bool pause);

#endif
