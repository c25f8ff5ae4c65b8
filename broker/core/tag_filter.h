/* The tag filter of a subscription, as the broker applies it: by Java hash code, so a collision may
 * pass (clients compare the text again) but nothing that matches is ever held back.
 * Source: FilterAPI.buildSubscriptionData, ExpressionMessageFilter. */
#ifndef BROKER_CORE_TAG_FILTER_H
#define BROKER_CORE_TAG_FILTER_H

#include "common/base/buf.h"
#include "common/base/status.h"

enum { TAGS_PER_FILTER_MAX = 256 };

struct tag_filter {
    bool all;
    uint32_t count;
    int32_t *hashes; /* Ascending; owned. */
};

/* Parse "*", "" or "a || b". Errors: STATUS_SUBSCRIPTION_MALFORMED (no tag between bars, or more
 * than TAGS_PER_FILTER_MAX); the filter is zeroed. */
WARN_UNUSED enum status tag_filter_parse(struct slice expression, struct tag_filter *filter);

void tag_filter_close(struct tag_filter *filter);

bool tag_filter_matches(const struct tag_filter *filter, int32_t tags_hash);

#endif
