#include "broker/core/balancer.h"

#include "broker/core/broker.h"

#include <inttypes.h>

enum { DRAIN_RETRY_MS = 500 };

static void on_transferred(void *context, enum status status);

void balancer_init(struct balancer *balancer, struct broker *broker)
{
    *balancer = (struct balancer){.broker = broker};
}

static void hand_over(struct balancer *balancer, uint64_t target)
{
    const struct broker_ports *ports = balancer->broker->ports;
    balancer->transferring = true;
    ports->transfer(ports->context, target, on_transferred, balancer);
}

/* Is there a better leader than we, that could take over at once? */
static bool better_leader(const struct broker *broker, uint64_t *id)
{
    const struct member_ports *members = &broker->ports->members;
    *id = members->preferred(members->context);
    return broker->settings->balance_delay_ms != 0 && *id != 0 && *id != broker->self->id &&
           members->ready(members->context, *id);
}

void balancer_tick(struct balancer *balancer)
{
    struct broker *broker = balancer->broker;
    uint64_t now = clock_monotonic_ms(broker->ports->clock);
    uint64_t preferred = 0;
    if (!broker_leads(broker) || balancer->transferring) {
        balancer->ready_since_ms = 0;
        return;
    }
    if (broker->draining && now >= balancer->drain_retry_ms) {
        log_info(broker->log, "drained, handing leadership over", "%s", "");
        balancer->drain_retry_ms = now + DRAIN_RETRY_MS;
        hand_over(balancer, 0);
        return;
    }
    if (broker->draining || !better_leader(broker, &preferred)) {
        balancer->ready_since_ms = 0;
        return;
    }
    if (balancer->ready_since_ms == 0) {
        balancer->ready_since_ms = now;
    }
    if (now - balancer->ready_since_ms >= broker->settings->balance_delay_ms) {
        log_info(broker->log, "handing leadership back to the preferred member", "member=%" PRIu64,
                 preferred);
        hand_over(balancer, preferred);
    }
}

static void on_transferred(void *context, enum status status)
{
    struct balancer *balancer = context;
    balancer->transferring = false;
    balancer->ready_since_ms = 0;
    if (status != STATUS_OK) {
        log_info(balancer->broker->log, "leadership not handed over, trying again later", "why=%s",
                 status_name(status));
    }
}
