/* Tag expressions: "*" or nothing for all, "a || b" for some. Pure; any thread.
 * Source: FilterAPI, SubscriptionData. */
#ifndef COMMON_REMOTING_SUBSCRIPTION_H
#define COMMON_REMOTING_SUBSCRIPTION_H

#include "common/base/slice.h"

/* Does the expression let everything through? */
bool subscription_is_all(struct slice expression);

/* Walk the tags of an expression: *rest starts as the whole. Space round tags is dropped, as are
 * empty tags. False at the end. Borrows. */
bool subscription_next_tag(struct slice *rest, struct slice *tag);

/* Does a message with these tags (empty: none) pass? Exact, by text, as consumers decide it. */
bool subscription_matches(struct slice expression, struct slice tags);

#endif
