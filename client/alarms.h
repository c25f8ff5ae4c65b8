/* Many timers on one libuv timer. Loop thread only. */
#ifndef CLIENT_ALARMS_H
#define CLIENT_ALARMS_H

#include "common/base/heap.h"

#include <uv.h>

struct alarm {
    struct heap_node node;
    void (*ring)(struct alarm *alarm);
};

struct alarms {
    uv_timer_t timer;
    struct heap heap;
    uint64_t set_count; /* Equal times ring in the order in which they were set. */
};

void alarms_init(struct alarms *alarms, uv_loop_t *loop);

/* Set (or set anew) an alarm. It rings once. */
void alarms_set(struct alarms *alarms, struct alarm *alarm, uint64_t delay_ms);

/* Harmless if it is not set. */
void alarms_cancel(struct alarms *alarms, struct alarm *alarm);

/* None may be set any more. */
void alarms_close(struct alarms *alarms);

#endif
