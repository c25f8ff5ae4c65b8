/* One request that takes several operations: answered when the last of them has its result. */
#ifndef BROKER_CORE_SEVERAL_H
#define BROKER_CORE_SEVERAL_H

#include "broker/core/proposer.h"
#include "broker/core/request.h"

struct several;

/* All have their results: answer several->to, free. `status`: OK, or that of the first that was
 * refused; those proposed besides may have been applied. */
typedef void several_done(struct broker *broker, struct several *several, enum status status);

/* Part of what waits. */
struct several {
    struct reply_to to;
    size_t left; /* Results to come, and one more while operations are being proposed. */
    enum status status;
    several_done *done;
};

void several_begin(struct several *several, const struct reply_to *to, several_done *done);

/* One more operation is about to be proposed: its waiter. */
struct waiter several_waiter(struct several *several);
/* Within a waiter of one's own: one more is about to be proposed, and one has its result. */
void several_expect(struct several *several);
void several_result(struct broker *broker, struct several *several, enum status status);

/* The `done` of a struct several by itself, from mem_alloc(): answers with the status, frees. */
void several_answer(struct broker *broker, struct several *several, enum status status);

/* No more will be proposed, because of `why` if it is neither OK nor PENDING. May end it. */
void several_proposed(struct broker *broker, struct several *several, enum status why);

#endif
