/* The registrar: tells every nameserver who we are, what we serve and since which term; and asks
 * them what we want to know.
 *
 * The leader registers as id 0 with its topics, a follower under its member id. DataVersion's
 * stateVersion is the Raft term, so a nameserver ignores a deposed leader; a leader that hears of
 * no majority stops registering. Loop thread only. Source: BrokerOuterAPI.registerBrokerAll,
 * RouteInfoManager. */
#ifndef BROKER_HOST_REGISTRAR_H
#define BROKER_HOST_REGISTRAR_H

#include "broker/core/broker.h"

#include <uv.h>

struct registrar;

struct registrar *registrar_new(uv_loop_t *loop, struct broker *broker);
/* Unregister as far as connections are open, and close; on_closed from the loop, then it is freed.
 */
void registrar_close(struct registrar *registrar, void (*on_closed)(void *context), void *context);

/* Ask one nameserver that is connected; done is called once, maybe before this returns. Copies. */
void registrar_ask(struct registrar *registrar, struct command *request, nameserver_cb *done,
                   void *context);

/* Something changed: register at the end of this loop turn. */
void registrar_soon(struct registrar *registrar);
void registrar_turn_end(struct registrar *registrar);
/* Every BROKER_TICK_MS. */
void registrar_tick(struct registrar *registrar);

#endif
