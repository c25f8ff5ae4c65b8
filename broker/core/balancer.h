/* The balancer: brings leadership back to where it belongs, so that the groups of a cluster are led
 * by different nodes again after one was away. A client that loses one broker name then finds
 * the others alive.
 *
 * Each group has a preferred member (by its place in `groups`). A leader that is not the preferred
 * one hands over once that one has been connected and caught up for a while. A transfer costs no
 * request: what arrives meanwhile waits and goes to the new leader. Loop thread only. */
#ifndef BROKER_CORE_BALANCER_H
#define BROKER_CORE_BALANCER_H

#include <stdbool.h>
#include <stdint.h>

struct broker;

struct balancer {
    struct broker *broker;
    uint64_t drain_retry_ms;
    uint64_t ready_since_ms; /* Since when the preferred member could take over; 0: it cannot. */
    bool transferring;
};

void balancer_init(struct balancer *balancer, struct broker *broker);
void balancer_tick(struct balancer *balancer);

#endif
