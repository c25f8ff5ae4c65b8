/* One framed remoting connection on a libuv loop, accepted or made by us.
 *
 * Splits the stream into frames (common/remoting/command.h), checks sizes before memory is taken,
 * and writes what was queued in one go at the end of the loop turn. Back-pressure: while more than
 * CONN_OUT_PAUSE bytes wait to be written to a peer that we accepted, reading from it stops; beyond
 * CONN_OUT_MAX any peer is too slow and is closed. Loop thread only. */
#ifndef COMMON_NET_CONN_H
#define COMMON_NET_CONN_H

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/remoting/command.h"
#include "common/remoting/message.h"

#include <uv.h>

enum {
    CONN_OUT_PAUSE = 8 * 1024 * 1024,
    CONN_OUT_MAX = 64 * 1024 * 1024,
};

struct conn;

/* Let writes to a broken connection fail instead of ending the process, in the calling thread only.
 * For threads that run a loop with connections in a process that does not ignore SIGPIPE: libuv
 * does not do it. */
void conn_block_sigpipe(void);

struct conn_events {
    /* A frame arrived. The command and all it borrows die when this returns. `frame` is the raw
     * frame, for whoever passes it on. */
    void (*on_command)(struct conn *conn, const struct command *command, struct slice frame);
    /* The connection is gone: called exactly once per opened connection; conn is valid until it
     * returns and freed afterwards. `why` is STATUS_OK for an orderly end by the peer. */
    void (*on_close)(struct conn *conn, enum status why);
};

struct conn_options {
    const struct conn_events *events; /* Borrowed for life. */
    void *context;                    /* The owner's, returned by conn_context(). */
    const struct log *log;
    uint64_t idle_timeout_ms; /* Close after so long without a frame either way; 0 = never. */
    /* If this process is killed, let the kernel reset the connection instead of ending it: Java
     * clients (4.9) fail the calls that wait on a reset connection at once and retry elsewhere, but
     * let those on an ended one run into their timeout. An orderly close is not affected. */
    bool reset_on_death;
};

/* Accept a pending connection of a listening stream.
 * Errors: STATUS_IO  nothing was opened. */
WARN_UNUSED enum status conn_accept(uv_stream_t *listener, const struct conn_options *options,
                                    struct conn **out);

/* Connect to an IPv4 address. PENDING is not used: the connection may be sent to at once (frames
 * wait), on_close tells of failure with STATUS_CONNECT_FAILED.
 * Errors: STATUS_IO  nothing was opened. */
WARN_UNUSED enum status conn_connect(uv_loop_t *loop, struct host host,
                                     const struct conn_options *options, struct conn **out);

/* Queue bytes of whole frames. Copies. Harmless on a closing connection. */
void conn_send(struct conn *conn, struct slice bytes);

/* The output buffer to encode frames into directly (command_encode(…, conn_out(conn))); call
 * conn_flush_later() when done. Valid until the loop runs on. NULL when closing. */
struct buf *conn_out(struct conn *conn);
void conn_flush_later(struct conn *conn);

/* Encode and queue a command. Harmless on a closing connection. */
void conn_send_command(struct conn *conn, const struct command *command);

/* Close, when the socket has taken what it can of the queued output without waiting; on_close
 * follows from the loop, never from within this call. Harmless when repeated. */
void conn_close(struct conn *conn, enum status why);

void *conn_context(const struct conn *conn);
void conn_set_context(struct conn *conn, void *context);
bool conn_closing(const struct conn *conn);
/* Bytes queued and not yet handed to the kernel. */
size_t conn_out_size(const struct conn *conn);
/* The other end. */
struct host conn_peer(const struct conn *conn);
/* A number unique in this process' loop, for looking a connection up after waiting. */
uint64_t conn_id(const struct conn *conn);

#endif
