/* A scripted server in the test's own loop: answers frames as a handler says. */
#ifndef TESTS_SUPPORT_LOOP_PEER_H
#define TESTS_SUPPORT_LOOP_PEER_H

#include "common/net/listener.h"

enum { LOOPBACK = 0x7F000001 };

struct loop_peer {
    struct listener listener;
    struct list conns; /* struct loop_peer_conn */
    size_t conn_count;
    size_t accepted;
    /* What to do with a command. May answer on conn, now or later, or close it. */
    void (*on_command)(struct loop_peer *peer, struct conn *conn, const struct command *command);
    void *context;
};

struct loop_peer_conn {
    struct list in_peer;
    struct loop_peer *peer;
    struct conn *conn;
};

/* Listens on a free loopback port; port 0 chooses one. Fails the test if it cannot. */
void loop_peer_open(struct loop_peer *peer, uv_loop_t *loop, uint32_t port);
struct host loop_peer_host(const struct loop_peer *peer);

/* Close port and connections; run the loop until it is empty afterwards. */
void loop_peer_close(struct loop_peer *peer);

/* Close the connections alone. */
void loop_peer_drop(struct loop_peer *peer);

/* Answer a request with a code and body. */
void loop_peer_answer(struct conn *conn, const struct command *request, int32_t code,
                      struct slice body);

#endif
