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
    /* After the answer that we are no member any more. */
    BACKOFF_REMOVED_MS = 5000,
    /* To connect and be greeted. */
    CONNECT_TIMEOUT_MS = 1000,
    /* Connections that have not said a valid hello yet: their number and time. */
    STRANGERS_MAX = 16,
    STRANGER_TIMEOUT_MS = 3000,
    READ_BUFFER_SIZE = 64 * 1024,
    LINKS_MAX = MEMBERS_MAX + 4,
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

/* Our direction to one member; lives until libuv has closed its timer. */
struct link {
    struct replica_peers *peers;
    struct replica_member member;
    bool closing;
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
    uint64_t suspect;       /* An entry that looked damaged; is read once more. 0: none. */
};

enum incoming_state {
    INCOMING_STRANGER,
    INCOMING_OPEN,  /* A link. */
    INCOMING_FETCH, /* Somebody copies our data. */
    INCOMING_CLOSING,
};

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
    struct buf answer;
    uv_write_t answer_write;
    struct fetch_session *session; /* Of a FETCH. */
};

/* What a server said of itself. */
struct peer_word {
    uint64_t id;
    struct host client_host;
    bool draining;
};

struct replica_peers {
    struct replica_peers_options options;
    struct name cluster;
    struct name group;
    struct link *links[LINKS_MAX];
    size_t link_count;
    struct peer_word words[LINKS_MAX];
    size_t words_next; /* The one to be overwritten next, when all are taken. */
    bool draining;     /* What we say of ourselves. */
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
/* Remember what the sender of a hello said of itself. */
void peers_note(struct replica_peers *peers, const struct hello *hello);

/* replica_link.c */
struct link *link_start(struct replica_peers *peers, const struct replica_member *member);
void link_close(struct link *link); /* Frees it later. */
/* Connect anew at once. */
void link_renew(struct link *link);
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
