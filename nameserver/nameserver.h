/* The nameserver: one loop that listens, answers from the route table and lets leases lapse.
 *
 * Nameservers do not know each other: brokers register at all of them. Loop thread only. */
#ifndef NAMESERVER_NAMESERVER_H
#define NAMESERVER_NAMESERVER_H

#include "common/base/clock.h"
#include "common/base/config.h"

#include <uv.h>

struct nameserver;

/* Everything is borrowed for life. */
struct nameserver_options {
    uv_loop_t *loop;
    struct config *settings; /* From nameserver_settings_new(); changed by UPDATE_NAMESRV_CONFIG. */
    struct log *log;
    const struct clock *clock;
};

/* Listen and serve.
 * Errors (said in the log; nothing is open): STATUS_INVALID_ARGUMENT, STATUS_IO, STATUS_CORRUPT. */
WARN_UNUSED enum status nameserver_new(const struct nameserver_options *options,
                                       struct nameserver **out);

/* Close port and connections; the loop runs empty, and `closed` is called (and the nameserver
 * freed) when nothing of it is left on the loop. */
void nameserver_close(struct nameserver *nameserver, void (*closed)(void *context), void *context);

/* The port in use. */
uint32_t nameserver_port(const struct nameserver *nameserver);

#endif
