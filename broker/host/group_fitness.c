/* What a replica does that should not lead: it has much of the log to apply yet, because its store
 * is built again, or its data is damaged.
 *
 * As leader it would keep clients waiting, or answer them with errors: so it declines leadership as
 * a drained one does, and should it be elected all the same, it hands over to a member that is
 * ready. */
#include "broker/host/group_internal.h"

#include "common/base/limits.h"

#include <inttypes.h>

enum {
    /* Entries to be applied: a second's work, and what is always on its way. */
    LAG_BEGIN = LIMITS_PICK(20000, 200),
    LAG_END = LIMITS_PICK(1000, 50),
    HAND_OVER_PERIOD_MS = 1000, /* Between attempts. */
};

static void on_handed_over(void *context, enum status status)
{
    struct group_host *host = context;
    (void)status; // Tried again if it leads and lags still.
    host->handing_over = false;
}

static void hand_over(struct group_host *host, uint64_t now)
{
    uint64_t target = group_ready_member(host);
    if (target == 0 || host->handing_over || now < host->hand_over_due_ms) {
        return;
    }
    host->handing_over = true;
    host->hand_over_due_ms = now + HAND_OVER_PERIOD_MS;
    replica_host_transfer(host->replica, target, on_handed_over, host);
}

static void look_at_lag(struct group_host *host, const struct replica_view *view)
{
    uint64_t lag = view->last_index - view->applied_index;
    bool lags = lag > (host->lags ? (uint64_t)LAG_END : (uint64_t)LAG_BEGIN);
    if (lags != host->lags) {
        host->lags = lags;
        log_info(&host->log, lags ? "declining leadership until more is applied" : "has caught up",
                 "applied=%" PRIu64 " last=%" PRIu64, view->applied_index, view->last_index);
    }
}

void group_look_at_fitness(struct group_host *host, uint64_t now)
{
    struct replica_view view;
    replica_host_view(host->replica, &view);
    look_at_lag(host, &view);
    bool unfit = host->lags || host->damaged || host->store_complained;
    if (unfit != host->unfit) {
        host->unfit = unfit;
        group_tell_drained(host);
    }
    if (unfit && view.state.role >= REPLICA_ELECTED && host->stopping == RUNNING) {
        hand_over(host, now);
    }
}
