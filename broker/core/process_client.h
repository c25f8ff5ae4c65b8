/* What other parts need of process_client.c. Loop thread only. */
#ifndef BROKER_CORE_PROCESS_CLIENT_H
#define BROKER_CORE_PROCESS_CLIENT_H

#include "broker/core/channel.h"

struct broker;

/* channels_changed_cb: tell the members of a consumer group that somebody came or went (40).
 * context is the struct broker. */
void client_notify_changed(void *context, struct client_group *consumers);

/* Send the leader the last heartbeat of every client connected here. */
void client_announce_all(struct broker *broker);

#endif
