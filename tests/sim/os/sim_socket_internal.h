/* What sim_socket.c (ends of connections), sim_network.c (what is under way between them) and
 * sim_uv_tcp.c (libuv's view of them) share. */
#ifndef TESTS_SIM_OS_SIM_SOCKET_INTERNAL_H
#define TESTS_SIM_OS_SIM_SOCKET_INTERNAL_H

#include "common/base/buf.h"
#include "common/base/map.h"
#include "common/remoting/message.h"
#include "tests/sim/os/sim_socket.h"

enum sim_socket_state { SOCKET_NEW, SOCKET_LISTENING, SOCKET_CONNECTING, SOCKET_OPEN };

/* One end. Lives until it was closed and all it still had to say has arrived, or cannot. */
struct sim_socket {
    struct map_node by_id;
    uint64_t id;
    struct list in_process;
    struct sim_host *host;     /* Where it is. */
    struct sim_handle *handle; /* NULL: not accepted yet, or closed. */
    struct sim_ready ready;
    enum sim_socket_state state;
    struct host local;
    struct host remote;
    uint64_t peer; /* Id of the other end; 0: unknown (yet). */
    int error;     /* Of libuv, once the connection is broken. */

    struct buf in; /* Arrived, not read, from in_at on. */
    size_t in_at;
    bool in_end;
    uv_alloc_cb alloc;
    uv_read_cb read; /* NULL: nobody reads. */

    struct buf unsent; /* Given to uv_write(), beyond the window. */
    size_t unsent_at;
    uint64_t given;     /* Bytes ever given to uv_write(), */
    uint64_t moved;     /* and how many of them are in segments. */
    struct list writes; /* struct sim_write */
    struct list out;    /* struct segment, under way. */
    size_t out_bytes;   /* In out, or arrived and not read. */
    uint64_t last_due_us;
    uint64_t stuck_since_us; /* 0: it is not. */
    struct sim_event deliver;

    uv_connect_t *connecting;
    uv_connection_cb on_connection;
    struct list backlog; /* Of a listener. */
    struct list in_backlog;
};

struct sim_write {
    struct list link;
    uv_write_t *uv;
    uint64_t end; /* Done when so many bytes were moved. */
};

/* ---- sim_network.c ---- */

enum { SIM_SEGMENT_MAX = 64 * 1024 };

enum sim_segment_kind { SEGMENT_SYN, SEGMENT_WELCOME, SEGMENT_DATA, SEGMENT_END, SEGMENT_RESET };

/* The socket with that id; NULL if it is gone. */
struct sim_socket *sim_socket_find(uint64_t id);
/* A new one that no handle has yet. */
struct sim_socket *sim_socket_make(struct sim_host *host, struct host local);
void sim_socket_free(struct sim_socket *socket);
/* Send it on its way, behind what went before; lost if the connection is broken. */
void sim_socket_send(struct sim_socket *socket, enum sim_segment_kind kind, const void *bytes,
                     size_t size);
/* Forget what is under way. */
void sim_socket_drop_out(struct sim_socket *socket);
/* Let its loop look at it. */
void sim_socket_ready(struct sim_socket *socket);
size_t sim_network_window(void);

/* ---- sim_socket.c ---- */

/* What it does in its loop's turn. */
void sim_socket_turn(struct sim_ready *ready);

/* Attached to the handle, whose process is the running one. */
struct sim_socket *sim_socket_new(struct sim_handle *handle, struct host local);
/* Who listens at an address; NULL. */
struct sim_socket *sim_socket_listener(struct host address);
void sim_socket_listen(struct sim_socket *socket, uv_connection_cb call);
/* A connection that waits; NULL. It has no handle yet. */
struct sim_socket *sim_socket_accept(struct sim_socket *listener);
void sim_socket_attach(struct sim_socket *socket, struct sim_handle *handle);
void sim_socket_connect(struct sim_socket *socket, struct host remote, uv_connect_t *request);
/* read NULL: stop. */
void sim_socket_read(struct sim_socket *socket, uv_alloc_cb alloc, uv_read_cb read);
int sim_socket_try_write(struct sim_socket *socket, const uv_buf_t *bufs, unsigned count);
void sim_socket_write(struct sim_socket *socket, uv_write_t *request, const uv_buf_t *bufs,
                      unsigned count);

#endif
