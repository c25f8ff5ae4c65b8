/* Inside the library: what holds for the subscriptions of any consumer. */
#ifndef CLIENT_SUBSCRIPTIONS_H
#define CLIENT_SUBSCRIPTIONS_H

#include "client/include/raftmq.h"
#include "common/base/slice.h"

/* Is each of another topic? Two of one would have the same queues, and offsets of one name. */
static inline bool subscriptions_differ(const struct raftmq_subscription *subscriptions,
                                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (slice_equals(slice_text(subscriptions[i].topic),
                             slice_text(subscriptions[j].topic))) {
                return false;
            }
        }
    }
    return true;
}

#endif
