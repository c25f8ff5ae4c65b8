#include "broker/core/scheduler.h"

#include "broker/core/broker.h"

enum {
    ROUND_MAX = 1024,     /* FIREs at a time: they share the log with what clients send. */
    FIRE_SIZE_ABOUT = 32, /* In an entry. */
};

static void on_fired(struct broker *broker, const struct waiter *waiter,
                     const struct operation *operation, const struct operation_result *result);

void scheduler_init(struct scheduler *scheduler, struct broker *broker)
{
    *scheduler = (struct scheduler){.broker = broker};
}

void scheduler_tick(struct scheduler *scheduler)
{
    struct broker *broker = scheduler->broker;
    uint64_t positions[ROUND_MAX];
    if (scheduler->under_way > 0 || !broker_leads(broker) || broker->stopping) {
        return;
    }
    uint32_t count =
        machine_delayed_due(broker->machine, broker_now_ms(broker), ROUND_MAX, positions);
    for (uint32_t i = 0; i < count; i++) {
        struct buf *entry;
        if (proposer_begin(&broker->proposer, FIRE_SIZE_ABOUT, &entry) != STATUS_OK) {
            return; // They stay due.
        }
        entry_put_fire(entry, &(struct operation_fire){positions[i]});
        scheduler->under_way++;
        proposer_add(&broker->proposer, &(struct waiter){.done = on_fired});
    }
}

/* A burst must not wait for a tick after each round. */
static void on_fired(struct broker *broker, const struct waiter *waiter,
                     const struct operation *operation, const struct operation_result *result)
{
    (void)waiter;
    (void)operation;
    if (--broker->scheduler.under_way == 0 && result->status == STATUS_OK) {
        scheduler_tick(&broker->scheduler);
    }
}
