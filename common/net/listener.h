/* A listening TCP port. Loop thread only. */
#ifndef COMMON_NET_LISTENER_H
#define COMMON_NET_LISTENER_H

#include "common/net/conn.h"

struct listener {
    uv_tcp_t tcp;
    void (*on_pending)(struct listener *listener); /* Call conn_accept((uv_stream_t *)&tcp, …). */
    void *context;
    uint32_t port; /* The port in use, also when 0 was asked for. */
};

/* Bind and listen.
 * Errors: STATUS_IO  the port is taken or the address not ours; nothing is open. */
WARN_UNUSED enum status listener_open(struct listener *listener, uv_loop_t *loop, struct host host,
                                      void (*on_pending)(struct listener *), void *context);

/* Stop listening; the struct may go once the loop has run its close callbacks. */
void listener_close(struct listener *listener);

#endif
