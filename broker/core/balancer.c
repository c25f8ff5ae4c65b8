#include "broker/core/balancer.h"

#include "broker/core/broker.h"

#include <inttypes.h>

static void on_transferred(void *context, enum status status);

void balancer_init(struct balancer *balancer, struct broker *broker)
{
    *balancer = (struct balancer){.broker = broker};
}

void balancer_tick(struct balancer *balancer)
{
    struct broker *broker = balancer->broker;
    const struct broker_ports *ports = broker->ports;
    uint64_t preferred = broker->group->preferred_id;
    if (broker->settings->balance_delay_ms == 0 || !broker_leads(broker) ||
        preferred == broker->self->id || balancer->transferring ||
        !ports->peer_ready(ports->context, preferred)) {
        balancer->ready_since_ms = 0;
        return;
    }
    uint64_t now = clock_monotonic_ms(ports->clock);
    if (balancer->ready_since_ms == 0) {
        balancer->ready_since_ms = now;
    }
    if (now - balancer->ready_since_ms >= broker->settings->balance_delay_ms) {
        log_info(broker->log, "handing leadership back to the preferred member", "member=%" PRIu64,
                 preferred);
        balancer->transferring = true;
        ports->transfer(ports->context, preferred, on_transferred, balancer);
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
