#include "broker/core/several.h"

#include <stdlib.h>

void several_begin(struct several *several, const struct reply_to *to, several_done *done)
{
    *several = (struct several){.to = *to, .left = 1, .done = done};
}

static void on_result(struct broker *broker, const struct waiter *waiter,
                      const struct operation *operation, const struct operation_result *result)
{
    (void)operation;
    several_result(broker, waiter->context, result->status);
}

struct waiter several_waiter(struct several *several)
{
    several_expect(several);
    return (struct waiter){.done = on_result, .context = several};
}

void several_expect(struct several *several)
{
    several->left++;
}

void several_result(struct broker *broker, struct several *several, enum status status)
{
    if (several->status == STATUS_OK) {
        several->status = status;
    }
    if (--several->left == 0) {
        several->done(broker, several, several->status);
    }
}

void several_proposed(struct broker *broker, struct several *several, enum status why)
{
    several_result(broker, several, why == STATUS_PENDING ? STATUS_OK : why);
}

void several_answer(struct broker *broker, struct several *several, enum status status)
{
    const struct waiter last = {.to = several->to};
    const struct operation_result summary = {.status = status};
    reply_with_status(broker, &last, NULL, &summary);
    free(several);
}
