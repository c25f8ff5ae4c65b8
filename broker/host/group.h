/* One broker group on this node: its loop thread and everything that runs on it.
 *
 * The composition root: owns loop, log, replica, store, machine, broker core, listener and
 * connections, starts them in order and stops them in the reverse order. Groups share nothing but
 * settings and the process. */
#ifndef BROKER_HOST_GROUP_H
#define BROKER_HOST_GROUP_H

#include "broker/core/settings.h"
#include "common/base/status.h"

struct group_host;

/* Start a group in a thread of its own. Borrows settings and group for life. */
struct group_host *group_host_start(const struct settings *settings,
                                    const struct group_settings *group);

/* Wait until it has recovered and listens. Groups of a node recover side by side.
 * Errors (its thread has ended and is to be joined; the trouble was logged with the operator's next
 * step): STATUS_IO, STATUS_CORRUPT, STATUS_LOCKED, STATUS_INVALID_ARGUMENT. */
WARN_UNUSED enum status group_host_started(struct group_host *host);

/* Ask it to stop: leadership is handed over first, if that is possible quickly. Any thread. */
void group_host_stop(struct group_host *host);

/* Wait until it has stopped, and free it. */
void group_host_join(struct group_host *host);

#endif
