#include "client/alarms.h"

#include "common/base/check.h"
#include "common/base/list.h"

static void arm(struct alarms *alarms);
static void on_timer(uv_timer_t *timer);

void alarms_init(struct alarms *alarms, uv_loop_t *loop)
{
    alarms->heap = (struct heap){0};
    alarms->set_count = 0;
    ASSERT(uv_timer_init(loop, &alarms->timer) == 0);
    alarms->timer.data = alarms;
}

void alarms_set(struct alarms *alarms, struct alarm *alarm, uint64_t delay_ms)
{
    uint64_t now_ms = uv_now(alarms->timer.loop);
    uint64_t due_ms = delay_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + delay_ms;
    heap_remove(&alarms->heap, &alarm->node);
    heap_put(&alarms->heap, &alarm->node, due_ms, ++alarms->set_count);
    if (heap_first(&alarms->heap) == &alarm->node) {
        arm(alarms);
    }
}

void alarms_cancel(struct alarms *alarms, struct alarm *alarm)
{
    heap_remove(&alarms->heap, &alarm->node);
}

void alarms_close(struct alarms *alarms)
{
    ASSERT(heap_first(&alarms->heap) == NULL);
    heap_close(&alarms->heap);
    uv_close((uv_handle_t *)&alarms->timer, NULL);
}

static void arm(struct alarms *alarms)
{
    const struct heap_node *first = heap_first(&alarms->heap);
    if (first != NULL) {
        uint64_t now = uv_now(alarms->timer.loop);
        uv_timer_start(&alarms->timer, on_timer, first->due > now ? first->due - now : 0, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct alarms *alarms = timer->data;
    struct heap_node *first = heap_first(&alarms->heap);
    while (first != NULL && first->due <= uv_now(timer->loop)) {
        heap_remove(&alarms->heap, first);
        struct alarm *alarm = CONTAINER_OF(first, struct alarm, node);
        alarm->ring(alarm);
        first = heap_first(&alarms->heap);
    }
    arm(alarms);
}
