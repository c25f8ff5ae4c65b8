/* A node: one process that hosts one replica of each of its broker groups.
 *
 * Holds the data directory (one process at a time) and starts and stops the groups. Groups share
 * nothing but the settings. Main thread. */
#ifndef BROKER_HOST_NODE_H
#define BROKER_HOST_NODE_H

#include "broker/core/settings.h"
#include "common/base/status.h"

struct node;

/* Lock the data directory and start all groups. Borrows settings for life.
 * Errors (each was logged with the operator's next step; nothing runs). */
WARN_UNUSED enum status node_start(const struct settings *settings, const struct log *log,
                                   struct node **out);

/* Stop all groups in an orderly way and free the node. Blocks until they have stopped. */
void node_stop(struct node *node);

#endif
