/* What other parts need of process_client.c. Loop thread only. */
#ifndef BROKER_CORE_PROCESS_CLIENT_H
#define BROKER_CORE_PROCESS_CLIENT_H

#include "broker/core/channel.h"

struct broker;

/* channels_changed_cb: tell the members of a consumer group that somebody came or went (40).
 * context is the struct broker. */
void client_notify_changed(void *context, struct client_group *consumers);

/* While broker->announcing: send the leader we are connected to the last heartbeats of the clients
 * connected here that it has not heard of, as many as it can take now. */
void client_announce(struct broker *broker);

#endif
