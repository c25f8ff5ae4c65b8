/* What a subscription lets through: by tags, or by an SQL92 expression.
 *
 * Compiled once and held by a subscription and all pulls made under it. Loop thread only. Source:
 * FilterAPI, ConsumerFilterManager, ExpressionMessageFilter. */
#ifndef BROKER_CORE_MESSAGE_FILTER_H
#define BROKER_CORE_MESSAGE_FILTER_H

#include "broker/core/tag_filter.h"
#include "broker/filter/sql_filter.h"

/* Compiled SQL92 expressions of one broker group, together. */
enum { SQL_FILTERS_SIZE_MAX = 64 * 1024 * 1024 };

/* What all filters of a broker group take; zeroed at first, and again once all are released. */
struct message_filters {
    size_t sql_size; /* Bytes, up to one filter more than SQL_FILTERS_SIZE_MAX. */
};

struct message_filter {
    struct message_filters *filters;
    size_t holders;
    struct tag_filter tags; /* Lets all through if there is an SQL92 filter. */
    struct sql_filter *sql; /* NULL: by tags. Owned. */
};

/* Is an expression of this type about tags? So it is if there is none. */
bool expression_is_tags(struct slice type);

/* Compile for one holder. The filters are borrowed until all of them are released. Errors:
 * STATUS_SUBSCRIPTION_MALFORMED (or of a type other than TAG and SQL92), STATUS_OVERLOADED
 * (SQL_FILTERS_SIZE_MAX); *trouble says more, *filter is NULL. */
WARN_UNUSED enum status message_filter_new(struct message_filters *filters, struct slice type,
                                           struct slice expression, struct message_filter **filter,
                                           struct sql_trouble *trouble);

/* One holder more. */
struct message_filter *message_filter_hold(struct message_filter *filter);
/* One holder less; the last one frees it. NULL is allowed. */
void message_filter_release(struct message_filter *filter);

#endif
