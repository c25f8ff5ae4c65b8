/* Changes of topics that are under way: proposed by this replica, and neither applied nor dropped.
 *
 * What a change leaves as it is, it takes from the state. So none is begun while another one of the
 * same topic may still alter that. Only the leader proposes them, and it serves no sooner than it
 * has applied what those before it proposed. Loop thread only. */
#ifndef BROKER_CORE_TOPIC_CHANGES_H
#define BROKER_CORE_TOPIC_CHANGES_H

#include "broker/core/proposer.h"

/* Is one of this topic under way? */
bool topic_change_under_way(const struct broker *broker, struct slice topic);

/* From now on one is, until the waiter that is returned is called: then `then` is. */
struct waiter topic_change_waiter(struct broker *broker, struct slice topic,
                                  const struct waiter *then);

#endif
