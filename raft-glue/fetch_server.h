/* Gives copies of a replica's data to members that lack it: the machine's state and the committed
 * part of the log, over FETCH connections (fetch_wire.h). A leader gives them to all, another
 * member to those who need no more than what it knows to be committed.
 *
 * The log is not cut below what a copy began with, as long as its connection lasts. At most
 * `rate` bytes a second leave, all copies together. Loop thread only. */
#ifndef RAFT_GLUE_FETCH_SERVER_H
#define RAFT_GLUE_FETCH_SERVER_H

#include "raft-glue/fetch_image.h"
#include "raft-glue/fetch_wire.h"
#include "raft-glue/replica.h"

#include <uv.h>

enum { FETCH_SESSIONS_MAX = 2 };

struct fetch_server;
struct fetch_session;

struct fetch_server_options {
    uv_loop_t *loop;
    const struct log *log;
    struct replica *replica;
    struct replica_storage *storage;
    struct image_source source;
    uint64_t rate; /* Bytes a second; 0: as fast as it goes. */
    /* Entries to be copied, from this one on, are damaged on disk. */
    void (*on_damage)(void *context, uint64_t index);
    void *context;
    void (*on_idle)(void *context); /* After close: no session is left. */
};

struct fetch_server *fetch_server_new(const struct fetch_server_options *options);

/* Take no more sessions. Frees itself when the last has ended, then on_idle() is called, maybe
 * from in here. */
void fetch_server_close(struct fetch_server *server);

/* Begin to serve a member over a connection, which is borrowed until fetch_session_end(). NULL:
 * there are too many. */
struct fetch_session *fetch_session_begin(struct fetch_server *server, uv_tcp_t *tcp,
                                          uint64_t member);

/* Bytes of requests. false: it says nothing sensible, end it. */
bool fetch_session_take(struct fetch_session *session, struct slice bytes);

/* The connection is being closed. Accepts NULL. */
void fetch_session_end(struct fetch_session *session);

#endif
