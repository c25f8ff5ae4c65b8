/* What sim_socket.c (connections) and sim_uv_tcp.c (libuv's view of them) share. */
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
